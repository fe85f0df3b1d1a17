from __future__ import annotations

import asyncio
import re

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from openai_server import Reply, serving

from llmbar.errors import JudgeError
from llmbar.judges import BACKENDS, JudgeOptions, open_judge
from llmbar.judges.presets import PRESETS, find_target
from llmbar.prices import PRICED
from llmbar.records import Message, Request

KEY = "sk-test-0123456789abcdefghij"


def target(name, environ, base_url=None):
    return find_target(name, name.partition("/")[2], base_url, {}, environ)


@pytest.mark.parametrize("kind", PRESETS)
def test_every_provider_can_be_opened_by_its_name(kind):
    assert BACKENDS[kind].startswith("llmbar.judges.")
    preset = PRESETS[kind]
    environ = {
        preset.key_variable: KEY,
        preset.base_url_variable: "https://judge.invalid/v1",
        "OPENAI_API_VERSION": "1",
    }
    found = target(f"{kind}/m", environ)
    assert found.url.host == "judge.invalid"
    assert KEY in found.headers(environ)[preset.key_header]
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("openai/gpt-4o", "https://api.openai.com/v1"),
        ("anthropic/claude", "https://api.anthropic.com/v1"),
        ("google/gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("openrouter/a/b", "https://openrouter.ai/api/v1"),
        ("together/a/b", "https://api.together.xyz/v1"),
        ("groq/llama", "https://api.groq.com/openai/v1"),
        ("mistral/small", "https://api.mistral.ai/v1"),
        ("deepseek/chat", "https://api.deepseek.com"),
        ("ollama/qwen", "http://127.0.0.1:11434/v1"),
    ],
)
def test_where_providers_are(name, url):
    environ = {PRESETS[name.partition("/")[0]].key_variable: KEY}
    assert str(target(name, environ).url) == f"{url}/chat/completions"


def test_priced_kinds_are_kinds():
    assert set(BACKENDS) >= PRICED


@pytest.mark.parametrize(
    ("name", "address", "url"),
    [
        ("anthropic/m", "https://proxy.invalid", "https://proxy.invalid/v1/chat/completions"),
        ("anthropic/m", "https://proxy.invalid/api/", "https://proxy.invalid/api/chat/completions"),
        ("groq/m", "https://proxy.invalid/", "https://proxy.invalid/openai/v1/chat/completions"),
        ("openai/m", "https://proxy.invalid", "https://proxy.invalid/chat/completions"),
    ],
)
def test_an_address_without_a_path_gets_the_one_that_its_provider_s_own_client_would_add(name, address, url):
    preset = PRESETS[name.partition("/")[0]]
    assert str(target(name, {preset.key_variable: KEY, preset.base_url_variable: address}).url) == url


def test_the_first_key_that_is_set_is_taken():
    assert target("google/m", {"GOOGLE_API_KEY": "second"}).key == "second"
    assert target("google/m", {"GOOGLE_API_KEY": "second", "GEMINI_API_KEY": "first"}).key == "first"
    with pytest.raises(JudgeError, match="GEMINI_API_KEY is not set"):
        target("google/m", {})
    with pytest.raises(JudgeError, match="GOOGLE_API_KEY holds a character") as caught:
        target("google/m", {"GOOGLE_API_KEY": f"{KEY}\u200b"})
    assert KEY not in str(caught.value)


# Azure, compared with the official client

VERSION = "2024-10-21"


def azure(environ, base_url=None):
    return find_target("azure/my-gpt", "my-gpt", base_url, {}, environ)


@pytest.mark.parametrize("token", [False, True])
def test_azure_is_asked_as_the_official_client_asks_it(token, monkeypatch):
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN" if token else "AZURE_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_VERSION", VERSION)

    async def ask_twice():
        async with serving(lambda _: Reply("well")) as server:
            endpoint = server.base_url.removesuffix("/v1")
            monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", endpoint)
            async with AsyncAzureOpenAI(max_retries=0) as client:
                messages = [{"role": "user", "content": "Which?"}]
                await client.chat.completions.create(model="my-gpt", messages=messages, temperature=0.0)
            async with open_judge("azure/my-gpt", JudgeOptions()) as judge:
                await judge.answer(Request((Message("user", "Which?"),)))
            return server.asked

    theirs, ours = asyncio.run(ask_twice())
    assert ours.url == theirs.url
    assert re.search(r"/openai/deployments/my-gpt/chat/completions\?api-version=2024-10-21$", ours.url)
    assert ours.body == theirs.body
    for header in ("api-key", "Authorization"):
        assert ours.headers.get(header) == theirs.headers.get(header)


def test_azure_s_newer_address_needs_no_version():
    found = azure({"AZURE_OPENAI_API_KEY": KEY}, "https://x.openai.azure.com/openai/v1")
    assert str(found.url) == "https://x.openai.azure.com/openai/v1/chat/completions"
    assert found.headers({}) == {"api-key": KEY}


def test_azure_without_a_version_or_an_address_says_what_to_set():
    with pytest.raises(JudgeError, match="OPENAI_API_VERSION"):
        azure({"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"})
    with pytest.raises(JudgeError, match="AZURE_OPENAI_ENDPOINT"):
        azure({"AZURE_OPENAI_API_KEY": KEY})


def test_the_official_client_agrees_on_where_openai_is(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    theirs = str(AsyncOpenAI(api_key=KEY).base_url).rstrip("/")
    assert theirs == PRESETS["openai"].base_url
