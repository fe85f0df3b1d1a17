"""Replies as judges write them, and what each reader makes of them."""

from __future__ import annotations

import re
import time
from math import exp, inf, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from llmbar.reading import (
    ChoiceReader,
    ItemsReader,
    LogprobReader,
    Reader,
    ReaderModel,
    RewardReader,
    ScaleReader,
    ScoreReader,
    TextReader,
    as_word,
    nearest,
    softplus,
    without_reasoning,
)
from llmbar.records import Cause, Constraint, Response

LABELS = ("Output (a)", "Output (b)")
CHOICE = ChoiceReader(kind="choice")
EXPLAINED = ChoiceReader(kind="choice", pattern="{label} is better", reply="Therefore, {label} is better.")
TIED = ChoiceReader(kind="choice", pattern=r"\[\[{label}\]\]", labels=("A", "B"), tie="C", reply="[[{label}]]")
SCALE = ScaleReader(kind="scale", levels={"A>>B": 2, "A>B": 1, "A=B": 0, "B>A": -1, "B>>A": -2})
SCORE = ScoreReader(kind="score", max=9)
BOTH = ScoreReader(kind="score", pattern=r"(?m)^{label}: ([-+]?\d+(?:\.\d+)?)", reply="{label}: {score}", min=1, max=10)
LOGPROB = LogprobReader(kind="logprob", labels=("m", "M"))
ITEMS, TEXT = ItemsReader(kind="items"), TextReader(kind="text")


def read(reader, text="", labels=LABELS, **answer):
    return reader.read(Response(text=text, **answer), labels)


# -- reasoning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Output (a)", "Output (a)"),
        ("<think>(b)?</think>Output (a)", "Output (a)"),
        ("<think>\n(b)?\n</think>\n\nOutput (a)\n", "Output (a)"),
        ("Output (a)<think>or not?</think>", "Output (a)"),
        ("<think>x</think>Output (a)<thinking>y</thinking> it is", "Output (a) it is"),
        ("<thinking>x</thinking>Output (a)", "Output (a)"),
        ("<reasoning>x</reasoning>Output (a)", "Output (a)"),
        ("<thought>x</thought>Output (a)", "Output (a)"),
        ("[THINK]x[/THINK]Output (a)", "Output (a)"),
        ("the opening tag stood in the prompt</think>Output (a)", "Output (a)"),
        ("<think>x</think>\n</think>Output (a)", "Output (a)"),
        ("Draft: (b)<think>x</think>more of it</think>Output (a)", "Output (a)"),
        ("<think>it shows a <think> tag</think>Output (a)", "Output (a)"),
        ("<think>a<think>b</think>c</think>Output (a)", "Output (a)"),
        ("<think>a<reasoning>b</reasoning>c</think>Output (a)", "Output (a)"),
        ("<think></think>Output (a)", "Output (a)"),
        ("1 < 2 and <b>bold</b>", "1 < 2 and <b>bold</b>"),
        ("<think>all thought</think>", ""),
        ("", ""),
    ],
)
def test_reasoning_is_cut_off(text, left):
    assert without_reasoning(Response(text=text)) == (left, None)


@pytest.mark.parametrize(
    "text", ["<think>Output (a)", "<think>x</think>Output (a)<think>hm", "Output (a) <think> or", "[THINK]Output (a)"]
)
@pytest.mark.parametrize("reader", [CHOICE, SCALE, SCORE, BOTH, ITEMS, TEXT], ids=lambda reader: reader.kind)
def test_reasoning_that_never_ends_is_truncated_whatever_it_names(text, reader):
    for more in ("", "\n7\n", "\n[[A>B]]", "\n1. x"):
        assert read(reader, text + more).cause is Cause.TRUNCATED


def test_what_a_judge_thinks_is_not_what_it_says():
    assert read(CHOICE, "<think>\nOutput (a)\n</think>\nOutput (b)").margin == -1
    assert not read(CHOICE, "<think>\nOutput (a)\n</think>\nOutput (b)").several
    assert read(SCORE, "<think>\n3\n</think>7").value == 7


