"""A judge served by real vLLM: constrained, weighed and sampled replies to LLMBar's real pairs."""

from __future__ import annotations

import asyncio
import re
from urllib.request import urlopen

import pytest

from llmbar.engine import rehearse
from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.examining import LABELS, examine
from llmbar.records import Constraint, Message, Request, Sampling
from llmbar.runs import arun, plan
from llmbar.strategy import load_strategy

HELD = ('kind = "choice"', 'kind = "choice", constrain = true')
WEIGHED = ('kind = "choice"', 'kind = "logprob", min_mass = 0.0')
"""A random model gives two labels next to nothing of its probability."""
SYSTEM = Message("system", "You judge.")
ASKED = Message("user", "Which is better, Output (a) or Output (b)?")


def run(server, dataset, strategy, results, limit=None):
    options = JudgeOptions(base_urls=(server.base_url,), concurrency=32)
    judge = f"vllm/{server.model}"
    return asyncio.run(
        arun(plan(dataset, judge=judge, strategies=[strategy], options=options, limit=limit, results=results))
    )


def answers(server, *requests, args=None):
    """The responses of a judge that keeps nothing, and the judge."""

    async def answered():
        options = JudgeOptions(base_urls=(server.base_url,), args=args or {}, deadline=120)
        async with open_judge(f"vllm/{server.model}", options) as judge:
            return [await judge.answer(request) for request in requests], judge

    return asyncio.run(answered())


