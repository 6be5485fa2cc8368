"""Hearing what the server hears: over a real gateway, and without one."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.errors import ConnectError, SessionClosed
from rtnb.local import start_gateway
from rtnb.protocol.events import AudioPcmu
from rtnb.protocol.formats import InputDecoder
from rtnb.session import Session
from rtnb.session.connect import embedded_endpoint
from rtnb.session.tap import Tap, tap_gateway
from tests.session.server import Server

PATIENCE_S = 60
QUESTION = Clip.example("austen-0880").resample(24_000)


class Heard:
    """A callback that puts together what it hears."""

    def __init__(self):
        self.pieces = []
        self.threads = set()

    def __call__(self, position, samples):
        self.pieces.append((position, samples))
        self.threads.add(threading.current_thread().name)

    @property
    def samples(self):
        return np.concatenate([samples for _, samples in self.pieces])

    @property
    def gapless(self):
        ends = [position + len(samples) for position, samples in self.pieces]
        return [position for position, _ in self.pieces[1:]] == ends[:-1]


@pytest.fixture(scope="module")
def gateway():
    running = start_gateway(responder="tests.session.answers:answer")
    yield running
    running.close()


@pytest.fixture
def session(gateway):
    with Session(embedded_endpoint(gateway, "gpt-realtime-mini")) as opened:
        yield opened


def sent(turn_clip):
    """The clip as it travels."""
    return Clip.from_pcm16(turn_clip.to_pcm16(), 24_000).samples


def test_the_gateway_lets_us_hear_what_it_hears(session):
    heard = Heard()
    end = session.tap_input(heard)
    session.send_audio(QUESTION, realtime=False).wait(PATIENCE_S)
    end()
    assert heard.pieces[0][0] == 0
    assert heard.gapless
    np.testing.assert_array_equal(heard.samples[: len(QUESTION)], sent(QUESTION))
    assert heard.threads == {"rtnb.tap"}


def test_a_late_tap_knows_where_it_is(session):
    first = session.send_audio(QUESTION, realtime=False).wait(PATIENCE_S)
    heard = Heard()
    end = session.tap_input(heard)
    session.send_audio(QUESTION, realtime=False).wait(PATIENCE_S)
    end()
    start = heard.pieces[0][0]
    assert start > len(QUESTION)
    marks = first.segments[0]
    assert start * 1000 / 24_000 >= marks.audio_end_ms


def test_two_hear_the_same_and_one_may_stop(session):
    one, other = Heard(), Heard()
    end_one, end_other = session.tap_input(one), session.tap_input(other)
    session.send_audio(QUESTION, realtime=False).wait(PATIENCE_S)
    end_one()
    so_far = len(one.samples)
    session.send_audio(QUESTION, realtime=False).wait(PATIENCE_S)
    end_other()
    assert len(one.samples) == so_far
    np.testing.assert_array_equal(other.samples[:so_far], one.samples)
    assert len(other.samples) == 2 * so_far


def test_the_end_of_the_session_ends_it(gateway):
    heard = Heard()
    with Session(embedded_endpoint(gateway, None)) as session:
        end = session.tap_input(heard)
    end()
    with pytest.raises(SessionClosed):
        session.tap_input(heard)


def test_without_a_gateway_it_is_what_we_send(open_session):
    session = open_session(Server())
    append = {"type": "input_audio_buffer.append"}
    session.send({**append, "audio": "AAAA"[:2] + "=="})  # half a sample: refused there
    session.send({**append, "audio": "AAA="})
    heard = Heard()
    end = session.tap_input(heard)
    session.send({**append, "audio": "AEAAwA=="})
    session.send({**append, "audio": "AA=="})
    session.send({**append, "audio": "AAA="})
    end()
    session.send({**append, "audio": "AAA="})
    assert [position for position, _ in heard.pieces] == [1, 3]
    assert heard.samples.tolist() == [0.5, -0.5, 0.0]


def test_of_g711_it_is_what_the_server_makes_of_it(open_session):
    g711 = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    session = open_session(Server(**g711))
    heard = Heard()
    end = session.tap_input(heard)
    for _ in range(2):
        session.send({"type": "input_audio_buffer.append", "audio": "/////////////w=="})
    end()
    decode = InputDecoder(AudioPcmu())
    np.testing.assert_array_equal(
        heard.samples, np.concatenate([decode(b"\xff" * 10) for _ in range(2)])
    )


def test_another_session_is_not_found(gateway):
    with pytest.raises(ConnectError, match="No session 'sess_nobody'"):
        tap_gateway(gateway, "sess_nobody", Heard())


def test_a_tap_calls_back_in_order_for_all_that_waits():
    heard = Heard()
    tap = Tap(heard)
    for position in range(100):
        tap.put(position, np.zeros(1, np.float32))
    tap.end()
    tap.join()
    assert [position for position, _ in heard.pieces] == list(range(100))