# -- why a reply is unreadable ----------------------------------------------------------------------------------------

READERS = [CHOICE, EXPLAINED, TIED, SCALE, SCORE, BOTH, ITEMS]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.kind)
@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ({"text": ""}, Cause.EMPTY),
        ({"text": " \n\t"}, Cause.EMPTY),
        ({"text": "<think>nothing else</think>"}, Cause.EMPTY),
        ({"text": "I'm sorry, but I can't help with that."}, Cause.REFUSAL),
        ({"text": "I’m unable to compare these."}, Cause.REFUSAL),
        ({"text": "Sadly, I cannot choose."}, Cause.REFUSAL),
        ({"text": "As an AI, I hold no preference."}, Cause.REFUSAL),
        ({"text": "They are alike.", "finish_reason": "stop"}, Cause.NO_MATCH),
        ({"text": "They are", "finish_reason": "length"}, Cause.TRUNCATED),
        ({"text": "", "finish_reason": "length"}, Cause.TRUNCATED),
        ({"text": "", "finish_reason": "max_tokens"}, Cause.TRUNCATED),
        ({"text": "", "finish_reason": "content_filter"}, Cause.CONTENT_FILTER),
        ({"text": "Out", "finish_reason": "content management policy"}, Cause.CONTENT_FILTER),
    ],
)
def test_every_silence_has_its_cause(reader, answer, cause):
    reading = reader.read(Response(**answer), LABELS)
    assert (reading.cause, reading.margin, reading.value) == (cause, None, None)


def test_words_of_refusal_deep_inside_an_answer_are_none():
    assert read(CHOICE, "x" * 300 + " I cannot say").cause is Cause.NO_MATCH
    assert read(CHOICE, "Output (b)\nI cannot say more.").margin == -1


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_came_before_the_end_counts(reason):
    assert read(CHOICE, "Output (b)\nsince it", finish_reason=reason).margin == -1


# -- text and items ---------------------------------------------------------------------------------------------------


def test_a_text_is_the_whole_reply():
    assert read(TEXT, " <think>x</think> Paris. \n").value == "Paris."
    assert read(TEXT, "I cannot help.").value == "I cannot help."
    assert read(TEXT, "").cause is Cause.EMPTY


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. one\n2. two", ("one", "two")),
        ("Here they are:\n\n1) one \n2)two\n\nThat is all.", ("one", "two")),
        ("- one\n* two\n• three", ("one", "two", "three")),
        ("  - one\r\n\t- two\r\n", ("one", "two")),
        ("10. ten", ("ten",)),
        ("- one\n- two\n- one", ("one", "two")),
        ("1. 3.5 metres\n2. a - b", ("3.5 metres", "a - b")),
        ("1.\n2. two", ("two",)),
        ("- \n- two", ("two",)),
        ("3.5 metres\n**Bold** words\n---\n1. one", ("one",)),
    ],
)
def test_items_stand_one_on_a_line(text, items):
    assert read(ITEMS, text).value == items


def test_only_so_many_items_are_kept():
    assert read(ItemsReader(kind="items", most=2), "- a\n- b\n- c").value == ("a", "b")
    assert read(ITEMS, "\n".join(f"- {n}" for n in range(30))).value == tuple(map(str, range(10)))


def test_items_by_another_pattern():
    roles = ItemsReader(kind="items", pattern=r"\$([^&]*)&", reply="$Accuracy&$Tone&")
    assert read(roles, "$Accuracy& and $ & and $Tone &").value == ("Accuracy", "Tone")
    assert roles.read(roles.express(1, LABELS), LABELS).value == ("Accuracy", "Tone")


