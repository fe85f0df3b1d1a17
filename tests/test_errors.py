"""One line per mistake: where, what, remedy; and the tree of what can go wrong."""

from __future__ import annotations

import re

import pytest

from llmbar import errors
from llmbar.errors import LlmbarError, StrategyError, first, suggestion

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LlmbarError)]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({}, "wrong"),
        ({"file": "a.toml"}, "a.toml: wrong"),
        ({"file": "a.toml", "line": 3}, "a.toml:3: wrong"),
        ({"line": 3}, "wrong"),
        ({"field": "gold"}, "gold: wrong"),
        ({"remedy": "mend it"}, "wrong (mend it)"),
        ({"file": "a.toml", "line": 3, "field": "gold", "remedy": "mend it"}, "a.toml:3: gold: wrong (mend it)"),
    ],
)
def test_a_mistake_is_told_in_one_line(where, told):
    assert str(LlmbarError("wrong", **where)) == told


def test_what_an_error_is_made_of_can_be_read_off():
    error = StrategyError("wrong", file="a.toml", line=3, field="gold", remedy="mend it")
    assert (error.message, error.file, error.line, error.field, error.remedy) == (
        "wrong",
        "a.toml",
        3,
        "gold",
        "mend it",
    )


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = re.findall(r"^ *[├└]─ (\w+)", errors.__doc__, re.MULTILINE)
    assert sorted(drawn) == sorted(kind.__name__ for kind in KINDS if kind is not LlmbarError)


def test_every_kind_has_a_documented_exit_code():
    """1 runtime, 2 usage or bad input, 3 incomplete, 4 below the gate, 5 verification mismatch."""
    assert {kind.exit_code for kind in KINDS} <= {1, 2, 3, 4, 5}
    assert LlmbarError.exit_code == StrategyError.exit_code == 2
    assert errors.RecordingError.exit_code == 5


def test_a_mistyped_word_is_answered_with_the_nearest_or_with_all():
    assert suggestion("ruls", ["rules", "vanilla"]) == "did you mean rules?"
    assert suggestion("rating", ["ratings", "ratin"]) == "did you mean ratings or ratin?"
    assert suggestion("xyz", ["b", "a"]) == "known: a, b"
    assert suggestion("xyz", []) == "known: none"


def test_the_first_error_of_a_nested_group():
    inner, later = StrategyError("inner"), StrategyError("later")
    group = BaseExceptionGroup("all", [BaseExceptionGroup("some", [inner]), later])
    assert first(group) is inner
