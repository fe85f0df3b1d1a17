"""Write the pages that follow from the code: the command line, faults, providers, statistics and strategies.

With `--check` nothing is written: it says which pages are out of date, and exits with 1 if any is.
"""

from __future__ import annotations

import sys
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup
from typer.main import get_command

from llmbar.cli import app
from llmbar.judges.presets import PRESETS
from llmbar.reading import ItemsReader
from llmbar.strategy import load_strategy, strategy_names
from llmbar.tables.markdown import inert
from llmbar.terms import TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llmbar.judges.presets import Preset
    from llmbar.strategy import StepFile, Strategy, StrategyFile
    from llmbar.terms import Term

HERE = Path(__file__).resolve().parent
GENERATED = "<!-- Written by `make docs`: change what it is made from, not this page. -->"
WIDTH = 100


def pages() -> dict[str, str]:
    """File name → text of every generated page."""
    return {
        "cli.md": cli_page(app),
        "faults.md": faults_page(),
        "providers.md": providers_page(),
        "statistics.md": statistics_page(),
        "strategies.md": strategies_page(),
    }


# -- the command line -------------------------------------------------------------------------------------------------


def cli_page(own: typer.Typer) -> str:
    """The help of every command as it is printed, without colours and boxes, `WIDTH` columns wide."""
    plain = copy(own)
    plain.rich_markup_mode = None
    command = get_command(plain)
    context = typer.Context(command, info_name="llmbar", terminal_width=WIDTH)
    helps = [f"## {path}\n\n```text\n{text}\n```" for path, text in help_pages(context)]
    return "\n\n".join([GENERATED, "# The command line", *helps]) + "\n"


def help_pages(context: typer.Context) -> Iterator[tuple[str, str]]:
    """Command path and help of a command and of all below it."""
    yield context.command_path, context.get_help().strip()
    if isinstance(context.command, TyperGroup):
        for name, command in context.command.commands.items():
            if not command.hidden:
                yield from help_pages(typer.Context(command, parent=context, info_name=name))


# -- the statistics ---------------------------------------------------------------------------------------------------


def statistics_page() -> str:
    """The reading guide, topic by topic."""
    topics = (part for topic, terms in TOPICS.items() for part in (f"## {topic}", *map(entry, terms)))
    return "\n\n".join([GENERATED, "# The statistics, and how to read them", GUIDE, *topics]) + "\n"


GUIDE = """\
What `llmbar explain TERM` says, and an HTML table when a column's head is pointed at. Beside each name stands what the
column is called in files."""


def entry(term: Term) -> str:
    """One term: its name and key, and a list of what is said of it."""
    key = "" if term.key == term.name else f" (`{term.key}`)"
    means, *rest = map(inert, term.lines)
    said = [f"### {inert(term.name)}{key}", means, "\n".join(f"- {line}" for line in rest)]
    return "\n\n".join(filter(None, said))


# -- the strategies ---------------------------------------------------------------------------------------------------


def strategies_page() -> str:
    """One row per strategy that ships with llmbar, and the papers behind them."""
    strategies = [load_strategy(name) for name in strategy_names()]
    papers = list(dict.fromkeys(strategy.file.cite for strategy in strategies if strategy.file.cite))
    head = ["strategy", "what it does", "steps", "calls per pair", "also called", "source"]
    table = as_table([head, *(row(strategy, papers) for strategy in strategies)])
    sources = "\n".join(f"{number}. {paper}" for number, paper in enumerate(papers, 1))
    return f"{GENERATED}\n\n# The strategies\n\n{INTRODUCTION}\n\n{table}\n\n## Sources\n\n{sources}\n"


INTRODUCTION = """\
Each is a folder in `prompts/`; its name, or a name under "also called", goes behind `-s`. Calls per pair count both
orders, and what several strategies ask alike (the metrics, the reference) once for each: a run asks it only once."""


def row(strategy: Strategy, papers: Sequence[str]) -> list[str]:
    file, (fewest, most) = strategy.file, calls(strategy.file)
    return [
        f"`{strategy.name}`",
        cell(file.summary),
        cell("; ".join(described(step) for step in file.steps)),
        str(most) if fewest == most else f"{fewest}–{most}",
        cell(", ".join(f"`{alias}`" for alias in file.aliases)),
        f"[{papers.index(file.cite) + 1}](#sources)" if file.cite else "",
    ]


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first row is the head."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body))


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def described(step: StepFile) -> str:
    """A step in a few words.

    >>> from llmbar.strategy import StepFile
    >>> described(StepFile(name="score", per="output", samples=3, read={"kind": "score"}))
    '`score` per output, 3 samples'
    """
    said = f"`{step.name}` per {step.per}"
    if step.over is not None:
        said += f", over {f'`{step.over}`' if isinstance(step.over, str) else ' · '.join(step.over)}"
    if step.samples > 1:
        said += f", {step.samples} samples"
    if step.if_orders_disagree_on:
        said += f", where the orders of `{step.if_orders_disagree_on}` disagree"
    return said


