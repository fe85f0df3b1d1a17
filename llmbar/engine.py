"""The engine: pairs × strategies × judge → judgments.

Each pair advances through its strategy on its own, its steps one after another, the places of a step (orders, outputs,
items, samples) at once; there is no barrier between pairs, and a bounded number of them is in flight, so that memory is
flat in the number of pairs. All that concerns one pair is asked close together, for the sake of the server's prefix
cache.

Asking (`judge_pair`) and deciding (`decide`) are apart: replies that a run has kept are read again without a request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import fsum
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from llmbar.errors import first
from llmbar.records import Judgment, Order, Pair, Question, Reply, Request, Response, Verdict
from llmbar.transcript import ORDERS, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from llmbar.judges import Judge
    from llmbar.records import Cause, FailureKind
    from llmbar.strategy import Step, Strategy

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """A judgment to come: a pair, a strategy, and which repetition of asking it."""

    pair: Pair
    strategy: Strategy
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step is asked once: in an order, about an output, or neither; on an item; as one of several samples."""

    order: Order | None = None
    output: Literal[1, 2] | None = None
    item: str | None = None
    sample: int = 0


async def judge_all(
    jobs: Iterable[Job], panel: Sequence[Judge], keep: Callable[[Judgment], None], *, window: int = 256
) -> None:
    """Judge every job, `window` of them in flight at most, and hand each judgment to `keep` as it is reached.

    The `panel` is the judge and, after it, whoever else a strategy's steps ask with `by`.

    Raises:
        LlmbarError: what stops everything, such as a wrong key; judgments reached before it have been kept.
    """
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            keep(await judge_pair(job, panel))
            await asyncio.sleep(0)

    await _side_by_side([work() for _ in range(window)])


async def judge_pair(job: Job, panel: Sequence[Judge]) -> Judgment:
    """Ask one pair's steps, each in every place where it can be asked, and decide; a failure ends the asking.

    Raises:
        LlmbarError: a judge that can answer nothing, or a template that uses what is not there.
    """
    transcript = Transcript(job.strategy)
    for step in job.strategy.steps:
        if not transcript.failed and transcript.applies(step):
            for reply in await _ask_step(step, job, panel, transcript):
                transcript.add(step, reply)
    return decide(job, transcript, judge=panel[0].name)


