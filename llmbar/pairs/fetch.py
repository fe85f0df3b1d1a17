"""Download LLMBar's official files: pinned, resumed, never half there.

A file is written to `<name>.part` and renamed once its SHA-256 is the pinned one; a transfer that was cut off goes on
where it stopped, at once and, if need be, at the next call. Proxies are taken from HTTP_PROXY, HTTPS_PROXY, NO_PROXY.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import OpenerDirector, Request, build_opener

from llmbar.errors import FetchError, UsageError, suggestion
from llmbar.pairs.official import LICENCE, REVISION, SETS, official_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse
    from pathlib import Path
    from typing import BinaryIO

ADDRESS = "https://raw.githubusercontent.com/princeton-nlp/LLMBar"
"""The files lie under `<ADDRESS>/<REVISION>/`; LLMBAR_FETCH_URL names a mirror that has them under the same paths."""

ATTEMPTS = 5
"""How often one file is begun or resumed before a call gives up."""

_BLOCK = 1 << 16
_ELSEWHERE = "check the connection and HTTPS_PROXY, or set LLMBAR_FETCH_URL to a mirror"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a call to `fetch` did."""

    folder: Path
    """Holds `Dataset` and `LICENSE`, as upstream does."""
    downloaded: tuple[str, ...]
    present: tuple[str, ...]
    """Paths that were there and right before."""


def fetch(
    name: str = "llmbar",
    *,
    base_url: str | None = None,
    timeout: float = 30.0,
    report: Callable[[str], None] = lambda _: None,
) -> Fetched:
    """Download every official file that is not yet in the cache, or not what was pinned.

    Args:
        name: `llmbar`, the one set that is fetched (with its case-study and processed sets).
        base_url: what stands before `/<REVISION>/<path>`; by default LLMBAR_FETCH_URL, else `ADDRESS`.
        timeout: seconds without a byte after which a transfer counts as cut off.
        report: called with the path of each file before it is downloaded.

    Raises:
        FetchError: no connection, no such file there, or not the pinned content: what was wrong is not kept.
        UsageError: an unknown name, or an address that is not http(s).
    """
    if name.casefold() != "llmbar":
        raise UsageError(f"{name!r} cannot be fetched", field="dataset", remedy=suggestion(name, ["llmbar"]))
    base = (base_url or os.environ.get("LLMBAR_FETCH_URL") or ADDRESS).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise UsageError(f"{base!r} is no web address", field="base-url", remedy="write http://… or https://…")
    folder, opener = official_folder(), build_opener()
    downloaded, present = [], []
    for path, pinned in (LICENCE | SETS).items():
        download = Download(f"{base}/{REVISION}/{quote(path)}", folder / path, pinned, opener, timeout)
        if download.is_there():
            present.append(path)
            continue
        report(path)
        download.run()
        downloaded.append(path)
    return Fetched(folder, tuple(downloaded), tuple(present))


@dataclass(frozen=True, slots=True)
class Download:
    """One file on its way."""

    url: str
    file: Path
    pinned: str
    """The SHA-256 that it must have."""
    opener: OpenerDirector
    timeout: float

    @property
    def part(self) -> Path:
        return self.file.with_name(f"{self.file.name}.part")

    def is_there(self) -> bool:
        return self.file.is_file() and _digest(self.file) == self.pinned

    def run(self) -> None:
        """Bring the file, in as many requests as it takes.

        Raises:
            FetchError: unreachable, refused, cut off `ATTEMPTS` times, or not the pinned content.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.unlink(missing_ok=True)
            self._bring()
        except OSError as error:
            raise FetchError(f"cannot be written: {error.strerror or error}", file=self.file) from None

    def _bring(self) -> None:
        for _ in range(ATTEMPTS):
            begun = self._begun()
            if not self._request(begun):
                continue
            found = _digest(self.part)
            if found == self.pinned:
                self.part.replace(self.file)
                return
            self.part.unlink()
            if not begun:  # else the beginning may be of another download: once more, from there
                wrong = f"{self.url} is not the pinned file: expected SHA-256 {self.pinned}, got {found}"
                raise FetchError(wrong, file=self.file, remedy=f"nothing was kept; {_ELSEWHERE}")
        cut = f"{self.url} was cut off {ATTEMPTS} times"
        raise FetchError(cut, file=self.file, remedy="run llmbar fetch again: it goes on from there")

    def _begun(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _request(self, begun: int) -> bool:
        """Ask for what comes after the first `begun` bytes; whether the transfer came to its end."""
        request = Request(self.url, headers={"Range": f"bytes={begun}-"} if begun else {})  # noqa: S310 - http(s) only
        try:
            response: HTTPResponse = self.opener.open(request, timeout=self.timeout)
        except HTTPError as error:
            error.close()
            if begun and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return True  # there is nothing after what we have: its hash decides
            raise FetchError(f"{self.url} answered {error.code} {error.reason}", remedy=_ELSEWHERE) from None
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise FetchError(f"{self.url} cannot be reached: {reason}", remedy=_ELSEWHERE) from None
        with response, self.part.open("ab" if response.status == HTTPStatus.PARTIAL_CONTENT else "wb") as file:
            return _receive(response, file)


def _receive(response: HTTPResponse, file: BinaryIO) -> bool:
    """Write what arrives; whether all of it did."""
    while True:
        try:
            block = response.read(_BLOCK)
        except (OSError, HTTPException):
            return False
        if not block:
            return not response.length
        file.write(block)


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()
