"""A voice over HTTP: sound as it comes, words spread over it, refusals in words."""

import asyncio
import io
import wave
from contextlib import aclosing

import numpy as np
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from rtnb.errors import EngineError
from rtnb.gateway.adapters.settings import TtsSettings
from rtnb.gateway.adapters.speech import LETTERS_PER_S, SpeechVoice
from rtnb.gateway.parts import speech
from rtnb.gateway.voice import SAMPLE_RATE
from tests.gateway.adapters.servers import PATIENCE_S, Model, Stalled, served

TEXT = "one two three four"
SECOND = (np.sin(np.arange(SAMPLE_RATE) / 20) * 10_000).astype("<i2")
PCM = SECOND.tobytes()


def wav(samples, rate=SAMPLE_RATE, channels=1, width=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def spoken(
    *replies, text=TEXT, voice="marin", speed=1.0, size=4097, kind="", **options
):
    """Pieces of clauses, one for each reply, and what the server was asked."""
    model = Model(replies=list(replies), media_type=kind or "audio/pcm", size=size)

    async def run(url):
        mouth = SpeechVoice(TtsSettings(url=url, model="tiny", **options))
        clauses = []
        try:
            for _ in replies or [None]:
                pieces = speech(mouth, text, voice=voice, speed=speed)
                clauses.append([piece async for piece in pieces])
        finally:
            await mouth.close()
        return clauses

    with served(model) as url:
        clauses = asyncio.run(asyncio.wait_for(run(url), PATIENCE_S))
    return clauses, model.requests


def sound(pieces):
    return np.concatenate([piece.samples for piece in pieces])


def failure(reply, **options):
    with pytest.raises(EngineError) as caught:
        spoken(reply, **options)
    return str(caught.value)


@pytest.mark.parametrize("size", [1001, 4096, 10**6])
def test_pcm_is_played_to_the_sample_however_it_is_cut(size):
    (pieces,), (asked,) = spoken(PCM, size=size)
    np.testing.assert_allclose(sound(pieces), SECOND / 32768, atol=1e-7)
    assert max(len(piece.samples) for piece in pieces) <= SAMPLE_RATE // 4
    assert asked == {
        "model": "tiny",
        "input": TEXT,
        "voice": "marin",
        "response_format": "pcm",
    }


def test_sound_travels_before_the_clause_is_whole():
    model = Model(replies=[Stalled(PCM)], media_type="audio/pcm", size=4096)

    async def run(url):
        mouth = SpeechVoice(TtsSettings(url=url, model="tiny"))
        async with aclosing(speech(mouth, TEXT, voice="marin", speed=1.0)) as pieces:
            assert len((await anext(pieces)).samples) > 0
        await mouth.close()

    with served(model) as url:
        asyncio.run(asyncio.wait_for(run(url), PATIENCE_S))
        assert model.gone.wait(PATIENCE_S), "the server speaks on for nobody"


def test_every_word_comes_once_and_in_order_with_the_sound():
    (pieces,), _ = spoken(PCM)
    words = [word for piece in pieces for word in piece.words]
    assert [word.text for word in words] == TEXT.split()
    assert [TEXT[word.start : word.end] for word in words] == TEXT.split()
    heard_ms = 0.0
    for piece in pieces:
        length_ms = 1000 * len(piece.samples) / SAMPLE_RATE
        for word in piece.words:
            assert heard_ms <= word.at_ms <= heard_ms + length_ms
        heard_ms += length_ms


@pytest.mark.parametrize("speed", [1.0, 1.25])
@pytest.mark.parametrize("seconds", [0.2, 4])
def test_words_are_spread_at_the_pace_of_the_clause_before(seconds, speed):
    """The first clause goes by a guess, the second by what the first took."""
    reply = np.resize(SECOND, round(seconds * SAMPLE_RATE)).tobytes()
    (first, second), _ = spoken(reply, reply, speed=speed)
    starts = [TEXT.index(word) for word in TEXT.split()]
    guessed = [
        min(1000 * start / LETTERS_PER_S / speed, 1000 * seconds) for start in starts
    ]
    exact = [1000 * seconds * start / len(TEXT) for start in starts]
    for pieces, expected in ((first, guessed), (second, exact)):
        at = [word.at_ms for piece in pieces for word in piece.words]
        assert at == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [24_000, 22_050, 16_000])
