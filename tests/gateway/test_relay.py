"""A relay: what a page, a tap and the official client get of a gateway, through one.

The provider is another gateway, a process of its own; where a test must see or say every
frame, it is a WebSocket server of the test's.
"""

import asyncio
import base64
import contextlib
import itertools
import json

import pytest
import websockets
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from tests.gateway.conftest import start_gateway, stop_gateway
from tests.gateway.test_app import answer, connect, refusal
from tests.gateway.test_media import (  # noqa: F401 - run through the relay too
    Page,
    media,
    mint,
    test_a_foreign_page_does_not_get_in,
    test_a_malformed_frame_is_reported_and_not_fatal,
    test_a_page_speaks_and_hears_the_answer_whole,
    test_a_release_without_speech_is_told_to_the_page,
    test_barge_in_silences_the_page_first_and_truncates_at_what_it_heard,
    test_push_to_talk_from_the_page,
    test_the_page_follows_audio_that_others_send,
)
from tests.gateway.test_official_client import (  # noqa: F401 - the same
    connection,
    pytestmark,
    test_barge_in,
    test_function_call,
    test_push_to_talk_turn,
    test_text_turn,
    test_vad_turn,
)

KEY = "sk-CANARY-not-to-be-seen"
SECOND = 24_000


@contextlib.contextmanager
def relay(url, key=KEY, **options):
    arguments = options.pop("arguments", ())
    running = start_gateway("--upstream", url, *arguments, tell=f"{key}\n", **options)
    try:
        yield running
    finally:
        stop_gateway(running)


@pytest.fixture(scope="module")
def provider():
    running = start_gateway("--token", KEY)
    yield running
    stop_gateway(running)


@pytest.fixture(scope="module")
def gateway(provider):
    """Stands for the gateway of the tests that are run through the relay too."""
    with relay(provider.url) as running:
        yield running


# -- a provider whose every frame a test can see -----------------------------------------


DETECTION = {"type": "server_vad", "interrupt_response": True}
SESSION = {
    "type": "realtime",
    "id": "sess_1",
    "model": "m",
    "audio": {"input": {"turn_detection": DETECTION}},
}


def event(kind, **fields):
    return json.dumps({"type": kind, "event_id": f"e{next(event.count)}", **fields})


event.count = itertools.count()


def delta(ms, item_id="item_1", response_id="resp_1"):
    audio = base64.b64encode(b"\1\0" * (24 * ms)).decode()
    place = {"response_id": response_id, "output_index": 0, "content_index": 0}
    return event("response.output_audio.delta", item_id=item_id, delta=audio, **place)


def response(status="in_progress", response_id="resp_1"):
    body = {"id": response_id, "object": "realtime.response", "status": status}
    return {**body, "conversation_id": "conv_1", "output": []}


STARTED = event(
    "input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_user"
)


class Provider:
    """Takes one session; keeps what it gets and sends what a test wants."""

    def __init__(self):
        self.opened = asyncio.Event()
        self.frames = asyncio.Queue()
        self.closed = asyncio.get_running_loop().create_future()
        self.requests = []
        self.refuse_with = None

    def screen(self, _, request):
        self.requests.append(request)
        return self.refuse_with

    async def serve(self, socket):
        self.socket = socket
        await socket.send(event("session.created", session=SESSION))
        self.opened.set()
        with contextlib.suppress(ConnectionClosed):
            async for frame in socket:
                self.frames.put_nowait(frame)
        self.closed.set_result((socket.close_code, socket.close_reason))

    async def next(self, kind=None):
        while True:
            frame = await asyncio.wait_for(self.frames.get(), 30)
            if kind is None or json.loads(frame)["type"] == kind:
                return frame

    @property
    def untaken(self):
        return [json.loads(f)["type"] for f in self.frames._queue]


def with_provider(scenario, **options):
    """Run ``scenario(provider, relay)`` with a relay before a provider of the test's."""

    async def run():
        provider = Provider()
        async with websockets.serve(
            provider.serve,
            "127.0.0.1",
            0,
            process_request=provider.screen,
            compression=None,
        ) as server:
            port = server.sockets[0].getsockname()[1]
            path = options.pop("path", "/v1/realtime?lang=de&model=x")
            url = f"ws://127.0.0.1:{port}{path}"
            starting = relay(url, **options)
            running = await asyncio.to_thread(starting.__enter__)
            try:
                return await scenario(provider, running)
            finally:
                await asyncio.to_thread(starting.__exit__, None, None, None)

    return asyncio.run(run())


async def with_page(gateway, control):
    """A page of the session of a control connection."""
    session_id = (await answer(control))["session"]["id"]
    ticket = await asyncio.to_thread(mint, gateway, session_id)
    return media(gateway, ticket)


# -- faithfully --------------------------------------------------------------------------


FRAMES = [
    '{ "type" : "response.sung",\n"notes": [1.0, 1e3, "\\u00e4", "ä"] }',
    '{"type":"session.updated","event_id":"e","session":{"odd":null}}',
    '{"type":"session.updated","event_id":"e","session":{"odd":null}}',
    "not json at all",
    '{"no": "type"}',
    b'{"type": "binary.frame"}',
    "",
]


