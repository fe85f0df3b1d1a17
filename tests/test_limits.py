from __future__ import annotations

import asyncio
import random
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbar.judges.limits import LONGEST_REST, STEPS, Bucket, Limit, Places
from llmbar.records import Failure, FailureKind, Response

GOOD = Response(text="well", latency=1.0)


def failed(kind: FailureKind) -> Response:
    return Response(failure=Failure(kind=kind, message="no"), latency=0.01)


REFUSED = failed(FailureKind.RATE_LIMIT)
GONE = failed(FailureKind.CONNECTION)


def play(limit: Limit, outcomes, rounds: int) -> list[int]:
    """So many rounds of as many requests as the limit allows, each over before the next; the limit after each."""
    after = []
    for _ in range(rounds):
        numbers = [limit.enter() for _ in range(limit.current)]
        for number in numbers:
            limit.leave(number, next(outcomes))
        after.append(limit.current)
    return after


# The limit of one address


def test_it_starts_at_the_ceiling_and_stays_there_while_all_is_well():
    assert play(Limit(256), cycle([GOOD]), 20) == [256] * 20


@pytest.mark.parametrize("kind", [FailureKind.RATE_LIMIT, FailureKind.SERVER, FailureKind.TIMEOUT])
def test_overload_halves_it_down_to_one(kind):
    assert play(Limit(256), cycle([failed(kind)]), 6) == [128, 64, 32, 16, 8, 4]
    assert play(Limit(256), cycle([failed(kind)]), 60)[-1] == 1


def test_what_was_sent_before_a_halving_does_not_halve_it_again():
    limit = Limit(64)
    numbers = [limit.enter() for _ in range(64)]
    early, late = numbers[:32], numbers[32:]
    limit.current = 32  # so that half of what is in flight makes a window
    for number in early + late:
        limit.leave(number, REFUSED)
    assert limit.current == 16
    assert limit.in_flight == 0


