"""The leaderboard as a page: sortable, filterable, printable, light or dark, in one file.

The template is autoescaped, so that foreign names are inert text, and a content security policy lets nothing run or
load but the page's own style and script, known by their hashes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from llmbar.tables.cells import harmless
from llmbar.tables.columns import BEFORE, accuracies, columns, headline
from llmbar.tables.notes import dataset

if TYPE_CHECKING:
    from llmbar.tables.columns import Column, Row
    from llmbar.tables.sheet import Sheet

FOLDER = Path(__file__).parent

CHANCE = 0.5
"""What a coin scores: marked in every bar."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The common scale of all interval bars: accuracies from `low` to `high` on `width` units."""

    low: float
    high: float
    width: int = 140

    @classmethod
    def of(cls, board: pd.DataFrame) -> Axis:
        """Whole tenths around every interval, every headline and chance."""
        values = pd.concat([board["low"], board["high"], board[headline(board).key]]).dropna().tolist()
        values.append(CHANCE)
        return cls(floor(round(min(values) * 10, 6)) / 10, ceil(round(max(values) * 10, 6)) / 10)

    def at(self, value: float) -> float:
        """Where an accuracy lies; half a marker's width is kept free at both ends.

        >>> Axis(0.4, 1.0).at(0.7)
        70.0
        """
        span = (self.high - self.low) or 1.0
        return round(5 + (value - self.low) / span * (self.width - 10), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Both ends and chance, less an end that would touch it."""
        ends = [end for end in (self.low, self.high) if abs(self.at(end) - self.at(CHANCE)) > 20]
        return [(self.at(value), f"{100 * value:.0f}") for value in sorted({CHANCE, *ends})]


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval as it is drawn."""

    start: float
    length: float
    point: float

    @classmethod
    def of(cls, row: Row, column: Column, middle: str, axis: Axis) -> Bar | None:
        """The bar of an interval around `middle`; without an interval a point alone."""
        if column.format != "interval" or pd.isna(row[middle]):
            return None
        point = axis.at(row[middle])
        if pd.isna(row[column.key]):
            return cls(point, 0, point)
        start = axis.at(row[column.key])
        return cls(start, round(axis.at(row[column.upto]) - start, 1), point)


def leaderboard_page(sheet: Sheet) -> str:
    """The whole page; equal sheets give equal bytes."""
    board, axis = sheet.board, Axis.of(sheet.board)
    top = headline(board)
    style, script = (Markup((FOLDER / f"leaderboard.{kind}").read_text("utf-8")) for kind in ("css", "js"))  # noqa: S704
    template = environment().get_template("leaderboard.html.jinja")
    return template.render(
        sheet=sheet,
        columns=ordered(board),
        headline=top,
        dataset=dataset(board),
        sources=Counter(board["source"]),
        axis=axis,
        chance=axis.at(CHANCE),
        bar=lambda row, column: Bar.of(row, column, top.key, axis),
        style=style,
        script=script,
        style_hash=digest(style),
        script_hash=digest(script),
    )


def environment() -> Environment:
    """Autoescaping, and strict about names, for a mistyped one must not become an empty cell."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"breakable": breakable, "harmless": harmless, "sortable": sortable}
    return made


def breakable(name: str) -> Markup:
    """A name that may be broken behind its separators.

    >>> breakable("vllm/Qwen<3>")
    Markup('vllm/<wbr>Qwen&lt;3&gt;')
    """
    return Markup("<wbr>").join(re.split(r"(?<=[/_+])", name))


def ordered(board: pd.DataFrame) -> list[Column]:
    """All columns, the headline and its interval right behind the names, averages before single subsets."""
    every = columns(board)
    names = [column for column in BEFORE if column.key != "n"]
    lead = [headline(board), *(column for column in every if column.format == "interval")]
    parts = sorted(accuracies(board)[:-1], key=lambda column: column.drop)
    first = [*names, *lead, *parts]
    return [*first, *(column for column in every if column not in first)]


def sortable(value: Any) -> str:
    """What the script sorts by: a number in full, text as it is, nothing for a missing value."""
    return harmless(value) if isinstance(value, str) else "" if pd.isna(value) else repr(value)


def digest(text: str) -> str:
    """The source expression of a content security policy that allows exactly this inline text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
