from __future__ import annotations

import asyncio
import json
import traceback
from dataclasses import replace
from math import log
from socket import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI
from openai_server import Reply, error, serving, serving_in_thread

from llmbar.errors import JudgeError
from llmbar.judges import JudgeOptions, open_judge, wire
from llmbar.judges.endpoint import _proxy, extra_body, identity
from llmbar.judges.presets import QUOTED, find_target
from llmbar.judges.retrying import Attempt
from llmbar.reading import ChoiceReader, LogprobReader
from llmbar.records import Cause, Constraint, FailureKind, Message, Request, Sampling, Usage
from llmbar.store import Store

KEY = "sk-test-0123456789abcdefghij"
MESSAGES = (Message("system", "You judge."), Message("user", 'Which? "é" 好\n'))
ASKING = Request(MESSAGES)
CHOICE = Request(MESSAGES, constraint=Constraint("choice", ("Output (a)", "Output (b)")))


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Only our own invented key, and no proxy or address of whoever runs the tests."""
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "VLLM_API_KEY", "VLLM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(answer, request=ASKING, *, name="openai/gpt-4o", args=None, store=None, deadline=5.0):
    """The response to one request by a judge as a user opens it, and the server."""

    async def answered():
        async with serving(answer) as server:
            options = JudgeOptions(base_urls=(server.base_url,), args=args or {}, deadline=deadline)
            async with open_judge(name, options, store=store) as judge:
                return await judge.answer(request), server

    return asyncio.run(answered())


def ask_officially(**parameters):
    """The server, after the official client sent it one request."""

    async def answered():
        async with (
            serving(lambda _: "well") as server,
            AsyncOpenAI(base_url=server.base_url, max_retries=0) as client,
        ):
            await client.chat.completions.create(**parameters)
            return server

    return asyncio.run(answered())


# What is sent


@pytest.mark.parametrize(
    ("sampling", "parameters"),
    [
        (Sampling(), {"temperature": 0.0}),
        (Sampling(temperature=None), {}),
        (Sampling(temperature=0.7, top_p=0.9, max_tokens=64), {"temperature": 0.7, "top_p": 0.9, "max_tokens": 64}),
        (
            Sampling(stop=("\n\n", "END"), seed=7, logit_bias={"100": 5.0, "9": -100.0}),
            {"temperature": 0.0, "stop": ["\n\n", "END"], "seed": 7, "logit_bias": {"100": 5.0, "9": -100.0}},
        ),
        (Sampling(reasoning_effort="low"), {"temperature": 0.0, "reasoning_effort": "low"}),
    ],
)
def test_what_is_sent_equals_what_the_official_client_sends(sampling, parameters, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    messages = [{"role": message.role, "content": message.content} for message in MESSAGES]
    (theirs,) = ask_officially(model="gpt-4o", messages=messages, **parameters).asked
    (ours,) = ask(lambda _: "well", Request(MESSAGES, sampling))[1].asked
    assert ours.body == theirs.body
    for header in ("Authorization", "Content-Type", "OpenAI-Organization", "OpenAI-Project"):
        assert ours.headers[header] == theirs.headers[header]
    assert ours.headers["Authorization"] == f"Bearer {KEY}"
    assert ours.url.removeprefix("http://").partition("/")[2] == "v1/chat/completions"
    assert theirs.url.endswith("/v1/chat/completions")


def test_a_choice_is_sent_to_vllm_as_its_documentation_says():
    choice = {"structured_outputs": {"choice": ["Output (a)", "Output (b)"]}}
    messages = [{"role": message.role, "content": message.content} for message in MESSAGES]
    (theirs,) = ask_officially(
        model="Qwen/Qwen3-8B", messages=messages, temperature=0.0, extra_body={**choice, "top_k": 20}
    ).asked
    response, server = ask(lambda _: "Output (b)", CHOICE, name="vllm/Qwen/Qwen3-8B", args={"top_k": "20"})
    assert server.asked[0].body == theirs.body
    assert response.text == "Output (b)"
    assert "Authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "max_tokens"),
        ("gpt-4.1-mini", "max_tokens"),
        ("o1", "max_completion_tokens"),
        ("o3-mini", "max_completion_tokens"),
        ("o4-mini", "max_completion_tokens"),
        ("gpt-5-nano", "max_completion_tokens"),
    ],
)
def test_the_limit_is_called_what_the_model_wants(model, name):
    _, server = ask(lambda _: "well", Request(MESSAGES, Sampling(max_tokens=9)), name=f"openai/{model}")
    body = server.asked[0].body
    assert {key: value for key, value in body.items() if "tokens" in key} == {name: 9}


def test_each_sample_of_a_seeded_request_has_a_seed_of_its_own():
    _, server = ask(lambda _: "well", Request(MESSAGES, Sampling(seed=40), sample=2))
    assert server.asked[0].body["seed"] == 42
    _, server = ask(lambda _: "well", Request(MESSAGES, sample=2))
    assert "seed" not in server.asked[0].body


def test_half_a_surrogate_pair_can_be_sent():
    _, server = ask(lambda _: "well", Request((Message("user", "a\ud800b"),)))
    assert server.asked[0].body["messages"][0]["content"] == "a\ud800b"


def test_model_arguments_travel_as_json_where_they_are_json():
    args = {
        "top_k": "20",
        "min_p": "0.5",
        "chat_template_kwargs": '{"enable_thinking": false}',
        "tier": "flex",
        "x": "NaN",
    }
    assert extra_body(args) == {
        "top_k": 20,
        "min_p": 0.5,
        "chat_template_kwargs": {"enable_thinking": False},
        "tier": "flex",
        "x": "NaN",
    }


@pytest.mark.parametrize("key", ["messages", "model", "stream", "n", "temperature", "max_tokens", "structured_outputs"])
def test_a_model_argument_cannot_override_what_llmbar_sends(key):
    with pytest.raises(JudgeError, match=f"-M {key}: is set by"):
        extra_body({key: "1"})


# What comes back


def test_a_full_reply():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    reply = Reply("Output (a)", "stop", message={"reasoning": "Because."}, usage=usage, delay=0.05)
    response, _ = ask(lambda _: reply)
    assert response.failure is None
    assert (response.text, response.reasoning, response.finish_reason) == ("Output (a)", "Because.", "stop")
    assert response.usage == Usage(prompt_tokens=100, cached_tokens=64, completion_tokens=50, reasoning_tokens=30)
    assert response.model == "gpt-4o"
    assert 0.05 <= response.latency < 2


@pytest.mark.parametrize(
    ("reply", "text", "reasoning"),
    [
        (Reply(None, "length"), "", ""),
        (Reply("", message={"reasoning_content": "Hm."}), "", "Hm."),
        (Reply(None, message={"refusal": "I can't help with that."}), "I can't help with that.", ""),
        (Reply(payload={"choices": [{"message": {"content": "bare"}}]}), "bare", ""),
    ],
)
def test_sparse_replies(reply, text, reasoning):
    response, _ = ask(lambda _: reply)
    assert response.failure is None
    assert (response.text, response.reasoning) == (text, reasoning)


def test_a_choice_that_the_server_ignored_is_a_failure():
    response, server = ask(lambda _: "I think Output (a)", CHOICE, name="vllm/m")
    assert response.failure.kind is FailureKind.PROTOCOL
    assert "none of the choices Output (a), Output (b)" in response.failure.message
    assert len(server.asked) == 1


def test_a_choice_cut_off_before_it_was_made_is_a_truncated_reply():
    response, _ = ask(lambda _: Reply(None, "length", message={"reasoning": "Let me"}), CHOICE, name="vllm/m")
    assert response.failure is None
    assert ChoiceReader(kind="choice").read(response, ("Output (a)", "Output (b)")).cause is Cause.TRUNCATED


@pytest.mark.parametrize(
    ("name", "constraint"),
    [
        ("openai/gpt-4o", Constraint("choice", ("a", "b"))),
        ("ollama/m", Constraint("choice", ("a", "b"))),
        ("anthropic/m", Constraint("logprobs", ("a", "b"))),
    ],
)
def test_a_constraint_that_cannot_be_held_is_not_faked(name, constraint):
    response, server = ask(lambda _: "a", Request(MESSAGES, constraint=constraint), name=name)
    assert response.failure.kind is FailureKind.UNSUPPORTED
    assert server.asked == []


AZURE_FILTER = error(
    400,
    "The response was filtered due to the prompt triggering the content management policy.",
    code="content_filter",
    param="prompt",
    innererror={"code": "ResponsibleAIPolicyViolation"},
)
FLAGGED = Reply(
    payload={"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["x"], "flagged_input": "…"}}},
    status=403,
)


@pytest.mark.parametrize("reply", [AZURE_FILTER, FLAGGED, Reply(None, "content_filter")])
def test_a_content_filter_is_an_answer_without_text(reply):
    response, server = ask(lambda _: reply)
    assert response.failure is None
    assert (response.text, response.finish_reason) == ("", "content_filter")
    assert ChoiceReader(kind="choice").read(response, ("a", "b")).cause is Cause.CONTENT_FILTER
    assert len(server.asked) == 1


FAILED_CHOICE = {"message": {"content": "half a"}, "finish_reason": "error", "error": {"code": 429, "message": "busy"}}
TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens."


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(400, TOO_LONG, code="context_length_exceeded", param="messages"), FailureKind.CONTEXT_LENGTH),
        (Reply(payload={"object": "error", "message": TOO_LONG, "code": 400}, status=400), FailureKind.CONTEXT_LENGTH),
        (error(400, "You passed 1015 input tokens", param="input_tokens", code=400), FailureKind.CONTEXT_LENGTH),
        (error(400, "prompt is too long: 210000 tokens > 200000 maximum"), FailureKind.CONTEXT_LENGTH),
        (Reply(raw=b"Payload Too Large", status=413), FailureKind.CONTEXT_LENGTH),
        (error(400, "Invalid value for 'temperature': 3", param="temperature"), FailureKind.BAD_REQUEST),
        (Reply(payload={"detail": [{"loc": ["body"], "msg": "field required"}]}, status=422), FailureKind.BAD_REQUEST),
    ],
)
def test_what_is_wrong_with_one_request_is_a_final_failure(reply, kind):
    response, server = ask(lambda _: reply)
    assert response.failure.kind is kind
    assert response.failure.message.startswith(f"HTTP {reply.status}: ")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(429, "slow down", code="rate_limit_exceeded"), FailureKind.RATE_LIMIT),
        (error(500, "broken"), FailureKind.SERVER),
        (Reply(raw=b"<html>Bad Gateway</html>", status=502), FailureKind.SERVER),
        (Reply(raw=b"", status=529), FailureKind.SERVER),
        (Reply(payload={"error": {"code": 429, "message": "slow down"}}), FailureKind.RATE_LIMIT),
        (Reply("", "error"), FailureKind.SERVER),
        (Reply(payload={"choices": [FAILED_CHOICE]}), FailureKind.RATE_LIMIT),
        (Reply(payload={"error": None}), FailureKind.PROTOCOL),
        (Reply(cut=True), FailureKind.CONNECTION),
        (Reply("late", delay=5), FailureKind.TIMEOUT),
    ],
)
def test_what_no_retry_could_mend_in_time_is_a_failure_of_its_kind(reply, kind):
    reply = replace(reply, headers={"Retry-After": "3600"})
    response, _ = ask(lambda _: reply, deadline=1)
    assert response.failure.kind is kind


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (error(401, "Incorrect API key provided"), r"refuses the key \(HTTP 401\) \(check OPENAI_API_KEY\)"),
        (
            error(403, "Country not supported"),
            r"denies access: Country not supported .*\(check what OPENAI_API_KEY may use",
        ),
        (error(404, "The model x does not exist", code="model_not_found"), "no such model: The model x does not exist"),
        (Reply(raw=b"404: Not Found", status=404), r"no such model: 404: Not Found .*--base-url"),
        (error(400, "m is not a valid model ID"), "no such model"),
        (error(429, "You exceeded your current quota", code="insufficient_quota"), "out of credit"),
        (error(402, "Insufficient credits"), "out of credit"),
        (Reply(status=307, headers={"Location": "https://elsewhere.invalid/"}), "sends us elsewhere"),
    ],
)
def test_what_every_request_would_meet_ends_the_judge(reply, said):
    with pytest.raises(JudgeError, match=said) as caught:
        ask(lambda _: reply)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "choices", "message", "content", "code", "metadata", "innererror", "usage", "param", "detail"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([200, 200, 302, 400, 401, 403, 404, 413, 418, 429, 500, 503]),
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30),
    st.dictionaries(st.sampled_from(["Retry-After", "Retry-After-Ms"]), st.text(max_size=12)),
)
def test_whatever_a_server_says_is_classified(status, raw, headers):
    target = find_target("vllm/m", "m", "http://127.0.0.1:1/v1", {}, {})
    try:
        attempt = wire.read(status, headers, raw, request=CHOICE, target=target, latency=0.5)
    except JudgeError:
        return
    assert isinstance(attempt, Attempt)
    assert attempt.tries >= 1
    assert attempt.retry_after is None or attempt.retry_after >= 0


def test_a_refusal_is_said_to_be_one():
    response, _ = ask(lambda _: Reply(None, message={"refusal": "That is not for me to say."}))
    assert response.failure is None
    assert (response.text, response.finish_reason) == ("That is not for me to say.", "refusal")


def test_content_in_pieces_with_thoughts_among_them():
    pieces = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm. "}, {"type": "text", "text": "Ah."}]},
        {"type": "text", "text": "Output "},
        {"type": "text", "text": "(a)"},
    ]
    response, _ = ask(lambda _: Reply(message={"content": pieces}))
    assert (response.text, response.reasoning) == ("Output (a)", "Hm. Ah.")


@pytest.mark.parametrize(
    ("told", "completion", "reasoning"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, 5, 0),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 45}, 35, 30),
        ({"prompt_tokens": 10, "completion_tokens": 35, "completion_tokens_details": {"reasoning_tokens": 30}}, 35, 30),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": None}, 5, 0),
    ],
)
def test_reasoning_is_counted_also_where_only_the_total_holds_it(told, completion, reasoning):
    payload = {"choices": [{"message": {"content": "a"}}], "usage": told}
    response, _ = ask(lambda _: Reply(payload=payload))
    assert response.usage == Usage(prompt_tokens=10, completion_tokens=completion, reasoning_tokens=reasoning)


def test_reasoning_that_was_cut_off_is_kept_and_the_reply_is_truncated():
    cut = Reply(None, "length", message={"reasoning_content": "First, let me"})
    response, _ = ask(lambda _: cut)
    assert (response.text, response.reasoning, response.finish_reason) == ("", "First, let me", "length")
    assert ChoiceReader(kind="choice").read(response, ("a", "b")).cause is Cause.TRUNCATED


# Log-probabilities of labels

WEIGHED = Request(MESSAGES, constraint=Constraint("logprobs", ("Output (a)", "Output (b)")))


def told(*tokens):
    """A reply with log-probabilities as OpenAI tells them: for each token, the likeliest in its place."""
    content = [
        {
            "token": next(iter(likeliest)),
            "logprob": log(next(iter(likeliest.values()))),
            "bytes": None,
            "top_logprobs": [
                {"token": token, "logprob": log(value), "bytes": None} for token, value in likeliest.items()
            ],
        }
        for likeliest in tokens
    ]
    message = {"role": "assistant", "content": "".join(next(iter(likeliest)) for likeliest in tokens)}
    return Reply(payload={"choices": [{"message": message, "logprobs": {"content": content}, "finish_reason": "stop"}]})


def test_labels_are_weighed_by_the_likeliest_tokens():
    reply = told({"Output": 0.9, "The": 0.1}, {" (": 1.0}, {"b": 0.75, "a": 0.25}, {")": 1.0})
    response, server = ask(lambda _: reply, WEIGHED)
    assert response.label_logprobs == {
        "Output (a)": pytest.approx(log(0.9 * 0.25)),
        "Output (b)": pytest.approx(log(0.9 * 0.75)),
    }
    body = server.asked[0].body
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 11)
    reading = LogprobReader(kind="logprob").read(response, ("Output (a)", "Output (b)"))
    assert reading.margin == pytest.approx(-log(3))


def test_a_reply_that_begins_otherwise_has_no_label_logprobs():
    response, _ = ask(lambda _: told({"I": 0.6, "Output": 0.4}, {" think": 1.0}), WEIGHED)
    assert response.failure is None
    assert response.label_logprobs is None
    assert LogprobReader(kind="logprob").read(response, ("Output (a)", "Output (b)")).margin is None


@pytest.mark.parametrize(
    "reply",
    [
        Reply("Output (a)"),
        error(403, "You are not allowed to request logprobs from this model."),
        error(400, "Logprobs is not enabled for models/m"),
        error(400, "property 'top_logprobs' is unsupported", param="top_logprobs"),
    ],
)
def test_an_endpoint_without_log_probabilities_is_asked_for_them_once(reply):
    async def ask_often():
        async with (
            serving(lambda body: reply if "logprobs" in body else "well") as server,
            open_judge("openai/m", JudgeOptions(base_urls=(server.base_url,))) as judge,
        ):
            weighed = [await judge.answer(replace(WEIGHED, sample=sample)) for sample in range(3)]
            return weighed, await judge.answer(ASKING), server

    weighed, other, server = asyncio.run(ask_often())
    assert [response.failure.kind for response in weighed] == [FailureKind.UNSUPPORTED] * 3
    assert other.text == "well"
    assert len(server.asked) == 2


@pytest.mark.parametrize("content", [[{"token": 3}], [{"token": "a", "logprob": "x", "top_logprobs": []}], "text"])
def test_log_probabilities_that_are_none_are_not_the_protocol(content):
    payload = {"choices": [{"message": {"content": "a"}, "logprobs": {"content": content}}]}
    response, _ = ask(lambda _: Reply(payload=payload), WEIGHED)
    assert response.failure.kind is FailureKind.PROTOCOL


# The store


def test_identical_requests_are_asked_once_and_never_again(tmp_path):
    async def ask_often():
        async with serving(lambda _: Reply("well", delay=0.05)) as server:
            options = JudgeOptions(base_urls=(server.base_url,))
            with Store.open(tmp_path / "s.sqlite") as store:
                async with open_judge("openai/gpt-4o", options, store=store) as judge:
                    await asyncio.gather(*(judge.answer(ASKING) for _ in range(100)))
                    assert (judge.tally.asked, judge.tally.shared) == (1, 99)
            with Store.open(tmp_path / "s.sqlite") as store:
                async with open_judge("openai/gpt-4o", options, store=store) as judge:
                    assert (await judge.answer(ASKING)).text == "well"
                    assert (judge.tally.asked, judge.tally.from_store) == (0, 1)
                async with open_judge("openai/gpt-4o-mini", options, store=store) as other:
                    await other.answer(ASKING)
            return [asked.body["model"] for asked in server.asked]

    assert asyncio.run(ask_often()) == ["gpt-4o", "gpt-4o-mini"]


def test_a_failed_call_is_asked_again_and_then_kept(tmp_path):
    replies = [error(400, "broken"), "well"]

    async def ask_with_store():
        with Store.open(tmp_path / "s.sqlite") as store:
            return await ask_thrice(store)

    async def ask_thrice(store):
        async with (
            serving(lambda _: replies.pop(0)) as server,
            open_judge("openai/m", JudgeOptions(base_urls=(server.base_url,)), store=store) as judge,
        ):
            return [await judge.answer(ASKING) for _ in range(3)], judge.tally

    responses, tally = asyncio.run(ask_with_store())
    assert [response.text for response in responses] == ["", "well", "well"]
    assert (tally.asked, tally.failed, tally.from_store, tally.completion_tokens) == (2, 1, 1, 5)


def test_who_answers_is_address_model_and_arguments_but_no_secret():
    def named(base="http://user:pass@judge.invalid:8000/v1?token=secret", model="m", extra=None):
        return identity(find_target(f"vllm/{model}", model, base, extra or {}, {"VLLM_API_KEY": KEY}))

    assert named() == "http://judge.invalid:8000/v1 m"
    assert len({named(), named(model="n"), named(extra={"top_k": 1}), named(extra={"top_k": 2})}) == 4


# Several addresses, and limits


def ask_many(addresses, count, *, name="vllm/m", **options):
    """Responses to so many different requests at once, and the judge."""

    async def answered():
        async with open_judge(name, JudgeOptions(base_urls=tuple(addresses), deadline=10, **options)) as judge:
            requests = (Request(MESSAGES, sample=sample) for sample in range(count))
            return await asyncio.gather(*map(judge.answer, requests)), judge

    return answered()


def test_several_addresses_share_the_work_by_load():
    async def ask_both():
        async with (
            serving(lambda _: Reply("well", delay=0.02)) as fast,
            serving(lambda _: Reply("well", delay=0.2)) as slow,
        ):
            responses, judge = await ask_many([fast.base_url, slow.base_url], 60, concurrency=8)
            return responses, judge, fast, slow

    responses, judge, fast, slow = asyncio.run(ask_both())
    assert [response.text for response in responses] == ["well"] * 60
    assert len(fast.asked) + len(slow.asked) == 60
    assert len(fast.asked) > 2 * len(slow.asked) > 0
    assert fast.most_at_once + slow.most_at_once <= 8 + 1  # the peaks need not fall together
    assert judge.identity == f"{fast.base_url} m"
    assert judge.tally.limit == 8
    assert judge.tally.in_flight == 0


def test_an_address_that_is_dead_costs_no_request():
    async def ask_one():
        async with serving(lambda _: Reply("well", delay=0.01)) as alive:
            with socket() as probe:
                probe.bind(("127.0.0.1", 0))
                dead = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
                return await ask_many([dead, alive.base_url], 40, concurrency=4)

    responses, judge = asyncio.run(ask_one())
    assert [response.text for response in responses] == ["well"] * 40
    assert judge.tally.retries <= 4


def test_requests_a_minute_are_kept_to():
    async def ask_fast():
        async with serving(lambda _: "well") as server:
            await ask_many([server.base_url], 16, rpm=600)
            return server

    times = [asked.at for asked in asyncio.run(ask_fast()).asked]
    assert len(times) == 16
    assert times[-1] - times[0] >= 0.55  # ten at once, then one every 0.1 s
    assert times[9] - times[0] < 0.4


def test_tokens_a_minute_are_kept_to():
    usage = {"prompt_tokens": 60, "completion_tokens": 40}

    async def ask_in_turn():
        async with serving(lambda _: Reply("well", usage=usage)) as server:
            options = JudgeOptions(base_urls=(server.base_url,), tpm=12_000)  # 200 a second
            async with open_judge("vllm/m", options) as judge:
                for sample in range(5):
                    await judge.answer(Request(MESSAGES, sample=sample))
            return server

    times = [asked.at for asked in asyncio.run(ask_in_turn()).asked]
    assert 0.9 <= times[-1] - times[0] <= 2.5  # 400 tokens before the fifth, of which 200 were there


def test_the_limit_falls_where_a_server_is_overloaded_and_can_be_seen():
    at_once = 0

    async def crowded(_):
        nonlocal at_once
        at_once += 1
        try:
            await asyncio.sleep(0.01)
            return error(429, "too many") if at_once > 8 else Reply("well")
        finally:
            at_once -= 1

    async def ask_all():
        async with serving(crowded) as server:
            return await ask_many([server.base_url], 300, concurrency=64)

    responses, judge = asyncio.run(ask_all())
    assert all(response.text == "well" for response in responses)
    assert judge.tally.limit < 32
    assert judge.tally.retries > 0


# Opening


def test_addresses_and_keys_come_from_the_environment():
    def found(name, environ, base_url=None):
        target = find_target(name, name.partition("/")[2], base_url, {}, environ)
        return str(target.url), target.model, target.key

    chat = "chat/completions"
    assert found("openai/gpt-4o", {"OPENAI_API_KEY": "k"}) == (f"https://api.openai.com/v1/{chat}", "gpt-4o", "k")
    proxied = {"OPENAI_API_KEY": " k\n", "OPENAI_BASE_URL": "https://proxy.invalid/v1/"}
    assert found("openai/gpt-4o", proxied) == (f"https://proxy.invalid/v1/{chat}", "gpt-4o", "k")
    assert found("openai/gpt-4o", proxied, "http://other.invalid")[0] == f"http://other.invalid/{chat}"
    assert found("openrouter/a/b", {"OPENROUTER_API_KEY": "k"})[:2] == (f"https://openrouter.ai/api/v1/{chat}", "a/b")
    assert found("ollama/qwen3:8b", {}) == (f"http://127.0.0.1:11434/v1/{chat}", "qwen3:8b", "")
    service = {"MY_LAB_API_KEY": "k", "MY_LAB_BASE_URL": "https://lab.invalid/v1?api-version=1"}
    assert found("openai-api/my-lab/org/m", service) == (f"https://lab.invalid/v1/{chat}?api-version=1", "org/m", "k")
    assert found("openai/m", {}, "http://[::1]:8000/v1") == (f"http://[::1]:8000/v1/{chat}", "m", "")


@pytest.mark.parametrize(
    ("name", "base_url", "environ", "said"),
    [
        ("openai/gpt-4o", None, {}, "OPENAI_API_KEY is not set"),
        ("openai/gpt-4o", None, {"OPENAI_API_KEY": " "}, "OPENAI_API_KEY is not set"),
        ("openai/gpt-4o", None, {"OPENAI_API_KEY": f"{KEY}\n{KEY}"}, "OPENAI_API_KEY holds a character"),
        ("openai-api/lab/m", None, {"LAB_API_KEY": "k"}, "LAB_BASE_URL"),
        ("openai-api/lab/m", "https://lab.invalid", {}, "LAB_API_KEY is not set"),
        ("openai-api/lab", None, {}, "names no model"),
        ("vllm/m", None, {}, "give --base-url, or set VLLM_BASE_URL"),
        ("vllm/m", "localhost:8000/v1", {}, "write http://host:port/v1"),
        ("vllm/m", "http://u:hunter2@:x/v1", {}, "write http://host:port/v1"),
    ],
)
def test_a_judge_that_cannot_be_reached_is_one_line(name, base_url, environ, said):
    with pytest.raises(JudgeError, match=said) as caught:
        find_target(name, name.partition("/")[2], base_url, {}, environ)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "flag"), [({"rpm": 0}, "--rpm"), ({"tpm": -1}, "--tpm"), ({"concurrency": 0}, "--concurrency")]
)
def test_a_limit_below_one_is_refused(changed, flag):
    async def open_it():
        async with open_judge("openai/m", replace(JudgeOptions(), **changed)):
            pass

    with pytest.raises(JudgeError, match=f"{flag}: is less than 1"):
        asyncio.run(open_it())


def test_the_environments_proxy_is_used_save_for_this_machine(monkeypatch):
    with serving_in_thread(lambda _: "through the proxy") as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))

        async def ask_through():
            async with open_judge("openai/m", JudgeOptions(base_urls=("http://judge.invalid/v1",))) as judge:
                return await judge.answer(ASKING)

        assert asyncio.run(ask_through()).text == "through the proxy"
        assert proxy.asked[0].url == "http://judge.invalid/v1/chat/completions"
        assert _proxy(find_target("vllm/m", "m", "http://localhost:1/v1", {}, {})) is None
        monkeypatch.setenv("no_proxy", "judge.invalid")
        assert _proxy(find_target("vllm/m", "m", "http://judge.invalid/v1", {}, {})) is None


# Secrets


@pytest.mark.parametrize("status", [200, 307, 400, 401, 402, 403, 404, 413, 429, 500])
@pytest.mark.parametrize("shape", ["json", "text", "long", "nested"])
def test_a_key_that_the_server_echoes_is_never_repeated(status, shape, tmp_path):
    echo = f"bad header: Bearer {KEY}"
    shapes = {
        "json": json.dumps({"error": {"message": echo, "code": KEY, "param": KEY, "type": KEY}}),
        "text": echo,
        "long": "x" * (QUOTED - 30) + " " + echo,
        "nested": json.dumps({"choices": [{KEY: KEY}], "detail": [{"msg": echo}]}),
    }
    reply = Reply(raw=shapes[shape].encode(), status=status, headers={"X-Echo": KEY, "Retry-After": "3600"})
    with Store.open(tmp_path / "s.sqlite") as store:
        try:
            response, server = ask(lambda _: reply, store=store, deadline=0.5)
            said = response.model_dump_json()
            assert response.failure is not None
            assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
        except JudgeError as caught:
            said = "".join(traceback.format_exception(caught)) + repr(caught.__dict__)
    for start in range(len(KEY) - 8):
        assert KEY[start : start + 9] not in said
    assert KEY.encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_the_key_is_not_in_a_representation():
    assert KEY not in repr(find_target("openai/m", "m", None, {}, {"OPENAI_API_KEY": KEY}))
