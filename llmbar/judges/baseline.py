"""Judges that need no model: what a table must beat before it means anything.

On LLMBar's adversarial subsets "pick the shorter" is right in 78 % of the pairs, so every table carries
these. Each prefers one output or none; where nothing decides, a reader that knows no tie lets the first-shown win.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from llmbar.errors import JudgeError, suggestion
from llmbar.judges.local import asked, favoured, refuse_unknown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from llmbar.judges import JudgeOptions
    from llmbar.records import Pair, Request, Response
    from llmbar.store import Store

BASELINES = {
    "first": "the output that is shown first",
    "second": "the output that is shown second",
    "random": "a coin, thrown anew for each order",
    "longer": "the output with more characters",
    "shorter": "the output with fewer characters",
    "lexical": "the output whose words are nearer to the instruction's (TF-IDF, cosine)",
}


@dataclass(frozen=True, slots=True)
class Asking:
    """What a baseline looks at."""

    pair: Pair
    first: Literal[1, 2] | None
    """The output shown first; None where outputs are asked about one at a time."""
    sample: int
    seed: int


@dataclass(frozen=True, slots=True)
class BaselineJudge:
    """Answers by a rule that needs no understanding."""

    name: str
    prefers: Callable[[Asking], float]
    """Signed preference for output 1."""
    seed: int = 0

    async def answer(self, request: Request) -> Response:
        question, favours = asked(request), favoured(request)
        if favours is None:
            return question.reader.express(0, question.labels)
        first = favours if question.output is None else None
        value = self.prefers(Asking(question.pair, first, request.sample, self.seed))
        return question.reader.express(value if favours == 1 else -value, question.labels)


@asynccontextmanager
async def open_(name: str, model: str, options: JudgeOptions, _store: Store | None) -> AsyncIterator[BaselineJudge]:
    """Open `baseline/<model>`; its answers cost nothing and are not stored."""
    if model not in BASELINES:
        raise JudgeError(f"no baseline is called {model!r}", field="model", remedy=suggestion(model, BASELINES))
    refuse_unknown(name, options)
    yield BaselineJudge(name, _PREFERENCES[model], options.seed)


def first(asking: Asking) -> float:
    return {1: 1.0, 2: -1.0, None: 0.0}[asking.first]


def second(asking: Asking) -> float:
    return -first(asking)


def random(asking: Asking) -> float:
    seen = f"{asking.seed} {asking.pair.digest} {asking.first} {asking.sample}"
    return 1.0 if sha256(seen.encode()).digest()[0] & 1 else -1.0


def longer(asking: Asking) -> float:
    return sign(len(asking.pair.output_1) - len(asking.pair.output_2))


def shorter(asking: Asking) -> float:
    return -longer(asking)


def lexical(asking: Asking) -> float:
    pair = asking.pair
    one, two = similarities(pair.instruction, pair.output_1, pair.output_2)
    return sign(one - two)


_PREFERENCES: dict[str, Callable[[Asking], float]] = {
    "first": first,
    "second": second,
    "random": random,
    "longer": longer,
    "shorter": shorter,
    "lexical": lexical,
}


@lru_cache(maxsize=4096)
def similarities(instruction: str, output_1: str, output_2: str) -> tuple[float, float]:
    """Cosine similarity of each output to the instruction, each in [0, 1].

    Terms are weighted by TF-IDF over the pair's own three texts, so that the value depends on the pair alone and what
    both outputs repeat of the instruction weighs little. Texts without a word are similar to nothing.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # a second, which only lexical costs

    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\b\w+\b")  # noqa: S106 (no secret)
    try:
        terms = vectorizer.fit_transform([instruction, output_1, output_2])
    except ValueError:  # not one word in all three
        return 0.0, 0.0
    cosines = (terms[1:] @ terms[0].T).toarray()
    return float(cosines[0, 0]), float(cosines[1, 0])


def sign(value: float) -> float:
    return float((value > 0) - (value < 0))
