"""Make a run, or resume it: what is asked is planned first, then judged into a folder, then sealed.

The folder's name follows from what is asked, so the same command finds it again: what is there is not asked for, what
failed is.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llmbar.engine import Job, judge_all, rehearse
from llmbar.errors import LlmbarError, UsageError, first
from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.stored import Stored, Tally
from llmbar.pairs import load_pairs
from llmbar.runs.folder import Key, RunFolder
from llmbar.runs.manifest import Asked, Counts, JudgeAsked, PairsAsked, StrategyAsked, utc_now
from llmbar.runs.reviewing import Run, seal
from llmbar.store import Store
from llmbar.strategy import load_strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from llmbar.judges import Judge
    from llmbar.records import Judgment, Pair
    from llmbar.strategy import Strategy


class Watcher(Protocol):
    """Whoever shows how a run gets on."""

    def begin(self, folder: Path, total: int, done: int, tallies: Mapping[str, Tally]) -> None: ...
    def judged(self, judgment: Judgment) -> None: ...
    def end(self) -> None: ...


@dataclass(frozen=True)
class Plan:
    """A run to be made: pairs × judges × strategies × repeats, and where its files go."""

    pairs: Sequence[Pair]
    judges: Mapping[str, JudgeOptions]
    strategies: Sequence[Strategy]
    panel: Mapping[str, JudgeOptions] = field(default_factory=dict)
    repeats: int = 1
    results: Path = Path("results")

    @property
    def asked(self) -> Asked:
        return Asked(
            judges=tuple(JudgeAsked.of(*judge) for judge in self.judges.items()),
            panel=tuple(JudgeAsked.of(*judge) for judge in self.panel.items()),
            strategies=tuple(map(StrategyAsked.of, self.strategies)),
            datasets=PairsAsked.of(self.pairs),
            repeats=self.repeats,
        )

    def jobs(self) -> Iterator[Job]:
        """One judge's work: all that concerns a pair close together."""
        for pair, strategy, repeat in product(self.pairs, self.strategies, range(self.repeats)):
            yield Job(pair, strategy, repeat)

    def keys(self) -> dict[Key, int]:
        """The canonical place of every judgment: by judge, strategy, pair, repeat."""
        order = product(self.judges, self.strategies, self.pairs, range(self.repeats))
        named = ((judge, strategy.name, pair.dataset, pair.id, repeat) for judge, strategy, pair, repeat in order)
        return {key: place for place, key in enumerate(named)}


Pairs = str | Path | Sequence["str | Path | Pair"]
"""Names or paths of pair sets, or pairs."""


def plan(
    pairs: Pairs,
    *,
    judge: str | Sequence[str],
    strategies: str | Sequence[str] = "rules",
    panel: Sequence[str] = (),
    options: JudgeOptions | None = None,
    sampling: Mapping[str, object] | None = None,
    limit: int | None = None,
    repeats: int = 1,
    results: str | Path = "results",
) -> Plan:
    """Load and check everything that a run needs, without asking anything.

    Args:
        pairs: names or paths of pair sets, or pairs.
        judge: names of judges, such as `openai/gpt-4o`.
        strategies: names, aliases or folders.
        panel: further judges, for strategies whose steps ask them with `by`.
        options: how to reach the judges.
        sampling: what to sample otherwise than the strategies say, such as `{"temperature": 1.0}`.
        limit: only so many pairs of each subset.
        repeats: how often each judgment is made, independently.
        results: the folder of runs, and of the store of responses.

    Raises:
        LlmbarError: anything that is missing or does not fit, with its remedy.
    """
    options = options or JudgeOptions()
    chosen = [load_strategy(name).sampled(sampling or {}) for name in _names(strategies)]
    loaded = _load([pairs] if isinstance(pairs, (str, Path)) else pairs, limit)
    if not (loaded and chosen):
        raise UsageError("nothing to judge: no pair" if chosen else "nothing to judge: no strategy")
    return Plan(
        pairs=loaded,
        judges=dict.fromkeys(_names(judge), options),
        strategies=chosen,
        panel=dict.fromkeys(panel, options),
        repeats=repeats,
        results=Path(results),
    )


def run(pairs: Pairs | Plan, *, watcher: Watcher | None = None, **options: Any) -> Run:
    """Judge all that is planned and not yet judged, and seal the run.

    Takes a plan, or what `plan` takes. Failed judgments are kept apart: the run is then incomplete, and the same call
    asks for them again.

    Raises:
        LlmbarError: what stops everything, such as a wrong key; what was judged until then is kept.
    """
    return asyncio.run(arun(pairs, watcher=watcher, **options))


async def arun(pairs: Pairs | Plan, *, watcher: Watcher | None = None, **options: Any) -> Run:
    """`run`, for code that has an event loop already, such as a notebook's."""
    return await _carry_out(pairs if isinstance(pairs, Plan) else plan(pairs, **options), watcher)


