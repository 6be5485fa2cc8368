"""Bodies of the REST requests that stand beside the Realtime WebSocket.

References
----------
OpenAI API reference: "Create client secret", "Create speech".
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from rtnb.protocol.objects import VoiceId  # noqa: TC001 - msgspec reads annotations at run time
from rtnb.protocol.translation import TranslationRequest  # noqa: TC001 - the same
from rtnb.protocol.wire import Wire


class ExpiresAfter(Wire, frozen=True, kw_only=True):
    """How long a client secret lasts."""

    anchor: str = "created_at"
    seconds: int = 600
    """10 to 7200."""


class ClientSecretRequest(Wire, frozen=True, kw_only=True):
    """What a client secret is to open, and for how long."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] | UnsetType = UNSET
    """Settings of the sessions opened with it, as in a ``session.update``."""


class TranslationSecretRequest(Wire, frozen=True, kw_only=True):
    """What a client secret for translations is to open, and for how long."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: TranslationRequest


class SpeechRequest(Wire, frozen=True, kw_only=True):
    """Text to be spoken."""

    model: str
    input: str
    """1 to 4096 characters."""
    voice: str | VoiceId
    instructions: str = ""
    response_format: str = "mp3"
    speed: float = 1.0
    """0.25 to 4."""
    stream_format: str = "audio"
