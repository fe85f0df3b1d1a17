"""When the judge is sure, is it right? Calibration of graded preferences.

Starts from P(output 1 preferred), or from a margin or a share of votes that only grades the preference. *Confidence* is
the probability of the preferred output, in [½, 1]; *correct* is 1, 0, or ½ where the probability is exactly ½. What a
judge's numbers say is turned into probabilities by temperature or Platt scaling, fitted on other pairs than those it is
applied to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from llmbar.stats.accuracy import decided
from llmbar.stats.intervals import wilson
from llmbar.stats.verdicts import ONE, TIE, check, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Values

Scaling = Literal["temperature", "platt"]

SCALINGS: tuple[Scaling, ...] = ("temperature", "platt")
CALIBRATION_COLUMNS = (
    *("probabilities", "n", "accuracy", "confidence", "ece", "brier", "auroc", "aurc"),
    *("bins", "folds"),
)
RELIABILITY_COLUMNS = ("low", "high", "n", "confidence", "accuracy", "accuracy_low", "accuracy_high")

BINS = 10
"""Of equal width, between ½ and 1."""
FOLDS = 5
NEAREST = 1e-6
"""A stated probability counts as at least this far from 0 and 1, so that its logit exists."""


class Graded(NamedTuple):
    """Preferences with how strong they are, one per judgment that has one."""

    score: Values
    """(n,): positive for output 1: the margin, or the logit of the probability where there is no margin."""
    probability: Values
    """(n,): P(output 1) as the judge gives it, NaN where it gives none."""
    gold: NDArray[np.bool_]
    """(n,): whether output 1 is gold."""
    cluster: NDArray[np.object_]
    """(n,): judgments of the same cluster go into the same fold."""


def judge_calibration(
    frame: pd.DataFrame,
    *,
    bins: int = BINS,
    folds: int = FOLDS,
    by: Sequence[str] = ("judge", "strategy", "dataset"),
) -> pd.DataFrame:
    """How well confidence tells right from wrong: one row per `by` and kind of `probabilities`.

    These are `stated`, where the column `probability` holds them, and out of fold `temperature` and `platt`. How to
    read it: `ece` is the mean gap between confidence and accuracy, 0 at best; `brier` the mean squared error of
    P(output 1), ¼ for always saying ½; `auroc` the chance that a right verdict is held with more confidence than a
    wrong one, ½ for none; `aurc` the error rate averaged over all ways to answer only the surest, below 1 − accuracy
    where confidence helps.

    Starts from the final verdict's `probability` and `final_margin`; judgments without a final verdict are left out.
    What has the same strength throughout, or only one cluster, cannot be scaled and gets no such row. `bins` and
    `folds` say what was used.

    Raises:
        ValueError: the table is not a verdict frame.
    """
    check(frame)
    rows: list[tuple[object, ...]] = []
    for key, part in frame.groupby(list(by), observed=True):
        data = graded(part)
        stated = ~np.isnan(data.probability)
        if stated.any():
            found = measures(data.probability[stated], data.gold[stated], bins)
            rows.append((*key, "stated", *found, bins, 0))
        used = min(folds, len(np.unique(data.cluster)))
        if used > 1 and len(np.unique(np.abs(data.score))) > 1:
            for scaling in SCALINGS:
                found = measures(out_of_fold(data, scaling, used), data.gold, bins)
                rows.append((*key, scaling, *found, bins, used))
    return pd.DataFrame(rows, columns=[*by, *CALIBRATION_COLUMNS])


def graded(part: pd.DataFrame) -> Graded:
    """The final preferences of a verdict frame with their strength, ties included, in the order of their clusters."""
    part = part.sort_values(["cluster", "dataset", "pair", "repeat"])
    margin, probability = (
        part[column].to_numpy(dtype=np.float64, na_value=np.nan) if column in part else np.full(len(part), np.nan)
        for column in ("final_margin", "probability")
    )
    score = np.where(np.isnan(margin), logit(probability), margin)
    final = encode(part["final"])
    kept = (decided(final) | (final == TIE)) & ~np.isnan(score)
    gold, cluster = part["gold"].to_numpy() == ONE, part["cluster"].astype(str).to_numpy(dtype=object)
    return Graded(score[kept], probability[kept], gold[kept], cluster[kept])


def measures(probability: Values, gold: NDArray[np.bool_], bins: int = BINS) -> tuple[float, ...]:
    """n, accuracy, mean confidence, ECE, Brier, AUROC and AURC of P(output 1)."""
    sure, correct = confidence(probability, gold)
    return (
        len(sure),
        float(correct.mean()),
        float(sure.mean()),
        calibration_error(sure, correct, bins),
        brier(probability, gold),
        auroc(sure, correct),
        aurc(sure, correct),
    )


# -- from numbers to probabilities ------------------------------------------------------------------------------------


def logit(probability: Values) -> Values:
    """ln(p/(1 − p)), of a probability not nearer to 0 and 1 than `NEAREST`."""
    inside = np.clip(probability, NEAREST, 1 - NEAREST)
    return np.asarray(np.log(inside / (1 - inside)))


def out_of_fold(data: Graded, scaling: Scaling, folds: int = FOLDS) -> Values:
    """P(output 1), (n,): each fold's from a scaling fitted on the other folds (`GroupKFold` by cluster).

    With fewer clusters than folds there are as many folds as clusters; with a single one all is NaN.
    """
    from sklearn.model_selection import GroupKFold  # here: scikit-learn takes its time to import

    found = np.full(len(data.score), np.nan)
    clusters = len(np.unique(data.cluster))
    if clusters > 1:
        for rest, fold in GroupKFold(min(folds, clusters)).split(data.score, groups=data.cluster):
            slope, shift = fit_scaling(data.score[rest], data.gold[rest], scaling)
            found[fold] = 1 / (1 + np.exp(-np.clip(slope * data.score[fold] + shift, -700, 700)))
    return found


def fit_scaling(score: Values, gold: NDArray[np.bool_], scaling: Scaling) -> tuple[float, float]:
    """Slope a and shift b of P(output 1) = expit(a·score + b).

    Temperature scaling has b = 0 and a = 1/T ≥ 0 (Guo et al. 2017): it changes how sure the judge is, never what it
    prefers. Platt scaling fits both (Platt 1999). Both aim at Platt's targets, (N₁ + 1)/(N₁ + 2) where output 1 is
    gold and 1/(N₂ + 2) where it is not, instead of 1 and 0: without them a judge without a mistake would have T = 0.
    """
    from sklearn.linear_model import LogisticRegression

    scale = float(np.sqrt((score**2).mean())) or 1.0
    ones = int(gold.sum())
    target = np.where(gold, (ones + 1) / (ones + 2), 1 / (len(gold) - ones + 2))
    model = LogisticRegression(C=1e6, fit_intercept=scaling == "platt", solver="newton-cholesky", tol=1e-8)
    twice = np.tile(score / scale, 2)[:, None]  # each row once as output 1 and once as output 2, by its target
    model.fit(twice, np.repeat([1, 0], len(score)), sample_weight=np.concatenate([target, 1 - target]))
    slope, shift = float(model.coef_[0, 0]) / scale, float(np.ravel(model.intercept_)[0])
    return (max(slope, 0.0), 0.0) if scaling == "temperature" else (slope, shift)


# -- how good the probabilities are -----------------------------------------------------------------------------------


def confidence(probability: Values, gold: NDArray[np.bool_]) -> tuple[Values, Values]:
    """From P(output 1) and whether output 1 is gold: the probability of the preferred output, and whether it is right.

    >>> sure, correct = confidence(np.array([0.9, 0.25, 0.5]), np.array([True, True, True]))
    >>> sure.tolist(), correct.tolist()
    ([0.9, 0.75, 0.5], [1.0, 0.0, 0.5])
    """
    correct = np.where(probability == 0.5, 0.5, (probability > 0.5) == gold)
    return np.maximum(probability, 1 - probability), correct


def brier(probability: Values, gold: NDArray[np.bool_]) -> float:
    """The Brier score on output 1: the mean of (P(output 1) − [output 1 is gold])² (Brier 1950)."""
    from sklearn.metrics import brier_score_loss

    if not len(gold) or np.isnan(probability).any():
        return np.nan
    return float(brier_score_loss(gold.astype(int), probability, pos_label=1, labels=[0, 1]))


def calibration_error(sure: Values, correct: Values, bins: int = BINS) -> float:
    """ECE = Σ_b (n_b/n)·|acc_b − conf_b| over bins of equal width in [½, 1] (Naeini et al. 2015).

    It depends on the bins, and a judge without any discernment reaches 0 by saying its accuracy every time.

    >>> round(calibration_error(np.array([0.9, 0.9, 0.6]), np.array([1.0, 0.0, 1.0])), 6)
    0.4
    """
    table = reliability(sure, correct, bins)
    weight, gap = table["n"] / max(len(sure), 1), (table["accuracy"] - table["confidence"]).abs()
    return float((weight * gap).sum()) if len(sure) else np.nan


def reliability(sure: Values, correct: Values, bins: int = BINS) -> pd.DataFrame:
    """The reliability curve: per bin from `low` to `high`, n, mean confidence, accuracy and its Wilson interval.

    How to read it: points on the diagonal are calibrated, below it the judge is surer than it is right. A bin without a
    judgment has n = 0 and NaN. A bin contains its lower bound, the last one also 1.
    """
    place = np.minimum(np.floor(np.round((sure - 0.5) * 2 * bins, 9)), bins - 1).astype(np.int64)
    n, sum_sure, sum_correct = (np.bincount(place, weight, bins) for weight in (np.ones_like(sure), sure, correct))
    edges = np.linspace(0.5, 1, bins + 1)
    per = np.where(n > 0, n, np.nan)
    bars = [wilson(right, int(number)) for right, number in zip(sum_correct, n, strict=True)]
    columns = (edges[:-1], edges[1:], n.astype(int), sum_sure / per, sum_correct / per, *np.transpose(bars))
    return pd.DataFrame(dict(zip(RELIABILITY_COLUMNS, columns, strict=True)))


def auroc(sure: Values, correct: Values) -> float:
    """The chance that a right verdict is held with more confidence than a wrong one, ties ½.

    A verdict that is half right counts half on either side. NaN where all are right, or all wrong.
    """
    from sklearn.metrics import roc_auc_score

    if not 0 < correct.sum() < len(correct):
        return np.nan
    weight = np.concatenate([correct, 1 - correct])
    return float(roc_auc_score(np.repeat([1, 0], len(sure)), np.tile(sure, 2), sample_weight=weight))


def risk_coverage(sure: Values, correct: Values) -> pd.DataFrame:
    """The risk–coverage curve: per `threshold`, the share of verdicts at least that sure, and their error rate.

    How to read it: to err on no more than `risk` of the verdicts used, use those from `threshold` on, and leave the
    rest, 1 − `coverage`, to people. Equal confidences enter together.

    >>> risk_coverage(np.array([0.9, 0.6, 0.9, 0.8]), np.array([1, 0, 0, 1])).to_numpy().round(3).tolist()
    [[0.9, 0.5, 0.5], [0.8, 0.75, 0.333], [0.6, 1.0, 0.5]]
    """
    threshold, place = np.unique(-sure, return_inverse=True)
    n = np.cumsum(np.bincount(place, minlength=len(threshold)))
    wrong = np.cumsum(np.bincount(place, 1 - correct, len(threshold)))
    return pd.DataFrame({"threshold": -threshold, "coverage": n / max(len(sure), 1), "risk": wrong / n})


def aurc(sure: Values, correct: Values) -> float:
    """The area under the risk–coverage curve: the mean, over verdicts, of the risk where each enters.

    >>> aurc(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 1])).__round__(6)
    0.145833
    """
    curve = risk_coverage(sure, correct)
    return float((curve["risk"] * curve["coverage"].diff().fillna(curve["coverage"])).sum()) if len(sure) else np.nan
