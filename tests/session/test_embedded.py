"""Sessions with the real gateway, a process on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import threading

import pytest

from rtnb import local
from rtnb.audio import Clip
from rtnb.errors import ConnectionLost, ConnectTimeout, EngineError, ServerError
from rtnb.local import start_gateway
from rtnb.session import Session, connect
from rtnb.session.connect import _embedded, embedded_endpoint
from rtnb.session.turn import Segment
from rtnb.vad import ServerVad

PATIENCE_S = 60
QUESTION = Clip.example("austen-0880")


@pytest.fixture(scope="module")
def gateway():
    running = start_gateway(responder="tests.session.answers:answer")
    yield running
    running.close()


@pytest.fixture
def session(gateway):
    with Session(embedded_endpoint(gateway, "gpt-realtime-mini")) as opened:
        yield opened


def weather(city: str) -> str:
    """Weather of a city."""
    return f"foggy in {city}"


def test_a_typed_turn_is_answered_aloud(session):
    turn = session.say("hello").wait(PATIENCE_S)
    assert (turn.user_text, turn.text, turn.status) == ("hello", "I heard you.", "done")
    assert turn.audio.duration > 0.5
    assert turn.audio.peak > 0.05
    assert turn.usage.output_token_details.audio_tokens > 0
    assert turn.cost.usd > 0
    assert not session.billed
    assert session.model == "gpt-realtime-mini"


def test_a_text_session_is_answered_in_text(session):
    session.configure(output_modalities="text")
    turn = session.say("hello").wait(PATIENCE_S)
    assert (turn.text, turn.audio) == ("I heard you.", None)


def test_a_spoken_clip_is_one_turn_with_its_segments(session):
    session.configure(transcription="gpt-realtime-whisper")
    turn = session.send_audio(QUESTION, realtime=False).wait(PATIENCE_S)
    assert session.turns == [turn]
    assert turn.text.endswith("I heard you.")
    assert turn.user_text
    assert 2500 < turn.segments[-1].audio_end_ms < 3700
    assert turn.input_audio.duration == pytest.approx(
        sum(each.audio_end_ms - each.audio_start_ms for each in turn.segments) / 1000
    )
    assert turn.latency.stopped_to_first_audio_ms > 0


def test_the_hosted_marks_come_over_the_socket(session, shared_data):
    pcm = (shared_data / "hosted" / "clip-24khz.pcm").read_bytes() + bytes(48 * 1300)
    clip = Clip.from_pcm16(pcm, 24_000)  # with the 700 ms sent after it: 2 s of zeros
    segments = [
        session.send_audio(clip, realtime=False).wait(PATIENCE_S).segments
        for _ in range(2)
    ]
    assert segments == [(Segment(1460, 4256),), (Segment(8948, 11744),)]


def test_without_detection_a_clip_is_committed(session):
    session.configure(turn_detection=None)
    turn = session.send_audio(QUESTION, realtime=False).wait(PATIENCE_S)
    assert turn.segments == (Segment(0, round(QUESTION.duration * 1000)),)
    assert turn.text == "I heard you."


def test_a_function_is_called(session):
    session.configure(tools=[weather], output_modalities="text")
    turn = session.say("what is the weather?").wait(PATIENCE_S)
    assert turn.text == "The tool says foggy in Oslo."
    assert [call.name for call in turn.tool_calls] == ["weather"]


def test_an_answer_can_be_cancelled(session):
    turn = session.say("please wait")
    created = threading.Event()
    session.on("response.created", lambda event: created.set())
    assert created.wait(PATIENCE_S) or turn.responses
    session.cancel()
    assert turn.wait(PATIENCE_S).status == "cancelled"
    assert session.say("hello").wait(PATIENCE_S).text == "I heard you."


def test_an_engine_that_fails_fails_its_turn_alone(session):
    with pytest.raises(EngineError, match="on purpose"):
        session.say("fail!").wait(PATIENCE_S)
    assert session.say("hello").wait(PATIENCE_S).text == "I heard you."


def test_a_voice_cannot_change_once_it_was_heard(session):
    session.configure(voice="marin")
    session.say("hello").wait(PATIENCE_S)
    with pytest.raises(ServerError, match="voice") as error:
        session.configure(voice="ash")
    assert error.value.code == "cannot_update_voice"
    assert session.settings.audio.output.voice == "marin"


def test_settings_are_taken_and_told(session):
    session.configure(turn_detection=ServerVad(threshold=0.7, idle_timeout_ms=6000))
    detection = session.settings.audio.input.turn_detection
    assert (detection.threshold, detection.silence_duration_ms) == (0.7, 200)
    assert detection.idle_timeout_ms == 6000


def test_too_little_audio_is_refused_by_the_server(session):
    session.configure(turn_detection=None)
    with pytest.raises(ServerError) as error:
        session.commit().wait(PATIENCE_S)
    assert error.value.code == "input_audio_buffer_commit_empty"


def test_it_works_with_await(session):
    async def talk():
        events = aiter(session)
        turn = await session.say("hello")
        return turn.text, (await anext(events)).event_id

    text, event_id = asyncio.run(talk())
    assert text == "I heard you."
    assert event_id.startswith("event_")


def test_a_page_gets_a_ticket_once(session):
    first, second = session.media_endpoint(), session.media_endpoint("https://hub")
    assert first.path == "/rtnb/media"
    assert first.ticket != second.ticket


# -- connect ---------------------------------------------------------------------------


@pytest.fixture
def embedded():
    yield connect
    local.close_local_gateway()


def test_connect_is_local_even_with_a_key_in_the_environment(embedded, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    with embedded() as one, embedded(model="gpt-realtime") as two:
        assert (one.provider, one.billed) == ("embedded", False)
        assert one.settings.audio.input.transcription.model == "gpt-realtime-whisper"
        assert two.model == "gpt-realtime"
        assert one._endpoint.gateway is two._endpoint.gateway


def test_a_gateway_that_dies_is_noticed_and_started_again(embedded):
    session = embedded()
    session._endpoint.gateway.process.kill()
    session._endpoint.gateway.process.wait()
    with pytest.raises(ConnectionLost):
        asyncio.run(_rest(session))
    assert session.closed
    with embedded() as again:
        assert again.say("hello").wait(PATIENCE_S).status == "done"


async def _rest(session):
    return [event async for event in session]


def test_a_script_of_ones_own(embedded, tmp_path):
    script = tmp_path / "mine.toml"
    script.write_text("[[rule]]\nname = 'all'\nmatch = '.*'\nthen = 'Mine.'\n")
    with embedded(script=script) as session:
        session.configure(output_modalities="text")
        assert session.say("hello").wait(PATIENCE_S).text == "Mine."
        process = session._endpoint.gateway.process
    assert process.poll() is not None


def test_a_session_that_does_not_open_leaves_no_gateway_behind(embedded):
    gateway = start_gateway(responder="tests.session.answers:answer")
    with pytest.raises(ConnectTimeout):
        _embedded(gateway, None, timeout=0.0, clock=None, end=gateway.close)
    assert not gateway.alive


def test_no_key_of_ours_reaches_a_page_or_a_log(session, caplog):
    session.say("hello").wait(PATIENCE_S)
    token = session._endpoint.gateway.token
    shown = [repr(session), repr(session._endpoint), repr(session.media_endpoint())]
    shown += [str(vars(record)) for record in caplog.records]
    shown += [json.dumps(entry.facts, default=str) for entry in session.timeline]
    assert token
    assert token not in "".join(shown)
    assert os.environ.get("RTNB_TOKEN") is None
