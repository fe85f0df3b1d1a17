"""What judges on this machine share: they answer *through the prompt*.

A baseline or a simulated judge knows the pair that it is asked about, but not in which order it is shown: that it finds
in the text that a model would have been sent. A template that shows one output twice, or an engine that forgets to
swap, thus shows in the statistics instead of hiding behind a judge that was told the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from llmbar.errors import JudgeError, suggestion
from llmbar.reading import ItemsReader, TextReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmbar.judges import JudgeOptions
    from llmbar.records import Question, Request

Span = tuple[int, int]


def asked(request: Request) -> Question:
    """What the request is about; a JudgeError where it does not say."""
    if request.about is None:
        raise JudgeError("a judge without a model cannot answer a request that does not say what it is about")
    return request.about


def favoured(request: Request) -> Literal[1, 2] | None:
    """The output that a positive answer speaks for: the first shown, or the one asked about.

    None where the step states no preference (its reader keeps text or items).
    """
    question = asked(request)
    if isinstance(question.reader, TextReader | ItemsReader):
        return None
    if question.output is None:
        return first_shown(request)
    if not _shows(request, question.pair.output_1 if question.output == 1 else question.pair.output_2):
        raise _missing(question, f"output {question.output} does not stand in the prompt")
    return question.output


def first_shown(request: Request) -> Literal[1, 2]:
    """Which output stands first in the prompt.

    Outputs stand on lines of their own, and the pair stands last. So the longer output is its last occurrence on whole
    lines, and the shorter one, which may be a part of it, is the last outside. Where there is none, whitespace around
    the outputs and line ends no longer matter. Two identical outputs stand in either order.

    Raises:
        JudgeError: the prompt does not show both outputs.
    """
    question = asked(request)
    one, two = question.pair.output_1, question.pair.output_2
    for text in _turns(request):
        if at := _both(text, f"\n{one}\n", f"\n{two}\n"):
            return 1 if at[0] < at[1] else 2
    for text in _turns(request):
        if at := _both(text, one.strip(), two.strip()):
            return 1 if at[0] < at[1] else 2
    raise _missing(question, "the prompt does not show both outputs")


def refuse_unknown(name: str, options: JudgeOptions, known: Iterable[str] = ()) -> None:
    """A JudgeError where `options` hold what a judge on this machine has no use for."""
    if options.base_urls:
        raise JudgeError(f"{name} is no endpoint", field="base-url", remedy="leave --base-url out")
    names = list(known)
    for key in options.args:
        if key not in names:
            raise JudgeError(f"{name} takes no -M {key}", field=key, remedy=suggestion(key, names))


def _turns(request: Request) -> Iterator[str]:
    """What the user says, the last turn first, with a line end on either side."""
    return (f"\n{message.content}\n" for message in reversed(request.messages) if message.role == "user")


def _shows(request: Request, output: str) -> bool:
    return any(output.strip() in text for text in _turns(request))


def _both(text: str, one: str, two: str) -> Span | None:
    """Where `one` and `two` stand last in `text` without overlapping, but for a line end that both share."""
    if len(one) < len(two):
        found = _both(text, two, one)
        return found and (found[1], found[0])
    if (start := text.rfind(one)) < 0:
        return None
    shared = 1 if one.startswith("\n") else 0
    other = text.rfind(two, start + len(one) - shared)
    if other < 0:
        other = text.rfind(two, 0, start + shared)
    return (start, other) if other >= 0 else None


def _missing(question: Question, what: str) -> JudgeError:
    return JudgeError(
        f"{what}: strategy {question.strategy}, step {question.step}, pair {question.pair.id}",
        remedy="show the outputs unchanged in a user turn of the template",
    )
