"""A model behind an OpenAI-compatible endpoint, asked over HTTP.

aiohttp directly: at the rates that local servers reach, a client library would cost more than the rest of a run. Which
provider it is stands in `presets`, what is said in `wire`, what an endpoint would not take in `adapting`, how often and
how many at once in `retrying` and `limits`.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import AsyncExitStack, asynccontextmanager
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import aiohttp

from llmbar import __version__
from llmbar.errors import JudgeError
from llmbar.judges import wire
from llmbar.judges.adapting import REFUSALS, Adaptations
from llmbar.judges.presets import find_target
from llmbar.judges.retrying import Attempt, Retrying
from llmbar.judges.stored import Stored, Tally
from llmbar.records import FailureKind, Sampling, digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from llmbar.judges import JudgeOptions
    from llmbar.judges.presets import Target
    from llmbar.judges.retrying import Attempting
    from llmbar.records import Request
    from llmbar.store import Store

IDLE = 4.0
"""Seconds that an unused connection is kept: common servers close theirs after five, and must not do so first."""
OURS = frozenset({"model", "messages", "n", "stream", "max_completion_tokens", "structured_outputs"})
OURS |= {"logprobs", "top_logprobs"}
"""What only llmbar itself sets in a body, besides sampling."""


@asynccontextmanager
async def open_(name: str, model: str, options: JudgeOptions, store: Store | None) -> AsyncIterator[Stored]:
    """Open a model behind an endpoint, with retries around it and the store around both.

    Raises:
        JudgeError: no key, no usable address, or an option that cannot be honoured.
    """
    extra = extra_body(options.args)
    addresses = options.base_urls or (None,)
    targets = [find_target(name, model, address, extra) for address in addresses]
    async with open_endpoint(targets, options, store) as judge:
        yield judge


@asynccontextmanager
async def open_endpoint(
    targets: Sequence[Target],
    options: JudgeOptions,
    store: Store | None,
    *,
    known_as: str | None = None,
    endpoint: Callable[[Target, aiohttp.ClientSession, Adaptations], Attempting] | None = None,
) -> AsyncIterator[Stored]:
    """Open one model at one or several addresses; the least loaded is asked.

    Args:
        targets: the same model at each of them.
        options: limits and patience.
        store: where responses are kept.
        known_as: whose responses these are in the store, where it is not the first target's `identity`.
        endpoint: what asks at one address: `Endpoint`, or something that knows more of the server.

    Raises:
        JudgeError: an option that cannot be honoured.
    """
    _check(options)
    tally, adaptations = Tally(), Adaptations(targets[0].preset)
    async with AsyncExitStack() as stack:
        ask_at = endpoint or Endpoint
        asked = [
            ask_at(target, await stack.enter_async_context(_session(target, options.concurrency)), adaptations)
            for target in targets
        ]
        retrying = Retrying(
            *asked,
            concurrency=options.concurrency,
            timeout=options.timeout,
            deadline=options.deadline,
            rpm=options.rpm,
            tpm=options.tpm,
            tally=tally,
        )
        yield Stored(retrying, store, known_as or identity(targets[0]), tally)


class Endpoint:
    """One model at one address, asked once; what it refuses for good is left out and the rest sent again."""

    def __init__(self, target: Target, session: aiohttp.ClientSession, adaptations: Adaptations | None = None) -> None:
        self.name = target.name
        self._target = target
        self._url = target.url
        self._session = session
        self._adaptations = adaptations or Adaptations(target.preset)

    async def attempt(self, request: Request, seconds: float) -> Attempt:
        """Send one request and read what comes back within `seconds`."""
        if reason := self._cannot(request):
            return Attempt.failed(FailureKind.UNSUPPORTED, reason)
        started = perf_counter()
        try:
            return await self._ask(request, seconds)
        except TimeoutError:
            message = f"no reply within {seconds:.3g} s"
            return Attempt.failed(FailureKind.TIMEOUT, message, tries=inf, latency=perf_counter() - started)
        except aiohttp.ClientConnectorCertificateError as error:
            message = f"{self.name}: the endpoint's certificate is not trusted: {error.certificate_error}"
            raise JudgeError(message, remedy="check --base-url and SSL_CERT_FILE") from None
        except aiohttp.ClientResponseError as error:
            return self._failed(FailureKind.PROTOCOL, f"not HTTP: {error.message}", wire.PROTOCOL_TRIES)
        except (aiohttp.ClientError, OSError) as error:
            return self._failed(FailureKind.CONNECTION, f"no connection: {str(error) or type(error).__name__}", inf)

    async def _ask(self, request: Request, seconds: float) -> Attempt:
        """Send the request, and again where the endpoint names something that it can do without."""
        asked = wire.body(request, self._target)
        while True:
            sent, notes = self._adaptations.shaped(asked)
            started = perf_counter()
            status, headers, raw = await self._post(wire.encoded(sent), seconds)
            if status in REFUSALS and self._heeds(status, raw, sent):
                continue
            latency = perf_counter() - started
            attempt = wire.read(status, headers, raw, request=request, target=self._target, latency=latency)
            if attempt.kind is FailureKind.UNSUPPORTED and attempt.response.failure:
                self._adaptations.lacks_logprobs = attempt.response.failure.message
            return attempt.adapted(notes) if notes else attempt

    def _heeds(self, status: int, raw: bytes, sent: dict[str, Any]) -> bool:
        """Whether a refusal was one that leaving something out can mend."""
        complaint = wire.complaint_in(raw, self._target)
        return not complaint.too_long and self._adaptations.learn(status, complaint.message, complaint.param, sent)

    def _cannot(self, request: Request) -> str | None:
        """Why the request is not even sent."""
        lacks = self._adaptations.lacks_logprobs
        if lacks and request.constraint and request.constraint.kind == "logprobs":
            return lacks
        return wire.unsupported(request.constraint, self._target)

    async def _post(self, body: bytes, seconds: float) -> tuple[int, Mapping[str, str], bytes]:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._session.post(self._url, data=body, timeout=timeout, allow_redirects=False) as reply:
            return reply.status, reply.headers, await reply.read()

    def _failed(self, kind: FailureKind, message: str, tries: float) -> Attempt:
        return Attempt.failed(kind, self._target.quote(message), tries=tries)


def identity(target: Target) -> str:
    """Whose responses these are, in the store: address, model, and what else every request says."""
    extra = f" {digest(target.extra)[:16]}" if target.extra else ""
    return f"{target.public_base} {target.model}{extra}"


def extra_body(args: Mapping[str, str]) -> dict[str, object]:
    """`-M key=value` as fields of the body: JSON where it is JSON, else text.

    >>> extra_body({"top_k": "20", "provider": "any"})
    {'top_k': 20, 'provider': 'any'}
    """
    for key in args:
        refuse_secret(key)
        if key in OURS or key in Sampling.model_fields:
            message = "is set by the strategy's sampling or by llmbar itself"
            raise JudgeError(message, field=f"-M {key}", remedy="leave it out")
    return {key: _value(text) for key, text in args.items()}


def refuse_secret(key: str) -> None:
    """Arguments are written into the run's manifest: what is called like a secret must not be one of them.

    Raises:
        JudgeError: the argument is called so.
    """
    if _SECRET.search(key.replace("-", "_")):
        message = "would be written into the run's files"
        raise JudgeError(message, field=f"-M {key}", remedy="keys come from the environment: llmbar ls models")


_SECRET = re.compile(r"(api_?key|_token|^token|secret|password|authorization)$", re.IGNORECASE)


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _check(options: JudgeOptions) -> None:
    for number, flag in ((options.concurrency, "--concurrency"), (options.rpm, "--rpm"), (options.tpm, "--tpm")):
        if number is not None and number < 1:
            raise JudgeError("is less than 1", field=flag, remedy="leave it out")


def _session(target: Target, concurrency: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=concurrency, keepalive_timeout=IDLE, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={
            "Content-Type": "application/json",
            "User-Agent": f"llmbar/{__version__}",
            **target.headers(os.environ),
        },
        proxy=_proxy(target),
    )


def _proxy(target: Target) -> str | None:
    """The proxy that the environment names for this address; asked for once, since it is slow to find."""
    host = target.base.host or ""
    if target.local or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(target.base.scheme) or proxies.get("all")
