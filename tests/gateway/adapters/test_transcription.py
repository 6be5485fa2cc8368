"""A recogniser over HTTP: the recording goes out, words come back, or why not."""

import asyncio
import io
import json
import wave

import numpy as np
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from rtnb.errors import EngineError
from rtnb.gateway.adapters.settings import SttSettings
from rtnb.gateway.adapters.transcription import ServedRecogniser
from tests.gateway.adapters.servers import PATIENCE_S, Model, Stalled, served

SPEECH = np.linspace(-0.5, 0.5, 16_000, dtype=np.float32)


def recognise(reply, **options):
    """Outcome of one go, and what the server was sent."""
    model = Model(replies=[reply], size=5)

    async def run(url):
        recogniser = ServedRecogniser(SttSettings(url=url, model="tiny", **options))
        await recogniser.start()
        listening = recogniser.utterance()
        for start in range(0, len(SPEECH), 1600):
            listening.feed(SPEECH[start : start + 1600])
        try:
            return await listening.finish()
        finally:
            await recogniser.close()

    with served(model) as url:
        return asyncio.run(asyncio.wait_for(run(url), PATIENCE_S)), model.requests[0]


def failure(reply, **options):
    with pytest.raises(EngineError) as caught:
        recognise(reply, **options)
    return str(caught.value)


def stream(*values, done=False):
    lines = [f"data: {json.dumps(value)}\n\n" for value in values]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def test_the_recording_is_sent_as_a_form_with_a_wav_file():
    heard, form = recognise(JSONResponse({"text": " Hello there. "}))
    assert (heard.text, heard.seconds) == ("Hello there.", 1.0)
    name, data = form.pop("file")
    assert name == "speech.wav"
    assert form == {"model": "tiny", "response_format": "json"}
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    np.testing.assert_allclose(samples, SPEECH, atol=1 / 32768)


def test_hints_go_along():
    hints = {"language": "en", "prompt": "Ada, Grace"}
    _, form = recognise(JSONResponse({"text": "Ada"}), **hints, stream=True)
    assert (form["language"], form["prompt"]) == tuple(hints.values())
    assert form["stream"] == "true"


ANSWERS = {
    "OpenAI, streamed": stream(
        {"type": "transcript.text.delta", "delta": "Grüß "},
        {"type": "transcript.text.delta", "delta": "dich."},
        {"type": "transcript.text.done", "text": "Grüß dich."},
    ),
    "without the whole": stream(
        {"type": "transcript.text.delta", "delta": "Grüß "},
        {"type": "transcript.text.delta", "delta": "dich."},
        done=True,
    ),
    "vLLM": stream(
        {"choices": [{"delta": {"content": "Grüß "}}]},
        {"choices": [{"delta": {"content": "dich."}}]},
        {"choices": []},
        done=True,
    ),
    "Speaches": stream({"text": "Grüß"}, {"text": "dich."}),
    "plain text": PlainTextResponse("Grüß dich.\n"),
    "JSON that says it is text": PlainTextResponse('{"text": "Grüß dich."}'),
    "JSON with more": JSONResponse({"text": "Grüß dich.", "segments": [], "usage": {}}),
}


@pytest.mark.parametrize("reply", ANSWERS.values(), ids=ANSWERS)
def test_words_are_found_in_every_form(reply):
    assert recognise(reply, stream=True)[0].text == "Grüß dich."


FAILURES = {
    "no words": (JSONResponse({"text": "  "}), "no words recognised in 1.0 s of audio"),
    "a refusal": (
        JSONResponse({"error": {"message": "too long"}}, 413),
        "413: too long",
    ),
    "no text": (JSONResponse({"segments": []}), "sent something that is no words"),
    "a list": (JSONResponse([]), "sent something that is no words"),
    "broken": (Response(b"{", media_type="application/json"), "is no words: '{'"),
    "an error on the way": (
        stream({"error": "out of memory"}),
        "failed: out of memory",
    ),
    "a broken stream": (b"data: {\n\n", "sent something that is no words: '{'"),
}


@pytest.mark.parametrize(("reply", "words"), FAILURES.values(), ids=FAILURES)
def test_failures_are_said_in_words(reply, words):
    assert words in failure(reply)


def test_silence_is_given_up():
    assert "was silent for 0.2 s" in failure(Stalled(b""), timeout=0.2)


def test_pauses_are_not_judged_and_nothing_is_sent_before_the_end():
    async def run():
        recogniser = ServedRecogniser(SttSettings(url="http://127.0.0.1:9/v1"))
        listening = recogniser.utterance()
        listening.feed(SPEECH)
        judged = await listening.judge()
        listening.cancel()
        return judged

    assert asyncio.run(run()) is None
