"""Verdict frames for the tests of `llmbar.stats`: made by hand, or read from recorded winners."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

DEFAULTS = {
    "judge": "judge",
    "strategy": "rules",
    "dataset": "set",
    "group": "",
    "subset": "only",
    "repeat": "0",
    "orders": "separate",
    "length_1": 100,
    "length_2": 200,
}


def frame(gold, original, swapped, final=None, **columns):
    """A verdict frame of one row per entry; a column that is not given has one plain value."""
    final = original if final is None else final
    pairs = [f"p{number}" for number in range(len(gold))]
    given = {"pair": pairs, "cluster": pairs, "gold": gold, "original": original, "swapped": swapped, "final": final}
    return pd.DataFrame({**given, **{k: v for k, v in DEFAULTS.items() if k not in columns}, **columns})


def verdicts(text):
    """Verdicts by their first letters: `verdicts("12tuf")`."""
    return [{"t": "tie", "u": "unreadable", "f": "failed"}.get(letter, letter) for letter in text]


def recorded(shared: Path) -> pd.DataFrame:
    """Every recorded winner, as stored: None is unreadable, rating strategies count as if asked in both orders."""
    rows = []
    for file in sorted((shared / "data/llmbar/Dataset/LLMBar").glob("**/evaluators/*/*/result.json")):
        *_, subset, _, judge, strategy, _ = file.parts
        for number, item in enumerate(json.loads(file.read_text(encoding="utf-8"))):
            original, swapped = (
                item["results"][-1][f"swap = {swap}"]["winner"] or "unreadable" for swap in (False, True)
            )
            rows.append(
                {
                    "judge": judge,
                    "strategy": strategy,
                    "dataset": "llmbar",
                    "group": "" if subset == "Natural" else "Adversarial",
                    "subset": subset,
                    "pair": f"{subset}/{number}",
                    "repeat": "0",
                    "cluster": f"{subset}/{number}",
                    "instruction": " ".join(item["input"].lower().split()),
                    "gold": item["label"],
                    "original": original,
                    "swapped": swapped,
                    "final": original,
                    "orders": "separate",
                    "length_1": len(item["output_1"]),
                    "length_2": len(item["output_2"]),
                }
            )
    return pd.DataFrame(rows)
