"""Comparisons against the recordings' known differences, scipy's tests, and what every comparison must obey."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test
from statsmodels.stats.multitest import multipletests
from verdict_frames import frame, recorded, verdicts

from llmbar.stats import compare, holm, mcnemar, rank_ranges, sign_flip, summarize, tied_with_best

SIGNED = ["difference", "low", "high"]


@pytest.fixture(scope="module")
def gpt4(shared):
    table = recorded(shared).query("judge == 'GPT-4'")
    return table.assign(cluster=table["instruction"])


def two(gold, one, other, **columns):
    """Two strategies, `a` and `b`, of one judge on the same pairs, each given by its original and swapped verdicts."""
    return pd.concat(
        [frame(gold, *words, strategy=name, **columns) for name, words in (("a", one), ("b", other))],
        ignore_index=True,
    )


@st.composite
def contests(draw, names=("a", "b")):
    """Strategies on the same few pairs, of two subsets and of shared instructions."""
    n = draw(st.integers(2, 16))
    words = st.lists(st.sampled_from(["1", "2", "tie", "unreadable", "failed"]), min_size=n, max_size=n)
    gold = draw(st.lists(st.sampled_from([1, 2]), min_size=n, max_size=n))
    columns = {
        "subset": draw(st.lists(st.sampled_from(["x", "y"]), min_size=n, max_size=n)),
        "cluster": [f"c{number}" for number in draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))],
    }
    return pd.concat([frame(gold, draw(words), draw(words), strategy=name, **columns) for name in names])


# -- reference values -------------------------------------------------------------------------------------------------


def test_mcnemar_equals_published_values():
    assert f"{mcnemar(59, 121):.3g}" == "4.43e-06"
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 33) == pytest.approx(4.26e-6, rel=2e-3)


def test_holm_equals_published_values():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([np.nan, 0.01, 0.04])) == pytest.approx([np.nan, 0.02, 0.04], nan_ok=True)
    assert np.isnan(holm(np.array([np.nan]))).all()


@given(st.lists(st.sampled_from([0.001, 0.01, 0.02, 0.3, 0.9, 1.0]), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None)
def test_holm_is_statsmodels_s(p):
    assert holm(np.array(p)) == pytest.approx(multipletests(p, method="holm")[1])


def test_rules_help_gpt_4(gpt4):
    """Reference: over all 419 pairs alike: +8.0 [5.5, 10.6]; in the original order 5 pairs lost, 33 gained."""
    table = gpt4.query("strategy in ['Vanilla', 'Vanilla_NoRules']")
    row = compare(table, against=("GPT-4", "Vanilla_NoRules")).set_index("subset").loc["Pooled"]
    assert row["n"] == 419
    assert 100 * row["difference"] == pytest.approx(8.0, abs=0.05)
    assert [100 * row["low"], 100 * row["high"]] == pytest.approx([5.5, 10.6], abs=0.2)
    assert row["p"] == pytest.approx(1 / 10_001)
    assert (row["verdict"], row["interval"]) == ("better", "bca")
    wide = table.assign(right=table["original"] == table["gold"].astype(str)).pivot(
        index="pair", columns="strategy", values="right"
    )
    lost, gained = (int((wide[a] & ~wide[b]).sum()) for a, b in (sorted(wide)[::-1], sorted(wide)))
    assert (lost, gained) == (5, 33)


def test_the_order_wise_counts_are_those_of_the_final_verdicts_alone(gpt4):
    """Scored by its original order only, the comparison is McNemar's: 5 lost, 33 gained, p = 4.26e-6."""
    table = gpt4.query("strategy in ['Vanilla', 'Vanilla_NoRules']").assign(orders="averaged")
    row = compare(table, against=("GPT-4", "Vanilla_NoRules"), resamples=100).set_index("subset").loc["Pooled"]
    assert (row["lost"], row["gained"]) == (5, 33)
    assert row["mcnemar_p"] == pytest.approx(4.26e-6, rel=2e-3)


def test_metrics_and_reference_help_a_little_more(gpt4):
    """Reference: +2.7, p ≈ .008 (exactly .00705, by enumeration), over all pairs; the macro mean is unresolved."""
    table = gpt4.query("strategy in ['Vanilla', 'Metrics_Reference']")
    rows = compare(table, against=("GPT-4", "Vanilla"), resamples=100_000).set_index("subset")
    assert 100 * rows.loc["Pooled", "difference"] == pytest.approx(2.7, abs=0.05)
    assert rows.loc["Pooled", "p"] == pytest.approx(0.00705, abs=0.001)
    assert rows.loc["Average", "verdict"] == "unresolved"
    assert rows.loc["Average", "low"] < 0 < rows.loc["Average", "high"]


