"""Several judges beside each other, and one judge asked again: textbook tables, the recordings, independent sums."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_frames import frame, recorded, verdicts

from llmbar.recordings import find_recordings, recorded_by
from llmbar.stats import (
    cohen_kappa,
    encode,
    error_correlation,
    fleiss_kappa,
    judge_agreement,
    krippendorff_alpha,
    repetition,
)

# -- references -------------------------------------------------------------------------------------------------------

FOURTEEN_RATERS = """
    0 0 0 0 14
    0 2 6 4 2
    0 0 3 5 6
    0 3 9 2 0
    2 2 8 1 1
    7 7 0 0 0
    3 2 6 3 0
    2 5 3 2 2
    6 5 2 1 0
    0 2 2 3 7
"""
"""Fleiss 1971's layout: how many of 14 raters put each of ten units into each of five categories."""

THREE_CODERS = """
    . . . . . 3 4 1 2 1 1 3 3 . 3
    1 . 2 1 3 3 4 3 . . . . . . .
    . . 2 1 3 4 4 . 2 1 1 3 3 . 4
"""


def test_fleiss_kappa_of_the_textbook_s_fourteen_raters():
    counts = np.array([line.split() for line in FOURTEEN_RATERS.split("\n") if line.strip()], dtype=int)
    ratings = [np.repeat(np.arange(5), row) for row in counts]
    assert fleiss_kappa(ratings) == pytest.approx(0.2099, abs=5e-5)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.6914), ("interval", 0.8108)])
def test_krippendorff_alpha_of_the_standard_three_coders(level, alpha):
    rows = [line.split() for line in THREE_CODERS.split("\n") if line.strip()]
    ratings = np.array([[np.nan if mark == "." else float(mark) for mark in row] for row in rows]).T
    assert krippendorff_alpha(ratings, level) == pytest.approx(alpha, abs=5e-5)


def test_cohen_kappa_of_the_table_20_5_10_15():
    ours, theirs = np.repeat([1, 1, 2, 2], [20, 5, 10, 15]), np.repeat([1, 2, 1, 2], [20, 5, 10, 15])
    assert cohen_kappa(ours, theirs) == pytest.approx(0.4, abs=1e-12)


def test_the_official_kappa_of_gpt4_vanilla_natural_is_an_artefact(shared):
    """LLMBar's code turned winner 2 into 0 and left gold at {1, 2}: .270 where .908 is right."""
    natural = recorded(shared).query("judge == 'GPT-4' and strategy == 'Vanilla' and subset == 'Natural'")
    gold = natural["gold"].to_numpy()
    stored = [natural[order].astype(int).to_numpy() for order in ("original", "swapped")]
    official = [cohen_over(np.where(order == 2, 0, order), gold) for order in stored]
    assert np.mean(official) == pytest.approx(0.270, abs=5e-4)
    corrected = [cohen_kappa(encode(natural[order]), gold.astype(np.int8)) for order in ("original", "swapped")]
    assert np.mean(corrected) == pytest.approx(0.908, abs=5e-4)
    assert corrected == pytest.approx([cohen_over(order, gold) for order in stored], abs=1e-12)


def cohen_over(ours, theirs):
    """κ over whatever labels occur, from shares."""
    ours, theirs = list(ours), list(theirs)
    n = len(ours)
    observed = sum(a == b for a, b in zip(ours, theirs, strict=True)) / n
    chance = sum(ours.count(label) * theirs.count(label) for label in {*ours, *theirs}) / n**2
    return (observed - chance) / (1 - chance)


# -- several judges ---------------------------------------------------------------------------------------------------


def by_counting(units):
    """α and κ from lists of ratings per unit, by going through every pair of ratings."""
    units = [unit for unit in units if len(unit) > 1]
    whole = max(map(len, units))
    observed = sum(sum(a != b for a, b in combinations(unit, 2)) * 2 / (len(unit) - 1) for unit in units)
    pooled = Counter(rating for unit in units for rating in unit)
    n = sum(pooled.values())
    expected = sum(pooled[a] * pooled[b] for a in pooled for b in pooled if a != b) / (n - 1)
    complete = [unit for unit in units if len(unit) == whole]
    same = sum(sum(a == b for a, b in combinations(unit, 2)) for unit in complete)
    agreeing = same / (len(complete) * whole * (whole - 1) / 2)
    counted = Counter(rating for unit in complete for rating in unit)
    chance = sum(number**2 for number in counted.values()) / (len(complete) * whole) ** 2
    return 1 - observed / expected, (agreeing - chance) / (1 - chance), len(units), len(complete)


