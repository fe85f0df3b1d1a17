"""What every test may use: the shared real data, where it lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

collect_ignore = [] if os.environ.get("LLMBAR_VLLM") else ["vllm"]
"""Real vLLM takes minutes to install: `make vllm` does it, and runs what is tested with it."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with LLMBar's real files and the oracles: beside the checkout, or where LLMBAR_SHARED points."""
    folder = Path(os.environ.get("LLMBAR_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "llmbar" / "Dataset").is_dir():
        absent("LLMBar's files (set LLMBAR_SHARED to the folder that holds data/llmbar and oracles)")
    return folder


def absent(what: str) -> None:
    """Skip a test for want of `what`; in CI, where everything must be there, fail it."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs {what}")
