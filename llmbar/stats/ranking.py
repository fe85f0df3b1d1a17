"""Who is best where not everyone did everything? Bradley–Terry strengths from games.

    logit P(a wins against b) = β_a − β_b

A game is between two contenders on one item; a draw is half a win for each. For judges that all answered all pairs
accuracy ranks as well and says more: strengths are for *incomplete* designs, in which contenders met different items
and opponents.

    bradley_terry(games(frame))             # judges and strategies, by whose verdict on a pair was the better one
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from llmbar.stats.accuracy import LLMBAR, accuracy
from llmbar.stats.verdicts import Judged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Policy, Values

GAME_COLUMNS = ("first", "second", "score", "cluster")
"""Two contenders, what the first one earned (1, ½ or 0), and which games hang together."""

RANKING_COLUMNS = (
    *("contender", "games", "score", "strength", "elo", "elo_low", "elo_high"),
    *("rank", "rank_low", "rank_high", "warning"),
)

ELO = 400 / np.log(10)
"""Elo points of one unit of strength: 400 points are odds of ten to one."""

PRIOR = 0.5
"""Half a win and half a loss against an average opponent: what everyone is given where strengths are not finite."""

SEPARATED = "somebody only ever wins, or loses, against the others: no finite strengths, drawn towards the average"

ALIKE = 1e-6
"""Strengths closer than this are equal: they share a rank."""


def games(frame: pd.DataFrame, *, policy: Policy = LLMBAR) -> pd.DataFrame:
    """The games of a verdict frame: every two judge–strategy combinations on every pair that both judged.

    A contender is called `judge · strategy`. The one with the higher credit on the pair, over both orders and all
    repeats, wins. Games on pairs of the same instruction share a cluster.

    Raises:
        ValueError: the table is not a verdict frame.
    """
    judged = Judged.of(frame)
    credit = accuracy(judged, policy)
    scored = pd.DataFrame(
        {
            "name": frame["judge"].astype(str).to_numpy() + " · " + frame["strategy"].astype(str).to_numpy(),
            "item": judged.item,
            "cluster": judged.cluster,
            "credit": np.nansum(credit, axis=1),
            "counted": (~np.isnan(credit)).sum(axis=1),
        }
    )
    sums = scored.groupby(["item", "cluster", "name"])[["credit", "counted"]].sum()
    sums = sums[sums["counted"] > 0]
    wide = (sums["credit"] / sums["counted"]).unstack("name")
    cluster = wide.index.get_level_values("cluster").to_numpy()
    met = [_met(wide[first], wide[second], cluster) for first, second in combinations(wide.columns, 2)]
    return pd.concat(met, ignore_index=True) if met else pd.DataFrame(columns=list(GAME_COLUMNS))


def _met(first: pd.Series[float], second: pd.Series[float], cluster: NDArray[np.int64]) -> pd.DataFrame:
    ahead = (first - second).to_numpy()
    both = ~np.isnan(ahead)
    score = (np.sign(ahead[both]) + 1) / 2
    return pd.DataFrame({"first": first.name, "second": second.name, "score": score, "cluster": cluster[both]})


def bradley_terry(
    games: pd.DataFrame, *, anchor: str | None = None, resamples: int = 500, seed: int = 0
) -> pd.DataFrame:
    """Bradley–Terry strengths, best first, with their Elo scale, intervals and rank ranges (`RANKING_COLUMNS`).

    Strengths are maximum-likelihood estimates of a logistic regression without intercept (Bradley & Terry 1952),
    centred on 0, or on the contender `anchor`. `elo` is 400/ln 10·β: a lead of 400 points is odds of ten to one.
    Unlike ratings that are updated game by game (Elo 1978), they do not depend on the order of the games. Intervals
    and rank ranges are the middle 95 % of a bootstrap over clusters; no `resamples`, none of them (NaN).

    Finite estimates exist only where everyone can be reached from everyone by a chain of wins (Ford 1957). Where they
    cannot, everyone is given `PRIOR` wins and losses against an average opponent: the order is right, the distances are
    the prior's, there are no intervals, and `warning` says so. A resample in which it happens is treated alike.

    Args:
        games: a table with the columns of `GAME_COLUMNS`; without `cluster` each game is its own.
        anchor: whose strength is 0.
        resamples: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ValueError: no games, scores outside [0, 1], an unknown `anchor`, or contenders that no chain of games
            connects: they cannot be compared.

    >>> games = pd.DataFrame({"first": "a", "second": "b", "score": [1, 1, 1, 0]})
    >>> bradley_terry(games, anchor="b", resamples=0)["elo"].round(2).to_list()
    [190.85, 0.0]
    """
    table = Games.of(games)
    if anchor is not None and anchor not in table.names:
        raise ValueError(f"no contender is called {anchor!r}")
    zero = None if anchor is None else table.names.index(anchor)
    fitted, regularised = table.fit(zero)
    rng = np.random.default_rng(seed)
    drawn = np.array([table.drawn(rng).fit(zero)[0] for _ in range(resamples)]).reshape(resamples, len(fitted))
    elo_low, elo_high = _middle(np.full_like(drawn, np.nan) if regularised else ELO * drawn)
    rank_low, rank_high = _middle(np.array([_ranks(each) for each in drawn]).reshape(drawn.shape))
    columns = {
        "contender": list(table.names),
        "games": table.met,
        "score": table.scores,
        "strength": fitted,
        "elo": ELO * fitted,
        "elo_low": elo_low,
        "elo_high": elo_high,
        "rank": _ranks(fitted),
        "rank_low": np.floor(rank_low),
        "rank_high": np.ceil(rank_high),
        "warning": SEPARATED if regularised else "",
    }
    ranked = pd.DataFrame(columns, columns=list(RANKING_COLUMNS))
    return ranked.sort_values(["rank", "contender"], ignore_index=True)


def _ranks(strength: Values) -> NDArray[np.int64]:
    """1 more than how many are stronger."""
    stronger = strength[None, :] > strength[:, None] + ALIKE
    better: NDArray[np.int64] = stronger.sum(axis=1, dtype=np.int64)
    return 1 + better


def _middle(drawn: Values) -> tuple[Values, Values]:
    """The middle 95 % of each column, NaN without rows."""
    if not len(drawn):
        return np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return low, high


@dataclass(frozen=True, slots=True)
class Games:
    """Games as arrays: one row each, the contenders by number."""

    names: tuple[str, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    score: Values
    """What the first contender earned of the game."""
    cluster: NDArray[np.int64]
    weight: Values
    """How often a game counts: 1, or what a resample drew."""

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """The games of a table, checked."""
        missing = [column for column in GAME_COLUMNS[:3] if column not in table]
        if missing:
            raise ValueError(f"no table of games: no column {', '.join(missing)}")
        if not len(table):
            raise ValueError("no games, no ranking")
        score = table["score"].to_numpy(dtype=np.float64)
        if not ((score >= 0) & (score <= 1)).all():
            raise ValueError("a game's score lies outside [0, 1]")
        numbers, names = pd.factorize(pd.concat([table["first"], table["second"]]), sort=True)
        first, second = numbers.reshape(2, -1).astype(np.int64)
        cluster = pd.factorize(table["cluster"])[0] if "cluster" in table else np.arange(len(table))
        found = cls(tuple(map(str, names)), first, second, score, cluster.astype(np.int64), np.ones(len(table)))
        found.check_connected()
        return found

    @property
    def met(self) -> NDArray[np.int64]:
        """(contenders,): games of each."""
        return np.bincount(np.concatenate([self.first, self.second]), minlength=len(self.names))

    @property
    def scores(self) -> Values:
        """(contenders,): the share of its games that each has won."""
        won: Values = self.wins().sum(axis=1)
        return won / self.met

    def wins(self) -> Values:
        """(contenders, contenders): how often the row has beaten the column."""
        size = len(self.names)
        forth = np.bincount(self.first * size + self.second, self.weight * self.score, size * size)
        back = np.bincount(self.second * size + self.first, self.weight * (1 - self.score), size * size)
        return np.asarray((forth + back).reshape(size, size))

    def check_connected(self) -> None:
        """Refuse contenders that no chain of games connects."""
        from scipy.sparse.csgraph import connected_components  # here, since scipy takes its time to import

        _, part = connected_components(self.wins(), directed=False)
        if part.any():
            here, there = self.names[0], self.names[int(np.flatnonzero(part)[0])]
            raise ValueError(f"{here} and {there} cannot be compared: no chain of games connects them")

    def drawn(self, rng: np.random.Generator) -> Self:
        """As many clusters, drawn with replacement."""
        size = int(self.cluster.max()) + 1
        times = np.bincount(rng.integers(size, size=size), minlength=size)
        return replace(self, weight=times[self.cluster].astype(np.float64))

    def fit(self, zero: int | None) -> tuple[Values, bool]:
        """(contenders,): strengths, centred on their mean or on one of them, and whether `PRIOR` was needed."""
        from scipy.sparse.csgraph import connected_components  # here, since scipy takes its time to import

        wins = self.wins()
        parts, _ = connected_components(wins, directed=True, connection="strong")
        found = _maximum_likelihood(wins if parts == 1 else _with_average(wins))[: len(self.names)]
        return found - (found.mean() if zero is None else found[zero]), parts > 1


def _with_average(wins: Values) -> Values:
    """The same with one more opponent, against whom everyone has won and lost `PRIOR` times."""
    size = len(wins)
    more = np.full((size + 1, size + 1), PRIOR)
    more[:size, :size], more[size, size] = wins, 0
    return more


def _maximum_likelihood(wins: Values) -> Values:
    """Strengths by logistic regression without intercept, the last one's being 0: one row per winner and loser."""
    from sklearn.linear_model import LogisticRegression  # here: scikit-learn takes its time to import

    winner, loser = np.nonzero(wins)
    won = winner < loser  # a row is read from the side of the lower number, so that both outcomes occur
    sign = np.where(won, 1.0, -1.0)[:, None]
    one = np.eye(len(wins))
    model = LogisticRegression(C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    found = model.fit((sign * (one[winner] - one[loser]))[:, :-1], won, sample_weight=wins[winner, loser])
    return np.append(found.coef_[0], 0.0)
