"""How users write it: checked by type checkers, never run."""

from __future__ import annotations

from typing import assert_type

import numpy as np
import pandas as pd
from msgspec import UnsetType

import rtnb
from rtnb import (
    Clip,
    Panel,
    Recording,
    SemanticVad,
    ServerVad,
    Session,
    Turn,
    VadTuner,
)
from rtnb.protocol import events
from rtnb.protocol.client import ItemState
from rtnb.recording import Counterfactual, Recorder, ReplicaReport
from rtnb.session import (
    Latency,
    MediaEndpoint,
    Segment,
    SettingRow,
    ToolCall,
    Transcription,
    TranscriptSegment,
    Translation,
    Word,
)
from rtnb.timeline import Timeline
from rtnb.usage import Cost, TranscriptionUsage, Usage
from rtnb.vad import Label, Labels


def look_up(word: str, *, exact: bool = False) -> dict[str, str]:
    """Look up a word."""
    return {word: str(exact)}


async def look_up_slowly(word: str) -> str:
    """Look up a word, slowly."""
    return word


@rtnb.tool(confirm=True, timeout=5)
def delete(path: str) -> None:
    """Delete a file."""


@rtnb.tool
def plain(path: str) -> str:
    """Read a file."""
    return path


def may_delete(name: str, arguments: dict[str, object]) -> bool:
    """Allow some of it."""
    return name == "delete" and "path" in arguments


def opening() -> None:
    session = rtnb.connect()
    assert_type(session, Session)
    rtnb.connect("openai", model="gpt-realtime-2.1")
    rtnb.connect("azure", model="my-deployment", api_key="…", relay=True)
    rtnb.connect(url="ws://127.0.0.1:8000/v1/realtime", api_key="…")
    rtnb.connect(script="mine.toml", timeout=60)
    rtnb.connect(responder="answers:answer")
    with rtnb.connect() as inside:
        assert_type(inside, Session)
    session.close()


def settings(session: Session) -> None:
    session.configure(
        instructions="Be brief.",
        voice="marin",
        speed=1.25,
        turn_detection=ServerVad(threshold=0.6, silence_duration_ms=400),
        tools=[look_up, look_up_slowly],
        output_modalities="text",
        transcription="gpt-realtime-whisper",
        noise_reduction="near_field",
        tool_choice="look_up",
        max_output_tokens="inf",
        truncation="disabled",
    )
    session.configure(turn_detection=SemanticVad(eagerness="low"))
    session.configure(turn_detection=None, transcription=None, noise_reduction=None)
    session.configure(tools=[], output_modalities=["audio"], max_output_tokens=400)
    assert_type(session.settings_table(), list[SettingRow])
    assert_type(session.settings, events.RealtimeSession)


def talking(session: Session) -> None:
    turn = session.say("hello")
    assert_type(turn, Turn)
    assert_type(turn.wait(timeout=10), Turn)
    session.send_audio(Clip.example(), realtime=False)
    session.send_audio("question.wav")
    session.send_audio(np.zeros(480, np.float32), sample_rate=24_000)
    session.send_audio(b"\0\0", sample_rate=24_000)
    assert_type(session.commit(), Turn)
    session.cancel()
    session.send(events.ResponseCreate())
    session.send({"type": "response.create"})


def asking(session: Session, clip: Clip, turn: Turn) -> None:
    session.configure(tools=[delete, plain], confirm={"delete": may_delete})
    session.configure(tools=[look_up], confirm=True)
    assert_type(session.ask("Angry?", instructions="One word."), Turn)
    session.ask(["Alike?", clip, turn, turn.items[0]], metadata={"topic": "x"})
    session.ask("Go on.", conversation="auto", tools=[look_up], voice="marin")
    assert_type(session.respond(max_output_tokens=50), Turn)
    assert_type(session.show("cat.png", "What is this?", detail="low"), Turn)
    session.show(np.zeros((20, 20), np.uint8))
    item = session.create("Hello.", after="root")
    assert_type(item, ItemState)
    assert_type(session.retrieve(item), Clip | None)
    session.truncate(item, 500)
    session.delete(item.id)
    session.clear()
    session.clear("output")
    session.cancel(turn)
    assert_type(session.tool_calls, list[ToolCall])
    for approval in session.approvals.waiting:
        approval.allow()


