"""Properties that every summary must have, whatever the verdicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from verdict_frames import frame, verdicts

from llmbar.stats import Policy, summarize

FLIP = {"1": "2", "2": "1"}
NUMBERS = [*("accuracy", "accuracy_low", "accuracy_high", "both_correct", "agreement", "agreement_low")]
NUMBERS += [*("agreement_high", "agreement_strict", "ties", "unreadable", "failed", "conflicts", "primacy")]
NUMBERS += [*("primacy_p", "first_rate", "longer_rate", "accuracy_gold_longer", "accuracy_gold_shorter")]
NUMBERS += [*("position_consistency", "preference_fairness", "kappa", "n")]


@st.composite
def frames(draw, words=("1", "2", "tie", "unreadable", "failed"), orders=("separate", "averaged", "free")):
    """A few judgments of one judge on two subsets, some of them repeats or of one cluster."""
    n = draw(st.integers(2, 25))
    word = st.lists(st.sampled_from(words), min_size=n, max_size=n)
    lengths = st.lists(st.integers(1, 4), min_size=n, max_size=n)
    subsets = st.lists(st.sampled_from(["a", "b"]), min_size=n, max_size=n)
    return frame(
        draw(st.lists(st.sampled_from([1, 2]), min_size=n, max_size=n)),
        draw(word),
        draw(word),
        draw(word),
        cluster=[f"c{number}" for number in draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))],
        subset=draw(subsets),
        orders=draw(st.sampled_from(orders)),
        length_1=draw(lengths),
        length_2=draw(lengths),
    )


def only(table):
    assert len(table) == 1
    return table.iloc[0]


@given(frames(words=("1", "2"), orders=("separate",)))
@settings(max_examples=25, deadline=None)
def test_accuracy_is_both_correct_plus_half_the_disagreement(table):
    for row in summarize(table, resamples=0).to_dict("records"):
        assert row["accuracy"] == pytest.approx(row["both_correct"] + (1 - row["agreement"]) / 2)
        assert row["accuracy"] == pytest.approx((row["accuracy_original"] + row["accuracy_swapped"]) / 2)
        assert row["position_consistency"] == row["agreement"]


@given(frames(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_changes_nothing(table, random):
    rows = list(range(len(table)))
    random.shuffle(rows)
    pd.testing.assert_frame_equal(
        summarize(table.iloc[rows], resamples=50), summarize(table, resamples=50), check_exact=True
    )


@given(frames())
@settings(max_examples=25, deadline=None)
def test_exchanging_the_outputs_changes_nothing(table):
    """Output 1 becomes output 2: what was the original order is the swapped one, and every verdict is renamed."""
    other = table.assign(
        gold=3 - table["gold"],
        original=table["swapped"].replace(FLIP),
        swapped=table["original"].replace(FLIP),
        final=table["final"].replace(FLIP),
        length_1=table["length_2"],
        length_2=table["length_1"],
    )
    ours, theirs = summarize(table, resamples=50), summarize(other, resamples=50)
    pd.testing.assert_frame_equal(ours[NUMBERS], theirs[NUMBERS], rtol=1e-12)
    pd.testing.assert_series_equal(ours["accuracy_original"], theirs["accuracy_swapped"], check_names=False)


@given(frames(words=("1", "2", "tie"), orders=("separate",)))
@settings(max_examples=25, deadline=None)
def test_exchanging_the_orders_changes_only_signs(table):
    mirrored = table.assign(original=table["swapped"], swapped=table["original"])
    ours, theirs = summarize(table, resamples=0), summarize(mirrored, resamples=0)
    np.testing.assert_allclose(theirs["preference_fairness"], -ours["preference_fairness"])
    np.testing.assert_allclose(theirs["primacy"], 1 - ours["primacy"])
    np.testing.assert_allclose(theirs["first_rate"], 1 - ours["first_rate"])
    same = ["accuracy", "both_correct", "agreement", "kappa", "longer_rate", "conflicts", "position_consistency"]
    pd.testing.assert_frame_equal(ours[same], theirs[same])


@given(frames(words=("1", "2", "tie", "unreadable"), orders=("separate",)))
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore::RuntimeWarning")
def test_kappa_is_scikit_learn_s(table):
    def theirs(gold, verdict):
        kept = verdict.isin(["1", "2"])
        return cohen_kappa_score(gold[kept], verdict[kept].astype(int), labels=[1, 2]) if kept.any() else np.nan

    table = table.assign(subset="only")
    expected = np.mean([theirs(table["gold"], table[order]) for order in ("original", "swapped")])
    assert only(summarize(table, resamples=0))["kappa"] == pytest.approx(expected, nan_ok=True)


def test_a_perfect_judge_is_not_proven_to_be_perfect():
    """Nothing varies, so the interval is Wilson's of 40 in 40: from n/(n + z²) to 1."""
    row = only(summarize(frame([1, 2] * 20, ["1", "2"] * 20, ["1", "2"] * 20), resamples=500))
    assert (row["accuracy"], row["accuracy_high"], row["kappa"]) == (1, 1, 1)
    assert row["accuracy_low"] == row["agreement_low"] == pytest.approx(40 / (40 + 1.959964**2))
    assert (row["accuracy_interval"], row["agreement_interval"]) == ("wilson", "wilson")
    assert (row["agreement"], row["conflicts"], row["preference_fairness"]) == (1, 0, 0)
    assert np.isnan(row["primacy"])
    assert np.isnan(row["primacy_p"])


