"""`ls` and `render`: what there is, and what exactly is asked."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from llmbar.cli.options import RESULTS, AsJson, Results


class What(StrEnum):
    """What can be listed."""

    MODELS = "models"
    STRATEGIES = "strategies"
    DATASETS = "datasets"
    RUNS = "runs"


def register(app: typer.Typer) -> None:
    app.command()(ls)
    app.command()(render)


def ls(
    what: Annotated[What, typer.Argument(help="What to list.")],
    results: Results = RESULTS,
    as_json: AsJson = False,
) -> None:
    """List judges, strategies, pair sets or runs."""
    from llmbar.cli import listing
    from llmbar.cli.printing import print_rows

    match what:
        case What.MODELS:
            rows = listing.models()
        case What.STRATEGIES:
            rows = listing.strategies()
        case What.DATASETS:
            rows = listing.datasets()
        case What.RUNS:
            rows = listing.runs(results)
    print_rows(rows, as_json=as_json)


def render(
    strategy: Annotated[str, typer.Argument(help="A strategy: name, alias or folder.")],
    dataset: Annotated[str, typer.Option("-d", "--dataset", help="Where the pair is.")] = "starter",
    pair: Annotated[str | None, typer.Option("--pair", metavar="ID", help="Which pair; the first by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the very messages that a strategy sends for a pair; what a judge would say stands in brackets."""
    import asyncio

    from llmbar.cli.printing import print_requests
    from llmbar.engine import rehearse
    from llmbar.errors import UsageError, suggestion
    from llmbar.pairs import load_pairs
    from llmbar.strategy import load_strategy

    pairs = {each.id: each for each in load_pairs(dataset)}
    chosen = pair or next(iter(pairs))
    if chosen not in pairs:
        raise UsageError(f"{dataset} has no pair {chosen!r}", field="--pair", remedy=suggestion(chosen, pairs))
    print_requests(asyncio.run(rehearse(pairs[chosen], load_strategy(strategy))), as_json=as_json)
