"""A board made ready to be written: what every format needs to know, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from llmbar.tables.cells import harmless
from llmbar.tables.columns import Column, Row, best, columns, lines
from llmbar.tables.notes import Provenance, notes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd


@dataclass(frozen=True, slots=True)
class Sheet:
    """A board with its title, notes and marks."""

    board: pd.DataFrame
    title: str
    rows: list[Row]
    columns: list[Column]
    best: dict[str, str | None]
    """Column → how its best cells read."""
    notes: list[str]
    provenance: Provenance

    @classmethod
    def of(cls, board: pd.DataFrame, title: str, more: Iterable[str], provenance: Provenance | None) -> Self:
        rows, heads = lines(board), columns(board)
        made = (provenance or Provenance()).harmless()
        marked = {column.key: best(rows, column) for column in heads}
        return cls(board, harmless(title), rows, heads, marked, notes(board, made, more), made)

    def marked(self, column: Column, row: Row) -> bool:
        """Whether a cell is among its column's best; a baseline's never is."""
        return row["source"] != "baseline" and column.text(row) == self.best[column.key]
