"""Every missing verdict is counted once, under the reason that was kept with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from verdict_frames import frame, verdicts

from llmbar.records import Cause, FailureKind
from llmbar.stats import failure_kinds, summarize, unreadable_causes


def causes_of(text):
    """Causes by letter; a dot for none."""
    letters = {"e": Cause.EMPTY, "r": Cause.REFUSAL, "t": Cause.TRUNCATED, "s": FailureKind.SERVER, ".": None}
    return [letters[letter] for letter in text]


TABLE = frame(
    [1, 2, 1, 2, 1],
    verdicts("1uuf2"),
    verdicts("u2uuf"),
    original_cause=causes_of(".ers."),
    swapped_cause=causes_of("t.r.."),
)


def test_unreadable_replies_split_by_cause():
    found = unreadable_causes(TABLE).iloc[0]
    assert (found["answered"], found["unreadable"]) == (8, 5)
    counts = found[[*map(str, Cause), "unstated"]]
    assert counts[counts > 0].to_dict() == {"empty": 1, "refusal": 2, "truncated": 1, "unstated": 1}
    assert found["unreadable"] / found["answered"] == summarize(TABLE, resamples=0)["unreadable"].iloc[0]


def test_failures_split_by_kind():
    found = failure_kinds(TABLE).iloc[0]
    assert (found["asked"], found["failed"]) == (10, 2)
    counts = found[[*map(str, FailureKind), "unstated"]]
    assert counts[counts > 0].to_dict() == {"server error": 1, "unstated": 1}


def test_each_judge_and_strategy_has_a_row_whatever_the_index():
    other = TABLE.assign(judge="other", original="1", swapped="1")
    found = unreadable_causes(pd.concat([TABLE, other, TABLE.assign(strategy="cot")]), by=("judge", "strategy"))
    assert found[["judge", "strategy", "unreadable"]].to_numpy().tolist() == [
        ["judge", "cot", 5],
        ["judge", "rules", 5],
        ["other", "rules", 0],
    ]


def test_where_order_plays_no_part_a_reply_counts_once():
    """Both orders of a rating hold the same cause."""
    table = frame([1, 2], verdicts("u1"), verdicts("u1"), orders="free").assign(
        original_cause=causes_of("e."), swapped_cause=causes_of("e.")
    )
    found = unreadable_causes(table).iloc[0]
    assert (found["answered"], found["unreadable"], found["empty"]) == (2, 1, 1)


def test_without_the_columns_of_causes_all_are_unstated():
    bare = TABLE.drop(columns=["original_cause", "swapped_cause"])
    assert unreadable_causes(bare)["unstated"].tolist() == [5]
    gaps = bare.assign(original_cause=np.nan, swapped_cause=pd.NA)
    assert unreadable_causes(gaps)["unstated"].tolist() == [5]
