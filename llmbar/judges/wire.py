"""Chat completions as they travel: a request becomes a JSON body, and what comes back becomes an `Attempt`.

Pure functions: nothing here knows a socket. This is the one boundary at which foreign data is typed and checked, and
every way in which an endpoint can refuse is classified:

    the reply                                    what becomes of it
    200 with a choice                            a response
    400 content filter, 403 flagged input        a response without text, finish reason `content_filter`
    400 too long, 413                            failure CONTEXT_LENGTH, final
    no log-probabilities where they were asked   failure UNSUPPORTED, final
    other 4xx                                    failure BAD_REQUEST, final
    429, 5xx, 408, 409, 425                      failure RATE_LIMIT, SERVER, TIMEOUT: asked again until the deadline
    not JSON, no choice                          failure PROTOCOL, asked three times
    401, 402, 403, 404, 405, 3xx, no quota       JudgeError: every other request would meet the same

A refusal that names something a request can do without is heeded before it comes here (`adapting`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import inf
from time import time
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from llmbar.errors import JudgeError
from llmbar.judges.logprobs import Token, label_logprobs
from llmbar.judges.retrying import Attempt
from llmbar.records import FailureKind, Response, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmbar.judges.presets import Target
    from llmbar.records import Constraint, Request

PROTOCOL_TRIES = 3
"""How often something that is no chat completion is taken for an accident."""


def unsupported(constraint: Constraint | None, target: Target) -> str | None:
    """Why the endpoint cannot hold a reply to this constraint; None where it can."""
    if constraint is None:
        return None
    if constraint.kind == "choice":
        return None if target.preset.choice else f"{target.name} cannot hold a reply to a choice"
    return None if target.preset.top_logprobs else f"{target.name} does not tell the probabilities of labels"


def body(request: Request, target: Target) -> dict[str, Any]:
    """The JSON body of a request; what is None is not sent."""
    sent: dict[str, Any] = {
        "model": target.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        **_sampled(request.sampling.canonical),
        **target.extra,
    }
    if (constraint := request.constraint) is not None:
        sent |= _constrained(constraint, sent, target)
    if request.sampling.seed is not None:
        sent["seed"] = request.sampling.seed + request.sample  # a seeded reply repeats: each sample needs its own
    names = target.preset.completion_tokens
    if "max_tokens" in sent and names is not None and names.match(target.model):
        sent["max_completion_tokens"] = sent.pop("max_tokens")
    return sent


@lru_cache(maxsize=256)
def _sampled(canonical: str) -> dict[str, Any]:
    sampled: dict[str, Any] = json.loads(canonical)
    return sampled


def _constrained(constraint: Constraint, sent: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """What holds a reply to its constraint; for log-probabilities the reply must be as long as the longest label."""
    if constraint.kind == "choice":
        return {"structured_outputs": {"choice": list(constraint.labels)}}
    enough = max(map(len, constraint.labels)) + 1
    tokens = max(enough, sent.get("max_tokens", 0))
    return {"logprobs": True, "top_logprobs": target.preset.top_logprobs, "max_tokens": tokens}


def encoded(sent: Mapping[str, Any]) -> bytes:
    """A body as JSON; text that UTF-8 cannot hold, such as half a surrogate pair, travels escaped."""
    try:
        return to_json(sent)
    except (PydanticSerializationError, UnicodeEncodeError):
        return json.dumps(sent, separators=(",", ":")).encode("ascii")


class _Part(BaseModel):
    """A piece of a message, where the content is a list of them: text, or thoughts that are pieces themselves."""

    text: str = ""
    thinking: list[_Part] = []


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None

    @property
    def said(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""

    @property
    def thought(self) -> str:
        pieces = self.content if isinstance(self.content, list) else []
        inside = "".join(thought.text for part in pieces for thought in part.thinking)
        return self.reasoning or self.reasoning_content or inside


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None


class _PromptDetails(BaseModel):
    cached_tokens: int | None = None


class _CompletionDetails(BaseModel):
    reasoning_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None

    @property
    def record(self) -> Usage:
        """Some providers leave reasoning out of the completion and count it only in the total: it is added here."""
        prompt, completion = self.prompt_tokens or 0, self.completion_tokens or 0
        hidden = max(0, (self.total_tokens or 0) - prompt - completion)
        cached, reasoning = self.prompt_tokens_details, self.completion_tokens_details
        return Usage(
            prompt_tokens=prompt,
            cached_tokens=(cached and cached.cached_tokens) or self.prompt_cache_hit_tokens or 0,
            completion_tokens=completion + hidden,
            reasoning_tokens=(reasoning and reasoning.reasoning_tokens) or hidden,
        )


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: _Usage | None = None


def read(
    status: int, headers: Mapping[str, str], raw: bytes, *, request: Request, target: Target, latency: float
) -> Attempt:
    """What came back for `request`, `latency` seconds after it was sent.

    Raises:
        JudgeError: no request of this judge will ever be answered.
    """
    if status != 200:
        return _read_complaint(status, headers, raw, request=request, target=target, latency=latency)
    try:
        completion = _Completion.model_validate_json(raw)
    except ValidationError as error:
        if _error_inside(raw):
            return _read_complaint(_status_inside(raw), headers, raw, request=request, target=target, latency=latency)
        message = f"not a chat completion: {target.quote(_first(error))}"
        return Attempt.failed(FailureKind.PROTOCOL, message, tries=PROTOCOL_TRIES, latency=latency)
    if completion.choices[0].finish_reason == "error":
        return _read_complaint(_status_inside(raw), headers, raw, request=request, target=target, latency=latency)
    response = _response(completion, latency)
    if request.constraint is None:
        return Attempt(response)
    if request.constraint.kind == "choice":
        return _held(response, request.constraint, target)
    return _weighed(response, completion.choices[0].logprobs, request.constraint, target)


def _first(error: ValidationError) -> str:
    what = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, what['loc']))} {what['msg']}"


def _response(completion: _Completion, latency: float) -> Response:
    choice = completion.choices[0]
    message = choice.message
    text = message.said
    refused = message.refusal and not text
    return Response(
        text=text or message.refusal or "",
        reasoning=message.thought,
        finish_reason="refusal" if refused else choice.finish_reason or "",
        usage=completion.usage.record if completion.usage else Usage(),
        latency=latency,
        model=completion.model or "",
    )


def _held(response: Response, constraint: Constraint, target: Target) -> Attempt:
    """A reply that should be one of the choices, and is, or was cut off before it could be."""
    if response.text.strip() in constraint.labels or response.finish_reason == "length":
        return Attempt(response)
    reply, choices = target.quote(response.text)[:40], ", ".join(constraint.labels)
    message = f"{reply!r} is none of the choices {choices}: the server ignores structured_outputs"
    return Attempt.failed(FailureKind.PROTOCOL, message, latency=response.latency)


def _weighed(response: Response, told: object, constraint: Constraint, target: Target) -> Attempt:
    """A reply that should come with log-probabilities: those of the labels are read from its first tokens."""
    content = _mapping(told).get("content")
    if not content:
        if not response.text or response.finish_reason in {"refusal", "content_filter"}:
            return Attempt(response)
        message = f"{target.name} does not tell log-probabilities: the reply came without them"
        return Attempt.failed(FailureKind.UNSUPPORTED, message, latency=response.latency)
    try:
        found = label_logprobs(_tokens(content), constraint.labels)
    except (TypeError, KeyError, ValueError) as error:
        message = f"not log-probabilities: {target.quote(repr(error))}"
        return Attempt.failed(FailureKind.PROTOCOL, message, tries=PROTOCOL_TRIES, latency=response.latency)
    return Attempt(response.model_copy(update={"label_logprobs": found}))


def _tokens(content: Any) -> list[Token]:
    """The tokens of a reply as OpenAI tells them."""
    return [
        Token(
            told["token"],
            float(told["logprob"]),
            [(top["token"], float(top["logprob"])) for top in told["top_logprobs"]],
        )
        for told in content
    ]


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an endpoint says when it refuses, whichever of the usual shapes it has."""

    message: str
    code: str
    param: str
    flagged: bool
    """The input was moderated, not the key refused."""

    @property
    def too_long(self) -> bool:
        told = self.code == "context_length_exceeded" or self.param == "input_tokens"
        return told or TOO_LONG.search(self.message) is not None


