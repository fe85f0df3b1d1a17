"""What is known of a vLLM server: its version and settings, how it renders messages, what its prefix cache served.

All of it is looked up, none of it is needed: what a server does not tell is left out.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
from pydantic_core import from_json

from llmbar.judges.vllm.api import RENDERING, root_of
from llmbar.records import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llmbar.judges.presets import Target

Facts = dict[str, str | int | float]

SECONDS = 10.0
"""For one question."""
CONVERSATION = ({"role": "system", "content": "You judge."}, {"role": "user", "content": "Which is better?"})
"""Rendered by the server, its tokens tell one template or tokenizer from another."""
COUNTER = re.compile(r"^vllm:prefix_cache_(queries|hits)_total(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class Onlooker:
    """Looks at the servers of one model: once when a run begins, again whenever it wants to know.

    `facts` holds what it found: `server` (name and version), `max_model_len`, `rendering` (SHA-256 of the tokens of a
    fixed conversation: another template or tokenizer makes another), and since the beginning `prefix_cache_tokens`
    (tokens looked up in the prefix cache) and `prefix_cache_hit_rate` (the share of them that it held).
    """

    def __init__(self, targets: Sequence[Target], known: Mapping[str, str]) -> None:
        self.facts: Facts = dict(known)
        self._targets = targets
        self._before = (0.0, 0.0)

    async def begin(self) -> None:
        """Find out what does not change, and where the counters stand."""
        async with self._session() as session:
            self.facts |= await _described(session, self._targets[0])
            self._before = await self._counted(session)

    async def look(self) -> Facts:
        """All facts, as they stand now."""
        async with self._session() as session:
            queries, hits = await self._counted(session)
        asked, held = queries - self._before[0], hits - self._before[1]
        if asked > 0 and held >= 0:  # counters begin anew with a server that was restarted
            self.facts |= {"prefix_cache_tokens": round(asked), "prefix_cache_hit_rate": round(held / asked, 4)}
        return self.facts

    def _session(self) -> aiohttp.ClientSession:
        headers = self._targets[0].headers(os.environ)
        return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=SECONDS))

    async def _counted(self, session: aiohttp.ClientSession) -> tuple[float, float]:
        """Tokens looked up and tokens found, all servers together."""
        sums = {"queries": 0.0, "hits": 0.0}
        for target in self._targets:
            text = await _text(session, "GET", str(root_of(target) / "metrics"))
            for name, count in COUNTER.findall(text):
                sums[name] += float(count)
        return sums["queries"], sums["hits"]


async def _described(session: aiohttp.ClientSession, target: Target) -> Facts:
    root = root_of(target)
    found: Facts = {}
    if version := _json(await _text(session, "GET", str(root / "version"))).get("version"):
        found["server"] = f"vLLM {version}"
    models = _json(await _text(session, "GET", str(root / "v1/models"))).get("data") or []
    for model in models:
        if model.get("id") == target.model and model.get("max_model_len"):
            found["max_model_len"] = model["max_model_len"]
    if tokens := await _rendered(session, target):
        found["rendering"] = digest(tokens)
    return found


async def _rendered(session: aiohttp.ClientSession, target: Target) -> list[int]:
    """The tokens of the fixed conversation, without its system turn where the template has none."""
    rendering = {key: value for key, value in target.extra.items() if key in RENDERING}
    for messages in (CONVERSATION, CONVERSATION[1:]):
        body = {"model": target.model, "messages": list(messages), **rendering}
        told = _json(await _text(session, "POST", str(root_of(target) / "tokenize"), body))
        if tokens := told.get("tokens"):
            return list(tokens)
    return []


async def _text(session: aiohttp.ClientSession, method: str, url: str, body: Mapping[str, object] | None = None) -> str:
    """What a server says; nothing where it says no."""
    with suppress(aiohttp.ClientError, OSError, TimeoutError, UnicodeDecodeError):
        async with session.request(method, url, json=body, allow_redirects=False) as reply:
            return await reply.text() if reply.status == 200 else ""
    return ""


def _json(text: str) -> dict[str, Any]:
    try:
        value = from_json(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
