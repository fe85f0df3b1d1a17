"""`correct`, `power` and `explain`: for those who use a judge, plan a comparison, or read a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from llmbar.cli.options import AsJson, field_map


def register(app: typer.Typer) -> None:
    app.command()(correct)
    app.command()(power)
    app.command()(explain)


def correct(
    traffic: Annotated[Path, typer.Argument(metavar="TRAFFIC", help="Verdicts on unlabelled pairs (column verdict).")],
    labelled: Annotated[
        Path, typer.Argument(metavar="LABELLED", help="A labelled sample of such pairs (columns verdict, gold).")
    ],
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="FIELD=COLUMN", help="Where a field stands, if not by name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Correct a judge's win rate on your own traffic by a small labelled sample.

    Both files (CSV, JSONL, JSON or Parquet) hold one pair per row and speak of output 1: 1 or win, 2 or loss, tie.
    """
    from llmbar.cli.advice import correction_as_dict, print_correction
    from llmbar.stats.correction import correct_win_rate
    from llmbar.stats.verdicts import encode
    from llmbar.traffic import read_labelled, read_verdicts

    fields = field_map(field)
    unlabelled = read_verdicts(traffic, fields)
    verdicts, gold = read_labelled(labelled, fields)
    found = correct_win_rate(encode(unlabelled), encode(verdicts), encode(gold))
    if as_json:
        print(json.dumps(correction_as_dict(found), indent=1))
    else:
        print_correction(found)


def power(
    pairs: Annotated[int | None, typer.Option("-n", "--pairs", min=1, help="What so many pairs can show.")] = None,
    difference: Annotated[
        float | None, typer.Option("--difference", help="How many pairs show this difference (5 points: 0.05).")
    ] = None,
    sd: Annotated[
        float, typer.Option("--sd", help="Of the pairs' differences; 0.26: two strategies of one judge on LLMBar.")
    ] = 0.26,
    discordant: Annotated[
        list[float] | None,
        typer.Option("--discordant", help="Share of pairs on which just one of the two is right, for McNemar's test."),
    ] = None,
    wanted: Annotated[float, typer.Option("--power", help="The chance to detect a true difference.")] = 0.8,
    alpha: Annotated[float, typer.Option("--alpha", help="The chance to find one where there is none.")] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Plan a comparison of two judges: the difference that so many pairs can show, or the pairs that it takes."""
    from llmbar.cli.advice import Plan, plan_as_dict, print_plan

    plan = Plan(pairs, difference, sd, tuple(discordant or (0.1, 0.2, 0.3)), wanted, alpha)
    plan.check()
    if as_json:
        print(json.dumps(plan_as_dict(plan), indent=1))
    else:
        print_plan(plan)


def explain(
    term: Annotated[list[str] | None, typer.Argument(metavar="TERM", help="A column or a statistic.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a column or a statistic is, how to read it, and whose it is; without TERM, list all."""
    from llmbar.cli.advice import guide, told
    from llmbar.terms import TERMS, find

    terms = [find(" ".join(term))] if term else list(TERMS.values())
    if as_json:
        print(json.dumps([each.as_dict() for each in terms], indent=1, ensure_ascii=False))
    else:
        print(told(terms[0]) if term else guide())