def test_accuracies_and_differences_are_those_of_the_summary(gpt4):
    table = gpt4.query("strategy in ['CoT', 'Rating', 'Swap']")
    rows = compare(table, resamples=0)
    summary = summarize(table, resamples=0).set_index(["strategy", "subset"])["accuracy"]
    assert len(rows) == 3 * 8
    for row in rows[rows["kind"] != "pooled"].itertuples():
        ours, theirs = summary[row.strategy, row.subset], summary[row.against_strategy, row.subset]
        assert (row.accuracy, row.against_accuracy) == pytest.approx((ours, theirs))
        assert row.difference == pytest.approx(ours - theirs)
    both = summarize(table, resamples=0).set_index(["strategy", "subset"])["both_correct"]
    for row in rows[rows["kind"] == "subset"].itertuples():
        expected = row.n * (both[row.strategy, row.subset] - both[row.against_strategy, row.subset])
        assert row.gained - row.lost == pytest.approx(expected)


# -- the sign-flip test -----------------------------------------------------------------------------------------------


def test_sign_flip_equals_enumeration():
    differences = np.array([0.5, 0.5, -0.5, 1.0, 1.0, 0.0, 0.5, 1.0])
    sums = [abs(np.dot(signs, differences)) for signs in product([1, -1], repeat=len(differences))]
    exact = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12)
    p = sign_flip(differences, flips=200_000, rng=np.random.default_rng(0))
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 200_000))


def test_sign_flip_equals_scipy_s_permutation_test():
    rng = np.random.default_rng(7)
    differences = rng.choice([-1, -0.5, 0, 0.5, 1], p=[0.05, 0.1, 0.6, 0.15, 0.1], size=120)
    theirs = permutation_test(
        (differences, np.zeros(120)), lambda x, y, axis: (x - y).sum(axis), permutation_type="samples",
        vectorized=True, n_resamples=20_000, rng=rng,
    )  # fmt: skip
    ours = sign_flip(differences, flips=20_000, rng=rng)
    assert ours == pytest.approx(theirs.pvalue, abs=0.012)


def test_the_macro_test_flips_whole_clusters():
    """Three instructions, asked in two subsets each: 2³ sign patterns, so p ≥ ¼ however clear each pair."""
    n = 12
    columns = {"subset": ["x", "y"] * 6, "cluster": [f"c{i // 4}" for i in range(n)]}
    table = two([1] * n, [["2"] * n, ["2"] * n], [["1"] * n, ["1"] * n], **columns)
    rows = compare(table, resamples=4000).set_index("subset")
    assert rows.loc["Average", "p"] == pytest.approx(0.25, abs=0.03)
    assert rows.loc["x", "p"] == pytest.approx(0.25, abs=0.03)
    alone = table.assign(cluster=table["pair"])
    assert compare(alone, resamples=4000).set_index("subset").loc["Average", "p"] < 0.005


def test_without_flips_or_differences_there_is_no_p():
    rng = np.random.default_rng(0)
    assert np.isnan(sign_flip(np.ones(4), flips=0, rng=rng))
    assert np.isnan(sign_flip(np.array([]), flips=10, rng=rng))
    assert np.isnan(sign_flip(np.array([np.nan]), flips=10, rng=rng))


# -- what every comparison obeys --------------------------------------------------------------------------------------


@given(contests())
@settings(max_examples=30, deadline=None)
def test_exchanging_contenders_changes_signs_only(table):
    ours = compare(table, resamples=100)
    theirs = compare(table.assign(strategy=table["strategy"].map({"a": "b", "b": "a"})), resamples=100)
    np.testing.assert_allclose(theirs["difference"], -ours["difference"], atol=1e-12)
    np.testing.assert_allclose(theirs[["low", "high"]], -ours[["high", "low"]], atol=1e-12)
    np.testing.assert_array_equal(theirs[["gained", "lost"]], ours[["lost", "gained"]])
    same = ["n", "interval", "p", "p_holm", "mcnemar_p", "detectable"]
    pd.testing.assert_frame_equal(theirs[same], ours[same])
    against = compare(table, against=("judge", "b"), resamples=100)
    np.testing.assert_allclose(against[["low", "high"]], theirs[["low", "high"]], atol=1e-12)
    opposite = {"better": "worse", "worse": "better", "unresolved": "unresolved"}
    assert theirs["verdict"].tolist() == [opposite[word] for word in ours["verdict"]]


