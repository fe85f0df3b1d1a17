"""Pair sets: find, load, check and fetch them.

Reading order: `official` (LLMBar's own files), `layout` (its folders), `names` (what a user may type), `formats`
(file → rows), `check` (row → pair, or what is wrong with it), `load` (the two questions asked of a pair set), then
`clusters`, `confound` and `fetch`.

    pairs = load_pairs("llmbar", subsets=["natural", "neighbor"])
    pairs = load_pairs("mine.csv", fields={"instruction": "question", "gold": "better"})
"""

from __future__ import annotations

from llmbar.pairs.clusters import cluster
from llmbar.pairs.confound import LengthConfound, length_confound
from llmbar.pairs.load import Findings, find_problems, load_pairs
from llmbar.pairs.names import NAMES

__all__ = ["NAMES", "Findings", "LengthConfound", "cluster", "find_problems", "length_confound", "load_pairs"]
