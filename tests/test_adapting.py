from __future__ import annotations

import asyncio

import pytest
from openai_server import Reply, error, serving

from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.adapting import Adaptations, folded
from llmbar.judges.presets import PRESETS, find_preset
from llmbar.records import FailureKind, Message, Request, Sampling
from llmbar.store import Store

SYSTEM = (Message("system", "You judge."), Message("user", "Which?"))
EXTRA = '{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],'
EXTRA += '"msg":"Extra inputs are not permitted","input":9}]},"type":"invalid_request_error"}'


@pytest.fixture(autouse=True)
def key(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


def picky(refusals):
    """A server that refuses a body for the first of `refusals` that applies: (what is wrong with it, its reply)."""

    def answer(body):
        return next((reply for wrong, reply in refusals if wrong(body)), Reply("well"))

    return answer


def has(name):
    return lambda body: name in body


def ask(answer, sampling=None, *, messages=SYSTEM, name="openai/gpt-4o", times=1, store=None, args=None):
    """Responses to `times` different requests at once, the server and the judge."""

    async def answered():
        async with serving(answer) as server:
            options = JudgeOptions(base_urls=(server.base_url,), deadline=5, args=args or {})
            async with open_judge(name, options, store=store) as judge:
                requests = [Request(messages, sampling or Sampling(), sample=sample) for sample in range(times)]
                return await asyncio.gather(*map(judge.answer, requests)), server, judge

    return asyncio.run(answered())


UNSUPPORTED = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
)
ONLY_DEFAULT = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
BOTH = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."


@pytest.mark.parametrize(
    ("sampling", "refusal", "sent"),
    [
        (
            {"max_tokens": 9},
            (has("max_tokens"), error(400, UNSUPPORTED, param="max_tokens", code="unsupported_parameter")),
            {"temperature": 0.0, "max_completion_tokens": 9},
        ),
        ({}, (has("temperature"), error(400, ONLY_DEFAULT, param="temperature", code="unsupported_value")), {}),
        ({}, (has("temperature"), error(400, "`temperature` is deprecated for this model.")), {}),
        ({"top_p": 0.9}, (has("top_p"), error(400, BOTH)), {"temperature": 0.0}),
        ({"seed": 7}, (has("seed"), error(400, "Unrecognized request argument supplied: seed")), {"temperature": 0.0}),
        (
            {"seed": 7},
            (
                has("seed"),
                Reply(payload=[{"error": {"code": 400, "message": 'Unknown name "seed": no field'}}], status=400),
            ),
            {"temperature": 0.0},
        ),
        (
            {"logit_bias": {"1": 2.0}},
            (has("logit_bias"), error(400, "property 'logit_bias' is unsupported")),
            {"temperature": 0.0},
        ),
        (
            {"reasoning_effort": "low", "stop": ("END",)},
            (has("stop"), error(400, "Unsupported parameter: 'stop' is not supported with this model.", param="stop")),
            {"temperature": 0.0, "reasoning_effort": "low"},
        ),
    ],
)
def test_what_is_refused_by_name_is_left_out_once_for_all(sampling, refusal, sent):
    responses, server, judge = ask(picky([refusal]), Sampling(**sampling), times=5)
    assert [response.text for response in responses] == ["well"] * 5
    answered = [asked.body for asked in server.asked if not refusal[0](asked.body)]
    assert len(answered) == 5
    for body in answered:
        got = {name: value for name, value in body.items() if name not in {"model", "messages"}}
        assert got == {**sent, **({"seed": body["seed"]} if "seed" in sent else {})}
    assert len(server.asked) <= 10
    assert len(judge.adaptations) == (0 if "max_completion_tokens" in sent else 1)
    assert judge.tally.asked == 5
    assert judge.tally.retries == 0


def test_once_it_is_known_nothing_is_refused_again():
    async def ask_in_turn():
        refusal = (has("temperature"), error(400, ONLY_DEFAULT, param="temperature"))
        async with serving(picky([refusal])) as server:
            async with open_judge("openai/m", JudgeOptions(base_urls=(server.base_url,))) as judge:
                for sample in range(4):
                    await judge.answer(Request(SYSTEM, sample=sample))
            return server.asked

    assert len(asyncio.run(ask_in_turn())) == 5


