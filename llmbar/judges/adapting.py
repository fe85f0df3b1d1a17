"""What an endpoint would not take of a request, and what is sent to it instead.

Servers refuse what they do not know: a model without a system role, a reasoning model without a temperature, a limit
that has another name. Such a refusal names its reason, so it is heeded once for the whole endpoint: the same request is
sent again without what was refused, and every response says so (`Response.adaptations`). Nothing is ever dropped that
the server did not name, and nothing that a user set by `-M`. In the store such a response stands under the request *as
it was asked*, so that the same run finds it again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmbar.judges.presets import Preset

Body = dict[str, Any]

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Two names of one thing: where one is refused the other is tried."""
DROPPABLE = (
    *("temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "random_seed"),
    *("logit_bias", "reasoning_effort"),
)
"""What a request can do without: all sampling."""
REFUSED = re.compile(
    r"unsupported|not supported|(does not|doesn't) support|unrecogni[sz]ed|unknown (name|field|parameter|argument)"
    r"|unexpected|extra (inputs|fields)|extra_forbidden|not (permitted|allowed|enabled)|deprecated|cannot both",
    re.IGNORECASE,
)
"""How a server says that it does not take something at all, rather than that its value is out of bounds."""
NO_SYSTEM = re.compile(
    r"system (role|message|prompt|instruction)s? (is |are )?(not|un)|(not|n't) support (the )?['\"]?system"
    r"|developer instruction is not|roles must alternate|only user and assistant roles",
    re.IGNORECASE,
)
"""Chat templates without a system role, in their own words."""
REFUSALS = frozenset({400, 422, 500})
"""Statuses of such refusals: some servers report an error in the template as their own."""


class Adaptations:
    """What one endpoint is sent otherwise than asked; it grows as the endpoint refuses, and never shrinks."""

    def __init__(self, preset: Preset) -> None:
        self._renamed = dict(preset.renames)
        self._dropped = {name: f"{name} is not sent: the provider ignores it" for name in preset.ignores}
        self._folds: str | None = None
        self.lacks_logprobs: str | None = None
        """Why the endpoint tells no log-probabilities."""

    def shaped(self, asked: Body) -> tuple[Body, tuple[str, ...]]:
        """What to send instead of `asked`, and how it differs from it, in plain sentences."""
        if not (self._folds or self._dropped or self._renamed):
            return asked, ()
        notes = []
        sent: Body = {}
        for name, value in asked.items():
            called = self._renamed.get(name, name)
            if called in self._dropped:
                notes.append(self._dropped[called])
            else:
                sent[called] = value
        if self._folds and _has_system(sent):
            sent["messages"] = folded(sent["messages"])
            notes.append(self._folds)
        return sent, tuple(notes)

    def learn(self, status: int, message: str, param: str, sent: Body) -> bool:
        """Heed a refusal of what was sent; whether the request should be sent again.

        Each time something that is in `sent` is renamed, dropped or folded, so that this ends.
        """
        if status not in REFUSALS:
            return False
        if _has_system(sent) and NO_SYSTEM.search(message):
            self._folds = self._folds or f"the system turn is part of the first user turn: {_quoted(message)}"
            return True
        if status == 500 or not REFUSED.search(message):
            return False
        refused = list(_named(message, param, sent))
        for name in refused:
            self._refuse(name, message)
        return bool(refused)

    def _refuse(self, name: str, message: str) -> None:
        """Another name is tried once, where there is one; then the parameter is dropped."""
        other = LIMITS.get(name)
        if other and other not in self._renamed and name not in self._renamed.values():
            self._renamed[name] = other
        else:
            self._dropped.setdefault(name, f"{name} is not sent: {_quoted(message)}")


def folded(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    r"""The messages without a system role: what the system said opens the first user turn.

    >>> folded([{"role": "system", "content": "Judge."}, {"role": "user", "content": "Which?"}])
    [{'role': 'user', 'content': 'Judge.\n\nWhich?'}]
    """
    system = "\n\n".join(turn["content"] for turn in messages if turn["role"] == "system")
    rest = [turn for turn in messages if turn["role"] != "system"]
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": system}, *rest]
    return [{"role": "user", "content": f"{system}\n\n{rest[0]['content']}"}, *rest[1:]]


def _has_system(body: Mapping[str, Any]) -> bool:
    return any(turn["role"] == "system" for turn in body["messages"])


def _named(message: str, param: str, sent: Body) -> Iterable[str]:
    """Which of the parameters sent a refusal names; of two that exclude each other only the last."""
    found = [name for name in DROPPABLE if name in sent and (param == name or _mentions(message, name))]
    return found[-1:] if "both" in message else found


def _mentions(message: str, name: str) -> bool:
    """Names that are also plain words count only where they are quoted or follow a colon."""
    before = r"(['\"`]|: )" if name in {"stop", "seed"} else r"(?<!\w)"
    return re.search(rf"{before}{name}(?!\w)", message) is not None


def _quoted(message: str) -> str:
    return message[:160].rstrip(".")
