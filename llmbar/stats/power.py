"""How many pairs does a comparison need, and what difference can so many pairs show?

A difference d between two judges on the same n pairs has the standard error sd/√n, sd being the standard deviation of
the pairs' differences in correctness. It is detected with 80 % power at the 5 % level where d ≥ (1.96 + 0.84)·sd/√n,
the *detectable difference*. A smaller one that was not found is unresolved: it is not shown to be none.

    detectable_difference(0.26, 419)      # 0.036: what LLMBar's 419 pairs can show
    pairs_needed(0.02, 0.26)              # 1327: how many would show two points
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPICAL_SD = {"Natural": 0.184, "Neighbor": 0.294, "GPTInst": 0.236, "GPTOut": 0.274, "Manual": 0.257}
"""The median sd between two of GPT-4's eight zero-shot, non-rating strategies on LLMBar's subsets.

For planning where nothing better is known; over all 419 pairs it is .261. Two different judges agree less than two
strategies of one: recompute it from a pilot where there is one.
"""


def reach(power: float = 0.8, alpha: float = 0.05) -> float:
    """z₁₋α⸝₂ + z_power: the detectable difference in standard errors.

    >>> round(reach(), 2)
    2.8
    """
    return float(ndtri(1 - alpha / 2) + ndtri(power))


def detectable_difference(sd: float, n: int, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true difference of paired accuracies that n pairs detect: 2.80·sd/√n (B9).

    Read it as the resolution of the pair set: smaller differences usually go unseen. `sd` is that of the pairs'
    differences, a fraction like the result.

    >>> round(100 * detectable_difference(0.261, 419), 1)
    3.6
    """
    return reach(power, alpha) * sd / sqrt(n)


def pairs_needed(difference: float, sd: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """How many pairs detect a true difference of paired accuracies: (2.80·sd/d)², rounded up (B9).

    >>> pairs_needed(0.05, 0.261)
    214
    """
    return ceil((reach(power, alpha) * sd / difference) ** 2)


def macro_standard_error(sd: Sequence[float], n: Sequence[int]) -> float:
    """The standard error of a mean of S subsets' differences, √(Σ sd²/n)/S (B9); times 2.80, what it can detect.

    >>> se = macro_standard_error(list(TYPICAL_SD.values()), [100, 134, 92, 47, 46])
    >>> round(100 * reach() * se, 1)
    3.8
    """
    return float(np.sqrt((np.square(sd) / np.asarray(n)).sum()) / len(n))


def mcnemar_pairs_needed(difference: float, discordant: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """How many pairs McNemar's test needs to detect a difference d: (1.96√ψ + 0.84√(ψ − d²))²/d² (B9; Connor 1987).

    `discordant` is ψ, the share of pairs on which just one of the two judges is right; |d| cannot exceed it. Not
    rounded: round up.

    >>> ceil(mcnemar_pairs_needed(0.05, 0.1))
    312

    Raises:
        ValueError: a difference of 0, or one larger than the share of discordant pairs.
    """
    if not 0 < abs(difference) <= discordant <= 1:
        raise ValueError(f"a difference of {difference:g} needs to be above 0 and at most ψ = {discordant:g}")
    spread = ndtri(1 - alpha / 2) * discordant**0.5 + ndtri(power) * (discordant - difference**2) ** 0.5
    return float((spread / difference) ** 2)


def mcnemar_detectable(n: int, discordant: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest difference that McNemar's test detects on n pairs, of which a share ψ is discordant.

    `mcnemar_pairs_needed`, inverted. NaN where even ψ, the largest possible difference, would go unseen.

    >>> round(100 * mcnemar_detectable(100, 0.1), 1)
    8.8
    """
    from scipy.optimize import brentq  # here, since it takes its time to import

    def missing(difference: float) -> float:
        return mcnemar_pairs_needed(difference, discordant, power=power, alpha=alpha) - n

    if missing(discordant) > 0:
        return np.nan
    return float(brentq(missing, 1e-9, discordant, xtol=1e-12))
