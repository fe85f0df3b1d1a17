"""Strategy folders for the tests, and a judge that says what a table tells it to."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING

from llmbar.records import Failure, FailureKind, Response
from llmbar.strategy import load_strategy

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = """\
summary = "for a test"

[[steps]]
name = "verdict"
per = "order"
read = { kind = "choice" }
"""

SHOWN = "== user ==\n{{ instruction }}\n{{ first_label }}: {{ first }}\n{{ second_label }}: {{ second }}\n"
ALONE = "== user ==\n{{ instruction }}\n{{ output }}\n"

FAILED = Response(failure=Failure(kind=FailureKind.SERVER, message="500"))
SILENT = Response(text="", finish_reason="stop")


def folder(root: Path, toml: str = PLAIN, name: str = "mine", **templates: str) -> Path:
    """`root/mine` with this strategy.toml; `verdict="…"` is `verdict.jinja`; a missing template shows the pair."""
    path = root / name
    path.mkdir(parents=True, exist_ok=True)
    toml = dedent(toml)
    (path / "strategy.toml").write_text(toml, "utf-8")
    for step, text in {"verdict": SHOWN, **templates}.items():
        (path / f"{step}.jinja").write_text(text, "utf-8")
    return path


def strategy(root: Path, toml: str = PLAIN, **templates: str):
    load_strategy.cache_clear()
    return load_strategy(str(folder(root, toml, **templates)))


@dataclass
class Scripted:
    """Says what `says[step, place]` tells; a place is an order, an output (1, 2) or None. Keeps what it was asked."""

    says: dict
    name: str = "scripted"
    asked: list = field(default_factory=list)

    async def answer(self, request):
        self.asked.append(request)
        about = request.about
        said = self.says[about.step, about.order or about.output]
        said = said(request) if callable(said) else said
        return said if isinstance(said, Response) else Response(text=said, finish_reason="stop")

    def places(self):
        """Where it was asked: step, and order or output."""
        return [(request.about.step, request.about.order or request.about.output) for request in self.asked]
