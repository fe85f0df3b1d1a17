"""The endpoints that llmbar knows by name: where each is, which variable holds its key, and what is peculiar to it.

Keys come from the environment only. The variables are those of the `openai` package and of the providers themselves.
docs/providers.md is written from this table.
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
OPENAI_REASONING = re.compile(r"(o\d|gpt-5)")


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider."""

    base_url: str | None
    """None where the address must be given."""
    base_url_variable: str
    key_variable: str
    needs_key: bool = True
    other_key_variable: str = ""
    """Where the key is looked for as well."""
    token_variable: str = ""
    """Holds a token that is sent in the key's stead, as `Authorization: Bearer`."""
    key_header: str = "Authorization"
    """Where the key travels, as `Bearer`; in any other header it stands alone."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header → the variable that holds its value; what is not set is not sent."""
    path: str = ""
    """What a given address that has no path lacks."""
    api_version_variable: str = ""
    """The address wants `?api-version=` from this variable, and the model in its path as a deployment."""
    choice: bool = False
    """Holds a reply to a choice (`structured_outputs`)."""
    top_logprobs: int = 20
    """So many of the likeliest tokens are told at each place; 0: none."""
    completion_tokens: re.Pattern[str] | None = None
    """The models whose limit is called `max_completion_tokens`, not `max_tokens`."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Parameter → what it is called here."""
    ignores: tuple[str, ...] = ()
    """Parameters that are accepted without effect: they are not sent, and the run says so."""
    remark: str = ""
    """For whoever uses it."""


PRESETS = {
    "openai": Preset(
        base_url="https://api.openai.com/v1",
        base_url_variable="OPENAI_BASE_URL",
        key_variable="OPENAI_API_KEY",
        headers={"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"},
        completion_tokens=OPENAI_REASONING,
        remark="Reasoning models tell no log-probabilities and take no temperature.",
    ),
    "azure": Preset(
        base_url=None,
        base_url_variable="AZURE_OPENAI_ENDPOINT",
        key_variable="AZURE_OPENAI_API_KEY",
        token_variable="AZURE_OPENAI_AD_TOKEN",  # noqa: S106 - the name of a variable
        key_header="api-key",
        path="/openai",
        api_version_variable="OPENAI_API_VERSION",
        completion_tokens=OPENAI_REASONING,
        remark="The model is the deployment's name. An address that ends in `/openai/v1` needs no API version.",
    ),
    "anthropic": Preset(
        base_url="https://api.anthropic.com/v1",
        base_url_variable="ANTHROPIC_BASE_URL",
        key_variable="ANTHROPIC_API_KEY",
        path="/v1",
        top_logprobs=0,
        ignores=("seed", "logit_bias", "reasoning_effort"),
        remark="The OpenAI-compatible endpoint. `-M thinking='{…}'` sets a budget; the reasoning itself is not told.",
    ),
    "google": Preset(
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        base_url_variable="GOOGLE_BASE_URL",
        key_variable="GEMINI_API_KEY",
        other_key_variable="GOOGLE_API_KEY",
        top_logprobs=0,
        remark="The OpenAI-compatible endpoint: reasoning tokens are counted from the total.",
    ),
    "openrouter": Preset(
        base_url="https://openrouter.ai/api/v1",
        base_url_variable="OPENROUTER_BASE_URL",
        key_variable="OPENROUTER_API_KEY",
        remark="`-M provider='{\"require_parameters\": true}'` keeps to providers that take all that is sent.",
    ),
    "together": Preset(
        base_url="https://api.together.xyz/v1",
        base_url_variable="TOGETHER_BASE_URL",
        key_variable="TOGETHER_API_KEY",
        top_logprobs=0,
        remark="Its log-probabilities have a form of their own, which is not read.",
    ),
    "groq": Preset(
        base_url="https://api.groq.com/openai/v1",
        base_url_variable="GROQ_BASE_URL",
        key_variable="GROQ_API_KEY",
        path="/openai/v1",
        top_logprobs=0,
    ),
    "mistral": Preset(
        base_url="https://api.mistral.ai/v1",
        base_url_variable="MISTRAL_BASE_URL",
        key_variable="MISTRAL_API_KEY",
        path="/v1",
        top_logprobs=0,
        renames={"seed": "random_seed"},
    ),
    "deepseek": Preset(
        base_url="https://api.deepseek.com",
        base_url_variable="DEEPSEEK_BASE_URL",
        key_variable="DEEPSEEK_API_KEY",
        remark="Reasoning models take a temperature without effect, and no log-probabilities.",
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
    key_header: str = "Authorization"
    api_version: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)
    """What every request's body holds besides: `-M key=value`."""

    @property
    def url(self) -> URL:
        """Where requests are sent. A user name in the address gives way to the key."""
        base = self.base / "deployments" / self.model if self.api_version else self.base
        query = {**self.base.query, **({"api-version": self.api_version} if self.api_version else {})}
        url = (base / "chat/completions").with_query(query)
        return url.with_user(None) if self.key else url

    @property
    def public_base(self) -> str:
        """The base address without credentials and query: it may be stored and shown."""
        return str(self.base.with_user(None).with_query(None).with_fragment(None))

    @property
    def local(self) -> bool:
        return is_loopback(self.base.host or "")

    def headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        told = {header: environ[name] for header, name in self.preset.headers.items() if environ.get(name)}
        if self.key:
            told[self.key_header] = f"Bearer {self.key}" if self.key_header == "Authorization" else self.key
        return told

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
    preset, model = find_preset(name, model)
    base = _address(name, base_url or environ.get(preset.base_url_variable) or preset.base_url, preset)
    key, header = _key(environ, preset)
    target = Target(name, model, base, preset, key, header, _api_version(name, base, preset, environ), extra)
    if preset.needs_key and not (target.key or target.local):
        raise JudgeError(f"{name} needs a key, and {preset.key_variable} is not set", remedy="set it and try again")
    return target


def find_preset(name: str, model: str) -> tuple[Preset, str]:
    """The provider that a judge's name means, and the model as that provider calls it.

    Raises:
        JudgeError: the name of a service without a model.
    """
    kind = name.partition("/")[0]
    if kind != "openai-api":
        return PRESETS[kind], model
    service, _, model = model.partition("/")
    if not service or not model:
        raise JudgeError(f"{name!r} names no model", field="model", remedy="write openai-api/<service>/<model>")
    prefix = re.sub(r"\W", "_", service).upper()
    return Preset(None, f"{prefix}_BASE_URL", f"{prefix}_API_KEY"), model


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
    return url if url.path.strip("/") else url.with_path(preset.path, keep_query=True)


def _api_version(name: str, base: URL, preset: Preset, environ: Mapping[str, str]) -> str:
    """The version that the address must name; empty where it need not, or does already."""
    if not preset.api_version_variable or base.path.endswith("/v1"):
        return ""
    version = base.query.get("api-version") or environ.get(preset.api_version_variable, "").strip()
    if not version:
        raise JudgeError(f"{name} needs an API version", remedy=f"set {preset.api_version_variable}")
    return version


def _key(environ: Mapping[str, str], preset: Preset) -> tuple[str, str]:
    """The key and the header that it travels in: the first of the provider's variables that is set."""
    named = ((preset.token_variable, "Authorization"), (preset.key_variable, preset.key_header))
    for variable, header in (*named, (preset.other_key_variable, preset.key_header)):
        key = environ.get(variable, "").strip()
        if not (key.isascii() and (key.isprintable() or not key)):
            raise JudgeError(f"{variable} holds a character that no key has", remedy="copy the key again")
        if key:
            return key, header
    return "", preset.key_header
