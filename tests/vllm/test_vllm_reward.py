"""A reward model on a server that llmbar starts by itself, compared with transformers."""

from __future__ import annotations

import asyncio

import pytest
from vllm_server import SMALL, processes

from llmbar.judges import JudgeOptions
from llmbar.runs import arun, plan


@pytest.fixture(scope="module")
def rewarded(tiny, dataset, tmp_path_factory):
    """Ten pairs of each subset, by a model's folder: the server lives as long as the run."""
    planned = plan(
        dataset,
        judge=f"reward/{tiny / 'reward'}",
        strategies="reward",
        options=JudgeOptions(args=SMALL),
        limit=10,
        results=tmp_path_factory.mktemp("results"),
    )
    return asyncio.run(arun(planned))


def test_rewards_are_those_of_transformers(rewarded, tiny, torch_python):
    pairs = {pair.id: pair for pair in rewarded.folder.pairs()}
    asked, told = [], []
    for judgment in rewarded.folder.judgments():
        for reply in judgment.replies:
            pair = pairs[judgment.pair]
            output = pair.output_1 if reply.output == 1 else pair.output_2
            asked.append([{"role": "user", "content": pair.instruction}, {"role": "assistant", "content": output}])
            told.append(reply.reward)
    assert len(told) == 2 * 50
    assert told == pytest.approx(torch_python("oracle.py", "rewards", tiny / "reward", given=asked), abs=1e-3)


def test_the_higher_reward_wins_whatever_the_order(rewarded):
    for judgment in rewarded.folder.judgments():
        rewards = {reply.output: reply.reward for reply in judgment.replies}
        assert judgment.final == ("1" if rewards[1] > rewards[2] else "2")
        assert judgment.original == judgment.swapped == judgment.final


def test_the_server_ended_with_the_run(rewarded, tiny):
    assert processes(str(tiny / "reward")) == []
