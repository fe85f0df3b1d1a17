"""Every statistic of every judge, strategy and subset, in one table.

A subset's row holds its own values. A macro row stands for several subsets: one for each group, such as
Adversarial, and one, Average, for all. LLMBar averages subsets, not pairs, and so does a macro row:

- counts (n, failed, conflicts) are sums;
- a rate is the mean of its subsets' rates, undefined where one of them is, except that a rate which rests on something
  a subset may not hold (`CONDITIONAL`) is the mean over the subsets where it is defined;
- primacy is P/(P + R) of the summed conflicts, like its p-value: averaged, two conflicts in one subset would weigh as
  much as fifty in another;
- intervals resample within each subset and average over subsets; those of a single order join the subsets' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmbar.stats import accuracy as acc
from llmbar.stats import bias
from llmbar.stats.intervals import NONE, Bootstrap, Interval, bootstrap, square_and_add, wilson_clustered
from llmbar.stats.verdicts import KEYS, groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmbar.stats.accuracy import Policy
    from llmbar.stats.intervals import Method
    from llmbar.stats.verdicts import Judged

AVERAGE = "Average"
"""The macro row over all subsets."""

CONDITIONAL = frozenset(
    {"position_consistency", "first_rate", "longer_rate", "accuracy_gold_longer", "accuracy_gold_shorter"}
)
"""Rates over what a subset may not hold, such as pairs whose gold output is the longer one."""

ORDERS = ("accuracy_original", "accuracy_swapped")
"""Accuracies of one order alone."""

SUMMARY_COLUMNS = (
    *(*KEYS, "kind", "n", "accuracy", "accuracy_low", "accuracy_high", "accuracy_interval"),
    *(order + part for order in ORDERS for part in ("", "_low", "_high")),
    *("both_correct", "agreement", "agreement_low", "agreement_high", "agreement_interval"),
    *("agreement_strict", "kappa", "ties"),
    *("unreadable", "failed", "conflicts", "primacy", "primacy_p", "first_rate", "longer_rate"),
    *("accuracy_gold_longer", "accuracy_gold_shorter", "position_consistency", "preference_fairness"),
    *("ties_policy", "unreadable_policy"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one subset, or of several together."""

    counts: dict[str, int]
    rates: dict[str, float]
    conflicts: bias.Conflicts
    resampled: dict[str, Bootstrap]
    """Accuracy and agreement."""
    by_order: dict[str, Interval]
    """Wilson's intervals of `ORDERS`."""

    @classmethod
    def of(cls, judged: Judged, policy: Policy, resamples: int, rng: np.random.Generator) -> Cell:
        """One subset's."""
        uncertain = {"accuracy": acc.accuracy(judged, policy), "agreement": acc.agreement(judged)}
        orders = zip(ORDERS, acc.accuracy_by_order(judged, policy).T, strict=True)
        return cls(
            counts={"n": len(judged.gold), "failed": acc.failed(judged)},
            rates=rates(judged, policy),
            conflicts=bias.conflicts(judged),
            resampled={
                name: bootstrap(values, judged.cluster, resamples=resamples, rng=rng)
                for name, values in uncertain.items()
            },
            by_order={name: wilson_clustered(values, judged.cluster) if resamples else NONE for name, values in orders},
        )

    @classmethod
    def macro(cls, cells: Sequence[Cell]) -> Cell:
        """Several subsets' together."""
        first = cells[0]
        return cls(
            counts={name: sum(cell.counts[name] for cell in cells) for name in first.counts},
            rates={name: macro_rate(name, [cell.rates[name] for cell in cells]) for name in first.rates},
            conflicts=bias.Conflicts(*map(sum, zip(*(cell.conflicts for cell in cells), strict=True))),
            resampled={name: Bootstrap.average([cell.resampled[name] for cell in cells]) for name in first.resampled},
            by_order={name: joined(name, cells) for name in ORDERS},
        )

    def row(self, method: Method) -> dict[str, float | str]:
        intervals = {name: self.resampled[name].interval(method) for name in self.resampled}
        bounds = {**self.by_order, **intervals}
        return {
            **self.counts,
            **self.rates,
            "conflicts": self.conflicts.total,
            "primacy": self.conflicts.rate,
            "primacy_p": self.conflicts.p,
            **{f"{name}_low": interval.low for name, interval in bounds.items()},
            **{f"{name}_high": interval.high for name, interval in bounds.items()},
            **{f"{name}_interval": interval.method for name, interval in intervals.items()},
        }


