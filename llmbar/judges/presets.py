"""The endpoints that llmbar knows by name: where each is, which variable holds its key, and what is peculiar to it.

Keys come from the environment only. The variables are those of the `openai` package and of the providers themselves.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from yarl import URL

from llmbar.errors import JudgeError

if TYPE_CHECKING:
    from collections.abc import Mapping


QUOTED = 300
"""Characters of a server's complaint that are repeated."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider."""

    base_url: str | None
    """None where the address must be given."""
    base_url_variable: str
    key_variable: str
    needs_key: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header → the variable that holds its value; what is not set is not sent."""
    choice: bool = False
    """Holds a reply to a choice (`structured_outputs`)."""
    completion_tokens: re.Pattern[str] | None = None
    """The models whose limit is called `max_completion_tokens`, not `max_tokens`."""


PRESETS = {
    "openai": Preset(
        base_url="https://api.openai.com/v1",
        base_url_variable="OPENAI_BASE_URL",
        key_variable="OPENAI_API_KEY",
        headers={"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"},
        completion_tokens=re.compile(r"(o\d|gpt-5)"),
    ),
    "openrouter": Preset(
        base_url="https://openrouter.ai/api/v1",
        base_url_variable="OPENROUTER_BASE_URL",
        key_variable="OPENROUTER_API_KEY",
    ),
    "vllm": Preset(
        base_url=None,
        base_url_variable="VLLM_BASE_URL",
        key_variable="VLLM_API_KEY",
        needs_key=False,
        choice=True,
    ),
    "ollama": Preset(
        base_url="http://127.0.0.1:11434/v1",
        base_url_variable="OLLAMA_BASE_URL",
        key_variable="OLLAMA_API_KEY",
        needs_key=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One model at one endpoint, and the way in."""

    name: str
    """As typed: `openai/gpt-4o`."""
    model: str
    """As the endpoint calls it."""
    base: URL
    preset: Preset
    key: str = field(default="", repr=False)
    extra: Mapping[str, object] = field(default_factory=dict)
    """What every request's body holds besides: `-M key=value`."""

    @property
    def url(self) -> URL:
        """Where requests are sent. A user name in the address gives way to the key."""
        url = (self.base / "chat/completions").with_query(self.base.query)
        return url.with_user(None) if self.key else url

    @property
    def public_base(self) -> str:
        """The base address without credentials and query: it may be stored and shown."""
        return str(self.base.with_user(None).with_query(None).with_fragment(None))

    @property
    def local(self) -> bool:
        return is_loopback(self.base.host or "")

    def headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        key = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return key | {header: environ[name] for header, name in self.preset.headers.items() if environ.get(name)}

    def quote(self, text: str) -> str:
        """What somebody else said, as an error may repeat it: without the key and the password, in one short line."""
        for secret in (self.key, self.base.password, self.base.raw_password):
            text = text.replace(secret, "[redacted]") if secret else text
        return " ".join(text.split())[:QUOTED]


def find_target(
    name: str,
    model: str,
    base_url: str | None,
    extra: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
) -> Target:
    """Where the judge called `name` is: the address given, else the variable's, else the provider's own.

    Raises:
        JudgeError: no address, no key, or one that cannot be used.
    """
    kind = name.partition("/")[0]
    if kind == "openai-api":
        service, _, model = model.partition("/")
        if not service or not model:
            raise JudgeError(f"{name!r} names no model", field="model", remedy="write openai-api/<service>/<model>")
        prefix = re.sub(r"\W", "_", service).upper()
        preset = Preset(None, f"{prefix}_BASE_URL", f"{prefix}_API_KEY")
    else:
        preset = PRESETS[kind]
    base = _address(name, base_url or environ.get(preset.base_url_variable) or preset.base_url, preset)
    target = Target(name, model, base, preset, _key(environ, preset), extra)
    if preset.needs_key and not (target.key or target.local):
        raise JudgeError(f"{name} needs a key, and {preset.key_variable} is not set", remedy="set it and try again")
    return target


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("api.openai.com")
    (True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _address(name: str, text: str | None, preset: Preset) -> URL:
    if not text:
        raise JudgeError(f"{name} has no address", remedy=f"give --base-url, or set {preset.base_url_variable}")
    try:
        url = URL(text.strip().rstrip("/"))
        well_formed = url.scheme in {"http", "https"} and url.host
    except ValueError:
        well_formed = False
    if not well_formed:  # the text is not shown: it may hold a password
        raise JudgeError(
            f"the address of {name} is not an HTTP address", field="base-url", remedy="write http://host:port/v1"
        )
    return url


def _key(environ: Mapping[str, str], preset: Preset) -> str:
    key = environ.get(preset.key_variable, "").strip()
    if not (key.isascii() and (key.isprintable() or not key)):
        raise JudgeError(f"{preset.key_variable} holds a character that no key has", remedy="copy the key again")
    return key
