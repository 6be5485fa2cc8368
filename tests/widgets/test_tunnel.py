from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import serve

from rtnb.widgets import tunnel as module
from rtnb.widgets.tunnel import FrameQueue, Tunnel

WAIT_S = 5.0


class Page:
    """What the page's end of the tunnel gets."""

    def __init__(self):
        self.messages = asyncio.Queue()
        self.dropped = []

    def send(self, content, buffers):
        assert content["page"] == "page"
        assert content["tunnel"] == 3
        self.messages.put_nowait((content, buffers))

    async def hears(self):
        return await asyncio.wait_for(self.messages.get(), WAIT_S)

    async def frames(self, count):
        """As many frames, with how many messages brought them."""
        got = []
        messages = 0
        while len(got) < count:
            content, buffers = await self.hears()
            rest = iter(buffers)
            got += [next(rest) if each is None else each for each in content["frames"]]
            messages += 1
        return got, messages

    async def closed(self):
        while True:
            content, _ = await self.hears()
            if content["type"] == "tunnel.closed":
                return content["reason"]


class Gateway:
    """The media socket, with a script."""

    def __init__(self, script):
        self.script = script
        self.got = asyncio.Queue()
        self.end = asyncio.Event()

    async def __call__(self, socket):
        await self.script(self, socket)

    async def hear(self, socket):
        async for frame in socket:
            self.got.put_nowait(frame)

    async def next(self):
        return await asyncio.wait_for(self.got.get(), WAIT_S)


@contextlib.asynccontextmanager
async def tunnelled(script):
    gateway = Gateway(script)
    page = Page()
    loop = asyncio.get_running_loop()
    carrier = Tunnel(
        3,
        page="page",
        send=page.send,
        call_soon=loop.call_soon_threadsafe,
        on_drop=page.dropped.append,
    )
    async with serve(gateway, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        task = asyncio.create_task(carrier.run(f"ws://127.0.0.1:{port}/rtnb/media"))
        try:
            yield carrier, page, gateway, task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def listen(gateway, socket):
    await gateway.hear(socket)


def test_the_pages_frames_reach_the_gateway_in_order():
    async def main():
        async with tunnelled(listen) as (carrier, _, gateway, _):
            sent = ["ready", b"\x01\x02", "played", b"", b"\x03"]
            for frame in sent:
                carrier.put(frame)
            assert [await gateway.next() for _ in sent] == sent

    asyncio.run(main())


def test_the_gateways_frames_reach_the_page_in_order_and_few_messages():
    sent = ["hello", *(bytes([i]) * 100 for i in range(100)), "item_done"]

    async def script(gateway, socket):
        for frame in sent:
            await socket.send(frame)
        await gateway.hear(socket)

    async def main():
        async with tunnelled(script) as (_, page, _, _):
            got, messages = await page.frames(len(sent))
            assert got == sent
            assert messages < len(sent) / 5

    asyncio.run(main())


def test_a_flush_does_not_wait(monkeypatch):
    monkeypatch.setattr(module, "COALESCE_SECONDS", 3600.0)

    async def script(gateway, socket):
        await socket.send("hello")
        await gateway.next()
        await socket.send(b"audio")
        await socket.send('{"type": "flush", "flush_id": "f1"}')
        await gateway.hear(socket)

    async def main():
        async with tunnelled(script) as (_, page, gateway, _):
            assert (await page.frames(1))[0] == ["hello"]
            gateway.got.put_nowait("go on")
            got, _ = await page.frames(2)
            assert got == [b"audio", '{"type": "flush", "flush_id": "f1"}']

    asyncio.run(main())


def test_the_page_learns_what_was_taken():
    async def main():
        async with tunnelled(listen) as (carrier, page, gateway, _):
            for _ in range(module.TAKEN_FRAMES):
                carrier.put(b"mic")
            content, buffers = await page.hears()
            assert (content["taken"], content["frames"], buffers) == (5, [], [])
            assert gateway.got.qsize() == 5

    asyncio.run(main())


def test_a_page_that_sends_too_fast_loses_the_oldest_audio(monkeypatch, caplog):
    monkeypatch.setattr(module, "UP_LIMIT_BYTES", 2000)

    async def main():
        async with tunnelled(listen) as (carrier, page, gateway, _):
            for i in range(10):
                carrier.put(bytes([i]) * 500)
            carrier.put("text")
            got = [await gateway.next() for _ in range(5)]
            assert got == [*(bytes([i]) * 500 for i in range(6, 10)), "text"]
            assert page.dropped == [1, 2, 3, 4, 5, 6]
            content, _ = await page.hears()
            assert content["taken"] == 10

    with caplog.at_level(logging.WARNING, "rtnb.widgets"):
        asyncio.run(main())
    assert {record.message for record in caplog.records} == {"queue.dropped"}


def test_a_gateway_that_closes_says_why_after_its_last_frame():
    async def script(_, socket):
        await socket.send("last words")
        await socket.close(1000, "the session has ended")

    async def main():
        async with tunnelled(script) as (_, page, _, task):
            assert (await page.frames(1))[0] == ["last words"]
            assert await page.closed() == "the session has ended"
            await task

    asyncio.run(main())


def test_a_gateway_that_is_not_there_is_told_to_the_page():
    async def main():
        async with tunnelled(listen) as (_, page, _, task):
            task.cancel()
            loop = asyncio.get_running_loop()
            other = Tunnel(
                3,
                page="page",
                send=page.send,
                call_soon=loop.call_soon_threadsafe,
                on_drop=page.dropped.append,
            )
            await other.run("ws://127.0.0.1:9/rtnb/media?ticket=secret")
            reason = await page.closed()
            assert reason.startswith("the gateway cannot be reached")
            assert "secret" not in reason

    asyncio.run(main())


def test_cancelling_closes_the_socket():
    async def script(gateway, socket):
        await gateway.hear(socket)
        gateway.end.set()

    async def main():
        async with tunnelled(script) as (carrier, _, gateway, task):
            carrier.put("ready")
            assert await gateway.next() == "ready"
            task.cancel()
            await asyncio.wait_for(gateway.end.wait(), WAIT_S)

    asyncio.run(main())


frames = st.lists(st.one_of(st.text(max_size=3), st.binary(max_size=40)))


@given(frames, st.integers(0, 100))
def test_a_queue_keeps_order_texts_and_the_newest_audio_within_its_bound(sent, limit):
    queue = FrameQueue(limit)
    for frame in sent:
        queue.put(frame)
    kept = queue.take()
    audio = [frame for frame in kept if isinstance(frame, bytes)]
    everything = [frame for frame in sent if isinstance(frame, bytes)]
    assert sum(map(len, audio)) <= limit
    assert audio == everything[queue.dropped :]
    assert [each for each in kept if isinstance(each, str)] == [
        each for each in sent if isinstance(each, str)
    ]


@given(frames, st.integers(0, 100))
def test_taking_in_portions_gives_the_same(sent, portion):
    queue = FrameQueue(10**6)
    for frame in sent:
        queue.put(frame)
    taken = []
    while queue:
        piece = queue.take(portion)
        size = sum(len(each) for each in piece if isinstance(each, bytes))
        assert piece
        assert size <= portion or len(piece) == 1 or isinstance(piece[0], str)
        taken += piece
    assert taken == sent


@pytest.mark.parametrize("limit", [0, 3])
def test_a_frame_larger_than_the_bound_is_dropped(limit):
    queue = FrameQueue(limit)
    queue.put(b"long")
    assert (queue.take(), queue.dropped) == ([], 1)
