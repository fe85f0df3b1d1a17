"""The bias regression finds what was planted, and says where nothing can be found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2
from statsmodels.discrete.discrete_model import Logit
from verdict_frames import frame

from llmbar.stats import bias_regression
from llmbar.stats.regression import EQUAL_LENGTH, Design, Firth, crossing, penalised

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


def longer(table):
    return np.where(table["length_1"] > table["length_2"], "1", "2")


@pytest.mark.parametrize(
    ("original", "swapped", "separating", "sign"),
    [
        (longer, longer, "length", 1),
        (lambda table: np.where(longer(table) == "1", "2", "1"),) * 2 + ("length", -1),
        (lambda table: table["gold"].astype(str),) * 2 + ("gold", 1),
        (lambda _: "1", lambda _: "2", "position", 1),
        (lambda _: "2", lambda _: "1", "position", -1),
    ],
)
def test_a_separated_judge_has_finite_estimates_and_a_warning(original, swapped, separating, sign):
    table = planted(5, 200)
    found = bias_regression(table.assign(original=original(table), swapped=swapped(table))).set_index("term")
    assert found["warning"].str.contains("separates").all()
    assert np.isfinite(found[["estimate", "se", "low", "high", "p"]]).all(axis=None)
    others = found.drop(index=[separating, EQUAL_LENGTH])
    assert (found.loc[separating, ["low", "high"]] * sign > 0).all()
    assert ((others["low"] < 0) & (others["high"] > 0)).all()


def test_under_separation_intervals_cover_what_was_planted():
    """40 pairs and a judge that is right 98 times of 100: about every second sample is separated."""
    truth = 2 * np.log(0.98 / 0.02)
    covered, separated = 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        gold, lengths = rng.integers(1, 3, 40), rng.integers(50, 2000, (2, 40))
        words = [np.where(rng.random(40) < 0.98, gold, 3 - gold).astype(str) for _ in range(2)]
        found = bias_regression(frame(gold, *words, length_1=lengths[0], length_2=lengths[1])).set_index("term")
        if found["warning"].iloc[0]:
            separated += 1
            covered += found.loc["gold", "low"] <= truth <= found.loc["gold", "high"]
    assert separated > 10
    assert covered / separated >= 0.93


def test_where_nothing_can_be_estimated_it_is_said():
    table = planted(6, 200)
    silent = np.where(table.index % 2, "unreadable", "failed")
    for spoilt, warning in [
        (table.assign(original=silent, swapped=silent), "no preferences"),
        (table.head(3), "too few"),
    ]:
        found = bias_regression(spoilt)
        assert found["warning"].str.contains(warning).all()
        assert found[["estimate", "se", "low", "high", "p"]].isna().all(axis=None)


def test_lengths_that_never_differ_leave_length_out():
    table = planted(6, 200).assign(length_1=5, length_2=5)
    found = bias_regression(table).set_index("term")
    assert found["warning"].str.contains("left out.*length").all()
    assert found.loc["length", ["estimate", "se", "low", "high", "p"]].isna().all()
    plain = Logit(*without_length(table)).fit(disp=0)
    assert found.loc[["position", "gold"], "estimate"].tolist() == pytest.approx(plain.params.tolist(), abs=1e-6)
    assert np.isfinite(found.loc[EQUAL_LENGTH, "low"])


def without_length(table):
    """The outcome and the two other terms, written down once more."""
    first = np.concatenate([table["original"] == "1", table["swapped"] == "2"]).astype(float)
    gold = np.concatenate([table["gold"] == 1, table["gold"] == 2]) - 0.5
    return first, np.column_stack([np.ones(len(first)), gold])


# -- Firth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b", "c", "d"), [(7, 3, 2, 9), (12, 0, 4, 5), (10, 0, 0, 10)])
def test_firth_on_a_two_by_two_table_adds_half_to_every_cell(a, b, c, d):
    """With as many coefficients as cells Jeffreys' prior is half an observation in each."""
    group = np.repeat([0.0, 0.0, 1.0, 1.0], [a, b, c, d])
    outcome = np.repeat([1.0, 0.0, 1.0, 0.0], [a, b, c, d])
    estimate = Firth(outcome, np.column_stack([np.ones_like(group), group])).climb(np.zeros(2))
    first, second = np.log((a + 0.5) / (b + 0.5)), np.log((c + 0.5) / (d + 0.5))
    assert estimate == pytest.approx([first, second - first], abs=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_firth_maximises_the_penalised_likelihood(seed):
    rng = np.random.default_rng(seed)
    terms = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    outcome = (terms[:, 1] > 0 if seed % 2 else rng.random(30) < 0.4).astype(float)

    def depth(beta):
        chance = 1 / (1 + np.exp(-terms @ beta))
        likelihood = np.log(np.where(outcome == 1, chance, 1 - chance)).sum()
        return -likelihood - np.log(np.linalg.det((terms.T * chance * (1 - chance)) @ terms)) / 2

    best = minimize(depth, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000})
    surface = Firth(outcome, terms)
    top = surface.climb(np.zeros(3))
    assert top == pytest.approx(best.x, abs=1e-5)
    assert surface.height(top) == pytest.approx(-best.fun, abs=1e-9)
    held = minimize(lambda rest: depth(np.array([rest[0], 1.5, rest[1]])), np.zeros(2), method="Nelder-Mead")
    assert surface.profile(top, 1, 1.5) == pytest.approx(held.fun - best.fun, abs=1e-5)


