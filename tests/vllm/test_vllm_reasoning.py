"""A judge whose template opens with thoughts: vLLM takes them out of the reply, and they can be switched off."""

from __future__ import annotations

import asyncio

import pytest
from vllm_server import SMALL, server_in_thread

from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.examining import LABELS, PROMPT
from llmbar.reading import ChoiceReader
from llmbar.records import Cause, Constraint, Message, Request, Sampling

ASKED = (Message("user", PROMPT),)
FREE = Request(ASKED, Sampling(max_tokens=12))
HELD = Request(ASKED, Sampling(max_tokens=50), Constraint("choice", LABELS))
WEIGHED = Request(ASKED, Sampling(), Constraint("logprobs", LABELS))
SILENT = {"chat_template_kwargs": '{"enable_thinking": false}'}


@pytest.fixture(scope="module")
def thinking(tiny):
    args = {**SMALL, "chat_template": str(tiny / "reasoning.jinja"), "reasoning_parser": "qwen3"}
    with server_in_thread(tiny / "judge", args) as server:
        yield server


def answers(server, *requests, args=None):
    async def answered():
        options = JudgeOptions(base_urls=(server.base_url,), args=args or {}, deadline=120)
        async with open_judge(f"vllm/{server.model}", options) as judge:
            return [await judge.answer(request) for request in requests], judge.facts

    return asyncio.run(answered())


def test_thoughts_that_never_end_are_no_reply(thinking):
    ((response,), _) = answers(thinking, FREE)
    assert response.failure is None
    assert (response.text, response.finish_reason) == ("", "length")
    assert response.reasoning
    assert ChoiceReader(kind="choice").read(response, LABELS).cause is Cause.TRUNCATED


def test_thoughts_can_be_left_out_of_what_is_sent_back(thinking):
    ((response,), _) = answers(thinking, FREE, args={"include_reasoning": "false"})
    assert (response.text, response.reasoning) == ("", "")


def test_without_thoughts_a_reply_is_held_to_its_choice(thinking):
    ((held, free), _) = answers(thinking, HELD, FREE, args=SILENT)
    assert held.text in LABELS
    assert free.text
    assert not held.reasoning
    assert not free.reasoning


def test_without_thoughts_labels_are_weighed_behind_the_empty_ones(thinking, tiny, torch_python):
    ((response,), _) = answers(thinking, WEIGHED, args=SILENT)
    messages = [{"role": message.role, "content": message.content} for message in ASKED]
    questions = [{"messages": messages, "labels": LABELS, "kwargs": {"enable_thinking": on}} for on in (False, True)]
    template = tiny / "reasoning.jinja"
    silent, loud = torch_python("oracle.py", "labels", tiny / "judge", template, given=questions)
    assert response.label_logprobs == pytest.approx(silent, abs=1e-3)
    assert response.label_logprobs != pytest.approx(loud, abs=1e-3)


def test_the_facts_tell_one_rendering_from_another(thinking):
    (_, loud), (_, silent) = answers(thinking), answers(thinking, args=SILENT)
    assert loud["rendering"] != silent["rendering"]
