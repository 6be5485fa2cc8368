"""Settings: what is sent for what was asked, what is refused, and the table."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rtnb.errors import ConfigError
from rtnb.protocol.codec import to_dict
from rtnb.protocol.events import FunctionTool, McpTool, NoiseReduction
from rtnb.session.settings import SettingRow, keep_tools, session_patch, settings_table
from rtnb.tools import Tool
from rtnb.vad import SemanticVad, ServerVad


def sent(**asked):
    patch = to_dict(session_patch(**asked))
    assert patch.pop("type") == "realtime"
    return patch


def audio_input(**fields):
    return {"audio": {"input": fields}}


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def test_nothing_asked_nothing_sent():
    assert sent() == {}


@pytest.mark.parametrize(
    ("asked", "patch"),
    [
        ({"instructions": ""}, {"instructions": ""}),
        (
            {"turn_detection": ServerVad(threshold=0.6)},
            audio_input(turn_detection={"type": "server_vad", "threshold": 0.6}),
        ),
        (
            {"turn_detection": SemanticVad()},
            audio_input(turn_detection={"type": "semantic_vad"}),
        ),
        ({"turn_detection": None}, audio_input(turn_detection=None)),
        (
            {"transcription": "whisper-1"},
            audio_input(transcription={"model": "whisper-1"}),
        ),
        ({"transcription": None}, audio_input(transcription=None)),
        (
            {"noise_reduction": "near_field"},
            audio_input(noise_reduction={"type": "near_field"}),
        ),
        (
            {"noise_reduction": NoiseReduction(type="far_field", strength=0.5)},
            audio_input(noise_reduction={"type": "far_field", "strength": 0.5}),
        ),
        (
            {"voice": "marin", "speed": np.float64(1.25)},
            {"audio": {"output": {"voice": "marin", "speed": 1.25}}},
        ),
        ({"output_modalities": "text"}, {"output_modalities": ["text"]}),
        ({"output_modalities": ("audio",)}, {"output_modalities": ["audio"]}),
        ({"tool_choice": "auto"}, {"tool_choice": "auto"}),
        (
            {"tool_choice": "add"},
            {"tool_choice": {"type": "function", "name": "add"}},
        ),
        ({"max_output_tokens": 100}, {"max_output_tokens": 100}),
        ({"truncation": "disabled"}, {"truncation": "disabled"}),
        (
            {"voice": "ash", "audio": {"output": {"format": {"type": "audio/pcmu"}}}},
            {"audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "ash"}}},
        ),
    ],
)
def test_an_update_is_as_partial_as_what_was_asked(asked, patch):
    assert sent(**asked) == patch


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"voice": "zed"}, "Invalid value: 'zed'. Supported values are: 'alloy'"),
        ({"speed": 2}, "must be between 0.25 and 1.5, got 2"),
        ({"instructions": 3}, "expected string, got integer"),
        ({"mood": "calm"}, "Unknown parameter: 'session.mood'"),
        ({"output_modalities": ["audio", "text"]}, "Supported combinations"),
        ({"turn_detection": {"type": "server_vad", "threshold": 1.5}}, "got 1.5"),
        ({"turn_detection": "server_vad"}, "expected object or null"),
        ({"noise_reduction": "mid_field"}, "'near_field' and 'far_field'"),
        ({"max_output_tokens": 0}, "between 1 and 4096"),
        ({"instructions": threading.Lock()}, "JSON knows no lock"),
    ],
)
def test_what_cannot_be_is_refused_in_words(asked, reason):
    with pytest.raises(ConfigError) as error:
        session_patch(**asked)
    assert reason in str(error.value)


def test_a_threshold_that_cannot_be_is_refused_when_it_is_written():
    with pytest.raises(ConfigError, match=r"threshold is 1\.5"):
        ServerVad(threshold=1.5)


def test_other_servers_have_other_voices_but_the_same_rules():
    patch = to_dict(session_patch(any_voice=True, voice="af_heart"))
    assert patch["audio"] == {"output": {"voice": "af_heart"}}
    with pytest.raises(ConfigError):
        session_patch(any_voice=True, voice="af_heart", speed=9)


def test_tools_are_sent_as_their_definitions():
    raw = {"type": "mcp", "server_label": "docs", "server_url": "https://docs"}
    kept = keep_tools([add, FunctionTool(name="ask"), raw])
    assert isinstance(kept[0], Tool)
    assert isinstance(kept[2], McpTool)
    tools = sent(tools=kept)["tools"]
    assert [tool["type"] for tool in tools] == ["function", "function", "mcp"]
    assert tools[0]["parameters"]["required"] == ["a", "b"]
    assert sent(tools=[]) == {"tools": []}


@pytest.mark.parametrize(
    ("tools", "reason"),
    [
        ([add, add], "two tools are called add"),
        ([3], "3 is no tool: give a function"),
        ([{"type": "function"}], "is no tool of the API"),
    ],
)
def test_tools_that_cannot_be(tools, reason):
    with pytest.raises(ConfigError, match=reason):
        keep_tools(tools)


def test_the_table_shows_where_what_was_asked_is_not_what_is():
    requested = {"audio": {"input": {"turn_detection": {"silence_duration_ms": 300}}}}
    effective = {
        "id": "sess_1",
        "tools": [{"name": "add"}, {"server_label": "docs"}],
        "audio": {
            "input": {
                "noise_reduction": None,
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 200},
            }
        },
    }
    rows = {row.setting: row for row in settings_table(requested, effective)}
    silence = "audio.input.turn_detection.silence_duration_ms"
    noise = "audio.input.noise_reduction"
    assert rows[silence] == SettingRow(silence, 300, 200, 500)
    assert rows[noise] == SettingRow(noise, None, "null", "null")
    assert rows["tools"] == SettingRow("tools", None, ["add", "docs"], [])
    assert "id" not in rows


def test_the_table_keeps_what_the_server_does_not_tell():
    rows = settings_table({"reasoning": {"effort": "low"}}, {})
    assert rows == [SettingRow("reasoning.effort", "low", None, None)]
