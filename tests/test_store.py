from __future__ import annotations

import asyncio
import gzip
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from llmbar.cli import store as commands
from llmbar.errors import StoreError
from llmbar.judges.stored import Stored
from llmbar.records import Constraint, Failure, FailureKind, Message, Request, Response, Sampling, Usage
from llmbar.store import Store

if TYPE_CHECKING:
    from pathlib import Path

JUDGE = "http://127.0.0.1:8000/v1 m"


def asking(text: str) -> Request:
    return Request((Message("user", text),))


def put_all(path: Path, texts: list[str], judge: str = JUDGE) -> None:
    async def put() -> None:
        with Store.open(path) as store:
            await asyncio.gather(*(store.put(judge, asking(text), Response(text=f"re {text}")) for text in texts))

    asyncio.run(put())


def rows(path: Path, question: str, *values: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question, values).fetchall()


def test_what_was_put_comes_back_whole(tmp_path):
    response = Response(
        text="Ausgabe (a) ✓ 好",
        reasoning="…",
        finish_reason="stop",
        label_logprobs={"a": -0.1, "b": -2.25},
        usage=Usage(prompt_tokens=7, cached_tokens=3, completion_tokens=2, reasoning_tokens=1),
        latency=0.125,
        model="m-2026",
    )

    async def put_and_get() -> Response | None:
        with Store.open(tmp_path / "new" / "folder" / "s.sqlite") as store:
            assert store.get(JUDGE, asking("?").key) is None
            await store.put(JUDGE, asking("?"), response)
            assert store.get("another judge", asking("?").key) is None
            return store.get(JUDGE, asking("?").key)

    assert asyncio.run(put_and_get()) == response
    with Store.open(tmp_path / "new" / "folder" / "s.sqlite") as store:
        assert store.get(JUDGE, asking("?").key) == response


def test_the_request_can_be_inspected(tmp_path):
    request = Request(
        (Message("system", "Judge."), Message("user", "naïve \ud800")),  # half a surrogate pair, as JSON files may hold
        Sampling(temperature=0.5),
        Constraint("choice", ("A", "B")),
        sample=2,
    )

    async def put() -> None:
        with Store.open(tmp_path / "s.sqlite") as store:
            await store.put(JUDGE, request, Response(text="A"))

    asyncio.run(put())
    ((asked, created),) = rows(tmp_path / "s.sqlite", "select request, created from responses")
    assert json.loads(asked) == {
        "messages": [{"role": "system", "content": "Judge."}, {"role": "user", "content": "naïve \ud800"}],
        "sampling": {"temperature": 0.5},
        "constraint": ["choice", ["A", "B"]],
        "sample": 2,
    }
    assert created.startswith("20")
    assert created.endswith("+00:00")


def test_a_failure_is_never_stored(tmp_path):
    async def put() -> None:
        with Store.open(tmp_path / "s.sqlite") as store:
            failed = Response(failure=Failure(kind=FailureKind.SERVER, message="500"))
            with pytest.raises(ValueError, match="never stored"):
                await store.put(JUDGE, asking("?"), failed)

    asyncio.run(put())
    assert rows(tmp_path / "s.sqlite", "select count(*) from responses") == [(0,)]


def test_the_first_response_to_a_request_stays(tmp_path):
    async def put_twice() -> None:
        with Store.open(tmp_path / "s.sqlite") as store:
            await store.put(JUDGE, asking("?"), Response(text="first"))
            await store.put(JUDGE, asking("?"), Response(text="second"))
            assert store.get(JUDGE, asking("?").key) == Response(text="first")

    asyncio.run(put_twice())


def test_many_puts_share_a_transaction_and_all_arrive(tmp_path):
    texts = [str(number) for number in range(1234)]
    put_all(tmp_path / "s.sqlite", texts)
    with Store.open(tmp_path / "s.sqlite") as store:
        assert all(store.get(JUDGE, asking(text).key) == Response(text=f"re {text}") for text in texts)


def test_a_cancelled_put_is_written_and_harms_no_other(tmp_path):
    async def put() -> None:
        with Store.open(tmp_path / "s.sqlite") as store:
            impatient = asyncio.create_task(store.put(JUDGE, asking("a"), Response(text="a")))
            await asyncio.sleep(0)
            impatient.cancel()
            await store.put(JUDGE, asking("b"), Response(text="b"))
        assert impatient.cancelled()

    asyncio.run(put())
    with Store.open(tmp_path / "s.sqlite") as store:
        assert store.get(JUDGE, asking("a").key) == Response(text="a")
        assert store.get(JUDGE, asking("b").key) == Response(text="b")


