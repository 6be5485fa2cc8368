"""The official Agents SDK's realtime runner, unchanged, against a real gateway process.

The SDK validates every event against the types of the `openai` client, and tells of
what fails; a test fails where it tells of anything.
"""

import asyncio
import base64
import contextlib
import io

import pytest
from PIL import Image

from rtnb.audio import Clip, ulaw_encode

agents = pytest.importorskip("agents", reason="needs the extra test (openai-agents)")
realtime = pytest.importorskip("agents.realtime")

MODEL = "gpt-realtime-2"
PATIENCE_S = 60.0
SERVER_VAD = {"type": "server_vad", "interrupt_response": True}


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch):
    """Nothing is told to anybody but the gateway."""
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")


@agents.function_tool
async def get_weather(city: str) -> str:
    """Look up the weather for a city."""
    return f"Foggy in {city}, 12 degrees."


@agents.function_tool
async def roll_dice() -> str:
    """Roll the dice."""
    return "Six."


@agents.output_guardrail
async def harbour_rule(context, agent, said):
    return agents.GuardrailFunctionOutput(
        output_info={}, tripwire_triggered="lighthouse" in said
    )


def wire(event, kind=None):
    """The server's event in one of the runner's, or None."""
    if event.type != "raw_model_event" or event.data.type != "raw_server_event":
        return None
    raw = event.data.data
    return raw if kind in (None, raw["type"]) else None


def is_wire(kind):
    return lambda event: wire(event, kind) is not None


def is_event(kind):
    return lambda event: event.type == kind


class Listener:
    """One session of the runner: what it told, in order."""

    def __init__(self, session):
        self.session = session
        self.told = []

    async def until(self, fits):
        """Listen until something fits; nothing may have gone wrong."""
        async with asyncio.timeout(PATIENCE_S):
            async for event in self.session:
                assert event.type != "error", event
                if event.type == "raw_model_event":
                    assert event.data.type not in {"error", "exception"}, event.data
                self.told.append(event)
                if fits(event):
                    return event
        raise AssertionError("the session ended")

    async def answered(self, responses=1):
        """Listen until so many responses of the session are over."""
        while len(self.wire("rate_limits.updated")) < responses:
            await self.until(is_wire("rate_limits.updated"))

    def wire(self, kind):
        return [raw for event in self.told if (raw := wire(event, kind))]

    def audio(self):
        return b"".join(e.audio.data for e in self.told if e.type == "audio")

    def last(self, role):
        """The content of the last message of somebody in the runner's own history."""
        items = [i for i in self.session._history if getattr(i, "role", "") == role]
        return items[-1].content[-1]

    async def hear(self, clip, encode=lambda clip: clip.resample(24_000).to_pcm16()):
        data = encode(clip)
        for start in range(0, len(data), 4800):
            await self.session.send_audio(data[start : start + 4800])


@contextlib.asynccontextmanager
async def running(gateway, agent, *, config=None, **settings):
    model_config = {
        "url": f"{gateway.url}?model={MODEL}",
        "api_key": gateway.token,
        "initial_model_settings": {"model_name": MODEL, **settings},
    }
    runner = realtime.RealtimeRunner(agent, config=config)
    async with await runner.run(model_config=model_config) as session:
        yield Listener(session)


def agent(**settings):
    return realtime.RealtimeAgent(name="Front", **settings)


SPEECH = Clip.example("austen-0880") + Clip.silence(1.0, 16_000)


def test_text_turn(gateway):
    async def turn():
        async with running(
            gateway, agent(instructions="Be kind."), modalities=["text"]
        ) as heard:
            await heard.session.send_message("hello")
            await heard.answered()
            assert heard.wire("session.updated")[0]["session"]["instructions"] == (
                "Be kind."
            )
            done = heard.wire("response.output_text.done")[0]
            assert heard.last("user").text == "hello"
            assert heard.last("assistant").text == done["text"]

    asyncio.run(turn())


def test_spoken_turn(gateway):
    async def turn():
        async with running(gateway, agent(), turn_detection=SERVER_VAD) as heard:
            await heard.hear(SPEECH)
            await heard.answered()
            assert "disposed young man" in heard.last("user").transcript
            assert "disposed young man" in heard.last("assistant").transcript
            sent = heard.wire("response.output_audio.delta")
            assert heard.audio() == b"".join(
                base64.b64decode(raw["delta"]) for raw in sent
            )
            assert len(heard.audio()) > 48_000

    asyncio.run(turn())


