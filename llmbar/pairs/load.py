"""The two questions asked of a pair set: give me its pairs, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmbar.errors import PairError, UsageError, suggestion
from llmbar.pairs.check import Problem, check_files
from llmbar.pairs.names import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from llmbar.records import Pair


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that is to be said of a pair set."""

    pairs: list[Pair] = field(default_factory=list)
    """All that could be read, the flawed ones among them."""
    errors: list[PairError] = field(default_factory=list)
    """What keeps `load_pairs` from loading the set."""
    warnings: list[PairError] = field(default_factory=list)
    """What it tolerates."""


def load_pairs(
    source: str | Path,
    *,
    subsets: Iterable[str] | None = None,
    limit: int | None = None,
    fields: Mapping[str, str] | None = None,
) -> list[Pair]:
    """The pairs of a named set (`names.NAMES`), of a folder in LLMBar's layout, or of a file.

    Args:
        source: a name, else a path to a folder or to a .json, .jsonl, .csv or .parquet file.
        subsets: names of subsets or groups, in any case; None takes all.
        limit: the first so many pairs; what comes after them is neither read nor checked.
        fields: field → column, for a file whose columns are called otherwise: `{"instruction": "question"}`.

    Raises:
        PairError: the first thing that is wrong: with its file, line and remedy.
        UsageError: an unknown name, subset or field.

    >>> [pair.id for pair in load_pairs("starter/natural", limit=2)]
    ['natural-001', 'natural-002']
    """
    if limit is not None and limit < 1:
        raise UsageError(f"{limit} pairs are none", field="limit", remedy="ask for 1 or more")
    files, part = resolve(source)
    wanted = {name.casefold() for name in ([subsets] if isinstance(subsets, str) else subsets or ())}
    pairs: list[Pair] = []
    known: dict[str, str] = {}
    for found in check_files(files, fields):
        if isinstance(found, Problem):
            if not found.tolerated:
                raise found.error
            continue
        own = _names(found)
        if part and part not in own:
            continue
        known |= own
        if not wanted or not wanted.isdisjoint(own):
            pairs.append(found)
            if len(pairs) == limit:
                return pairs
    if unknown := sorted(wanted - known.keys()):
        remedy = suggestion(unknown[0], known.values())
        raise UsageError(f"{source} has no subset called {unknown[0]}", field="subsets", remedy=remedy)
    if not pairs:
        raise PairError("holds no pairs", file=source)
    return pairs


def find_problems(source: str | Path, *, fields: Mapping[str, str] | None = None) -> Findings:
    """Everything that is wrong with a pair set, at once, and the pairs that could be read.

    Raises:
        PairError: the set is not on this machine, or the folder holds none.
        UsageError: an unknown name or field.
    """
    files, part = resolve(source)
    findings = Findings()
    for found in check_files(files, fields):
        if isinstance(found, Problem):
            (findings.warnings if found.tolerated else findings.errors).append(found.error)
        elif not part or part in _names(found):
            findings.pairs.append(found)
    if not findings.pairs and not findings.errors:
        findings.errors.append(PairError("holds no pairs", file=source))
    return findings


def _names(pair: Pair) -> dict[str, str]:
    """By what names a pair may be asked for: folded → as written."""
    return {name.casefold(): name for name in (pair.subset, pair.group) if name}
