"""Transcription sessions of a real gateway process, by the official `openai` client.

Every event that it receives is validated strictly against the SDK's own types.
"""

import base64
import contextlib

import pytest
from openai import BadRequestError, OpenAI
from openai.types.realtime import (
    RealtimeTranscriptionSessionCreateResponse,
)
from pydantic import TypeAdapter

from rtnb.audio import Clip
from tests.gateway.test_official_client import only, receive, types, until

# The SDK's synchronous client opens websockets in a way that websockets 17 deprecates.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)

SESSION = TypeAdapter(RealtimeTranscriptionSessionCreateResponse)
TRANSCRIPTION = "conversation.item.input_audio_transcription"
LOGPROBS = "item.input_audio_transcription.logprobs"
SENTENCE = "he was not an ill disposed young man"


@pytest.fixture
def client(gateway):
    with OpenAI(
        api_key=gateway.token, base_url=gateway.http, max_retries=0
    ) as official:
        yield official


@contextlib.contextmanager
def opened(client, **query):
    """A connection and the session it begins with."""
    with client.realtime.connect(extra_query=query) as connection:
        created = receive(connection)
        assert created.type == "session.created"
        yield connection, created.session


def update(connection, *, include=None, **heard):
    session = {"type": "transcription", "audio": {"input": heard}}
    connection.session.update(
        session=session | ({"include": include} if include else {})
    )
    session = until(connection, "session.updated")[-1].session
    SESSION.validate_python(session.to_dict(mode="json"), strict=True)
    return session


def append(connection, clip, *, ms=100):
    data = clip.resample(24_000).to_pcm16()
    step = 48 * ms
    for start in range(0, len(data), step):
        audio = base64.b64encode(data[start : start + step]).decode()
        connection.input_audio_buffer.append(audio=audio)


def transcript(events):
    return "".join(event.delta for event in only(events, f"{TRANSCRIPTION}.delta"))


def test_a_live_model_writes_before_the_commit(client):
    with opened(client, intent="transcription") as (connection, session):
        assert session.type == "transcription"
        SESSION.validate_python(session.to_dict(mode="json"), strict=True)
        update(
            connection,
            transcription={"model": "gpt-live-transcribe", "delay": "minimal"},
            turn_detection=None,
        )
        append(connection, Clip.example("austen-0880") + Clip.silence(1.0, 16_000))
        early = until(connection, f"{TRANSCRIPTION}.delta")
        connection.input_audio_buffer.commit()
        events = early + until(connection, f"{TRANSCRIPTION}.completed")
    order = [kind for kind in types(events) if kind != f"{TRANSCRIPTION}.delta"]
    assert order == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{TRANSCRIPTION}.completed",
    ]
    [committed] = only(events, "input_audio_buffer.committed")
    assert {e.item_id for e in only(events, f"{TRANSCRIPTION}.delta")} == {
        committed.item_id
    }
    done = events[-1]
    assert transcript(events) == done.transcript == SENTENCE
    assert (done.usage.type, done.usage.seconds) == ("duration", 4)


def test_a_turn_of_server_vad_with_logprobs(client):
    with opened(client, intent="transcription") as (connection, _):
        update(
            connection, transcription={"model": "gpt-4o-transcribe"}, include=[LOGPROBS]
        )
        append(connection, Clip.example("austen-0880") + Clip.silence(1.0, 16_000))
        events = until(connection, f"{TRANSCRIPTION}.completed")
    assert types(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{TRANSCRIPTION}.delta",
        f"{TRANSCRIPTION}.completed",
    ]
    done = events[-1]
    assert transcript(events) == done.transcript == SENTENCE
    assert [one.token for one in done.logprobs] == SENTENCE.split()
    assert all(one.logprob <= 0.0 for one in done.logprobs)
    assert done.usage.type == "tokens"


