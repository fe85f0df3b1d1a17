"""What sways the judge, told apart: position, gold and length in one logistic regression.

    logit P(first-shown preferred) = β₀ + β_g·g + β_ℓ·ln(L_first / L_second) + …

Two rows per judgment, one for each order; g is +½ where the first-shown output is gold and −½ where the second-shown
is. So β₀ is the position bias, β_g what the gold label is worth to the judge beside it, and β_ℓ the pull of length.
Format, family and subset can be added.

Where a term *separates* the verdicts, as for a judge that always prefers the longer output, the likelihood rises
without end and has no maximum. Then Firth's penalised likelihood takes its place: the log-likelihood plus half the
log-determinant of the information (Jeffreys' prior). Its estimates are finite for whatever verdicts there are, it has
no strength to be chosen, as ridge has, and rescaling a term rescales its coefficient and changes nothing else.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit, ndtr

from llmbar.stats.accuracy import decided
from llmbar.stats.intervals import Z
from llmbar.stats.verdicts import NOT_ASKED, SHOWN_FIRST, Judged, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Values

TERMS = ("position", "gold", "length")
"""The terms that are always there."""
EQUAL_LENGTH = "accuracy at equal length"
REGRESSION_COLUMNS = ("judge", "strategy", "n", "term", "estimate", "se", "low", "high", "p", "warning")
SEPARATED = "a term separates the verdicts: Firth's penalised likelihood, with cautious intervals"
ROUNDING = 1e-12
"""A standard error below this is 0: a judge that never changes its mind with the order has no position bias."""
CLOSE = 1e-10
"""A step that promises less log-likelihood than this is none."""
STEPS = 100
"""Of Newton's method, at most."""
PROFILED = 10_000
"""Rows up to which intervals come from the profile, which has to climb some eighty times."""
DOUBLINGS = 40
"""Of the distance from an estimate at which its bound is looked for."""
FAR = 1e6
"""A likelihood-ratio statistic that is as good as infinite."""


class Design(NamedTuple):
    """The regression's rows, one per preference."""

    names: tuple[str, ...]
    """What the columns of `terms` are called."""
    first: Values
    """(rows,): 1 where the first-shown output was preferred."""
    terms: Values
    """(rows, terms)."""
    item: NDArray[np.int64]
    """(rows,): rows of the same pair have the same number."""


class Term(NamedTuple):
    """One coefficient, or what follows from it, with its 95 % interval and the p-value of no effect."""

    estimate: float
    se: float
    low: float
    high: float
    p: float


LEFT_OUT = Term(np.nan, np.nan, np.nan, np.nan, np.nan)
UNMOVED = Term(0.0, 0.0, 0.0, 0.0, 1.0)


class Fit(NamedTuple):
    """A coefficient for each of a design's names, and what was amiss."""

    terms: list[Term]
    warning: str = ""


