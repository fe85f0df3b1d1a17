"""A run's folder: `manifest.json`, `pairs.jsonl`, `judgments.jsonl` as they arrive; sealed with `judgments.parquet` and
`summary.json`.

Files are replaced whole (written beside, then renamed), except the journal of judgments, to which lines are added: of a
run that was killed, all but the line it was writing is there.
"""

from __future__ import annotations

import json
import os
from array import array
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from pydantic import ValidationError
from pydantic_core import from_json

from llmbar.errors import RunError
from llmbar.records import Judgment, Pair, Verdict
from llmbar.runs.manifest import Asked, Manifest

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows has no such locks
    flock = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Key = tuple[str, str, str, str, int]
"""Judge, strategy, data set, pair, repeat: what makes a judgment one."""

NEEDED = {"judge", "strategy", "dataset", "pair", "final"}
"""What no line of the journal lacks."""

Columns = dict[str, list[Any]]
"""A table, column by column."""


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._adding: IO[bytes] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing run.

        Raises:
            RunError: there is none, or its manifest cannot be read.
        """
        file = Path(path) / "manifest.json"
        try:
            return cls(Path(path), Manifest.model_validate_json(file.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise RunError("is no run", file=path, remedy="llmbar ls runs lists them") from None
        except ValidationError as error:
            raise RunError(f"not a manifest: {_first(error)}", file=file) from None

    @classmethod
    def begin(cls, path: Path, asked: Asked, pairs: Iterable[Pair], now: str) -> Self:
        """Make the folder of a new run, or open the one that asks the same.

        Raises:
            RunError: the folder holds a run that asks something else.
        """
        if (path / "manifest.json").is_file():
            folder = cls.open(path)
            if folder.manifest.asked != asked:
                raise RunError("holds another run", file=path, remedy="move it away")
            return folder
        path.mkdir(parents=True, exist_ok=True)
        with replacing(path / "pairs.jsonl") as file:
            file.writelines(pair.model_dump_json(exclude_defaults=True).encode() + b"\n" for pair in pairs)
        folder = cls(path, Manifest.begin(asked, now))
        folder.keep_manifest(folder.manifest)
        return folder

    def note(self, **told: object) -> None:
        """Change some fields of the manifest."""
        self.keep_manifest(self.manifest.model_copy(update=told))

    @property
    def sealed(self) -> bool:
        """Whether all was judged and added up at least once, with failures or without."""
        files = self.table, self.summary
        return self.manifest.state != "running" and all(file.is_file() for file in files)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask."""
        return self.sealed and self.manifest.state == "complete"

    @property
    def table(self) -> Path:
        return self.path / "judgments.parquet"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def journal(self) -> Path:
        return self.path / "judgments.jsonl"

    def keep_manifest(self, manifest: Manifest) -> None:
        self.manifest = manifest
        with replacing(self.path / "manifest.json") as file:
            file.write(manifest.model_dump_json(indent=1).encode())

    def keep_summary(self, summary: Mapping[str, object]) -> None:
        with replacing(self.summary) as file:
            file.write(json.dumps(summary, indent=1, allow_nan=False).encode())

    # -- pairs ------------------------------------------------------------------------------------------------------

    def pairs(self) -> Iterator[Pair]:
        """The pairs that are judged.

        Raises:
            RunError: they are missing, or a line is damaged (file and line).
        """
        path = self.path / "pairs.jsonl"
        if not path.is_file():
            raise RunError("is missing", file=path)
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield Pair.model_validate_json(line)
                except ValidationError as error:
                    raise RunError(f"not a pair: {_first(error)}", file=path, line=number) from None

    # -- judgments --------------------------------------------------------------------------------------------------

    def resume(self) -> set[Key]:
        """Which judgments need not be asked for again; failed ones and a half-written line are dropped."""
        done: set[Key] = set()
        with replacing(self.journal) as kept:
            for line, judgment in self._lines():
                if judgment["final"] != Verdict.FAILED and (key := key_of(judgment)) not in done:
                    done.add(key)
                    kept.write(line)
        return done

    def add(self, judgment: Judgment) -> None:
        """Add a judgment to the journal; it is with the operating system when this returns."""
        if self._adding is None:
            self._adding = self.journal.open("ab")
        self._adding.write(_line(judgment))
        self._adding.flush()

    def rewrite(self, judgments: Iterable[Judgment]) -> None:
        """Replace the whole journal."""
        with replacing(self.journal) as file:
            file.writelines(map(_line, judgments))

    def close(self) -> None:
        if self._adding is not None:
            self._adding.close()
            self._adding = None

    def judgments(self) -> Iterator[Judgment]:
        """All judgments, as they stand in the journal.

        Raises:
            RunError: a line is damaged (file and line).
        """
        for number, (line, _) in enumerate(self._lines(), 1):
            try:
                yield Judgment.model_validate_json(line)
            except ValidationError as error:
                raise RunError(f"not a judgment: {_first(error)}", file=self.journal, line=number) from None

    def seal(self, place: Callable[[Key], int]) -> Columns:
        """Put the journal into the order of `place`, and return its judgments as columns in that order.

        Rows are never held as such: of a million judgments a few hundred bytes each are in memory.
        """
        self.close()
        columns: Columns = {}
        places, starts = array("q"), array("q", [0])
        for line, judgment in self._lines():
            places.append(place(key_of(judgment)))
            starts.append(starts[-1] + len(line))
            for name, value in flat(judgment).items():
                columns.setdefault(name, []).append(value)
        order = sorted(range(len(places)), key=places.__getitem__)
        with self.journal.open("rb") as journal, replacing(self.journal) as ordered:
            for number in order:
                journal.seek(starts[number])
                ordered.write(journal.readline())
        for name, values in columns.items():
            columns[name] = [values[number] for number in order]
        return columns

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Whole lines and what they hold; a last line without an end was being written when a run was killed."""
        if not self.journal.is_file():
            return
        with self.journal.open("rb") as journal:
            for number, line in enumerate(journal, 1):
                if not line.endswith(b"\n"):
                    return
                yield line, self._read(line, number)

    def _read(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            found = from_json(line)
        except ValueError:
            found = None
        if not (isinstance(found, dict) and found.keys() >= NEEDED):
            raise RunError("not a judgment", file=self.journal, line=number, remedy="delete the line and run again")
        return found


def find_runs(results: Path) -> list[RunFolder]:
    """All runs in a results folder, oldest first; a folder whose manifest cannot be read is none."""
    folders = []
    for file in sorted(results.glob("*/manifest.json")):
        with suppress(RunError):
            folders.append(RunFolder.open(file.parent))
    return sorted(folders, key=lambda folder: folder.manifest.created)


@contextmanager
def at_work(path: Path) -> Iterator[None]:
    """Keep a run's folder, made where there is none, to oneself; the lock goes with the process, however that ends.

    Raises:
        RunError: another process, or another task of this one, is at work on it.
    """
    path.mkdir(parents=True, exist_ok=True)
    if flock is None:
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        flock(handle, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        raise RunError("another llmbar is at work on this run", file=path, remedy="wait until it has ended") from None
    except OSError:
        pass  # a file system without locks: two at once are then the user's own care


def key_of(judgment: Mapping[str, Any]) -> Key:
    return (
        judgment["judge"],
        judgment["strategy"],
        judgment["dataset"],
        judgment["pair"],
        judgment.get("repeat", 0),
    )


def flat(judgment: Mapping[str, Any]) -> dict[str, Any]:
    """A judgment as one row: without its replies, but with how many there were and their tokens."""
    replies: Sequence[Mapping[str, Any]] = judgment.get("replies", ())
    usages = [reply.get("usage", {}) for reply in replies]
    row = {name: judgment.get(name) for name in Judgment.model_fields if name != "replies"}
    return row | {
        "group": judgment.get("group", ""),
        "repeat": judgment.get("repeat", 0),
        "requests": len(replies),
        "prompt_tokens": sum(usage.get("prompt_tokens", 0) for usage in usages),
        "completion_tokens": sum(usage.get("completion_tokens", 0) for usage in usages),
    }


def _line(judgment: Judgment) -> bytes:
    return judgment.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    what = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, what['loc']))}: {what['msg']}" if what["loc"] else what["msg"]


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file written beside `path` that takes its place, durably, when the context ends well."""
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
