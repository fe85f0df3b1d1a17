"""Recorded evaluator outputs in LLMBar's layout: what judges once said, pair by pair.

    <set>/dataset.json                                         the pairs
    <set>/evaluators/<judge>/<strategy>/result.json            one record per pair, in the same sequence

A record repeats its pair and adds `results`: first the texts that were written once per pair (questions, a reference
output), then one entry per stage of comparing, or one for rating. Written out with the types of its values:

    {"input": str, "output_1": str, "output_2": str, "label": 1 or 2, "results": [
        [text, finish_reason],                                                           any number, per pair
        {"swap = False": {"completion": [text, finish_reason], "winner": "1", "2" or null},
         "swap = True": …},                                                              one or more stages, or else
        {"score_1": [text, finish_reason], "score_2": …, "swap = False": {"winner": …}, "swap = True": …}]}

Winners are in the output frame. What is unambiguous is accepted (a bare text, null for no text, a winner as a number);
all else is a `RecordingError` that names file and record. It never stops the reading of another file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmbar.errors import PairError, RecordingError
from llmbar.pairs import load_pairs
from llmbar.records import Order, Reply, Verdict, digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llmbar.records import Pair
    from llmbar.strategy import Strategy

ORDER_KEYS = {"swap = False": Order.ORIGINAL, "swap = True": Order.SWAPPED}
SCORE_KEYS: dict[str, Literal[1, 2]] = {"score_1": 1, "score_2": 2}
WINNERS: dict[tuple[object, ...], Verdict] = {
    ("1", 1): Verdict.ONE,
    ("2", 2): Verdict.TWO,
    (None,): Verdict.UNREADABLE,
}

Place = tuple[str, Order | None, Literal[1, 2] | None]
"""Where a strategy asks: step, order, output."""


@dataclass(frozen=True, slots=True)
class RecordedReply:
    """What a judge said in one place."""

    text: str
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class RecordedItem:
    """All that one recording holds of one pair."""

    pair: Pair
    auxiliary: tuple[RecordedReply, ...]
    """What was written once per pair, before any output was seen."""
    stages: tuple[Mapping[Order, RecordedReply], ...]
    """Comparisons in both orders; a second stage where the orders of the first conflicted and it was asked again."""
    scores: Mapping[Literal[1, 2], RecordedReply] | None
    """The reply on each output, where the strategy rates them one at a time."""
    winners: Mapping[Order, Verdict]
    """As stored with the last stage: ONE, TWO or UNREADABLE. Rating ties were stored as a winner, too."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One judge with one strategy on one pair set."""

    judge: str
    strategy: str
    """As its folder is called, such as `Metrics_Reference`."""
    dataset: str
    group: str
    subset: str
    file: Path
    items: tuple[RecordedItem, ...]


def find_recordings(folder: str | Path) -> Iterator[Path]:
    """Every `evaluators/<judge>/<strategy>/result.json` at or below `folder`, in alphabetical sequence.

    Raises:
        RecordingError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise RecordingError("there is no such folder", file=root)
    for path in sorted(root.rglob("result.json")):
        if path.absolute().parent.parent.parent.name == "evaluators":
            yield path


def recorded_by(path: Path) -> tuple[str, str]:
    """Judge and strategy of a result file, as its folders are called."""
    folder = path.absolute().parent
    return folder.parent.name, folder.name


def read_recording(path: str | Path) -> Recording:
    """Read one `result.json` and hold it against the `dataset.json` that it belongs to.

    Raises:
        RecordingError: the file is cut off, leaves a pair or an order out, disagrees with its pairs, or holds
            something else than the format above.
    """
    file = Path(path)
    pairs, records = _pairs(file), _records(file)
    _check_count(file, records, pairs)
    items = tuple(
        _item(file, index, record, pair) for index, (record, pair) in enumerate(zip(records, pairs, strict=True))
    )
    judge, strategy = recorded_by(file)
    return Recording(judge, strategy, pairs[0].dataset, pairs[0].group, pairs[0].subset, file, items)


# -- a recording as a strategy's replies ------------------------------------------------------------------------------


def places(item: RecordedItem, strategy: Strategy) -> dict[Place, RecordedReply]:
    """Which place of `strategy` each recorded reply answers.

    Steps and recorded replies are matched by their sequence: steps asked per pair with auxiliary texts, steps asked
    per order with stages, the step asked per output with the scores.

    Raises:
        RecordingError: the strategy asks something else than was recorded.
    """
    per_pair, per_order, per_output = (_steps(strategy, per) for per in ("pair", "order", "output"))
    always = sum(conditional is None for conditional in per_order.values())
    if (
        len(per_pair) != len(item.auxiliary)
        or not always <= len(item.stages) <= len(per_order)
        or len(per_output) != (item.scores is not None)
    ):
        raise RecordingError(f"strategy {strategy.name} asks something else than was recorded for pair {item.pair.id}")
    found: dict[Place, RecordedReply] = {}
    for name, reply in zip(per_pair, item.auxiliary, strict=True):
        found[name, None, None] = reply
    for name, stage in zip(per_order, item.stages, strict=False):
        found |= {(name, order, None): reply for order, reply in stage.items()}
    for name in per_output:
        found |= {(name, None, output): reply for output, reply in (item.scores or {}).items()}
    return found


def replies(item: RecordedItem, strategy: Strategy) -> tuple[Reply, ...]:
    """What was recorded, as a judgment keeps it: `transcript.Transcript.of` reads it with our own rules.

    The request behind a recorded reply is not known, so its key is the digest of the place and the text.
    """
    return tuple(
        Reply(
            step=step,
            order=order,
            output=output,
            key=digest([step, order, output, reply.text]),
            text=reply.text,
            finish_reason=reply.finish_reason,
        )
        for (step, order, output), reply in places(item, strategy).items()
    )


def _steps(strategy: Strategy, per: str) -> dict[str, str | None]:
    """Name of every step asked per `per` → the step on whose conflict it depends."""
    return {step.name: step.file.if_orders_disagree_on for step in strategy.steps if step.per == per}


# -- reading the file -------------------------------------------------------------------------------------------------


def _records(file: Path) -> list[object]:
    try:
        records = json.loads(file.read_text("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RecordingError(f"not UTF-8 at byte {error.start}", file=file) from None
    except json.JSONDecodeError as error:
        raise RecordingError(f"not JSON, or cut off: {error.msg}", file=file, line=error.lineno) from None
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror}", file=file) from None
    if not isinstance(records, list):
        raise RecordingError("holds no list of records", file=file)
    return records


def _pairs(file: Path) -> list[Pair]:
    """The pairs that the recording belongs to."""
    evaluators = file.absolute().parent.parent.parent
    dataset = evaluators.parent / "dataset.json"
    if not dataset.is_file():
        raise RecordingError("its pairs are missing", file=file, remedy=f"{dataset} should hold them")
    try:
        return load_pairs(dataset)
    except PairError as error:
        raise RecordingError(f"its pairs cannot be read: {error}", file=file) from error


def _check_count(file: Path, records: Sequence[object], pairs: Sequence[Pair]) -> None:
    if len(records) == len(pairs):
        return
    both = enumerate(zip(records, pairs, strict=False))
    parted = next((i for i, (record, pair) in both if _difference(record, pair)), min(len(records), len(pairs)))
    first = f"the first missing is {pairs[parted].id}" if len(records) < len(pairs) else f"record {parted} is too many"
    raise RecordingError(f"holds {len(records)} records for {len(pairs)} pairs: {first}", file=file)


def _item(file: Path, index: int, record: object, pair: Pair) -> RecordedItem:
    try:
        return _parts(record, pair)
    except _RecordError as error:
        raise RecordingError(str(error), file=file, field=f"record {index}") from None


def _difference(record: object, pair: Pair) -> str | None:
    """The first field in which a record is not its pair's."""
    if not isinstance(record, dict):
        return "record"
    wanted = {"input": pair.instruction, "output_1": pair.output_1, "output_2": pair.output_2}
    for key, value in wanted.items():
        if record.get(key) != value:
            return key
    return None if str(record.get("label")) == str(pair.gold) else "label"


