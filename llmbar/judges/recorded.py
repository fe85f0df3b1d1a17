"""A judge that answers from recordings: `recorded/GPT-4 -M path=FOLDER`.

It says what the recorded judge said of the same pair, with the strategy of the same name and in the same place. What
was not recorded is a failure, never invented.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from llmbar.errors import JudgeError, suggestion
from llmbar.judges.local import asked, refuse_unknown
from llmbar.recordings import RecordedItem, find_recordings, places, read_recording, recorded_by
from llmbar.records import Failure, FailureKind, Response
from llmbar.strategy import load_strategy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from llmbar.judges import JudgeOptions
    from llmbar.recordings import RecordedReply
    from llmbar.records import Pair, Question, Request
    from llmbar.store import Store

Content = tuple[str, str, str]
"""Instruction, output 1, output 2."""


class RecordedJudge:
    """Answers with what is recorded in `files` (recorded strategy → its result files), each read when first needed."""

    def __init__(self, name: str, files: dict[str, list[Path]], strategy: str | None = None) -> None:
        self.name, self.files, self.strategy = name, files, strategy
        self._items = cache(self._read)

    async def answer(self, request: Request) -> Response:
        question = asked(request)
        reply = self._find(question) if request.sample == 0 else None
        if reply is None:
            told = f"not recorded: pair {question.pair.id}, strategy {question.strategy}, step {question.step}"
            return Response(failure=Failure(kind=FailureKind.UNSUPPORTED, message=told))
        return Response(text=reply.text, finish_reason=reply.finish_reason, model=self.name.partition("/")[2])

    def _find(self, question: Question) -> RecordedReply | None:
        strategy = load_strategy(question.strategy)
        names = [self.strategy] if self.strategy else [strategy.name, *strategy.aliases]
        recorded = next((name for name in names if name in self.files), None)
        item = None if recorded is None else _of(self._items(recorded).get(content(question.pair), []), question.pair)
        return None if item is None else places(item, strategy).get((question.step, question.order, question.output))

    def _read(self, strategy: str) -> dict[Content, list[RecordedItem]]:
        found: dict[Content, list[RecordedItem]] = {}
        for file in self.files[strategy]:
            for item in read_recording(file).items:
                found.setdefault(content(item.pair), []).append(item)
        return found


@asynccontextmanager
async def open_(name: str, model: str, options: JudgeOptions, _store: Store | None) -> AsyncIterator[RecordedJudge]:
    """Open `recorded/<judge>`; `-M path=` names the folder, `-M strategy=` a recorded strategy other than the alias."""
    refuse_unknown(name, options, ("path", "strategy"))
    if "path" not in options.args:
        raise JudgeError(f"{name} needs recordings", field="path", remedy="-M path=FOLDER that holds evaluators/")
    judges = by_judge(find_recordings(options.args["path"]))
    if model not in judges:
        raise JudgeError(f"no judge {model!r} is recorded there", field="model", remedy=suggestion(model, judges))
    strategy = options.args.get("strategy")
    if strategy is not None and strategy not in judges[model]:
        remedy = suggestion(strategy, judges[model])
        raise JudgeError(f"{model} is not recorded with {strategy!r}", field="strategy", remedy=remedy)
    yield RecordedJudge(name, judges[model], strategy)


def by_judge(files: Iterable[Path]) -> dict[str, dict[str, list[Path]]]:
    """Result files by judge, then by strategy, as their folders are called."""
    judges: dict[str, dict[str, list[Path]]] = {}
    for file in files:
        judge, strategy = recorded_by(file)
        judges.setdefault(judge, {}).setdefault(strategy, []).append(file)
    return judges


def content(pair: Pair) -> Content:
    return pair.instruction, pair.output_1, pair.output_2


def _of(items: list[RecordedItem], pair: Pair) -> RecordedItem | None:
    """The pair's own item: the only one, or that of its subset where the same texts stand in several pair sets."""
    own = items if len(items) == 1 else [item for item in items if item.pair.subset == pair.subset]
    return own[0] if len(own) == 1 else None
