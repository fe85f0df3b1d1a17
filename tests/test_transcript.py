"""What later steps see of earlier replies, and what becomes of replies: margins, causes, failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategy_folders import ALONE, FAILED, SHOWN, strategy

from llmbar.records import Cause, FailureKind, Order, Reply
from llmbar.transcript import BothOrders, BothOutputs, Transcript, exchange

ORIGINAL, SWAPPED = Order.ORIGINAL, Order.SWAPPED
LABELS = ("Output (a)", "Output (b)")


def reply(step, text, place=None, **more):
    """A reply in an order, about an output, or for the pair."""
    where = {"order": place} if isinstance(place, Order) else {"output": place}
    said = {"text": text} if isinstance(text, str) else {"failure": text.failure}
    return Reply(step=step, key="k", finish_reason="stop", **where, **said, **more)


def steps(root, *tables, head="", **templates):
    """A strategy of these steps; a template that is not given shows what its step is asked about."""
    toml = f'summary = "x"\n{head}\n' + "\n".join(f"[[steps]]\n{table}" for table in tables)
    names = {line.split('"')[1]: table for table in tables for line in table.splitlines() if line.startswith("name")}
    shown = {name: ALONE if '"output"' in table else SHOWN for name, table in names.items()}
    return strategy(root, toml, **{**shown, **templates})


VERDICT = 'name = "verdict"\nper = "order"\nread = { kind = "choice" }\n'
EXPLAIN = VERDICT.replace("verdict", "explain").replace(
    '"choice"', '"choice", pattern = "{label} wins", reply = "{label} wins"'
)
SCORE = 'name = "score"\nper = "output"\nread = { kind = "score" }\n'
NOTES = 'name = "notes"\nper = "pair"\nread = { kind = "text" }\n'
ITEMS = 'name = "list"\nper = "pair"\nread = { kind = "items" }\n'


def seen(made, *replies, order=None, output=None):
    """What the last step's template sees of the earlier ones."""
    return dict(Transcript.of(made, replies).seen_by(made.steps[-1], order, output))


# -- relabelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "text", "exchanged"),
    [
        (LABELS, "Output (a) beats Output (b). **Output (a)**!", "Output (b) beats Output (a). **Output (b)**!"),
        (LABELS, "Output (c), output (a), (b)", "Output (c), output (a), (b)"),
        (("1", "10"), "1 beats 10; 100 and 11 are none", "10 beats 1; 100 and 11 are none"),
        (("10", "1"), "1 beats 10", "10 beats 1"),
        (("A", "B"), "A beats B. And Bob agrees: A.", "B beats A. And Bob agrees: B."),
        (("m", "M"), "M, not m. Mmm", "m, not M. Mmm"),
        (("A", "A+"), "A beats A+", "A+ beats A"),
        (("x.y", "x?y"), "x.y, xzy, x?y", "x?y, xzy, x.y"),
    ],
)
def test_labels_are_exchanged_at_once_and_as_words(labels, text, exchanged):
    assert exchange(text, labels) == exchanged


@given(
    st.lists(st.sampled_from(["Output (a)", "Output (b)", "1", "10", " ", ", ", "\n", "x"]), max_size=20).map(" ".join),
    st.sampled_from([LABELS, ("1", "10"), ("x", "10")]),
)
def test_exchanging_twice_changes_nothing(text, labels):
    assert exchange(exchange(text, labels), labels) == text


# -- views ------------------------------------------------------------------------------------------------------------


def test_what_was_said_for_the_pair_is_seen_as_it_was_said(tmp_path):
    made = steps(tmp_path, NOTES, VERDICT)
    for order in Order:
        view = seen(made, reply("notes", " Output (a) is shown. \n"), order=order)["notes"]
        assert (str(view), view.text, view.prefers, view.item) == ("Output (a) is shown.",) * 2 + (None, None)


def test_reasoning_is_not_shown_to_later_steps(tmp_path):
    made = steps(tmp_path, NOTES, VERDICT)
    assert str(seen(made, reply("notes", "<think>hm</think>Paris."))["notes"]) == "Paris."
    assert str(seen(made, reply("notes", "<think>hm"))["notes"]) == ""


