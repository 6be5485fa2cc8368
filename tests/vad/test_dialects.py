"""The names of other toolkits are checked against their sources as they were read.

They are not installed: `KNOWN` repeats the parameters of the versions that the module's
references name, and openai's classes are asked themselves.
"""

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import realtime_audio_input_turn_detection as openai_types

import rtnb.vad
from rtnb.errors import ConfigError
from rtnb.protocol.client_events import SessionUpdate
from rtnb.protocol.codec import decode_client
from rtnb.vad import Policy, SemanticVad, ServerVad, as_code
from rtnb.vad.dialects import DIALECTS

KNOWN = {
    "AgentSession": {"vad", "llm", "turn_handling"},
    "TurnHandlingOptions": {"turn_detection", "endpointing", "interruption"},
    "silero.VAD.load": {
        *("min_speech_duration", "min_silence_duration", "prefix_padding_duration"),
        *("max_buffered_speech", "activation_threshold", "deactivation_threshold"),
    },
    "openai.realtime.RealtimeModel": {"turn_detection"},
    "SemanticVad": set(openai_types.SemanticVad.model_fields),
    "LLMUserAggregatorParams": {
        *("vad_analyzer", "user_turn_strategies", "user_idle_timeout"),
    },
    "SileroVADAnalyzer": {"sample_rate", "params"},
    "VADParams": {"confidence", "start_secs", "stop_secs", "min_volume"},
    "UserTurnStrategies": {"start", "stop"},
    "VADUserTurnStartStrategy": {"enable_interruptions"},
    "SpeechTimeoutUserTurnStopStrategy": {"user_speech_timeout", "wait_for_transcript"},
    "SessionProperties": {"audio"},
    "AudioConfiguration": {"input", "output"},
    "AudioInput": {"turn_detection"},
    "SemanticTurnDetection": {"eagerness", "create_response", "interrupt_response"},
    "ReplyOnPause": {"fn", "algo_options", "model_options", "can_interrupt"},
    "AlgoOptions": {
        *("audio_chunk_duration", "started_talking_threshold", "speech_threshold"),
        "max_continuous_speech_s",
    },
    "SileroVadOptions": {
        *("threshold", "min_speech_duration_ms", "max_speech_duration_s"),
        *("min_silence_duration_ms", "window_size_samples", "speech_pad_ms"),
    },
}
KEYS = {
    "endpointing": {"mode", "min_delay", "max_delay", "alpha"},
    "interruption": {"enabled", "mode", "min_duration", "min_words"},
}


@st.composite
def chosen(draw, kind, **fields):
    """Settings of which any may be left out."""
    values = {name: draw(st.none() | value) for name, value in fields.items()}
    return kind(**{name: value for name, value in values.items() if value is not None})


detections = st.one_of(
    chosen(
        ServerVad,
        threshold=st.floats(0, 1),
        prefix_padding_ms=st.integers(0, 5000),
        silence_duration_ms=st.integers(0, 5000),
        idle_timeout_ms=st.integers(5000, 30_000),
        create_response=st.booleans(),
        interrupt_response=st.booleans(),
    ),
    chosen(
        SemanticVad,
        eagerness=st.sampled_from(["low", "medium", "high", "auto"]),
        create_response=st.booleans(),
        interrupt_response=st.booleans(),
    ),
    st.just(ServerVad(idle_timeout_ms=None)),
)


class Spy:
    """A session that remembers how it was configured."""

    def configure(self, *, turn_detection):
        self.turn_detection = turn_detection


@given(settings=detections)
def test_our_code_configures_a_session_with_equal_settings(settings):
    session = Spy()
    exec(as_code(settings), {"session": session})  # noqa: S102 - it is our own
    assert session.turn_detection == settings


@given(settings=detections)
def test_the_json_is_the_event_of_the_protocol(settings):
    event = decode_client(as_code(settings, "session.update"))
    assert isinstance(event, SessionUpdate)
    assert event.session.audio.input.turn_detection == settings


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("dialect", ["livekit", "pipecat", "fastrtc"])
@given(settings=detections)
def test_the_code_of_others_compiles_and_has_names_that_they_know(dialect, settings):
    code = as_code(settings, dialect)
    tree = ast.parse(code)
    for name, call in calls(tree):
        assert {each.arg for each in call.keywords} <= KNOWN[name], name
        for keyword in call.keywords:
            if isinstance(keyword.value, ast.Dict):
                keys = {ast.literal_eval(key) for key in keyword.value.keys}
                assert keys <= KEYS[keyword.arg]
    assert all(len(line) <= 88 for line in code.splitlines())