WRITER = """
import asyncio, os, signal, sys
from llmbar.records import Message, Request, Response
from llmbar.store import Store

async def write(store, name, start):
    for number in range(start, int(sys.argv[3]), 40):
        request = Request((Message("user", f"{name} {number}"),))
        await store.put("j", request, Response(text=request.key))
        print(request.key, flush=True)
        if number == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    with Store.open(sys.argv[1]) as store:
        await asyncio.gather(*(write(store, sys.argv[2], start) for start in range(40)))

asyncio.run(main())
"""


def writer(path: Path, name: str, count: int, killed_at: int = -1) -> subprocess.Popen[str]:
    """Another process that puts `count` responses and prints the key of each that was acknowledged.

    It is killed at the very moment at which number `killed_at` is acknowledged.
    """
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count), str(killed_at)], stdout=subprocess.PIPE, text=True
    )


def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path):
    process = writer(tmp_path / "s.sqlite", "w", 10**6, killed_at=987)
    keys = process.communicate(timeout=60)[0].split()
    assert process.returncode == -signal.SIGKILL
    assert rows(tmp_path / "s.sqlite", "pragma integrity_check") == [("ok",)]
    with Store.open(tmp_path / "s.sqlite") as store:
        assert len(keys) > 900
        assert all(store.get("j", key) == Response(text=key) for key in keys)


def test_two_processes_make_and_fill_one_store(tmp_path):
    writers = [writer(tmp_path / "s.sqlite", name, 400) for name in "ab"]
    printed = [process.communicate(timeout=60)[0].split() for process in writers]
    assert [process.returncode for process in writers] == [0, 0]
    with Store.open(tmp_path / "s.sqlite") as store:
        keys = {key for keys in printed for key in keys}
        assert len(keys) == 800
        assert all(store.get("j", key) for key in keys)


def test_a_reader_sees_what_another_process_writes_meanwhile(tmp_path):
    with Store.open(tmp_path / "s.sqlite") as store:
        assert store.get(JUDGE, asking("?").key) is None
        put_all(tmp_path / "s.sqlite", ["?"])
        assert store.get(JUDGE, asking("?").key) == Response(text="re ?")


def test_a_newer_store_is_refused_untouched(tmp_path):
    put_all(tmp_path / "s.sqlite", ["?"])
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as connection:
        connection.execute("pragma user_version = 2")
    with (
        pytest.raises(StoreError, match=r"s\.sqlite: is a store of version 2, .*knows 1 \(upgrade llmbar"),
        Store.open(tmp_path / "s.sqlite"),
    ):
        pass
    assert rows(tmp_path / "s.sqlite", "select count(*) from responses") == [(1,)]


def test_a_file_that_is_no_store_is_refused_untouched(tmp_path):
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("no database\n" * 100)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("create table mine (x)")
    before = other.read_bytes()
    with pytest.raises(StoreError, match=r"notes\.txt: cannot be opened: file is not a database"), Store.open(text):
        pass
    with pytest.raises(StoreError, match=r"other\.sqlite: is a database, but no store"), Store.open(other):
        pass
    assert text.read_text() == "no database\n" * 100
    assert other.read_bytes() == before


def test_a_place_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "s.sqlite"):
        with pytest.raises(StoreError, match="cannot be opened"), Store.open(path):
            pass


def test_a_write_that_fails_is_told_to_whoever_waits_and_the_next_one_works(tmp_path):
    async def put() -> None:
        with Store.open(tmp_path / "s.sqlite") as store, closing(sqlite3.connect(tmp_path / "s.sqlite")) as other:
            other.execute("alter table responses rename to gone")
            with pytest.raises(StoreError, match=r"s\.sqlite: cannot be written: no such table"):
                await store.put(JUDGE, asking("?"), Response(text="lost"))
            other.execute("alter table gone rename to responses")
            await store.put(JUDGE, asking("?"), Response(text="kept"))
            assert store.get(JUDGE, asking("?").key) == Response(text="kept")
        with pytest.raises(StoreError, match="is closed"):
            await store.put(JUDGE, asking("!"), Response(text="late"))

    asyncio.run(put())


def test_a_damaged_row_is_named(tmp_path):
    put_all(tmp_path / "s.sqlite", ["?"])
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as connection:
        connection.execute("update responses set response = '{'")
        connection.commit()
    with Store.open(tmp_path / "s.sqlite") as store, pytest.raises(StoreError, match="is damaged"):
        store.get(JUDGE, asking("?").key)


