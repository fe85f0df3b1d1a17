"""How much may be asked at once, and how fast: what a server bears is found out, what its owner allows is told.

A `Limit` finds out how many requests one address bears (additive increase, multiplicative decrease). `Places` spreads
requests over several addresses, the least loaded first. A `Bucket` keeps to so many requests or tokens a minute.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from llmbar.records import FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmbar.records import Response

BURDEN = {FailureKind.RATE_LIMIT: 4, FailureKind.TIMEOUT: 4, FailureKind.SERVER: 2}
"""What says that a server is asked too much, and how loudly: a quarter of the outcomes refused for their rate, or timed
out, or half of them server errors, is too much. Below that, asking again costs less than asking less."""
SHORTEST_WINDOW = 8
"""Outcomes that a judgment on the limit rests on at least."""
SLOWER = 1.5
"""So many times its usual latency, a server is not asked more."""
STEPS = 16
"""Steps of growth from nothing to the ceiling."""
LONGEST_REST = 30.0
"""Seconds for which an address that cannot be reached is left alone, where there is another."""


@dataclass(slots=True)
class Limit:
    """How many requests one address bears at once.

    It starts at the ceiling. Outcomes are judged in windows of as many requests as may be in flight: where too many of
    them were refused, failed or timed out (`BURDEN`), the limit is halved, and what was sent before that no longer
    counts, since it met the old limit. Else, where latency is no more than `SLOWER` times its running mean, the limit
    grows by a sixteenth of the ceiling. A share, not a single refusal, decides: halving at each of 5 % random refusals
    would bring any limit down to five.
    """

    ceiling: int
    current: int = 0
    in_flight: int = 0
    _sent: int = 0
    _counts_from: int = 0
    _seen: int = 0
    _good: int = 0
    _burden: int = 0
    _seconds: float = 0.0
    _usual: float = 0.0

    def __post_init__(self) -> None:
        self.current = self.current or self.ceiling

    @property
    def load(self) -> float:
        return self.in_flight / self.current

    def enter(self) -> int:
        """A request is sent: its number."""
        self.in_flight += 1
        self._sent += 1
        return self._sent

    def leave(self, number: int, response: Response | None) -> None:
        """Request `number` is over; its response counts, where it says anything about load."""
        self.in_flight -= 1
        kind = response.failure.kind if response and response.failure else None
        if response is None or number <= self._counts_from or kind is FailureKind.CONNECTION:
            return
        self._seen += 1
        if kind in BURDEN:
            self._burden += BURDEN[kind]
        else:
            self._good += 1
            self._seconds += response.latency
        if self._seen >= max(self.current, SHORTEST_WINDOW):
            self._judge()

    def _judge(self) -> None:
        if self._burden > self._seen:
            self.current = max(1, self.current // 2)
            self._counts_from = self._sent
        elif self._latency_holds(self._seconds / self._good):
            self.current = min(self.ceiling, self.current + max(1, self.ceiling // STEPS))
        self._seen = self._good = self._burden = 0
        self._seconds = 0.0

    def _latency_holds(self, seconds: float) -> bool:
        self._usual = self._usual or seconds
        holds = seconds <= SLOWER * self._usual
        self._usual += (seconds - self._usual) / 8
        return holds


Source = TypeVar("Source")


@dataclass(slots=True)
class Lane(Generic[Source]):
    """One address: whom to ask there, and how much it bears."""

    source: Source
    limit: Limit
    rests_until: float = 0.0
    rest: float = 1.0


@dataclass(frozen=True, slots=True)
class Place(Generic[Source]):
    """Leave to send one request."""

    lane: Lane[Source]
    number: int

    @property
    def source(self) -> Source:
        return self.lane.source


class Places(Generic[Source]):
    """Leave to send requests, at most `ceiling` at once over all addresses; first come, first served.

    Of several addresses the least loaded is asked. One that cannot be reached is left alone for a while, unless none
    can.
    """

    def __init__(self, sources: Iterable[Source], ceiling: int) -> None:
        self.lanes = [Lane(source, Limit(ceiling)) for source in sources]
        self.ceiling = ceiling
        self._waiting: deque[asyncio.Future[Place[Source]]] = deque()

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return min(self.ceiling, sum(lane.limit.current for lane in self.lanes))

    @property
    def in_flight(self) -> int:
        return sum(lane.limit.in_flight for lane in self.lanes)

    async def take(self) -> Place[Source]:
        """Wait for a place; it must be given back."""
        if not self._waiting and (lane := self._free()):
            return Place(lane, lane.limit.enter())
        waiter: asyncio.Future[Place[Source]] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give_back(waiter.result(), None)
            raise

    def give_back(self, place: Place[Source], response: Response | None) -> None:
        """The request is over with this response, or was never sent."""
        place.lane.limit.leave(place.number, response)
        if response is not None and len(self.lanes) > 1:
            _rest(place.lane, response)
        while self._waiting and (lane := self._free()):
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(Place(lane, lane.limit.enter()))

    def _free(self) -> Lane[Source] | None:
        """The least loaded address with room."""
        if len(self.lanes) == 1:
            only = self.lanes[0]
            return only if only.limit.in_flight < only.limit.current else None
        if self.in_flight >= self.ceiling:
            return None
        now = monotonic()
        awake = [lane for lane in self.lanes if lane.rests_until <= now] or self.lanes
        free = [lane for lane in awake if lane.limit.in_flight < lane.limit.current]
        return min(free, key=lambda lane: lane.limit.load, default=None)


def _rest(lane: Lane[Source], response: Response) -> None:
    if not response.failure or response.failure.kind is not FailureKind.CONNECTION:
        lane.rest = 1.0
    elif lane.rests_until <= monotonic():
        lane.rests_until = monotonic() + lane.rest
        lane.rest = min(2 * lane.rest, LONGEST_REST)


@dataclass(slots=True)
class Bucket:
    """So many units a minute, evenly; after a pause at most a second's worth at once (and never less than one unit).

    What is taken beyond what is there is owed: whoever takes it waits until it would be there, in turn.

    >>> bucket = Bucket(per_minute=120, clock=lambda: 0.0)  # two a second
    >>> [bucket.take(1) for _ in range(4)]
    [0.0, 0.0, 0.5, 1.0]
    """

    per_minute: float
    clock: Callable[[], float] = monotonic
    _there: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._there, self._at = self._most, self.clock()

    @property
    def _most(self) -> float:
        return max(1.0, self.per_minute / 60)

    def take(self, units: float) -> float:
        """Take so many units; the seconds to wait before they may be used."""
        now = self.clock()
        self._there = min(self._most, self._there + (now - self._at) * self.per_minute / 60) - units
        self._at = now
        return max(0.0, -self._there * 60 / self.per_minute)

    def give_back(self, units: float) -> None:
        """So many units too many were taken; a negative number takes more."""
        self._there += units
