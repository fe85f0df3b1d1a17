"""Power against the oracle, whose standard deviations come from the recordings, and against simulated experiments."""

from __future__ import annotations

from itertools import combinations
from math import ceil

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.power import TTestPower
from verdict_frames import recorded

from llmbar.stats import (
    compare,
    detectable_difference,
    macro_standard_error,
    mcnemar,
    mcnemar_detectable,
    mcnemar_pairs_needed,
    pairs_needed,
    wilson,
)
from llmbar.stats.comparison import contests
from llmbar.stats.power import TYPICAL_SD, reach

STRATEGIES = ["CoT", "Metrics", "Metrics_Reference", "Reference", "Swap", "Swap_CoT", "Vanilla", "Vanilla_NoRules"]
"""The oracle's strategies of GPT-4: the zero-shot ones that do not rate."""

ADVERSARIAL = ["GPTInst", "GPTOut", "Manual", "Neighbor"]


@pytest.fixture(scope="module")
def oracle(shared):
    return pd.read_csv(shared / "oracles/power.csv").set_index("set")


@pytest.fixture(scope="module")
def differences(shared):
    """(28 pairs of strategies) × (419 pairs), and the pairs' subsets."""
    verdicts = recorded(shared).query("judge == 'GPT-4' and strategy in @STRATEGIES")
    (contest,) = contests(verdicts)
    assert len(contest.contenders) == len(STRATEGIES)
    return np.array([one - other for one, other in combinations(contest.score.T, 2)]), contest.subset


def rows_of(subset, name):
    return {"ADV(319)": subset != "Natural", "ALL(419)": subset != ""}.get(name, subset == name)


def test_the_oracle_s_deviations_and_detectable_differences_come_from_the_recordings(oracle, differences):
    values, subset = differences
    assert len(oracle) == 7
    for name, row in oracle.iterrows():
        sd = values[:, rows_of(subset, name)].std(axis=1, ddof=1)
        assert rows_of(subset, name).sum() == row["n"]
        assert np.median(sd) == pytest.approx(row["sd_med"], abs=1e-9)
        assert sd.max() == pytest.approx(row["sd_max"], abs=1e-9)
        assert detectable_difference(row["sd_med"], row["n"]) == pytest.approx(row["MDE_paired_med"], abs=1e-9)
        assert detectable_difference(row["sd_max"], row["n"]) == pytest.approx(row["MDE_paired_max"], abs=1e-9)


def test_wilson_s_half_width_equals_the_oracle(oracle):
    for row in oracle.itertuples():
        low, high = wilson(round(0.8 * row.n), row.n)
        assert (high - low) / 2 == pytest.approx(row.wilson_hw_p80, abs=1e-9)


@pytest.mark.parametrize("psi", [0.1, 0.2, 0.3])
def test_mcnemar_s_detectable_difference_equals_the_oracle(oracle, psi):
    """The oracle searched 5,000 points from .001 to ψ and holds the first that n pairs detect."""
    grid = np.linspace(0.001, psi, 5000)
    for row in oracle.to_dict("records"):
        ours, theirs = mcnemar_detectable(row["n"], psi), row[f"McNemar_psi{psi * 100:.0f}"]
        if np.isnan(theirs):
            assert np.isnan(ours)
        else:
            assert grid[np.searchsorted(grid, ours)] == pytest.approx(theirs, abs=1e-9)
            assert mcnemar_pairs_needed(ours, psi) == pytest.approx(row["n"])


@pytest.mark.parametrize(("subsets", "points"), [(ADVERSARIAL, 4.7), ([*ADVERSARIAL, "Natural"], 3.9)])
def test_the_macro_differences_of_the_methods(differences, subsets, points):
    """Reference: the median over pairs of strategies."""
    values, subset = differences
    sizes = [int((subset == name).sum()) for name in subsets]
    errors = [macro_standard_error([d[subset == name].std(ddof=1) for name in subsets], sizes) for d in values]
    assert round(100 * reach() * np.median(errors), 1) == points


def test_the_comparison_s_detectable_difference_is_that_of_its_formula(shared, differences):
    values, subset = differences
    verdicts = recorded(shared).query("judge == 'GPT-4' and strategy in ['CoT', 'Metrics']")
    rows = compare(verdicts, resamples=10).set_index("subset")["detectable"]
    d = values[0]
    assert rows["Manual"] == pytest.approx(detectable_difference(d[subset == "Manual"].std(ddof=1), 46))
    names = [*ADVERSARIAL, "Natural"]
    deviations, sizes = zip(*((d[subset == s].std(ddof=1), (subset == s).sum()) for s in names), strict=True)
    assert rows["Average"] == pytest.approx(reach() * macro_standard_error(deviations, sizes))


def test_the_typical_deviations_are_the_oracle_s(oracle):
    assert pytest.approx(oracle["sd_med"][list(TYPICAL_SD)].round(3).to_list()) == list(TYPICAL_SD.values())


def test_pairs_needed_and_detectable_difference_undo_each_other():
    for d in (0.01, 0.037, 0.2):
        n = pairs_needed(d, 0.3)
        assert detectable_difference(0.3, n) <= d < detectable_difference(0.3, n - 1)


def test_pairs_needed_agree_with_statsmodels():
    """Its t-test needs about z²/2 ≈ 2 pairs more than the normal formula."""
    theirs = TTestPower().solve_power(effect_size=0.05 / 0.3, alpha=0.05, power=0.8)
    assert 0 <= theirs - pairs_needed(0.05, 0.3) < 3


def test_a_difference_of_the_detectable_size_is_found_four_times_in_five():
    """300 pairs, 20 % discordant: the exact test is a little less powerful than the formula, hence from .72."""
    rng = np.random.default_rng(3)
    n, psi = 300, 0.2
    d = mcnemar_detectable(n, psi)
    split = rng.multinomial(n, [(psi - d) / 2, (psi + d) / 2, 1 - psi], size=1000)
    found = np.mean([mcnemar(int(lost), int(gained)) < 0.05 for lost, gained, _ in split])
    assert 0.72 < found < 0.83


@pytest.mark.parametrize(("difference", "discordant"), [(0.0, 0.1), (0.2, 0.1)])
def test_an_impossible_difference_is_refused(difference, discordant):
    with pytest.raises(ValueError, match="at most"):
        mcnemar_pairs_needed(difference, discordant)


def test_power_and_level_are_parameters():
    assert ceil(reach(0.9, 0.01) * 1000) == ceil((1.2815516 + 2.5758293) * 1000)
    assert pairs_needed(0.05, 0.3, power=0.9) > pairs_needed(0.05, 0.3)
