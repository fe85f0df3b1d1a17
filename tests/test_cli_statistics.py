"""`correct`, `power` and `explain` as they are typed and as they answer."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from llmbar.cli import statistics
from llmbar.errors import UsageError
from llmbar.stats.correction import TRANSPORT
from llmbar.terms import TERMS, TOPICS, find


@pytest.fixture
def llmbar():
    """Run a command; its output, or the user's mistake."""
    app = typer.Typer()
    statistics.register(app)

    def run(*words):
        done = CliRunner().invoke(app, [*map(str, words)])
        if isinstance(done.exception, UsageError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture
def files(tmp_path):
    """The published example: 600 of 1,000, sensitivity 90 of 100, specificity 85 of 100."""
    traffic, labelled = tmp_path / "traffic.csv", tmp_path / "labelled.csv"
    traffic.write_text("verdict\n" + "1\n" * 600 + "2\n" * 400)
    labelled.write_text("verdict,gold\n" + "1,1\n" * 90 + "2,1\n" * 10 + "1,2\n" * 15 + "2,2\n" * 85)
    return traffic, labelled


def flat(text):
    return " ".join(text.split())


# -- correct ----------------------------------------------------------------------------------------------------------


def test_correct_shows_both_estimators_with_intervals_and_what_they_rest_on(llmbar, files):
    said = flat(llmbar("correct", *files))
    assert "by error rates 60.0 [52.8, 67.7] 1,000 verdicts, 200 labels" in said
    assert "labels alone 50.0 [43.1, 56.9] 200 labels" in said
    assert "judge alone 60.0 [56.9, 63.0] 1,000 verdicts" in said
    assert "prediction-powered (λ = 0." in said
    assert "Where the truth is a win (100 labels) the judge says win 90.0 %, loss 10.0 %." in said
    assert TRANSPORT in said
    assert "true share" not in said


def test_correct_as_json(llmbar, files):
    found = json.loads(llmbar("correct", *files, "--json"))
    assert found["corrected"] == pytest.approx(
        {"value": 0.6, "low": 0.5278, "high": 0.6773, "unclipped": 0.6}, abs=5e-5
    )
    assert found["prediction_powered"]["low"] < found["prediction_powered"]["value"]
    assert (found["traffic"], found["labels"], found["left_out"]) == (1000, 200, 0)
    assert found["note"] == TRANSPORT


def test_correct_tells_ties_warnings_and_what_was_left_out(llmbar, tmp_path):
    traffic, labelled = tmp_path / "t.csv", tmp_path / "l.jsonl"
    traffic.write_text("said\n" + "win\n" * 50 + "tie\n" * 20 + "loss\n" * 30 + "unreadable\n" * 3)
    pairs = ["win win"] * 8 + ["tie win"] * 2 + ["tie tie"] * 5 + ["win tie"] + ["loss loss"] * 9 + ["tie loss"]
    rows = (dict(zip(("said", "true"), pair.split(), strict=True)) for pair in pairs)
    labelled.write_text("\n".join(map(json.dumps, rows)))
    said = flat(llmbar("correct", traffic, labelled, "--field", "verdict=said", "--field", "gold=true"))
    assert "true share, by error rates" in said
    assert "3 pairs without a readable verdict were left out." in said
    assert "warning: fewer than 50 labelled pairs" in said


def test_correct_says_why_an_estimator_is_missing(llmbar, files):
    files[1].write_text("verdict,gold\n" + "1,1\n2,1\n1,2\n2,2\n" * 10)
    said = flat(llmbar("correct", *files))
    assert "by error rates – – see below" in said
    assert "no estimate by error rates: the judge is no better than chance" in said


def test_a_mistake_is_one_line(llmbar, files):
    with pytest.raises(UsageError) as caught:
        llmbar("correct", files[0], files[0])
    assert str(caught.value) == f"{files[0]}:2: gold: no such column (known: verdict; or use --field)"


# -- power ------------------------------------------------------------------------------------------------------------


def test_power_of_so_many_pairs(llmbar):
    """2.80·.26/√419 = 3.6 points; McNemar's on 100 pairs of which 10 % differ, 8.8 points."""
    assert "sd 0.26 3.6" in flat(llmbar("power", "--pairs", 419))
    assert "McNemar 10.0 % discordant 8.8" in flat(llmbar("power", "-n", 100, "--discordant", 0.1))


def test_pairs_for_a_difference(llmbar):
    rows = json.loads(llmbar("power", "--difference", "0.05", "--sd", 0.261, "--discordant", 0.1, "--json"))["answers"]
    assert [row["pairs"] for row in rows] == [214, 312]
    assert "McNemar 10.0 % discordant –" in flat(llmbar("power", "--difference", 0.2))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "either --pairs or --difference"),
        (["--pairs", 10, "--difference", 0.1], "either"),
        (["--difference", 5], "--difference: 5 is no fraction"),
        (["--pairs", 10, "--sd", 0], "--sd"),
        (["--pairs", 10, "--discordant", 20], "--discordant: 20"),
    ],
)
def test_what_is_no_plan_is_refused(llmbar, words, told):
    with pytest.raises(UsageError, match=told):
        llmbar("power", *words)


# -- explain ----------------------------------------------------------------------------------------------------------


def test_explain_says_all_that_the_guide_holds(llmbar):
    said = flat(llmbar("explain", "cohen's", "kappa"))
    for line in find("kappa").lines:
        assert flat(line) in said
    assert "Also found as: κ" in said


def test_explain_without_a_term_lists_all(llmbar):
    said = flat(llmbar("explain"))
    assert all(flat(topic) in said for topic in TOPICS)
    assert all(term.name in said for term in TERMS.values())


def test_explain_as_json(llmbar):
    (kappa,) = json.loads(llmbar("explain", "kappa", "--json"))
    assert (kappa["key"], kappa["source"]) == ("kappa", "Cohen 1960")
    assert len(json.loads(llmbar("explain", "--json"))) == len(TERMS)


def test_explain_suggests(llmbar):
    with pytest.raises(UsageError, match="did you mean"):
        llmbar("explain", "kapa")
