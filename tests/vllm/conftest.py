"""Real vLLM for the tests in this folder: where it is, a tiny model for it, and a server that all share.

LLMBAR_VLLM names the executable (`.ci/install-vllm` installs one); else the one on the PATH is taken. Without any the
tests are skipped, in CI they fail. The models are made by the interpreter beside it, where torch is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from vllm_server import SMALL, server_in_thread

from llmbar.files import prompts_folder
from llmbar.pairs import load_pairs

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {
    "TORCH_COMPILE_DISABLE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def pytest_collection_modifyitems(items):
    """All on one worker, so that they share their server."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("vllm"))


@pytest.fixture(scope="session")
def vllm(tmp_path_factory):
    """The executable, and an environment in which it starts fast and leaves nothing in the user's folders."""
    found = shutil.which(os.environ.get("LLMBAR_VLLM") or "vllm")
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("needs vLLM (set LLMBAR_VLLM)")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        for name in ("VLLM_BASE_URL", "VLLM_API_KEY", "VLLM_CPU_KVCACHE_SPACE"):
            patch.delenv(name, raising=False)
        patch.setenv("LLMBAR_VLLM", found)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Path(found)


@pytest.fixture(scope="session")
def torch_python(vllm):
    """Runs a script of this folder with the interpreter that has torch, and returns what it prints as JSON."""

    def run(script, *arguments, given=None):
        command = [str(vllm.with_name("python")), str(HERE / script), *map(str, arguments)]
        done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def dataset(shared):
    return shared / "data/llmbar/Dataset"


@pytest.fixture(scope="session")
def tiny(torch_python, dataset, tmp_path_factory):
    """The folder with the tiny models; their tokenizer has seen the real pairs."""
    folder = tmp_path_factory.mktemp("tiny")
    pairs = load_pairs(dataset)
    torch_python("tiny.py", folder, given=[text for p in pairs for text in (p.instruction, p.output_1, p.output_2)])
    return folder


@pytest.fixture(scope="session")
def server(tiny):
    """The server that most tests share."""
    with server_in_thread(tiny / "judge", SMALL) as started:
        yield started


@pytest.fixture(scope="session")
def strategies(tmp_path_factory):
    """Makes a strategy folder from a shipped one: every `old` in its strategy.toml replaced by its `new`."""
    root = tmp_path_factory.mktemp("strategies")

    def made(name, base, *changes):
        folder = shutil.copytree(prompts_folder() / base, root / name)
        toml = folder / "strategy.toml"
        text = toml.read_text("utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        toml.write_text(text, "utf-8")
        return str(folder)

    return made
