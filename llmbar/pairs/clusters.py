"""Which pairs are about the same thing: resampling must keep them together."""

from __future__ import annotations

from unicodedata import normalize


def cluster(instruction: str) -> str:
    r"""The instruction without differences of case, spacing and Unicode form: the cluster to which a pair belongs.

    LLMBar's 419 pairs fall into 418 clusters, MT-Bench's 200 into 75.

    >>> cluster("Name\n two ﬁsh. ") == cluster("name two FISH.")
    True
    """
    return " ".join(normalize("NFKC", normalize("NFKC", instruction).casefold()).split())
