"""The settings of a session: what is in force, and what an update makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from rtnb.protocol import events as ev
from rtnb.protocol.client import merged
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.protocol.server.context import check_model, facts_of
from rtnb.protocol.server.outbox import refusal
from rtnb.protocol.validation import validate_session
from rtnb.vad import (
    SEMANTIC_VAD_DEFAULTS,
    SERVER_VAD_DEFAULTS,
    SemanticVad,
    ServerVad,
)

if TYPE_CHECKING:
    from typing import TypeAlias

    from rtnb.audio.noise_reduction import Field
    from rtnb.errors import ServerError
    from rtnb.protocol.translation import TranslationSession

    AnySession: TypeAlias = (
        ev.RealtimeSession | ev.TranscriptionSession | TranslationSession
    )

SESSION_SECONDS: Final = 3600
"""Longest session: measured at 60.01 min, and ``expires_at`` says the same."""

DELAYS_S: Final = {
    "minimal": 0.2,
    "low": 0.5,
    "medium": 1.0,
    "high": 1.6,
    "xhigh": 2.4,
}
"""How long ago a word must have ended to be reported while the user still speaks, by the
transcription's ``delay``, seconds of audio. The service's own values are not published.
Measured with drafts every 200 ms on 15 sentences (three of LibriVox, twelve of flite's rms
and slt): 100, 92, 80, 58 and 31 % of the words came before the end, and 11, 3.5, 2.8, 2.1
and 0 % of the transcript was not what the recogniser thought in the end."""

DEFAULT_DELAY: Final = "medium"
"""The ``delay`` where none is asked for; the service's is not published either."""

DEFAULT_INSTRUCTIONS: Final = (
    "You are the embedded engine of rtnb. You answer in short spoken sentences and "
    "call a function when one fits the question."
)


def default_session(model: str, session_id: str, now: float) -> dict[str, Any]:
    """The session object of a fresh connection, with every documented default.

    Key order and values as recorded from the service, the instructions apart.
    """
    pcm = {"type": "audio/pcm", "rate": SAMPLE_RATE}
    session: dict[str, Any] = {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": int(now) + SESSION_SECONDS,
        "audio": {
            "input": {
                "format": dict(pcm),
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": vad_defaults("server_vad"),
            },
            "output": {"format": dict(pcm), "voice": "alloy", "speed": 1.0},
        },
        "include": None,
    }
    return session | _reasoning_defaults(model)


def _reasoning_defaults(model: str) -> dict[str, Any]:
    """Settings that only a model that reasons has."""
    if not facts_of(model).reasons:
        return {}
    return {"reasoning": {"effort": "low"}, "parallel_tool_calls": True}


def vad_defaults(kind: str) -> dict[str, Any]:
    """Turn detection of a kind as a conversation begins with it, as on the wire."""
    semantic = kind == "semantic_vad"
    defaults = SEMANTIC_VAD_DEFAULTS if semantic else SERVER_VAD_DEFAULTS
    raw: dict[str, Any] = msgspec.to_builtins(defaults)
    return raw