@given(contests(names=("a", "b", "c")), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_sequence_of_the_rows_changes_nothing(table, random):
    rows = list(range(len(table)))
    random.shuffle(rows)
    mixed = table.iloc[rows]
    pd.testing.assert_frame_equal(compare(mixed, resamples=50), compare(table, resamples=50), check_exact=False)
    pd.testing.assert_frame_equal(rank_ranges(mixed, resamples=50), rank_ranges(table, resamples=50))


@given(contests())
@settings(max_examples=20, deadline=None)
def test_exchanging_the_outputs_changes_nothing(table):
    flip = {"1": "2", "2": "1"}
    other = table.assign(
        gold=3 - table["gold"],
        original=table["swapped"].replace(flip),
        swapped=table["original"].replace(flip),
        final=table["final"].replace(flip),
        length_1=table["length_2"],
        length_2=table["length_1"],
    )
    pd.testing.assert_frame_equal(compare(other, resamples=50), compare(table, resamples=50))


def test_a_comparison_does_not_depend_on_what_is_beside_it(gpt4):
    pair = gpt4.query("strategy in ['CoT', 'Swap']")
    alone = compare(pair, resamples=200)
    beside = compare(gpt4.query("strategy in ['CoT', 'Swap', 'Metrics']"), resamples=200)
    beside = beside.query("strategy == 'Swap' and against_strategy == 'CoT'").reset_index(drop=True)
    columns = [name for name in alone if name not in {"p_holm", "verdict"}]
    pd.testing.assert_frame_equal(alone[columns], beside[columns])
    assert (beside["p_holm"] >= alone["p_holm"]).all()


def test_identical_judges_are_unresolved_and_never_equal():
    words = [["1", "2"] * 23, ["1", "1"] * 23]
    row = compare(two([1] * 46, words, words), resamples=200).iloc[0]
    assert (row["difference"], row["p"], row["mcnemar_p"], row["gained"], row["lost"]) == (0, 1, 1, 0, 0)
    assert row["verdict"] == "unresolved"
    assert (row["low"], row["high"], row["interval"]) == (pytest.approx(-0.0771, abs=1e-4), -row["low"], "wilson")
    assert np.isnan(row["detectable"])


def test_pairs_without_a_verdict_of_both_are_left_out_by_hand():
    """a: right, right, failed, ½; b: right, wrong in one order, right, wrong. Three pairs count: 0, −½, −½."""
    table = two(
        [1, 1, 1, 1],
        [verdicts("11ft"), verdicts("11ft")],
        [verdicts("1112"), verdicts("1212")],
    )
    row = compare(table, resamples=50).iloc[0]
    assert (row["n"], row["accuracy"], row["against_accuracy"]) == (3, 0.5, pytest.approx(2.5 / 3))
    assert row["difference"] == pytest.approx(-1 / 3)
    assert (row["gained"], row["lost"]) == (0, 1)


def test_nothing_in_common_is_undefined():
    table = two([1, 1], [verdicts("ff"), verdicts("ff")], [verdicts("12"), verdicts("12")], subset=["x", "y"])
    rows = compare(table, resamples=20)
    assert rows[[*SIGNED, "p", "p_holm", "detectable"]].isna().all(axis=None)
    assert (rows["verdict"] == "unresolved").all()
    assert (rows["n"] == 0).all()


def test_repeats_are_averaged_per_pair():
    table = two([1, 1, 2], [verdicts("112"), verdicts("121")], [verdicts("212"), verdicts("112")])
    again = pd.concat([table, table.assign(repeat="1", original="unreadable")])
    once = compare(pd.concat([table, table.assign(repeat="1")]), resamples=0).iloc[0]
    assert once["difference"] == pytest.approx(compare(table, resamples=0).iloc[0]["difference"])
    row = compare(again, resamples=0).iloc[0]
    assert row["accuracy"] == pytest.approx(np.mean([2 / 4, 3 / 4, 3 / 4]))
    assert row["n"] == 3


def test_a_family_is_adjusted_together_and_can_resolve():
    """Six perfect and six hopeless strategies: 66 comparisons, with 100 resamples asked for."""
    n = 40
    right, wrong = [["1"] * n] * 2, [["2"] * n] * 2
    parts = [frame([1] * n, *(right if i % 2 else wrong), strategy=f"s{i:02}") for i in range(12)]
    rows = compare(pd.concat(parts), resamples=100)
    assert len(rows) == 66
    assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"].to_numpy()))
    assert rows["verdict"].value_counts().to_dict() == {"unresolved": 30, "better": 21, "worse": 15}


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_other_pairs_and_other_data_are_refused_by_name():
    table = two([1, 2], [["1", "1"]] * 2, [["1", "2"]] * 2)
    with pytest.raises(
        ValueError, match=r"not the same pairs: judge with b was not asked 1 of 2 pairs .* set, pair p1"
    ):
        compare(table.iloc[:-1])
    changed = table.copy()
    changed.loc[3, ["gold", "length_1"]] = [1, 7]
    with pytest.raises(ValueError, match="not the same data: set, pair p1 differs in gold, length_1"):
        rank_ranges(changed)
    with pytest.raises(ValueError, match="judge with x is not among those compared: judge with a, judge with b"):
        compare(table, against=("judge", "x"))
    with pytest.raises(ValueError, match="no column gold"):
        compare(table.drop(columns="gold"))
    with pytest.raises(ValueError, match="was not asked 2 of 4 pairs that others were, such as other, pair p0"):
        tied_with_best(pd.concat([table, table.iloc[:2].assign(dataset="other")]))


def test_no_rows_and_one_contender_give_no_comparison():
    table = frame([1, 2], ["1", "1"], ["1", "2"])
    assert compare(table).empty
    assert compare(table.iloc[:0]).columns.tolist() == compare(table).columns.tolist()
    assert rank_ranges(table.iloc[:0]).empty
    assert tied_with_best(table.iloc[:0]).empty
    assert rank_ranges(table)["rank"].tolist() == [1]
    assert tied_with_best(table)["tied"].tolist() == [True]


def test_each_dataset_is_compared_by_itself():
    table = two([1, 2], [["1", "1"]] * 2, [["1", "2"]] * 2)
    both = compare(pd.concat([table, table.assign(dataset="other")]), resamples=10)
    assert both["dataset"].tolist() == ["other", "set"]
    assert tied_with_best(pd.concat([table, table.assign(dataset="other")]), resamples=10)["tied"].all()


# -- ranks ------------------------------------------------------------------------------------------------------------


def test_ranks_are_those_of_the_summary_and_ranges_hold_them(gpt4):
    ranges = rank_ranges(gpt4, resamples=2000)
    summary = summarize(gpt4, resamples=0).query("subset == 'Average'").set_index("strategy")["accuracy"]
    assert ranges["accuracy"].tolist() == pytest.approx(summary[ranges["strategy"]].tolist())
    assert ranges["rank"].tolist() == pytest.approx(summary.rank(ascending=False, method="min").sort_values().tolist())
    assert (ranges["rank_low"] <= ranges["rank"]).all()
    assert (ranges["rank"] <= ranges["rank_high"]).all()
    last = ranges.set_index("strategy").loc["Vanilla_NoRules"]
    assert last["rank_low"] >= 13


def test_rank_ranges_equal_a_slow_bootstrap():
    """Whole clusters are drawn, the same for all strategies; with 3,000 draws the quantiles of ranks are settled."""
    rng = np.random.default_rng(5)
    n = 60
    cluster = rng.integers(40, size=n)
    chances = {"a": 0.9, "b": 0.85, "c": 0.6, "d": 0.58}
    right = {name: rng.random((2, n)) < p for name, p in chances.items()}
    table = pd.concat(
        [
            frame([1] * n, *np.where(hit, "1", "2"), strategy=name, cluster=[f"c{c:02}" for c in cluster])
            for name, hit in right.items()
        ]
    )
    score = np.array([hit.mean(axis=0) for hit in right.values()])
    members = [np.flatnonzero(cluster == c) for c in np.unique(cluster)]
    drawn = []
    for _ in range(3000):
        rows = np.concatenate([members[c] for c in rng.integers(len(members), size=len(members))])
        accuracy = score[:, rows].mean(axis=1)
        drawn.append(1 + (accuracy[None] > accuracy[:, None] + 1e-12).sum(axis=1))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0, method="inverted_cdf")
    ours = rank_ranges(table, resamples=3000).sort_values("strategy")
    assert ours["rank_low"].tolist() == low.tolist()
    assert ours["rank_high"].tolist() == high.tolist()


def test_equal_judges_share_a_rank_and_nothing_moves():
    words = [["1", "2"] * 5] * 2
    found = rank_ranges(two([1] * 10, words, words), resamples=100)
    assert found[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1, 1]] * 2


def test_who_is_tied_with_the_best(gpt4):
    found = tied_with_best(gpt4).set_index("strategy")
    assert found.index[0] == "Metrics_Reference"
    assert found.loc[["Metrics_Reference", "Reference", "Vanilla"], "tied"].all()
    assert not found.loc[["CoT", "Rating_NoRules", "Vanilla_NoRules"], "tied"].any()
    against = compare(gpt4, against=("GPT-4", "Metrics_Reference")).query("subset == 'Average'").set_index("strategy")
    pd.testing.assert_series_equal(found["p_holm"].drop("Metrics_Reference"), against["p_holm"], check_like=True)
