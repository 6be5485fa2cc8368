"""A relay: what a page, a tap and the official client get of a gateway, through one.

The provider is another gateway, a process of its own; where a test must see or say every
frame, it is a WebSocket server of the test's.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import socket

import psutil
import pytest
import websockets
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from rtnb.audio import Clip
from rtnb.errors import ServerError
from rtnb.gateway.frames import MicrophoneFrame, pack_microphone
from rtnb.gateway.relay import OUTBOX_FRAMES, RelayedConversation
from rtnb.transport import Deliver, MemoryTransport
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


def started():
    kind = "input_audio_buffer.speech_started"
    return event(kind, audio_start_ms=0, item_id="item_user")


STRANGE = '{"type":"something.else"}'


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


async def meet(scenario, port, gateway):
    """Run ``scenario(provider, gateway)`` with a provider of the test's at the port."""
    provider = Provider()
    async with websockets.serve(
        provider.serve,
        "127.0.0.1",
        port,
        process_request=provider.screen,
        compression=None,
    ):
        return await scenario(provider, gateway)


@pytest.fixture(scope="module")
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def with_provider(free_port):
    """Runs ``scenario(provider, gateway)``, each time with another provider."""
    url = f"ws://127.0.0.1:{free_port}/v1/realtime?lang=de&model=x"
    with relay(url) as running:
        yield lambda scenario: asyncio.run(meet(scenario, free_port, running))


async def page_of(gateway, created):
    """The media socket of a session."""
    session_id = json.loads(created)["session"]["id"]
    return media(gateway, await asyncio.to_thread(mint, gateway, session_id))


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


def test_every_frame_passes_byte_for_byte_both_ways(with_provider):
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
def test_the_providers_close_reaches_the_client(code, reason, with_provider):
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


def test_a_provider_that_is_gone_is_told(with_provider):
    async def scenario(provider, gateway):
        async with connect(gateway) as control:
            await control.recv()
            provider.socket.transport.abort()
            with pytest.raises(ConnectionClosed):
                await control.recv()
            return control.close_code, control.close_reason

    assert with_provider(scenario) == (1011, "the link was cut")


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4001, "enough")])
def test_the_clients_close_reaches_the_provider(code, reason, with_provider):
    async def scenario(provider, gateway):
        async with connect(gateway) as control:
            await control.recv()
            await control.close(code, reason)
            return await asyncio.wait_for(provider.closed, 30)

    assert with_provider(scenario) == (code, reason)


def test_a_client_that_vanishes_leaves_no_session_behind(with_provider):
    async def scenario(provider, gateway):
        async with connect(gateway) as control:
            await control.recv()
            control.transport.abort()
            return await asyncio.wait_for(provider.closed, 30)

    assert with_provider(scenario)[0] == 1001


def test_the_handshake_is_the_clients_but_for_the_key(with_provider):
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


def test_what_lies_below_is_asked_for_there(with_provider):
    async def scenario(provider, gateway):
        async with connect(gateway, path="/v1/realtime/translations?model=t"):
            return provider.requests[0].path

    path = with_provider(scenario)
    assert path == "/v1/realtime/translations?lang=de&model=t"


def test_azure_gets_its_key_bare(free_port):
    async def scenario(provider, gateway):
        async with connect(gateway):
            return provider.requests[0].headers

    arguments = ("--upstream-key-header", "api-key")
    url = f"ws://127.0.0.1:{free_port}/openai/v1/realtime"
    with relay(url, arguments=arguments) as running:
        headers = asyncio.run(meet(scenario, free_port, running))
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


