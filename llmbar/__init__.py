"""llmbar: find out whether an LLM can be trusted as a judge.

    import llmbar as lb

    pairs = lb.load_pairs("starter")
    run = lb.run(pairs, judge="simulated/hasty", strategies=["rules", "cot+rules"])
    run.summary()                                   # accuracy, intervals, agreement, primacy, unreadable
    lb.compare(run, "rules", "cot+rules")           # difference, interval, p, minimal detectable effect
    lb.leaderboard([run, lb.published()]).to_latex("table.tex")

Names are imported when they are first used, so that `import llmbar` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from llmbar.comparisons import compare
    from llmbar.errors import LlmbarError
    from llmbar.judges import JudgeOptions, open_judge
    from llmbar.pairs import load_pairs
    from llmbar.paper import published
    from llmbar.records import Judgment, Pair, Verdict
    from llmbar.reproduction import reproduce
    from llmbar.runs import Run, arun, plan, rescore, run
    from llmbar.standings import leaderboard
    from llmbar.stats import Policy, bias_regression, summarize
    from llmbar.strategy import load_strategy

_FROM = {
    "compare": "comparisons",
    "LlmbarError": "errors",
    "JudgeOptions": "judges",
    "open_judge": "judges",
    "leaderboard": "standings",
    "load_pairs": "pairs",
    "published": "paper",
    "Judgment": "records",
    "Pair": "records",
    "Verdict": "records",
    "reproduce": "reproduction",
    "Run": "runs",
    "arun": "runs",
    "plan": "runs",
    "rescore": "runs",
    "run": "runs",
    "Policy": "stats",
    "bias_regression": "stats",
    "summarize": "stats",
    "load_strategy": "strategy",
}

__all__ = [
    "JudgeOptions",
    "Judgment",
    "LlmbarError",
    "Pair",
    "Policy",
    "Run",
    "Verdict",
    "arun",
    "bias_regression",
    "compare",
    "leaderboard",
    "load_pairs",
    "load_strategy",
    "open_judge",
    "plan",
    "published",
    "reproduce",
    "rescore",
    "run",
    "summarize",
]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'llmbar' has no attribute {name!r}")
    found = getattr(import_module(f"llmbar.{_FROM[name]}"), name)
    globals()[name] = found
    return found
