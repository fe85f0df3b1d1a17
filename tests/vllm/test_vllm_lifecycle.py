"""Servers of our own: one that does not start, one that dies, one whose llmbar dies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import datetime
from itertools import pairwise
from urllib.request import urlopen

import pytest
from vllm_server import SMALL, processes

from llmbar.errors import JudgeError
from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.vllm.orphans import notes_folder
from llmbar.runs import arun, plan


@pytest.fixture
def model(tiny, tmp_path, monkeypatch):
    """A copy of the tiny judge, and a folder of notes, that no other server has to do with."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return str(shutil.copytree(tiny / "judge", tmp_path / "model"))


def test_a_wrong_argument_is_told_in_the_servers_own_words(model, capfd):
    async def opened():
        async with open_judge(f"vllm/{model}", JudgeOptions(args={"no_such_argument": "3"})):
            pass

    with pytest.raises(JudgeError, match="unrecognized arguments: --no-such-argument 3"):
        asyncio.run(opened())
    assert "vllm | " in capfd.readouterr().err  # its log was shown
    assert list(notes_folder().glob("*.json")) == []


class Killer:
    """Watches a run; kills its server once so many judgments are there."""

    def __init__(self, after, model):
        self.after, self.model = after, model
        self.successes = 0.0

    def begin(self, folder, total, done, tallies):
        self.count = 0

    def judged(self, judgment):
        self.count += 1
        if self.count == self.after:
            (note,) = notes_folder().glob("*.json")
            os.killpg(json.loads(note.read_text())["server"][0], signal.SIGKILL)

    def end(self):
        (port,) = ports(self.model)
        with urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
            text = reply.read().decode()
        pattern = r'^vllm:request_success_total\{[^}]*finished_reason="(?:stop|length)"[^}]*\} (\S+)$'
        self.successes = sum(map(float, re.findall(pattern, text, re.MULTILINE)))


def ports(model):
    """Where servers of a model listen, from their command lines."""
    commands = [command for command in processes(model) if "keeper" not in command]
    return [match[1] for command in commands if (match := re.search(r"--port (\d+)", command))]


def test_a_run_outlives_its_server_and_asks_nothing_twice(model, dataset, strategies, tmp_path, capfd):
    """Killed with its group in the middle; llmbar starts it again, and what was answered before stays answered."""
    strategy = strategies("resumed", "rules", ('kind = "choice"', 'kind = "choice", constrain = true'))
    options = JudgeOptions(args=SMALL, concurrency=8, deadline=600)
    planned = plan(dataset, judge=f"vllm/{model}", strategies=[strategy], options=options, limit=30, results=tmp_path)
    killer = Killer(40, model)
    judged = asyncio.run(arun(planned, watcher=killer))
    assert judged.complete
    assert len(judged.judgments()) == 150
    assert "it is started again" in capfd.readouterr().err
    counts = judged.folder.manifest.counts
    assert (counts.asked, counts.failed) == (300, 0)
    assert counts.retries > 0
    assert 300 - killer.successes >= 2 * 40  # the second server answered only what the first had not
    assert answered_after_the_kill(tmp_path) == killer.successes


def answered_after_the_kill(results):
    """Responses that came after the longest pause between two, which is that of the restart."""
    with sqlite3.connect(results / "responses.sqlite") as store:
        rows = store.execute("select created from responses order by created").fetchall()
    times = [datetime.fromisoformat(row[0]) for row in rows]
    pauses = [late - early for early, late in pairwise(times)]
    return len(times) - 1 - pauses.index(max(pauses))


def test_no_process_is_left_when_llmbar_is_killed(model, dataset, tmp_path):
    """SIGKILL cannot be caught: the keeper sees its pipe close and ends the server, the engine and their helpers."""
    args = [word for key, value in SMALL.items() for word in ("-M", f"{key}={value}")]
    command = [sys.executable, "-m", "llmbar", "run", "-m", f"vllm/{model}", "-d", str(dataset), *args]
    llmbar = subprocess.Popen([*command, "--results", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    with llmbar, llmbar.stderr:
        for line in llmbar.stderr:
            if "judgments, " in line or "Application startup complete" in line:
                break
        left = sessions()
        assert len(left) >= 1
        llmbar.kill()
        llmbar.wait()
    until = time.monotonic() + 30
    while any(map(members, left)) and time.monotonic() < until:
        time.sleep(0.1)
    assert [member for session in left for member in members(session)] == []
    assert processes(model) == []


def sessions():
    """The sessions of the servers that are being kept now."""
    return [json.loads(note.read_text())["server"][0] for note in notes_folder().glob("*.json")]


def members(session):
    """The commands of all processes of a session."""
    return processes(session=session)