def test_it_grows_back_by_equal_steps():
    limit = Limit(256)
    play(limit, cycle([REFUSED]), 3)
    assert limit.current == 32
    grown = play(limit, cycle([GOOD]), 20)
    assert grown[:4] == [32 + 256 // STEPS * step for step in (1, 2, 3, 4)]
    assert grown[-1] == 256


def test_it_does_not_grow_while_replies_get_slower():
    limit = Limit(256, current=32)
    play(limit, cycle([GOOD]), 1)
    held = limit.current
    slow = Response(text="well", latency=4.0)
    assert play(limit, cycle([slow]), 1) == [held]
    assert play(limit, cycle([slow]), 30)[-1] == 256  # what lasts is the server's usual pace


@pytest.mark.parametrize(
    ("kind", "share"), [(FailureKind.RATE_LIMIT, 0.05), (FailureKind.TIMEOUT, 0.1), (FailureKind.SERVER, 0.3)]
)
def test_refusals_at_random_cost_nothing(kind, share):
    draw = random.Random(1)
    outcomes = iter(lambda: failed(kind) if draw.random() < share else GOOD, None)
    assert min(play(Limit(64), outcomes, 300)) >= 56


def test_it_settles_near_what_a_server_bears():
    """A server that refuses all above 40 at once is kept busy, and is not flooded."""
    limit, sizes = Limit(256), []
    for _ in range(300):
        numbers = [limit.enter() for _ in range(limit.current)]
        sizes.append(len(numbers))
        for place, number in enumerate(numbers):
            limit.leave(number, GOOD if place < 40 else REFUSED)
    settled = sizes[20:]
    assert 25 <= sum(settled) / len(settled) <= 55
    assert max(settled) <= 40 + 256 // STEPS + 8


def test_an_outage_leaves_the_limit_alone():
    assert play(Limit(64), cycle([GONE]), 10) == [64] * 10


@given(st.lists(st.sampled_from([GOOD, REFUSED, GONE, None]), max_size=400), st.integers(1, 300))
def test_it_never_leaves_its_bounds(outcomes, ceiling):
    limit = Limit(ceiling)
    for outcome in outcomes:
        limit.leave(limit.enter(), outcome)
        assert 1 <= limit.current <= ceiling
        assert limit.in_flight == 0


# Places at several addresses


def places_at(*names: str, ceiling: int = 6) -> Places[str]:
    return Places(names, ceiling)


def test_the_least_loaded_address_is_asked():
    async def take() -> list[str]:
        places = places_at("a", "b", "c")
        taken = [await places.take() for _ in range(3)]
        places.give_back(taken[1], GOOD)
        return [place.source for place in [*taken, await places.take()]]

    first, second, third, again = asyncio.run(take())
    assert {first, second, third} == {"a", "b", "c"}
    assert again == second


def test_the_ceiling_holds_over_all_addresses():
    async def take() -> None:
        places = places_at("a", "b", ceiling=3)
        taken = [await places.take() for _ in range(3)]
        waiting = asyncio.ensure_future(places.take())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert (places.in_flight, places.limit) == (3, 3)
        places.give_back(taken[0], GOOD)
        assert (await waiting).source == taken[0].source

    asyncio.run(take())


def test_places_are_handed_out_in_turn_and_whoever_gave_up_is_passed_over():
    async def take() -> list[str]:
        places, got = places_at("a", ceiling=1), []
        held = await places.take()

        async def wait(name: str) -> None:
            place = await places.take()
            got.append(name)
            places.give_back(place, GOOD)

        tasks = [asyncio.ensure_future(wait(name)) for name in "wxyz"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        places.give_back(held, GOOD)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert places.in_flight == 0
        return got

    assert asyncio.run(take()) == ["w", "y", "z"]


def test_a_place_that_is_handed_to_someone_who_gives_up_at_that_moment_is_not_lost():
    async def take() -> None:
        places = places_at("a", ceiling=1)
        held = await places.take()
        task = asyncio.ensure_future(places.take())
        await asyncio.sleep(0)
        places.give_back(held, GOOD)
        task.cancel()  # after its place was set, before it woke
        await asyncio.gather(task, return_exceptions=True)
        assert places.in_flight == 0
        assert (await asyncio.wait_for(places.take(), 1)).source == "a"

    asyncio.run(take())


def test_an_address_that_cannot_be_reached_is_left_alone_while_there_is_another():
    async def take() -> list[str]:
        places = places_at("dead", "alive", ceiling=4)
        place = await places.take()
        places.give_back(place, GONE)
        return [place.source, *[(await places.take()).source for _ in range(4)]]

    first, *later = asyncio.run(take())
    other = {"dead": "alive", "alive": "dead"}[first]
    assert later == [other] * 4


def test_where_no_address_can_be_reached_they_are_asked_all_the_same():
    async def take() -> set[str]:
        places = places_at("a", "b", ceiling=4)
        for _ in range(8):
            places.give_back(await places.take(), GONE)
        assert max(lane.rest for lane in places.lanes) <= LONGEST_REST
        return {(await places.take()).source for _ in range(4)}

    assert asyncio.run(take()) == {"a", "b"}


# So many a minute


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 10_000), st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_no_minute_holds_more_than_was_allowed(per_minute, pauses):
    clock = Clock()
    bucket, used = Bucket(per_minute, clock), []
    for pause in pauses:
        clock.now += pause
        used.append(clock.now + bucket.take(1))
    burst = max(1.0, per_minute / 60)
    for start in used:
        within = sum(start <= at < start + 60 for at in used)
        assert within <= per_minute + burst + 1e-6


def test_a_request_larger_than_the_bucket_waits_for_what_it_owes():
    clock = Clock()
    bucket = Bucket(6000, clock)  # 100 a second
    assert bucket.take(100) == 0
    assert bucket.take(500) == pytest.approx(5)
    bucket.give_back(400)  # it turned out to be 100
    assert bucket.take(100) == pytest.approx(2)
    clock.now = 3600
    assert bucket.take(100) == 0  # a pause saves up no more than a second's worth
    assert bucket.take(1) == pytest.approx(0.01)