def test_a_profile_interval_ends_where_the_likelihood_ratio_is_3_84():
    """One constant term, n of n: ℓ*(p) = (n + ½)·ln p + ½·ln(1 − p), solved by bisection."""
    surface = Firth(np.ones(20), np.ones((20, 1)))
    top = surface.climb(np.zeros(1))

    def ratio(beta):
        height = [20.5 * -np.log1p(np.exp(-b)) + 0.5 * -np.log1p(np.exp(b)) for b in (top[0], beta)]
        return 2 * (height[0] - height[1])

    low, high = (crossing(lambda value: 2 * surface.profile(top, 0, value), top[0], step) for step in (-1.0, 1.0))
    assert ratio(low) == pytest.approx(3.841459, abs=1e-4)
    assert ratio(high) == pytest.approx(3.841459, abs=1e-4)
    assert low < top[0] < high


def test_a_pair_s_rows_count_as_one_where_the_likelihood_is_penalised():
    """Ten pairs of two rows: twice the drop that ten rows would need."""
    design = Design(("position",), np.ones(20), np.ones((20, 1)), np.repeat(np.arange(10), 2))
    (term,) = penalised(design).terms

    def height(beta):
        return 20.5 * -np.log1p(np.exp(-beta)) + 0.5 * -np.log1p(np.exp(beta))

    for bound in (term.low, term.high):
        assert height(term.estimate) - height(bound) == pytest.approx(3.841459, abs=1e-3)
    assert term.se == pytest.approx(np.sqrt(2 / (20 * (20.5 / 21) * (0.5 / 21))), rel=1e-6)
    assert term.p == pytest.approx(chi2.sf(height(term.estimate) - height(0.0), 1), rel=1e-6)


# -- further terms ----------------------------------------------------------------------------------------------------


def test_a_planted_pull_of_format_is_found_beside_the_others():
    rng = np.random.default_rng(8)
    n = 3000
    gold, lengths, lists = rng.integers(1, 3, n), rng.integers(50, 2000, (2, n)), rng.random((2, n)) < 0.4
    pull = 2.0 * np.where(gold == 1, 0.5, -0.5) + 0.7 * (lists[0].astype(int) - lists[1])
    words = [np.where(rng.random(n) < 1 / (1 + np.exp(-pull - place)), "1", "2") for place in (0.3, -0.3)]
    table = frame(gold, *words, length_1=lengths[0], length_2=lengths[1], list_1=lists[0], list_2=lists[1])
    found = bias_regression(table, ["list"]).set_index("term")
    assert list(found.index) == ["position", "gold", "length", "list", EQUAL_LENGTH]
    for term, truth in {"position": 0.3, "gold": 2.0, "length": 0.0, "list": 0.7}.items():
        assert found.loc[term, "low"] <= truth <= found.loc[term, "high"], term


def test_subset_terms_are_deviations_from_the_mean_position_bias():
    """Without other effects the coefficients are the log-odds of each subset, less their mean."""
    log_odds = {"a": np.log(30 / 10), "b": np.log(20 / 20), "c": np.log(10 / 30)}
    first = {"a": 30, "b": 20, "c": 10}
    tables = []
    for name, count in first.items():
        chosen = np.arange(40) % 40 < count  # in both orders: the first-shown output
        words = np.where(chosen, "1", "2"), np.where(chosen, "2", "1")
        gold = np.tile([1, 2], 20)
        tables.append(frame(gold, *words, pair=[f"{name}{i}" for i in range(40)], subset=name))
    found = bias_regression(pd.concat(tables).assign(length_1=9, length_2=9), ["subset"]).set_index("term")
    mean = sum(log_odds.values()) / 3
    assert found.loc["position", "estimate"] == pytest.approx(mean, abs=1e-6)
    assert found.loc["subset a", "estimate"] == pytest.approx(log_odds["a"] - mean, abs=1e-6)
    assert found.loc["subset b", "estimate"] == pytest.approx(log_odds["b"] - mean, abs=1e-6)
    assert "subset c" not in found.index


def test_pairs_with_a_gap_in_a_further_term_are_left_out_and_absent_columns_are_named():
    table = planted(9, 100).assign(family_1=[1.0, 0.0, np.nan, 0.0] * 25, family_2=0.0)
    assert bias_regression(table, ["family"])["n"].unique().tolist() == [150]
    with pytest.raises(ValueError, match="lacks: bold_1, bold_2"):
        bias_regression(table, ["bold"])


def test_strategies_whose_order_plays_no_part_are_left_out():
    assert bias_regression(planted(7, 50).assign(orders="free")).empty