# -- choice -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("Output (a)", 1),
        ("Output (b)", -1),
        ("Output (b).", -1),
        ("**Output (b)**", -1),
        ("__Output (b)__", -1),
        ("_Output (b)_", -1),
        ("`Output (b)`", -1),
        ('"Output (b)"', -1),
        ("> Output (b)", -1),
        ("### Output (b)", -1),
        ("\n\n  Output (b)\n", -1),
        ("I see.\r\nOutput (b)\r\n", -1),
        ("Output (b) is better than Output (a).", -1),
    ],
)
def test_a_label_at_the_start_of_a_line_is_an_answer(text, margin):
    assert read(CHOICE, text) == read(CHOICE, text.strip())
    assert read(CHOICE, text).margin == margin


@pytest.mark.parametrize("text", ["output (b)", "Output b", "I choose Output (b)", "Answer: Output (b)", "(b)"])
def test_anything_else_is_not_guessed(text):
    assert read(CHOICE, text).cause is Cause.NO_MATCH


def test_of_several_statements_the_last_counts_or_the_first():
    text = "Output (a) is better in tone. Output (b) is better in fact. Output (a) is better."
    first = EXPLAINED.model_copy(update={"take": "first"})
    for reader, reply, margin in [
        (EXPLAINED, text, 1),
        (EXPLAINED, text + " Or: Output (b) is better", -1),
        (first, text, 1),
        (first, "Output (b) is better." + text, -1),
    ]:
        assert (read(reader, reply).margin, read(reader, reply).several) == (margin, True)
    assert not read(EXPLAINED, "Output (a) is better. Yes, Output (a) is better.").several


def test_a_tie_is_an_answer_where_the_strategy_has_one():
    assert read(TIED, "[[C]]").margin == 0
    assert read(TIED, "[[A]] or rather [[C]]").margin == 0
    assert read(TIED, "[[C]]").cause is None
    assert read(TIED, "C").cause is Cause.NO_MATCH
    assert read(CHOICE, "Tie").cause is Cause.NO_MATCH


@pytest.mark.parametrize(
    ("labels", "text", "margin"),
    [
        (("1", "10"), "10", -1),
        (("1", "10"), "1", 1),
        (("10", "1"), "10", 1),
        (("1", "10"), "**10**", -1),
        (("m", "M"), "M", -1),
        (("m", "M"), "m", 1),
        (("A", "A+"), "A+", -1),
        (("A", "A+"), "A", 1),
        (("A", "Assistant A"), "Assistant A", -1),
        (("Output 1", "Output 12"), "Output 12", -1),
    ],
)
@pytest.mark.parametrize("take", ["last", "first"])
def test_a_label_never_hides_in_another(labels, text, margin, take):
    for pattern in ("(?m)^[ *]*{label}", "{label}"):
        reading = read(ChoiceReader(kind="choice", pattern=pattern, take=take), text, labels)
        assert (reading.margin, reading.several) == (margin, False)


@pytest.mark.parametrize("text", ["Both are fine.", "And yet.", "Answer below.", "Better not.", "A1", "100"])
def test_a_label_is_a_word_of_its_own(text):
    assert read(CHOICE, text, ("A", "B")).cause is Cause.NO_MATCH
    assert read(CHOICE, text, ("1", "10")).cause is Cause.NO_MATCH


def test_a_tie_that_contains_the_labels_is_no_label():
    reader = ChoiceReader(kind="choice", pattern="{label}", labels=("A", "B"), tie="A=B")
    assert [read(reader, text).margin for text in ("A", "B", "A=B", "A=B? No: B")] == [1, -1, 0, -1]


def test_one_statement_that_names_both_is_ambiguous():
    reader = ChoiceReader(kind="choice", pattern=r"Better:.*{label}.*", reply="Better: {label}", labels=("A", "B"))
    for text in ("Better: A, not B", "Better: B or A", "Better: A\nBetter: A or B"):
        assert (read(reader, text).cause, read(reader, text).several) == (Cause.AMBIGUOUS, True)
    assert read(reader, "Better: A or B\nBetter: B").margin == -1