def bias_regression(frame: pd.DataFrame, further: Sequence[str] = ()) -> pd.DataFrame:
    """The regression for each judge and strategy of a verdict frame: one row per term.

    How to read it: a coefficient is the change in the log-odds of being preferred, all else equal; 0 is no pull.

    `n` counts preferences: ties, unreadable replies and failed calls have none. Standard errors are cluster-robust by
    pair, with the factor G/(G − 1)·(n − 1)/(n − k); intervals and two-sided p-values are Wald's. Strategies whose
    orders play no part are left out.

    `further` names more terms. `subset` adds how far the position bias of each subset lies from the mean over subsets
    (but for the last, which is minus the sum of the others). Any other name, such as `list` or `family`, stands for two
    columns, `list_1` and `list_2`, that say of output 1 and output 2 how much they have of it (`format_columns` and
    `author_columns` make them); the term is the first-shown output's less the second-shown's. Rows with a gap there
    are left out.

    `warning` says what was amiss. A term that does not vary independently of those before it, such as length where all
    outputs are equally long, is left out and NaN. Where a term separates the verdicts, the estimates are those of
    Firth's penalised likelihood, with intervals and p-values from its profile. (For more than `PROFILED` preferences
    they are Wald's, far too wide where the likelihood is as lopsided as here.) Cluster-robust errors rest on residuals,
    of which separated verdicts have hardly any; instead the variance counts m-fold, for m preferences per pair: the
    most that dependence within pairs can do.

    The last row, `accuracy at equal length`, is expit(β_g/2): the accuracy that remains between outputs of equal
    length for a judge without position bias. Its interval is the transformed one of β_g, its standard error by the
    delta method, and its p-value tests it against ½.

    Source: Firth 1993 (Biometrika 80), Heinze and Schemper 2002 (Statistics in Medicine 21).

    Raises:
        ValueError: the table is not a verdict frame, or lacks the columns of a further term.
    """
    check(frame)
    check_further(frame, further)
    rows: list[tuple[object, ...]] = []
    for run, part in frame.groupby(["judge", "strategy"], observed=True):
        judged = Judged.of(part)
        if (judged.shown == NOT_ASKED).all():
            continue
        data = design(judged, further_terms(part, further))
        terms, warning = fit(data)
        named = [*zip(data.names, terms, strict=True), (EQUAL_LENGTH, equal_length(terms[TERMS.index("gold")]))]
        rows += [(*run, len(data.first), name, *term, warning) for name, term in named]
    return pd.DataFrame(rows, columns=list(REGRESSION_COLUMNS))


# -- the rows ---------------------------------------------------------------------------------------------------------


def design(judged: Judged, further: Mapping[str, Values] | None = None) -> Design:
    """Two rows per judgment, in the position frame, of which those with a preference are kept.

    An output without a character counts as one character long, so that its logarithm exists.
    """
    gold = np.where(judged.gold[:, None] == SHOWN_FIRST, 0.5, -0.5)
    length = facing(np.log(np.maximum(judged.lengths, 1)) @ np.array([1.0, -1.0]))
    named = {"position": np.ones_like(gold), "gold": gold, "length": length, **(further or {})}
    terms = np.stack(list(named.values()), axis=-1)
    kept = decided(judged.shown) & ~np.isnan(terms).any(axis=-1)
    first = (judged.shown == SHOWN_FIRST).astype(np.float64)
    return Design(tuple(named), first[kept], terms[kept], np.broadcast_to(judged.item[:, None], kept.shape)[kept])


def facing(difference: Values) -> Values:
    """Output 1's less output 2's, (n,), as the first-shown's less the second-shown's in both orders, (n, 2)."""
    return np.column_stack([difference, -difference])


def further_terms(part: pd.DataFrame, further: Sequence[str]) -> dict[str, Values]:
    """Name → (n, 2), the values of each further term in both orders."""
    terms: dict[str, Values] = {}
    for name in further:
        if name == "subset":
            terms |= subset_terms(part["subset"])
        else:
            one, two = (part[f"{name}_{output}"].to_numpy(dtype=np.float64, na_value=np.nan) for output in (1, 2))
            terms[name] = facing(one - two)
    return terms


def subset_terms(subset: pd.Series[str]) -> dict[str, Values]:
    """Deviation coding: +1 in a subset, −1 in the last, so that `position` remains the mean over subsets."""
    *others, last = sorted(subset.unique())
    values = {name: (subset == name).to_numpy(np.float64) - (subset == last).to_numpy(np.float64) for name in others}
    return {f"subset {name}": np.column_stack([value, value]) for name, value in values.items()}


def check_further(frame: pd.DataFrame, further: Sequence[str]) -> None:
    wanted = (f"{name}_{output}" for name in further if name != "subset" for output in (1, 2))
    if missing := [column for column in wanted if column not in frame]:
        raise ValueError(f"a further term needs columns that the verdict frame lacks: {', '.join(missing)}")


# -- the estimates ----------------------------------------------------------------------------------------------------


