"""Every fault of the table, played by a real server: what a user sees, what is kept, and that nothing is lost."""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from faults import ASKING, FAULTS, GONE
from openai_server import Reply, error, serving, serving_in_thread

from llmbar.errors import JudgeError
from llmbar.judges import JudgeOptions, open_judge, retrying
from llmbar.store import Store

KEY = "sk-test-0123456789abcdefghij"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.1)


def like(pattern: str) -> re.Pattern[str]:
    """`…` stands for anything."""
    return re.compile(".*".join(map(re.escape, pattern.split("…"))))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def meet(fault, store):
    """The response to a request that meets the fault, the server, and the judge."""
    async with serving(fault.answer()) as server:
        options = JudgeOptions(base_urls=(server.base_url,), deadline=fault.deadline, timeout=fault.timeout)
        async with open_judge("openai/m", options, store=store) as judge:
            return await judge.answer(ASKING), server, judge


def stored(path):
    with Store.existing(path) as store:
        return [row["response"].get("text", "") for row in store.rows()]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.what != GONE], ids=lambda fault: fault.what)
def test_a_fault_is_met_as_the_table_says(fault, tmp_path):
    path = tmp_path / "s.sqlite"
    with Store.open(path) as store:
        if fault.outcome == "stopped":
            with pytest.raises(JudgeError) as caught:
                asyncio.run(meet(fault, store))
            assert like(fault.seen).fullmatch(str(caught.value))
            assert stored(path) == []
            return
        response, server, judge = asyncio.run(meet(fault, store))
    if fault.outcome == "failed":
        assert like(fault.seen).fullmatch(f"{response.failure.kind}: {response.failure.message}")
        assert stored(path) == []
    else:
        assert response.failure is None
        assert (response.text, response.finish_reason) == (fault.seen, fault.finish_reason)
        assert stored(path) == [fault.seen]
    assert len(judge.adaptations) == bool(fault.adapted)
    assert all(like(fault.adapted).fullmatch(said) for said in judge.adaptations)
    if fault.asked is not None:
        assert len(server.asked) == fault.asked


def test_every_failure_is_asked_again_by_the_next_run(tmp_path):
    async def ask_twice(fault):
        port = free_port()
        with Store.open(tmp_path / f"{fault.what}.sqlite") as store:
            options = JudgeOptions(base_urls=(f"http://127.0.0.1:{port}/v1",), deadline=0.3, timeout=0.2)
            async with serving(fault.answer(), port=port), open_judge("openai/m", options, store=store) as judge:
                first = await judge.answer(ASKING)
            async with serving(lambda _: "well", port=port), open_judge("openai/m", options, store=store) as judge:
                return first.failure, (await judge.answer(ASKING)).text

    async def ask_all():
        return await asyncio.gather(*(ask_twice(fault) for fault in FAULTS if fault.outcome == "failed"))

    for failure, text in asyncio.run(ask_all()):
        assert failure is not None
        assert text == "well"


def test_a_server_that_goes_and_comes_back_on_its_port_is_waited_for(tmp_path):
    """Some requests are answered before it goes; nothing is lost, and nothing that was answered is asked again."""

    async def ask_across():
        port, half_way, numbers = free_port(), asyncio.Event(), count(1)

        def answer(_):
            if next(numbers) == 50:
                half_way.set()
            return Reply("before", delay=0.05)

        options = JudgeOptions(base_urls=(f"http://127.0.0.1:{port}/v1",), concurrency=10, deadline=30)
        with Store.open(tmp_path / "s.sqlite") as store:
            async with open_judge("openai/m", options, store=store) as judge:
                async with serving(answer, port=port) as server:
                    tasks = [asyncio.create_task(judge.answer(replace(ASKING, sample=sample))) for sample in range(100)]
                    await half_way.wait()
                await asyncio.sleep(0.5)
                answered = judge.tally.asked
                async with serving(lambda _: "after", port=port) as again:
                    texts = [response.text for response in await asyncio.gather(*tasks)]
        return texts, answered, server, again

    texts, answered, before, after = asyncio.run(ask_across())
    assert texts.count("before") == answered < 100
    assert texts.count("after") == 100 - answered == len(after.asked)
    assert len(before.asked) <= answered + 10
    assert len(stored(tmp_path / "s.sqlite")) == 100


def refusing(share: float, reply: Reply, seed: int = 1):
    """A server of which a share of replies, chosen at random, are refusals."""
    draw = random.Random(seed)
    return lambda _: reply if draw.random() < share else Reply("well", delay=0.005)


def ask_many(answer, count, concurrency):
    async def asked():
        async with serving(answer, keep=False) as server:
            options = JudgeOptions(base_urls=(server.base_url,), concurrency=concurrency, deadline=60)
            async with open_judge("openai/m", options) as judge:
                requests = (replace(ASKING, sample=sample) for sample in range(count))
                return await asyncio.gather(*map(judge.answer, requests)), judge.tally

    return asyncio.run(asked())


def test_five_percent_of_429s_cost_five_percent_of_attempts_and_no_concurrency():
    """Time is requests / concurrency: neither grows, so that what remains is the last requests' waits."""
    responses, tally = ask_many(refusing(0.05, error(429, "slow down")), 1000, 64)
    assert all(response.text == "well" for response in responses)
    assert tally.retries <= 0.09 * 1000
    assert tally.limit == 64


def test_thirty_percent_of_500s_lose_nothing():
    responses, tally = ask_many(refusing(0.3, error(500, "broken")), 400, 64)
    assert [response.text for response in responses] == ["well"] * 400
    assert 0.2 * 400 <= tally.retries <= 0.8 * 400
    assert tally.failed == 0


# Keys


@pytest.mark.parametrize("status", [200, 400, 401, 429])
def test_no_artefact_and_no_output_of_a_run_holds_the_key(status, tmp_path):
    """The server says the key back wherever it can; a run's files, its output and its command line are searched."""

    def echo(_):
        if status == 200:
            return Reply("Output (a)", headers={"X-Key": KEY})
        return error(status, f"bad key: Bearer {KEY}", code=KEY, param=KEY, headers={"X-Key": KEY, "Retry-After": "99"})

    with serving_in_thread(echo) as server:
        command = [sys.executable, "-m", "llmbar", "run", "-m", "openai/m", "-s", "vanilla", "-d", "starter", "-n", "1"]
        command += ["--base-url", server.base_url, "--deadline", "1", "--results", str(tmp_path / "results")]
        environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env={**environ, "COLUMNS": "500"}
        )
        seen = Path(f"/proc/{process.pid}/cmdline").read_bytes() if Path("/proc").is_dir() else b""
        out, err = process.communicate(timeout=60)
    assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
    artefacts = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert artefacts
    written = b"".join(file.read_bytes() + str(file).encode() for file in artefacts)
    for start in range(len(KEY) - 8):
        assert KEY[start : start + 9].encode() not in out + err + written + seen
    assert process.returncode == {200: 0, 400: 3, 401: 2, 429: 3}[status], err
