"""Where the project's own files lie: at the repository's root while developing, inside the package once installed."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE / "_files" if (_PACKAGE / "_files").is_dir() else _PACKAGE.parent


def prompts_folder() -> Path:
    """The strategies, one folder each, and `_shared`."""
    return _ROOT / "prompts"


def data_folder() -> Path:
    """The starter pairs."""
    return _ROOT / "data"


def published_file() -> Path:
    """The numbers of the LLMBar paper, one row per judge and strategy."""
    return _ROOT / "results" / "published.csv"


def cache_folder() -> Path:
    """The user's cache: `LLMBAR_CACHE`, else `XDG_CACHE_HOME/llmbar`, else `~/.cache/llmbar`."""
    if own := os.environ.get("LLMBAR_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmbar"
