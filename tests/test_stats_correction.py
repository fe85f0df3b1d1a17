"""Corrected win rates: published values, independent arithmetic, and intervals that cover what was planted."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmbar.errors import UsageError
from llmbar.stats import correct_win_rate, encode, invert_confusion, prediction_powered, rogan_gladen

CODES = {"1": 1, "2": 2, "t": 0, "u": -1, "f": -2}
LABELS = np.array([*map(float, "1011010111")])
JUDGED = np.array([*map(float, "1010011111")])
UNLABELLED = np.repeat([1.0, 0.0], [60, 40])


def codes(letters):
    return np.array([CODES[letter] for letter in letters], dtype=np.int8)


# -- Rogan–Gladen -----------------------------------------------------------------------------------------------------


def test_rogan_gladen_equals_the_published_value():
    found = rogan_gladen(0.6, 1000, q1=0.9, m1=100, q0=0.85, m0=100)
    assert found == pytest.approx((0.6, 0.5278, 0.6773, 0.6), abs=5e-5)


def test_a_perfect_judge_is_believed():
    assert rogan_gladen(0.37, 100, q1=1, m1=10**9, q0=1, m0=10**9).value == pytest.approx(0.37)


@pytest.mark.parametrize(("q1", "q0"), [(0.5, 0.5), (0.2, 0.7), (1, 0)])
def test_a_judge_no_better_than_chance_is_refused(q1, q0):
    with pytest.raises(UsageError, match=r"no better than chance.*not above 1"):
        rogan_gladen(0.5, 100, q1=q1, m1=20, q0=q0, m0=20)


def test_few_labels_that_flatter_a_judge_do_not_save_it():
    """Shrunk towards ½ the two rates no longer exceed 1 together: their sum is all chance."""
    with pytest.raises(UsageError, match="no better than chance"):
        rogan_gladen(0.5, 100, q1=0.3, m1=1000, q0=1, m0=1)


@given(st.integers(0, 300), st.integers(1, 40), st.integers(1, 40), st.data())
def test_an_estimate_lies_within_its_interval_and_within_0_and_1(wins, m1, m0, data):
    q1, q0 = data.draw(st.integers(0, m1)) / m1, data.draw(st.integers(0, m0)) / m0
    assume((m0 * q0 + 1) / (m0 + 2) + (m1 * q1 + 1) / (m1 + 2) > 1 + 1e-9)
    assume(q0 + q1 > 1 + 1e-9)
    found = rogan_gladen(wins / 300, 300, q1=q1, m1=m1, q0=q0, m0=m0)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.value == pytest.approx(min(1, max(0, found.unclipped)))


@given(st.integers(1, 299), st.integers(25, 39), st.integers(25, 39))
def test_exchanging_the_outputs_turns_a_win_rate_round(wins, hits1, hits0):
    ours = rogan_gladen(wins / 300, 300, q1=hits1 / 40, m1=40, q0=hits0 / 40, m0=40)
    theirs = rogan_gladen(1 - wins / 300, 300, q1=hits0 / 40, m1=40, q0=hits1 / 40, m0=40)
    assert theirs[:3] == pytest.approx((1 - ours.value, 1 - ours.high, 1 - ours.low))


@pytest.mark.parametrize("labels", [46, 92, 419])
def test_rogan_gladen_covers(labels):
    """2,000 samples: a true 93 % falls below 91.3 % with a chance of .001; cautious with few labels."""
    rng = np.random.default_rng(labels)
    covered = 0
    for _ in range(2000):
        m1 = int(np.clip(rng.binomial(labels, 0.6), 1, labels - 1))
        p, q1 = rng.binomial(1000, 0.6 * 0.85 + 0.4 * 0.2) / 1000, rng.binomial(m1, 0.85) / m1
        q0 = rng.binomial(labels - m1, 0.8) / (labels - m1)
        found = rogan_gladen(p, 1000, q1=q1, m1=m1, q0=q0, m0=labels - m1)
        covered += found.low <= 0.6 <= found.high
    assert 0.913 < covered / 2000 < 0.985


# -- three outcomes ---------------------------------------------------------------------------------------------------


def cramer(confusion, p):
    """θ = C⁻¹p by exact determinants."""
    size = range(3)

    def det(m):
        return sum(
            sign * m[0][i] * m[1][j] * m[2][k]
            for (i, j, k), sign in zip(
                [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2), (2, 1, 0)], [1, 1, 1, -1, -1, -1], strict=True
            )
        )

    whole = det(confusion)
    return [det([[p[r] if c == at else confusion[r][c] for c in size] for r in size]) / whole for at in size]


def test_three_outcomes_equal_cramers_rule():
    labelled, traffic = [[40, 3, 5], [6, 12, 4], [4, 5, 41]], [510, 190, 300]
    exact = [[Fraction(labelled[r][c], sum(row[c] for row in labelled)) for c in range(3)] for r in range(3)]
    theta = cramer(exact, [Fraction(count, 1000) for count in traffic])
    found = invert_confusion(np.array(traffic), np.array(labelled), np.array([1, 0.5, 0]))
    assert [share.value for share in found.shares] == pytest.approx([float(share) for share in theta])
    assert found.mean.value == pytest.approx(float(theta[0] + theta[1] / 2))


def test_two_outcomes_are_rogan_gladens_with_the_textbook_error():
    """Standard error of θ by the delta method, written out for two outcomes (Rogan & Gladen 1978)."""
    p, q1, q0, n, m = 0.6, 0.9, 0.85, 1000, 100
    found = invert_confusion(np.array([600, 400]), np.array([[90, 15], [10, 85]]), np.array([1.0, 0.0])).mean
    se = np.sqrt(p * (1 - p) / n + 0.4**2 * q0 * (1 - q0) / m + 0.6**2 * q1 * (1 - q1) / m) / (q0 + q1 - 1)
    assert found[:3] == pytest.approx((0.6, 0.6 - 1.959964 * se, 0.6 + 1.959964 * se))


def test_a_judge_that_ties_beside_labels_that_do_not():
    """Minimise |p − θ·c₁ − (1 − θ)·c₂|² by search."""
    labelled, traffic = np.array([[40, 6], [8, 5], [2, 39]]), np.array([55, 15, 30])
    one, two = (labelled / labelled.sum(axis=0)).T
    grid = np.linspace(0, 1, 100_001)[:, None]
    best = grid[np.argmin(((traffic / 100 - grid * one - (1 - grid) * two) ** 2).sum(axis=1)), 0]
    found = invert_confusion(traffic, labelled, np.array([1.0, 0.0]))
    assert found.mean.value == pytest.approx(best, abs=1e-5)
    assert sum(share.value for share in found.shares) == pytest.approx(1)


@pytest.mark.parametrize(
    ("labelled", "told"),
    [([[9, 9], [1, 1]], "do not tell"), ([[9, 0], [1, 1]], "fewer than two")],
)
def test_what_cannot_be_inverted_is_refused(labelled, told):
    with pytest.raises(UsageError, match=told):
        invert_confusion(np.array([50, 50]), np.array(labelled), np.array([1.0, 0.0]))


@pytest.mark.parametrize("labels", [92, 419])
def test_three_outcomes_cover(labels):
    rng = np.random.default_rng(labels)
    confusion = np.array([[0.85, 0.2, 0.1], [0.07, 0.6, 0.1], [0.08, 0.2, 0.8]])
    truth, worth, covered = np.array([0.5, 0.2, 0.3]), np.array([1, 0.5, 0]), np.zeros(4)
    for _ in range(500):
        true = rng.multinomial(labels, truth)
        labelled = np.stack([rng.multinomial(true[j], confusion[:, j]) for j in range(3)], axis=1)
        found = invert_confusion(rng.multinomial(1000, confusion @ truth), labelled, worth)
        for number, (estimate, exact) in enumerate(zip((*found.shares, found.mean), (*truth, 0.6), strict=True)):
            covered[number] += estimate.low <= exact <= estimate.high
    assert (covered / 500 > 0.92).all(), "P(460 or fewer of 500) is below .003 where the interval covers 95 %"


# -- prediction-powered inference -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "expected"), [(1, (0.6, 0.3067, 0.8933)), (None, (0.6584, 0.4113, 0.9055))], ids=["λ = 1", "tuned"]
)
def test_prediction_powered_equals_published_values(weight, expected):
    found = prediction_powered(LABELS, JUDGED, UNLABELLED, weight=weight)
    assert found.estimate[:3] == pytest.approx(expected, abs=5e-5)


def test_without_weight_it_is_the_labels_mean():
    found = prediction_powered(LABELS, JUDGED, UNLABELLED, weight=0).estimate
    half = 1.959964 * np.sqrt(0.7 * 0.3 / 10)
    assert found[:3] == pytest.approx((0.7, 0.7 - half, 0.7 + half))


@pytest.mark.parametrize("judged", [1 - LABELS, np.ones(10)], ids=["always wrong", "always the same"])
def test_a_judge_that_tells_nothing_gets_no_weight(judged):
    assert prediction_powered(LABELS, judged, UNLABELLED).weight == 0


def test_what_has_no_interval_is_refused():
    with pytest.raises(UsageError, match="labels are alike"):
        prediction_powered(np.ones(10), JUDGED, UNLABELLED)
    with pytest.raises(UsageError, match="two labelled"):
        prediction_powered(LABELS[:1], JUDGED[:1], UNLABELLED)


@pytest.mark.parametrize("labels", [46, 92, 419])
def test_prediction_powered_covers_and_is_no_wider_than_the_labels_alone(labels):
    """1,000 samples: a true 93.5 % falls below 91 % with a chance of .001."""
    rng = np.random.default_rng(labels)
    covered, width, alone = 0, 0.0, 0.0
    for _ in range(1000):
        truth = rng.random(labels + 1000) < 0.6
        judged = np.where(rng.random(labels + 1000) < 0.85, truth, ~truth).astype(float)
        gold = truth[:labels].astype(float)
        found = prediction_powered(gold, judged[:labels], judged[labels:]).estimate
        covered += found.low <= 0.6 <= found.high
        width += found.high - found.low
        alone += 2 * 1.96 * gold.std() / np.sqrt(labels)
    assert 0.91 < covered / 1000 < 0.975
    assert width < 0.95 * alone


# -- everything at once -----------------------------------------------------------------------------------------------


def test_without_ties_both_are_the_binary_ones():
    traffic = codes("1" * 600 + "2" * 400)
    verdicts, gold = codes("1" * 90 + "2" * 10 + "1" * 15 + "2" * 85), codes("1" * 100 + "2" * 100)
    found = correct_win_rate(traffic, verdicts, gold)
    assert found.corrected[:3] == pytest.approx((0.6, 0.5278, 0.6773), abs=5e-5)
    powered = prediction_powered((gold == 1) * 1.0, (verdicts == 1) * 1.0, (traffic == 1) * 1.0)
    assert found.powered == powered
    assert found.confusion.tolist() == [[90, 0, 15], [0, 0, 0], [10, 0, 85]]
    assert (found.traffic, found.labels, found.left_out, found.shares) == (1000, 200, 0, {})
    assert found.judge[:3] == pytest.approx((0.6, 0.569, 0.630), abs=1e-3)  # Wilson
    assert found.labelled.value == 0.5
    assert found.warnings == ()


def test_ties_count_half_and_shares_are_told():
    verdicts = codes("1" * 40 + "t" * 6 + "2" * 4 + "1" * 3 + "t" * 12 + "2" * 5 + "1" * 5 + "t" * 4 + "2" * 41)
    gold = codes("1" * 50 + "t" * 20 + "2" * 50)
    found = correct_win_rate(codes("1" * 510 + "t" * 190 + "2" * 300), verdicts, gold)
    assert found.confusion.tolist() == [[40, 3, 5], [6, 12, 4], [4, 5, 41]]
    assert found.judge.value == 0.605
    assert list(found.shares) == ["win", "tie", "loss"]
    assert sum(share.value for share in found.shares.values()) == pytest.approx(1)
    assert found.corrected.value == pytest.approx(found.shares["win"].value + found.shares["tie"].value / 2)


def test_labels_without_ties_beside_a_judge_with_them():
    verdicts, gold = codes("1" * 40 + "t" * 8 + "2" * 2 + "1" * 6 + "t" * 5 + "2" * 39), codes("1" * 50 + "2" * 50)
    found = correct_win_rate(codes("1" * 55 + "t" * 15 + "2" * 30), verdicts, gold)
    assert list(found.shares) == ["win", "loss"]
    assert found.corrected == found.shares["win"]


def test_what_cannot_be_read_is_left_out_and_counted():
    traffic, verdicts, gold = codes("1" * 6 + "2" * 4), codes("1" * 8 + "2" * 8), codes("1" * 7 + "2" * 8 + "1")
    whole = correct_win_rate(traffic, verdicts, gold)
    spoilt = correct_win_rate(codes("u1111f112222"), np.append(verdicts, codes("uf")), np.append(gold, codes("12")))
    assert spoilt.left_out == 4
    assert (spoilt.traffic, spoilt.labels) == (10, 16)
    assert spoilt.corrected == whole.corrected
    assert spoilt.powered == whole.powered


@pytest.mark.parametrize(
    ("traffic", "verdicts", "gold", "told"),
    [
        ("12", "1212", "1122", "no better than chance"),
        ("12", "1111", "1111", "no labelled pair is a loss"),
        ("12", "111222", "11t22t", "says tie no oftener"),
        ("1t2", "tttt1222", "11112222", "says win no oftener"),
    ],
)
def test_one_estimator_may_be_refused_while_the_rest_stands(traffic, verdicts, gold, told):
    found = correct_win_rate(codes(traffic), codes(verdicts), codes(gold))
    assert found.corrected is None
    assert told in found.refusals["corrected"]
    assert found.labelled.value == pytest.approx(np.mean([{"1": 1, "2": 0, "t": 0.5}[letter] for letter in gold]))


@pytest.mark.parametrize(("traffic", "verdicts", "what"), [("uf", "12", "unlabelled"), ("12", "uu", "labelled")])
def test_nothing_comes_of_nothing(traffic, verdicts, what):
    with pytest.raises(UsageError, match=f"no {what} pair"):
        correct_win_rate(codes(traffic), codes(verdicts), codes("12"))


def test_warnings_tell_what_to_doubt():
    verdicts, gold = codes("1" * 9 + "2" + "2" * 9 + "1"), codes("1" * 10 + "2" * 10)
    few, clipped, mixture = correct_win_rate(codes("1" * 500), verdicts, gold).warnings
    assert "fewer than 50" in few
    assert "112.5 %" in clipped
    assert "hardly are a random sample" in mixture
    many = correct_win_rate(codes("1" * 300 + "2" * 290), np.tile(verdicts, 4), np.tile(gold, 4))
    assert many.warnings == ()


@given(st.lists(st.sampled_from("12t"), min_size=1, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_given_the_answer_is_a_rate_or_a_reason(traffic, data):
    pairs = data.draw(st.lists(st.sampled_from([*product("12t", "12t")]), min_size=1, max_size=40))
    found = correct_win_rate(codes(traffic), *map(codes, zip(*pairs, strict=True)))
    assert (found.corrected is None) == ("corrected" in found.refusals)
    assert (found.powered is None) == ("powered" in found.refusals)
    for estimate in (found.judge, found.labelled, found.corrected, found.powered and found.powered.estimate):
        assert estimate is None or 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_the_codes_are_those_of_encode():
    assert encode(["1", "2", "tie", "unreadable", "failed"]).tolist() == [CODES[letter] for letter in "12tuf"]
