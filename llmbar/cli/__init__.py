"""The command line: argument handling and printing, one file per family of verbs, nothing imported before it is needed.

Exit codes: 0 done · 1 runtime · 2 usage or bad input · 3 incomplete, resumable · 4 below the gate · 5 verification
mismatch · 130 interrupted, state saved.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from llmbar import __version__
from llmbar.cli import pairs, runs, strategies, tables
from llmbar.errors import LlmbarError

app = typer.Typer(
    name="llmbar",
    help="Find out whether an LLM can be trusted as a judge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for family in (runs, tables, strategies, pairs):
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
    """Run the command line; a user's mistake becomes one line and an exit code."""
    _read_dotenv(Path(".env"))
    try:
        app()
    except LlmbarError as error:
        print(f"llmbar: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("llmbar: interrupted; give the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read_dotenv(path: Path) -> None:
    """Take `NAME=value` lines of a `.env` into the environment; what is set already stays."""
    if not path.is_file():
        return
    from dotenv import load_dotenv

    load_dotenv(path)
