"""The store: every response that was paid for, keyed by what was asked and of whom.

One SQLite file in WAL mode, which several runs may use at once. A response is durable before it counts: `put` returns
only after the transaction that holds it was synced to disk, and what is waiting at that moment shares one transaction
(group commit), so that thousands of responses a second cost a few dozen syncs. Failures are never stored: what is in
the store is an answer.

A row belongs to a judge and a key. The judge is whoever answers: the endpoint's address without credentials, the model,
and a digest of whatever else every request says (`-M`); of several addresses of one model it is the first. The key is
the request's content hash: messages, sampling, constraint and sample index *as asked*, also where the endpoint would
not take all of it (the response then says so). Neither the strategy nor the pair is part of it: what two strategies ask
alike is paid for once.

    with Store.open("responses.sqlite") as store:
        store.get(identity, request.key)            # None
        await store.put(identity, request, response)
        store.get(identity, request.key)            # the response

A store may be looked into (`held`, `rows`), copied, merged and pruned while others use it.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from llmbar.errors import StoreError
from llmbar.records import Response

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Iterator

    from llmbar.records import Request

VERSION = 1
"""Of the schema, kept in SQLite's `user_version`."""
APPLICATION = 0x6C6C6D62
"""Marks the file as a store ("llmb"), kept in SQLite's `application_id`."""
BUSY = 60.0
"""Seconds to wait for another process that is writing."""
GATHER = 0.005
"""Seconds that a commit waits for company."""

SCHEMA = """
create table responses (
    judge text not null,     -- the endpoint's address, the model and whatever else distinguishes its answers
    key text not null,       -- the request's content hash
    request text not null,   -- JSON: messages, sampling, constraint, sample
    response text not null,  -- JSON: a `Response`, defaults left out
    created text not null,   -- UTC, ISO 8601
    primary key (judge, key)
)
"""
SELECT = "select response from responses where judge = ? and key = ?"
INSERT = "insert into responses values {rows} on conflict do nothing"
MOST_ROWS = 100
"""In one INSERT: five variables each, and SQLite may allow no more than 999."""
HELD = """
select judge, count(*), coalesce(group_concat(distinct json_extract(response, '$.model')), ''),
    min(created), max(created),
    coalesce(sum(json_extract(response, '$.usage.prompt_tokens')), 0),
    coalesce(sum(json_extract(response, '$.usage.completion_tokens')), 0)
from responses group by judge order by judge
"""
CHOSEN = "from responses where (:judge is null or instr(judge, :judge)) and (:before is null or created < :before)"
"""Of whom, and how old; null is no restriction."""

Row = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """What a store holds of one judge."""

    judge: str
    responses: int
    models: str
    """The models that answered, as the endpoint names them."""
    first: str
    """When the oldest response arrived; UTC, ISO 8601."""
    last: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Put:
    """A row on its way to the disk, and who waits for it."""

    row: Row
    loop: AbstractEventLoop
    done: Future[None]


