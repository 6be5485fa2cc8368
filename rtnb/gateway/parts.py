"""What a gateway is put together from: ears, a mind and a mouth of any make.

The mind is a `rtnb.gateway.responder.Responder`. The other two are described here; those
that come with the package are `rtnb.gateway.recogniser.Recogniser` and
`rtnb.gateway.voice.Voice`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from rtnb.audio import Samples
    from rtnb.gateway.recogniser import Transcript
    from rtnb.gateway.voice import Spoken
    from rtnb.protocol.server import HeardWord


class Listening(Protocol):
    """One go of the user, listened to while it is spoken."""

    def feed(self, samples: Samples) -> None:
        """Take audio, float32 at 16 kHz; returns at once."""

    async def judge(self) -> float | None:
        """How likely the words so far end a sentence.

        Returns
        -------
        float or None
            From 0 to 1. None if nothing can be said: the pause then counts as judged
            `rtnb.vad.semantic.UNJUDGED`, so ``semantic_vad`` goes by silence alone.

        Raises
        ------
        EngineError
            If the recogniser failed; this too counts as nothing said.
        """

    async def draft(self) -> Sequence[HeardWord]:
        """The words so far, from the beginning; it goes on.

        Returns
        -------
        sequence of HeardWord
            They may still change. Empty if nothing can be said before the end.

        Raises
        ------
        EngineError
            If the recogniser failed; this too counts as nothing said.
        """

    async def finish(self) -> Transcript:
        """End it and wait for its words.

        Raises
        ------
        EngineError
            If there are none: why; a `rtnb.gateway.recogniser.NoWordsError` if that is
            because nobody spoke.
        """

    def cancel(self) -> None:
        """Forget it."""


class SpeechToText(Protocol):
    """Ears that write down words."""

    async def start(self) -> None:
        """Get ready; returns at once."""

    def utterance(self) -> Listening:
        """Begin to listen."""

    async def close(self) -> None:
        """Let go of everything."""


class TextToSpeech(Protocol):
    """A mouth."""

    def speak(
        self, text: str, *, voice: str, speed: float
    ) -> Iterable[Spoken] | AsyncIterable[Spoken]:
        """Speak a clause: pieces of sound with the words that begin in each.

        Raises
        ------
        EngineError
            If it cannot, here or while the pieces are made.
        """


def in_language(mouth: TextToSpeech, language: str) -> TextToSpeech:
    """The mouth that speaks a language.

    Parameters
    ----------
    mouth : TextToSpeech
        Any; one that has a voice for each language says so by a method ``in_language``.
    language : str
        ISO 639-1 code.

    Returns
    -------
    TextToSpeech
        The mouth itself where it makes no difference between languages.
    """
    choose = getattr(mouth, "in_language", None)
    return choose(language) if callable(choose) else mouth


async def speech(
    mouth: TextToSpeech, text: str, *, voice: str, speed: float
) -> AsyncGenerator[Spoken]:
    """Speak a clause, wherever its sound is made.

    Parameters
    ----------
    mouth : TextToSpeech
        Who speaks.
    text : str
        The clause.
    voice : str
        A voice of the session.
    speed : float, 0.25 to 1.5
        Pace.

    Yields
    ------
    Spoken
        Its pieces.

    Raises
    ------
    EngineError
        What the mouth raises.

    Notes
    -----
    What blocks runs in a worker thread, one piece at a time, and closing waits for the
    piece being made; what is asynchronous runs in the event loop and is closed at once.
    """
    spoken = mouth.speak(text, voice=voice, speed=speed)
    pieces = (
        _awaited(spoken) if isinstance(spoken, AsyncIterable) else _threaded(spoken)
    )
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            yield piece


async def close(part: object) -> None:
    """Close a part that can be closed.

    Parameters
    ----------
    part : object
        Any; its `close` may be asynchronous or not, and need not be.
    """
    closing = getattr(part, "close", None)
    if callable(closing):
        done = closing()
        if inspect.isawaitable(done):
            await done


async def _awaited(spoken: AsyncIterable[Spoken]) -> AsyncGenerator[Spoken]:
    pieces: Any = aiter(spoken)
    try:
        async for piece in pieces:
            yield piece
    finally:
        if hasattr(pieces, "aclose"):
            await pieces.aclose()


async def _threaded(spoken: Iterable[Spoken]) -> AsyncGenerator[Spoken]:
    pieces: Any = iter(spoken)
    end = object()
    step: asyncio.Future[Any] | None = None
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, pieces, end))
            piece = await asyncio.shield(step)
            if piece is end:
                return
            yield piece
    finally:
        if step is not None and not step.done():
            with contextlib.suppress(Exception):
                await step
        if hasattr(pieces, "close"):
            pieces.close()
