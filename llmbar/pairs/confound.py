"""The length confound: how far a judge would come that only looks at length."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llmbar.records import Pair


@dataclass(frozen=True, slots=True)
class LengthConfound:
    """One row: a subset, or a macro average of subsets."""

    subset: str
    n: int
    """Pairs."""
    longer: float
    """Accuracy (0 to 1) of "pick the longer output"; equal lengths count half."""
    estimator: Literal["pairs", "macro"]
    """The mean over pairs, or the unweighted mean of subset means, as in LLMBar's tables."""

    @property
    def shorter(self) -> float:
        """Accuracy of "pick the shorter output"."""
        return 1 - self.longer


def length_confound(pairs: Iterable[Pair]) -> list[LengthConfound]:
    """A row per subset, then macro rows: each group of several subsets, and `Average` over all subsets.

    Length is counted in characters (Unicode code points). On LLMBar "shorter" comes to 78.0 % on `Adversarial` and to
    71.1 % on `Average`.
    """
    scores: dict[str, list[float]] = {}
    groups: dict[str, dict[str, None]] = {}
    for pair in pairs:
        scores.setdefault(pair.subset, []).append(_longer_is_right(pair))
        groups.setdefault(pair.group, {})[pair.subset] = None
    rows = {name: LengthConfound(name, len(own), fmean(own), "pairs") for name, own in scores.items()}
    macro = [_macro(group, [rows[name] for name in names]) for group, names in groups.items() if group]
    return [*rows.values(), *(row for row in [*macro, _macro("Average", list(rows.values()))] if row)]


def _longer_is_right(pair: Pair) -> float:
    one, two = len(pair.output_1), len(pair.output_2)
    return 0.5 if one == two else float((one > two) == (pair.gold == 1))


def _macro(name: str, rows: Sequence[LengthConfound]) -> LengthConfound | None:
    if len(rows) < 2:
        return None
    return LengthConfound(name, sum(row.n for row in rows), fmean(row.longer for row in rows), "macro")