def test_a_pattern_may_hold_the_label_twice():
    reader = ChoiceReader(kind="choice", pattern=r"{label} wins, {label} it is", reply="{label} wins, {label} it is")
    assert read(reader, "Output (b) wins, Output (b) it is").margin == -1
    assert read(reader, "Output (b) wins, Output (a) it is").cause is Cause.NO_MATCH


def test_labels_of_ones_own_and_signs_that_mean_something_to_a_pattern():
    reader = ChoiceReader(kind="choice", labels=("[*]", "(.)"))
    assert read(reader, "(.)").margin == -1
    assert read(reader, "(x)").cause is Cause.NO_MATCH


def test_a_reply_can_be_held_to_the_options():
    held = TIED.model_copy(update={"constrain": True})
    assert held.constraint(LABELS) == Constraint("choice", ("A", "B", "C"))
    assert CHOICE.model_copy(update={"constrain": True}).constraint(LABELS) == Constraint("choice", LABELS)
    assert CHOICE.constraint(LABELS) is None


# -- scale ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("My verdict: [[A>>B]]", 2),
        ("[[A>B]]", 1),
        ("[[A=B]]", 0),
        ("[[B>A]]", -1),
        ("[[B>>A]]", -2),
        ("First [[A>>B]], no: [[B>A]]", -1),
    ],
)
def test_marks_have_levels(text, margin):
    assert read(SCALE, text).margin == margin


def test_marks_that_are_not_on_the_scale_are_not_read():
    for text in ("[[A>>>B]]", "A>B", "[[A]]", "[[a>b]]", "[[A>B>A]]"):
        assert read(SCALE, text).cause is Cause.NO_MATCH


def test_marks_without_brackets_do_not_hide_in_each_other():
    bare = SCALE.model_copy(update={"pattern": "{level}", "reply": "{level}"})
    assert [read(bare, text).margin for text in ("A>>B", "A>B", "B>>A", "B>A")] == [2, 1, -2, -1]
    words = ScaleReader(kind="scale", levels={"good": 1, "very good": 2, "bad": -1}, pattern="{level}", reply="{level}")
    assert read(words, "It is very good").margin == 2
    assert read(words, "Very goodish, though bad").margin == -1


# -- score ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("0", 0),
        ("9", 9),
        ("7.", 7),
        ("7.5", 7.5),
        ("+7", 7),
        (" 7\n", 7),
        ("**7**", 7),
        ("_7_", 7),
        ('"7"', 7),
        ("7/9", 7),
        ("7 / 9", 7),
        ("It is fine.\r\n7\r\n", 7),
        ("3\n7", 7),
    ],
)
def test_a_line_of_its_own_is_a_score(text, value):
    assert read(SCORE, text).value == value
    assert read(SCORE, text).margin is None


@pytest.mark.parametrize(
    "text", ["Score: 7", "7 points", "seven", "7/10", "7,5", "1e3", "7-8", "7 8", "7.5.1", "7/9/9", "v7", "½", "-"]
)
def test_anything_else_is_no_score(text):
    assert read(SCORE, text).cause is Cause.NO_MATCH


@pytest.mark.parametrize("text", ["10", "-1", "-3", "9.01", "-0.5", "1" * 400])
def test_a_score_out_of_its_bounds_is_none(text):
    assert read(SCORE, text).cause is Cause.OUT_OF_BOUNDS


def test_bounds_are_part_of_the_scale():
    assert read(ScoreReader(kind="score", min=-5, max=5), "-5").value == -5
    assert read(ScoreReader(kind="score", max=10), "8/10").value == 8


def test_of_several_scores_the_last_counts_or_the_first():
    first = SCORE.model_copy(update={"take": "first"})
    assert (read(SCORE, "3\n7").value, read(SCORE, "3\n7").several) == (7, True)
    assert (read(first, "3\n7").value, read(first, "3\n7").several) == (3, True)
    assert not read(SCORE, "7\n7.0").several


