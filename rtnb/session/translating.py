"""A recording in, and out again in another language: words and sound."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from typing_extensions import override

from rtnb.audio import Clip
from rtnb.local import local_gateway
from rtnb.protocol import events as ev
from rtnb.protocol import translation as tr
from rtnb.protocol.codec import decode_translation
from rtnb.session.connect import (
    check_provider,
    embedded_endpoint,
    provider_endpoint,
)
from rtnb.session.listening import PATIENCE_SECONDS, Line, on_a_line
from rtnb.session.session import open_endpoint
from rtnb.session.sound import wire_audio
from rtnb.usage import Cost, TranscriptionDuration, cost

if TYPE_CHECKING:
    from rtnb.session.session import Endpoint
    from rtnb.session.sound import Sound

TRANSLATOR: Final = "gpt-realtime-translate"
"""Who translates where nobody else is asked for; on Azure, deployments have names."""

SOURCE_TRANSCRIBER: Final = "gpt-realtime-whisper"
"""Who writes down what is said in the source language."""

SAMPLE_RATE: Final = 24_000
"""Hz, of the sound that goes in and comes out."""


@dataclass(frozen=True)
class Translation:
    """What is said in a recording, in another language; ``str`` is its text.

    Parameters
    ----------
    text : str
        The translation; empty where nothing is said.
    audio : Clip
        The translation, spoken; 24 kHz.
    source_text : str
        What was heard in the source language.
    language : str
        What it was translated into, ISO 639-1.
    cost : Cost
        At the price of a minute of the model, computed here, for the server reports no
        usage; with the embedded engine, what it would cost.
    """

    text: str
    audio: Clip = field(repr=False)
    source_text: str
    language: str
    cost: Cost

    @override
    def __str__(self) -> str:
        return self.text


def translate(
    clip: Sound,
    *,
    language: str = "es",
    provider: Literal["embedded", "openai", "azure"] = "embedded",
    model: str | None = None,
    url: str | None = None,
    api_key: str | None = None,
    sample_rate: int | None = None,
    timeout: float = PATIENCE_SECONDS,
) -> Translation:
    """Have a recording said in another language.

    Parameters
    ----------
    clip : Clip, path, array or bytes
        What is said, at least 100 ms; see `Session.send_audio`.
    language : str, default "es"
        What to translate into, ISO 639-1.
    provider : "embedded", "openai" or "azure"
        Who translates. The embedded engine has a phrase book with the sentences of the
        tutorial in Spanish, French and German, and says of any other, in that language,
        that it is not in there. It costs nothing.
    model : str, optional
        Of the provider: by default ``gpt-realtime-translate``; on Azure, the deployment.
    url : str, optional
        Of a compatible server instead, see `connect`.
    api_key : str, optional
        See `connect`. It is sent in a header and shown nowhere.
    sample_rate : int, optional
        Hz, of an array or of bytes.
    timeout : float, default 60
        Seconds that it may take, besides the start of the embedded engine.

    Returns
    -------
    Translation
        Words and sound.

    Raises
    ------
    AudioFormatError
        If it is no audio that can be sent, or too short.
    ConfigError
        If the arguments do not go together, or there is no key.
    ConnectError
        If the server does not let us in.
    ConnectionLost
        If the connection ends before the translation is complete.
    ServerError
        If the server does not know the language, or cannot translate.
    TimeoutError
        If it takes longer than `timeout`.

    Notes
    -----
    Blocks; may be called from any thread. The connection is closed in any case. The
    embedded engine is the one that sessions of this process share: it goes on, for the
    next of them, and ends with the process.

    Examples
    --------
    >>> import rtnb
    >>> print(rtnb.translate(rtnb.Clip.example("austen-0880"), language="de"))
    Er war kein übelgesinnter junger Mann.
    """
    endpoint = _endpoint(provider, model, url, api_key)
    sound = wire_audio(
        clip, sample_rate, wire_format=ev.AudioPcm(rate=SAMPLE_RATE), detection=None
    )
    appends = [tr.SessionInputAudioBufferAppend(audio=each) for each in sound.chunks]
    seconds = len(sound.data) / sound.bytes_per_ms / 1000
    price = cost(TranscriptionDuration(seconds=seconds), model or TRANSLATOR)

    async def interpret(line: Line) -> Translation:
        await line.begin(tr.SessionCreated, _settings(language), tr.SessionUpdated)
        async with line.sending([*appends, tr.SessionClose()]):
            return await _gathered(line, language, price)

    return on_a_line(
        lambda: open_endpoint(endpoint),
        interpret,
        decode=decode_translation,
        timeout=timeout,
    )


def _endpoint(
    provider: Literal["embedded", "openai", "azure"],
    model: str | None,
    url: str | None,
    api_key: str | None,
) -> Endpoint:
    """Where translation sessions are opened."""
    check_provider(provider, url=url, api_key=api_key)
    if model is None and provider != "azure":
        model = TRANSLATOR
    if provider == "embedded" and url is None:
        endpoint = embedded_endpoint(local_gateway(), model)
    else:
        endpoint = provider_endpoint(provider, model=model, url=url, api_key=api_key)
    parts = urlsplit(endpoint.url)
    path = f"{parts.path.rstrip('/').removesuffix('/translations')}/translations"
    return replace(endpoint, url=urlunsplit(parts._replace(path=path)))


def _settings(language: str) -> tr.SessionUpdate:
    transcription = tr.SourceTranscription(model=SOURCE_TRANSCRIBER)
    audio = tr.TranslationAudio(
        input=tr.TranslationInput(transcription=transcription),
        output=tr.TranslationOutput(language=language),
    )
    return tr.SessionUpdate(session=tr.TranslationUpdate(audio=audio))


async def _gathered(line: Line, language: str, price: Cost) -> Translation:
    """What the server says, until it has said all."""
    source, text, sound = [], [], []
    while True:
        match await line.receive():
            case tr.SessionInputTranscriptDelta(delta=delta):
                source.append(delta)
            case tr.SessionOutputTranscriptDelta(delta=delta):
                text.append(delta)
            case tr.SessionOutputAudioDelta(delta=data):
                sound.append(data)
            case tr.SessionClosed():
                return Translation(
                    text="".join(text),
                    audio=Clip.from_pcm16(b"".join(sound), SAMPLE_RATE),
                    source_text="".join(source),
                    language=language,
                    cost=price,
                )
