"""What a run came to: its verdicts as a table, its numbers, and its replies read anew."""

from __future__ import annotations

import asyncio
import json
import math
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from llmbar import __version__
from llmbar.engine import Job, decide, judge_all
from llmbar.errors import RunError, UsageError
from llmbar.judges import JudgeOptions, open_judge
from llmbar.pairs import cluster
from llmbar.records import Verdict
from llmbar.runs.folder import Key, RunFolder, at_work, replacing
from llmbar.runs.manifest import Asked, StrategyAsked, differences, utc_now
from llmbar.stats import Policy, bias_regression, summarize
from llmbar.stats.summary import AVERAGE
from llmbar.strategy import load_strategy
from llmbar.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from llmbar.records import Judgment, Pair
    from llmbar.strategy import Strategy

T = TypeVar("T")

BASELINES = ("baseline/random", "baseline/first", "baseline/longer", "baseline/shorter")
"""The judges that every table is measured against."""


@dataclass(frozen=True)
class Numbers:
    """What a run's judgments add up to, as kept in its `summary.json`."""

    statistics: pd.DataFrame
    """`stats.summarize` of its judges."""
    baselines: pd.DataFrame
    """`stats.summarize` of the trivial baselines on the same pairs."""
    biases: pd.DataFrame
    """`stats.bias_regression` of its judges, per pair set (`dataset`)."""

    @classmethod
    def of(cls, frame: pd.DataFrame, pairs: Sequence[Pair], policy: Policy | None = None) -> Numbers:
        policy = policy or Policy()
        trivial = summarize(baseline_frame(pairs), policy=policy)
        sets = frame.groupby("dataset", sort=False)
        biases = pd.concat([bias_regression(own).assign(dataset=name) for name, own in sets], ignore_index=True)
        return cls(summarize(frame, policy=policy), trivial, biases)

    @classmethod
    def kept(cls, summary: Mapping[str, Any]) -> Numbers:
        return cls(*(_table(summary[part.name]) for part in fields(cls)))

    def plain(self) -> dict[str, object]:
        return {"llmbar": __version__, **{part.name: _plain(getattr(self, part.name)) for part in fields(self)}}


@dataclass(frozen=True)
class Run:
    """A run that was made: its judgments and its numbers."""

    folder: RunFolder

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run's folder, finished or not."""
        return cls(RunFolder.open(path))

    @classmethod
    def of(cls, run: Run | str | Path) -> Run:
        """A run, or the one in a folder."""
        return run if isinstance(run, Run) else cls.open(run)

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def asked(self) -> Asked:
        return self.folder.manifest.asked

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask."""
        return self.folder.complete

    @property
    def failed(self) -> int:
        """How many judgments are failed; the same command asks for them again."""
        return len(self.judgments("failed"))

    def headline(self, policy: Policy | None = None) -> pd.Series[float]:
        """Accuracy per judge, strategy and data set: the mean over subsets, or that of the only one."""
        table = self.summary(policy)
        subsets = table[table["kind"] == "subset"].groupby("dataset")["subset"].nunique()
        alone = table["dataset"].map(subsets) == 1
        rows = table[alone | ((table["kind"] == "macro") & (table["subset"] == AVERAGE))]
        return rows.set_index(["judge", "strategy", "dataset"])["accuracy"]

    def judgments(self, status: str | None = None) -> pd.DataFrame:
        """One row per judgment; with `status` only those whose final verdict it is, such as `unreadable`."""
        if status is not None and status not in set(Verdict):
            raise UsageError(f"{status!r} is no verdict", field="status", remedy=f"one of {', '.join(Verdict)}")
        self.check_sealed()
        frame = pd.read_parquet(self.folder.table)
        return frame if status is None else frame[frame["final"] == status]

    def check_sealed(self) -> None:
        """Raise a RunError where the run was never finished."""
        if not self.folder.sealed:
            raise RunError("was never finished", file=self.path, remedy="give its command again to resume it")

    @cached_property
    def pairs(self) -> list[Pair]:
        return list(self.folder.pairs())

    def frame(self) -> pd.DataFrame:
        """The verdict frame that all statistics start from (`stats.COLUMNS`)."""
        return verdict_frame(self.judgments(), self.pairs, orders(self.asked))

    def summary(self, policy: Policy | None = None) -> pd.DataFrame:
        """Accuracy, agreement, bias, each with n and interval, per judge, strategy and subset (`stats.summarize`)."""
        return self.numbers(policy).statistics

    def numbers(self, policy: Policy | None = None) -> Numbers:
        """As they were added up by this version of llmbar, or now, where it was another or the policy is one's own."""
        self.check_sealed()
        if policy is None:
            summary = json.loads(self.folder.summary.read_text("utf-8"))
            if summary.get("llmbar") == __version__:
                return Numbers.kept(summary)
        return Numbers.of(self.frame(), self.pairs, policy)


