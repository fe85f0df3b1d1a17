"""What sways the judge, told apart: position, gold and length in one logistic regression (METHODS B6).

    logit P(first-shown preferred) = β₀ + β_g·g + β_ℓ·ln(L_first / L_second)

Two rows per judgment, one for each order; g is +½ where the first-shown output is gold and −½ where the second-shown
is. So β₀ is the position bias, β_g what the gold label is worth to the judge beside it, and β_ℓ the pull of length.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from llmbar.stats.accuracy import decided
from llmbar.stats.verdicts import NOT_ASKED, SHOWN_FIRST, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Values
    from llmbar.stats.verdicts import Judged

TERMS = ("position", "gold", "length")
EQUAL_LENGTH = "accuracy at equal length"
REGRESSION_COLUMNS = ("judge", "strategy", "n", "term", "estimate", "se", "low", "high", "p", "warning")
Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""
ROUNDING = 1e-12
"""A standard error below this is 0: a judge that never changes its mind with the order has no position bias."""


class Design(NamedTuple):
    """The regression's rows, one per preference."""

    first: Values
    """(rows,): 1 where the first-shown output was preferred."""
    terms: Values
    """(rows, 3): the columns of `TERMS`."""
    item: NDArray[np.int64]
    """(rows,): rows of the same pair have the same number."""


class Fit(NamedTuple):
    """Coefficients in the order of `TERMS`, their standard errors and p-values; NaN with a warning where not found."""

    estimate: Values
    se: Values
    p: Values
    warning: str = ""


class Term(NamedTuple):
    """One coefficient, or what follows from it, with its 95 % interval and the p-value of no effect."""

    term: str
    estimate: float
    se: float
    low: float
    high: float
    p: float


def bias_regression(frame: pd.DataFrame) -> pd.DataFrame:
    """The regression for each judge and strategy of a verdict frame: one row per term.

    `n` counts preferences: ties, unreadable replies and failed calls have none. Standard errors are cluster-robust by
    pair, with the factor G/(G − 1)·(n − 1)/(n − k); intervals and two-sided p-values are Wald's. Strategies whose
    orders play no part are left out. Where a term separates the verdicts, as in a baseline that always prefers the
    longer output, no finite estimate exists: NaN, and `warning` says so.

    The fourth term, `accuracy at equal length`, is expit(β_g/2): the accuracy that remains between outputs of equal
    length for a judge without position bias. Its interval is the transformed one of β_g, its standard error by the
    delta method, and its p-value tests it against ½.

    Raises:
        ValueError: the table is not a verdict frame.
    """
    rows: list[tuple[object, ...]] = []
    for run, judged in groups(frame, ("judge", "strategy")):
        if (judged.shown == NOT_ASKED).all():
            continue
        data = design(judged)
        found = fit(data)
        terms = coefficients(found)
        terms.append(equal_length(terms[TERMS.index("gold")]))
        rows += [(*run, len(data.first), *term, found.warning) for term in terms]
    return pd.DataFrame(rows, columns=list(REGRESSION_COLUMNS))


def design(judged: Judged) -> Design:
    """Two rows per judgment, in the position frame, of which those with a preference are kept.

    An output without a character counts as one character long, so that its logarithm exists.
    """
    ratio = np.log(np.maximum(judged.lengths, 1)) @ np.array([1.0, -1.0])
    gold = np.where(judged.gold[:, None] == SHOWN_FIRST, 0.5, -0.5)
    length = np.column_stack([ratio, -ratio])
    terms = np.stack([np.ones_like(gold), gold, length], axis=-1)
    kept = decided(judged.shown)
    first = (judged.shown == SHOWN_FIRST).astype(np.float64)
    return Design(first[kept], terms[kept], np.broadcast_to(judged.item[:, None], kept.shape)[kept])


def fit(data: Design) -> Fit:
    """Maximum likelihood by Newton's method, with cluster-robust standard errors."""
    from statsmodels.discrete.discrete_model import Logit  # here: statsmodels takes its time to import
    from statsmodels.tools.sm_exceptions import ModelWarning

    if reason := unidentified(data):
        return nothing(reason)
    with warnings.catch_warnings():
        for kind in (ModelWarning, RuntimeWarning):  # separation and non-convergence are only warned of
            warnings.simplefilter("error", kind)
        try:
            model = Logit(data.first, data.terms)
            found = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": data.item})
        except (ModelWarning, RuntimeWarning, np.linalg.LinAlgError):
            return nothing("a term separates the verdicts: no finite estimate")
    estimates = np.stack([found.params, found.bse, found.pvalues])
    return Fit(*np.where(found.bse < ROUNDING, [[0.0], [0.0], [1.0]], estimates))


def unidentified(data: Design) -> str:
    """Why these rows cannot tell the terms apart, or nothing."""
    if len(np.unique(data.first)) < 2:
        return "every preference is for the same position" if len(data.first) else "no preferences"
    if len(np.unique(data.item)) <= len(TERMS):
        return "too few pairs"
    if np.linalg.matrix_rank(data.terms.T @ data.terms) < len(TERMS):
        return "gold, length and position do not vary independently"
    return ""


def nothing(warning: str) -> Fit:
    gaps = np.full(len(TERMS), np.nan)
    return Fit(gaps, gaps, gaps, warning)


def coefficients(found: Fit) -> list[Term]:
    """The coefficients with their intervals."""
    lines = zip(TERMS, found.estimate, found.se, found.p, strict=True)
    return [Term(term, float(b), float(se), float(b - Z * se), float(b + Z * se), float(p)) for term, b, se, p in lines]


def equal_length(gold: Term) -> Term:
    """expit(β_g/2), from the coefficient of gold."""
    at, low, high = (float(1 / (1 + np.exp(-bound / 2))) for bound in (gold.estimate, gold.low, gold.high))
    return Term(EQUAL_LENGTH, at, at * (1 - at) * gold.se / 2, low, high, gold.p)
