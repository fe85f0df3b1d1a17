"""`validate` and `fetch`: pair sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmbar.cli.options import field_map


def register(app: typer.Typer) -> None:
    app.command()(validate)
    app.command()(fetch)


def validate(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A pair file, a folder in LLMBar's layout, or a name.")],
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="FIELD=COLUMN", help="Where a field stands, if not by name.")
    ] = None,
) -> None:
    """Report everything wrong with a pair set, and how far length alone would get a judge."""
    from llmbar.cli.printing import confound_table, console
    from llmbar.pairs import find_problems, length_confound

    findings = find_problems(source, fields=field_map(field))
    for warning in findings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for error in findings.errors:
        typer.echo(f"error: {error}", err=True)
    if findings.pairs:
        console().print(confound_table(length_confound(findings.pairs)))
    counts = {"pair": len(findings.pairs), "error": len(findings.errors), "warning": len(findings.warnings)}
    typer.echo(", ".join(f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.items()))
    if findings.errors:
        raise typer.Exit(2)


def fetch(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="llmbar")],
    base_url: Annotated[
        str | None, typer.Option("--base-url", envvar="LLMBAR_FETCH_URL", help="A mirror of the official files.")
    ] = None,
) -> None:
    """Download a pair set's official files, at a pinned revision with pinned hashes, into the cache."""
    from llmbar.pairs.fetch import fetch as download

    fetched = download(name, base_url=base_url, report=lambda line: typer.echo(line, err=True))
    told = f"{len(fetched.downloaded)} files downloaded, {len(fetched.present)} already there"
    typer.echo(f"{told}: {Path(fetched.folder)}")
