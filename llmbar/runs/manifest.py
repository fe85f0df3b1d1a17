"""What a run asks, and what it is: the manifest in its folder."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import Field

from llmbar import __version__
from llmbar.records import Record, Sampling, digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmbar.judges import JudgeOptions
    from llmbar.records import Pair
    from llmbar.strategy import Strategy


class JudgeAsked(Record):
    """A judge, and what its answers depend on beyond its name."""

    name: str
    addresses: tuple[str, ...] = ()
    """Where it was reached, credentials left out."""
    args: dict[str, str] = Field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of(cls, name: str, options: JudgeOptions) -> JudgeAsked:
        return cls(name=name, addresses=tuple(map(_public, options.base_urls)), args=options.args, seed=options.seed)


class StrategyAsked(Record):
    """A strategy, with every template that it was made of."""

    name: str
    digest: str
    orders: Literal["separate", "averaged", "free"]
    sampling: dict[str, Sampling]
    """By step, as sent."""
    sources: dict[str, str]

    @classmethod
    def of(cls, strategy: Strategy) -> StrategyAsked:
        return cls(
            name=strategy.name,
            digest=strategy.digest,
            orders=strategy.file.orders,
            sampling={step.name: step.file.sampling for step in strategy.steps},
            sources=dict(strategy.sources),
        )


class PairsAsked(Record):
    """A pair set, by content."""

    dataset: str
    pairs: int
    digest: str

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> tuple[PairsAsked, ...]:
        """One entry per data set in `pairs`, in their order."""
        by_dataset: dict[str, list[str]] = {}
        for pair in pairs:
            by_dataset.setdefault(pair.dataset, []).append(f"{pair.id} {pair.digest}")
        return tuple(cls(dataset=name, pairs=len(ids), digest=digest(ids)) for name, ids in by_dataset.items())


class Asked(Record):
    """Everything that a run's judgments depend on; two runs that ask the same have the same id."""

    judges: tuple[JudgeAsked, ...]
    panel: tuple[JudgeAsked, ...] = ()
    strategies: tuple[StrategyAsked, ...]
    datasets: tuple[PairsAsked, ...]
    repeats: int = 1
    rescored_from: str = ""
    """The id of the run whose replies were read again, if this is not the first reading."""

    @cached_property
    def id(self) -> str:
        return digest(self.model_dump(mode="json"))

    @property
    def slug(self) -> str:
        """A folder's name: who judged what, and the beginning of the id."""
        judge = self.judges[0].name if len(self.judges) == 1 else f"{len(self.judges)} judges"
        words = [*(each.dataset for each in self.datasets), judge]
        return re.sub(r"[^A-Za-z0-9.]+", "-", " ".join(words)).strip("-.")[:80] + f"-{self.id[:8]}"

    @property
    def judgments(self) -> int:
        """How many judgments it comes to."""
        return len(self.judges) * len(self.strategies) * self.repeats * sum(each.pairs for each in self.datasets)


class Counts(Record):
    """What a run took, all its sittings together."""

    asked: int = 0
    from_store: int = 0
    failed: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    def plus(self, other: Counts) -> Counts:
        mine, theirs = self.model_dump(), other.model_dump()
        return Counts(**{name: value + theirs[name] for name, value in mine.items()})


class Manifest(Record):
    """The file `manifest.json`."""

    format: Literal[1] = 1
    id: str
    state: Literal["running", "incomplete", "complete"]
    """Incomplete: some judgments failed; the same command asks for them again."""
    created: str
    """UTC, ISO 8601."""
    finished: str = ""
    llmbar: str = __version__
    python: str = platform.python_version()
    versions: dict[str, str] = Field(default_factory=dict)
    asked: Asked
    counts: Counts = Counts()

    @classmethod
    def begin(cls, asked: Asked, now: str) -> Manifest:
        return cls(id=asked.id, state="running", created=now, versions=_versions(), asked=asked)


def _versions() -> dict[str, str]:
    return {
        name: version(name) for name in ("jinja2", "pydantic", "aiohttp", "numpy", "pandas", "scipy", "statsmodels")
    }


def _public(address: str) -> str:
    """An address without user, password, query or fragment.

    >>> _public("https://user:secret@host:8000/v1?key=secret")
    'https://host:8000/v1'
    """
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def differences(one: Asked, other: Asked) -> Mapping[str, tuple[object, object]]:
    """Which data sets two runs do not share, by name: (digest there, digest here), empty where they agree."""
    ours, theirs = ({each.dataset: each.digest for each in asked.datasets} for asked in (one, other))
    names = sorted(ours.keys() | theirs.keys())
    return {name: (ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)}


def utc_now() -> str:
    """ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
