"""Runs: judge pairs into a folder that says exactly what was asked, and read such folders again.

They read in this order: `manifest` (what a run asks and is), `folder` (its files), `judging` (make or resume one),
`reviewing` (its verdicts as a table, its numbers, reading its replies anew).
"""

from __future__ import annotations

from llmbar.runs.folder import RunFolder, find_runs
from llmbar.runs.judging import Plan, arun, estimate, plan, run
from llmbar.runs.manifest import Asked, Manifest
from llmbar.runs.reviewing import Numbers, Run, baseline_frame, check_comparable, joined, rescore, verdict_frame

__all__ = [
    "Asked",
    "Manifest",
    "Numbers",
    "Plan",
    "Run",
    "RunFolder",
    "arun",
    "baseline_frame",
    "check_comparable",
    "estimate",
    "find_runs",
    "joined",
    "plan",
    "rescore",
    "run",
    "verdict_frame",
]
