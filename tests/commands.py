"""llmbar as its users meet it: commands in this process or as programs of their own, and pairs with a telling server.

In every pair here one output says ALPHA and the other BETA, so that a server can prefer an output by what it says,
wherever it is shown.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from llmbar.cli import main

FOREIGN = ("LLMBAR_", "OPENAI_", "OPENROUTER_", "VLLM_", "OLLAMA_", "LOCAL_")
"""Beginnings of the variables that must not leak from a developer's environment into a test."""


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """What was printed, as JSON; NaN and the like are none."""
        return json.loads(self.out, parse_constant=lambda name: pytest_fail(f"{name} is no JSON"))

    @property
    def complaint(self):
        """The one line on standard error."""
        (line,) = self.err.splitlines()
        assert line.startswith("llmbar: ")
        return line.removeprefix("llmbar: ")


def pytest_fail(message):
    raise AssertionError(message)


def at_home(monkeypatch, folder):
    """Work in `folder`, with nothing of llmbar's in the environment."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    return folder


def command(capsys, *arguments):
    """Run a command in this process, in the current folder."""
    capsys.readouterr()
    told, sys.argv = sys.argv, ["llmbar", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return Outcome(end.code, *capsys.readouterr())
    finally:
        sys.argv = told
    raise AssertionError("a command ends with an exit code")


def start(*arguments, folder, **environment):
    """Start a command as a program of its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "llmbar", *map(str, arguments)],
        cwd=folder,
        env={**own, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    """Wait for a started command."""
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return Outcome(process.returncode, out, err)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


# -- pairs and answers ------------------------------------------------------------------------------------------------


def pair_rows(number, *, gold=1, subset="plain"):
    """Pairs of which output 1 says ALPHA; instructions repeat, two by two."""
    return [
        {
            "id": f"{subset}-{index}",
            "subset": subset,
            "instruction": f"{subset}: do task {index // 2}.",
            "output_1": f"ALPHA {index}",
            "output_2": f"BETA {index}",
            "gold": gold,
        }
        for index in range(number)
    ]


def write_pairs(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prefers(word):
    """Answers every step of LLMBar's strategies, and always prefers the output that says `word`."""

    def answer(body):
        asked = body["messages"][-1]["content"]
        first_wins = asked.rfind(f"# Output (a):\n{word}") > asked.rfind(f"# Output (b):\n{word}")
        return told(asked, "Output (a)" if first_wins else "Output (b)")

    return answer


def prefers_first(body):
    """Answers every step of LLMBar's strategies, and always prefers what is shown first."""
    return told(body["messages"][-1]["content"], "Output (a)")


def told(asked, label):
    if "Therefore" in asked:
        return f"Therefore, {label} is better."
    if "whole number" in asked:
        return "7" if "ALPHA" in asked else "3"
    return label if "# Output (a)" in asked else "1. Is it done?"
