"""The network seam: one contract, kept by the WebSocket and by its double."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import http
import json
import logging
import socket
import threading

import pytest
import websockets.asyncio.server as ws
from websockets.exceptions import ConnectionClosed

from rtnb.clock import InstantClock
from rtnb.errors import ConnectError, ConnectionLost, ConnectTimeout
from rtnb.portal import Portal
from rtnb.transport import (
    Close,
    Delay,
    Deliver,
    Drop,
    MemoryTransport,
    WebSocketTransport,
    is_loopback,
    without_query,
)

KEY = "sk-not-to-be-seen"


@contextlib.asynccontextmanager
async def over_websocket(script=(), *, answer=None, clock=None, **timing):
    """A transport to a real server on loopback that follows a script."""
    sent = []

    async def play(connection, steps):
        for step in steps:
            match step:
                case Deliver(message):
                    await connection.send(message)
                case Delay(seconds):
                    await clock.sleep(seconds)
                case Drop():
                    connection.transport.abort()
                case Close(code, reason):
                    await connection.close(code, reason)

    async def follow(connection):
        await play(connection, script)
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                sent.append(message)
                if answer is not None:
                    await play(connection, answer(message))

    async with serving(follow) as url:
        transport = await WebSocketTransport.open(url, **timing)
        try:
            yield transport, sent
        finally:
            await transport.close()


@contextlib.asynccontextmanager
async def in_memory(script=(), *, answer=None, clock=None):
    transport = MemoryTransport(script, answer=answer, clock=clock)
    yield transport, transport.sent


@contextlib.asynccontextmanager
async def serving(handler, **options):
    async with ws.serve(handler, "127.0.0.1", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime?model=gpt-realtime"


@pytest.fixture(params=[over_websocket, in_memory])
def transport_with(request):
    return request.param


def echo(message):
    return [Deliver(message)]


# the contract


def test_messages_arrive_in_order_both_ways(transport_with):
    async def talk():
        async with transport_with([Deliver("hello")], answer=echo) as (transport, sent):
            for message in ("one", "two"):
                await transport.send(message)
            received = [await transport.receive() for _ in range(3)]
            return received, sent

    assert asyncio.run(talk()) == (["hello", "one", "two"], ["one", "two"])


def test_a_peer_may_send_binary_frames(transport_with):
    async def talk():
        async with transport_with([Deliver(b"\x00")]) as (transport, _):
            return await transport.receive()

    assert asyncio.run(talk()) == b"\x00"


def test_what_came_before_a_close_is_still_received(transport_with):
    async def talk():
        script = [Deliver("last"), Close(1001, "maximum duration")]
        async with transport_with(script) as (transport, _):
            last = await transport.receive()
            with pytest.raises(ConnectionLost) as lost:
                await transport.receive()
            with pytest.raises(ConnectionLost):
                await transport.receive()
            with pytest.raises(ConnectionLost):
                await transport.send("too late")
            return last, lost.value.code, lost.value.reason

    assert asyncio.run(talk()) == ("last", 1001, "maximum duration")


def test_a_clean_close_is_told_too(transport_with):
    async def talk():
        async with transport_with([Close(1000, "")]) as (transport, _):
            with pytest.raises(ConnectionLost) as lost:
                await transport.receive()
            return lost.value.code

    assert asyncio.run(talk()) == 1000


def test_a_cut_link_has_no_code(transport_with):
    async def talk():
        async with transport_with([Drop()]) as (transport, _):
            with pytest.raises(ConnectionLost) as lost:
                await transport.receive()
            return lost.value.code, str(lost.value)

    code, words = asyncio.run(talk())
    assert code is None
    assert words == "connection lost (no close frame): the link was cut"


def test_a_delay_takes_its_time(transport_with):
    async def talk():
        clock = InstantClock()
        script = [Delay(60), Deliver("late")]
        async with transport_with(script, clock=clock) as (transport, _):
            return await transport.receive(), clock.now()

    assert asyncio.run(talk()) == ("late", 60)


def test_cancelling_a_receive_loses_nothing(transport_with):
    async def talk():
        async with transport_with(answer=echo) as (transport, _):
            waiting = asyncio.ensure_future(transport.receive())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            await transport.send("kept")
            return await transport.receive()

    assert asyncio.run(talk()) == "kept"


def test_our_own_close_ends_a_waiting_receive_and_may_be_repeated(transport_with):
    async def talk():
        async with transport_with() as (transport, _):
            waiting = asyncio.ensure_future(transport.receive())
            await asyncio.sleep(0)
            await transport.close(1000, "enough")
            await transport.close(1000, "enough")
            with pytest.raises(ConnectionLost) as lost:
                await waiting
            with pytest.raises(ConnectionLost):
                await transport.send("too late")
            return lost.value.code

    assert asyncio.run(talk()) == 1000


# the double


def test_the_double_remembers_how_it_was_closed():
    async def close():
        transport = MemoryTransport()
        await transport.close(1000, "enough")
        return transport.closed_with

    assert asyncio.run(close()) == (1000, "enough")


def test_the_script_of_the_double_may_grow():
    async def grow():
        transport = MemoryTransport()
        waiting = asyncio.ensure_future(transport.receive())
        await asyncio.sleep(0)
        transport.add(Deliver("more"))
        return await waiting

    assert asyncio.run(grow()) == "more"


# the WebSocket


def test_the_key_travels_in_the_header_and_is_nowhere_to_be_seen(caplog):
    caplog.set_level(logging.DEBUG)
    seen = []

    async def note(connection):
        seen.append(connection.request)

    async def talk():
        async with serving(note) as url:
            headers = {"Authorization": f"Bearer {KEY}"}
            transport = await WebSocketTransport.open(url, headers=headers)
            await transport.close()
            return repr(transport)

    assert KEY not in asyncio.run(talk())
    assert seen[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "Sec-WebSocket-Extensions" not in seen[0].headers
    assert KEY not in seen[0].path
    ours = [record for record in caplog.records if "server" not in record.name]
    assert not [record for record in ours if KEY in record.getMessage()]


def refusing(status, body, **headers):
    def refuse(connection, request):
        response = connection.respond(status, body)
        response.headers.update(headers)
        return response

    return refuse


def refused(status, body, **headers):
    """The error of a handshake that a server answers like this."""

    async def knock():
        options = {"process_request": refusing(status, body, **headers)}
        async with serving(lambda connection: None, **options) as url:
            with pytest.raises(ConnectError) as error:
                await WebSocketTransport.open(url, headers={"Authorization": KEY})
            return error.value

    return asyncio.run(knock())


def test_a_refused_handshake_tells_the_api_s_own_message():
    body = json.dumps({"error": {"message": "Incorrect API key provided."}})
    error = refused(http.HTTPStatus.UNAUTHORIZED, body)
    assert (error.status, error.reason) == (401, "Incorrect API key provided.")
    assert error.url.endswith("/v1/realtime")
    assert KEY not in f"{error!r} {error}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [("", "refused without a reason"), ("nope", "nope"), ('{"error": 1}',) * 2],
)
def test_a_refusal_without_the_api_s_json_is_told_as_it_is(body, reason):
    assert refused(http.HTTPStatus.FORBIDDEN, body).reason == reason


def test_a_redirect_is_not_followed():
    error = refused(http.HTTPStatus.FOUND, "", Location="ws://127.0.0.1:9/elsewhere")
    assert error.status == 302


def open_error(url, **options):
    async def knock():
        with pytest.raises(ConnectError) as error:
            await WebSocketTransport.open(url, **options)
        return error.value

    return asyncio.run(knock())


def test_nobody_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert "refused" in open_error(f"ws://127.0.0.1:{port}").reason.lower()


def test_an_address_that_is_none():
    assert "begins with ws://" in open_error("http://127.0.0.1").reason


@pytest.mark.parametrize(
    ("words", "reason"), [(b"\x00\x01\r\n\r\n", "speaks no HTTP"), (b"", "hung up")]
)
def test_a_server_that_speaks_no_http(words, reason):
    async def gibberish(reader, writer):
        await reader.read(1)
        writer.write(words)
        writer.close()

    async def knock():
        server = await asyncio.start_server(gibberish, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            with pytest.raises(ConnectError, match=reason):
                await WebSocketTransport.open(f"ws://127.0.0.1:{port}")

    asyncio.run(knock())


def test_a_server_that_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        error = open_error(url, timeout=0.05)
    assert isinstance(error, ConnectTimeout)
    assert error.reason == "no answer within 0.05 s"


async def lost_to_a_frozen_peer(work):
    """The error after `work` on a quick-tempered transport, nobody reading."""
    thaw = asyncio.Event()

    async def freeze(connection):
        connection.transport.pause_reading()
        await thaw.wait()
        connection.transport.abort()

    async with serving(freeze, ping_interval=None) as url:
        options = {"ping_seconds": 0.01, "pong_seconds": 0.05}
        transport = await WebSocketTransport.open(url, **options)
        with pytest.raises(ConnectionLost) as lost:
            await work(transport)
        await transport.close()
        thaw.set()
        return lost.value


def test_a_frozen_peer_is_noticed_while_idle():
    lost = asyncio.run(lost_to_a_frozen_peer(lambda transport: transport.receive()))
    assert (lost.code, lost.reason) == (None, "no answer to a ping for 0.05 s")


def test_a_frozen_peer_is_noticed_behind_a_blocked_send():
    async def send_on(transport):
        while True:
            await transport.send("x" * 2**20)

    lost = asyncio.run(lost_to_a_frozen_peer(send_on))
    assert lost.reason == "no answer to a ping for 0.05 s"


def test_a_peer_that_answers_pings_is_left_alone():
    async def talk():
        timing = {"ping_seconds": 0.001, "pong_seconds": 5.0}
        async with over_websocket(answer=echo, **timing) as (transport, _):
            for _ in range(20):
                await transport.send("still here")
                assert await transport.receive() == "still here"
                await asyncio.sleep(0.001)

    asyncio.run(talk())


def test_a_loop_that_was_held_up_does_not_blame_the_peer():
    far, url = Portal("rtnb.test"), concurrent.futures.Future()

    async def idle(connection):
        await connection.wait_closed()

    async def serve():
        async with serving(idle, ping_interval=None) as address:
            url.set_result(address)
            await asyncio.Event().wait()

    async def hold_up():
        timing = {"ping_seconds": 0.0, "pong_seconds": 1.0}  # one is always on its way
        transport = await WebSocketTransport.open(url.result(), **timing)
        for _ in range(3):
            await asyncio.sleep(0.01)
            threading.Event().wait(1.2)  # as a cell that keeps the interpreter does
        await transport.send("still here")
        await transport.close()

    served = far.submit(serve())  # a task that nobody holds may be collected
    try:
        asyncio.run(hold_up())
        assert not served.done()
    finally:
        far.close()


# what may be shown


def test_an_address_is_shown_without_query_and_credentials():
    url = "wss://user:secret@api.openai.com:443/v1/realtime?model=m&api-key=secret"
    assert without_query(url) == "wss://api.openai.com:443/v1/realtime"


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("ws://127.0.0.1:1/v1", True),
        ("ws://localhost/v1", True),
        ("ws://[::1]:80", True),
        ("wss://localhost.evil.example", False),
        ("wss://api.openai.com", False),
    ],
)
def test_loopback_is_told_exactly(url, ours):
    assert is_loopback(url) is ours
