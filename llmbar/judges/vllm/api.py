"""What a vLLM server offers beside chat completions, asked with the same care: other paths, the same refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from llmbar.judges import wire
from llmbar.judges.endpoint import Endpoint
from llmbar.judges.retrying import Attempt
from llmbar.records import FailureKind, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from llmbar.judges.adapting import Adaptations
    from llmbar.judges.presets import Target
    from llmbar.records import Request

RENDERING = frozenset({"chat_template", "chat_template_kwargs"})
"""What a user may set (`-M`) that changes how messages become a prompt."""

Parsed = TypeVar("Parsed", bound=BaseModel)


class Refused(Exception):  # noqa: N818 - it is no error: it brings an attempt to where attempts are returned
    """The server would not, or what it sent could not be read: what the attempt came to."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self.attempt = attempt


class VllmEndpoint(Endpoint):
    """One model of one vLLM server, asked once."""

    def __init__(self, target: Target, session: aiohttp.ClientSession, adaptations: Adaptations | None = None) -> None:
        super().__init__(target, session, adaptations)
        self._root = root_of(target)

    @property
    def rendering(self) -> dict[str, object]:
        """Of what every request says, what concerns how messages become a prompt."""
        return {key: value for key, value in self._target.extra.items() if key in RENDERING}

    async def send(self, path: str, body: Mapping[str, object], seconds: float) -> tuple[int, Mapping[str, str], bytes]:
        """Post a body to a path of the server, with the model's name in it."""
        data = wire.encoded({"model": self._target.model, **body})
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._session.post(self._root / path, data=data, timeout=timeout, allow_redirects=False) as reply:
            return reply.status, reply.headers, await reply.read()

    async def fetch(
        self, kind: type[Parsed], path: str, body: Mapping[str, object], request: Request, seconds: float
    ) -> Parsed:
        """What the server answers to a post.

        Raises:
            Refused: it refuses, or answers something else.
        """
        status, headers, raw = await self.send(path, body, seconds)
        if status != 200:
            raise self.refusal(status, headers, raw, request)
        return self.parsed(kind, raw)

    def parsed(self, kind: type[Parsed], raw: bytes) -> Parsed:
        try:
            return kind.model_validate_json(raw)
        except ValidationError as error:
            what = error.errors(include_url=False, include_input=False)[0]
            message = f"not what vLLM sends: {'.'.join(map(str, what['loc']))} {what['msg']}"
            raise Refused(Attempt.failed(FailureKind.PROTOCOL, message, tries=wire.PROTOCOL_TRIES)) from None

    def refusal(self, status: int, headers: Mapping[str, str], raw: bytes, request: Request) -> Refused:
        """What a refusal comes to; a path that is not there says that this is no vLLM, or another kind of model."""
        if status == 404 and b'"Not Found"' in raw:
            return Refused(Attempt.failed(FailureKind.UNSUPPORTED, f"{self.name}: the server does not offer this"))
        return Refused(wire.read(status, headers, raw, request=request, target=self._target, latency=0.0))


class Details(BaseModel):
    """The part of a usage that says what the prefix cache served."""

    cached_tokens: int | None = None


class ServerUsage(BaseModel):
    """Tokens, as the server counts them."""

    prompt_tokens: int = 0
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None

    @property
    def record(self) -> Usage:
        cached = self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens
        return Usage(
            prompt_tokens=self.prompt_tokens, cached_tokens=cached or 0, completion_tokens=self.completion_tokens or 0
        )


def root_of(target: Target) -> URL:
    """The server's address without `/v1`.

    >>> from llmbar.judges.presets import find_target
    >>> str(root_of(find_target("vllm/m", "m", "http://127.0.0.1:8000/v1", {}, {})))
    'http://127.0.0.1:8000'
    """
    base = target.base.with_query(None)
    if target.key:
        base = base.with_user(None)
    return base.with_path(base.path.rstrip("/").removesuffix("/v1"))
