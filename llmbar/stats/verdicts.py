"""The verdict frame, and its columns as small integers.

Every statistic starts from one table, a *verdict frame*: a pandas DataFrame with one row per judgment and the columns
of `COLUMNS`. Text is turned into numbers here, once, so that all that follows is arithmetic on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import itemgetter
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import pandas as pd

from llmbar.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

KEYS = ("judge", "strategy", "dataset", "subset")
"""What a row of a summary stands for."""

COLUMNS = (
    *("judge", "strategy", "dataset", "group", "subset", "pair", "repeat", "cluster"),
    *("gold", "original", "swapped", "final", "orders", "length_1", "length_2"),
)
"""A verdict frame's columns; further ones are ignored.

`cluster` says which judgments hang together (the normalised instruction, or the pair's id); `original`, `swapped` and
`final` hold a `records.Verdict`, in the output frame; `orders` is the strategy's: `separate`, `averaged` or `free`;
`length_1` and `length_2` count characters.
"""

ONE, TWO, TIE, UNREADABLE, FAILED, NOT_ASKED = 1, 2, 0, -1, -2, -3

SHOWN_FIRST = np.array([ONE, TWO], dtype=np.int8)
"""The output that is shown first in the original and in the swapped order."""

CODES = {
    Verdict.ONE: ONE,
    Verdict.TWO: TWO,
    Verdict.TIE: TIE,
    Verdict.UNREADABLE: UNREADABLE,
    Verdict.FAILED: FAILED,
}


def encode(verdicts: ArrayLike) -> NDArray[np.int8]:
    """Verdicts as integers: the preferred output, 0 for a tie, below 0 where there is no verdict.

    >>> encode(["1", "2", "tie", "unreadable", "failed"]).tolist()
    [1, 2, 0, -1, -2]
    """
    codes, names = pd.factorize(np.asarray(verdicts, dtype=object), use_na_sentinel=False)
    unknown = [name for name in names if name not in CODES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no verdict: use {', '.join(CODES)}")
    return np.array([CODES[name] for name in names], dtype=np.int8)[codes]


@dataclass(frozen=True, slots=True)
class Judged:
    """Judgments as arrays, one row each.

    A verdict that a strategy never gives is NOT_ASKED and counts nowhere: where the order plays no part (`free`),
    nothing is `shown`, and every statistic of position is undefined by itself.
    """

    gold: NDArray[np.int8]
    """(n,): 1 or 2."""
    shown: NDArray[np.int8]
    """(n, 2): the verdict when output 1, and when output 2, was shown first."""
    scored: NDArray[np.int8]
    """(n, 2): the verdicts that accuracy rests on: both orders', or the final one alone (`averaged`, `free`)."""
    lengths: NDArray[np.float64]
    """(n, 2): characters of output 1 and of output 2."""
    cluster: NDArray[np.int64]
    """(n,): judgments with the same number are resampled together; numbered in the sequence of the clusters' names."""
    item: NDArray[np.int64]
    """(n,): judgments with the same number are of the same pair."""

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """All judgments of a verdict frame.

        Raises:
            ValueError: a column is missing or has gaps, or holds a value outside its vocabulary.
        """
        check(frame)
        orders = frame["orders"].to_numpy(dtype=object)[:, None]
        both = np.column_stack([encode(frame["original"]), encode(frame["swapped"])])
        alone = np.column_stack([encode(frame["final"]), np.full(len(frame), NOT_ASKED, dtype=np.int8)])
        return cls(
            gold=frame["gold"].to_numpy(dtype=np.int8),
            shown=np.where(orders == "free", np.int8(NOT_ASKED), both),
            scored=np.where(orders == "separate", both, alone),
            lengths=frame[["length_1", "length_2"]].to_numpy(dtype=np.float64),
            cluster=pd.factorize(frame["cluster"], sort=True)[0].astype(np.int64),
            item=np.asarray(frame.groupby(["dataset", "pair"], sort=False, observed=True).ngroup(), dtype=np.int64),
        )

    @property
    def asked(self) -> NDArray[np.int8]:
        """(n, 2): every verdict asked for: those of both orders, or the final one where order plays no part."""
        return np.where(self.shown == NOT_ASKED, self.scored, self.shown)

    @property
    def longer(self) -> NDArray[np.int8]:
        """(n,): which output is the longer one, 0 where neither is."""
        first, second = self.lengths.T
        return np.where(first > second, ONE, np.where(second > first, TWO, 0)).astype(np.int8)

    def take(self, rows: NDArray[np.intp]) -> Self:
        return type(self)(*(getattr(self, column.name)[rows] for column in fields(self)))


def check(frame: pd.DataFrame) -> None:
    """Refuse a table that is not a verdict frame."""
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise ValueError(f"not a verdict frame: no column {', '.join(missing)}")
    gaps = [column for column in COLUMNS if frame[column].isna().any()]
    if gaps:
        raise ValueError(f"not a verdict frame: gaps in column {', '.join(gaps)}")
    for column, known in (("gold", {1, 2}), ("orders", {"separate", "averaged", "free"})):
        strange = set(frame[column].unique().tolist()) - known
        if strange:
            raise ValueError(f"not a verdict frame: {column} holds {strange.pop()!r}")


def groups(frame: pd.DataFrame, by: Sequence[str] = KEYS) -> Iterator[tuple[tuple[str, ...], Judged]]:
    """The judgments of each combination of `by`, in the order of their names."""
    whole = Judged.of(frame)
    for key, rows in sorted(frame.groupby(list(by), observed=True).indices.items(), key=itemgetter(0)):
        yield cast("tuple[str, ...]", key), whole.take(np.asarray(rows))
