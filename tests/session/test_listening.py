"""Transcription and translation of a recording, with the real gateway, a process."""

from __future__ import annotations

import gc
import json
import threading

import numpy as np
import psutil
import pytest

import rtnb
from rtnb.audio import Clip
from rtnb.errors import (
    AudioFormatError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    ServerError,
    SessionClosed,
)
from rtnb.gateway.translators import PhraseBook
from rtnb.local import start_gateway
from rtnb.portal import portal
from rtnb.protocol import events as ev
from rtnb.protocol import translation as tr
from rtnb.protocol.codec import decode_server, decode_translation
from rtnb.session import Session, Word, connect
from rtnb.session.connect import embedded_endpoint
from rtnb.session.listening import on_a_line, transcription_url, words_of
from rtnb.session.translating import _gathered
from rtnb.transport import Deliver, Drop, MemoryTransport
from rtnb.usage import Cost
from tests.session.server import Server

CLIP = Clip.example("austen-0880")
SENTENCE = "he was not an ill disposed young man"
BOOK = PhraseBook()
KEY = "sk-never-shown"


@pytest.fixture(scope="module")
def gateway():
    running = start_gateway()
    yield running
    running.close()


@pytest.fixture
def session(gateway):
    with Session(embedded_endpoint(gateway, "gpt-realtime-mini")) as opened:
        yield opened


def translated(gateway, clip, **how):
    return rtnb.translate(clip, url=gateway.url, api_key=gateway.token, **how)


# -- transcription -----------------------------------------------------------------------


def test_a_clip_is_written_down(session):
    written = session.transcribe(CLIP, language="en", prompt="Austen")
    assert str(written) == written.text == "".join(written.deltas) == SENTENCE
    assert [word.text for word in written.words] == SENTENCE.split()
    assert written.usage.seconds == 3
    assert written.cost.usd == pytest.approx(3 / 60 * 0.0045)
    assert written.model == "gpt-transcribe"
    assert session.turns == session.conversation == []
    assert session.cost.usd == written.cost.usd


def test_words_have_probabilities_where_the_model_tells_them(session):
    written = session.transcribe(CLIP, model="gpt-4o-transcribe")
    assert [word.text for word in written.words] == SENTENCE.split()
    assert all(0 < word.probability <= 1 for word in written.words)
    assert written.usage.input_tokens > 0


def test_segments_have_times_where_the_model_tells_them(session):
    written = session.transcribe(CLIP, model="gpt-4o-transcribe-diarize")
    [segment] = written.segments
    assert segment.text == written.text == SENTENCE
    assert 0 <= segment.start_s < segment.end_s <= CLIP.duration


def test_a_file_and_an_array_are_written_down_too(session, tmp_path):
    samples = CLIP.resample(48_000).samples
    assert session.transcribe(samples, sample_rate=48_000).text == SENTENCE
    CLIP.save(tmp_path / "said.wav")
    assert session.transcribe(tmp_path / "said.wav").text == SENTENCE


def test_silence_has_no_words(session):
    written = session.transcribe(Clip.silence(1.5))
    assert (written.text, written.words) == ("", ())


