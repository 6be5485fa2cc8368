"""The vocabulary of a translation session, which shares only ``error`` with the others.

Audio goes in without end, and comes out in another language: no items, no turns, no
responses. A class is named after its event, in CamelCase. ``elapsed_ms`` counts the audio
appended to the session, in steps of 200 ms.

References
----------
OpenAI Realtime API, ``/v1/realtime/translations``.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import UNSET, UnsetType

from rtnb.protocol.objects import NoiseReduction  # noqa: TC001 - read at run time
from rtnb.protocol.server_events import Error
from rtnb.protocol.wire import Wire, type_name

# -- the session -------------------------------------------------------------------------


class SourceTranscription(Wire, frozen=True, kw_only=True):
    """Transcripts of what is said in the source language."""

    model: str


class TranslationInput(Wire, frozen=True, kw_only=True):
    """Everything about the speaker's audio."""

    transcription: SourceTranscription | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET


class TranslationOutput(Wire, frozen=True, kw_only=True):
    """Everything about the translation."""

    language: str | UnsetType = UNSET
    """ISO 639-1 code."""


class TranslationAudio(Wire, frozen=True, kw_only=True):
    """Audio of a translation session, both ways."""

    input: TranslationInput | UnsetType = UNSET
    output: TranslationOutput | UnsetType = UNSET


class TranslationUpdate(Wire, frozen=True, kw_only=True):
    """The settings that can change."""

    audio: TranslationAudio | UnsetType = UNSET


class TranslationRequest(Wire, frozen=True, kw_only=True):
    """The settings that a session is asked for with."""

    model: str
    audio: TranslationAudio | UnsetType = UNSET


class TranslationSession(
    Wire, frozen=True, kw_only=True, tag_field="type", tag="translation"
):
    """A translation session: its effective settings."""

    id: str
    model: str
    expires_at: int
    """Seconds since the epoch."""
    audio: TranslationAudio


# -- from the client ---------------------------------------------------------------------


class _ClientEvent(Wire, frozen=True, kw_only=True, tag_field="type"):
    event_id: str | UnsetType = UNSET


class SessionUpdate(_ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    """Change the given settings, all or nothing."""

    session: TranslationUpdate


class SessionInputAudioBufferAppend(
    _ClientEvent, frozen=True, kw_only=True, tag="session.input_audio_buffer.append"
):
    """Append audio, PCM16 mono at 24 kHz; not acknowledged."""

    audio: bytes


class SessionClose(_ClientEvent, frozen=True, kw_only=True, tag="session.close"):
    """Translate what was said, and end."""


TranslationClientEvent: TypeAlias = (
    SessionUpdate | SessionInputAudioBufferAppend | SessionClose
)

TRANSLATION_CLIENT_EVENTS: dict[str, type[TranslationClientEvent]] = {
    type_name(cls): cls for cls in TranslationClientEvent.__args__
}
"""Wire name → class."""

# -- from the server ---------------------------------------------------------------------


class _ServerEvent(Wire, frozen=True, kw_only=True, tag_field="type"):
    event_id: str | UnsetType = UNSET


class SessionCreated(_ServerEvent, frozen=True, kw_only=True, tag="session.created"):
    """The first event of a connection: the session with all its defaults."""

    session: TranslationSession


class SessionUpdated(_ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """A ``session.update`` was accepted: the whole effective session."""

    session: TranslationSession


class SessionClosed(_ServerEvent, frozen=True, kw_only=True, tag="session.closed"):
    """Everything was translated; the last event."""


class SessionInputTranscriptDelta(
    _ServerEvent, frozen=True, kw_only=True, tag="session.input_transcript.delta"
):
    """More of what was said; the pieces are joined as they are."""

    delta: str
    elapsed_ms: int | UnsetType = UNSET


class SessionOutputTranscriptDelta(
    _ServerEvent, frozen=True, kw_only=True, tag="session.output_transcript.delta"
):
    """More of the translation; the pieces are joined as they are."""

    delta: str
    elapsed_ms: int | UnsetType = UNSET


class SessionOutputAudioDelta(
    _ServerEvent, frozen=True, kw_only=True, tag="session.output_audio.delta"
):
    """More of the translation's sound: PCM16, of any length."""

    delta: bytes
    sample_rate: int | UnsetType = UNSET
    channels: int | UnsetType = UNSET
    format: str | UnsetType = UNSET
    elapsed_ms: int | UnsetType = UNSET


TranslationServerEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | SessionClosed
    | SessionInputTranscriptDelta
    | SessionOutputTranscriptDelta
    | SessionOutputAudioDelta
    | Error
)

TRANSLATION_SERVER_EVENTS: dict[str, type[TranslationServerEvent]] = {
    type_name(cls): cls for cls in TranslationServerEvent.__args__
}
"""Wire name → class."""
