"""What of an event goes into the timeline: enough to draw it, not what was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rtnb.protocol import events as ev

if TYPE_CHECKING:
    from rtnb.protocol.events import ServerEvent

_FIELDS: Final = (
    "item_id",
    "response_id",
    "call_id",
    "audio_start_ms",
    "audio_end_ms",
    "previous_item_id",
)

_PIECES: Final = (
    ev.ConversationItemInputAudioTranscriptionDelta,
    ev.ResponseFunctionCallArgumentsDelta,
    ev.ResponseMcpCallArgumentsDelta,
    ev.ResponseOutputAudioDelta,
    ev.ResponseOutputAudioTranscriptDelta,
    ev.ResponseOutputTextDelta,
)
"""Events that come many times over; of each item only the first is noted."""


@dataclass(frozen=True)
class Fact:
    """Kind and values of a timeline entry."""

    kind: str
    values: dict[str, Any]


class Facts:
    """Makes timeline entries of events, and leaves out what would flood it."""

    def __init__(self) -> None:
        self._begun: dict[type, str] = {}

    def of(self, event: ServerEvent | ev.UnknownEvent) -> Fact | None:
        """Entry for an event; None for a further piece of the same item."""
        if isinstance(event, ev.UnknownEvent):
            return Fact(event.type, {})
        if isinstance(event, _PIECES):
            if self._begun.get(type(event)) == event.item_id:
                return None
            self._begun[type(event)] = event.item_id
        return Fact(ev.type_name(type(event)), _values(event))


def _values(event: ServerEvent) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: value
        for name in _FIELDS
        if isinstance(value := getattr(event, name, None), str | int)
    }
    match event:
        case ev.ResponseCreated(response=response) | ev.ResponseDone(response=response):
            values |= {"response_id": response.id, "status": response.status}
        case (
            ev.ConversationItemAdded(item=item)
            | ev.ConversationItemDone(item=item)
            | ev.ResponseOutputItemAdded(item=item)
            | ev.ResponseOutputItemDone(item=item)
        ):
            values["item_id"] = getattr(item, "id", None)
        case ev.Error(error=error):
            values |= {"code": error.code or None, "message": error.message}
    return values
