"""The reading guide explains everything that is shown, once, and says the same wherever it is read."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from pkgutil import iter_modules

import pandas as pd
import pytest
from verdict_frames import frame

import llmbar.stats
from llmbar.errors import UsageError
from llmbar.stats import summarize
from llmbar.tables import board, columns, render_board
from llmbar.tables.columns import AFTER, BEFORE
from llmbar.terms import TERMS, TOPICS, find, meaning

STATISTICS = """accuracy · both correct · agreement · strict agreement · Cohen's kappa · primacy rate · binomial test
position consistency · preference fairness · repetition stability · longer-preference · format preference
self-preference · family preference · bias regression · accuracy at equal length · separation · Wilson
cluster bootstrap · BCa · design effect · sign-flip permutation test · McNemar · Holm · minimal detectable effect · MDE
unresolved · rank range · ECE · Brier · AUROC · AURC · reliability curve · risk–coverage · temperature scaling · Platt
Krippendorff α · Fleiss κ · φ · Rogan–Gladen · confusion matrix · PPI · PPI++ · Bradley–Terry · Elo · Pareto front
macro average · pooled · selective accuracy · tie policy · unreadable policy · P(first) · P(longer) · power · cost
trivial baselines"""


@pytest.fixture
def table():
    rows = [frame([1, 2, 1], ["1", "2", "2"], ["1", "1", "2"], subset=name) for name in ("Natural", "Manual")]
    return board(summarize(pd.concat(rows), resamples=50))


# -- what is explained ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [module.name for module in iter_modules(llmbar.stats.__path__)])
def test_every_column_of_every_statistical_table_is_explained(module):
    found = vars(import_module(f"llmbar.stats.{module}"))
    tables = [names for constant, names in found.items() if constant.endswith("_COLUMNS")]
    for column in {name for names in tables for name in names}:
        assert find(column).means


def test_the_ends_of_an_interval_are_explained_as_such():
    assert find("accuracy_low") is find("kappa high") is find("low") is find("95 % interval")
    with pytest.raises(UsageError):
        find("nonsense_low")


@pytest.mark.parametrize("column", [*BEFORE, *AFTER], ids=lambda column: column.key)
def test_a_column_is_found_by_its_head_too(column):
    assert find(column.head) is find(column.key)


@pytest.mark.parametrize("name", re.split(r" · |\n", STATISTICS))
def test_every_statistic_is_explained(name):
    assert find(name).means


def test_nothing_is_called_like_something_else():
    plain = [{re.sub(r"[\W_]+", " ", name.casefold()) for name in term.called} - {" "} for term in TERMS.values()]
    twice = [name for name, times in Counter(name for names in plain for name in names).items() if times > 1]
    assert twice == []
    assert sum(map(len, TOPICS.values())) == len(TERMS)


@pytest.mark.parametrize("term", TERMS.values(), ids=lambda term: term.key)
def test_an_entry_is_well_formed(term):
    assert re.fullmatch(r"[a-z_]+", term.key)
    assert term.means.endswith(".")
    assert not term.formula.endswith(".")
    assert not term.source.endswith(".")
    assert not term.reading or term.reading.endswith(".")
    assert "  " not in term.paragraph


# -- how it is found --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "key"),
    [("KAPPA", "kappa"), ("both-correct", "both_correct"), ("Rogan–Gladen", "rogan_gladen"), ("cohens kappa", "kappa")],
)
def test_case_hyphens_and_apostrophes_do_not_matter(word, key):
    assert find(word).key == key


def test_a_mistyped_word_is_answered_with_names():
    with pytest.raises(UsageError, match=r"'agrement'.*did you mean .*agreement"):
        find("agrement")
    with pytest.raises(UsageError, match="llmbar explain lists"):
        find("qqqqq")


# -- one source -------------------------------------------------------------------------------------------------------


def test_a_boards_columns_say_what_the_guide_says(table):
    shown = {column.key: column.explain for column in columns(table)}
    own = {"Natural", "Manual"}
    assert own < set(shown)
    for key, text in shown.items():
        assert text == (f"Accuracy on {key}. {meaning('accuracy')}" if key in own else meaning(key))


def test_a_head_of_the_html_page_says_it_when_pointed_at(table):
    page = render_board(table, "html")
    assert "κ = (p_o − p_e)/(1 − p_e)" in page
    assert page.count("Source: Cohen 1960.") == 2, "as the head's title and in the list below"
