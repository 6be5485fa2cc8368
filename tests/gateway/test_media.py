"""The page's audio: the ledger by hand, and the socket of a real gateway."""

import asyncio
import base64
import json
import urllib.error
import urllib.request

import pytest
import websockets
from websockets.exceptions import InvalidStatus

from rtnb.audio import Clip
from rtnb.gateway.frames import MicrophoneFrame, pack_microphone, unpack_answer
from rtnb.gateway.media import Ledger
from tests.gateway.test_app import answer, connect

SECOND = 24_000


def test_the_ledger_never_says_more_than_was_sent():
    ledger = Ledger()
    assert ledger.sent("a", SECOND) == 0
    assert ledger.sent("a", SECOND) == SECOND
    ledger.played("a", 5_000.0)
    assert ledger.played_ms("a") == 2_000.0


def test_the_ledger_never_goes_back():
    ledger = Ledger()
    ledger.sent("a", SECOND)
    ledger.played("a", 700.0)
    ledger.played("a", 600.0)
    assert ledger.played_ms("a") == 700.0


def test_what_was_played_to_its_end_is_no_longer_unheard():
    ledger = Ledger()
    ledger.sent("a", SECOND)
    ledger.sent("b", SECOND)
    ledger.played("a", 1_000.0, ended=True)
    assert ledger.unheard() == ["b"]
    ledger.close("b")
    assert ledger.unheard() == []


