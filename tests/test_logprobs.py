from __future__ import annotations

import random
from math import exp, isfinite, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbar.judges.logprobs import Token, label_logprobs

LABELS = ("Output (a)", "Output (b)")


def token(text: str, probability: float, **others: float) -> Token:
    """A token, itself the likeliest in its place; `others` are further ones."""
    likeliest = [(text, log(probability)), *((other, log(value)) for other, value in others.items())]
    return Token(text, log(probability), likeliest)


def probabilities(reply, labels=LABELS):
    found = label_logprobs(reply, labels)
    return found and {label: pytest.approx(exp(value), abs=1e-9) for label, value in found.items()}


def test_one_token_labels():
    assert probabilities([token("A", 0.7, B=0.2, C=0.1)], ("A", "B")) == {"A": 0.7, "B": 0.2}


def test_labels_part_where_their_texts_part():
    reply = [token("Output", 0.9, The=0.1), token(" (", 1.0), token("b", 0.6, a=0.4), token(")", 1.0)]
    assert probabilities(reply) == {"Output (a)": 0.36, "Output (b)": 0.54}


def test_several_spellings_of_one_label_are_added():
    a = token("A", 0.5, **{" A": 0.1, "A\n": 0.05, "B": 0.2, " B": 0.02, "a": 0.1})
    assert probabilities([a], ("A", "B")) == {"A": 0.65, "B": 0.22}


def test_longer_tokens_beside_the_reply_s_own_count_for_their_label():
    split = token(" (", 0.6, **{" (a": 0.25, " (b)": 0.15})
    reply = [token("Output", 1.0), split, token("a", 0.7, b=0.3)]
    assert probabilities(reply) == {"Output (a)": 0.25 + 0.6 * 0.7, "Output (b)": 0.15 + 0.6 * 0.3}


def test_a_label_that_is_the_start_of_another():
    ended = [token("1", 0.8, **{"2": 0.2})]
    assert probabilities([*ended, token("0", 0.9, **{".": 0.1})], ("1", "10")) == {"10": 0.72, "1": 0.08}
    assert probabilities(ended, ("1", "10")) == {"1": 0.8}
    assert probabilities([token("12", 1.0)], ("1", "10")) is None


@pytest.mark.parametrize("text", ["I", "Both", "output (a)", "**Output"])
def test_a_reply_that_does_not_begin_with_a_label_tells_nothing(text):
    assert label_logprobs([token(text, 0.5, Output=0.5), token(" (a)", 1.0)], LABELS) is None
    assert label_logprobs([], LABELS) is None


def test_a_reply_that_stops_before_the_labels_part_tells_nothing():
    assert label_logprobs([token("Output", 1.0)], LABELS) is None


def test_what_is_inside_a_think_block_is_passed_over():
    inside = [token(text, 1.0) for text in ("<think>", "Output", " (b)", "</think>", "\n\n")]
    assert probabilities([*inside, token("A", 0.9, B=0.1)], ("A", "B")) == {"A": 0.9, "B": 0.1}


def test_a_label_that_was_not_told_is_absent_and_nothing_is_infinite():
    reply = [Token("A", 0.0, [("A", 0.0), ("B", -9999.0)])]
    assert label_logprobs(reply, ("A", "B")) == {"A": 0.0}


@given(
    st.integers(0, 10**6),
    st.lists(st.text("ab", min_size=1, max_size=5), min_size=2, max_size=4, unique=True),
)
def test_with_single_characters_it_is_the_probability_of_the_label_s_text(seed, labels):
    """A language model over a, b and the end of the reply, every token told: the chain rule is the oracle."""
    draw = random.Random(seed)

    def distribution(said: str) -> dict[str, float]:
        stream = random.Random(f"{seed} {said}")
        weights = [stream.random() + 0.01 for _ in range(3)]
        return {each: weight / sum(weights) for each, weight in zip(("a", "b", ""), weights, strict=True)}

    said, reply = "", []
    while len(said) < 6:
        told = distribution(said)
        chosen = draw.choices(list(told), list(told.values()))[0]
        if not chosen:
            break
        reply.append(Token(chosen, log(told[chosen]), [(each, log(value)) for each, value in told.items() if each]))
        said += chosen
    found = label_logprobs(reply, labels) or {}
    assert all(isfinite(value) and value <= 0 for value in found.values())
    assert sum(map(exp, found.values())) <= 1 + 1e-9
    prefix_free = not any(one != other and other.startswith(one) for one in labels for other in labels)
    if found and prefix_free and len(set(map(len, labels))) == 1 and len(labels) == 2:
        shared = next(place for place in range(9) if labels[0][place] != labels[1][place])
        for label in labels:
            chain = 1.0
            for place in range(shared + 1):
                chain *= distribution(label[:place])[label[place]]
            assert exp(found[label]) == pytest.approx(chain)
