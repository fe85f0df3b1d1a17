"""Statistics: judgments and gold labels become numbers with intervals. Pure functions; nothing is read or written.

They read in this order: `verdicts` (the table that all start from), `accuracy`, `bias`, `intervals`, `summary` (all of
it in one table) and `regression`.

    table = summarize(frame)                # accuracy, agreement, primacy, ... per subset, and macro averages
    terms = bias_regression(frame)          # position, gold and length told apart
"""

from __future__ import annotations

from llmbar.stats.accuracy import Policy, cohen_kappa, correctness
from llmbar.stats.intervals import wilson
from llmbar.stats.regression import bias_regression
from llmbar.stats.summary import summarize
from llmbar.stats.verdicts import COLUMNS, encode

__all__ = ["COLUMNS", "Policy", "bias_regression", "cohen_kappa", "correctness", "encode", "summarize", "wilson"]