def test_several_threads_transcribe_while_the_conversation_goes_on(session):
    texts = []
    threads = [
        threading.Thread(target=lambda: texts.append(session.transcribe(CLIP).text))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert session.say("hello").wait(60).status == "done"
    for thread in threads:
        thread.join()
    assert texts == [SENTENCE] * 2


def test_what_the_model_does_not_take_is_refused(session):
    with pytest.raises(ServerError, match="Unsupported option") as refused:
        session.transcribe(CLIP, model="gpt-realtime-whisper", prompt="Austen")
    assert refused.value.param == "session.audio.input.transcription.prompt"


def test_a_clip_that_is_too_short_is_not_sent(session):
    with pytest.raises(AudioFormatError, match="100 ms"):
        session.transcribe(Clip.silence(0.05))


def test_an_array_needs_its_rate(session):
    with pytest.raises(AudioFormatError, match="sample rate"):
        session.transcribe(np.zeros(4800, np.float32))


def test_a_closed_session_writes_nothing_down(gateway):
    with Session(embedded_endpoint(gateway)) as session:
        pass
    with pytest.raises(SessionClosed):
        session.transcribe(CLIP)


def test_a_relay_lets_a_transcription_session_through(gateway):
    with connect(url=gateway.url, api_key=gateway.token, model="m", relay=True) as far:
        assert far.transcribe(CLIP).text == SENTENCE


def left():
    """What a call could leave behind."""
    gc.collect()
    me = psutil.Process()
    sockets = {(c.laddr, c.raddr) for c in me.net_connections() if c.raddr}
    return me.children(), threading.enumerate(), sockets


def test_nothing_is_left_running(session, gateway):
    session.transcribe(CLIP)
    before = left()
    session.transcribe(CLIP)
    translated(gateway, CLIP)
    with pytest.raises(TimeoutError, match="longer timeout="):
        session.transcribe(CLIP, timeout=0.05)
    with pytest.raises(ServerError):
        translated(gateway, CLIP, language="xx")
    assert left() == before


# -- a server in memory: what the embedded engine does not do ----------------------------


class Listener(Server):
    """A server whose transcription ends as it is told."""

    def __init__(self, *ends):
        super().__init__()
        self._ends = ends
        self.endpoints = []

    async def open(self, endpoint):
        self.endpoints.append(endpoint)
        return await super().open(endpoint)

    def on_session_update(self, event):
        yield self.event("session.updated", session=event["session"])

    def on_input_audio_buffer_commit(self, event):
        yield from self._ends


def ended(kind, **fields):
    name = f"conversation.item.input_audio_transcription.{kind}"
    where = {"item_id": "item_1", "content_index": 0}
    return Deliver(json.dumps({"type": name, **where, **fields}))


def test_a_failure_is_told_in_the_servers_words(open_session):
    error = {"type": "transcription_error", "code": "noisy", "message": "Too noisy."}
    session = open_session(Listener(ended("failed", error=error)))
    with pytest.raises(ServerError, match=r"Too noisy\. \(code=noisy\)") as failed:
        session.transcribe(CLIP)
    assert failed.value.type == "transcription_error"
    assert session.cost.usd == 0


def test_a_link_that_is_cut_is_told(open_session):
    with pytest.raises(ConnectionLost, match="the link was cut"):
        open_session(Listener(Drop())).transcribe(CLIP)


def test_a_server_that_tells_no_usage_has_no_price(open_session):
    server = Listener(ended("completed", transcript="Oh, well."))
    written = open_session(server).transcribe(CLIP)
    assert written.words == (Word("Oh,"), Word("well."))
    assert (written.usage, written.cost.usd) == (None, None)


def test_the_same_key_opens_it_and_is_not_shown(open_session):
    server = Listener(ended("completed", transcript=""))
    open_session(server).transcribe(CLIP)
    first, second = server.endpoints
    assert second.headers == first.headers
    assert second.url.endswith("/v1/realtime?intent=transcription")
    assert "sk-secret" not in repr(second)


def test_a_relay_is_told_to_leave_its_model_out():
    url = transcription_url("ws://127.0.0.1:1/v1/realtime", relayed=True)
    assert url == "ws://127.0.0.1:1/v1/realtime?intent=transcription&model="


# -- words of tokens ---------------------------------------------------------------------


def logprobs(*tokens):
    return [ev.LogProb(token=each, logprob=-0.5, bytes=[]) for each in tokens]


def test_tokens_make_words():
    words = words_of("Oh, well", logprobs("Oh", ",", " we", "ll"))
    assert [word.text for word in words] == ["Oh,", "well"]
    assert [word.probability for word in words] == pytest.approx([np.exp(-1)] * 2)


@pytest.mark.parametrize("tokens", [(), ("Oh",), ("Ah", "well"), ("Ohwell",)])
def test_tokens_that_are_other_words_tell_nothing(tokens):
    assert words_of("Oh well", logprobs(*tokens)) == (Word("Oh"), Word("well"))


# -- translation -------------------------------------------------------------------------


@pytest.mark.parametrize("language", BOOK.languages)
def test_a_clip_is_said_in_another_language(gateway, language):
    said = translated(gateway, CLIP, language=language)
    assert str(said) == said.text == BOOK.phrases(language)[SENTENCE]
    assert (said.source_text, said.language) == (SENTENCE, language)
    assert 1 < said.audio.duration < 6
    assert (said.audio.sample_rate, said.audio.peak > 0.05) == (24_000, True)
    assert said.cost.usd == pytest.approx(CLIP.duration / 60 * 0.034, rel=0.01)


def test_the_embedded_engine_translates_without_a_key():
    assert rtnb.translate(CLIP).text == BOOK.phrases("es")[SENTENCE]


def test_the_phrase_book_says_what_it_does_not_know(gateway):
    said = translated(gateway, Clip.example("austen-0870").slice(0, 2.5))
    assert said.text.startswith("Eso no está en mi libro de frases")
    assert said.source_text in said.text


def test_silence_is_not_translated(gateway):
    said = translated(gateway, Clip.silence(1.0))
    assert (said.text, said.source_text, said.audio.duration) == ("", "", 0)


def test_an_unknown_language_is_refused(gateway):
    with pytest.raises(ServerError, match="'es', 'fr', and 'de'"):
        translated(gateway, CLIP, language="xx")


def test_a_wrong_key_is_not_shown(gateway):
    with pytest.raises(ConnectError) as refused:
        rtnb.translate(CLIP, url=gateway.url, api_key=KEY)
    assert refused.value.status == 401
    assert KEY not in str(refused.value)
    assert "/v1/realtime/translations" in str(refused.value)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"provider": "nobody"}, "no provider 'nobody'"),
        ({"api_key": KEY}, "takes no key"),
        ({"provider": "azure", "api_key": KEY}, "which deployment"),
    ],
)
def test_arguments_that_do_not_go_together(how, words):
    with pytest.raises(ConfigError, match=words) as refused:
        rtnb.translate(CLIP, **how)
    assert KEY not in str(refused.value)


def test_a_sentence_that_cannot_be_translated_is_told():
    error = {"type": "server_error", "message": "no dictionary"}
    said = Deliver(json.dumps({"type": "error", "error": error}))

    async def open_transport():
        return MemoryTransport([said])

    with pytest.raises(ServerError, match="no dictionary"):
        on_a_line(
            open_transport,
            lambda line: _gathered(line, "es", Cost()),
            decode=decode_translation,
            timeout=10,
        )


def test_the_portal_does_not_wait_for_itself():
    def wait():
        on_a_line(None, None, decode=decode_server, timeout=1)

    async def inside():
        wait()

    with pytest.raises(RuntimeError, match="wait for itself"):
        portal().run(inside(), 10)


def test_events_of_a_translation_are_read():
    event = decode_translation(
        '{"type": "session.output_audio.delta", "delta": "AAA="}'
    )
    assert event == tr.SessionOutputAudioDelta(delta=b"\0\0")