def test_three_recorded_judges_agree_as_much_as_counting_pairs_says(shared):
    three = recorded(shared).query("strategy in ('Vanilla', 'CoT', 'Metrics_Reference')")
    found = judge_agreement(three)
    assert found[["strategy", "order"]].drop_duplicates().shape[0] == len(found) == 6
    for row in found.itertuples():
        part = three[(three["strategy"] == row.strategy) & (three[row.order] != "unreadable")]
        alpha, kappa, n, complete = by_counting(part.groupby("pair")[row.order].agg(list).tolist())
        assert row.judges == 3
        assert (row.n, row.complete) == (n, complete)
        assert row.alpha == pytest.approx(alpha, abs=1e-9)
        assert row.fleiss == pytest.approx(kappa, abs=1e-9)


def two_judges(first, second, gold=None, **columns):
    gold = gold or [1] * len(first)
    tables = [
        frame(gold, verdicts(said), verdicts(said), judge=name, **columns)
        for name, said in (("a", first), ("b", second))
    ]
    return pd.concat(tables, ignore_index=True)


def test_a_tie_is_a_category_and_silence_a_gap():
    found = judge_agreement(two_judges("12t1uf12", "12t22112")).set_index("order")
    assert found.loc["original", ["n", "complete"]].tolist() == [6, 6]
    alpha, kappa, _, _ = by_counting([["1", "1"], ["2", "2"], ["t", "t"], ["1", "2"], ["1", "1"], ["2", "2"]])
    assert found.loc["swapped", "alpha"] == pytest.approx(alpha)
    assert found.loc["swapped", "fleiss"] == pytest.approx(kappa)


def test_one_judge_and_one_category_have_no_chance_corrected_agreement():
    alone = judge_agreement(frame([1, 2], verdicts("12"), verdicts("12")))
    assert alone[["n", "complete"]].to_numpy().tolist() == [[0, 0], [0, 0]]
    assert alone[["fleiss", "alpha"]].isna().all(axis=None)
    assert judge_agreement(two_judges("111", "111"))[["fleiss", "alpha"]].isna().all(axis=None)
    assert judge_agreement(two_judges("uuu", "121"))[["fleiss", "alpha"]].isna().all(axis=None)


def test_a_strategy_with_one_verdict_has_one_order():
    assert judge_agreement(two_judges("1212", "1221", orders="free"))["order"].tolist() == ["final"]


def test_judging_a_pair_twice_is_refused():
    with pytest.raises(ValueError, match="a judges pair p0 twice"):
        judge_agreement(two_judges("12", "12"), by=["dataset"]).pipe(
            lambda _: judge_agreement(pd.concat([two_judges("12", "12"), two_judges("12", "12")]))
        )


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("12t"), st.sampled_from("12t")), min_size=2, max_size=25), st.randoms())
def test_the_sequence_of_pairs_changes_nothing(said, random):
    table = two_judges(*("".join(letters) for letters in zip(*said, strict=True)))
    rows = list(range(len(table)))
    random.shuffle(rows)
    pd.testing.assert_frame_equal(judge_agreement(table), judge_agreement(table.iloc[rows]))


def test_error_correlation_is_phi_over_the_verdicts_of_both_orders(shared):
    three = recorded(shared).query("strategy == 'CoT'")
    found = error_correlation(three).set_index(["judge_a", "judge_b"])
    assert list(found.index) == [("ChatGPT", "GPT-4"), ("ChatGPT", "LLaMA2"), ("GPT-4", "LLaMA2")]
    wrong = {
        judge: np.concatenate([part[order] != part["gold"].astype(str) for order in ("original", "swapped")])
        for judge, part in three.groupby("judge")
    }
    for (a, b), row in found.iterrows():
        both = (wrong[a] & wrong[b]).mean()
        p, q = wrong[a].mean(), wrong[b].mean()
        assert row["n"] == 838
        assert row[["wrong_a", "wrong_b", "both_wrong"]].tolist() == pytest.approx([p, q, both])
        assert row["phi"] == pytest.approx((both - p * q) / np.sqrt(p * (1 - p) * q * (1 - q)), abs=1e-12)


