"""A run's folder: what is written is there, what is half written is dropped, what is damaged is named."""

from __future__ import annotations

import json
import multiprocessing
import os
from itertools import permutations

import pytest

from llmbar.errors import RunError, UsageError
from llmbar.judges import JudgeOptions
from llmbar.records import Judgment, Pair, Reply, Usage, Verdict
from llmbar.runs import Asked, RunFolder, find_runs
from llmbar.runs.folder import at_work, flat, key_of
from llmbar.runs.manifest import JudgeAsked, Manifest, PairsAsked, StrategyAsked, differences, public
from llmbar.strategy import load_strategy

NOW = "2026-01-02T03:04:05+00:00"


def pair(index, **fields):
    told = {
        "dataset": "set",
        "subset": "only",
        "instruction": f"Do {index}.",
        "output_1": "x",
        "output_2": "yy",
        "gold": 1,
    }
    return Pair(**(told | {"id": f"p{index}"} | fields))


def judgment(index, final=Verdict.ONE, **fields):
    told = {"dataset": "set", "subset": "only", "judge": "baseline/first", "strategy": "rules", "gold": 1}
    return Judgment(**(told | {"pair": f"p{index}", "original": final, "swapped": final, "final": final} | fields))


def asked(pairs, judge="baseline/first", **fields):
    return Asked(
        judges=(JudgeAsked(name=judge),),
        strategies=(StrategyAsked.of(load_strategy("rules")),),
        datasets=PairsAsked.of(pairs),
        **fields,
    )


PAIRS = [pair(index) for index in range(5)]


@pytest.fixture
def folder(tmp_path):
    return RunFolder.begin(tmp_path / "run", asked(PAIRS), PAIRS, NOW)


def by_number(key):
    return int(key[3][1:])


# -- begin and open ---------------------------------------------------------------------------------------------------


def test_a_new_folder_says_what_is_asked_and_of_which_pairs(folder):
    again = RunFolder.open(folder.path)
    assert again.manifest == folder.manifest
    assert again.manifest.asked == asked(PAIRS)
    assert again.manifest.created == NOW
    assert again.manifest.state == "running"
    assert not again.sealed
    assert list(again.pairs()) == PAIRS


def test_the_same_question_finds_its_folder_and_another_does_not_take_it(folder):
    assert RunFolder.begin(folder.path, asked(PAIRS), PAIRS, "later").manifest.created == NOW
    with pytest.raises(RunError, match="holds another run"):
        RunFolder.begin(folder.path, asked(PAIRS, repeats=2), PAIRS, NOW)


@pytest.mark.parametrize("content", [None, "", "{", "{}", '{"format": 2}', "[]"])
def test_a_folder_without_a_readable_manifest_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError) as caught:
        RunFolder.open(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_the_place_of_a_run_is_no_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is no run"):
        RunFolder.open(tmp_path / "file")


def test_a_damaged_pair_is_named_with_its_line(folder):
    with (folder.path / "pairs.jsonl").open("a") as file:
        file.write('{"id": 3}\n')
    with pytest.raises(RunError, match=r"pairs\.jsonl:6: not a pair"):
        list(folder.pairs())
    (folder.path / "pairs.jsonl").unlink()
    with pytest.raises(RunError, match=r"pairs\.jsonl: is missing"):
        list(folder.pairs())


def test_runs_are_found_oldest_first_and_a_damaged_one_hides_no_other(tmp_path):
    for name, created in (("b", "2026-01-01"), ("a", "2026-01-03"), ("c", "2026-01-02")):
        RunFolder.begin(tmp_path / name, asked(PAIRS), PAIRS, created)
    (tmp_path / "c" / "manifest.json").write_text("{")
    (tmp_path / "elsewhere").mkdir()
    assert [found.path.name for found in find_runs(tmp_path)] == ["b", "a"]
    assert find_runs(tmp_path / "nowhere") == []


# -- the journal ------------------------------------------------------------------------------------------------------


def test_what_was_added_is_with_the_operating_system_before_the_folder_is_closed(folder):
    folder.add(judgment(0))
    assert list(RunFolder.open(folder.path).judgments()) == [judgment(0)]
    folder.close()


def test_judgments_come_back_as_they_were(folder):
    reply = Reply(step="verdict", key="k", text="Output (a) – „ja“ \u2028 \x00", usage=Usage(prompt_tokens=3))
    told = [judgment(0, replies=(reply,), original_margin=0.1 + 0.2), judgment(1, Verdict.UNREADABLE, repeat=2)]
    for each in told:
        folder.add(each)
    folder.close()
    assert list(folder.judgments()) == told


def test_resuming_keeps_what_was_judged_and_drops_failures_and_a_half_written_line(folder):
    states = [Verdict.ONE, Verdict.FAILED, Verdict.UNREADABLE, Verdict.TIE]
    for index, state in enumerate(states):
        folder.add(judgment(index, state))
    folder.close()
    whole = folder.journal.read_bytes()
    folder.journal.write_bytes(whole + whole.splitlines()[0][:25])
    assert {key[3] for key in folder.resume()} == {"p0", "p2", "p3"}
    assert folder.journal.read_bytes() == b"".join(whole.splitlines(keepends=True)[i] for i in (0, 2, 3))


def test_a_judgment_that_stands_twice_is_kept_once(folder):
    for _ in range(2):
        folder.add(judgment(0))
    folder.close()
    assert len(folder.resume()) == 1
    assert len(list(folder.judgments())) == 1


@pytest.mark.parametrize("line", ["not json", "{}", "3", '{"judge": "x"}', '{"judge'])
def test_a_damaged_line_is_named_with_a_remedy(folder, line):
    folder.add(judgment(0))
    folder.close()
    with folder.journal.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RunError, match=r"judgments\.jsonl:2: .*\(delete the line and run again\)"):
        folder.resume()
    assert folder.journal.read_text().endswith(line + "\n"), "nothing is thrown away unasked"


