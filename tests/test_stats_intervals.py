"""Intervals against published values, scipy's bootstrap, a slow one, and their own promise to cover."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from verdict_frames import frame

from llmbar.stats import cohen_kappa, summarize, wilson
from llmbar.stats.intervals import (
    Bootstrap,
    bootstrap,
    bootstrap_difference,
    clustered_variance,
    unvarying,
    wilson_clustered,
)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (0, 20, 0, 0.1611), (75, 80, 0.862, 0.973)]
)
def test_wilson_equals_published_values(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=6e-5 if n != 80 else 6e-4)


def test_wilson_of_nothing_is_undefined():
    assert np.isnan(wilson(0, 0)).all()


def test_kappa_of_the_textbook_table():
    table = np.repeat([[1, 1], [1, 2], [2, 1], [2, 2]], [20, 5, 10, 15], axis=0)
    assert cohen_kappa(*table.T) == pytest.approx(0.4)


def noisy(rng, n, *, clusters=None, subset="only"):
    """A judge right in 70 % of the verdicts, whose verdicts on a cluster hang together; some are unreadable."""
    clusters = clusters or n
    cluster = rng.integers(clusters, size=n)
    hard = rng.random(clusters)[cluster]
    gold = rng.integers(1, 3, n)
    words = [np.where(rng.random(n) < 1 - 0.6 * hard, gold, 3 - gold).astype(str) for _ in range(2)]
    words[0][rng.random(n) < 0.1] = "unreadable"
    names = [f"{subset}{number}" for number in cluster]
    return frame(gold, words[0], words[1], cluster=names, subset=subset, pair=[f"{subset}-{i}" for i in range(n)])


def slow_bootstrap(table, statistic, rng, resamples):
    """Draw whole clusters with replacement, subset by subset, and average the subsets' statistics."""
    means = []
    for _, rows in table.groupby("subset"):
        parts = [np.array(part) for part in rows.groupby("cluster").indices.values()]
        values = statistic(rows)
        drawn = rng.integers(len(parts), size=(resamples, len(parts)))
        means.append([values[np.concatenate([parts[part] for part in draw])].mean() for draw in drawn])
    return np.quantile(np.mean(means, axis=0), [0.025, 0.975])


def item_accuracy(rows):
    return rows[["original", "swapped"]].eq(rows["gold"].astype(str), axis=0).to_numpy().mean(axis=1)


def item_agreement(rows):
    return (rows["original"] == rows["swapped"]).to_numpy().astype(float)


def test_the_bootstrap_equals_a_slow_one_within_its_own_noise():
    """With 4,000 draws a bound wavers by 2.7·sd/√4000 ≈ .0013, two differ by .0018: .008 is over 4 of these."""
    rng = np.random.default_rng(11)
    table = pd.concat([noisy(rng, 90, clusters=40, subset="a"), noisy(rng, 60, subset="b")])
    fast = summarize(table, interval="percentile", resamples=4000).set_index("subset").loc["Average"]
    assert (fast[["accuracy_interval", "agreement_interval"]] == "percentile").all()
    slow = slow_bootstrap(table, item_accuracy, rng, 4000)
    assert fast[["accuracy_low", "accuracy_high"]].to_list() == pytest.approx(slow, abs=0.008)
    slow = slow_bootstrap(table, item_agreement, rng, 4000)
    assert fast[["agreement_low", "agreement_high"]].to_list() == pytest.approx(slow, abs=0.008)


def test_repeats_of_a_pair_tell_nothing_new():
    """Five identical repeats leave the interval as it was: they are drawn together."""
    table = noisy(np.random.default_rng(2), 80)
    once = summarize(table, resamples=500).iloc[0]
    often = summarize(pd.concat([table.assign(repeat=str(r)) for r in range(5)]), resamples=500).iloc[0]
    assert often["n"] == 5 * once["n"]
    bounds = ["accuracy", "accuracy_low", "accuracy_high", "agreement_low", "agreement_high"]
    assert often[bounds].to_list() == pytest.approx(once[bounds].to_list())


def alone(n):
    return np.arange(n)


def rng():
    return np.random.default_rng(0)


def test_bca_equals_scipy_s_where_there_are_many_values():
    """500 skewed values: each bound of 20,000 resamples wavers by about .0006, and theirs is narrower by .2 %."""
    values = np.random.default_rng(4).choice([0, 0.5, 1], p=[0.02, 0.08, 0.9], size=500)
    found = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=rng())
    low, high, method = bootstrap(values, alone(500), resamples=20_000, rng=rng()).interval()
    assert method == "bca"
    assert (low, high) == pytest.approx(found.confidence_interval, abs=0.002)


