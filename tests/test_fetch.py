"""Fetching LLMBar's files from real local servers: honest, wrong, cut off, without ranges, behind a proxy."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from llmbar.errors import FetchError, UsageError
from llmbar.pairs import load_pairs
from llmbar.pairs.fetch import ATTEMPTS, fetch
from llmbar.pairs.official import LICENCE, REVISION, SETS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = LICENCE | SETS
NATURAL = "Dataset/LLMBar/Natural/dataset.json"


@dataclass
class Mirror:
    """A server of LLMBar's files, with the faults that a test asks for."""

    root: Path
    ranges: bool = True
    cut: dict[str, int] = field(default_factory=dict)
    """Path → after how many bytes a connection is closed, whatever length was declared."""
    cuts: int = 10**9
    """How often it is."""
    replaced: dict[str, bytes] = field(default_factory=dict)
    shift: int = 0
    """How far the range that is sent lies from the range that was asked for."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""
    hosts: list[str] = field(default_factory=list)
    """Whole addresses, where the server was used as a proxy."""
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if "://" in handler.path:
            self.hosts.append(handler.path)
        path = unquote(urlsplit(handler.path).path).removeprefix(f"/{REVISION}/")
        wanted = handler.headers["Range"]
        self.asked.append((path, wanted))
        body = self.replaced.get(path)
        if body is None:
            if not (self.root / path).is_file():
                handler.send_error(404)
                return
            body = (self.root / path).read_bytes()
        start, size = 0, len(body)
        if wanted and self.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) + self.shift
            if start >= size:
                handler.send_error(416)
                return
            body = body[start:]
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if path in self.cut and self.cuts > 0:
            self.cuts -= 1
            body = body[: self.cut[path]]
        handler.wfile.write(body)


@pytest.fixture
def mirror(shared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mirror]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("LLMBAR_DATA", raising=False)
    monkeypatch.setenv("LLMBAR_CACHE", str(tmp_path / "cache"))
    mirror = Mirror(shared / "data" / "llmbar")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        mirror.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("LLMBAR_FETCH_URL", mirror.url)
        yield mirror
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "llmbar-900616b"


def parts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def test_pins_are_those_of_the_real_files(shared: Path):
    real = {path: sha256((shared / "data" / "llmbar" / path).read_bytes()).hexdigest() for path in FILES}
    assert real == FILES
    assert len({path for path in FILES if path.endswith("dataset.json")}) == 13


def test_all_files_arrive_and_load(mirror: Mirror, folder: Path):
    told: list[str] = []
    done = fetch("llmbar", report=told.append)
    assert (done.folder, set(done.downloaded), done.present) == (folder, set(FILES), ())
    assert told == list(done.downloaded)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(FILES)
    assert all((folder / path).read_bytes() == (mirror.root / path).read_bytes() for path in FILES)
    assert len(load_pairs("llmbar")) == 419
    assert len(load_pairs("processed/llmeval^2")) == 200


def test_what_is_there_and_right_is_not_asked_for_again(mirror: Mirror, folder: Path):
    fetch()
    mirror.asked.clear()
    assert fetch().downloaded == ()
    assert mirror.asked == []
    (folder / NATURAL).write_text("[]")
    assert fetch().downloaded == (NATURAL,)
    assert mirror.asked == [(NATURAL, None)]
    assert len(load_pairs("llmbar/natural")) == 100


def test_a_wrong_file_is_refused_and_not_kept(mirror: Mirror, folder: Path):
    wrong = b"<html>sign in to continue</html>"
    mirror.replaced[NATURAL] = wrong
    with pytest.raises(FetchError) as caught:
        fetch()
    told = str(caught.value)
    assert NATURAL in told
    assert SETS[NATURAL] in told
    assert sha256(wrong).hexdigest() in told
    assert "\n" not in told
    assert not (folder / NATURAL).exists()
    assert parts(folder) == []
    mirror.replaced.clear()
    assert NATURAL in fetch().downloaded


def test_a_wrong_file_in_the_cache_does_not_survive_a_failed_fetch(mirror: Mirror, folder: Path):
    fetch()
    (folder / NATURAL).write_text("[]")
    mirror.replaced[NATURAL] = b"no"
    with pytest.raises(FetchError):
        fetch()
    assert not (folder / NATURAL).exists()


def test_a_cut_off_file_is_resumed_at_once(mirror: Mirror, folder: Path):
    mirror.cut[NATURAL], mirror.cuts = 40_000, 2
    fetch()
    assert [wanted for path, wanted in mirror.asked if path == NATURAL] == [None, "bytes=40000-", "bytes=80000-"]
    assert len(load_pairs("llmbar/natural")) == 100


def test_a_file_cut_off_for_good_is_resumed_by_the_next_call(mirror: Mirror, folder: Path):
    mirror.cut[NATURAL] = 1_000
    with pytest.raises(FetchError, match=rf"Natural.*was cut off {ATTEMPTS} times .*goes on from there"):
        fetch()
    assert not (folder / NATURAL).exists()
    (part,) = parts(folder)
    assert part.stat().st_size == ATTEMPTS * 1_000
    assert part.read_bytes() == (mirror.root / NATURAL).read_bytes()[: ATTEMPTS * 1_000]
    mirror.cut.clear()
    mirror.asked.clear()
    fetch()
    assert (NATURAL, f"bytes={ATTEMPTS * 1_000}-") in mirror.asked
    assert len(load_pairs("llmbar/natural")) == 100
    assert parts(folder) == []


def test_a_server_without_ranges_starts_anew(mirror: Mirror, folder: Path):
    mirror.ranges = False
    mirror.cut[NATURAL], mirror.cuts = 40_000, 1
    fetch()
    assert [wanted for path, wanted in mirror.asked if path == NATURAL] == [None, "bytes=40000-"]
    assert (folder / NATURAL).read_bytes() == (mirror.root / NATURAL).read_bytes()


def test_a_server_that_sends_another_range_is_asked_for_the_whole(mirror: Mirror, folder: Path):
    mirror.shift = 5
    mirror.cut[NATURAL], mirror.cuts = 40_000, 1
    fetch()
    assert [wanted for path, wanted in mirror.asked if path == NATURAL] == [None, "bytes=40000-", None]
    assert (folder / NATURAL).read_bytes() == (mirror.root / NATURAL).read_bytes()


@pytest.mark.parametrize("left", ["whole", "longer", "other"])
def test_a_leftover_part_is_used_only_where_it_is_right(mirror: Mirror, folder: Path, left: str):
    real = (mirror.root / NATURAL).read_bytes()
    part = folder / f"{NATURAL}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes({"whole": real, "longer": real + b"x", "other": b"y" * 500}[left])
    fetch()
    assert (folder / NATURAL).read_bytes() == real
    requests = [wanted for path, wanted in mirror.asked if path == NATURAL]
    assert len(requests) == (1 if left == "whole" else 2)
    assert parts(folder) == []


def test_a_proxy_from_the_environment_is_used(mirror: Mirror, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", mirror.url)
    fetch(base_url="http://files.invalid/")
    hosts = Counter(urlsplit(address).hostname for address in mirror.hosts)
    assert hosts == {"files.invalid": len(FILES)}


def test_no_proxy_is_honoured(mirror: Mirror, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert len(fetch().downloaded) == len(FILES)
    assert mirror.hosts == []


def test_an_unreachable_server_is_one_clear_line(mirror: Mirror):
    with socket.create_server(("127.0.0.1", 0)) as closed_at_once:
        port = closed_at_once.getsockname()[1]
    with pytest.raises(FetchError, match=r"cannot be reached: .*refused.*LLMBAR_FETCH_URL") as caught:
        fetch(base_url=f"http://127.0.0.1:{port}")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_missing_file_is_named_with_its_status(mirror: Mirror, tmp_path: Path):
    mirror.root = tmp_path
    with pytest.raises(FetchError, match=r"/LICENSE answered 404"):
        fetch()


def test_a_silent_server_is_given_up(mirror: Mirror):
    released = threading.Event()
    mirror.answer = lambda _: released.wait(20)  # type: ignore[method-assign]
    try:
        with pytest.raises(FetchError, match="timed out"):
            fetch(timeout=0.2)
    finally:
        released.set()


def test_names_and_addresses_are_checked(mirror: Mirror):
    with pytest.raises(UsageError, match="did you mean llmbar"):
        fetch("lmbar")
    with pytest.raises(UsageError, match="no web address"):
        fetch(base_url="file:///etc")


def test_a_cache_that_cannot_be_written_is_told(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("LLMBAR_CACHE", str(tmp_path / "taken"))
    with pytest.raises(FetchError, match="cannot be written"):
        fetch()
