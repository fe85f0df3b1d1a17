"""What one pair's strategy has said so far: read, turned into the order at hand, and weighed.

Replies speak of the output *shown* first or second; margins here are in the output frame (positive for output 1). A
transcript is made while asking, or from the replies that a run has kept: the same rules decide both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from math import fsum
from typing import TYPE_CHECKING, Literal

from llmbar.reading import as_word, without_reasoning
from llmbar.records import Cause, FailureKind, Order, Reply, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llmbar.reading import Labels, Reading
    from llmbar.strategy import Step, Strategy

ORDERS = (Order.ORIGINAL, Order.SWAPPED)


@dataclass(frozen=True, slots=True)
class Said:
    """One reply and its reading."""

    reply: Reply
    reading: Reading

    def counts_in(self, order: Order) -> bool:
        """Whether that order's verdict rests on it: it was asked in this order, or for both at once."""
        return self.reply.order in (None, order)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A reply as a template sees it: what it says behind any reasoning, in the labels of the order at hand."""

    text: str
    prefers: Literal["first", "second", "tie"] | None
    item: str | None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class BothOrders:
    """What a step asked per order said, as seen from one order."""

    here: object
    there: object
    for_first: Spoken | None
    """Of all its replies, one that prefers the output shown first here."""
    for_second: Spoken | None


@dataclass(frozen=True, slots=True)
class BothOutputs:
    """What a step asked per output said, in the order at hand."""

    first: object
    second: object


@dataclass(slots=True)
class Transcript:
    """All that has been said, by step, in the order of asking."""

    strategy: Strategy
    steps: dict[str, list[Said]] = field(default_factory=dict)

    @classmethod
    def of(cls, strategy: Strategy, replies: Iterable[Reply]) -> Transcript:
        """Read kept replies with this strategy's readers; steps that it does not have are left out."""
        transcript, steps = cls(strategy), {step.name: step for step in strategy.steps}
        for reply in replies:
            if reply.step in steps:
                transcript.add(steps[reply.step], reply)
        return transcript

    def add(self, step: Step, reply: Reply) -> None:
        self.steps.setdefault(step.name, []).append(self._heard(step, reply))

    def _heard(self, step: Step, reply: Reply) -> Said:
        return Said(reply, step.file.read.read(reply, self.strategy.file.labels))

    def replies(self) -> tuple[Reply, ...]:
        return tuple(said.reply for said in self._all())

    # -- what may be asked, and what counts ---------------------------------------------------------------------------

    @property
    def failed(self) -> bool:
        """Whether a reply never arrived: then no further step is asked."""
        return any(said.reply.failure for said in self._all())

    def failure(self, order: Order) -> FailureKind | None:
        """Why this order has no verdict: a reply that it rests on never arrived, or the asking ended with another."""
        last = self.strategy.steps[-1].name
        resting = (said.reply for said in self._all() if said.counts_in(order) or said.reply.step != last)
        return next((reply.failure.kind for reply in resting if reply.failure), None)

    def applies(self, step: Step) -> bool:
        """Whether the step's condition holds: the two orders of an earlier step name different outputs."""
        earlier = step.file.if_orders_disagree_on
        if earlier is None:
            return True
        named = [each for each in self.strategy.steps if each.name == earlier]
        margins = [self.margin(named, order) or 0.0 for order in ORDERS]
        return {Verdict.of(margin) for margin in margins} == {Verdict.ONE, Verdict.TWO}

    def deciding(self) -> Sequence[Step]:
        """The declared steps, or the last one that was asked; a step whose condition fails has no say."""
        asked = [step for step in self.strategy.deciding if step.name in self.steps and self.applies(step)]
        return asked if self.strategy.file.decided_by is not None else asked[-1:]

    def margin(self, steps: Sequence[Step], order: Order) -> float | None:
        """Mean margin of these steps in this order; None where none of it could be read."""
        margins = [margin for step in steps for margin in self._margins(step, order)]
        return fsum(margins) / len(margins) if margins else None

    def _margins(self, step: Step, order: Order) -> Iterable[float]:
        told = self.steps.get(step.name, [])
        if step.per == "output":
            return score_differences(told)
        readings = (said.reading.margin for said in told if said.reply.order is order)
        return [margin * order.sign for margin in readings if margin is not None]

    def cause(self, order: Order) -> Cause:
        """Why this order has no readable verdict: what kept a deciding step, else any step, from being read."""
        deciding = [said for step in self.deciding() for said in self.steps[step.name]]
        told = (said for said in [*deciding, *self._all()] if said.counts_in(order))
        return next((said.reading.cause for said in told if said.reading.cause), Cause.NO_MATCH)

    def _all(self) -> Iterable[Said]:
        return (said for told in self.steps.values() for said in told)

    # -- what a later step sees ---------------------------------------------------------------------------------------

    def seen_by(self, step: Step, order: Order | None, output: int | None) -> Iterator[tuple[str, object]]:
        """Name and view of every earlier step, in the frame of the order or output at hand."""
        for earlier in self.strategy.steps:
            if earlier is step:
                return
            yield earlier.name, self._view(earlier, order or Order.ORIGINAL, output)

    def items(self, name: str, order: Order | None, output: int | None) -> tuple[str, ...]:
        """What the step of that name listed, for the order or output at hand; nothing where it could not be read."""
        for said in self.steps.get(name, ()):
            listed = said.reading.value
            if said.reply.order in {None, order} and said.reply.output in {None, output} and isinstance(listed, tuple):
                return tuple(item for item in listed if isinstance(item, str))
        return ()

    def spoken(self, step: Step, replies: Iterable[Reply], order: Order | None) -> list[Spoken]:
        """Replies that are not in the transcript yet, as a template sees them in `order`."""
        labels = self.strategy.file.labels
        return [spoken(self._heard(step, reply), order or Order.ORIGINAL, labels) for reply in replies]

    def _view(self, step: Step, order: Order, output: int | None) -> object:
        told = self.steps.get(step.name, [])
        if step.per == "order":
            here = self._seen(step, (said for said in told if said.reply.order is order), order)
            there = self._seen(step, (said for said in told if said.reply.order is order.other), order)
            both = [each for each in [*here, *there] if isinstance(each, Spoken)]
            return BothOrders(only(step, here), only(step, there), advocate(both, "first"), advocate(both, "second"))
        if step.per == "output" and output is None:
            sides = (1, 2) if order is Order.ORIGINAL else (2, 1)
            first, second = (self._view(step, order, side) for side in sides)
            return BothOutputs(first, second)
        return only(step, self._seen(step, (said for said in told if said.reply.output in {None, output}), order))

    def _seen(self, step: Step, told: Iterable[Said], order: Order) -> list[object]:
        """Replies as seen in `order`; those read as items are their items."""
        if step.file.read.kind == "items":
            return [said.reading.value or () for said in told]
        return [spoken(said, order, self.strategy.file.labels) for said in told]


