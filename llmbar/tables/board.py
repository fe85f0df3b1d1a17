"""The leaderboard as a table: one row per judge and strategy, ranked by its headline accuracy.

The headline is the average over all subsets, or the one subset where there is no other. Rows are compared only where
they can be: one data set, one policy, and no average for a row that lacks a subset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import pandas as pd

from llmbar.errors import UsageError
from llmbar.paper import SUBSETS, published_summary
from llmbar.stats.summary import AVERAGE
from llmbar.tables.columns import AFTER, HIDDEN, KNOWN, Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Cells = list[dict[str, Any]]
"""Rows of a summary."""

_ALIKE = 7
"""Decimals to which two headline accuracies must agree to share a rank: what the published file resolves."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns a leaderboard has, besides those that all have."""

    subsets: tuple[str, ...]
    """LLMBar's in the paper's order, then others as the summary holds them."""
    groups: dict[str, float]
    """Macro rows below the average, such as Adversarial → the largest n of any judge."""
    statistics: tuple[Column, ...]
    """Those behind the accuracies that the summary has: a count is the subsets' sum, all else the headline's own."""

    @classmethod
    def of(cls, cells: Cells) -> Self:
        place = {name: number for number, name in enumerate(SUBSETS)}
        found = dict.fromkeys(cell["subset"] for cell in cells if cell["kind"] == "subset")
        groups: dict[str, float] = {}
        for cell in cells:
            if cell["kind"] == "macro" and cell["subset"] != AVERAGE:
                groups[cell["subset"]] = max(cell["n"], groups.get(cell["subset"], 0))
        return cls(
            subsets=tuple(sorted(found, key=lambda name: place.get(name, len(place)))),
            groups=groups,
            statistics=tuple(column for column in AFTER if column.key in cells[0]),
        )

    @property
    def macros(self) -> tuple[str, ...]:
        return (*self.groups, AVERAGE) if len(self.subsets) > 1 else ()

    @property
    def names(self) -> tuple[str, ...]:
        """The accuracy columns; the last one is the headline."""
        return (*map(self.column, self.subsets), *self.macros)

    def column(self, subset: str) -> str:
        """A subset's column is called as the subset, unless another column is."""
        return f"{subset} (subset)" if subset in {*KNOWN, *HIDDEN, *self.groups, AVERAGE} else subset


def board(
    summary: pd.DataFrame, *, published: pd.DataFrame | None = None, baselines: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The leaderboard of a summary, best first.

    Columns: rank (by the headline; equal ones share it, missing ones have none), judge, strategy, source (`run`,
    `baseline` or `published`), dataset, n, accuracy per subset and macro row, the headline's 95 % interval (low, high),
    its other statistics, and both policies. Rates are fractions.

    Args:
        summary: a table of `stats.summarize`, or several of them concatenated.
        published: rows of `paper.published`, to be shown beside one's own. The paper judged LLMBar; where
            the summary is of another pair set, the notes say so.
        baselines: a summary whose rows are added unless `summary` has them.

    Raises:
        UsageError: nothing to rank, a row that occurs twice, or rows of different data sets or policies.
    """
    own = _records(summary)
    have = {_key(cell) for cell in own}
    own += [cell for cell in _records(baselines) if _key(cell) not in have]
    _check(own)
    layout = Layout.of(own)
    cited = [] if published is None else _records(published_summary(published, layout.subsets))
    rows = [_row(cells, layout, _source(key[0])) for key, cells in _grouped(own).items()]
    rows += [_row(cells, layout, "published") for cells in _grouped(cited).values()]
    return _ranked(rows, layout)


def _records(summary: pd.DataFrame | None) -> Cells:
    return [] if summary is None else cast("Cells", summary.to_dict("records"))


def _key(cell: Mapping[str, Any]) -> tuple[str, str]:
    return cell["judge"], cell["strategy"]


def _grouped(cells: Iterable[dict[str, Any]]) -> dict[tuple[str, str], Cells]:
    groups: dict[tuple[str, str], Cells] = {}
    for cell in cells:
        groups.setdefault(_key(cell), []).append(cell)
    return groups


def _source(judge: str) -> str:
    return "baseline" if judge.startswith("baseline/") else "run"


def _check(cells: Cells) -> None:
    """Refuse what cannot stand in one table."""
    if not cells:
        raise UsageError("there is nothing to rank", remedy="judge some pairs first")
    for field, what in (("dataset", "data set"), ("ties_policy", "policy"), ("unreadable_policy", "policy")):
        first = {cell[field]: f"{cell[field]} ({' with '.join(_key(cell))})" for cell in reversed(cells)}
        if len(first) > 1:
            raise UsageError(
                f"a leaderboard holds one {what}, not {' and '.join(sorted(first.values()))}",
                field=field,
                remedy=f"make one leaderboard per {what}",
            )
    seen = set()
    for cell in cells:
        if (one := (*_key(cell), cell["subset"], cell["kind"])) in seen:
            raise UsageError(f"{one[0]} with {one[1]} occurs twice on {one[2]}", remedy="give each run once")
        seen.add(one)


def _row(cells: Cells, layout: Layout, source: str) -> dict[str, Any]:
    """One judge with one strategy; averages and their statistics only where no subset is missing."""
    subsets = {cell["subset"]: cell for cell in cells if cell["kind"] == "subset"}
    macros = {cell["subset"]: cell for cell in cells if cell["kind"] == "macro"}
    complete = len(subsets) == len(layout.subsets)
    headline: dict[str, Any] = {}
    if complete:
        headline = macros.get(AVERAGE, {}) if layout.macros else subsets[layout.subsets[0]]
    counts = ["n", *(column.key for column in layout.statistics if column.format == "count")]
    rates = [column.key for column in layout.statistics if column.format != "count"]
    groups = {name: cell for name, cell in macros.items() if complete or layout.groups.get(name) == cell["n"]}
    averages = {name: groups.get(name, {}).get("accuracy", np.nan) for name in layout.groups}
    return {
        **{key: cells[0][key] for key in ("judge", "strategy", "dataset", "ties_policy", "unreadable_policy")},
        "source": source,
        **{key: sum(cell.get(key, np.nan) for cell in subsets.values()) for key in counts},
        **{layout.column(name): cell["accuracy"] for name, cell in subsets.items()},
        **(averages | {AVERAGE: headline.get("accuracy", np.nan)} if layout.macros else {}),
        "low": headline.get("accuracy_low", np.nan),
        "high": headline.get("accuracy_high", np.nan),
        **{key: headline.get(key, np.nan) for key in rates},
    }


def _ranked(rows: Sequence[dict[str, Any]], layout: Layout) -> pd.DataFrame:
    """Best first, equal ones by name; last and without a rank what has no headline, or was judged on other pairs."""
    lead = ("rank", "judge", "strategy", "source", "dataset", "n", *layout.names, "low", "high")
    rest = (*(column.key for column in layout.statistics), "ties_policy", "unreadable_policy")
    table = pd.DataFrame(rows, columns=[*lead, *rest])
    here = table["dataset"] == table.loc[table["source"] != "published", "dataset"].iloc[0]
    score = table[layout.names[-1]].astype(float).round(_ALIKE).where(here)
    table["rank"] = score.rank(method="min", ascending=False)
    table = table.sort_values(["rank", "judge", "strategy"], ignore_index=True)
    counts = [column.key for column in layout.statistics if column.format == "count"]
    return table.astype(dict.fromkeys(["rank", "n", *counts], "Int64"))
