"""What `correct`, `power` and `explain` print."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import asdict, dataclass
from math import ceil, isnan
from typing import TYPE_CHECKING, Any

from rich.text import Text

from llmbar.cli.printing import WIDE, console, percent, plain_table
from llmbar.errors import UsageError
from llmbar.stats.correction import OUTCOMES, TRANSPORT
from llmbar.stats.power import detectable_difference, mcnemar_detectable, mcnemar_pairs_needed, pairs_needed
from llmbar.terms import TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from llmbar.stats.correction import Correction, Estimate
    from llmbar.terms import Term

TAKEN_FOR_GRANTED = (
    "By error rates: right if, given who truly wins, the judge errs as often on the traffic as on the labelled pairs. "
    "Prediction-powered: right if the labelled pairs are a random sample of the traffic. Where both hold, the narrower "
    "interval is the better one."
)


# -- correct ----------------------------------------------------------------------------------------------------------


def print_correction(found: Correction) -> None:
    """The win rates with what each rests on, the judge's errors, and what is taken for granted."""
    out = console()
    out.print(_win_rates(found))
    if "tie" in found.shares:
        out.print(_shares(found.shares))
    for line in _remarks(found):
        print(textwrap.fill(line, _width()))


def _win_rates(found: Correction) -> Table:
    table = plain_table("win rate of output 1", "#%", "#95 % interval", "rests on")
    verdicts, labels = f"{found.traffic:,} verdicts", f"{found.labels:,} labels"
    _add(table, "judge alone", found.judge, verdicts)
    _add(table, "labels alone", found.labelled, labels)
    _add(table, "by error rates", found.corrected, f"{verdicts}, {labels}")
    powered = found.powered
    name = f"prediction-powered (λ = {powered.weight:.2f})" if powered else "prediction-powered"
    _add(table, name, powered and powered.estimate, f"{verdicts}, {labels}")
    return table


def _shares(shares: dict[str, Estimate]) -> Table:
    table = plain_table("true share, by error rates", "#%", "#95 % interval", "")
    for outcome, share in shares.items():
        _add(table, outcome, share, "")
    return table


def _add(table: Table, name: str, estimate: Estimate | None, basis: str) -> None:
    if estimate is None:
        table.add_row(name, "–", "–", "see below")
    else:
        interval = Text(f"[{percent(estimate.low)}, {percent(estimate.high)}]")
        table.add_row(name, percent(estimate.value), interval, basis)


def _remarks(found: Correction) -> Iterator[str]:
    yield from _errors(found)
    yield TAKEN_FOR_GRANTED
    yield TRANSPORT
    if found.left_out:
        yield f"{found.left_out:,} pairs without a readable verdict were left out."
    names = {"corrected": "by error rates", "powered": "prediction-powered"}
    yield from (f"no estimate {names[which]}: {why}" for which, why in found.refusals.items())
    yield from (f"warning: {warning}" for warning in found.warnings)


def _errors(found: Correction) -> Iterator[str]:
    """What the judge says where a win, a tie and a loss is true."""
    for outcome, said in zip(OUTCOMES, found.confusion.T, strict=True):
        if total := said.sum():
            shares = (f"{name} {percent(count / total)} %" for name, count in zip(OUTCOMES, said, strict=True) if count)
            yield f"Where the truth is a {outcome} ({total:,} labels) the judge says {', '.join(shares)}."


def correction_as_dict(found: Correction) -> dict[str, Any]:
    """Everything, in fractions."""
    return {
        "traffic": found.traffic,
        "labels": found.labels,
        "left_out": found.left_out,
        "outcomes": list(OUTCOMES),
        "confusion": found.confusion.tolist(),
        "judge": found.judge._asdict(),
        "labelled": found.labelled._asdict(),
        "corrected": found.corrected and found.corrected._asdict(),
        "shares": {outcome: share._asdict() for outcome, share in found.shares.items()},
        "prediction_powered": found.powered and found.powered.estimate._asdict() | {"weight": found.powered.weight},
        "refusals": found.refusals,
        "warnings": list(found.warnings),
        "note": TRANSPORT,
    }


