from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest

from llmbar.engine import Job, decide
from llmbar.errors import RecordingError
from llmbar.recordings import RecordedReply, find_recordings, read_recording, replies
from llmbar.records import Cause, Order, Verdict
from llmbar.strategy import load_strategy
from llmbar.transcript import Transcript

FORWARD, BACKWARD = "swap = False", "swap = True"


# -- the real files ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared):
    return [read_recording(file) for file in find_recordings(shared / "data")]


def test_all_real_recordings_are_read(shared, real):
    files = list((shared / "data").glob("llmbar/Dataset/**/evaluators/*/*/result.json"))
    assert {recording.file for recording in real} == set(files)
    assert len(files) == 105
    assert {(r.dataset, r.group, r.subset) for r in real} == {
        ("llmbar", "", "Natural"),
        *(("llmbar", "Adversarial", subset) for subset in ("Neighbor", "GPTInst", "GPTOut", "Manual")),
    }
    assert Counter(r.judge for r in real) == {"GPT-4": 75, "ChatGPT": 15, "LLaMA2": 15}


def test_every_stored_reply_and_winner_is_there(real):
    """Counted a second time by walking the JSON, whatever its shape."""
    counted, found = Counter(), Counter()
    for recording in real:
        for record in json.loads(recording.file.read_text("utf-8")):
            *_, last = record["results"]
            counted.update(str(last[key]["winner"]) for key in (FORWARD, BACKWARD))
            counted.update(walk(record["results"]))
        for item in recording.items:
            found.update({"unreadable": "None"}.get(winner, winner) for winner in item.winners.values())
            said = [
                *item.auxiliary,
                *(item.scores or {}).values(),
                *(r for stage in item.stages for r in stage.values()),
            ]
            found.update((reply.text, reply.finish_reason) for reply in said)
    assert found == counted
    assert found["1"] + found["2"] + found["None"] == 17598


def walk(value):
    """Every `[text, finish_reason]`."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        yield tuple(value)
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from walk(part)


def test_the_recorded_winners_are_those_of_upstream_s_own_statistics(real):
    """`statistics.json` beside each recording holds upstream's own count of what was right and what was equal."""
    for recording in real:
        theirs = json.loads(recording.file.with_name("statistics.json").read_text("utf-8"))
        for key, order in (("correct_False", Order.ORIGINAL), ("correct_True", Order.SWAPPED)):
            right = sum(item.winners[order] == str(item.pair.gold) for item in recording.items)
            assert theirs[key].startswith(f"{right} / {len(recording.items)} "), recording.file
        equal = sum(len(set(item.winners.values())) == 1 for item in recording.items)
        assert theirs["equal"].startswith(f"{equal} / "), recording.file


def test_re_read_with_our_readers_the_recordings_say_what_they_said(real):
    """Rating ties and failures were stored as winners; apart from those, one completion of 17,598 names two answers."""
    differences = Counter()
    for recording in real:
        strategy = load_strategy(recording.strategy)
        for item in recording.items:
            transcript = Transcript.of(strategy, replies(item, strategy))
            judgment = decide(Job(item.pair, strategy), transcript, judge=recording.judge)
            verdicts = {Order.ORIGINAL: judgment.original, Order.SWAPPED: judgment.swapped}
            differences.update(
                ("rating" if item.scores else "comparison", verdicts[order])
                for order, winner in item.winners.items()
                if verdicts[order] is not winner
            )
            filtered = {reply.finish_reason for reply in (item.scores or {}).values()} - {"stop"}
            assert (judgment.original_cause is Cause.CONTENT_FILTER) == bool(filtered) or not item.scores
    assert differences["comparison", Verdict.ONE] + differences["comparison", Verdict.TWO] == 1
    assert differences["rating", Verdict.TIE] == 2 * (67 + 48 + 43 + 88 + 59)
    assert differences["rating", Verdict.UNREADABLE] == 2 * 5
    assert sum(differences.values()) == 1 + 610 + 10


# -- the format -------------------------------------------------------------------------------------------------------

PAIRS = [
    {"input": "Say yes.", "output_1": "Yes.", "output_2": "No.", "label": 1},
    {"input": "Say no.", "output_1": "Yes, of course.", "output_2": "No.", "label": 2},
]


def compared(one="1", two="1", **more):
    return {
        FORWARD: {"completion": ["Output (a)", "stop"], "winner": one, **more},
        BACKWARD: {"completion": ["Output (b)", "stop"], "winner": two, **more},
    }


def rated():
    return {"score_1": ["7", "stop"], "score_2": ["3", ""], FORWARD: {"winner": "1"}, BACKWARD: {"winner": "1"}}


