"""How sure is a number? Wilson's interval for a proportion, the cluster bootstrap for all others.

The verdicts of a pair, its repeats, and pairs with the same instruction are not independent. So whole clusters are
resampled, within each subset, and intervals read off the resampled statistics:

    accuracy = bootstrap(values, cluster, resamples=10_000, rng=rng)     # of one subset
    average = Bootstrap.average([natural, neighbor, manual])             # of several, each resampled by itself
    low, high, method = average.interval()                               # bias-corrected and accelerated (BCa)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Values

Method = Literal["bca", "percentile"]

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""

_CELLS = 1 << 22
"""Resampled counts held at a time (32 MiB)."""

ROUNDING = 1e-12
"""Statistics closer than this are the same, but for rounding."""


class Interval(NamedTuple):
    """A 95 % interval and the method that made it; (NaN, NaN, "none") where there is nothing to tell."""

    low: float
    high: float
    method: str
    """`bca`, `percentile`, `wilson`, `none`, or two joined by "+" where parts of a mean needed different ones."""


NONE = Interval(np.nan, np.nan, "none")


# -- proportions ------------------------------------------------------------------------------------------------------


def wilson(k: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval for `k` of `n` independent trials, (NaN, NaN) without a trial (Wilson 1927).

    (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n): where the true share may well lie; never outside 0…1, and of
    some width even where all trials agree. `n` may be an effective number of trials, and so broken.

    >>> [round(bound, 4) for bound in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    from statsmodels.stats.proportion import proportion_confint  # here: statsmodels takes its time to import

    if n == 0:
        return np.nan, np.nan
    low, high = proportion_confint(k, n, method="wilson")
    return float(low), float(high)


def wilson_clustered(values: Values, cluster: NDArray[np.int64]) -> Interval:
    """Wilson's interval for a mean of values between 0 and 1 that hang together in clusters.

    It is `wilson` at the effective number of trials n_eff = p(1 − p)/v, v being the variance of p between clusters
    (Korn & Graubard 1998), but never at more trials than there are values. Where each value is 0 or 1 and a cluster of
    its own, n_eff = n. Values that do not vary: see `unvarying`.
    """
    sums = total(values, cluster)
    if not len(sums):
        return NONE
    known = Stratum.of(*distinct(sums))
    if known.constant:
        return unvarying(known.mean, known.clusters)
    trials = min(sums[:, 1].sum(), known.mean * (1 - known.mean) / known.second)
    return Interval(*wilson(known.mean * trials, trials), "wilson")


def unvarying(mean: float, clusters: int, span: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """The interval of a mean whose clusters are all alike, where resampling shows no doubt at all.

    None of C clusters differs, so by Wilson up to a share z²/(C + z²) of all clusters may: these may hold anything
    within `span`. A judge that is right on all of 46 pairs has [.923, 1] (Wilson's interval), not [1, 1]; and two
    judges with the same verdicts on 46 pairs may yet differ by ±.077.

    >>> [round(bound, 3) for bound in unvarying(1.0, 46)[:2]]
    [0.923, 1.0]
    """
    unseen = Z**2 / (clusters + Z**2)
    return Interval(mean - unseen * (mean - span[0]), mean + unseen * (span[1] - mean), "wilson")


def square_and_add(mean: float, gaps: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The interval of a sum of independent parts, from theirs (Newcombe 1998; Zou & Donner 2008).

    `gaps` holds how far each part's interval reaches below and above the part: low = mean − √Σ below², high likewise.
    """
    below, above = np.sqrt(np.square(gaps).sum(axis=0))
    return mean - float(below), mean + float(above)


# -- the cluster bootstrap --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stratum:
    """What one stratum's clusters tell of its mean: moments of the jackknife."""

    mean: float
    clusters: int
    second: float
    """Σu² over clusters, the variance of the mean; u is a cluster's influence, (C − 1)/C·(θ₍·₎ − θ₍ᵢ₎)."""
    third: float
    """Σu³ over clusters."""
    span: tuple[float, float] = (0.0, 1.0)
    """Between what the values lie."""
    weight: float = 1.0
    """The stratum's share in the statistic."""

    @classmethod
    def of(cls, profiles: Values, counts: NDArray[np.int64], span: tuple[float, float] = (0.0, 1.0)) -> Self:
        """Leave each cluster out in turn; clusters with the same sums are left out but once."""
        clusters = int(counts.sum())
        sums = counts @ profiles
        mean = float(sums[0] / sums[1])
        if clusters < 2:
            return cls(mean, clusters, 0.0, 0.0, span)
        rest = sums - profiles
        without = rest[:, 0] / rest[:, 1]
        influence = (clusters - 1) / clusters * (counts @ without / clusters - without)
        return cls(mean, clusters, float(counts @ influence**2), float(counts @ influence**3), span)

    @property
    def constant(self) -> bool:
        """Whether all clusters are alike."""
        return self.second < ROUNDING**2

    def gaps(self) -> tuple[float, float]:
        """How far the share of a constant stratum in the statistic may lie below and above what was observed."""
        low, high, _ = unvarying(self.mean, self.clusters, self.span)
        return self.weight * (self.mean - low), self.weight * (high - self.mean)

    @property
    def variance(self) -> float:
        """The unbiased variance of the mean, cluster-robust; (sd/√n)² where each pair is a cluster."""
        return self.second * self.clusters / (self.clusters - 1) if self.clusters > 1 else np.nan


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A mean, or a weighted mean of several strata's, with its distribution under resampling."""

    strata: tuple[Stratum, ...]
    resampled: Values
    """(resamples,): the statistic, resampled."""

    @classmethod
    def average(cls, parts: Sequence[Self], weights: Sequence[float] | None = None) -> Self:
        """The weighted mean of statistics of different strata, each resampled by itself; equal weights by default."""
        shares = [1 / len(parts)] * len(parts) if weights is None else list(weights)
        strata = [
            replace(stratum, weight=share * stratum.weight)
            for part, share in zip(parts, shares, strict=True)
            for stratum in part.strata
        ]
        return cls(tuple(strata), np.tensordot(shares, [part.resampled for part in parts], 1))

    @property
    def mean(self) -> float:
        """The statistic as observed."""
        return float(sum(stratum.weight * stratum.mean for stratum in self.strata))

    def interval(self, method: Method = "bca") -> Interval:
        """The 95 % interval: bias-corrected and accelerated, or the middle 95 % of what was resampled.

        Resampling says nothing of strata that do not vary, such as a subset on which a judge is always right. Their
        `unvarying` intervals are added to that of the others by `square_and_add`; where no stratum varies they are all
        there is. `method` of the result says what was used: `bca`, `wilson` or `bca+wilson`.
        """
        if np.isnan(self.mean) or not self.resampled.size:
            return NONE
        fixed = [stratum for stratum in self.strata if stratum.constant]
        varying = [stratum for stratum in self.strata if not stratum.constant]
        gaps = [stratum.gaps() for stratum in fixed]
        if not varying:
            return Interval(*square_and_add(self.mean, gaps), "wilson")
        levels = bca_levels(self.resampled, self.mean, varying) if method == "bca" else [0.025, 0.975]
        low, high = (float(bound) for bound in np.clip(np.quantile(self.resampled, levels), *varying[0].span))
        if not fixed:
            return Interval(low, high, method)
        gaps.append((self.mean - low, high - self.mean))
        return Interval(*square_and_add(self.mean, gaps), f"{method}+wilson")


def bootstrap(values: Values, cluster: NDArray[np.int64], *, resamples: int, rng: np.random.Generator) -> Bootstrap:
    """Resample whole clusters of one stratum, with replacement.

    `values`, between 0 and 1, have one row per judgment, NaN where nothing counts; the statistic is the mean of all
    that counts. Clusters of which nothing counts are left out. A mean is a ratio of two sums over clusters, and
    clusters with the same sums are interchangeable: the multinomial counts of the few *distinct* clusters have exactly
    the distribution of C draws from C, at a cost that does not grow with C. The draws depend on which clusters are
    alike, in the sequence of their numbers, and not on their values: b·x + a has b times the resampled means, plus a.
    """
    return resample(total(values, cluster), (0.0, 1.0), resamples, rng)


def bootstrap_difference(
    values: Values, cluster: NDArray[np.int64], *, resamples: int, rng: np.random.Generator
) -> Bootstrap:
    """`bootstrap` for differences of paired values, between −1 and 1, most of which are 0.

    Where a handful of pairs differ, they may all favour the same side by chance. No resample could then favour the
    other: the interval would exclude 0 after three differences in 46, and covered 90–92 % of simulated truths. So two
    made-up clusters join, r above and r below the mean, r being the root mean square of the differences that are not 0.
    They widen the interval about its centre, like the pairs that Agresti & Min (2005) and Bonett & Price (2012) add to
    a table of paired proportions.
    """
    return resample(with_opposites(total(values, cluster)), (-1.0, 1.0), resamples, rng)


def resample(sums: Values, span: tuple[float, float], resamples: int, rng: np.random.Generator) -> Bootstrap:
    """The bootstrap of clusters given by their sums (see `total`)."""
    if not len(sums):
        return Bootstrap((Stratum(np.nan, 0, 0.0, 0.0, span),), np.full(resamples, np.nan))
    profiles, counts = distinct(sums)
    means = np.empty(resamples)
    step = max(1, _CELLS // len(profiles))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=size) @ profiles
        means[start : start + size] = drawn[:, 0] / drawn[:, 1]
    return Bootstrap((Stratum.of(profiles, counts, span),), means)


def with_opposites(sums: Values) -> Values:
    """Clusters' sums, and two more clusters of average size: one r above the mean, one r below.

    Unless all clusters are alike. The first of the two lies on the side of the first difference, so that exchanging
    what is compared exchanges signs only.
    """
    means = sums[:, 0] / sums[:, 1]
    differing = means[means != 0]
    if not len(means) or np.ptp(means) < ROUNDING:
        return sums
    middle, size = sums[:, 0].sum() / sums[:, 1].sum(), sums[:, 1].mean()
    distance = np.copysign(np.sqrt((differing**2).mean()), differing[0])
    return np.vstack([sums, [[(middle + distance) * size, size], [(middle - distance) * size, size]]])


def clustered_variance(values: Values, cluster: NDArray[np.int64]) -> float:
    """The variance of a mean, cluster-robust: sd²/n where each value is a cluster of its own; NaN below 2 clusters."""
    sums = total(values, cluster)
    return Stratum.of(*distinct(sums)).variance if len(sums) else np.nan


def total(values: Values, cluster: NDArray[np.int64]) -> Values:
    """(clusters, 2): per cluster of which something counts, the sum of `values` and how many of them count."""
    rows = values if values.ndim > 1 else values[:, None]
    _, number = np.unique(cluster, return_inverse=True)
    sums = np.bincount(number, np.nansum(rows, axis=1))
    counted = np.bincount(number, (~np.isnan(rows)).sum(axis=1))
    return np.asarray(np.column_stack([sums, counted])[counted > 0], dtype=np.float64)


def distinct(sums: Values) -> tuple[Values, NDArray[np.int64]]:
    """The distinct rows of (clusters, 2), in the sequence of their first appearance, and how often each occurs."""
    pairs = np.ascontiguousarray(sums).view(np.complex128).ravel()  # a row as one number: sorting rows is slow
    found, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    sequence = np.argsort(first)
    return found[sequence].view(np.float64).reshape(-1, 2), counts[sequence].astype(np.int64)


def bca_levels(resampled: Values, observed: float, strata: Sequence[Stratum]) -> Values:
    """Which quantiles of the resampled statistic bound the bias-corrected and accelerated interval (Efron 1987).

    Φ(z₀ + w/(1 − a·w)) with w = z₀ ± r. Bias z₀ = Φ⁻¹(share of resamples below the observed value, ties by half).
    Acceleration a = Σu³/(6(Σu²)^{3/2}) over the clusters of all strata (Davison & Hinkley 1997, §5.4).

    r is a little more than 1.96: resampling n clusters understates the variance by (n − 1)/n, and of few clusters the
    variance is itself uncertain. After Hesterberg (2015, "expanded percentile interval") r = t·√(unbiased variance /
    resampled variance), with t at the strata's joint degrees of freedom (Satterthwaite): 2.04 for 46 clusters, 1.97 for
    419. Without it, intervals from 46 pairs covered 92–94 % of simulated truths; with it, see `benchmarks/coverage.md`.
    """
    second = np.array([stratum.weight**2 * stratum.second for stratum in strata])
    third = np.array([stratum.weight**3 * stratum.third for stratum in strata])
    freedom = np.array([stratum.clusters - 1 for stratum in strata])
    variance = second * (freedom + 1) / freedom
    degrees = variance.sum() ** 2 / (variance**2 / freedom).sum()
    reach = stdtrit(degrees, 0.975) * np.sqrt(variance.sum() / second.sum())
    below = np.mean(resampled < observed - ROUNDING) + np.mean(np.abs(resampled - observed) <= ROUNDING) / 2
    edge = 1 / (len(resampled) + 1)
    bias = ndtri(np.clip(below, edge, 1 - edge))
    acceleration = third.sum() / (6 * second.sum() ** 1.5)
    wanted = bias + reach * np.array([-1.0, 1.0])
    scale = 1 - acceleration * wanted
    beyond = np.copysign(np.inf, wanted)  # past the pole the level is 0 or 1
    levels: Values = ndtr(np.where(scale > 0, bias + wanted / np.where(scale > 0, scale, 1.0), beyond))
    return levels
