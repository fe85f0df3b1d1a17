"""What the layout of prompts and the order of asking are worth to vLLM's prefix cache, by the server's own counters.

    LLMBAR_VLLM=…/bin/vllm python benchmarks/prefix.py [FOLDER WITH LLMBAR'S Dataset]

Four strategies ask 50 pairs in both orders: 400 requests, of a tiny model with random weights that is made for it.
Template first is how llmbar's strategies are written; pair first moves the same text behind the pair. Asked by pair
(all that concerns one pair close together, as the engine asks), at random, and strategy by strategy; of a server whose
cache holds everything, and of one whose cache holds 32,768 tokens. One table: the share of prompt tokens that it held.
Hit rates depend on texts, tokenizer and block size (32 here, 16 on a GPU), not on how fast the machine is.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbar.engine import rehearse
from llmbar.files import prompts_folder
from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.vllm.server import executable, serving
from llmbar.pairs import load_pairs
from llmbar.strategy import load_strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llmbar.records import Pair, Request
    from llmbar.strategy import Strategy

TESTS = Path(__file__).resolve().parent.parent / "tests" / "vllm"
NAMES = ("vanilla", "rules", "cot", "cot+rules")
PAIR = '{% include "_shared/pair.jinja" %}'
PAIRS = 50
CACHES = {"holds all": "768M", "32k tokens": "64M"}
ARGS = {"max_model_len": "4096", "dtype": "float32", "enforce_eager": "true", "block_size": "32"}
QUICK = {
    "TORCH_COMPILE_DISABLE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
"""So that a server of a tiny model starts in seconds, and looks for nothing outside."""


@dataclass(frozen=True)
class Asked:
    """A request, and what it belongs to."""

    pair: int
    strategy: int
    request: Request


ORDERS: dict[str, Callable[[Asked], Any]] = {
    "by pair": lambda asked: (asked.pair, asked.strategy),
    "random": lambda asked: random.Random(asked.request.key).random(),  # noqa: S311 - a shuffle that repeats
    "by strategy": lambda asked: (asked.strategy, asked.pair),
}


def pair_first(name: str, folder: Path) -> str:
    """A strategy with the same text behind the pair, the system turn's too."""
    made = Path(shutil.copytree(prompts_folder() / name, folder / name))
    file = made / "verdict.jinja"
    system, user = file.read_text("utf-8").removeprefix("== system ==").split("== user ==")
    rest = user.replace(PAIR, "").strip()
    file.write_text(f"== user ==\n{PAIR}\n\n{rest}\n\n{system.strip()}\n", "utf-8")
    return str(made)


async def requests(pairs: Sequence[Pair], strategies: Sequence[Strategy]) -> list[Asked]:
    sampled = [strategy.sampled({"max_tokens": 1}) for strategy in strategies]
    places = product(enumerate(pairs), enumerate(sampled))
    return [
        Asked(pair, strategy, request)
        for (pair, texts), (strategy, way) in places
        for request in await rehearse(texts, way)
    ]


async def hit_rate(base_url: str, model: str, asked: Sequence[Request], salt: int) -> float:
    """The share of prompt tokens that the cache held, nothing being there at first."""
    options = JudgeOptions(base_urls=(base_url,), args={"cache_salt": f"salt {salt}"}, concurrency=8)
    waiting = iter(asked)
    async with open_judge(f"vllm/{model}", options) as opened:
        judge: Any = opened

        async def work() -> None:
            for request in waiting:
                response = await judge.answer(request)
                if response.failure:
                    raise SystemExit(response.failure.message)

        await asyncio.gather(*(work() for _ in range(8)))
        return float((await judge.look())["prefix_cache_hit_rate"])


async def measure(model: str, layouts: dict[str, list[Asked]]) -> dict[tuple[str, str, str], float]:
    """Layout, cache, order → hit rate."""
    found, salts = {}, count()
    for cache, size in CACHES.items():
        async with serving(model, {**ARGS, "kv_cache_memory_bytes": size}, show=lambda _: None) as server:
            for layout, asked in layouts.items():
                for order in ORDERS if cache != "holds all" else ["by pair"]:
                    listed = [each.request for each in sorted(asked, key=ORDERS[order])]
                    found[layout, cache, order] = await hit_rate(server.base_url, model, listed, next(salts))
                    print(f"{layout}, cache {cache}, {order}: {found[layout, cache, order]:.3f}", file=sys.stderr)
    return found


def make_model(folder: Path, pairs: Sequence[Pair]) -> str:
    """The tiny model of the tests, made by the Python beside `vllm`."""
    texts = [text for pair in pairs for text in (pair.instruction, pair.output_1, pair.output_2)]
    command = [str(Path(executable()).with_name("python")), str(TESTS / "tiny.py"), str(folder)]
    subprocess.run(command, input=json.dumps(texts), text=True, check=True, stdout=subprocess.DEVNULL)
    return str(folder / "judge")


def main() -> None:
    os.environ.update(QUICK)
    everything = load_pairs(sys.argv[1] if len(sys.argv) > 1 else "llmbar")
    pairs = random.Random(0).sample(everything, PAIRS)  # noqa: S311 - a sample that repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layouts = {
            "template first": [load_strategy(strategy) for strategy in NAMES],
            "pair first": [load_strategy(pair_first(strategy, folder)) for strategy in NAMES],
        }
        asked = {layout: asyncio.run(requests(pairs, strategies)) for layout, strategies in layouts.items()}
        found = asyncio.run(measure(make_model(folder, everything), asked))
    columns = [("holds all", "by pair"), *(("32k tokens", order) for order in ORDERS)]
    print(f"{'prefix cache':<16}" + "".join(f"{f'{cache}, {order}':>24}" for cache, order in columns))
    for layout in layouts:
        print(f"{layout:<16}" + "".join(f"{found[layout, *column]:>24.3f}" for column in columns))


if __name__ == "__main__":
    main()
