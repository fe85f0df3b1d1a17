"""Strategies: how a judge is asked. One folder each: `strategy.toml` and a Jinja template per step.

Everything a strategy can say stands in the two models below. An unknown key, a reference to a step that is not there, a
template error and an undeclared variable are found at load, with file, line and a suggestion; each reader must also
read its own example reply.
"""

from __future__ import annotations

import re
import reprlib
import tomllib
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmbar.errors import StrategyError, UsageError, suggestion
from llmbar.files import prompts_folder
from llmbar.reading import (
    ChoiceReader,
    ItemsReader,
    Labels,
    LogprobReader,
    Reader,
    RewardReader,
    ScoreReader,
    TextReader,
)
from llmbar.records import Message, Sampling, digest
from llmbar.templates import Templates, Turn, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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

    @property
    def template(self) -> str:
        """The template's file name."""
        return self.prompt or f"{self.name}.jinja"

    @property
    def decides(self) -> bool:
        """Whether its replies can carry a preference."""
        return not isinstance(self.read, TextReader | ItemsReader)

    @property
    def several(self) -> bool:
        """Whether it is asked more than once in an order or about an output."""
        return self.over is not None or self.samples > 1

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

    @property
    def named(self) -> tuple[str, ...]:
        """The steps that `decided_by` names."""
        return (self.decided_by,) if isinstance(self.decided_by, str) else self.decided_by or ()

    @property
    def deciding(self) -> tuple[StepFile, ...]:
        """The steps whose margins decide, as declared; else all that can, of which the last asked counts."""
        return tuple(step for step in self.steps if (step.name in self.named if self.named else step.decides))


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

    def render(self, context: Mapping[str, object]) -> tuple[Message, ...]:
        """The messages that are sent, from what the step can see.

        Raises:
            StrategyError: the template names something that is not there for this pair.
        """
        return tuple(turn.render(context) for turn in self.turns)


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
        names = {step.name for step in self.file.deciding}
        return tuple(step for step in self.steps if step.name in names)


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
    return sorted(_folders())


def _folders() -> dict[str, Path]:
    """Every strategy's folder by its name; of two of the same name the user's own."""
    files = (file for root in (prompts_folder(), Path("prompts")) for file in sorted(root.glob("*/strategy.toml")))
    return {file.parent.name: file.parent for file in files if file.is_file()}


def _folder(name: str) -> Path:
    folders, path = _folders(), Path(name)
    if name in folders:
        return folders[name]
    path = path.parent if path.name == "strategy.toml" else path
    if (path / "strategy.toml").is_file():
        return path.resolve()
    if path.exists() and path.name != name:
        raise StrategyError("holds no file strategy.toml", file=path, remedy="name the folder of a strategy")
    called = sorted(own for own, folder in folders.items() if name in _aliases(folder))
    if len(called) > 1:
        told = f"several strategies are also called {name!r}: {', '.join(called)}"
        raise StrategyError(told, remedy="name one, or take the alias out of your own")
    if not called:
        raise StrategyError(f"no strategy is called {name!r}", remedy=suggestion(name, folders))
    return folders[called[0]]


def _aliases(folder: Path) -> Sequence[object]:
    found = _Toml.read(folder / "strategy.toml").data.get("aliases", ())
    return found if isinstance(found, list) else ()


def _load(folder: Path) -> Strategy:
    toml = _Toml.read(folder / "strategy.toml")
    try:
        file = StrategyFile.model_validate(toml.data)
    except ValidationError as error:
        raise _bad_value(toml, error) from None
    _check_steps(file, toml)
    _check_deciding(file, toml)
    _check_readers(file, toml)
    templates = Templates([folder, folder.parent, prompts_folder()], file.labels)
    steps = tuple(_step(file, index, toml, templates) for index in range(len(file.steps)))
    return Strategy(folder.name, file, steps, {"strategy.toml": toml.text, **templates.sources})


def _step(file: StrategyFile, index: int, toml: _Toml, templates: Templates) -> Step:
    step = file.steps[index]
    path = templates.find(step.template)
    if path is None:
        told, key = f"there is no template {step.template!r}", "prompt" if step.prompt else "name"
        raise toml.mistake(told, "steps", index, key, remedy=suggestion(step.template, templates.names()))
    return Step(step, path, templates.turns(step.template, path, visible(file, index)))


