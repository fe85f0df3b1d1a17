"""Runs from Python: planned, judged, estimated, looked at and read again."""

from __future__ import annotations

import asyncio
import inspect
import json
import shutil
from collections import Counter

import pandas as pd
import pytest
from commands import at_home, pair_rows, prefers, prefers_first, told, write_pairs
from openai_server import serving_in_thread

import llmbar as lb
from llmbar.errors import JudgeError, PairError, RunError, StrategyError, UsageError
from llmbar.files import prompts_folder
from llmbar.judges import JudgeOptions
from llmbar.records import Pair
from llmbar.runs import Run, RunFolder, arun, baseline_frame, estimate, joined, plan, rescore, run
from llmbar.runs.judging import SAMPLE

NATURAL = "starter/natural"


@pytest.fixture
def home(tmp_path, monkeypatch):
    write_pairs(tmp_path / "pairs.jsonl", pair_rows(6))
    return at_home(monkeypatch, tmp_path)


def toy(index, dataset="toy", subset="plain", **fields):
    told = {"instruction": f"Do {index}.", "output_1": f"ALPHA {index}", "output_2": f"BETA {index}", "gold": 1}
    return Pair(**(told | {"id": str(index), "dataset": dataset, "subset": subset} | fields))


def strategy_folder(path, like="rules", **replaced):
    """A copy of a strategy, with some of its `strategy.toml` replaced."""
    shutil.copytree(prompts_folder() / like, path)
    toml = (path / "strategy.toml").read_text()
    for old, new in replaced.items():
        assert old in toml
        toml = toml.replace(old, new)
    (path / "strategy.toml").write_text(toml)
    return path


