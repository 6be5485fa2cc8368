"""A voice over HTTP: any ``/v1/audio/speech``, played while it is still being made.

Such servers do not say when a word is spoken. The transcript is spread over the sound by
the length of the words, at the pace of what the same voice said before; whatever is left
comes with the end of the clause.

References
----------
.. [1] OpenAI API reference, "Create speech": ``pcm`` is 24 kHz, 16 bits, signed,
   little-endian, mono, without a header.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rtnb.audio import StreamingResampler
from rtnb.errors import AudioFormatError
from rtnb.gateway.adapters.server import ModelServer, reason_in
from rtnb.gateway.voice import CHUNK_S, SAMPLE_RATE, Spoken, Word

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    import httpx

    from rtnb.audio import Samples
    from rtnb.gateway.adapters.settings import TtsSettings

PATH: Final = "/audio/speech"
LETTERS_PER_S: Final = 15.0
"""Pace that is assumed until a voice has been heard: 180 words a minute, the upper end of
what is comfortable in English, at five letters and a space a word."""

SILENCE_S: Final = 0.1
"""Length of a clause without a word, such as "…", which servers refuse."""

_WORD: Final = re.compile(r"\S+")
_MAGIC: Final = {b"ID3": "mp3", b"OggS": "ogg", b"fLaC": "flac"}
_COMPRESSED: Final = ("mpeg", "mp3", "ogg", "opus", "flac", "aac", "webm")
_LARGEST_HEADER: Final = 64 * 2**10
_RIFF: Final = b"RIFF"
_PCM, _EXTENSIBLE = 1, 0xFFFE
_BITS = 16


class SpeechVoice:
    """Speaks by a server.

    Parameters
    ----------
    settings : TtsSettings
        Which.

    Raises
    ------
    ConfigError
        If the key's variable is not set.

    Notes
    -----
    Belongs to the gateway's event loop. Closing the speech closes the connection.
    """

    def __init__(self, settings: TtsSettings) -> None:
        self._settings = settings
        self._server = ModelServer(settings, what="the voice")
        self._pace: dict[str, float] = {}

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0
    ) -> AsyncGenerator[Spoken]:
        """Speak a clause.

        Parameters
        ----------
        text : str
            Plain text.
        voice : str
            A voice of the session; `TtsSettings.voice_for` says what the server is asked
            for.
        speed : float, 0.25 to 1.5
            Pace; servers may ignore it.

        Yields
        ------
        Spoken
            Pieces of at most 250 ms; the last may be a few words without sound.

        Raises
        ------
        EngineError
            If the server fails, does not know the voice, or sends no such sound.
        """
        if not any(sign.isalnum() for sign in text):
            yield Spoken(np.zeros(round(SILENCE_S * SAMPLE_RATE), np.float32), ())
            return
        name = self._settings.voice_for(voice)
        words = _Words(text, self._pace.get(name, LETTERS_PER_S) * speed)
        body = body_of(text, self._settings, voice=name, speed=speed)
        async with self._server.post(PATH, hint=hint_of(name), json=body) as response:
            decoder = Decoder(response, self._server)
            async for chunk in response.aiter_bytes():
                for samples in _pieces(decoder.feed(chunk)):
                    yield Spoken(samples, words.during(samples))
            for samples in _pieces(decoder.end()):
                yield Spoken(samples, words.during(samples))
        if not words.samples:
            raise self._server.wrong(f"made no sound of {text[:60]!r}")
        self._pace[name] = len(text) / words.seconds / speed
        if rest := words.rest():
            yield Spoken(np.zeros(0, np.float32), rest)

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._server.close()


def body_of(
    text: str, settings: TtsSettings, *, voice: str, speed: float
) -> dict[str, Any]:
    """What is sent for a clause.

    Parameters
    ----------
    text : str
        The clause.
    settings : TtsSettings
        Model and format.
    voice : str
        As the server knows it.
    speed : float
        Left out where it is 1.

    Returns
    -------
    dict
        Body of the request.
    """
    body: dict[str, Any] = {
        "model": settings.model,
        "input": text,
        "voice": voice,
        "response_format": settings.format,
    }
    return body if speed == 1.0 else {**body, "speed": speed}


def hint_of(voice: str) -> str:
    """What to say where a server does not accept a clause.

    Parameters
    ----------
    voice : str
        That it was asked for.

    Returns
    -------
    str
        A clause.
    """
    return (
        f"it was asked for the voice {voice!r}: where it has none of that name, give "
        "one that it has as voice, or in voices, under [tts]"
    )


class _Words:
    """The words of a clause, spread over its sound as it comes."""

    def __init__(self, text: str, letters_per_s: float) -> None:
        ms = 1000 / letters_per_s
        self._waiting = [
            Word(found[0], found.start(), found.end(), found.start() * ms)
            for found in _WORD.finditer(text)
        ]
        self.samples = 0

    @property
    def seconds(self) -> float:
        """How much sound there was so far."""
        return self.samples / SAMPLE_RATE

    def during(self, samples: Samples) -> tuple[Word, ...]:
        """Words that begin in the next piece of sound."""
        self.samples += len(samples)
        count = sum(word.at_ms < 1000 * self.seconds for word in self._waiting)
        begun, self._waiting = self._waiting[:count], self._waiting[count:]
        return tuple(begun)

    def rest(self) -> tuple[Word, ...]:
        """Words for which there was less sound than expected."""
        end_ms = 1000 * self.seconds
        return tuple(
            Word(word.text, word.start, word.end, end_ms) for word in self._waiting
        )


class Decoder:
    """Bytes of a response, as sound: float32, mono, 24 kHz.

    Parameters
    ----------
    response : httpx.Response
        Its ``Content-Type`` may name a rate, as ``audio/pcm;rate=16000`` does.
    server : ModelServer
        Whom to blame.

    Notes
    -----
    A WAV header is known by its first bytes, whatever was asked for; its lengths are not
    heeded, for streamed ones do not know them.
    """

    def __init__(self, response: httpx.Response, server: ModelServer) -> None:
        self._server = server
        self._type = response.headers.get("content-type", "").lower()
        rate = re.search(r"rate=(\d+)", self._type)
        self._rest = b""
        self._header = True
        self._frame = 2
        self._resampler: StreamingResampler | None = None
        if rate is not None:
            self._listen_at(int(rate[1]))

    def feed(self, chunk: bytes) -> Samples:
        """Take bytes.

        Parameters
        ----------
        chunk : bytes
            Any part of the body.

        Returns
        -------
        float32 array, shape (n,)
            What can be made of them so far.

        Raises
        ------
        EngineError
            If it is no PCM of 16 bits.
        """
        self._rest += chunk
        if self._header and not self._begin():
            return np.zeros(0, np.float32)
        whole = len(self._rest) - len(self._rest) % self._frame
        data, self._rest = self._rest[:whole], self._rest[whole:]
        frames = np.frombuffer(data, "<i2").reshape(-1, self._frame // 2)
        samples: Samples = (frames.mean(axis=1) / 32768).astype(np.float32)
        return samples if self._resampler is None else self._resampler(samples)

    def end(self) -> Samples:
        """The body is over.

        Returns
        -------
        float32 array, shape (n,)
            What was held back.

        Raises
        ------
        EngineError
            If it ended before there was any sound.
        """
        if self._header and self._rest:
            raise self._server.wrong(
                f"sent {len(self._rest)} bytes that are no sound: {self._rest[:40]!r}"
            )
        if self._resampler is None:
            return np.zeros(0, np.float32)
        return self._resampler.flush()

    def _begin(self) -> bool:
        """Find out what the bytes are; False as long as too few are there."""
        if len(self._rest) < len(_RIFF):
            return False
        self._refuse_other_kinds()
        if not self._rest.startswith(_RIFF):
            self._header = False
            return True
        header = _wav_header(self._rest)
        if header is None:
            if len(self._rest) > _LARGEST_HEADER:
                raise self._server.wrong("sent a WAV file without sound in it")
            return False
        kind, channels, rate, bits, begin = header
        if kind not in (_PCM, _EXTENSIBLE) or bits != _BITS or not channels:
            raise self._server.wrong(
                f"sent a WAV file of format {kind} with {bits} bits: 16-bit PCM is wanted"
            )
        self._frame = 2 * channels
        self._listen_at(rate)
        self._rest, self._header = self._rest[begin:], False
        return True

    def _refuse_other_kinds(self) -> None:
        if "json" in self._type or "text/" in self._type:
            reason = reason_in(self._rest) or self._type
            raise self._server.wrong(f"sent no sound but words: {reason}")
        named = next((name for name in _COMPRESSED if name in self._type), None)
        found = (name for start, name in _MAGIC.items() if self._rest.startswith(start))
        if kind := next(found, named):
            raise self._server.wrong(
                f"sent {kind}, which is not decoded here: have it make pcm or wav "
                "(format, under [tts])"
            )

    def _listen_at(self, rate: int) -> None:
        if rate == SAMPLE_RATE:
            self._resampler = None
            return
        try:
            self._resampler = StreamingResampler(rate, SAMPLE_RATE)
        except AudioFormatError as error:
            raise self._server.wrong(f"sent sound at {rate} Hz: {error}") from error


def _wav_header(data: bytes) -> tuple[int, int, int, int, int] | None:
    """Format, channels, rate, bits and where the sound begins; None if not whole."""
    at, layout = 12, None
    while len(data) >= at + 8:
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"data":
            return None if layout is None else (*layout, at + 8)
        if name == b"fmt " and len(data) >= at + 24:
            kind, channels, rate, _, _, bits = struct.unpack_from(
                "<HHIIHH", data, at + 8
            )
            layout = (kind, channels, rate, bits)
        at += 8 + size + size % 2
    return None


def _pieces(samples: Samples) -> Iterator[Samples]:
    """Sound in pieces of at most `CHUNK_S`."""
    step = round(CHUNK_S * SAMPLE_RATE)
    for start in range(0, len(samples), step):
        yield samples[start : start + step]
