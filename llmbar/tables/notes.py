"""What stands below every leaderboard: how many judgments, what the numbers mean, how they were made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmbar import __version__
from llmbar.paper import CITATION
from llmbar.tables.cells import harmless
from llmbar.tables.columns import PUBLISHED, headline

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

TIES = {"half": "a tie earns ½", "strict": "a tie is wrong", "drop": "ties are left out"}
UNREADABLE = {
    "half": "an unreadable reply earns ½",
    "strict": "an unreadable reply is wrong",
    "drop": "unreadable replies are left out",
}

MEANING = (
    "Acc is the share of verdicts that name the gold output, over both orders where both are asked; "
    "Agr is the share of pairs with the same verdict in both orders."
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the numbers come from, as far as a board cannot tell."""

    version: str = __version__
    date: str = ""
    """As it is to be shown; nothing is dated unless told."""
    data: str = ""
    """The pair set more closely, such as its digest."""
    seed: int = 0
    """Of the bootstrap."""
    resamples: int = 10_000

    def harmless(self) -> Provenance:
        return replace(self, version=harmless(self.version), date=harmless(self.date), data=harmless(self.data))


def notes(board: pd.DataFrame, provenance: Provenance, more: Iterable[str] = ()) -> list[str]:
    """The sentences below a board, each on its own line, then `more`."""
    said = [count(board), MEANING, intervals(board, provenance), policy(board)]
    return [*said, *warnings(board), *filter(None, map(harmless, more))]


def dataset(board: pd.DataFrame) -> str:
    """The pair set that one's own rows are of."""
    return harmless(board.loc[board["source"] != "published", "dataset"].iloc[0])


def count(board: pd.DataFrame) -> str:
    own = board.loc[board["source"] != "published", "n"]
    least, most = own.min(), own.max()
    size = f"n = {most:,} judgments in each row" if least == most else f"n = {least:,} to {most:,} judgments in a row"
    return f"Pair set {dataset(board)}, {size}; values are percent unless they are counts."


def intervals(board: pd.DataFrame, provenance: Provenance) -> str:
    if board["low"].isna().all():
        return "No intervals were computed."
    return (
        f"Intervals are 95 %, of {headline(board).head}: BCa cluster bootstrap over instructions (Wilson where nothing "
        f"varies), stratified by subset (seed {provenance.seed}, {provenance.resamples:,} resamples)."
    )


def policy(board: pd.DataFrame) -> str:
    own = board.loc[board["source"] != "published"].iloc[0]
    ties, unreadable = TIES[own["ties_policy"]], UNREADABLE[own["unreadable_policy"]]
    return f"Policy: {ties}, {unreadable}, a failed call is not scored."


def warnings(board: pd.DataFrame) -> list[str]:
    """What a reader must know before comparing rows."""
    cited, own = board[board["source"] == "published"], board[board["source"] != "published"]
    said = []
    if own["n"].nunique() > 1:
        said.append("Rows differ in n: they were not judged on the same pairs.")
    if own["rank"].isna().any():
        said.append("A row that lacks a subset has no average and no rank.")
    if own["failed"].sum():
        said.append(f"Incomplete: {own['failed'].sum():,} calls failed and are not scored.")
    if len(cited):
        said.append(f"{PUBLISHED} published: {CITATION}; no intervals.")
        if set(cited["dataset"]) != set(own["dataset"]):
            said.append(f"Published rows are of llmbar, not of {dataset(board)}: other pairs, no fair comparison.")
        if set(cited["ties_policy"] + cited["unreadable_policy"]) != set(own["ties_policy"] + own["unreadable_policy"]):
            said.append("Published rows follow LLMBar's policy: a tie earns ½, an unreadable reply is wrong.")
    return said
