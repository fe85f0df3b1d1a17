"""The rows of `llmbar ls`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmbar.engine import rehearse
from llmbar.errors import LlmbarError
from llmbar.judges.baseline import BASELINES
from llmbar.judges.presets import PRESETS
from llmbar.judges.simulated import PRESETS as SIMULATED
from llmbar.pairs import NAMES, load_pairs
from llmbar.runs import find_runs
from llmbar.strategy import load_strategy, strategy_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = dict[str, str]


def models() -> Sequence[Row]:
    """How each kind of judge is named, and where its key and address come from."""
    served = [
        {
            "judge": f"{name}/<model>",
            "what it is": preset.base_url or f"the endpoint at --base-url or {preset.base_url_variable}",
            "key": preset.key_variable + ("" if preset.needs_key else " (if the server wants one)"),
        }
        for name, preset in PRESETS.items()
    ]
    reward = {
        "judge": "reward/<model>",
        "what it is": "a reward model, served by vLLM: started here, or at --base-url",
        "key": "",
    }
    any_service = {
        "judge": "openai-api/<service>/<model>",
        "what it is": "any OpenAI-compatible endpoint, at <SERVICE>_BASE_URL",
        "key": "<SERVICE>_API_KEY",
    }
    local = [{"judge": f"baseline/{name}", "what it is": told, "key": ""} for name, told in BASELINES.items()]
    planted = [{"judge": f"simulated/{name}", "what it is": told, "key": ""} for name, told in SIMULATED.items()]
    recorded = {
        "judge": "recorded/<judge>",
        "what it is": "replies recorded in LLMBar's layout (-M path=FOLDER)",
        "key": "",
    }
    return [*served, reward, any_service, *local, *planted, recorded]


def strategies() -> Sequence[Row]:
    """Name, calls per pair (fewest to most), what it does, other names, source."""
    rows = []
    pair = load_pairs("starter", limit=1)[0]
    for name in strategy_names():
        strategy = load_strategy(name)
        fewest, most = (len(asyncio.run(rehearse(pair, strategy, prefers_first=each))) for each in (False, True))
        calls = str(most) if fewest == most else f"{fewest} to {most}"
        aliases = ", ".join(strategy.aliases)
        told = {"strategy": name, "calls per pair": calls, "what it does": strategy.file.summary}
        rows.append(told | {"also called": aliases, "source": strategy.file.cite})
    return rows


def datasets() -> Sequence[Row]:
    """Name and number of pairs, where the files are on this machine."""
    rows: list[Row] = []
    for name in NAMES:
        try:
            rows.append({"dataset": name, "pairs": str(len(load_pairs(name)))})
        except LlmbarError as error:
            rows.append({"dataset": name, "pairs": error.remedy or str(error)})
    return rows


def runs(results: Path) -> Sequence[Row]:
    """Every run in the results folder, oldest first, and what should be one."""
    found = find_runs(results)
    damaged = {file.parent for file in results.glob("*/manifest.json")} - {folder.path for folder in found}
    return [
        {
            "run": str(folder.path),
            "state": folder.manifest.state,
            "judges": ", ".join(judge.name for judge in folder.manifest.asked.judges),
            "strategies": ", ".join(strategy.name for strategy in folder.manifest.asked.strategies),
            "pairs": str(sum(dataset.pairs for dataset in folder.manifest.asked.datasets)),
            "created": folder.manifest.created,
        }
        for folder in found
    ] + [
        {"run": str(path), "state": "damaged", "judges": "", "strategies": "", "pairs": "", "created": ""}
        for path in sorted(damaged)
    ]
