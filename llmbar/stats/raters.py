"""Do several judges agree, and does one judge agree with itself when it is asked again?

Ratings are a table with one row per unit (a pair in one order) and one column per rater; NaN where there is no verdict.
`llmbar explain` tells the sources.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from llmbar.stats.accuracy import LLMBAR, Policy, agreement, answered, correctness, rate
from llmbar.stats.verdicts import NOT_ASKED, TIE, Judged, groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from llmbar.stats.accuracy import Values

Level = Literal["nominal", "ordinal", "interval", "ratio"]
"""What the distance between two ratings means; verdicts are nominal."""

UNIT = ("dataset", "pair", "repeat")
AGREEMENT_COLUMNS = ("order", "judges", "n", "complete", "fleiss", "alpha")
ERROR_COLUMNS = ("judge_a", "judge_b", "n", "wrong_a", "wrong_b", "both_wrong", "phi")
REPETITION_COLUMNS = ("n", "repeats", "stability", "identical", "flip_rate", "conflict_rate")


# -- several judges ---------------------------------------------------------------------------------------------------


def judge_agreement(frame: pd.DataFrame, by: Sequence[str] = ("strategy", "dataset")) -> pd.DataFrame:
    """Fleiss' κ and Krippendorff's α over the judges of a verdict frame: one row per `by` and order (B3).

    How to read them: 1 is full agreement, 0 what chance would give; they say nothing of being right.

    The categories are output 1, output 2 and tie; an unreadable reply and a failed call are gaps. α uses the `n` units
    that two judges or more have a verdict on, κ the `complete` ones that all have. `order` is `final` where a strategy
    gives one verdict only. NaN with fewer than two judges, or where all verdicts are the same.

    Raises:
        ValueError: the table is not a verdict frame, or holds a judge's verdict on a pair twice.
    """
    rows: list[tuple[object, ...]] = []
    for key, part in frame.groupby(list(by), observed=True):
        for order, verdicts in by_order(part):
            table = spread(part, np.where(verdicts >= TIE, verdicts, np.nan))
            seen = table.count(axis=1)
            whole = int((seen == table.shape[1]).sum()) if table.shape[1] > 1 else 0
            both = (fleiss_kappa(table), krippendorff_alpha(table))
            rows.append((*key, order, table.shape[1], int((seen > 1).sum()), whole, *both))
    return pd.DataFrame(rows, columns=[*by, *AGREEMENT_COLUMNS])


def fleiss_kappa(ratings: ArrayLike) -> float:
    """Fleiss' κ of (units, raters) over the complete rows: (P̄ − P̄_e)/(1 − P̄_e) (Fleiss 1971).

    P̄ is the mean share of agreeing pairs of raters within a unit, P̄_e that of two raters who draw from the pooled
    categories. NaN with fewer than two raters, without a complete row, and where only one category occurs.

    >>> fleiss_kappa([[1, 1], [2, 2], [1, 2], [1, 1]])
    0.4666666666666667
    """
    from statsmodels.stats import inter_rater  # here: statsmodels takes its time to import

    table = np.asarray(ratings, dtype=np.float64)
    complete = table[~np.isnan(table).any(axis=1)]
    if table.shape[1] < 2 or len(np.unique(complete)) < 2:
        return np.nan
    counts, _ = inter_rater.aggregate_raters(complete)
    return float(inter_rater.fleiss_kappa(counts))


def krippendorff_alpha(ratings: ArrayLike, level: Level = "nominal") -> float:
    """Krippendorff's α of (units, raters), gaps allowed: 1 − D_o/D_e (Krippendorff 2004).

    D_o is the disagreement observed within units, D_e that expected if all ratings were shuffled. Units with fewer
    than two ratings do not enter. NaN where none is left, and where only one category occurs.
    """
    import krippendorff

    table = np.asarray(ratings, dtype=np.float64)
    pairable = table[(~np.isnan(table)).sum(axis=1) > 1]
    if len(np.unique(pairable[~np.isnan(pairable)])) < 2:
        return np.nan
    return float(krippendorff.alpha(pairable.T, level_of_measurement=level))


def error_correlation(
    frame: pd.DataFrame, policy: Policy = LLMBAR, by: Sequence[str] = ("strategy", "dataset")
) -> pd.DataFrame:
    """φ between the errors of each two judges: one row per `by` and pair of judges.

    How to read it: 0 is independence, so that a jury of both averages their errors out; 1 is the same errors, so that
    the second judge adds nothing.

    φ is Pearson's correlation of two 0/1 variables, here "this verdict is wrong", over the `n` verdicts of both orders
    that both judges gave; a tie that earns half a credit is half an error. `both_wrong` compares with
    `wrong_a`·`wrong_b`, its value under independence. NaN where a judge is always right or always wrong.

    Raises:
        ValueError: the table is not a verdict frame, or holds a judge's verdict on a pair twice.
    """
    rows: list[tuple[object, ...]] = []
    for key, part in frame.groupby(list(by), observed=True):
        gold = part["gold"].to_numpy(dtype=np.int8)
        wrong = pd.concat([spread(part, 1 - correctness(verdicts, gold, policy)) for _, verdicts in by_order(part)])
        for a, b in combinations(wrong.columns, 2):
            both = wrong[[a, b]].dropna().to_numpy()
            rows.append((*key, a, b, len(both), *errors_of_two(both)))
    return pd.DataFrame(rows, columns=[*by, *ERROR_COLUMNS])


def errors_of_two(wrong: Values) -> tuple[float, float, float, float]:
    """How often the first, the second and both are wrong, and φ, from (verdicts, 2)."""
    if not len(wrong):
        return np.nan, np.nan, np.nan, np.nan
    varied = np.ptp(wrong, axis=0).all()
    phi = float(np.asarray(np.corrcoef(wrong, rowvar=False))[0, 1]) if varied else np.nan
    a, b = wrong.T
    return float(a.mean()), float(b.mean()), float((a * b).mean()), phi


def by_order(part: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """The verdicts that accuracy rests on: those of the original and the swapped order, or the final one."""
    scored = Judged.of(part).scored
    if (scored[:, 1] == NOT_ASKED).all():
        yield "final", scored[:, 0]
    else:
        yield "original", scored[:, 0]
        yield "swapped", scored[:, 1]


def spread(part: pd.DataFrame, values: Values) -> pd.DataFrame:
    """One row per unit, one column per judge."""
    twice = part.duplicated([*UNIT, "judge"])
    if twice.any():
        pair, judge = part.loc[twice, ["pair", "judge"]].iloc[0]
        raise ValueError(f"{judge} judges pair {pair} twice: compare one strategy at a time")
    table = part[[*UNIT, "judge"]].assign(value=values)
    return table.pivot(index=list(UNIT), columns="judge", values="value")


# -- one judge, several times -----------------------------------------------------------------------------------------


def repetition(frame: pd.DataFrame, by: Sequence[str] = ("judge", "strategy", "dataset")) -> pd.DataFrame:
    """How stable a judge is when it is asked the same again: one row per `by` (B2).

    A slot is a pair in one order, with count_k replies of verdict k among its n_j repeats; unreadable is a verdict of
    its own here, a failed call is none. Over the `n` slots with two repeats or more:

    - `stability` RS = mean_j max_k count_jk / n_j, the share of repeats that follow the most frequent verdict;
    - `identical`, the share of slots whose repeats are all the same;
    - `flip_rate` = mean_j (1 − Σ_k count_jk·(count_jk − 1) / (n_j·(n_j − 1))), the chance that two repeats differ.

    How to read it: compare the flip rate with `conflict_rate` = 1 − agreement. A judge whose two orders differ no more
    often than two repeats of the *same* order is noisy, not biased by position.

    `repeats` is the largest n_j. NaN where nothing was repeated.
    """
    rows: list[tuple[object, ...]] = []
    for key, judged in groups(frame, by):
        counts = repeat_counts(judged)
        asked = counts.sum(axis=1)
        shares = counts / asked[:, None]
        top = shares.max(axis=1)
        same = (counts * (counts - 1)).sum(axis=1) / (asked * (asked - 1))
        rates = [rate(values) for values in (top, np.where(top == 1, 1.0, 0.0), 1 - same)]
        rows.append((*key, len(counts), int(asked.max(initial=1)), *rates, 1 - rate(agreement(judged))))
    return pd.DataFrame(rows, columns=[*by, *REPETITION_COLUMNS])


def repeat_counts(judged: Judged) -> Values:
    """(slots, verdicts): how often each slot with two replies or more got each verdict."""
    verdicts, order = judged.asked, np.arange(2)
    arrived = answered(verdicts)
    slot = (2 * judged.item[:, None] + order)[arrived]
    _, number = np.unique(slot, return_inverse=True)
    counts: Values = np.zeros((number.max(initial=-1) + 1, 4))
    np.add.at(counts, (number, verdicts[arrived] + 1), 1)  # unreadable is −1
    return counts[counts.sum(axis=1) > 1, :]
