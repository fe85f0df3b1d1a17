"""The LLMBar paper's numbers, in the shape of a summary, to stand beside one's own.

Zeng et al. (2024) report, for 65 combinations of judge and strategy, accuracy and agreement on five subsets. The file
holds them in percent as recomputed from the paper's recorded judgments, without intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from llmbar.files import published_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CITATION = "Zeng et al., Evaluating Large Language Models at Evaluating Instruction Following, ICLR 2024"

DATASET = "llmbar"

SUBSETS = {"Natural": 100, "Neighbor": 134, "GPTInst": 92, "GPTOut": 47, "Manual": 46}
"""The paper's subsets in its order, and how many pairs each holds."""

ADVERSARIAL = ("Neighbor", "GPTInst", "GPTOut", "Manual")


def published() -> pd.DataFrame:
    """The file as it is: one row per judge and strategy, columns such as `Natural_Acc` and `Natural_Agr` in percent."""
    return pd.read_csv(published_file())


def published_summary(rows: pd.DataFrame, subsets: Iterable[str] = tuple(SUBSETS)) -> pd.DataFrame:
    """The published `rows` on those of `subsets` that the paper has, as a (shorter) table of `stats.summarize`.

    Rates are fractions. Macro rows are means over the subsets asked for, so that they compare with one's own: over all
    five they are the paper's own `Adversarial` and `Average`.
    """
    known = [subset for subset in subsets if subset in SUBSETS]
    adversarial = [subset for subset in known if subset in ADVERSARIAL]
    parts = [_part(rows, subset, "subset", [subset]) for subset in known]
    if len(known) > 1:
        parts += [_part(rows, "Adversarial", "macro", adversarial), _part(rows, "Average", "macro", known)]
    return pd.concat(parts, ignore_index=True) if parts else _part(rows.head(0), "", "subset", [])


def _part(rows: pd.DataFrame, name: str, kind: str, members: Sequence[str]) -> pd.DataFrame:
    """The row called `name` of each judge and strategy: the mean over its `members`."""
    accuracy, agreement = (rows[[f"{subset}_{what}" for subset in members]].mean(axis=1) for what in ("Acc", "Agr"))
    return pd.DataFrame(
        {
            "judge": rows["judge"],
            "strategy": rows["paper_name"],
            "dataset": DATASET,
            "subset": name,
            "kind": kind,
            "n": sum(SUBSETS[subset] for subset in members),
            "accuracy": accuracy / 100,
            "agreement": agreement / 100,
            "ties_policy": "half",
            "unreadable_policy": "strict",
        }
    )
