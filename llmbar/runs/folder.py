"""A run's folder: `manifest.json`, `pairs.jsonl`, `judgments.jsonl` as they arrive; sealed with `judgments.parquet` and
`summary.json`.

Files are replaced whole (written beside, then renamed), except the journal of judgments, to which lines are added: of a
run that was killed, all but the line it was writing is there.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from pydantic import ValidationError
from pydantic_core import from_json

from llmbar.errors import RunError
from llmbar.records import Judgment, Pair
from llmbar.runs.manifest import Asked, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Key = tuple[str, str, str, str, int]
"""Judge, strategy, data set, pair, repeat: what makes a judgment one."""


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._journal: IO[bytes] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing run.

        Raises:
            RunError: there is none, or its manifest cannot be read.
        """
        file = Path(path) / "manifest.json"
        try:
            return cls(Path(path), Manifest.model_validate_json(file.read_bytes()))
        except FileNotFoundError:
            raise RunError("is no run", file=path, remedy="llmbar ls runs lists them") from None
        except ValidationError as error:
            raise RunError(f"not a manifest: {error.errors()[0]['msg']}", file=file) from None

    @classmethod
    def begin(cls, path: Path, asked: Asked, pairs: Iterable[Pair], now: str) -> Self:
        """Make the folder of a new run, or open the one that asks the same."""
        if (path / "manifest.json").is_file():
            return cls.open(path)
        path.mkdir(parents=True, exist_ok=True)
        with replacing(path / "pairs.jsonl") as file:
            file.writelines(pair.model_dump_json(exclude_defaults=True).encode() + b"\n" for pair in pairs)
        folder = cls(path, Manifest.begin(asked, now))
        folder.keep_manifest(folder.manifest)
        return folder

    def keep_manifest(self, manifest: Manifest) -> None:
        self.manifest = manifest
        with replacing(self.path / "manifest.json") as file:
            file.write(manifest.model_dump_json(indent=1).encode())

    # -- judgments --------------------------------------------------------------------------------------------------

    def resume(self) -> set[Key]:
        """Which judgments need not be asked for again; failed ones and a half-written line are dropped."""
        done: set[Key] = set()
        with replacing(self._file) as kept:
            for line, judgment in self._lines():
                if judgment["final"] != "failed":
                    done.add(key_of(judgment))
                    kept.write(line)
        return done

    def add(self, judgment: Judgment) -> None:
        """Add a judgment to the journal; it is with the operating system when this returns."""
        if self._journal is None:
            self._journal = self._file.open("ab", buffering=0)
        self._journal.write(judgment.model_dump_json(exclude_defaults=True).encode() + b"\n")

    def empty(self) -> None:
        """Forget all judgments."""
        self._file.write_bytes(b"")

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def judgments(self) -> Iterator[Judgment]:
        """All judgments, as they stand in the journal.

        Raises:
            RunError: a line is damaged (file and line).
        """
        for number, (line, _) in enumerate(self._lines(), 1):
            try:
                yield Judgment.model_validate_json(line)
            except ValidationError as error:
                raise RunError(f"not a judgment: {error.errors()[0]['msg']}", file=self._file, line=number) from None

    def pairs(self) -> Iterator[Pair]:
        with (self.path / "pairs.jsonl").open("rb") as file:
            for line in file:
                yield Pair.model_validate_json(line)

    def seal(self, keys: Mapping[Key, int]) -> list[dict[str, Any]]:
        """Put the journal into the order of `keys`, and return its judgments as flat rows in that order."""
        self.close()
        places: list[tuple[int, int, int]] = []
        rows: dict[int, dict[str, Any]] = {}
        start = 0
        for line, judgment in self._lines():
            place = keys[key_of(judgment)]
            places.append((place, start, len(line)))
            rows[place] = flat(judgment)
            start += len(line)
        places.sort()
        with self._file.open("rb") as journal, replacing(self._file) as ordered:
            for _, offset, length in places:
                journal.seek(offset)
                ordered.write(journal.read(length))
        return [rows[place] for place, _, _ in places]

    @property
    def _file(self) -> Path:
        return self.path / "judgments.jsonl"

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Whole lines and what they hold; a last line without an end was being written when a run was killed."""
        if not self._file.is_file():
            return
        with self._file.open("rb") as journal:
            for number, line in enumerate(journal, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield line, from_json(line)
                except ValueError as error:
                    raise RunError(f"not JSON: {error}", file=self._file, line=number) from None

    # -- summary ----------------------------------------------------------------------------------------------------

    def keep_summary(self, summary: Mapping[str, object]) -> None:
        with replacing(self.path / "summary.json") as file:
            file.write(json.dumps(summary, indent=1, allow_nan=False).encode())


def find_runs(results: Path) -> list[RunFolder]:
    """All runs in a results folder, oldest first."""
    folders = [RunFolder.open(file.parent) for file in results.glob("*/manifest.json")]
    return sorted(folders, key=lambda folder: folder.manifest.created)


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
