"""Bradley–Terry strengths: closed forms, the likelihood equations, planted strengths, and designs without a maximum."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from verdict_frames import frame

from llmbar.stats import bradley_terry, games
from llmbar.stats.ranking import GAME_COLUMNS, PRIOR, RANKING_COLUMNS


def table(*results):
    """Games from (first, second, score, how often)."""
    rows = [(first, second, score) for first, second, score, times in results for _ in range(times)]
    return pd.DataFrame(rows, columns=list(GAME_COLUMNS[:3]))


def planted(rng, strengths, size):
    first = rng.integers(len(strengths), size=size)
    second = (first + 1 + rng.integers(len(strengths) - 1, size=size)) % len(strengths)
    won = rng.random(size) < 1 / (1 + np.exp(strengths[second] - strengths[first]))
    names = np.array([f"p{number}" for number in range(len(strengths))])
    return pd.DataFrame({"first": names[first], "second": names[second], "score": won.astype(float)})


def test_three_to_one_is_191_points():
    ranked = bradley_terry(table(("a", "b", 1, 3), ("a", "b", 0, 1)), anchor="b", resamples=0)
    assert ranked["elo"].to_list() == pytest.approx([190.85, 0], abs=5e-3)
    assert ranked.columns.to_list() == list(RANKING_COLUMNS)


def test_a_draw_is_half_a_win_for_each_whoever_stands_first():
    drawn = bradley_terry(table(("a", "b", 0.5, 2), ("a", "b", 1, 2)), resamples=0)
    halves = bradley_terry(table(("b", "a", 1, 1), ("a", "b", 1, 3)), resamples=0)
    assert drawn["strength"].to_list() == pytest.approx(halves["strength"].to_list())
    assert drawn["score"].to_list() == [0.75, 0.25]
    assert drawn["games"].to_list() == [4, 4]


def test_expected_wins_are_the_observed_ones():
    """The likelihood equations: for each contender Σ_j n_ij/(1 + e^(β_j − β_i)) = wins."""
    played = planted(np.random.default_rng(0), np.array([0.0, 0.5, 1.0, -0.7]), 300)
    played.loc[::7, "score"] = 0.5
    strength = bradley_terry(played, resamples=0).set_index("contender")["strength"]
    assert strength.mean() == pytest.approx(0)
    first, second = strength[played["first"]].to_numpy(), strength[played["second"]].to_numpy()
    surplus = played["score"] - 1 / (1 + np.exp(second - first))
    for name in strength.index:
        assert surplus[played["first"] == name].sum() == pytest.approx(
            surplus[played["second"] == name].sum(), abs=1e-5
        )


def test_who_met_only_the_weak_is_not_above_who_met_the_strong():
    """c wins half against the strong a, d most against the weak b: the share of wins alone would rank d first."""
    played = table(
        *[("a", "b", 1, 9), ("a", "b", 0, 1), ("c", "a", 1, 5), ("c", "a", 0, 5)],
        *[("d", "b", 1, 7), ("d", "b", 0, 3)],
    )
    ranked = bradley_terry(played, resamples=0).set_index("contender")
    assert ranked.loc["d", "score"] > ranked.loc["c", "score"]
    assert ranked.loc["c", "strength"] > ranked.loc["d", "strength"]
    assert ranked.loc["c", "strength"] == pytest.approx(ranked.loc["a", "strength"], abs=1e-5)
    assert ranked["rank"].to_dict() == {"a": 1, "c": 1, "d": 3, "b": 4}


def test_planted_strengths_lie_within_their_intervals():
    rng, truth = np.random.default_rng(3), np.array([-1.0, -0.3, 0.0, 0.4, 0.9])
    covered = 0
    for seed in range(10):
        ranked = bradley_terry(planted(rng, truth, 400), resamples=100, seed=seed).set_index("contender")
        low, high = ranked.loc[[f"p{n}" for n in range(5)], ["elo_low", "elo_high"]].to_numpy().T * np.log(10) / 400
        covered += ((low <= truth) & (truth <= high)).sum()
    assert covered >= 42, "of 50; P(41 or fewer) is below .001 at 95 %"


def test_rank_ranges_hold_the_rank_and_close_contenders_overlap():
    ranked = bradley_terry(planted(np.random.default_rng(4), np.array([0.0, 0.05, 3.0]), 300), resamples=100)
    assert (ranked["rank_low"] <= ranked["rank"]).all()
    assert (ranked["rank"] <= ranked["rank_high"]).all()
    assert ranked[["rank_low", "rank_high"]].iloc[0].to_list() == [1, 1]
    assert ranked["rank_high"].iloc[1] == 3


def test_games_of_one_cluster_are_drawn_together():
    """Four copies of each game tell nothing new where they are one cluster, and seem to where they are not."""
    played = planted(np.random.default_rng(5), np.array([0.0, 0.6]), 100).assign(cluster=range(100))
    often = pd.concat([played] * 4, ignore_index=True)
    once, together = bradley_terry(played, resamples=150), bradley_terry(often, resamples=150)
    apart = bradley_terry(often.drop(columns="cluster"), resamples=150)
    width = [(ranked["elo_high"] - ranked["elo_low"]).iloc[0] for ranked in (once, together, apart)]
    assert width[1] == pytest.approx(width[0])
    assert width[2] == pytest.approx(width[0] / 2, rel=0.25)


def test_where_somebody_only_wins_the_order_is_told_and_no_interval():
    ranked = bradley_terry(table(("a", "b", 1, 3), ("b", "c", 1, 3), ("c", "b", 1, 1)), resamples=50)
    assert ranked["contender"].to_list() == ["a", "b", "c"]
    assert np.isfinite(ranked["strength"]).all()
    assert ranked[["elo_low", "elo_high"]].isna().all(axis=None)
    assert ranked["warning"].str.contains("no finite strengths").all()


def test_the_prior_is_half_a_win_and_half_a_loss_against_the_average():
    """Of two by symmetry the average stays at 0: 3 wins and ½ each way give odds by 3·s(−2β) + ½·s(−β) = ½·s(β)."""
    strength = bradley_terry(table(("a", "b", 1, 3)), resamples=0)["strength"].iloc[0]
    sigmoid = 1 / (1 + np.exp(-strength))
    pull = 3 * (1 - 1 / (1 + np.exp(-2 * strength))) + PRIOR * (1 - sigmoid) - PRIOR * sigmoid
    assert pull == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("played", "told"),
    [
        (table(), "no games"),
        (table(("a", "b", 1, 1), ("c", "d", 1, 1)), "a and c cannot be compared"),
        (table(("a", "b", 2, 1)), "outside"),
        (table(("a", "b", np.nan, 1)), "outside"),
        (table(("a", "b", 1, 1)).drop(columns="score"), "no column score"),
    ],
)
def test_what_cannot_be_ranked_is_refused(played, told):
    with pytest.raises(ValueError, match=told):
        bradley_terry(played)


def test_an_unknown_anchor_is_refused():
    with pytest.raises(ValueError, match="'z'"):
        bradley_terry(table(("a", "b", 1, 1)), anchor="z")


def test_games_of_a_verdict_frame():
    """Three judges on three pairs: two orders each, a pair that one of them failed, and a shared instruction."""
    gold, cluster = [1, 1, 2], ["x", "x", "y"]
    good = frame(gold, ["1", "1", "2"], ["1", "2", "2"], judge="good", cluster=cluster)
    poor = frame(gold, ["2", "1", "2"], ["1", "2", "1"], judge="poor", cluster=cluster)
    away = frame(gold, ["1", "failed", "tie"], ["2", "failed", "2"], judge="away", cluster=cluster)
    played = games(pd.concat([good, poor, away], ignore_index=True))
    assert list(played.columns) == list(GAME_COLUMNS)
    strategy = good["strategy"].iloc[0]
    met = {(g.first.split(" · ")[0], g.second.split(" · ")[0]): [] for g in played.itertuples()}
    for game in played.itertuples():
        assert game.first.endswith(f" · {strategy}")
        met[game.first.split(" · ")[0], game.second.split(" · ")[0]].append((game.score, game.cluster))
    shared = met["good", "poor"][0][1]
    assert [score for score, _ in met["good", "poor"]] == [1, 0.5, 1]
    assert [cluster == shared for _, cluster in met["good", "poor"]] == [True, True, False]
    assert [score for score, _ in met["away", "good"]] == [0, 0], "½ against 1, and ¾ against 1"
    assert [score for score, _ in met["away", "poor"]] == [0.5, 1], "½ against ½, and ¾ against ½"


def test_one_judge_alone_plays_no_games():
    assert games(frame([1], ["1"], ["1"])).empty
