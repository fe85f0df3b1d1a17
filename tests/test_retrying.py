from __future__ import annotations

import asyncio
import re
import socket
from contextlib import asynccontextmanager
from email.utils import formatdate
from itertools import pairwise
from time import monotonic, time

import pytest
from openai_server import Reply, error, serving

from llmbar.errors import JudgeError
from llmbar.judges import retrying
from llmbar.judges.endpoint import Endpoint, _session
from llmbar.judges.presets import find_target
from llmbar.judges.retrying import Retrying
from llmbar.judges.wire import seconds_to_wait
from llmbar.records import FailureKind, Message, Request


def asking(text="?"):
    return Request((Message("user", text),))


@asynccontextmanager
async def judging(base_url, *, concurrency=8, timeout=5.0, deadline=20.0, first_wait=0.02):  # noqa: ASYNC109
    """A judge that retries, without a store."""
    target = find_target("vllm/m", "m", base_url, {}, {})
    async with _session(target, concurrency) as session:
        yield Retrying(
            Endpoint(target, session),
            concurrency=concurrency,
            timeout=timeout,
            deadline=deadline,
            first_wait=first_wait,
        )


def in_turn(*replies):
    """Replies one after another; the last one stays."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def gaps(server):
    times = [asked.at for asked in server.asked]
    return [later - earlier for earlier, later in pairwise(times)]


def ask_once(answer, **options):
    """The response to one request, the server and the judge, after it is over."""

    async def ask():
        async with serving(answer) as server, judging(server.base_url, **options) as judge:
            return await judge.answer(asking()), server, judge

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "trouble",
    [
        error(429, "slow down"),
        error(500, "broken"),
        error(503, "overloaded"),
        error(408, "timed out"),
        error(409, "lock"),
        Reply(cut=True),
        Reply(raw=b"<html>no JSON</html>"),
        Reply(payload={"choices": []}),
        Reply(payload={"error": {"code": 502, "message": "the provider failed"}}),
        Reply(payload={"error": "overloaded"}),
    ],
)
def test_a_passing_trouble_is_retried(trouble):
    response, server, judge = ask_once(in_turn(trouble, trouble, "well"))
    assert response.failure is None
    assert response.text == "well"
    assert len(server.asked) == 3
    assert judge.tally.retries == 2
    assert server.asked[0].body == server.asked[2].body


def test_waits_grow_exponentially_with_jitter():
    _, server, _ = ask_once(in_turn(*[error(500, "broken")] * 4, "well"), first_wait=0.08)
    assert len(server.asked) == 5
    for gap, step in zip(gaps(server), (0.08, 0.16, 0.32, 0.64), strict=True):
        assert step / 2 - 0.01 <= gap <= step + 0.3


def test_retry_after_is_honoured():
    _, server, _ = ask_once(in_turn(error(429, "slow down", headers={"Retry-After": "0.4"}), "well"))
    assert 0.39 <= gaps(server)[0] <= 0.9


def test_retry_after_in_milliseconds_is_preferred():
    headers = {"Retry-After-Ms": "150", "Retry-After": "60"}
    _, server, _ = ask_once(in_turn(error(503, "busy", headers=headers), "well"))
    assert 0.14 <= gaps(server)[0] <= 0.6


def test_retry_after_zero_is_no_leave_to_hammer():
    _, server, _ = ask_once(in_turn(error(429, "slow down", headers={"Retry-After": "0"}), "well"), first_wait=0.4)
    assert gaps(server)[0] >= 0.19


def test_retry_after_as_a_date():
    assert seconds_to_wait({"Retry-After": formatdate(time() + 30, usegmt=True)}) == pytest.approx(30, abs=1.5)
    assert seconds_to_wait({"Retry-After": formatdate(time() - 30, usegmt=True)}) == 0
    for nonsense in (
        {},
        {"Retry-After": "soon"},
        {"Retry-After": "-1"},
        {"Retry-After": "nan"},
        {"Retry-After": "inf"},
    ):
        assert seconds_to_wait(nonsense) is None


def test_a_wait_beyond_the_deadline_is_not_begun():
    started = monotonic()
    response, server, _ = ask_once(lambda _: error(429, "quota", headers={"Retry-After": "3600"}), deadline=5)
    assert response.failure.kind is FailureKind.RATE_LIMIT
    assert len(server.asked) == 1
    assert monotonic() - started < 2


def test_the_deadline_ends_it_and_the_failure_says_how_often_was_tried():
    started = monotonic()
    response, server, judge = ask_once(lambda _: error(503, "overloaded"), deadline=0.6)
    assert monotonic() - started < 1.5
    assert response.failure.kind is FailureKind.SERVER
    assert len(server.asked) >= 3
    assert judge.tally.retries == len(server.asked) - 1
    assert re.fullmatch(rf"HTTP 503: overloaded \({len(server.asked)} attempts in \d s\)", response.failure.message)


def test_a_slow_reply_times_out():
    response, server, _ = ask_once(lambda _: Reply("late", delay=0.5), timeout=0.1, deadline=0.35)
    assert response.failure.kind is FailureKind.TIMEOUT
    assert 2 <= len(server.asked) <= 4


def test_replies_that_never_are_the_protocol_are_asked_three_times():
    response, server, _ = ask_once(lambda _: Reply(raw=b'{"choices": [{"message": {"content": 3}}]}'))
    assert response.failure.kind is FailureKind.PROTOCOL
    assert "choices.0.message.content" in response.failure.message
    assert len(server.asked) == 3


def test_outages_do_not_use_up_the_tries_of_another_trouble():
    nonsense = Reply(raw=b"?")
    response, *_ = ask_once(in_turn(*[error(500, "broken")] * 4, nonsense, nonsense, "well"))
    assert response.text == "well"


def test_who_waits_holds_no_place():
    replies = in_turn(error(429, "slow down", headers={"Retry-After": "1"}), "well")

    async def ask():
        async with serving(replies) as server, judging(server.base_url, concurrency=1) as judge:
            await asyncio.gather(*(judge.answer(asking(text)) for text in "abc"))
            return server.asked

    first, second, third, again = asyncio.run(ask())
    assert [asked.body["messages"][0]["content"] for asked in (first, second, third, again)] == ["a", "b", "c", "a"]
    assert third.at - first.at < 0.7
    assert again.at - first.at >= 0.99


def test_no_more_requests_are_in_flight_than_allowed():
    async def ask():
        async with (
            serving(lambda _: Reply("well", delay=0.03)) as server,
            judging(server.base_url, concurrency=7) as judge,
        ):
            await asyncio.gather(*(judge.answer(asking(str(number))) for number in range(40)))
            return server

    server = asyncio.run(ask())
    assert len(server.asked) == 40
    assert server.most_at_once == 7


def test_time_in_the_queue_is_not_held_against_a_request():
    async def ask():
        async with (
            serving(lambda _: Reply("well", delay=0.1)) as server,
            judging(server.base_url, concurrency=1, deadline=0.35) as judge,
        ):
            return await asyncio.gather(*(judge.answer(asking(str(number))) for number in range(8)))

    assert [response.text for response in asyncio.run(ask())] == ["well"] * 8


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_unreachable_server_is_a_failure_at_the_deadline():
    async def ask():
        async with judging(f"http://127.0.0.1:{free_port()}/v1", deadline=0.3) as judge:
            return await judge.answer(asking())

    failure = asyncio.run(ask()).failure
    assert failure.kind is FailureKind.CONNECTION
    assert "127.0.0.1" in failure.message


def test_an_address_that_never_answered_is_soon_taken_for_a_wrong_one(monkeypatch):
    monkeypatch.setattr(retrying, "NEVER_REACHED", 0.2)

    async def ask():
        async with judging(f"http://127.0.0.1:{free_port()}/v1") as judge:
            await judge.answer(asking())

    with pytest.raises(JudgeError, match=r"no connection.*start the server, or check --base-url"):
        asyncio.run(ask())


def test_patience_carries_requests_across_a_restart(monkeypatch):
    monkeypatch.setattr(retrying, "NEVER_REACHED", 0.2)  # it has answered before, so that patience is the deadline's

    async def ask():
        port = free_port()
        async with judging(f"http://127.0.0.1:{port}/v1", first_wait=0.1) as judge:
            async with serving(lambda _: "well", port=port):
                await judge.answer(asking())
            waiting = [asyncio.create_task(judge.answer(asking(str(number)))) for number in range(20)]
            await asyncio.sleep(0.6)
            assert not any(task.done() for task in waiting)
            async with serving(lambda _: "well again", port=port) as server:
                responses = await asyncio.gather(*waiting)
            return responses, server

    responses, server = asyncio.run(ask())
    assert [response.text for response in responses] == ["well again"] * 20
    assert len(server.asked) == 20
