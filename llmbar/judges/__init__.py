"""Judges: whatever answers requests.

The seam is one awaitable method. What is done *around* an answer (retrying, storing, sharing identical requests) is a
judge that wraps a judge. One file per backend, imported when a judge of its kind is opened:

    async with open_judge("openai/gpt-4o", store=store) as judge:
        response = await judge.answer(request)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from llmbar.errors import JudgeError, suggestion

if TYPE_CHECKING:
    from llmbar.records import Request, Response
    from llmbar.store import Store


class Judge(Protocol):
    """Whatever answers requests.

    A failure is a `Response` with `failure` set, never an exception; a `JudgeError` is raised only where no request of
    this judge can ever be answered: a wrong key, no such model.
    """

    name: str

    async def answer(self, request: Request) -> Response: ...


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """How to reach a judge; a backend refuses what it has no use for."""

    base_urls: tuple[str, ...] = ()
    args: dict[str, str] = field(default_factory=dict)
    """`-M key=value`, as typed."""
    concurrency: int = 256
    """Requests in flight at most."""
    rpm: int | None = None
    tpm: int | None = None
    timeout: float = 600.0
    """Seconds for one attempt."""
    deadline: float = 1800.0
    """Seconds for one request with all its retries."""
    seed: int = 0


Opener = Callable[[str, str, JudgeOptions, "Store | None"], AbstractAsyncContextManager[Judge]]
"""A backend's `open_(name, model, options, store)`: `name` as typed, `model` what follows the first slash."""

BACKENDS = {
    "baseline": "llmbar.judges.baseline",
    "simulated": "llmbar.judges.simulated",
    "recorded": "llmbar.judges.recorded",
    "openai": "llmbar.judges.endpoint",
    "azure": "llmbar.judges.endpoint",
    "anthropic": "llmbar.judges.endpoint",
    "google": "llmbar.judges.endpoint",
    "openrouter": "llmbar.judges.endpoint",
    "together": "llmbar.judges.endpoint",
    "groq": "llmbar.judges.endpoint",
    "mistral": "llmbar.judges.endpoint",
    "deepseek": "llmbar.judges.endpoint",
    "ollama": "llmbar.judges.endpoint",
    "openai-api": "llmbar.judges.endpoint",
    "vllm": "llmbar.judges.vllm",
    "reward": "llmbar.judges.reward",
}


@asynccontextmanager
async def open_judge(
    name: str, options: JudgeOptions | None = None, *, store: Store | None = None
) -> AsyncIterator[Judge]:
    """Open the judge called `name`, such as `openai/gpt-4o`; its connections close with the context.

    Raises:
        JudgeError: no such kind of judge, a missing key, or an option that the kind does not take.
    """
    kind, model = parts_of(name)
    open_: Opener = import_module(BACKENDS[kind]).open_
    async with open_(name, model, options or JudgeOptions(), store) as judge:
        yield judge


def parts_of(name: str) -> tuple[str, str]:
    """Kind and model of a judge's name.

    Raises:
        JudgeError: no such kind, or no model behind it.

    >>> parts_of("vllm/Qwen/Qwen3-8B")
    ('vllm', 'Qwen/Qwen3-8B')
    """
    kind, _, model = name.partition("/")
    if kind not in BACKENDS:
        raise JudgeError(f"no kind of judge is called {kind!r}", field="model", remedy=suggestion(kind, BACKENDS))
    if not model:
        raise JudgeError(f"{name!r} names no model", field="model", remedy=f"write {kind}/<model>")
    return kind, model
