"""What can go wrong with an endpoint: how the server behaves, what a user sees of it, and what is kept.

One table, from which `test_faults.py` plays every case against a real server, and docs/faults.md is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from openai_server import Reply, error

from llmbar.records import Message, Request

Body = dict[str, Any]
Answer = Callable[[Body], Reply | str]

ASKING = Request((Message("system", "You judge."), Message("user", "Which is better?")))
TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
GONE = "server gone"
"""The one case that the server cannot play: the test takes it away, and brings it back."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    what: str
    answer: Callable[[], Answer]
    """Makes a server's behaviour, anew for each test."""
    outcome: Literal["answered", "failed", "stopped"]
    """A reply in the end; a failure, which the next run asks again; or an error that ends the run at once."""
    seen: str
    """What a user reads: the reply, the failure's kind and message, or the error; `…` stands for anything."""
    asked: int | None
    """How often the server is asked; None where the deadline decides."""
    finish_reason: str = "stop"
    adapted: str = ""
    """What the run says was sent otherwise; `…` stands for anything."""
    deadline: float = 10.0
    """Seconds, of one request with its retries."""
    timeout: float = 5.0
    """Seconds, of one attempt."""

    @property
    def kept(self) -> str:
        return KEPT[self.outcome]

    @property
    def times(self) -> str:
        """How often the server is asked, in words."""
        if self.asked is not None:
            return f"{self.asked} ×"
        return "until it answers" if self.outcome == "answered" else "until the deadline"

    @property
    def told(self) -> str:
        """What a user sees, in words."""
        if self.outcome != "answered":
            return f"“{self.seen}”"
        ended = f", finish reason `{self.finish_reason}`" if self.finish_reason != "stop" else ""
        adapted = f"; the run says “{self.adapted}”" if self.adapted else ""
        return (f"“{self.seen}”" if self.seen else "an empty reply") + ended + adapted


KEPT = {"answered": "the reply", "failed": "nothing: the next run asks again", "stopped": "all replies until then"}


def once(trouble: Reply) -> Callable[[], Answer]:
    """The first request meets trouble, the next ones do not."""
    return in_turn(trouble, Reply("Output (a)"))


def in_turn(*replies: Reply) -> Callable[[], Answer]:
    def make() -> Answer:
        numbers = count()
        return lambda _: replies[min(next(numbers), len(replies) - 1)]

    return make


def always(reply: Reply) -> Callable[[], Answer]:
    return lambda: lambda _: reply


def unless(wrong: Callable[[Body], bool], refusal: Reply) -> Callable[[], Answer]:
    """Requests in which something is `wrong` are refused."""
    return lambda: lambda body: refusal if wrong(body) else Reply("Output (a)")


def has_system(body: Body) -> bool:
    return any(turn["role"] == "system" for turn in body["messages"])


def has_temperature(body: Body) -> bool:
    return "temperature" in body


NO_TEMPERATURE = error(400, "Unsupported value: 'temperature' does not support 0 with this model.", param="temperature")
NO_SYSTEM = error(400, "System role not supported")
NO_MODEL = error(404, "The model `m` does not exist", code="model_not_found")
FILTERED = error(400, "The response was filtered", code="content_filter")
WAIT = {"Retry-After": "1"}