def test_bca_of_two_strata_equals_its_formula():
    """By hand: leave-one-out means of clusters of unequal sizes in two strata, and the quantiles they call for."""
    draw = np.random.default_rng(8)
    strata = [(draw.choice([0.0, 0.5, 1.0], 30, p=[0.1, 0.2, 0.7]), draw.integers(12, size=30)) for _ in range(2)]
    parts = [bootstrap(values, cluster, resamples=3000, rng=rng()) for values, cluster in strata]
    whole = Bootstrap.average(parts)
    u, variances, freedoms = [], [], []
    for values, cluster in strata:
        names = np.unique(cluster)
        without = np.array([values[cluster != name].mean() for name in names])
        u.append((len(names) - 1) / len(names) * (without.mean() - without) / 2)
        variances.append((u[-1] ** 2).sum() * len(names) / (len(names) - 1))
        freedoms.append(len(names) - 1)
    observed = np.mean([values.mean() for values, _ in strata])
    a = (np.concatenate(u) ** 3).sum() / (np.concatenate(u) ** 2).sum() ** 1.5 / 6
    z0 = stats.norm.ppf(stats.percentileofscore(whole.resampled, observed, "mean") / 100)
    degrees = sum(variances) ** 2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    reach = stats.t.ppf(0.975, degrees) * np.sqrt(sum(variances) / (np.concatenate(u) ** 2).sum())
    levels = [stats.norm.cdf(z0 + (z0 + w) / (1 - a * (z0 + w))) for w in (-reach, reach)]
    assert whole.mean == pytest.approx(observed)
    assert whole.interval()[:2] == pytest.approx(np.quantile(whole.resampled, levels), abs=1e-9)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=3, max_size=40), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_intervals_are_equivariant(values, seed):
    """Errors are 1 − what is right, so are their bounds; a judge half as good, half as high ones."""
    x, cluster = np.array(values), np.random.default_rng(seed).integers(len(values), size=len(values))

    def interval(y, method):
        return bootstrap(y, cluster, resamples=200, rng=rng()).interval(method)

    for method in ("bca", "percentile"):
        low, high, used = interval(x, method)
        assert interval(1 - x, method)[:2] == pytest.approx((1 - high, 1 - low), abs=1e-9)
        if used == method:
            assert interval(0.5 * x + 0.25, method)[:2] == pytest.approx(
                (0.5 * low + 0.25, 0.5 * high + 0.25), abs=1e-9
            )
        assert 0 <= low <= high <= 1


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_interval_of_a_difference_changes_only_its_signs(values):
    d = np.array(values)

    def interval(y):
        return bootstrap_difference(y, alone(len(y)), resamples=200, rng=rng()).interval()

    low, high, method = interval(d)
    assert interval(-d) == (pytest.approx(-high, abs=1e-12), pytest.approx(-low, abs=1e-12), method)
    assert -1 <= low <= d.mean() + 1e-9
    assert d.mean() - 1e-9 <= high <= 1


def test_a_few_differences_of_one_sign_prove_nothing():
    """3 pairs of 46 differ, all one way (sign test: p = .25): 0 is inside; of 12 pairs (p = .0005) it is not."""
    for count, inside in ((1, True), (3, True), (12, False)):
        d = np.zeros(46)
        d[:count] = 0.5
        low, high, _ = bootstrap_difference(d, alone(46), resamples=4000, rng=rng()).interval()
        assert (low <= 0) == inside
        assert low < d.mean() < high


def test_where_nothing_varies_wilson_s_interval_stands():
    always = bootstrap(np.ones(46), alone(46), resamples=100, rng=rng()).interval()
    assert always == (pytest.approx(wilson(46, 46)[0]), 1.0, "wilson")
    assert bootstrap(np.zeros(46), alone(46), resamples=100, rng=rng()).interval()[:2] == pytest.approx(wilson(0, 46))
    low, high, _ = bootstrap(np.full(46, 0.5), alone(46), resamples=100, rng=rng()).interval()
    assert (low, high) == pytest.approx((0.5 - wilson(0, 46)[1] / 2, 0.5 + wilson(0, 46)[1] / 2))
    same = bootstrap_difference(np.zeros(46), alone(46), resamples=100, rng=rng()).interval()
    assert same[:2] == pytest.approx((-wilson(0, 46)[1], wilson(0, 46)[1]))


def test_clusters_count_where_nothing_varies():
    """Five right verdicts each on 10 instructions are 10 observations."""
    found = bootstrap(np.ones(50), np.repeat(alone(10), 5), resamples=100, rng=rng()).interval()
    assert found.low == pytest.approx(wilson(10, 10)[0])


