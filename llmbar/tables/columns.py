"""What a leaderboard's columns are called, mean and look like: the one place from which every format takes it.

A new statistic of the summary is one new entry here, and one in `terms`, which explains it: a board has a column for
each that its summary holds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import pandas as pd

from llmbar.stats.summary import AVERAGE
from llmbar.tables.cells import harmless
from llmbar.terms import meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Row = dict[str, Any]
"""One line of a board."""

MISSING = "–"
PUBLISHED = "†"
"""Behind the judge's name in a published row."""

Format = Literal["text", "count", "percent", "decimal", "interval"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a leaderboard."""

    key: str
    """The board's column."""
    head: str
    explain: str
    """What the number is, how to read it, whose it is: the reading guide's words (`terms`)."""
    format: Format
    better: Literal["high", "low"] | None = None
    """Which end is to be wished for, where one is: the best is set in bold."""
    drop: int = 0
    """Where space is short the highest go first; 0 always stays."""
    upto: str = ""
    """The board's column with the upper end, where `key` is the lower end of an interval."""

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key, self.upto) if self.upto else (self.key,)

    @property
    def numeric(self) -> bool:
        return self.format != "text"

    def text(self, row: Mapping[str, Any]) -> str:
        """The cell as it is read: rates in percent, to one decimal; a dash where there is none.

        >>> Column("agreement", "Agr", "", "percent").text({"agreement": 0.89011})
        '89.0'
        """
        values = [row[key] for key in self.keys]
        if any(map(pd.isna, values)):
            return MISSING
        if self.format == "interval":
            return "[{:.1f}, {:.1f}]".format(*(100 * value for value in values))
        return _WRITE[self.format](values[0])


_WRITE: dict[str, Callable[[Any], str]] = {
    "text": harmless,
    "count": lambda value: f"{value:,}",
    "percent": lambda value: f"{100 * value:.1f}",
    "decimal": lambda value: f"{value:.2f}".replace("-", "−"),
}


def _known(
    key: str, head: str, form: Format, better: Literal["high", "low"] | None = None, *, drop: int = 0, upto: str = ""
) -> Column:
    """A column that the reading guide explains."""
    return Column(key, head, meaning(key), form, better, drop, upto)


BEFORE = (
    _known("rank", "Rank", "count", "low"),
    _known("judge", "Judge", "text"),
    _known("strategy", "Strategy", "text"),
    _known("n", "n", "count", drop=3),
)
"""What stands before the accuracies."""

AFTER = (
    _known("low", "95 % interval", "interval", upto="high"),
    _known("agreement", "Agr", "percent", "high", drop=1),
    _known("both_correct", "Both", "percent", "high", drop=8),
    _known("kappa", "κ", "decimal", "high", drop=11),
    _known("primacy", "Primacy", "percent", drop=6),
    _known("conflicts", "Conflicts", "count", drop=10),
    _known("longer_rate", "Longer", "percent", drop=7),
    _known("ties", "Ties", "percent", drop=9),
    _known("unreadable", "Unread.", "percent", drop=4),
    _known("failed", "Failed", "count", drop=4),
)
"""What stands behind the accuracies."""

HIDDEN = ("source", "dataset", "ties_policy", "unreadable_policy")
"""Columns of a board that the notes tell, or the look of a row."""

KNOWN = frozenset(key for column in (*BEFORE, *AFTER) for key in column.keys)


def accuracies(board: pd.DataFrame) -> list[Column]:
    """The accuracy columns: every one that is not of the table above; the last is the headline."""
    names = [name for name in board.columns if name not in KNOWN and name not in HIDDEN]
    return [_accuracy(name, 0 if name == names[-1] else 5) for name in names]


def _accuracy(key: str, drop: int) -> Column:
    name = harmless(key)
    if key in {AVERAGE, "Adversarial"}:
        return Column(key, name, meaning(key), "percent", "high", drop if key == AVERAGE else min(drop, 2))
    return Column(key, name, f"Accuracy on {name}. {meaning('accuracy')}", "percent", "high", drop)


def headline(board: pd.DataFrame) -> Column:
    """The accuracy by which a board is ranked."""
    return accuracies(board)[-1]


def columns(board: pd.DataFrame) -> list[Column]:
    """All columns of a board, from left to right."""
    return [column for column in (*BEFORE, *accuracies(board), *AFTER) if column.key in board]


def lines(board: pd.DataFrame) -> list[Row]:
    """The rows of a board, from top to bottom."""
    return cast("list[Row]", board.to_dict("records"))


def cell(column: Column, row: Row) -> str:
    """The text of a cell; a published row is marked behind the judge's name."""
    mark = f" {PUBLISHED}" if column.key == "judge" and row["source"] == "published" else ""
    return column.text(row) + mark


def best(rows: Iterable[Row], column: Column) -> str | None:
    """The text of a column's best cells, None where nothing is to be marked.

    Baselines do not compete: it is easy to agree with oneself for a rule that looks at nothing but length. A best that
    more than half of the rows share says nothing and is not marked. What reads alike is marked alike.
    """
    values = [(row[column.key], column.text(row)) for row in rows if row["source"] != "baseline"]
    values = [(value, text) for value, text in values if text != MISSING]
    if not column.better or column.key == "rank" or not values:
        return None
    _, text = (max if column.better == "high" else min)(values)
    return text if Counter(text for _, text in values)[text] * 2 <= len(values) else None