def test_what_a_pattern_takes_for_a_number_is_one():
    loose = ScoreReader(kind="score", pattern=r"Score: (.*)", reply="Score: {score}")
    assert read(loose, "Score: 7 ").value == 7
    for text in ("Score: high", "Score: nan", "Score: inf", "Score: 1_0", "Score: 7\nScore: n/a", "Score: "):
        assert read(loose, text).cause is Cause.NO_MATCH
    optional = ScoreReader(kind="score", pattern=r"Score:(?: (\d+))?", reply="Score: {score}")
    assert read(optional, "Score:").cause is Cause.NO_MATCH


def test_one_reply_may_score_both():
    reading = read(BOTH, "Because.\nOutput (a): 7\nOutput (b): 8.5")
    assert (reading.value, reading.margin) == ((7, 8.5), -1.5)
    assert read(BOTH, "Output (b): 3\nOutput (a): 3").margin == 0
    assert read(BOTH, "Output (a): 7").cause is Cause.NO_MATCH
    assert read(BOTH, "Output (a): 7\nOutput (b): 11").cause is Cause.OUT_OF_BOUNDS
    assert read(BOTH, "Output (a): 7\nOutput (b): 0").cause is Cause.OUT_OF_BOUNDS
    assert read(BOTH, "Output (a): 2\nOutput (b): 8\nOutput (a): 9").margin == 1
    assert read(BOTH, "Output (a): 2\nOutput (b): 8\nOutput (a): 9").several


def test_both_scores_with_labels_that_contain_one_another():
    assert read(BOTH, "1: 7\n10: 4", ("1", "10")).value == (7, 4)
    loose = BOTH.model_copy(update={"pattern": r"{label}: (\d+)"})
    assert read(loose, "1: 7\n11: 4", ("1", "11")).value == (7, 4)


# -- log-probabilities and rewards ------------------------------------------------------------------------------------


def told(**probabilities):
    return {"label_logprobs": {label: log(p) if p else -inf for label, p in probabilities.items()}}


def test_the_margin_is_the_logit_of_the_first_shown():
    assert read(LOGPROB, **told(m=0.6, M=0.2)).margin == pytest.approx(log(3))
    assert read(LOGPROB, **told(m=0.2, M=0.6)).margin == pytest.approx(-log(3))
    assert read(LOGPROB, **told(m=0.4, M=0.4)).margin == 0
    assert LOGPROB.constraint(LABELS) == Constraint("logprobs", ("m", "M"))


def test_too_little_mass_on_the_labels_is_unreadable():
    assert read(LOGPROB, **told(m=0.3, M=0.19)).cause is Cause.NO_MATCH
    assert read(LOGPROB, **told(m=0.3, M=0.21)).margin > 0
    lenient = LOGPROB.model_copy(update={"min_mass": 0.0})
    assert read(lenient, **told(m=0.003, M=0.001)).margin == pytest.approx(log(3))
    assert read(lenient, **told(m=0, M=0)).cause is Cause.NO_MATCH


def test_a_label_that_was_not_told_counts_with_the_most_it_can_hold():
    assert read(LOGPROB, **told(m=0.9)).margin == pytest.approx(log(9))
    assert read(LOGPROB, **told(M=0.9)).margin == pytest.approx(-log(9))
    assert read(LOGPROB, **told(m=0.9, M=0)).margin == pytest.approx(log(9))
    assert 20 < read(LOGPROB, **told(m=1.0)).margin < 40
    lenient = LOGPROB.model_copy(update={"min_mass": 0.0})
    assert read(lenient, **told(m=0.3)).margin >= 0


def test_without_log_probabilities_the_text_tells_why():
    assert read(LOGPROB).cause is Cause.EMPTY
    assert read(LOGPROB, "m").cause is Cause.NO_MATCH
    assert read(LOGPROB, "", finish_reason="content_filter").cause is Cause.CONTENT_FILTER
    assert read(LOGPROB, "x", label_logprobs={"x": -0.1}).cause is Cause.NO_MATCH


