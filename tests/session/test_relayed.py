"""Sessions with a provider through a relay: the provider is a gateway, a process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.errors import ConfigError, ConnectError
from rtnb.local import start_gateway
from rtnb.recording import Recording
from rtnb.session import connect
from rtnb.session.connect import _azure, _compatible, _key_of, _openai, _wants_relay

PATIENCE_S = 60
QUESTION = Clip.example("austen-0880").resample(24_000)


@pytest.fixture(scope="module")
def provider():
    running = start_gateway(responder="tests.session.answers:answer")
    yield running
    running.close()


@pytest.fixture
def session(provider):
    with connect(url=provider.url, api_key=provider.token, relay=True) as opened:
        yield opened


def test_a_turn_goes_through_the_relay(session, provider):
    assert session.say("hello").wait(PATIENCE_S).text == "I heard you."
    assert (session.provider, session.billed) == ("url", True)
    assert session._endpoint.gateway is not provider
    assert provider.url in repr(session)


def test_a_page_gets_a_ticket(session):
    assert session.media_endpoint().path == "/rtnb/media"


def test_what_the_provider_hears_is_heard_here(session, tmp_path):
    heard = []
    end = session.tap_input(lambda position, samples: heard.append((position, samples)))
    recorder = session.record(tmp_path / "take")
    turn = session.send_audio(QUESTION, realtime=False).wait(PATIENCE_S)
    end()
    recorder.stop()
    assert heard[0][0] == 0
    sound = np.concatenate([samples for _, samples in heard])
    sent = Clip.from_pcm16(QUESTION.to_pcm16(), 24_000).samples
    np.testing.assert_array_equal(sound[: len(sent)], sent)
    recording = Recording.load(tmp_path / "take")
    assert [each.audio_end_ms for each in turn.segments] == [3072]
    assert recording.manifest.url == session._endpoint.shown


def test_the_relay_ends_with_its_session(provider):
    with connect(url=provider.url, api_key=provider.token, relay=True) as session:
        process = session._endpoint.gateway.process
    assert process.poll() == 0


def test_a_refused_key_is_told_and_leaves_no_relay_behind(provider):
    with pytest.raises(ConnectError) as error:
        connect(url=provider.url, api_key="sk-wrong", relay=True)
    assert error.value.status == 401
    assert error.value.url == provider.url
    assert "Incorrect API key" in str(error.value)


def test_the_key_is_seen_by_the_provider_alone(session, provider, caplog):
    session.say("hello").wait(PATIENCE_S)
    gateway = session._endpoint.gateway
    folder = Path("/proc") / str(gateway.process.pid)
    shown = [
        repr(session),
        repr(session._endpoint),
        repr(gateway),
        repr(session.media_endpoint()),
        *gateway.tail,
        *(str(vars(record)) for record in caplog.records),
        *(json.dumps(entry.facts, default=str) for entry in session.timeline),
    ]
    if folder.exists():
        shown += [(folder / name).read_text() for name in ("cmdline", "environ")]
    assert not [text for text in shown if provider.token in text]


def test_a_relay_is_what_a_notebook_gets(monkeypatch):
    hosted, here = "wss://api.openai.com/v1/realtime", "ws://127.0.0.1:1/v1"
    plain = "ws://192.168.1.5:8000/v1/realtime"
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert [_wants_relay(None, url) for url in (hosted, here, plain)] == [False] * 3
    assert _wants_relay(True, hosted)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert _wants_relay(None, hosted)
    assert _wants_relay(None, here)
    assert not _wants_relay(None, plain)
    assert not _wants_relay(False, hosted)
    with pytest.raises(ConfigError, match="wants wss://"):
        _wants_relay(True, plain)


def test_the_embedded_engine_needs_none():
    with pytest.raises(ConfigError, match="needs no relay"):
        connect(relay=True)


@pytest.mark.parametrize(
    ("endpoint", "header"),
    [
        (_openai("m", None, "sk-1"), "authorization"),
        (_azure("m", "https://lab.openai.azure.com", "sk-1"), "api-key"),
    ],
)
def test_the_relay_is_told_the_key_and_where_it_goes(endpoint, header):
    assert _key_of(endpoint) == (header, "sk-1")
    assert _key_of(_compatible(None, "ws://127.0.0.1:1/v1", None))[1] == ""