def test_the_same_errors_and_opposite_errors():
    gold = [1, 1, 2, 2]
    assert error_correlation(two_judges("1221", "1221", gold))["phi"].tolist() == pytest.approx([1])
    assert error_correlation(two_judges("1221", "2112", gold))["phi"].tolist() == pytest.approx([-1])
    perfect = error_correlation(two_judges("1122", "1221", gold))
    assert perfect["phi"].isna().all()
    assert perfect["both_wrong"].tolist() == [0]
    nothing = error_correlation(two_judges("ffff", "1221", gold))
    assert nothing["n"].tolist() == [0]
    assert nothing[["wrong_a", "phi"]].isna().all(axis=None)


# -- the same judge again ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reruns(shared):
    """The three times GPT-4 was asked the question of CoT: as itself, and in the first stages of Swap and Swap_CoT."""
    rows = []
    for file in find_recordings(shared / "data/llmbar/Dataset/LLMBar"):
        judge, strategy = recorded_by(file)
        if judge != "GPT-4" or strategy not in {"CoT", "Swap", "Swap_CoT"}:
            continue
        subset = file.parts[-5]
        for number, item in enumerate(json.loads(file.read_text("utf-8"))):
            said = [item["results"][0][f"swap = {swap}"]["winner"] or "unreadable" for swap in (False, True)]
            rows.append((strategy, subset, f"{subset}/{number}", item["label"], *said))
    repeat, subset, pair, gold, original, swapped = zip(*rows, strict=True)
    return frame(gold, original, swapped, pair=pair, cluster=pair, subset=subset, repeat=repeat, judge="GPT-4")


def test_repetition_stability_equals_the_oracle(reruns, shared):
    oracle = pd.read_csv(shared / "oracles/repetition.csv").query("judge == 'GPT-4'")
    scopes = {
        "ALL": reruns,
        "Natural": reruns[reruns["subset"] == "Natural"],
        "ADV": reruns.query("subset != 'Natural'"),
    }
    assert set(oracle["scope"]) == set(scopes)
    for row in oracle.itertuples():
        found = repetition(scopes[row.scope]).iloc[0]
        assert (found["n"], found["repeats"]) == (row.n_verdict_slots, 3)
        assert found["stability"] == pytest.approx(row.RS, abs=1e-12)
        assert found["identical"] == pytest.approx(row.all3_identical, abs=1e-12)


def test_the_flip_rate_is_that_of_every_two_reruns(reruns):
    """Reference: reruns differ in 2.3 to 4.1 % of verdicts, and the two orders in more."""
    runs = {name: part.set_index("pair")[["original", "swapped"]] for name, part in reruns.groupby("repeat")}
    pairwise = [(runs[a] != runs[b].loc[runs[a].index]).to_numpy().mean() for a, b in combinations(runs, 2)]
    found = repetition(reruns).iloc[0]
    assert found["flip_rate"] == pytest.approx(np.mean(pairwise), abs=1e-12)
    assert 0.023 <= min(pairwise) <= max(pairwise) <= 0.0415
    assert found["conflict_rate"] == pytest.approx((reruns["original"] != reruns["swapped"]).mean())
    assert found["conflict_rate"] > 2 * found["flip_rate"]


def test_unreadable_is_a_verdict_and_a_failure_none():
    table = pd.concat(
        frame([1, 2], verdicts(original), verdicts(swapped), repeat=str(number))
        for number, (original, swapped) in enumerate([("1u", "1f"), ("1u", "2f"), ("21", "f1")])
    )
    found = repetition(table).iloc[0]
    assert (found["n"], found["repeats"]) == (3, 3)  # the fourth slot has one reply only
    assert found["stability"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 2) / 3)
    assert found["identical"] == 0
    assert found["flip_rate"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_without_repeats_nothing_is_known():
    found = repetition(frame([1, 2], verdicts("12"), verdicts("11"))).iloc[0]
    assert (found["n"], found["repeats"], found["conflict_rate"]) == (0, 1, 0.5)
    assert found[["stability", "identical", "flip_rate"]].isna().all()


def test_where_order_plays_no_part_a_pair_is_one_slot():
    table = pd.concat(frame([1, 2], verdicts("12"), verdicts("12"), orders="free", repeat=r) for r in "01")
    found = repetition(table).iloc[0]
    assert (found["n"], found["stability"]) == (2, 1)
    assert np.isnan(found["conflict_rate"])
