"""Leaderboards: a summary becomes one wide table, and the table becomes text.

They read in this order: `board` (a summary becomes a leaderboard, one row per judge and strategy), `columns` (what each
column is called, means and looks like: the one place for all formats), `notes` (what stands below every table), `cells`
(foreign text made harmless), `sheet` (all of it together) and one file per format.

    table = board(summarize(frame), published=published())
    print(render_board(table, "md"))
"""

from __future__ import annotations

from llmbar.tables.board import board
from llmbar.tables.columns import Column, columns
from llmbar.tables.formats import FORMATS, render_board
from llmbar.tables.notes import Provenance
from llmbar.tables.terminal import rich_table

__all__ = ["FORMATS", "Column", "Provenance", "board", "columns", "render_board", "rich_table"]
