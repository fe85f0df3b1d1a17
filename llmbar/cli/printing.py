"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmbar.prices import cost
from llmbar.tables.cells import harmless

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from llmbar.pairs import LengthConfound
    from llmbar.records import Request
    from llmbar.reproduction import Reproduction
    from llmbar.runs import Plan, Run
    from llmbar.runs.judging import Estimate
    from llmbar.standings import Leaderboard


WIDE = 160
"""Characters in a line where there is no terminal."""


def console() -> Console:
    """Standard output; wide enough for a table where it is no terminal."""
    probe = Console(highlight=False)
    return probe if probe.is_terminal else Console(highlight=False, width=WIDE)


def print_rows(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    """Rows with the same keys, as a table."""
    if as_json:
        print(json.dumps([dict(row) for row in rows], indent=1))
        return
    if not rows:
        print("none")
        return
    table = plain_table(*rows[0])
    for row in rows:
        table.add_row(*(Text(harmless(str(value))) for value in row.values()))
    console().print(table)


def plain_table(*heads: str) -> Table:
    """Columns that begin with a letter in the head are text; `#name` is a number, set right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        numeric = head.startswith("#")
        table.add_column(head.removeprefix("#"), justify="right" if numeric else "left", overflow="fold")
    return table


def percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f}"  # noqa: PLR0124 - NaN is what differs from itself


# -- runs -------------------------------------------------------------------------------------------------------------


def print_run(run: Run) -> None:
    """A leaderboard of each pair set of a run, what its judges react to, and what it took."""
    from llmbar.standings import leaderboard

    out, biases = console(), run.numbers().biases
    for judged in run.asked.datasets:
        out.print(leaderboard([run], dataset=judged.dataset, title=run.path.name).rich(out.width))
        terms = biases[biases["dataset"] == judged.dataset] if len(biases) else biases
        if len(terms):
            out.print(bias_table(terms))
    for line in remarks(run):
        out.print(Text(line))


def bias_table(terms: pd.DataFrame) -> Table:
    """The bias regression: what moves a judge towards an output, all else equal."""
    table = plain_table("judge", "strategy", "what moves it", "#estimate", "#95 % interval", "#p")
    table.title = Text("What the judge reacts to (log-odds of preferring the output shown first)", "bold")
    table.title_justify = table.caption_justify = "left"
    for row in terms[terms["estimate"].notna()].to_dict("records"):
        interval = f"[{row['low']:.2f}, {row['high']:.2f}]"
        told = (row["judge"], row["strategy"], row["term"], f"{row['estimate']:.2f}", interval, p_value(row["p"]))
        table.add_row(*(Text(harmless(str(each))) for each in told))
    warned = terms[terms["warning"] != ""].drop_duplicates(["judge", "strategy", "warning"]).to_dict("records")
    notes = [f"{row['judge']} with {row['strategy']}: {row['warning']}" for row in warned]
    table.caption = Text("\n".join(map(harmless, notes)), "dim") if notes else None
    return table


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def remarks(run: Run) -> list[str]:
    """What was asked, what it cost, and what did not work."""
    counts, frame = run.folder.manifest.counts, run.judgments()
    told = [
        (
            f"in all: {counts.asked} requests asked, {counts.from_store} answered from the store, "
            f"{counts.prompt_tokens} + {counts.completion_tokens} tokens, {counts.seconds:.1f} s"
        )
    ]
    for judge, sentences in run.folder.manifest.adaptations.items():
        told += [harmless(f"{judge}: {sentence}") for sentence in sentences]
    for judge, facts in run.folder.manifest.facts.items():
        told.append(harmless(f"{judge}: " + ", ".join(f"{name} {value}" for name, value in facts.items())))
    causes = Counter(cause for order in ("original", "swapped") for cause in frame[f"{order}_cause"].dropna())
    if causes:
        told.append("no verdict because: " + ", ".join(f"{cause} ({n})" for cause, n in causes.most_common()))
    return [*told, f"files: {run.path}"]


def run_as_json(run: Run) -> str:
    """All of a run's numbers, with its folder and state."""
    state = {"run": str(run.path), "id": run.asked.id, "state": run.folder.manifest.state}
    return json.dumps(state | run.numbers().plain(), indent=1)


def estimate_lines(plan: Plan, estimate: Estimate, *, as_json: bool) -> str:
    """Requests, tokens and dollars that a run would take, with what is guessed named as such."""
    dollars = dollars_at_most(plan, estimate)
    if as_json:
        numbers = {
            "judgments": plan.asked.judgments,
            "requests": estimate.requests,
            "prompt_tokens": estimate.prompt_tokens,
            "completion_tokens_at_most": estimate.completion_tokens,
            "dollars_at_most": dollars if dollars is None else round(dollars, 4),
        }
        return json.dumps(numbers, indent=1)
    most = estimate.completion_tokens
    completion = "completion tokens without bound" if most is None else f"at most {most:,} completion tokens"
    lines = [
        f"{plan.asked.judgments:,} judgments: {_range(estimate.requests)} requests",
        f"about {_range(estimate.prompt_tokens)} prompt tokens (guessed: four characters each), {completion}",
        "no price is known" if dollars is None else f"at most about ${dollars:,.2f}",
    ]
    return "\n".join(lines)


def dollars_at_most(plan: Plan, estimate: Estimate) -> float | None:
    """What the plan's judges would cost, each its share of the tokens; None where a price or the bound is unknown."""
    if estimate.completion_tokens is None:
        return None
    prices = [cost(judge, estimate.prompt_tokens[1], estimate.completion_tokens) for judge in plan.judges]
    known = [price for price in prices if price is not None]
    return sum(known) / len(prices) if len(known) == len(prices) else None


def _range(bounds: tuple[int, int]) -> str:
    low, high = bounds
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


# -- tables -----------------------------------------------------------------------------------------------------------


def write_board(board: Leaderboard, form: str | None, output: Path | None) -> None:
    """A leaderboard in the format asked for, to a file or to standard output."""
    if output and form != "text":
        board.write(output, form)
    elif form and form != "text":
        print(board.to(form), end="")
    elif output:
        with output.open("w", encoding="utf-8") as file:
            out = Console(file=file, width=WIDE)
            out.print(board.rich(out.width))
    else:
        out = console()
        out.print(board.rich(out.width))


def print_reproduction(found: Reproduction, *, as_csv: bool) -> None:
    """The paper's table per reader, and where the readers differ; or every number as CSV."""
    if as_csv:
        print(found.csv(), end="")
        return
    out = console()
    for reader, table in found.table.groupby("reader", sort=False):
        for dataset, own in table.groupby("dataset", sort=False):
            out.print(paper_table(own, f"{dataset}, reader {reader}"))
    out.print(differences_table(found.differences))


def paper_table(table: pd.DataFrame, title: str) -> Table:
    """Accuracy and agreement per subset and macro row, in percent, as the paper prints them."""
    subsets = list(dict.fromkeys(table["subset"]))
    macros = [name for name in subsets if (table.loc[table["subset"] == name, "kind"] == "macro").any()]
    shown = [*(name for name in subsets if name not in macros), *macros]
    printed = plain_table("judge", "strategy", *(f"#{harmless(name)}\nAcc / Agr" for name in shown))
    printed.title, printed.title_justify = Text(title, "bold"), "left"
    for (judge, strategy), rows in table.groupby(["judge", "strategy"], sort=False):
        by_subset = {row["subset"]: row for row in rows.to_dict("records")}
        cells = [
            f"{percent(by_subset[name]['accuracy'])} / {percent(by_subset[name]['agreement'])}"
            if name in by_subset
            else "–"
            for name in shown
        ]
        printed.add_row(Text(harmless(str(judge))), Text(harmless(str(strategy))), *cells)
    return printed


def differences_table(differences: pd.DataFrame) -> Table:
    """How many verdicts the two readers read differently."""
    table = plain_table("judge", "strategy", "#verdicts", "#read differently", "#ties among them")
    table.title, table.title_justify = Text("Where the readers differ", "bold"), "left"
    for row in differences.to_dict("records"):
        table.add_row(*(Text(harmless(str(value))) for value in row.values()))
    return table


def confound_table(rows: Sequence[LengthConfound]) -> Table:
    """How far a judge would come that looks at nothing but length."""
    table = plain_table("subset", "#pairs", "#pick the longer", "#pick the shorter")
    for row in rows:
        name = f"{row.subset} (mean of subsets)" if row.estimator == "macro" else row.subset
        table.add_row(Text(harmless(name)), str(row.n), percent(row.longer), percent(row.shorter))
    return table


# -- requests ---------------------------------------------------------------------------------------------------------


def print_requests(requests: Sequence[Request], *, as_json: bool) -> None:
    """Each request's messages, as they are sent."""
    shown = [_described(request) for request in requests]
    if as_json:
        print(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    for request in shown:
        print(f"──── {request['step']}{request['place']} · {json.dumps(request['sampling'])}")
        for message in request["messages"]:
            print(f"[{message['role']}]\n{message['content']}\n")


def _described(request: Request) -> dict[str, Any]:
    about = request.about
    place = ""
    if about and about.order:
        place = f", {about.order} order"
    elif about and about.output:
        place = f", output {about.output}"
    return {
        "step": about.step if about else "",
        "place": place,
        "sampling": request.sampling.model_dump(exclude_none=True),
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
    }