# -- power ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """A comparison to be planned: from the number of pairs or from the difference."""

    pairs: int | None
    difference: float | None
    sd: float
    discordant: tuple[float, ...]
    power: float
    alpha: float

    def check(self) -> None:
        """Refuse what is no plan.

        Raises:
            UsageError: both or neither of pairs and difference, or a number that is no fraction.
        """
        if (self.pairs is None) == (self.difference is None):
            raise UsageError("give either --pairs or --difference", remedy="such as llmbar power --pairs 419")
        fractions = {"--sd": self.sd, "--power": self.power, "--alpha": self.alpha}
        fractions |= {"--difference": abs(self.difference)} if self.difference is not None else {}
        for flag, value in (*fractions.items(), *(("--discordant", share) for share in self.discordant)):
            if not 0 < value < 1:
                raise UsageError(f"{value:g} is no fraction between 0 and 1", field=flag, remedy="5 points are 0.05")

    def rows(self) -> Iterator[tuple[str, str, float]]:
        """Test, what it depends on, and the answer: a difference, or a number of pairs (NaN: no number suffices)."""
        sure = {"power": self.power, "alpha": self.alpha}
        if self.pairs is not None:
            yield "accuracy over both orders", f"sd {self.sd:g}", detectable_difference(self.sd, self.pairs, **sure)
            for share in self.discordant:
                yield "McNemar", f"{percent(share)} % discordant", mcnemar_detectable(self.pairs, share, **sure)
        elif self.difference is not None:
            wanted = abs(self.difference)
            yield "accuracy over both orders", f"sd {self.sd:g}", pairs_needed(wanted, self.sd, **sure)
            for share in self.discordant:
                needed = mcnemar_pairs_needed(wanted, share, **sure) if wanted <= share else float("nan")
                yield "McNemar", f"{percent(share)} % discordant", needed if isnan(needed) else ceil(needed)


def print_plan(plan: Plan) -> None:
    """One line per test."""
    difference = plan.difference is None
    table = plain_table("test", "where", "#detectable difference (points)" if difference else "#pairs needed")
    for test, where, answer in plan.rows():
        shown = percent(answer) if difference else "–" if isnan(answer) else f"{answer:,}"
        table.add_row(test, where, shown)
    console().print(table)
    what = "so large" if difference else f"of {percent(plan.difference or 0)} points"
    sure = f"is found in {plan.power:.0%} of cases, at the {plan.alpha:.0%} level"
    told = f"A true difference {what} {sure}. A smaller one that was not found is unresolved, not none."
    print(textwrap.fill(told, _width()))


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    answer = "difference" if plan.difference is None else "pairs"
    rows = [
        {"test": test, "where": where, answer: None if isnan(found) else found} for test, where, found in plan.rows()
    ]
    return asdict(plan) | {"answers": rows}


# -- explain ----------------------------------------------------------------------------------------------------------


def told(term: Term) -> str:
    """One entry of the reading guide, for a terminal."""
    lines = [f"{term.name} ({term.key})" if term.name != term.key else term.name, *term.lines]
    if others := ", ".join(term.aliases):
        lines.append(f"Also found as: {others}")
    head, *rest = (textwrap.fill(line, _width() - 2, subsequent_indent="  ") for line in lines)
    return "\n".join([head, *(f"  {line}" for line in rest)])


def guide() -> str:
    """All entries' names, by topic."""
    parts = []
    for topic, terms in TOPICS.items():
        names = textwrap.indent(textwrap.fill(", ".join(term.name for term in terms), _width() - 2), "  ")
        parts.append(f"{topic}\n{names}")
    return "\n\n".join([*parts, "llmbar explain TERM says what one of them is and how to read it."])


def _width() -> int:
    return min(shutil.get_terminal_size((WIDE, 0)).columns, 120)
