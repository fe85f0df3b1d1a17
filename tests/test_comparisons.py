"""Runs compared through the Python interface and the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from llmbar.cli import app
from llmbar.comparisons import compare
from llmbar.errors import UsageError
from llmbar.runs import run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two planted judges with two strategies on the starter pairs: one knows the answers, one does not."""
    judges = ["simulated/accuracy=0.95", "simulated/accuracy=0.55"]
    results = tmp_path_factory.mktemp("results")
    return run("starter", judge=judges, strategies=["vanilla", "rules"], results=results)


def accuracy(made, judge, strategy, subset):
    """Share of right verdicts over both orders, counted by hand."""
    rows = made.judgments()
    rows = rows[(rows["judge"] == judge) & (rows["strategy"] == strategy) & (rows["subset"] == subset)]
    right = sum(str(row.gold) == verdict for row in rows.itertuples() for verdict in (row.original, row.swapped))
    return right / (2 * len(rows))


def test_every_two_contenders_are_compared_on_the_average(made):
    table = compare(made)
    assert len(table) == 4 * 3 / 2
    assert set(table["subset"]) == {"Average"}
    assert (table["p_holm"] >= table["p"]).all()


def test_a_planted_difference_is_found_and_none_is_called_equal(made):
    table = compare(made, "rules").iloc[0]
    assert {table["judge"], table["against_judge"]} == {"simulated/accuracy=0.95", "simulated/accuracy=0.55"}
    assert table["verdict"] in {"better", "worse"}
    assert abs(table["difference"]) > table["detectable"] / 2
    assert set(compare(made)["verdict"]) <= {"better", "worse", "unresolved"}


def test_a_subsets_difference_is_that_of_its_accuracies(made):
    row = compare(made, "rules", subset="manual").iloc[0]
    both = [accuracy(made, judge, "rules", "Manual") for judge in (row["judge"], row["against_judge"])]
    assert row["difference"] == pytest.approx(both[0] - both[1])
    assert row["n"] == 16


def test_all_subsets_can_be_had_at_once(made):
    table = compare(made, "rules", subset="all")
    assert {"Natural", "Manual", "Adversarial", "Average", "Pooled"} <= set(table["subset"])


@pytest.mark.parametrize(
    ("strategies", "subset", "told"),
    [(("rule",), None, "did you mean rules"), ((), "Manul", "did you mean Manual"), ((), "nowhere", "no subset")],
)
def test_a_mistyped_name_is_told_with_a_remedy(made, strategies, subset, told):
    with pytest.raises(UsageError, match=told):
        compare(made, *strategies, subset=subset)


def test_one_contender_alone_cannot_be_compared(tmp_path):
    alone = run("starter/manual", judge="baseline/first", strategies="vanilla", results=tmp_path)
    with pytest.raises(UsageError, match="nothing to compare"):
        compare(alone)


def test_the_command_prints_a_table_csv_and_json(made):
    command = ["compare", str(made.path), "-s", "rules"]
    printed = CliRunner().invoke(app, command)
    assert printed.exit_code == 0
    assert "95 % interval" in printed.stdout
    assert "unresolved" in printed.stdout
    rows = json.loads(CliRunner().invoke(app, [*command, "-f", "json"]).stdout)
    head, line = CliRunner().invoke(app, [*command, "-f", "csv"]).stdout.splitlines()
    assert rows[0].keys() == set(head.split(","))
    assert line.startswith("simulated/accuracy")
