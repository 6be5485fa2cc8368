"""The official `openai` client, unchanged, against a real gateway process.

Every event that it receives is validated strictly against the SDK's own types.
"""

import asyncio
import base64
import contextlib
import json
import math

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter

from rtnb.audio import Clip

# The SDK's synchronous client opens websockets in a way that websockets 17 deprecates.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)

STRICT = TypeAdapter(RealtimeServerEvent)
PATIENCE_S = 30.0


def validated(event):
    raw = event.to_dict(mode="json")
    STRICT.validate_python(raw, strict=True)
    return event


class Blocking:
    """The asynchronous client's connection, called as the synchronous one is."""

    def __init__(self, runner, value):
        self._runner = runner
        self._value = value

    def __getattr__(self, name):
        return Blocking(self._runner, getattr(self._value, name))

    def __call__(self, *arguments, **options):
        return self._runner.run(self._value(*arguments, **options))

    def recv(self):
        return self._runner.run(asyncio.wait_for(self._value.recv(), PATIENCE_S))


def receive(connection):
    """The next event, validated; neither client's ``recv`` has a time-out."""
    if isinstance(connection, Blocking):
        return validated(connection.recv())
    data = connection._connection.recv(timeout=PATIENCE_S, decode=False)
    return validated(connection.parse_event(data))


def until(connection, last):
    """Events up to and including one of type `last`."""
    events = [receive(connection)]
    while events[-1].type != last:
        events.append(receive(connection))
    return events


def types(events):
    """Event types in order, runs of one type folded."""
    folded = []
    for event in events:
        if not folded or folded[-1] != event.type:
            folded.append(event.type)
    return folded


def only(events, kind):
    return [event for event in events if event.type == kind]


@contextlib.contextmanager
def synchronous(gateway):
    client = OpenAI(api_key=gateway.token, base_url=gateway.http, max_retries=0)
    with client, client.realtime.connect(model="gpt-realtime") as opened:
        yield opened


@contextlib.contextmanager
def asynchronous(gateway):
    client = AsyncOpenAI(api_key=gateway.token, base_url=gateway.http, max_retries=0)
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        runner.run(stack.enter_async_context(client))
        manager = client.realtime.connect(model="gpt-realtime")
        yield Blocking(runner, runner.run(stack.enter_async_context(manager)))
        runner.run(stack.aclose())


@pytest.fixture(params=[synchronous, asynchronous], ids=["sync", "async"])
def connection(request, gateway):
    with request.param(gateway) as opened:
        assert receive(opened).type == "session.created"
        yield opened


def append(connection, clip, *, ms=100):
    data = clip.resample(24_000).to_pcm16()
    step = 48 * ms
    for start in range(0, len(data), step):
        audio = base64.b64encode(data[start : start + step]).decode()
        connection.input_audio_buffer.append(audio=audio)


def update(connection, **session):
    connection.session.update(session={"type": "realtime", **session})
    return until(connection, "session.updated")[-1].session


def say(connection, text):
    content = [{"type": "input_text", "text": text}]
    connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": content}
    )
    connection.response.create()


def test_text_turn(connection):
    update(connection, output_modalities=["text"])
    say(connection, "hello")
    events = until(connection, "rate_limits.updated")
    assert types(events) == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    text = "".join(e.delta for e in only(events, "response.output_text.delta"))
    assert text == only(events, "response.output_text.done")[0].text
    usage = only(events, "response.done")[0].response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_push_to_talk_turn(connection):
    update(connection, audio={"input": {"turn_detection": None}})
    append(connection, Clip.example("austen-0880"))
    connection.input_audio_buffer.commit()
    connection.response.create()
    events = until(connection, "rate_limits.updated")
    order = types(events)
    assert order[:4] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert order[-2:] == ["response.done", "rate_limits.updated"]
    done = only(events, "response.done")[0].response
    assert done.status == "completed"
    audio = b"".join(
        base64.b64decode(e.delta) for e in only(events, "response.output_audio.delta")
    )
    details = done.usage.output_token_details
    assert details.audio_tokens == math.ceil(len(audio) / 48 / 50)
    assert done.usage.input_token_details.audio_tokens == 29


def test_vad_turn(connection):
    update(connection, audio={"input": {"transcription": {"model": "whisper-1"}}})
    append(connection, Clip.example("austen-0880") + Clip.silence(1.0, 16_000))
    events = until(connection, "rate_limits.updated")
    started = only(events, "input_audio_buffer.speech_started")[0]
    stopped = only(events, "input_audio_buffer.speech_stopped")[0]
    committed = only(events, "input_audio_buffer.committed")[0]
    assert started.item_id == stopped.item_id == committed.item_id
    assert started.audio_start_ms < stopped.audio_end_ms
    transcript = only(events, "conversation.item.input_audio_transcription.completed")
    assert "disposed young man" in transcript[0].transcript


def test_barge_in(connection):
    say(connection, "tell me a long story")
    until(connection, "response.output_audio.delta")
    append(connection, Clip.example("austen-0880"))
    events = until(connection, "response.done")
    tail = types(events[[e.type for e in events].index("response.output_audio.done") :])
    assert tail == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = events[-1].response
    assert response.status == "cancelled"
    assert response.status_details.reason == "turn_detected"
    assert response.output[0].status == "incomplete"
    item_id = response.output[0].id
    connection.conversation.item.truncate(
        item_id=item_id, content_index=0, audio_end_ms=120
    )
    truncated = until(connection, "conversation.item.truncated")[-1]
    assert (truncated.item_id, truncated.audio_end_ms) == (item_id, 120)


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather for a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def test_function_call(connection):
    update(connection, output_modalities=["text"], tools=[WEATHER])
    say(connection, "What is the weather in London?")
    events = until(connection, "rate_limits.updated")
    done = only(events, "response.function_call_arguments.done")[0]
    deltas = only(events, "response.function_call_arguments.delta")
    assert done.name == "get_weather"
    assert "".join(e.delta for e in deltas) == done.arguments
    assert json.loads(done.arguments) == {"city": "London"}
    connection.conversation.item.create(
        item={
            "type": "function_call_output",
            "call_id": done.call_id,
            "output": "Foggy, 12 degrees.",
        }
    )
    connection.response.create()
    answer = until(connection, "response.done")[-1].response
    assert "Foggy, 12 degrees" in answer.output[0].content[0].text