def only(step: Step, seen: list[object]) -> object:
    """A single reply stands for itself; items and samples make a list."""
    return seen if step.file.several else next(iter(seen), None)


def advocate(told: Iterable[Spoken], side: Literal["first", "second"]) -> Spoken | None:
    """The first of these replies that prefers the output shown there."""
    return next((each for each in told if each.prefers == side), None)


def score_differences(told: Iterable[Said]) -> Iterator[float]:
    """Score of output 1 minus score of output 2, for every item and sample of which both could be read.

    An item that cannot be read for one output is skipped for both.
    """
    scores: dict[tuple[str | None, int], dict[int | None, float]] = {}
    for said in told:
        if isinstance(said.reading.value, float):
            key = said.reply.item, said.reply.sample
            scores.setdefault(key, {})[said.reply.output] = said.reading.value
    return (both[1] - both[2] for both in scores.values() if len(both) == 2)


def spoken(said: Said, order: Order, labels: Labels) -> Spoken:
    """What was said, its labels exchanged where it was said in the other order; about one output it prefers none."""
    reply, margin = said.reply, said.reading.margin
    crossed = reply.order is order.other
    text, _ = without_reasoning(reply)
    text = exchange(text, labels) if crossed else text
    if margin is None or reply.output is not None:
        return Spoken(text, None, reply.item)
    return Spoken(text, prefers(-margin if crossed else margin), reply.item)


def prefers(margin: float) -> Literal["first", "second", "tie"]:
    return "first" if margin > 0 else "second" if margin < 0 else "tie"


def exchange(text: str, labels: Labels) -> str:
    """Call each output by the other's label.

    >>> exchange("Output (a) beats Output (b).", ("Output (a)", "Output (b)"))
    'Output (b) beats Output (a).'
    """
    other = dict(zip(labels, reversed(labels), strict=True))
    return _either(labels).sub(lambda match: other[match[0]], text)


@lru_cache(maxsize=64)
def _either(labels: Labels) -> re.Pattern[str]:
    longest_first = sorted(labels, key=len, reverse=True)
    return re.compile("|".join(map(as_word, longest_first)))
