"""Does the judge go by how an output looks: its length, a list, headings, bold type, code, a refusal?

A *feature* is something that an output has or has not. `format_columns` finds those of a text; length is always known.
`llmbar explain` tells the sources.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from llmbar.stats.accuracy import decided, rate
from llmbar.stats.intervals import wilson_clustered
from llmbar.stats.verdicts import ONE, TWO, Judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Values

PREFERENCE_COLUMNS = (
    *("feature", "n", "rate", "low", "high", "gold_rate"),
    *("against_n", "against_rate", "against_low", "against_high"),
)

_CODE = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^[ \t]*(?:[-*+•]|\(?\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+\S", re.MULTILINE)
_BOLD = re.compile(r"(?<![\w*])\*\*(?=[^\s*])[^\n]*?[^\s*]\*\*(?![\w*])")
_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\b(?:can(?:not|['’]t| not)|won['’]t|(?:am|['’]m) (?:unable|not able) to|must decline to)\s+(?:\w+ly )?"
    r"(?:help|assist|answer|comply|fulfil?l|provide|complete|access|do (?:that|this)|support|create|generate|write)\b",
    re.IGNORECASE,
)
_OPENING = 200
"""Characters in which a refusal shows itself."""


# -- features of a text -----------------------------------------------------------------------------------------------


def has_code(text: str) -> bool:
    """A fenced code block."""
    return _CODE.search(text) is not None


def has_list(text: str) -> bool:
    r"""Two lines or more that begin with a bullet or a number, outside code.

    >>> has_list("Buy:\n- bread\n- milk"), has_list("1. I came.\n2. I saw."), has_list("- I came, I saw.")
    (True, True, False)
    """
    return len(_ITEM.findall(_prose(text))) > 1


def has_heading(text: str) -> bool:
    r"""A Markdown heading, outside code.

    >>> has_heading("## Plan\nRest."), has_heading("```\n# a comment\n```")
    (True, False)
    """
    return _HEADING.search(_prose(text)) is not None


def has_bold(text: str) -> bool:
    """Words between double asterisks, outside code.

    >>> has_bold("This is **important**."), has_bold("2**3**4")
    (True, False)
    """
    return _BOLD.search(_prose(text)) is not None


def is_refusal(text: str) -> bool:
    """An opening that declines to do what was asked.

    >>> is_refusal("I'm sorry, but I can't help with that."), is_refusal("I cannot believe it's spring!")
    (True, False)
    """
    return _REFUSAL.search(text[:_OPENING]) is not None


FEATURES = {"list": has_list, "heading": has_heading, "bold": has_bold, "code": has_code, "refusal": is_refusal}


def format_columns(output_1: Iterable[str], output_2: Iterable[str]) -> pd.DataFrame:
    """What the outputs of pairs look like: two columns of booleans per feature, such as `list_1` and `list_2`.

    >>> format_columns(["**No.**"], ["No."])[["bold_1", "bold_2"]].to_numpy().tolist()
    [[True, False]]
    """
    texts = [(1, list(output_1)), (2, list(output_2))]
    found = {f"{name}_{k}": list(map(has, told)) for name, has in FEATURES.items() for k, told in texts}
    return pd.DataFrame(found, dtype=bool)


def _prose(text: str) -> str:
    return _CODE.sub("", text)


# -- preference for a feature -----------------------------------------------------------------------------------------


class Share(NamedTuple):
    """A share of preferences, how many there are, and its 95 % interval."""

    n: int
    rate: float
    low: float
    high: float


def format_preferences(
    frame: pd.DataFrame, *, longer_by: int = 0, by: Sequence[str] = ("judge", "strategy")
) -> pd.DataFrame:
    """P(prefers the output with the feature | exactly one has it): one row per `by` and feature (B4, B5).

    How to read it: beside ½ stands `gold_rate`, the share of these pairs whose *gold* output has the feature: what the
    rate of a perfect judge would be. `against_rate` is the share among pairs whose gold output has *not* the feature:
    how often it carries the judge away from what is right. For length that is the length bias of Branch-Solve-Merge.

    The features are `longer` (by more than `longer_by` characters; AlpacaEval takes 30) and those of FEATURES whose
    columns the frame holds (`format_columns` makes them). `n` and `against_n` count preferences, ties and unreadable
    replies left out. The intervals are Wilson's, with the *effective* number of trials: the orders and repeats of a
    pair are hardly observations of their own. Pairs with a gap in a feature's columns do not count for it.

    Raises:
        ValueError: the table is not a verdict frame.
    """
    rows: list[tuple[object, ...]] = []
    for key, part in frame.groupby(list(by), observed=True):
        judged = Judged.of(part)
        for feature, having in sole_owners(part, judged, longer_by):
            concerned = having != 0
            chosen = preferred(judged, having)
            against = preferred(judged, np.where(having == 3 - judged.gold, having, 0))
            gold = rate(np.where(concerned & ~np.isnan(chosen).all(axis=1), having == judged.gold, np.nan))
            rows.append((*key, feature, *share(chosen, judged.item), gold, *share(against, judged.item)))
    return pd.DataFrame(rows, columns=[*by, *PREFERENCE_COLUMNS])


def sole_owners(part: pd.DataFrame, judged: Judged, longer_by: int) -> Iterator[tuple[str, NDArray[np.int8]]]:
    """Each feature with the only output that has it, (n,): 1 or 2, 0 where both have it, or neither."""
    difference = judged.lengths @ np.array([1.0, -1.0])
    yield "longer", np.where(np.abs(difference) > longer_by, judged.longer, 0).astype(np.int8)
    for feature in FEATURES:
        if {f"{feature}_1", f"{feature}_2"} <= set(part.columns):
            one, two = (part[f"{feature}_{k}"].to_numpy(dtype=np.float64, na_value=np.nan) for k in (1, 2))
            yield feature, np.select([one > two, two > one], [ONE, TWO], 0).astype(np.int8)


def preferred(judged: Judged, output: NDArray[np.int8]) -> Values:
    """(n, 2): 1 where the verdict is for `output`, 0 where for the other, NaN where there is neither."""
    counted = decided(judged.scored) & (output != 0)[:, None]
    return np.where(counted, judged.scored == output[:, None], np.nan)


def share(values: Values, item: NDArray[np.int64]) -> Share:
    """The mean of values of 0 and 1, with Wilson's interval for verdicts that hang together in pairs."""
    low, high, _ = wilson_clustered(values, item)
    return Share(int((~np.isnan(values)).sum()), rate(values), low, high)
