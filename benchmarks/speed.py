"""How long a user waits: for help, for a run of the whole grid with a judge that costs nothing, and for its rerun.

    python benchmarks/speed.py [FOLDER WITH LLMBAR'S Dataset]

One table: what was measured, seconds (best of several where it is short), the most that is acceptable, and their ratio.
The cached rerun answers all requests from the store: the run's folder is removed, the responses stay. LLMBar's pairs
are looked for in FOLDER, else where `llmbar fetch llmbar` puts them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from openai_server import serving_in_thread

LLMBAR = [sys.executable, "-m", "llmbar"]
STRATEGIES = (
    *("vanilla", "rules", "cot+rules", "metrics+rules", "reference+rules", "metrics+reference+rules"),
    *("swap+rules", "swap+cot+rules", "rules-1shot", "rating+rules", "rating+metrics+reference"),
)


def answer(body: dict[str, list[dict[str, str]]]) -> str:
    """Something that every step of these strategies can read; which output it prefers, the prompt's checksum says."""
    asked = body["messages"][-1]["content"]
    first = crc32(asked.encode()) % 2
    if "whole number" in asked:
        return "57"[first]
    label = f"Output ({'ab'[first]})"
    return f"Therefore, {label} is better." if "Therefore" in asked else label


def seconds(*arguments: str, times: int = 1, **environment: str) -> float:
    """The best of `times` wall-clock times of one llmbar command."""
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        command = [*LLMBAR, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    data = sys.argv[1] if len(sys.argv) > 1 else "llmbar"
    grid = ["run", "-q", "-d", data, *(word for name in STRATEGIES for word in ("-s", name))]
    rows = [("llmbar --help", seconds("--help", times=7), 0.3)]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        local = [*grid, "-m", "baseline/longer", "--results", folder]
        rows.append(("419 pairs × 11 strategies, baseline judge", seconds(*local), 20.0))
        rows.append(("the same again, finished", seconds(*local), 5.0))
        with serving_in_thread(answer) as server:
            served = [*grid, "-m", "openai-api/local/model", "--base-url", server.base_url, "--results", folder]
            rows.append(("the same over HTTP, nothing stored (no bound)", seconds(*served), float("nan")))
            asked = len(server.asked)
            for run in results.glob("*model*"):
                shutil.rmtree(run)
            rows.append((f"the same, all {asked} requests from the store", seconds(*served), 5.0))
            if len(server.asked) != asked:
                raise SystemExit("the cached rerun asked again")
    print(f"{'what':<48}{'seconds':>9}{'at most':>9}{'ratio':>7}")
    for what, took, most in rows:
        print(f"{what:<48}{took:>9.2f}{most:>9.1f}{took / most:>7.2f}".replace("nan", "  –"))


if __name__ == "__main__":
    main()
