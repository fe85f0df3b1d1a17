"""Runs that are interrupted, whenever and however: nothing is lost, nothing is asked twice, and the end is the same."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from hashlib import sha256

import pytest
from commands import at_home, command, ended, pair_rows, start, told, wait_for, write_pairs
from openai_server import Reply, error, serving_in_thread

PAIRS = 30
REQUESTS = PAIRS * 2 + PAIRS * 2 + PAIRS // 2
"""rules, metrics+rules, and one auxiliary request for each two pairs, which share their instruction."""

IN_FLIGHT = 16
"""Both orders of 8 judgments: what was not yet on disk at any moment."""

SLOW = 0.03


def fickle(body):
    """One of the labels, by a coin that falls alike for the same messages."""
    asked = body["messages"][-1]["content"]
    return told(asked, f"Output ({'ab'[sha256(asked.encode()).digest()[0] & 1]})")


def slowly(body):
    return Reply(fickle(body), delay=SLOW)


def asked_of(server):
    """How often each conversation was asked."""
    return Counter(json.dumps(asked.body["messages"]) for asked in server.asked)


def stored_in(results):
    """The conversations whose responses are stored."""
    with sqlite3.connect(results / "responses.sqlite") as store:
        rows = store.execute("select request from responses").fetchall()
    store.close()
    return {json.dumps(json.loads(row[0])["messages"]) for row in rows}


def arguments(server, results="results", *more):
    of_judge = ("-m", "openai-api/local/judge", "--base-url", server.base_url, "-j", "8")
    return ("run", *of_judge, "-s", "rules", "-s", "metrics+rules", "-d", "pairs.jsonl", "--results", results, *more)


def journal(results):
    (file,) = results.glob("*/judgments.jsonl")
    return file.read_bytes()


@pytest.fixture
def home(tmp_path, monkeypatch):
    write_pairs(tmp_path / "pairs.jsonl", pair_rows(PAIRS))
    return at_home(monkeypatch, tmp_path)


def undisturbed(server, home, capsys):
    """The journal of a run that nothing interrupts; the server forgets that it was asked."""
    assert command(capsys, *arguments(server, "undisturbed")).code == 0
    server.asked.clear()
    return journal(home / "undisturbed")


# -- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [1, REQUESTS // 3, REQUESTS - 10])
def test_a_killed_run_is_finished_by_the_same_command(home, capsys, moment):
    with serving_in_thread(slowly) as server:
        expected = undisturbed(server, home, capsys)
        killed = start(*arguments(server), folder=home)
        wait_for(lambda: len(server.asked) >= moment)
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        there = stored_in(home / "results")
        before = journal(home / "results").split(b"\n")[:-1] if list(home.glob("results/*/judgments.jsonl")) else []

        assert command(capsys, *arguments(server)).code == 0
        asked = asked_of(server)
    assert len(asked) == REQUESTS
    assert max(asked.values()) <= 2
    assert all(asked[conversation] == 1 for conversation in there), "what is stored is never asked again"
    assert sum(asked.values()) - len(asked) <= IN_FLIGHT, "no more is asked twice than was in flight"
    assert set(before) <= set(expected.split(b"\n"))
    assert journal(home / "results") == expected


def test_a_run_that_is_killed_again_and_again_gets_done(home, capsys):
    with serving_in_thread(slowly) as server:
        expected = undisturbed(server, home, capsys)
        kills = 0
        for moment in range(25, REQUESTS, 40):
            killed = start(*arguments(server), folder=home)
            wait_for(lambda moment=moment: len(server.asked) >= moment)
            killed.kill()
            killed.communicate()
            kills += 1
        assert command(capsys, *arguments(server)).code == 0
        asked = asked_of(server)
    assert kills >= 3
    assert len(asked) == REQUESTS
    assert sum(asked.values()) <= REQUESTS + IN_FLIGHT * kills
    assert journal(home / "results") == expected


def test_a_half_written_line_is_judged_again_from_the_store(home, capsys):
    with serving_in_thread(fickle) as server:
        expected = undisturbed(server, home, capsys)
        assert command(capsys, *arguments(server)).code == 0
        server.asked.clear()
        (manifest,) = home.glob("results/*/manifest.json")
        manifest.write_text(manifest.read_text().replace('"complete"', '"running"'))
        lines = expected.splitlines(keepends=True)
        (manifest.parent / "judgments.jsonl").write_bytes(b"".join(lines[:7]) + lines[7][:40])
        assert command(capsys, *arguments(server)).code == 0
        assert server.asked == []
    assert journal(home / "results") == expected


@pytest.mark.parametrize("lost", ["summary.json", "judgments.parquet"])
def test_a_run_that_was_killed_while_it_was_sealed_is_sealed(home, capsys, lost):
    with serving_in_thread(fickle) as server:
        first = command(capsys, *arguments(server))
        (file,) = home.glob(f"results/*/{lost}")
        file.unlink()
        server.asked.clear()
        again = command(capsys, *arguments(server))
        assert server.asked == []
    assert (first.code, again.code) == (0, 0)
    assert file.is_file()


# -- interrupted ------------------------------------------------------------------------------------------------------


def test_an_interrupted_run_says_how_to_go_on_and_loses_nothing(home, capsys):
    with serving_in_thread(slowly) as server:
        expected = undisturbed(server, home, capsys)
        process = start(*arguments(server), folder=home)
        wait_for(lambda: len(server.asked) >= REQUESTS // 3)
        process.send_signal(signal.SIGINT)
        outcome = ended(process)
        assert outcome.code == 130
        assert outcome.out == ""
        last = outcome.err.splitlines()[-1]
        assert last.startswith("llmbar: interrupted")
        assert "same command again" in last
        there = stored_in(home / "results")
        assert there, "what had been answered is stored"
        manifest = json.loads(next(home.glob("results/*/manifest.json")).read_text())
        assert manifest["state"] == "running"
        assert manifest["counts"]["asked"] >= REQUESTS // 3 - IN_FLIGHT

        assert command(capsys, "show").complaint.endswith("(give its command again to resume it)")
        assert command(capsys, *arguments(server)).code == 0
        asked = asked_of(server)
    assert all(asked[conversation] == 1 for conversation in there)
    assert journal(home / "results") == expected


# -- failed -----------------------------------------------------------------------------------------------------------


def test_what_failed_is_told_kept_apart_and_asked_again_alone(home, capsys):
    """A server that is out of order for a part of its requests: exit 3, then the same command asks just for those."""
    healthy = False

    def answer(body):
        asked = body["messages"][-1]["content"]
        broken = not healthy and sha256(asked.encode()).digest()[1] % 4 == 0
        return error(500, "out of order") if broken else fickle(body)

    with serving_in_thread(answer) as server:
        expected_calls = Counter()
        first = command(capsys, *arguments(server, "results", "--deadline", "0.2"))
        refused = {text for text in asked_of(server) if sha256(last(text).encode()).digest()[1] % 4 == 0}
        assert first.code == 3
        assert first.err.splitlines()[-1].startswith("llmbar: incomplete: ")
        assert "give the same command again" in first.err.splitlines()[-1]
        assert "server error" in first.out, "the table says why there is no verdict"
        assert refused
        failed = [json.loads(line) for line in journal(home / "results").splitlines() if b'"failed"' in line]
        assert failed
        assert f"incomplete: {len(failed)} judgments" in first.err
        assert all(judgment["final"] == "failed" for judgment in failed)
        expected_calls.update(asked_of(server))
        assert not refused & stored_in(home / "results"), "a failure is never stored"
        server.asked.clear()

        healthy = True
        second = command(capsys, *arguments(server, "results", "--deadline", "5"))
        asked = asked_of(server)
        assert second.code == 0
        assert refused <= set(asked)
        assert not (set(asked) - refused) & set(expected_calls), "what was answered is not asked again"
        assert len({*asked, *expected_calls}) == REQUESTS
        server.asked.clear()
        expected = undisturbed(server, home, capsys)
    assert journal(home / "results") == expected


def last(conversation):
    return json.loads(conversation)[-1]["content"]


def test_a_judge_that_never_answers_leaves_a_run_that_can_be_shown_and_finished(home, capsys):
    healthy = False
    with serving_in_thread(lambda body: fickle(body) if healthy else error(503, "asleep")) as server:
        command_line = arguments(server, "results", "--deadline", "0.05")
        assert command(capsys, *command_line).code == 3
        shown = command(capsys, "show")
        assert shown.code == 0
        assert command(capsys, "show", "--json").json["state"] == "incomplete"
        assert command(capsys, *command_line).code == 3
        healthy = True
        assert command(capsys, *command_line).code == 0


def test_a_wrong_key_stops_the_run_with_one_line_and_the_same_command_goes_on(home, capsys):
    refusing = True
    with serving_in_thread(lambda body: error(401, "no such key") if refusing else fickle(body)) as server:
        outcome = command(capsys, *arguments(server, "results", "-q"))
        assert outcome.code == 2
        assert "LOCAL_API_KEY" in outcome.complaint
        refusing = False
        assert command(capsys, *arguments(server)).code == 0


# -- finished ---------------------------------------------------------------------------------------------------------


def test_a_finished_run_asks_nothing_and_prints_the_same(home, capsys):
    with serving_in_thread(fickle) as server:
        first = command(capsys, *arguments(server))
        assert len(server.asked) == REQUESTS
        files = {file: file.read_bytes() for file in home.rglob("*") if file.is_file() and "sqlite" not in file.name}
        again = command(capsys, *arguments(server))
        assert len(server.asked) == REQUESTS
    assert again == type(first)(0, first.out, "complete already: nothing was asked\n")
    assert files == {
        file: file.read_bytes() for file in home.rglob("*") if file.is_file() and "sqlite" not in file.name
    }


def test_a_new_strategy_asks_only_what_the_store_does_not_hold(home, capsys):
    with serving_in_thread(fickle) as server:
        assert command(capsys, *arguments(server)).code == 0
        assert command(capsys, *arguments(server, "results", "-s", "metrics+reference+rules")).code == 0
        assert len(server.asked) == REQUESTS + 2 * PAIRS + PAIRS // 2


# -- two at once ------------------------------------------------------------------------------------------------------


def test_a_second_llmbar_on_the_same_run_is_turned_away(home, capsys):
    with serving_in_thread(slowly) as server:
        expected = undisturbed(server, home, capsys)
        first = start(*arguments(server), folder=home)
        wait_for(lambda: len(server.asked) >= 20)
        second = command(capsys, *arguments(server))
        assert second.code == 2
        assert "another llmbar is at work on this run" in second.complaint
        assert ended(first).code == 0
        assert len(server.asked) == REQUESTS
        assert command(capsys, *arguments(server)).code == 0
    assert journal(home / "results") == expected


def test_two_llmbars_started_together_corrupt_nothing(home, capsys):
    with serving_in_thread(slowly) as server:
        expected = undisturbed(server, home, capsys)
        codes = sorted(ended(process).code for process in [start(*arguments(server), folder=home) for _ in range(2)])
        assert codes in ([0, 2], [0, 0])
    assert journal(home / "results") == expected
