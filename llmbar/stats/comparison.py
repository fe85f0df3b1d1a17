"""Which judge is better, and how sure is that? Judges and strategies, compared pair by pair.

Two contenders (a contender is a judge with a strategy) that judged the same pairs are compared by the pairs'
differences in correctness d = s − s′, where s is the share of a pair's verdicts that are right. What makes a pair hard
for both cancels out, so this sees much more than two intervals laid side by side.

    compare(frame)                          # every two contenders, on every subset and aggregate
    rank_ranges(frame)                      # from which rank to which could each contender stand
    tied_with_best(frame)                   # who is not shown to be worse than the best
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple, Self, cast

import numpy as np
import pandas as pd

from llmbar.stats import accuracy as acc
from llmbar.stats.intervals import ROUNDING, Bootstrap, bootstrap_difference, clustered_variance
from llmbar.stats.power import reach
from llmbar.stats.summary import AVERAGE, stream
from llmbar.stats.verdicts import Judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Policy, Values
    from llmbar.stats.intervals import Method

Contender = tuple[str, str]
"""A judge and a strategy."""

ALPHA = 0.05
POOLED = "Pooled"
"""The row in which every pair counts alike, whatever its subset."""

COMPARISON_COLUMNS = (
    *("judge", "strategy", "against_judge", "against_strategy", "dataset", "subset", "kind", "n"),
    *("accuracy", "against_accuracy", "difference", "low", "high", "interval", "p", "p_holm"),
    *("gained", "lost", "mcnemar_p", "detectable", "verdict"),
)

_SAME = ("subset", "group", "cluster", "gold", "length_1", "length_2")
"""What a pair has in common with itself in every run on the same data."""

_TIE = 1e-7
"""Sums closer than this, in units of the largest difference, are the same."""

_FLIPS_PER_COMPARISON = 25
"""So many sign flips for each comparison of a family let its Holm-adjusted p-values be as small as 1/25, below .05."""


# -- tests ------------------------------------------------------------------------------------------------------------


def mcnemar(lost: int, gained: int) -> float:
    """McNemar's exact two-sided test: could so uneven a split of the discordant pairs be chance (B8)?

    The binomial test of `lost` among `lost` + `gained` against ½; 1 without discordant pairs.

    >>> f"{mcnemar(59, 121):.3g}"
    '4.43e-06'
    """
    from scipy.stats import binomtest  # here, since scipy takes its time to import

    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def sign_flip(differences: Values, *, flips: int, rng: np.random.Generator) -> float:
    """The two-sided sign-flip permutation test of no difference: p = (1 + #)/(B + 1) (B8; Phipson & Smyth 2010).

    If two contenders are equally good, each difference was as likely to come out with the other sign. # counts, among
    B = `flips` random choices of all signs, those whose sum is at least as far from 0 as the observed one. Differences
    of the same size are interchangeable, so that of k of them a binomial number keeps its sign: the cost does not grow
    with the number of differences. NaN without flips, or without differences.

    >>> sign_flip(np.zeros(46), flips=99, rng=np.random.default_rng(0))
    1.0
    """
    if not flips or not len(differences) or np.isnan(differences).any():
        return np.nan
    units = np.round(differences / (np.abs(differences).max() or 1), 9)  # so that equal sizes are equal, and sums tie
    sizes, counts = np.unique(np.abs(units[units != 0]), return_counts=True)
    sums = np.zeros(flips)
    for size, count in zip(sizes, counts, strict=True):
        sums += (2 * rng.binomial(count, 0.5, size=flips) - count) * size
    extreme = np.abs(sums) >= abs(units.sum()) - _TIE
    return float((1 + extreme.sum()) / (flips + 1))


def holm(p: Values) -> Values:
    """p-values adjusted for the number of tests in their family (Holm 1979); NaN is no test.

    >>> holm(np.array([0.01, 0.04, 0.03, 0.005])).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    tested = np.argsort(p)[: int((~np.isnan(p)).sum())]  # the smallest first, NaN would be last
    adjusted = np.full(len(p), np.nan)
    adjusted[tested] = np.maximum.accumulate(np.arange(len(tested), 0, -1) * p[tested]).clip(max=1)
    return adjusted  # as statsmodels' multipletests, which collects garbage for .1 s at each call


# -- the same pairs, judged by several contenders ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contest:
    """The pairs of one dataset as judged by all contenders: one row per pair, one column per contender."""

    dataset: str
    contenders: tuple[Contender, ...]
    subset: NDArray[np.object_]
    """(pairs,)."""
    cluster: NDArray[np.int64]
    """(pairs,): pairs with the same number are resampled, and have their signs flipped, together."""
    group: dict[str, str]
    """Subset → its group, or "" for none."""
    credit: Values
    """(pairs, contenders): what the pair's verdicts earned together."""
    counted: Values
    """(pairs, contenders): how many verdicts count."""
    right: NDArray[np.bool_]
    """(pairs, contenders): whether every verdict that counts is gold."""

    @property
    def score(self) -> Values:
        """(pairs, contenders): s, the mean correctness over orders and repeats; NaN where no verdict counts."""
        score: Values = np.where(self.counted > 0, self.credit / np.maximum(self.counted, 1), np.nan)
        return score

    def aggregates(self) -> Iterator[Aggregate]:
        """Each subset by itself; of several, also the means over each group and over all, and all pairs alike."""
        present = sorted(self.group)
        yield from (Aggregate(name, "subset", (name,)) for name in present)
        if len(present) > 1:
            for group in sorted(set(self.group.values()) - {"", *present}):
                yield Aggregate(group, "macro", tuple(name for name in present if self.group[name] == group))
            yield Aggregate(AVERAGE, "macro", tuple(present))
            yield Aggregate(POOLED, "pooled", tuple(present))

    def headline(self) -> Aggregate:
        """The mean over all subsets, or the only subset."""
        return next(a for a in self.aggregates() if a.name == AVERAGE or len(self.group) == 1)


class Aggregate(NamedTuple):
    """A subset, or several as one: `macro` averages subsets, `pooled` pairs."""

    name: str
    kind: str
    subsets: tuple[str, ...]

    def shares(self, subset: NDArray[np.object_]) -> Values:
        """The share of each pair in the aggregate, from the pairs' subsets; NaN if one of the subsets is empty."""
        inside = np.array([subset == name for name in self.subsets])
        sizes = inside.sum(axis=1, keepdims=True)
        if not sizes.all():
            return np.full(len(subset), np.nan)
        within: Values = inside / (sizes.sum() if self.kind == "pooled" else len(sizes) * sizes)
        return np.asarray(within.sum(axis=0))


def contests(frame: pd.DataFrame, policy: Policy = acc.LLMBAR) -> Iterator[Contest]:
    """One contest per dataset of a verdict frame, pairs and contenders in the sequence of their names.

    Raises:
        ValueError: the table is not a verdict frame, or the contenders were not asked about the same pairs.
    """
    judged = Judged.of(frame)
    if frame.empty:
        return
    pairs = same_pairs(frame)
    credit = acc.accuracy(judged, policy)
    counts = ~np.isnan(credit)
    keys = [frame[key].astype(str).to_numpy() for key in ("dataset", "pair", "judge", "strategy")]
    cells = pd.DataFrame(
        {
            "credit": np.nansum(credit, axis=1),
            "counted": counts.sum(axis=1).astype(np.float64),
            "missed": (counts & (credit < 1)).sum(axis=1),
        },
        index=pd.MultiIndex.from_arrays(keys, names=["dataset", "pair", "judge", "strategy"]),
    )
    together = cells.groupby(level=[0, 1, 2, 3]).sum()
    table = cast("pd.DataFrame", together.unstack(["judge", "strategy"])).sort_index(axis=1)
    same_questions(cast("pd.DataFrame", table["credit"]).isna())
    for dataset, rows in table.groupby(level="dataset"):
        pair = pairs.loc[rows.index]
        yield Contest(
            dataset=str(dataset),
            contenders=tuple(rows["credit"].columns),
            subset=pair["subset"].to_numpy(dtype=object),
            cluster=pd.factorize(pair["cluster"], sort=True)[0].astype(np.int64),
            group=dict(zip(pair["subset"], pair["group"], strict=True)),
            credit=rows["credit"].to_numpy(),
            counted=rows["counted"].to_numpy(),
            right=(rows["missed"] == 0).to_numpy(),
        )


def same_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """What is known of each pair; refuses runs in which a pair of the same name is another pair."""
    columns = {name: frame[name].astype(str) for name in ("dataset", "pair", "subset", "group", "cluster")}
    pairs = frame[list(_SAME)].assign(**columns).drop_duplicates().set_index(["dataset", "pair"]).sort_index()
    twice = pairs.index.duplicated(keep=False)
    if twice.any():
        dataset, pair = pairs.index[twice][0]
        versions = pairs.loc[[(dataset, pair)]]
        columns_that_differ = [name for name in _SAME if versions[name].nunique() > 1]
        raise ValueError(f"not the same data: {dataset}, pair {pair} differs in {', '.join(columns_that_differ)}")
    return pairs


def same_questions(missing: pd.DataFrame) -> None:
    """Refuse contenders that judged different pairs. `missing` has a row per pair and a column per contender."""
    for contender, gaps in missing.items():
        if gaps.any():
            dataset, pair = gaps.index[gaps.to_numpy()][0]
            name = " with ".join(contender) if isinstance(contender, tuple) else contender
            asked = f"was not asked {int(gaps.sum())} of {len(gaps)} pairs that others were"
            raise ValueError(f"not the same pairs: {name} {asked}, such as {dataset}, pair {pair}")


# -- differences ------------------------------------------------------------------------------------------------------


def compare(
    frame: pd.DataFrame,
    *,
    against: Contender | None = None,
    policy: Policy = acc.LLMBAR,
    interval: Method = "bca",
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """The difference in accuracy between every two contenders of a verdict frame, or between one and each other.

    One row for each two contenders, dataset and aggregate: every subset; the macro rows of `summarize` (`kind` is
    "macro"); and all pairs alike ("pooled"). Contenders are taken in the sequence of their names, the later one
    `against` the earlier one, or each against the given one. Columns:

    - `difference` = `accuracy` − `against_accuracy`, over the `n` pairs on which verdicts of both count (a pair's
      accuracy is the mean over its orders and repeats);
    - `low`, `high`: its 95 % interval by a paired cluster bootstrap, stratified by subset, with two made-up pairs in
      each (`intervals.bootstrap_difference`), and the method (`interval`; where nothing varies Wilson's, as in
      `summarize`);
    - `p`: sign-flip permutation test (`sign_flip`); pairs of the same instruction are flipped together, and for macro
      rows the statistic is the macro mean. `p_holm` is adjusted for all comparisons on the same aggregate. For families
      of over 400 more than 10,000 flips are drawn, since p cannot be less than 1/(flips + 1): thousands of comparisons
      take minutes;
    - `gained`, `lost`: pairs on which every verdict of the one, but not of the other, is right, and McNemar's exact
      test between them (`mcnemar_p`, not adjusted; it takes pairs for independent and weighs them alike);
    - `detectable`: the true difference that so many such pairs detect with 80 % power, 2.80 standard errors (B9); NaN
      where nothing varies;
    - `verdict`: "better" or "worse" where `p_holm` < .05, else "unresolved". Never "equal": what was not found may
      still be there, and `detectable` says how large it might be.

    Exchanging two contenders changes signs only, and the sequence of the rows nothing. No `resamples`, no intervals
    and no `p`.

    Raises:
        ValueError: the table is not a verdict frame, the contenders were not asked about the same pairs, or `against`
            is none of them.
    """
    rows: list[dict[str, object]] = []
    for contest in contests(frame, policy):
        duels = [Duel.of(contest, *columns) for columns in matches(contest.contenders, against)]
        flips = max(resamples, _FLIPS_PER_COMPARISON * len(duels)) if resamples else 0
        for duel in duels:
            rows += duel.rows(contest, interval, resamples, flips, seed)
    return resolved(pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS)))


