"""The probabilities of labels, robust to tokenizers that split them.

A label such as `Output (a)` is several tokens, of which both labels share the first ones. So the server is asked how it
tokenizes each label behind the rendered prompt; their longest common start is sent as the start of the reply; and the
log-probabilities of the two tokens at which they part are read in one forward pass, from the whole vocabulary
(`logprob_token_ids`). Where one label is the start of the other ("1" and "10"), the token that ends a turn stands for
having said no more.

    prompt … <assistant> Output (  →  a: log p(a | …)
                                      b: log p(b | …)      the sum of both is the mass that a reader checks

The values are conditional on the common start, and not touched by temperature, penalties or masks. A server that is
asked for `top_logprobs` at the same time corrupts those rows on some of its runners: nothing here ever asks for them,
and what looks like it is a failure, not a number.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from llmbar.judges import wire
from llmbar.judges.adapting import REFUSALS
from llmbar.judges.retrying import Attempt
from llmbar.judges.vllm.api import Refused, ServerUsage, VllmEndpoint
from llmbar.records import FailureKind, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import aiohttp

    from llmbar.judges.adapting import Adaptations
    from llmbar.judges.presets import Target
    from llmbar.records import Request

Ids = list[int]

TAIL = 8
"""So many tokens at the end of a prompt decide how what follows is tokenized."""
IMPOSSIBLE = -9999.0
"""What the server writes for minus infinity, and in rows that it corrupted."""


class Tokens(BaseModel):
    tokens: Ids


class Text(BaseModel):
    prompt: str


class Logprobs(BaseModel):
    top_logprobs: list[dict[str, float]] = Field(min_length=1)


class Choice(BaseModel):
    text: str = ""
    finish_reason: str | None = None
    logprobs: Logprobs


class Completion(BaseModel):
    choices: list[Choice] = Field(min_length=1)
    model: str = ""
    usage: ServerUsage = ServerUsage()


class Fork(BaseModel):
    """Where labels part: the tokens that they share, and for each label the token behind."""

    shared: Ids
    tokens: dict[str, int]


class LabelEndpoint(VllmEndpoint):
    """Chat completions as everywhere, and the probabilities of labels as only vLLM tells them."""

    def __init__(self, target: Target, session: aiohttp.ClientSession, adaptations: Adaptations | None = None) -> None:
        super().__init__(target, session, adaptations)
        self._forks: dict[tuple[tuple[int, ...], tuple[str, ...]], Fork] = {}

    def _cannot(self, request: Request) -> str | None:
        return None if _labels(request) else super()._cannot(request)

    async def _ask(self, request: Request, seconds: float) -> Attempt:
        if not (labels := _labels(request)):
            return await super()._ask(request, seconds)
        started = perf_counter()
        try:
            prompt, notes = await self._render(request, seconds)
            fork = await self._fork(prompt, labels, request, seconds)
            told = await self.fetch(Completion, "v1/completions", self._question(prompt, fork), request, seconds)
        except Refused as refused:
            return refused.attempt
        attempt = weighed(told, fork, perf_counter() - started)
        return attempt.adapted(notes) if notes else attempt

    def _question(self, prompt: Ids, fork: Fork) -> dict[str, object]:
        return {
            **{key: value for key, value in self._target.extra.items() if key not in self.rendering},
            "prompt": prompt + fork.shared,
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": 1,
            "logprob_token_ids": list(fork.tokens.values()),
            "return_tokens_as_token_ids": True,
        }

    async def _render(self, request: Request, seconds: float) -> tuple[Ids, tuple[str, ...]]:
        """The tokens of the prompt up to where the reply begins, and what the server would not take of it."""
        messages = wire.body(request, self._target)["messages"]
        while True:
            asked, notes = self._adaptations.shaped({"messages": messages})
            body = {**asked, **self.rendering, "add_generation_prompt": True}
            status, headers, raw = await self.send("tokenize", body, seconds)
            if status == 200:
                return self.parsed(Tokens, raw).tokens, notes
            if not (status in REFUSALS and self._heeds(status, raw, asked)):
                raise self.refusal(status, headers, raw, request)

    async def _fork(self, prompt: Ids, labels: tuple[str, ...], request: Request, seconds: float) -> Fork:
        """Where the labels part behind this prompt; asked once for all prompts that end alike."""
        tail = prompt[-TAIL:]
        key = (tuple(tail), labels)
        if key not in self._forks:
            text = (await self.fetch(Text, "detokenize", {"tokens": tail}, request, seconds)).prompt
            ids = [await self._behind(tail, text, label, request, seconds) for label in labels]
            if len(common(ids)) in map(len, ids):
                ends = [await self._end_of_turn(label, request, seconds) for label in labels]
                ids = [own + end for own, end in zip(ids, ends, strict=True)]
            self._forks[key] = fork_of(dict(zip(labels, ids, strict=True)))
        return self._forks[key]

    async def _behind(self, tail: Ids, text: str, label: str, request: Request, seconds: float) -> Ids:
        """The tokens of a label behind the tail of a prompt; alone, where the two would melt into one another."""
        together = await self._tokenize({"prompt": text + label, "add_special_tokens": False}, request, seconds)
        if together[: len(tail)] == tail:
            return together[len(tail) :]
        return await self._tokenize({"prompt": label, "add_special_tokens": False}, request, seconds)

    async def _end_of_turn(self, label: str, request: Request, seconds: float) -> Ids:
        """The token with which the chat template ends what an assistant said; none where it writes none."""
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": label}]
        body = {"messages": turns, **self.rendering, "add_generation_prompt": False}
        closed = await self._tokenize(body, request, seconds)
        unfinished = await self._tokenize({**body, "continue_final_message": True}, request, seconds)
        return closed[len(unfinished) :][:1] if closed[: len(unfinished)] == unfinished else []

    async def _tokenize(self, body: Mapping[str, object], request: Request, seconds: float) -> Ids:
        return (await self.fetch(Tokens, "tokenize", body, request, seconds)).tokens


def _labels(request: Request) -> tuple[str, ...]:
    """The labels whose probabilities are wanted; empty where none are."""
    constraint = request.constraint
    return constraint.labels if constraint is not None and constraint.kind == "logprobs" else ()


def fork_of(ids: Mapping[str, Sequence[int]]) -> Fork:
    """Where the labels part, from the tokens of each.

    Raises:
        Refused: one label's tokens are the start of another's.

    >>> fork_of({"Output (a)": [5, 6, 1, 9], "Output (b)": [5, 6, 2, 9]})
    Fork(shared=[5, 6], tokens={'Output (a)': 1, 'Output (b)': 2})
    """
    shared = common(ids.values())
    tokens = {label: own[len(shared)] for label, own in ids.items() if len(own) > len(shared)}
    if len({*tokens.values()}) < len(ids):
        message = f"the model's tokens do not tell apart {' and '.join(map(repr, ids))} at one place"
        raise Refused(Attempt.failed(FailureKind.UNSUPPORTED, message))
    return Fork(shared=shared, tokens=tokens)


def common(ids: Iterable[Sequence[int]]) -> Ids:
    """The longest start that all share.

    >>> common([[5, 6, 1], [5, 6]])
    [5, 6]
    """
    shared = []
    for tokens in zip(*ids, strict=False):
        if len({*tokens}) > 1:
            break
        shared.append(tokens[0])
    return shared


def weighed(told: Completion, fork: Fork, latency: float) -> Attempt:
    """The log-probability of every label; the text is what the model would have said at that place."""
    choice = told.choices[0]
    found = {label: choice.logprobs.top_logprobs[0].get(f"token_id:{token}") for label, token in fork.tokens.items()}
    known = {label: logprob for label, logprob in found.items() if logprob is not None and logprob > IMPOSSIBLE}
    if len(known) < len(found):
        message = "the server does not tell the probabilities of given tokens (logprob_token_ids)"
        if None not in found.values():
            message = "the server told no probabilities: was it asked for top_logprobs at the same time?"
        return Attempt.failed(FailureKind.PROTOCOL, message, tries=wire.PROTOCOL_TRIES, latency=latency)
    response = Response(
        text=choice.text,
        finish_reason=choice.finish_reason or "",
        label_logprobs=known,
        usage=told.usage.record,
        latency=latency,
        model=told.model,
    )
    return Attempt(response)
