"""Statistics: judgments and gold labels become numbers with intervals. Pure functions; nothing is read or written.

They read in this order: `verdicts` (the table that all start from), `accuracy`, `bias`, `intervals`, `summary` (all of
it in one table) and `regression`.

    table = summarize(frame)                # accuracy, agreement, primacy, ... per subset, and macro averages
    terms = bias_regression(frame)          # position, gold and length told apart
"""

from __future__ import annotations

from llmbar.stats.accuracy import Policy, cohen_kappa, correctness
from llmbar.stats.appearance import format_columns, format_preferences
from llmbar.stats.authors import author_columns, self_preference
from llmbar.stats.calibration import (
    aurc,
    auroc,
    brier,
    calibration_error,
    confidence,
    graded,
    judge_calibration,
    out_of_fold,
    reliability,
    risk_coverage,
)
from llmbar.stats.causes import failure_kinds, unreadable_causes
from llmbar.stats.comparison import compare, holm, mcnemar, rank_ranges, sign_flip, tied_with_best
from llmbar.stats.correction import correct_win_rate, invert_confusion, prediction_powered, rogan_gladen
from llmbar.stats.frontier import cost_per_pair, pareto_front
from llmbar.stats.intervals import wilson
from llmbar.stats.power import (
    detectable_difference,
    macro_standard_error,
    mcnemar_detectable,
    mcnemar_pairs_needed,
    pairs_needed,
)
from llmbar.stats.ranking import bradley_terry, games
from llmbar.stats.raters import error_correlation, fleiss_kappa, judge_agreement, krippendorff_alpha, repetition
from llmbar.stats.regression import bias_regression
from llmbar.stats.summary import summarize
from llmbar.stats.verdicts import COLUMNS, encode

__all__ = [
    "COLUMNS",
    "Policy",
    "aurc",
    "auroc",
    "author_columns",
    "bias_regression",
    "bradley_terry",
    "brier",
    "calibration_error",
    "cohen_kappa",
    "compare",
    "confidence",
    "correct_win_rate",
    "correctness",
    "cost_per_pair",
    "detectable_difference",
    "encode",
    "error_correlation",
    "failure_kinds",
    "fleiss_kappa",
    "format_columns",
    "format_preferences",
    "games",
    "graded",
    "holm",
    "invert_confusion",
    "judge_agreement",
    "judge_calibration",
    "krippendorff_alpha",
    "macro_standard_error",
    "mcnemar",
    "mcnemar_detectable",
    "mcnemar_pairs_needed",
    "out_of_fold",
    "pairs_needed",
    "pareto_front",
    "prediction_powered",
    "rank_ranges",
    "reliability",
    "repetition",
    "risk_coverage",
    "rogan_gladen",
    "self_preference",
    "sign_flip",
    "summarize",
    "tied_with_best",
    "unreadable_causes",
    "wilson",
]
