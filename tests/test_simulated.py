from __future__ import annotations

import asyncio
from math import exp, log, pi, sqrt

import pytest
from asking import LABELS, comparison, pair, prompt, rating

from llmbar.engine import Job, judge_pair
from llmbar.errors import JudgeError
from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.simulated import PRESETS
from llmbar.reading import ChoiceReader, LogprobReader, RewardReader, ScoreReader, TextReader
from llmbar.records import Cause, FailureKind, Message, Order, Question, Request, Verdict
from llmbar.strategy import load_strategy

CHOICE = ChoiceReader(kind="choice")
SCORE = ScoreReader(kind="score")


def pairs(count, ratio=1):
    """Pairs with gold on either side in turn, output 1 `ratio` times as long as output 2."""
    return [
        pair(f"Task {n}.", f"{n:05}".rjust(40 * ratio, "x"), f"{n:05}".rjust(40, "y"), gold=1 + n % 2, id=f"p{n}")
        for n in range(count)
    ]


def ask(model, requests, seed=0, **args):
    if "=" not in model and model not in PRESETS:
        args.setdefault("accuracy", 0.8)

    async def answers():
        options = JudgeOptions(args={key: str(value) for key, value in args.items()}, seed=seed)
        async with open_judge(f"simulated/{model}", options) as judge:
            return [await judge.answer(request) for request in requests]

    return asyncio.run(answers())


def margins(requests, model="x", **args):
    """Signed preference for the first-shown output, request by request."""
    answers = ask(model, requests, **args)
    return [r.about.reader.read(a, LABELS).margin for r, a in zip(requests, answers, strict=True)]


def sigmoid(x):
    return 1 / (1 + exp(-x))


def near(count, probabilities):
    """Whether a number of successes lies within four standard deviations of what the probabilities say."""
    return abs(count - sum(probabilities)) < 4 * sqrt(sum(p * (1 - p) for p in probabilities))


# -- the planted values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("gold", [1, 2])
@pytest.mark.parametrize(("ratio", "position", "length"), [(1, 0, 0), (1, 0.5, 0), (3, 0.5, 0.3), (3, -1, 0.8)])
def test_the_first_shown_wins_as_often_as_the_model_says(order, gold, ratio, position, length):
    requests = [comparison(of, order) for of in pairs(3000, ratio) if of.gold == gold]
    wins = sum(m > 0 for m in margins(requests, accuracy=0.8, position=position, length=length))
    right_first = (gold == 1) == (order is Order.ORIGINAL)
    evidence = log(0.8 / 0.2) * (1 if right_first else -1) + length * log(ratio) * order.sign
    assert near(wins, [sigmoid(position + evidence)] * len(requests))


def test_both_orders_are_independent_draws():
    shown = [[m * order.sign for m in margins([comparison(of, order) for of in pairs(3000)])] for order in Order]
    agreements = sum(a == b for a, b in zip(*shown, strict=True))
    assert near(agreements, [0.8**2 + 0.2**2] * 3000)


def test_different_prompts_are_independent_draws():
    of = pairs(3000)
    plain = margins([comparison(each) for each in of])
    worded = margins(
        [comparison(each, text="Hello.\n" + prompt(each.instruction, each.output_1, each.output_2)) for each in of]
    )
    assert near(sum(a == b for a, b in zip(plain, worded, strict=True)), [0.68] * 3000)


def drowned(accuracy, noise):
    """Mean of the sigmoid over normal noise on the logit, by the rectangle rule."""
    steps = [x / 100 for x in range(-600, 601)]
    weights = [exp(-x * x / 2) / sqrt(2 * pi) / 100 for x in steps]
    return sum(sigmoid(log(accuracy / (1 - accuracy)) + noise * x) * w for x, w in zip(steps, weights, strict=True))


def test_noise_draws_the_probability_towards_a_half():
    of = [each for each in pairs(12000) if each.gold == 1]
    assert drowned(0.9, 3) < 0.75
    compared = sum(m > 0 for m in margins([comparison(each) for each in of], accuracy=0.9, noise=3))
    assert near(compared, [drowned(0.9, 3)] * len(of))
    answers = [ask("x", [rating(each, output, SCORE) for each in of], accuracy=0.9, noise=3) for output in (1, 2)]
    one, two = ([SCORE.read(answer, LABELS).value for answer in side] for side in answers)
    assert near(sum(a > b for a, b in zip(one, two, strict=True)), [drowned(0.9, 3)] * len(of))


@pytest.mark.parametrize("reader", [SCORE, RewardReader(kind="reward")], ids=["score", "reward"])
@pytest.mark.parametrize(("ratio", "length"), [(1, 0), (3, 0.6)])
def test_outputs_scored_alone_are_ranked_as_the_model_says_without_position(reader, ratio, length):
    of = pairs(3000, ratio)
    scores = [
        [
            reader.read(answer, LABELS).value
            for answer in ask("x", [rating(each, output, reader) for each in of], position=3, length=length)
        ]
        for output in (1, 2)
    ]
    wins = sum(one > two for one, two in zip(*scores, strict=True))
    expected = [sigmoid(log(4) * (1 if each.gold == 1 else -1) + length * log(ratio)) for each in of]
    assert near(wins, expected)


@pytest.mark.parametrize("reader", [CHOICE, LogprobReader(kind="logprob")], ids=["choice", "logprob"])
def test_a_perfect_judge_is_always_right_and_a_perverse_one_never(reader):
    requests = [comparison(of, order, reader=reader) for of in pairs(100) for order in Order]
    gold_first = [(r.about.pair.gold == 1) == (r.about.order is Order.ORIGINAL) for r in requests]
    assert [m > 0 for m in margins(requests, accuracy=1, position=2)] == gold_first
    assert [m < 0 for m in margins(requests, accuracy=0, position=2)] == gold_first