def fit(data: Design) -> Fit:
    """Maximum likelihood with cluster-robust standard errors, or Firth's penalised likelihood under separation."""
    kept = independent(data.terms)
    pairs = len(np.unique(data.item))
    if pairs <= len(kept):
        return Fit([LEFT_OUT] * len(data.names), "too few pairs" if pairs else "no preferences")
    used = data._replace(terms=data.terms[:, kept])
    found = likelihood(used) or penalised(used)
    terms = dict(zip(kept, found.terms, strict=True))
    idle = [name for column, name in enumerate(data.names) if column not in terms]
    remarks = [f"left out, since it does not vary independently: {', '.join(idle)}"] if idle else []
    remarks += [found.warning] if found.warning else []
    return Fit([terms.get(column, LEFT_OUT) for column in range(len(data.names))], "; ".join(remarks))


def independent(terms: Values) -> list[int]:
    """The columns that are no combination of those before them."""
    triangle: Values = np.asarray(np.linalg.qr(terms, mode="r"))  # has the same dependences, in as many rows as columns
    kept: list[int] = []
    for column in range(terms.shape[1]):
        wider = triangle[:, [*kept, column]]
        if np.linalg.matrix_rank(wider, tol=1e-9 * np.linalg.norm(triangle)) > len(kept):
            kept.append(column)
    return kept


def likelihood(data: Design) -> Fit | None:
    """Maximum likelihood by Newton's method, or None where a term separates the verdicts."""
    from statsmodels.discrete.discrete_model import Logit  # here: statsmodels takes its time to import
    from statsmodels.tools.sm_exceptions import ModelWarning

    with warnings.catch_warnings():
        for kind in (ModelWarning, RuntimeWarning):  # separation and non-convergence are only warned of
            warnings.simplefilter("error", kind)
        try:
            model = Logit(data.first, data.terms)
            found = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": data.item})
        except (ModelWarning, RuntimeWarning, np.linalg.LinAlgError):
            return None
    lines = zip(found.params.tolist(), found.bse.tolist(), strict=True)
    return Fit([UNMOVED if se < ROUNDING else wald(estimate, se) for estimate, se in lines])


def wald(estimate: float, se: float) -> Term:
    """A coefficient with what its standard error alone gives."""
    return Term(estimate, se, estimate - Z * se, estimate + Z * se, 2 * float(ndtr(-abs(estimate) / se)))


def equal_length(gold: Term) -> Term:
    """expit(β_g/2), from the coefficient of gold."""
    at, low, high = (float(expit(bound / 2)) for bound in (gold.estimate, gold.low, gold.high))
    return Term(at, at * (1 - at) * gold.se / 2, low, high, gold.p)


