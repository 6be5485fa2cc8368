"""A transcription session: it writes down what it hears, and answers nothing.

The session is opened with ``intent=transcription``, or with a client secret that was made
for one. Its vocabulary is the conversation's without the responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from typing_extensions import override

from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.protocol.server.listening import ListeningMachine
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.protocol.server.settings import (
    SESSION_SECONDS,
    Settings,
    merge_session,
    vad_defaults,
)
from rtnb.protocol.server.transcripts import (
    DIARIZING_MODEL,
    LANGUAGE_MODEL,
)
from rtnb.protocol.validation import validate_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIVE_MODELS: Final = ("gpt-live-transcribe", "gpt-realtime-whisper")
"""Models that write while they listen; the others begin when the audio is committed."""

KNOWN_MODELS: Final = (
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
    "whisper-1",
)
"""Models whose options are known. Of any other nothing is refused: it is the user's."""

TURN_FIELDS: Final = (
    "type",
    "threshold",
    "prefix_padding_ms",
    "silence_duration_ms",
    "eagerness",
)
"""What turn detection means here; what it says of responses is ignored, as documented."""


def default_transcription(session_id: str, now: float) -> dict[str, Any]:
    """The session object of a fresh connection, with every documented default."""
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session_id,
        "expires_at": int(now) + SESSION_SECONDS,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": SAMPLE_RATE},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": _turns(vad_defaults("server_vad")),
            }
        },
        "include": None,
    }


class TranscriptionSettings(Settings):
    """Settings of a transcription session.

    Notes
    -----
    Models that write while they listen know no turns. The service refuses them turn
    detection and yet begins with ``server_vad``; here it goes by itself when such a
    model is chosen and nothing is said of it, and what is asked for is refused.
    """

    def update(self, patch: dict[str, Any]) -> None:
        """Take an update, or refuse it whole.

        Parameters
        ----------
        patch : dict
            The ``session`` of a ``session.update``.

        Raises
        ------
        ServerError
            If a value cannot be, or not with the model that transcribes.
        """
        self._refuse_fixed(patch)
        wanted = merge_session(self.raw, patch)
        heard = wanted["audio"]["input"]
        asked = patch.get("audio", {}).get("input", {})
        if _is_live(heard) and "turn_detection" not in asked:
            heard["turn_detection"] = None
        if heard["turn_detection"] is not None:
            heard["turn_detection"] = _turns(heard["turn_detection"])
        validate_session(wanted)
        _check_options(heard)
        self.raw, self.session = wanted, _shown(wanted)

    @property
    @override
    def writes_live(self) -> bool:
        """Whether the model writes while it listens."""
        return _is_live(self.raw["audio"]["input"])


def _is_live(heard: dict[str, Any]) -> bool:
    return (heard["transcription"] or {}).get("model") in LIVE_MODELS


def _turns(detection: dict[str, Any]) -> dict[str, Any]:
    return {name: detection[name] for name in TURN_FIELDS if name in detection}


def _shown(raw: dict[str, Any]) -> ev.TranscriptionSession:
    """The session as clients are told of it: the service does not echo the delay."""
    session = msgspec.convert(raw, ev.TranscriptionSession)
    config = raw["audio"]["input"]["transcription"]
    if config is None or "delay" not in config:
        return session
    bare = {name: value for name, value in config.items() if name != "delay"}
    heard = {**raw["audio"]["input"], "transcription": bare}
    return msgspec.convert({**raw, "audio": {"input": heard}}, ev.TranscriptionSession)


def _check_options(heard: dict[str, Any]) -> None:
    """Refuse what the model that transcribes does not take."""
    config = heard["transcription"]
    if config is None or config["model"] not in KNOWN_MODELS:
        return
    model, path = config["model"], "session.audio.input"
    if model in LIVE_MODELS and heard["turn_detection"] is not None:
        raise refusal(
            "Turn detection is not supported for this transcription model.",
            "invalid_value",
            param=f"{path}.turn_detection",
        )
    for name, models in _OPTIONS.items():
        if config.get(name) is not None and model not in models:
            raise refusal(
                "Unsupported option for this model.",
                None,
                param=f"{path}.transcription.{name}",
            )
    if config.get("language") is not None and config.get("languages") is not None:
        raise refusal(
            "Invalid value: give either 'language' or 'languages', not both.",
            "invalid_value",
            param=f"{path}.transcription.languages",
        )


_CHOOSY: Final = ("gpt-live-transcribe", LANGUAGE_MODEL)

_OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "delay": LIVE_MODELS,
    "languages": _CHOOSY,
    "keywords": _CHOOSY,
    "prompt": tuple(
        model
        for model in KNOWN_MODELS
        if model not in (DIARIZING_MODEL, "gpt-realtime-whisper")
    ),
}
"""Models that take an option: documented."""


class TranscriptionMachine(ListeningMachine):
    """One transcription session as the service holds it.

    Parameters
    ----------
    now : float
        Time of the connection, seconds since the epoch.
    seed : int or None
        Makes identifiers repeatable; None draws them at random.
    session : dict, optional
        Settings as in a ``session.update`` that stand instead of the defaults.

    Raises
    ------
    ServerError
        If `session` cannot be.
    """

    _settings: TranscriptionSettings

    def __init__(
        self,
        *,
        now: float,
        seed: int | None = None,
        session: dict[str, Any] | None = None,
    ) -> None:
        outbox = Outbox(now=now, seed=seed)
        raw = default_transcription(outbox.new_id("sess"), now)
        settings = TranscriptionSettings(raw)
        if session:
            settings.update({"type": "transcription", **session})
        super().__init__(outbox, settings)
        self._outbox.emit(ev.SessionCreated, session=settings.session)

    @override
    def _all_handlers(self) -> Mapping[type, Callable[[Any], object]]:
        return {
            **super()._all_handlers(),
            ev.ConversationItemCreate: _refuse,
            ev.ConversationItemTruncate: _refuse,
            ev.ResponseCreate: _refuse,
            ev.ResponseCancel: _nothing_to_cancel,
        }

    @override
    def _change_settings(self, patch: dict[str, Any]) -> None:
        self._settings.update(patch)

    @override
    def nothing_heard(self, item_id: str, message: str, now: float) -> None:
        """There were no words in the item: its transcript is empty, as measured."""
        self.transcribed(item_id, "", now)


def _refuse(event: Any) -> None:
    """Refuse what only a conversation knows; the service's own words are not known."""
    raise refusal(
        f"The '{ev.type_name(type(event))}' event is not allowed in a transcription "
        "session.",
        "invalid_value",
        param="type",
    )


def _nothing_to_cancel(_: ev.ResponseCancel) -> None:
    """Refuse as a conversation does that makes no answer: clients know that error."""
    raise refusal(
        "Cancellation failed: no active response found", "response_cancel_not_active"
    )
