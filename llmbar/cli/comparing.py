"""`compare`: which judge or strategy is better, and how sure that is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmbar.cli.options import RESULTS, Results, run_path

if TYPE_CHECKING:
    import pandas as pd


class Format(StrEnum):
    """How comparisons are written."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"


def register(app: typer.Typer) -> None:
    app.command()(compare)


def compare(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs on the same pairs.")],
    strategy: Annotated[
        list[str] | None, typer.Option("-s", "--strategy", help="Only these strategies (repeatable).")
    ] = None,
    subset: Annotated[
        str | None, typer.Option("--subset", help="A subset, a group, Average, Pooled or all; by default the headline.")
    ] = None,
    form: Annotated[
        Format, typer.Option("-f", "--format", help="text, or csv and json for every column.")
    ] = Format.TEXT,
    results: Results = RESULTS,
) -> None:
    """Test every two judges or strategies on the same pairs: difference, interval, p, and what could be detected."""
    from llmbar import comparisons

    runs = [run_path(path, results) for path in paths]
    table = comparisons.compare(runs, *(strategy or ()), subset=subset)
    match form:
        case Format.TEXT:
            _show(table)
        case Format.CSV:
            typer.echo(table.to_csv(index=False), nl=False)
        case Format.JSON:
            typer.echo(table.to_json(orient="records", indent=1))


def _show(table: pd.DataFrame) -> None:
    """One line for each comparison, the word last."""
    from rich.text import Text

    from llmbar.cli.printing import console, plain_table
    from llmbar.tables.cells import harmless

    heads = (
        "judge",
        "strategy",
        "against",
        "on",
        "#n",
        "#difference",
        "#95 % interval",
        "#p (Holm)",
        "#detectable",
        "so",
    )
    printed = plain_table(*heads)
    for row in table.to_dict("records"):
        same = row["judge"] == row["against_judge"]
        against = row["against_strategy"] if same else f"{row['against_judge']} {row['against_strategy']}"
        told = (
            *(row["judge"], row["strategy"], against, row["subset"], f"{row['n']}"),
            f"{100 * row['difference']:+.1f}",
            f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]",
            f"{row['p_holm']:.4f}",
            f"{100 * row['detectable']:.1f}",
            row["verdict"],
        )
        printed.add_row(*(Text(harmless(str(each))) for each in told))
    out = console()
    out.print(printed)
    for line in NOTES:
        out.print(line, style="dim")


NOTES = (
    "Differences are in points of accuracy on the same pairs; intervals: paired cluster bootstrap, BCa.",
    "p: sign-flip permutation test, adjusted by Holm for all comparisons shown on the same subset.",
    "detectable: the true difference that so many pairs would show with 80 % power; below it the word is unresolved.",
)
