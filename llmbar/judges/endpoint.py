"""A model behind an OpenAI-compatible endpoint, asked over HTTP.

aiohttp directly: at the rates that local servers reach, a client library would cost more than the rest of a run. Which
provider it is stands in `presets`, what is said in `wire`, how often and how many at once in `retrying`.
"""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import aiohttp

from llmbar import __version__
from llmbar.errors import JudgeError
from llmbar.judges import wire
from llmbar.judges.presets import find_target
from llmbar.judges.retrying import Attempt, Retrying
from llmbar.judges.stored import Stored, Tally
from llmbar.records import FailureKind, Sampling, digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from llmbar.judges import JudgeOptions
    from llmbar.judges.presets import Target
    from llmbar.records import Request
    from llmbar.store import Store

IDLE = 4.0
"""Seconds that an unused connection is kept: common servers close theirs after five, and must not do so first."""
OURS = frozenset({"model", "messages", "n", "stream", "max_completion_tokens", "structured_outputs"})
"""What only llmbar itself sets in a body, besides sampling."""


@asynccontextmanager
async def open_(name: str, model: str, options: JudgeOptions, store: Store | None) -> AsyncIterator[Stored]:
    """Open a model behind an endpoint, with retries around it and the store around both.

    Raises:
        JudgeError: no key, no usable address, or an option that cannot be honoured.
    """
    _refuse_unknown(options)
    base_url = options.base_urls[0] if options.base_urls else None
    target = find_target(name, model, base_url, extra_body(options.args))
    tally = Tally()
    async with _session(target, options.concurrency) as session:
        retrying = Retrying(
            Endpoint(target, session),
            concurrency=options.concurrency,
            timeout=options.timeout,
            deadline=options.deadline,
            tally=tally,
        )
        yield Stored(retrying, store, identity(target), tally)


class Endpoint:
    """One model at one endpoint, asked once."""

    def __init__(self, target: Target, session: aiohttp.ClientSession) -> None:
        self.name = target.name
        self._target = target
        self._url = target.url
        self._session = session

    async def attempt(self, request: Request, seconds: float) -> Attempt:
        """Send one request and read what comes back within `seconds`."""
        if reason := wire.unsupported(request.constraint, self._target):
            return Attempt.failed(FailureKind.UNSUPPORTED, reason)
        started = perf_counter()
        try:
            status, headers, raw = await self._post(wire.encoded(request, self._target), seconds)
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
        latency = perf_counter() - started
        return wire.read(status, headers, raw, request=request, target=self._target, latency=latency)

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
        if key in OURS or key in Sampling.model_fields:
            message = "is set by the strategy's sampling or by llmbar itself"
            raise JudgeError(message, field=f"-M {key}", remedy="leave it out")
    return {key: _value(text) for key, text in args.items()}


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _refuse_unknown(options: JudgeOptions) -> None:
    for given, flag in ((options.rpm, "--rpm"), (options.tpm, "--tpm"), (options.base_urls[1:], "several --base-url")):
        if given:
            raise JudgeError("not supported yet", field=flag, remedy="leave it out")
    if options.concurrency < 1:
        raise JudgeError("is less than 1", field="--concurrency", remedy="leave it out")


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
