"""CSV and JSON: the board in full precision, for programs and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmbar.tables.cells import harmless
from llmbar.tables.columns import headline
from llmbar.tables.notes import dataset

if TYPE_CHECKING:
    from llmbar.tables.sheet import Sheet


def as_csv(sheet: Sheet) -> str:
    """One header and one line per row; rates are fractions, an empty cell is a missing number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(guarded, sheet.board.columns))
    writer.writerows([guarded(value) for value in row] for row in sheet.board.to_numpy(dtype=object))
    return text.getvalue()


def guarded(value: Any) -> Any:
    """A CSV cell that no spreadsheet takes for a formula; numbers stay as they are.

    >>> guarded("=cmd|' /C calc'!A0"), guarded(-0.1)
    ("'=cmd|' /C calc'!A0", -0.1)
    """
    if not isinstance(value, str):
        return "" if pd.isna(value) else value
    text = harmless(value)
    return f"'{text}" if unicodedata.normalize("NFKC", text[:1]) in {"=", "+", "-", "@", "\t", "\r"} else text


def as_json(sheet: Sheet) -> str:
    """An object of `meta` (what the columns mean, how the numbers were made) and `rows`; null is a missing number."""
    own = next(row for row in sheet.rows if row["source"] != "published")
    provenance = sheet.provenance
    bootstrap = {"seed": provenance.seed, "resamples": provenance.resamples}
    meta = {
        "title": sheet.title,
        "dataset": dataset(sheet.board),
        "headline": headline(sheet.board).head,
        "ties_policy": own["ties_policy"],
        "unreadable_policy": own["unreadable_policy"],
        "interval": {"level": 0.95, "method": "BCa cluster bootstrap", **bootstrap},
        "version": provenance.version,
        "date": provenance.date,
        "data": provenance.data,
        "columns": [
            {"keys": [harmless(key) for key in column.keys], "head": column.head, "explain": column.explain}
            | {"format": column.format, "better": column.better}
            for column in sheet.columns
        ],
        "notes": sheet.notes,
    }
    rows = [{harmless(key): _value(value) for key, value in row.items()} for row in sheet.rows]
    return json.dumps({"meta": meta, "rows": rows}, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _value(value: Any) -> str | float | None:
    if isinstance(value, str):
        return harmless(value)
    return None if pd.isna(value) else value