def seal(folder: RunFolder, place: Callable[[Key], int], now: str) -> None:
    """Put a run's judgments in the order of `place`, as lines and as a table, and add up its numbers.

    The manifest says so last: a run whose sealing was interrupted is sealed again by the same command.
    """
    rows = pd.DataFrame(folder.seal(place))
    with replacing(folder.table) as file:
        rows.to_parquet(file, index=False)
    asked = folder.manifest.asked
    pairs = list(folder.pairs())
    folder.keep_summary(Numbers.of(verdict_frame(rows, pairs, orders(asked)), pairs).plain())
    whole = len(rows) == asked.judgments and not (rows["final"] == Verdict.FAILED).any()
    state = "complete" if whole else "incomplete"
    folder.note(state=state, finished=now)


def orders(asked: Asked) -> dict[str, str]:
    """What the order means to each strategy of a run: `separate`, `averaged` or `free`."""
    return {strategy.name: strategy.orders for strategy in asked.strategies}


def verdict_frame(judgments: pd.DataFrame, pairs: Iterable[Pair], orders: Mapping[str, str]) -> pd.DataFrame:
    """Judgments with what their pairs add: the cluster (normalised instruction) and the outputs' lengths."""
    facts = pd.DataFrame(
        [(pair.dataset, pair.id, cluster(pair.instruction), len(pair.output_1), len(pair.output_2)) for pair in pairs],
        columns=["dataset", "pair", "cluster", "length_1", "length_2"],
    )
    frame = judgments.merge(facts, on=["dataset", "pair"], how="left", validate="many_to_one")
    return frame.assign(orders=frame["strategy"].map(orders))