def merge_session(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Settings after an update, complete again: what it left out has its default.

    A turn detection of another type, or one where there was none, starts from that
    type's defaults, and a transcription object carries ``language`` and ``prompt`` even
    when not given, as recorded from the service.
    """
    session = merged(current, patch)
    check_noise_reduction(session)
    heard = session["audio"]["input"]
    filled: dict[str, Any] = {}
    if heard["turn_detection"] is not None:
        detection = heard["turn_detection"]
        filled["turn_detection"] = {**vad_defaults(detection["type"]), **detection}
    if heard["transcription"] is not None:
        empty = {"model": None, "language": None, "prompt": None}
        filled["transcription"] = {**empty, **heard["transcription"]}
    return merged(session, {"audio": {"input": filled}})


def check_noise_reduction(session: dict[str, Any]) -> None:
    """Refuse noise reduction that does not say for which microphone.

    Raises
    ------
    ServerError
        If, with all that was said before, its ``type`` is missing.
    """
    chosen = ((session["audio"] or {}).get("input") or {}).get("noise_reduction")
    if chosen is not None and "type" not in chosen:
        path = "session.audio.input.noise_reduction.type"
        raise refusal(
            f"Missing required parameter: '{path}'.",
            "missing_required_parameter",
            param=path,
        )


class Settings:
    """What is in force in a session of any kind; complete and valid at all times.

    Parameters
    ----------
    raw : dict
        The session object as on the wire.

    Attributes
    ----------
    raw : dict
        The same, as it is now.
    session : RealtimeSession, TranscriptionSession or TranslationSession
        The same as a type, as clients are shown it.
    """

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.session: AnySession = self._typed(raw)

    def _typed(self, raw: dict[str, Any]) -> AnySession:
        return validate_session(raw)

    def _refuse_fixed(self, patch: dict[str, Any]) -> None:
        """Refuse an update of another kind of session, or of what never changes."""
        if patch["type"] != self.raw["type"]:
            raise refusal(
                f"Passing a {patch['type']} session update event to a "
                f"{self.raw['type']} session is not allowed.",
                "invalid_parameter",
                param="session.type",
            )
        for fixed in ("id", "object", "expires_at"):
            if fixed in patch and patch[fixed] != self.raw[fixed]:
                path = f"session.{fixed}"
                raise refusal(
                    f"Unknown parameter: '{path}'.", "unknown_parameter", param=path
                )

    @property
    def expires_at(self) -> float:
        """When the session ends, seconds since the epoch."""
        return float(self.raw["expires_at"])

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """The effective turn detection object, or None."""
        detection: dict[str, Any] | None = self.raw["audio"]["input"]["turn_detection"]
        return detection

    def detects(self, flag: str) -> bool:
        """Whether turn detection is on, with this flag of its set."""
        return bool(self.turn_detection and self.turn_detection.get(flag))

    @property
    def detector(self) -> ServerVad | SemanticVad | None:
        """What the detector has to know of the effective turn detection."""
        detection = self.turn_detection
        if detection is None:
            return None
        if detection["type"] == "semantic_vad":
            return SemanticVad(eagerness=detection["eagerness"])
        names = ("threshold", "prefix_padding_ms", "silence_duration_ms")
        return ServerVad(**{name: detection[name] for name in names})

    @property
    def noise_reduction(self) -> Field | None:
        """Where the microphone is whose noise is turned down; None: it is left alone."""
        chosen = self.raw["audio"]["input"]["noise_reduction"]
        return None if chosen is None else chosen["type"]

    @property
    def transcription_model(self) -> str | None:
        """Who writes down what the user says; None: nobody does."""
        config = self.raw["audio"]["input"]["transcription"]
        return None if config is None else str(config.get("model") or "")

    @property
    def writes_live(self) -> bool:
        """Whether the user's words are reported before the audio is committed.

        Not in a conversation: what is answered there are the words as they are thought
        to be in the end, and those are what is reported.
        """
        return False

    @property
    def transcription_delay(self) -> float:
        """How long a word must stand before it is reported, seconds of audio."""
        config = self.raw["audio"]["input"]["transcription"] or {}
        return DELAYS_S[config.get("delay") or DEFAULT_DELAY]

    @property
    def includes_logprobs(self) -> bool:
        """Whether transcripts come with the probabilities of their words."""
        return "item.input_audio_transcription.logprobs" in (self.raw["include"] or ())

    def format(self, side: Literal["input", "output"]) -> ev.AudioFormat:
        """The effective audio format of one side."""
        raw = self.raw["audio"][side]["format"]
        wire_format: ev.AudioFormat = msgspec.convert(raw, ev.AudioFormat)
        return wire_format


class ConversationSettings(Settings):
    """Settings of a conversation.

    Parameters
    ----------
    raw : dict
        The session object as on the wire.
    model_open : bool
        Whether nobody has chosen the model: the first update that names one does.
    """

    def __init__(self, raw: dict[str, Any], *, model_open: bool = False) -> None:
        super().__init__(raw)
        self._model_open = model_open

    def update(
        self, patch: dict[str, Any], *, has_spoken: bool, responding: bool
    ) -> None:
        """Take an update, or refuse it whole.

        Parameters
        ----------
        patch : dict
            The ``session`` of a ``session.update``.
        has_spoken : bool
            Whether the conversation has assistant audio: its voice is then fixed.
        responding : bool
            Whether an answer is being made: the speed is then fixed.

        Raises
        ------
        ServerError
            If a value cannot be, or cannot change any more.
        """
        self._refuse_fixed(patch)
        named = self._model_open and "model" in patch
        current = self._with_model(patch["model"]) if named else self.raw
        wanted = merge_session(current, patch)
        session = validate_session(wanted)
        if isinstance(session, ev.RealtimeSession):
            check_model(current["model"], session, "session")
        error = self._fixed(wanted, has_spoken=has_spoken, responding=responding)
        if error is not None:
            raise error
        self.raw, self.session = wanted, session
        self._model_open &= not named

    def _with_model(self, model: str) -> dict[str, Any]:
        """The session as it would be, had it begun with this model."""
        begun = _reasoning_defaults(model)
        gone = _reasoning_defaults(self.raw["model"]).keys() - begun.keys()
        kept = {name: value for name, value in self.raw.items() if name not in gone}
        new = {name: begun[name] for name in begun.keys() - kept.keys()}
        return {**kept, **new, "model": model}

    def _fixed(
        self, wanted: dict[str, Any], *, has_spoken: bool, responding: bool
    ) -> ServerError | None:
        """Why something cannot change any more."""
        old, new = self.raw["audio"]["output"], wanted["audio"]["output"]
        if wanted["model"] != self.raw["model"] and not self._model_open:
            return refusal(
                "Unsupported option for this model.", None, param="session.model"
            )
        if new["voice"] != old["voice"] and has_spoken:
            return refusal(
                "Cannot update a conversation's voice if assistant audio is present.",
                "cannot_update_voice",
            )
        if new["speed"] != old["speed"] and responding:
            return refusal(
                "Cannot update the speed while a response is being generated.",
                "invalid_value",
                param="session.audio.output.speed",
            )
        if self.raw["tracing"] not in (None, wanted["tracing"]):
            return refusal(
                "Cannot update tracing once it is enabled.",
                "invalid_value",
                param="session.tracing",
            )
        return None
