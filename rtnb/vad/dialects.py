"""Turn detection settings as code: ours, the wire's, and that of other toolkits.

What a toolkit cannot say, and what it does otherwise whatever it is told, is named in
comments above the code.

References
----------
LiveKit Agents 1.7.0, commit da6af86a: ``silero/vad.py`` (`VAD.load`; the probability is
smoothed by `ExpFilter` with 0.35), ``voice/turn.py`` (`TurnHandlingOptions`),
``voice/audio_recognition.py``. Pipecat 1.7.0, commit acead050:
``audio/vad/vad_analyzer.py`` (`VADParams`; whole hops by rounding),
``turns/user_turn_strategies.py``, ``processors/aggregators/llm_response_universal.py``,
``services/openai/realtime/events.py``. FastRTC 0.0.33, commit 27f05493:
``reply_on_pause.py``, ``pause_detection/silero.py``.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from rtnb.errors import ConfigError
from rtnb.vad.detector import Law
from rtnb.vad.settings import SemanticVad, ServerVad
from rtnb.vad.silero import HOP_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Dialect: TypeAlias = Literal["rtnb", "session.update", "livekit", "pipecat", "fastrtc"]
"""What settings can be written for."""

_WIDTH = 88


def as_code(settings: ServerVad | SemanticVad, dialect: Dialect = "rtnb") -> str:
    """Settings as text to copy.

    Parameters
    ----------
    settings : ServerVad or SemanticVad
        For rtnb and the wire only what is set is written; for others, what is not set
        has its default.
    dialect : {"rtnb", "session.update", "livekit", "pipecat", "fastrtc"}
        Python for `Session.configure`; JSON of the event; or Python for LiveKit Agents,
        Pipecat or FastRTC.

    Returns
    -------
    str
        Ends with a newline.

    Raises
    ------
    ConfigError
        If there is no such dialect, or the settings are of another kind.

    Examples
    --------
    >>> print(as_code(ServerVad(threshold=0.6)), end="")
    from rtnb.vad import ServerVad
    <BLANKLINE>
    session.configure(turn_detection=ServerVad(threshold=0.6))
    """
    if dialect not in DIALECTS:
        raise ConfigError(
            f"dialect is {dialect!r}, but there are only {', '.join(DIALECTS)}: "
            "choose one of these"
        )
    if not isinstance(settings, ServerVad | SemanticVad):
        raise ConfigError(
            f"{settings!r} has no code: give ServerVad(...) or SemanticVad(...)"
        )
    return _WRITERS[dialect](settings)


def _rtnb(settings: ServerVad | SemanticVad) -> str:
    return (
        f"from rtnb.vad import {type(settings).__name__}\n\n"
        f"session.configure(turn_detection={settings!r})\n"
    )


def _session_update(settings: ServerVad | SemanticVad) -> str:
    detection: dict[str, Any] = msgspec.to_builtins(settings)
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    return json.dumps({"type": "session.update", "session": session}, indent=2) + "\n"


def _livekit(settings: ServerVad | SemanticVad) -> str:
    if isinstance(settings, SemanticVad):
        return _livekit_hosted(settings)
    filled = _facts(settings)
    law = Law.of(settings, hop_ms=HOP_MS)
    remarks = [
        "LiveKit smooths the probability (0.35 of it is that of the hop before), so "
        "turns begin and end up to a few hops later than here.",
        "With an STT it waits for a transcript before it ends a turn.",
        "With OpenAI's own service nothing is lost: "
        "openai.realtime.RealtimeModel(turn_detection=...) takes the settings as they "
        "are on the wire.",
    ]
    if filled["idle_timeout_ms"] is not None:
        remarks.append(
            f"idle_timeout_ms={filled['idle_timeout_ms']} is not translated: "
            "user_away_timeout only changes the user's state, so prompt in a handler "
            "of user_state_changed."
        )
    if not filled["create_response"]:
        remarks.append(
            "create_response=False is not translated: raise StopResponse in the "
            "agent's on_user_turn_completed."
        )
    return _python(
        f"{_title(settings)} for LiveKit Agents 1.7",
        remarks,
        f"""\
        from livekit.agents import AgentSession, TurnHandlingOptions
        from livekit.plugins import silero

        session = AgentSession(
            vad=silero.VAD.load(
                activation_threshold={law.enter!r},
                min_speech_duration=0.0,
                min_silence_duration={_seconds(filled["silence_duration_ms"])},
                prefix_padding_duration={_seconds(law.prefix_ms)},
            ),
            turn_handling=TurnHandlingOptions(
                turn_detection="vad",
                endpointing={{"mode": "fixed", "min_delay": 0.0}},
                interruption={{
                    "enabled": {filled["interrupt_response"]},
                    "mode": "vad",
                    "min_duration": 0.0,
                }},
            ),
        )
        """,
    )


def _livekit_hosted(settings: SemanticVad) -> str:
    facts = _facts(settings)
    return _python(
        f"{_title(settings)} for LiveKit Agents 1.7, judged by OpenAI's own service",
        [],
        f"""\
        from livekit.agents import AgentSession
        from livekit.plugins import openai
        from openai.types.realtime.realtime_audio_input_turn_detection import (
            SemanticVad,
        )

        session = AgentSession(
            llm=openai.realtime.RealtimeModel(
                turn_detection=SemanticVad(
                    type="semantic_vad",
                    eagerness="{facts["eagerness"]}",
                    create_response={facts["create_response"]},
                    interrupt_response={facts["interrupt_response"]},
                ),
            ),
        )
        """,
    )


def _pipecat(settings: ServerVad | SemanticVad) -> str:
    if isinstance(settings, SemanticVad):
        return _pipecat_hosted(settings)
    filled = _facts(settings)
    law = Law.of(settings, hop_ms=HOP_MS)
    remarks = [
        f"Pipecat has one level: a hop below {law.enter:g} is quiet there, one below "
        f"{law.leave:g} here, so turns end in softer words.",
        f"prefix_padding_ms={law.prefix_ms} is not translated: a segmented STT keeps "
        "a second, others hear everything.",
    ]
    idle = filled["idle_timeout_ms"]
    if idle is not None:
        remarks.append(
            f"idle_timeout_ms={idle} only raises on_user_turn_idle: prompt in a "
            "handler of it."
        )
    if not filled["create_response"]:
        remarks.append(
            "create_response=False is not translated: a turn that ends runs the LLM."
        )
    idle_line = (
        "" if idle is None else f"\n            user_idle_timeout={_seconds(idle)},"
    )
    return _python(
        f"{_title(settings)} for Pipecat 1.7",
        remarks,
        f"""\
        from pipecat.audio.vad.silero import SileroVADAnalyzer
        from pipecat.audio.vad.vad_analyzer import VADParams
        from pipecat.processors.aggregators.llm_response_universal import (
            LLMUserAggregatorParams,
        )
        from pipecat.turns.user_start import VADUserTurnStartStrategy
        from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
        from pipecat.turns.user_turn_strategies import UserTurnStrategies

        user_params = LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(
                params=VADParams(
                    confidence={law.enter!r},
                    start_secs={_seconds(HOP_MS)},
                    stop_secs={_seconds(law.quiet_hops * HOP_MS)},
                    min_volume=0.0,
                ),
            ),
            user_turn_strategies=UserTurnStrategies(
                start=[
                    VADUserTurnStartStrategy(
                        enable_interruptions={filled["interrupt_response"]},
                    ),
                ],
                stop=[
                    SpeechTimeoutUserTurnStopStrategy(
                        user_speech_timeout=0.0,
                        wait_for_transcript=False,
                    ),
                ],
            ),{idle_line}
        )
        """,
    )


def _pipecat_hosted(settings: SemanticVad) -> str:
    facts = _facts(settings)
    return _python(
        f"{_title(settings)} for Pipecat 1.7, judged by OpenAI's own service",
        ["Give it to OpenAIRealtimeLLMService.Settings(session_properties=...)."],
        f"""\
        from pipecat.services.openai.realtime.events import (
            AudioConfiguration,
            AudioInput,
            SemanticTurnDetection,
            SessionProperties,
        )

        session_properties = SessionProperties(
            audio=AudioConfiguration(
                input=AudioInput(
                    turn_detection=SemanticTurnDetection(
                        eagerness="{facts["eagerness"]}",
                        create_response={facts["create_response"]},
                        interrupt_response={facts["interrupt_response"]},
                    ),
                ),
            ),
        )
        """,
    )


def _fastrtc(settings: ServerVad | SemanticVad) -> str:
    title = f"{_title(settings)} for FastRTC 0.0.33"
    if isinstance(settings, SemanticVad):
        remark = (
            "Not translated: FastRTC has no detector that judges the words; the one "
            "that it can be given is a PauseDetectionModel of your own."
        )
        return _python(title, [remark], "")
    filled = _facts(settings)
    law = Law.of(settings, hop_ms=HOP_MS)
    chunk_s = _seconds(law.quiet_hops * HOP_MS)
    remarks = [
        "`reply` is your generator function.",
        f"FastRTC looks at chunks of {chunk_s} s, each on its own: a turn ends with "
        f"the first without speech, up to {chunk_s} s later than here.",
        "Its Silero is an older one with other probabilities.",
        f"prefix_padding_ms={law.prefix_ms} is not translated: the audio begins with "
        "the chunk in which speech begins.",
    ]
    if filled["idle_timeout_ms"] is not None:
        remarks.append(
            f"idle_timeout_ms={filled['idle_timeout_ms']} is not translated."
        )
    if not filled["create_response"]:
        remarks.append(
            "create_response=False is not translated: a pause always calls `reply`."
        )
    return _python(
        title,
        remarks,
        f"""\
        from fastrtc import AlgoOptions, ReplyOnPause, SileroVadOptions

        handler = ReplyOnPause(
            reply,
            algo_options=AlgoOptions(
                audio_chunk_duration={chunk_s},
                started_talking_threshold=0.0,
                speech_threshold={_seconds(HOP_MS // 2)},
            ),
            model_options=SileroVadOptions(
                threshold={law.enter!r},
                min_speech_duration_ms=0,
                min_silence_duration_ms=0,
                speech_pad_ms=0,
                window_size_samples=512,
            ),
            can_interrupt={filled["interrupt_response"]},
        )
        """,
    )


def _facts(settings: ServerVad | SemanticVad) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.structs.asdict(settings.filled())
    return facts


def _title(settings: ServerVad | SemanticVad) -> str:
    facts = ", ".join(f"{name}={value!r}" for name, value in _facts(settings).items())
    return f"{settings.__struct_config__.tag}({facts})"


def _seconds(ms: int) -> str:
    return repr(ms / 1000)


def _python(title: str, remarks: Iterable[str], code: str) -> str:
    lines = textwrap.wrap(
        title, _WIDTH, initial_indent="# ", subsequent_indent="#   ", **_WHOLE_WORDS
    )
    for remark in remarks:
        lines += textwrap.wrap(
            remark,
            _WIDTH,
            initial_indent="# - ",
            subsequent_indent="#   ",
            **_WHOLE_WORDS,
        )
    body = textwrap.dedent(code)
    return "\n".join(lines) + "\n" + (f"\n{body}" if body else "")


_WHOLE_WORDS: Final[dict[str, Any]] = {
    "break_long_words": False,
    "break_on_hyphens": False,
}

_WRITERS: Final[dict[Dialect, Callable[[ServerVad | SemanticVad], str]]] = {
    "rtnb": _rtnb,
    "session.update": _session_update,
    "livekit": _livekit,
    "pipecat": _pipecat,
    "fastrtc": _fastrtc,
}

DIALECTS: Final[tuple[Dialect, ...]] = tuple(_WRITERS)
"""What settings can be written for, in the order of a menu."""
