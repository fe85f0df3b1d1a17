"""`doctor`: what a judge can do, before a run depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmbar.cli.options import AsJson, key_values, option

if TYPE_CHECKING:
    from llmbar.judges import JudgeOptions
    from llmbar.judges.examining import Finding


def register(app: typer.Typer) -> None:
    app.command(context_settings={"auto_envvar_prefix": "LLMBAR"})(doctor)


def doctor(
    model: Annotated[list[str], option("-m", "--model", help="A judge, such as openai/gpt-4o (repeatable).")],
    base_url: Annotated[list[str] | None, option("--base-url", help="Where the endpoint is.")] = None,
    model_arg: Annotated[
        list[str] | None, option("-M", "--model-arg", metavar="KEY=VALUE", help="Passed to the judge (repeatable).")
    ] = None,
    deadline: Annotated[float, option("--deadline", min=0.001, help="Seconds for one question.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Try what a judge can do, one question each: answer, choose, tell probabilities, repeat itself.

    Exit code 1 if something is missing that every run needs.
    """
    import asyncio

    from llmbar.judges import JudgeOptions

    options = JudgeOptions(base_urls=tuple(base_url or ()), args=key_values(model_arg, "-M"), deadline=deadline)
    found = asyncio.run(_examine_all(model, options, quiet=as_json))
    if as_json:
        _print_json(found)
    if any(finding.needed and not finding.works for findings in found.values() for finding in findings):
        raise typer.Exit(1)


async def _examine_all(names: list[str], options: JudgeOptions, *, quiet: bool) -> dict[str, list[Finding]]:
    """Findings by judge, each printed as soon as it is there."""
    from llmbar.judges.examining import examine

    found: dict[str, list[Finding]] = {}
    for name in names:
        if not quiet:
            print(name, flush=True)
        async for finding in examine(name, options):
            found.setdefault(name, []).append(finding)
            if not quiet:
                print(line(finding), flush=True)
    return found


def line(finding: Finding) -> str:
    """One finding as a line: what works, what does not though it must, what is merely not there."""
    mark = "yes" if finding.works else "FAILS" if finding.needed else "no"
    return f"  {finding.ability:<24}{mark:<6} {finding.seen}"


def _print_json(found: dict[str, list[Finding]]) -> None:
    import json
    from dataclasses import asdict

    print(json.dumps({name: [asdict(finding) for finding in findings] for name, findings in found.items()}, indent=1))
