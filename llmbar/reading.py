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
from math import exp, inf, isfinite, log, log1p
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from llmbar.records import Cause, Constraint, Response

if TYPE_CHECKING:
    from collections.abc import Iterator


def _told_apart(labels: tuple[str, str]) -> tuple[str, str]:
    if not all(label.strip() for label in labels):
        raise ValueError("a label cannot be empty")
    if labels[0] == labels[1]:
        raise ValueError("two labels cannot be the same")
    return labels


Labels = Annotated[tuple[str, str], AfterValidator(_told_apart)]
"""What the first-shown and the second-shown output are called in the prompt."""

Options = list[tuple[str, float]]
"""What a reply may name: marks, each with its margin."""

NUMBER = r"[-+]?\d+(?:\.\d+)?"
_MARKDOWN = r"""*_#>"'`"""
DECORATION = rf"[ \t{_MARKDOWN}]*"
"""Markdown and quotes before an answer. It never reaches over a line end: a pattern that did would take quadratic time
on a reply of many empty lines."""


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
    where the reply is unreadable; `several` where it names more than one answer, of which one counts.
    """

    value: str | float | tuple[str, ...] | tuple[float, float] | None = None
    margin: float | None = None
    cause: Cause | None = None
    several: bool = False


class ReaderModel(BaseModel):
    """What all readers share: strict keys, finite numbers, and the constraint that a request carries for them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def constraint(self, labels: Labels) -> Constraint | None:
        """What the reply is held to; None for free text."""
        return None


class TextReader(ReaderModel):
    """The whole reply, for a later step to see."""

    kind: Literal["text"]

    def read(self, answer: Answer, labels: Labels) -> Reading:
        text, cause = without_reasoning(answer)
        return Reading(value=text) if text else Reading(cause=cause or unread(answer, text))

    def express(self, value: float, labels: Labels) -> Response:
        return Response(text="Nothing in particular.", finish_reason="stop")


class ItemsReader(ReaderModel):
    """A list, one item a line; bullets and numbers in front are dropped, and an item said twice counts once."""

    kind: Literal["items"]
    pattern: str = r"(?m)^[ \t]*(?:\d+[.)](?!\d)[ \t]*|[-*•][ \t]+)(\S.*)$"
    """A regular expression whose one group is an item."""
    most: int = Field(default=10, ge=1)
    """How many items are kept at most."""
    reply: str = "1. Does the output do what is asked?\n2. Is it correct?"
    """What a well-formed reply says: read back at load to prove the pattern."""

    _pattern = field_validator("pattern")(lambda value: _checked(value, groups=1))

    def read(self, answer: Answer, labels: Labels) -> Reading:
        text, cause = without_reasoning(answer)
        found = dict.fromkeys(item.strip() for item in _regex(self.pattern).findall(text))
        items = tuple(item for item in found if item)[: self.most]
        return Reading(value=items) if items else Reading(cause=cause or unread(answer, text))

    def express(self, value: float, labels: Labels) -> Response:
        return Response(text=self.reply, finish_reason="stop")


class ChoiceReader(ReaderModel):
    """One of the two labels, or a tie where the strategy allows one: margin ±1 or 0.

    By default a label at the start of a line is an answer, markdown emphasis aside.
    """

    kind: Literal["choice"]
    pattern: str = r"(?m)^" + DECORATION + "{label}"
    """A regular expression in which `{label}` stands for a label, as a word of its own: "A" is not found in "And"."""
    labels: Labels | None = None
    """What to look for, where it is not what the outputs are called in the prompt."""
    tie: str | None = Field(default=None, min_length=1)
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
        label = nearest(value, self._options(labels))
        return Response(text=self.reply.replace("{label}", label), finish_reason="stop")


class ScaleReader(ReaderModel):
    """One of several graded marks such as `A>>B`: the margin is its level, positive for the first-shown output."""

    kind: Literal["scale"]
    levels: dict[Annotated[str, Field(min_length=1)], float] = Field(min_length=2)
    pattern: str = r"\[\[{level}\]\]"
    """A regular expression in which `{level}` stands for a mark."""
    take: Literal["last", "first"] = "last"
    reply: str = "[[{level}]]"

    _pattern = field_validator("pattern")(lambda value: _checked(value, holds="{level}"))
    _reply = field_validator("reply")(lambda value: _holding(value, "{level}"))

    def read(self, answer: Answer, labels: Labels) -> Reading:
        return read_mark(self.pattern.replace("{level}", "{label}"), list(self.levels.items()), self.take, answer)

    def express(self, value: float, labels: Labels) -> Response:
        mark = nearest(value, list(self.levels.items()))
        return Response(text=self.reply.replace("{level}", mark), finish_reason="stop")


