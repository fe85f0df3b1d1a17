"""GitHub-flavoured Markdown: numbers aligned right, the best in bold, baselines in italics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmbar.tables.columns import best, cell, columns
from llmbar.tables.notes import notes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from llmbar.tables.columns import Column, Row
    from llmbar.tables.notes import Provenance

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_SPECIAL = re.compile(r"[\\`*|~$#]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
"""Underscores within words emphasise nothing, and brackets are a link only in company: both stay readable."""
_LINK = re.compile(r"(:)(//)|\b(www)(\.)", re.IGNORECASE)
"""What GitHub makes a link of without being asked."""


def markdown(board: pd.DataFrame, title: str, more: Iterable[str], provenance: Provenance) -> str:
    """A heading, the table and the notes as a list."""
    rows, heads = board.to_dict("records"), columns(board)
    marked = {column.key: best(rows, column) for column in heads}
    lines = [
        [inert(column.title) for column in heads],
        ["---:" if column.numeric else ":---" for column in heads],
        *([_cell(column, row, marked[column.key]) for column in heads] for row in rows),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    below = "\n".join(f"- {inert(note)}" for note in notes(board, provenance, more))
    return f"## {inert(title)}\n\n{table}\n\n{below}\n"


def _cell(column: Column, row: Row, best_text: str | None) -> str:
    text = cell(column, row)
    if row["source"] == "baseline" and column.key == "judge":
        return f"*{inert(text)}*"
    return f"**{inert(text)}**" if text == best_text and row["source"] != "baseline" else inert(text)


def inert(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> inert("a|b <i> Swap_CoT _x_")
    'a\\|b &lt;i&gt; Swap_CoT \\_x\\_'
    """
    escaped = _SPECIAL.sub(r"\\\g<0>", text)
    for letter, entity in _ENTITIES.items():
        escaped = escaped.replace(letter, entity)
    return _LINK.sub(lambda found: "&#58;//" if found[1] else f"{found[3]}&#46;", escaped)