FILTERED = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
NO_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
TELLING = FILTERED | NO_QUOTA | {"model_not_found", "context_length_exceeded"}
"""The codes that say more than the status."""
TOO_LONG = re.compile(
    r"context[ _](length|window|size)|prompt is too long|input is too long|too many (input )?tokens"
    r"|input token count .* exceeds|maximum (input|prompt|sequence) length",
    re.IGNORECASE,
)
NO_MODEL = re.compile(r"not a valid model|\bmodel \S+ (not found|does not exist)", re.IGNORECASE)


def _read_complaint(
    status: int, headers: Mapping[str, str], raw: bytes, *, request: Request, target: Target, latency: float
) -> Attempt:
    complaint = complaint_in(raw, target)
    if complaint.code in FILTERED or complaint.flagged:
        return Attempt(Response(finish_reason="content_filter", latency=latency))
    if status in {400, 403, 422} and _refuses_logprobs(complaint, request):
        return Attempt.failed(FailureKind.UNSUPPORTED, f"HTTP {status}: {complaint.message}", latency=latency)
    if status < 400 or status in {401, 402, 403, 404, 405} or complaint.code in NO_QUOTA | {"model_not_found"}:
        _refuse(status, complaint, target)
    if status == 400 and NO_MODEL.search(complaint.message):
        _refuse(404, complaint, target)
    kind = _kind(status, complaint)
    passing = kind in {FailureKind.RATE_LIMIT, FailureKind.SERVER, FailureKind.TIMEOUT}
    return Attempt.failed(
        kind,
        f"HTTP {status}: {complaint.message}",
        tries=inf if passing else 1,
        retry_after=seconds_to_wait(headers),
        latency=latency,
    )