def mint(gateway, session_id, token=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway.port}/rtnb/tickets",
        data=json.dumps({"session_id": session_id}).encode(),
        headers={"Authorization": f"Bearer {token or gateway.token}"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["ticket"]


def media(gateway, ticket, **options):
    url = f"ws://127.0.0.1:{gateway.port}/rtnb/media?ticket={ticket}"
    return websockets.connect(url, compression=None, **options)


class Page:
    """A page that plays what it gets as fast as it is told to."""

    def __init__(self, socket):
        self.socket = socket
        self.seq = 0
        self.audio = {}

    async def say(self, **message):
        await self.socket.send(json.dumps(message))

    async def speak(self, clip):
        samples = clip.resample(SECOND).to_pcm16()
        for start in range(0, len(samples), 1920):
            frame = MicrophoneFrame(self.seq, 0.0, samples[start : start + 1920])
            await self.socket.send(pack_microphone(frame))
            self.seq += 1

    async def until(self, kind):
        """The next message of a kind; answer audio on the way is kept."""
        while True:
            frame = await asyncio.wait_for(self.socket.recv(), 30)
            if isinstance(frame, bytes):
                piece = unpack_answer(frame)
                known = self.audio.setdefault(piece.item_id, b"")
                assert len(known) == 2 * piece.start_sample
                self.audio[piece.item_id] = known + piece.pcm
                continue
            message = json.loads(frame)
            if message["type"] == kind:
                return message


def with_page(gateway, scenario):
    async def run():
        async with connect(gateway) as control:
            session_id = (await answer(control))["session"]["id"]
            ticket = await asyncio.to_thread(mint, gateway, session_id)
            async with media(gateway, ticket) as socket:
                page = Page(socket)
                hello = await page.until("hello")
                assert hello["session_id"] == session_id
                return await scenario(control, page)

    return asyncio.run(run())


async def control_until(control, kind):
    events = []
    while not events or events[-1]["type"] != kind:
        events.append(await answer(control))
    return events


def test_a_ticket_lets_in_once(gateway):
    async def scenario():
        async with connect(gateway) as control:
            session_id = (await answer(control))["session"]["id"]
            ticket = await asyncio.to_thread(mint, gateway, session_id)
            async with media(gateway, ticket):
                pass
            with pytest.raises(InvalidStatus) as caught:
                async with media(gateway, ticket):
                    pass
            return caught.value.response.status_code

    assert asyncio.run(scenario()) == 403


def test_a_ticket_costs_the_token(gateway):
    with pytest.raises(urllib.error.HTTPError) as caught:
        mint(gateway, "sess_x", token="guess")
    with caught.value as response:
        assert response.code == 401


def test_a_foreign_page_does_not_get_in(gateway):
    async def scenario():
        async with connect(gateway) as control:
            session_id = (await answer(control))["session"]["id"]
            ticket = await asyncio.to_thread(mint, gateway, session_id)
            with pytest.raises(InvalidStatus) as caught:
                async with media(gateway, ticket, origin="https://evil.example"):
                    pass
            return caught.value.response.status_code

    assert asyncio.run(scenario()) == 403


def test_a_page_speaks_and_hears_the_answer_whole(gateway):
    async def scenario(control, page):
        await page.speak(Clip.example("austen-0880") + Clip.silence(1.0, 16_000))
        await page.until("speech_started")
        done = await page.until("item_done")
        events = await control_until(control, "response.done")
        sent = sum(
            len(e["delta"]) * 3 // 4 - e["delta"].count("=")
            for e in events
            if e["type"] == "response.output_audio.delta"
        )
        return done, page.audio, sent

    done, audio, sent = with_page(gateway, scenario)
    assert len(audio[done["item_id"]]) == 2 * done["samples"] == sent


def test_barge_in_silences_the_page_first_and_truncates_at_what_it_heard(gateway):
    async def scenario(control, page):
        content = [{"type": "input_text", "text": "tell me a long story"}]
        item = {"type": "message", "role": "user", "content": content}
        for event in (
            {"type": "conversation.item.create", "item": item},
            {"type": "response.create"},
        ):
            await control.send(json.dumps(event))
        await control_until(control, "response.output_audio.delta")
        await page.say(type="ping", t=1)
        await page.until("pong")
        [item_id] = page.audio
        await page.say(type="played", item_id=item_id, played_ms=100.0)
        await page.speak(Clip.example("austen-0880"))
        flush = await page.until("flush")
        await page.say(
            type="flushed",
            flush_id=flush["flush_id"],
            item_id=item_id,
            played_ms=120.5,
        )
        events = await control_until(control, "conversation.item.truncated")
        return item_id, events

    item_id, events = with_page(gateway, scenario)
    truncated = events[-1]
    assert (truncated["item_id"], truncated["audio_end_ms"]) == (item_id, 120)
    kinds = [e["type"] for e in events]
    assert "response.done" in kinds


def test_the_page_follows_audio_that_others_send(gateway):
    async def scenario(control, page):
        second = base64.b64encode(bytes(48_000)).decode()
        append = {"type": "input_audio_buffer.append", "audio": second}
        await control.send(json.dumps(append))
        hops = await page.until("probability")
        return hops, await page.until("mic")

    hops, mic = with_page(gateway, scenario)
    assert (hops["hop0"], len(hops["p"])) == (0, 31)
    assert mic["samples"] == SECOND


def test_push_to_talk_from_the_page(gateway):
    async def scenario(control, page):
        off = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await control.send(json.dumps({"type": "session.update", "session": off}))
        await control_until(control, "session.updated")
        await page.say(type="press")
        await control_until(control, "input_audio_buffer.cleared")
        await page.speak(Clip.example("austen-0880"))
        await page.say(type="release")
        return await control_until(control, "response.done")

    events = with_page(gateway, scenario)
    assert events[0]["type"] == "input_audio_buffer.committed"
    assert events[-1]["response"]["status"] == "completed"


def test_a_release_without_speech_is_told_to_the_page(gateway):
    async def scenario(_, page):
        await page.say(type="release")
        return await page.until("error")

    assert "100ms" in with_page(gateway, scenario)["message"]


@pytest.mark.parametrize("frame", ["{", '{"type": "dance"}', b"\x09abc", b""])
def test_a_malformed_frame_is_reported_and_not_fatal(gateway, frame):
    async def scenario(_, page):
        await page.socket.send(frame)
        message = (await page.until("error"))["message"]
        await page.say(type="ping", t=4)
        assert (await page.until("pong"))["t"] == 4
        return message

    assert "refused" in with_page(gateway, scenario)
