"""A `vllm serve` of our own: started on a free port of this machine, watched while it loads, ended however we end.

    async with serving("Qwen/Qwen3-8B", {"max_model_len": "8192"}, show=print) as server:
        server.base_url                     # "http://127.0.0.1:53211/v1"

The executable is the one that LLMBAR_VLLM names, else the one beside this Python, else the one on the PATH. Between us
and the server stands its `keeper`, which holds on to our end of a pipe: closing it, or dying, ends the server.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
from collections import deque
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import aiohttp

from llmbar.errors import JudgeError
from llmbar.judges.vllm import keeper
from llmbar.judges.vllm.orphans import end_orphans, new_note

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    Show = Callable[[str], None]

HOST = "127.0.0.1"
LONGEST_START = 1800.0
"""Seconds that a server may take to be ready: it may have to fetch its model first."""
POLL = 0.25
"""Seconds between two looks at whether a server is ready."""
KEPT_LINES = 2000
"""Of a server's log, the last ones."""
ALWAYS = ("--enable-prompt-tokens-details", "--disable-uvicorn-access-log")
"""So that it says how many tokens of a prompt its cache held, and its log stays readable."""
OURS = {"host": "llmbar serves on this machine only", "api_key": "set VLLM_API_KEY: a command line can be read by all"}
"""What cannot be passed to the server, and why."""
ENGINE = re.compile(r"\b(dtype|quantization|revision|tensor_parallel_size)=(?:torch\.)?'?([^,'\s]+)")