def joined(name: str, cells: Sequence[Cell]) -> Interval:
    """The interval of the mean of a rate over subsets, from those of the subsets."""
    intervals = [(cell.rates[name], cell.by_order[name]) for cell in cells]
    gaps = [((rate - low) / len(cells), (high - rate) / len(cells)) for rate, (low, high, _) in intervals]
    return Interval(*square_and_add(float(np.mean([rate for rate, _ in intervals])), gaps), "wilson")


def rates(judged: Judged, policy: Policy) -> dict[str, float]:
    """Every rate of one judge with one strategy on one subset."""
    original, swapped = acc.accuracy_by_order(judged, policy).T
    values = {
        "accuracy": acc.accuracy(judged, policy),
        "accuracy_original": original,
        "accuracy_swapped": swapped,
        "both_correct": acc.both_correct(judged, policy),
        "agreement": acc.agreement(judged),
        "agreement_strict": acc.agreement(judged, strict=True),
        "ties": acc.ties(judged),
        "unreadable": acc.unreadable(judged),
        "first_rate": bias.first_rate(judged),
        "longer_rate": bias.longer_rate(judged),
        "accuracy_gold_longer": bias.accuracy_gold_longer(judged, policy),
        "accuracy_gold_shorter": bias.accuracy_gold_shorter(judged, policy),
        "position_consistency": bias.position_consistency(judged),
        "preference_fairness": bias.preference_fairness(judged),
    }
    return {name: acc.rate(value) for name, value in values.items()} | {"kappa": acc.kappa(judged)}


def macro_rate(name: str, subsets: list[float]) -> float:
    """The mean of the subsets' rates; only a conditional one may be undefined in some of them."""
    if name in CONDITIONAL:
        subsets = [value for value in subsets if not np.isnan(value)]
    return float(np.mean(subsets)) if subsets else np.nan


def summarize(
    frame: pd.DataFrame,
    *,
    policy: Policy = acc.LLMBAR,
    interval: Method = "bca",
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """All statistics of a verdict frame, one row per judge, strategy, dataset and subset, and macro rows.

    Rows are sorted by name, a strategy's macro rows (`kind` is "macro") behind its subsets (`kind` is "subset"); with
    one subset only there are none. Rates are fractions.

    Intervals are 95 % intervals of a cluster bootstrap, stratified by subset, of which `interval` names the method; a
    single order's are Wilson's. Where nothing varies, as with a judge that is always right, no resample does either:
    the interval is then Wilson's, since n pairs without an error do not prove that there never is one. The columns
    `accuracy_interval` and `agreement_interval` say what was used (`intervals.Bootstrap.interval`). Intervals depend on
    the judgments and the seed alone: not on the order of the rows, nor on what else the frame holds. No `resamples`, no
    intervals (NaN, "none").

    Raises:
        ValueError: the table is not a verdict frame.
    """
    labels = frame["group"].astype(str).groupby([frame["dataset"], frame["subset"]], observed=True).min().to_dict()
    cells = ((key, Cell.of(judged, policy, resamples, stream(seed, *key[2:]))) for key, judged in groups(frame, KEYS))
    rows = []
    for run, subsets in groupby(cells, key=lambda item: item[0][:3]):
        own = {key[3]: cell for key, cell in subsets}
        rows += [row(run, subset, "subset", cell, interval) for subset, cell in own.items()]
        group = {subset: labels[run[2], subset] for subset in own}
        rows += [row(run, name, "macro", cell, interval) for name, cell in macros(own, group)]
    table = pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))
    table["ties_policy"], table["unreadable_policy"] = policy.ties, policy.unreadable
    return table


def macros(cells: dict[str, Cell], group: dict[str, str]) -> Iterator[tuple[str, Cell]]:
    """The rows that stand for several subsets: one per group that has a name, then the average of all."""
    if len(cells) < 2:
        return
    for name in sorted(set(group.values()) - {"", *cells}):
        yield name, Cell.macro([cell for subset, cell in cells.items() if group[subset] == name])
    yield AVERAGE, Cell.macro(list(cells.values()))


def row(run: tuple[str, ...], subset: str, kind: str, cell: Cell, method: Method) -> dict[str, str | float]:
    return {**dict(zip(KEYS, (*run, subset), strict=True)), "kind": kind, **cell.row(method)}


def stream(seed: int, dataset: str, subset: str) -> np.random.Generator:
    """Random numbers of one subset's own, so that its interval is the same whatever is summarised beside it."""
    return np.random.default_rng([seed, *f"{dataset}\0{subset}".encode()])
