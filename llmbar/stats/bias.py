"""Does position or length sway the judge?

As in `accuracy`, a function returns values whose mean is the statistic; `llmbar explain` tells the sources. Where the
order plays no part nothing is shown first, and every statistic of position is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from llmbar.stats.accuracy import LLMBAR, Policy, Values, accuracy, answered, decided
from llmbar.stats.verdicts import NOT_ASKED, ONE, SHOWN_FIRST, TIE, TWO

if TYPE_CHECKING:
    from llmbar.stats.verdicts import Judged


class Conflicts(NamedTuple):
    """Judgments whose two orders contradict each other, by what they favour.

    NaN rather than 0 where the order plays no part.
    """

    primacy: float
    """P: the first-shown output is favoured."""
    recency: float
    """R: the second-shown output is favoured."""

    @property
    def total(self) -> float:
        return self.primacy + self.recency

    @property
    def rate(self) -> float:
        """The primacy rate P/(P + R), NaN without conflicts."""
        return self.primacy / self.total if self.total else np.nan

    @property
    def p(self) -> float:
        """Exact two-sided binomial test of P against ½, NaN without conflicts.

        >>> round(Conflicts(28, 7).p, 6)
        0.000508
        """
        from scipy.stats import binomtest  # here, since scipy takes its time to import

        if not self.total > 0:
            return np.nan
        return float(binomtest(int(self.primacy), int(self.total)).pvalue)


def lean(judged: Judged) -> Values:
    """How far each judgment leans to the first-shown output over both orders, −2…2; 0 is consistent.

    With A for the first-shown and B for the second, original order first: AA, AC and CA are positive (primacy); BB, BC
    and CB negative (recency); AB, BA and CC (two ties) consistent. NaN unless both orders hold a verdict.
    """
    toward_one = np.select([judged.shown == ONE, judged.shown == TWO, judged.shown == TIE], [1.0, -1.0, 0.0], np.nan)
    leaning: Values = toward_one[:, 0] - toward_one[:, 1]
    return leaning


def conflicts(judged: Judged) -> Conflicts:
    """P and R, the conflicts that favour the first-shown and the second-shown output (B2)."""
    if (judged.shown == NOT_ASKED).all():
        return Conflicts(np.nan, np.nan)
    leaning = lean(judged)
    return Conflicts(int((leaning > 0).sum()), int((leaning < 0).sum()))


def position_consistency(judged: Judged) -> Values:
    """The share of consistent judgments among those with a verdict in both orders (B2)."""
    leaning = lean(judged)
    return np.where(np.isnan(leaning), np.nan, leaning == 0)


def preference_fairness(judged: Judged) -> Values:
    """(R − P)/n: −1 always favours the first-shown output, 1 the second-shown (B2, after Shi et al. 2024).

    n counts every judgment whose two replies arrived, readable or not.
    """
    toward_second = -np.sign(np.nan_to_num(lean(judged)))
    return np.where(answered(judged.shown).all(axis=1), toward_second, np.nan)


def first_rate(judged: Judged) -> Values:
    """The share of preferences, over both orders, for the first-shown output."""
    return np.where(decided(judged.shown), judged.shown == SHOWN_FIRST, np.nan)


def longer_rate(judged: Judged) -> Values:
    """The share of preferences for the longer output, among those between outputs of unequal length (B4)."""
    longer = judged.longer[:, None]
    return np.where(decided(judged.scored) & (longer != 0), judged.scored == longer, np.nan)


def accuracy_gold_longer(judged: Judged, policy: Policy = LLMBAR) -> Values:
    """Accuracy where the gold output is the longer one (B4)."""
    return np.where((judged.longer == judged.gold)[:, None], accuracy(judged, policy), np.nan)


def accuracy_gold_shorter(judged: Judged, policy: Policy = LLMBAR) -> Values:
    """Accuracy where the gold output is the shorter one (B4)."""
    return np.where((judged.longer == 3 - judged.gold)[:, None], accuracy(judged, policy), np.nan)