def visible(file: StrategyFile, index: int) -> set[str]:
    """The names that a step's template may use: the pair's, the item's, and those of earlier steps."""
    step = file.steps[index]
    names = {"instruction", *(earlier.name for earlier in file.steps[:index])}
    names |= {"output"} if step.per == "output" else {"first", "second", "first_label", "second_label"}
    if step.over is not None:
        names |= {"item", "said"} if step.in_turn else {"item"}
    return names


# -- strategy.toml ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Toml:
    """A `strategy.toml` as it was read, and where its keys are."""

    path: Path
    text: str
    data: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> _Toml:
        text = text_of(path)
        try:
            return cls(path, text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            at = re.search(r"at line (\d+)", str(error))
            line = int(at[1]) if at else text.count("\n") + 1
            raise StrategyError(f"not TOML: {error}", file=path, line=line) from None

    def mistake(self, told: str, *at: str | int, remedy: str | None = None) -> StrategyError:
        """An error at a key, given as pydantic does: `"steps", 1, "read", "pattern"`."""
        return StrategyError(told, file=self.path, line=self.line(at), field=self.field(at), remedy=remedy)

    def field(self, at: Sequence[str | int]) -> str | None:
        """A key's name in full, steps by their own names: `verdict.read.pattern`."""
        match at:
            case ["steps", int(index), *rest]:
                step = self.data["steps"][index]
                name = step.get("name") if isinstance(step, dict) else None
                return ".".join(map(str, [name or f"steps.{index}", *rest]))
        return ".".join(map(str, at)) or None

    def line(self, at: Sequence[str | int]) -> int:
        """The line of a key: looked for in its own `[[steps]]` table, below each key that holds it."""
        lines = self.text.split("\n")
        heads = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[\s*steps\s*\]\]", line)]
        found, end = 0, [*heads, len(lines)][0]
        match at:
            case ["steps", int(index), *rest] if index < len(heads):
                found, end, at = heads[index], [*heads, len(lines)][index + 1], rest
            case ["steps", *_]:  # written as an array of inline tables
                end = len(lines)
        for key in (each for each in at if isinstance(each, str)):
            wanted = re.compile(rf"""(?:^|[\[{{,.])\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
            found = next((number for number in range(found, end) if wanted.search(lines[number])), found)
        return found + 1


def _bad_value(toml: _Toml, error: ValidationError) -> StrategyError:
    first = error.errors()[0]
    at, value = _keys(first["loc"]), first["input"]
    match first["type"]:
        case "extra_forbidden":
            return toml.mistake("unknown key", *at, remedy=suggestion(str(at[-1]), _known(toml, at)))
        case "missing":
            return toml.mistake("is missing", *at, remedy=f"add {at[-1]} = …")
        case "union_tag_invalid":
            kind = str(value["kind"])
            return toml.mistake(f"no reader is called {kind!r}", *at, "kind", remedy=suggestion(kind, _READERS))
        case "union_tag_not_found":
            return toml.mistake("names no kind", *at, remedy=suggestion("", _READERS))
    return toml.mistake(first["msg"].removeprefix("Value error, "), *at, remedy=f"not {reprlib.repr(value)}")


_READERS: dict[str, type[BaseModel]] = {
    get_args(reader.model_fields["kind"].annotation)[0]: reader for reader in get_args(get_args(Reader)[0])
}


def _keys(loc: Sequence[str | int]) -> Sequence[str | int]:
    """Where a value stands, without what pydantic adds: the reader's kind, the branch of a union."""
    match loc:
        case ["steps", int(index), "read", _, *rest]:
            return ["steps", index, "read", *rest]
        case ["steps", int(index), "over", *_]:
            return ["steps", index, "over"]
        case ["decided_by", *_]:
            return ["decided_by"]
    return loc


def _known(toml: _Toml, at: Sequence[str | int]) -> Iterable[str]:
    """The keys that may stand where an unknown one does."""
    match at:
        case ["steps", int(index), "read", _]:
            return _READERS[toml.data["steps"][index]["read"]["kind"]].model_fields
        case ["steps", int(), "sampling", _]:
            return Sampling.model_fields
        case ["steps", int(), _]:
            return StepFile.model_fields
    return StrategyFile.model_fields


_RESERVED = {"instruction", "first", "second", "first_label", "second_label", "output", "item", "said", "loop"}


def _check_steps(file: StrategyFile, toml: _Toml) -> None:
    """Every step has a name of its own and refers only to what is asked before it."""
    for index, step in enumerate(file.steps):
        earlier = {each.name: each for each in file.steps[:index]}
        if step.name in earlier:
            raise toml.mistake(f"two steps are called {step.name!r}", "steps", index, "name", remedy="rename one")
        if step.name in _RESERVED:
            told = f"in a template {step.name!r} means something else"
            raise toml.mistake(told, "steps", index, "name", remedy="rename the step")
        if step.in_turn and step.over is None:
            raise toml.mistake("nobody to take turns", "steps", index, "in_turn", remedy="name a cast with over")
        lists, verdicts = _lists(earlier.values(), step), _verdicts(earlier.values())
        if isinstance(step.over, str) and step.over not in lists:
            told, remedy = f"no earlier step {step.over!r} lists items for it", suggestion(step.over, lists)
            raise toml.mistake(told, "steps", index, "over", remedy=remedy)
        if (named := step.if_orders_disagree_on) is not None and named not in verdicts:
            told, remedy = f"no earlier step {named!r} has a verdict per order", suggestion(named, verdicts)
            raise toml.mistake(told, "steps", index, "if_orders_disagree_on", remedy=remedy)


def _lists(earlier: Iterable[StepFile], step: StepFile) -> list[str]:
    """The steps whose items `step` can go through: one list for all, or one for each place where it is asked itself."""
    return [
        each.name
        for each in earlier
        if isinstance(each.read, ItemsReader) and not each.several and each.per in {"pair", step.per}
    ]


def _verdicts(earlier: Iterable[StepFile]) -> list[str]:
    return [each.name for each in earlier if each.per == "order" and each.decides]


def _check_deciding(file: StrategyFile, toml: _Toml) -> None:
    known = [step.name for step in file.steps if step.decides]
    if not known:
        raise toml.mistake("no step states a preference", "steps", 0, remedy="read one as choice, scale or score")
    for name in file.named:
        if name not in known:
            told = f"{name!r} is no step with a preference"
            raise toml.mistake(told, "decided_by", remedy=suggestion(name, known))
    for index, step in enumerate(file.steps):
        if step in file.deciding and step.per == "pair":
            told = f"step {step.name!r} decides, so it cannot be asked per pair"
            raise toml.mistake(told, "steps", index, "per", remedy='use per = "order" or per = "output"')
    ordered = any(step.per == "order" for step in file.deciding)
    if file.orders == "free" and ordered:
        raise toml.mistake('orders = "free" cannot be decided per order', "orders", remedy="name others in decided_by")
    if file.orders != "free" and not ordered:
        told = "decided per output, so the order plays no part"
        raise toml.mistake(told, "orders", remedy='write orders = "free"')


def _check_readers(file: StrategyFile, toml: _Toml) -> None:
    """Each reader fits what its step asks about, and reads its own example reply back."""
    for index, step in enumerate(file.steps):
        at = ("steps", index, "read")
        told, remedy = _unfit(step)
        if told:
            raise toml.mistake(told, *at, remedy=remedy)
        if not _proved(step, file.labels):
            example = step.read.express(1.0, file.labels).text
            told = f"the pattern does not read the example reply {example!r}"
            raise toml.mistake(told, *at, remedy="let pattern and reply fit each other")


def _unfit(step: StepFile) -> tuple[str | None, str | None]:
    """What a reader cannot be asked, and the remedy: one for two outputs about one, and the other way round."""
    reader, one = step.read, step.per == "output"
    if isinstance(reader, RewardReader) and not one:
        return "a reward is of one output", 'use per = "output"'
    if isinstance(reader, ScoreReader) and reader.both and one:
        return "this step scores one output", "take {label} out of the pattern"
    if isinstance(reader, ScoreReader) and not reader.both and not one:
        return f"a score per {step.per} names both outputs", "put {label} into the pattern"
    if isinstance(reader, ChoiceReader | LogprobReader) and one and reader.labels is None:
        return "labels name two outputs, and this step shows one", 'add labels such as ["yes", "no"]'
    return None, None


def _proved(step: StepFile, labels: Labels) -> bool:
    """Whether what a reader says for the first, and against it, and of a tie, is read back as such."""
    reader = step.read
    high, low, even = (reader.read(reader.express(value, labels), labels) for value in (1.0, -1.0, 0.0))
    if not step.decides:
        return high.cause is None
    if isinstance(reader, ChoiceReader) and reader.tie is not None and even.margin != 0:
        return False
    if step.per == "output":
        return isinstance(high.value, float) and isinstance(low.value, float) and high.value > low.value
    return high.margin is not None and low.margin is not None and high.margin > 0 > low.margin
