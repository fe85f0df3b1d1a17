"""Leaderboards of runs: their verdicts together, beside the trivial baselines and the published rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from llmbar.errors import UsageError, suggestion
from llmbar.runs import Run, check_comparable
from llmbar.tables import Provenance, board, render_board, rich_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from llmbar.runs.manifest import PairsAsked
    from llmbar.stats import Policy


@dataclass(frozen=True)
class Leaderboard:
    """A ranked table of judges and strategies on the same pairs, to be written in any format."""

    table: pd.DataFrame
    """One row per judge and strategy (`tables.board`); rates are fractions."""
    title: str
    provenance: Provenance

    def to(self, form: str) -> str:
        """The table as `md`, `latex`, `csv`, `json` or `html`."""
        return render_board(self.table, form, title=self.title, provenance=self.provenance)

    def write(self, path: str | Path, form: str | None = None) -> None:
        """Write the table to a file, in the format of its suffix (.md, .tex, .csv, .json or .html) unless told.

        Raises:
            UsageError: no such format.
        """
        suffix = Path(path).suffix.removeprefix(".")
        Path(path).write_text(self.to(form or {"tex": "latex"}.get(suffix, suffix)), "utf-8")

    def to_markdown(self) -> str:
        return self.to("md")

    def to_latex(self, path: str | Path | None = None) -> str:
        """A booktabs table, written to `path` too if one is given."""
        if path is not None:
            self.write(path, "latex")
        return self.to("latex")

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False)

    def rich(self, width: int = 100) -> Table:
        """For a terminal `width` characters wide."""
        return rich_table(self.table, width=width, title=self.title, provenance=self.provenance)


def leaderboard(
    runs: Sequence[Run | str | Path | pd.DataFrame],
    *,
    baselines: bool = True,
    dataset: str | None = None,
    policy: Policy | None = None,
    title: str = "Leaderboard",
) -> Leaderboard:
    """Rank the judges and strategies of runs on the same pairs.

    Args:
        runs: runs, folders of runs, and the rows of `published()` to show the LLMBar paper's beside them.
        baselines: whether the trivial baselines are shown.
        dataset: which pair set, where the runs judged several.
        policy: what a tie and an unreadable reply earn; by default ½ and nothing, as in LLMBar.
        title: what stands above the table.

    Raises:
        UsageError: no run is given, or several pair sets and none of them is named.
        RunError: a run that cannot be read, runs on different pairs, or a judge and strategy that two runs hold.
    """
    opened = [Run.of(run) for run in runs if not isinstance(run, pd.DataFrame)]
    cited = [rows for rows in runs if isinstance(rows, pd.DataFrame)]
    if not opened:
        raise UsageError("a leaderboard needs a run", field="RUN", remedy="llmbar ls runs lists them")
    judged = _judged(opened[0], dataset)
    check_comparable(opened, judged.dataset)
    numbers = [run.numbers(policy) for run in opened]
    table = board(
        _of(judged.dataset, [each.statistics for each in numbers]),
        published=cited[0] if cited else None,
        baselines=_of(judged.dataset, [numbers[0].baselines]) if baselines else None,
    )
    date = max(run.folder.manifest.finished for run in opened)[:10]
    return Leaderboard(table, title, Provenance(date=date, data=f"{judged.dataset} {judged.digest[:12]}"))


def _judged(run: Run, dataset: str | None) -> PairsAsked:
    """The pair set that is ranked: the one that is named, or the only one."""
    known = {each.dataset: each for each in run.asked.datasets}
    if dataset is None and len(known) > 1:
        raise UsageError(
            "judged several pair sets", file=run.path, field="dataset", remedy=f"name {' or '.join(known)}"
        )
    name = dataset or next(iter(known))
    if name not in known:
        raise UsageError(f"judged no {name}", file=run.path, field="dataset", remedy=suggestion(name, known))
    return known[name]


def _of(dataset: str, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """What several tables say of one pair set."""
    whole = pd.concat(tables, ignore_index=True)
    return whole[whole["dataset"] == dataset]