async def _carry_out(plan: Plan, watcher: Watcher | None) -> Run:
    for strategy in plan.strategies:
        check_panel(strategy, 1 + len(plan.panel))
        await rehearse(plan.pairs[0], strategy)
    asked = plan.asked
    folder = RunFolder.begin(plan.results / asked.slug, asked, plan.pairs, utc_now())
    if folder.manifest.state == "complete":
        return Run(folder)
    done = folder.resume()
    started, tallies = time.monotonic(), dict[str, Tally]()
    try:
        async with AsyncExitStack() as stack:
            store = stack.enter_context(Store.open(plan.results / "responses.sqlite"))
            judges = [await _opened(stack, name, options, store) for name, options in plan.judges.items()]
            panel = [await _opened(stack, name, options, store) for name, options in plan.panel.items()]
            tallies |= {judge.name: judge.tally for judge in [*judges, *panel] if isinstance(judge, Stored)}
            keep = _keeper(folder, watcher, asked, len(done), tallies)
            async with asyncio.TaskGroup() as group:
                for judge in judges:
                    jobs = (job for job in plan.jobs() if _key(judge.name, job) not in done)
                    window = plan.judges[judge.name].concurrency
                    group.create_task(judge_all(jobs, [judge, *panel], keep, window=window))
    except* LlmbarError as stopped:
        raise first(stopped) from None
    finally:
        folder.close()
        if watcher:
            watcher.end()
        counts = folder.manifest.counts.plus(_counted(tallies.values(), time.monotonic() - started))
        folder.keep_manifest(folder.manifest.model_copy(update={"counts": counts}))
    seal(folder, plan.keys(), utc_now())
    return Run(folder)


def estimate(plan: Plan) -> Estimate:
    """How many requests a run makes, and about how many tokens, without asking anything.

    Requests and prompt characters are counted on the first pairs of the plan, with stand-ins for what a judge would
    say; where a strategy asks more only if orders conflict, the estimate is a range. Tokens are guessed: four
    characters each; completions at most what the strategies allow.
    """
    return asyncio.run(_estimate(plan))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take, at least and at most."""

    requests: tuple[int, int]
    prompt_tokens: tuple[int, int]
    completion_tokens: int
    """At most; 0 where a strategy sets no bound."""


SAMPLE = 50
"""Pairs that an estimate looks at."""
CHARACTERS_PER_TOKEN = 4


async def _estimate(plan: Plan) -> Estimate:
    looked_at = plan.pairs[:: max(1, len(plan.pairs) // SAMPLE)]
    times = len(plan.judges) * plan.repeats * len(plan.pairs) / len(looked_at)
    requests, tokens, completion = [0.0, 0.0], [0.0, 0.0], 0.0
    for pair, strategy in product(looked_at, plan.strategies):
        for bound, conflict in enumerate((False, True)):
            asked = {request.key: request for request in await rehearse(pair, strategy, prefers_first=conflict)}
            characters = sum(len(turn.content) for request in asked.values() for turn in request.messages)
            requests[bound] += len(asked) * times
            tokens[bound] += characters / CHARACTERS_PER_TOKEN * times
        completion += sum(request.sampling.max_tokens or 0 for request in asked.values()) * times
    return Estimate((round(requests[0]), round(requests[1])), (round(tokens[0]), round(tokens[1])), round(completion))


def check_panel(strategy: Strategy, members: int) -> None:
    """Every step's `by` must name a judge that is there."""
    for step in strategy.steps:
        if step.file.by >= members:
            told = f"step {step.name!r} of {strategy.name} is answered by panel member {step.file.by}"
            raise UsageError(told, field="panel", remedy="name one more judge with --panel")


async def _opened(stack: AsyncExitStack, name: str, options: JudgeOptions, store: Store) -> Judge:
    return await stack.enter_async_context(open_judge(name, options, store=store))


def _keeper(
    folder: RunFolder, watcher: Watcher | None, asked: Asked, done: int, tallies: Mapping[str, Tally]
) -> Callable[[Judgment], None]:
    if watcher is None:
        return folder.add
    watcher.begin(folder.path, asked.judgments, done, tallies)

    def keep(judgment: Judgment) -> None:
        folder.add(judgment)
        watcher.judged(judgment)

    return keep


def _counted(tallies: Iterable[Tally], seconds: float) -> Counts:
    names = ("asked", "from_store", "failed", "retries", "prompt_tokens", "completion_tokens")
    sums = {name: sum(getattr(tally, name) for tally in tallies) for name in names}
    return Counts(**sums, seconds=seconds)


def _key(judge: str, job: Job) -> Key:
    return judge, job.strategy.name, job.pair.dataset, job.pair.id, job.repeat


def _names(names: str | Sequence[str]) -> list[str]:
    return list(dict.fromkeys([names] if isinstance(names, str) else names))


def _load(sources: Iterable[str | Path | Pair], limit: int | None) -> list[Pair]:
    """Pairs of all sources, each once, at most `limit` of each subset."""
    found: dict[tuple[str, str], Pair] = {}
    for source in sources:
        for pair in load_pairs(source) if isinstance(source, (str, Path)) else [source]:
            known = found.setdefault((pair.dataset, pair.id), pair)
            if known.digest != pair.digest:
                raise UsageError(f"two different pairs of {pair.dataset} are called {pair.id!r}", field="dataset")
    taken: Counter[tuple[str, str]] = Counter()
    pairs = []
    for pair in found.values():
        taken[pair.dataset, pair.subset] += 1
        if limit is None or taken[pair.dataset, pair.subset] <= limit:
            pairs.append(pair)
    return pairs