def test_a_perfect_subset_widens_the_average():
    varied = bootstrap(np.repeat([0.0, 1.0], [20, 80]), alone(100), resamples=2000, rng=rng())
    perfect = bootstrap(np.ones(20), alone(20), resamples=2000, rng=rng())
    low, high, method = Bootstrap.average([varied, perfect]).interval()
    own_low, own_high, _ = varied.interval()
    assert method == "bca+wilson"
    assert high == pytest.approx(0.9 + (own_high - 0.8) / 2)
    assert low == pytest.approx(0.9 - np.hypot((0.8 - own_low) / 2, (1 - wilson(20, 20)[0]) / 2))


def test_nothing_to_tell_is_no_interval():
    nothing = bootstrap(np.full(3, np.nan), alone(3), resamples=10, rng=rng())
    assert nothing.interval() == (pytest.approx(np.nan, nan_ok=True), pytest.approx(np.nan, nan_ok=True), "none")
    assert bootstrap(np.ones(3), alone(3), resamples=0, rng=rng()).interval().method == "none"
    assert np.isnan(clustered_variance(np.full(3, np.nan), alone(3)))


def test_two_clusters_bound_as_best_they_can():
    """Degrees of freedom 1: the interval ends where the resamples do, without overflow."""
    low, high, _ = bootstrap(np.array([0.0, 1.0]), alone(2), resamples=200, rng=rng()).interval()
    assert (low, high) == (0, 1)


def test_wilson_of_clusters_is_wilson_of_singles_and_wider_for_repeats():
    values = np.repeat([1.0, 0.0], [81, 182])
    assert wilson_clustered(values, alone(263))[:2] == pytest.approx(wilson(81, 263))
    repeated = wilson_clustered(np.tile(values, 5), np.tile(alone(263), 5))
    assert repeated[:2] == pytest.approx(wilson(81, 263))
    assert wilson_clustered(np.ones(20), alone(20))[:2] == pytest.approx(wilson(20, 20))
    assert wilson_clustered(np.ones(20), alone(20)) == unvarying(1.0, 20)
    assert wilson_clustered(np.full(2, np.nan), alone(2)).method == "none"


def test_the_clustered_variance_is_that_of_the_cluster_means():
    values = np.random.default_rng(1).random(60)
    assert clustered_variance(values, alone(60)) == pytest.approx(values.var(ddof=1) / 60)
    assert clustered_variance(values, np.repeat(alone(20), 3)) == pytest.approx(
        values.reshape(20, 3).mean(axis=1).var(ddof=1) / 20
    )


def test_each_order_has_wilson_s_interval():
    table = frame([1] * 40, ["1"] * 30 + ["2"] * 10, ["1"] * 40)
    row = summarize(table, resamples=10).iloc[0]
    assert row[["accuracy_original_low", "accuracy_original_high"]].to_list() == pytest.approx(wilson(30, 40))
    assert row[["accuracy_swapped_low", "accuracy_swapped_high"]].to_list() == pytest.approx(wilson(40, 40))
    two = pd.concat([table, table.assign(subset="b", pair="b" + table["pair"], cluster="b" + table["cluster"])])
    average = summarize(two, resamples=10).set_index("subset").loc["Average"]
    assert average["accuracy_original_low"] == pytest.approx(0.75 - (0.75 - wilson(30, 40)[0]) / np.sqrt(2))
    assert np.isnan(summarize(table, resamples=0).iloc[0]["accuracy_original_low"])


def test_clustered_intervals_cover_the_truth():
    """300 judgments of 60 instructions; right in 70 %, of which the first order loses a tenth to unreadable replies."""
    rng = np.random.default_rng(5)
    truth = (0.7 * 0.9 + 0.7) / 2
    rows = [summarize(noisy(rng, 300, clusters=60), resamples=400, seed=seed).iloc[0] for seed in range(60)]
    covered = sum(row["accuracy_low"] <= truth <= row["accuracy_high"] for row in rows)
    assert 51 <= covered <= 60, "P(fewer than 51 of 60) is below .001 where the interval covers 95 %"


def test_many_pairs_cost_little():
    table = noisy(np.random.default_rng(1), 20_000)
    table["cluster"] = table["pair"]
    start = time.perf_counter()
    row = summarize(table).iloc[0]
    assert time.perf_counter() - start < 3
    spread = row["accuracy_high"] - row["accuracy_low"]
    assert spread == pytest.approx(2 * 1.96 * item_accuracy(table).std() / np.sqrt(20_000), rel=0.03)
