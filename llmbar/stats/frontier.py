"""Is a dearer judge worth it? Cost per pair against accuracy.

What is dearer and no more accurate than something else need not be bought; what is on the front is a matter of taste.

    costs = cost_per_pair(frame, prices.cost)               # dollars per pair, of each judge and strategy
    pareto_front(costs.merge(accuracies), compare(frame))   # who is on the front, and who is surely off it
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    Contender = tuple[Hashable, Hashable]
    """A judge and a strategy."""

    Price = Callable[[str, int, int], float | None]
    """Dollars for a judge's prompt and completion tokens, None where they are unknown: `prices.cost`."""

COST_COLUMNS = ("judge", "strategy", "pairs", "prompt_tokens", "completion_tokens", "cost")
FRONT_COLUMNS = ("front", "dominated_by", "statistically_dominated")


def cost_per_pair(frame: pd.DataFrame, price: Price) -> pd.DataFrame:
    """Dollars and tokens per judged pair, over both orders and all steps: one row per judge and strategy.

    What a strategy asks once per pair for both orders, such as metrics, counts once. What several strategies share
    counts for each, as if it had been asked alone. `cost` is NaN where no price is known, the tokens too where none
    were counted.

    Raises:
        ValueError: the frame has no columns `prompt_tokens` and `completion_tokens`.
    """
    spent = ["prompt_tokens", "completion_tokens"]
    if missing := [column for column in spent if column not in frame]:
        raise ValueError(f"no cost without tokens: no column {', '.join(missing)}")
    rows: list[tuple[object, ...]] = []
    for (judge, strategy), part in frame.groupby(["judge", "strategy"], observed=True):
        prompt, completion = part[spent].sum(min_count=1).astype(float)
        known = not np.isnan(prompt + completion)
        dollars = price(str(judge), int(prompt), int(completion)) if known else None
        each = np.array([prompt, completion, np.nan if dollars is None else dollars]) / len(part)
        rows.append((judge, strategy, len(part), *each.tolist()))
    return pd.DataFrame(rows, columns=list(COST_COLUMNS))


def pareto_front(table: pd.DataFrame, comparisons: pd.DataFrame | None = None) -> pd.DataFrame:
    """The Pareto front of cost and accuracy: `table` with three more columns, cheapest first.

    - `front`: no other is at least as cheap and at least as accurate, and better in one of the two. Equals in both
      stand on it together.
    - `dominated_by`: of those that are, the most accurate one (then the cheapest), as "judge · strategy".
    - `statistically_dominated`: one that is at least as cheap is *surely* more accurate, its `verdict` in `comparisons`
      being "better". Missing where nobody was compared.

    How to read it: what is off the front is worse on paper; only what is statistically dominated can be dropped with a
    clear conscience. Where cost or accuracy is missing, so are all three.

    Args:
        table: `judge`, `strategy`, `cost` and `accuracy`, one row each.
        comparisons: rows of `compare` on the aggregate that `accuracy` is of, one for each two contenders.

    Raises:
        ValueError: a judge and strategy occur twice, or two contenders are compared twice.
    """
    table = table.sort_values(["cost", "accuracy", "judge", "strategy"], ascending=[True, False, True, True])
    table = table.reset_index(drop=True)
    names = _contenders(table, "judge", "strategy")
    _refuse_twice(names)
    cost, accuracy = (table[column].to_numpy(dtype=np.float64, na_value=np.nan) for column in ("cost", "accuracy"))
    cheap, good = cost[:, None] <= cost, accuracy[:, None] >= accuracy  # [i, j]: i is no dearer, no worse than j
    dominates = cheap & good & ~(cheap & good).T
    known = ~np.isnan(cost + accuracy)
    front = _where_known(~np.asarray(dominates.any(axis=0)), known)
    surely = _surely(names, cheap, known, comparisons)
    by = [_best(np.flatnonzero(column), accuracy) for column in dominates.T]
    return table.assign(
        front=pd.Series(front, dtype="boolean"),
        dominated_by=["" if best is None else " · ".join(map(str, names[best])) for best in by],
        statistically_dominated=pd.Series(surely, dtype="boolean"),
    )


def _where_known(found: NDArray[np.bool_], known: NDArray[np.bool_]) -> list[bool | None]:
    return [bool(value) if there else None for value, there in zip(found, known, strict=True)]


def _best(rows: NDArray[np.intp], accuracy: NDArray[np.float64]) -> int | None:
    """The most accurate of some rows; of equals the first, since the cheapest stand first."""
    return int(rows[np.argmax(accuracy[rows])]) if len(rows) else None


def _surely(
    names: list[Contender], cheap: NDArray[np.bool_], known: NDArray[np.bool_], comparisons: pd.DataFrame | None
) -> list[bool | None]:
    """For each contender, whether one that is no dearer was found to be better."""
    if comparisons is None:
        return [None] * len(names)
    _refuse_twice([frozenset(two) for two in _compared(comparisons)])
    better: set[tuple[Contender, Contender]] = set()
    for (one, other), verdict in zip(_compared(comparisons), comparisons["verdict"], strict=True):
        if verdict != "unresolved":
            better.add((one, other) if verdict == "better" else (other, one))
    met = {name for two in _compared(comparisons) for name in two}
    found: list[bool | None] = []
    for number, name in enumerate(names):
        rivals = [rival for rival, cheaper in zip(names, cheap[:, number], strict=True) if cheaper]
        found.append(any((rival, name) in better for rival in rivals) if known[number] and name in met else None)
    return found


def _compared(comparisons: pd.DataFrame) -> list[tuple[Contender, Contender]]:
    ones = _contenders(comparisons, "judge", "strategy")
    return list(zip(ones, _contenders(comparisons, "against_judge", "against_strategy"), strict=True))


def _contenders(table: pd.DataFrame, judge: str, strategy: str) -> list[Contender]:
    return cast("list[Contender]", list(zip(table[judge], table[strategy], strict=True)))


def _refuse_twice(found: list[Contender] | list[frozenset[Contender]]) -> None:
    for one, times in Counter[object](found).items():
        if times > 1:
            raise ValueError(f"occurs twice: {one} (give one row each, of one aggregate)")
