"""A responder in any form is streamed as it yields, and stops when it is closed."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial

import pytest

from rtnb.errors import ConfigError, EngineError
from rtnb.gateway.responder import (
    Failure,
    NextMessage,
    Pace,
    Pause,
    Request,
    StopShort,
    Told,
    ToolCall,
    load,
    name_of,
    stream,
    told_of,
)
from rtnb.protocol.server import Tokens

REQUEST = Request(
    instructions="Be kind.",
    items=(),
    tools=(),
    tool_choice="auto",
    user_text="hello",
    heard_ms=None,
    transcription_failed=None,
    now=datetime(2026, 11, 20, 14, 30, tzinfo=UTC),
)
PATIENCE_S = 10.0


def collect(responder):
    async def run():
        return [piece async for piece in stream(responder, REQUEST)]

    return asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def generator(request):
    yield "Hello, "
    yield Pause(0.5)
    yield ToolCall("look", {"at": request.user_text})


async def async_generator(request):
    for piece in generator(request):
        yield piece


async def coroutine(request):
    return list(generator(request))


class CallableObject:
    def __call__(self, request):
        return generator(request)


class AsyncObject:
    async def __call__(self, request):
        return list(generator(request))


@pytest.mark.parametrize(
    "responder",
    [
        generator,
        async_generator,
        coroutine,
        CallableObject(),
        AsyncObject(),
        partial(generator),
        partial(async_generator),
        lambda request: list(generator(request)),
        lambda request: async_generator(request),  # noqa: PLW0108 - the form is the test
        lambda request: coroutine(request),  # noqa: PLW0108 - the form is the test
    ],
)
def test_every_form_gives_the_same_pieces(responder):
    assert collect(responder) == [
        "Hello, ",
        Pause(0.5),
        ToolCall("look", {"at": "hello"}),
    ]


async def coroutine_of_one_string(request):
    return "Hello."


@pytest.mark.parametrize("responder", [lambda _: "Hello.", coroutine_of_one_string])
def test_a_string_is_one_piece(responder):
    assert collect(responder) == ["Hello."]


@pytest.mark.parametrize("reply", [None, "", [], [""]])
def test_nothing_is_silence(reply):
    assert collect(lambda _: reply) == []


def test_a_synchronous_responder_runs_beside_the_loop():
    threads = []
    collect(lambda _: threads.append(threading.current_thread()))
    assert threads[0] is not threading.main_thread()
    assert threads[0].daemon


def test_pieces_travel_before_the_responder_is_through():
    received = threading.Event()

    def responder(_):
        yield "first"
        assert received.wait(PATIENCE_S)
        yield "second"

    async def run():
        pieces = []
        async for piece in stream(responder, REQUEST):
            pieces.append(piece)
            received.set()
        return pieces

    assert asyncio.run(run()) == ["first", "second"]


def test_a_responder_without_end_waits_for_its_reader():
    given = []

    def responder(_):
        while True:
            given.append(len(given))
            yield "more"

    async def run():
        async with aclosing(stream(responder, REQUEST)) as pieces:
            for _ in range(100):
                await anext(pieces)

    asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
    assert 100 <= len(given) < 120


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_closing_closes_a_generator_in_its_thread(how):
    called, closed = threading.Event(), threading.Event()

    def responder(_):
        called.set()
        try:
            while True:
                yield "more"
        finally:
            closed.set()

    async def run():
        if how == "close":
            async with aclosing(stream(responder, REQUEST)) as pieces:
                await anext(pieces)
            return
        task = asyncio.create_task(_exhaust(stream(responder, REQUEST)))
        await asyncio.to_thread(called.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert closed.wait(PATIENCE_S)


async def _exhaust(pieces):
    async for _ in pieces:
        pass


def test_closing_closes_an_async_generator():
    closed = []

    async def responder(_):
        try:
            while True:
                yield "more"
        finally:
            closed.append(True)

    async def run():
        async with aclosing(stream(responder, REQUEST)) as pieces:
            await anext(pieces)
        assert closed == [True]

    asyncio.run(run())


def test_a_responder_that_never_returns_holds_nothing_up():
    called, release = threading.Event(), threading.Event()

    def responder(_):
        called.set()
        release.wait(PATIENCE_S)

    async def run():
        task = asyncio.create_task(_exhaust(stream(responder, REQUEST)))
        await asyncio.to_thread(called.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        asyncio.run(asyncio.wait_for(run(), PATIENCE_S))
    finally:
        release.set()


def raises(_):
    yield "I was about to say"
    raise ValueError("no idea")


async def raises_later(request):
    for piece in raises(request):
        yield piece


def leaves(_):
    sys.exit("goodbye")


@pytest.mark.parametrize(
    ("responder", "cause"),
    [(raises, ValueError), (raises_later, ValueError), (leaves, SystemExit)],
)
def test_an_exception_names_the_function_and_is_chained(responder, cause):
    with pytest.raises(EngineError, match=cause.__name__) as caught:
        collect(responder)
    assert responder.__name__ in str(caught.value)
    assert isinstance(caught.value.__cause__, cause)


def test_pieces_before_an_exception_arrive():
    pieces = []

    async def run():
        async for piece in stream(raises, REQUEST):
            pieces.append(piece)  # noqa: PERF401 - those before the error count

    with pytest.raises(EngineError):
        asyncio.run(run())
    assert pieces == ["I was about to say"]


@pytest.mark.parametrize("reply", [7, [7], {"a": 1}, b"bytes", ["yes", None]])
def test_something_else_is_no_piece(reply):
    with pytest.raises(EngineError, match="not a str, ToolCall or Pause"):
        collect(lambda _: reply)


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_an_impossible_pause_is_refused(seconds):
    with pytest.raises(ConfigError, match="pause"):
        Pause(seconds)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_load_finds_a_function_in_the_current_directory(here):
    (here / "bot_in_cwd.py").write_text(
        "class Bots:\n    @staticmethod\n    def answer(request):\n        return 'yes'\n"
    )
    assert collect(load("bot_in_cwd:Bots.answer")) == ["yes"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bot", "has not the form MODULE:FUNCTION"),
        (":answer", "has not the form MODULE:FUNCTION"),
        ("bot:", "has not the form MODULE:FUNCTION"),
        ("no_such_module:answer", "No module named 'no_such_module'"),
        ("broken:answer", "SyntaxError"),
        ("raising:answer", "ZeroDivisionError"),
        ("fine:other", "has no 'other'"),
        ("fine:number", "is of type int and cannot be called"),
    ],
)
def test_load_says_what_is_wrong(here, name, said):
    (here / "broken.py").write_text("def answer(:\n")
    (here / "raising.py").write_text("1 / 0\n")
    (here / "fine.py").write_text("number = 7\ndef answer(request): return ''\n")
    with pytest.raises(ConfigError, match=said):
        load(name)


def test_a_responder_has_a_name_for_people():
    assert name_of(generator).endswith("test_responder:generator")
    assert name_of(CallableObject()).endswith("test_responder:CallableObject")


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(ConfigError, match="1 is real time"):
        Pace(rate)


def test_the_rarer_pieces_are_pieces_too():
    pieces = [
        Tokens(output_text=1),
        Pace(float("inf")),
        NextMessage(),
        Pause(float("inf")),
        StopShort("content_filter"),
        Failure("over", "insufficient_quota"),
    ]
    assert collect(lambda _: pieces) == pieces


def test_a_responder_may_decide_how_words_are_told():
    class Late:
        def told(self, words):
            return Told(float(len(words)))

    assert told_of(Late(), "abc") == Told(3.0)
    assert not told_of(Late(), "abc").at_once
    assert told_of(lambda _: None, "abc").at_once