def test_each_order_sees_both_in_its_own_labels(tmp_path):
    made = steps(tmp_path, EXPLAIN, VERDICT)
    said = (
        reply("explain", "Output (a) wins", ORIGINAL),
        reply("explain", "Since Output (b) lies, Output (a) wins", SWAPPED),
    )
    one = seen(made, *said, order=ORIGINAL)["explain"]
    assert isinstance(one, BothOrders)
    assert (one.here.text, one.here.prefers) == ("Output (a) wins", "first")
    assert (one.there.text, one.there.prefers) == ("Since Output (a) lies, Output (b) wins", "second")
    assert (one.for_first, one.for_second) == (one.here, one.there)
    two = seen(made, *said, order=SWAPPED)["explain"]
    assert (two.here.text, two.here.prefers) == ("Since Output (b) lies, Output (a) wins", "first")
    assert (two.there.text, two.there.prefers) == ("Output (b) wins", "second")
    assert (two.for_first, two.for_second) == (two.here, two.there)


def test_where_both_orders_agree_one_side_has_no_advocate(tmp_path):
    made = steps(tmp_path, EXPLAIN, VERDICT)
    said = reply("explain", "Output (a) wins", ORIGINAL), reply("explain", "Output (b) wins", SWAPPED)
    one = seen(made, *said, order=ORIGINAL)["explain"]
    assert (one.for_first, one.for_second) == (one.here, None)
    two = seen(made, *said, order=SWAPPED)["explain"]
    assert (two.for_first, two.for_second) == (None, two.here)


def test_ties_and_the_unreadable_speak_for_nobody(tmp_path):
    made = steps(tmp_path, EXPLAIN.replace('"{label} wins" }', '"{label} wins", tie = "Neither" }'), VERDICT)
    view = seen(made, reply("explain", "Neither wins", ORIGINAL), reply("explain", "Hm.", SWAPPED), order=ORIGINAL)[
        "explain"
    ]
    assert (view.here.prefers, view.there.prefers) == ("tie", None)
    assert (view.for_first, view.for_second) == (None, None)


def test_what_was_said_about_outputs_follows_the_order(tmp_path):
    made = steps(tmp_path, SCORE, VERDICT)
    said = reply("score", "3", 1), reply("score", "8", 2)
    one, two = (seen(made, *said, order=order)["score"] for order in Order)
    assert isinstance(one, BothOutputs)
    assert (one.first.text, one.second.text) == ("3", "8")
    assert (two.first.text, two.second.text) == ("8", "3")
    assert one.first.prefers is None


def test_a_later_step_about_an_output_sees_what_was_said_about_it(tmp_path):
    made = steps(
        tmp_path, SCORE.replace("score", "notes", 1).replace('"score"', '"text"'), SCORE, head='orders = "free"'
    )
    said = reply("notes", "short", 1), reply("notes", "long", 2)
    assert [seen(made, *said, output=output)["notes"].text for output in (1, 2)] == ["short", "long"]


def test_samples_and_items_make_lists(tmp_path):
    made = steps(tmp_path, NOTES + "samples = 2\n", ITEMS, VERDICT)
    view = seen(made, reply("notes", "a"), reply("notes", "b", sample=1), reply("list", "1. x\n2. y"), order=ORIGINAL)
    assert [note.text for note in view["notes"]] == ["a", "b"]
    assert view["list"] == ("x", "y")
    made = steps(tmp_path, EXPLAIN + 'over = ["Ann", "Bob"]\n', VERDICT)
    replies = [
        reply("explain", f"Output ({it}) wins", o, item=who) for o in Order for who, it in (("Ann", "a"), ("Bob", "b"))
    ]
    view = seen(made, *replies, order=SWAPPED)["explain"]
    assert [(each.item, each.prefers) for each in view.here] == [("Ann", "first"), ("Bob", "second")]
    assert [(each.item, each.prefers) for each in view.there] == [("Ann", "second"), ("Bob", "first")]
    assert (view.for_first, view.for_second) == (view.here[0], view.here[1])


