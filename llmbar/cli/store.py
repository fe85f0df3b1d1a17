"""`store`: look into the responses that were paid for, take them along, join them, let go of them."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmbar.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="Such as results/responses.sqlite.")]
OfJudge = Annotated[str | None, typer.Option("--judge", help="Only judges whose address or model contains this.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Stored responses: what is there, exported, pruned, merged, copied.", no_args_is_help=True)
    for command in (info, export, prune, merge, copy):
        group.command()(command)
    app.add_typer(group, name="store")


def info(path: StorePath, as_json: AsJson = False) -> None:
    """Say what a store holds, judge by judge."""
    from dataclasses import asdict

    from llmbar.cli.printing import print_rows
    from llmbar.store import Store

    with Store.existing(path) as store:
        held = store.held()
    print_rows([asdict(each) for each in held], as_json=as_json)
    if not as_json:
        typer.echo(f"{sum(each.responses for each in held):,} responses, {path.stat().st_size / 2**20:,.1f} MiB")


def export(
    path: StorePath,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A .jsonl file, or .jsonl.gz; - is standard output.")
    ] = Path("-"),
    judge: OfJudge = None,
) -> None:
    """Write requests and responses as JSON lines, oldest first."""
    from llmbar.store import Store

    with Store.existing(path) as store, _writing(output) as file:
        count = 0
        for count, row in enumerate(store.rows(judge), 1):  # noqa: B007 - counted
            file.write(json.dumps(row) + "\n")
    typer.echo(f"{count:,} responses written to {output}", err=True)


def prune(
    path: StorePath,
    judge: OfJudge = None,
    before: Annotated[
        datetime | None,
        typer.Option("--before", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Only older ones; UTC."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete them; else they are only counted.")] = False,
) -> None:
    """Count, or with --yes delete, the responses of a judge, or those before a date. They would be asked for again."""
    from llmbar.errors import UsageError
    from llmbar.store import Store

    if judge is None and before is None:
        raise UsageError("nothing was chosen", field="--judge", remedy="give --judge or --before; --judge '' means all")
    at = before.replace(tzinfo=UTC).isoformat(timespec="milliseconds") if before else None
    with Store.existing(path) as store:
        if yes:
            typer.echo(f"{store.prune(judge=judge, before=at):,} responses deleted")
        else:
            typer.echo(f"{store.count(judge=judge, before=at):,} responses would be deleted (--yes deletes them)")


def merge(
    into: Annotated[Path, typer.Argument(metavar="INTO", help="Made, if it is not there.")],
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...", help="What is added to it.")],
) -> None:
    """Add the responses of stores to another; where both answer the same request, what is there stays."""
    from llmbar.store import Store

    with Store.open(into) as target:
        for path in stores:
            with Store.existing(path) as other:
                typer.echo(f"{target.take_in(other):,} responses added from {path}")


def copy(
    path: StorePath, to: Annotated[Path, typer.Argument(metavar="TO", help="A file that is not there yet.")]
) -> None:
    """Copy a store, whole even while a run writes to it."""
    from llmbar.store import Store

    with Store.existing(path) as store:
        store.copy(to)


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    """A text file to write, packed where its name ends in .gz; `-` is standard output."""
    import gzip

    from llmbar.errors import UsageError

    if path == Path("-"):
        yield sys.stdout
        return
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "wt", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", file=path) from None
