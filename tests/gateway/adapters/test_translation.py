"""A translation session whose translator is a chat model of the user's own."""

import base64
import json

from websockets.sync.client import connect

from rtnb.audio import Clip
from rtnb.gateway.translators import INSTRUCTIONS
from tests.gateway.adapters.servers import PATIENCE_S, Model, says, served
from tests.gateway.conftest import start_gateway, stop_gateway

SPOKEN = Clip.example("austen-0880").resample(24_000) + Clip.silence(1.0)


def test_a_chat_model_translates_into_any_language():
    model = Model(replies=[says("Hij was geen ", "slechte jongeman.")])
    with served(model) as url:
        gateway = start_gateway("--chat", url)
        try:
            events = interpreted(gateway, "nl")
        finally:
            stop_gateway(gateway)
    [request] = model.requests
    assert request["messages"] == [
        {"role": "system", "content": INSTRUCTIONS.format(language="nl")},
        {"role": "user", "content": "he was not an ill disposed young man"},
    ]
    words = [
        e["delta"] for e in events if e["type"].endswith("output_transcript.delta")
    ]
    assert words == ["Hij was geen ", "slechte jongeman."]
    assert any(e["type"] == "session.output_audio.delta" for e in events)


def interpreted(gateway, language):
    """Events of a session in which one sentence is said."""
    with connect(
        f"{gateway.url}/translations",
        additional_headers={"Authorization": f"Bearer {gateway.token}"},
        compression=None,
    ) as socket:

        def send(kind, **fields):
            socket.send(json.dumps({"type": kind, **fields}))

        send("session.update", session={"audio": {"output": {"language": language}}})
        audio = base64.b64encode(SPOKEN.to_pcm16()).decode()
        send("session.input_audio_buffer.append", audio=audio)
        send("session.close")
        events = []
        while not events or events[-1]["type"] != "session.closed":
            events.append(json.loads(socket.recv(timeout=PATIENCE_S)))
    return events
