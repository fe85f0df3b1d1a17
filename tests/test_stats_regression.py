"""The bias regression finds what was planted, and says where nothing can be found."""

from __future__ import annotations

import numpy as np
import pytest
from verdict_frames import frame

from llmbar.stats import bias_regression
from llmbar.stats.regression import EQUAL_LENGTH

PLANTED = {"position": 0.5, "gold": 2 * np.log(0.8 / 0.2), "length": 0.3}


def planted(seed, n=3000):
    """Verdicts drawn from the regression's own model."""
    rng = np.random.default_rng(seed)
    gold, first, second = rng.integers(1, 3, n), *rng.integers(50, 2000, (2, n))
    pull = PLANTED["gold"] * np.where(gold == 1, 0.5, -0.5) + PLANTED["length"] * np.log(first / second)
    one = [rng.random(n) < 1 / (1 + np.exp(-pull - sign * PLANTED["position"])) for sign in (1, -1)]
    words = [np.where(prefers, "1", "2") for prefers in one]
    return frame(gold, *words, length_1=first, length_2=second)


def test_planted_biases_lie_within_their_intervals():
    tables = [bias_regression(planted(seed)).set_index("term") for seed in range(20)]
    for term, truth in {**PLANTED, EQUAL_LENGTH: 0.8}.items():
        covered = sum(table.loc[term, "low"] <= truth <= table.loc[term, "high"] for table in tables)
        assert covered >= 16, term
        assert np.mean([table.loc[term, "estimate"] for table in tables]) == pytest.approx(truth, abs=0.05)


def test_exchanging_the_outputs_changes_nothing():
    table = planted(1, 300)
    flip = {"1": "2", "2": "1"}
    other = table.assign(
        gold=3 - table["gold"],
        original=table["swapped"].replace(flip),
        swapped=table["original"].replace(flip),
        length_1=table["length_2"],
        length_2=table["length_1"],
    )
    columns = ["estimate", "se", "low", "high"]
    np.testing.assert_allclose(bias_regression(table)[columns], bias_regression(other)[columns], atol=1e-8)


def test_exchanging_the_orders_changes_the_sign_of_position_alone():
    table = planted(2, 300)
    ours = bias_regression(table).set_index("term")["estimate"]
    theirs = bias_regression(table.assign(original=table["swapped"], swapped=table["original"])).set_index("term")
    assert theirs["estimate"].to_dict() == pytest.approx({**ours, "position": -ours["position"]}, abs=1e-8)


def test_verdicts_without_a_preference_are_left_out():
    table = planted(3, 400)
    spoilt = table.assign(original=table["original"].where(table.index % 4 != 0, "tie"))
    spoilt["swapped"] = spoilt["swapped"].where(spoilt.index % 5 != 0, "unreadable")
    assert bias_regression(table)["n"].unique().tolist() == [800]
    assert bias_regression(spoilt)["n"].unique().tolist() == [800 - 100 - 80]


def test_a_judge_that_ignores_order_has_no_position_bias():
    table = planted(4, 400)
    found = bias_regression(table.assign(swapped=table["original"])).set_index("term").loc["position"]
    assert (found["estimate"], found["se"], found["p"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("verdict", "warning"),
    [
        (lambda table: table["gold"].astype(str), "separates"),
        (lambda table: np.where(table["length_1"] > table["length_2"], "1", "2"), "separates"),
        (lambda table: np.where(table.index % 2, "unreadable", "failed"), "no preferences"),
    ],
)
def test_where_nothing_can_be_estimated_it_is_said(verdict, warning):
    table = planted(5, 200)
    found = bias_regression(table.assign(original=verdict(table), swapped=verdict(table)))
    assert found["warning"].str.contains(warning).all()
    assert found[["estimate", "se", "low", "high", "p"]].isna().all(axis=None)


def test_a_judge_that_sees_only_position_and_outputs_of_one_length():
    table = planted(6, 200)
    assert "same position" in bias_regression(table.assign(original="1", swapped="2"))["warning"].iloc[0]
    assert "vary independently" in bias_regression(table.assign(length_1=5, length_2=5))["warning"].iloc[0]
    assert "too few" in bias_regression(table.head(3))["warning"].iloc[0]


def test_strategies_whose_order_plays_no_part_are_left_out():
    assert bias_regression(planted(7, 50).assign(orders="free")).empty
