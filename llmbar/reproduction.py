"""Recorded evaluator outputs become the paper's tables, by two readers.

`recorded` takes winners as they were stored, with upstream's conventions: an unreadable reply is wrong, two unreadable
ones agree, and a tie of ratings was stored as a winner in each order. `llmbar` reads every stored completion again with
our own strategies' readers and rules. Where the two differ, the difference is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

from llmbar.engine import Job, decide
from llmbar.errors import RecordingError, StrategyError
from llmbar.pairs import cluster
from llmbar.reading import DECORATION, ChoiceReader, ScoreReader, TextReader
from llmbar.recordings import Recording, find_recordings, read_recording, replies
from llmbar.records import Order, Verdict
from llmbar.stats import summarize
from llmbar.strategy import Step, StepFile, Strategy, StrategyFile, load_strategy
from llmbar.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from llmbar.recordings import RecordedItem

Reader = Literal["recorded", "llmbar"]
READERS: tuple[Reader, ...] = ("recorded", "llmbar")

CSV_COLUMNS = (
    *("judge", "strategy", "subset", "n", "accuracy", "agreement", "accuracy_original", "accuracy_swapped"),
    *("both_correct", "kappa", "invalid", "primacy", "first_rate", "longer_rate", "reader"),
)


@dataclass(frozen=True)
class Reproduction:
    """What a folder of recordings comes to."""

    table: pd.DataFrame
    """One row per reader, judge, strategy and subset, then macro rows; `stats.summarize`'s columns and `reader`."""
    differences: pd.DataFrame
    """One row per judge and strategy: verdicts, how many the readers read differently, how many of these are ties."""
    problems: list[RecordingError] = field(default_factory=list)
    """Files that were left out."""

    def csv(self) -> str:
        """The columns of `CSV_COLUMNS`; fractions, full precision, empty where undefined."""
        return self.table.rename(columns={"unreadable": "invalid"})[list(CSV_COLUMNS)].to_csv(index=False)


def reproduce(folder: str | Path, readers: tuple[Reader, ...] = READERS) -> Reproduction:
    """Read every recording at or below `folder`; a broken file is left out and named, and nothing else is lost.

    Raises:
        RecordingError: there is no such folder, or no recording in it.
    """
    recordings, problems = [], list[RecordingError]()
    for file in find_recordings(folder):
        try:
            recordings.append(read_recording(file))
        except RecordingError as problem:
            problems.append(problem)
    if not recordings and not problems:
        told = "holds no recordings"
        raise RecordingError(told, file=folder, remedy="it should hold evaluators/<judge>/<strategy>/result.json")
    frames = {str(reader): _frame(recordings, reader) for reader in READERS}
    tables = [_summary(frames[reader]).assign(reader=reader) for reader in readers]
    return Reproduction(pd.concat(tables, ignore_index=True), _differences(frames), problems)


def strategy_of(recording: Recording) -> Strategy:
    """Our strategy of the recorded name, if it asks what was recorded; else one made after the recording's shape."""
    item = recording.items[0]
    try:
        strategy = load_strategy(recording.strategy)
        replies(item, strategy)
    except (StrategyError, RecordingError):
        return _shaped(recording)
    return strategy


def _shaped(recording: Recording) -> Strategy:
    """A strategy that only reads: the label at the start of a line or called better, or a bare score."""
    widest = max(recording.items, key=lambda item: len(item.stages))
    steps = [
        StepFile(name=f"text_{at}", per="pair", read=TextReader(kind="text")) for at in range(len(widest.auxiliary))
    ]
    if widest.scores is not None:
        steps.append(StepFile(name="score", per="output", read=ScoreReader(kind="score")))
    reader = ChoiceReader(kind="choice", pattern=rf"(?m)(?:^{DECORATION}{{label}}|{{label}} is better)")
    for at in range(len(widest.stages)):
        earlier = f"stage_{at - 1}" if at else None
        steps.append(StepFile(name=f"stage_{at}", per="order", read=reader, if_orders_disagree_on=earlier))
    orders: Literal["free", "separate"] = "separate" if widest.scores is None else "free"
    file = StrategyFile(summary="as recorded", orders=orders, steps=tuple(steps))
    return Strategy(recording.strategy, file, tuple(Step(step, recording.file, ()) for step in steps), {})


def _frame(recordings: list[Recording], reader: Reader) -> pd.DataFrame:
    rows = _recorded if reader == "recorded" else _reread
    return pd.DataFrame([row for recording in recordings for row in rows(recording)])


def _recorded(recording: Recording) -> Iterator[dict[str, object]]:
    """Winners as stored. Upstream treats the two orders of a rating as any others, so they are `separate` here."""
    for item in recording.items:
        original, swapped = (item.winners[order] for order in (Order.ORIGINAL, Order.SWAPPED))
        final = original if original is swapped else Verdict.TIE
        yield _row(recording, item) | _verdicts(original, swapped, final, "separate")


def _reread(recording: Recording) -> Iterator[dict[str, object]]:
    strategy = strategy_of(recording)
    for item in recording.items:
        said = Transcript.of(strategy, replies(item, strategy))
        judgment = decide(Job(item.pair, strategy), said, judge=recording.judge)
        verdicts = _verdicts(judgment.original, judgment.swapped, judgment.final, strategy.file.orders)
        yield _row(recording, item) | verdicts


def _row(recording: Recording, item: RecordedItem) -> dict[str, object]:
    pair = item.pair
    return {
        "judge": recording.judge,
        "strategy": recording.strategy,
        "dataset": recording.dataset,
        "group": recording.group,
        "subset": recording.subset,
        "pair": pair.id,
        "repeat": 0,
        "cluster": cluster(pair.instruction),
        "gold": pair.gold,
        "length_1": len(pair.output_1),
        "length_2": len(pair.output_2),
    }


def _verdicts(original: Verdict, swapped: Verdict, final: Verdict, orders: str) -> dict[str, object]:
    return {"original": original, "swapped": swapped, "final": final, "orders": orders}


def _summary(frame: pd.DataFrame) -> pd.DataFrame:
    """All statistics without intervals; macro rows only for LLMBar's own sets, where a judge was asked all of them."""
    table = summarize(frame, resamples=0)
    whole = frame.groupby("dataset")["subset"].nunique()
    runs = table.groupby(["judge", "strategy", "dataset"])["kind"].transform(lambda kind: (kind == "subset").sum())
    complete = runs == table["dataset"].map(whole)
    return table[(table["kind"] == "subset") | (complete & (table["dataset"] == "llmbar"))]


def _differences(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Per judge and strategy: 2n verdicts, those that the two readers read differently, and ties among these."""
    stored, read = frames["recorded"], frames["llmbar"]
    counts = stored[["judge", "strategy"]].assign(verdicts=2, different=0, ties=0)
    for order in ("original", "swapped"):
        other = stored[order].astype(str) != read[order].astype(str)
        counts["different"] += other
        counts["ties"] += other & (read[order].astype(str) == Verdict.TIE)
    return counts.groupby(["judge", "strategy"], sort=False, as_index=False).sum()