# -- planning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"judge": "nobody/gpt"}, JudgeError, "no kind of judge is called 'nobody'"),
        ({"judge": "opnai/gpt"}, JudgeError, "did you mean openai"),
        ({"judge": "openai"}, JudgeError, "write openai/<model>"),
        ({"judge": []}, UsageError, "there is no judge"),
        ({"strategies": "vanila"}, StrategyError, "did you mean vanilla?"),
        ({"strategies": []}, UsageError, "there is no strategy"),
        ({"pairs": "missing.jsonl"}, PairError, "missing.jsonl"),
        ({"pairs": []}, UsageError, "there is no pair"),
        ({"panel": ["nobody/x"]}, JudgeError, "nobody"),
        ({"panel": ["baseline/first"]}, UsageError, "leave out what is not asked"),
        ({"limit": 0}, UsageError, "limit"),
        ({"repeats": 0}, UsageError, "repeats"),
        ({"sampling": {"temperature": -1}}, UsageError, "temperature"),
        ({"sampling": {"warmth": 1}}, UsageError, "warmth"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(home, wrong, error, says):
    arguments = {"pairs": NATURAL, "judge": "baseline/first"} | wrong
    with pytest.raises(error) as caught:
        plan(arguments.pop("pairs"), **arguments)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [file.name for file in home.iterdir()] == ["pairs.jsonl"]


def test_a_limit_is_one_of_each_subset_of_each_pair_set():
    pairs = [toy(index, dataset, subset) for dataset in "ab" for subset in ("x", "y") for index in range(5)]
    pairs = [pair.model_copy(update={"id": f"{pair.subset}{pair.id}"}) for pair in pairs]
    planned = plan(pairs, judge="baseline/first", limit=2)
    assert Counter((pair.dataset, pair.subset) for pair in planned.pairs) == dict.fromkeys(
        [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")], 2
    )


def test_a_strategy_is_asked_once_by_whichever_names():
    planned = plan(
        NATURAL, judge=["baseline/first"] * 2, strategies=["rules", "Vanilla", str(prompts_folder() / "rules")]
    )
    assert [strategy.name for strategy in planned.strategies] == ["rules"]
    assert planned.asked.judgments == len(planned.pairs)


def test_two_different_strategies_of_one_name_are_refused(home):
    mine = strategy_folder(home / "mine" / "rules", **{"max_tokens = 50": "max_tokens = 51"})
    with pytest.raises(UsageError, match="two different strategies are called 'rules'"):
        plan(NATURAL, judge="baseline/first", strategies=["rules", str(mine)])


def test_two_different_pairs_of_one_name_are_refused_and_the_same_pair_counts_once():
    assert len(plan([toy(0), toy(0)], judge="baseline/first").pairs) == 1
    with pytest.raises(UsageError, match="two different pairs of toy are called '0'"):
        plan([toy(0), toy(0, gold=2)], judge="baseline/first")


def test_a_step_that_a_panel_member_answers_needs_that_member(home):
    folder = strategy_folder(home / "second", **{'per = "order"': 'per = "order"\nby = 1'})
    with pytest.raises(UsageError, match=r"step 'verdict' of second is answered by panel member 1"):
        plan(NATURAL, judge="baseline/first", strategies=str(folder))
    planned = plan([toy(0)], judge="baseline/first", panel=["baseline/second"], strategies=str(folder))
    made = run(planned)
    (verdict,) = made.folder.judgments()
    assert (verdict.original, verdict.swapped) == ("2", "1"), "baseline/second answered"
    assert {reply.judge for reply in verdict.replies} == {"baseline/second"}


def test_every_judgment_has_a_place_of_its_own():
    pairs = [toy(index, dataset) for dataset in "ab" for index in range(3)]
    planned = plan(pairs, judge=["baseline/first", "baseline/second"], strategies=["rules", "cot"], repeats=2)
    place = planned.places()
    keys = [
        (judge, strategy, pair.dataset, pair.id, repeat)
        for judge in ("baseline/first", "baseline/second")
        for strategy in ("rules", "cot")
        for pair in pairs
        for repeat in range(2)
    ]
    assert [place(key) for key in keys] == list(range(48))


# -- judging ----------------------------------------------------------------------------------------------------------


def test_a_run_holds_all_that_was_planned_in_its_order(home):
    made = run(
        [toy(index) for index in range(4)],
        judge=["baseline/first", "baseline/longer"],
        strategies=["rules", "cot"],
        repeats=2,
    )
    rows = made.judgments()
    assert made.complete
    assert len(rows) == made.asked.judgments == 2 * 2 * 4 * 2
    keys = ["judge", "strategy", "pair", "repeat"]
    first = [
        ("baseline/first", "rules", "0", 0),
        ("baseline/first", "rules", "0", 1),
        ("baseline/first", "rules", "1", 0),
    ]
    assert [*rows[keys].head(3).itertuples(index=False, name=None)] == first
    judge, strategy, pair, repeat = (rows[key].tolist() for key in keys)
    places = [{"baseline/first": 0, "baseline/longer": 1}[name] for name in judge]
    assert [*zip(places, [name == "cot" for name in strategy], pair, repeat, strict=True)] == sorted(
        zip(places, [name == "cot" for name in strategy], pair, repeat, strict=True)
    )
    assert [each.pair for each in made.folder.judgments()] == pair, "lines and table stand in one order"


def test_judgments_by_status(home):
    made = run(NATURAL, judge="simulated/unreadable=0.4", limit=40)
    rows = made.judgments()
    unreadable = made.judgments("unreadable")
    assert 0 < len(unreadable) < len(rows)
    assert len(unreadable) == (rows["final"] == "unreadable").sum()
    assert made.failed == 0
    with pytest.raises(UsageError, match="'wrong' is no verdict"):
        made.judgments("wrong")


def test_failed_judgments_make_a_run_incomplete(home):
    made = run(NATURAL, judge="simulated/failed=0.3", limit=40)
    assert not made.complete
    assert made.failed == (made.judgments()["final"] == "failed").sum() > 0
    assert json.loads((made.path / "manifest.json").read_text())["state"] == "incomplete"


def test_a_judge_that_cannot_be_opened_leaves_no_run(home, monkeypatch):
    for options in ({"judge": "openai/gpt-4o"}, {"judge": "baseline/nobody"}):
        with pytest.raises(JudgeError):
            run(NATURAL, **options)
    with pytest.raises(JudgeError, match="baseline/first is no endpoint"):
        run(NATURAL, judge=["baseline/first"], options=JudgeOptions(base_urls=("http://127.0.0.1:9/v1",)))
    assert lb.runs.find_runs(home / "results") == []


def test_the_headline_is_the_mean_over_subsets_or_the_only_subset_of_each_data_set(home):
    """baseline/longer against hand-made gold: right on all of x, wrong on all of y; right on half of `alone`."""
    longer = {"output_1": "a longer output", "output_2": "short"}
    pairs = [toy(f"x{n}", "two", "x", gold=1, **longer) for n in range(3)]
    pairs += [toy(f"y{n}", "two", "y", gold=2, **longer) for n in range(9)]
    pairs += [toy(f"z{n}", "alone", "z", gold=1 + n % 2, **longer) for n in range(4)]
    headline = run(pairs, judge="baseline/longer").headline()
    assert headline.to_dict() == {("baseline/longer", "rules", "two"): 0.5, ("baseline/longer", "rules", "alone"): 0.5}
    assert run(pairs[:3], judge="baseline/longer").headline().to_dict() == {("baseline/longer", "rules", "two"): 1.0}


def test_repeats_ask_each_question_anew(home):
    with serving_in_thread(prefers("ALPHA")) as server:
        options = JudgeOptions(base_urls=(server.base_url,))
        made = run("pairs.jsonl", judge="openai-api/local/j", strategies="metrics+rules", repeats=3, options=options)
        assert len(server.asked) == 3 * (2 * 6 + 3)
    assert made.folder.manifest.counts.asked == 3 * (2 * 6 + 3)


def test_a_judge_that_is_also_on_the_panel_is_asked_once(home):
    twice = strategy_folder(home / "twice")
    toml = (twice / "strategy.toml").read_text()
    step = toml[toml.index("[[steps]]") :]
    (twice / "strategy.toml").write_text(
        toml + "\n" + step.replace('"verdict"', '"again"\nprompt = "verdict.jinja"\nby = 1')
    )
    with serving_in_thread(prefers("ALPHA")) as server:
        options = JudgeOptions(base_urls=(server.base_url,))
        name = "openai-api/local/j"
        made = run("pairs.jsonl", judge=name, panel=[name], strategies=str(twice), options=options)
        assert len(server.asked) == 2 * 6
    counts = made.folder.manifest.counts
    assert (counts.asked, counts.from_store) == (2 * 6, 2 * 6)


def test_each_of_several_judges_goes_on_where_it_stopped(home):
    """Of the first judge all is there, of the second one half, of the third nothing."""
    judges = [f"openai-api/local/{name}" for name in "abc"]
    with serving_in_thread(prefers("ALPHA")) as server:
        options = JudgeOptions(base_urls=(server.base_url,))
        planned = plan("pairs.jsonl", judge=judges, options=options)
        whole = run(planned)
        lines = whole.folder.journal.read_bytes().splitlines(keepends=True)
        (whole.path / "summary.json").unlink()
        whole.folder.journal.write_bytes(b"".join(lines[:9]))
        (home / "results" / "responses.sqlite").unlink()
        server.asked.clear()
        assert run(planned).folder.journal.read_bytes() == b"".join(lines)
        assert Counter(asked.body["model"] for asked in server.asked) == {"b": 2 * 3, "c": 2 * 6}


def test_the_counts_of_all_sittings_add_up(home):
    broken = True

    def answer(body):
        from openai_server import error

        return error(400, "no") if broken and "ALPHA 3" in body["messages"][-1]["content"] else prefers("ALPHA")(body)

    with serving_in_thread(answer) as server:
        options = JudgeOptions(base_urls=(server.base_url,))
        first = run("pairs.jsonl", judge="openai-api/local/j", options=options).folder.manifest.counts
        broken = False
        second = run("pairs.jsonl", judge="openai-api/local/j", options=options).folder.manifest.counts
    assert (first.asked, first.failed, first.prompt_tokens) == (12, 2, 100)
    assert (second.asked, second.failed, second.prompt_tokens) == (14, 2, 120)


def test_a_watcher_is_told_of_everything_once(home):
    class Watcher:
        def __init__(self):
            self.seen, self.ends = [], 0

        def begin(self, folder, total, done, tallies):
            self.begun = folder.name, total, done, list(tallies)

        def judged(self, judgment):
            self.seen.append(judgment.pair)

        def end(self):
            self.ends += 1

    watcher, idle = Watcher(), Watcher()
    made = run([toy(index) for index in range(3)], judge="baseline/first", watcher=watcher)
    assert watcher.begun == (made.path.name, 3, 0, [])
    assert (sorted(watcher.seen), watcher.ends) == (["0", "1", "2"], 1)
    run([toy(index) for index in range(3)], judge="baseline/first", watcher=idle)
    with pytest.raises(JudgeError):
        run([toy(0)], judge="baseline/nobody", watcher=idle)
    assert not hasattr(idle, "begun")
    assert idle.ends == 0, "what never began does not end"


def test_two_tasks_of_one_program_do_not_share_a_run(home):
    async def both():
        planned = plan(NATURAL, judge="simulated/hasty")
        return await asyncio.gather(arun(planned), arun(planned), return_exceptions=True)

    one, other = asyncio.run(both())
    assert {type(one), type(other)} == {Run, RunError}
    assert run(NATURAL, judge="simulated/hasty").complete


# -- notebooks --------------------------------------------------------------------------------------------------------


def test_all_of_it_works_inside_a_running_loop(home):
    async def notebook():
        planned = lb.plan(
            [toy(index) for index in range(4)], judge="simulated/hasty", strategies=["rules", "swap+rules"]
        )
        assert estimate(planned).requests == (4 * 2 * 2, 4 * 3 * 2)
        made = await lb.arun(planned)
        board = lb.leaderboard([made, lb.published()])
        assert "baseline/longer" in board.to_markdown()
        assert "simulated/hasty" in board._repr_html_()
        assert lb.rescore(made).changed == {"rules": 0, "swap+rules": 0}
        return made.summary()

    assert len(asyncio.run(notebook())) == 2


def test_run_says_what_to_do_inside_a_running_loop(home):
    async def notebook():
        with pytest.raises(UsageError, match=r"await llmbar\.arun"):
            lb.run(NATURAL, judge="baseline/first")

    asyncio.run(notebook())


def test_a_strategy_that_was_edited_between_two_runs_is_read_again(home):
    folder = strategy_folder(home / "prompts" / "mine")
    before = plan(NATURAL, judge="baseline/first", strategies="mine").asked
    (folder / "strategy.toml").write_text((folder / "strategy.toml").read_text() + "\n")
    assert plan(NATURAL, judge="baseline/first", strategies="mine").asked != before


# -- estimating -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strategies",
    [
        ["rules"],
        ["rules", "Vanilla", "vanilla", "swap-averaging"],
        ["metrics+rules", "metrics+reference+rules", "reference+rules", "metrics"],
        ["swap+rules", "swap+cot+rules", "cot+rules"],
        ["rating", "rating+rules", "rating+metrics+reference"],
    ],
)
@pytest.mark.parametrize("repeats", [1, 2])
def test_an_estimate_is_what_is_really_asked(home, strategies, repeats):
    """A judge whose orders agree is asked the fewest; one that always prefers what is shown first, the most."""
    asked, sent = [], []
    for answer in (prefers("ALPHA"), prefers_first):
        with serving_in_thread(answer) as server:
            options = JudgeOptions(base_urls=(server.base_url,))
            planned = plan(
                "pairs.jsonl", judge="openai-api/local/j", strategies=strategies, repeats=repeats, options=options
            )
            expected = estimate(planned)
            assert server.asked == []
            assert not (home / "results").exists() or asked
            assert run(planned).complete
            asked.append(len(server.asked))
            sent.append(sum(each.body["max_tokens"] for each in server.asked))
    assert tuple(asked) == expected.requests
    assert sent[1] == expected.completion_tokens


def test_an_estimate_of_tokens_counts_characters(home):
    with serving_in_thread(prefers("ALPHA")) as server:
        options = JudgeOptions(base_urls=(server.base_url,))
        planned = plan("pairs.jsonl", judge="openai-api/local/j", options=options)
        run(planned)
        characters = sum(len(turn["content"]) for each in server.asked for turn in each.body["messages"])
    assert estimate(planned).prompt_tokens == (round(characters / 4), round(characters / 4))


def test_an_estimate_of_several_judges_and_of_many_pairs_scales(home):
    few = plan([toy(index) for index in range(10)], judge="baseline/first")
    assert estimate(few).requests == (20, 20)
    assert estimate(plan(few.pairs, judge=["baseline/first", "baseline/second"])).requests == (40, 40)
    many = SAMPLE * 4 + 3
    assert estimate(plan([toy(index) for index in range(many)], judge="baseline/first")).requests == (
        2 * many,
        2 * many,
    )


def test_completions_without_a_bound_are_not_estimated(home):
    folder = strategy_folder(home / "talkative", **{"sampling = { max_tokens = 50 }": ""})
    assert estimate(plan([toy(0)], judge="baseline/first", strategies=str(folder))).completion_tokens is None


# -- several runs -----------------------------------------------------------------------------------------------------


def test_baselines_are_judged_with_every_pair():
    frame = baseline_frame([toy(index) for index in range(3)])
    assert set(frame["judge"]) == {f"baseline/{name}" for name in ("random", "first", "longer", "shorter")}
    assert frame.groupby("judge").size().tolist() == [3] * 4
    longer = frame[frame["judge"] == "baseline/longer"]
    assert longer["final"].tolist() == ["1"] * 3, "ALPHA is longer than BETA"


def test_runs_on_the_same_pairs_are_joined(home):
    pairs = [toy(index) for index in range(3)]
    one, two = (run(pairs, judge=f"baseline/{name}") for name in ("first", "second"))
    frame = joined([one, two])
    assert frame.groupby("judge").size().to_dict() == {"baseline/first": 3, "baseline/second": 3}
    pd.testing.assert_frame_equal(joined([one]), one.frame())


def test_runs_on_other_pairs_or_with_the_same_judge_are_not_joined(home):
    pairs = [toy(index) for index in range(3)]
    one, two = run(pairs, judge="baseline/first"), run(pairs[:2], judge="baseline/second")
    with pytest.raises(RunError, match="toy: 3 pairs against 2") as caught:
        joined([one, two])
    assert str(two.path) in str(caught.value)
    assert str(one.path) in str(caught.value)
    again = run(pairs, judge=["baseline/first", "baseline/second"])
    with pytest.raises(RunError, match="baseline/first with rules"):
        joined([one, again])
    with pytest.raises(RunError, match="baseline/first with rules"):
        joined([one, one.open(one.path)])


def test_an_unfinished_run_has_no_numbers_yet(home):
    planned = plan([toy(0)], judge="baseline/first")
    RunFolder.begin(planned.path, planned.asked, planned.pairs, "now")
    unfinished = Run.open(planned.path)
    for look in (unfinished.judgments, unfinished.summary, unfinished.headline, lambda: rescore(unfinished)):
        with pytest.raises(RunError, match=r"was never finished \(give its command again to resume it\)"):
            look()


# -- reading again ----------------------------------------------------------------------------------------------------


def wavering(body):
    """Names the worse output first and the better one last."""
    asked = body["messages"][-1]["content"]
    better = prefers("ALPHA")(body)
    worse = "Output (a)" if better == "Output (b)" else "Output (b)"
    return (
        f"{worse}\n{better}" if "plain-1" in asked or "ALPHA 1" in asked or "ALPHA 4" in asked else told(asked, better)
    )


@pytest.fixture
def judged(home):
    """A run over HTTP with a strategy of one's own; the judge changes its mind on 2 of the 6 pairs."""
    strategy_folder(home / "prompts" / "mine")
    with serving_in_thread(wavering) as server:
        options = JudgeOptions(base_urls=(server.base_url,))
        yield run(
            "pairs.jsonl",
            judge="openai-api/local/j",
            strategies=["mine", "rules"],
            options=options,
            sampling={"top_p": 0.5},
        )


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_an_unchanged_strategy_reads_the_same(judged):
    again = rescore(judged)
    assert again.changed == {"mine": 0, "rules": 0}
    assert again.run.path != judged.path
    assert (again.run.path / "judgments.jsonl").read_bytes() == (judged.path / "judgments.jsonl").read_bytes()
    pd.testing.assert_frame_equal(again.run.judgments(), judged.judgments())
    pd.testing.assert_frame_equal(again.run.summary(), judged.summary())


def test_a_changed_reader_changes_what_it_reads_otherwise_and_nothing_is_asked(home, judged):
    edit(home / "prompts/mine/strategy.toml", 'kind = "choice"', 'kind = "choice", take = "first"')
    store = (home / "results/responses.sqlite").read_bytes()
    again = rescore(judged)
    assert again.changed == {"mine": 2, "rules": 0}
    assert (home / "results/responses.sqlite").read_bytes() == store
    rows = again.run.judgments().set_index(["strategy", "pair"])["final"]
    assert {pair: rows["mine", pair] for pair in ("plain-0", "plain-1", "plain-4")} == {
        "plain-0": "1",
        "plain-1": "2",
        "plain-4": "2",
    }
    asked = again.run.asked
    assert asked.rescored_from == judged.asked.id
    assert 'take = "first"' in asked.strategies[0].sources["strategy.toml"]
    assert again.run.folder.manifest.counts.asked == 0
    assert rescore(judged).run.path == again.run.path, "the same reading makes the same run"
    assert judged.judgments()["final"].tolist() == ["1"] * 12, "the old run is as it was"


def test_a_rescored_run_says_what_was_sampled_then(home, judged):
    edit(home / "prompts/mine/strategy.toml", "max_tokens = 50", "max_tokens = 99")
    mine, rules = rescore(judged).run.asked.strategies
    for strategy in (mine, rules):
        assert strategy.sampling["verdict"].max_tokens == 50
        assert strategy.sampling["verdict"].top_p == 0.5


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("verdict.jinja", "== user ==", "== user ==\nBe fair."),
        ("strategy.toml", 'name = "verdict"', 'name = "answer"\nprompt = "verdict.jinja"'),
        ("strategy.toml", 'per = "order"', 'per = "order"\nsamples = 3'),
        ("strategy.toml", 'summary = "', 'labels = ["Answer 1", "Answer 2"]\nsummary = "'),
    ],
)
def test_a_strategy_that_asks_something_else_now_is_not_read_into_old_replies(home, judged, file, old, new):
    edit(home / "prompts" / "mine" / file, old, new)
    with pytest.raises(RunError, match=r"mine asks something else now .*judge again"):
        rescore(judged)


def test_a_strategy_that_is_gone_is_named_and_its_folder_can_be_given(home, judged):
    shutil.move(home / "prompts" / "mine", home / "attic" / "mine")
    with pytest.raises(StrategyError, match="no strategy is called 'mine'"):
        rescore(judged)
    assert rescore(judged, strategies=[str(home / "attic" / "mine")]).changed == {"mine": 0, "rules": 0}


def test_a_rescored_run_goes_beside_the_old_one_or_where_it_is_told(home, judged):
    assert rescore(judged).run.path.parent == judged.path.parent
    assert rescore(judged, home / "elsewhere").run.path.parent == home / "elsewhere"


def test_failed_judgments_stay_failed(home):
    made = run(NATURAL, judge="simulated/failed=0.3", limit=20)
    again = rescore(made)
    assert not again.run.complete
    assert again.run.failed == made.failed > 0


# -- names ------------------------------------------------------------------------------------------------------------


def test_run_and_arun_take_what_plan_takes():
    parameters = inspect.signature(plan).parameters
    assert next(iter(parameters)) == "pairs"
    for function in (run, arun):
        assert list(inspect.signature(function).parameters) == ["pairs", "watcher", "options"]