def matches(contenders: Sequence[Contender], against: Contender | None) -> Iterator[tuple[int, int]]:
    """Who is compared against whom, by column."""
    if against is None:
        yield from ((later, earlier) for earlier, later in combinations(range(len(contenders)), 2))
    elif against not in contenders:
        known = ", ".join(" with ".join(contender) for contender in contenders)
        raise ValueError(f"{' with '.join(against)} is not among those compared: {known}")
    else:
        base = contenders.index(against)
        yield from ((column, base) for column in range(len(contenders)) if column != base)


def resolved(table: pd.DataFrame) -> pd.DataFrame:
    """A table of comparisons with `p_holm` and `verdict`, each aggregate's rows being one family.

    For whoever shows other rows together than `compare` does: what is shown is the family.
    """
    family = table.groupby(["dataset", "kind", "subset"], sort=False)["p"]
    adjusted = family.transform(lambda p: holm(p.to_numpy(dtype=np.float64))).astype(np.float64)
    direction = np.where(table["difference"].astype(np.float64) > 0, "better", "worse")
    return table.assign(p_holm=adjusted, verdict=np.where(adjusted < ALPHA, direction, "unresolved"))


@dataclass(frozen=True, slots=True)
class Duel:
    """Two contenders on the pairs on which verdicts of both count."""

    contenders: tuple[Contender, Contender]
    subset: NDArray[np.object_]
    """(pairs,)."""
    cluster: NDArray[np.int64]
    """(pairs,)."""
    score: Values
    """(pairs, 2)."""
    right: NDArray[np.bool_]
    """(pairs, 2)."""

    @classmethod
    def of(cls, contest: Contest, one: int, other: int) -> Self:
        score = contest.score[:, [one, other]]
        both = ~np.isnan(score).any(axis=1)
        return cls(
            contenders=(contest.contenders[one], contest.contenders[other]),
            subset=contest.subset[both],
            cluster=contest.cluster[both],
            score=score[both],
            right=contest.right[both][:, [one, other]],
        )

    @property
    def difference(self) -> Values:
        """(pairs,): d = s − s′."""
        difference: Values = self.score[:, 0] - self.score[:, 1]
        return difference

    def rows(
        self, contest: Contest, method: Method, resamples: int, flips: int, seed: int
    ) -> Iterator[dict[str, object]]:
        """One for each aggregate of the contest."""
        drawn = {name: self.resampled(name, resamples, stream(seed, contest.dataset, name)) for name in contest.group}
        (judge, strategy), (against_judge, against_strategy) = self.contenders
        for aggregate in contest.aggregates():
            shares = aggregate.shares(self.subset)
            units = np.bincount(self.cluster, shares * self.difference).astype(np.float64)
            rng = stream(seed, contest.dataset, f"{aggregate.kind}\0{aggregate.name}")
            yield {
                "judge": judge,
                "strategy": strategy,
                "against_judge": against_judge,
                "against_strategy": against_strategy,
                "dataset": contest.dataset,
                "subset": aggregate.name,
                "kind": aggregate.kind,
                **self.estimates(shares),
                **self.certainty(aggregate, shares, drawn, method),
                "p": sign_flip(units, flips=flips, rng=rng),
                **self.discordance(shares),
            }

    def resampled(self, subset: str, resamples: int, rng: np.random.Generator) -> Bootstrap:
        rows = self.subset == subset
        return bootstrap_difference(self.difference[rows], self.cluster[rows], resamples=resamples, rng=rng)

    def estimates(self, shares: Values) -> dict[str, float]:
        if not len(shares):
            return dict.fromkeys(("accuracy", "against_accuracy", "difference"), np.nan)
        accuracy, against = shares @ self.score
        return {"accuracy": accuracy, "against_accuracy": against, "difference": shares @ self.difference}

    def certainty(
        self, aggregate: Aggregate, shares: Values, drawn: dict[str, Bootstrap], method: Method
    ) -> dict[str, float | str]:
        weights = [float(shares[self.subset == name].sum()) for name in aggregate.subsets]
        whole = Bootstrap.average([drawn[name] for name in aggregate.subsets], weights)
        low, high, used = whole.interval(method)
        return {"low": low, "high": high, "interval": used, "detectable": self.detectable(aggregate, weights)}

    def detectable(self, aggregate: Aggregate, weights: list[float]) -> float:
        """2.80 standard errors, from each subset's variance (B9)."""
        rows = [self.subset == name for name in aggregate.subsets]
        variances = [clustered_variance(self.difference[row], self.cluster[row]) for row in rows]
        error = float(np.sqrt(np.square(weights) @ variances))
        return reach() * error if error > ROUNDING else np.nan

    def discordance(self, shares: Values) -> dict[str, float]:
        one, other = self.right[shares > 0].T
        gained, lost = int((one & ~other).sum()), int((other & ~one).sum())
        return {"n": len(one), "gained": gained, "lost": lost, "mcnemar_p": mcnemar(lost, gained)}


