"""Servers that outlived whoever started them: found by their notes, and ended by the next start.

A keeper ends its server however llmbar ends. Only where the keeper itself was killed can a server be left; its note is
then left, too. Nothing is ended but what surely is ours: number and time of the start must be those of the note, or,
where the server is gone and its engine is left, the number of the session and the name. Where the system does not tell
(there is no /proc), nothing is ended.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from llmbar.judges.vllm.keeper import boot, end_group, started

if TYPE_CHECKING:
    from collections.abc import Iterator


def notes_folder() -> Path:
    """Where keepers leave their notes: the user's cache folder, on this machine."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "llmbar" / "servers" / platform.node()


def new_note() -> Path:
    """A file for one keeper's note."""
    folder = notes_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{uuid4().hex}.json"


def end_orphans() -> list[int]:
    """End the servers whose keepers are gone; their numbers."""
    ended = []
    for note in sorted(notes_folder().glob("*.json")):
        told = _read(note)
        if told is None or _alive(told["keeper"]):
            continue
        if told["boot"] == boot() and _is_ours(told["server"]):
            end_group(told["server"][0])
            ended.append(told["server"][0])
        note.unlink(missing_ok=True)
    return ended


def _read(note: Path) -> dict[str, Any] | None:
    """What a note says; None where it is just being written, or was never finished."""
    try:
        told = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.keys() >= {"boot", "keeper", "server"} else None


def _alive(process: list[int]) -> bool:
    return 0 < process[1] == started(process[0])


def _is_ours(server: list[int]) -> bool:
    """Whether the server runs, or it is gone and its engine is left: a session of its number, and a vLLM in it."""
    if started(server[0]):
        return _alive(server)
    return any(_session(process) == server[0] and "vllm" in _command(process) for process in _processes())


def _processes() -> Iterator[Path]:
    return Path("/proc").glob("[0-9]*")


def _session(process: Path) -> int:
    try:
        return int((process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[3])
    except OSError:
        return 0


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text("utf-8", "replace").lower()
    except OSError:
        return ""
