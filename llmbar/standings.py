"""Leaderboards of runs: their verdicts together, beside the trivial baselines and the published rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from llmbar.errors import UsageError
from llmbar.runs import Run, baseline_frame, joined
from llmbar.stats import Policy, summarize
from llmbar.tables import Provenance, board, render_board, rich_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table


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

    def write(self, path: str | Path) -> None:
        """Write the table to a file, in the format of its suffix: .md, .tex, .csv, .json or .html."""
        suffix = Path(path).suffix.removeprefix(".")
        Path(path).write_text(self.to({"tex": "latex"}.get(suffix, suffix)), "utf-8")

    def to_markdown(self) -> str:
        return self.to("md")

    def to_latex(self, path: str | Path | None = None) -> str:
        """A booktabs table, written to `path` too if one is given."""
        if path is not None:
            Path(path).write_text(self.to("latex"), "utf-8")
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
    policy: Policy | None = None,
    title: str = "Leaderboard",
) -> Leaderboard:
    """Rank the judges and strategies of runs on the same pairs.

    Args:
        runs: runs, folders of runs, and the rows of `published()` to show the LLMBar paper's beside them.
        baselines: whether the trivial baselines are shown.
        policy: what a tie and an unreadable reply earn; by default ½ and nothing, as in LLMBar.
        title: what stands above the table.

    Raises:
        UsageError: no run is given.
        RunError: a run that cannot be read, or runs on different pairs.
    """
    opened = [_opened(run) for run in runs if not isinstance(run, pd.DataFrame)]
    cited = [rows for rows in runs if isinstance(rows, pd.DataFrame)]
    if not opened:
        raise UsageError("a leaderboard needs a run", field="runs", remedy="llmbar ls runs lists them")
    policy = policy or Policy()
    table = board(
        summarize(joined(opened), policy=policy),
        published=cited[0] if cited else None,
        baselines=summarize(baseline_frame(opened[0].pairs), policy=policy) if baselines else None,
    )
    data = ", ".join(f"{each.dataset} {each.digest[:12]}" for each in opened[0].asked.datasets)
    date = max(run.folder.manifest.finished for run in opened)[:10]
    return Leaderboard(table, title, Provenance(date=date, data=data))


def _opened(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else Run.open(run)
