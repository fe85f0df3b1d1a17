from __future__ import annotations

import asyncio
import json
from math import log, sqrt

import pytest
from asking import LABELS, comparison, pair, rating

from llmbar.errors import JudgeError
from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.baseline import _PREFERENCES, BASELINES, similarities
from llmbar.reading import ChoiceReader, ScoreReader, TextReader
from llmbar.records import Message, Order, Question, Request

SCORE = ScoreReader(kind="score")
TIED = ChoiceReader(kind="choice", tie="Tie")


def ask(model, *requests, seed=0):
    async def answers():
        async with open_judge(f"baseline/{model}", JudgeOptions(seed=seed)) as judge:
            return [await judge.answer(request) for request in requests]

    return [
        request.about.reader.read(response, LABELS)
        for request, response in zip(requests, asyncio.run(answers()), strict=True)
    ]


def chosen(model, of, seed=0, sample=0):
    """Which output wins in each order."""
    requests = [comparison(of, order, sample=sample) for order in Order]
    margins = [reading.margin for reading in ask(model, *requests, seed=seed)]
    return [1 if margin * order.sign > 0 else 2 for margin, order in zip(margins, Order, strict=True)]


def test_every_baseline_that_is_listed_can_be_opened():
    assert list(BASELINES) == list(_PREFERENCES)
    for name in BASELINES:
        assert chosen(name, pair())


def test_first_and_second_follow_the_position():
    assert chosen("first", pair()) == [1, 2]
    assert chosen("second", pair()) == [2, 1]


def test_longer_and_shorter_on_real_pairs(shared):
    rows = json.loads((shared / "data/llmbar/Dataset/LLMBar/Natural/dataset.json").read_text("utf-8"))
    for row in rows:
        if len(row["output_1"]) == len(row["output_2"]):
            continue
        of = pair(row["input"], row["output_1"], row["output_2"])
        winner = 1 if len(row["output_1"]) > len(row["output_2"]) else 2
        assert chosen("longer", of) == [winner] * 2
        assert chosen("shorter", of) == [3 - winner] * 2


def test_equal_lengths_are_no_preference():
    of = pair(output_1="four", output_2="five")
    assert [reading.margin for reading in ask("longer", comparison(of, reader=TIED))] == [0]
    assert chosen("longer", of) == chosen("shorter", of) == [1, 2], "without a tie the first-shown wins"


def test_random_is_a_fair_coin_thrown_anew_for_each_order():
    throws = [chosen("random", pair(output_2=f"No, for reason {number}.")) for number in range(2000)]
    for order in (0, 1):
        assert abs(sum(throw[order] == 1 for throw in throws) - 1000) < 4 * sqrt(500)
    assert abs(sum(throw[0] == throw[1] for throw in throws) - 1000) < 4 * sqrt(500)


def test_random_is_the_same_for_the_same_seed_and_sample_only():
    pairs = [pair(output_2=f"No, for reason {number}.") for number in range(64)]
    throws = [chosen("random", of) for of in pairs]
    assert throws == [chosen("random", of) for of in pairs]
    assert throws != [chosen("random", of, seed=1) for of in pairs]
    assert throws != [chosen("random", of, sample=1) for of in pairs]


@pytest.mark.parametrize("model", ["longer", "shorter", "random", "lexical"])
def test_outputs_asked_about_alone_get_a_high_and_a_low_score(model):
    of = pair("Name a wild cat.", "The lynx is a wild cat.", "The wolf")
    one, two = (reading.value for reading in ask(model, rating(of, 1, SCORE), rating(of, 2, SCORE)))
    assert {one, two} == {0, 10}
    if model != "random":
        assert (one > two) == (chosen(model, of)[0] == 1)


def test_positions_say_nothing_of_an_output_asked_about_alone():
    assert [ask(model, rating(pair(), 1, SCORE))[0].value for model in ("first", "second")] == [5, 5]


def cosine(instruction, output):
    """TF-IDF over three texts with sublinear counts, written out: (1 + ln tf) · (ln(4 / (1 + df)) + 1)."""
    texts = [text.lower().split() for text in TEXTS]
    rarity = {word: log(4 / (1 + sum(word in text for text in texts))) + 1 for text in texts for word in text}
    a, b = ({w: (1 + log(t.split().count(w))) * rarity[w] for w in t.split()} for t in (instruction, output))
    length = sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
    return sum(value * b.get(word, 0) for word, value in a.items()) / length


TEXTS = ("name a wild cat or a big cat", "the lynx is a cat a wild one", "7 is a number")


def test_lexical_is_the_cosine_of_tf_idf_vectors():
    one, two = similarities(*TEXTS)
    assert one == pytest.approx(cosine(TEXTS[0], TEXTS[1]))
    assert two == pytest.approx(cosine(TEXTS[0], TEXTS[2]))
    assert chosen("lexical", pair(*TEXTS)) == [1, 1]


def test_texts_without_words_are_similar_to_nothing():
    assert similarities("?", "!", "…") == (0, 0)
    assert similarities("Say hello", "…", "hello")[0] == 0


def test_a_step_that_keeps_text_gets_text():
    about = Question(pair(), "plain", "reference", None, None, LABELS, TextReader(kind="text"))
    (reading,) = ask("longer", Request((Message("user", "Answer."),), about=about))
    assert reading.value
    assert reading.cause is None


def test_an_unknown_baseline_is_one_line_with_a_suggestion():
    with pytest.raises(JudgeError, match=r"no baseline is called 'longest' \(did you mean longer\?\)"):
        ask("longest")
