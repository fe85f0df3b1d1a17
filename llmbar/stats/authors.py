"""Does a judge favour what it wrote itself, or what a model of its own family wrote?

Needs to know who wrote the outputs: the columns `author_1` and `author_2` of a verdict frame, such as `openai/gpt-4o`;
a gap where nobody knows.

A judge may well prefer its own outputs for being better. So only *wrong* votes are compared, those for the output that
is not gold, and those for an own worse output with those for somebody else's worse output.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmbar.stats.accuracy import decided, rate
from llmbar.stats.appearance import Share, share
from llmbar.stats.intervals import bootstrap_difference, square_and_add
from llmbar.stats.verdicts import ONE, Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from llmbar.stats.accuracy import Values

SELF_COLUMNS = (
    *("level", "own_n", "own_wrong", "other_n", "other_wrong", "difference", "low", "high"),
    *("matched", "matched_difference", "matched_low", "matched_high"),
)

KIN = {
    **dict.fromkeys(("chatgpt", "o", "davinci", "text"), "gpt"),
    **dict.fromkeys(("meta", "codellama"), "llama"),
    **dict.fromkeys(("mixtral", "ministral", "codestral", "magistral"), "mistral"),
    "qwq": "qwen",
    "command": "cohere",
}
"""Leading words of model names that belong to the family of another word."""


def model_name(name: str) -> str:
    """A model's own name: what follows the last slash, in lower case.

    >>> model_name("openrouter/anthropic/Claude-Sonnet-4")
    'claude-sonnet-4'
    """
    return name.rpartition("/")[2].strip().lower()


def family(name: str) -> str:
    """The family of a model: the leading letters of its name, or the word that `KIN` puts in their place.

    >>> [family(name) for name in ("openai/gpt-4o", "ChatGPT", "o3-mini", "vllm/Qwen/Qwen3-8B", "Mixtral-8x7B")]
    ['gpt', 'gpt', 'gpt', 'qwen', 'mistral']
    """
    word = re.match(r"[a-z]*", model_name(name))
    leading = word.group() if word else ""
    return KIN.get(leading, leading) or model_name(name)


LEVELS: dict[str, Callable[[str], str]] = {"self": model_name, "family": family}
"""What counts as own: an output by the judge itself, or by any model of its family, itself included."""


def author_columns(frame: pd.DataFrame, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Which outputs are the judge's own, and its family's: the columns `self_1`, `self_2`, `family_1`, `family_2`.

    1, 0, or NaN where the author is unknown; the index is the frame's. `names` maps a judge's name to the model that it
    is, where the name does not say so: `{"judge A": "openai/gpt-4o"}`. As terms of `bias_regression` they tell the pull
    of one's own from gold and length.

    Raises:
        ValueError: the frame names no authors.
    """
    if missing := [column for column in ("author_1", "author_2") if column not in frame]:
        raise ValueError(f"the verdict frame names no authors: no column {', '.join(missing)}")
    judge = frame["judge"].map(lambda name: (names or {}).get(name, name))
    found = {}
    for level, called in LEVELS.items():
        for output in (1, 2):
            author = frame[f"author_{output}"].astype(object)
            own = np.where(author.map(called, na_action="ignore") == judge.map(called), 1.0, 0.0)
            found[f"{level}_{output}"] = np.where(author.isna() | (author == ""), np.nan, own)
    return pd.DataFrame(found, index=frame.index)


def self_preference(
    frame: pd.DataFrame,
    names: Mapping[str, str] | None = None,
    *,
    by: Sequence[str] = ("judge", "strategy"),
    resamples: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """P(wrongly votes own) − P(wrongly votes other's): one row per `by` and level, `self` and `family` (B5).

    How to read it: above 0 the judge forgives its own worse outputs more than those of others.

    `own_wrong` is the share of votes for the worse output where the judge wrote it and somebody else the better one;
    `other_wrong` that where somebody else wrote the worse one. `own_n` and `other_n` count votes; ties and unreadable
    replies are none. The interval of `difference` is Newcombe's.

    Own worse outputs may be easier or harder to see through than others'. So the *matched* difference takes only
    instructions (the column `cluster`) of which the frame holds pairs of both kinds, and averages the difference
    within each: the same judge on the same questions. `matched` counts them; without one it is NaN.

    A frame without authors gives an empty table; without votes of a kind, NaN.

    Raises:
        ValueError: the table is not a verdict frame.
    """
    rows: list[tuple[object, ...]] = []
    if {"author_1", "author_2"} <= set(frame.columns):
        written = frame.assign(**{str(column): own for column, own in author_columns(frame, names).items()})
        for key, part in written.groupby(list(by), observed=True):
            judged = Judged.of(part)
            for level in LEVELS:
                votes = wrong_votes(judged, part[[f"{level}_1", f"{level}_2"]].to_numpy(dtype=np.float64))
                own, other = (share(each, judged.item) for each in votes)
                together = matched(*votes, judged.cluster, resamples, np.random.default_rng(seed))
                rows.append((*key, level, *own[:2], *other[:2], *newcombe(own, other), *together))
    return pd.DataFrame(rows, columns=[*by, *SELF_COLUMNS])


def wrong_votes(judged: Judged, own: Values) -> tuple[Values, Values]:
    """Twice (n, 2): 1 for a vote for the worse output, 0 for one for gold, NaN where it does not count.

    First where the worse output is own and gold is not, then where the worse output is not own. `own` is (n, 2), per
    output.
    """
    gold_is_one = (judged.gold == ONE)[:, None]
    gold, worse = np.where(gold_is_one, own, own[:, ::-1]).T
    wrong = np.where(decided(judged.scored), judged.scored != judged.gold[:, None], np.nan)
    owned, foreign = (worse == 1) & (gold == 0), worse == 0
    return np.where(owned[:, None], wrong, np.nan), np.where(foreign[:, None], wrong, np.nan)


def newcombe(own: Share, other: Share) -> tuple[float, float, float]:
    """The difference of two shares with Newcombe's (1998) interval, made of both Wilson intervals."""
    difference = own.rate - other.rate
    gaps = [(own.rate - own.low, own.high - own.rate), (other.high - other.rate, other.rate - other.low)]
    return difference, *square_and_add(difference, gaps)


def matched(
    own: Values, other: Values, cluster: NDArray[np.int64], resamples: int, rng: np.random.Generator
) -> tuple[int, float, float, float]:
    """How many clusters hold both kinds, and the mean difference within them with its bootstrap interval."""
    within = cluster_means(own, cluster) - cluster_means(other, cluster)
    within = within[~np.isnan(within)]
    drawn = bootstrap_difference(within, np.arange(len(within)), resamples=resamples, rng=rng)
    low, high, _ = drawn.interval()
    return len(within), rate(within), low, high


def cluster_means(values: Values, cluster: NDArray[np.int64]) -> Values:
    """(clusters,): the mean of what counts in each, NaN where nothing does."""
    _, number = np.unique(cluster, return_inverse=True)
    counted = ~np.isnan(values)
    n = np.bincount(number, counted.sum(axis=1))
    return np.bincount(number, np.nansum(values, axis=1)) / np.where(n > 0, n, np.nan)
