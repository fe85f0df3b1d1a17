"""A real HTTP server that speaks the chat-completions protocol, for tests and benchmarks.

It answers from a callable that is given the request's body, and keeps what it was asked. It listens on 127.0.0.1, on a
free port, in the test's own event loop or in a thread:

    async with serving(lambda body: "Output (a)") as server: ... server.base_url ...
    with serving_in_thread(lambda body: Reply("Output (a)", delay=0.05)) as server: ...

Run as a program it answers every request alike, but for a share that it refuses, and prints its base address, for load
from another process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Reply:
    """What the server sends: a completion with `text`, or whatever `payload` (JSON) or `raw` (bytes) says instead."""

    text: str | None = ""
    finish_reason: str = "stop"
    message: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the message, such as `reasoning`."""
    usage: Mapping[str, Any] = field(default_factory=lambda: {"prompt_tokens": 10, "completion_tokens": 5})
    payload: Any = None
    raw: bytes | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the reply."""
    cut: bool = False
    """Close the connection instead of replying."""
    cut_after: int | None = None
    """Close it after so many bytes of the body, of which all were promised."""

    def encoded(self, model: str) -> bytes:
        if self.raw is not None:
            return self.raw
        return json.dumps(self.payload if self.payload is not None else self.completion(model)).encode()

    def completion(self, model: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": self.text, "refusal": None, **self.message}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return {
            "id": "chatcmpl-test",
            "object": "chat.completion",
            "created": 1700000000,
            "model": model,
            "choices": [choice],
            "usage": {**self.usage, "total_tokens": sum(n for n in self.usage.values() if isinstance(n, int))},
        }


def error(status: int, message: str, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Reply:
    """An error as OpenAI words it; `fields` are `code`, `param`, `type` and the like."""
    complaint = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}
    return Reply(payload={"error": complaint}, status=status, headers=headers or {})


Answer = Callable[[dict[str, Any]], "Reply | str | Awaitable[Reply | str]"]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    """Found by name in any case."""
    url: str
    at: float
    """`time.monotonic()` at arrival."""


class OpenAIServer:
    """The server; `asked` holds what arrived, in order."""

    def __init__(self, answer: Answer, *, keep: bool = True) -> None:
        self.asked: list[Asked] = []
        self.base_url = ""
        self.most_at_once = 0
        """The most requests that were in work at the same time."""
        self._answer, self._keep, self._at_once = answer, keep, 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        if self._keep:
            self.asked.append(Asked(body, request.headers, str(request.url), time.monotonic()))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._reply(request, body)
        finally:
            self._at_once -= 1

    async def _reply(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        answer = self._answer(body)
        reply = answer if isinstance(answer, Reply | str) else await answer
        reply = Reply(reply) if isinstance(reply, str) else reply
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.cut and request.transport is not None:
            request.transport.close()
        headers = {"Content-Type": "application/json", **reply.headers}
        if reply.cut_after is not None and request.transport is not None:
            return await self._cut_short(request, reply, headers)
        return web.Response(body=reply.encoded(body.get("model", "")), status=reply.status, headers=headers)

    async def _cut_short(self, request: web.Request, reply: Reply, headers: dict[str, str]) -> web.StreamResponse:
        whole = reply.encoded("")
        response = web.StreamResponse(status=reply.status, headers={**headers, "Content-Length": str(len(whole))})
        await response.prepare(request)
        await response.write(whole[: reply.cut_after])
        if request.transport is not None:
            request.transport.close()
        return response


@asynccontextmanager
async def serving(answer: Answer, *, port: int = 0, keep: bool = True) -> AsyncIterator[OpenAIServer]:
    """Serve in the running event loop."""
    server = OpenAIServer(answer, keep=keep)
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/{prefix:.*}chat/completions", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def serving_in_thread(answer: Answer) -> Iterator[OpenAIServer]:
    """Serve in a thread with an event loop of its own, for tests that are not asynchronous."""
    loop, ready, found = asyncio.new_event_loop(), threading.Event(), []
    end = asyncio.Event()

    async def serve() -> None:
        async with serving(answer) as server:
            found.append(server)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        if not ready.wait(10):
            raise TimeoutError("the server did not start")
        yield found[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


async def _main() -> None:
    parser = argparse.ArgumentParser(description="Answer every chat completion alike.")
    parser.add_argument("--delay", type=float, default=0.05, help="seconds before each reply")
    parser.add_argument("--text", default="Output (a)", help="what every reply says")
    parser.add_argument("--refuse", type=float, default=0.0, help="the share of requests, at random, that is refused")
    parser.add_argument("--status", type=int, default=429, help="with this status")
    arguments = parser.parse_args()
    draw = random.Random(1)

    def answer(_: dict[str, Any]) -> Reply:
        if draw.random() < arguments.refuse:
            return error(arguments.status, "refused at random")
        return Reply(arguments.text, delay=arguments.delay)

    async with serving(answer, keep=False) as server:
        print(server.base_url, flush=True)  # noqa: T201 - the caller reads it
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