def test_wav_of_any_rate_is_taken(rate, channels):
    length = np.arange(rate) / rate
    tone = (np.sin(2 * np.pi * 440 * length) * 16_384).astype("<i2")
    (pieces,), (asked,) = spoken(
        wav(np.repeat(tone, channels), rate, channels), format="wav", kind="audio/wav"
    )
    heard = sound(pieces)
    assert asked["response_format"] == "wav"
    assert len(heard) == pytest.approx(SAMPLE_RATE, abs=50)
    spectrum = np.abs(np.fft.rfft(heard, 10 * SAMPLE_RATE))
    assert np.argmax(spectrum) / 10 == pytest.approx(440, abs=1)
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.02)


def test_wav_is_known_by_its_beginning_even_where_pcm_was_asked_for():
    (pieces,), _ = spoken(wav(SECOND), size=5)
    np.testing.assert_allclose(sound(pieces), SECOND / 32768, atol=1e-7)


def test_a_rate_in_the_content_type_is_heeded():
    (pieces,), _ = spoken(PCM, kind="audio/pcm;rate=16000")
    assert len(sound(pieces)) == pytest.approx(1.5 * SAMPLE_RATE, abs=2)


@pytest.mark.parametrize(
    ("voice", "asked_for"), [("marin", "af_bella"), ("ash", "af_heart")]
)
def test_voices_are_translated(voice, asked_for):
    options = {"voice": "af_heart", "voices": {"marin": "af_bella"}}
    model = Model(replies=[PCM], media_type="audio/pcm", size=4096)

    async def run(url):
        mouth = SpeechVoice(TtsSettings(url=url, **options))
        async for _ in speech(mouth, TEXT, voice=voice, speed=1.0):
            pass
        await mouth.close()

    with served(model) as url:
        asyncio.run(run(url))
    assert model.requests[0]["voice"] == asked_for


def test_speed_is_passed_on():
    _, (asked,) = spoken(PCM, speed=1.25)
    assert asked["speed"] == 1.25


def test_a_clause_without_words_is_a_pause_that_nobody_is_asked_for():
    (pieces,), asked = spoken(text="…")
    assert asked == []
    assert len(sound(pieces)) == SAMPLE_RATE // 10


REFUSALS = {
    "an unknown voice": (
        JSONResponse({"detail": "no such voice"}, 400),
        "answered 400: no such voice; it was asked for the voice 'marin': where it has "
        "none of that name, give one that it has as voice",
    ),
    "nothing": (b"", "made no sound of 'one two three four'"),
    "JSON": (JSONResponse({"error": "busy"}), "sent no sound but words: busy"),
    "a page": (PlainTextResponse("Hello!"), "sent no sound but words: Hello!"),
    "mp3 by its type": (
        Response(b"\0" * 9, media_type="audio/mpeg"),
        "sent mpeg, which",
    ),
    "mp3 by its tag": (b"ID3\x04" + bytes(90), "sent mp3, which is not decoded here"),
    "ogg": (b"OggS" + bytes(90), "sent ogg"),
    "8 bits": (wav(SECOND[:80], width=1), "format 1 with 8 bits: 16-bit PCM is wanted"),
    "a strange rate": (wav(SECOND, rate=100), "sent sound at 100 Hz"),
    "a header alone": (b"RIFF" + bytes(90), "94 bytes that are no sound"),
    "an endless header": (b"RIFF" + bytes(2**17), "a WAV file without sound in it"),
    "a byte": (b"x", "1 bytes that are no sound"),
}


@pytest.mark.parametrize(("reply", "words"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_played_is_said_in_words(reply, words):
    assert words in failure(reply)