def test_what_was_not_asked_is_not_there(tmp_path):
    made = steps(tmp_path, EXPLAIN, NOTES.replace('"pair"', '"order"') + 'if_orders_disagree_on = "explain"\n', VERDICT)
    view = seen(made, order=ORIGINAL)
    assert view["explain"] == BothOrders(None, None, None, None)


def test_a_step_sees_only_what_came_before(tmp_path):
    made = steps(tmp_path, NOTES, EXPLAIN, VERDICT)
    transcript = Transcript.of(made, [reply("notes", "x"), reply("verdict", "Output (a)", ORIGINAL)])
    assert list(dict(transcript.seen_by(made.steps[1], ORIGINAL, None))) == ["notes"]
    assert list(dict(transcript.seen_by(made.steps[2], ORIGINAL, None))) == ["notes", "explain"]


def test_items_are_those_of_the_place(tmp_path):
    for per, places in (("order", list(Order)), ("output", [1, 2])):
        lists = ITEMS.replace("pair", per)
        then = (VERDICT if per == "order" else SCORE) + 'over = "list"\n'
        made = steps(tmp_path, lists, then, head="" if per == "order" else 'orders = "free"')
        transcript = Transcript.of(made, [reply("list", f"- {place}", place) for place in places])
        for place in places:
            order, output = (place, None) if per == "order" else (None, place)
            assert transcript.items("list", order, output) == (str(place),)
    made = steps(tmp_path, ITEMS, VERDICT + 'over = "list"\n')
    assert Transcript.of(made, [reply("list", "- x")]).items("list", SWAPPED, None) == ("x",)
    assert Transcript.of(made, [reply("list", "nothing")]).items("list", SWAPPED, None) == ()


# -- margins ----------------------------------------------------------------------------------------------------------


def margins(made, *replies):
    transcript = Transcript.of(made, replies)
    return [transcript.margin(transcript.deciding(), order) for order in Order]


def test_margins_are_in_the_output_frame(tmp_path):
    made = steps(tmp_path, VERDICT)
    assert margins(made, reply("verdict", "Output (a)", ORIGINAL), reply("verdict", "Output (a)", SWAPPED)) == [1, -1]
    assert margins(made, reply("verdict", "Output (b)", SWAPPED)) == [None, 1]


def test_a_margin_is_the_mean_of_what_could_be_read(tmp_path):
    made = steps(tmp_path, VERDICT + "samples = 4\n")
    texts = ["Output (a)", "Output (b)", "Hm.", "Output (a)"]
    replies = [reply("verdict", text, ORIGINAL, sample=sample) for sample, text in enumerate(texts)]
    assert margins(made, *replies) == [pytest.approx(1 / 3), None]


def test_scores_differ_item_by_item_and_a_gap_is_skipped_for_both(tmp_path):
    made = steps(tmp_path, SCORE + 'over = ["tone", "truth", "length"]\n', head='orders = "free"')
    told = {
        ("tone", 1): "3",
        ("tone", 2): "4",
        ("truth", 1): "9",
        ("truth", 2): "?",
        ("length", 1): "5",
        ("length", 2): "0",
    }
    replies = [reply("score", text, output, item=item) for (item, output), text in told.items()]
    assert margins(made, *replies) == [(-1 + 5) / 2] * 2


def test_several_samples_of_a_score_are_paired(tmp_path):
    made = steps(tmp_path, SCORE + "samples = 2\n", head='orders = "free"')
    told = {(0, 1): "3", (0, 2): "9", (1, 1): "7", (1, 2): "7"}
    assert margins(made, *(reply("score", text, output, sample=n) for (n, output), text in told.items())) == [-3, -3]


def test_yes_and_no_about_each_output_are_weighed_as_scores(tmp_path):
    reader = SCORE.replace('"score" }', '"choice", labels = ["yes", "no"] }')
    made = steps(tmp_path, reader + 'over = ["tone", "truth"]\n', head='orders = "free"')
    told = {("tone", 1): "yes", ("tone", 2): "yes", ("truth", 1): "yes", ("truth", 2): "no"}
    assert margins(made, *(reply("score", text, output, item=item) for (item, output), text in told.items())) == [1, 1]


