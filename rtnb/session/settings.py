"""Settings of a session: what a user writes, what is sent, and what became of it.

An update is as partial as what was asked for. What cannot be is refused here, before
anything is sent, by the same rules that a strict server applies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from rtnb.errors import ConfigError, ServerError
from rtnb.protocol.events import FunctionTool, McpTool, RealtimeSession
from rtnb.protocol.validation import validate_session
from rtnb.tools import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtnb.tools import Confirm

DOCUMENTED: Final[dict[str, Any]] = {
    "audio.input.format.type": "audio/pcm",
    "audio.input.format.rate": 24_000,
    "audio.input.noise_reduction": None,
    "audio.input.transcription": None,
    "audio.input.turn_detection.type": "server_vad",
    "audio.input.turn_detection.threshold": 0.5,
    "audio.input.turn_detection.prefix_padding_ms": 300,
    "audio.input.turn_detection.silence_duration_ms": 500,
    "audio.input.turn_detection.idle_timeout_ms": None,
    "audio.input.turn_detection.eagerness": "auto",
    "audio.input.turn_detection.create_response": True,
    "audio.input.turn_detection.interrupt_response": True,
    "audio.output.format.type": "audio/pcm",
    "audio.output.format.rate": 24_000,
    "audio.output.speed": 1.0,
    "audio.output.voice": "alloy",
    "include": None,
    "max_output_tokens": "inf",
    "output_modalities": ["audio"],
    "prompt": None,
    "tool_choice": "auto",
    "tools": [],
    "tracing": None,
    "truncation": "auto",
}
"""Defaults by the API reference; ``session.created`` says 200 for the silence."""

NOT_SETTINGS: Final = frozenset({"type", "object", "id", "model", "expires_at"})
"""Fields of a session that no update changes."""

ToolLike = Tool | FunctionTool | McpTool
"""A tool as it is kept: one of ours, or a definition that somebody else answers."""


@dataclass(frozen=True)
class SettingRow:
    """One setting: what was asked for, what is in force, what the reference says.

    Parameters
    ----------
    setting : str
        Dotted path in the session object.
    requested, effective, default : Any
        As on the wire, a null as the word ``"null"``; None where it was not asked for,
        not told, or is not documented.
    """

    setting: str
    requested: Any
    effective: Any
    default: Any


def settings_table(
    requested: Mapping[str, Any], effective: Mapping[str, Any]
) -> list[SettingRow]:
    """Rows for every setting that was asked for or told, in the order of the service."""
    asked, told = _flat(requested), _flat(effective)
    default = {path: _cell(value) for path, value in DOCUMENTED.items()}
    return [
        SettingRow(path, asked.get(path), told.get(path), default.get(path))
        for path in dict.fromkeys((*told, *asked))
        if path not in NOT_SETTINGS
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in settings.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            leaves |= _flat(value, f"{path}.")
        elif name == "tools":
            leaves[path] = [tool.get("name") or tool["server_label"] for tool in value]
        else:
            leaves[path] = _cell(value)
    return leaves


def _cell(value: Any) -> Any:
    return "null" if value is None else value


def session_patch(
    *,
    any_voice: bool = False,
    instructions: Any = UNSET,
    voice: Any = UNSET,
    speed: Any = UNSET,
    turn_detection: Any = UNSET,
    transcription: Any = UNSET,
    noise_reduction: Any = UNSET,
    output_modalities: Any = UNSET,
    tools: Iterable[ToolLike] | UnsetType = UNSET,
    tool_choice: Any = UNSET,
    max_output_tokens: Any = UNSET,
    **session: Any,
) -> RealtimeSession:
    """Return the part of a session that an update changes, checked.

    Parameters
    ----------
    any_voice : bool
        Whether the server may know other voices than those of the API.
    instructions, voice, speed, turn_detection, transcription, noise_reduction, \
