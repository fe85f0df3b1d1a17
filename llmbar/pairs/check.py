"""Row → pair, or everything that is wrong with it.

What LLMBar's official files (recognised by their SHA-256) do against these rules is tolerated: LLMEval^2 has an empty
output and two identical ones, MT-Bench and the base-9 and base-10 sets hold some pairs twice, with outputs exchanged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from llmbar.errors import PairError, UsageError, suggestion
from llmbar.pairs.formats import TABLES, kind, read_rows
from llmbar.pairs.official import is_official
from llmbar.records import Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from llmbar.pairs.formats import Row
    from llmbar.pairs.layout import PairFile

FIELDS = {
    "id": ("id",),
    "instruction": ("instruction", "input", "prompt"),
    "output_1": ("output_1",),
    "output_2": ("output_2",),
    "gold": ("gold", "label"),
    "subset": ("subset",),
    "group": ("group",),
    "why": ("why",),
}
"""What a row tells of its pair, and the columns in which it is looked for; other columns become provenance."""

_TEXTS = ("instruction", "output_1", "output_2")
_NEEDED = (*_TEXTS, "gold")
_LABELS: dict[object, int] = {1: 1, 2: 2, "1": 1, "2": 2}
_LETTERS: dict[object, int] = _LABELS | {"A": 1, "B": 2}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and whether it is only worth knowing."""

    error: PairError
    tolerated: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pair stands."""

    path: Path
    line: int

    def error(self, message: str, field: str | None = None, remedy: str | None = None) -> PairError:
        return PairError(message, file=self.path, line=self.line, field=field, remedy=remedy)

    def seen_from(self, other: Place) -> str:
        return f"line {self.line}" if self.path == other.path else f"{self.path}:{self.line}"


def check_files(files: Iterable[PairFile], fields: Mapping[str, str] | None = None) -> Iterator[Pair | Problem]:
    """The pairs of `files`, each preceded by what is wrong with it; one pass, linear in the number of pairs.

    Args:
        files: read in turn; ids and pairs must be unique over all of them.
        fields: field → the column that holds it, where a file has names of its own. With `gold` among them, the
            letters A and B are understood as well as 1 and 2.

    Raises:
        UsageError: `fields` names something that pairs do not have.
    """
    columns, seen = Columns(dict(fields or {})), Seen()
    for file in files:
        tolerant = is_official(file.path)
        for index, row in enumerate(read_rows(file.path)):
            if isinstance(row, PairError):
                yield Problem(row)
                continue
            place = Place(file.path, row.line)
            found = columns.of(row, place)
            if isinstance(found, list):
                yield from map(Problem, found)
                if file.path.suffix.lower() in TABLES:
                    break  # a column that one row of a table lacks, all of them lack
                continue
            pair = _pair(row, found, file, index, place, labels=columns.labels)
            if isinstance(pair, list):
                yield from map(Problem, pair)
                continue
            flaws = (*_flaws(pair, found, place), *seen.again(pair, place))
            yield from (Problem(error, tolerant) for error in flaws)
            yield from (Problem(error, tolerated=True) for error in _oddities(pair, found, place))
            yield pair


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a row holds which field."""

    given: dict[str, str]
    _known: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for own in self.given:
            if own not in FIELDS:
                raise UsageError(f"pairs have no field {own!r}", field="fields", remedy=suggestion(own, FIELDS))

    @property
    def labels(self) -> dict[object, int]:
        """What the gold label may read, and the output it stands for."""
        return _LETTERS if "gold" in self.given else _LABELS

    def of(self, row: Row, place: Place) -> dict[str, str] | list[PairError]:
        """Field → column, or what is missing or in doubt; worked out once for rows with the same columns."""
        names = tuple(row.values)
        if names in self._known:
            return self._known[names]
        found = {own: [name for name in self._candidates(own) if name in names] for own in FIELDS}
        errors = [
            place.error("is missing", self.given.get(own, own), f"columns here: {', '.join(names)}; or map {own}=…")
            for own in FIELDS
            if not found[own] and (own in _NEEDED or own in self.given)
        ]
        errors += [
            place.error(f"stands in {' and in '.join(several)}", own, f"say which: {own}={several[0]}")
            for own, several in found.items()
            if len(several) > 1
        ]
        if errors:
            return errors
        return self._known.setdefault(names, {own: several[0] for own, several in found.items() if several})

    def _candidates(self, own: str) -> tuple[str, ...]:
        return (self.given[own],) if own in self.given else FIELDS[own]


