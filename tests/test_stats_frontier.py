"""Cost and accuracy: who is on the front by the definition spelt out, and who is surely off it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbar.stats import cost_per_pair, pareto_front


def table(**costs):
    """Judges from name=(cost, accuracy)."""
    rows = [(name, "rules", cost, accuracy) for name, (cost, accuracy) in costs.items()]
    return pd.DataFrame(rows, columns=["judge", "strategy", "cost", "accuracy"])


def compared(*results):
    """Comparisons from (judge, verdict, against)."""
    rows = [(one, "rules", other, "rules", verdict) for one, verdict, other in results]
    return pd.DataFrame(rows, columns=["judge", "strategy", "against_judge", "against_strategy", "verdict"])


def test_the_front():
    found = pareto_front(table(b=(2, 0.7), c=(3, 0.9), a=(1, 0.8), d=(3, 0.85), e=(0.5, 0.6), f=(3, 0.9)))
    front = found.set_index("judge")["front"].to_dict()
    assert front == {"e": True, "a": True, "b": False, "c": True, "f": True, "d": False}
    assert found["judge"].to_list() == ["e", "a", "b", "c", "f", "d"], "cheapest first"
    by = found.set_index("judge")["dominated_by"].to_dict()
    assert (by["b"], by["d"], by["a"]) == ("a · rules", "c · rules", "")
    assert found["statistically_dominated"].isna().all()


def test_what_is_unknown_is_neither_on_the_front_nor_off_it():
    found = pareto_front(table(a=(1, 0.8), b=(np.nan, 0.99), c=(0.1, np.nan), d=(2, 0.7))).set_index("judge")
    assert found["front"].to_dict() == {"a": True, "b": None, "c": None, "d": False}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_the_front_is_who_is_not_dominated(points):
    found = pareto_front(table(**{f"j{n}": point for n, point in enumerate(points)})).set_index("judge")
    for number, (cost, good) in enumerate(points):
        dominated = any(c <= cost and g >= good and (c, g) != (cost, good) for c, g in points)
        assert found.loc[f"j{number}", "front"] == (not dominated)
        assert (found.loc[f"j{number}", "dominated_by"] == "") == (not dominated)


def test_dominated_for_sure_only_where_a_comparison_says_so():
    judges = table(cheap=(1, 0.8), worse=(2, 0.6), close=(2, 0.79), dear=(5, 0.9), alone=(6, 0.1))
    said = compared(("cheap", "better", "worse"), ("close", "unresolved", "cheap"), ("cheap", "worse", "dear"))
    found = pareto_front(judges, said).set_index("judge")["statistically_dominated"].to_dict()
    assert found == {"cheap": False, "worse": True, "close": False, "dear": False, "alone": None}


def test_a_worse_verdict_counts_from_the_other_side():
    said = compared(("worse", "worse", "cheap"))
    found = pareto_front(table(cheap=(1, 0.8), worse=(1, 0.6)), said).set_index("judge")
    assert found["statistically_dominated"].to_dict() == {"cheap": False, "worse": True}


def test_a_row_too_many_is_refused():
    judges = table(a=(1, 0.8), b=(2, 0.9))
    with pytest.raises(ValueError, match="twice"):
        pareto_front(pd.concat([judges, judges]))
    with pytest.raises(ValueError, match="twice"):
        pareto_front(judges, compared(("a", "better", "b"), ("b", "worse", "a")))


def test_cost_per_pair():
    frame = pd.DataFrame(
        {
            "judge": ["m", "m", "free", "free", "mute"],
            "strategy": "s",
            "prompt_tokens": [100, 300, 5, 5, np.nan],
            "completion_tokens": [10, 30, 1, 1, np.nan],
        }
    )
    prices = {"m": (0.001, 0.01)}

    def price(judge, prompt, completion):
        return prompt * prices[judge][0] + completion * prices[judge][1] if judge in prices else None

    found = cost_per_pair(frame, price).set_index("judge")
    assert found.loc["m", ["pairs", "prompt_tokens", "completion_tokens", "cost"]].to_list() == [2, 200, 20, 0.4]
    assert found.loc["free", "prompt_tokens"] == 5
    assert found.loc[["free", "mute"], "cost"].isna().all()
    with pytest.raises(ValueError, match="completion_tokens"):
        cost_per_pair(frame.drop(columns="completion_tokens"), price)
