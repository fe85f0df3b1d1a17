"""A board for the terminal: as many columns as fit, the most important ones last to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from llmbar.tables.columns import cell
from llmbar.tables.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from llmbar.tables.columns import Column, Row
    from llmbar.tables.notes import Provenance

WIDEST = {"judge": 28, "strategy": 24}
"""Longer names are folded."""

_WHOLE = 1_000
"""A width at which nothing is ever folded."""


def rich_table(
    board: pd.DataFrame,
    *,
    width: int = 100,
    title: str = "Leaderboard",
    notes: Iterable[str] = (),
    provenance: Provenance | None = None,
) -> Table:
    """A board at most `width` characters wide, with `notes` and the names of what had to go below it.

    The columns that stay are those with the lowest `Column.drop`; rank, names, headline and interval always do.
    """
    sheet = Sheet.of(board, title, notes, provenance)
    shown = sheet.columns
    while too_wide(table := build(sheet, shown), width) and (spare := [column for column in shown if column.drop]):
        least = max(reversed(spare), key=lambda column: column.drop)
        shown = [column for column in shown if column is not least]
    gone = [column.head for column in sheet.columns if column not in shown]
    below = [*sheet.notes, *([f"Not shown for want of room: {', '.join(gone)}."] if gone else [])]
    table.title, table.caption = Text(sheet.title, "bold"), Text("\n".join(below), "dim")
    return table


def too_wide(table: Table, width: int) -> bool:
    console = Console(width=_WHOLE)
    return Measurement.get(console, console.options, table).maximum > width


def build(sheet: Sheet, shown: Sequence[Column]) -> Table:
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
        table.add_column(
            Text(column.head),
            justify="right" if column.numeric else "left",
            max_width=WIDEST.get(column.key),
            overflow="fold",
            no_wrap=column.numeric,
        )
    for row in sheet.rows:
        table.add_row(*(_cell(sheet, column, row) for column in shown), style=_STYLE[row["source"]])
    return table


_STYLE = {"run": "", "baseline": "dim italic", "published": "cyan"}


def _cell(sheet: Sheet, column: Column, row: Row) -> Text:
    """Text, never markup: a judge called `[red]` is just that."""
    return Text(cell(column, row), "bold" if sheet.marked(column, row) else "")
