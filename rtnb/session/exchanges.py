"""Events of ours that the server answers, and who waits for the answer."""

from __future__ import annotations

import concurrent.futures
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import UNSET

from rtnb.protocol import events as ev
from rtnb.protocol.client import ItemState

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.errors import RtnbError
    from rtnb.protocol.client import ClientEvent

ItemLike: TypeAlias = "str | ItemState"
"""An item of the conversation, or its id."""


@dataclass(frozen=True)
class Exchange:
    """An event of ours, and how its answer is known.

    Parameters
    ----------
    event : ClientEvent
        To be sent.
    answers : callable
        Whether a server event is the answer.
    """

    event: ClientEvent
    answers: Callable[[Any], bool]


class Exchanges:
    """Who waits for which answer; used under the session's lock."""

    def __init__(self) -> None:
        self._waiting: dict[
            str, tuple[Callable[[Any], bool], concurrent.futures.Future[Any]]
        ] = {}

    def wait_for(
        self, event_id: str, answers: Callable[[Any], bool]
    ) -> concurrent.futures.Future[Any]:
        """Future of the answer to the event of that id."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._waiting[event_id] = (answers, future)
        return future

    def forget(self, event_id: str) -> None:
        """Wait no longer."""
        self._waiting.pop(event_id, None)

    def take(self, event: object) -> None:
        """Give an event to the first who waits for it."""
        for event_id, (answers, future) in self._waiting.items():
            if answers(event):
                del self._waiting[event_id]
                future.set_result(event)
                return

    def refuse(self, event_id: str, error: RtnbError) -> None:
        """Tell whoever sent the event that it was refused."""
        _, future = self._waiting.pop(event_id, (None, None))
        if future is not None:
            future.set_exception(error)

    def end(self, error: RtnbError) -> None:
        """Tell everybody that no answer will come."""
        for event_id in list(self._waiting):
            self.refuse(event_id, error)


def item_id_of(item: ItemLike) -> str:
    """Identifier of an item."""
    return item.id if isinstance(item, ItemState) else item


def create(item: Any, *, after: ItemLike | None) -> Exchange:
    """Put an item that has an id into the conversation, by default at its end."""
    place = UNSET if after is None else item_id_of(after)
    kinds = (ev.ConversationItemAdded, ev.ConversationItemCreated)
    return Exchange(
        ev.ConversationItemCreate(item=item, previous_item_id=place),
        lambda told: _is(told, kinds, item.id),
    )


def retrieve(item: ItemLike) -> Exchange:
    """Ask for an item as the server holds it."""
    item_id = item_id_of(item)
    return Exchange(
        ev.ConversationItemRetrieve(item_id=item_id),
        lambda told: _is(told, ev.ConversationItemRetrieved, item_id),
    )


def delete(item: ItemLike) -> Exchange:
    """Take an item out of the conversation."""
    item_id = item_id_of(item)
    return Exchange(
        ev.ConversationItemDelete(item_id=item_id),
        lambda told: _is(told, ev.ConversationItemDeleted, item_id),
    )


def truncate(item: ItemLike, audio_end_ms: int, content_index: int) -> Exchange:
    """Cut the sound of an answer."""
    item_id = item_id_of(item)
    return Exchange(
        ev.ConversationItemTruncate(
            item_id=item_id, content_index=content_index, audio_end_ms=audio_end_ms
        ),
        lambda told: _is(told, ev.ConversationItemTruncated, item_id),
    )


def clear_input() -> Exchange:
    """Empty the server's buffer of audio that is no message yet."""
    return Exchange(
        ev.InputAudioBufferClear(),
        lambda told: isinstance(told, ev.InputAudioBufferCleared),
    )


def clear_output() -> Exchange:
    """Empty the server's buffer of audio that was not played yet."""
    return Exchange(
        ev.OutputAudioBufferClear(),
        lambda told: isinstance(told, ev.OutputAudioBufferCleared),
    )


def _is(told: object, kinds: type | tuple[type, ...], item_id: object) -> bool:
    """Whether an event is of that kind and about that item."""
    if not isinstance(told, kinds):
        return False
    about = getattr(told, "item_id", None) or getattr(
        getattr(told, "item", None), "id", None
    )
    return about == item_id