output_modalities, tools, tool_choice, max_output_tokens
        As `Session.configure` takes them.
    **session
        Further fields of the session object, as on the wire.

    Raises
    ------
    ConfigError
        If a value cannot be: where, the value, and what can.
    """
    audio_input = _given(
        transcription=_as_object(transcription, "model"),
        noise_reduction=_as_object(noise_reduction, "type"),
        turn_detection=turn_detection,
    )
    audio_output = _given(voice=voice, speed=speed)
    patch = _given(
        output_modalities=_as_list(output_modalities),
        instructions=instructions,
        tools=_definitions(tools),
        tool_choice=_choice(tool_choice),
        max_output_tokens=max_output_tokens,
    )
    audio = {
        direction: fields
        for direction, fields in (("input", audio_input), ("output", audio_output))
        if fields
    }
    if audio:
        patch["audio"] = audio
    for name, value in session.items():
        patch[name] = _joined(patch.get(name), _wire(value))
    return _checked({"type": "realtime", **patch}, any_voice=any_voice)


def keep_tools(
    tools: Iterable[Callable[..., Any] | ToolLike | Mapping[str, Any]],
) -> list[ToolLike]:
    """Tools as they are kept: plain functions become tools of ours.

    Raises
    ------
    ConfigError
        If one cannot be a tool, or two have one name.
    """
    kept: list[ToolLike] = []
    for tool in tools:
        match tool:
            case Tool() | FunctionTool() | McpTool():
                kept.append(tool)
            case dict():
                kept.append(_definition(tool))
            case _ if callable(tool):
                kept.append(Tool.of(tool))
            case _:
                raise ConfigError(f"{tool!r} is no tool: give a function")
    names = [tool.definition.name for tool in kept if isinstance(tool, Tool)]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two tools are called {name}: rename one of them")
    return kept


def with_confirmation(
    tools: list[ToolLike] | None, confirm: Confirm | Mapping[str, Confirm]
) -> list[ToolLike]:
    """Return the tools, of which some or all must be allowed before each call.

    Raises
    ------
    ConfigError
        If there are none, or none of that name.
    """
    if tools is None:
        raise ConfigError("confirm= is for the functions of tools=: give both")
    ours = [tool.definition.name for tool in tools if isinstance(tool, Tool)]
    known = [*ours, *(tool.server_label for tool in tools if isinstance(tool, McpTool))]
    policies = confirm if isinstance(confirm, Mapping) else dict.fromkeys(ours, confirm)
    for name in policies:
        if name not in known:
            raise ConfigError(
                f"confirm names {name!r}, which is no function of tools= and no label "
                f"of an MCP server: these are {', '.join(known) or 'none'}"
            )
    return [
        tool.confirmed(policies[tool.definition.name])
        if isinstance(tool, Tool) and tool.definition.name in policies
        else tool
        for tool in tools
    ]


def mcp_policies(
    tools: Iterable[ToolLike], confirm: Confirm | Mapping[str, Confirm] | None
) -> dict[str, Confirm]:
    """Who must allow what MCP servers ask about, by their labels; by default a person."""
    labels = [tool.server_label for tool in tools if isinstance(tool, McpTool)]
    if isinstance(confirm, Mapping):
        return {label: confirm.get(label, True) for label in labels}
    return dict.fromkeys(labels, True if confirm is None else confirm)


def _definition(tool: Mapping[str, Any]) -> FunctionTool | McpTool:
    try:
        return msgspec.convert(tool, FunctionTool | McpTool)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{tool!r} is no tool of the API: {error}") from error


def _definitions(tools: Iterable[ToolLike] | UnsetType) -> Any:
    if isinstance(tools, UnsetType):
        return UNSET
    return [tool.definition if isinstance(tool, Tool) else tool for tool in tools]


def _checked(patch: dict[str, Any], *, any_voice: bool) -> RealtimeSession:
    """Typed patch, if a strict server would take it."""
    output = patch.get("audio", {}).get("output") or {}
    voice = output.get("voice")
    own_voice = any_voice and isinstance(voice, str)
    if own_voice:
        output["voice"] = "alloy"
    try:
        checked = validate_session(patch)
    except ServerError as error:
        raise ConfigError(f"{error.message} ({error.param})") from error
    if own_voice:
        output["voice"] = voice
        checked = msgspec.convert(patch, RealtimeSession)
    assert isinstance(checked, RealtimeSession)
    return checked


def _given(**fields: Any) -> dict[str, Any]:
    return {name: _wire(value) for name, value in fields.items() if value is not UNSET}


def _wire(value: Any) -> Any:
    """Return the value as it is on the wire."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_scalar))
    except TypeError as error:
        raise ConfigError(f"{value!r} cannot be a setting: {error}") from error


def _scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"JSON knows no {type(value).__name__}")


def _as_object(value: Any, field: str) -> Any:
    return {field: value} if isinstance(value, str) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _choice(value: Any) -> Any:
    """Return the choice; the name of a function means that function."""
    if not isinstance(value, str) or value in {"auto", "none", "required"}:
        return value
    return {"type": "function", "name": value}


def _joined(one: Any, other: Any) -> Any:
    """Both objects in one; where both have a value, the first counts."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other if one is None else one
    return other | {
        name: _joined(value, other.get(name)) for name, value in one.items()
    }
