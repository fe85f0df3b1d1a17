"""What several commands share: options, and values as they are typed."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmbar.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

option = partial(typer.Option, show_envvar=False)
"""An option whose environment variable (`LLMBAR_` and its long name) is told once for all, not beside each."""

RESULTS = Path("results")

Results = Annotated[
    Path, typer.Option("--results", envvar="LLMBAR_RESULTS", help="The folder of runs and of stored responses.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", allow_from_autoenv=False, help="Print nothing but the result.")]
AsJson = Annotated[bool, typer.Option("--json", allow_from_autoenv=False, help="Print the result as JSON.")]


def run_path(named: Path, results: Path) -> Path:
    """A run's folder: a path, or else a name in the results."""
    inside = results / named
    return inside if inside.is_dir() and not named.is_dir() else named


def key_values(given: list[str] | None, flag: str) -> dict[str, str]:
    """`["a=1", "b=2"]` as a mapping.

    Raises:
        UsageError: one of them has no `=`.
    """
    found = {}
    for text in given or []:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"{text!r} has no value", field=flag, remedy="write key=value")
        found[key] = value
    return found


def field_map(given: list[str] | None) -> dict[str, str] | None:
    return key_values(given, "--field") or None


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take a YAML file's values as the command's defaults: flags and environment variables win over them.

    Raises:
        UsageError: no such file, not a mapping, or a key that the command does not have (with its line).
    """
    if path is None:
        return None
    known = dict(_long_options(context))
    found: dict[str, object] = {}
    for key, (value, line) in _read_yaml(path).items():
        name = str(key).replace("-", "_")
        if name not in known:
            raise UsageError(f"no option is called {key!r}", file=path, line=line, remedy=suggestion(name, known))
        if value is not None:
            found[str(known[name].name)] = _as_typed(known[name], value, path, line)
    context.default_map = {**(context.default_map or {}), **found}
    return path


def _long_options(context: typer.Context) -> Iterator[tuple[str, Any]]:
    """What a file may set: the command's options by their long names, `max_tokens` for `--max-tokens`."""
    for parameter in context.command.params:
        for flag in parameter.opts:
            if flag.startswith("--") and flag not in {"--config", "--help"}:
                yield flag.removeprefix("--").replace("-", "_"), parameter


def _read_yaml(path: Path) -> Mapping[object, tuple[object, int]]:
    """Key → value and line."""
    import yaml

    try:
        text = path.read_text("utf-8")
        values, node = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"not YAML: {' '.join(str(error).split())}", file=path) from None
    if not (isinstance(values, dict) and isinstance(node, yaml.MappingNode)):
        raise UsageError("holds no mapping of options", file=path, remedy="write option: value")
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
    return {key: (value, lines.get(str(key), 1)) for key, value in values.items()}


def _as_typed(parameter: Any, value: object, path: Path, line: int) -> object:
    """A value as the command line would bring it."""
    if not parameter.multiple:
        if isinstance(value, (list, dict)):
            raise UsageError("takes one value", file=path, line=line, field=parameter.name, remedy="write it alone")
        return value
    if isinstance(value, dict):
        return [f"{key}={each if isinstance(each, str) else json.dumps(each)}" for key, each in value.items()]
    return [*map(str, value)] if isinstance(value, list) else [str(value)]
