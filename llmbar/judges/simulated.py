"""A judge with planted faults: what the statistics find can be compared with what is there.

`simulated/accuracy=0.8,position=0.5,length=0.3`, or a preset such as `simulated/hasty`, or any name with the settings
as `-M key=value` (which win over the name's). Shown two outputs, it answers by the model of `stats.regression`,

    logit P(first-shown wins) = position + 2 · logit(accuracy) · g + length · ln(L_first / L_second)

with g = +½ where the first-shown output is the gold one, −½ otherwise, and L in characters: `accuracy` is that of
equally long outputs without a position effect. Asked about one output at a time, it perceives a utility

    u_i = ½ · (± logit(accuracy) + length · ln(L_i / L_other)) + standard Gumbel noise

and scores it: the difference of two Gumbel variables is logistic (McFadden 1974), so the better score falls on the gold
output with the same probability, position aside. Draws are hashes of seed, name, pair and prompt: the same request has
the same answer in every run, and both orders, both outputs and different prompts are independent.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from hashlib import blake2b
from math import atan, inf, log, pi
from statistics import NormalDist
from struct import Struct
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, ValidationError, model_validator

from llmbar.errors import JudgeError, suggestion
from llmbar.judges.local import asked, favoured, refuse_unknown
from llmbar.records import Failure, FailureKind, Record, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmbar.judges import JudgeOptions
    from llmbar.records import Pair, Request
    from llmbar.store import Store

PRESETS = {
    "careful": "accuracy=0.9",
    "hasty": "accuracy=0.75,position=0.6",
    "wordy": "accuracy=0.7,length=0.8",
}
"""Name → settings, as one would type them."""

UNREADABLE = "Both have their merits."
_WORDS = Struct("<4Q")
_NORMAL = NormalDist()


class Settings(Record):
    """What is planted."""

    accuracy: float = Field(default=0.8, ge=0, le=1)
    position: float = Field(default=0.0, allow_inf_nan=False)
    """Logits towards the first-shown output."""
    length: float = Field(default=0.0, allow_inf_nan=False)
    """Logits per unit of ln(L_first / L_second)."""
    noise: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Standard deviation of further Gaussian noise on the logit: it draws accuracy and biases towards a coin's."""
    unreadable: float = Field(default=0.0, ge=0, le=1)
    """Share of answers that name no preference."""
    failed: float = Field(default=0.0, ge=0, le=1)
    """Share of answers that never arrive."""
    seed: int = 0

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.unreadable + self.failed > 1:
            raise ValueError("unreadable and failed add up to more than 1")
        return self


class SimulatedJudge:
    """Answers as its settings say."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self._signal = logit(settings.accuracy)

    async def answer(self, request: Request) -> Response:
        question, favours = asked(request), favoured(request)
        if favours is None:
            return question.reader.express(0, question.labels)
        fate, *uniforms = self._draw(request)
        if fate < self.settings.failed:
            return Response(failure=Failure(kind=FailureKind.SERVER, message="a planted failure"))
        if fate < self.settings.failed + self.settings.unreadable:
            return Response(text=UNREADABLE, finish_reason="stop")
        lean = self._preference if question.output is None else self._utility
        return question.reader.express(squash(lean(question.pair, favours, *uniforms)), question.labels)

    def _preference(self, pair: Pair, first: Literal[1, 2], u: float, v: float) -> float:
        """Logit of the first-shown output plus standard logistic noise: positive with just that probability."""
        return self.settings.position + self._evidence(pair, first) + logit(u) + self._noise(v)

    def _utility(self, pair: Pair, output: Literal[1, 2], u: float, v: float) -> float:
        """Perceived utility of one output; noise is scaled so that the difference of two has its deviation."""
        return self._evidence(pair, output) / 2 - log(-log(u)) + self._noise(v) / 2**0.5

    def _evidence(self, pair: Pair, output: Literal[1, 2]) -> float:
        """What speaks for `output` against the other, in logits."""
        gold = self._signal if pair.gold == output else -self._signal
        if not self.settings.length:
            return gold
        ratio = log(max(1, len(pair.output_1)) / max(1, len(pair.output_2)))
        return gold + self.settings.length * (ratio if output == 1 else -ratio)

    def _noise(self, v: float) -> float:
        return self.settings.noise * _NORMAL.inv_cdf(v) if self.settings.noise else 0.0

    def _draw(self, request: Request) -> tuple[float, float, float]:
        """Three uniform numbers in (0, 1), the same for the same request."""
        drawn = blake2b(f"{self.settings.seed} {self.name} {request.sample} ".encode(), digest_size=32)
        drawn.update(asked(request).pair.digest.encode())
        for message in request.messages:
            drawn.update(message.content.encode("utf-8", "surrogatepass"))
        a, b, c, _ = _WORDS.unpack(drawn.digest())
        return unit(a), unit(b), unit(c)


@asynccontextmanager
async def open_(name: str, model: str, options: JudgeOptions, _store: Store | None) -> AsyncIterator[SimulatedJudge]:
    """Open `simulated/<model>`; its answers cost nothing and are not stored."""
    refuse_unknown(name, options, Settings.model_fields)
    yield SimulatedJudge(name, settings({"seed": str(options.seed)} | named(model, options.args) | options.args))


def named(model: str, args: dict[str, str]) -> dict[str, str]:
    """The settings that a name stands for: a preset's, its own (`accuracy=0.8,length=0.3`), or none beside `args`."""
    text = PRESETS.get(model, model)
    if "=" in text:
        return {key.strip(): value.strip() for key, _, value in (part.partition("=") for part in text.split(","))}
    if args:
        return {}
    raise JudgeError(
        f"no simulated judge is called {model!r}",
        field="model",
        remedy=f"{suggestion(model, PRESETS)}; or say what to plant: simulated/accuracy=0.8,position=0.5",
    )


def settings(typed: dict[str, str]) -> Settings:
    """Settings as typed, checked; a JudgeError names the first that does not fit."""
    for key in typed:
        if key not in Settings.model_fields:
            raise JudgeError(f"no setting is called {key!r}", field=key, remedy=suggestion(key, Settings.model_fields))
    try:
        return Settings.model_validate(typed)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else None
        got = f", not {typed[field]!r}" if field else ""
        raise JudgeError(first["msg"] + got, field=field) from None


def logit(p: float) -> float:
    """Natural log-odds; ±∞ at 1 and 0."""
    return inf if p == 1 else -inf if p == 0 else log(p / (1 - p))


def squash(value: float) -> float:
    """Any number into [-1, 1], keeping rank; slowly, so that scores in print stay apart."""
    return atan(value) * 2 / pi


def unit(word: int) -> float:
    """A 64-bit word as a number in the open interval (0, 1)."""
    return ((word >> 12) + 0.5) / 2**52