def test_every_frame_passes_byte_for_byte_both_ways():
    async def scenario(provider, gateway):
        async with connect(gateway) as control:
            await control.recv()
            for frame in FRAMES:
                await control.send(frame)
                await provider.socket.send(frame)
            up = [await provider.next() for _ in FRAMES]
            return up, [await control.recv() for _ in FRAMES]

    assert with_provider(scenario) == (FRAMES, FRAMES)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes."),
        (3000, "invalid_request_error.invalid_api_key"),
        (4999, "ä" * 61),
        (1000, ""),
    ],
)
def test_the_providers_close_reaches_the_client(code, reason):
    async def scenario(provider, gateway):
        async with connect(gateway) as control:
            await provider.opened.wait()
            await provider.socket.send('{"type":"last.words"}')
            await provider.socket.close(code, reason)
            await control.recv()
            assert await control.recv() == '{"type":"last.words"}'
            with pytest.raises(ConnectionClosed):
                await control.recv()
            return control.close_code, control.close_reason

    assert with_provider(scenario) == (code, reason)


def test_a_provider_that_is_gone_is_told():
    async def scenario(provider, gateway):
        async with connect(gateway) as control:
            await control.recv()
            provider.socket.transport.abort()
            with pytest.raises(ConnectionClosed):
                await control.recv()
            return control.close_code, control.close_reason

    assert with_provider(scenario) == (1011, "the link was cut")


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4001, "enough")])
def test_the_clients_close_reaches_the_provider(code, reason):
    async def scenario(provider, gateway):
        async with connect(gateway) as control:
            await control.recv()
            await control.close(code, reason)
            return await asyncio.wait_for(provider.closed, 30)

    assert with_provider(scenario) == (code, reason)


def test_a_client_that_vanishes_leaves_no_session_behind():
    async def scenario(provider, gateway):
        async with connect(gateway) as control:
            await control.recv()
            control.transport.abort()
            return await asyncio.wait_for(provider.closed, 30)

    assert with_provider(scenario)[0] == 1001


def test_the_handshake_is_the_clients_but_for_the_key():
    async def scenario(provider, gateway):
        headers = {
            "Authorization": f"Bearer {gateway.token}",
            "OpenAI-Safety-Identifier": "u1",
            "Cookie": "mine",
        }
        path = "/v1/realtime?model=y&intent=a%20b"
        async with connect(gateway, headers=headers, path=path):
            [request] = provider.requests
            return request.path, request.headers

    path, headers = with_provider(scenario)
    assert path == "/v1/realtime?lang=de&model=y&intent=a+b"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["OpenAI-Safety-Identifier"] == "u1"
    assert "Cookie" not in headers


def test_azure_gets_its_key_bare():
    async def scenario(provider, gateway):
        async with connect(gateway):
            return provider.requests[0].headers

    arguments = ("--upstream-key-header", "api-key")
    headers = with_provider(scenario, arguments=arguments)
    assert headers["api-key"] == KEY
    assert "Authorization" not in headers


# -- refused -----------------------------------------------------------------------------


def test_a_refused_key_is_refused_to_the_client(provider):
    with relay(provider.url, key="sk-wrong") as running:
        status, error = asyncio.run(refusal(running))
    assert (status, error["code"]) == (401, "invalid_api_key")


def test_a_provider_that_is_not_there():
    with relay("ws://127.0.0.1:9/v1/realtime") as running:
        status, error = asyncio.run(refusal(running))
    assert (status, error["code"]) == (502, "upstream_unreachable")
    assert "127.0.0.1" in error["message"]


def denial(gateway):
    async def scenario():
        with pytest.raises(InvalidStatus) as caught:
            async with connect(gateway):
                pass
        return caught.value.response

    return scenario()


def test_a_refusal_passes_with_its_json_but_without_the_key():
    body = '{ "error": {"message": "Incorrect API key provided: ' + KEY + '"} }'

    async def scenario(provider, gateway):
        headers = Headers(
            {"Content-Type": "application/json; charset=utf-8", "Retry-After": "7"}
        )
        provider.refuse_with = Response(429, "Slow", headers, body.encode())
        return await denial(gateway)

    response = with_provider(scenario)
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "7"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.body.decode() == body.replace(KEY, "***")


def test_a_redirect_does_not_lead_the_key_elsewhere():
    async def scenario(provider, gateway):
        elsewhere = Headers({"Location": "/v1/elsewhere"})
        provider.refuse_with = Response(302, "Found", elsewhere)
        response = await denial(gateway)
        return response.status_code, len(provider.requests)

    assert with_provider(scenario) == (502, 1)


def test_the_relay_has_its_own_token(gateway, provider):
    headers = {"Authorization": f"Bearer {KEY}"}
    status, _ = asyncio.run(refusal(gateway, headers=headers))
    assert status == 401
