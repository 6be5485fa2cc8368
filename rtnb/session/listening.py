"""A recording in, its words out: a session that only listens, for one recording.

Such a session has a connection of its own, beside the conversation's, and ends with the
recording. Everything that waits here waits on the portal's loop; the caller's thread is
blocked until the words are there.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from msgspec import UNSET
from typing_extensions import override

from rtnb.errors import ConnectTimeout, ServerError
from rtnb.portal import portal
from rtnb.protocol import events as ev
from rtnb.protocol.codec import decode_server, encode
from rtnb.session.book import server_error
from rtnb.session.sound import wire_audio
from rtnb.usage import Cost, cost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from rtnb.session.sound import Sound
    from rtnb.transport import Transport
    from rtnb.usage import TranscriptionUsage

T = TypeVar("T")

TRANSCRIBER: Final = "gpt-transcribe"
"""Who writes down where nobody else is asked for: it takes a language and a prompt."""

PATIENCE_SECONDS: Final = 60.0
"""How long the words of a recording may take."""

LOGPROBS: Final = "item.input_audio_transcription.logprobs"
"""What is included where the model tells it."""

TELLS_PROBABILITIES: Final = ("gpt-4o-transcribe", "gpt-4o-mini-transcribe")
"""Models that do, according to the API reference, and not their diarizing kind."""


@dataclass(frozen=True)
class Word:
    """A word of a transcript.

    Parameters
    ----------
    text : str
        As it is written, with its punctuation.
    probability : float or None
        From 0 to 1: that it is this word; None where the server does not say.
    """

    text: str
    probability: float | None = None


@dataclass(frozen=True)
class TranscriptSegment:
    """What one speaker said, and when.

    Parameters
    ----------
    text : str
        The words.
    speaker : str
        Name that the server gives the speaker.
    start_s, end_s : float
        Where it is in the recording, seconds.
    """

    text: str
    speaker: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Transcription:
    """What is said in a recording. Made by `Session.transcribe`; ``str`` is its text.

    Parameters
    ----------
    text : str
        All of it; empty where nothing is said.
    words : tuple of Word
        The words of the text.
    segments : tuple of TranscriptSegment
        With times and speakers, from a model that tells them; else empty.
    deltas : tuple of str
        The pieces in which the text came.
    usage : TranscriptionTokens, TranscriptionDuration or None
        What it used; None where the server does not say.
    cost : Cost
        At the price of the model; with the embedded engine, what it would cost.
    model : str
        Who wrote it down.
    item_id : str
        Identifier that the server gave the recording.
    """

    text: str
    words: tuple[Word, ...]
    segments: tuple[TranscriptSegment, ...]
    deltas: tuple[str, ...] = field(repr=False)
    usage: TranscriptionUsage | None
    cost: Cost
    model: str
    item_id: str = field(repr=False)

    @override
    def __str__(self) -> str:
        return self.text


# -- a connection for one recording ------------------------------------------------------


class Line:
    """A connection that carries events, and on which an ``error`` ends the work.

    Parameters
    ----------
    transport : Transport
        Open.
    decode : callable
        Reads a message.
    """

    def __init__(
        self, transport: Transport, decode: Callable[[str | bytes], Any]
    ) -> None:
        self._transport = transport
        self._decode = decode

    async def receive(self) -> Any:
        """Return the next event.

        Raises
        ------
        ServerError
            If it is an ``error``.
        ConnectionLost
            If none will come.
        """
        event = self._decode(await self._transport.receive())
        if isinstance(event, ev.Error):
            raise server_error(event.error)
        return event

    async def until(self, kind: type) -> None:
        """Wait for an event; those before it are dropped."""
        while not isinstance(await self.receive(), kind):
            pass

    async def begin(self, created: type, update: Any, updated: type) -> None:
        """Wait for the session, and have its settings accepted."""
        await self.until(created)
        await self._send([update])
        await self.until(updated)

    @asynccontextmanager
    async def sending(self, events: Iterable[Any]) -> AsyncIterator[None]:
        """Send events, as fast as the link takes them, while others are received."""
        sender = asyncio.create_task(self._send(events))
        try:
            yield
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, events: Iterable[Any]) -> None:
        for event in events:
            await self._transport.send(encode(event))


def on_a_line(
    open_transport: Callable[[], Awaitable[Transport]],
    work: Callable[[Line], Awaitable[T]],
    *,
    decode: Callable[[str | bytes], Any],
    timeout: float,
) -> T:
    """Open a connection, do something on it, and close it whatever happens.

    Parameters
    ----------
    open_transport : callable
        Opens the connection.
    work : callable
        What is done on it.
    decode : callable
        Reads a message.
    timeout : float
        Seconds for all of it.

    Returns
    -------
    object
        What `work` returned.

    Raises
    ------
    TimeoutError
        If it takes longer.
    RuntimeError
        On the portal's own thread, which would wait for itself.

    Notes
    -----
    May be called from any other thread, which it blocks. An interrupt closes the
    connection, too.
    """

    async def held() -> T:
        try:
            async with asyncio.timeout(timeout):
                transport = await open_transport()
                try:
                    return await work(Line(transport, decode))
                finally:
                    await transport.close()
        except ConnectTimeout:
            raise
        except TimeoutError:
            raise TimeoutError(
                f"not finished within {timeout:g} s: give a long recording, or a slow "
                "server, a longer timeout="
            ) from None

    return portal().run(held())


# -- transcription -----------------------------------------------------------------------


def transcription_url(url: str, *, relayed: bool = False) -> str:
    """Address of a transcription session, from that of a conversation.

    Parameters
    ----------
    url : str
        Of the conversation; its model goes, for it would make another one.
    relayed : bool
        Whether a relay adds to the address what it was not told to leave out.

    Examples
    --------
    >>> transcription_url("wss://host/v1/realtime?model=gpt-realtime")
    'wss://host/v1/realtime?intent=transcription'
    """
    parts = urlsplit(url)
    kept = [pair for pair in parse_qsl(parts.query) if pair[0] not in _OF_THE_KIND]
    query = [*kept, ("intent", "transcription"), *([("model", "")] if relayed else [])]
    return urlunsplit(parts._replace(query=urlencode(query)))


_OF_THE_KIND: Final = ("model", "intent")
"""What in an address decides the kind of a session."""


def transcribe(
    open_transport: Callable[[], Awaitable[Transport]],
    audio: Sound,
    *,
    sample_rate: int | None,
    model: str,
    language: str | None,
    prompt: str | None,
    timeout: float,
) -> Transcription:
    """Have a recording written down; see `Session.transcribe`."""
    sound = wire_audio(
        audio, sample_rate, wire_format=ev.AudioPcm(rate=24_000), detection=None
    )
    update = ev.SessionUpdate(session=_settings(model, language, prompt))
    appends = [ev.InputAudioBufferAppend(audio=chunk) for chunk in sound.chunks]

    async def write_down(line: Line) -> Transcription:
        await line.begin(ev.SessionCreated, update, ev.SessionUpdated)
        async with line.sending([*appends, ev.InputAudioBufferCommit()]):
            return await _gathered(line, model)

    return on_a_line(open_transport, write_down, decode=decode_server, timeout=timeout)


def _settings(
    model: str, language: str | None, prompt: str | None
) -> ev.TranscriptionSession:
    """One turn, ended by hand, and what the model is to know."""
    family = model.partition("-20")[0]
    config = ev.InputAudioTranscription(
        model=model,
        language=UNSET if language is None else language,
        prompt=UNSET if prompt is None else prompt,
    )
    heard = ev.AudioInput(transcription=config, turn_detection=None)
    return ev.TranscriptionSession(
        audio=ev.TranscriptionAudioConfig(input=heard),
        include=[LOGPROBS] if family in TELLS_PROBABILITIES else UNSET,
    )


async def _gathered(line: Line, model: str) -> Transcription:
    """What the server says of the recording, until it has said all."""
    deltas: list[str] = []
    segments: list[TranscriptSegment] = []
    while True:
        match await line.receive():
            case ev.ConversationItemInputAudioTranscriptionDelta(delta=str(delta)):
                deltas.append(delta)
            case ev.ConversationItemInputAudioTranscriptionSegment() as part:
                segments.append(
                    TranscriptSegment(part.text, part.speaker, part.start, part.end)
                )
            case ev.ConversationItemInputAudioTranscriptionFailed(error=error):
                raise _failure(error)
            case ev.ConversationItemInputAudioTranscriptionCompleted() as done:
                return Transcription(
                    text=done.transcript,
                    words=words_of(done.transcript, done.logprobs or ()),
                    segments=tuple(segments),
                    deltas=tuple(deltas),
                    usage=done.usage or None,
                    cost=_cost(done.usage or None, model),
                    model=model,
                    item_id=done.item_id,
                )


def _cost(usage: TranscriptionUsage | None, model: str) -> Cost:
    return Cost(usd=None, model=model) if usage is None else cost(usage, model)


def _failure(error: ev.TranscriptionError) -> ServerError:
    return ServerError(
        error.message or "The recording could not be transcribed.",
        type=error.type or None,
        code=error.code or None,
        param=error.param or None,
    )


def words_of(text: str, logprobs: Sequence[ev.LogProb]) -> tuple[Word, ...]:
    """Words of a text, with the probabilities of the tokens that they are made of.

    Parameters
    ----------
    text : str
        What was said.
    logprobs : sequence of LogProb
        Of the text's tokens, in order; a word may be made of several.

    Returns
    -------
    tuple of Word
        Without probabilities if the tokens do not make the text.

    Examples
    --------
    >>> words_of("Oh, well", [])
    (Word(text='Oh,', probability=None), Word(text='well', probability=None))
    """
    tokens = iter(logprobs)
    words = []
    for word in text.split():
        spelt, logprob = "", 0.0
        while len(spelt) < len(word) and (token := next(tokens, None)) is not None:
            spelt += token.token.strip()
            logprob += token.logprob
        if spelt != word:
            return tuple(Word(each) for each in text.split())
        words.append(Word(word, math.exp(logprob)))
    return tuple(words)
