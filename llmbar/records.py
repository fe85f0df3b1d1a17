"""The vocabulary: pair, request, response, verdict, judgment.

What touches a file is a frozen pydantic record, what lives only in memory is a dataclass. All verdicts and margins
are in the *output* frame: ONE means that output 1 is preferred, wherever it was shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from llmbar.reading import Reader


class Record(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Pair(Record):
    """An instruction, two outputs and the gold label."""

    id: str
    """Unique within its pair set."""
    dataset: str
    """The pair set's name, such as `llmbar`."""
    group: str = ""
    """What the subset belongs to, such as `Adversarial`: its subsets' mean is reported as a row of its own."""
    subset: str
    """Such as `Neighbor`."""
    instruction: str
    output_1: str
    output_2: str
    gold: Literal[1, 2]
    """Which output is objectively better."""
    why: str = ""
    """What decides, where the pair set says so."""
    provenance: dict[str, str] = Field(default_factory=dict)
    """Whatever else the source tells: domain, corpus, authors of the outputs."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that a judge or a score depends on."""
        return digest([self.instruction, self.output_1, self.output_2, self.gold])


class Order(StrEnum):
    """Which output is shown first."""

    ORIGINAL = "original"
    SWAPPED = "swapped"

    @property
    def sign(self) -> Literal[1, -1]:
        """+1 where the first-shown output is output 1: position frame × sign = output frame."""
        return 1 if self is Order.ORIGINAL else -1

    @property
    def other(self) -> Order:
        return Order.SWAPPED if self is Order.ORIGINAL else Order.ORIGINAL


class Verdict(StrEnum):
    """What one asking came to. Tie, unreadable and failed are three different things."""

    ONE = "1"
    TWO = "2"
    TIE = "tie"
    UNREADABLE = "unreadable"
    """The judge answered, and the answer names no preference."""
    FAILED = "failed"
    """No answer arrived: never scored, asked again by the next run."""

    @classmethod
    def of(cls, margin: float) -> Verdict:
        """The sign decides, and zero is a tie."""
        return cls.ONE if margin > 0 else cls.TWO if margin < 0 else cls.TIE


class Cause(StrEnum):
    """Why a reply could not be read."""

    EMPTY = "empty"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    AMBIGUOUS = "ambiguous"
    NO_MATCH = "no match"
    OUT_OF_BOUNDS = "out of bounds"
    CONTENT_FILTER = "content filter"


class FailureKind(StrEnum):
    """Why no reply arrived."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    RATE_LIMIT = "rate limit"
    SERVER = "server error"
    PROTOCOL = "not the protocol"
    CONTEXT_LENGTH = "context too long"
    BAD_REQUEST = "bad request"
    UNSUPPORTED = "unsupported"


class Sampling(Record):
    """How a step is sampled; what is None is not sent. Greedy unless a strategy says otherwise."""

    temperature: float | None = Field(default=0.0, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None
    """Token id → bias, as the endpoint wants it."""
    reasoning_effort: str | None = None

    @cached_property
    def canonical(self) -> str:
        return json.dumps(self.model_dump(exclude_none=True), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the reply is held to: one of the labels, or the log-probabilities of all of them."""

    kind: Literal["choice", "logprobs"]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What a request is about. Never sent and never part of its key: local judges answer from it."""

    pair: Pair
    strategy: str
    step: str
    order: Order | None
    """None where the step is not asked per order."""
    output: Literal[1, 2] | None
    """Which output is asked about, where the step is asked per output."""
    labels: tuple[str, str]
    """What the first-shown and the second-shown output are called in the prompt."""
    reader: Reader


@dataclass(frozen=True)
class Request:
    """Messages, sampling, constraint and sample index; two equal ones have the same key."""

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    constraint: Constraint | None = None
    sample: int = 0
    """Which of several independent replies to the same messages."""
    about: Question | None = field(default=None, compare=False, repr=False)

    @cached_property
    def key(self) -> str:
        """Content hash (SHA-256, hex) of everything that is asked, the judge excepted."""
        constraint = self.constraint and [self.constraint.kind, self.constraint.labels]
        turns = [(m.role, m.content) for m in self.messages]
        return digest([turns, self.sampling.canonical, constraint, self.sample])


class Usage(Record):
    """Tokens, as the endpoint counted them."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompt that a prefix cache served."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Those of the completion that were spent on reasoning."""


class Failure(Record):
    """Why no reply arrived, after all retries."""

    kind: FailureKind
    message: str


class Response(Record):
    """What a judge sent back, or why nothing came."""

    text: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    """As the endpoint says it: `stop`, `length`, `content_filter`, …"""
    label_logprobs: dict[str, float] | None = None
    """Label → natural log-probability, where the request was constrained to `logprobs`."""
    reward: float | None = None
    usage: Usage = Usage()
    latency: float = 0.0
    """Seconds from sending to the last byte; 0 for judges on this machine."""
    model: str = ""
    """The model that answered, as the endpoint names it."""
    adaptations: tuple[str, ...] = ()
    """How what was sent differs from the request, since the endpoint would not take it as it is: plain sentences."""
    failure: Failure | None = None


class Reply(Record):
    """One response as a judgment keeps it: which place of the strategy asked, and what came."""

    step: str
    order: Order | None = None
    output: Literal[1, 2] | None = None
    item: str | None = None
    sample: int = 0
    judge: str = ""
    """The panel member that answered, where it is not the run's judge."""
    key: str
    """The request's content hash."""
    text: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    label_logprobs: dict[str, float] | None = None
    reward: float | None = None
    usage: Usage = Usage()
    failure: Failure | None = None


class Judgment(Record):
    """The verdicts of one (pair, judge, strategy, repeat): original order, swapped order, and final."""

    dataset: str
    group: str = ""
    subset: str
    pair: str
    """The pair's id."""
    judge: str
    strategy: str
    repeat: int = 0
    gold: Literal[1, 2]
    original: Verdict
    swapped: Verdict
    final: Verdict
    original_margin: float | None = None
    swapped_margin: float | None = None
    final_margin: float | None = None
    original_cause: Cause | FailureKind | None = None
    """Why the original order is unreadable or failed."""
    swapped_cause: Cause | FailureKind | None = None
    replies: tuple[Reply, ...] = ()


def digest(value: object) -> str:
    """SHA-256 (hex) of a value's canonical JSON."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")).hexdigest()
