"""What the machine wants of the engine: work that takes time, or makes words and sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from rtnb.audio import Samples
    from rtnb.protocol import events as ev

Modality: TypeAlias = Literal["audio", "text"]


@dataclass(frozen=True)
class Listen:
    """Speech has begun: recognise what follows under `item_id`."""

    item_id: str


@dataclass(frozen=True, eq=False)
class Hear:
    """More audio of the item being listened to; float32, 24 kHz."""

    item_id: str
    samples: Samples


@dataclass(frozen=True)
class JudgePause:
    """The speaker pauses: it is wanted how likely the words so far end a sentence."""

    item_id: str
    audio_end_ms: int


@dataclass(frozen=True)
class Draft:
    """The words so far are wanted: those of the first `heard_s` seconds, or of more."""

    item_id: str
    heard_s: float


@dataclass(frozen=True)
class Recognise:
    """The item is complete: the transcript is wanted."""

    item_id: str


@dataclass(frozen=True)
class Forget:
    """The item will never be: drop what was heard of it."""

    item_id: str


@dataclass(frozen=True)
class Respond:
    """An answer is wanted. The last user item may still be in recognition."""

    response_id: str
    instructions: str
    items: tuple[ev.Item, ...]
    tools: tuple[Any, ...]
    tool_choice: Any
    modality: Modality
    voice: str
    speed: float
    user_item_id: str | None
    heard_ms: float | None


@dataclass(frozen=True)
class StopResponding:
    """The answer is no longer wanted."""

    response_id: str


@dataclass(frozen=True)
class Translate:
    """A sentence is to be said in another language; one after the other, in order."""

    item_id: str
    text: str
    language: str


@dataclass(frozen=True)
class McpServer:
    """An MCP server that the session's owner named, and how to reach it."""

    label: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Sent with every request; they may be secret."""


@dataclass(frozen=True)
class ListMcpTools:
    """The tools of a server are wanted, for the item `item_id`."""

    item_id: str
    server: McpServer


@dataclass(frozen=True, eq=False)
class CallMcpTool:
    """A tool shall be called, for the item `item_id`."""

    item_id: str
    server: McpServer
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class StopMcpCall:
    """The call of that item is no longer wanted."""

    item_id: str


@dataclass(frozen=True)
class ForgetMcpServer:
    """The server is not used any more: its connection may go."""

    server: McpServer


@dataclass(frozen=True)
class Hangup:
    """Close the connection with this code and reason."""

    code: int
    reason: str


Effect: TypeAlias = (
    Listen
    | Hear
    | JudgePause
    | Draft
    | Recognise
    | Forget
    | Respond
    | StopResponding
    | Translate
    | ListMcpTools
    | CallMcpTool
    | StopMcpCall
    | ForgetMcpServer
    | Hangup
)
