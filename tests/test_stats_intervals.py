"""Intervals against published values, an independent slow bootstrap, and their own promise to cover."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from verdict_frames import frame

from llmbar.stats import cohen_kappa, summarize, wilson


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
    fast = summarize(table, resamples=4000).set_index("subset").loc["Average"]
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