def write(folder, *results, records=None, strategy="Vanilla"):
    """A pair set of two, and a recording whose records hold `results`; returns the recording's file."""
    home = folder / "Dataset" / "CaseStudy" / "Mine"
    file = home / "evaluators" / "Judge" / strategy / "result.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    (home / "dataset.json").write_text(json.dumps(PAIRS), "utf-8")
    file.write_text(json.dumps(records or [{**row, "results": list(results)} for row in PAIRS]), "utf-8")
    return file


def test_any_pair_set_judge_and_strategy_is_found_from_any_folder_above_or_beside(tmp_path):
    file = write(tmp_path, compared(), strategy="Anything")
    (file.parent / "statistics.json").write_text("{}")
    (tmp_path / "result.json").write_text("[]")
    assert list(find_recordings(tmp_path)) == [file]
    for folder in file.parents[:4]:
        assert list(find_recordings(folder)) == [file]
    recording = read_recording(file)
    assert (recording.judge, recording.strategy) == ("Judge", "Anything")
    assert (recording.dataset, recording.group, recording.subset) == ("casestudy", "CaseStudy", "Mine")
    assert [item.pair.id for item in recording.items] == ["Mine/0", "Mine/1"]


def test_auxiliary_texts_stages_and_scores(tmp_path):
    file = write(tmp_path, ["1. Is it yes?", "stop"], ["Yes.", "length"], compared("1", "2"), compared(prompt="…"))
    (item, _) = read_recording(file).items
    assert item.auxiliary == (RecordedReply("1. Is it yes?", "stop"), RecordedReply("Yes.", "length"))
    assert [stage[Order.SWAPPED].text for stage in item.stages] == ["Output (b)"] * 2
    assert item.winners == {Order.ORIGINAL: Verdict.ONE, Order.SWAPPED: Verdict.ONE}, "the last stage's"
    assert item.scores is None

    (item, _) = read_recording(write(tmp_path, rated(), strategy="Rating")).items
    assert item.scores == {1: RecordedReply("7", "stop"), 2: RecordedReply("3")}
    assert item.stages == ()


@pytest.mark.parametrize(
    ("completion", "text", "finish_reason"),
    [
        ("Output (a)", "Output (a)", ""),
        (None, "", ""),
        (["Output (a)"], "Output (a)", ""),
        (["Output (a)", None], "Output (a)", ""),
        ([None, "content_filter"], "", "content_filter"),
    ],
)
def test_what_is_unambiguous_is_accepted(tmp_path, completion, text, finish_reason):
    entry = compared(1, None)
    entry[FORWARD]["completion"] = completion
    (item, _) = read_recording(write(tmp_path, completion, entry)).items
    assert item.auxiliary == (RecordedReply(text, finish_reason),)
    assert item.stages[0][Order.ORIGINAL] == RecordedReply(text, finish_reason)
    assert item.winners == {Order.ORIGINAL: Verdict.ONE, Order.SWAPPED: Verdict.UNREADABLE}


