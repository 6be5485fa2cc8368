from __future__ import annotations

import asyncio
import itertools
import json
import logging

import ipywidgets
import numpy as np
import pytest
import traitlets
from websockets.asyncio.server import serve

from rtnb.errors import SessionClosed, TransportError
from rtnb.portal import portal
from rtnb.widgets import AudioPort
from rtnb.widgets.audio_port import NO_PAGE
from tests.widgets.conftest import WAIT_S, Endpoint, PageComm


def tickets(port=5123):
    """An `open_media` that gives a new secret each time, and knows who asked."""
    numbers = itertools.count(1)

    def open_media(origin):
        origins.append(origin)
        return Endpoint(port, "/rtnb/media", f"secret-{next(numbers)}")

    origins = open_media.origins = []
    return open_media


@pytest.fixture
def port(page):
    with_page = AudioPort(open_media=tickets(), comm=page)
    yield with_page
    with_page.close()


def test_before_a_page_has_shown_it_the_message_says_what_to_do(port):
    assert (port.page_alive, port.state, port.message) == (False, "idle", NO_PAGE)


def test_a_page_that_says_hello_is_alive_until_the_last_has_left(port, page):
    page.says("hello")
    assert (port.page_alive, port.message) == (True, "")
    page.says("hello", page="second")
    page.says("bye", page="second")
    assert port.page_alive
    page.says("bye")
    assert not port.page_alive


def test_every_attempt_gets_a_ticket_of_its_own_for_its_origin(port, page):
    page.says("open", attempt=1, origin="https://hub.example.org")
    page.says("open", attempt=2, origin="https://hub.example.org")
    assert page.hears() == ({"type": "lease", "page": "page"}, [])
    answers = sorted((page.hears()[0] for _ in range(2)), key=lambda a: a["attempt"])
    assert [answer["type"] for answer in answers] == ["endpoint", "endpoint"]
    assert {answer["ticket"] for answer in answers} == {"secret-1", "secret-2"}
    assert (answers[0]["port"], answers[0]["path"]) == (5123, "/rtnb/media")
    assert port._open_media.origins == ["https://hub.example.org"] * 2


def test_no_trait_ever_holds_a_secret(port, page):
    page.says("hello")
    page.says("open", attempt=1)
    page.hears_of("endpoint")
    assert "secret" not in json.dumps(port.get_state())
    assert "secret" not in repr(port)


def test_what_is_synced_is_small(port):
    state = port.get_state()
    del state["_esm"], state["_css"]
    assert len(json.dumps(state)) < 2000


def test_a_session_that_is_closed_is_refused_in_words(page):
    def closed(origin):
        raise SessionClosed("The session was closed at 12:00.")

    port = AudioPort(open_media=closed, comm=page)
    page.says("open", attempt=1)
    answer, _ = page.hears_of("refused")
    assert (answer["attempt"], answer["message"]) == (
        1,
        "The session was closed at 12:00.",
    )
    page.says("tunnel.open", tunnel=1)
    answer, _ = page.hears_of("tunnel.closed")
    assert answer["reason"] == "The session was closed at 12:00."
    port.close()


def test_a_port_without_a_session_says_so(page):
    port = AudioPort(comm=page)
    page.says("open", attempt=1)
    assert "rtnb.Panel(session)" in page.hears_of("refused")[0]["message"]
    port.close()


def test_the_page_that_opened_last_has_the_sound(port, page):
    page.says("open", attempt=1)
    page.says("open", attempt=2)
    page.says("open", attempt=1, page="second")
    leases = [
        content["page"]
        for content, _ in (page.hears() for _ in range(5))
        if content["type"] == "lease"
    ]
    assert leases == ["page", "second"]


def test_when_the_page_with_the_sound_leaves_nothing_is_live(port, page):
    page.says("hello")
    page.says("open", attempt=1)
    page.changes(state="live", transport="direct", talking=True, playing_item="item_1")
    page.says("bye", page="another")
    assert port.state == "live"
    page.says("bye")
    assert (port.state, port.transport, port.talking, port.playing_item) == (
        "idle",
        "",
        False,
        "",
    )


def test_what_the_page_lost_is_counted(port, page):
    page.says("dropped", total=1)
    page.says("dropped", total=11)
    page.says("dropped", total=5, page="second")
    assert port.dropped == 16


def test_an_unknown_message_is_logged_and_harmless(port, page, caplog):
    with caplog.at_level(logging.WARNING, "rtnb.widgets"):
        page.says("nonsense")
        page.says("open", attempt=1, page=7)
    assert [record.message for record in caplog.records] == ["message.unknown"] * 2


