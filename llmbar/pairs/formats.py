"""JSON, JSONL, CSV and Parquet → rows, each with the line on which it begins.

A bad row is yielded as the `PairError` that it is, and reading goes on; a file that cannot be read any further ends
with one.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, BinaryIO

from llmbar.errors import PairError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLES = frozenset({".csv", ".parquet"})
"""Suffixes of the formats whose rows all have the same columns."""

_WHOLE = "get the whole file again"


@dataclass(frozen=True, slots=True)
class Row:
    """One record: column → value. In Parquet, which has no lines, `line` counts rows from 1."""

    line: int
    values: dict[str, Any]


def read_rows(path: Path) -> Iterator[Row | PairError]:
    """The rows of a file, in its order and as it is read; JSON alone is read at once."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        yield PairError(f"unknown kind of file {path.suffix!r}", file=path, remedy=f"use {', '.join(_READERS)}")
        return
    try:
        yield from reader(path)
    except PairError as error:
        yield error
    except OSError as error:
        yield PairError(f"cannot be read: {error.strerror or error}", file=path)


def kind(value: object) -> str:
    """What a value is, in JSON's words."""
    return _KINDS.get(type(value), "a number")


_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    type(None): "null",
}


def _json(path: Path) -> Iterator[Row | PairError]:
    text = _decoded(path.read_bytes(), path)
    at = _after_space(text, 0)
    if not text.startswith("[", at):
        what = "is no list of pairs" if text[at:] else "is empty"
        raise PairError(what, file=path, remedy="write [{…}, {…}], or one {…} per line in a .jsonl file")
    decode = json.JSONDecoder().raw_decode
    line, counted = 1, 0
    at = _after_space(text, at + 1)
    more = not text.startswith("]", at)
    while more:
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decode(text, at)
            at = _after_space(text, end)
            more = text.startswith(",", at)
            if not more and not text.startswith("]", at):
                raise json.JSONDecodeError("expected , or ]", text, at)
        except (ValueError, RecursionError) as error:
            raise _not_json(error, path, text, line) from None
        yield _row(value, path, line)
        at = _after_space(text, at + 1) if more else at
    if text[_after_space(text, at + 1) :]:
        raise PairError("goes on behind the list's closing ]", file=path, remedy="keep one list per file")


def _jsonl(path: Path) -> Iterator[Row | PairError]:
    offset = 0
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            try:
                text = _decoded(raw, path, line, offset)
                if text.strip():
                    yield _row(json.loads(text), path, line)
            except PairError as error:
                yield error
            except (ValueError, RecursionError) as error:
                cut = not raw.endswith(b"\n") and not raw.rstrip().endswith(b"}")
                what = "the file is cut off inside this record" if cut else f"is not JSON: {_fault(error)}"
                yield PairError(what, file=path, line=line, remedy=_WHOLE if cut else "write one {…} per line")
            offset += len(raw)


def _csv(path: Path) -> Iterator[Row | PairError]:
    csv.field_size_limit(2**31 - 1)
    with path.open("rb") as file:
        reader = csv.reader(_lines(file, path), strict=True)
        line = 1
        try:
            header = next(reader)
            if len(set(header)) < len(header):
                raise PairError("two columns have one name", file=path, line=1, remedy="rename one of them")
            while True:
                line = reader.line_num + 1
                cells = next(reader)
                if len(cells) > len(header):
                    many = f"has {len(cells)} cells, the header {len(header)}"
                    yield PairError(many, file=path, line=line, remedy="put text that holds commas in double quotes")
                elif cells:
                    yield Row(line, dict(zip_longest(header, cells)))
        except StopIteration:
            return
        except csv.Error as error:
            cut = "end of data" in str(error)
            what = "the file is cut off inside this record" if cut else f"is not CSV: {error}"
            raise PairError(what, file=path, line=line, remedy=_WHOLE if cut else None) from None


def _parquet(path: Path) -> Iterator[Row | PairError]:
    import pyarrow as pa
    from pyarrow import parquet

    line = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    line += 1
                    yield Row(line, values)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise PairError(f"is not a whole Parquet file: {_first_line(error)}", file=path, remedy=_WHOLE) from None


_READERS = {".json": _json, ".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}

_SPACE = re.compile(r"[ \t\r\n]*")


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _row(value: object, path: Path, line: int) -> Row | PairError:
    if isinstance(value, dict):
        return Row(line, value)
    return PairError(f"the record is {kind(value)}, not an object", file=path, line=line, remedy="write {…}")


def _not_json(error: Exception, path: Path, text: str, line: int) -> PairError:
    """What is wrong with a list that breaks in the record that begins on `line`."""
    if not text.rstrip().endswith("]"):
        last = text.count("\n") + 1
        return PairError(f"the file is cut off: it ends on line {last}", file=path, line=line, remedy=_WHOLE)
    line = error.lineno if isinstance(error, json.JSONDecodeError) else line
    return PairError(f"is not JSON: {_fault(error)}", file=path, line=line, remedy="mend or remove this record")


def _fault(error: Exception) -> str:
    return f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else _first_line(error)


def _lines(file: BinaryIO, path: Path) -> Iterator[str]:
    offset = 0
    for number, raw in enumerate(file, 1):
        yield _decoded(raw, path, number, offset)
        offset += len(raw)


def _decoded(raw: bytes, path: Path, line: int = 1, offset: int = 0) -> str:
    """UTF-8 text, without the mark that some editors put at the beginning of a file."""
    try:
        return raw.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        where = f"byte {offset + error.start} (0x{raw[error.start]:02x}) is not UTF-8"
        line += raw.count(b"\n", 0, error.start)
        raise PairError(where, file=path, line=line, remedy="save the file as UTF-8") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
