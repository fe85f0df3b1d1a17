"""Verdicts and labels of one's own are read as they are written, and what is wrong is named."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from llmbar.errors import LlmbarError
from llmbar.records import Verdict
from llmbar.traffic import read_labelled, read_verdicts

ONE, TWO, TIE, UNREADABLE, FAILED = Verdict


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


def test_csv(write):
    path = write("t.csv", "id,verdict\na,1\nb,2\nc,win\nd,Loss\ne, TIE \nf,unreadable\ng,failed\nh,1.0\n")
    assert read_verdicts(path) == [ONE, TWO, ONE, TWO, TIE, UNREADABLE, FAILED, ONE]


def test_jsonl_with_numbers_and_columns_of_other_names(write):
    rows = [{"final": 1, "truth": "win"}, {"final": 2.0, "truth": 2}, {"final": "tie", "truth": "tie"}]
    path = write("t.jsonl", "\n".join(map(json.dumps, rows)))
    assert read_labelled(path, {"verdict": "final", "gold": "truth"}) == ([ONE, TWO, TIE], [ONE, TWO, TIE])


def test_parquet_as_pandas_writes_it(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"verdict": [1.0, 2.0], "gold": [2, 1]}).to_parquet(path)
    assert read_labelled(path) == ([ONE, TWO], [TWO, ONE])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("verdict\n1\n3\n", "t.csv:3: verdict: cannot be '3' (write 1, win, 2, loss, tie, unreadable, failed)"),
        ("verdict,x\n1,\n,\n", "t.csv:3: verdict: is missing"),
        ("verdit\n1\n", "t.csv:2: verdict: no such column (did you mean verdit?; or use --field)"),
        ('verdict\n"1\n', "t.csv:2: the file is cut off"),
    ],
)
def test_a_wrong_verdict_is_named_with_file_line_and_remedy(write, text, told):
    with pytest.raises(LlmbarError) as caught:
        read_verdicts(write("t.csv", text))
    assert told in str(caught.value)


@pytest.mark.parametrize("gold", ["unreadable", "failed", "", "true"])
def test_a_label_must_say_something(write, gold):
    with pytest.raises(LlmbarError, match=r"t\.csv:2: gold: "):
        read_labelled(write("t.csv", f"verdict,gold\n1,{gold}\n"))


def test_truth_values_are_no_verdicts(write):
    with pytest.raises(LlmbarError, match="cannot be True"):
        read_verdicts(write("t.jsonl", '{"verdict": true}'))


def test_an_unknown_field_and_a_missing_file_are_refused(write, tmp_path):
    with pytest.raises(LlmbarError, match=r"no field 'verdit'.*did you mean verdict"):
        read_verdicts(write("t.csv", "a\n1\n"), {"verdit": "a"})
    with pytest.raises(LlmbarError, match="cannot be read"):
        read_verdicts(tmp_path / "nowhere.csv")
