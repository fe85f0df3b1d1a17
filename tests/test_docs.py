"""The generated pages say what the code does, and every example in a docstring is true."""

from __future__ import annotations

import asyncio
import doctest
import re
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import typer

import llmbar
from llmbar.engine import rehearse
from llmbar.records import Pair
from llmbar.strategy import StrategyFile, load_strategy, strategy_names

PACKAGE = Path(llmbar.__file__).parent
ROOT = PACKAGE.parent
PAIR = Pair(id="1", dataset="toy", subset="toy", instruction="Say hi.", output_1="Hi.", output_2="Bye.", gold=1)


@pytest.fixture(scope="module")
def generate():
    spec = spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- up to date -------------------------------------------------------------------------------------------------------


def test_the_generated_pages_are_up_to_date(generate):
    assert generate.stale(ROOT / "docs") == []


def test_a_page_that_was_changed_by_hand_or_is_missing_is_stale(generate, tmp_path):
    assert sorted(generate.stale(tmp_path)) == ["cli.md", "faults.md", "providers.md", "statistics.md", "strategies.md"]
    generate.write(tmp_path)
    assert generate.stale(tmp_path) == []
    page = tmp_path / "cli.md"
    page.write_text(page.read_text("utf-8") + "more\n", "utf-8")
    assert generate.stale(tmp_path) == ["cli.md"]


# -- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def toy():
    """A command line of one command and one group, with a hidden command."""
    app, group = typer.Typer(rich_markup_mode="rich", add_completion=False), typer.Typer(help="Two of them.")

    @app.command()
    def sing(song: str, *, loud: bool = typer.Option(False, help="So that all can hear it. " * 9)):
        """Sing a song."""

    @group.command()
    def inner():
        """Go in."""

    @group.command(hidden=True)
    def secret():
        """Say nothing."""

    app.add_typer(group, name="group")
    return app


def test_every_command_has_its_help(generate, toy):
    page = generate.cli_page(toy)
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## llmbar", "## llmbar sing", "## llmbar group", "## llmbar group inner"]
    assert all(text in page for text in ["Usage: llmbar sing [OPTIONS] ", "--loud", "Go in.", "Two of them."])


def test_the_help_looks_the_same_in_every_terminal(generate, toy, monkeypatch):
    pages = set()
    for columns, term in [("40", "dumb"), ("200", "xterm-256color")]:
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("TERM", term)
        pages.add(generate.cli_page(toy))
    assert len(pages) == 1
    assert max(map(len, pages.pop().splitlines())) <= generate.WIDTH


def test_making_the_page_leaves_the_command_line_as_it_was(generate, toy):
    generate.cli_page(toy)
    assert toy.rich_markup_mode == "rich"


def test_the_help_names_no_folder_of_this_machine(generate):
    page = generate.pages()["cli.md"]
    assert str(Path.home()) not in page
    assert str(ROOT) not in page


# -- the strategies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", strategy_names())
def test_calls_per_pair_are_what_the_engine_asks(generate, name):
    strategy = load_strategy(name)
    asked = [len(asyncio.run(rehearse(PAIR, strategy, prefers_first=conflict))) for conflict in (False, True)]
    assert tuple(asked) == generate.calls(strategy.file)


@pytest.mark.parametrize(
    ("name", "fewest", "most"),
    [("vanilla", 2, 2), ("metrics+reference+rules", 4, 4), ("swap+rules", 2, 4), ("rating", 2, 2)],
)
def test_calls_per_pair_of_known_strategies(generate, name, fewest, most):
    assert generate.calls(load_strategy(name).file) == (fewest, most)


def test_calls_per_pair_count_items_samples_and_conditions(generate):
    strategy = StrategyFile.model_validate(
        {
            "summary": "A panel that asks a list of questions, three times each",
            "steps": [
                {"name": "questions", "per": "pair", "read": {"kind": "items", "most": 5}},
                {"name": "answers", "per": "output", "over": "questions", "samples": 3, "read": {"kind": "score"}},
                {"name": "debate", "per": "order", "over": ["critic", "author"], "read": {"kind": "choice"}},
                {"name": "end", "per": "order", "if_orders_disagree_on": "debate", "read": {"kind": "choice"}},
            ],
        }
    )
    assert generate.calls(strategy) == (1 + 2 * 3 + 2 * 2, 1 + 2 * 3 * 5 + 2 * 2 + 2)


def test_every_strategy_has_its_row(generate):
    page = generate.pages()["strategies.md"]
    assert re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE) == strategy_names()
    columns = {row.replace(r"\|", "").count("|") for row in page.splitlines() if row.startswith("|")}
    assert columns == {7}  # six cells
    assert all(f"`{alias}`" in page for name in strategy_names() for alias in load_strategy(name).aliases)


# -- examples in docstrings -------------------------------------------------------------------------------------------


def modules() -> list[str]:
    files = (file.relative_to(ROOT).with_suffix("") for file in sorted(PACKAGE.rglob("*.py")))
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(import_module(name)).failed == 0


def test_examples_of_the_generator_are_true(generate):
    assert doctest.testmod(generate).attempted > 0
    assert doctest.testmod(generate).failed == 0
