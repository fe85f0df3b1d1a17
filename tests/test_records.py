"""What two requests, pairs and verdicts have in common, and what tells them apart."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from asking import comparison, pair
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llmbar.records import (
    Cause,
    Constraint,
    Failure,
    FailureKind,
    Judgment,
    Message,
    Order,
    Reply,
    Request,
    Response,
    Sampling,
    Usage,
    Verdict,
    digest,
)

MESSAGES = (Message("system", "You judge."), Message("user", "Which?"))
PLAIN = Request(MESSAGES)
texts = st.text(st.characters(codec=None), max_size=8)


# -- frames -----------------------------------------------------------------------------------------------------------


def test_position_frame_times_sign_is_output_frame():
    """A preference for the first-shown output is one for output 1 in the original order, for output 2 swapped."""
    assert Order.ORIGINAL.sign == 1
    assert Order.SWAPPED.sign == -1


def test_the_other_order_of_the_other_is_the_same():
    assert [order.other for order in Order] == [Order.SWAPPED, Order.ORIGINAL]
    assert all(order.other.other is order for order in Order)


@pytest.mark.parametrize(
    ("margin", "verdict"), [(1, "1"), (1e-300, "1"), (0, "tie"), (-0.0, "tie"), (-1e-300, "2"), (-7.5, "2")]
)
def test_the_sign_decides_and_zero_is_a_tie(margin, verdict):
    assert Verdict.of(margin) == verdict


def test_every_state_has_a_name_of_its_own():
    for names in (Verdict, Cause, FailureKind, Order):
        assert len({str(name) for name in names}) == len(names)
    assert set(Verdict) == {"1", "2", "tie", "unreadable", "failed"}


# -- requests ---------------------------------------------------------------------------------------------------------


def test_a_key_is_the_hash_of_everything_that_is_asked():
    """Re-derived by hand: sorted, compact JSON of turns, sampling as sent, constraint, sample."""
    request = Request(MESSAGES, Sampling(max_tokens=50), Constraint("choice", ("a", "b")), 3)
    sampling = '{"max_tokens": 50, "temperature": 0.0}'
    turns = [["system", "You judge."], ["user", "Which?"]]
    text = json.dumps([turns, sampling, ["choice", ["a", "b"]], 3], separators=(",", ":"))
    assert request.key == sha256(text.encode()).hexdigest()


def test_who_asks_is_no_part_of_the_key():
    of = pair()
    asked = comparison(of)
    assert asked.key == replace(asked, about=None).key
    assert asked == replace(asked, about=None)
    assert comparison(of, Order.SWAPPED).key != asked.key


@pytest.mark.parametrize(
    "other",
    [
        Request((*MESSAGES, Message("user", ""))),
        Request(MESSAGES[::-1]),
        Request((Message("user", "You judge."), MESSAGES[1])),
        Request((Message("system", "You judge.Which?"),)),
        Request(MESSAGES, sample=1),
        Request(MESSAGES, Sampling(temperature=None)),
        Request(MESSAGES, Sampling(temperature=0.5)),
        Request(MESSAGES, Sampling(seed=0)),
        Request(MESSAGES, constraint=Constraint("choice", ("a", "b"))),
        Request(MESSAGES, constraint=Constraint("logprobs", ("a", "b"))),
        Request(MESSAGES, constraint=Constraint("choice", ("b", "a"))),
    ],
)
def test_whatever_is_asked_otherwise_has_another_key(other):
    keys = {PLAIN.key, other.key, Request(MESSAGES, constraint=Constraint("choice", ("a", "b", "c"))).key}
    assert len(keys) == 3


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), texts), max_size=3), texts, texts)
def test_texts_do_not_run_into_each_other(turns, one, two):
    messages = tuple(Message(*turn) for turn in turns)
    together = Request((*messages, Message("user", one + two)))
    apart = Request((*messages, Message("user", one), Message("user", two)))
    assert together.key != apart.key


def test_half_a_surrogate_pair_has_a_key_too():
    assert Request((Message("user", "\ud83d"),)).key != Request((Message("user", "\ude00"),)).key


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})


def test_what_is_none_is_not_sent():
    assert json.loads(Sampling(temperature=None, top_p=0.5).canonical) == {"top_p": 0.5}
    assert json.loads(Sampling().canonical) == {"temperature": 0.0}


@pytest.mark.parametrize(
    "wrong", [{"temperature": -0.1}, {"top_p": 0}, {"top_p": 1.1}, {"max_tokens": 0}, {"tempreature": 1}]
)
def test_sampling_has_bounds(wrong):
    with pytest.raises(ValidationError):
        Sampling(**wrong)


# -- records ----------------------------------------------------------------------------------------------------------


def test_a_pairs_digest_is_that_of_what_is_judged():
    of = pair()
    assert of.digest == of.model_copy(update={"id": "other", "why": "because", "subset": "another"}).digest
    for change in ({"instruction": "x"}, {"output_1": "x"}, {"output_2": "x"}, {"gold": 2}):
        assert pair(**change).digest != of.digest
    assert pair(output_1=of.output_2, output_2=of.output_1).digest != of.digest


@pytest.mark.parametrize("gold", [0, 3, "first"])
def test_gold_is_one_or_two(gold):
    with pytest.raises(ValidationError):
        pair(gold=gold)


def test_records_are_frozen_and_know_their_keys():
    with pytest.raises(ValidationError, match="frozen"):
        pair().gold = 2
    with pytest.raises(ValidationError, match="Extra inputs"):
        Usage(tokens=3)


def test_a_judgment_survives_its_file():
    failure = Failure(kind=FailureKind.RATE_LIMIT, message="429 for “too many” requests")
    replies = (
        Reply(step="explain", order=Order.ORIGINAL, key="k", text="…", usage=Usage(prompt_tokens=3), failure=failure),
        Reply(step="verdict", output=2, item="Is it true?", sample=4, key="l", label_logprobs={"a": -0.1, "b": -2.5}),
    )
    judgment = Judgment(
        dataset="set",
        subset="only",
        pair="p0",
        judge="openai/gpt-4",
        strategy="rules",
        gold=1,
        original=Verdict.FAILED,
        swapped=Verdict.UNREADABLE,
        final=Verdict.FAILED,
        original_cause=FailureKind.RATE_LIMIT,
        swapped_cause=Cause.EMPTY,
        replies=replies,
    )
    again = Judgment.model_validate_json(judgment.model_dump_json())
    assert again == judgment
    assert again.original_cause is FailureKind.RATE_LIMIT
    assert again.swapped_cause is Cause.EMPTY


def test_a_reply_keeps_of_a_response_all_that_a_reader_looks_at():
    looked_at = {"text", "finish_reason", "label_logprobs", "reward"}
    assert looked_at <= Reply.model_fields.keys()
    assert looked_at <= Response.model_fields.keys()
