"""A board for the terminal: as many columns as fit, the most important ones last to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from llmbar.tables.cells import harmless
from llmbar.tables.columns import best, cell, columns
from llmbar.tables.notes import Provenance, notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from llmbar.tables.columns import Column, Row

WIDEST = {"judge": 28, "strategy": 24}
"""Longer names are folded."""

_WHOLE = 1_000
"""A width at which nothing is ever folded."""


def rich_table(
    board: pd.DataFrame,
    *,
    width: int = 100,
    title: str = "Leaderboard",
    more: Iterable[str] = (),
    provenance: Provenance | None = None,
) -> Table:
    """A board at most `width` characters wide; what had to go is named below, `more` behind it.

    The columns that stay are those with the lowest `Column.drop`; rank, names, headline and interval always do.
    """
    rows, shown = board.to_dict("records"), columns(board)
    below = notes(board, provenance or Provenance(), more)
    while too_wide(table := build(rows, shown), width) and (least := max(reversed(shown), key=lambda one: one.drop)).drop:
        shown = [column for column in shown if column is not least]
    gone = [column.title for column in columns(board) if column not in shown]
    if gone:
        below.append(f"Not shown for want of room: {', '.join(gone)}.")
    table.title, table.caption = Text(harmless(title), "bold"), Text("\n".join(below), "dim")
    return table


def too_wide(table: Table, width: int) -> bool:
    console = Console(width=_WHOLE)
    return Measurement.get(console, console.options, table).maximum > width


def build(rows: Sequence[Row], shown: Sequence[Column]) -> Table:
    """All rows with the columns `shown`."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        title_justify="left",
        caption_justify="left",
    )
    for column in shown:
        justify, folds = ("right" if column.numeric else "left"), WIDEST.get(column.key)
        head = Text(column.title)
        table.add_column(head, justify=justify, max_width=folds, overflow="fold", no_wrap=column.numeric)
    marked = {column.key: best(rows, column) for column in shown}
    for row in rows:
        table.add_row(*(_cell(column, row, marked[column.key]) for column in shown), style=_STYLE[row["source"]])
    return table


_STYLE = {"run": "", "baseline": "dim italic", "published": "cyan"}


def _cell(column: Column, row: Row, best_text: str | None) -> Text:
    """Text, never markup: a judge called `[red]` is just that."""
    text = cell(column, row)
    return Text(text, "bold" if text == best_text and row["source"] != "baseline" else "")
