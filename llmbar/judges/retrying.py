"""The one place that limits and repeats: how many requests are in flight, how often and how long each is tried.

How many an address bears, and which of several is asked, stands in `limits`. What is worth trying again is decided
where the reply is read (`wire`), and travels here in an `Attempt`: the public `Failure` says what happened, not what to
do about it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from math import inf
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from llmbar.errors import JudgeError
from llmbar.judges.limits import Bucket, Places
from llmbar.judges.stored import Tally
from llmbar.records import Failure, FailureKind, Response

if TYPE_CHECKING:
    from llmbar.records import Request

FIRST_WAIT = 0.5
"""Seconds before the second attempt; doubled before each further one."""
LONGEST_WAIT = 30.0
NEVER_REACHED = 30.0
"""Seconds after which an address that never answered at all is taken for a wrong one."""
CHARACTERS_PER_TOKEN = 4
"""The guess for a prompt that was not counted yet."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one attempt came to, and what is to be done about it."""

    response: Response
    tries: float = 1
    """How often a request may meet this outcome: 1 is final, infinity lasts until the deadline."""
    retry_after: float | None = None
    """Seconds that the server asks us to wait."""

    @property
    def kind(self) -> FailureKind | None:
        return self.response.failure.kind if self.response.failure else None

    def adapted(self, notes: tuple[str, ...]) -> Attempt:
        """The same, with how what was sent differs from what was asked."""
        return replace(self, response=self.response.model_copy(update={"adaptations": notes}))

    @classmethod
    def failed(
        cls, kind: FailureKind, message: str, *, tries: float = 1, retry_after: float | None = None, latency: float = 0
    ) -> Attempt:
        failure = Failure(kind=kind, message=message)
        return cls(Response(failure=failure, latency=latency), tries, retry_after)


class Attempting(Protocol):
    """Whatever can be asked once."""

    name: str

    async def attempt(self, request: Request, seconds: float) -> Attempt:
        """Ask once and wait for `seconds` at most."""
        ...


class Pace:
    """Keeps to requests and tokens a minute, where the user named any, over all addresses together.

    What a request takes is guessed before it is sent (its characters, and the mean completion so far or the most that
    it allows) and put right when its usage is known.
    """

    def __init__(self, rpm: int | None, tpm: int | None, tally: Tally) -> None:
        self._requests = Bucket(rpm) if rpm else None
        self._tokens = Bucket(tpm) if tpm else None
        self._tally = tally

    async def wait(self, request: Request) -> int:
        """Wait until the request may be sent; how many tokens were taken for it."""
        if not (self._requests or self._tokens):
            return 0
        tokens = self._guess(request) if self._tokens else 0
        waits = (self._requests.take(1) if self._requests else 0.0, self._tokens.take(tokens) if self._tokens else 0.0)
        await asyncio.sleep(max(waits))
        return tokens

    def correct(self, taken: int, response: Response) -> None:
        """Give back what the guess was too high."""
        if self._tokens:
            self._tokens.give_back(taken - response.usage.prompt_tokens - response.usage.completion_tokens)

    def _guess(self, request: Request) -> int:
        prompt = sum(len(message.content) for message in request.messages) // CHARACTERS_PER_TOKEN
        answered = self._tally.asked - self._tally.failed
        mean = self._tally.completion_tokens // answered if answered else None
        return prompt + (request.sampling.max_tokens or 0 if mean is None else mean)


class Retrying:
    """Asks until there is a reply, a final refusal, or no time left.

    Waits grow exponentially with jitter, and are never shorter than the server's Retry-After. A request that waits to
    be asked again holds no place; its time starts when it is first sent, not while it queues. Several sources are the
    same judge at several addresses.
    """

    def __init__(
        self,
        *sources: Attempting,
        concurrency: int,
        timeout: float,
        deadline: float,
        tally: Tally | None = None,
        first_wait: float | None = None,
        rpm: int | None = None,
        tpm: int | None = None,
    ) -> None:
        self.name = sources[0].name
        self.tally = tally or Tally()
        self._places = Places(sources, concurrency)
        self._pace = Pace(rpm, tpm, self.tally)
        self._timeout, self._deadline = timeout, deadline
        self._first_wait = FIRST_WAIT if first_wait is None else first_wait
        self._reached = False
        self._show_places()

    async def answer(self, request: Request) -> Response:
        first_sent, tries, outcomes = inf, 0, Counter[FailureKind | None]()
        while True:
            place, response = await self._places.take(), None
            try:
                tokens = await self._pace.wait(request)
                first_sent = min(first_sent, monotonic())
                left = first_sent + self._deadline - monotonic()
                if tries and left <= 0:
                    break
                tries += 1
                attempt = await place.source.attempt(request, max(0.001, min(self._timeout, left)))
                response = attempt.response
                self._pace.correct(tokens, response)
            finally:
                self._places.give_back(place, response)
                self._show_places()
            self._give_up_on_a_wrong_address(attempt, first_sent)
            outcomes[attempt.kind] += 1
            wait = self._wait(tries, attempt.retry_after)
            if outcomes[attempt.kind] >= attempt.tries or monotonic() + wait >= first_sent + self._deadline:
                break
            self.tally.retries += 1
            await asyncio.sleep(wait)
        return _counted(attempt.response, tries, monotonic() - first_sent)

    def _show_places(self) -> None:
        self.tally.limit, self.tally.in_flight = self._places.limit, self._places.in_flight

    def _wait(self, tries: int, retry_after: float | None) -> float:
        """Seconds between half and all of the step, and no less than the server asks for."""
        step = min(self._first_wait * 2.0 ** min(tries - 1, 60), LONGEST_WAIT)
        return max(step * uniform(0.5, 1), (retry_after or 0) * uniform(1, 1.1))  # noqa: S311 - jitter, no secret

    def _give_up_on_a_wrong_address(self, attempt: Attempt, first_sent: float) -> None:
        failure = attempt.response.failure
        if failure is None or failure.kind is not FailureKind.CONNECTION:
            self._reached = True
        elif not self._reached and monotonic() - first_sent > NEVER_REACHED:
            raise JudgeError(f"{self.name}: {failure.message}", remedy="start the server, or check --base-url")


def _counted(response: Response, tries: int, seconds: float) -> Response:
    """The response; of a failure after several attempts, with how many there were."""
    if response.failure is None or tries == 1:
        return response
    message = f"{response.failure.message} ({tries} attempts in {seconds:.0f} s)"
    return response.model_copy(update={"failure": Failure(kind=response.failure.kind, message=message)})
