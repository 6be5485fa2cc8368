"""A session on the virtual clock: no time, and the same bytes in every run."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from rtnb.audio import Clip
from tests.gateway.conftest import start_gateway, stop_gateway
from tests.gateway.test_app import connect
from tests.protocol.scenario import read

SESSION = Path(__file__).parent / "sessions" / "three-minutes.txt"
PATH = "/v1/realtime?model=gpt-realtime-2.1"
PIECE_S = 0.1


def frames():
    """What the client of the file sends."""
    for step in read(SESSION).steps:
        if step.verb == ">":
            kind, _, fields = step.payload.partition(" ")
            kind, _, below = kind.partition("\n")
            fields = fields if not below else step.payload.partition("\n")[2]
            yield json.dumps({"type": kind, **(json.loads(fields) if fields else {})})
            continue
        name, *seconds = step.text.split()
        clip = Clip.silence(float(seconds[0])) if seconds else Clip.example(name)
        clip = clip.resample(24_000)
        for start in range(0, len(clip.samples), round(PIECE_S * 24_000)):
            piece = clip.samples[start : start + round(PIECE_S * 24_000)]
            pcm = Clip.from_array(piece, 24_000).to_pcm16()
            audio = base64.b64encode(pcm).decode()
            yield json.dumps({"type": "input_audio_buffer.append", "audio": audio})


async def held(gateway, pause):
    """Everything that the server says, as bytes; `pause` seconds after each frame."""
    async with connect(gateway, path=PATH) as socket:
        said = []

        async def listen():
            while not said or b"response_cancel_not_active" not in said[-1]:
                said.append(await socket.recv(decode=False))

        listening = asyncio.create_task(listen())
        for frame in frames():
            await socket.send(frame)
            await asyncio.sleep(pause)
        await asyncio.wait_for(listening, 120)
    return said


@pytest.fixture(scope="module")
def runs():
    """The session in two processes, by a client in a hurry and one with patience."""
    told = []
    script = str(SESSION.with_suffix(".toml"))
    for pause, sessions in ((0.0, 2), (0.003, 1)):
        gateway = start_gateway(
            "--script", script, "--seed", "7", "--virtual-clock", "--no-config"
        )
        told.append([asyncio.run(held(gateway, pause)) for _ in range(sessions)])
        stop_gateway(gateway)
    return told


def test_every_run_is_the_same_byte_for_byte(runs):
    (first, _), (again,) = runs
    assert len(first) > 100
    assert first == again


def test_sessions_of_a_run_differ_in_their_names_alone(runs):
    first, second = ([json.loads(frame) for frame in said] for said in runs[0])
    kinds = [[event["type"] for event in events] for events in (first, second)]
    assert kinds[0] == kinds[1]
    assert first[0]["session"]["id"] != second[0]["session"]["id"]
    sound = [
        [event["delta"] for event in events if "audio.delta" in event["type"]]
        for events in (first, second)
    ]
    assert sound[0] == sound[1]


def test_what_happened(runs):
    events = [json.loads(frame) for frame in runs[0][0]]
    done = [event["response"] for event in events if event["type"] == "response.done"]
    thought, spoken, hold, told = done[0], done[1], done[2], done[-1]
    assert [item.get("phase") for item in thought["output"]] == ["commentary", None]
    assert thought["usage"]["total_tokens"] > 120  # the audio is counted
    assert thought["usage"]["input_token_details"]["cached_tokens"] == 64
    assert spoken["status"] == "completed"
    assert hold["status_details"]["reason"] == "turn_detected"
    assert told["output"][0]["content"][0]["text"] == "It is 12:03 AM."
    kinds = [event["type"] for event in events]
    late = kinds.index("conversation.item.input_audio_transcription.completed")
    answer = kinds.index("response.created", kinds.index("response.done"))
    assert "response.output_audio.delta" in kinds[answer:late]
    assert "input_audio_buffer.timeout_triggered" in kinds
    assert kinds[-2:] == ["rate_limits.updated", "error"]
