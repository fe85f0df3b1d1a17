r"""How a reply becomes a value, and a value a margin.

A step of a strategy declares one reader. A reader takes the reply apart by its own rule and returns a `Reading`; it
never guesses: a reply that does not say what was asked for is unreadable, with a cause. Reasoning (`<think>…</think>`)
is cut off first, and of several statements the *last* counts, since a judge that thinks aloud changes its mind.

>>> reader = ChoiceReader(kind="choice", pattern="{label} is better", reply="Therefore, {label} is better.")
>>> labels = ("Output (a)", "Output (b)")
>>> reader.read(Response(text="Some say Output (a) is better. No: Output (b) is better."), labels).margin
-1.0

Every reader can also speak (`express`), so that judges without a model answer any strategy, and a strategy is proved at
load: its own example reply must read back as what it says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log1p
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llmbar.records import Cause, Constraint, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

Labels = tuple[str, str]
"""What the first-shown and the second-shown output are called in the prompt."""

Options = list[tuple[str, float]]
"""What a reply may name: marks, each with its margin."""

NUMBER = r"[-+]?\d+(?:\.\d+)?"
DECORATION = r"""[\s*_#>"'`]*"""


class Answer(Protocol):
    """What a reader looks at: a `Response` that just arrived, or a `Reply` that a run kept."""

    @property
    def text(self) -> str: ...
    @property
    def finish_reason(self) -> str: ...
    @property
    def label_logprobs(self) -> dict[str, float] | None: ...
    @property
    def reward(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply said.

    `margin` is the signed preference for the *first-shown* output, None where the step states none; `cause` is set
    where the reply is unreadable; `several` where it names more than one answer: one counts, the fact is kept.
    """

    value: str | float | tuple[str, ...] | tuple[float, float] | None = None
    margin: float | None = None
    cause: Cause | None = None
    several: bool = False


class ReaderModel(BaseModel):
    """What all readers share: strict keys, and the constraint that a request carries for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def constraint(self, labels: Labels) -> Constraint | None:
        """What the reply is held to; None for free text."""
        return None


class TextReader(ReaderModel):
    """The whole reply, for a later step to see."""

    kind: Literal["text"]

    def read(self, answer: Answer, labels: Labels) -> Reading:
        text, cause = said(answer)
        return Reading(value=text) if text and not cause else Reading(cause=cause or unread(answer, text))

    def express(self, value: float, labels: Labels) -> Response:
        return Response(text="Nothing in particular.", finish_reason="stop")


class ItemsReader(ReaderModel):
    """A list, one item a line; bullets and numbers in front are dropped."""

    kind: Literal["items"]
    pattern: str = r"(?m)^\s*(?:\d+[.)]|[-*•])\s*(.+?)\s*$"
    """A regular expression whose one group is an item."""
    most: int = Field(default=10, ge=1)
    """How many items are kept at most."""

    _pattern = field_validator("pattern")(lambda value: _checked(value, groups=1))

    def read(self, answer: Answer, labels: Labels) -> Reading:
        text, cause = said(answer)
        items = tuple(re.findall(self.pattern, text))[: self.most]
        return Reading(value=items) if items and not cause else Reading(cause=cause or unread(answer, text))

    def express(self, value: float, labels: Labels) -> Response:
        return Response(text="1. Does the output do what is asked?\n2. Is it correct?", finish_reason="stop")


class ChoiceReader(ReaderModel):
    """One of the two labels, or a tie where the strategy allows one: margin ±1 or 0.

    By default a label at the start of a line is an answer, markdown emphasis aside.
    """

    kind: Literal["choice"]
    pattern: str = r"(?m)^" + DECORATION + "{label}"
    """A regular expression in which `{label}` stands for a label."""
    labels: Labels | None = None
    """What to look for, where it is not what the outputs are called in the prompt."""
    tie: str | None = None
    """What stands in the place of the label when neither is better."""
    take: Literal["last", "first"] = "last"
    reply: str = "{label}"
    """What a well-formed reply says, with `{label}`: read back at load to prove the pattern."""
    constrain: bool = False
    """Hold the reply to exactly one of the labels, where the server can (vLLM's structured choice)."""

    _pattern = field_validator("pattern")(lambda value: _checked(value, holds="{label}"))
    _reply = field_validator("reply")(lambda value: _holding(value, "{label}"))

    def constraint(self, labels: Labels) -> Constraint | None:
        return Constraint("choice", tuple(label for label, _ in self._options(labels))) if self.constrain else None

    def _options(self, labels: Labels) -> Options:
        first, second = self.labels or labels
        return [(first, 1.0), (second, -1.0), *([(self.tie, 0.0)] if self.tie is not None else [])]

    def read(self, answer: Answer, labels: Labels) -> Reading:
        return read_mark(self.pattern, self._options(labels), self.take, answer)

    def express(self, value: float, labels: Labels) -> Response:
        margin = nearest(value, [margin for _, margin in self._options(labels)], zero_is_positive=self.tie is None)
        label = next(label for label, level in self._options(labels) if level == margin)
        return Response(text=self.reply.replace("{label}", label), finish_reason="stop")


class ScaleReader(ReaderModel):
    """One of several graded marks such as `A>>B`: the margin is its level, positive for the first-shown output."""

    kind: Literal["scale"]
    levels: dict[str, float] = Field(min_length=2)
    pattern: str = r"\[\[{level}\]\]"
    """A regular expression in which `{level}` stands for a mark."""
    take: Literal["last", "first"] = "last"
    reply: str = "[[{level}]]"

    _pattern = field_validator("pattern")(lambda value: _checked(value, holds="{level}"))
    _reply = field_validator("reply")(lambda value: _holding(value, "{level}"))

    def read(self, answer: Answer, labels: Labels) -> Reading:
        return read_mark(self.pattern.replace("{level}", "{label}"), list(self.levels.items()), self.take, answer)

    def express(self, value: float, labels: Labels) -> Response:
        level = nearest(value, self.levels.values())
        mark = next(mark for mark, own in self.levels.items() if own == level)
        return Response(text=self.reply.replace("{level}", mark), finish_reason="stop")


class ScoreReader(ReaderModel):
    """A number for one output, or, with `{label}` in the pattern, one for each: then the margin is their difference."""

    kind: Literal["score"]
    pattern: str = rf"(?m)^\W*({NUMBER})(?:\s*/\s*\d+)?\W*$"
    """A regular expression whose one group is the number; by default a line that holds nothing else."""
    labels: Labels | None = None
    min: float = 0
    max: float = 10
    take: Literal["last", "first"] = "last"
    reply: str = "{score}"
    """What a well-formed reply says: `{score}` and, where the pattern holds it, `{label}`; one line per output."""

    _pattern = field_validator("pattern")(lambda value: _checked(value, groups=1))

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min >= self.max:
            raise ValueError("min must lie below max")
        return self

    @property
    def both(self) -> bool:
        """Whether one reply scores both outputs."""
        return "{label}" in self.pattern

    def read(self, answer: Answer, labels: Labels) -> Reading:
        text, cause = said(answer)
        if cause:
            return Reading(cause=cause)
        names: tuple[str, ...] = (self.labels or labels) if self.both else ("",)
        found = [self._score(text, name) for name in names]
        scores = [score for score, _ in found if score is not None]
        if len(scores) < len(names):
            return Reading(cause=unread(answer, text))
        if not all(self.min <= score <= self.max for score in scores):
            return Reading(cause=Cause.OUT_OF_BOUNDS)
        several = any(many for _, many in found)
        if self.both:
            return Reading(value=(scores[0], scores[1]), margin=scores[0] - scores[1], several=several)
        return Reading(value=scores[0], several=several)

    def _score(self, text: str, label: str) -> tuple[float | None, bool]:
        numbers = _regex(self.pattern, label).findall(text)
        if not numbers:
            return None, False
        return float(numbers[-1 if self.take == "last" else 0]), len({*map(float, numbers)}) > 1

    def express(self, value: float, labels: Labels) -> Response:
        middle, half = (self.min + self.max) / 2, (self.max - self.min) / 2
        scores = [middle + max(-1.0, min(1.0, sign * value)) * half for sign in ((1, -1) if self.both else (1,))]
        lines = (
            self.reply.replace("{label}", label).replace("{score}", f"{score:g}")
            for label, score in zip(self.labels or labels, scores, strict=False)
        )
        return Response(text="\n".join(lines), finish_reason="stop")


class LogprobReader(ReaderModel):
    """The log-probabilities of the two labels: the margin is the logit of the first-shown.

    Averaged over both orders as logits, an additive position effect cancels exactly.
    """

    kind: Literal["logprob"]
    labels: Labels | None = None
    min_mass: float = Field(default=0.5, ge=0, le=1)
    """Unreadable where both labels together hold less probability than this."""

    def constraint(self, labels: Labels) -> Constraint | None:
        return Constraint("logprobs", self.labels or labels)

    def read(self, answer: Answer, labels: Labels) -> Reading:
        first, second = self.labels or labels
        found = answer.label_logprobs or {}
        if first not in found or second not in found:
            return Reading(cause=unread(answer, answer.text))
        if exp(found[first]) + exp(found[second]) < self.min_mass:
            return Reading(cause=Cause.NO_MATCH)
        margin = found[first] - found[second]
        return Reading(value=margin, margin=margin)

    def express(self, value: float, labels: Labels) -> Response:
        first, second = self.labels or labels
        return Response(
            text=first if value >= 0 else second,
            finish_reason="stop",
            label_logprobs={first: -log1p(exp(-value)), second: -log1p(exp(value))},
        )


class RewardReader(ReaderModel):
    """A reward model's scalar for one output."""

    kind: Literal["reward"]

    def read(self, answer: Answer, labels: Labels) -> Reading:
        return Reading(cause=unread(answer, answer.text)) if answer.reward is None else Reading(value=answer.reward)

    def express(self, value: float, labels: Labels) -> Response:
        return Response(reward=value, finish_reason="stop")


Reader = Annotated[
    TextReader | ItemsReader | ChoiceReader | ScaleReader | ScoreReader | LogprobReader | RewardReader,
    Field(discriminator="kind"),
]


_THOUGHT = re.compile(r"<(think|thinking|reasoning)>(?:(?!<\1>).)*?</\1>", re.DOTALL)
_UNCLOSED = re.compile(r"<(think|thinking|reasoning)>")
_REFUSAL = re.compile(
    r"\b(?:i\s*(?:'m|am)\s+(?:sorry|unable|not able)|i\s+(?:cannot|can't|can not|won't|must decline)|as an ai\b)",
    re.IGNORECASE,
)
_TRUNCATED = frozenset({"length", "max_tokens", "model_length"})
_FILTERED = frozenset({"content_filter", "content management policy", "safety"})


def said(answer: Answer) -> tuple[str, Cause | None]:
    """What stands behind the reasoning, and TRUNCATED where the reasoning never ended.

    >>> said(Response(text="<think>(a)? (b)?</think>Output (b)"))
    ('Output (b)', None)
    """
    text = answer.text
    if "<" in text:
        text = _THOUGHT.sub("", text)
        if _UNCLOSED.search(text):
            return "", Cause.TRUNCATED
        for tag in ("</think>", "</thinking>", "</reasoning>"):
            text = text.rpartition(tag)[2]
    return text.strip(), None


def unread(answer: Answer, text: str) -> Cause:
    """Why a reply without a match has none."""
    if answer.finish_reason in _FILTERED:
        return Cause.CONTENT_FILTER
    if answer.finish_reason in _TRUNCATED:
        return Cause.TRUNCATED
    if not text:
        return Cause.EMPTY
    return Cause.REFUSAL if _REFUSAL.search(text[:300]) else Cause.NO_MATCH


def read_mark(pattern: str, options: Options, take: Literal["last", "first"], answer: Answer) -> Reading:
    """Find which of `options` the reply names; of several the last or the first counts.

    Two marks at the very same place are ambiguous, unless one is the longer: "1" never hides in "10".
    """
    text, cause = said(answer)
    if cause:
        return Reading(cause=cause)
    places = [
        (match.start(), match.end(), margin)
        for mark, margin in options
        for match in _regex(pattern, mark).finditer(text)
    ]
    if not places:
        return Reading(cause=unread(answer, text))
    at = (max if take == "last" else min)(start for start, _, _ in places)
    end = max(end for start, end, _ in places if start == at)
    margins = {margin for start, stop, margin in places if (start, stop) == (at, end)}
    if len(margins) > 1:
        return Reading(cause=Cause.AMBIGUOUS, several=True)
    margin = margins.pop()
    return Reading(value=margin, margin=margin, several=len({margin for _, _, margin in places}) > 1)


def nearest(value: float, levels: Iterable[float], *, zero_is_positive: bool = False) -> float:
    """The level nearest to a preference, of its sign where there is one."""
    known = list(levels)
    if value == 0 and zero_is_positive:
        value = 1.0
    same = [level for level in known if level * value > 0] or known
    return min(same, key=lambda level: abs(level - value))


@lru_cache(maxsize=1024)
def _regex(pattern: str, label: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("{label}", re.escape(label)))


def _checked(pattern: str, *, groups: int | None = None, holds: str | None = None) -> str:
    if holds:
        _holding(pattern, holds)
    try:
        count = _regex(pattern.replace("{level}", "{label}"), "x").groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups is not None and count != groups:
        raise ValueError(f"must have exactly {groups} group, has {count}")
    return pattern


def _holding(text: str, placeholder: str) -> str:
    if placeholder not in text:
        raise ValueError(f"must hold {placeholder}")
    return text