# -- ranks ------------------------------------------------------------------------------------------------------------


def rank_ranges(
    frame: pd.DataFrame, *, policy: Policy = acc.LLMBAR, resamples: int = 10_000, seed: int = 0
) -> pd.DataFrame:
    """Each contender's rank by accuracy on the headline aggregate, and from which to which it ranges by chance.

    The headline aggregate is the mean over subsets (or the only subset). In each resample of clusters, the same for all
    contenders, all are ranked anew; `rank_low` and `rank_high` bound the middle 95 % of a contender's ranks. Rank 1 is
    the highest accuracy; who is equal has the same, better rank. Read a range as: on another sample of such pairs it
    might well have stood anywhere in here. It describes how the ranks waver and is no test: where many are nearly equal
    ranks waver more than the contenders differ (`tied_with_best` tests). Rows by dataset, rank and name.

    Raises:
        ValueError: the table is not a verdict frame, or the contenders were not asked about the same pairs.
    """
    tables = [ranked(contest, resamples, seed) for contest in contests(frame, policy)]
    columns = ["judge", "strategy", "dataset", "accuracy", "rank", "rank_low", "rank_high"]
    table = pd.concat(tables) if tables else pd.DataFrame(columns=columns)
    return table[columns].sort_values(["dataset", "rank", "judge", "strategy"], ignore_index=True)