class ScoreReader(ReaderModel):
    """A number for one output, or, with `{label}` in the pattern, one for each: then the margin is their difference."""

    kind: Literal["score"]
    pattern: str = rf"(?m)^{DECORATION}({NUMBER})(?:[ \t]*/[ \t]*{{max}})?[ \t\r.{_MARKDOWN}]*$"
    """A regular expression whose one group is the number; by default that of a line such as `7`, or `7/10` where 10 is
    `{max}`, with nothing else on it."""
    labels: Labels | None = None
    min: float = 0
    max: float = 10
    take: Literal["last", "first"] = "last"
    reply: str = "{score}"
    """What a well-formed reply says: `{score}` and, where the pattern holds it, `{label}`; one line per output."""

    _pattern = field_validator("pattern")(lambda value: _checked(value, groups=1))
    _reply = field_validator("reply")(lambda value: _holding(value, "{score}"))

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
        text, cause = without_reasoning(answer)
        told = [self._told(text, label) for label in ((self.labels or labels) if self.both else ("",))]
        scores = [score for score, _ in told if score is not None]
        several = any(more for _, more in told)
        if len(scores) < len(told):
            return Reading(cause=cause or unread(answer, text))
        if not all(self.min <= score <= self.max for score in scores):
            return Reading(cause=Cause.OUT_OF_BOUNDS)
        if self.both:
            return Reading(value=(scores[0], scores[1]), margin=scores[0] - scores[1], several=several)
        return Reading(value=scores[0], several=several)

    def _told(self, text: str, label: str) -> tuple[float | None, bool]:
        """The score that counts, and whether there were others."""
        found = _regex(self.pattern.replace("{max}", f"{self.max:g}"), label).findall(text)
        if not found:
            return None, False
        return number(found[-1 if self.take == "last" else 0]), len({*map(number, {*found})}) > 1

    def express(self, value: float, labels: Labels) -> Response:
        middle, half = (self.min + self.max) / 2, (self.max - self.min) / 2
        scores = [middle + max(-1.0, min(1.0, sign * value)) * half for sign in ((1, -1) if self.both else (1,))]
        lines = (
            self.reply.replace("{label}", label).replace("{score}", plain(score))
            for label, score in zip(self.labels or labels, scores, strict=False)
        )
        return Response(text="\n".join(lines), finish_reason="stop")


class LogprobReader(ReaderModel):
    """The log-probabilities of the two labels: the margin is the logit of the first-shown.

    Averaged over both orders as logits, an additive position effect cancels exactly. A label that is not
    among those reported counts with the most that it can hold, so that no margin is overstated or infinite.
    """

    kind: Literal["logprob"]
    labels: Labels | None = None
    min_mass: float = Field(default=0.5, ge=0, le=1)
    """Unreadable where both labels together hold less probability than this."""

    def constraint(self, labels: Labels) -> Constraint | None:
        return Constraint("logprobs", self.labels or labels)

    def read(self, answer: Answer, labels: Labels) -> Reading:
        known = answer.label_logprobs or {}
        first, second = (min(known.get(label, -inf), 0.0) for label in self.labels or labels)
        mass = exp(first) + exp(second)
        if not (mass > 0 and mass >= self.min_mass):
            return Reading(cause=Cause.NO_MATCH if known else unread(answer, answer.text))
        margin = (first if first > -inf else at_most(second)) - (second if second > -inf else at_most(first))
        return Reading(value=margin, margin=margin)

    def express(self, value: float, labels: Labels) -> Response:
        first, second = self.labels or labels
        return Response(
            text=first if value >= 0 else second,
            finish_reason="stop",
            label_logprobs={first: -softplus(-value), second: -softplus(value)},
        )


class RewardReader(ReaderModel):
    """A reward model's scalar for one output."""

    kind: Literal["reward"]

    def read(self, answer: Answer, labels: Labels) -> Reading:
        if answer.reward is None:
            return Reading(cause=unread(answer, answer.text))
        return Reading(value=answer.reward) if isfinite(answer.reward) else Reading(cause=Cause.OUT_OF_BOUNDS)

    def express(self, value: float, labels: Labels) -> Response:
        return Response(reward=value, finish_reason="stop")


Reader = Annotated[
    TextReader | ItemsReader | ChoiceReader | ScaleReader | ScoreReader | LogprobReader | RewardReader,
    Field(discriminator="kind"),
]


_TAG = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>|\[(/?)THINK\]")
_REFUSAL = re.compile(
    r"\b(?:i\s*(?:['’]m|am)\s+(?:sorry|unable|not able)|i\s+(?:can ?not|can['’]t|won['’]t|must decline)|as an ai\b)",
    re.IGNORECASE,
)
_TRUNCATED = frozenset({"length", "max_tokens", "model_length"})
_FILTERED = frozenset({"content_filter", "content management policy", "safety"})