async def _side_by_side(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What they return, in their order; where one raises, the others are cancelled, and its error comes as itself."""
    if len(coroutines) == 1:
        return [await coroutines[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in coroutines]
    except BaseExceptionGroup as stopped:
        raise first(stopped) from None
    return [task.result() for task in tasks]


def decide(job: Job, transcript: Transcript, *, judge: str) -> Judgment:
    """The verdicts that follow from what was said.

    An order is FAILED where a reply that it rests on never arrived or, after a failure, was not asked for; UNREADABLE
    where nothing that decides could be read. The final verdict is that of the mean margin of both orders, and takes the
    worse of their states.
    """
    steps = transcript.deciding()
    margins: dict[Order, float | None] = {}
    verdicts: dict[Order, Verdict] = {}
    causes: dict[Order, Cause | FailureKind | None] = {}
    for order in ORDERS:
        causes[order] = failure = transcript.failure(order)
        margins[order] = margin = None if failure else transcript.margin(steps, order)
        verdicts[order] = Verdict.FAILED if failure else Verdict.UNREADABLE if margin is None else Verdict.of(margin)
        if verdicts[order] is Verdict.UNREADABLE:
            causes[order] = transcript.cause(order)
    final, final_margin = _final(verdicts.values(), margins.values())
    return Judgment(
        dataset=job.pair.dataset,
        group=job.pair.group,
        subset=job.pair.subset,
        pair=job.pair.id,
        judge=judge,
        strategy=job.strategy.name,
        repeat=job.repeat,
        gold=job.pair.gold,
        original=verdicts[Order.ORIGINAL],
        swapped=verdicts[Order.SWAPPED],
        final=final,
        original_margin=margins[Order.ORIGINAL],
        swapped_margin=margins[Order.SWAPPED],
        final_margin=final_margin,
        original_cause=causes[Order.ORIGINAL],
        swapped_cause=causes[Order.SWAPPED],
        replies=transcript.replies(),
    )


def _final(verdicts: Iterable[Verdict], margins: Iterable[float | None]) -> tuple[Verdict, float | None]:
    states = set(verdicts)
    for state in (Verdict.FAILED, Verdict.UNREADABLE):
        if state in states:
            return state, None
    both = [margin for margin in margins if margin is not None]
    margin = fsum(both) / len(both)
    return Verdict.of(margin), margin


# -- asking -----------------------------------------------------------------------------------------------------------


async def _ask_step(step: Step, job: Job, panel: Sequence[Judge], transcript: Transcript) -> list[Reply]:
    queues = [_ask_queue(step, places, job, panel, transcript) for places in _queues(step, transcript)]
    return [reply for replies in await _side_by_side(queues) for reply in replies]


def _queues(step: Step, transcript: Transcript) -> Iterator[list[Place]]:
    """The step's places; those of one list are asked one after another, the lists at once."""
    for order, output in _sides(step):
        items = _items(step, transcript, order, output)
        places = [Place(order, output, item, sample) for item in items for sample in range(step.file.samples)]
        yield from [places] if step.file.in_turn else ([place] for place in places)


def _sides(step: Step) -> Sequence[tuple[Order | None, Literal[1, 2] | None]]:
    if step.per == "pair":
        return [(None, None)]
    return [(order, None) for order in ORDERS] if step.per == "order" else [(None, 1), (None, 2)]


def _items(step: Step, transcript: Transcript, order: Order | None, output: int | None) -> Sequence[str | None]:
    over = step.file.over
    if over is None:
        return [None]
    return over if isinstance(over, tuple) else transcript.items(over, order, output)


async def _ask_queue(
    step: Step, places: list[Place], job: Job, panel: Sequence[Judge], transcript: Transcript
) -> list[Reply]:
    replies: list[Reply] = []
    judge = panel[step.file.by]
    for place in places:
        request = build_request(step, place, job, transcript, replies)
        reply = _reply(step, place, request, await judge.answer(request), judge)
        replies.append(reply)
        if reply.failure:
            break
    return replies


def build_request(step: Step, place: Place, job: Job, transcript: Transcript, said: Sequence[Reply] = ()) -> Request:
    """What is asked in one place: the rendered messages, how they are sampled, and what the reply is held to."""
    labels = job.strategy.file.labels
    return Request(
        messages=step.render(_context(step, place, job, transcript, said)),
        sampling=step.file.sampling,
        constraint=step.file.read.constraint(labels),
        sample=job.repeat * step.file.samples + place.sample,
        about=Question(job.pair, job.strategy.name, step.name, place.order, place.output, labels, step.file.read),
    )


def _context(step: Step, place: Place, job: Job, transcript: Transcript, said: Sequence[Reply]) -> dict[str, Any]:
    """What a step's template sees (`strategy.visible` names it): the pair in this order, and what was said before."""
    pair, labels = job.pair, job.strategy.file.labels
    context: dict[str, Any] = {"instruction": pair.instruction}
    if place.output is not None:
        context["output"] = pair.output_1 if place.output == 1 else pair.output_2
    else:
        shown = (pair.output_1, pair.output_2)
        context["first"], context["second"] = shown[::-1] if place.order is Order.SWAPPED else shown
        context["first_label"], context["second_label"] = labels
    if step.file.over is not None:
        context["item"], context["said"] = place.item, transcript.spoken(step, said, place.order)
    context.update(transcript.seen_by(step, place.order, place.output))
    return context


def _reply(step: Step, place: Place, request: Request, response: Response, judge: Judge) -> Reply:
    return Reply(
        step=step.name,
        order=place.order,
        output=place.output,
        item=place.item,
        sample=place.sample,
        judge=judge.name if step.file.by else "",
        key=request.key,
        text=response.text,
        reasoning=response.reasoning,
        finish_reason=response.finish_reason,
        label_logprobs=response.label_logprobs,
        reward=response.reward,
        usage=response.usage,
        failure=response.failure,
    )


# -- rehearsing -------------------------------------------------------------------------------------------------------


@dataclass
class Understudy:
    """Answers in a judge's place, without a model: it prefers what is shown first, or always output 1."""

    prefers_first: bool = True
    name: str = "understudy"
    asked: list[Request] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        about = request.about
        if about is None:
            raise ValueError("an understudy must be told what it is asked about")
        self.asked.append(request)
        if about.reader.kind == "text":
            return Response(text=f"[what {about.step} said]", finish_reason="stop")
        about_second = about.output == 2 or (not self.prefers_first and about.order is Order.SWAPPED)
        return about.reader.express(-1.0 if about_second else 1.0, about.labels)


async def rehearse(pair: Pair, strategy: Strategy, *, prefers_first: bool = True) -> list[Request]:
    """Every request that a strategy makes for one pair, in order, with stand-ins for what a judge would say.

    With `prefers_first` the two orders conflict wherever they can, so that all steps are asked; without it they agree.

    Raises:
        StrategyError: a template uses something that is not there.
    """
    understudy = Understudy(prefers_first)
    await judge_pair(Job(pair, strategy), [understudy] * (1 + max(step.file.by for step in strategy.steps)))
    return understudy.asked