class Store:
    """Responses on disk. Reading is immediate; writing is one thread that commits in groups."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._explained("cannot be opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._reading = _connect(self.path)
            self._prepare(self._reading)
            self._writing = _connect(self.path)
            self._writing.execute("pragma synchronous = full")
        self._puts: SimpleQueue[Put | None] = SimpleQueue()
        self._writer = Thread(target=self._write, name="llmbar-store", daemon=True)
        self._writer.start()
        self._closed = False

    @classmethod
    @contextmanager
    def existing(cls, path: str | Path) -> Iterator[Self]:
        """Open the store at `path`, which must be there.

        Raises:
            StoreError: none is there, or what is there cannot be used.
        """
        if not Path(path).is_file():
            raise StoreError("there is no such store", file=path, remedy="it is responses.sqlite in a results folder")
        with cls.open(path) as store:
            yield store

    @classmethod
    @contextmanager
    def open(cls, path: str | Path) -> Iterator[Self]:
        """Open the store at `path`, made where there is none; all that was put is on disk when the context ends.

        Raises:
            StoreError: no store, a newer version's store, or a place that cannot be written.
        """
        store = cls(path)
        try:
            yield store
        finally:
            store.close()

    def get(self, judge: str, key: str) -> Response | None:
        """What `judge` answered to the request whose content hash is `key`."""
        with self._explained("cannot be read"):
            row = self._reading.execute(SELECT, (judge, key)).fetchone()
        try:
            return row and Response.model_validate_json(row[0])
        except ValidationError:
            raise StoreError(f"the response to {key} is damaged", file=self.path, remedy="delete that row") from None

    async def put(self, judge: str, request: Request, response: Response) -> None:
        """Keep a response; returns once it is on disk. Of two responses to one request the first stays.

        Raises:
            StoreError: it could not be written.
            ValueError: the response is a failure.
        """
        if response.failure is not None:
            raise ValueError("a failure is never stored")
        if self._closed:
            raise StoreError("is closed", file=self.path)
        row = (judge, request.key, _asked(request), response.model_dump_json(exclude_defaults=True), _now())
        loop = asyncio.get_running_loop()
        put = Put(row, loop, loop.create_future())
        self._puts.put(put)
        await put.done

    def held(self) -> list[Held]:
        """What is held, judge by judge."""
        with self._explained("cannot be read"):
            found = self._reading.execute(HELD).fetchall()
        return [Held(*columns) for columns in found]

    def rows(self, judge: str | None = None) -> Iterator[dict[str, Any]]:
        """Every request and response, oldest first, or those whose judge's identity contains `judge`."""
        with self._explained("cannot be read"):
            found = self._reading.execute(
                f"select judge, key, created, request, response {CHOSEN} order by created, judge, key",
                {"judge": judge, "before": None},
            )
            for name, key, created, request, response in found:
                told = {"judge": name, "key": key, "created": created}
                yield told | {"request": json.loads(request), "response": json.loads(response)}

    def count(self, *, judge: str | None = None, before: str | None = None) -> int:
        """How many responses are of such a judge, and older than `before` (UTC, ISO 8601)."""
        with self._explained("cannot be read"):
            found = self._reading.execute(f"select count(*) {CHOSEN}", {"judge": judge, "before": before})
            return int(found.fetchone()[0])

    def prune(self, *, judge: str | None = None, before: str | None = None) -> int:
        """Delete what `count` counts, for good, and give its space back; how many responses that were."""
        with self._explained("cannot be pruned"):
            gone = self._reading.execute(f"delete {CHOSEN}", {"judge": judge, "before": before}).rowcount
            with suppress(sqlite3.OperationalError):  # somebody reads meanwhile: the space is used again later
                self._reading.execute("vacuum")
        return gone

    def take_in(self, other: Store) -> int:
        """Add what another store holds; of two responses to one request ours stays. How many were added."""
        with self._explained(f"cannot take in {other.path}"):
            self._reading.execute("attach ? as other", (str(other.path),))
            try:
                every = "insert into responses select * from other.responses where true on conflict do nothing"
                return self._reading.execute(every).rowcount
            finally:
                self._reading.execute("detach other")

    def copy(self, path: str | Path) -> None:
        """Write a copy, whole even while somebody writes here.

        Raises:
            StoreError: something is there already, or it cannot be written.
        """
        if Path(path).exists():
            raise StoreError("is there already", file=path, remedy="name another file, or merge into it")
        with self._explained(f"cannot be copied to {path}"), closing(_connect(Path(path))) as copy:
            self._reading.backup(copy)

    def close(self) -> None:
        """Write what is waiting, then let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._puts.put(None)
        self._writer.join()
        self._writing.close()
        self._reading.close()

    def _write(self) -> None:
        """Commit group after group until the store is closed; what went wrong is told to those who wait."""
        closing = False
        while not closing:
            group, closing = self._next_group()
            trouble = None
            try:
                self._commit([put.row for put in group])
            except sqlite3.Error as error:
                trouble = f"cannot be written: {error}"
            for loop in {put.loop for put in group}:
                with suppress(RuntimeError):  # that loop has ended, and nobody waits there
                    loop.call_soon_threadsafe(self._settle, [put.done for put in group if put.loop is loop], trouble)

    def _next_group(self) -> tuple[list[Put], bool]:
        """All that is waiting, and whether the store closes after it."""
        group, put = [], self._puts.get()
        if put is not None:
            sleep(GATHER)
        with suppress(Empty):
            while put is not None:
                group.append(put)
                put = self._puts.get_nowait()
            return group, True
        return group, False

    def _commit(self, rows: list[Row]) -> None:
        """One statement, and so one transaction, for many rows: SQLite lets go of the interpreter lock only once."""
        for start in range(0, len(rows), MOST_ROWS):
            group = rows[start : start + MOST_ROWS]
            statement = INSERT.format(rows=", ".join(["(?, ?, ?, ?, ?)"] * len(group)))
            self._writing.execute(statement, tuple(chain.from_iterable(group)))

    def _settle(self, waiting: list[Future[None]], trouble: str | None) -> None:
        for done in waiting:
            if done.done():  # whoever waited was cancelled; the row is written all the same
                continue
            if trouble is None:
                done.set_result(None)
            else:
                done.set_exception(StoreError(trouble, file=self.path))

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the table in an empty file; refuse a file that is not a store of this version."""
        if _pragma(connection, "application_id") == 0:
            with _transaction(connection):  # of two processes that make the same store, one finds it made
                if not connection.execute("select count(*) from sqlite_master").fetchone()[0]:
                    connection.execute(SCHEMA)
                    connection.execute(f"pragma application_id = {APPLICATION}")
                    connection.execute(f"pragma user_version = {VERSION}")
        if _pragma(connection, "application_id") != APPLICATION:
            raise StoreError("is a database, but no store of responses", file=self.path, remedy="name another file")
        if (version := _pragma(connection, "user_version")) > VERSION:
            message = f"is a store of version {version}, and this llmbar knows {VERSION}"
            raise StoreError(message, file=self.path, remedy="upgrade llmbar, or name another file")
        connection.execute("pragma journal_mode = wal")

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            damaged = type(error) is sqlite3.DatabaseError  # not one of its kinds: no database, or one that is torn
            remedy = "move it away, and the responses are asked for again" if damaged else None
            raise StoreError(f"{what}: {error}", file=self.path, remedy=remedy) from None


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, with the write lock from the start: a lock asked for later could not be waited for."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"pragma {name}").fetchone()[0])


def _asked(request: Request) -> str:
    """The request as JSON, for whoever looks into the store."""
    told = {
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "sampling": _parsed(request.sampling.canonical),
        "constraint": request.constraint and [request.constraint.kind, request.constraint.labels],
        "sample": request.sample,
    }
    try:
        return to_json(told).decode()
    except (PydanticSerializationError, UnicodeEncodeError):  # half a surrogate pair
        return json.dumps(told)


@lru_cache(maxsize=256)
def _parsed(canonical: str) -> Any:
    return json.loads(canonical)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
