"""Is the judge right, and does it say the same in both orders?

Each function returns *values* whose mean is the statistic: an array with one row per judgment and, where verdicts count
singly, one column per order, NaN where nothing counts. So every rate is `rate(values)`, and one bootstrap serves them
all. n is the number of judgments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from llmbar.stats.verdicts import FAILED, NOT_ASKED, ONE, TIE, TWO, UNREADABLE, Judged

if TYPE_CHECKING:
    from numpy.typing import NDArray

Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
"""Contributions to a mean; NaN contributes nothing."""

Credit = Literal["half", "strict", "drop"]
"""What a verdict without a preference earns: ½, nothing, or it is left out."""

_CREDIT = {"half": 0.5, "strict": 0.0, "drop": np.nan}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tie and an unreadable reply earn; LLMBar's conventions unless told otherwise.

     LLMBar gives a tied rating ½ and an unreadable reply nothing; RewardBench gives both ½; FastChat drops errors
    . A failed call is never scored, whatever the policy.
    """

    ties: Credit = "half"
    unreadable: Credit = "strict"


LLMBAR = Policy()


def rate(values: Values) -> float:
    """The mean of what counts, NaN where nothing does."""
    counted = ~np.isnan(values)
    return float(values[counted].sum() / counted.sum()) if counted.any() else np.nan


def correctness(verdict: NDArray[np.int8], gold: NDArray[np.int8], policy: Policy = LLMBAR) -> Values:
    """1 where the verdict (coded by `encode`) is the gold label, 0 where it is the other output.

    A tie and an unreadable reply earn what `policy` says; a failed call is NaN. `gold` broadcasts against `verdict`.

    >>> from llmbar.stats.verdicts import encode
    >>> correctness(encode(["1", "2", "tie", "unreadable", "failed"]), np.array([1])).tolist()
    [1.0, 0.0, 0.5, 0.0, nan]
    """
    credit = np.full(np.broadcast_shapes(np.shape(verdict), np.shape(gold)), np.nan)
    credit[verdict == TIE] = _CREDIT[policy.ties]
    credit[verdict == UNREADABLE] = _CREDIT[policy.unreadable]
    return np.where(decided(verdict), verdict == gold, credit)


def decided(verdict: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where a verdict prefers one of the outputs."""
    return np.isin(verdict, (ONE, TWO))


def answered(verdict: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where a reply arrived, readable or not."""
    return verdict > FAILED


def accuracy(judged: Judged, policy: Policy = LLMBAR) -> Values:
    """Acc = Σ credit / number of verdicts that count, over both orders (B1).

    The mean of both orders' accuracies where every verdict counts; that of the final verdict alone where the strategy
    gives one (`averaged`, `free`).
    """
    return correctness(judged.scored, judged.gold[:, None], policy)


def accuracy_by_order(judged: Judged, policy: Policy = LLMBAR) -> Values:
    """acc_F and acc_T (B1), as two columns: output 1 shown first, output 2 shown first."""
    return correctness(judged.shown, judged.gold[:, None], policy)


def both_correct(judged: Judged, policy: Policy = LLMBAR) -> Values:
    """Both = P(the verdicts of both orders are gold) (B1), among judgments of which both orders count."""
    both = accuracy_by_order(judged, policy).sum(axis=1)
    return np.where(np.isnan(both), np.nan, both == 2)


def agreement(judged: Judged, *, strict: bool = False) -> Values:
    """Agr = P(v_F = v_T), the same verdict in both orders (B1).

    LLMBar counts two unreadable replies as agreement; `strict` counts an unreadable reply as agreeing with nothing.
    """
    first, second = judged.shown.T
    same = first == second
    if strict:
        same &= first != UNREADABLE
    return np.where(answered(judged.shown).all(axis=1), same, np.nan)


def ties(judged: Judged) -> Values:
    """The share of ties among the verdicts that accuracy rests on."""
    return np.where(answered(judged.scored), judged.scored == TIE, np.nan)


def unreadable(judged: Judged) -> Values:
    """The share of unreadable replies: ⊥/2n, or ⊥/n where order plays no part (B1)."""
    return np.where(answered(judged.asked), judged.asked == UNREADABLE, np.nan)


def failed(judged: Judged) -> int:
    """How many verdicts never arrived: of 2n, or of n where order plays no part."""
    return int((judged.asked == FAILED).sum())


def kappa(judged: Judged) -> float:
    """Cohen's κ with gold on {1, 2}, ties and unreadable replies dropped: the mean of both orders' (B3).

    That of the final verdict alone where the strategy gives one. LLMBar's own code counts winner 2 as 0 and so
    understates κ; this is the corrected value.
    """
    used = (judged.scored != NOT_ASKED).any(axis=0)
    return float(np.mean([cohen_kappa(order, judged.gold) for order in judged.scored.T[used]]))


def cohen_kappa(verdict: NDArray[np.int8], gold: NDArray[np.int8]) -> float:
    """κ = (p_o − p_e)/(1 − p_e) over the decided verdicts; NaN where chance alone would agree fully (Cohen 1960).

    >>> cohen_kappa(np.repeat([1, 2, 1, 2], [20, 5, 10, 15]), np.repeat([1, 1, 2, 2], [20, 5, 10, 15]))
    0.4
    """
    kept = decided(verdict)
    verdict, gold = verdict[kept], gold[kept]
    n, same = len(gold), int((verdict == gold).sum())
    chance = sum(int((verdict == label).sum()) * int((gold == label).sum()) for label in (ONE, TWO))
    return (n * same - chance) / (n * n - chance) if chance < n * n else np.nan
