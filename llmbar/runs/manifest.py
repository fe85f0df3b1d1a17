"""What a run asks, and what it is: the manifest in its folder."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import Field

from llmbar import __version__
from llmbar.errors import UsageError
from llmbar.judges import parts_of
from llmbar.judges.presets import PRESETS, find_preset
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
        addresses = options.base_urls or address_in_environment(name)
        return cls(name=name, addresses=tuple(map(public, addresses)), args=options.args, seed=options.seed)


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
        by_dataset: dict[str, list[tuple[str, ...]]] = {}
        for pair in pairs:
            by_dataset.setdefault(pair.dataset, []).append((pair.id, pair.group, pair.subset, pair.digest))
        return tuple(cls(dataset=name, pairs=len(own), digest=digest(own)) for name, own in by_dataset.items())


class Asked(Record):
    """Everything that a run's judgments depend on; two runs that ask the same have the same id."""

    judges: tuple[JudgeAsked, ...]
    panel: tuple[JudgeAsked, ...] = ()
    strategies: tuple[StrategyAsked, ...]
    datasets: tuple[PairsAsked, ...]
    repeats: int = 1
    rescored_from: str = ""
    """The id of the run whose replies were read again, if this is not the first reading."""

    @property
    def id(self) -> str:
        """SHA-256 of all of it. Not kept: a copy with other fields must have another id."""
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
    adaptations: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By judge: what its endpoint would not take as it was asked, and what was sent instead."""
    facts: dict[str, dict[str, str | int | float]] = Field(default_factory=dict)
    """By judge: what its server told of itself, such as its version and its cache's hit rate."""

    @classmethod
    def begin(cls, asked: Asked, now: str) -> Manifest:
        return cls(id=asked.id, state="running", created=now, versions=_versions(), asked=asked)


def _versions() -> dict[str, str]:
    return {
        name: version(name) for name in ("jinja2", "pydantic", "aiohttp", "numpy", "pandas", "scipy", "statsmodels")
    }


def address_in_environment(name: str) -> tuple[str, ...]:
    """Where a judge is reached because a variable such as `OPENAI_BASE_URL` says so."""
    kind, model = parts_of(name)
    if kind not in {*PRESETS, "openai-api"}:
        return ()
    preset, _ = find_preset(name, model)
    return tuple(filter(None, [os.environ.get(preset.base_url_variable)]))


def public(address: str) -> str:
    """An address without user, password, query or fragment.

    Raises:
        UsageError: it is none.

    >>> public("https://user:secret@host:8000/v1/?key=secret")
    'https://host:8000/v1'
    """
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        parts = None
    if parts is None or not parts.hostname:  # the text is not shown: it may hold a password
        raise UsageError("is not an HTTP address", field="base-url", remedy="write http://host:port/v1")
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")


def differences(one: Asked, other: Asked) -> Mapping[str, str]:
    """By which data sets two runs differ, and how; empty where they judged the same."""
    ours, theirs = ({each.dataset: each for each in asked.datasets} for asked in (one, other))
    names = dict.fromkeys([*ours, *theirs])
    return {name: _difference(ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)}


def _difference(ours: PairsAsked | None, theirs: PairsAsked | None) -> str:
    if ours is None or theirs is None:
        return "only one has it"
    if ours.pairs != theirs.pairs:
        return f"{ours.pairs:,} pairs against {theirs.pairs:,}"
    return "other texts or another order"


def utc_now() -> str:
    """ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
