"""What a run came to: its verdicts as a table, its numbers, and its replies read anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmbar.engine import Job, decide, judge_all
from llmbar.errors import RunError, UsageError
from llmbar.judges import JudgeOptions, open_judge
from llmbar.pairs import cluster
from llmbar.records import Verdict
from llmbar.runs.folder import Key, RunFolder, replacing
from llmbar.runs.manifest import Asked, StrategyAsked, differences, utc_now
from llmbar.stats import Policy, bias_regression, summarize
from llmbar.stats.summary import AVERAGE
from llmbar.strategy import load_strategy
from llmbar.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from llmbar.records import Judgment, Pair

BASELINES = ("baseline/random", "baseline/first", "baseline/longer", "baseline/shorter", "baseline/lexical")
"""The judges that every table is measured against."""


@dataclass(frozen=True)
class Run:
    """A run that was made: its judgments and its numbers."""

    folder: RunFolder

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run's folder, finished or not."""
        return cls(RunFolder.open(path))

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def asked(self) -> Asked:
        return self.folder.manifest.asked

    @property
    def complete(self) -> bool:
        return self.folder.manifest.state == "complete"

    @property
    def failed(self) -> int:
        """How many judgments are failed; the same command asks for them again."""
        return len(self.judgments("failed"))

    def headline(self, policy: Policy | None = None) -> pd.Series[float]:
        """Accuracy per judge and strategy: the mean over subsets, or that of the only one."""
        table = self.summary(policy)
        macro = table[table["subset"] == AVERAGE]
        rows = macro if len(macro) else table
        return rows.set_index(["judge", "strategy"])["accuracy"]

    def judgments(self, status: str | None = None) -> pd.DataFrame:
        """One row per judgment; with `status` only those whose final verdict it is, such as `unreadable`."""
        sealed = self.path / "judgments.parquet"
        if not sealed.is_file():
            raise RunError("was never finished", file=self.path, remedy="give its command again to resume it")
        frame = pd.read_parquet(sealed)
        if status is None:
            return frame
        if status not in set(Verdict):
            raise UsageError(f"{status!r} is no verdict", field="status", remedy=f"one of {', '.join(Verdict)}")
        return frame[frame["final"] == status]

    @cached_property
    def pairs(self) -> list[Pair]:
        return list(self.folder.pairs())

    def frame(self) -> pd.DataFrame:
        """The verdict frame that all statistics start from (`stats.COLUMNS`)."""
        orders = {strategy.name: strategy.orders for strategy in self.asked.strategies}
        return verdict_frame(self.judgments(), self.pairs, orders)

    def summary(self, policy: Policy | None = None) -> pd.DataFrame:
        """Accuracy, agreement, bias, each with n and interval, per judge, strategy and subset (`stats.summarize`)."""
        return summarize(self.frame(), policy=policy or Policy())


def seal(folder: RunFolder, keys: Mapping[Key, int], now: str) -> None:
    """Put a run's judgments in their canonical order, as lines and as a table, and add up its numbers."""
    rows = pd.DataFrame(folder.seal(keys))
    with replacing(folder.path / "judgments.parquet") as file:
        rows.to_parquet(file, index=False)
    whole = len(rows) == len(keys) and not (rows["final"] == Verdict.FAILED).any()
    state = "complete" if whole else "incomplete"
    folder.keep_manifest(folder.manifest.model_copy(update={"state": state, "finished": now}))
    frame = Run(folder).frame()
    folder.keep_summary({"statistics": _plain(summarize(frame)), "biases": _plain(bias_regression(frame))})


def verdict_frame(judgments: pd.DataFrame, pairs: Iterable[Pair], orders: Mapping[str, str]) -> pd.DataFrame:
    """Judgments with what their pairs add: the cluster (normalised instruction) and the outputs' lengths."""
    facts = pd.DataFrame(
        [(pair.dataset, pair.id, cluster(pair.instruction), len(pair.output_1), len(pair.output_2)) for pair in pairs],
        columns=["dataset", "pair", "cluster", "length_1", "length_2"],
    )
    frame = judgments.merge(facts, on=["dataset", "pair"], how="left", validate="many_to_one")
    return frame.assign(orders=frame["strategy"].map(orders))


def baseline_frame(pairs: Sequence[Pair]) -> pd.DataFrame:
    """The verdict frame of the trivial baselines on these pairs.

    It is made in a thread of its own, so that it can be had inside an event loop, too.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _baseline_frame(pairs)).result()


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
        RunError: the runs judged different pairs (says which), or two of them hold the same judge and strategy.
    """
    for run in runs[1:]:
        if found := differences(runs[0].asked, run.asked):
            told = f"judged other pairs than {runs[0].path.name} ({', '.join(found)})"
            raise RunError(told, file=run.path, remedy="compare runs on the same pair sets")
    frame = pd.concat([run.frame() for run in runs], ignore_index=True)
    keys = ["judge", "strategy", "dataset", "pair", "repeat"]
    if (twice := frame[frame.duplicated(keys)]).size:
        told = f"two runs hold {twice.iloc[0]['judge']} with {twice.iloc[0]['strategy']}"
        raise RunError(told, remedy="leave one of them out")
    return frame


@dataclass(frozen=True, slots=True)
class Rescored:
    """A run whose replies were read again."""

    run: Run
    changed: Mapping[str, int]
    """Strategy → how many of its final verdicts are others now."""


def rescore(run: Run, results: Path | None = None) -> Rescored:
    """Read a run's replies again with its strategies as they are now; nothing is asked.

    It makes a run of its own, beside the old one unless `results` names another folder.
    """
    now = utc_now()
    strategies = {each.name: load_strategy(each.name) for each in run.asked.strategies}
    pairs = {(pair.dataset, pair.id): pair for pair in run.pairs}
    asked = run.asked.model_copy(
        update={
            "strategies": tuple(StrategyAsked.of(strategies[each.name]) for each in run.asked.strategies),
            "rescored_from": run.asked.id,
        }
    )
    folder = RunFolder.begin((results or run.path.parent) / asked.slug, asked, run.pairs, now)
    folder.empty()
    changed: Counter[str] = Counter()
    keys: dict[Key, int] = {}
    for old in run.folder.judgments():
        new = reread(old, pairs[old.dataset, old.pair])
        changed[new.strategy] += new.final is not old.final
        folder.add(new)
        keys[new.judge, new.strategy, new.dataset, new.pair, new.repeat] = len(keys)
    seal(folder, keys, now)
    return Rescored(Run(folder), changed)


def reread(old: Judgment, pair: Pair) -> Judgment:
    """A judgment made again from the replies it keeps, by its strategy as it is now."""
    strategy = load_strategy(old.strategy)
    return decide(Job(pair, strategy, old.repeat), Transcript.of(strategy, old.replies), judge=old.judge)


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as JSON can hold it: what is undefined is null."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