def calls(strategy: StrategyFile) -> tuple[int, int]:
    """How many requests one pair takes in both orders, at least and at most, where every reply can be read."""
    both = [_calls(step, strategy) for step in strategy.steps]
    return sum(fewest for fewest, _ in both), sum(most for _, most in both)


def _calls(step: StepFile, strategy: StrategyFile) -> tuple[int, int]:
    places = (1 if step.per == "pair" else 2) * step.samples
    fewest, most = _items(step, strategy)
    return 0 if step.if_orders_disagree_on else places * fewest, places * most


def _items(step: StepFile, strategy: StrategyFile) -> tuple[int, int]:
    if step.over is None:
        return 1, 1
    if isinstance(step.over, tuple):
        return len(step.over), len(step.over)
    readers = (earlier.read for earlier in strategy.steps if earlier.name == step.over)
    return 1, next(reader.most for reader in readers if isinstance(reader, ItemsReader))


# -- the providers ----------------------------------------------------------------------------------------------------


PROVIDERS = """\
The kind of a judge says where it is asked: `-m openai/gpt-4o`. All speak the chat-completions protocol. Keys come from
the environment (or `.env`) only. `--base-url`, or the variable named below, gives another address; several
`--base-url` of one model share the work, and stored responses are those of the first. What a model would not take of
its sampling, or its system role, is left out or folded after its first refusal, and the run says so.

`openai-api/<service>/<model>` is any other service: its address is in `<SERVICE>_BASE_URL`, its key in
`<SERVICE>_API_KEY`.
"""


def providers_page() -> str:
    """One row per provider that is known by name."""
    head = ["judge", "address", "or from", "key", "label probabilities", "peculiarities"]
    rows = [[f"`{kind}/<model>`", *_provided(preset)] for kind, preset in PRESETS.items()]
    return f"{GENERATED}\n\n# The providers\n\n{PROVIDERS}\n{as_table([head, *rows])}\n"


def _provided(preset: Preset) -> list[str]:
    keys = [name for name in (preset.key_variable, preset.other_key_variable, preset.token_variable) if name]
    return [
        f"`{preset.base_url}`" if preset.base_url else "must be given",
        f"`{preset.base_url_variable}`",
        " or ".join(f"`{name}`" for name in keys) + ("" if preset.needs_key else ", if the server wants one"),
        f"the {preset.top_logprobs} likeliest tokens" if preset.top_logprobs else "no",
        cell(" ".join(_peculiarities(preset))),
    ]


def _peculiarities(preset: Preset) -> Iterator[str]:
    if preset.api_version_variable:
        yield f"The API version is in `{preset.api_version_variable}`."
    if preset.choice:
        yield "Holds a reply to one of the labels."
    for name, called in preset.renames.items():
        yield f"`{name}` is called `{called}`."
    if preset.completion_tokens:
        yield "`max_tokens` is called `max_completion_tokens` by reasoning models."
    if preset.ignores:
        yield f"Ignores {', '.join(f'`{name}`' for name in preset.ignores)}: not sent."
    if preset.remark:
        yield preset.remark


# -- the faults -------------------------------------------------------------------------------------------------------


FAULT_NOTES = """\
Every row is played against a real server by `tests/test_faults.py`. A failure is never scored and never stored, so that
the same command asks again; an error ends the run with all that was judged until then. `…` stands for what differs.
"""


def faults_page() -> str:
    """One row per thing that can go wrong with an endpoint; the table is the tests' own."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    faults = import_module("faults").FAULTS
    head = ["what goes wrong", "asked", "what becomes of it", "what is seen", "what is kept"]
    rows = [[cell(fault.what), fault.times, fault.outcome, cell(fault.told), fault.kept] for fault in faults]
    return f"{GENERATED}\n\n# Faults\n\n{FAULT_NOTES}\n{as_table([head, *rows])}\n"


# -- writing and checking ---------------------------------------------------------------------------------------------


def stale(folder: Path) -> list[str]:
    """Names of the pages in `folder` that are missing or not what would be written now."""
    return [name for name, text in pages().items() if not _holds(folder / name, text)]


def _holds(page: Path, text: str) -> bool:
    return page.is_file() and page.read_text("utf-8") == text


def write(folder: Path) -> None:
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


def main(arguments: Sequence[str]) -> int:
    if list(arguments) != ["--check"]:
        write(HERE)
        return 0
    old = stale(HERE)
    if old:
        print(f"out of date: {', '.join(f'docs/{name}' for name in old)} (run make docs)", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
