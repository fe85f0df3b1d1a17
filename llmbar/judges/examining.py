"""What a judge can do: one question per ability, asked of the judge as a run would ask it.

The same small comparison each time, with one thing added: a system turn, a limit, a constraint, a seed. So what fails
here would fail in a run, and what a server would not take (and llmbar therefore left out) is told as such.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmbar.errors import JudgeError
from llmbar.judges import open_judge
from llmbar.reading import ChoiceReader, LogprobReader, RewardReader
from llmbar.records import Constraint, Message, Order, Pair, Question, Request, Sampling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llmbar.judges import Judge, JudgeOptions
    from llmbar.reading import Reader
    from llmbar.records import Response

LABELS = ("Output (a)", "Output (b)")
PAIR = Pair(
    id="colours",
    dataset="doctor",
    subset="doctor",
    instruction="Name one colour of the rainbow, in one word.",
    output_1="Green",
    output_2="Elephants are grey, and so is the sky above them.",
    gold=1,
)
SYSTEM = Message("system", "You compare outputs, and answer in exactly the form you are asked for.")
PROMPT = f"""\
# Instruction:
{PAIR.instruction}

# {LABELS[0]}:
{PAIR.output_1}

# {LABELS[1]}:
{PAIR.output_2}

# Which is better, {LABELS[0]} or {LABELS[1]}?
Reply with the label alone: "{LABELS[0]}" or "{LABELS[1]}". No other word."""
FEW = 5
"""Tokens that a reply is limited to, to see whether it is."""
CHOICE = ChoiceReader(kind="choice")
WEIGHED = LogprobReader(kind="logprob")


@dataclass(frozen=True, slots=True)
class Finding:
    """One ability: whether the judge has it, and what was seen."""

    ability: str
    works: bool
    seen: str
    needed: bool = False
    """Without it no run is possible, or it would not be what was asked for."""


async def examine(name: str, options: JudgeOptions | None = None) -> AsyncIterator[Finding]:
    """Try a judge's abilities, one after another, until one is missing that is needed."""
    opened = False
    try:
        async with open_judge(name, options) as judge:
            opened = True
            yield Finding("key and address", works=True, seen=_known(judge), needed=True)
            for look in REWARDING if name.startswith("reward/") else ANSWERING:
                finding = await look(judge)
                yield finding
                if finding.needed and not finding.works:
                    return
    except JudgeError as error:
        yield Finding("answers" if opened else "key and address", works=False, seen=str(error), needed=True)


async def _answers(judge: Judge) -> Finding:
    response = await judge.answer(_request())
    seen = f"{response.text[:40]!r} in {response.latency:.2f} s" + (f", by {response.model}" if response.model else "")
    return _found("answers", response, seen=seen, needed=True)


async def _system_role(judge: Judge) -> Finding:
    response = await judge.answer(_request(system=True))
    return _found("system role", response, seen="taken", needed=True)


async def _limit(judge: Judge) -> Finding:
    response = await judge.answer(_request(Sampling(max_tokens=FEW)))
    tokens = response.usage.completion_tokens
    kept = tokens <= FEW + response.usage.reasoning_tokens
    return _found("max_tokens", response, works=kept, seen=f"{tokens} tokens of {FEW}", needed=True)


async def _choice(judge: Judge) -> Finding:
    response = await judge.answer(_request(Sampling(max_tokens=50), constraint=Constraint("choice", LABELS)))
    held = response.text.strip() in LABELS
    return _found("held to a choice", response, works=held, seen=repr(response.text[:40]))


async def _logprobs(judge: Judge) -> Finding:
    request = _request(Sampling(max_tokens=50), constraint=Constraint("logprobs", LABELS), reader=WEIGHED)
    response = await judge.answer(request)
    told = response.label_logprobs or {}
    seen = ", ".join(f"{label} {logprob:.2f}" for label, logprob in told.items()) or "none told"
    return _found("label log-probabilities", response, works=set(told) == set(LABELS), seen=seen)


async def _reasoning(judge: Judge) -> Finding:
    response = await judge.answer(_request(Sampling(max_tokens=200), system=True))
    tokens = response.usage.reasoning_tokens
    thought = bool(response.reasoning) or tokens > 0
    seen = f"{len(response.reasoning)} characters apart from the reply, {tokens} tokens counted" if thought else "none"
    return _found("reasoning", response, works=thought, seen=seen)


async def _seed(judge: Judge) -> Finding:
    request = _request(Sampling(temperature=1.0, max_tokens=20, seed=7))
    one, two = await judge.answer(request), await judge.answer(request)
    same = one.text == two.text
    return _found("seed", two, works=same, seen="repeats" if same else "does not repeat")


async def _reward(judge: Judge) -> Finding:
    messages = (Message("user", PAIR.instruction), Message("assistant", PAIR.output_1))
    response = await judge.answer(Request(messages, about=_about(RewardReader(kind="reward"), output=True)))
    return _found("reward", response, works=response.reward is not None, seen=f"{response.reward}", needed=True)


Look = Callable[["Judge"], Awaitable[Finding]]

ANSWERING: tuple[Look, ...] = (_answers, _system_role, _limit, _choice, _logprobs, _reasoning, _seed)
REWARDING: tuple[Look, ...] = (_reward,)


def _request(
    sampling: Sampling | None = None,
    *,
    system: bool = False,
    constraint: Constraint | None = None,
    reader: Reader = CHOICE,
) -> Request:
    turns = (SYSTEM, Message("user", PROMPT)) if system else (Message("user", PROMPT),)
    return Request(turns, sampling or Sampling(max_tokens=50), constraint, about=_about(reader))


def _about(reader: Reader, *, output: bool = False) -> Question:
    """What the question is about, for judges that answer without a model."""
    if output:
        return Question(PAIR, "doctor", "verdict", None, 1, LABELS, reader)
    return Question(PAIR, "doctor", "verdict", Order.ORIGINAL, None, LABELS, reader)


def _found(ability: str, response: Response, *, seen: str, works: bool = True, needed: bool = False) -> Finding:
    """A finding; a failure speaks for itself, and so does what had to be left out."""
    if response.failure is not None:
        return Finding(ability, works=False, seen=response.failure.message, needed=needed)
    return Finding(ability, works, "; ".join([seen, *response.adaptations]), needed)


def _known(judge: Judge) -> str:
    facts = getattr(judge, "facts", {})
    return ", ".join(f"{name} {str(value)[:24]}" for name, value in facts.items()) or "yes"
