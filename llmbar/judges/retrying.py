"""The one place that limits and repeats: how many requests are in flight, how often and how long each is tried.

What is worth trying again is decided where the reply is read (`wire`), and travels here in an `Attempt`: the public
`Failure` says what happened, not what to do about it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from math import inf
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from llmbar.errors import JudgeError
from llmbar.judges.stored import Tally
from llmbar.records import Failure, FailureKind, Response

if TYPE_CHECKING:
    from llmbar.records import Request

FIRST_WAIT = 0.5
"""Seconds before the second attempt; doubled before each further one."""
LONGEST_WAIT = 30.0
NEVER_REACHED = 30.0
"""Seconds after which an address that never answered at all is taken for a wrong one."""


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


class Retrying:
    """Asks until there is a reply, a final refusal, or no time left.

    Waits grow exponentially with jitter, and are never shorter than the server's Retry-After. A request that waits
    holds no place; its time starts when it is first sent, not while it queues.
    """

    def __init__(
        self,
        source: Attempting,
        *,
        concurrency: int,
        timeout: float,
        deadline: float,
        tally: Tally | None = None,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self.name = source.name
        self.tally = tally or Tally()
        self._source = source
        self._places = asyncio.Semaphore(concurrency)
        self._timeout, self._deadline, self._first_wait = timeout, deadline, first_wait
        self._reached = False

    async def answer(self, request: Request) -> Response:
        first_sent, tries, outcomes = inf, 0, Counter[FailureKind | None]()
        while True:
            async with self._places:
                first_sent = min(first_sent, monotonic())
                left = first_sent + self._deadline - monotonic()
                if tries and left <= 0:
                    break
                tries += 1
                attempt = await self._source.attempt(request, max(0.001, min(self._timeout, left)))
            self._give_up_on_a_wrong_address(attempt, first_sent)
            outcomes[attempt.kind] += 1
            wait = self._wait(tries, attempt.retry_after)
            if outcomes[attempt.kind] >= attempt.tries or monotonic() + wait >= first_sent + self._deadline:
                break
            self.tally.retries += 1
            await asyncio.sleep(wait)
        return _counted(attempt.response, tries, monotonic() - first_sent)

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