class Server:
    """One process, from its start to its end. `log` holds its last lines."""

    def __init__(self, model: str, args: Mapping[str, str], *, show: Show) -> None:
        self.model = model
        self.args = dict(args)
        self.port = int(self.args.pop("port", 0)) or free_port()
        self.log: deque[str] = deque(maxlen=KEPT_LINES)
        self.engine: dict[str, str] = {}
        """What its log says of the engine: dtype, quantization, revision, as they came to be."""
        self.gone = ""
        """Why it will not answer again; empty while it may."""
        self._show: Show | None = show
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}/v1"

    @property
    def command(self) -> list[str]:
        address = ["--host", HOST, "--port", str(self.port)]
        return [executable(), "serve", self.model, *address, *ALWAYS, *flags(self.args)]

    async def start(self, seconds: float) -> None:
        """Start it, and wait until it answers, `seconds` at most.

        Raises:
            JudgeError: it ended before it was ready (with the decisive line of its log), or took too long.
        """
        await asyncio.to_thread(end_orphans)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(Path(keeper.__file__)), str(new_note()), *self.command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=2**20,
        )
        self._pump = asyncio.create_task(self._read_log(self._process))
        until = monotonic() + seconds
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while not await self._ready(session):
                if self._process.returncode is not None:
                    await self._pump
                    raise JudgeError(f"vllm serve {self.model} ended: {decisive(self.log)}")
                if monotonic() > until:
                    message = f"vllm serve {self.model} was not ready after {seconds:.0f} s: {decisive(self.log)}"
                    raise JudgeError(message, remedy="allow more with --deadline")
                await asyncio.sleep(POLL)

    async def ended(self) -> str:
        """Wait until it ends by itself; the decisive line of its log."""
        if self._process and self._pump:
            await self._process.wait()
            await asyncio.shield(self._pump)
        return decisive(self.log)

    async def stop(self) -> None:
        """End it with all its children; returns once they are gone, an interrupt meanwhile notwithstanding."""
        ending = asyncio.ensure_future(self._end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise

    async def _end(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        await self._process.wait()
        if self._pump:
            await self._pump

    def be_quiet(self) -> None:
        """Show no more of the log."""
        self._show = None

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with session.get(f"http://{HOST}:{self.port}/health") as reply:
                return reply.status == 200
        return False

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while line := await _line(process.stdout):
            text = line.decode("utf-8", "replace").rstrip()
            self.log.append(text)
            if "Initializing a V1 LLM engine" in text:
                self.engine.update(ENGINE.findall(text))
            if self._show and text:
                self._show(text)


@asynccontextmanager
async def serving(
    model: str, args: Mapping[str, str], *, show: Show, seconds: float = LONGEST_START
) -> AsyncIterator[Server]:
    """A server that is ready; it ends with the context, and with this process, however that ends.

    Args:
        model: a name or folder, as `vllm serve` takes it.
        args: `key=value` → `--key value`; `true` and `false` switch a flag on and off.
        show: gets every line of the log, until the server is told to be quiet.
        seconds: how long it may take to be ready.

    Raises:
        JudgeError: there is no vLLM, an argument is not to be passed, or the server did not come up.
    """
    for key in sorted(OURS.keys() & {name.replace("-", "_") for name in args}):
        raise JudgeError("is not passed to the server", field=f"-M {key}", remedy=OURS[key])
    server = Server(model, args, show=show)
    try:
        await server.start(seconds)
        yield server
    finally:
        await server.stop()


def executable() -> str:
    """The `vllm` to run.

    Raises:
        JudgeError: there is none.
    """
    beside = Path(sys.executable).with_name("vllm")
    found = os.environ.get("LLMBAR_VLLM") or (str(beside) if beside.is_file() else shutil.which("vllm"))
    if not found or not shutil.which(found):
        told = f"{found} cannot be run" if found else "there is no vllm on this machine"
        remedy = "pip install vllm, let LLMBAR_VLLM name its executable, or give --base-url of a server"
        raise JudgeError(told, remedy=remedy)
    return found


def flags(args: Mapping[str, str]) -> list[str]:
    """`key=value` as `vllm serve` takes it.

    >>> flags({"max_model_len": "8192", "enforce_eager": "true", "enable_prefix_caching": "false"})
    ['--max-model-len', '8192', '--enforce-eager', '--no-enable-prefix-caching']
    """
    found: list[str] = []
    for key, value in args.items():
        flag = key.replace("_", "-")
        found += {"true": [f"--{flag}"], "false": [f"--no-{flag}"]}.get(value.lower(), [f"--{flag}", value])
    return found


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        return int(listening.getsockname()[1])


_ERROR = re.compile(r"(?:^|\] )(?:[A-Za-z_]\w*\.)*([A-Z]\w*(?:Error|Exception): .+)")
_USAGE = re.compile(r"^vllm(?: serve)?: error: (.+)")
SUMMED_UP = "Engine core initialization failed"
QUOTED = 400
"""Characters of a line that are repeated."""


def decisive(log: Iterable[str]) -> str:
    """The line of a log that says why a server did not come up.

    That is what the command line complains of, else the last error before vLLM sums up that its engine failed, else
    the last line. A pydantic error says what is wrong on the line behind.

    >>> decisive(["(EngineCore pid=7) ERROR [core.py:1] ValueError: no memory", f"RuntimeError: {SUMMED_UP}."])
    'ValueError: no memory'
    >>> decisive(["usage: vllm serve …", "vllm serve: error: unrecognized arguments: --x"])
    'unrecognized arguments: --x'
    """
    lines = [line for line in log if line.strip()]
    for line in reversed(lines):
        if complaint := _USAGE.search(line):
            return complaint[1]
    errors = [place for place, line in enumerate(lines) if _ERROR.search(line)]
    last = next((place for place in reversed(errors) if SUMMED_UP not in lines[place]), None)
    if last is None:
        return lines[-1].strip()[:QUOTED] if lines else "it said nothing"
    error = _ERROR.search(lines[last])
    text = error[1] if error else ""
    if "validation error" in text:
        text = lines[last + 1].strip().removeprefix("Value error, ")
    return text[:QUOTED]


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line; one that is too long is dropped."""
    while True:
        try:
            return await stream.readline()
        except ValueError:
            continue
