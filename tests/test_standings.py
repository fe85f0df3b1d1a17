"""Leaderboards of runs: on the same pairs, beside the baselines and the paper, in every format."""

from __future__ import annotations

import csv
import io
import json

import pytest
from commands import at_home

import llmbar as lb
from llmbar.errors import RunError, UsageError
from llmbar.records import Pair
from llmbar.standings import leaderboard

TRIVIAL = {"baseline/random", "baseline/first", "baseline/longer", "baseline/shorter"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    return at_home(monkeypatch, tmp_path)


def toy(index, dataset="toy", subset="plain"):
    """Output 1 is the longer and the better one in three of four pairs."""
    long, short = f"a long output {index}", f"{index}"
    gold = 2 if index % 4 == 0 else 1
    return Pair(
        id=f"{subset}{index}",
        dataset=dataset,
        subset=subset,
        instruction=f"Do {index}.",
        output_1=long,
        output_2=short,
        gold=gold,
    )


TOY = [toy(index) for index in range(8)]


def rows(board):
    return board.table.set_index("judge")


def test_judges_of_several_runs_are_ranked_beside_all_baselines(home):
    one, two = lb.run(TOY, judge="simulated/accuracy=1"), lb.run(TOY, judge="simulated/accuracy=0")
    found = rows(leaderboard([one, str(two.path)]))
    assert set(found.index) == {*TRIVIAL, "simulated/accuracy=1", "simulated/accuracy=0"}
    assert found.loc["simulated/accuracy=1", ["rank", "plain", "source"]].tolist() == [1, 1.0, "run"]
    assert found.loc["simulated/accuracy=0", "plain"] == 0
    assert found.loc["baseline/longer", ["plain", "source"]].tolist() == [0.75, "baseline"]
    assert found.loc["baseline/shorter", "plain"] == 0.25
    assert found.loc["baseline/first", "plain"] == 0.5
    assert set(found["n"]) == {8}


def test_a_baseline_that_was_judged_itself_stands_there_once(home):
    board = leaderboard([lb.run(TOY, judge="baseline/longer", strategies="vanilla")])
    assert sorted(board.table["judge"]) == sorted(TRIVIAL)
    assert set(leaderboard([lb.run(TOY, judge="baseline/longer")]).table["strategy"]) == {"vanilla", "rules"}


def test_without_baselines(home):
    board = leaderboard([lb.run(TOY, judge="simulated/hasty")], baselines=False)
    assert board.table["judge"].tolist() == ["simulated/hasty"]


def test_a_policy_is_applied_to_every_row(home):
    made = lb.run([toy(index) for index in range(40)], judge="simulated/accuracy=1,unreadable=0.5")
    strict = rows(leaderboard([made]))
    dropped = rows(leaderboard([made], policy=lb.Policy(unreadable="drop")))
    assert strict.loc[made.asked.judges[0].name, "plain"] < 0.7
    assert dropped.loc[made.asked.judges[0].name, "plain"] == 1.0
    assert set(dropped["unreadable_policy"]) == {"drop"}


def test_the_papers_rows_stand_beside_ones_own(home):
    made = lb.run("starter", judge="simulated/hasty", limit=2)
    board = leaderboard([made, lb.published()])
    cited = board.table[board.table["source"] == "published"]
    assert len(cited) == 65
    assert "other pairs, no fair comparison" in board.to_markdown()


def test_runs_on_other_pairs_are_refused_by_name(home):
    one, two = lb.run(TOY, judge="baseline/first"), lb.run(TOY[:3], judge="baseline/second")
    with pytest.raises(RunError, match="toy: 8 pairs against 3"):
        leaderboard([one, two])


def test_one_judge_with_one_strategy_stands_in_one_run(home):
    one, two = lb.run(TOY, judge="simulated/hasty"), lb.run(TOY, judge=["simulated/hasty", "simulated/wordy"])
    with pytest.raises(RunError, match="simulated/hasty with rules"):
        leaderboard([one, two])


def test_a_leaderboard_needs_a_run(home):
    with pytest.raises(UsageError, match=r"needs a run \(llmbar ls runs"):
        leaderboard([])
    with pytest.raises(UsageError, match="needs a run"):
        leaderboard([lb.published()])
    with pytest.raises(RunError, match="is no run"):
        leaderboard(["nowhere"])


def test_of_several_pair_sets_one_is_named(home):
    made = lb.run([*TOY, *(toy(index, "other") for index in range(4))], judge="baseline/longer")
    with pytest.raises(UsageError, match=r"judged several pair sets \(name toy or other\)"):
        leaderboard([made])
    with pytest.raises(UsageError, match="did you mean other"):
        leaderboard([made], dataset="othr")
    board = leaderboard([made], dataset="other")
    assert set(board.table["dataset"]) == {"other"}
    assert set(board.table["n"]) == {4}
    shared = lb.run(TOY, judge="simulated/hasty")
    assert set(leaderboard([made, shared], dataset="toy").table["n"]) == {8}, "what they share can be compared"


def test_every_format_and_every_ending(home):
    board = leaderboard([lb.run(TOY, judge="simulated/hasty")], title="My board")
    for ending, begins in (("md", "#"), ("tex", "%"), ("csv", "rank,"), ("json", "{"), ("html", "<!doctype html>")):
        board.write(home / f"board.{ending}")
        text = (home / f"board.{ending}").read_text("utf-8")
        assert text.lower().startswith(begins) or ending in {"md", "tex"}, text[:60]
        assert "simulated/hasty" in text
        assert text == board.to({"tex": "latex"}.get(ending, ending))
    (row,) = [row for row in csv.DictReader(io.StringIO(board.to("csv"))) if row["judge"] == "simulated/hasty"]
    parsed = json.loads(board.to("json"), parse_constant=pytest.fail)
    (same,) = [each for each in parsed["rows"] if each["judge"] == "simulated/hasty"]
    assert float(row["plain"]) == same["plain"]
    board.write(home / "board.txt", "csv")
    assert (home / "board.txt").read_text("utf-8") == board.to("csv")
    assert board.to_latex(home / "table.tex") == (home / "table.tex").read_text("utf-8")
    assert r"\toprule" in board.to_latex()
    with pytest.raises(UsageError, match="no format is called 'docx'"):
        board.write(home / "board.docx")
    assert not (home / "board.docx").exists()
