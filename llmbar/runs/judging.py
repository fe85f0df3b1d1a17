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
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llmbar.engine import Job, judge_all, rehearse
from llmbar.errors import UsageError, first
from llmbar.judges import JudgeOptions, open_judge, parts_of
from llmbar.judges.stored import Stored, Tally
from llmbar.pairs import load_pairs
from llmbar.runs.folder import Key, RunFolder, at_work
from llmbar.runs.manifest import Asked, Counts, JudgeAsked, PairsAsked, StrategyAsked, utc_now
from llmbar.runs.reviewing import Run, apart, seal
from llmbar.store import Store
from llmbar.strategy import load_strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from llmbar.judges import Judge
    from llmbar.records import Judgment, Pair, Request
    from llmbar.strategy import Strategy


class Watcher(Protocol):
    """Whoever shows how a run gets on."""

    def begin(self, folder: Path, total: int, done: int, tallies: Mapping[str, Tally]) -> None:
        """`total` judgments are to be had, of which `done` are there; the judges' tallies change as they work."""

    def judged(self, judgment: Judgment) -> None: ...

    def end(self) -> None:
        """Nothing more comes, be it that all is judged or that something stopped it."""


@dataclass(frozen=True)
class Plan:
    """A run to be made: pairs × judges × strategies × repeats, and where its files go."""

    pairs: Sequence[Pair]
    judges: Mapping[str, JudgeOptions]
    strategies: Sequence[Strategy]
    panel: Mapping[str, JudgeOptions] = field(default_factory=dict)
    repeats: int = 1
    results: Path = Path("results")

    @cached_property
    def asked(self) -> Asked:
        return Asked(
            judges=tuple(JudgeAsked.of(*judge) for judge in self.judges.items()),
            panel=tuple(JudgeAsked.of(*judge) for judge in self.panel.items()),
            strategies=tuple(map(StrategyAsked.of, self.strategies)),
            datasets=PairsAsked.of(self.pairs),
            repeats=self.repeats,
        )

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.results / self.asked.slug

    def jobs(self, judge: str, done: Collection[Key] = ()) -> Iterator[Job]:
        """One judge's work, without what is done: all that concerns a pair close together."""
        for pair, strategy, repeat in product(self.pairs, self.strategies, range(self.repeats)):
            if (judge, strategy.name, pair.dataset, pair.id, repeat) not in done:
                yield Job(pair, strategy, repeat)

    def places(self) -> Callable[[Key], int]:
        """The canonical place of each judgment: by judge, strategy, pair, repeat."""
        judges = {name: place for place, name in enumerate(self.judges)}
        strategies = {strategy.name: place for place, strategy in enumerate(self.strategies)}
        pairs = {(pair.dataset, pair.id): place for place, pair in enumerate(self.pairs)}

        def place(key: Key) -> int:
            judge, strategy, dataset, pair, repeat = key
            row = judges[judge] * len(strategies) + strategies[strategy]
            return (row * len(pairs) + pairs[dataset, pair]) * self.repeats + repeat

        return place


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
    fields: Mapping[str, str] | None = None,
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
        fields: field → column, for pair files whose columns are called otherwise.
        limit: only so many pairs of each subset.
        repeats: how often each judgment is made, independently.
        results: the folder of runs, and of the store of responses.

    Raises:
        LlmbarError: anything that is missing or does not fit, with its remedy.
    """
    options = options or JudgeOptions()
    for number, what in ((limit, "limit"), (repeats, "repeats")):
        if number is not None and number < 1:
            raise UsageError(f"{number} is less than 1", field=what)
    judges, members = _names(judge), _names(panel)
    for name in [*judges, *members]:
        parts_of(name)
    chosen = _strategies(_names(strategies), sampling or {})
    loaded = _load([pairs] if isinstance(pairs, (str, Path)) else pairs, fields, limit)
    for things, what in ((judges, "judge"), (chosen, "strategy"), (loaded, "pair")):
        if not things:
            raise UsageError(f"there is no {what}", remedy="name at least one")
    check_panel(chosen, 1 + len(members))
    return Plan(
        pairs=loaded,
        judges=dict.fromkeys(judges, options),
        strategies=chosen,
        panel=dict.fromkeys(members, options),
        repeats=repeats,
        results=Path(results),
    )


def check_panel(strategies: Iterable[Strategy], members: int) -> None:
    """Every step's `by` must name a judge that is there, and every judge must be named by some step.

    Raises:
        UsageError: too few are there, or too many.
    """
    asked = [(step.file.by, f"step {step.name!r} of {each.name}") for each in strategies for step in each.steps]
    most, step = max(asked)
    if most >= members:
        raise UsageError(f"{step} is answered by panel member {most}", field="panel", remedy="name one more")
    if most < members - 1:
        told = f"of {members - 1} named, the strategies ask {most}"
        raise UsageError(told, field="panel", remedy="leave out what is not asked")


def run(pairs: Pairs | Plan, *, watcher: Watcher | None = None, **options: Any) -> Run:
    """Judge all that is planned and not yet judged, and seal the run.

    Takes a plan, or what `plan` takes. Failed judgments are kept apart: the run is then incomplete, and the same call
    asks for them again.

    Raises:
        LlmbarError: what stops everything, such as a wrong key; what was judged until then is kept.
    """
    if _inside_a_loop():
        raise UsageError("an event loop is running here", remedy="await llmbar.arun(…) instead of llmbar.run(…)")
    return asyncio.run(arun(pairs, watcher=watcher, **options))


async def arun(pairs: Pairs | Plan, *, watcher: Watcher | None = None, **options: Any) -> Run:
    """`run`, for code that has an event loop already, such as a notebook's."""
    planned = pairs if isinstance(pairs, Plan) else plan(pairs, **options)
    if (known := _finished(planned)) is not None:
        return known
    for strategy in planned.strategies:
        await rehearse(planned.pairs[0], strategy)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(Store.open(planned.results / "responses.sqlite"))
        named = {**planned.judges, **planned.panel}
        judges = {
            name: await stack.enter_async_context(open_judge(name, options, store=store))
            for name, options in named.items()
        }
        stack.enter_context(at_work(planned.path))
        folder = RunFolder.begin(planned.path, planned.asked, planned.pairs, utc_now())
        await _judge(planned, judges, folder, watcher)
        seal(folder, planned.places(), utc_now())
    return Run(folder)


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _finished(plan: Plan) -> Run | None:
    """The run, where it is complete already."""
    if not (plan.path / "manifest.json").is_file():
        return None
    folder = RunFolder.begin(plan.path, plan.asked, plan.pairs, utc_now())
    return Run(folder) if folder.complete else None