def test_a_judge_that_always_prefers_the_first_has_no_kappa_and_full_primacy():
    row = only(summarize(frame([1, 2] * 4, ["1"] * 8, ["2"] * 8), resamples=0))
    assert (row["accuracy"], row["agreement"], row["kappa"], row["first_rate"]) == (0.5, 0, 0, 1)
    assert (row["conflicts"], row["primacy"], row["preference_fairness"]) == (8, 1, -1)
    assert row["primacy_p"] == pytest.approx(2 / 2**8)


def test_ties_unreadable_replies_and_failures_are_three_things():
    """By hand: gold is 1 throughout; the verdicts by letter, u unreadable, f failed."""
    table = frame([1] * 6, verdicts("1tu1uf"), verdicts("1t2u u1".replace(" ", "")[:5] + "1"))
    assert table["swapped"].tolist() == verdicts("1t2uu1")
    row = only(summarize(table, resamples=0))
    assert row["n"] == 6
    assert row["failed"] == 1
    assert row["ties"] == pytest.approx(2 / 11)
    assert row["unreadable"] == pytest.approx(4 / 11)
    assert row["accuracy"] == pytest.approx((1 + 1 + 0.5 + 0.5 + 1 + 1) / 11)
    assert row["both_correct"] == pytest.approx(1 / 5)
    assert row["agreement"] == pytest.approx(3 / 5)
    assert row["agreement_strict"] == pytest.approx(2 / 5)
    assert row["position_consistency"] == 1
    strict = only(summarize(table, policy=Policy(ties="strict"), resamples=0))
    assert strict["accuracy"] == pytest.approx(4 / 11)
    drop = only(summarize(table, policy=Policy(ties="drop", unreadable="drop"), resamples=0))
    assert drop["accuracy"] == pytest.approx(4 / 5)
    assert (drop["ties_policy"], drop["unreadable_policy"]) == ("drop", "drop")


def test_ties_lean_as_the_methods_say():
    """Original order first: AA AC CA are primacy, BB BC CB recency, AB BA CC consistent."""
    table = frame([1] * 9, verdicts("11t22t12t"), verdicts("2t21t112t"))
    row = only(summarize(table, resamples=0))
    assert row["conflicts"] == 6
    assert row["primacy"] == 0.5
    assert row["position_consistency"] == pytest.approx(3 / 9)
    assert row["preference_fairness"] == 0


def test_where_order_plays_no_part_position_is_undefined():
    table = frame([1, 1, 2, 2], verdicts("1111"), verdicts("2222"), verdicts("1t2u"), orders="free")
    row = only(summarize(table, resamples=200))
    assert row["accuracy"] == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert (row["ties"], row["unreadable"], row["kappa"], row["failed"]) == (0.25, 0.25, 1, 0)
    assert row["longer_rate"] == 0.5
    order = ["accuracy_original", "accuracy_swapped", "both_correct", "agreement", "agreement_low", "agreement_strict"]
    order += ["conflicts", "primacy", "primacy_p", "first_rate", "position_consistency", "preference_fairness"]
    assert row[order].isna().all()
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]


