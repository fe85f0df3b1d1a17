"""How a run gets on: a bar on a terminal, plain lines elsewhere, both with all that one wants to know."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from commands import FOREIGN, at_home, command, ended, pair_rows, prefers, start, write_pairs
from openai_server import Reply, error, serving_in_thread

from llmbar.cli import progress
from llmbar.cli.progress import Bar, Lines, watcher
from llmbar.judges.stored import Tally
from llmbar.records import Judgment, Verdict


def judged(final=Verdict.ONE):
    told = {"dataset": "d", "subset": "s", "pair": "p", "judge": "j", "strategy": "rules", "gold": 1}
    return Judgment(**told, original=final, swapped=final, final=final)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when told."""

    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_plain_lines_tell_rate_time_left_cost_and_what_went_wrong(clock, capsys):
    lines, tally = Lines(), Tally()
    lines.begin(Path("results/x"), 1100, 100, {"openai/gpt-4o": tally})
    assert capsys.readouterr().err == "results/x: 1,100 judgments, 100 of them there already\n"
    for number in range(200):
        lines.judged(judged(Verdict.UNREADABLE if number < 3 else Verdict.FAILED if number < 10 else Verdict.TWO))
    tally.asked, tally.from_store, tally.prompt_tokens, tally.completion_tokens = 1500, 40, 1_000_000, 100_000
    clock.now += 20
    lines.end()
    line = "300/1,100 · 10/s · 1:20 left · 1,500 asked · 40 from store · $3.50 · 3 unreadable · 7 failed\n"
    assert capsys.readouterr() == ("", line)


def test_plain_lines_come_now_and_then(clock, capsys):
    lines = Lines()
    lines.begin(Path("results/x"), 100, 0, {})
    for _ in range(60):
        clock.now += 1
        lines.judged(judged())
    assert len(capsys.readouterr().err.splitlines()) == 1 + 60 // 11


def test_before_anything_is_judged_no_time_is_promised_and_no_price_is_made_up(clock, capsys):
    lines = Lines()
    lines.begin(Path("results/x"), 10, 10, {"vllm/m": Tally(asked=5, prompt_tokens=9)})
    lines.end()
    assert capsys.readouterr().err.splitlines()[1] == "10/10 · 0.0/s · 5 asked · 0 from store · 0 unreadable · 0 failed"


def test_judges_of_several_kinds_are_added_up(clock, capsys):
    lines = Lines()
    tallies = {"openai/gpt-4o": Tally(asked=2, completion_tokens=100_000), "vllm/m": Tally(asked=3, from_store=1)}
    lines.begin(Path("x"), 1, 0, tallies)
    lines.end()
    assert "5 asked · 1 from store · $1.00" in capsys.readouterr().err


def test_lines_or_a_bar(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(watcher(), Bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert isinstance(watcher(), Lines)


# -- real runs --------------------------------------------------------------------------------------------------------


def on_a_terminal(*arguments, folder, columns):
    """What a command writes to a terminal `columns` wide, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith((*FOREIGN, "COLUMNS", "NO_COLOR"))
    }
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "llmbar", *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "OPENAI_API_KEY": "sk-of-nobody"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # Linux: whoever wrote has gone
        pass
    os.close(ours)
    return process.wait(), written.decode()


def plainly(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("columns", [80, 150])
def test_a_terminal_gets_a_bar_that_tells_everything(tmp_path, columns):
    write_pairs(tmp_path / "pairs.jsonl", pair_rows(12))

    def answer(body):
        asked = body["messages"][-1]["content"]
        return Reply("Hm." if "ALPHA 3" in asked else prefers("ALPHA")(body), delay=0.05)

    with serving_in_thread(answer) as server:
        of_judge = ("-m", "openai/gpt-4o", "--base-url", server.base_url, "-j", "2")
        code, written = on_a_terminal("run", *of_judge, "-d", "pairs.jsonl", folder=tmp_path, columns=columns)
    assert code == 0, written
    assert "\x1b[?25l" in written, "a live bar hides the cursor"
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l"), "and shows it again"
    told = " ".join(plainly(written).split())
    assert re.search(r"[1-9]\d?/12 · [\d.]+/s · 0:\d\d left · \d+ asked · 0 from store · \$0\.00 · \d unreadable", told)
    assert re.search(
        r"12/12 · [\d.]+/s · 0:00 left · 24 asked · 0 from store · \$0\.00 · 1 unreadable · 0 failed", told
    )


def test_without_a_terminal_there_are_plain_lines_on_standard_error(tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", pair_rows(4))
    with serving_in_thread(
        lambda body: error(400, "no") if "ALPHA 3" in str(body) else prefers("ALPHA")(body)
    ) as server:
        of_judge = ("-m", "openai-api/local/j", "--base-url", server.base_url)
        outcome = ended(start("run", *of_judge, "-d", "pairs.jsonl", folder=tmp_path))
    first, second, last = outcome.err.splitlines()
    assert re.fullmatch(r"results/pairs-openai-api-local-j-[0-9a-f]{8}: 4 judgments, 0 of them there already", first)
    assert re.fullmatch(r"4/4 · [\d.]+/s · 0:00 left · 8 asked · 0 from store · 0 unreadable · 1 failed", second)
    assert last.startswith("llmbar: incomplete: 1 judgments failed")
    assert "\x1b" not in outcome.out + outcome.err
    assert outcome.code == 3


def test_a_quiet_run_prints_nothing_but_its_result(tmp_path, monkeypatch, capsys):
    write_pairs(at_home(monkeypatch, tmp_path) / "pairs.jsonl", pair_rows(4))
    outcome = command(capsys, "run", "-m", "baseline/longer", "-d", "pairs.jsonl", "-q")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "baseline/longer" in outcome.out


def test_the_second_sitting_counts_what_the_first_one_left(tmp_path, monkeypatch, capsys):
    write_pairs(at_home(monkeypatch, tmp_path) / "pairs.jsonl", pair_rows(8))
    broken = True
    with serving_in_thread(
        lambda body: error(400, "no") if broken and "ALPHA 5" in str(body) else prefers("ALPHA")(body)
    ) as server:
        arguments = ("run", "-m", "openai-api/local/j", "--base-url", server.base_url, "-d", "pairs.jsonl")
        assert command(capsys, *arguments).code == 3
        broken = False
        again = command(capsys, *arguments)
    assert again.code == 0
    assert "8 judgments, 7 of them there already" in again.err
    assert "8/8 · " in again.err
    assert "2 asked · 0 from store · 0 unreadable · 0 failed" in again.err
