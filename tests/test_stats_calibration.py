"""Confidence against correctness: toy values, planted temperatures, predictions that never saw their pair."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.calibration import calibration_curve
from verdict_frames import frame

from llmbar.stats import (
    aurc,
    auroc,
    brier,
    calibration_error,
    confidence,
    graded,
    judge_calibration,
    out_of_fold,
    reliability,
    risk_coverage,
    wilson,
)
from llmbar.stats.calibration import fit_scaling

SURE = np.array([0.95, 0.85, 0.75, 0.65, 0.55, 0.92, 0.61, 0.72, 0.83, 0.99])
CORRECT = np.array([1, 1, 1, 0, 1, 1, 0, 1, 0, 1], dtype=float)

shares = st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.7, 0.75, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40)


def judged(probability, gold, **columns):
    """A verdict frame of final verdicts from P(output 1)."""
    said = np.select([np.asarray(probability) > 0.5, np.asarray(probability) < 0.5], ["1", "2"], "tie")
    return frame(np.where(gold, 1, 2), said, said, final=said, probability=probability, **columns)


# -- measures ---------------------------------------------------------------------------------------------------------


def test_the_toy_example():
    """Reference: in the frame of output 1: where the judge is wrong, gold is the other output."""
    gold = np.array([True, False] * 5)
    probability = np.where((CORRECT == 1) == gold, SURE, 1 - SURE)
    sure, correct = confidence(probability, gold)
    np.testing.assert_allclose(sure, SURE)
    np.testing.assert_array_equal(correct, CORRECT)
    assert calibration_error(sure, correct, bins=5) == pytest.approx(0.306, abs=1e-12)
    assert brier(probability, gold) == pytest.approx(0.18584, abs=1e-12)
    assert auroc(sure, correct) == pytest.approx(0.7619, abs=5e-5)
    found = judge_calibration(judged(probability, gold), bins=5).set_index("probabilities").loc["stated"]
    assert found[["n", "accuracy", "bins", "folds"]].tolist() == [10, 0.7, 5, 0]
    assert found[["ece", "brier"]].tolist() == pytest.approx([0.306, 0.18584])


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    right, wrong = SURE[CORRECT == 1], SURE[CORRECT == 0]
    assert auroc(SURE, CORRECT) == pytest.approx(np.mean([a > b for a in right for b in wrong]))
    assert np.isnan(auroc(SURE, np.ones(10)))
    assert np.isnan(auroc(SURE, np.zeros(10)))
    assert auroc(np.full(10, 0.8), CORRECT) == 0.5
    # a tie is half a right verdict and half a wrong one: rights are .9, ½ × .5 and ½ × .5, wrongs ½ × .5 and ½ × .5
    assert auroc(np.array([0.9, 0.5, 0.5]), np.array([1, 0.5, 0.5])) == pytest.approx((1 * 1 + 1 * 0.5) / 2)


def test_the_reliability_curve_equals_scikit_learn_s():
    table = reliability(SURE, CORRECT, bins=5)
    accuracy, mean = calibration_curve(CORRECT, SURE, n_bins=10)  # on [0, 1]: the upper five
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], mean)
    assert table["n"].tolist() == [1, 2, 2, 2, 3]
    np.testing.assert_allclose(table["low"], [0.5, 0.6, 0.7, 0.8, 0.9])
    assert table.loc[4, ["accuracy_low", "accuracy_high"]].tolist() == pytest.approx(wilson(3, 3))


def test_a_bound_belongs_to_the_bin_above_whichever_output_is_preferred():
    for probability in ([0.6, 0.7, 0.8, 0.9], [0.4, 0.3, 0.2, 0.1]):
        sure, correct = confidence(np.array(probability), np.array([True] * 4))
        assert reliability(sure, correct, bins=5)["n"].tolist() == [0, 1, 1, 1, 1]
    assert reliability(np.array([0.5, 1.0]), np.ones(2), bins=5)["n"].tolist() == [1, 0, 0, 0, 1]
    assert reliability(np.array([0.5]), np.ones(1), bins=2).loc[1, ["confidence", "accuracy_low"]].isna().all()


def test_equal_confidences_enter_together():
    sure, correct = np.array([0.9, 0.9, 0.8, 0.6, 0.6, 0.6]), np.array([1, 0, 1, 1, 0, 0], dtype=float)
    curve = risk_coverage(sure, correct)
    assert curve["coverage"].tolist() == pytest.approx([2 / 6, 3 / 6, 1])
    assert curve["risk"].tolist() == pytest.approx([1 / 2, 1 / 3, 3 / 6])
    assert aurc(sure, correct) == pytest.approx((2 / 2 + 1 / 3 + 3 / 2) / 6)


@settings(deadline=None, max_examples=25)
@given(shares, st.randoms())
def test_the_sequence_changes_nothing_and_bounds_hold(said, random):
    sure, correct = (np.array(column, dtype=float) for column in zip(*said, strict=True))
    other = list(range(len(sure)))
    random.shuffle(other)
    for measure in (calibration_error, auroc, aurc):
        value = measure(sure, correct)
        assert value == pytest.approx(measure(sure[other], correct[other]), nan_ok=True)
        assert np.isnan(value) or 0 <= value <= 1
    assert risk_coverage(sure, correct)["risk"].iloc[-1] == pytest.approx(1 - correct.mean())
    assert np.isnan(auroc(sure, correct)) == (correct.min() == correct.max())


@settings(deadline=None, max_examples=25)
@given(shares)
def test_without_discernment_aurc_is_the_error_rate(said):
    correct = np.array([right for _, right in said], dtype=float)
    assert aurc(np.full(len(correct), 0.7), correct) == pytest.approx(1 - correct.mean())


def test_nothing_to_measure():
    nothing = np.array([])
    assert np.isnan([calibration_error(nothing, nothing), auroc(nothing, nothing), aurc(nothing, nothing)]).all()
    assert np.isnan(brier(nothing, nothing.astype(bool)))


def test_the_frame_of_outputs_does_not_matter():
    rng = np.random.default_rng(0)
    probability, gold = rng.random(80), rng.random(80) < 0.6
    ours = judge_calibration(judged(probability, gold))
    theirs = judge_calibration(judged(1 - probability, ~gold))
    columns = ["accuracy", "confidence", "ece", "brier", "auroc", "aurc"]
    np.testing.assert_allclose(ours[columns], theirs[columns], atol=1e-7)


# -- scaling ----------------------------------------------------------------------------------------------------------


def planted(n, *, slope=1.0, shift=0.0, seed=0, **columns):
    """Margins of which expit(slope · margin + shift) is the truth."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(0, 3, n)
    gold = rng.random(n) < 1 / (1 + np.exp(-slope * margin - shift))
    said = np.where(margin > 0, "1", "2")
    return frame(np.where(gold, 1, 2), said, said, final_margin=margin, **columns)


