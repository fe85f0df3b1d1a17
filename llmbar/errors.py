"""What can go wrong, and what becomes of it.

Policy. A *user's mistake* (a file, a flag, a key) raises one of the errors below; the command line prints it as one
line and exits with its code, and nothing is lost. A *judge's failure* (a timeout, a 500, a cut connection) is never
raised: it is data, a `records.Failure` inside a `Response`, counted, shown, asked again by the next run, never scored.

    LlmbarError
     ├─ UsageError          a flag, a name or a value that does not exist or does not fit
     ├─ PairError           a pair file that cannot be read or holds a bad pair
     ├─ StrategyError       a strategy folder: unknown key, template error, undeclared variable
     ├─ JudgeError          a judge that cannot be opened or will never answer: no key, no such model
     ├─ RecordingError      a recorded evaluator output that is cut off or disagrees with its pair set
     ├─ RunError            a run folder that is missing, half-written or of another question
     ├─ StoreError          the store of responses cannot be opened or written
     └─ FetchError          a download that failed or is not what was pinned
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

E = TypeVar("E", bound=BaseException)


class LlmbarError(Exception):
    """A mistake that a user can mend, told in one line: where, what, remedy.

    >>> str(LlmbarError("label is 3", file="pairs.jsonl", line=7, field="gold", remedy="use 1 or 2"))
    'pairs.jsonl:7: gold: label is 3 (use 1 or 2)'
    """

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message, self.file, self.line, self.field, self.remedy = message, file, line, field, remedy
        super().__init__(message)

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        field = f"{self.field}: " if self.field else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{where}{field}{self.message}{remedy}"


class UsageError(LlmbarError):
    """A flag, a name or a value that does not exist or does not fit."""


class PairError(LlmbarError):
    """A pair file that cannot be read, or a pair in it that is not one."""


class StrategyError(LlmbarError):
    """A strategy folder with an unknown key, a template error or an undeclared variable."""


class JudgeError(LlmbarError):
    """A judge that cannot be opened, or whose every request would be refused."""


class RecordingError(LlmbarError):
    """A recorded evaluator output that is cut off, incomplete or disagrees with its pair set."""

    exit_code = 5


class RunError(LlmbarError):
    """A run folder that is missing, half-written or belongs to another question."""


class StoreError(LlmbarError):
    """The store of responses cannot be opened or written."""

    exit_code = 1


class FetchError(LlmbarError):
    """A download that failed, or that is not the file that was pinned."""

    exit_code = 1


def suggestion(word: str, known: Iterable[str]) -> str:
    """A remedy for a mistyped `word`: the nearest `known` ones, or all of them.

    >>> suggestion("vanila", ["vanilla", "rules"])
    'did you mean vanilla?'
    """
    names = sorted(known)
    near = get_close_matches(word, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"


def first(stopped: BaseExceptionGroup[E]) -> E:
    """Of what stopped tasks that ran side by side, the first."""
    inner = stopped.exceptions[0]
    return first(inner) if isinstance(inner, BaseExceptionGroup) else inner
