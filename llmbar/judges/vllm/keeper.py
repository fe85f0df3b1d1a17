"""Stands between llmbar and a server that it started, and ends the server with all its children when llmbar ends.

A program of its own, started as `python -I keeper.py NOTE COMMAND…`. Its standard input is a pipe that nobody writes to
and whose other end llmbar alone holds: however llmbar ends, a SIGKILL included, the system closes that end, and the
keeper reads the end of file. The server runs in a session of its own, so that an interrupt from the keyboard does not
reach it before the requests in flight are taken back, and so that the whole group can be ended: a server that is killed
leaves its engine and workers behind, with all their memory.

NOTE is a file in which the keeper writes down whom it keeps. It stays behind only where the keeper itself was killed;
`orphans` then knows what to look for.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

PATIENCE = 15.0
"""Seconds that the server has to end by itself; then it is asked again, and then killed."""
LAST_PATIENCE = 5.0
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the command until it ends or the starter does; leave as it left."""
    note, command = Path(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is told to end by its standard input
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_keeper)  # noqa: PLW1509, S603
    kept = {"boot": boot(), "keeper": identity(os.getpid()), "server": identity(server.pid)}
    note.write_text(json.dumps(kept), "utf-8")
    Thread(target=_end_with_starter, args=(server,), daemon=True).start()
    code = server.wait()
    end_group(server.pid)
    note.unlink(missing_ok=True)
    os._exit(code if code >= 0 else 128 - code)  # the thread may still wait for the starter


def _end_with_keeper() -> None:
    """Runs in the server's process before the server does: where the system can, it ends with the keeper."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_with_starter(server: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        pass
    for patience in (PATIENCE, LAST_PATIENCE):
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(patience)
            return
    end_group(server.pid)


def end_group(leader: int) -> None:
    """Kill whatever is left of the group that a process led."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def identity(pid: int) -> list[int]:
    """A process, told apart from any other that has the number later: its number and when it started (0: unknown)."""
    return [pid, started(pid)]


def boot() -> str:
    """Which start of the system this is; empty where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def started(pid: int) -> int:
    """When a process started, in clock ticks since the system did; 0 where there is none, or nobody says."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


if __name__ == "__main__":
    main()
