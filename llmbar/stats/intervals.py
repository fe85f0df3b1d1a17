"""How sure is a number? Wilson's interval for a proportion, the cluster bootstrap for all others (METHODS B7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Values

_CELLS = 1 << 22
"""Resampled counts held at a time (32 MiB)."""


def wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval for `k` of `n` independent trials, (NaN, NaN) without a trial.

    >>> [round(bound, 4) for bound in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    from statsmodels.stats.proportion import proportion_confint  # here: statsmodels takes its time to import

    if n == 0:
        return np.nan, np.nan
    low, high = proportion_confint(k, n, method="wilson")
    return float(low), float(high)


def resample(values: Values, cluster: NDArray[np.int64], *, resamples: int, rng: np.random.Generator) -> Values:
    """Means of `values` in samples of whole clusters, drawn with replacement: (resamples,).

    The verdicts of a pair, its repeats, and pairs of the same instruction are not independent, so that clusters are
    drawn, not verdicts. A mean is a ratio of two sums over clusters, and clusters with the same sums are
    interchangeable: the multinomial counts of the few *distinct* clusters have exactly the distribution of C draws from
    C, at a cost that does not grow with C. A sample in which nothing counts has the mean NaN.
    """
    sums = total(values, cluster).view(np.complex128)  # a row as one number, so that sorting rows is fast
    distinct, counts = np.unique(sums, return_counts=True)
    profiles = distinct.view(np.float64).reshape(-1, 2)
    means = np.empty(resamples)
    step = max(1, _CELLS // len(profiles))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=size) @ profiles
        with np.errstate(invalid="ignore"):
            means[start : start + size] = drawn[:, 0] / drawn[:, 1]
    return means


def total(values: Values, cluster: NDArray[np.int64]) -> Values:
    """(clusters, 2): per cluster, the sum of `values` and how many of them count."""
    rows = values.reshape(len(values), -1)
    _, number = np.unique(cluster, return_inverse=True)
    sums = np.bincount(number, np.nansum(rows, axis=1))
    return np.column_stack([sums, np.bincount(number, (~np.isnan(rows)).sum(axis=1))])


def percentile_interval(means: Values) -> tuple[float, float]:
    """The middle 95 % of resampled means, (NaN, NaN) where none is defined."""
    defined = means[~np.isnan(means)]
    if not defined.size:
        return np.nan, np.nan
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)
