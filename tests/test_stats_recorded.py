"""The statistics of LLMBar's recorded verdicts equal numbers that were computed twice, independently."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from verdict_frames import recorded

from llmbar.stats import Policy, bias_regression, cohen_kappa, summarize
from llmbar.stats.verdicts import SHOWN_FIRST, groups

RATES = {
    "accuracy_original": "acc_F",
    "accuracy_swapped": "acc_T",
    "accuracy": "acc_avg",
    "both_correct": "acc_both",
    "agreement": "agr_official",
    "agreement_strict": "agr_strict",
    "unreadable": "invalid_rate",
    "kappa": "kappa_avg_drop",
    "primacy": "primacy_rate",
    "first_rate": "p_first",
    "longer_rate": "p_longer_char",
    "accuracy_gold_longer": "acc_gold_longer_char",
    "accuracy_gold_shorter": "acc_gold_shorter_char",
}

COUNTS = {
    "correct_F": ("accuracy_original", 1),
    "correct_T": ("accuracy_swapped", 1),
    "correct_both": ("both_correct", 1),
    "equal_official": ("agreement", 1),
    "equal_strict": ("agreement_strict", 1),
    "n_invalid": ("unreadable", 2),
}
"""Counts are rates times n times the verdicts per judgment."""


@pytest.fixture(scope="module")
def verdicts(shared):
    return recorded(shared)


@pytest.fixture(scope="module")
def pooled(verdicts):
    """Each subset, and as the oracle has it, the adversarial pairs and all pairs as one subset."""
    adversarial = verdicts[verdicts["group"] == "Adversarial"].assign(subset="ADV_POOLED")
    return pd.concat([verdicts, adversarial, verdicts.assign(subset="ALL_POOLED")])


@pytest.fixture(scope="module")
def derived(shared):
    return pd.read_csv(shared / "oracles/derived.csv")


def beside(derived, summary):
    """Our row and the oracle's for each judge, strategy and subset."""
    both = derived.merge(summary, on=["judge", "strategy", "subset"], validate="one_to_one", suffixes=("_oracle", ""))
    assert len(both) == len(derived) == 147
    return both


def test_every_subset_equals_the_oracle(pooled, derived):
    both = beside(derived, summarize(pooled, resamples=0))
    for ours, theirs in RATES.items():
        np.testing.assert_allclose(both[ours], both[theirs], rtol=0, atol=1e-9, err_msg=ours)
    for theirs, (ours, per) in COUNTS.items():
        counts = both[ours] * both["n"] * per
        np.testing.assert_allclose(counts, both[theirs], rtol=0, atol=1e-9, err_msg=theirs)
    assert (both["n"] == both["n_oracle"]).all()
    assert (both["conflicts"] == both["n_primacy"] + both["n_recency"]).all()
    np.testing.assert_array_equal((both["primacy"] * both["conflicts"]).fillna(0).round(9), both["n_primacy"])
    np.testing.assert_allclose(
        both["preference_fairness"], (both["n_recency"] - both["n_primacy"]) / both["n"], atol=1e-12
    )
    assert (both["failed"] == 0).all()
    assert (both["ties"] == 0).all()


@pytest.mark.parametrize(("unreadable", "column"), [("drop", "acc_valid_only"), ("half", "acc_half_credit")])
def test_other_policies_equal_the_oracle(pooled, derived, unreadable, column):
    both = beside(derived, summarize(pooled, policy=Policy(unreadable=unreadable), resamples=0))
    np.testing.assert_allclose(both["accuracy"], both[column], rtol=0, atol=1e-9)
    assert (both["unreadable_policy"] == unreadable).all()


def test_pooled_positional_kappa_equals_the_oracle(pooled, derived):
    oracle = derived.set_index(["judge", "strategy", "subset"])
    for (judge, strategy, _, subset), judged in groups(pooled):
        row = oracle.loc[(judge, strategy, subset)]
        place = np.where(judged.shown > 0, 1 + (judged.shown != SHOWN_FIRST), judged.shown)
        gold = 1 + (judged.gold[:, None] != SHOWN_FIRST)
        kappa = cohen_kappa(place.ravel(), gold.ravel())
        assert kappa == pytest.approx(row["kappa_pooled_positional_drop"], abs=1e-9)
        if row["n_invalid"] == 0:
            assert kappa == pytest.approx(2 * row["acc_avg"] - 1, abs=1e-9)


def test_macro_rows_equal_the_paper_s_table(verdicts, shared):
    summary = summarize(verdicts, resamples=0).set_index(["judge", "strategy", "subset"])
    table = pd.read_csv(shared / "oracles/paper_table.csv").set_index(["judge", "strategy"])
    runs = summary.index.droplevel("subset").unique()
    assert len(runs) == 21
    for run in runs:
        for subset in ("Natural", "Neighbor", "GPTInst", "GPTOut", "Manual", "Adversarial", "Average"):
            row = summary.loc[(*run, subset)]
            assert 100 * row["accuracy"] == pytest.approx(table.loc[run, f"{subset}_Acc"], abs=1e-6)
            assert 100 * row["agreement"] == pytest.approx(table.loc[run, f"{subset}_Agr"], abs=1e-6)
            assert row["kind"] == ("macro" if subset in {"Adversarial", "Average"} else "subset")


def test_the_headline_figures(verdicts):
    """Reference: GPT-4 with metrics and reference, 28 of 35 conflicts are primacy."""
    summary = summarize(verdicts, resamples=2000).set_index(["judge", "strategy", "subset"])
    average = summary.loc[("GPT-4", "Metrics_Reference", "Average")]
    assert (average["n"], average["conflicts"], average["primacy"]) == (419, 35, 0.8)
    assert average["primacy_p"] == pytest.approx(2 * sum(comb(35, k) for k in range(28, 36)) / 2**35)
    assert average["accuracy_low"] < average["accuracy"] < average["accuracy_high"]


def test_the_bias_regression_equals_the_oracle(verdicts, shared):
    found = bias_regression(verdicts.assign(cluster=verdicts["instruction"]))
    assert (found["warning"] == "").all()
    found = found.set_index(["judge", "strategy", "term"])
    oracle = pd.read_csv(shared / "oracles/logit.csv")
    assert len(oracle) == 21
    for row in oracle.itertuples():
        for term, name in (("position", "0"), ("gold", "_gold"), ("length", "_len")):
            ours = found.loc[(row.judge, row.strategy, term)]
            assert ours["n"] == row.n
            assert ours["estimate"] == pytest.approx(getattr(row, f"b{name}"), abs=1e-6)
            assert ours["se"] == pytest.approx(getattr(row, f"se{name}"), abs=1e-6)