# -- under separation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Firth:
    """Firth's penalised likelihood of a logistic regression, log L(β) + ½ log|I(β)|, I being the information.

    With one constant term it adds half a success and half a failure: 4 of 4 become 4.5 of 5.

    >>> top = Firth(np.ones(4), np.ones((4, 1))).climb(np.zeros(1))
    >>> round(float(np.exp(top[0])), 6)
    9.0
    """

    outcome: Values
    """(rows,): 1 or 0."""
    terms: Values
    """(rows, k)."""

    def information(self, beta: Values) -> Values:
        """I(β), (k, k)."""
        chance = expit(self.terms @ beta)
        return np.asarray(self.terms.T @ ((chance * (1 - chance))[:, None] * self.terms))

    def height(self, beta: Values) -> float:
        """The penalised log-likelihood, −∞ where no information is left."""
        chances = log_expit((2 * self.outcome - 1) * (self.terms @ beta))
        with np.errstate(divide="ignore"):
            sign, log_determinant = np.linalg.slogdet(self.information(beta))
        return float(chances.sum() + log_determinant / 2) if sign > 0 else -np.inf

    def slope(self, beta: Values) -> tuple[Values, Values]:
        """Its gradient, (k,), and its curvature, the negative Hessian, (k, k).

        The gradient is Σ (y − π + h·(½ − π))·x over rows, h = w·x'I⁻¹x being a row's leverage and w = π·(1 − π).
        """
        x, chance = self.terms, expit(self.terms @ beta)
        weight = chance * (1 - chance)
        spread = x @ np.linalg.pinv(self.information(beta))
        distance = (spread * x).sum(axis=1)
        leverage = weight * distance
        gradient = x.T @ (self.outcome - chance + leverage * (0.5 - chance))
        tilt = weight * (1 - 2 * chance)
        moved = [((spread @ (x.T @ ((tilt * term)[:, None] * x))) * spread).sum(axis=1) for term in x.T]
        change = (tilt * distance)[:, None] * x - weight[:, None] * np.column_stack(moved)  # of the leverage
        curvature = x.T @ ((weight * (1 + leverage))[:, None] * x - (0.5 - chance)[:, None] * change)
        return gradient, curvature

    def climb(self, beta: Values, fixed: int | None = None) -> Values:
        """From β to the top, by Newton's method; with `fixed` that coefficient stays as it is.

        Where the curvature is not that of a summit, the information stands in; a step is halved until it leads upwards.
        """
        free = [column for column in range(len(beta)) if column != fixed]
        height = self.height(beta)
        for _ in range(STEPS):
            gradient, curvature = self.slope(beta)
            bent = curvature[np.ix_(free, free)]
            if np.linalg.eigvalsh(bent).min(initial=np.inf) <= 0:
                bent = self.information(beta)[np.ix_(free, free)]
            step = np.zeros_like(beta)
            step[free] = np.linalg.pinv(bent) @ gradient[free]
            gain = gradient @ step
            while (reached := self.height(beta + step)) < height and gain > CLOSE:
                step, gain = step / 2, gain / 2
            beta, height = beta + step, reached
            if gain <= CLOSE:
                break
        return beta

    def profile(self, top: Values, column: int, value: float) -> float:
        """How far below the top one is at most, where a coefficient has this value."""
        covariance = np.linalg.pinv(self.slope(top)[1])
        along = covariance[:, column] / covariance[column, column]
        start = top + (value - top[column]) * along
        return self.height(top) - self.height(self.climb(start, column) if np.isfinite(self.height(start)) else start)


def penalised(data: Design) -> Fit:
    """Firth's estimates with profile intervals (Heinze and Schemper 2002), as though a pair's rows were but one."""
    from scipy.stats import chi2  # here: it takes its time to import

    surface = Firth(data.first, data.terms)
    top = surface.climb(np.zeros(data.terms.shape[1]))
    per_pair = int(np.unique(data.item, return_counts=True)[1].max())
    errors = np.sqrt(per_pair * np.diag(np.linalg.pinv(surface.information(top))))

    def ratio(value: float, column: int) -> float:
        """The likelihood-ratio statistic of one coefficient having this value."""
        return 2 * surface.profile(top, column, value) / per_pair

    if len(data.first) > PROFILED:
        return Fit([wald(*found) for found in zip(top.tolist(), errors.tolist(), strict=True)], SEPARATED)
    terms = []
    for column, (estimate, se) in enumerate(zip(top.tolist(), errors.tolist(), strict=True)):
        low, high = (crossing(partial(ratio, column=column), estimate, step) for step in (-se, se))
        terms.append(Term(estimate, se, low, high, float(chi2.sf(ratio(0.0, column), 1))))
    return Fit(terms, SEPARATED)


def crossing(ratio: Callable[[float], float], estimate: float, step: float) -> float:
    """Where the statistic, 0 at the estimate, reaches the 95 % point of χ² with one degree of freedom."""
    from scipy.optimize import brentq

    def excess(value: float) -> float:
        return min(ratio(value), FAR) - Z**2

    for _ in range(DOUBLINGS):
        if excess(estimate + step) >= 0:
            break
        step *= 2
    else:  # the likelihood stays as high as it is: there is no bound on this side
        return math.copysign(math.inf, step)
    return float(brentq(excess, estimate, estimate + step, rtol=1e-4))