class Scripted:
    """A judge that says what its script says, once it is let."""

    name = "scripted"

    def __init__(self, *script: Response | Exception) -> None:
        self.script, self.asked, self.go = list(script), 0, asyncio.Event()

    async def answer(self, request: Request) -> Response:
        self.asked += 1
        said = self.script.pop(0)
        await self.go.wait()
        await asyncio.sleep(0)  # whoever comes at the same time finds this one in flight
        if isinstance(said, Exception):
            raise said
        return said


def test_identical_requests_in_flight_share_one_call_and_then_the_store(tmp_path):
    async def ask() -> None:
        scripted = Scripted(Response(text="once", usage=Usage(prompt_tokens=3, completion_tokens=4)))
        scripted.go.set()
        with Store.open(tmp_path / "s.sqlite") as store:
            judge = Stored(scripted, store, JUDGE)
            responses = await asyncio.gather(*(judge.answer(asking("?")) for _ in range(100)))
            assert {response.text for response in responses} == {"once"}
            assert (await judge.answer(asking("?"))).text == "once"
        tally = judge.tally
        assert (tally.asked, tally.shared, tally.from_store, tally.failed) == (1, 99, 1, 0)
        assert (tally.prompt_tokens, tally.completion_tokens) == (3, 4)

    asyncio.run(ask())


def test_a_failure_is_shared_by_those_in_flight_and_then_asked_again(tmp_path):
    failure = Failure(kind=FailureKind.SERVER, message="500")

    async def ask() -> None:
        scripted = Scripted(Response(failure=failure), Response(text="well"))
        scripted.go.set()
        with Store.open(tmp_path / "s.sqlite") as store:
            judge = Stored(scripted, store, JUDGE)
            both = await asyncio.gather(judge.answer(asking("?")), judge.answer(asking("?")))
            assert [response.failure for response in both] == [failure, failure]
            assert (await judge.answer(asking("?"))).text == "well"
        assert (judge.tally.asked, judge.tally.failed) == (2, 1)

    asyncio.run(ask())


def test_where_the_asking_call_is_cancelled_or_raises_the_next_in_line_asks():
    async def ask() -> None:
        scripted = Scripted(Response(text="lost"), RuntimeError("broken"), Response(text="found"))
        judge = Stored(scripted, None, JUDGE)
        first, second, third = (asyncio.create_task(judge.answer(asking("?"))) for _ in range(3))
        await asyncio.sleep(0.01)
        assert scripted.asked == 1
        first.cancel()
        scripted.go.set()
        with pytest.raises(RuntimeError, match="broken"):
            await second
        assert (await third).text == "found"
        assert first.cancelled()

    asyncio.run(ask())


# Looking into a store, copying, merging, pruning


def put_response(path: Path, request: Request, response: Response, judge: str = JUDGE) -> None:
    async def put() -> None:
        with Store.open(path) as store:
            await store.put(judge, request, response)

    asyncio.run(put())


def test_what_is_held_is_counted_judge_by_judge(tmp_path):
    path = tmp_path / "s.sqlite"
    for number in range(3):
        usage = Usage(prompt_tokens=10 + number, completion_tokens=number)
        put_response(path, asking(str(number)), Response(text="a", model=f"m-{number % 2}", usage=usage))
    put_response(path, asking("0"), Response(text="b"), judge="other")
    with Store.existing(path) as store:
        first, second = store.held()
    assert (first.judge, first.responses, first.prompt_tokens, first.completion_tokens) == (JUDGE, 3, 33, 3)
    assert set(first.models.split(",")) == {"m-0", "m-1"}
    assert first.first <= first.last
    assert (second.judge, second.responses, second.models, second.prompt_tokens) == ("other", 1, "", 0)