def test_silence_has_an_empty_transcript(client):
    with opened(client, intent="transcription") as (connection, _):
        heard = {"model": "gpt-realtime-whisper"}
        update(connection, transcription=heard, turn_detection=None)
        append(connection, Clip.silence(1.5))
        connection.input_audio_buffer.commit()
        done = until(connection, f"{TRANSCRIPTION}.completed")[-1]
    assert done.transcript == ""


def test_the_diarizing_model_sends_segments(client):
    with opened(client, intent="transcription") as (connection, _):
        heard = {"model": "gpt-4o-transcribe-diarize"}
        update(connection, transcription=heard, turn_detection=None)
        append(connection, Clip.example("austen-0880"))
        connection.input_audio_buffer.commit()
        events = until(connection, f"{TRANSCRIPTION}.completed")
    [segment] = only(events, f"{TRANSCRIPTION}.segment")
    assert segment.text == SENTENCE
    assert 0.0 <= segment.start < segment.end <= 3.0


def test_an_answer_is_refused(client):
    with opened(client, intent="transcription") as (connection, _):
        connection.response.create(event_id="mine")
        refused = receive(connection)
        assert refused.type == "error"
        assert refused.error.event_id == "mine"
        assert "transcription session" in refused.error.message
        update(connection, turn_detection=None)  # it goes on


def test_a_model_in_the_address_makes_a_conversation(client):
    with opened(client, model="gpt-realtime", intent="transcription") as (
        connection,
        session,
    ):
        assert session.type == "realtime"
        connection.session.update(session={"type": "transcription"})
        refused = receive(connection)
    assert refused.error.code == "invalid_parameter"
    assert refused.error.message == (
        "Passing a transcription session update event to a realtime session is not "
        "allowed."
    )


# -- client secrets ----------------------------------------------------------------------


BOUND = {
    "type": "transcription",
    "audio": {
        "input": {
            "transcription": {"model": "gpt-live-transcribe", "delay": "minimal"},
            "turn_detection": None,
        }
    },
    "include": [LOGPROBS],
}


def test_a_client_secret_opens_a_transcription_session(client, gateway):
    made = client.realtime.client_secrets.create(session=BOUND)
    assert made.session.type == "transcription"
    assert made.session.expires_at == 0
    SESSION.validate_python(made.session.to_dict(mode="json"), strict=True)
    with (
        OpenAI(api_key=made.value, base_url=gateway.http, max_retries=0) as page,
        opened(page) as (_, session),
    ):
        assert session.type == "transcription"
        assert session.include == [LOGPROBS]
        heard = session.audio.input
        assert heard.transcription.model == "gpt-live-transcribe"
        assert heard.turn_detection is None


def test_what_the_address_asks_for_stands_over_the_secret(client, gateway):
    made = client.realtime.client_secrets.create(session=BOUND)
    with OpenAI(api_key=made.value, base_url=gateway.http, max_retries=0) as page:
        with opened(page, model="gpt-realtime") as (_, session):
            assert session.type == "realtime"
            assert session.include is None
        with opened(page, intent="transcription") as (_, session):
            assert session.include == [LOGPROBS]


def test_a_secret_without_a_session_opens_either(client, gateway):
    made = client.realtime.client_secrets.create()
    with OpenAI(api_key=made.value, base_url=gateway.http, max_retries=0) as page:
        with opened(page, intent="transcription") as (_, session):
            assert session.type == "transcription"
        with opened(page) as (_, session):
            assert session.type == "realtime"


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"voice": "alloy"}, "session.voice"),
        (
            {
                "audio": {
                    "input": {
                        "transcription": {"model": "gpt-realtime-whisper"},
                        "turn_detection": {"type": "server_vad"},
                    }
                }
            },
            "session.audio.input.turn_detection",
        ),
    ],
)
def test_a_secret_for_a_session_that_cannot_be_is_refused(client, session, param):
    with pytest.raises(BadRequestError) as refused:
        client.realtime.client_secrets.create(
            session={"type": "transcription", **session}
        )
    assert refused.value.param == param
