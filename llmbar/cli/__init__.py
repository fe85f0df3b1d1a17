"""The command line: argument handling and printing, one file per family of verbs, nothing imported before it is needed.

Exit codes: 0 done · 1 runtime · 2 usage or bad input · 3 incomplete, resumable · 4 below the gate · 5 verification
mismatch · 130 interrupted, state saved.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from llmbar import __version__
from llmbar.cli import comparing, doctor, pairs, runs, serve, statistics, store, strategies, tables
from llmbar.errors import LlmbarError, UsageError

app = typer.Typer(
    name="llmbar",
    help="Find out whether an LLM can be trusted as a judge.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for family in (runs, comparing, tables, strategies, pairs, statistics, serve, doctor, store):
    family.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"llmbar {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; whatever stops it becomes one line on standard error and an exit code."""
    try:
        _read_dotenv(Path(".env"))
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except LlmbarError as error:
        _stop(str(error), error.exit_code)
    except typer.TyperException as error:
        _stop(_misused(error), 2)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:  # a disk that is full, a folder that may not be written
        _stop(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    if code == INTERRUPTED:
        _stop("interrupted; nothing that was done is lost: give the same command again to go on", INTERRUPTED)
    _flush()
    raise SystemExit(code or 0)


INTERRUPTED = 130


def _flush() -> None:
    """Say the last of it; whoever stopped listening, such as `head`, is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(told: str, code: int) -> NoReturn:
    print(f"llmbar: {' '.join(told.split())}", file=sys.stderr)
    raise SystemExit(code)


def _misused(error: typer.TyperException) -> str:
    """What is wrong with a command as it was typed."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "llmbar"
    return f"{error.format_message().rstrip('.')} ({command} --help lists what there is)"


def _read_dotenv(path: Path) -> None:
    """Take `NAME=value` lines of a `.env` into the environment; what is set already stays."""
    if not path.is_file():
        return
    from dotenv import load_dotenv

    try:
        load_dotenv(path)
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 at byte {error.start}", file=path) from None
