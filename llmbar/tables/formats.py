"""A board in the format that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llmbar.errors import UsageError, suggestion
from llmbar.site.leaderboard import leaderboard_page
from llmbar.tables.cells import harmless
from llmbar.tables.latex import latex
from llmbar.tables.markdown import markdown
from llmbar.tables.notes import Provenance
from llmbar.tables.plain import as_csv, as_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd


class Writer(Protocol):
    """A format: a board, the title, further notes and the provenance become text."""

    def __call__(self, board: pd.DataFrame, title: str, more: Iterable[str], provenance: Provenance) -> str: ...


FORMATS: dict[str, Writer] = {
    "md": markdown,
    "latex": latex,
    "csv": as_csv,
    "json": as_json,
    "html": leaderboard_page,
}


def render_board(
    board: pd.DataFrame,
    format: str,  # noqa: A002  the flag's name
    *,
    title: str = "Leaderboard",
    notes: Iterable[str] = (),
    provenance: Provenance | None = None,
) -> str:
    """A board as `md`, `latex`, `csv`, `json` or `html`; equal arguments give equal text.

    All but CSV say below the table what the numbers mean, `notes` last. CSV and JSON hold fractions in full precision.

    Raises:
        UsageError: no such format.
    """
    if format not in FORMATS:
        raise UsageError(f"no format is called {format!r}", field="format", remedy=suggestion(format, FORMATS))
    return FORMATS[format](board, harmless(title), list(notes), provenance or Provenance())
