"""What was planted in a judge is what the statistics find: through the real prompts, the engine and the regression."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ProcessPoolExecutor
from math import exp, log
from multiprocessing import get_context

import pandas as pd
import pytest

from llmbar.engine import Job, judge_all
from llmbar.judges import open_judge
from llmbar.records import Pair
from llmbar.runs import verdict_frame
from llmbar.stats import bias_regression, summarize
from llmbar.strategy import load_strategy

PLANTED = {"accuracy": 0.8, "position": 0.5, "length": 0.3}
PAIRS = 20_000
SEEDS = range(20)
ENOUGH = 17
"""With honest 95 % intervals, fewer than 17 of 20 seeds cover in 1.6 % of all cases."""


def synthetic_pairs(seed):
    """Pairs whose outputs differ in length by a log-normal factor, gold on either side."""
    draw = random.Random(seed)
    for index in range(PAIRS):
        lengths = [max(2, round(exp(draw.gauss(4, 0.7)))) for _ in range(2)]
        texts = [f"{index}{letter}".ljust(length, ".") for letter, length in zip("xy", lengths, strict=True)]
        yield Pair(
            id=str(index),
            dataset="synthetic",
            subset="all",
            instruction=f"Task {index}",
            output_1=texts[0],
            output_2=texts[1],
            gold=draw.choice((1, 2)),
        )


def expected_accuracy(pairs):
    """The planted model's accuracy on these pairs, order by order, in plain arithmetic."""
    signal, total = log(PLANTED["accuracy"] / (1 - PLANTED["accuracy"])), 0.0
    for pair in pairs:
        ratio = PLANTED["length"] * log(len(pair.output_1) / len(pair.output_2))
        for first, sign in ((1, 1), (2, -1)):
            side = 1 if pair.gold == first else -1
            logit = PLANTED["position"] + side * signal + sign * ratio
            total += 1 / (1 + exp(-side * logit))
    return total / (2 * len(pairs))


def recovered(seed):
    """Seed → which planted values lie in their 95 % intervals."""
    pairs, rows = list(synthetic_pairs(seed)), []
    settings = ",".join(f"{name}={value}" for name, value in {**PLANTED, "seed": seed}.items())

    async def judge():
        def keep(judgment):
            rows.append(judgment.model_dump(exclude={"replies"}, mode="json"))

        async with open_judge(f"simulated/{settings}") as simulated:
            await judge_all((Job(pair, load_strategy("rules")) for pair in pairs), [simulated], keep)

    asyncio.run(judge())
    frame = verdict_frame(pd.DataFrame(rows), pairs, {"rules": "separate"})
    terms = bias_regression(frame).set_index("term")
    wanted = {"accuracy at equal length" if name == "accuracy" else name: value for name, value in PLANTED.items()}
    inside = {name: terms.loc[name, "low"] <= value <= terms.loc[name, "high"] for name, value in wanted.items()}
    (summary,) = summarize(frame, resamples=1000).to_dict("records")
    inside["accuracy"] = summary["accuracy_low"] <= expected_accuracy(pairs) <= summary["accuracy_high"]
    assert summary["n"] == PAIRS
    assert summary["unreadable"] == summary["failed"] == 0
    return inside


@pytest.fixture(scope="module")
def coverage():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        return pd.DataFrame(workers.map(recovered, SEEDS))


@pytest.mark.parametrize("value", ["accuracy at equal length", "position", "length", "accuracy"])
def test_a_planted_value_lies_in_its_interval_for_almost_every_seed(coverage, value):
    assert len(coverage) == len(SEEDS)
    assert coverage[value].sum() >= ENOUGH, coverage
