"""Templates: how a step's question is put. A file of turns, checked at load and rendered for each pair.

A template is split into turns at its lines `== system ==`, `== user ==`, `== assistant ==` *before* it is rendered, so
that no output under test can open a turn. It may use Jinja's `if`, `for`, `with`, filters, and `include` with a name in
quotes; what it names must be visible to its step. A mistake is told with file and line, in included files, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from traceback import walk_tb
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import TemplateRuntimeError
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from llmbar.errors import StrategyError, suggestion
from llmbar.records import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ROLES = ("system", "user", "assistant")
_TURN = re.compile(r"^== (system|user|assistant) ==[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*=+[ \t]*(\w+)[ \t]*=+[ \t]*$", re.MULTILINE)

_LINES = 100_000
"""The lines of the k-th file are numbered from k times this on: through all includes a line tells its file."""

_RENDERING = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a template can raise that asks for what is not there."""


@dataclass(frozen=True)
class Turn:
    """One turn of the conversation: a compiled template, or text that never changes."""

    role: str
    template: Template | str
    files: Sequence[Path] = ()
    """The template's file and those that it includes, in the order in which their lines are numbered."""

    def render(self, context: Mapping[str, object]) -> Message:
        """The message, from what its step can see.

        Raises:
            StrategyError: the template names something that is not there for this pair.
        """
        if isinstance(self.template, str):
            return Message(self.role, self.template)
        try:
            return Message(self.role, self.template.render(context))
        except _RENDERING as error:
            raise _mistake(str(error), _line_of(error), self.files) from error


class Templates(NodeTransformer):
    """The templates of one strategy, looked for in several `roots`, the first first.

    Args:
        roots: the strategy's own folder, then others that hold a `_shared`.
        labels: what `first_label` and `second_label` stand for.
    """

    def __init__(self, roots: Sequence[Path], labels: tuple[str, str]) -> None:
        self.roots = roots
        self.labels = dict(zip(("first_label", "second_label"), labels, strict=True))
        self.sources: dict[str, str] = {}
        """File name → text of all that was read."""
        self.jinja = SandboxedEnvironment(
            undefined=StrictUndefined,
            finalize=_written,
            autoescape=False,  # prompts are plain text; pages escape what they show
        )
        self.jinja.globals.clear()
        self._files: list[Path] = []
        self._open: list[Path] = []

    def find(self, name: str) -> Path | None:
        """The file of a template."""
        return next((root / name for root in self.roots if (root / name).is_file()), None)

    def names(self) -> set[str]:
        """The names of all templates that could be meant."""
        found = ((root, file) for root in self.roots for file in [*root.glob("*.jinja"), *root.glob("_shared/*.jinja")])
        return {file.relative_to(root).as_posix() for root, file in found}

    def turns(self, name: str, path: Path, visible: set[str]) -> tuple[Turn, ...]:
        """The turns of a template, checked against the names that it may use, and compiled.

        Raises:
            StrategyError: a mistake in it or in a template that it includes (file, line, remedy).
        """
        self._files, self._open = [path], [path]
        trees = [
            (role, self.visit(self._parse(text, above))) for role, text, above in _split(self._read(name, path), path)
        ]
        return tuple(self._turn(role, tree, visible) for role, tree in trees)

    def _turn(self, role: str, tree: nodes.Template, visible: set[str]) -> Turn:
        """Check and compile a turn: rendering it is then one call, or none where it never changes."""
        self._check(tree, visible)
        tree = _Labelled(tree, self.labels).visit(tree)
        template = Template.from_code(self.jinja, self.jinja.compile(tree), {})
        turn = Turn(role, template, tuple(self._files))
        return turn if meta.find_undeclared_variables(tree) else Turn(role, turn.render({}).content)

    def visit_Include(self, include: nodes.Include) -> nodes.Node:  # noqa: N802 - jinja calls it by this name
        """The included template, in place of its include."""
        name = include.template.value if isinstance(include.template, nodes.Const) else None
        if not isinstance(name, str):
            raise self._mistake("an include names no file", include.lineno, 'write {% include "_shared/rules.jinja" %}')
        path = self.find(name)
        if path is None:
            raise self._mistake(f"there is no template {name!r}", include.lineno, suggestion(name, self.names()))
        if path in self._open:
            raise self._mistake(f"{name!r} includes itself", include.lineno, "take one include out")
        source = self._read(name, path)
        for mark, _ in _almost_turns(source):
            told, line = "an included template cannot open a turn", source.count("\n", 0, mark.start()) + 1
            raise StrategyError(told, file=path, line=line, remedy="open it in the template that includes it")
        self._open.append(path)
        self._files.append(path)
        tree = self.visit(self._parse(source, (len(self._files) - 1) * _LINES))
        self._open.pop()
        return nodes.Scope(tree.body, lineno=include.lineno)

    def _parse(self, source: str, above: int) -> nodes.Template:
        """The syntax tree of a text, its lines numbered from `above` on."""
        try:
            tree = self.jinja.parse(source)
        except TemplateSyntaxError as error:
            raise self._mistake(error.message or "not a template", above + error.lineno) from None
        for node in [tree, *tree.find_all(nodes.Node)]:
            node.lineno += above
        return tree

    def _check(self, tree: nodes.Template, visible: set[str]) -> None:
        """Find what is no part of the vocabulary, and names that are not visible."""
        for other in tree.find_all((nodes.Extends, nodes.Import, nodes.FromImport)):
            raise self._mistake("templates are joined by include alone", other.lineno, "include the other one")
        for used in tree.find_all((nodes.Filter, nodes.Test)):
            what, known = (
                ("filter", self.jinja.filters) if isinstance(used, nodes.Filter) else ("test", self.jinja.tests)
            )
            if used.name not in known:
                raise self._mistake(f"no {what} is called {used.name!r}", used.lineno, suggestion(used.name, known))
        try:
            unknown = meta.find_undeclared_variables(tree) - visible
        except TemplateSyntaxError as error:
            raise self._mistake(error.message or "not a template", error.lineno) from None
        for name in tree.find_all(nodes.Name):
            if name.name in unknown and name.ctx == "load":
                raise self._mistake(f"cannot see {name.name!r}", name.lineno, suggestion(name.name, visible))

    def _mistake(self, told: str, line: int, remedy: str | None = None) -> StrategyError:
        return _mistake(told, line, self._files, remedy)

    def _read(self, name: str, path: Path) -> str:
        self.sources[name] = text_of(path)
        return self.sources[name]