def test_telephone_with_semantic_vad(gateway):
    async def turn():
        async with running(
            gateway,
            agent(),
            voice="cedar",
            speed=1.2,
            input_audio_format="g711_ulaw",
            output_audio_format="g711_ulaw",
            input_audio_noise_reduction={"type": "near_field"},
            turn_detection={"type": "semantic_vad", "eagerness": "high"},
            parallel_tool_calls=True,
        ) as heard:
            speech = Clip.example("austen-0880") + Clip.silence(4.0, 16_000)
            await heard.hear(
                speech, lambda c: bytes(ulaw_encode(c.resample(8000).samples))
            )
            await heard.answered()
            assert "disposed young man" in heard.last("user").transcript
            done = heard.wire("response.done")[0]["response"]
            assert done["audio"]["output"]["format"] == {"type": "audio/pcmu"}
            assert done["audio"]["output"]["voice"] == "cedar"
            assert len(heard.audio()) > 8000

    asyncio.run(turn())


@pytest.mark.parametrize(
    ("question", "results"),
    [
        ("What is the weather in London?", {"Foggy in London, 12 degrees."}),
        (
            "Please use get weather in London, and roll dice",
            {"Foggy in London, 12 degrees.", "Six."},
        ),
    ],
    ids=["one", "parallel"],
)
def test_functions(gateway, question, results):
    async def turn():
        front = agent(tools=[get_weather, roll_dice])
        async with running(gateway, front, modalities=["text"]) as heard:
            await heard.session.send_message(question)
            await heard.answered(2)
            calls = [i for i in heard.session._history if i.type == "function_call"]
            assert {call.output for call in calls} == results
            said = heard.last("assistant").text
            assert all(result.rstrip(".") in said for result in results)

    asyncio.run(turn())


def test_barge_in(gateway):
    async def turn():
        async with running(gateway, agent(), turn_detection=SERVER_VAD) as heard:
            await heard.session.send_message("tell me a long story")
            await heard.until(is_event("audio"))
            await heard.hear(SPEECH)
            await heard.until(is_event("audio_interrupted"))
            await heard.answered(2)
            told, answered = (raw["response"] for raw in heard.wire("response.done"))
            assert told["status_details"] == {
                "type": "cancelled",
                "reason": "turn_detected",
            }
            assert answered["status"] == "completed"
            cut = heard.wire("conversation.item.truncated")[0]
            assert cut["item_id"] == told["output"][0]["id"]
            retrieved = heard.wire("conversation.item.retrieved")[0]["item"]
            sound = base64.b64decode(retrieved["content"][0]["audio"])
            assert len(sound) == 48 * cut["audio_end_ms"]
            assert "disposed young man" in heard.last("assistant").transcript

    asyncio.run(turn())


def test_interrupt(gateway):
    async def turn():
        held = {**SERVER_VAD, "interrupt_response": False}
        async with running(gateway, agent(), turn_detection=held) as heard:
            await heard.session.send_message("tell me a long story")
            await heard.until(is_event("audio"))
            await heard.session.interrupt()
            done = wire(await heard.until(is_wire("response.done")))["response"]
            assert done["status_details"]["reason"] == "client_cancelled"
            await heard.session.send_message("say that was enough")
            await heard.answered(2)
            assert heard.last("assistant").transcript.lower() == "that was enough."

    asyncio.run(turn())


def test_handoff(gateway):
    async def turn():
        billing = realtime.RealtimeAgent(
            name="Billing", instructions="Send bills.", tools=[get_weather]
        )
        front = agent(
            instructions="Greet.", handoffs=[realtime.realtime_handoff(billing)]
        )
        async with running(gateway, front, modalities=["text"]) as heard:
            await heard.session.send_message("please use transfer to billing")
            await heard.answered(2)
            (event,) = (event for event in heard.told if event.type == "handoff")
            assert event.to_agent.name == "Billing"
            session = heard.wire("session.updated")[-1]["session"]
            assert session["instructions"] == "Send bills."
            assert [tool["name"] for tool in session["tools"]] == ["get_weather"]
            await heard.session.send_message("what are your instructions?")
            await heard.answered(3)
            assert "Send bills" in heard.last("assistant").text

    asyncio.run(turn())


def test_guardrail(gateway):
    async def turn():
        front = agent(output_guardrails=[harbour_rule])
        config = {"guardrails_settings": {"debounce_text_length": 50}}
        async with running(gateway, front, config=config) as heard:
            await heard.session.send_message("tell me a long story")
            await heard.answered(2)
            assert any(event.type == "guardrail_tripped" for event in heard.told)
            told, again = (raw["response"] for raw in heard.wire("response.done"))
            assert told["status_details"]["reason"] == "client_cancelled"
            assert again["status"] == "completed"
            assert "harbour_rule" in heard.last("user").text

    asyncio.run(turn())


def test_image(gateway):
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), (255, 0, 0)).save(picture, "PNG")
    address = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()

    async def turn():
        async with running(gateway, agent(), modalities=["text"]) as heard:
            await heard.session.send_message(
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_image", "image_url": address, "detail": "high"},
                        {"type": "input_text", "text": "What is this?"},
                    ],
                }
            )
            await heard.answered()
            assert "40 by 30" in heard.last("assistant").text

    asyncio.run(turn())
