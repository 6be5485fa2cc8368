"""``semantic_vad`` over the real gateway, with the real recogniser."""

import asyncio
import base64
import json

import pytest

from rtnb.audio import Clip
from tests.gateway.test_app import connect

WORDS = Clip.example("austen-0880").resample(24_000)
CUT_S = 1.0  # "he was not | an ill disposed young man"
HIGH_MS = 2000


async def say(socket, clip):
    audio = base64.b64encode(clip.to_pcm16()).decode()
    await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))


async def configure(socket, detection):
    """Set the turn detection; returns the events until that was confirmed."""
    heard = {"turn_detection": detection, "transcription": {"model": "whisper-1"}}
    session = {"type": "realtime", "audio": {"input": heard}}
    await socket.send(json.dumps({"type": "session.update", "session": session}))
    return await until(socket, "session.updated")


async def until(socket, kind):
    seen = []
    while not seen or seen[-1]["type"] != kind:
        seen.append(json.loads(await asyncio.wait_for(socket.recv(), 60)))
    return seen


async def one_turn(gateway, clip, eagerness):
    """Where the turn ends that `clip` is; fails if it is not one."""
    detection = {"create_response": False, "eagerness": eagerness}
    async with connect(gateway) as socket:
        # a first turn, so that the recogniser is awake
        await configure(socket, {"type": "server_vad", "create_response": False})
        await say(socket, WORDS + Clip.silence(0.5))
        await until(socket, "conversation.item.input_audio_transcription.completed")
        await configure(socket, {"type": "semantic_vad", **detection})
        await say(socket, clip)
        seen = await until(socket, "input_audio_buffer.committed")
        seen += await configure(socket, None)
    marks = [event for event in seen if "speech_" in event["type"]]
    kinds = [mark["type"].rpartition("_")[2] for mark in marks]
    assert kinds == ["started", "stopped"]
    return marks[1]["audio_end_ms"] - 1000 * (WORDS.duration + 0.5)


@pytest.mark.parametrize("eagerness", ["low", "high"])
def test_a_pause_inside_a_sentence_is_waited_for_and_its_end_is_not(gateway, eagerness):
    first, second = WORDS.slice(0, CUT_S), WORDS.slice(CUT_S, WORDS.duration)
    clip = Clip.silence(0.5) + first + Clip.silence(1.5) + second
    end_ms = asyncio.run(one_turn(gateway, clip + Clip.silence(9), eagerness))
    spoken_ms = 1000 * clip.duration
    assert spoken_ms < end_ms < spoken_ms + 600


def test_an_unfinished_sentence_is_waited_for_as_long_as_documented(gateway):
    clip = Clip.silence(0.5) + WORDS.slice(0, CUT_S)
    end_ms = asyncio.run(one_turn(gateway, clip + Clip.silence(9), "high"))
    assert end_ms == pytest.approx(1000 * clip.duration + HIGH_MS, abs=200)
