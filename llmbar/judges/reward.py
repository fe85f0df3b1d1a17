"""Reward models and sequence classifiers: `reward/MODEL` scores a conversation.

Served by vLLM's pooling runner, which is started, or attached to with --base-url, as for `vllm/MODEL`. The conversation
is the strategy's: the strategy `reward` shows the instruction as the user's turn and the output as the assistant's, as
reward models are trained. The reward is the model's own number, without an activation (`use_activation: false`), so
differences between outputs keep their size. A model with several labels has no one reward and is refused.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from llmbar.errors import JudgeError
from llmbar.judges.retrying import Attempt
from llmbar.judges.vllm import open_server
from llmbar.judges.vllm.api import Refused, ServerUsage, VllmEndpoint
from llmbar.records import FailureKind, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmbar.judges import JudgeOptions
    from llmbar.judges.stored import Stored
    from llmbar.records import Request
    from llmbar.store import Store

POOLING = {"runner": "pooling"}
"""How the server is started."""


class Classified(BaseModel):
    probs: list[float] = Field(min_length=1)


class Classification(BaseModel):
    data: list[Classified] = Field(min_length=1)
    model: str = ""
    usage: ServerUsage = ServerUsage()


@asynccontextmanager
async def open_(name: str, model: str, options: JudgeOptions, store: Store | None) -> AsyncIterator[Stored]:
    """Open a reward model, with retries around it and the store around both.

    Raises:
        JudgeError: no vLLM, no usable address, or a server that does not come up.
    """
    async with open_server(name, model, options, store, endpoint=RewardEndpoint, start=POOLING) as judge:
        yield judge


class RewardEndpoint(VllmEndpoint):
    """A reward model, asked once."""

    def _cannot(self, request: Request) -> str | None:
        constrained = request.constraint is not None
        return f"{self.name} writes nothing: it scores, with the strategy reward" if constrained else None

    async def _ask(self, request: Request, seconds: float) -> Attempt:
        started = perf_counter()
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        if request.messages[-1].role != "assistant":
            message = f"{self.name} scores what an assistant said, and the prompt ends with another turn"
            return Attempt.failed(FailureKind.UNSUPPORTED, f"{message} (use the strategy reward)")
        body = {"messages": messages, "add_generation_prompt": False, "use_activation": False, **self._target.extra}
        try:
            told = await self.fetch(Classification, "classify", body, request, seconds)
        except Refused as refused:
            return refused.attempt
        return Attempt(self._response(told, perf_counter() - started))

    def _response(self, told: Classification, latency: float) -> Response:
        numbers = told.data[0].probs
        if len(numbers) > 1:
            raise JudgeError(f"{self.name} has {len(numbers)} labels, and a reward is one number")
        return Response(
            finish_reason="stop", reward=numbers[0], usage=told.usage.record, latency=latency, model=told.model
        )