def counted(server, name):
    """A counter of the server's, as Prometheus would read it."""
    with urlopen(server.base_url.removesuffix("/v1") + "/metrics") as reply:  # noqa: S310 - our own server
        text = reply.read().decode()
    return sum(float(value) for value in re.findall(rf"^vllm:{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


# -- held to a choice -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held(server, dataset, strategies, tmp_path_factory):
    """The same run twice, each with a store of its own, and the server's counters around the first."""
    strategy = strategies("held", "rules", HELD)
    before = counted(server, "prefix_cache_hits_total")
    first = run(server, dataset, strategy, tmp_path_factory.mktemp("first"))
    hits = counted(server, "prefix_cache_hits_total") - before
    return first, run(server, dataset, strategy, tmp_path_factory.mktemp("second")), hits


def test_every_constrained_reply_to_the_real_pairs_is_a_label(held):
    judged = held[0]
    assert judged.complete
    frame = judged.judgments()
    assert len(frame) == 419
    assert set(frame.original) | set(frame.swapped) <= {"1", "2"}
    texts = {reply.text for judgment in judged.folder.judgments() for reply in judgment.replies}
    assert texts == set(LABELS)


def test_a_rerun_with_an_empty_store_says_the_same(held):
    one, two = held[0].judgments(), held[1].judgments()
    assert held[1].folder.manifest.counts.asked == 838
    assert one[["pair", "original", "swapped"]].equals(two[["pair", "original", "swapped"]])


def test_both_orders_of_a_pair_share_what_the_prefix_cache_holds(held):
    """What responses say was cached adds up to what the server counted: template and instruction of each pair."""
    replies = [reply for judgment in held[0].folder.judgments() for reply in judgment.replies]
    assert sum(reply.usage.cached_tokens for reply in replies) == held[2]
    assert held[2] > 0.3 * sum(reply.usage.prompt_tokens for reply in replies)


# -- the probabilities of labels --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weighed(server, dataset, strategies, tmp_path_factory):
    """Five pairs of each subset, weighed: what was asked and what was told, by the request's key."""
    strategy = strategies("weighed", "rules", WEIGHED)
    judged = run(server, dataset, strategy, tmp_path_factory.mktemp("weighed"), limit=5)
    asked = [asyncio.run(rehearse(pair, load_strategy(strategy))) for pair in judged.folder.pairs()]
    replies = [reply for judgment in judged.folder.judgments() for reply in judgment.replies]
    return judged, {request.key: request for requests in asked for request in requests}, replies


def test_label_logprobs_of_real_pairs_are_those_of_transformers(weighed, tiny, torch_python):
    _, asked, replies = weighed
    assert len({reply.key for reply in replies} & asked.keys()) == 50
    questions = [question(asked[reply.key]) for reply in replies]
    expected = torch_python("oracle.py", "labels", tiny / "judge", given=questions)
    for reply, theirs in zip(replies, expected, strict=True):
        assert reply.label_logprobs == pytest.approx(theirs, abs=1e-3)


def test_the_margin_is_the_logit_of_output_1_in_both_orders(weighed):
    frame, replies = weighed[0].judgments(), weighed[2]
    logits = {reply.key: reply.label_logprobs[LABELS[0]] - reply.label_logprobs[LABELS[1]] for reply in replies}
    for judgment in weighed[0].folder.judgments():
        shown = {reply.order: logits[reply.key] for reply in judgment.replies}
        assert judgment.original_margin == pytest.approx(shown["original"])
        assert judgment.swapped_margin == pytest.approx(-shown["swapped"])
    assert frame.original_margin.round(3).nunique() > 20  # they differ from pair to pair


def question(request, **kwargs):
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    return {"messages": messages, "labels": list(request.constraint.labels), "kwargs": kwargs}


SPLIT = [
    ("Output (a)", "Output (b)"),  # part inside
    ("A", "B"),
    ("[[A]]", "[[B]]"),
    ("Output", "Output (b)"),  # one is all of the other's start
    ("1", "10"),
    ("好", "坏"),  # several bytes each, the first one shared
]


@pytest.fixture(scope="module")
def expected(tiny, torch_python):
    """What transformers computes for all of them, in one go."""
    questions = [question(Request((SYSTEM, ASKED), constraint=Constraint("logprobs", labels))) for labels in SPLIT]
    return dict(zip(SPLIT, torch_python("oracle.py", "labels", tiny / "judge", given=questions), strict=True))


@pytest.mark.parametrize("labels", SPLIT)
def test_labels_that_tokenizers_split_or_nest_are_told_apart(labels, server, expected):
    ((response,), _) = answers(server, Request((SYSTEM, ASKED), constraint=Constraint("logprobs", labels)))
    assert response.failure is None
    assert response.label_logprobs == pytest.approx(expected[labels], abs=1e-3)


def test_sampling_changes_no_probability(server):
    constraint = Constraint("logprobs", LABELS)
    requests = [
        Request((ASKED,), sampling, constraint)
        for sampling in (Sampling(), Sampling(temperature=2.0, top_p=0.1, logit_bias={"5": 100.0}))
    ]
    (plain, warm), _ = answers(server, *requests)
    assert plain.label_logprobs == pytest.approx(warm.label_logprobs, abs=1e-6)


# -- samples, limits, facts -------------------------------------------------------------------------------------------


def test_five_samples_are_five_replies_that_repeat_with_their_seeds(server, dataset, strategies, tmp_path):
    changes = (("per = ", "samples = 5\nper = "), ("max_tokens = 50", "max_tokens = 6, temperature = 1.0, seed = 40"))
    strategy = strategies("sampled", "rules", *changes)
    runs = [run(server, dataset, strategy, tmp_path / name, limit=2) for name in ("one", "two")]
    one, two = ([r.text for j in each.folder.judgments() for r in j.replies] for each in runs)
    assert len(one) == 10 * 2 * 5  # pairs, orders, samples
    assert one == two
    fives = [one[start : start + 5] for start in range(0, 100, 5)]
    assert all(len(set(five)) > 1 for five in fives)


def test_a_prompt_that_is_too_long_is_a_failure_of_its_own_kind(server):
    long = Request((Message("user", "word " * 5000),), Sampling(max_tokens=5))
    weighed = Request(long.messages, constraint=Constraint("logprobs", LABELS))
    told, _ = answers(server, long, weighed)
    assert [response.failure.kind for response in told] == ["context too long"] * 2


def test_what_is_known_of_the_server_is_told(server):
    async def looked():
        options = JudgeOptions(base_urls=(server.base_url,))
        async with open_judge(f"vllm/{server.model}", options) as judge:
            for _ in range(3):
                await judge.answer(
                    Request((SYSTEM, Message("user", "The same words again. " * 30)), Sampling(max_tokens=2))
                )
            return await judge.look()

    before = [counted(server, f"prefix_cache_{what}_total") for what in ("queries", "hits")]
    facts = asyncio.run(looked())
    after = [counted(server, f"prefix_cache_{what}_total") for what in ("queries", "hits")]
    queries, hits = (late - early for early, late in zip(before, after, strict=True))
    assert facts["server"] == "vLLM 0.32.0"
    assert facts["max_model_len"] == 4096
    assert re.fullmatch("[0-9a-f]{64}", facts["rendering"])
    assert facts["prefix_cache_tokens"] == queries
    assert facts["prefix_cache_hit_rate"] == pytest.approx(hits / queries, abs=1e-4)
    assert hits > 0


def test_the_doctor_finds_what_this_judge_can_do(server):
    async def examined():
        options = JudgeOptions(base_urls=(server.base_url,))
        return [finding async for finding in examine(f"vllm/{server.model}", options)]

    found = {finding.ability: finding.works for finding in asyncio.run(examined())}
    assert found == {
        "key and address": True,
        "answers": True,
        "system role": True,
        "max_tokens": True,
        "held to a choice": True,
        "label log-probabilities": True,
        "reasoning": False,
        "seed": True,
    }


def test_the_doctor_says_what_is_wrong_with_a_name(server):
    async def examined():
        return [finding async for finding in examine("vllm/nobody", JudgeOptions(base_urls=(server.base_url,)))]

    *_, last = asyncio.run(examined())
    assert (last.ability, last.works, last.needed) == ("answers", False, True)
    assert "nobody" in last.seen
