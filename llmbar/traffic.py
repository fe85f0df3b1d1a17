"""A judge's verdicts on pairs of one's own: unlabelled traffic, and a labelled sample of it.

A file holds one pair per row, in any format of pair sets (CSV, JSONL, JSON, Parquet): the column `verdict` says what
the judge preferred, and in a labelled sample `gold` says what is true. Both speak of output 1: `1` or `win`, `2` or
`loss`, `tie`; a verdict may also be `unreadable` or `failed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmbar.errors import LlmbarError, UsageError, suggestion
from llmbar.pairs.formats import read_rows
from llmbar.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from llmbar.pairs.formats import Row

FIELDS = ("verdict", "gold")

_PREFERENCES = {"1": Verdict.ONE, "win": Verdict.ONE, "2": Verdict.TWO, "loss": Verdict.TWO, "tie": Verdict.TIE}
_VERDICTS = _PREFERENCES | {"unreadable": Verdict.UNREADABLE, "failed": Verdict.FAILED}


def read_verdicts(path: Path, fields: Mapping[str, str] | None = None) -> list[Verdict]:
    """The verdicts of a file, in its order; `fields` says which column holds which field, where its name does not.

    Raises:
        LlmbarError: the file cannot be read, a row lacks the column, or a value is none of those above.
    """
    column = _columns(fields)["verdict"]
    return [_value(row, column, _VERDICTS, path) for row in _rows(path)]


def read_labelled(path: Path, fields: Mapping[str, str] | None = None) -> tuple[list[Verdict], list[Verdict]]:
    """The verdicts of a labelled sample, and what is true.

    Raises:
        LlmbarError: as `read_verdicts`.
    """
    columns = _columns(fields)
    rows = list(_rows(path))
    verdicts = [_value(row, columns["verdict"], _VERDICTS, path) for row in rows]
    return verdicts, [_value(row, columns["gold"], _PREFERENCES, path) for row in rows]


def _columns(fields: Mapping[str, str] | None) -> dict[str, str]:
    for field in fields or {}:
        if field not in FIELDS:
            raise UsageError(f"there is no field {field!r}", field="--field", remedy=suggestion(field, FIELDS))
    return {field: field for field in FIELDS} | dict(fields or {})


def _rows(path: Path) -> Iterator[Row]:
    for row in read_rows(path):
        if isinstance(row, LlmbarError):
            raise row
        yield row


def _value(row: Row, column: str, words: Mapping[str, Verdict], path: Path) -> Verdict:
    if column not in row.values:
        known = suggestion(column, row.values)
        raise UsageError("no such column", file=path, line=row.line, field=column, remedy=f"{known}; or use --field")
    verdict = words.get(_word(row.values[column]))
    if verdict is None:
        told = "is missing" if row.values[column] in {None, ""} else f"cannot be {row.values[column]!r}"
        raise UsageError(told, file=path, line=row.line, field=column, remedy=f"write {', '.join(words)}")
    return verdict


def _word(value: Any) -> str:
    """A value as a word: 1, 1.0 and "1.0", too, are "1"; true and false are none."""
    word = "" if isinstance(value, bool) else str(value).strip().lower()
    return word.removesuffix(".0")