def test_log_probabilities_that_are_none_break_nothing():
    assert read(LOGPROB, label_logprobs={"m": nan, "M": -0.1}).cause is Cause.NO_MATCH
    assert 0 < read(LOGPROB, label_logprobs={"m": 1000.0, "M": -0.1}).margin < 1
    assert -9999 <= read(LOGPROB, label_logprobs={"m": -9999.0, "M": -0.1}).margin < -9000


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_an_additive_position_effect_cancels_in_the_mean_of_logits(preference, position):
    """ℓ(first shown) is d + b in the original order and −d + b swapped: in the output frame the mean is d."""
    lenient = LOGPROB.model_copy(update={"min_mass": 0.0})
    margins = []
    for sign in (1, -1):
        first = 1 / (1 + exp(-(sign * preference + position)))
        margins.append(sign * read(lenient, label_logprobs={"m": log(first), "M": log(1 - first)}).margin)
    assert sum(margins) / 2 == pytest.approx(preference, abs=1e-6)


def test_a_reward_is_a_number():
    reader = RewardReader(kind="reward")
    assert read(reader, reward=-3.25).value == -3.25
    assert read(reader, reward=0.0).value == 0
    assert read(reader).cause is Cause.EMPTY
    assert {read(reader, reward=value).cause for value in (nan, inf, -inf)} == {Cause.OUT_OF_BOUNDS}


# -- every reader can also speak --------------------------------------------------------------------------------------

LABEL_PAIRS = [LABELS, ("1", "10"), ("10", "1"), ("m", "M"), ("A", "B"), ("(a)", "(a)+"), ("Output 1", "Output 12")]
BARE = ScaleReader(kind="scale", levels={"A>B": 1, "B>A": -1}, pattern="{level}", reply="{level}")
SPEAKERS = [
    *(CHOICE, EXPLAINED, TIED, SCALE, BARE, BOTH, LogprobReader(kind="logprob")),
    CHOICE.model_copy(update={"take": "first"}),
    CHOICE.model_copy(update={"tie": "Tie"}),
]


@given(st.sampled_from(SPEAKERS), st.sampled_from(LABEL_PAIRS), st.floats(1e-3, 1e3), st.sampled_from([1, -1]))
def test_what_a_reader_says_it_reads_back_with_its_sign(reader, labels, size, sign):
    reading = reader.read(reader.express(sign * size, labels), labels)
    assert reading.cause is None
    assert reading.margin * sign > 0
    assert not reading.several


@given(st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([(0, 9), (1, 10), (-1, 1), (0, 0.01)]))
def test_scores_keep_their_rank(one, two, bounds):
    reader = ScoreReader(kind="score", min=bounds[0], max=bounds[1])
    scores = [reader.read(reader.express(value, LABELS), LABELS).value for value in (one, two)]
    assert all(bounds[0] <= score <= bounds[1] for score in scores)
    assert (scores[0] - scores[1]) * (one - two) >= 0
    if abs(one - two) > 1e-3:
        assert scores[0] != scores[1]


def test_no_preference_is_a_tie_where_there_is_one():
    for reader in (TIED, SCALE, BOTH, LogprobReader(kind="logprob")):
        assert reader.read(reader.express(0, LABELS), LABELS).margin == 0
    for reader in (CHOICE, EXPLAINED, BARE):
        assert reader.read(reader.express(0, LABELS), LABELS).margin in {1, -1}


def test_a_scale_is_used_to_its_ends_and_never_on_the_wrong_side():
    levels = list(SCALE.levels.items())
    assert [nearest(value, levels) for value in (1, 0.6, 0.1, 0, -0.1, -1)] == [
        "A>>B",
        "A>B",
        "A>B",
        "A=B",
        "B>A",
        "B>>A",
    ]
    grades = [("poor", 1.0), ("fair", 2.0), ("good", 3.0)]
    assert [nearest(value, grades) for value in (-1, -0.2, 0, 0.2, 1)] == ["poor", "poor", "fair", "good", "good"]


