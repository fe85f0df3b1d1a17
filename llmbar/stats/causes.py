"""Why is there no verdict? Unreadable replies by cause, failed calls by kind.

A judge that refuses, one that is cut off and one that rambles need different remedies: another prompt, more tokens,
another pattern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmbar.records import Cause, FailureKind
from llmbar.stats.accuracy import answered
from llmbar.stats.verdicts import FAILED, NOT_ASKED, UNREADABLE, Judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNSTATED = "unstated"
"""The column of those whose cause was not kept, as in recordings of winners alone."""

RUN = ("judge", "strategy", "dataset")


def unreadable_causes(frame: pd.DataFrame, by: Sequence[str] = RUN) -> pd.DataFrame:
    """How many replies could not be read, and why: one row per `by`, one column of counts per `records.Cause`.

    `answered` counts the replies that arrived, `unreadable` those that name no preference; the causes add up to it.
    How to read it: unreadable/answered is the invalid rate ⊥/2n of B1 (⊥/n where order plays no part), and the
    largest cause says what to mend.

    The causes come from the columns `original_cause` and `swapped_cause`; what they do not say is `unstated`.

    Raises:
        ValueError: the table is not a verdict frame.
    """
    judged = Judged.of(frame)
    counted = {"answered": answered(judged.asked), "unreadable": judged.asked == UNREADABLE}
    return split(frame, counted, list(Cause), by)


def failure_kinds(frame: pd.DataFrame, by: Sequence[str] = RUN) -> pd.DataFrame:
    """How many replies never arrived, and why: one row per `by`, one column of counts per `records.FailureKind`.

    `asked` counts all verdicts asked for, `failed` those without a reply; the kinds add up to it. How to read it: a run
    with any is incomplete, and its numbers are those of the pairs that went through.

    Raises:
        ValueError: the table is not a verdict frame.
    """
    judged = Judged.of(frame)
    counted = {"asked": judged.asked != NOT_ASKED, "failed": judged.asked == FAILED}
    return split(frame, counted, list(FailureKind), by)


def split(
    frame: pd.DataFrame, counted: dict[str, NDArray[np.bool_]], reasons: Sequence[str], by: Sequence[str]
) -> pd.DataFrame:
    """Per `by`, the sums of `counted`, (n, 2) each, and the last of them split by reason."""
    names = [str(reason) for reason in reasons]
    stated, concerned = stated_causes(frame), list(counted.values())[-1]
    known = np.isin(stated, names)
    columns = {name: concerned & (stated == name) for name in names} | {UNSTATED: concerned & ~known}
    sums = {name: value.sum(axis=1) for name, value in (counted | columns).items()}
    table = pd.concat([frame[list(by)].reset_index(drop=True), pd.DataFrame(sums)], axis=1)
    return table.groupby(list(by), observed=True).sum().reset_index()


def stated_causes(frame: pd.DataFrame) -> NDArray[np.object_]:
    """(n, 2): the cause kept with each order, as text; empty where there is none.

    Where the order plays no part both orders hold the same one, and only the first is asked for.
    """
    columns = [frame.get(f"{order}_cause", pd.Series("", frame.index)) for order in ("original", "swapped")]
    return np.column_stack([column.astype(object).where(column.notna(), "").map(str) for column in columns])
