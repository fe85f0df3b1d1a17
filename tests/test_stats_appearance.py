"""Features of texts, and how far a judge goes by them: by hand, planted, and against the recordings' oracle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from verdict_frames import frame, recorded, verdicts

from llmbar.stats import format_columns, format_preferences, wilson
from llmbar.stats.appearance import FEATURES

TEXTS = {
    "Plain words, with a - dash, and 3. a number.": set(),
    "Steps:\n1. Open it.\n2. Close it.": {"list"},
    "Steps:\n  1) Open it.\n  2) Close it.": {"list"},
    "* one\n* two": {"list"},
    "• one\n• two": {"list"},
    "- only one": set(),
    "1999. It was late.\n2000. It was later.": set(),
    "# Title\nText": {"heading"},
    "#hashtag at the start": set(),
    "Text\n### Part\nText": {"heading"},
    "It is **very** good": {"bold"},
    "2 ** 3 ** 4 and 2**3**4": set(),
    "**Note:** - none": {"bold"},
    "```python\n# comment\n- a\n- b\nx = '**b**'\n```": {"code"},
    "~~~\ncode": {"code"},
    "`inline` code": set(),
    "## Do\n- **a**\n- b\n```\nx\n```": {"heading", "list", "bold", "code"},
    "I'm sorry, but I can't assist with that.": {"refusal"},
    "I’m sorry, I can’t provide that.": {"refusal"},
    "As an AI language model, I have no opinion.": {"refusal"},
    "I am unable to help.": {"refusal"},
    "I can't wait to help you!": set(),
    "Dogs cannot write.": {"refusal"},  # a known mistake: who cannot is not looked at
    "x" * 300 + " I cannot help.": set(),
    "": set(),
}


@pytest.mark.parametrize(("text", "features"), TEXTS.items())
def test_features_of_a_text(text, features):
    assert {name for name, has in FEATURES.items() if has(text)} == features


def test_columns_hold_both_outputs_features_as_booleans():
    table = format_columns(["- a\n- b", "x"], ["x", "**y**"])
    assert list(table.columns) == [f"{name}_{output}" for name in FEATURES for output in (1, 2)]
    assert {str(kind) for kind in table.dtypes} == {"bool"}
    assert table["list_1"].tolist() == [True, False]
    assert table["bold_2"].tolist() == [False, True]
    assert format_columns([], []).shape == (0, 10)


def preference(table, feature, **options):
    return format_preferences(table, **options).set_index("feature").loc[feature]


def test_preference_counts_where_exactly_one_output_has_the_feature():
    table = frame(
        [1, 2, 1, 2, 2],
        verdicts("11212"),
        verdicts("12t1u"),
        list_1=[True, True, True, False, False],
        list_2=[False, False, False, False, True],
    )
    found = preference(table, "list")
    # pairs 0, 1 and 2 have the list in output 1, pair 4 in output 2; votes: 1 1 / 1 2 / 2 / 2
    assert (found["n"], found["rate"]) == (6, 4 / 6)
    assert found["gold_rate"] == 3 / 4
    # gold lacks it in pair 1 alone
    assert (found["against_n"], found["against_rate"]) == (2, 0.5)
    assert found["low"] < found["rate"] < found["high"]


def test_features_whose_columns_are_absent_are_left_out():
    table = frame([1], ["1"], ["1"])
    assert format_preferences(table)["feature"].tolist() == ["longer"]
    with_bold = table.assign(bold_1=[None], bold_2=[False])
    found = preference(with_bold, "bold")
    assert found["n"] == 0
    assert found[["rate", "low", "high", "gold_rate", "against_rate"]].isna().all()


def test_an_interval_takes_equal_orders_and_repeats_as_one_observation():
    gold, said = [1] * 40, verdicts("1" * 30 + "2" * 10)
    once = preference(frame(gold, said, said, orders="free"), "longer")
    twice = preference(frame(gold, said, said), "longer")
    assert (once["n"], twice["n"]) == (40, 80)
    assert (twice["low"], twice["high"]) == pytest.approx((once["low"], once["high"]))
    assert (once["low"], once["high"]) == pytest.approx(wilson(10, 40), abs=0.004)
    thrice = preference(pd.concat([frame(gold, said, said, repeat=number) for number in "012"]), "longer")
    assert thrice["n"] == 240
    assert (thrice["low"], thrice["high"]) == pytest.approx((once["low"], once["high"]))


def test_longer_by_more_than_thirty_characters():
    table = frame([1, 1, 2], verdicts("122"), verdicts("122"), length_1=[100, 100, 100], length_2=[130, 131, 69])
    assert preference(table, "longer")["n"] == 6
    found = preference(table, "longer", longer_by=30)
    assert (found["n"], found["rate"], found["gold_rate"]) == (4, 0.5, 0)
    assert preference(table, "longer", longer_by=31)["n"] == 0


def test_recorded_length_preference_equals_the_oracle(shared):
    """`against_rate` is the length bias: 1 − accuracy where gold is shorter, unless a verdict is unreadable."""
    table = recorded(shared)
    found = format_preferences(table, by=("judge", "strategy", "subset")).set_index(["judge", "strategy", "subset"])
    oracle = pd.read_csv(shared / "oracles/derived.csv").set_index(["judge", "strategy", "subset"])
    both = found.join(oracle.drop(columns="n"), how="inner")
    assert len(both) == 105
    np.testing.assert_array_equal(both["n"], both["den_longer_char"])
    np.testing.assert_allclose(both["rate"], both["p_longer_char"], atol=1e-9)
    clean = both[both["n_invalid"] == 0]
    np.testing.assert_allclose(clean["against_rate"], 1 - clean["acc_gold_shorter_char"], atol=1e-9)
    np.testing.assert_array_equal(clean["against_n"], 2 * clean["n_gold_shorter_char"])
    unequal = clean["n_gold_longer_char"] + clean["n_gold_shorter_char"]
    np.testing.assert_allclose(clean["gold_rate"], clean["n_gold_longer_char"] / unequal, atol=1e-12)


def test_exchanging_the_outputs_changes_nothing():
    rng = np.random.default_rng(0)
    gold, lists = rng.integers(1, 3, 60), rng.random((2, 60)) < 0.5
    words = [rng.choice(["1", "2", "tie", "unreadable"], 60) for _ in range(2)]
    flip = {"1": "2", "2": "1"}
    table = frame(gold, *words, list_1=lists[0], list_2=lists[1])
    other = table.assign(
        gold=3 - gold,
        original=table["swapped"].replace(flip),
        swapped=table["original"].replace(flip),
        length_1=table["length_2"],
        length_2=table["length_1"],
        list_1=lists[1],
        list_2=lists[0],
    )
    pd.testing.assert_frame_equal(format_preferences(table), format_preferences(other))
