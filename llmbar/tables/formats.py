"""A board in the format that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmbar.errors import UsageError, suggestion
from llmbar.tables.latex import latex
from llmbar.tables.markdown import markdown
from llmbar.tables.plain import as_csv, as_json
from llmbar.tables.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from llmbar.tables.notes import Provenance


def html(sheet: Sheet) -> str:
    """One self-contained page."""
    from llmbar.site.leaderboard import leaderboard_page  # pages stand on this package, so it cannot import them first

    return leaderboard_page(sheet)


FORMATS: dict[str, Callable[[Sheet], str]] = {
    "md": markdown,
    "latex": latex,
    "csv": as_csv,
    "json": as_json,
    "html": html,
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
    return FORMATS[format](Sheet.of(board, title, notes, provenance))
