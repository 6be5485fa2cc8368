"""Events on their way to users, who may be late, wrong or gone."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

from rtnb.protocol import events as ev
from rtnb.session.stream import CALLBACK_EVENTS, STREAM_EVENTS, Callbacks, EventStream

PATIENCE_S = 10
CLEARED = ev.InputAudioBufferCleared()


def numbered(n):
    return ev.InputAudioBufferCleared(event_id=str(n))


@pytest.fixture
def callbacks():
    made = Callbacks()
    yield made
    made.end()


@pytest.fixture
def uncaught(monkeypatch):
    """What is shown as uncaught exceptions of threads."""
    shown = queue.SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", shown.put)
    return shown


def test_a_stream_gives_events_in_order_and_ends():
    stream = EventStream()
    for n in range(3):
        stream.put(numbered(n))
    stream.end(None)

    async def collect():
        return [event.event_id async for event in stream]

    assert asyncio.run(collect()) == ["0", "1", "2"]


def test_a_stream_raises_why_the_session_ended_after_what_is_left():
    stream = EventStream()
    stream.put(CLEARED)
    stream.end(ValueError("lost"))

    async def collect():
        first = await anext(stream)
        with pytest.raises(ValueError, match="lost"):
            await anext(stream)
        return first

    assert asyncio.run(collect()) == CLEARED


def test_a_consumer_that_waits_is_woken_from_another_thread():
    stream = EventStream()

    async def wait_and_put():
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await asyncio.to_thread(stream.put, CLEARED)
        return await waiting

    assert asyncio.run(wait_and_put()) == CLEARED


def test_a_late_consumer_loses_the_oldest_and_knows_it():
    stream = EventStream()
    for n in range(STREAM_EVENTS + 5):
        stream.put(numbered(n))

    async def first():
        return (await anext(stream)).event_id

    assert asyncio.run(first()) == "5"
    assert stream.dropped == 5


def test_a_consumer_whose_loop_is_gone_does_no_harm():
    stream = EventStream()

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.001)

    asyncio.run(give_up())
    stream.put(CLEARED)


def test_callbacks_are_called_in_order_on_one_thread(callbacks):
    seen, done = [], threading.Event()

    def note(event):
        seen.append((event.event_id, threading.current_thread().name))
        if event.event_id == "2":
            done.set()

    callbacks.add("*", note)
    for n in range(3):
        callbacks.put(numbered(n))
    assert done.wait(PATIENCE_S)
    assert seen == [(str(n), "rtnb.callbacks") for n in range(3)]


def test_a_callback_that_unsubscribed_hears_no_more(callbacks):
    seen, done = [], threading.Event()
    unsubscribe = callbacks.add(ev.InputAudioBufferCleared, seen.append)
    callbacks.add("test.done", lambda event: done.set())
    unsubscribe()
    unsubscribe()
    callbacks.put(CLEARED)
    callbacks.put(ev.UnknownEvent("test.done", {}))
    assert done.wait(PATIENCE_S)
    assert seen == []


def test_what_a_callback_raises_is_shown_once_and_does_no_harm(callbacks, uncaught):
    done = threading.Event()

    def fail(event):
        raise ValueError(event.event_id)

    callbacks.add("*", fail)
    callbacks.add(
        ev.InputAudioBufferCleared, lambda event: event.event_id or done.set()
    )
    for n in range(3):
        callbacks.put(numbered(n))
    callbacks.put(numbered(""))
    assert done.wait(PATIENCE_S)
    assert str(uncaught.get().exc_value) == "0"
    assert uncaught.empty()


def test_asynchronous_callbacks_run_on_the_users_loop(callbacks, uncaught):
    seen, done = [], threading.Event()

    async def note(event):
        seen.append(threading.current_thread().name)
        done.set()
        raise ValueError("too")

    callbacks.add("*", note)
    callbacks.put(CLEARED)
    assert done.wait(PATIENCE_S)
    assert seen == ["rtnb.user"]
    assert str(uncaught.get(timeout=PATIENCE_S).exc_value) == "too"


def test_slow_callbacks_lose_events_and_it_is_counted(callbacks):
    release, begun = threading.Event(), threading.Event()

    def hold(event):
        begun.set()
        release.wait(PATIENCE_S)

    callbacks.add("*", hold)
    callbacks.put(CLEARED)
    assert begun.wait(PATIENCE_S)
    for _ in range(CALLBACK_EVENTS + 3):
        callbacks.put(CLEARED)
    assert callbacks.dropped == 3
    release.set()


def test_events_that_nobody_wants_are_not_kept(callbacks):
    callbacks.put(CLEARED)
    callbacks.add("response.done", lambda event: None)
    for _ in range(CALLBACK_EVENTS + 3):
        callbacks.put(CLEARED)
    assert callbacks.dropped == 0


def test_a_callback_after_the_end_is_never_called(callbacks):
    callbacks.end()
    callbacks.add("*", lambda event: None)
    callbacks.put(CLEARED)
    assert callbacks._thread is None