class _Labelled(NodeTransformer):
    """Puts the labels, which are the strategy's own, in place of their names: what remains is more constant text."""

    def __init__(self, tree: nodes.Template, labels: Mapping[str, str]) -> None:
        rebound = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
        self.labels = {name: label for name, label in labels.items() if name not in rebound}

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 - jinja calls it by this name
        return nodes.Const(self.labels[node.name], lineno=node.lineno) if node.name in self.labels else node


def text_of(path: Path) -> str:
    """A file's text, without a byte-order mark and with plain line ends.

    Raises:
        StrategyError: it is not UTF-8, or cannot be read.
    """
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StrategyError(f"not UTF-8 at byte {error.start}", file=path, remedy="save it as UTF-8") from None
    except OSError as error:
        raise StrategyError(f"cannot be read: {error.strerror}", file=path) from None


def _almost_turns(source: str) -> Iterator[tuple[re.Match[str], str]]:
    """Lines that open a turn or seem meant to, such as `== usr ==`, each with the role; other headings are text."""
    for line in _HEADING.finditer(source):
        for role in get_close_matches(line[1].lower(), ROLES, n=1, cutoff=0.8):
            yield line, role


def _split(source: str, path: Path) -> Iterator[tuple[str, str, int]]:
    """Role and text of every turn, and how many lines stand above the text."""
    for almost, role in _almost_turns(source):
        if not _TURN.fullmatch(almost[0]):
            told, line = f"{almost[0].strip()!r} is almost a turn", source.count("\n", 0, almost.start()) + 1
            raise StrategyError(told, file=path, line=line, remedy=f"write == {role} ==")
    marks = list(_TURN.finditer(source))
    if not marks or source[: marks[0].start()].strip():
        raise StrategyError("a template begins with a turn", file=path, line=1, remedy="write == user == above it")
    if all(mark[1] != "user" for mark in marks):
        raise StrategyError("a template asks in a user turn", file=path, remedy="write == user == above the question")
    for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(source)], strict=True):
        text = source[mark.end() : end]
        blank = len(text) - len(text.lstrip("\n"))
        yield mark[1], text.strip("\n"), source.count("\n", 0, mark.end()) + blank


def _written(value: object) -> object:
    """What a template may write out: text, numbers, and what has a text of its own. No list, no method, not None."""
    if isinstance(value, str | int | float) or type(value).__str__ is not object.__str__:
        return value
    told = "there is nothing to write out" if value is None else f"a {type(value).__name__} cannot be written out"
    raise TemplateRuntimeError(told)


def _line_of(error: BaseException) -> int | None:
    """The template's line at which an error was raised."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"]
    return lines[-1] if lines else None


def _mistake(told: str, line: int | None, files: Sequence[Path], remedy: str | None = None) -> StrategyError:
    """An error at a line, numbered through all `files`."""
    number, there = divmod(line or 0, _LINES)
    return StrategyError(told, file=files[number], line=there or None, remedy=remedy)
