"""Clocks: one that is real, one that does not wait, one that everybody waits for."""

from __future__ import annotations

import asyncio
import math

import pytest

from rtnb.clock import VIRTUAL_START, InstantClock, SystemClock, VirtualClock


def play(scenario, clock=None):
    """Run a scenario on a virtual clock at 0; returns its diary."""
    clock = clock or VirtualClock(0.0)
    diary = []

    def note(what):
        diary.append((clock.now(), what))

    def start(work):
        task = asyncio.create_task(work)
        clock.work(task)
        return task

    asyncio.run(scenario(clock, note, start))
    return diary


async def every(clock, seconds, times, note, what):
    for _ in range(times):
        await clock.sleep(seconds)
        note(what)


def test_sleepers_wake_in_the_order_of_their_times():
    async def scenario(clock, note, start):
        start(every(clock, 2.0, 3, note, "slow"))
        start(every(clock, 1.5, 3, note, "quick"))
        await clock.rest()

    assert play(scenario) == [
        (1.5, "quick"),
        (2.0, "slow"),
        (3.0, "quick"),
        (4.0, "slow"),
        (4.5, "quick"),
        (6.0, "slow"),
    ]


def test_time_stands_still_while_somebody_works():
    async def scenario(clock, note, start):
        async def work():
            await asyncio.to_thread(sum, range(100_000))
            note("worked")

        start(every(clock, 1.0, 1, note, "slept"))
        start(work())
        await clock.rest()

    assert play(scenario) == [(0.0, "worked"), (1.0, "slept")]


def test_calls_are_made_on_the_way_and_not_for_their_own_sake():
    async def scenario(clock, note, start):
        clock.call_at(1.0, lambda: note("call"))
        clock.call_at(2.0, lambda: note("never")).cancel()
        clock.call_at(9.0, lambda: note("not yet"))
        await clock.rest()
        note("rest")
        await clock.elapse(5.0)
        note("elapsed")

    assert play(scenario) == [(0.0, "rest"), (1.0, "call"), (5.0, "elapsed")]


def test_what_a_call_begins_is_done_in_its_time():
    async def scenario(clock, note, start):
        clock.call_at(1.0, lambda: start(every(clock, 0.5, 2, note, "begun")))
        start(every(clock, 1.75, 1, note, "other"))
        await clock.elapse(1.75)
        note("rest")

    assert play(scenario) == [
        (1.5, "begun"),
        (1.75, "other"),
        (2.0, "begun"),
        (2.0, "rest"),
    ]


def test_who_is_cancelled_holds_nothing_up():
    async def scenario(clock, note, start):
        asleep = start(clock.sleep(3.0))
        for_ever = start(clock.sleep(math.inf))
        (start(every(clock, 1.0, 1, lambda _: asleep.cancel(), "")),)
        await clock.rest()
        note("rest")
        for_ever.cancel()
        await asyncio.gather(asleep, for_ever, return_exceptions=True)
        await clock.elapse(4.0)
        note("elapsed")

    assert play(scenario) == [(1.0, "rest"), (5.0, "elapsed")]


def test_who_is_cancelled_on_waking_is_counted_once():
    async def scenario(clock, note, start):
        sleeper = start(clock.sleep(1.0))
        await asyncio.sleep(0)  # it sleeps, is woken at once, and has not gone on yet
        assert clock.now() == 1.0
        sleeper.cancel()
        await asyncio.gather(sleeper, return_exceptions=True)
        await clock.rest()
        await clock.elapse(1.0)
        note("elapsed")

    assert play(scenario) == [(2.0, "elapsed")]


def test_every_session_has_a_virtual_clock_of_its_own():
    clock = VirtualClock()
    other = clock.of_session()
    asyncio.run(other.elapse(5.0))
    assert (clock.now(), other.now()) == (VIRTUAL_START, VIRTUAL_START + 5.0)
    assert other.zone.utcoffset(None).total_seconds() == 0


@pytest.mark.parametrize("clock", [SystemClock(), InstantClock(7.0)])
def test_the_other_clocks_know_by_themselves(clock):
    async def scenario(clock, note, start):
        before = clock.now()
        await clock.elapse(1000.0)
        await clock.rest()
        assert clock.now() - before < 100.0
        called = asyncio.Event()
        clock.call_at(before, called.set)
        await called.wait()
        note("called")
        assert clock.of_session() is clock
        assert clock.zone is None

    assert len(play(scenario, clock)) == 1


@pytest.mark.parametrize("clock", [SystemClock(), InstantClock(), VirtualClock()])
def test_for_ever_is_until_cancelled(clock):
    async def scenario(clock, note, start):
        sleeper = start(clock.sleep(math.inf))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not sleeper.done()
        sleeper.cancel()
        await asyncio.gather(sleeper, return_exceptions=True)

    assert play(scenario, clock) == []