def without_reasoning(answer: Answer) -> tuple[str, Cause | None]:
    """What is said outside of reasoning; nothing, and TRUNCATED, where the reasoning never ended.

    An opening tag inside a thought is part of it; a closing tag without an opening one ends a thought that began in the
    prompt.

    >>> without_reasoning(Response(text="<think>(a)? (b)?</think>Output (b)"))
    ('Output (b)', None)
    """
    if "<" not in answer.text and "[" not in answer.text:
        return answer.text.strip(), None  # most replies hold no tag, and searching for one costs most of reading them
    said, at, thinking = list[str](), 0, False
    for tag in _TAG.finditer(answer.text):
        closing = bool(tag[1] or tag[2])
        if closing and not thinking:
            said.clear()
        elif not thinking:
            said.append(answer.text[at : tag.start()])
        thinking, at = not closing, tag.end()
    return ("", Cause.TRUNCATED) if thinking else ("".join([*said, answer.text[at:]]).strip(), None)


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

    Where one and the same statement names two of them ("Better: (a) or (b)"), it is ambiguous.
    """
    text, cause = without_reasoning(answer)
    statements = list(_statements(pattern, options, text))
    if not statements:
        return Reading(cause=cause or unread(answer, text))
    at = (max if take == "last" else min)(start for start, _ in statements)
    margins = {margin for start, margin in statements if start == at}
    if len(margins) > 1:
        return Reading(cause=Cause.AMBIGUOUS, several=True)
    margin = margins.pop()
    return Reading(value=margin, margin=margin, several=len({margin for _, margin in statements}) > 1)


def _statements(pattern: str, options: Options, text: str) -> Iterator[tuple[int, float]]:
    """Start and margin of every match of every mark, but for a mark inside another: "A" in "A=B" says nothing."""
    found = [
        (match.start("mark"), match.end("mark"), match.start(), margin)
        for mark, margin in options
        for match in _marked(pattern, mark).finditer(text)
    ]
    reach = -1
    for _, end, start, margin in sorted(found, key=lambda each: (each[0], -each[1])):
        if end > reach:
            reach = end
            yield start, margin


def nearest(value: float, options: Options) -> str:
    """The mark that says best how strong a preference from -1 to 1 is; never one of the other side.

    >>> nearest(0.2, [("A>>B", 2), ("A>B", 1), ("A=B", 0), ("B>A", -1), ("B>>A", -2)])
    'A>B'
    """
    levels = [level for _, level in options]
    low, high = min(levels), max(levels)
    middle = 0.0 if low < 0 < high else (low + high) / 2
    wanted = middle + value * max(high - middle, middle - low)
    side = [option for option in options if (option[1] - middle) * value > 0] or options
    return min(side, key=lambda option: abs(option[1] - wanted))[0]


def number(text: str) -> float | None:
    """A decimal number; None where it is none."""
    return float(text) if re.fullmatch(NUMBER, text.strip()) else None


def plain(score: float) -> str:
    """A number without an exponent, to six decimals.

    >>> plain(7.0), plain(0.00001)
    ('7', '0.00001')
    """
    return f"{score:.6f}".rstrip("0").rstrip(".")


def softplus(x: float) -> float:
    """ln(1 + eˣ), for any x."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


def at_most(other: float) -> float:
    """The most that a label's log-probability can be that was not reported beside one of `other`."""
    return min(other, log(max(1 - exp(other), 1e-12)))


def as_word(label: str) -> str:
    """A regular expression for a label as a word of its own: not "A" in "And", nor "1" in "10"."""
    before = r"(?<![^\W_])" if label[:1].isalnum() else ""
    after = r"(?![^\W_])" if label[-1:].isalnum() else ""
    return before + re.escape(label) + after


@lru_cache(maxsize=1024)
def _regex(pattern: str, label: str = "") -> re.Pattern[str]:
    return re.compile(pattern.replace("{label}", as_word(label)))


@lru_cache(maxsize=1024)
def _marked(pattern: str, mark: str) -> re.Pattern[str]:
    """The pattern with `mark` in its place, found again as the group `mark`."""
    return re.compile(pattern.replace("{label}", f"(?P<mark>{as_word(mark)})", 1).replace("{label}", "(?P=mark)"))


def _checked(pattern: str, *, groups: int | None = None, holds: str | None = None) -> str:
    try:
        if holds:
            _marked(_holding(pattern, holds).replace(holds, "{label}"), "x")
        elif (count := _regex(pattern, "x").groups) != groups:
            raise ValueError(f"must have exactly {groups} group, has {count}")
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


def _holding(text: str, placeholder: str) -> str:
    if placeholder not in text:
        raise ValueError(f"must hold {placeholder}")
    return text
