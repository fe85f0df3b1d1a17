"""The demonstration: baselines and simulated judges on the starter set, from pairs to a leaderboard page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmbar.cli.printing import console
from llmbar.cli.progress import watcher
from llmbar.runs import run
from llmbar.standings import leaderboard

if TYPE_CHECKING:
    from pathlib import Path

JUDGES = ("simulated/careful", "simulated/hasty", "simulated/wordy")
STRATEGIES = ("vanilla", "rules", "cot+rules", "metrics+reference+rules", "swap+cot+rules", "rating+rules")


def demonstrate(results: Path, *, quiet: bool) -> None:
    """Judge the starter set, print the leaderboard, and write it as Markdown and as a page."""
    shown = None if quiet else watcher()
    made = run("starter", judge=JUDGES, strategies=STRATEGIES, results=results, watcher=shown)
    board = leaderboard([made], title="Demonstration: simulated judges on the starter set")
    out = console()
    out.print(board.rich(out.width))
    for suffix in ("md", "html"):
        board.write(made.path / f"leaderboard.{suffix}")
        out.print(f"written: {made.path / f'leaderboard.{suffix}'}")
