"""The engine, with a judge that says what a table tells it to: what is asked, where, and what follows from it."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest
from asking import pair
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategy_folders import ALONE, FAILED, SHOWN, SILENT, Scripted, strategy

from llmbar.engine import Job, Place, build_request, decide, judge_all, judge_pair, rehearse
from llmbar.errors import JudgeError, StrategyError
from llmbar.records import Cause, FailureKind, Order, Response
from llmbar.strategy import load_strategy
from llmbar.transcript import Transcript

ORIGINAL, SWAPPED = Order.ORIGINAL, Order.SWAPPED
A, B, HM = "Output (a)", "Output (b)", "Hm."
EA, EB = f"Therefore, {A} is better.", f"Therefore, {B} is better."


def table(**says):
    """`verdict=(x, y)` is x in the original order, y swapped; `score=[x, y]` is of outputs 1 and 2; else: the pair."""
    told = {}
    for step, said in says.items():
        places = Order if isinstance(said, tuple) else (1, 2) if isinstance(said, list) else (None,)
        told |= {(step, place): each for place, each in zip(places, said if len(places) > 1 else (said,), strict=True)}
    return told


def judged(name_or_strategy, of=None, panel=(), repeat=0, **says):
    """A judgment, and the judge that was asked."""
    made = load_strategy(name_or_strategy) if isinstance(name_or_strategy, str) else name_or_strategy
    judge = Scripted(table(**says))
    judgment = asyncio.run(judge_pair(Job(of or pair(), made, repeat), [judge, *panel]))
    return judgment, judge


def verdicts(judgment):
    return judgment.original, judgment.swapped, judgment.final


def steps(root, *tables, head="", **templates):
    toml = f'summary = "x"\n{head}\n' + "\n".join(f"[[steps]]\n{each}" for each in tables)
    shown = {each.split('"')[1]: ALONE if '"output"' in each else SHOWN for each in tables}
    return strategy(root, toml, **{**shown, **templates})


VERDICT = 'name = "verdict"\nper = "order"\nread = { kind = "choice" }\n'
SCORE = 'name = "score"\nper = "output"\nread = { kind = "score" }\n'
NOTES = 'name = "notes"\nper = "pair"\nread = { kind = "text" }\n'
ITEMS = 'name = "list"\nper = "pair"\nread = { kind = "items" }\n'
FREE = 'orders = "free"'

# -- what is asked ----------------------------------------------------------------------------------------------------

AUXILIARY = {"metrics": "1. Is it yes?", "reference": "Yes."}

CALLS = {
    **dict.fromkeys(("vanilla", "rules", "cot", "cot+rules", "rules-1shot", "rules-2shot", "swap-averaging"), 2),
    **dict.fromkeys(("metrics", "metrics+rules", "reference", "reference+rules"), 3),
    **dict.fromkeys(("rating", "rating+rules"), 2),
    **dict.fromkeys(("rating+metrics", "rating+reference"), 3),
    **dict.fromkeys(("metrics+reference+rules", "rating+metrics+reference"), 4),
}
"""Reference: both orders, and one call for each auxiliary text."""


def answers(name, *, conflict=False):
    """Something that every step of a shipped strategy can read."""
    if name.startswith("swap+"):
        resolved = (EA, EB) if "cot" in name else (A, B)
        return {"explain": (EA, EA if conflict else EB), "resolve": resolved}
    if name.startswith("rating"):
        return {**AUXILIARY, "score": ["7", "4"]}
    return {**AUXILIARY, "verdict": (EA, EB) if "cot" in name else (A, B)}


@pytest.mark.parametrize("name", CALLS)
def test_calls_per_pair_are_those_of_the_paper(name):
    judgment, judge = judged(name, **answers(name))
    assert len(judge.asked) == len(judgment.replies) == CALLS[name]
    assert verdicts(judgment) == ("1", "1", "1")
    assert len({request.key for request in judge.asked}) == CALLS[name]


@pytest.mark.parametrize("name", ["swap+rules", "swap+cot+rules"])
def test_a_swap_strategy_asks_twice_and_on_conflict_four_times(name):
    judgment, judge = judged(name, **answers(name))
    assert judge.places() == [("explain", ORIGINAL), ("explain", SWAPPED)]
    judgment, judge = judged(name, **answers(name, conflict=True))
    assert judge.places()[2:] == [("resolve", ORIGINAL), ("resolve", SWAPPED)]
    assert verdicts(judgment) == ("1", "1", "1")


def test_what_was_written_first_stands_in_what_is_asked_then():
    _, judge = judged("metrics+reference+rules", **answers("metrics"))
    assert judge.places() == [("metrics", None), ("reference", None), ("verdict", ORIGINAL), ("verdict", SWAPPED)]
    for request in judge.asked[2:]:
        assert "1. Is it yes?\n" in request.messages[-1].content
        assert "comparison:\nYes.\n" in request.messages[-1].content


def test_an_empty_text_is_no_reason_to_stop():
    judgment, judge = judged("metrics+rules", metrics=SILENT, verdict=(A, B))
    assert verdicts(judgment) == ("1", "1", "1")
    assert "for this instruction:\n\n\nLet these" in judge.asked[1].messages[-1].content


# -- verdicts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vanilla", "rules", "metrics+rules", "rules-2shot", "swap-averaging"])
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ((A, B), ("1", "1", "1")),
        ((B, A), ("2", "2", "2")),
        ((A, A), ("1", "2", "tie")),
        ((B, B), ("2", "1", "tie")),
        ((A, HM), ("1", "unreadable", "unreadable")),
        ((HM, HM), ("unreadable", "unreadable", "unreadable")),
        ((SILENT, B), ("unreadable", "1", "unreadable")),
        ((FAILED, B), ("failed", "1", "failed")),
        ((HM, FAILED), ("unreadable", "failed", "failed")),
        ((FAILED, FAILED), ("failed", "failed", "failed")),
    ],
)
def test_a_verdict_per_order_and_a_final_one(name, said, wanted):
    judgment, _ = judged(name, verdict=said, **AUXILIARY)
    assert verdicts(judgment) == wanted


STATES = {
    "1": (A, B),
    "2": (B, A),
    "tie": ("Tie", "Tie"),
    "unreadable": (HM, HM),
    "failed": (FAILED, FAILED),
}
FINAL = """
              1            2            tie          unreadable   failed