def values(code):
    """Every keyword of every call with its value."""
    found = {}
    for _, call in calls(ast.parse(code)):
        for keyword in call.keywords:
            if isinstance(keyword.value, ast.Constant):
                found[keyword.arg] = keyword.value.value
    return found


EAGER = ServerVad(
    threshold=0.6,
    silence_duration_ms=330,
    prefix_padding_ms=100,
    idle_timeout_ms=6000,
    create_response=False,
    interrupt_response=False,
)


def test_livekit_has_the_levels_in_seconds():
    code = as_code(EAGER, "livekit")
    assert values(code) == {
        "activation_threshold": 0.6,
        "min_speech_duration": 0.0,
        "min_silence_duration": 0.33,
        "prefix_padding_duration": 0.1,
        "turn_detection": "vad",
    }
    assert "'enabled': False" in ast.unparse(ast.parse(code))


def test_pipecat_has_whole_hops():
    found = values(as_code(EAGER, "pipecat"))
    assert found["confidence"] == 0.6
    assert found["user_idle_timeout"] == 6.0
    assert found["enable_interruptions"] is False
    for name, hops in (("start_secs", 1), ("stop_secs", 11)):
        assert round(found[name] / (512 / 16_000)) == hops
        assert found[name] / 0.032 == pytest.approx(hops)


def test_fastrtc_has_chunks_of_whole_hops():
    found = values(as_code(EAGER, "fastrtc"))
    assert found["threshold"] == 0.6
    assert found["audio_chunk_duration"] == 0.352
    assert 0 < found["speech_threshold"] < 0.032
    assert found["can_interrupt"] is False


@pytest.mark.parametrize("dialect", ["livekit", "pipecat"])
def test_semantic_vad_is_left_to_the_service(dialect):
    found = values(as_code(SemanticVad(eagerness="low"), dialect))
    found.pop("type", None)
    assert found == {
        "eagerness": "low",
        "create_response": True,
        "interrupt_response": True,
    }


@pytest.mark.parametrize(
    ("dialect", "lost"),
    [
        ("livekit", ["smooths", "idle_timeout_ms=6000", "create_response=False"]),
        ("pipecat", ["prefix_padding_ms=100", "on_user_turn_idle", "create_response"]),
        ("fastrtc", ["prefix_padding_ms=100", "idle_timeout_ms=6000", "calls `reply`"]),
    ],
)
def test_what_cannot_be_translated_is_named(dialect, lost):
    comments = [
        line for line in as_code(EAGER, dialect).splitlines() if line.startswith("#")
    ]
    said = " ".join(line.lstrip("#- ") for line in comments)
    for each in lost:
        assert each in said
    plain = as_code(ServerVad(), dialect)
    assert "idle_timeout_ms=6000" not in plain
    assert "create_response=False" not in plain


def test_fastrtc_cannot_judge_words():
    assert ast.parse(as_code(SemanticVad(), "fastrtc")).body == []
    assert "no detector that judges" in as_code(SemanticVad(), "fastrtc")


def test_the_menu_of_dialects():
    assert DIALECTS == ("rtnb", "session.update", "livekit", "pipecat", "fastrtc")
    assert rtnb.vad.as_code is as_code
    for dialect in DIALECTS:
        assert as_code(ServerVad(), dialect).endswith("\n")
    assert (
        json.loads(as_code(ServerVad(), "session.update"))["type"] == "session.update"
    )


@pytest.mark.parametrize(
    ("settings", "dialect", "complaint"),
    [
        (ServerVad(), "twilio", "dialect is 'twilio', but there are only rtnb"),
        (None, "rtnb", "None has no code"),
        (Policy.silero(), "livekit", "has no code: give ServerVad"),
    ],
)
def test_what_has_no_code_is_refused(settings, dialect, complaint):
    with pytest.raises(ConfigError, match=complaint):
        as_code(settings, dialect)