def test_the_prompt_decides_what_is_shown_first():
    of = pairs(400)
    crossed = [comparison(each, text=prompt(each.instruction, each.output_2, each.output_1)) for each in of]
    right = sum((m > 0) == (each.gold == 2) for m, each in zip(margins(crossed, accuracy=1), of, strict=True))
    assert right == 400


def test_a_share_is_unreadable_and_a_share_never_arrives():
    requests = [comparison(of) for of in pairs(3000)]
    answers = ask("x", requests, unreadable=0.1, failed=0.05)
    failed = [answer for answer in answers if answer.failure]
    readings = [CHOICE.read(answer, LABELS) for answer in answers if not answer.failure]
    unread = [reading for reading in readings if reading.margin is None]
    assert near(len(failed), [0.05] * 3000)
    assert near(len(unread), [0.1] * 3000)
    assert {answer.failure.kind for answer in failed} == {FailureKind.SERVER}
    assert {reading.cause for reading in unread} == {Cause.NO_MATCH}


@pytest.mark.parametrize("reader", [SCORE, RewardReader(kind="reward")], ids=["score", "reward"])
def test_no_reader_finds_a_preference_in_an_unreadable_answer(reader):
    (answer,) = ask("x", [rating(pair(), 1, reader)], unreadable=1)
    assert reader.read(answer, LABELS).cause is Cause.NO_MATCH


@pytest.mark.parametrize("strategy", ["rules", "cot+rules", "swap+rules", "rating", "rules-2shot"])
def test_through_real_prompts_the_planted_accuracy_comes_out(strategy):
    async def judged():
        async with open_judge("simulated/accuracy=0.8") as judge:
            return [await judge_pair(Job(of, load_strategy(strategy)), [judge]) for of in pairs(600)]

    judgments = asyncio.run(judged())
    right = sum(j.original is (Verdict.ONE if j.gold == 1 else Verdict.TWO) for j in judgments)
    # Two stages: right at once in both orders, or in conflict and then right.
    expected = 0.8**2 + 2 * 0.8 * 0.2 * 0.8 if strategy == "swap+rules" else 0.8
    assert near(right, [expected] * 600)


# -- the same answer to the same request ------------------------------------------------------------------------------


def test_answers_are_the_same_in_every_run_and_differ_by_seed_name_and_sample():
    requests = [comparison(of) for of in pairs(64)]
    said = margins(requests)
    assert said == margins(requests)
    assert said == margins(requests[::-1])[::-1]
    assert said != margins(requests, seed=1)
    assert said != margins(requests, model="y", accuracy=0.8)
    assert said != margins([comparison(of, sample=1) for of in pairs(64)])


def test_a_seed_among_the_settings_wins_over_the_run_s():
    requests = [comparison(of) for of in pairs(64)]

    def said(run_seed, **own):
        async def answers():
            options = JudgeOptions(args={"accuracy": "0.5"} | own, seed=run_seed)
            async with open_judge("simulated/x", options) as judge:
                return [(await judge.answer(request)).text for request in requests]

        return asyncio.run(answers())

    assert said(3, seed="7") == said(4, seed="7") == said(7)
    assert said(3) != said(4)


# -- settings ---------------------------------------------------------------------------------------------------------


def test_settings_in_the_name_and_as_arguments_are_the_same_thing():
    requests = [comparison(of, order) for of in pairs(200) for order in Order]
    assert margins(requests, model="accuracy=0.9,position=4") == margins(
        requests, model="accuracy=0.9,position=4", accuracy=0.9
    )
    assert sum(m > 0 for m in margins(requests, model="accuracy=0.9,position=4")) > 320
    assert sum(m > 0 for m in margins(requests, model="accuracy=0.9,position=4", position=-4)) < 80


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_answer(preset):
    assert ask(preset, [comparison(pair())])[0].text in LABELS


def test_a_step_that_keeps_text_is_never_unreadable():
    about = Question(pair(), "plain", "metrics", None, None, LABELS, TextReader(kind="text"))
    (answer,) = ask("x", [Request((Message("user", "Which questions matter?"),), about=about)], unreadable=1)
    assert TextReader(kind="text").read(answer, LABELS).cause is None


@pytest.mark.parametrize(
    ("model", "args", "told"),
    [
        ("accurracy=0.8", {}, r"accurracy: no setting is called 'accurracy' \(did you mean accuracy\?\)"),
        ("x", {"positon": 1}, r"positon: simulated/x takes no -M positon \(did you mean position\?\)"),
        ("x", {"accuracy": 1.5}, "accuracy: .*less than or equal to 1, not '1.5'"),
        ("x", {"accuracy": "high"}, "accuracy: .*number.*, not 'high'"),
        ("x", {"position": "inf"}, "position: .*finite"),
        ("x", {"noise": -1}, "noise: .*greater than or equal to 0"),
        ("accuracy=", {}, "accuracy: .*number"),
        ("x", {"unreadable": 0.7, "failed": 0.4}, "unreadable and failed add up to more than 1"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_line_naming_it(model, args, told):
    with pytest.raises(JudgeError, match=told) as caught:
        ask(model, [], **args)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_without_settings_is_one_line_with_a_suggestion():
    async def opened():
        async with open_judge("simulated/carefull"):
            pass

    with pytest.raises(JudgeError, match=r"called 'carefull' \(did you mean careful\?; or say what to plant"):
        asyncio.run(opened())
