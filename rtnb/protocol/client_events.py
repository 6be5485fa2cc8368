"""What a client sends: the eleven events of the GA interface.

A class is named after its event, in CamelCase. ``event_id`` is the client's own, at
most 512 characters; an ``error`` that the event causes repeats it.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import UNSET, UnsetType

from rtnb.protocol.objects import (  # noqa: TC001 - msgspec reads annotations
    Item,
    ResponseConfig,
    SessionConfig,
)
from rtnb.protocol.wire import Wire, type_name


class _ClientEvent(Wire, frozen=True, kw_only=True, tag_field="type"):
    event_id: str | UnsetType = UNSET


class SessionUpdate(_ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    """Change the given settings, all or nothing."""

    session: SessionConfig


class InputAudioBufferAppend(
    _ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.append"
):
    """Append audio in the session's input format, at most 15 MiB; not acknowledged."""

    audio: bytes


class InputAudioBufferCommit(
    _ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.commit"
):
    """Make a user message of the buffered audio, at least 100 ms."""


class InputAudioBufferClear(
    _ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.clear"
):
    """Drop the buffered audio."""


class OutputAudioBufferClear(
    _ClientEvent, frozen=True, kw_only=True, tag="output_audio_buffer.clear"
):
    """Drop what is not yet played; WebRTC and SIP only."""


class ConversationItemCreate(
    _ClientEvent, frozen=True, kw_only=True, tag="conversation.item.create"
):
    """Put an item into the conversation; does not start a response."""

    previous_item_id: str | UnsetType | None = UNSET
    """Insert after this item; ``root``: at the beginning; absent: at the end."""
    item: Item


class ConversationItemRetrieve(
    _ClientEvent, frozen=True, kw_only=True, tag="conversation.item.retrieve"
):
    """Ask for an item as the service holds it, audio included."""

    item_id: str


class ConversationItemTruncate(
    _ClientEvent, frozen=True, kw_only=True, tag="conversation.item.truncate"
):
    """Cut assistant audio at what was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ConversationItemDelete(
    _ClientEvent, frozen=True, kw_only=True, tag="conversation.item.delete"
):
    """Take an item out of the conversation."""

    item_id: str


class ResponseCreate(_ClientEvent, frozen=True, kw_only=True, tag="response.create"):
    """Ask for an answer."""

    response: ResponseConfig | UnsetType = UNSET


class ResponseCancel(_ClientEvent, frozen=True, kw_only=True, tag="response.cancel"):
    """Cancel a running answer; without an id, the conversation's."""

    response_id: str | UnsetType = UNSET


ClientEvent: TypeAlias = (
    SessionUpdate
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | OutputAudioBufferClear
    | ConversationItemCreate
    | ConversationItemRetrieve
    | ConversationItemTruncate
    | ConversationItemDelete
    | ResponseCreate
    | ResponseCancel
)

CLIENT_EVENTS: dict[str, type[ClientEvent]] = {
    type_name(cls): cls for cls in ClientEvent.__args__
}
"""Wire name → class."""
