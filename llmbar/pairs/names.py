"""What a user may call a pair set: one of the names below, or a path."""

from __future__ import annotations

from pathlib import Path

from llmbar.errors import UsageError, suggestion
from llmbar.files import data_folder
from llmbar.pairs.layout import PairFile, pair_file, pair_files
from llmbar.pairs.official import SETS, find_official


def _official() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for path in SETS:
        top, *parts = path.split("/")[1:-1]
        for name in (top, *(f"{top}/{part}" for part in parts)):
            names.setdefault(name.casefold(), []).append(path)
    return names


_OFFICIAL = _official()
_STARTER = [name.replace("llmbar", "starter") for name in _OFFICIAL if name.startswith("llmbar")]

NAMES = (*_STARTER, *_OFFICIAL)
"""Every name, in lower case: `starter`, `llmbar`, `llmbar/adversarial`, `llmbar/natural`, `casestudy/negation`, …"""


def resolve(source: str | Path) -> tuple[list[PairFile], str]:
    """The files that `source` stands for, and the subset or group of them that is meant ("": all).

    A name wins over a file of the same name: write `./llmbar` for a folder called so.

    Raises:
        UsageError: neither a name nor a path.
        PairError: the files of a name are not on this machine, or a folder holds none.
    """
    name = source.casefold().rstrip("/") if isinstance(source, str) else ""
    if name in _OFFICIAL:
        return [pair_file(find_official(path)) for path in _OFFICIAL[name]], ""
    if name in _STARTER:
        return [PairFile(data_folder() / "starter.jsonl", "starter", "starter")], name.partition("/")[2]
    path = Path(source).expanduser()
    if path.is_dir():
        return pair_files(path), ""
    if path.name == "dataset.json":
        return [pair_file(path)], ""
    if path.is_file() or path.suffix:
        return [PairFile(path, path.stem, path.stem)], ""
    raise UsageError(f"{str(source)!r} is neither a pair set nor a file", field="dataset", remedy=_remedy(name))


def _remedy(name: str) -> str:
    whole = [known for known in NAMES if "/" not in known]
    near = suggestion(name, NAMES)
    return near if near.startswith("did") else f"{suggestion(name, whole)}, or a path"