def test_every_row_can_be_had(tmp_path):
    path = tmp_path / "s.sqlite"
    put_all(path, ["a"])
    put_all(path, ["b"], judge="other")
    with Store.existing(path) as store:
        both, one = list(store.rows()), list(store.rows("othe"))
    assert [row["response"] for row in both] == [{"text": "re a"}, {"text": "re b"}]
    assert both[0]["request"]["messages"] == [{"role": "user", "content": "a"}]
    assert both[0]["key"] == asking("a").key
    assert one == both[1:]


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(StoreError, match="there is no such store"), Store.existing(tmp_path / "s.sqlite"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_whole_while_somebody_writes(tmp_path):
    async def write_and_copy() -> None:
        with Store.open(tmp_path / "s.sqlite") as store, Store.existing(tmp_path / "s.sqlite") as seen:
            puts = [asyncio.ensure_future(store.put(JUDGE, asking(str(n)), Response(text="a"))) for n in range(500)]
            await asyncio.sleep(0.02)
            await asyncio.to_thread(seen.copy, tmp_path / "copy.sqlite")
            await asyncio.gather(*puts)

    asyncio.run(write_and_copy())
    with Store.existing(tmp_path / "copy.sqlite") as copy:
        assert all(row["response"] == {"text": "a"} for row in copy.rows())
    assert rows(tmp_path / "copy.sqlite", "pragma integrity_check") == [("ok",)]
    with Store.existing(tmp_path / "s.sqlite") as store, pytest.raises(StoreError, match="is there already"):
        store.copy(tmp_path / "copy.sqlite")


def test_merging_keeps_what_is_there(tmp_path):
    put_response(tmp_path / "a.sqlite", asking("1"), Response(text="ours"))
    put_response(tmp_path / "b.sqlite", asking("1"), Response(text="theirs"))
    put_response(tmp_path / "b.sqlite", asking("2"), Response(text="new"))
    with Store.existing(tmp_path / "a.sqlite") as ours, Store.existing(tmp_path / "b.sqlite") as theirs:
        assert ours.take_in(theirs) == 1
        assert ours.take_in(theirs) == 0
        assert ours.get(JUDGE, asking("1").key) == Response(text="ours")
        assert ours.get(JUDGE, asking("2").key) == Response(text="new")
        assert theirs.count() == 2


def test_pruning_deletes_what_was_counted_and_nothing_else(tmp_path):
    path = tmp_path / "s.sqlite"
    put_all(path, [str(number) for number in range(50)])
    put_all(path, ["kept"], judge="other 8000/v1 n")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update responses set created = '2020-01-01T00:00:00.000+00:00' where key < '8'")
        connection.commit()
        (old,) = connection.execute("select count(*) from responses where key < '8' and judge = ?", (JUDGE,)).fetchone()
    assert 0 < old < 50
    with Store.existing(path) as store:
        chosen = {"judge": "127.0.0.1", "before": "2021-01-01T00:00:00.000+00:00"}
        assert store.count(**chosen) == old
        assert store.prune(**chosen) == old
        assert store.count(judge=JUDGE) == 50 - old
        assert store.prune(judge=JUDGE) == 50 - old
        assert [row["judge"] for row in store.rows()] == ["other 8000/v1 n"]


def test_a_torn_store_is_named_with_a_remedy(tmp_path):
    path = tmp_path / "s.sqlite"
    put_all(path, [f"{number} {'x' * 500}" for number in range(200)])
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(bytes(content))
    with (
        pytest.raises(StoreError, match=r"s\.sqlite: .*(malformed|not a database).*\(move it away"),
        Store.existing(path) as store,
    ):
        store.held()


# The command line


APP = typer.Typer()
commands.register(APP)


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, what is printed, and what is said beside it or raised."""
    done = CliRunner().invoke(APP, ["store", *arguments])
    return done.exit_code, done.stdout, done.stderr or str(done.exception)


def test_the_commands(tmp_path):
    path = str(tmp_path / "s.sqlite")
    put_response(tmp_path / "s.sqlite", asking("1"), Response(text="é", model="m", usage=Usage(prompt_tokens=3)))
    code, out, _ = run("info", path, "--json")
    assert code == 0
    told = json.loads(out)[0]
    assert (told["judge"], told["responses"], told["models"], told["prompt_tokens"]) == (JUDGE, 1, "m", 3)
    assert "1 responses, 0.0 MiB" in run("info", path)[1]

    code, out, err = run("export", path)
    assert (code, err) == (0, "1 responses written to -\n")
    assert json.loads(out)["response"]["text"] == "é"
    assert run("export", path, "-o", str(tmp_path / "out.jsonl.gz"))[0] == 0
    with gzip.open(tmp_path / "out.jsonl.gz", "rt") as file:
        assert file.read() == out

    assert "1 responses added" in run("merge", str(tmp_path / "new.sqlite"), path)[1]
    assert run("copy", path, str(tmp_path / "copy.sqlite"))[0] == 0
    assert "nothing was chosen" in run("prune", path)[2]
    assert "1 responses would be deleted" in run("prune", path, "--judge", "127")[1]
    assert "0 responses would be deleted" in run("prune", path, "--before", "2020-01-01")[1]
    assert "1 responses deleted" in run("prune", path, "--judge", "127", "--yes")[1]
    with Store.existing(path) as emptied, Store.existing(tmp_path / "copy.sqlite") as copied:
        assert (emptied.count(), copied.count()) == (0, 1)
    assert "there is no such store" in run("info", str(tmp_path / "none.sqlite"))[2]