async def _judge(plan: Plan, judges: Mapping[str, Judge], folder: RunFolder, watcher: Watcher | None) -> None:
    """Judge what the folder does not hold yet; it is then all there, or what stopped it is raised."""
    done = folder.resume()
    panel = [judges[name] for name in plan.panel]
    served = {name: judge for name, judge in judges.items() if isinstance(judge, Stored)}
    tallies = {name: judge.tally for name, judge in served.items()}
    started = time.monotonic()
    if watcher:
        watcher.begin(folder.path, plan.asked.judgments, len(done), tallies)

    def keep(judgment: Judgment) -> None:
        folder.add(judgment)
        if watcher:
            watcher.judged(judgment)

    try:
        async with asyncio.TaskGroup() as group:
            for name, options in plan.judges.items():
                members = [judges[name], *panel]
                group.create_task(judge_all(plan.jobs(name, done), members, keep, window=options.concurrency))
        folder.note(facts={name: dict(await judge.look()) for name, judge in served.items() if judge.look})
    except ExceptionGroup as stopped:
        raise first(stopped) from None
    finally:
        if watcher:
            watcher.end()
        folder.close()
        folder.note(
            counts=folder.manifest.counts.plus(_counted(tallies.values(), time.monotonic() - started)),
            adaptations={name: judge.adaptations for name, judge in served.items() if judge.adaptations},
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take, at least and at most, were nothing stored yet."""

    requests: tuple[int, int]
    prompt_tokens: tuple[int, int]
    completion_tokens: int | None
    """At most; None where a strategy sets no bound."""


SAMPLE = 500
"""Pairs that an estimate looks at, of less than twice as many all."""
CHARACTERS_PER_TOKEN = 4


def estimate(plan: Plan) -> Estimate:
    """How many requests a run makes, and about how many tokens, without asking anything.

    Requests are counted with stand-ins for what a judge would say, those that strategies share once; where a strategy
    asks more only if orders conflict, the count is a range. Of a large pair set a sample is looked at. Tokens are
    guessed: four characters each; completions at most what the strategies allow.

    Raises:
        StrategyError: a template uses something that is not there.
    """
    pairs = plan.pairs[:: max(1, len(plan.pairs) // SAMPLE)]
    times = len(plan.judges) * plan.repeats * len(plan.pairs) / len(pairs)
    low, high = (apart(_rehearsed(pairs, plan.strategies, conflict=conflict)) for conflict in (False, True))
    return Estimate(
        requests=(round(low.requests * times), round(high.requests * times)),
        prompt_tokens=(round(low.prompt_tokens * times), round(high.prompt_tokens * times)),
        completion_tokens=None if high.completion_tokens is None else round(high.completion_tokens * times),
    )


@dataclass(slots=True)
class _Rehearsed:
    """What was asked in a rehearsal."""

    requests: int = 0
    prompt_tokens: float = 0.0
    completion_tokens: int | None = 0

    def count(self, request: Request) -> None:
        self.requests += 1
        self.prompt_tokens += sum(len(turn.content) for turn in request.messages) / CHARACTERS_PER_TOKEN
        if self.completion_tokens is not None:
            most = request.sampling.max_tokens
            self.completion_tokens = None if most is None else self.completion_tokens + most


async def _rehearsed(pairs: Iterable[Pair], strategies: Iterable[Strategy], *, conflict: bool) -> _Rehearsed:
    """Every request of these pairs, identical ones once; with `conflict` the orders disagree wherever they can."""
    told, known = _Rehearsed(), set[str]()
    for pair, strategy in product(pairs, strategies):
        for request in await rehearse(pair, strategy, prefers_first=conflict):
            if request.key not in known:
                known.add(request.key)
                told.count(request)
    return told


def _counted(tallies: Iterable[Tally], seconds: float) -> Counts:
    names = ("asked", "from_store", "failed", "retries", "prompt_tokens", "completion_tokens")
    sums = {name: sum(getattr(tally, name) for tally in tallies) for name in names}
    return Counts(**sums, seconds=seconds)


def _names(names: str | Sequence[str]) -> list[str]:
    return list(dict.fromkeys([names] if isinstance(names, str) else names))


def _strategies(names: Iterable[str], sampling: Mapping[str, object]) -> list[Strategy]:
    """Each strategy once, by whichever of its names it was asked for."""
    load_strategy.cache_clear()  # a notebook's user edits strategies between runs
    found: dict[str, Strategy] = {}
    for name in names:
        strategy = load_strategy(name)
        if found.setdefault(strategy.name, strategy).digest != strategy.digest:
            told = f"two different strategies are called {strategy.name!r}"
            raise UsageError(told, field="strategy", remedy="rename the folder of one")
    return [strategy.sampled(sampling) for strategy in found.values()]


def _load(sources: Iterable[str | Path | Pair], fields: Mapping[str, str] | None, limit: int | None) -> list[Pair]:
    """Pairs of all sources, each once, at most `limit` of each subset."""
    found: dict[tuple[str, str], Pair] = {}
    for source in sources:
        for pair in load_pairs(source, fields=fields) if isinstance(source, (str, Path)) else [source]:
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