@pytest.mark.parametrize("scaling", ["temperature", "platt"])
def test_a_planted_scaling_is_recovered(scaling):
    shift = 0.5 if scaling == "platt" else 0.0
    data = graded(planted(20_000, slope=0.25, shift=shift))
    assert fit_scaling(data.score, data.gold, scaling) == pytest.approx((0.25, shift), abs=0.03)


@pytest.mark.parametrize("scaling", ["temperature", "platt"])
def test_scaling_minimises_the_log_loss_of_platt_s_targets(scaling):
    data = graded(planted(60, slope=0.7))
    ones = data.gold.sum()
    target = np.where(data.gold, (ones + 1) / (ones + 2), 1 / (60 - ones + 2))

    def loss(free):
        chance = 1 / (1 + np.exp(-free[0] * data.score - (free[1] if scaling == "platt" else 0)))
        return -(target * np.log(chance) + (1 - target) * np.log(1 - chance)).sum()

    best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).x
    found = fit_scaling(data.score, data.gold, scaling)
    assert found[0] == pytest.approx(best[0], abs=1e-4)
    assert found[1] == pytest.approx(best[1] if scaling == "platt" else 0, abs=1e-4)


def test_an_overconfident_judge_is_calibrated_out_of_fold():
    table = planted(4000, slope=0.25)
    table["probability"] = 1 / (1 + np.exp(-table["final_margin"]))
    found = judge_calibration(table).set_index("probabilities")
    assert list(found.index) == ["stated", "temperature", "platt"]
    assert found.loc["stated", "ece"] > 0.15
    assert (found.loc[["temperature", "platt"], "ece"] < 0.04).all()
    assert (found["brier"].iloc[1:] < found.loc["stated", "brier"] - 0.02).all()
    assert found.loc["temperature", "accuracy"] == found.loc["stated", "accuracy"]
    assert found["folds"].tolist() == [0, 5, 5]


