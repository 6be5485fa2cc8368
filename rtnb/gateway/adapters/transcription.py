"""A recogniser over HTTP: any ``/v1/audio/transcriptions``.

The audio of a go is kept while it is spoken and sent when it is over, as a WAV file of
16 kHz. So the words come a little later than those of the embedded recogniser, which
listens along; and pauses cannot be judged by them: `WholeListening.judge` has nothing
to say, and ``semantic_vad`` waits 0.7, 1.2 or 2.2 s of silence by its eagerness
(`rtnb.vad.semantic.UNJUDGED`).

References
----------
.. [1] OpenAI API reference, "Create transcription", with and without ``stream``. The
   chunks of vLLM and the segments of Speaches are understood as well.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from typing_extensions import override

from rtnb.audio.files import wav_bytes
from rtnb.gateway.adapters.server import ModelServer
from rtnb.gateway.adapters.sse import EventStream
from rtnb.gateway.recogniser import NoWordsError, Transcript
from rtnb.vad.listener import SAMPLE_RATE

if TYPE_CHECKING:
    import httpx

    from rtnb.audio import Samples
    from rtnb.gateway.adapters.settings import SttSettings
    from rtnb.protocol.server import HeardWord

PATH: Final = "/audio/transcriptions"
DONE: Final = "[DONE]"


class ServedRecogniser:
    """Writes down what is said, by a server.

    Parameters
    ----------
    settings : SttSettings
        Which.

    Raises
    ------
    ConfigError
        If the key's variable is not set.
    """

    def __init__(self, settings: SttSettings) -> None:
        self._settings = settings
        self._server = ModelServer(settings, what="the recogniser")

    async def start(self) -> None:
        """Nothing is to be got ready."""

    def utterance(self) -> ServedListening:
        """Begin to listen.

        Returns
        -------
        ServedListening
            To be fed.
        """
        return ServedListening(self)

    async def transcribe(self, samples: Samples) -> str:
        """Have a recording written down.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            At 16 kHz.

        Returns
        -------
        str
            The words; perhaps none.

        Raises
        ------
        EngineError
            If the server fails.
        """
        form = form_of(self._settings)
        files = {"file": ("speech.wav", wav_bytes(samples, SAMPLE_RATE), "audio/wav")}
        async with self._server.post(PATH, data=form, files=files) as response:
            kind = response.headers.get("content-type", "").lower()
            if kind.startswith("text/event-stream"):
                return await self._streamed(response)
            return self._text(await self._server.whole(response), kind)

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._server.close()

    async def _streamed(self, response: httpx.Response) -> str:
        events = EventStream()
        words = _Words()
        async for data in response.aiter_bytes():
            for event in events.feed(data):
                self._take(words, event)
        for event in events.end():
            self._take(words, event)
        return words.text

    def _take(self, words: _Words, event: str) -> None:
        if event.strip() == DONE:
            return
        try:
            value = json.loads(event)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._server.wrong(f"sent something that is no words: {event[:80]!r}")
        if error := value.get("error"):
            raise self._server.wrong(f"failed: {error}")
        words.take(value)

    def _text(self, body: bytes, kind: str) -> str:
        """Words of an answer in one piece: JSON, or plain text."""
        text = body.decode("utf-8", "replace")
        if "json" not in kind and not text.lstrip().startswith("{"):
            return text.strip()
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            raise self._server.wrong(f"sent something that is no words: {text[:80]!r}")
        return str(value["text"]).strip()


class _Words:
    """Words that come piece by piece, and perhaps whole at the end."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._whole: str | None = None

    @property
    def text(self) -> str:
        whole = "".join(self._pieces) if self._whole is None else self._whole
        return whole.strip()

    def take(self, value: dict[str, Any]) -> None:
        match value:
            case {"type": "transcript.text.done", "text": str(text)}:
                self._whole = text
            case {"type": "transcript.text.delta", "delta": str(text)}:
                self._pieces.append(text)
            case {"choices": [{"delta": {"content": str(text)}}, *_]}:
                self._pieces.append(text)
            case {"text": str(text)}:
                self._pieces.append(text if text.startswith(" ") else f" {text}")


class WholeListening(ABC):
    """One go of the user, written down when it is over: nothing is heard of it before."""

    def __init__(self) -> None:
        self._heard: list[Samples] = []

    def feed(self, samples: Samples) -> None:
        """Take audio.

        Parameters
        ----------
        samples : float32 array, shape (n,)
            At 16 kHz.
        """
        self._heard.append(samples)

    async def judge(self) -> None:  # noqa: B027 - no maker of these can judge
        """Nothing can be said before the end."""

    async def draft(self) -> tuple[HeardWord, ...]:
        """Nothing is written before the end."""
        return ()

    async def finish(self) -> Transcript:
        """Have it written down.

        Returns
        -------
        Transcript
            The words.

        Raises
        ------
        EngineError
            If that fails, or there were no words.
        """
        samples = np.concatenate((np.zeros(0, np.float32), *self._heard))
        return transcript(await self._write(samples), samples)

    def cancel(self) -> None:
        """Forget it."""
        self._heard.clear()

    @abstractmethod
    async def _write(self, samples: Samples) -> str:
        """Write it down; float32 at 16 kHz."""


class ServedListening(WholeListening):
    """One go of the user, that a server writes down.

    Parameters
    ----------
    recogniser : ServedRecogniser
        Who writes it down.
    """

    def __init__(self, recogniser: ServedRecogniser) -> None:
        super().__init__()
        self._recogniser = recogniser

    @override
    async def _write(self, samples: Samples) -> str:
        return await self._recogniser.transcribe(samples)


def form_of(settings: SttSettings) -> dict[str, str]:
    """Fields that go with the recording.

    Parameters
    ----------
    settings : SttSettings
        Model and hints.

    Returns
    -------
    dict of str to str
        What is not set is left out.
    """
    form = {"model": settings.model, "response_format": "json"}
    if settings.language:
        form["language"] = settings.language
    if settings.prompt:
        form["prompt"] = settings.prompt
    if settings.stream:
        form["stream"] = "true"
    return form


def transcript(text: str, samples: Samples) -> Transcript:
    """The outcome of a go.

    Parameters
    ----------
    text : str
        The words.
    samples : float32 array, shape (n,)
        At 16 kHz, that they are of.

    Returns
    -------
    Transcript
        Words and length.

    Raises
    ------
    NoWordsError
        If there are no words.
    """
    seconds = len(samples) / SAMPLE_RATE
    if not text:
        raise NoWordsError(f"no words recognised in {seconds:.1f} s of audio")
    return Transcript(text, seconds)