def _refuses_logprobs(complaint: Complaint, request: Request) -> bool:
    asked = request.constraint is not None and request.constraint.kind == "logprobs"
    return asked and "logprob" in complaint.message.lower() + complaint.param


def _kind(status: int, complaint: Complaint) -> FailureKind:
    if status == 429:
        return FailureKind.RATE_LIMIT
    if status == 408:
        return FailureKind.TIMEOUT
    if status >= 500 or status in {409, 425}:
        return FailureKind.SERVER
    return FailureKind.CONTEXT_LENGTH if status == 413 or complaint.too_long else FailureKind.BAD_REQUEST


def _refuse(status: int, complaint: Complaint, target: Target) -> NoReturn:
    """Raise what no retry and no other request can mend."""
    variable, where = target.preset.key_variable, target.public_base
    if status == 401:  # what the server says is left out: it likes to quote the key
        raise JudgeError(f"{target.name}: {where} refuses the key (HTTP 401)", remedy=f"check {variable}")
    said = f"{complaint.message} (HTTP {status})"
    if status == 403:
        raise JudgeError(f"{target.name}: {where} denies access: {said}", remedy=f"check what {variable} may use")
    if status == 402 or complaint.code in NO_QUOTA:
        raise JudgeError(f"{target.name}: the account is out of credit: {said}", remedy="top it up and run again")
    if status < 400:
        raise JudgeError(f"{target.name}: {where} sends us elsewhere (HTTP {status})", remedy="check --base-url")
    raise JudgeError(f"{target.name}: {where} has no such model: {said}", remedy="check the name and --base-url")


def complaint_in(raw: bytes, target: Target) -> Complaint:
    """What a refusal says."""
    told = _error_inside(raw) or json_object(raw) or {"message": raw.decode("utf-8", "replace")}
    inner, metadata = _mapping(told.get("innererror")), _mapping(told.get("metadata"))
    codes = {str(value).lower() for value in (told.get("code"), told.get("type"), inner.get("code")) if value}
    text = told.get("message") or told.get("detail") or "no reason given"
    return Complaint(
        message=target.quote(text if isinstance(text, str) else json.dumps(text)),
        code=min(codes & TELLING, default=""),
        param=str(told.get("param") or ""),
        flagged="flagged_input" in metadata,
    )


def _error_inside(raw: bytes) -> dict[str, Any]:
    """The error object of a reply, its own or its first choice's; empty where there is none."""
    value = json_object(raw)
    choices = value.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    error = value.get("error") or choice.get("error")
    return {"message": error} if isinstance(error, str) else _mapping(error)


def _status_inside(raw: bytes) -> int:
    """The status of an error that came with HTTP 200, as from routers whose provider failed half-way."""
    code = _error_inside(raw).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 502


def json_object(raw: bytes) -> dict[str, Any]:
    """The object in a reply, or the first of a list: one provider sends its errors so."""
    try:
        value = from_json(raw)
    except ValueError:
        return {}
    return _mapping(value[0] if isinstance(value, list) and value else value)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """What Retry-After asks for, as seconds from now, said in milliseconds, in seconds or as a date.

    >>> seconds_to_wait({"Retry-After": "1.5"})
    1.5
    """
    for header, unit in (("Retry-After-Ms", 0.001), ("Retry-After", 1.0)):
        try:
            seconds = float(headers.get(header, "")) * unit
        except ValueError:
            continue
        return seconds if 0 <= seconds < inf else None
    try:
        return max(0.0, parsedate_to_datetime(headers.get("Retry-After", "")).timestamp() - time())
    except ValueError:
        return None
