"""What several commands share: options, and values as they are typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from llmbar.errors import UsageError, suggestion

Results = Annotated[
    Path, typer.Option("--results", envvar="LLMBAR_RESULTS", help="The folder of runs and of stored responses.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but the result.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


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
    import yaml

    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"not YAML: {' '.join(str(error).split())}", file=path) from None
    if not isinstance(values, dict):
        raise UsageError("holds no mapping of options", file=path, remedy="write option: value")
    context.default_map = {**(context.default_map or {}), **_named(values, context, path)}
    return path


def _named(values: dict[Any, Any], context: typer.Context, path: Path) -> dict[str, object]:
    """Options by the name of their parameter; `temperature`, `max-tokens` and `max_tokens` are all understood."""
    known = {}
    for parameter in context.command.params:
        for flag in parameter.opts:
            known[flag.lstrip("-").replace("-", "_")] = parameter
    found: dict[str, object] = {}
    for key, value in values.items():
        wanted = known.get(str(key).replace("-", "_"))
        if wanted is None:
            line = next((n for n, text in enumerate(path.read_text("utf-8").splitlines(), 1) if str(key) in text), None)
            raise UsageError(f"no option is called {key!r}", file=path, line=line, remedy=suggestion(str(key), known))
        found[str(wanted.name)] = [*map(str, value)] if isinstance(value, list) else _as_typed(wanted, value)
    return found


def _as_typed(parameter: Any, value: object) -> object:
    if isinstance(value, dict):
        return [f"{key}={each}" for key, each in value.items()]
    return [str(value)] if parameter.multiple else value
