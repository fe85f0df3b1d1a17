"""Models served by vLLM: `vllm/MODEL` starts `vllm serve MODEL`, or attaches with --base-url (or VLLM_BASE_URL).

    -M tensor_parallel_size=2 -M max_model_len=8192    arguments of a server that is started: any that `vllm serve` has
    -M chat_template_kwargs='{"enable_thinking": false}' -M top_k=20    fields of every request (`REQUEST_FIELDS`)

A server that llmbar starts is its own: it listens on this machine only, ends with llmbar however that ends (`keeper`),
is started again once if it dies, and its log is shown until it is ready. Several samples of one place are several
requests, so that each is stored and retried by itself: the prefix cache serves their prompt, and with a seed each has a
seed of its own (seed + sample).

    server      the process: start, readiness, what went wrong, end
    keeper      a small program between us and the server, which ends it with us
    orphans     servers whose keeper was killed
    api         what vLLM offers beside chat completions
    labels      the probabilities of labels
    facts       version, rendering, hit rate of the prefix cache
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmbar.errors import JudgeError
from llmbar.judges.endpoint import extra_body, open_endpoint
from llmbar.judges.presets import PRESETS, find_target
from llmbar.judges.vllm.facts import Onlooker
from llmbar.judges.vllm.labels import LabelEndpoint
from llmbar.judges.vllm.server import LONGEST_START, serving
from llmbar.records import FailureKind, digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import aiohttp

    from llmbar.judges import JudgeOptions
    from llmbar.judges.adapting import Adaptations
    from llmbar.judges.presets import Target
    from llmbar.judges.retrying import Attempt, Attempting
    from llmbar.judges.stored import Stored
    from llmbar.judges.vllm.server import Server
    from llmbar.records import Request
    from llmbar.store import Store

    AskAt = Callable[[Target, aiohttp.ClientSession, Adaptations], Attempting]

REQUEST_FIELDS = frozenset({"chat_template_kwargs", "include_reasoning", "thinking_token_budget"})
REQUEST_FIELDS |= {"top_k", "min_p", "min_tokens", "bad_words", "ignore_eos", "stop_token_ids", "allowed_token_ids"}
REQUEST_FIELDS |= {"frequency_penalty", "presence_penalty", "repetition_penalty", "priority", "cache_salt"}
"""What `-M` says to every request, where the server is our own; all else it says to the server."""
SERVER_ONLY = frozenset({"tensor_parallel_size", "max_model_len", "quantization", "dtype", "enforce_eager"})
SERVER_ONLY |= {"gpu_memory_utilization", "revision", "port"}
"""What a server that runs already can no longer be told."""


@asynccontextmanager
async def open_(name: str, model: str, options: JudgeOptions, store: Store | None) -> AsyncIterator[Stored]:
    """Open a model served by vLLM, with retries around it and the store around both.

    Raises:
        JudgeError: no vLLM, no usable address, or a server that does not come up.
    """
    async with open_server(name, model, options, store, endpoint=LabelEndpoint) as judge:
        yield judge


@asynccontextmanager
async def open_server(
    name: str,
    model: str,
    options: JudgeOptions,
    store: Store | None,
    *,
    endpoint: AskAt,
    start: Mapping[str, str] | None = None,
) -> AsyncIterator[Stored]:
    """Attach to the server at the address given, or start one, told `start` besides what the user says."""
    if options.base_urls or os.environ.get(PRESETS["vllm"].base_url_variable):
        for key in sorted(SERVER_ONLY & options.args.keys()):
            message = "is for a server that llmbar starts, and this one runs already"
            raise JudgeError(message, field=f"-M {key}", remedy="leave it or --base-url out")
        targets = _targets(name, model, options.base_urls or (None,), options.args)
        async with _observed(targets, {}, options, store, endpoint=endpoint) as judge:
            yield judge
        return
    told, said = split(options.args)
    told = {**(start or {}), **told}
    known_as = f"vllm {model} {digest([told, said, stamp(model)])[:16]}"
    patience = max(options.deadline, LONGEST_START)
    async with serving(model, told, show=show, seconds=patience) as server, _kept_up(server, patience):
        server.be_quiet()
        targets = _targets(name, model, (server.base_url,), said)
        ask = _asking(server, endpoint)
        async with _observed(targets, server.engine, options, store, known_as=known_as, endpoint=ask) as judge:
            yield judge


def split(args: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What `-M` says to the server, and what to every request.

    >>> split({"max_model_len": "8192", "top_k": "20"})
    ({'max_model_len': '8192'}, {'top_k': '20'})
    """
    said = {key: value for key, value in args.items() if key in REQUEST_FIELDS}
    return {key: value for key, value in args.items() if key not in said}, said


def stamp(model: str) -> str:
    """Tells one content of a model's folder from another; empty where the model is a name."""
    folder = Path(model)
    if not folder.is_dir():
        return ""
    files = sorted((file.name, file.stat()) for file in folder.iterdir() if file.is_file())
    return digest([(name, stat.st_size, stat.st_mtime_ns) for name, stat in files])


def show(line: str) -> None:
    """A line of a server's log, on standard error."""
    print(f"vllm | {line}", file=sys.stderr, flush=True)  # noqa: T201 - what is waited for should be seen


def _targets(name: str, model: str, addresses: tuple[str | None, ...], args: Mapping[str, str]) -> list[Target]:
    """The model at each address; a reward model is reached as any other of vLLM's."""
    extra = extra_body(args)
    return [replace(find_target(f"vllm/{model}", model, address, extra), name=name) for address in addresses]


@asynccontextmanager
async def _observed(
    targets: list[Target],
    engine: Mapping[str, str],
    options: JudgeOptions,
    store: Store | None,
    *,
    endpoint: AskAt,
    known_as: str | None = None,
) -> AsyncIterator[Stored]:
    """A judge that knows what it runs on."""
    onlooker = Onlooker(targets, {key: value for key, value in engine.items() if value != "None"})
    await onlooker.begin()
    async with open_endpoint(targets, options, store, known_as=known_as, endpoint=endpoint) as judge:
        judge.facts, judge.look = onlooker.facts, onlooker.look
        yield judge


def _asking(server: Server, endpoint: AskAt) -> AskAt:
    return lambda target, session, adaptations: OurServer(endpoint(target, session, adaptations), server)


class OurServer:
    """Asks at a server of our own; once that is gone for good it says so, instead of trying until the deadline."""

    def __init__(self, endpoint: Attempting, server: Server) -> None:
        self.name = endpoint.name
        self._endpoint = endpoint
        self._server = server

    async def attempt(self, request: Request, seconds: float) -> Attempt:
        attempt = await self._endpoint.attempt(request, seconds)
        if self._server.gone and attempt.kind is FailureKind.CONNECTION:
            raise JudgeError(f"{self.name}: {self._server.gone}", remedy="see its log above; run again to go on")
        return attempt


@asynccontextmanager
async def _kept_up(server: Server, seconds: float) -> AsyncIterator[None]:
    """Start the server once more if it ends by itself."""
    watching = asyncio.create_task(_start_again(server, seconds))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _start_again(server: Server, seconds: float) -> None:
    show(f"the server ended: {await server.ended()}; it is started again")
    try:
        await server.start(seconds)
        server.gone = f"the server ended twice: {await server.ended()}"
    except JudgeError as error:
        server.gone = f"the server ended and did not come up again: {error.message}"