@dataclass(frozen=True, slots=True)
class Seen:
    """Which ids and pairs came before, and where."""

    ids: dict[str, Place] = field(default_factory=dict)
    pairs: dict[tuple[str, ...], tuple[Place, str]] = field(default_factory=dict)

    def again(self, pair: Pair, place: Place) -> Iterator[PairError]:
        """What `pair` repeats: an id, or an instruction with the same two outputs in either order."""
        if (earlier := self.ids.setdefault(pair.id, place)) is not place:
            yield place.error(f"{pair.id!r} is the id of {earlier.seen_from(place)} too", "id", "make ids unique")
        better = pair.output_1 if pair.gold == 1 else pair.output_2
        key = (pair.instruction, *sorted((pair.output_1, pair.output_2)))
        earlier, preferred = self.pairs.setdefault(key, (place, better))
        if earlier is not place:
            contrary = "" if preferred == better else ", with the other output preferred"
            yield place.error(f"the same pair as on {earlier.seen_from(place)}{contrary}", remedy="keep one of them")


def _pair(
    row: Row, columns: dict[str, str], file: PairFile, index: int, place: Place, *, labels: dict[object, int]
) -> Pair | list[PairError]:
    own = {field: row.values[name] for field, name in columns.items()}
    used = columns.values()
    subset = _text(own.get("subset")) or file.subset
    try:
        return Pair(
            id=_text(own.get("id")) or f"{subset}/{index}",
            dataset=file.dataset,
            group=_text(own.get("group")) or file.group,
            subset=subset,
            instruction=own["instruction"],
            output_1=own["output_1"],
            output_2=own["output_2"],
            gold=_label(own["gold"], labels),
            why=_text(own.get("why")),
            provenance={name: _text(it) for name, it in row.values.items() if name not in used and it is not None},
        )
    except ValidationError as error:
        return [_told(detail, columns, place) for detail in error.errors()]


def _text(value: object) -> str:
    """Any value as text; what is not there is empty."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _label(value: Any, labels: dict[object, int]) -> Any:
    """1 or 2, or, for the record to refuse, what stands there instead. Python's True equals 1, a label does not."""
    if isinstance(value, bool):
        return str(value)
    key = value.strip().upper() if isinstance(value, str) else value
    return labels.get(key, value) if isinstance(key, str | int | float) else value


def _told(detail: ErrorDetails, columns: dict[str, str], place: Place) -> PairError:
    """A record's refusal of a value, in the words of the file."""
    own, value = str(detail["loc"][0]), detail["input"]
    name = columns.get(own, own)
    if value is None:
        return place.error("is missing", name, "every pair needs it")
    if detail["type"] == "literal_error":
        return place.error(f"is {value!r:.40}, not 1 or 2", name, "say which output is better: 1 or 2")
    return place.error(f"is {kind(value)}, not text", name, "write it in quotes")


def _flaws(pair: Pair, columns: dict[str, str], place: Place) -> Iterator[PairError]:
    """What makes a whole record no fair question."""
    for own in _TEXTS:
        text: str = getattr(pair, own)
        if not text.strip():
            yield place.error("is empty", columns[own], "remove the pair or fill it in")
        if not _encodable(text):
            yield place.error("holds half of a surrogate pair", columns[own], "write characters whole, in UTF-8")
    if not _encodable(
        "".join((pair.id, pair.subset, pair.group, pair.why, *pair.provenance, *pair.provenance.values()))
    ):
        yield place.error("holds half of a surrogate pair beside the texts", remedy="write characters whole, in UTF-8")
    one, two = pair.output_1.strip(), pair.output_2.strip()
    if one and one == two:
        yield place.error("the outputs are identical, neither is better", remedy="remove the pair")


def _oddities(pair: Pair, columns: dict[str, str], place: Place) -> Iterator[PairError]:
    """What is worth knowing and no reason to refuse the pair."""
    for own in _TEXTS:
        if "\0" in getattr(pair, own):
            yield place.error("holds a NUL character, which some endpoints refuse", columns[own], "remove it")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