def apart(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns, run in a thread of its own: it can be had inside a notebook's event loop, too."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def baseline_frame(pairs: Sequence[Pair]) -> pd.DataFrame:
    """The verdict frame of the trivial baselines on these pairs."""
    return apart(_baseline_frame(pairs))


async def _baseline_frame(pairs: Sequence[Pair]) -> pd.DataFrame:
    strategy, kept = load_strategy("vanilla"), list[Any]()
    for name in BASELINES:
        async with open_judge(name, JudgeOptions()) as judge:
            await judge_all((Job(pair, strategy) for pair in pairs), [judge], kept.append)
    rows = pd.DataFrame([judgment.model_dump(exclude={"replies"}, mode="json") for judgment in kept])
    return verdict_frame(rows, pairs, {"vanilla": "separate"})


def joined(runs: Sequence[Run]) -> pd.DataFrame:
    """The verdict frames of several runs on the same pairs, as one.

    Raises:
        RunError: the runs cannot be compared.
    """
    check_comparable(runs)
    return pd.concat([run.frame() for run in runs], ignore_index=True)


def check_comparable(runs: Sequence[Run], dataset: str | None = None) -> None:
    """Refuse runs that cannot stand in one table; with `dataset` only that pair set must be the same.

    Raises:
        RunError: the runs judged different pairs (says which), or two of them hold the same judge and strategy.
    """
    holding: dict[tuple[str, str], Run] = {}
    for run in runs:
        found = differences(runs[0].asked, run.asked)
        if told := "; ".join(f"{name}: {how}" for name, how in found.items() if dataset in {None, name}):
            remedy = "compare runs on the same pair sets"
            raise RunError(f"judged other pairs than {runs[0].path} ({told})", file=run.path, remedy=remedy)
        for judge, strategy in product(run.asked.judges, run.asked.strategies):
            other = holding.setdefault((judge.name, strategy.name), run)
            if other is not run:
                told = f"holds {judge.name} with {strategy.name}, and so does {other.path}"
                raise RunError(told, file=run.path, remedy="leave one of them out")


@dataclass(frozen=True, slots=True)
class Rescored:
    """A run whose replies were read again."""

    run: Run
    changed: Mapping[str, int]
    """Strategy → how many of its final verdicts are others now."""


def rescore(run: Run, results: Path | None = None, *, strategies: Sequence[str] = ()) -> Rescored:
    """Read a run's replies again with its strategies as they are now; nothing is asked.

    It makes a run of its own, beside the old one unless `results` names another folder; the same reading twice makes
    the same run. Only what is made of the replies may have changed: readers, `orders`, `decided_by`.

    Args:
        run: the run whose replies are read.
        results: where the new run's folder goes.
        strategies: folders of strategies that are not found by their names.

    Raises:
        RunError: the run was never finished, or a strategy now asks something else.
        StrategyError: a strategy is not there any more, or holds a mistake.
    """
    run.check_sealed()
    load_strategy.cache_clear()  # a notebook's user edits strategies between readings
    given = {strategy.name: strategy for strategy in map(load_strategy, strategies)}
    now = {each.name: given.get(each.name) or load_strategy(each.name) for each in run.asked.strategies}
    kept = tuple(_reread_as(each, now[each.name], run.path) for each in run.asked.strategies)
    asked = run.asked.model_copy(update={"strategies": kept, "rescored_from": run.asked.id})
    path = (results or run.path.parent) / asked.slug
    pairs = {(pair.dataset, pair.id): pair for pair in run.pairs}
    changed: Counter[str] = Counter()

    def judgments() -> Iterator[Judgment]:
        for old in run.folder.judgments():
            new = reread(old, pairs[old.dataset, old.pair], now[old.strategy])
            changed[new.strategy] += new.final is not old.final
            yield new

    with at_work(path):
        folder = RunFolder.begin(path, asked, run.pairs, utc_now())
        folder.rewrite(judgments())
        seal(folder, lambda _: 0, utc_now())  # they are in order already
    return Rescored(Run(folder), changed)


def _reread_as(asked: StrategyAsked, now: Strategy, run: Path) -> StrategyAsked:
    """The strategy as the manifest of a new reading has it: it asked what it asked then, sampled as then."""
    if question(asked.sources) != question(now.sources):
        told = f"{asked.name} asks something else now than it did then"
        raise RunError(told, file=run, remedy="only readers may change; for the rest, judge again with llmbar run")
    return StrategyAsked.of(now).model_copy(update={"sampling": asked.sampling})


def question(sources: Mapping[str, str]) -> dict[str, Any]:
    """What a strategy asks, from its sources: all but how it is sampled and what is made of the replies."""
    file = tomllib.loads(sources["strategy.toml"])
    steps = [{key: value for key, value in step.items() if key not in {"read", "sampling"}} for step in file["steps"]]
    templates = {name: text for name, text in sources.items() if name != "strategy.toml"}
    return {"labels": file.get("labels"), "steps": steps, "templates": templates}


def reread(old: Judgment, pair: Pair, strategy: Strategy) -> Judgment:
    """A judgment made again from the replies it keeps, by its strategy as it is now."""
    return decide(Job(pair, strategy, old.repeat), Transcript.of(strategy, old.replies), judge=old.judge)


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as JSON can hold it: what is undefined is null."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table again: null is NaN."""
    names = rows[0] if rows else ()
    return pd.DataFrame({name: [math.nan if row[name] is None else row[name] for row in rows] for name in names})
