"""How a server of our own is started, watched and ended, with a small program in vLLM's place."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmbar.errors import JudgeError
from llmbar.judges import JudgeOptions, open_judge
from llmbar.judges.vllm import keeper, split, stamp
from llmbar.judges.vllm.api import Refused
from llmbar.judges.vllm.labels import Completion, Fork, fork_of, weighed
from llmbar.judges.vllm.orphans import end_orphans, new_note, notes_folder
from llmbar.judges.vllm.server import Server, decisive, executable, flags, serving

STAND_IN = '''\
#!{python}
"""`vllm serve MODEL …`: is healthy after a moment, has a child; MODEL says what else it does."""
import http.server, os, signal, subprocess, sys, time

if "--child" in sys.argv:
    time.sleep(600)
model, port = sys.argv[2], int(sys.argv[sys.argv.index("--port") + 1])
print("loading", model, flush=True)
if model == "failing":
    sys.exit("vllm serve: error: unrecognized arguments: --florp")
if model == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, __file__, "--child"])
print("dtype", "Initializing a V1 LLM engine with config: dtype=torch.bfloat16, revision=None", flush=True)


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" and model != "loading" else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", port), Healthy).serve_forever()
'''


@pytest.fixture(autouse=True)
def stand_in(tmp_path, monkeypatch):
    """The program, as the executable that is found; notes go to a folder of their own."""
    program = tmp_path / "vllm"
    program.write_text(STAND_IN.replace("{python}", sys.executable), "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("LLMBAR_VLLM", str(program))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VLLM_BASE_URL", raising=False)
    return program


def running(program):
    """The processes that the stand-in and its keeper are."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
            state = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(program) in line and state != "Z":
            found.append(int(folder.name))
    return found


def come_to(program, number, seconds=10):
    """Whether so many of them run, now or within so many seconds."""
    until = time.monotonic() + seconds
    while len(running(program)) != number and time.monotonic() < until:
        time.sleep(0.02)
    return len(running(program)) == number


def served(model="model", args=None, inside=lambda _: None, seconds=30):
    """The log shown and the server, after it was up and `inside` was called."""

    async def run():
        shown = []
        async with serving(model, args or {}, show=shown.append, seconds=seconds) as server:
            inside(server)
        return shown, server

    return asyncio.run(run())


# -- start and end ----------------------------------------------------------------------------------------------------


def test_a_server_is_ready_when_the_context_begins_and_gone_with_all_its_children_when_it_ends(stand_in):
    inside = []
    shown, server = served(inside=lambda _: inside.append(come_to(stand_in, 3)))
    assert shown[0] == "loading model"
    assert server.engine == {"dtype": "bfloat16", "revision": "None"}
    assert inside == [True]  # the keeper, the server, its child
    assert running(stand_in) == []
    assert list(notes_folder().glob("*")) == []


def test_it_is_gone_after_an_error_inside(stand_in):
    def trouble(_):
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        served(inside=trouble)
    assert running(stand_in) == []


def test_it_is_gone_after_an_interrupt(stand_in):
    def interrupt(_):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt):
        served(inside=interrupt)
    assert running(stand_in) == []


def test_an_interrupt_from_the_keyboard_does_not_reach_it(stand_in):
    groups = []
    served(inside=lambda _: groups.extend(os.getpgid(process) for process in running(stand_in)))
    assert os.getpgrp() not in groups


def test_one_that_fails_says_why(stand_in):
    with pytest.raises(JudgeError, match="vllm serve failing ended: unrecognized arguments: --florp"):
        served("failing")
    assert running(stand_in) == []


def test_one_that_is_never_ready_is_given_up_and_ended(stand_in):
    with pytest.raises(JudgeError, match="not ready after 1 s"):
        served("loading", seconds=1)
    assert running(stand_in) == []


