from __future__ import annotations

import json

import pytest
from asking import CHOICE, LABELS, comparison, pair, prompt, rating

from llmbar.errors import JudgeError
from llmbar.judges import JudgeOptions
from llmbar.judges.local import asked, favoured, first_shown, refuse_unknown
from llmbar.reading import ItemsReader, ScoreReader, TextReader
from llmbar.records import Message, Order, Question, Request

SCORE = ScoreReader(kind="score")
FIRST = {Order.ORIGINAL: 1, Order.SWAPPED: 2}
TWO_SHOTS = (
    Message("user", prompt("Say yes or no.", "Yes", "No")),
    Message("assistant", "Output (a)"),
    Message("user", prompt("Count to two.", "2\n1", "1\n2")),
    Message("assistant", "Output (b)"),
)


@pytest.mark.parametrize("before", [(), TWO_SHOTS], ids=["no shot", "two shots"])
def test_on_all_real_pairs_the_first_shown_output_is_found(shared, before):
    seen = 0
    for file in sorted((shared / "data/llmbar/Dataset").rglob("dataset.json")):
        for row in json.loads(file.read_text("utf-8")):
            if row["output_1"] == row["output_2"]:
                continue  # one pair of LLMEval^2: it has no order
            of = pair(row["input"], row["output_1"], row["output_2"])
            for order in Order:
                assert first_shown(comparison(of, order, before=before)) == FIRST[order], (file, row)
                seen += 1
    assert seen >= 838


@pytest.mark.parametrize(
    ("instruction", "output_1", "output_2"),
    [
        ("Answer:\nYes", "Yes", "No"),
        ("Yes\nor\nNo", "Yes", "Yes\nNo"),
        ("1", "1", "11"),
        ("Repeat\na\nb", "a\nb", "b"),
        ("Repeat\na\nb", "a", "a\nb\na"),
        ("Write\nOutput (a)", "Output (a)", "Output (b)"),
        ("# Output (a):\nNo", "No", "# Output (a):\nNone"),
        ("Echo", "the same\nline", "line"),
        ("Echo", "  indented", "indented"),
        ("Echo", "ends\n", "ends\nhere"),
        ("Echo", "a\r\nb", "b"),
    ],
)
@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("before", [(), TWO_SHOTS], ids=["no shot", "two shots"])
def test_short_and_contained_outputs_are_told_apart(instruction, output_1, output_2, order, before):
    of = pair(instruction, output_1, output_2)
    assert first_shown(comparison(of, order, before=before)) == FIRST[order]


@pytest.mark.parametrize("order", Order)
def test_outputs_may_stand_within_lines_and_lose_whitespace_around_them(order):
    of = pair("Greet.", " Hello!\n", "Good day, dear reader.")
    shown = [text.strip() for text in (of.output_1, of.output_2)[:: order.sign]]
    assert first_shown(comparison(of, order, text="A: <<{}>>, B: <<{}>>".format(*shown))) == FIRST[order]


@pytest.mark.parametrize("order", Order)
def test_outputs_may_stand_on_adjacent_lines(order):
    of = pair("Echo", "a much longer line", "b")
    shown = (of.output_1, of.output_2)[:: order.sign]
    assert first_shown(comparison(of, order, text="b\n{}\n{}\nWhich?".format(*shown))) == FIRST[order]


def test_an_earlier_turn_counts_where_the_last_does_not_show_the_pair():
    of = pair()
    before = (Message("user", prompt(of.instruction, of.output_2, of.output_1)), Message("assistant", "Let me think."))
    assert first_shown(comparison(of, before=before, text="So which is better?")) == 2


def test_what_the_prompt_shows_counts_and_not_the_order_that_was_meant():
    of = pair()
    swapped_by_mistake = prompt(of.instruction, of.output_2, of.output_1)
    assert first_shown(comparison(of, Order.ORIGINAL, text=swapped_by_mistake)) == 2


def test_a_prompt_that_lacks_an_output_is_an_error_naming_strategy_and_step():
    of = pair()
    twice = prompt(of.instruction, of.output_1, of.output_1)
    with pytest.raises(JudgeError, match="both outputs: strategy plain, step verdict, pair p0"):
        first_shown(comparison(of, text=twice))
    with pytest.raises(JudgeError, match="output 2 does not stand in the prompt: strategy plain, step score"):
        favoured(rating(of, 2, SCORE, text=of.output_1))


def test_what_the_system_turn_says_is_no_output():
    of = pair()
    shown = Message("system", prompt(of.instruction, of.output_1, of.output_2))
    with pytest.raises(JudgeError):
        first_shown(Request((shown, Message("user", "Well?")), about=comparison(of).about))


def test_favoured_is_the_output_asked_about_or_none_where_no_preference_is_stated():
    of = pair()
    assert [favoured(rating(of, output, SCORE)) for output in (1, 2)] == [1, 2]
    assert favoured(comparison(of, Order.SWAPPED, reader=CHOICE)) == 2
    for reader in (TextReader(kind="text"), ItemsReader(kind="items")):
        about = Question(of, "plain", "metrics", None, None, LABELS, reader)
        assert favoured(Request((Message("user", "Which questions matter?"),), about=about)) is None


def test_a_request_that_is_about_nothing_cannot_be_answered():
    with pytest.raises(JudgeError, match="what it is about"):
        asked(Request((Message("user", "Hello"),)))


def test_options_without_use_are_refused_with_the_nearest_known():
    with pytest.raises(JudgeError, match=r"accuracies: baseline/x takes no -M accuracies \(did you mean accuracy\?\)"):
        refuse_unknown("baseline/x", JudgeOptions(args={"accuracies": "1"}), ["accuracy"])
    with pytest.raises(JudgeError, match="base-url"):
        refuse_unknown("baseline/x", JudgeOptions(base_urls=("http://localhost",)))
    refuse_unknown("baseline/x", JudgeOptions(args={"accuracy": "1"}), ["accuracy"])