def test_a_line_that_is_json_and_no_judgment_is_named(folder):
    folder.add(judgment(0))
    folder.close()
    folder.journal.write_text(folder.journal.read_text().replace('"final":"1"', '"final":"3"'))
    with pytest.raises(RunError, match=r"judgments\.jsonl:1: not a judgment: final"):
        list(folder.judgments())


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_sealing_puts_lines_and_columns_into_the_same_order(folder, order):
    for index in order:
        folder.add(judgment(index, [Verdict.ONE, Verdict.TWO, Verdict.TIE][index]))
    columns = folder.seal(by_number)
    assert columns["pair"] == ["p0", "p1", "p2"]
    assert columns["final"] == ["1", "2", "tie"]
    assert [each.pair for each in folder.judgments()] == ["p0", "p1", "p2"]


def test_a_row_counts_requests_and_tokens(folder):
    replies = [Reply(step="verdict", key=str(n), usage=Usage(prompt_tokens=n, completion_tokens=1)) for n in (5, 7)]
    folder.add(judgment(0, replies=tuple(replies)))
    columns = folder.seal(by_number)
    assert (columns["requests"], columns["prompt_tokens"], columns["completion_tokens"]) == ([2], [12], [2])
    assert "replies" not in columns


def test_every_field_of_a_judgment_but_its_replies_is_a_column():
    told = judgment(0, original_margin=1.5, group="g", repeat=3)
    row = flat(json.loads(told.model_dump_json(exclude_defaults=True)))
    assert {name: row[name] for name in Judgment.model_fields if name != "replies"} == told.model_dump(
        mode="json", exclude={"replies"}
    )
    assert key_of(json.loads(told.model_dump_json())) == ("baseline/first", "rules", "set", "p0", 3)


def test_what_goes_wrong_while_a_file_is_replaced_leaves_the_old_one(folder):
    folder.add(judgment(0))
    folder.close()

    def broken():
        yield judgment(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.rewrite(broken())
    assert list(folder.judgments()) == [judgment(0)]
    assert not list(folder.path.glob("*.part"))


def test_a_summary_never_holds_what_is_no_json(folder):
    with pytest.raises(ValueError, match="JSON"):
        folder.keep_summary({"accuracy": float("nan")})
    assert not folder.summary.exists()


# -- the lock ---------------------------------------------------------------------------------------------------------


def hold(path, started, end):
    with at_work(path):
        started.set()
        end.wait(30)


def test_one_at_a_time(tmp_path):
    with (
        at_work(tmp_path / "run"),
        pytest.raises(RunError, match="another llmbar is at work"),
        at_work(tmp_path / "run"),
    ):
        pass
    with at_work(tmp_path / "run"), at_work(tmp_path / "other"):
        pass
    assert list((tmp_path / "run").iterdir()) == [], "the lock leaves nothing behind"


def test_a_lock_goes_with_its_process_even_when_that_is_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    started, end = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(tmp_path, started, end))
    holder.start()
    assert started.wait(30)
    with pytest.raises(RunError, match="at work"), at_work(tmp_path):
        pass
    os.kill(holder.pid, 9)
    holder.join()
    with at_work(tmp_path):
        pass