def ranked(contest: Contest, resamples: int, seed: int) -> pd.DataFrame:
    """One dataset's rank ranges."""
    parts = [
        resampled_together(contest, name, resamples, stream(seed, contest.dataset, name))
        for name in contest.headline().subsets
    ]
    observed, drawn = (np.mean(part, axis=0) for part in zip(*parts, strict=True))
    low, high = (
        np.quantile(ranks(drawn), [0.025, 0.975], axis=0, method="inverted_cdf")
        if resamples
        else np.full((2, len(contest.contenders)), np.nan)
    )
    table = pd.DataFrame(contest.contenders, columns=["judge", "strategy"])
    return table.assign(
        dataset=contest.dataset, accuracy=observed, rank=ranks(observed[None])[0], rank_low=low, rank_high=high
    )


def ranks(accuracy: Values) -> NDArray[np.float64]:
    """Ranks along each row, 1 the highest; who is equal (but for rounding) shares the better; undefined is last."""
    from scipy.stats import rankdata  # here, since scipy takes its time to import

    return np.asarray(rankdata(-np.nan_to_num(accuracy, nan=-1.0).round(12), method="min", axis=1))


def resampled_together(
    contest: Contest, subset: str, resamples: int, rng: np.random.Generator
) -> tuple[Values, Values]:
    """All contenders' accuracy on a subset: observed, and in the same resamples (resamples, contenders)."""
    rows = contest.subset == subset
    _, number = np.unique(contest.cluster[rows], return_inverse=True)
    columns = np.column_stack([contest.credit[rows], contest.counted[rows]])
    sums = np.column_stack([np.bincount(number, column) for column in columns.T])
    profiles, counts = np.unique(sums, axis=0, return_counts=True)
    weights = np.vstack([counts, rng.multinomial(counts.sum(), counts / counts.sum(), size=resamples)])
    credit, counted = np.hsplit(weights @ profiles, 2)
    accuracy = np.where(counted > 0, credit / np.maximum(counted, 1), np.nan)
    return accuracy[0], accuracy[1:]


