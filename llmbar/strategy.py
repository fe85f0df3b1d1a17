"""Strategies: how a judge is asked. One folder each: `strategy.toml` and a Jinja template per step.

Everything a strategy can say stands in the two models below; an unknown key, a template error and an undeclared
variable are found at load, with file, line and a suggestion. Each reader must also read its own example reply.

A template is split into turns at its lines `== system ==`, `== user ==`, `== assistant ==` *before* it is rendered, so
that no output under test can open a turn.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmbar.errors import StrategyError, UsageError, suggestion
from llmbar.files import prompts_folder
from llmbar.reading import ChoiceReader, Labels, Reader, ScaleReader, ScoreReader
from llmbar.records import Message, Sampling, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_TURN = re.compile(r"^== (system|user|assistant) ==[ \t]*$", re.MULTILINE)

Per = Literal["pair", "output", "order"]


class StepFile(BaseModel):
    """One `[[steps]]` table of a `strategy.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    prompt: str | None = None
    """The template's file, looked for in the strategy's folder and in `_shared`'s; default `<name>.jinja`."""
    per: Per
    over: str | tuple[str, ...] | None = None
    """A fixed cast, or an earlier step read as items: asked once per item, seen as `item`."""
    in_turn: bool = False
    """With `over`: one after another, each seeing in `said` what was said before."""
    samples: int = Field(default=1, ge=1)
    if_orders_disagree_on: str | None = None
    """Asked only where both orders of that earlier step name different outputs."""
    by: int = Field(default=0, ge=0)
    """Which member of the panel answers: 0 is the judge itself."""
    read: Reader
    sampling: Sampling = Sampling()

    def sampled(self, sampling: Mapping[str, object]) -> StepFile:
        return self.model_copy(update={"sampling": Sampling.model_validate({**self.sampling.model_dump(), **sampling})})


class StrategyFile(BaseModel):
    """A whole `strategy.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    summary: str
    cite: str = ""
    aliases: tuple[str, ...] = ()
    orders: Literal["separate", "averaged", "free"] = "separate"
    """`separate`: each order has its own verdict; `averaged`: both orders' margins give one; `free`: order plays no
    part."""
    decided_by: str | tuple[str, ...] | None = None
    """The steps whose margins decide; by default the last one that was asked."""
    labels: Labels = ("Output (a)", "Output (b)")
    steps: tuple[StepFile, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Turn:
    """One turn of the conversation: a compiled template, or text that never changes."""

    role: str
    template: Template | str

    def render(self, context: Mapping[str, object]) -> Message:
        text = self.template if isinstance(self.template, str) else self.template.render(context)
        return Message(self.role, text)


@dataclass(frozen=True)
class Step:
    """A step ready to be asked: its settings and its turns."""

    file: StepFile
    path: Path
    turns: tuple[Turn, ...]

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def per(self) -> Per:
        return self.file.per

    @property
    def decides(self) -> bool:
        """Whether its replies can carry a preference."""
        return self.file.read.kind not in {"text", "items"}

    def render(self, context: Mapping[str, object]) -> tuple[Message, ...]:
        """The messages that are sent, from what the step can see.

        Raises:
            StrategyError: the template names something that is not there for this pair.
        """
        try:
            return tuple(turn.render(context) for turn in self.turns)
        except TemplateError as error:
            raise StrategyError(str(error), file=self.path, field=self.name) from error


@dataclass(frozen=True)
class Strategy:
    """A strategy ready to be used."""

    name: str
    file: StrategyFile
    steps: tuple[Step, ...]
    sources: Mapping[str, str]
    """File name → text of everything that it was made of, as loaded."""

    @property
    def aliases(self) -> tuple[str, ...]:
        return self.file.aliases

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `strategy.toml` and all templates, included ones too."""
        return digest(dict(self.sources))

    def sampled(self, sampling: Mapping[str, object]) -> Strategy:
        """The same strategy with some of its sampling set otherwise, in every step.

        Raises:
            UsageError: a parameter that does not exist, or a value out of its bounds.
        """
        if not sampling:
            return self
        try:
            steps = tuple(replace(step, file=step.file.sampled(sampling)) for step in self.steps)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise UsageError(wrong["msg"], field=".".join(map(str, wrong["loc"]))) from None
        return replace(self, steps=steps)

    @cached_property
    def deciding(self) -> tuple[Step, ...]:
        """The steps whose margins decide, as declared; else all that can, of which the last asked counts."""
        named = self.file.decided_by
        if named is None:
            return tuple(step for step in self.steps if step.decides)
        wanted = (named,) if isinstance(named, str) else named
        return tuple(step for step in self.steps if step.name in wanted)


@lru_cache(maxsize=256)
def load_strategy(name: str) -> Strategy:
    """Load a strategy by its name, an alias or the path of its folder.

    Names are looked for in `./prompts`, then among those that ship with llmbar.

    Raises:
        StrategyError: there is none of that name, or its folder holds a mistake (file, line, remedy).
    """
    return _load(_folder(name))


def strategy_names() -> list[str]:
    """All strategies that can be named, sorted."""
    return sorted({folder.name for folder in _folders()})


def _folders() -> Iterator[Path]:
    roots = [Path("prompts"), prompts_folder()]
    for root in roots:
        yield from sorted(file.parent for file in root.glob("*/strategy.toml"))


def _folder(name: str) -> Path:
    if (Path(name) / "strategy.toml").is_file():
        return Path(name).resolve()
    folders = list(_folders())
    for folder in folders:
        if folder.name == name:
            return folder
    for folder in folders:
        if name in _aliases(folder):
            return folder
    raise StrategyError(f"no strategy is called {name!r}", remedy=suggestion(name, strategy_names()))


def _aliases(folder: Path) -> tuple[str, ...]:
    found = _toml(folder / "strategy.toml").get("aliases", ())
    return tuple(found) if isinstance(found, list) else ()


def _load(folder: Path) -> Strategy:
    path = folder / "strategy.toml"
    try:
        file = StrategyFile.model_validate(_toml(path))
    except ValidationError as error:
        raise _bad_key(error, path) from None
    templates = _Templates(folder)
    steps = tuple(Step(step, *templates.turns(step.prompt or f"{step.name}.jinja")) for step in file.steps)
    strategy = Strategy(folder.name, file, steps, {"strategy.toml": path.read_text("utf-8"), **templates.sources})
    _check_order(strategy, path)
    _check_readers(strategy, path)
    for index, step in enumerate(steps):
        templates.check_names(step, visible(strategy, index))
    return strategy


def visible(strategy: Strategy, index: int) -> set[str]:
    """The names that a step's template may use: the pair's, the item's, and those of earlier steps."""
    step = strategy.steps[index].file
    names = {"instruction", *(earlier.name for earlier in strategy.steps[:index])}
    names |= {"output"} if step.per == "output" else {"first", "second", "first_label", "second_label"}
    if step.over is not None:
        names |= {"item", "said"} if step.in_turn else {"item"}
    return names


class _Templates:
    """The templates of one strategy folder: read, split into turns, compiled, checked."""

    def __init__(self, folder: Path) -> None:
        self.roots = [folder, folder.parent, prompts_folder()]
        self.sources: dict[str, str] = {}
        self.jinja = SandboxedEnvironment(
            loader=FileSystemLoader(self.roots),
            undefined=StrictUndefined,
            autoescape=False,  # prompts are plain text; pages escape what they show
        )

    def turns(self, name: str) -> tuple[Path, tuple[Turn, ...]]:
        path, source = self._read(name)
        marks = list(_TURN.finditer(source))
        if not marks or source[: marks[0].start()].strip():
            raise StrategyError("a template begins with a turn", file=path, line=1, remedy="write == user == above it")
        ends = [mark.start() for mark in marks[1:]] + [len(source)]
        return path, tuple(
            Turn(mark[1], self._compile(source, mark.end(), end, path)) for mark, end in zip(marks, ends, strict=True)
        )

    def _compile(self, source: str, start: int, end: int, path: Path) -> Template | str:
        """Compile one turn, includes put in place at load: rendering is then one call, or none for constant text."""
        text = source[start:end]
        above = source[:start].count("\n") + len(text) - len(text.lstrip("\n"))
        tree = self._inlined(self._parse(text.strip("\n"), path, above))
        template = Template.from_code(self.jinja, self.jinja.compile(tree), self.jinja.globals)
        return template if tree.find(nodes.Name) or tree.find(nodes.Include) else template.render()

    def _parse(self, source: str, path: Path, above: int = 0) -> nodes.Template:
        try:
            return self.jinja.parse(source)
        except TemplateSyntaxError as error:
            raise StrategyError(error.message or "template error", file=path, line=above + error.lineno) from None

    def _inlined(self, tree: nodes.Template) -> nodes.Template:
        for parent in [tree, *tree.find_all(nodes.Node)]:
            for key, value in parent.iter_fields():
                if isinstance(value, list):
                    setattr(parent, key, [self._in_place(node) for node in value])
        return tree

    def _in_place(self, node: object) -> object:
        if not (isinstance(node, nodes.Include) and isinstance(node.template, nodes.Const)):
            return node
        path, source = self._read(node.template.value)
        if _TURN.search(source):
            raise StrategyError("an included template cannot open a turn", file=path)
        return nodes.Scope(self._inlined(self._parse(source, path)).body, lineno=node.lineno)

    def _read(self, name: str) -> tuple[Path, str]:
        for root in self.roots:
            path = root / name
            if path.is_file():
                self.sources[name] = path.read_text("utf-8")
                return path, self.sources[name]
        raise StrategyError(f"there is no template {name!r}", file=self.roots[0])

    def check_names(self, step: Step, known: set[str]) -> None:
        """Find every name that the template and all it includes use, and what is not visible to the step."""
        waiting = [step.file.prompt or f"{step.name}.jinja"]
        seen = set(waiting)
        while waiting:
            path, source = self._read(waiting.pop())
            tree = self._parse(source, path)
            for name in sorted(meta.find_undeclared_variables(tree) - known):
                line = next((n.lineno for n in tree.find_all(nodes.Name) if n.name == name), None)
                told = f"step {step.name!r} cannot see {name!r}"
                raise StrategyError(told, file=path, line=line, remedy=suggestion(name, known))
            included = {name for name in meta.find_referenced_templates(tree) if name} - seen
            seen |= included
            waiting += included


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise StrategyError(f"not UTF-8 at byte {error.start}", file=path) from None
    except tomllib.TOMLDecodeError as error:
        raise StrategyError(f"not TOML: {error}", file=path) from None


def _bad_key(error: ValidationError, path: Path) -> StrategyError:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"] if part not in _KINDS]
    field, remedy = ".".join(where), None
    if first["type"] == "extra_forbidden":
        owner = StepFile if "steps" in where[:-1] and len(where) == 3 else StrategyFile
        remedy = suggestion(where[-1], owner.model_fields) if len(where) in {1, 3} else None
        return StrategyError("unknown key", file=path, line=_line(path, where[-1]), field=field, remedy=remedy)
    return StrategyError(first["msg"], file=path, line=_line(path, where[-1]) if where else None, field=field)


_KINDS = {"text", "items", "choice", "scale", "score", "logprob", "reward"}


def _line(path: Path, key: str) -> int | None:
    lines = path.read_text("utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.search(rf"\b{re.escape(key)}\b\s*=", line)), None)


def _check_order(strategy: Strategy, path: Path) -> None:
    """Steps may only refer to what was asked before them, and something must decide."""
    names: list[str] = []
    for step in strategy.steps:
        if step.name in names:
            raise StrategyError(f"two steps are called {step.name!r}", file=path)
        for key in ("over", "if_orders_disagree_on"):
            named = getattr(step.file, key)
            if isinstance(named, str) and named not in names:
                raise StrategyError(f"no earlier step is called {named!r}", file=path, line=_line(path, key), field=key)
        names.append(step.name)
    _check_deciding(strategy, path)


def _check_deciding(strategy: Strategy, path: Path) -> None:
    named = strategy.file.decided_by
    wanted: Iterable[str] = () if named is None else (named,) if isinstance(named, str) else named
    known = [step.name for step in strategy.steps if step.decides]
    for name in wanted:
        if name not in known:
            raise StrategyError(
                f"{name!r} is no step with a preference",
                file=path,
                line=_line(path, "decided_by"),
                field="decided_by",
                remedy=suggestion(name, known),
            )
    if not known:
        raise StrategyError("no step states a preference", file=path, remedy="read one as choice, scale or score")
    for step in strategy.deciding:
        if step.per == "pair":
            told = f"step {step.name!r} decides, so it cannot be asked per pair"
            raise StrategyError(told, file=path, remedy='use per = "order" or per = "output"')
    if strategy.file.orders == "free" and any(step.per == "order" for step in strategy.deciding):
        raise StrategyError('orders = "free" cannot be decided per order', file=path, field="orders")


def _check_readers(strategy: Strategy, path: Path) -> None:
    """Each reader reads its own example reply back; a score per order must name both outputs."""
    for step in strategy.steps:
        reader, labels = step.file.read, strategy.file.labels
        if isinstance(reader, ScoreReader) and reader.both != (step.per == "order"):
            told = "a score per order names both outputs" if step.per == "order" else "this step scores one output"
            remedy = "put {label} into the pattern" if step.per == "order" else "take {label} out of the pattern"
            raise StrategyError(told, file=path, line=_line(path, "read"), field=f"{step.name}.read", remedy=remedy)
        if not isinstance(reader, (ChoiceReader, ScaleReader, ScoreReader)):
            continue
        for value in (1.0, -1.0):
            response = reader.express(value, labels)
            reading = reader.read(response, labels)
            got = (
                reading.margin
                if reading.margin is not None or reading.value is None
                else _signed(reading.value, reader)
            )
            if got is None or got * value <= 0:
                told = f"the pattern does not read the example reply {response.text!r}"
                raise StrategyError(told, file=path, line=_line(path, "read"), field=f"{step.name}.read")


def _signed(value: object, reader: Reader) -> float | None:
    if isinstance(reader, ScoreReader) and isinstance(value, float):
        return value - (reader.min + reader.max) / 2
    return None