1             1            tie          1            unreadable   failed
2             tie          2            2            unreadable   failed
tie           1            2            tie          unreadable   failed
unreadable    unreadable   unreadable   unreadable   unreadable   failed
failed        failed       failed       failed       failed       failed
"""
"""The final verdict of two: the sign of the mean margin, or the worse of their states."""


def test_the_final_verdict_follows_from_both(tmp_path):
    made = steps(tmp_path, VERDICT.replace('"choice" ', '"choice", tie = "Tie" '))
    columns, *rows = (line.split() for line in FINAL.strip().splitlines())
    for state, *finals in rows:
        for other, final in zip(columns, finals, strict=True):
            judgment, _ = judged(made, verdict=(STATES[state][0], STATES[other][1]))
            assert verdicts(judgment) == (state, other, final)


def test_every_verdict_has_its_margin_and_every_gap_its_cause():
    judgment, _ = judged("rules", verdict=(A, A))
    assert (judgment.original_margin, judgment.swapped_margin, judgment.final_margin) == (1, -1, 0)
    assert (judgment.original_cause, judgment.swapped_cause) == (None, None)
    refused = Response(text="I'm sorry, no.", finish_reason="stop")
    judgment, _ = judged("rules", verdict=(refused, FAILED))
    assert (judgment.original_margin, judgment.swapped_margin, judgment.final_margin) == (None, None, None)
    assert (judgment.original_cause, judgment.swapped_cause) == (Cause.REFUSAL, FailureKind.SERVER)


def test_a_judgment_says_whose_it_is():
    of = pair(id="p7", gold=2)
    judgment, judge = judged("rules", of, repeat=3, verdict=(A, B))
    assert (judgment.dataset, judgment.subset, judgment.pair, judgment.gold) == ("set", "only", "p7", 2)
    assert (judgment.judge, judgment.strategy, judgment.repeat) == ("scripted", "rules", 3)
    assert [reply.key for reply in judgment.replies] == [request.key for request in judge.asked]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (["7", "4"], "1"),
        (["4", "7"], "2"),
        (["7", "7"], "tie"),
        (["7", "7.0"], "tie"),
        (["7", "Good."], "unreadable"),
        (["10", "4"], "unreadable"),
        ([FAILED, "4"], "failed"),
        ([HM, FAILED], "failed"),
    ],
)
@pytest.mark.parametrize("name", ["rating", "rating+metrics+reference"])
def test_ratings_give_both_orders_the_same_verdict(name, said, wanted):
    judgment, _ = judged(name, score=said, **AUXILIARY)
    assert verdicts(judgment) == (wanted,) * 3


# -- swap: a second stage where the orders conflict -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["swap+rules", "swap+cot+rules"])
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ((EA, HM), ("1", "unreadable", "unreadable")),
        ((HM, EA), ("unreadable", "2", "unreadable")),
        ((HM, HM), ("unreadable", "unreadable", "unreadable")),
        ((EB, EA), ("2", "2", "2")),
    ],
)
def test_without_a_conflict_the_first_stage_stands(name, said, wanted):
    judgment, judge = judged(name, explain=said)
    assert len(judge.asked) == 2
    assert verdicts(judgment) == wanted


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ((A, B), ("1", "1", "1")),
        ((B, A), ("2", "2", "2")),
        ((B, B), ("2", "1", "tie")),
        ((B, HM), ("2", "unreadable", "unreadable")),
        ((B, FAILED), ("2", "failed", "failed")),
        ((FAILED, FAILED), ("failed", "failed", "failed")),
    ],
)
def test_on_a_conflict_the_second_stage_decides_and_never_the_first(said, wanted):
    judgment, _ = judged("swap+rules", explain=(EA, EA), resolve=said)
    assert verdicts(judgment) == wanted


def test_the_debate_shows_each_side_by_its_advocate():
    explain = f"{A} is short. {EA}", f"{A} is calm, {B} is not. {EA}"
    _, judge = judged("swap+rules", explain=explain, resolve=(A, B))
    original, swapped = (request.messages[-1].content for request in judge.asked[2:])
    assert f"prefers {A}:\n{A} is short. {EA}\n\nThe second" in original
    assert f"prefers {B}:\n{B} is calm, {A} is not. {EB}\n\n# Which" in original
    assert f"prefers {A}:\n{A} is calm, {B} is not. {EA}\n\nThe second" in swapped
    assert f"prefers {B}:\n{B} is short. {EB}\n\n# Which" in swapped


def test_labels_that_contain_one_another_are_exchanged_in_a_debate(tmp_path):
    explain = VERDICT.replace("verdict", "explain").replace(
        '"choice"', '"choice", pattern = "{label} wins", reply = "{label} wins"'
    )
    resolve = VERDICT + 'if_orders_disagree_on = "explain"\n'
    text = SHOWN + "{{ explain.for_first }} / {{ explain.for_second }}"
    made = steps(tmp_path, explain, resolve, head='labels = ["1", "10"]', verdict=text)
    judgment, judge = judged(made, explain=("1 of 100: 1 wins", "Not 10, so 1 wins"), verdict=("10", "1"))
    assert [request.messages[0].content.splitlines()[-1] for request in judge.asked[2:]] == [
        "1 of 100: 1 wins / Not 1, so 10 wins",
        "Not 10, so 1 wins / 10 of 100: 10 wins",
    ]
    assert verdicts(judgment) == ("2", "2", "2")


# -- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("says", "asked"), [({"metrics": FAILED}, 1), ({"metrics": "1. x", "reference": FAILED}, 2)])
@pytest.mark.parametrize("name", ["metrics+reference+rules", "rating+metrics+reference"])
def test_a_failed_auxiliary_text_fails_both_orders_and_ends_the_asking(name, says, asked):
    judgment, judge = judged(name, **says)
    assert len(judge.asked) == asked
    assert verdicts(judgment) == ("failed", "failed", "failed")
    assert judgment.original_cause is judgment.swapped_cause is FailureKind.SERVER


@pytest.mark.parametrize("said", [(FAILED, EA), (EA, FAILED), (FAILED, FAILED), (FAILED, HM)])
def test_a_failed_first_stage_leaves_both_orders_open(said):
    """Whether the orders conflict is not known, so no first-stage verdict may stand."""
    judgment, judge = judged("swap+rules", explain=said)
    assert len(judge.asked) == 2
    assert verdicts(judgment) == ("failed", "failed", "failed")


def test_a_failure_is_data_even_where_later_steps_look_at_both_orders(tmp_path):
    later = VERDICT.replace("verdict", "again")
    made = steps(tmp_path, VERDICT, later, again=SHOWN + "{{ verdict.here }} {{ verdict.there }}")
    judgment, judge = judged(made, verdict=(A, FAILED))
    assert len(judge.asked) == 2
    assert verdicts(judgment) == ("failed", "failed", "failed")


def test_one_failed_item_of_many_fails_the_order(tmp_path):
    made = steps(tmp_path, VERDICT + 'over = ["tone", "truth"]\n')
    said = iter([A, FAILED])
    judgment, judge = judged(made, verdict=(lambda _: next(said), B))
    assert len(judge.asked) == 4
    assert verdicts(judgment) == ("failed", "1", "failed")


# -- samples, casts, lists, turns, panels -----------------------------------------------------------------------------


def test_samples_are_asked_apart_and_averaged(tmp_path):
    made = steps(tmp_path, VERDICT + "samples = 3\n")
    said = {order: iter(texts) for order, texts in ((ORIGINAL, [A, B, A]), (SWAPPED, [A, A, HM]))}
    judgment, judge = judged(made, verdict=(lambda _: next(said[ORIGINAL]), lambda _: next(said[SWAPPED])))
    assert [request.sample for request in judge.asked] == [0, 1, 2] * 2
    assert len({request.key for request in judge.asked}) == 6
    assert (judgment.original_margin, judgment.swapped_margin) == (pytest.approx(1 / 3), -1)
    assert judgment.final_margin == pytest.approx(-1 / 3)
    assert [reply.sample for reply in judgment.replies] == [0, 1, 2] * 2


def test_a_cast_is_asked_one_by_one(tmp_path):
    made = steps(tmp_path, VERDICT + 'over = ["a critic", "a friend"]\n', verdict="== user ==\nYou are {{ item }}.")
    judgment, judge = judged(made, verdict=(lambda request: A if "critic" in request.messages[0].content else B, B))
    assert [request.messages[0].content for request in judge.asked] == ["You are a critic.", "You are a friend."] * 2
    assert [reply.item for reply in judgment.replies] == ["a critic", "a friend"] * 2
    assert (judgment.original_margin, judgment.swapped_margin) == (0, 1)


def test_what_a_step_listed_is_gone_through_and_a_gap_is_skipped_for_both_outputs(tmp_path):
    made = steps(tmp_path, ITEMS, SCORE + 'over = "list"\n', head=FREE, score=ALONE + "{{ item }}")
    scores = {("tone", 1): "3", ("tone", 2): "5", ("truth", 1): "9", ("truth", 2): "?"}

    def score(request):
        return scores[request.messages[0].content.splitlines()[-1], request.about.output]

    judgment, judge = judged(made, list="1. tone\n2. truth", score=[score, score])
    assert len(judge.asked) == 5
    assert (judgment.original_margin, verdicts(judgment)) == (-2, ("2", "2", "2"))


@pytest.mark.parametrize(("said", "cause"), [(HM, Cause.NO_MATCH), (SILENT, Cause.EMPTY)])
def test_a_list_that_cannot_be_read_leaves_nothing_to_ask(tmp_path, said, cause):
    made = steps(tmp_path, ITEMS, VERDICT + 'over = "list"\n')
    judgment, judge = judged(made, list=said)
    assert len(judge.asked) == 1
    assert verdicts(judgment) == ("unreadable",) * 3
    assert judgment.original_cause is judgment.swapped_cause is cause


def test_a_list_of_each_order_is_that_orders_own(tmp_path):
    made = steps(tmp_path, ITEMS.replace("pair", "order"), VERDICT + 'over = "list"\n', verdict=SHOWN + "{{ item }}")
    _, judge = judged(made, list=("- x", "- y\n- z"), verdict=(A, B))
    items = [(request.about.order, request.messages[0].content.splitlines()[-1]) for request in judge.asked[2:]]
    assert items == [(ORIGINAL, "x"), (SWAPPED, "y"), (SWAPPED, "z")]


TALK = (
    "== user ==\n{{ first }}/{{ second }}\nYou are {{ item }}.\n"
    "{% for each in said %}{{ each.item }} ({{ each.prefers }}): {{ each }}\n{% endfor %}"
)


def test_those_who_speak_in_turn_hear_what_was_said_before(tmp_path):
    made = steps(tmp_path, VERDICT + 'over = ["Ann", "Bob", "Ann"]\nin_turn = true\n', verdict=TALK)
    told = [A, f"<think>{A}?</think>{B}\nI differ.", A]
    said = {order: iter(told) for order in Order}
    judgment, judge = judged(made, verdict=(lambda _: next(said[ORIGINAL]), lambda _: next(said[SWAPPED])))
    heard = {order: [] for order in Order}
    for request in judge.asked:
        heard[request.about.order].append(request.messages[0].content.splitlines()[1:])
    for order in Order:
        assert heard[order] == [
            ["You are Ann."],
            ["You are Bob.", f"Ann (first): {A}"],
            ["You are Ann.", f"Ann (first): {A}", f"Bob (second): {B}", "I differ."],
        ]
    assert (judgment.original_margin, judgment.swapped_margin) == (pytest.approx(1 / 3), pytest.approx(-1 / 3))


def test_a_failure_ends_a_round_of_turns(tmp_path):
    made = steps(tmp_path, VERDICT + 'over = ["Ann", "Bob", "Cid"]\nin_turn = true\n', verdict=TALK)
    said = iter([A, FAILED])
    judgment, judge = judged(made, verdict=(lambda _: next(said), B))
    assert [order for _, order in judge.places()].count(ORIGINAL) == 2
    assert [order for _, order in judge.places()].count(SWAPPED) == 3
    assert verdicts(judgment) == ("failed", "1", "failed")


def test_a_panel_member_answers_its_own_step(tmp_path):
    second = VERDICT.replace("verdict", "second_opinion") + "by = 1\n"
    made = steps(tmp_path, VERDICT, second, head='decided_by = ["verdict", "second_opinion"]')
    other = Scripted(table(second_opinion=(B, A)), name="other")
    judgment, judge = judged(made, panel=[other], verdict=(A, B))
    assert {step for step, _ in judge.places()} == {"verdict"}
    assert {step for step, _ in other.places()} == {"second_opinion"}
    assert [(reply.step, reply.judge) for reply in judgment.replies] == [
        ("verdict", ""),
        ("verdict", ""),
        ("second_opinion", "other"),
        ("second_opinion", "other"),
    ]
    assert verdicts(judgment) == ("tie", "tie", "tie")
    assert judgment.judge == "scripted"


def test_margins_of_log_probabilities_are_averaged_as_logits(tmp_path):
    made = steps(tmp_path, VERDICT.replace('"choice"', '"logprob"'), head='orders = "averaged"')

    def told(first, second):
        return Response(label_logprobs={A: first, B: second}, finish_reason="stop")

    judgment, judge = judged(made, verdict=(told(-0.1, -2.1), told(-0.2, -1.2)))
    assert judge.asked[0].constraint.labels == (A, B)
    assert (judgment.original_margin, judgment.swapped_margin) == (pytest.approx(2), pytest.approx(-1))
    assert (judgment.final, judgment.final_margin) == ("1", pytest.approx(0.5))


# -- requests ---------------------------------------------------------------------------------------------------------


def keys(name, of, repeat=0, **says):
    """Step → keys of what was asked."""
    _, judge = judged(name, of, repeat=repeat, **says)
    found = {}
    for request in judge.asked:
        found.setdefault(request.about.step, set()).add(request.key)
    return found


def test_what_two_strategies_ask_alike_has_one_key():
    of = pair("Name a colour.", "Red.", "Blue.")
    plain, averaged = (keys(name, of, verdict=(A, B)) for name in ("rules", "swap-averaging"))
    assert plain == averaged
    swaps = [keys(name, of, **answers(name, conflict=True)) for name in ("swap+rules", "swap+cot+rules")]
    assert swaps[0]["explain"] == swaps[1]["explain"] == keys("cot+rules", of, verdict=(EA, EB))["verdict"]
    assert not swaps[0]["resolve"] & swaps[1]["resolve"]
    for step, names in (
        ("metrics", ("metrics+rules", "metrics+reference+rules", "rating+metrics", "rating+metrics+reference")),
        ("reference", ("reference", "reference+rules", "metrics+reference+rules", "rating+reference")),
    ):
        assert len({frozenset(keys(name, of, **answers(name))[step]) for name in names}) == 1


def test_what_depends_on_no_output_is_asked_once_per_instruction():
    one, two = pair("Name a colour.", "Red.", "Blue."), pair("Name a colour.", "Green.", "Pink.", id="p1")
    first, second = (keys("metrics+rules", of, **answers("metrics+rules")) for of in (one, two))
    assert first["metrics"] == second["metrics"]
    assert not first["verdict"] & second["verdict"]


def test_repeats_are_asked_anew_and_samples_do_not_run_into_them(tmp_path):
    made = steps(tmp_path, VERDICT + "samples = 3\n")
    asked = [judged(made, repeat=repeat, verdict=(A, B))[1].asked for repeat in range(4)]
    assert [[request.sample for request in each[:3]] for each in asked] == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
        [9, 10, 11],
    ]
    assert len({request.key for each in asked for request in each}) == 4 * 6


def test_a_request_says_what_it_is_about_without_saying_it_to_the_judge():
    made, of = load_strategy("rules"), pair()
    request = build_request(made.steps[0], Place(SWAPPED), Job(of, made), Transcript(made))
    about = request.about
    assert (about.pair, about.strategy, about.step, about.order, about.output) == (
        of,
        "rules",
        "verdict",
        SWAPPED,
        None,
    )
    assert (about.labels, about.reader) == ((A, B), made.steps[0].file.read)
    assert request.sampling == made.steps[0].file.sampling
    text = request.messages[-1].content
    assert text.index(of.output_2) < text.index(of.output_1)
    assert of.id not in "".join(turn.content for turn in request.messages)


# -- replies that were kept -------------------------------------------------------------------------------------------

POSSIBLE = {
    "order": st.sampled_from([A, B, EA, EB, HM, SILENT, FAILED, f"<think>{A}</think>{EB}", f"{A}\n{B}"]),
    "output": st.sampled_from(["1", "7", "7.0", "8/9", "12", HM, FAILED]),
    "pair": st.sampled_from(["1. Is it?", SILENT, FAILED]),
}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
@given(
    st.sampled_from(["rules", "cot+rules", "swap+rules", "swap+cot+rules", "metrics+reference+rules", "swap-averaging"])
    | st.sampled_from(["rating", "rating+metrics+reference"]),
    st.data(),
)
def test_reading_kept_replies_again_gives_the_same_judgment(name, data):
    made = load_strategy(name)
    places = {"order": Order, "output": (1, 2), "pair": (None,)}
    says = {(step.name, place): data.draw(POSSIBLE[step.per]) for step in made.steps for place in places[step.per]}
    job = Job(pair(), made)
    judgment = asyncio.run(judge_pair(job, [Scripted(says)]))
    assert decide(job, Transcript.of(made, judgment.replies), judge="scripted") == judgment
    again = [type(reply).model_validate_json(reply.model_dump_json()) for reply in judgment.replies]
    assert decide(job, Transcript.of(made, again), judge="scripted") == judgment


@given(st.permutations(range(4)))
def test_when_replies_arrive_changes_nothing(arrival):
    """Whichever of four places is answered first: replies are kept in the order of asking."""

    class Slow(Scripted):
        async def answer(self, request):
            place = [ORIGINAL, SWAPPED].index(request.about.order) * 2 + request.sample
            for _ in range(arrival[place] * 3):
                await asyncio.sleep(0)
            return await super().answer(request)

    made = load_strategy("rules")
    file = made.steps[0].file.model_copy(update={"samples": 2})
    made = type(made)(made.name, made.file, (type(made.steps[0])(file, made.steps[0].path, made.steps[0].turns),), {})
    judgment = asyncio.run(judge_pair(Job(pair(), made), [Slow(table(verdict=(A, B)))]))
    assert [(reply.order, reply.sample) for reply in judgment.replies] == list(product(Order, range(2)))


# -- many pairs -------------------------------------------------------------------------------------------------------


class Watched:
    """A judge that notes which pairs are in flight, and may raise."""

    name = "watched"

    def __init__(self, fails_at=None):
        self.fails_at, self.in_flight, self.most, self.cancelled = fails_at, [], 0, 0

    async def answer(self, request):
        self.in_flight.append(request.about.pair.id)
        self.most = max(self.most, len(set(self.in_flight)))
        try:
            if request.about.pair.id == self.fails_at:
                raise JudgeError("no such model")
            for _ in range(3):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight.remove(request.about.pair.id)
        return Response(text=A, finish_reason="stop")


def jobs(count, taken):
    made = load_strategy("rules")
    for number in range(count):
        taken.append(number)
        yield Job(pair(id=f"p{number}"), made)


@pytest.mark.parametrize("window", [1, 7, 500])
def test_a_bounded_number_of_pairs_is_in_flight_and_no_more_are_drawn(window):
    judge, taken, kept, ahead = Watched(), [], [], []

    def keep(judgment):
        kept.append(judgment.pair)
        ahead.append(len(taken) - len(kept))

    asyncio.run(judge_all(jobs(100, taken), [judge], keep, window=window))
    assert sorted(kept) == sorted(f"p{number}" for number in range(100))
    assert judge.most == min(window, 100)
    assert max(ahead) < window


def test_one_slow_pair_holds_up_nobody():
    class Slow(Watched):
        async def answer(self, request):
            if request.about.pair.id == "p0":
                await released.wait()
            return await super().answer(request)

    async def run():
        nonlocal released
        released = asyncio.Event()

        def keep(judgment):
            kept.append(judgment.pair)
            if len(kept) == 49:
                released.set()

        await judge_all(jobs(50, []), [Slow()], keep, window=2)

    released, kept = None, []
    asyncio.run(run())
    assert kept[-1] == "p0"


@pytest.mark.parametrize("window", [1, 8])
def test_what_stops_everything_is_raised_as_itself_and_what_was_judged_is_kept(window):
    async def run():
        with pytest.raises(JudgeError, match="no such model"):
            await judge_all(jobs(1000, taken), [judge], kept.append, window=window)
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    judge, taken, kept = Watched(fails_at="p20"), [], []
    assert asyncio.run(run()) == []
    assert len(kept) >= 20 - window
    assert len(taken) <= 20 + 2 * window
    assert judge.in_flight == []


def test_a_pair_that_stops_stops_its_other_requests_too(tmp_path):
    """Both orders are asked at once; the one raises, the other does not go on behind our back."""

    class Half(Watched):
        async def answer(self, request):
            self.fails_at = "p0" if request.about.order is SWAPPED else None
            return await super().answer(request)

    judge = Half()
    with pytest.raises(JudgeError):
        asyncio.run(judge_pair(Job(pair(), load_strategy("rules")), [judge]))
    assert (judge.cancelled, judge.in_flight) == (1, [])


def test_a_template_that_fails_for_a_pair_is_raised_as_itself(tmp_path):
    made = steps(tmp_path, VERDICT, verdict="== user ==\n{{ first.nothing }}")
    with pytest.raises(StrategyError, match=r"verdict\.jinja:2: 'str object' has no attribute 'nothing'"):
        judged(made)


def test_no_jobs_are_judged_at_once():
    asyncio.run(judge_all([], [Watched()], [].append))


# -- rehearsing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CALLS, "swap+rules", "swap+cot+rules"])
def test_a_rehearsal_asks_what_a_judge_would_be_asked(name):
    made, of = load_strategy(name), pair()
    for conflict in (True, False):
        calls = CALLS.get(name, 4 if conflict else 2)
        requests = asyncio.run(rehearse(of, made, prefers_first=conflict))
        assert len(requests) == len({request.key for request in requests}) == calls
        assert all(request.about.pair is of for request in requests)


def test_a_rehearsal_needs_no_panel(tmp_path):
    made = steps(tmp_path, NOTES + "by = 2\n", ITEMS, VERDICT + 'over = "list"\nsamples = 2\n')
    requests = asyncio.run(rehearse(pair(), made))
    assert [request.about.step for request in requests] == ["notes", "list", *["verdict"] * 2 * 2 * 2]