def tied_with_best(
    frame: pd.DataFrame, *, policy: Policy = acc.LLMBAR, resamples: int = 10_000, seed: int = 0
) -> pd.DataFrame:
    """Who is not shown to be worse than the best on the headline aggregate: the best, and all whom `tied` marks.

    Every contender is compared with the one of the highest accuracy (of several, the first by name), one family of
    sign-flip tests under Holm's adjustment; `tied` where its verdict is not "worse". The best was picked by looking, so
    that its own lead is flattered a little: a tie means "unresolved", and a contender that is not tied is behind even
    so. Rows by dataset and accuracy; the columns of `compare` of which the best has none are NaN in its row.

    Raises:
        ValueError: the table is not a verdict frame, or the contenders were not asked about the same pairs.
    """
    tables = []
    for contest in contests(frame, policy):
        standing = ranked(contest, 0, seed)
        best = standing.sort_values(["rank", "judge", "strategy"]).iloc[0]
        rows = frame[frame["dataset"].astype(str) == contest.dataset]
        against = (best["judge"], best["strategy"])
        pairwise = compare(rows, against=against, policy=policy, resamples=resamples, seed=seed)
        headline = pairwise[pairwise["subset"] == contest.headline().name]
        shown = headline[["judge", "strategy", "difference", "low", "high", "p_holm", "verdict"]]
        table = standing.merge(shown, on=["judge", "strategy"], how="left")
        tables.append(table.assign(tied=table["verdict"] != "worse"))
    columns = ["judge", "strategy", "dataset", "accuracy", "difference", "low", "high", "p_holm", "tied"]
    table = pd.concat(tables) if tables else pd.DataFrame(columns=columns)
    by = ["dataset", "accuracy", "judge", "strategy"]
    return table[columns].sort_values(by, ascending=[True, False, True, True], ignore_index=True)