def test_the_provider_is_known_by_its_certificate(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    secure = start_gateway("--tls", "--token", KEY)
    try:
        with relay(secure.url) as running:
            status, error = asyncio.run(refusal(running))
        assert status == 502
        assert "certificate" in error["message"]
        monkeypatch.setenv("SSL_CERT_FILE", secure.certificate)
        with relay(secure.url) as running:
            assert asyncio.run(greeting(running)) == "session.created"
    finally:
        stop_gateway(secure)


async def greeting(gateway):
    async with connect(gateway) as control:
        return (await answer(control))["type"]


def denial(gateway):
    async def scenario():
        with pytest.raises(InvalidStatus) as caught:
            async with connect(gateway):
                pass
        return caught.value.response

    return scenario()


def test_a_refusal_passes_with_its_json_but_without_the_key(with_provider):
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


def test_a_redirect_does_not_lead_the_key_elsewhere(with_provider):
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


# -- the page ----------------------------------------------------------------------------


@pytest.fixture
def with_talk(with_provider):
    """Runs ``scenario(provider, control, page)`` in a session of the test's provider."""

    def run(scenario):
        async def talk(provider, gateway):
            async with (
                connect(gateway, close_timeout=0.5) as control,
                await page_of(gateway, await control.recv()) as media_socket,
            ):
                page = Page(media_socket)
                await page.until("mic")
                return await scenario(provider, control, page)

        return with_provider(talk)

    return run


async def say_it(provider, page, *frames):
    """Have the provider speak, and the page get all of it."""
    for frame in frames:
        await provider.socket.send(frame)
    committed = event("input_audio_buffer.committed", item_id="i", previous_item_id="")
    await provider.socket.send(committed)
    await page.until("tick")


async def interrupt(provider, page, played_ms, item_id="item_1"):
    """The user speaks; the page has played so much."""
    await provider.socket.send(started())
    flush = await page.until("flush")
    assert provider.untaken == []
    flushed = {"flush_id": flush["flush_id"], "item_id": item_id}
    await page.say(type="flushed", played_ms=played_ms, **flushed)
    return json.loads(await provider.next())


@pytest.mark.parametrize(
    ("played_ms", "cut_ms"), [(333.96, 333), (0.0, 0), (1000.0, 1000), (5000.0, 1000)]
)
def test_an_answer_is_cut_at_what_was_heard_of_what_came(played_ms, cut_ms, with_talk):
    async def scenario(provider, _, page):
        await say_it(provider, page, delta(600), delta(400))
        cut = await interrupt(provider, page, played_ms)
        del cut["event_id"]
        return cut, len(page.audio["item_1"])

    cut, heard = with_talk(scenario)
    assert heard == 48 * 1000
    assert cut == {
        "type": "conversation.item.truncate",
        "item_id": "item_1",
        "content_index": 0,
        "audio_end_ms": cut_ms,
    }


def test_the_right_answer_is_cut_and_once(with_talk):
    async def scenario(provider, _, page):
        await say_it(provider, page, delta(100), delta(200, "item_2"))
        await page.say(type="ended", item_id="item_1", played_ms=100.0)
        first = await interrupt(provider, page, 50.5, "item_2")
        await provider.socket.send(started())
        await say_it(provider, page, delta(300, "item_3"))
        return first, await interrupt(provider, page, 7.0, "item_3")

    cuts = with_talk(scenario)
    assert [(cut["item_id"], cut["audio_end_ms"]) for cut in cuts] == [
        ("item_2", 50),
        ("item_3", 7),
    ]


def test_an_answer_that_comes_twice_is_heard_once(with_talk):
    async def scenario(provider, _, page):
        piece = delta(100)
        await say_it(provider, page, piece, piece)
        cut = await interrupt(provider, page, 900.0)
        return cut["audio_end_ms"], len(page.audio["item_1"])

    assert with_talk(scenario) == (100, 48 * 100)


def test_what_the_client_has_cut_is_not_cut_again(with_talk):
    async def scenario(provider, control, page):
        await say_it(provider, page, delta(500))
        mine = {"item_id": "item_1", "content_index": 0, "audio_end_ms": 11}
        await control.send(json.dumps({"type": "conversation.item.truncate", **mine}))
        cut = json.loads(await provider.next())
        await provider.socket.send(started())
        flush = await page.until("flush")
        await page.say(type="flushed", flush_id=flush["flush_id"], item_id=None)
        await say_it(provider, page)
        await page.say(type="press")
        return cut["audio_end_ms"], json.loads(await provider.next())["type"]

    assert with_talk(scenario) == (11, "input_audio_buffer.clear")


def test_nothing_is_cut_where_speech_does_not_interrupt(with_talk):
    async def scenario(provider, _, page):
        session = json.loads(json.dumps(SESSION))
        session["audio"]["input"]["turn_detection"]["interrupt_response"] = False
        await provider.socket.send(event("session.updated", session=session))
        await say_it(provider, page, delta(500))
        await provider.socket.send(started())
        await page.until("speech_started")
        await page.say(type="ping", t=1)
        while (message := json.loads(await page.socket.recv()))["type"] != "pong":
            assert message["type"] != "flush"
        return provider.untaken

    assert with_talk(scenario) == []


def test_interrupt_cancels_and_what_is_on_its_way_is_not_played(with_talk):
    async def scenario(provider, control, page):
        created = event("response.created", response=response())
        await provider.socket.send(created)
        await page.until("tick")
        await provider.socket.send(delta(200))
        while "item_1" not in page.audio:
            await page.say(type="ping", t=1)
            await page.until("pong")
        await page.say(type="interrupt")
        cancel = json.loads(await provider.next())
        flush = await page.until("flush")
        late = delta(300)
        await provider.socket.send(late)
        while await control.recv() != late:
            pass
        await page.say(
            type="flushed", flush_id=flush["flush_id"], item_id="item_1", played_ms=150
        )
        cut = json.loads(await provider.next())
        await say_it(provider, page)
        return cancel, cut["audio_end_ms"], len(page.audio["item_1"])

    cancel, cut_ms, heard = with_talk(scenario)
    assert (cancel["type"], cancel["response_id"]) == ("response.cancel", "resp_1")
    assert (cut_ms, heard) == (150, 48 * 200)


@pytest.mark.parametrize(
    ("wire", "size"),
    [({"type": "audio/pcm", "rate": 24000}, 1920), ({"type": "audio/pcmu"}, 320)],
)
def test_the_microphone_is_sent_in_the_sessions_format(wire, size, with_talk):
    async def scenario(provider, control, page):
        update = {"type": "realtime", "audio": {"input": {"format": wire}}}
        await control.send(json.dumps({"type": "session.update", "session": update}))
        await provider.next("session.update")
        for number in range(5):
            sound = pack_microphone(MicrophoneFrame(number, 0.0, bytes(1920)))
            await page.socket.send(sound)
        frames = [json.loads(await provider.next()) for _ in range(5)]
        hops = await page.until("probability")
        sizes = [len(base64.b64decode(frame["audio"])) for frame in frames]
        return {frame["type"] for frame in frames}, sizes, hops["hop0"]

    kinds, sizes, hop = with_talk(scenario)
    assert kinds == {"input_audio_buffer.append"}
    assert sizes[-1] == size
    assert hop == 0


def test_a_turn_that_the_provider_does_not_take_is_told_to_the_page(with_talk):
    async def scenario(provider, _, page):
        await page.say(type="press")
        await page.speak(Clip.silence(0.2, SECOND))
        await page.say(type="release")
        commit = json.loads(await provider.next("input_audio_buffer.commit"))
        create = json.loads(await provider.next("response.create"))
        refusals = [
            {"type": "t", "message": name, "event_id": of["event_id"]}
            for name, of in (("no commit", commit), ("no answer", create))
        ]
        refusals.insert(0, {"type": "t", "message": "not yours", "event_id": None})
        for error in refusals:
            await provider.socket.send(event("error", error=error))
        return [(await page.until("error"))["message"] for _ in range(2)]

    assert with_talk(scenario) == ["no commit", "no answer"]


def test_the_page_hears_though_the_client_does_not_read(with_talk):
    async def scenario(provider, _, page):
        pieces = [delta(100) for _ in range(200)]
        for piece in pieces:
            await provider.socket.send(piece)
        await say_it(provider, page)
        return len(page.audio["item_1"])

    assert with_talk(scenario) == 48 * 100 * 200


# -- by hand, without a process ----------------------------------------------------------


class Stuck(MemoryTransport):
    """A link that takes nothing before it is free."""

    def __init__(self, script):
        super().__init__(script)
        self.free = asyncio.Event()

    async def send(self, message):
        await self.free.wait()
        await super().send(message)


def by_hand(scenario, *frames, through=MemoryTransport):
    """Run ``scenario(relayed, transport)`` once the provider's frames are taken in."""

    async def run():
        transport = through([Deliver(frame) for frame in frames])
        relayed = RelayedConversation(transport)
        taken = asyncio.Event()
        relayed.on_frame = lambda frame: taken.set() if frame == frames[-1] else None
        running = asyncio.create_task(relayed.run())
        await taken.wait()
        result = await scenario(relayed, transport)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return result

    return asyncio.run(run())


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def test_no_more_is_cut_than_came_and_nothing_that_is_not_there():
    item = {"id": "item_2", "type": "message", "role": "assistant", "content": []}
    frames = [
        delta(100),
        delta(50),
        event("conversation.item.added", previous_item_id=None, item=item),
        event("conversation.item.deleted", item_id="item_2"),
    ]

    async def scenario(relayed, transport):
        for item_id in ("item_1", "item_1", "item_2", "item_unknown"):
            relayed.truncate(item_id, 60_000)
        await settle()
        return [json.loads(frame) for frame in transport.sent]

    [cut] = by_hand(scenario, *frames)
    assert (cut["item_id"], cut["audio_end_ms"]) == ("item_1", 150)


def test_there_is_nothing_to_cancel_before_an_answer_and_one_answer_is_cancelled_once():
    async def scenario(relayed, transport):
        relayed.cancel()
        relayed.cancel()
        await settle()
        return [json.loads(frame)["type"] for frame in transport.sent]

    assert by_hand(scenario, STRANGE) == []
    created = event("response.created", response=response())
    assert by_hand(scenario, created) == ["response.cancel"]


@pytest.mark.parametrize("seconds", [0.0, 0.099])
def test_a_turn_of_nothing_is_not_sent_for_an_answer(seconds):
    async def scenario(relayed, transport):
        relayed.append_audio(Clip.silence(1.0, SECOND).samples)
        relayed.clear()
        relayed.append_audio(Clip.silence(seconds, SECOND).samples)
        with pytest.raises(ServerError, match="100ms"):
            relayed.end_turn()
        await settle()
        return json.loads(transport.sent[-1])["type"]

    last = "input_audio_buffer.append" if seconds else "input_audio_buffer.clear"
    assert by_hand(scenario, STRANGE) == last


def test_a_slow_provider_makes_the_client_wait_and_the_page_lose():
    async def scenario(relayed, transport):
        await relayed.receive(STRANGE)
        await settle()  # the writer has taken the first and is stuck with it
        for _ in range(OUTBOX_FRAMES):
            await relayed.receive(STRANGE)
        relayed.append_audio(Clip.silence(0.02, SECOND).samples)
        waiting = asyncio.create_task(relayed.receive(STRANGE))
        await settle()
        waits = not waiting.done()
        transport.free.set()
        await waiting
        relayed.append_audio(Clip.silence(0.04, SECOND).samples)
        return waits, relayed.samples_appended

    assert by_hand(scenario, STRANGE, through=Stuck) == (True, SECOND // 25)


# -- the key -----------------------------------------------------------------------------


def test_the_key_is_nowhere_to_be_seen(tmp_path, provider):
    log = tmp_path / "log"
    seen = []

    async def scenario(running):
        async with connect(running) as control:
            seen.append(await control.recv())
            async with await page_of(running, seen[0]) as socket:
                seen.append(await Page(socket).until("hello"))
            await control.send("{")
            seen.append(await control.recv())
        status, error = await refusal(
            running, headers={"Authorization": f"Bearer {KEY}"}
        )
        seen.append((status, error))

    with log.open("w") as stderr, relay(provider.url, stderr=stderr) as running:
        asyncio.run(scenario(running))
        process = psutil.Process(running.process.pid)
        seen += [process.cmdline(), process.environ(), repr(running)]
    assert "session.opened" in log.read_text()
    assert KEY not in log.read_text() + repr(seen)