@given(st.floats(-700, 700))
def test_softplus_is_the_logarithm_of_one_plus_e_to_the_x(x):
    assert softplus(x) - softplus(-x) == pytest.approx(x, abs=1e-9)
    if abs(x) < 30:
        assert softplus(x) == pytest.approx(log(1 + exp(x)), rel=1e-9)


def test_a_word_of_its_own():
    assert re.findall(as_word("A"), "A, B_A_, AB, BA, A1, (A)") == ["A"] * 3


# -- what a reader may be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"kind": "choice", "pattern": "verdict"}, "must hold {label}"),
        ({"kind": "choice", "pattern": "({label}"}, "not a regular expression"),
        ({"kind": "choice", "reply": "first"}, "must hold {label}"),
        ({"kind": "choice", "labels": ["A", "A"]}, "two labels cannot be the same"),
        ({"kind": "choice", "labels": ["A", " "]}, "a label cannot be empty"),
        ({"kind": "choice", "labels": ["A"]}, "Field required"),
        ({"kind": "choice", "tie": ""}, "at least 1 character"),
        ({"kind": "choice", "take": "best"}, "'last' or 'first'"),
        ({"kind": "scale", "levels": {"A": 1}}, "at least 2 items"),
        ({"kind": "scale", "levels": {"A": 1, "B": inf}}, "finite number"),
        ({"kind": "scale", "levels": {"A": 1, "": -1}}, "at least 1 character"),
        ({"kind": "scale", "levels": {"A": 1, "B": -1}, "pattern": "x"}, "must hold {level}"),
        ({"kind": "scale", "levels": {"A": 1, "B": -1}, "reply": "x"}, "must hold {level}"),
        ({"kind": "score", "pattern": r"\d+"}, "must have exactly 1 group, has 0"),
        ({"kind": "score", "pattern": r"(\d+)(/10)"}, "must have exactly 1 group, has 2"),
        ({"kind": "score", "reply": "7"}, "must hold {score}"),
        ({"kind": "score", "min": 5, "max": 5}, "min must lie below max"),
        ({"kind": "score", "max": inf}, "finite number"),
        ({"kind": "items", "pattern": r"- .*"}, "must have exactly 1 group, has 0"),
        ({"kind": "items", "most": 0}, "greater than or equal to 1"),
        ({"kind": "logprob", "min_mass": 1.5}, "less than or equal to 1"),
        ({"kind": "text", "patern": "x"}, "Extra inputs"),
        ({"kind": "oracle"}, "does not match any of the expected tags"),
    ],
)
def test_a_reader_that_cannot_work_is_refused(keys, told):
    with pytest.raises(ValidationError) as error:
        TypeAdapter(Reader).validate_python(keys)
    assert told in str(error.value)


def test_what_no_reader_asks_for_is_not_constrained():
    assert ReaderModel().constraint(LABELS) is None


# -- time -------------------------------------------------------------------------------------------------------------

HOSTILE = [
    *("<think>", "<think>x</think>", "</think>", "<thinking><think>", "[THINK]", "#", " ", "-", "\n", "\n#", "\r\n"),
    *("\n- ", "x \n", "- x  ", "1", "1.", "1 ", "7\n", "7 ", "7/", "*", "_", "Output (a)\n", "Output (a) ", "[[A>>B]]"),
    *("I can ", "i ", "\t", "\n\t"),
]


@pytest.mark.parametrize("unit", HOSTILE, ids=repr)
def test_time_is_linear_in_the_length_of_whatever_a_judge_says(unit):
    """A quarter of a megabyte within half a second; quadratic patterns take minutes."""
    text = "x" + unit * (250_000 // len(unit)) + "x"
    for reader in (*READERS, TEXT):
        began = time.process_time()
        read(reader, text)
        assert time.process_time() - began < 0.5, reader.kind
