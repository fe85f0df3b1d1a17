"""Runs compared: every two judges or strategies on the same pairs, with a test, an interval and what could be seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmbar.errors import UsageError, suggestion
from llmbar.runs import Run, joined
from llmbar.stats import Policy
from llmbar.stats import compare as compare_frame
from llmbar.stats.comparison import resolved
from llmbar.stats.summary import AVERAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

ALL = "all"


def compare(
    runs: Run | str | Path | Sequence[Run | str | Path],
    *strategies: str,
    subset: str | None = None,
    policy: Policy | None = None,
) -> pd.DataFrame:
    """Every two judges and strategies of runs on the same pairs (`stats.compare`'s columns), best first.

    Args:
        runs: a run or several, or their folders.
        strategies: only these; by default all.
        subset: a subset, a group, `Average`, `Pooled` or `all`; by default the headline, which is the average over all
            subsets or the only one. What is shown is the family that Holm's adjustment is made for.
        policy: what a tie and an unreadable reply earn; by default ½ and nothing, as in LLMBar.

    Raises:
        UsageError: a strategy or subset that the runs do not hold, or nothing to compare.
        RunError: a run that cannot be read, or runs on different pairs.
    """
    given = [runs] if isinstance(runs, (Run, str, Path)) else runs
    frame = joined([Run.of(run) for run in given])
    if strategies:
        known = list(dict.fromkeys(frame["strategy"]))
        for name in strategies:
            if name not in known:
                raise UsageError(f"the runs hold no {name!r}", field="strategy", remedy=suggestion(name, known))
        frame = frame[frame["strategy"].isin(strategies)]
    try:
        table = compare_frame(frame, policy=policy or Policy())
    except ValueError as error:
        raise UsageError(str(error)) from None
    if table.empty:
        raise UsageError("there is nothing to compare", remedy="name runs with two judges or strategies at least")
    shown = resolved(_wanted(table, subset))
    return shown.sort_values("difference", ascending=False, key=abs, kind="stable", ignore_index=True)


def _wanted(table: pd.DataFrame, subset: str | None) -> pd.DataFrame:
    """The rows of the subset that was asked for."""
    names = list(dict.fromkeys(table["subset"]))
    wanted = subset or (AVERAGE if AVERAGE in names else names[0])
    if wanted.casefold() == ALL:
        return table
    found = [name for name in names if str(name).casefold() == wanted.casefold()]
    if not found:
        raise UsageError(f"there is no subset {wanted!r}", field="subset", remedy=suggestion(wanted, [*names, ALL]))
    rows: pd.DataFrame = table[table["subset"] == found[0]]
    return rows
