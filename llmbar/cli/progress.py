"""How a run gets on: a live bar on a terminal, a plain line now and then elsewhere. All of it on standard error."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from llmbar.records import Judgment, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from llmbar.judges.stored import Tally
    from llmbar.runs.judging import Watcher

PLAIN_EVERY = 10.0
"""Seconds between two plain lines."""
DRAWN_EVERY = 0.1
"""Seconds between two states of the bar."""


def watcher() -> Watcher:
    """The one that fits standard error."""
    return Bar() if sys.stderr.isatty() else Lines()


class Watching:
    """What both keep count of."""

    def __init__(self) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self.tallies: Mapping[str, Tally] = {}
        self.total = self.before = 0
        self.started = 0.0

    def begin(self, folder: Path, total: int, done: int, tallies: Mapping[str, Tally]) -> None:
        self.total, self.before, self.tallies, self.started = total, done, tallies, time.monotonic()

    def judged(self, judgment: Judgment) -> None:
        self.verdicts[judgment.final] += 1

    @property
    def done(self) -> int:
        return self.before + self.verdicts.total()

    def line(self) -> str:
        """How many of all, rate, time left, requests, cost, and what went wrong."""
        rate = self.verdicts.total() / max(time.monotonic() - self.started, 1e-9)
        told = [f"{self.done:,}/{self.total:,}", f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s"]
        told += [f"{_clock((self.total - self.done) / rate)} left"] if rate else []
        if self.tallies:
            tallies = self.tallies.values()
            asked, stored = (sum(getattr(tally, name) for tally in tallies) for name in ("asked", "from_store"))
            told += [f"{asked:,} asked", f"{stored:,} from store", *_cost(self.tallies)]
        told += [f"{self.verdicts[state]:,} {state}" for state in (Verdict.UNREADABLE, Verdict.FAILED)]
        return " · ".join(told)


class Lines(Watching):
    """Plain lines, for logs."""

    def begin(self, folder: Path, total: int, done: int, tallies: Mapping[str, Tally]) -> None:
        super().begin(folder, total, done, tallies)
        self.said = self.started
        print(f"{folder}: {total:,} judgments, {done:,} of them there already", file=sys.stderr, flush=True)

    def judged(self, judgment: Judgment) -> None:
        super().judged(judgment)
        if time.monotonic() - self.said > PLAIN_EVERY:
            self.said = time.monotonic()
            self._say()

    def end(self) -> None:
        self._say()

    def _say(self) -> None:
        print(self.line(), file=sys.stderr, flush=True)


class Bar(Watching):
    """A live bar."""

    def begin(self, folder: Path, total: int, done: int, tallies: Mapping[str, Tally]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        super().begin(folder, total, done, tallies)
        console = Console(stderr=True)
        console.print(str(folder), style="dim", highlight=False, markup=False)
        wrapped = TextColumn("{task.fields[told]}", markup=False, table_column=Column())
        bar = BarColumn(bar_width=16, table_column=Column(min_width=16))
        self.bar = Progress(bar, wrapped, console=console, refresh_per_second=8)
        self.task = self.bar.add_task("", total=total, completed=done, told="")
        self.drawn = self.started
        self.bar.start()

    def judged(self, judgment: Judgment) -> None:
        super().judged(judgment)
        if time.monotonic() - self.drawn > DRAWN_EVERY:
            self.drawn = time.monotonic()
            self._draw()

    def end(self) -> None:
        self._draw()
        self.bar.stop()

    def _draw(self) -> None:
        self.bar.update(self.task, completed=self.done, told=self.line())


def _cost(tallies: Mapping[str, Tally]) -> list[str]:
    from llmbar.prices import cost

    costs = [cost(name, tally.prompt_tokens, tally.completion_tokens) for name, tally in tallies.items()]
    known = [each for each in costs if each is not None]
    return [f"${sum(known):.2f}"] if known else []


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _clock(3725)
    '1:02:05'
    """
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"