def without(entry, *keys):
    copy = json.loads(json.dumps(entry))
    inner = copy
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return copy


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([], "record 0: results do not end with a comparison or a rating"),
        ([["text", "stop"]], "record 0: results do not end"),
        ([compared(), ["text", "stop"]], "record 0: results do not end"),
        ([without(compared(), BACKWARD)], "record 0: has no 'swap = True'"),
        ([without(compared(), FORWARD, "winner")], "record 0: 'swap = False' has no winner"),
        ([without(compared(), FORWARD, "completion")], "record 0: 'swap = False' has no completion"),
        ([without(rated(), "score_2")], "record 0: the rating has no score_2"),
        ([compared(), rated()], "record 0: holds something else beside its rating"),
        ([compared("3")], "record 0: 'swap = False': winner is '3', neither 1 nor 2 nor null"),
        ([compared("tie")], "winner is 'tie'"),
        ([compared(True)], "winner is True"),
        ([compared([1])], r"winner is \[1\]"),
        ([["a", "b", "c"], compared()], r"record 0: results\[0\] is no text with its finish reason"),
        ([7, compared()], r"record 0: results\[0\] is no text"),
        ([compared(completion={"text": "Output (a)"})], "'swap = False': completion is no text"),
    ],
)
def test_what_is_ambiguous_is_an_error_naming_file_and_record(tmp_path, results, told):
    file = write(tmp_path, *results)
    with pytest.raises(RecordingError, match=told) as caught:
        read_recording(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


# -- broken files -----------------------------------------------------------------------------------------------------


def edited(change):
    def damage(file):
        records = json.loads(file.read_text("utf-8"))
        file.write_text(json.dumps(change(records)), "utf-8")

    return damage


def put(index, **fields):
    return edited(lambda records: [{**r, **fields} if i == index else r for i, r in enumerate(records)])


DAMAGE = {
    "cut off": (lambda file: file.write_bytes(file.read_bytes()[:-1000]), "not JSON, or cut off"),
    "empty": (lambda file: file.write_bytes(b""), "not JSON, or cut off"),
    "not UTF-8": (lambda file: file.write_bytes(file.read_bytes()[:100] + b"\xff"), "not UTF-8 at byte 100"),
    "no list": (edited(lambda records: {"records": records}), "holds no list of records"),
    "a missing pair": (
        edited(lambda records: records[:7] + records[8:]),
        "holds 45 records for 46 pairs: the first missing is Manual/7",
    ),
    "the last missing": (
        edited(lambda records: records[:-1]),
        "holds 45 records for 46 pairs: the first missing is Manual/45",
    ),
    "a record too many": (
        edited(lambda records: [*records[:3], records[3], *records[3:]]),
        "holds 47 records for 46 pairs: record 4 is too many",
    ),
    "another sequence": (edited(lambda records: records[::-1]), "record 0: input is not that of Manual/0"),
    "another label": (put(5, label=3), "record 5: label is not that of Manual/5 in dataset.json"),
    "another instruction": (put(6, input="Sing."), "record 6: input is not that of Manual/6"),
    "another output": (put(8, output_2="La la."), "record 8: output_2 is not that of Manual/8"),
    "no results": (put(9, results=None), "record 9: has no list of results"),
    "no record": (edited(lambda records: [None, *records[1:]]), "record 0: record is not that of Manual/0"),
}


@pytest.fixture
def manual(shared, tmp_path):
    """A copy of one pair set with GPT-4's 15 recordings."""
    source = shared / "data/llmbar/Dataset/LLMBar/Adversarial/Manual"
    home = tmp_path / "Adversarial" / "Manual"
    shutil.copytree(source / "evaluators/GPT-4", home / "evaluators/GPT-4", copy_function=shutil.copyfile)
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.copyfile(source / "dataset.json", home / "dataset.json")
    return home


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_broken_file_is_told_by_name_and_all_others_are_read(manual, kind):
    damage, told = DAMAGE[kind]
    broken = manual / "evaluators/GPT-4/Swap/result.json"
    damage(broken)
    read, errors = [], []
    for file in find_recordings(manual):
        try:
            read.append(read_recording(file))
        except RecordingError as error:
            errors.append(str(error))
    assert len(read) == 14
    assert all(len(recording.items) == 46 for recording in read)
    (error,) = errors
    assert error.startswith(str(broken))
    assert told in error


def test_a_recording_without_its_pairs_is_told_by_name(manual):
    file = manual / "evaluators/GPT-4/CoT/result.json"
    (manual / "dataset.json").write_text("[{}")
    with pytest.raises(RecordingError, match=rf"{file}: its pairs cannot be read: .*dataset.json"):
        read_recording(file)
    (manual / "dataset.json").unlink()
    with pytest.raises(RecordingError, match=r"its pairs are missing .*dataset.json should hold them"):
        read_recording(file)


def test_a_file_or_folder_that_is_not_there_is_told_by_name(manual):
    with pytest.raises(RecordingError, match=r"nowhere: there is no such folder"):
        list(find_recordings(manual / "nowhere"))
    with pytest.raises(RecordingError, match=r"result.json: cannot be read: No such file"):
        read_recording(manual / "evaluators/GPT-4/Nothing/result.json")


# -- as a strategy's replies ------------------------------------------------------------------------------------------


def test_replies_stand_in_the_places_of_the_strategy(tmp_path):
    strategy = load_strategy("metrics+reference+rules")
    (item, _) = read_recording(write(tmp_path, "Questions", "Reference", compared())).items
    assert [(r.step, r.order, r.output, r.text) for r in replies(item, strategy)] == [
        ("metrics", None, None, "Questions"),
        ("reference", None, None, "Reference"),
        ("verdict", Order.ORIGINAL, None, "Output (a)"),
        ("verdict", Order.SWAPPED, None, "Output (b)"),
    ]
    (item, _) = read_recording(write(tmp_path, rated())).items
    assert [(r.step, r.order, r.output, r.text) for r in replies(item, load_strategy("rating"))] == [
        ("score", None, 1, "7"),
        ("score", None, 2, "3"),
    ]
    (item, _) = read_recording(write(tmp_path, compared("1", "2"), compared())).items
    assert [r.step for r in replies(item, load_strategy("swap+rules"))] == ["explain"] * 2 + ["resolve"] * 2


@pytest.mark.parametrize(
    ("results", "strategy"),
    [
        (["Questions", compared()], "rules"),
        ([compared()], "metrics+rules"),
        ([compared(), compared()], "rules"),
        ([rated()], "rules"),
        ([compared()], "rating"),
    ],
)
def test_a_strategy_that_asks_something_else_is_refused(tmp_path, results, strategy):
    (item, _) = read_recording(write(tmp_path, *results)).items
    with pytest.raises(RecordingError, match="asks something else than was recorded for pair Mine/0"):
        replies(item, load_strategy(strategy))
