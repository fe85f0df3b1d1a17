"""A judge that remembers: what was asked before is answered from the store, and what is being asked is asked once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from llmbar.judges import Judge
    from llmbar.records import Request, Response
    from llmbar.store import Store


@dataclass(slots=True)
class Tally:
    """What a judge was asked and what it cost so far; a progress bar may read it at any time."""

    asked: int = 0
    """Requests that went to the judge, retries not counted."""
    from_store: int = 0
    """Requests answered from the store."""
    shared: int = 0
    """Requests answered by an identical one that was in flight."""
    failed: int = 0
    """Requests that were asked and got no reply."""
    retries: int = 0
    """Attempts beyond the first."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Those of the completion that were spent on reasoning."""
    cached_tokens: int = 0
    """Those of the prompt that a prefix cache served."""
    limit: int = 0
    """Requests that may be in flight now; falls where a server is overloaded."""
    in_flight: int = 0

    def count(self, response: Response) -> None:
        """Add a response that was asked for."""
        self.asked += 1
        self.failed += response.failure is not None
        self.prompt_tokens += response.usage.prompt_tokens
        self.completion_tokens += response.usage.completion_tokens
        self.reasoning_tokens += response.usage.reasoning_tokens
        self.cached_tokens += response.usage.cached_tokens


class Stored:
    """Wraps a judge. `identity` names whoever answers: two judges with the same one share their responses.

    Identical requests in flight share one call. A response is on disk before it is returned; a failure is returned and
    forgotten, so that the next run asks again. Without a store only requests in flight are shared.
    """

    adaptations: tuple[str, ...] = ()
    """How what was sent differs from what was asked, over all responses, stored ones among them: plain sentences."""
    facts: Mapping[str, str | int | float] = MappingProxyType({})
    """What is known of whoever answers, such as versions, where a backend finds out."""
    look: Callable[[], Awaitable[Mapping[str, str | int | float]]] | None = None
    """Finds the facts out again, where some of them change as a run goes on."""

    def __init__(self, judge: Judge, store: Store | None, identity: str, tally: Tally | None = None) -> None:
        self.name = judge.name
        self.identity = identity
        self.tally = tally or Tally()
        self._judge = judge
        self._store = store
        self._in_flight: dict[str, asyncio.Future[Response]] = {}

    async def answer(self, request: Request) -> Response:
        while asked := self._in_flight.get(request.key):
            await asyncio.wait([asked])
            if not asked.cancelled():
                self.tally.shared += 1
                return asked.result()
        if stored := self._store and self._store.get(self.identity, request.key):
            self.tally.from_store += 1
            self._note(stored)
            return stored
        return await self._ask_for_all(request)

    async def _ask_for_all(self, request: Request) -> Response:
        """Ask, and let whoever comes with the same request meanwhile have the response too.

        Where this call is cancelled or raises, the next in line asks for itself.
        """
        for_all = self._in_flight[request.key] = asyncio.get_running_loop().create_future()
        try:
            response = await self._ask(request)
            for_all.set_result(response)
            return response
        finally:
            del self._in_flight[request.key]
            for_all.cancel()

    async def _ask(self, request: Request) -> Response:
        response = await self._judge.answer(request)
        if self._store and response.failure is None:
            await self._store.put(self.identity, request, response)
        self.tally.count(response)
        self._note(response)
        return response

    def _note(self, response: Response) -> None:
        if response.adaptations:
            self.adaptations = tuple(dict.fromkeys((*self.adaptations, *response.adaptations)))
