"""Imports point down the table of layers, the command line starts light, and what `import llmbar` offers is pinned."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import llmbar

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(llmbar.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = [
    {"errors", "records", "files", "terms"},
    {"reading", "pairs", "traffic"},
    {"strategy", "templates", "judges", "store", "recordings", "prices"},
    {"transcript", "engine", "stats"},
    {"runs", "reproduction", "standings", "comparisons", "tables", "paper", "plots", "site"},
    {"scale"},
    {"cli", "__main__", "llmbar"},  # llmbar: the package itself, whose names come from everywhere below
]
"""A module may import its own layer and those above it here; a new module must be given its place."""

LEVEL = {module: level for level, layer in enumerate(LAYERS) for module in layer}

PUBLIC = [
    "JudgeOptions",
    "Judgment",
    "LlmbarError",
    "Pair",
    "Policy",
    "Run",
    "Verdict",
    "arun",
    "bias_regression",
    "compare",
    "leaderboard",
    "load_pairs",
    "load_strategy",
    "open_judge",
    "plan",
    "published",
    "reproduce",
    "rescore",
    "run",
    "summarize",
]
"""What `import llmbar` offers: adding a name is a line here, taking one away breaks somebody's code."""

HEAVY = {"aiohttp", "jinja2", "numpy", "openai", "pandas", "pyarrow", "pydantic", "scipy", "sklearn", "statsmodels"}


# -- reading imports --------------------------------------------------------------------------------------------------


def part(module: str) -> str:
    """The row of the table that a module belongs to: llmbar.judges.wire → judges, llmbar → llmbar."""
    return module.split(".")[1] if "." in module else module


def name_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, package: str) -> Iterator[str]:
    """Every module of llmbar that the source imports, at its top, inside functions, or by name in a string.

    What stands under `if TYPE_CHECKING:` is exempt: it never runs, so it cannot tie a lower layer to a higher one.
    """
    for node in running(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "llmbar")
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            if module == "llmbar":
                names = {alias.name for alias in node.names} - {"__version__"}  # a plain value, below everything
                yield from (f"llmbar.{name}" if name in LEVEL else "llmbar" for name in names)
            elif module.startswith("llmbar."):
                yield module
        elif isinstance(node, ast.Constant) and str(node.value).startswith("llmbar.") and part(node.value) in LEVEL:
            yield node.value


def running(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, less the bodies of `if TYPE_CHECKING:`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING") and child in node.body:
            continue
        yield from running(child)


def pointing_up(source: str, module: str, package: str) -> list[str]:
    level = LEVEL[part(module)]
    return sorted({name for name in imported(source, package) if LEVEL.get(part(name), sys.maxsize) > level})


# -- the rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_module_has_its_place_and_imports_only_down(file):
    module = name_of(file)
    assert part(module) in LEVEL, f"{module} is new: give it a place in LAYERS"
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    assert pointing_up(file.read_text("utf-8"), module, package) == []


@pytest.mark.parametrize(
    "source",
    [
        "from llmbar.engine import judge_all",
        "import llmbar.engine",
        "from llmbar import engine",
        "from llmbar import run",
        "def later():\n    from llmbar.engine import judge_all",
        "from ..engine import judge_all",
        'import_module("llmbar.engine")',
        "if TYPE_CHECKING:\n    pass\nelse:\n    import llmbar.engine",
        "import llmbar.nowhere",
    ],
)
def test_an_import_that_points_up_is_seen_wherever_it_hides(source):
    assert pointing_up(source, "llmbar.judges.wire", "llmbar.judges") != []


@pytest.mark.parametrize(
    "source",
    [
        "from llmbar.records import Pair",
        "from llmbar.store import Store",  # the same layer
        "from . import local",
        "from llmbar import __version__",
        "if TYPE_CHECKING:\n    from llmbar.engine import Job",
        "import pandas",
        '"""llmbar.engine asks, this module answers."""',
    ],
)
def test_an_import_that_points_down_is_allowed(source):
    assert pointing_up(source, "llmbar.judges.wire", "llmbar.judges") == []


def test_the_command_line_starts_without_the_heavy_libraries():
    loaded = modules_after("import llmbar.cli")
    assert "llmbar.cli" in loaded
    assert {name.split(".")[0] for name in loaded} & HEAVY == set()


def test_importing_llmbar_imports_next_to_nothing():
    loaded = modules_after("import llmbar")
    assert {name.split(".")[0] for name in loaded} & (HEAVY | {"typer", "rich"}) == set()
    assert {name for name in loaded if name.startswith("llmbar.")} == set()


def modules_after(statement: str) -> list[str]:
    command = [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_the_public_names_are_pinned():
    assert sorted(llmbar.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there_and_no_module_takes_its_place(name):
    assert getattr(llmbar, name) is not None
    assert not (PACKAGE / f"{name}.py").exists()  # importing it would put the module where the name was
    assert not (PACKAGE / name).exists()
