"""Who wrote it: own names and families, and wrong votes for one's own compared with wrong votes for others'."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep
from verdict_frames import frame, verdicts

from llmbar.stats import author_columns, bias_regression, self_preference
from llmbar.stats.authors import SELF_COLUMNS, family, model_name

OWN, KIN, OTHER = "openai/gpt-4o", "gpt-3.5-turbo", "meta-llama/Llama-3-8B"


def written(gold, original, swapped=None, **columns):
    return frame(gold, verdicts(original), verdicts(swapped or original), judge=OWN, **columns)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/gpt-4o", "gpt"),
        ("GPT-4", "gpt"),
        ("ChatGPT-0301", "gpt"),
        ("azure/o3-mini", "gpt"),
        ("text-davinci-003", "gpt"),
        ("anthropic/claude-sonnet-4", "claude"),
        ("google/gemini-2.5-pro", "gemini"),
        ("vllm/meta-llama/Llama-3.1-8B-Instruct", "llama"),
        ("Meta-Llama-3-8B", "llama"),
        ("LLaMA2", "llama"),
        ("mistralai/Mixtral-8x7B", "mistral"),
        ("Qwen/QwQ-32B", "qwen"),
        ("Qwen2.5-7B", "qwen"),
        ("7b-chat", "7b-chat"),
    ],
)
def test_families_by_name(name, expected):
    assert family(name) == expected


def test_a_name_is_what_follows_the_last_slash():
    assert model_name("openrouter/OpenAI/GPT-4o ") == model_name("gpt-4o") == "gpt-4o"


def test_columns_say_whose_an_output_is():
    table = written([1, 1, 1], "111", author_1=["gpt-4o", KIN, None], author_2=[OTHER, OTHER, ""])
    found = author_columns(table)
    assert found["self_1"].tolist()[:2] == [1, 0]
    assert found["family_1"].tolist()[:2] == [1, 1]
    assert found[["self_2", "family_2"]].iloc[:2].to_numpy().tolist() == [[0, 0], [0, 0]]
    assert found.iloc[2].isna().all()
    assert author_columns(table, {OWN: OTHER})["self_2"].tolist()[:2] == [1, 1]
    with pytest.raises(ValueError, match="no column author_1, author_2"):
        author_columns(written([1], "1"))


def test_wrong_votes_for_own_and_for_others():
    """Worse output by the judge: pairs 0–2, one of them wrong; by somebody else: 3–6, two wrong; both own: 7."""
    table = written(
        [1, 1, 1, 1, 1, 2, 2, 1],
        "21122122",
        author_1=[OTHER, OTHER, OTHER, OWN, OTHER, OTHER, KIN, OWN],
        author_2=[OWN, OWN, OWN, OTHER, OTHER, OWN, OTHER, OWN],
    )
    found = self_preference(table).set_index("level")
    assert found.loc["self", ["own_n", "own_wrong"]].tolist() == pytest.approx([6, 1 / 3])
    assert found.loc["self", ["other_n", "other_wrong"]].tolist() == pytest.approx([8, 3 / 4])
    assert found.loc["self", "difference"] == pytest.approx(1 / 3 - 3 / 4)
    assert found.loc["family", ["own_n", "own_wrong"]].tolist() == pytest.approx([8, 1 / 4])
    assert found.loc["family", "other_n"] == 6


def test_the_interval_is_newcombe_s():
    """One verdict per pair, each pair a cluster: then trials are trials."""
    said = "2" * 12 + "1" * 18 + "2" * 5 + "1" * 35
    authors = {"author_1": [OTHER] * 30 + [OWN] * 40, "author_2": [OWN] * 30 + [OTHER] * 40}
    found = self_preference(written([1] * 70, said, orders="free", **authors)).iloc[0]
    low, high = confint_proportions_2indep(12, 30, 5, 40, method="newcomb")
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.01)
    assert found["difference"] == pytest.approx(12 / 30 - 5 / 40)


def test_matched_is_the_mean_difference_within_instructions():
    """Instructions a, b have both kinds, c one: (1 − 0) and (½ − 1)."""
    table = written(
        [1] * 5,
        "21222",
        "21122",
        cluster=["a", "a", "b", "b", "c"],
        author_1=[OTHER] * 5,
        author_2=[OWN, OTHER, OWN, OTHER, OWN],
    )
    found = self_preference(table).iloc[0]
    assert found["matched"] == 2
    assert found["matched_difference"] == pytest.approx(0.25)
    assert found["matched_low"] <= 0.25 <= found["matched_high"]


def test_matching_removes_what_unmatched_rates_confuse():
    """A judge that errs on hard questions alone, and wrote its own outputs on hard ones: no self-preference."""
    rng = np.random.default_rng(1)
    rows = []
    for question in range(400):
        hard = question % 2 == 0
        authors = [OWN] * (4 if hard else 1) + [OTHER] * (1 if hard else 4)
        rows += [(f"q{question}", author, "2" if rng.random() < (0.5 if hard else 0.1) else "1") for author in authors]
    cluster, author, said = zip(*rows, strict=True)
    table = frame([1] * len(rows), said, said, judge=OWN, cluster=cluster, author_1="a/third", author_2=author)
    found = self_preference(table).iloc[0]
    assert found["low"] > 0.1
    assert found["matched"] == 400
    assert found["matched_low"] < 0 < found["matched_high"]


def test_a_planted_self_preference_is_found():
    rng = np.random.default_rng(2)
    n = 600
    own = rng.random(n) < 0.5
    said = np.where(rng.random(n) < np.where(own, 0.4, 0.2), "2", "1")
    authors = {"author_1": "x/third", "author_2": np.where(own, OWN, OTHER)}
    table = frame([1] * n, said, said, judge=OWN, cluster=[f"q{i // 6}" for i in range(n)], **authors)
    found = self_preference(table).iloc[0]
    assert found["low"] <= 0.2 <= found["high"]
    assert found["low"] > 0
    assert found["matched_low"] <= 0.2 <= found["matched_high"]
    assert found["matched_low"] > 0


def test_without_authors_there_is_nothing_and_without_own_outputs_nan():
    assert self_preference(written([1], "1")).empty
    assert list(self_preference(written([1], "1")).columns) == ["judge", "strategy", *SELF_COLUMNS]
    found = self_preference(written([1, 2], "12", author_1=OTHER, author_2="x/y")).iloc[0]
    assert (found["own_n"], found["other_n"], found["matched"]) == (0, 4, 0)
    assert found[["own_wrong", "difference", "low", "high", "matched_difference", "matched_low"]].isna().all()


def test_authors_enter_the_bias_regression():
    rng = np.random.default_rng(3)
    n = 2000
    gold, first_own = rng.integers(1, 3, n), rng.random(n) < 0.5
    pull = 2 * np.where(gold == 1, 0.5, -0.5) + 0.8 * np.where(first_own, 1, -1)
    words = [np.where(rng.random(n) < 1 / (1 + np.exp(-pull)), "1", "2") for _ in range(2)]
    authors = {"author_1": np.where(first_own, OWN, OTHER), "author_2": np.where(first_own, OTHER, OWN)}
    table = frame(gold, *words, judge=OWN, length_1=rng.integers(9, 99, n), **authors)
    terms = bias_regression(pd.concat([table, author_columns(table)], axis=1), ["self"]).set_index("term")
    assert terms.loc["self", "low"] <= 0.8 <= terms.loc["self", "high"]