class _RecordError(Exception):
    """What is wrong with one record, in words."""


def _parts(record: object, pair: Pair) -> RecordedItem:
    different = _difference(record, pair)
    if different or not isinstance(record, dict):
        raise _RecordError(f"{different} is not that of {pair.id} in dataset.json")
    results = record.get("results")
    if not isinstance(results, list):
        raise _RecordError("has no list of results")
    split = next((at for at, entry in enumerate(results) if isinstance(entry, dict)), len(results))
    entries = results[split:]
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        raise _RecordError("results do not end with a comparison or a rating")
    auxiliary = tuple(_reply(text, f"results[{at}]") for at, text in enumerate(results[:split]))
    winners = [_winners(entry) for entry in entries]
    if SCORE_KEYS.keys() & entries[-1].keys():
        if len(entries) > 1:
            raise _RecordError("holds something else beside its rating")
        return RecordedItem(pair, auxiliary, (), _scores(entries[0]), winners[0])
    return RecordedItem(pair, auxiliary, tuple(map(_stage, entries)), None, winners[-1])


def _winners(entry: Mapping[str, object]) -> Mapping[Order, Verdict]:
    return {order: _winner(_side(entry, key), key) for key, order in ORDER_KEYS.items()}


def _winner(side: Mapping[str, object], key: str) -> Verdict:
    if "winner" not in side:
        raise _RecordError(f"{key!r} has no winner")
    for stored, verdict in WINNERS.items():
        if side["winner"] in stored and not isinstance(side["winner"], bool):
            return verdict
    raise _RecordError(f"{key!r}: winner is {side['winner']!r}, neither 1 nor 2 nor null")


def _stage(entry: Mapping[str, object]) -> Mapping[Order, RecordedReply]:
    return {order: _said(_side(entry, key), "completion", f"{key!r}") for key, order in ORDER_KEYS.items()}


def _scores(entry: Mapping[str, object]) -> Mapping[Literal[1, 2], RecordedReply]:
    return {output: _said(entry, key, "the rating") for key, output in SCORE_KEYS.items()}


def _side(entry: Mapping[str, object], key: str) -> Mapping[str, object]:
    side = entry.get(key)
    if not isinstance(side, dict):
        raise _RecordError(f"has no {key!r}")
    return side


def _said(side: Mapping[str, object], key: str, where: str) -> RecordedReply:
    if key not in side:
        raise _RecordError(f"{where} has no {key}")
    return _reply(side[key], f"{where}: {key}")


def _reply(value: object, where: str) -> RecordedReply:
    """A stored completion: `[text, finish_reason]`, a text alone, or null where nothing came back.

    >>> _reply(["Output (a)", "stop"], "results[0]")
    RecordedReply(text='Output (a)', finish_reason='stop')
    """
    match value:
        case [str() | None as text, str() | None as finish_reason]:
            return RecordedReply(text or "", finish_reason or "")
        case [str() | None as text] | (str() | None as text):
            return RecordedReply(text or "")
        case _:
            raise _RecordError(f"{where} is no text with its finish reason")
