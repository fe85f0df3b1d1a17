"""GitHub-flavoured Markdown: numbers aligned right, the best in bold, baselines in italics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmbar.tables.columns import cell

if TYPE_CHECKING:
    from llmbar.tables.columns import Column, Row
    from llmbar.tables.sheet import Sheet

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_SPECIAL = re.compile(r"[\\`*|~$#]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
"""Underscores within words emphasise nothing, and brackets are a link only in company: both stay readable."""
_LINK = re.compile(r"(:)(//)|\b(www)(\.)", re.IGNORECASE)
"""What GitHub makes a link of without being asked."""


def markdown(sheet: Sheet) -> str:
    """A heading, the table and the notes as a list."""
    lines = [
        [inert(column.head) for column in sheet.columns],
        ["---:" if column.numeric else ":---" for column in sheet.columns],
        *([_cell(sheet, column, row) for column in sheet.columns] for row in sheet.rows),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    below = "\n".join(f"- {inert(note)}" for note in sheet.notes)
    return f"## {inert(sheet.title)}\n\n{table}\n\n{below}\n"


def _cell(sheet: Sheet, column: Column, row: Row) -> str:
    text = cell(column, row)
    if row["source"] == "baseline" and column.key == "judge":
        return f"*{inert(text)}*"
    return f"**{inert(text)}**" if sheet.marked(column, row) else inert(text)


def inert(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> inert("a|b <i> Swap_CoT _x_")
    'a\\|b &lt;i&gt; Swap_CoT \\_x\\_'
    """
    escaped = _SPECIAL.sub(r"\\\g<0>", text)
    for letter, entity in _ENTITIES.items():
        escaped = escaped.replace(letter, entity)
    return _LINK.sub(lambda found: "&#58;//" if found[1] else f"{found[3]}&#46;", escaped)
