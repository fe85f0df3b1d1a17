"""Servers for the tests in this folder, and what runs on this machine because of them."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from llmbar.judges.vllm.server import serving

SMALL = {
    "max_model_len": "4096",
    "dtype": "float32",
    "enforce_eager": "true",
    "kv_cache_memory_bytes": "128M",
    "block_size": "32",
}
"""Arguments under which a server starts in seconds and takes 1.5 GB."""
START = 240.0
"""Seconds that a server may take, on a machine that does other things, too."""


@contextmanager
def server_in_thread(model, args):
    """A server in a thread with an event loop of its own."""
    loop, end, found = asyncio.new_event_loop(), asyncio.Event(), Future()

    async def serve():
        try:
            async with serving(str(model), args, show=lambda _: None, seconds=START) as started:
                found.set_result(started)
                await end.wait()
        except BaseException as error:
            if found.done():
                raise
            found.set_exception(error)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield found.result(START + 60)
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


def processes(command="", session=None):
    """The command lines of running processes that hold `command`, of one session or of all."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
        if (
            command in line
            and session in (None, int(fields[3]))
            and fields[0] != "Z"
            and int(folder.name) != os.getpid()
        ):
            found.append(line)
    return found