def test_a_limit_that_has_neither_name_is_dropped():
    refusals = [
        (has("max_tokens"), error(400, UNSUPPORTED, param="max_tokens")),
        (has("max_completion_tokens"), Reply(raw=EXTRA.encode(), status=422)),
    ]
    (response,), server, judge = ask(picky(refusals), Sampling(max_tokens=9))
    assert response.text == "well"
    assert len(server.asked) == 3
    assert judge.adaptations[0].startswith("max_completion_tokens is not sent: ")


@pytest.mark.parametrize(
    "said",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "Only user and assistant roles are supported!",
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_refused_system_role_is_folded_into_the_user_turn(said, status):
    refusal = (lambda body: body["messages"][0]["role"] == "system", error(status, said))
    (response,), server, judge = ask(picky([refusal]))
    assert response.text == "well"
    assert [asked.body["messages"] for asked in server.asked] == [
        [{"role": "system", "content": "You judge."}, {"role": "user", "content": "Which?"}],
        [{"role": "user", "content": "You judge.\n\nWhich?"}],
    ]
    assert judge.adaptations == (f"the system turn is part of the first user turn: {said.rstrip('.')[:160]}",)


def test_folding_keeps_the_conversation():
    turns = [("system", "s"), ("assistant", "a"), ("user", "u")]
    shaped = folded([{"role": role, "content": text} for role, text in turns])
    assert [(turn["role"], turn["content"]) for turn in shaped] == [("user", "s"), ("assistant", "a"), ("user", "u")]
    assert folded([{"role": "system", "content": "s"}]) == [{"role": "user", "content": "s"}]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (
            error(400, "Invalid value for 'temperature': must be at most 2", param="temperature"),
            FailureKind.BAD_REQUEST,
        ),
        (error(400, "max_tokens is too large: 9. This model supports at most 4 tokens"), FailureKind.BAD_REQUEST),
        (
            error(
                400, "'max_tokens' is too large: 9. This model's maximum context length is 8 tokens", param="max_tokens"
            ),
            FailureKind.CONTEXT_LENGTH,
        ),
        (error(400, "System role not supported"), FailureKind.BAD_REQUEST),
        (error(400, ONLY_DEFAULT, param="temperature"), FailureKind.BAD_REQUEST),
        (error(400, UNSUPPORTED, param="max_tokens"), FailureKind.BAD_REQUEST),
        (error(422, "top_k: Extra inputs are not permitted", param="top_k"), FailureKind.BAD_REQUEST),
    ],
)
def test_whoever_refuses_everything_is_not_asked_for_ever(reply, kind):
    (response,), server, _ = ask(lambda _: reply, Sampling(max_tokens=9), args={"top_k": "5"})
    assert response.failure.kind is kind
    assert len(server.asked) <= 3
    assert all(asked.body["top_k"] == 5 for asked in server.asked)


def test_a_stored_response_still_says_how_it_was_asked(tmp_path):
    refusal = (has("temperature"), error(400, ONLY_DEFAULT, param="temperature"))
    with Store.open(tmp_path / "s.sqlite") as store:
        port_of_the_first = []

        async def ask_at(answer, port=0):
            async with serving(answer, port=port) as server:
                port_of_the_first.append(int(server.base_url.split(":")[2].partition("/")[0]))
                async with open_judge("openai/m", JudgeOptions(base_urls=(server.base_url,)), store=store) as judge:
                    return await judge.answer(Request(SYSTEM)), server, judge

        first, _, told = asyncio.run(ask_at(picky([refusal])))
        again, server, judge = asyncio.run(ask_at(lambda _: "other", port_of_the_first[0]))
    assert again == first
    assert server.asked == []
    assert judge.adaptations == told.adaptations == (f"temperature is not sent: {ONLY_DEFAULT.rstrip('.')}",)


def test_what_a_provider_is_known_to_ignore_is_not_sent_and_said():
    asked = {"model": "m", "messages": [], "seed": 7, "temperature": 0.0}
    sent, notes = Adaptations(PRESETS["anthropic"]).shaped(asked)
    assert sent == {"model": "m", "messages": [], "temperature": 0.0}
    assert notes == ("seed is not sent: the provider ignores it",)
    assert Adaptations(PRESETS["mistral"]).shaped(asked)[0]["random_seed"] == 7
    assert Adaptations(find_preset("openai-api/x/m", "x/m")[0]).shaped(asked) == (asked, ())
