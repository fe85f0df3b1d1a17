"""`leaderboard` and `reproduce`: what is published, and what was."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmbar.cli.options import RESULTS, Results, run_path

if TYPE_CHECKING:
    import pandas as pd


class Format(StrEnum):
    """How a table is written."""

    TEXT = "text"
    MD = "md"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"
    HTML = "html"


class ReaderName(StrEnum):
    """By whose rules recordings are read."""

    RECORDED = "recorded"
    LLMBAR = "llmbar"
    BOTH = "both"


def register(app: typer.Typer) -> None:
    app.command()(leaderboard)
    app.command()(reproduce)


def leaderboard(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Runs on the same pairs: folders, or names in results."),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("-f", "--format", help="By default what the file's ending says, else text.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A file, instead of standard output.")] = None,
    dataset: Annotated[
        str | None, typer.Option("-d", "--dataset", help="Which pair set, where the runs judged several.")
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="Show the LLMBar paper's rows beside.")] = False,
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="Show the trivial baselines.")] = True,
    title: Annotated[str, typer.Option("--title", help="What stands above.")] = "Leaderboard",
    results: Results = RESULTS,
) -> None:
    """Rank judges and strategies, with intervals, beside the trivial baselines."""
    from llmbar.cli.printing import write_board
    from llmbar.paper import published as published_rows
    from llmbar.standings import leaderboard as ranked

    named = [run_path(path, results) for path in runs or []]
    shown: list[Path | pd.DataFrame] = [*named, *([published_rows()] if published else [])]
    board = ranked(shown, baselines=baselines, dataset=dataset, title=title)
    write_board(board, form and form.value, output)


def reproduce(
    folder: Annotated[Path, typer.Argument(help="Recorded evaluator outputs in LLMBar's layout.")],
    form: Annotated[Format, typer.Option("-f", "--format", help="text, or csv for every number.")] = Format.TEXT,
    reader: Annotated[ReaderName, typer.Option("--reader", help="By whose rules replies are read.")] = ReaderName.BOTH,
) -> None:
    """Recompute the paper's tables from recordings, as stored and as llmbar reads them; exit 5 names broken files."""
    from llmbar.cli.printing import print_reproduction
    from llmbar.errors import UsageError
    from llmbar.reproduction import READERS
    from llmbar.reproduction import reproduce as read_again

    if form not in {Format.TEXT, Format.CSV}:
        raise UsageError(f"cannot be written as {form.value}", field="--format", remedy="use text or csv")
    readers = READERS if reader is ReaderName.BOTH else tuple(each for each in READERS if each == reader.value)
    found = read_again(folder, readers)
    print_reproduction(found, as_csv=form is Format.CSV)
    for problem in found.problems:
        typer.echo(f"left out: {problem}", err=True)
    if found.problems:
        raise typer.Exit(5)
