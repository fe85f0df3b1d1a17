from __future__ import annotations

import asyncio
import json

import pytest

from llmbar.engine import Job, judge_pair
from llmbar.errors import JudgeError, RecordingError
from llmbar.judges import JudgeOptions, open_judge
from llmbar.pairs import load_pairs
from llmbar.recordings import read_recording
from llmbar.records import FailureKind, Order, Verdict
from llmbar.strategy import load_strategy


def judged(folder, pairs, strategy, judge="GPT-4", args=()):
    async def judgments():
        options = JudgeOptions(args={"path": str(folder), **dict(args)})
        async with open_judge(f"recorded/{judge}", options) as opened:
            return [await judge_pair(Job(pair, load_strategy(strategy)), [opened]) for pair in pairs]

    return asyncio.run(judgments())


@pytest.fixture(scope="module")
def manual(shared):
    return shared / "data/llmbar/Dataset/LLMBar/Adversarial/Manual"


@pytest.mark.parametrize(
    ("strategy", "folder"),
    [
        ("vanilla", "Vanilla_NoRules"),
        ("rules", "Vanilla"),
        ("cot+rules", "CoT"),
        ("metrics+reference+rules", "Metrics_Reference"),
        ("swap+rules", "Swap"),
        ("swap+cot+rules", "Swap_CoT"),
        ("rules-2shot", "Vanilla_2shot"),
    ],
)
def test_through_the_engine_the_recorded_verdicts_come_out(shared, manual, strategy, folder):
    recording = read_recording(manual / "evaluators/GPT-4" / folder / "result.json")
    judgments = judged(shared / "data", [item.pair for item in recording.items], strategy)
    for judgment, item in zip(judgments, recording.items, strict=True):
        assert {Order.ORIGINAL: judgment.original, Order.SWAPPED: judgment.swapped} == item.winners, judgment.pair


def test_ratings_come_out_as_scores(shared, manual):
    recording = read_recording(manual / "evaluators/GPT-4/Rating/result.json")
    judgments = judged(shared / "data", [item.pair for item in recording.items], "rating+rules")
    for judgment, item in zip(judgments, recording.items, strict=True):
        assert judgment.final_margin == int(item.scores[1].text) - int(item.scores[2].text)


def test_another_recorded_strategy_can_be_named(shared, manual):
    recording = read_recording(manual / "evaluators/GPT-4/Vanilla_1shot/result.json")
    judgments = judged(
        shared / "data", [item.pair for item in recording.items], "rules", args={"strategy": "Vanilla_1shot"}
    )
    assert [judgment.original for judgment in judgments] == [item.winners[Order.ORIGINAL] for item in recording.items]


def test_what_was_not_recorded_is_a_failure(shared, manual):
    pair = load_pairs(manual / "dataset.json")[0]
    unknown = pair.model_copy(update={"output_1": "Something else."})
    for of, strategy, judge in [(unknown, "rules", "GPT-4"), (pair, "vanilla", "LLaMA2")]:
        (judgment,) = judged(shared / "data", [of], strategy, judge)
        assert (judgment.original, judgment.final) == (Verdict.FAILED, Verdict.FAILED)
        assert judgment.original_cause is FailureKind.UNSUPPORTED
        assert "not recorded: pair Manual/0" in judgment.replies[0].failure.message


def test_a_pair_of_several_sets_is_answered_from_its_own(tmp_path):
    row = {"input": "Say yes.", "output_1": "Yes.", "output_2": "No.", "label": 1}
    for subset, said in (("A", "Output (a)"), ("B", "Output (b)")):
        sides = {key: {"completion": [said, "stop"], "winner": None} for key in ("swap = False", "swap = True")}
        folder = tmp_path / subset / "evaluators" / "Judge" / "Vanilla"
        folder.mkdir(parents=True)
        (tmp_path / subset / "dataset.json").write_text(json.dumps([row]))
        (folder / "result.json").write_text(json.dumps([row | {"results": [sides]}]))
    pairs = [load_pairs(tmp_path / subset / "dataset.json")[0] for subset in ("A", "B")]
    pairs.append(pairs[0].model_copy(update={"subset": "C"}))
    judgments = judged(tmp_path, pairs, "rules", "Judge")
    assert [judgment.original for judgment in judgments] == [Verdict.ONE, Verdict.TWO, Verdict.FAILED]


def test_a_pair_is_known_by_its_texts_whatever_its_set_is_called(shared, manual):
    pair = load_pairs(manual / "dataset.json")[0]
    renamed = pair.model_copy(update={"id": "x", "dataset": "mine", "subset": "mine"})
    own, other = judged(shared / "data", [pair, renamed], "rules")
    assert own.original is other.original is not Verdict.FAILED


def test_a_second_sample_was_not_recorded(shared, manual):
    async def repeated():
        async with open_judge("recorded/GPT-4", JudgeOptions(args={"path": str(shared)})) as judge:
            pair = load_pairs(manual / "dataset.json")[0]
            return [(await judge_pair(Job(pair, load_strategy("rules"), repeat), [judge])).final for repeat in (0, 1)]

    first, second = asyncio.run(repeated())
    assert first is not Verdict.FAILED
    assert second is Verdict.FAILED


def test_a_strategy_of_another_shape_is_refused(shared, manual):
    pairs = load_pairs(manual / "dataset.json")
    with pytest.raises(RecordingError, match="asks something else than was recorded"):
        judged(shared / "data", pairs, "rules", args={"strategy": "Metrics"})


@pytest.mark.parametrize(
    ("judge", "args", "told"),
    [
        ("GPT-5", {}, r"no judge 'GPT-5' is recorded there \(did you mean GPT-4\?\)"),
        ("GPT-4", {"strategy": "Vanila"}, r"GPT-4 is not recorded with 'Vanila' \(did you mean Vanilla"),
        ("GPT-4", {"pth": "x"}, r"takes no -M pth \(did you mean path\?\)"),
    ],
)
def test_a_name_that_is_not_there_is_one_line_with_a_suggestion(shared, judge, args, told):
    with pytest.raises(JudgeError, match=told):
        judged(shared / "data", [], "rules", judge, args)


def test_without_a_folder_it_says_how_to_name_one():
    async def opened():
        async with open_judge("recorded/GPT-4"):
            pass

    with pytest.raises(JudgeError, match=r"path: recorded/GPT-4 needs recordings \(-M path=FOLDER"):
        asyncio.run(opened())
