"""How fast requests go out: llmbar, raw aiohttp and the official client against the same local server, in one run.

    python benchmarks/throughput.py [--requests 6000] [--times 3] [--delay 0.05] [--concurrency 256]

The server is a process of its own that answers after `delay` seconds. Each client sends requests of about 2.8 kB, so
many at once, several times in turn with the others; the table shows the best rate, and the median CPU time of this
process per 1,000 requests (which suffers less from other work on the machine), each with its ratio to raw aiohttp.
llmbar's last row does all that a run does around a request: read the verdict, keep the response in a store that syncs
to disk, and show a progress bar.

A second table shows what refusals cost: the time for all requests while a share is refused at random, over the time
when none is. All must be answered.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import aiohttp
from openai import AsyncOpenAI, DefaultAioHttpClient

from llmbar.cli.progress import Bar
from llmbar.judges import JudgeOptions, open_judge
from llmbar.reading import ChoiceReader
from llmbar.records import Judgment, Message, Request, Sampling, Verdict
from llmbar.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVER = Path(__file__).resolve().parent.parent / "tests" / "openai_server.py"
SYSTEM, USER = "You judge. " * 40, "word " * 500
SAMPLING = Sampling()
LABELS = ("Output (a)", "Output (b)")
READER = ChoiceReader(kind="choice")

Ask = Callable[[int], Awaitable[object]]
"""Sends request number n, and checks that there is a reply."""


@contextmanager
def server(*arguments: str) -> Iterator[str]:
    """The base address of a server in a process of its own."""
    with subprocess.Popen([sys.executable, str(SERVER), *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.kill()


def answered(good: object) -> None:
    if not good:
        raise SystemExit("a request was not answered")


# -- the clients ------------------------------------------------------------------------------------------------------


def messages(number: int) -> list[Any]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{number} {USER}"}]


@asynccontextmanager
async def raw(base_url: str, concurrency: int) -> AsyncIterator[Ask]:
    """The least that anybody does: JSON out, JSON in, nothing checked."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def ask(number: int) -> None:
            body = {"model": "m", "messages": messages(number), "temperature": 0.0}
            async with session.post(f"{base_url}/chat/completions", json=body) as reply:
                answered((await reply.json())["choices"])

        yield ask


def official(**options: Any) -> Callable[[str, int], Any]:
    @asynccontextmanager
    async def client(base_url: str, _: int) -> AsyncIterator[Ask]:
        more = {key: value() for key, value in options.items()}
        async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=2, timeout=600, **more) as opened:

            async def ask(number: int) -> None:
                reply = await opened.chat.completions.create(model="m", messages=messages(number), temperature=0.0)
                answered(reply.choices)

            yield ask

    return client


def request(number: int) -> Request:
    return Request((Message("system", SYSTEM), Message("user", f"{number} {USER}")), SAMPLING)


@asynccontextmanager
async def lean(base_url: str, concurrency: int) -> AsyncIterator[Ask]:
    """llmbar's judge alone."""
    async with open_judge("openai-api/local/m", JudgeOptions(base_urls=(base_url,), concurrency=concurrency)) as judge:

        async def ask(number: int) -> None:
            answered((await judge.answer(request(number))).failure is None)

        yield ask


@asynccontextmanager
async def whole(base_url: str, concurrency: int) -> AsyncIterator[Ask]:
    """llmbar's judge with a store, the verdict read, and a progress bar that draws as on a terminal."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = stack.enter_context(Store.open(folder / "responses.sqlite"))
        stack.enter_context(redirect_stderr(stack.enter_context(open(os.devnull, "w"))))  # noqa: ASYNC230, PTH123
        options = JudgeOptions(base_urls=(base_url,), concurrency=concurrency)
        async with open_judge("openai-api/local/m", options, store=store) as judge:
            bar = Bar()
            bar.begin(folder, 10**6, 0, {judge.name: judge.tally})  # type: ignore[attr-defined]

            async def ask(number: int) -> None:
                response = await judge.answer(request(number))
                answered(READER.read(response, LABELS).margin == 1)
                bar.judged(JUDGED)

            yield ask
            bar.end()


JUDGED = Judgment(
    dataset="d",
    subset="s",
    pair="1",
    judge="j",
    strategy="s",
    gold=1,
    **dict.fromkeys(("original", "swapped", "final"), Verdict.ONE),
)

CLIENTS = {
    "raw aiohttp": raw,
    "llmbar, the judge alone": lean,
    "llmbar, verdicts read, stored, progress shown": whole,
    "AsyncOpenAI, its own transport": official(),
    "AsyncOpenAI, aiohttp transport": official(http_client=DefaultAioHttpClient),
}
SLOW = 4
"""The official client is sent so many times fewer requests."""


# -- measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    rate: float
    """Requests a second."""
    cpu: float
    """Seconds of this process per 1,000 requests."""
    seconds: float


async def measure(client: Callable[[str, int], Any], base_url: str, count: int, concurrency: int) -> Measured:
    async with client(base_url, concurrency) as ask:
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await ask(number)

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Measured(count / wall, cpu / count * 1000, wall)


def compare(count: int, times: int, delay: float, concurrency: int) -> None:
    found: dict[str, list[Measured]] = {name: [] for name in CLIENTS}
    with server("--delay", str(delay)) as base_url:
        for _ in range(times):
            for name, client in CLIENTS.items():
                sent = count // SLOW if name.startswith("AsyncOpenAI") else count
                found[name].append(asyncio.run(measure(client, base_url, sent, concurrency)))
    print(f"{count} requests, {concurrency} at once, {delay * 1000:.0f} ms server; load {load()}")
    print(f"{'client':<48}{'requests/s':>11}{'ratio':>7}{'CPU s/1,000':>13}{'ratio':>7}")
    rates = {name: max(each.rate for each in runs) for name, runs in found.items()}
    cpus = {name: median(each.cpu for each in runs) for name, runs in found.items()}
    for name, rate in rates.items():
        ratios = rate / rates["raw aiohttp"], cpus[name] / cpus["raw aiohttp"]
        print(f"{name:<48}{rate:>11,.0f}{ratios[0]:>7.2f}{cpus[name]:>13.3f}{ratios[1]:>7.2f}")


REFUSALS = {
    "none": (),
    "5 % answered 429": ("--refuse", "0.05", "--status", "429"),
    "30 % answered 500": ("--refuse", "0.3", "--status", "500"),
}


def disturb(count: int, delay: float, concurrency: int) -> None:
    print(f"\n{'refusals (all requests are answered in the end)':<48}{'seconds':>11}{'ratio':>7}")
    undisturbed = 0.0
    for name, arguments in REFUSALS.items():
        with server("--delay", str(delay), *arguments) as base_url:
            took = asyncio.run(measure(lean, base_url, count, concurrency)).seconds
        undisturbed = undisturbed or took
        print(f"{name:<48}{took:>11.1f}{took / undisturbed:>7.2f}")


def load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--concurrency", type=int, default=256)
    given = parser.parse_args()
    os.environ["FORCE_COLOR"] = "1"  # the bar draws, although its output is thrown away
    compare(given.requests, given.times, given.delay, given.concurrency)
    disturb(2 * given.requests, given.delay, min(given.concurrency, 64))


if __name__ == "__main__":
    main()