@pytest.mark.parametrize("trait", ["mode", "state", "transport"])
def test_words_that_mean_nothing_are_refused(port, trait):
    with pytest.raises(traitlets.TraitError):
        setattr(port, trait, "nonsense")


def test_a_source_travels_as_a_reference(page):
    stream = ipywidgets.IntSlider()
    port = AudioPort(stream, comm=page)
    assert port.get_state("source") == {"source": f"IPY_MODEL_{stream.model_id}"}
    port.close()
    stream.close()


def test_each_port_has_an_id_of_its_own(port):
    other = AudioPort(comm=PageComm("other"))
    assert port.port_id
    assert port.port_id != other.port_id
    other.close()


class RoutingComm(PageComm):
    """A comm like that of ipykernel 7.4, which answers where it last published."""

    def _reply_subshell_for(self, data, default):
        return "the main shell"


def test_messages_are_let_in_while_a_cell_runs():
    comm = RoutingComm()
    port = AudioPort(comm=comm)
    assert comm._reply_subshell_for({}, "the page's subshell") == "the page's subshell"
    port.close()


class Gateway:
    """A media socket on the loopback that echoes."""

    async def __aenter__(self):
        self.paths = []
        self.gone = asyncio.Event()
        self.server = await serve(self.echo, "127.0.0.1", 0, compression=None)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def echo(self, socket):
        self.paths.append(socket.request.path)
        await socket.send('{"type": "hello"}')
        async for frame in socket:
            await socket.send(frame)
        self.gone.set()

    async def left(self):
        await self.gone.wait()


@pytest.fixture
def gateway():
    made = Gateway()
    portal().run(made.__aenter__(), WAIT_S)
    yield made
    portal().run(made.__aexit__(), WAIT_S)


def test_a_page_without_a_socket_is_served_through_the_comm(page, gateway):
    port = AudioPort(open_media=tickets(gateway.port), comm=page)
    page.says("tunnel.open", tunnel=1)
    page.says("tunnel.send", tunnel=1, text='{"type": "ready"}')
    page.says("tunnel.send", b"\x01\x02\x03", tunnel=1)
    frames, buffers = [], []
    while len(frames) < 3:
        content, more = page.hears_of("tunnel.frames")
        frames += content["frames"]
        buffers += more
    assert frames == ['{"type": "hello"}', '{"type": "ready"}', None]
    assert buffers == [b"\x01\x02\x03"]
    assert gateway.paths == ["/rtnb/media?ticket=secret-1"]
    port.close()
    portal().run(gateway.left(), WAIT_S)


def test_a_frame_for_nobody_is_ignored(port, page):
    page.says("tunnel.open", tunnel=1)
    page.says("tunnel.close", tunnel=1)
    page.says("tunnel.send", b"late", tunnel=1)
    page.says("tunnel.send", b"of another page", tunnel=1, page="second")
    assert port.dropped == 0


def test_a_probe_is_played_by_the_page_that_has_the_sound(port, page):
    page.says("open", attempt=1)
    page.hears_of("endpoint")
    played = port.play_probe(np.array([0.5, -0.5], np.float32))
    content, (pcm,) = page.hears_of("probe")
    assert (content["page"], pcm) == ("page", b"\x00\x40\x00\xc0")
    assert not played.done()
    page.says("probe.played", probe=content["probe"], sample=4800)
    page.says("probe.played", probe=content["probe"], sample=1)
    assert played.result(WAIT_S) == 4800


def test_a_probe_that_the_page_cannot_play_fails_with_its_reason(port, page):
    page.says("open", attempt=1)
    played = port.play_probe(np.zeros(1, np.float32))
    content, _ = page.hears_of("probe")
    page.says("probe.failed", probe=content["probe"], message="no sound")
    with pytest.raises(TransportError, match="no sound"):
        played.result(WAIT_S)


@pytest.mark.parametrize("leave", ["bye", "another page", "close"])
def test_a_probe_fails_when_its_page_is_gone(port, page, leave):
    page.says("open", attempt=1)
    played = port.play_probe(np.zeros(1, np.float32))
    if leave == "bye":
        page.says("bye")
    elif leave == "close":
        port.close()
    else:
        page.says("open", page="second", attempt=1)
    with pytest.raises(TransportError, match="page with the sound is gone"):
        played.result(WAIT_S)


def test_without_a_page_no_probe_is_played(port):
    with pytest.raises(TransportError, match="press Talk once"):
        port.play_probe(np.zeros(1, np.float32))