FAULTS = (
    Fault("429", once(error(429, "slow down")), "answered", "Output (a)", 2),
    Fault("429 with Retry-After", once(error(429, "slow down", headers=WAIT)), "answered", "Output (a)", 2),
    Fault(
        "429 until the deadline",
        always(error(429, "slow down")),
        *("failed", "rate limit: HTTP 429: slow down (… attempts in … s)", None),
        deadline=1.5,
    ),
    Fault(
        "429, and no quota left",
        always(error(429, "You exceeded your current quota", code="insufficient_quota")),
        *("stopped", "…: the account is out of credit: … (HTTP 429) (top it up and run again)", 1),
    ),
    Fault("500", once(error(500, "broken")), "answered", "Output (a)", 2),
    Fault("502, as a page", once(Reply(raw=b"<html>Bad Gateway</html>", status=502)), "answered", "Output (a)", 2),
    Fault("503", once(error(503, "overloaded")), "answered", "Output (a)", 2),
    Fault(
        "503 until the deadline",
        always(error(503, "overloaded")),
        *("failed", "server error: HTTP 503: overloaded (… attempts in … s)", None),
        deadline=1.5,
    ),
    Fault("slow first byte", always(Reply("Output (a)", delay=1.0)), "answered", "Output (a)", 1),
    Fault("a hang", once(Reply("late", delay=30.0)), "answered", "Output (a)", 2, timeout=0.3),
    Fault(
        "a hang until the deadline",
        always(Reply("late", delay=30.0)),
        *("failed", "timeout: no reply within … s …", None),
        timeout=0.3,
        deadline=1.2,
    ),
    Fault("cut before the reply", once(Reply(cut=True)), "answered", "Output (a)", 2),
    Fault("cut in the middle of the reply", once(Reply("Output (b)", cut_after=40)), "answered", "Output (a)", 2),
    Fault("invalid JSON", once(Reply(raw=b'{"choices": [')), "answered", "Output (a)", 2),
    Fault(
        "invalid JSON, always",
        always(Reply(raw=b'{"choices": [')),
        *("failed", "not the protocol: not a chat completion: Invalid JSON… (3 attempts in … s)", 3),
    ),
    Fault("no choices", once(Reply(payload={"choices": []})), "answered", "Output (a)", 2),
    Fault("null content", always(Reply(None)), "answered", "", 1),
    Fault("null content, cut off", always(Reply(None, "length")), "answered", "", 1, finish_reason="length"),
    Fault("an error inside a 200", once(Reply(payload={"error": {"code": 502}})), "answered", "Output (a)", 2),
    Fault("content filter", always(FILTERED), "answered", "", 1, finish_reason="content_filter"),
    Fault(
        "refusal",
        always(Reply(None, message={"refusal": "I can't help with that."})),
        *("answered", "I can't help with that.", 1),
        finish_reason="refusal",
    ),
    Fault(
        "context too long",
        always(error(400, TOO_LONG, code="context_length_exceeded")),
        *("failed", f"context too long: HTTP 400: {TOO_LONG}", 1),
    ),
    Fault(
        "a request that is refused",
        always(error(400, "Invalid value")),
        *("failed", "bad request: HTTP 400: Invalid value", 1),
    ),
    Fault(
        "wrong model",
        always(NO_MODEL),
        *(
            "stopped",
            "…: … has no such model: The model `m` does not exist (HTTP 404) (check the name and --base-url)",
            1,
        ),
    ),
    Fault(
        "wrong or revoked key",
        always(error(401, "Incorrect API key provided")),
        *("stopped", "…: … refuses the key (HTTP 401) (check OPENAI_API_KEY)", 1),
    ),
    Fault(
        "no access",
        always(error(403, "Country not supported")),
        *("stopped", "…: … denies access: Country not supported (HTTP 403) (check what OPENAI_API_KEY may use)", 1),
    ),
    Fault(
        "elsewhere",
        always(Reply(status=307, headers={"Location": "https://elsewhere.invalid/"})),
        *("stopped", "…: … sends us elsewhere (HTTP 307) (check --base-url)", 1),
    ),
    Fault(GONE, always(Reply("Output (a)")), "answered", "Output (a)", None),
    Fault(
        "parameter refused",
        unless(has_temperature, NO_TEMPERATURE),
        *("answered", "Output (a)", 2),
        adapted="temperature is not sent: Unsupported value: …",
    ),
    Fault(
        "system role refused",
        unless(has_system, NO_SYSTEM),
        *("answered", "Output (a)", 2),
        adapted="the system turn is part of the first user turn: System role not supported",
    ),
)