def test_platt_scaling_takes_out_a_lean_to_one_output_and_temperature_cannot():
    found = judge_calibration(planted(4000, shift=1.5)).set_index("probabilities")
    assert found.loc["platt", "ece"] < 0.04
    assert found.loc["platt", "brier"] < found.loc["temperature", "brier"] - 0.01


def test_no_pair_s_probability_depends_on_its_own_cluster_s_labels():
    table = planted(60, cluster=[f"c{i // 3}" for i in range(60)])
    before = graded(table)
    for scaling in ("temperature", "platt"):
        ours = out_of_fold(before, scaling)
        for cluster in ("c0", "c7"):
            mine = before.cluster == cluster
            flipped = before._replace(gold=np.where(mine, ~before.gold, before.gold))
            theirs = out_of_fold(flipped, scaling)
            np.testing.assert_array_equal(ours[mine], theirs[mine])
            assert not np.array_equal(ours, theirs)


def test_the_sequence_of_rows_changes_nothing():
    table = planted(90, cluster=[f"c{i // 2}" for i in range(90)])
    mixed = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(judge_calibration(table), judge_calibration(mixed))


def test_a_judge_without_mistakes_and_one_that_is_always_wrong_have_finite_scalings():
    margin = np.linspace(-2, 2, 40)
    for gold, right in ((margin > 0, True), (margin < 0, False)):
        said = np.where(margin > 0, "1", "2")
        table = frame(np.where(gold, 1, 2), said, said, final_margin=margin)
        found = judge_calibration(table).set_index("probabilities")
        assert np.isfinite(found[["ece", "brier", "aurc"]]).all(axis=None)
        if right:
            assert (found["accuracy"] == 1).all()
            assert found["auroc"].isna().all()
        else:
            assert found.loc["temperature", "confidence"] == 0.5  # a temperature cannot turn preferences round
            assert found.loc["platt", "accuracy"] > 0.9  # two parameters can


def test_votes_grade_and_hard_verdicts_do_not():
    votes = frame([1, 1, 2, 2] * 5, ["1"] * 20, ["1"] * 20, final_margin=[1.0, 0.6, 0.2, 0.6] * 5)
    assert judge_calibration(votes)["probabilities"].tolist() == ["temperature", "platt"]
    assert judge_calibration(votes.assign(final_margin=1.0)).empty
    assert judge_calibration(votes.drop(columns="final_margin")).empty
    missing = votes.assign(final_margin=[np.nan, 0.5] * 10, final=["unreadable", "1"] * 10)
    assert judge_calibration(missing).empty  # what is left has one strength only


def test_probabilities_of_zero_and_one_and_a_half_are_taken():
    table = judged([0.0, 1.0, 0.5, 0.75] * 5, [False, True, True, False] * 5)
    found = judge_calibration(table).set_index("probabilities")
    assert found.loc["stated", "accuracy"] == (1 + 1 + 0.5 + 0) / 4
    assert np.isfinite(found[["ece", "brier", "auroc", "aurc"]]).all(axis=None)


def test_one_cluster_has_no_other_to_learn_from_and_three_are_three_folds():
    assert judge_calibration(planted(20, cluster="same")).empty
    assert np.isnan(out_of_fold(graded(planted(20, cluster="same")), "platt")).all()
    assert judge_calibration(planted(30, cluster=list("abc") * 10))["folds"].tolist() == [3, 3]