def test_arguments_are_passed_on(stand_in):
    command = Server("m", {"max_model_len": "9", "enforce_eager": "true", "port": "7"}, show=print).command
    assert command[:6] == [str(stand_in), "serve", "m", "--host", "127.0.0.1", "--port"]
    assert command[6] == "7"
    assert command[-3:] == ["--max-model-len", "9", "--enforce-eager"]
    assert flags({"enable_prefix_caching": "False", "chat_template": "a b.jinja"}) == [
        "--no-enable-prefix-caching",
        "--chat-template",
        "a b.jinja",
    ]


@pytest.mark.parametrize("key", ["host", "api_key", "api-key"])
def test_what_would_open_the_server_or_show_a_key_is_refused(key):
    with pytest.raises(JudgeError, match=f"-M {key.replace('-', '_')}: is not passed"):
        served(args={key: "x"})


def test_no_vllm_is_told_with_a_remedy(monkeypatch, tmp_path):
    monkeypatch.delenv("LLMBAR_VLLM")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    with pytest.raises(JudgeError, match=r"no vllm on this machine .*LLMBAR_VLLM"):
        executable()


# -- the keeper, and what it cannot do --------------------------------------------------------------------------------


def kept(stand_in, model, patience=0.3):
    """A keeper with little patience, its server up; whoever holds its standard input holds the server."""
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import keeper; "
        f"keeper.PATIENCE = keeper.LAST_PATIENCE = {patience}; keeper.main()"
    )
    command = [sys.executable, "-c", code, str(Path(keeper.__file__).parent), str(new_note())]
    process = subprocess.Popen(
        [*command, str(stand_in), "serve", model, "--port", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while "dtype" not in process.stdout.readline():
        pass
    return process


@pytest.mark.parametrize("model", ["model", "stubborn"])
def test_a_server_that_will_not_end_is_killed_with_its_children(model, stand_in):
    with kept(stand_in, model) as process:
        process.stdin.close()
        process.wait(10)
    assert running(stand_in) == []
    assert list(notes_folder().glob("*")) == []


def test_the_keeper_leaves_as_its_server_left(stand_in):
    with kept(stand_in, "model") as process:
        note = json.loads(next(notes_folder().glob("*.json")).read_text())
        os.kill(note["server"][0], signal.SIGKILL)
        assert process.wait(10) == 128 + signal.SIGKILL
    assert come_to(stand_in, 0)  # its child, too


def test_what_a_killed_keeper_leaves_is_ended_by_the_next_start(stand_in):
    with kept(stand_in, "stubborn") as process:  # it takes no notice of its keeper's end
        process.kill()
        process.wait()
        (note,) = notes_folder().glob("*.json")
        server = json.loads(note.read_text())["server"][0]
        assert server in running(stand_in)
        assert end_orphans() == [server]
    assert come_to(stand_in, 0)
    assert list(notes_folder().glob("*")) == []


def test_a_server_dies_with_a_killed_keeper_and_the_next_start_finds_its_child(stand_in):
    with kept(stand_in, "model") as process:
        note = json.loads(next(notes_folder().glob("*.json")).read_text())
        process.kill()
        process.wait()
        until = time.monotonic() + 10
        while keeper.started(note["server"][0]) and time.monotonic() < until:
            time.sleep(0.02)
        assert come_to(stand_in, 1)  # the child of a server that is gone
        assert end_orphans() == [note["server"][0]]
    assert come_to(stand_in, 0)


def test_a_living_keepers_server_is_left_alone(stand_in):
    with kept(stand_in, "model") as process:
        assert end_orphans() == []
        assert come_to(stand_in, 3)
        process.stdin.close()


@pytest.mark.parametrize("change", [{"boot": "another"}, {"server": (0, 1)}])
def test_a_process_that_only_has_the_number_is_left_alone(change):
    """Another start of the system, or a process that began at another time."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        told = {"boot": keeper.boot(), "keeper": [1, 1], "server": keeper.identity(other.pid)}
        later = {"server": [other.pid, told["server"][1] + change["server"][1]]} if "server" in change else change
        new_note().write_text(json.dumps(told | later))
        assert end_orphans() == []
        assert other.poll() is None
        assert list(notes_folder().glob("*")) == []
        other.communicate(b"\n")


# -- why it did not start ---------------------------------------------------------------------------------------------

ENGINE = [
    "(APIServer pid=1) WARNING 01-01 [system_utils.py:255] can cause errors like `OSError: [Errno 24] Too many files`",
    "(EngineCore pid=2) ERROR 01-01 00:00:00 [core.py:1510]     raise ValueError(",
    "(EngineCore pid=2) ERROR 01-01 00:00:00 [core.py:1510] ValueError: No available memory for the cache blocks.",
    "(EngineCore pid=2) ERROR 01-01 00:00:03 [multiproc_executor.py:315] Worker proc VllmWorker-0 died unexpectedly",
    '  File "utils.py", line 1431, in wait_for_engine_startup',
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}",
    "  warnings.warn('resource_tracker: There appear to be %d '",
]
PYDANTIC = [
    "    s.__pydantic_validator__.validate_python(ArgsKwargs(args, kwargs), self_instance=s)",
    "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
    "  Value error, User-specified max_model_len (99999) is greater than the derived max_model_len",
    "    For further information visit the documentation",
]


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (ENGINE, "ValueError: No available memory for the cache blocks."),
        (PYDANTIC, "User-specified max_model_len (99999) is greater than the derived max_model_len"),
        (["usage: vllm", "vllm: error: unrecognized arguments: --x 3"], "unrecognized arguments: --x 3"),
        (["Traceback", "torch.OutOfMemoryError: CUDA out of memory."], "OutOfMemoryError: CUDA out of memory."),
        (ENGINE[5:6], ENGINE[5]),
        (["Segmentation fault", ""], "Segmentation fault"),
        ([], "it said nothing"),
    ],
)
def test_the_decisive_line_of_a_log(log, line):
    assert decisive(log) == line


# -- arguments, identity, labels --------------------------------------------------------------------------------------


def test_arguments_go_to_the_server_or_into_every_request():
    args = {"tensor_parallel_size": "2", "chat_template_kwargs": "{}", "chat_template": "t.jinja", "top_k": "5"}
    assert split(args) == (
        {"tensor_parallel_size": "2", "chat_template": "t.jinja"},
        {"chat_template_kwargs": "{}", "top_k": "5"},
    )


@pytest.mark.parametrize("key", ["tensor_parallel_size", "dtype", "revision"])
def test_a_server_that_runs_already_takes_no_arguments(key):
    async def opened():
        options = JudgeOptions(base_urls=("http://127.0.0.1:9/v1",), args={key: "2"})
        async with open_judge("vllm/m", options):
            pass

    with pytest.raises(JudgeError, match=f"-M {key}: is for a server that llmbar starts"):
        asyncio.run(opened())


def test_another_content_of_a_models_folder_is_another_model(tmp_path):
    assert stamp("Qwen/Qwen3-8B") == ""
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"1")
    one = stamp(str(tmp_path))
    assert stamp(str(tmp_path)) == one
    weights.write_bytes(b"22")
    assert stamp(str(tmp_path)) != one


def test_labels_whose_tokens_do_not_part_are_not_told_apart():
    with pytest.raises(Refused) as refused:
        fork_of({"1": [5], "10": [5, 6]})
    assert refused.value.attempt.kind == "unsupported"


@pytest.mark.parametrize("told", [{"token_id:1": -0.5}, {"token_id:1": -0.5, "token_id:2": -9999.0}])
def test_probabilities_that_are_not_told_or_are_corrupted_are_a_failure_not_a_number(told):
    completion = Completion.model_validate({"choices": [{"logprobs": {"top_logprobs": [told]}}]})
    attempt = weighed(completion, Fork(shared=[], tokens={"a": 1, "b": 2}), 0.1)
    assert attempt.kind == "not the protocol"
    assert attempt.response.label_logprobs is None