def test_what_goes_wrong_at_work_is_not_taken_for_a_lock(tmp_path):
    with pytest.raises(BlockingIOError), at_work(tmp_path):
        raise BlockingIOError
    with at_work(tmp_path):
        pass


# -- the manifest -----------------------------------------------------------------------------------------------------


def test_the_id_follows_from_everything_that_answers_depend_on():
    same = [asked(PAIRS), asked([pair(index) for index in range(5)])]
    assert same[0].id == same[1].id
    others = [
        asked(PAIRS, judge="baseline/second"),
        asked(PAIRS[:4]),
        asked([pair(0, gold=2), *PAIRS[1:]]),
        asked([pair(0, subset="another"), *PAIRS[1:]]),
        asked([pair(0, output_2="zz"), *PAIRS[1:]]),
        asked(PAIRS, repeats=2),
        asked(PAIRS, rescored_from="1"),
        Asked(**{**dict(asked(PAIRS)), "judges": (JudgeAsked.of("baseline/first", JudgeOptions(seed=1)),)}),
        Asked(
            **{
                **dict(asked(PAIRS)),
                "strategies": (StrategyAsked.of(load_strategy("rules").sampled({"temperature": 1})),),
            }
        ),
    ]
    assert len({each.id for each in [same[0], *others]}) == 1 + len(others)
    assert len({each.slug for each in [same[0], *others]}) == 1 + len(others)


def test_a_copy_with_other_fields_has_another_id():
    one = asked(PAIRS)
    assert one.model_copy(update={"rescored_from": one.id}).id != one.id


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b\\c:d", "naïve „x“ " * 40, "..", "x\ny"])
def test_a_run_has_a_plain_folder_name_whatever_the_pairs_are_called(name):
    slug = asked([pair(0, dataset=name)], judge="openai/../gpt").slug
    assert slug == slug.encode("ascii").decode()
    assert not set(slug) & set('/\\:\n "')
    assert not slug.startswith(".")
    assert len(slug) < 100


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://host:8000/v1", "http://host:8000/v1"),
        ("http://host:8000/v1/", "http://host:8000/v1"),
        (" https://user:pass@host/v1?key=secret#there ", "https://host/v1"),
        ("http://pass@[::1]:80/v1", "http://[::1]:80/v1"),
        ("http://us%40er:p%40ss@host", "http://host"),
    ],
)
def test_an_address_is_kept_without_its_secrets(address, shown):
    assert public(address) == shown
    assert JudgeAsked.of("vllm/model", JudgeOptions(base_urls=(address,))).addresses == (shown,)


@pytest.mark.parametrize("address", ["secret", "http://", "http://[secret", "//"])
def test_what_is_no_address_is_refused_without_repeating_it(address):
    with pytest.raises(UsageError, match="not an HTTP address") as caught:
        public(address)
    assert "secret" not in str(caught.value)


def test_an_address_from_the_environment_is_part_of_the_question(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:secret@here/v1")
    monkeypatch.setenv("LOCAL_AI_BASE_URL", "http://there/v1")
    assert JudgeAsked.of("openai/gpt-4o", JudgeOptions()).addresses == ("http://here/v1",)
    assert JudgeAsked.of("openai-api/local-ai/x", JudgeOptions()).addresses == ("http://there/v1",)
    assert JudgeAsked.of("openai/gpt-4o", JudgeOptions(base_urls=("http://flag/v1",))).addresses == ("http://flag/v1",)
    assert JudgeAsked.of("baseline/first", JudgeOptions()).addresses == ()


def test_differences_say_what_differs():
    one = asked([*PAIRS, pair(0, dataset="more")])
    assert differences(one, one) == {}
    assert differences(one, asked(PAIRS)) == {"more": "only one has it"}
    assert differences(asked(PAIRS), asked(PAIRS[:2])) == {"set": "5 pairs against 2"}
    assert differences(asked(PAIRS), asked([pair(0, gold=2), *PAIRS[1:]])) == {"set": "other texts or another order"}


def test_a_manifest_of_a_later_format_is_refused(folder):
    file = folder.path / "manifest.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(RunError, match="format"):
        RunFolder.open(folder.path)


def test_a_manifest_comes_back_as_it_was(folder):
    assert Manifest.model_validate_json(folder.manifest.model_dump_json()) == folder.manifest