def test_several_steps_may_decide_together(tmp_path):
    made = steps(tmp_path, EXPLAIN, VERDICT, head='decided_by = ["explain", "verdict"]')
    said = reply("explain", "Output (a) wins", ORIGINAL), reply("verdict", "Output (b)", ORIGINAL)
    assert margins(made, *said) == [0, None]
    alone = steps(tmp_path, EXPLAIN, VERDICT, head='decided_by = "explain"')
    assert margins(alone, *said) == [1, None]


# -- conditions, causes, failures -------------------------------------------------------------------------------------

RESOLVE = VERDICT.replace("verdict", "resolve") + 'if_orders_disagree_on = "explain"\n'
SAYS = {1: "Output (a) wins", -1: "Output (b) wins", 0: "Neither wins", None: "Hm."}


@pytest.mark.parametrize(
    ("original", "swapped", "applies"),
    [
        *((1, 1, True), (-1, -1, True), (1, -1, False), (-1, 1, False)),
        *((None, 1, False), (1, None, False), (None, None, False), (0, 1, False), (1, 0, False), (0, 0, False)),
    ],
)
def test_orders_disagree_where_they_name_different_outputs(tmp_path, original, swapped, applies):
    """Both naming what they show first is a conflict; a tie or an unreadable reply is none."""
    made = steps(tmp_path, EXPLAIN.replace('"{label} wins" }', '"{label} wins", tie = "Neither" }'), RESOLVE)
    said = reply("explain", SAYS[original], ORIGINAL), reply("explain", SAYS[swapped], SWAPPED)
    transcript = Transcript.of(made, said)
    assert transcript.applies(made.steps[0])
    assert transcript.applies(made.steps[1]) == applies


def test_a_step_whose_condition_no_longer_holds_has_no_say(tmp_path):
    """Replies that were kept may be read otherwise later: what was asked on a conflict counts only if there is one."""
    made = steps(tmp_path, EXPLAIN, RESOLVE)
    agree = reply("explain", "Output (a) wins", ORIGINAL), reply("explain", "Output (b) wins", SWAPPED)
    clash = reply("explain", "Output (a) wins", ORIGINAL), reply("explain", "Output (a) wins", SWAPPED)
    last = reply("resolve", "Output (b)", ORIGINAL), reply("resolve", "Output (a)", SWAPPED)
    assert margins(made, *agree, *last) == [1, 1]
    assert margins(made, *clash, *last) == [-1, -1]
    assert margins(made, *clash) == [1, -1]


def test_the_cause_is_that_of_the_step_that_decides(tmp_path):
    made = steps(tmp_path, NOTES, VERDICT)
    transcript = Transcript.of(made, [reply("notes", ""), reply("verdict", "I cannot say.", ORIGINAL)])
    assert transcript.cause(ORIGINAL) is Cause.REFUSAL
    assert transcript.cause(SWAPPED) is Cause.EMPTY
    assert Transcript(made).cause(ORIGINAL) is Cause.NO_MATCH


def test_a_failure_counts_where_the_order_rests_on_it(tmp_path):
    made = steps(tmp_path, NOTES, VERDICT)
    transcript = Transcript.of(made, [reply("notes", "x"), reply("verdict", FAILED, SWAPPED)])
    assert [transcript.failure(order) for order in Order] == [None, FailureKind.SERVER]
    assert transcript.failed
    transcript = Transcript.of(made, [reply("notes", FAILED)])
    assert [transcript.failure(order) for order in Order] == [FailureKind.SERVER] * 2


def test_what_was_not_asked_for_after_a_failure_is_failed_too(tmp_path):
    made = steps(tmp_path, EXPLAIN, RESOLVE)
    first = Transcript.of(made, [reply("explain", FAILED, ORIGINAL), reply("explain", "Output (a) wins", SWAPPED)])
    assert [first.failure(order) for order in Order] == [FailureKind.SERVER] * 2
    assert not first.applies(made.steps[1])


def test_replies_of_other_strategies_are_left_out(tmp_path):
    made = steps(tmp_path, VERDICT)
    replies = [reply("verdict", "Output (a)", ORIGINAL), reply("reward", "3", 1)]
    assert Transcript.of(made, replies).replies() == (replies[0],)