def recordings(session: Session, clip: Clip) -> None:
    written = session.transcribe(clip, language="en", prompt="Dashwood")
    assert_type(written, Transcription)
    assert_type(written.text, str)
    assert_type(written.words, tuple[Word, ...])
    assert_type(written.segments, tuple[TranscriptSegment, ...])
    assert_type(written.deltas, tuple[str, ...])
    assert_type(written.usage, TranscriptionUsage | None)
    assert_type(written.cost, Cost)
    session.transcribe("said.wav", model="gpt-4o-transcribe", timeout=600)
    session.transcribe(np.zeros(480, np.float32), sample_rate=24_000)
    said = rtnb.translate(clip, language="de")
    assert_type(said, Translation)
    assert_type(said.audio, Clip)
    assert_type(said.source_text, str)
    rtnb.translate("said.wav", provider="openai", api_key="…", timeout=600)


def reading(session: Session, turn: Turn) -> None:
    assert_type(turn.text, str)
    assert_type(turn.heard, str)
    assert_type(turn.user_text, str)
    assert_type(turn.audio, Clip | None)
    assert_type(turn.input_audio, Clip | None)
    assert_type(turn.segments, tuple[Segment, ...])
    assert_type(turn.usage, Usage | None)
    assert_type(turn.cost, Cost | None)
    assert_type(turn.latency, Latency)
    assert_type(turn.latency.total_ms, float | None)
    assert_type(turn.tool_calls, tuple[ToolCall, ...])
    assert_type(turn.notes, tuple[str, ...])
    assert_type(turn.done, bool)
    assert_type(session.turns, list[Turn])
    assert_type(session.usage, Usage)
    assert_type(session.cost, Cost)
    assert_type(session.billed, bool)
    assert_type(session.timeline, Timeline)
    assert_type(session.conversation, list[ItemState])
    assert_type(session.to_frame(), pd.DataFrame)
    assert_type(session.media_endpoint(), MediaEndpoint)


def listening(session: Session) -> None:
    unsubscribe = session.on("*", lambda event: None)
    unsubscribe()
    session.on(events.ResponseDone, lambda event: None)
    session.on("response.done", lambda event: None)
    Panel(session)


def tuning(session: Session, clip: Clip) -> None:
    tuner = VadTuner(clip, settings=ServerVad(threshold=0.6), session=session)
    assert_type(tuner.settings, ServerVad | SemanticVad)
    assert_type(tuner.compared, ServerVad | SemanticVad | None)
    assert_type(tuner.labels, Labels)
    assert_type(tuner.view, tuple[float, float] | None)
    tuner.labels = Labels.of(tuner.segments)
    tuner.view = (0.0, 10.0)
    tuner.save("labels.txt")
    tuner.close()
    VadTuner(session, labels=[Label(0.5, 1.25, "yes")])


async def asynchronously() -> None:
    async with rtnb.connect() as session:
        turn = await session.say("hello")
        assert_type(turn, Turn)
        async for event in session:
            match event:
                case events.ResponseDone(response=response):
                    assert_type(response.usage, Usage | UnsetType | None)
                case events.UnknownEvent(type=name, raw=raw):
                    assert_type(name, str)
                    print(raw)
                case _:
                    break


def going_wrong(session: Session) -> None:
    try:
        session.configure(voice="zed")
    except rtnb.errors.ConfigError as error:
        print(error)
    except (rtnb.errors.ServerError, rtnb.errors.SessionClosed) as error:
        print(error)


def seeing(clip: Clip) -> None:
    probability = rtnb.vad.speech_probability(clip)
    rtnb.vad.speech_probability("talk.wav", "energy", on_progress=print, cache=False)
    rtnb.vad.speech_probability(clip, lambda hop: float(abs(hop).max()))
    rtnb.vad.SpeechProbability.from_array([0.1, 0.9], hop=160)
    noisy = rtnb.vad.add_noise(clip, 10.0, 0, color="pink")
    rtnb.vad.change_gain(rtnb.vad.telephone(noisy), [(0.0, -6.0)])
    rtnb.vad.segment(probability, ServerVad(threshold=0.7))


def recording(session: Session) -> None:
    with session.record("take-1", note="all agreed") as recorder:
        assert_type(recorder, Recorder)
    recorded = rtnb.Recording.load("take-1")
    assert_type(recorded, Recording)
    assert_type(recorded.clip, Clip)
    found = recorded.replay_turns(ServerVad(threshold=0.7))
    assert_type(found, Counterfactual)
    assert_type(found.summary, str)
    assert_type(found.to_frame(), pd.DataFrame)
    assert_type(recorded.check_replica(), ReplicaReport)
    assert_type(rtnb.vad.speech_probability(recorded).hop_ms, int)