def test_an_averaged_strategy_is_scored_by_its_final_verdict():
    table = frame([1, 1, 1, 1], verdicts("1112"), verdicts("1u22"), verdicts("1112"), orders="averaged")
    row = only(summarize(table, resamples=0))
    assert (row["accuracy"], row["ties"]) == (0.75, 0)
    assert (row["accuracy_original"], row["accuracy_swapped"]) == (0.75, 0.25)
    assert row["unreadable"] == 1 / 8
    assert row["agreement"] == 0.5
    assert row["conflicts"] == 1


def test_macro_rows_average_subsets_and_pool_conflicts():
    """Subset x: 4 pairs, all right. Subset y: 2 pairs, always the first-shown output. Subset z: 2 pairs, all wrong."""
    table = frame(
        [1, 2, 1, 2, 1, 2, 1, 2],
        verdicts("12121121"),
        verdicts("12122221"),
        subset=list("xxxxyyzz"),
        group=[""] * 4 + ["G"] * 4,
        length_1=[1, 1, 1, 1, 1, 1, 9, 1],
        length_2=[1, 1, 1, 1, 1, 1, 1, 1],
    )
    summary = summarize(table, resamples=100)
    assert summary["subset"].tolist() == ["x", "y", "z", "G", "Average"]
    assert summary["kind"].tolist() == ["subset"] * 3 + ["macro"] * 2
    g, average = summary.iloc[3], summary.iloc[4]
    assert (g["accuracy"], g["n"], g["conflicts"]) == (0.25, 4, 2)
    assert (average["accuracy"], average["n"], average["agreement"]) == (0.5, 8, pytest.approx(2 / 3))
    assert (average["primacy"], average["primacy_p"]) == (1, 0.5)
    assert average["longer_rate"] == 0, "only z has outputs of unequal length"
    unseen = [1.959964**2 / (n + 1.959964**2) / 3 for n in (4, 2, 2)]
    assert average["accuracy_low"] == pytest.approx(0.5 - np.hypot(unseen[0], unseen[1] / 2)), "no subset varies"
    assert average["accuracy_high"] == pytest.approx(0.5 + np.hypot(unseen[1] / 2, unseen[2]))
    assert average["accuracy_interval"] == "wilson"


def test_one_subset_needs_no_macro_row():
    assert summarize(frame([1], ["1"], ["1"], group="G"), resamples=10)["kind"].tolist() == ["subset"]


def test_an_interval_does_not_depend_on_what_is_beside_it():
    rng = np.random.default_rng(0)
    table = frame([1] * 60, rng.choice(["1", "2"], 60), rng.choice(["1", "2"], 60), subset=["a", "b"] * 30)
    both = pd.concat([table, table.assign(judge="another", original="1")])
    alone = summarize(table[table["subset"] == "b"], resamples=100)
    beside = summarize(both, resamples=100).query("judge == 'judge' and subset == 'b'").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, beside)


def test_seeds_give_other_draws_and_the_same_seed_the_same():
    table = frame([1] * 37, ["1"] * 20 + ["2"] * 17, ["1"] * 9 + ["2"] * 28)
    bounds = [
        tuple(only(summarize(table, resamples=99, seed=seed))[["accuracy_low", "accuracy_high"]]) for seed in (0, 0, 5)
    ]
    assert bounds[0] == bounds[1] != bounds[2]


def test_categories_read_like_text_and_no_rows_give_no_rows():
    table = frame([1, 2, 1], verdicts("12t"), verdicts("1u2"), subset=["a", "b", "a"], group=["", "G", ""])
    text = [
        "judge",
        "strategy",
        "dataset",
        "group",
        "subset",
        "pair",
        "cluster",
        "original",
        "swapped",
        "final",
        "orders",
    ]
    pd.testing.assert_frame_equal(
        summarize(table.astype(dict.fromkeys(text, "category")), resamples=10), summarize(table, resamples=10)
    )
    empty = summarize(table.iloc[:0])
    assert empty.empty
    assert empty.columns.tolist() == summarize(table, resamples=0).columns.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"original": "3"}, "'3' is no verdict"),
        ({"gold": 3}, "gold holds 3"),
        ({"orders": "both"}, "orders holds 'both'"),
        ({"cluster": None}, "gaps in column cluster"),
    ],
)
def test_what_is_no_verdict_frame_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        summarize(frame([1], ["1"], ["1"]).assign(**change))
    with pytest.raises(ValueError, match="no column swapped"):
        summarize(frame([1], ["1"], ["1"]).drop(columns="swapped"))
