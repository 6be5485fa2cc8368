"""The items of a conversation: their order, their audio, and what they weigh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import UNSET

from rtnb.audio import Samples, pcm16_encode
from rtnb.errors import AudioFormatError
from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE, InputDecoder
from rtnb.protocol.images import read_image
from rtnb.protocol.server.effects import Hear, Listen, Recognise
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.usage import (
    USER_AUDIO_MARKERS,
    assistant_audio_tokens,
    estimate_text_tokens,
    estimate_transcript_tokens,
    user_audio_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtnb.protocol.server.settings import Settings


@dataclass(eq=False)
class Entry:
    """One item of the conversation, its audio (24 kHz) and what it weighs.

    Of a message that a client made of sounds, the contents keep their own, as PCM16 at
    24 kHz; `audio` is all of them. What is recognised of it is not reported, as only
    what was said into the input buffer is.
    """

    item: Any
    audio: Samples | None = None
    reported: bool = True

    @property
    def is_user(self) -> bool:
        """Whether the user says it."""
        return getattr(self.item, "role", None) == "user"

    @property
    def is_assistant(self) -> bool:
        """Whether it is a message of the model."""
        return getattr(self.item, "role", None) == "assistant"

    @property
    def audio_ms(self) -> float:
        """Length of its audio."""
        return 0.0 if self.audio is None else 1000 * len(self.audio) / SAMPLE_RATE

    def tokens(self) -> tuple[int, int, int]:
        """Text, audio and image tokens of the item as input of the next response."""
        item = self.item
        if isinstance(item, ev.FunctionCallItem | ev.McpCallItem):
            given = getattr(item, "output", None) or ""
            words = f"{item.name}{item.arguments}{given}"
            return estimate_text_tokens(words), 0, 0
        if isinstance(item, ev.FunctionCallOutputItem):
            return estimate_text_tokens(item.output), 0, 0
        if not isinstance(item, ev.MessageItem):
            return 0, 0, 0
        if item.role == "assistant" and self.audio is not None:
            spoken = assistant_audio_tokens(self.audio_ms)
            return estimate_transcript_tokens(_words(item.content)), spoken, 0
        if self.audio is None:
            return estimate_text_tokens(_words(item.content)), 0, self._image_tokens
        typed = [part for part in item.content if not isinstance(part, ev.InputAudio)]
        text = USER_AUDIO_MARKERS + estimate_text_tokens(_words(typed))
        return text, user_audio_tokens(self.audio_ms), self._image_tokens

    @cached_property
    def _image_tokens(self) -> int:
        """Tokens of the images, whose content never changes."""
        return sum(
            read_image(part.image_url).tokens(_detail(part))
            for part in self.item.content
            if isinstance(part, ev.InputImage) and isinstance(part.image_url, str)
        )


def _detail(part: ev.InputImage) -> str:
    return part.detail if isinstance(part.detail, str) else "auto"


def _words(content: Iterable[Any]) -> str:
    return "".join(map(text_of, content))


def text_of(part: Any) -> str:
    """Text or transcript of a content part; empty where there is none."""
    text = getattr(part, "text", UNSET)
    if isinstance(text, str):
        return text
    transcript = getattr(part, "transcript", UNSET)
    return transcript if isinstance(transcript, str) else ""


class Items:
    """The conversation's items in their order.

    Parameters
    ----------
    outbox : Outbox
        Where their events go.
    settings : Settings
        Whose input format the audio of created items is in.
    """

    def __init__(self, outbox: Outbox, settings: Settings) -> None:
        self._outbox = outbox
        self._settings = settings
        self._entries: dict[str, Entry] = {}
        self._deleted: dict[str, Entry] = {}
        self._aside: dict[str, Entry] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._entries

    def get(self, item_id: str) -> Entry | None:
        """The entry of an item, of the conversation or beside it, if there is one."""
        return self._entries.get(item_id) or self._aside.get(item_id)

    def set(self, item_id: str, entry: Entry) -> None:
        """Put an item at the end, or another state of it in its place."""
        self._entries[item_id] = entry

    @property
    def entries(self) -> list[Entry]:
        """All of them, in order."""
        return list(self._entries.values())

    @property
    def last_id(self) -> str | None:
        """Identifier of the last item."""
        return next(reversed(self._entries), None)

    @property
    def has_assistant_audio(self) -> bool:
        """Whether the model has spoken."""
        return any(
            entry.audio is not None and entry.is_assistant for entry in self.entries
        )

    def find(self, item_id: str, verb: str, doing: str) -> Entry:
        """The entry of an item that an event names.

        Raises
        ------
        ServerError
            If there is no such item.
        """
        entry = self._entries.get(item_id)
        if entry is None:
            raise refusal(
                f"Error {doing} item: the item with id '{item_id}' does not exist.",
                f"item_{verb}_invalid_item_id",
                param="item_id",
            )
        return entry

    def current(self, items: Iterable[Any]) -> tuple[Any, ...]:
        """The items as they are now: transcripts may have come since."""
        known = ((item, self.get(item.id)) for item in items)
        return tuple(item if entry is None else entry.item for item, entry in known)

    def user_text(self, item_id: str) -> str | None:
        """Text or transcript of a user item; None where there is none (yet)."""
        entry = self.get(item_id)
        if entry is None or not isinstance(entry.item, ev.MessageItem):
            return None
        return " ".join(filter(None, map(text_of, entry.item.content))) or None

    # -- what the client sends -------------------------------------------------------

    def create(self, event: ev.ConversationItemCreate) -> None:
        """Put an item where the event says.

        Raises
        ------
        ServerError
            If there is no such place, or such an item already, or if it is the output
            of a call that there is not.
        """
        wanted = event.previous_item_id
        previous = self.last_id
        if isinstance(wanted, str):
            if wanted != "root" and wanted not in self._entries:
                raise refusal(
                    f"Error creating item: the previous item with id '{wanted}' does "
                    "not exist.",
                    "item_create_invalid_previous_item_id",
                    param="previous_item_id",
                )
            previous = None if wanted == "root" else wanted
        item: Any = event.item
        item_id = item.id if isinstance(item.id, str) else self._outbox.new_id("item")
        if item_id in self._entries:
            raise refusal(
                f"Error creating item: an item with id '{item_id}' already exists.",
                "item_create_duplicate_item_id",
                param="item.id",
            )
        if isinstance(item, ev.FunctionCallOutputItem):
            self._require_call(item.call_id)
        entry = self._made(item, item_id, "item")
        self._insert(entry, previous)
        self.announce(_without_audio(entry.item), previous)
        self._recognise(entry)

    def _require_call(self, call_id: str) -> None:
        """Refuse the output of a call that nobody made; the words are the service's."""
        calls = (entry.item for entry in self._entries.values())
        if not any(
            isinstance(call, ev.FunctionCallItem) and call.call_id == call_id
            for call in calls
        ):
            raise refusal(
                f"Tool call ID '{call_id}' not found in conversation.",
                "invalid_tool_call_id",
            )

    def _made(self, item: Any, item_id: str, path: str) -> Entry:
        """The item as it is kept: with an id, a status and its audio."""
        changes: dict[str, Any] = {"id": item_id, "object": UNSET}
        if isinstance(item, ev.MessageItem | ev.FunctionCallItem):
            changes["status"] = "completed"
        if isinstance(item, ev.FunctionCallItem) and not isinstance(item.call_id, str):
            changes["call_id"] = self._outbox.new_call_id()
        if not isinstance(item, ev.MessageItem):
            return Entry(msgspec.structs.replace(item, **changes))
        sounds: list[Samples] = []
        content = [
            self._kept(part, sounds, f"{path}.content[{index}].audio")
            for index, part in enumerate(item.content)
        ]
        audio = np.concatenate(sounds) if sounds else None
        made = msgspec.structs.replace(item, **changes, content=content)
        return Entry(made, audio, reported=False)

    def _kept(self, part: Any, sounds: list[Samples], path: str) -> Any:
        """A content as it is kept; its sound is noted in `sounds`.

        A user's audio becomes PCM16 at 24 kHz. An assistant's cannot be injected:
        what it said is kept, how it sounded is not.
        """
        if isinstance(part, ev.OutputAudio):
            return ev.OutputAudio(transcript=part.transcript)
        if not isinstance(part, ev.InputAudio) or not isinstance(part.audio, bytes):
            return part
        decoder = InputDecoder(self._settings.format("input"))
        try:
            samples = np.concatenate([decoder(part.audio), decoder.flush()])
        except AudioFormatError as error:
            raise refusal(str(error), "invalid_value", param=path) from error
        sounds.append(samples)
        return msgspec.structs.replace(part, audio=pcm16_encode(samples))

    def _recognise(self, entry: Entry) -> None:
        """Have the words of a user's sounds found, where they did not come with it."""
        item = entry.item
        if entry.audio is None or self.user_text(item.id) is not None:
            return
        self._outbox.want(Listen(item.id), Hear(item.id, entry.audio))
        self._outbox.want(Recognise(item.id))

    def put_aside(self, item: Any, path: str) -> Entry:
        """Keep an item beside the conversation, under an id that nobody else has.

        Raises
        ------
        ServerError
            If its audio is no audio; `path` is where the item stands in its event.
        """
        entry = self._made(item, self._outbox.new_id("item"), path)
        self._aside[entry.item.id] = entry
        self._recognise(entry)
        return entry

    def forget_aside(self, item_ids: Iterable[str]) -> None:
        """Forget what was put aside of these."""
        for item_id in item_ids:
            self._aside.pop(item_id, None)

    def referred(self, item_id: str, path: str) -> Entry:
        """The entry of an item that is, or once was, in the conversation.

        Raises
        ------
        ServerError
            If there never was such an item.
        """
        entry = self._entries.get(item_id) or self._deleted.get(item_id)
        if entry is None:
            raise refusal(
                f"Error retrieving item: the item with id '{item_id}' does not exist.",
                "item_retrieve_invalid_item_id",
                param=path,
            )
        return entry

    def hear(self, item_id: str, transcript: str) -> None:
        """Note what was recognised of an item's audio."""
        entry = self.get(item_id)
        if entry is None:
            return
        content = [
            msgspec.structs.replace(part, transcript=transcript)
            if isinstance(part, ev.InputAudio)
            else part
            for part in entry.item.content
        ]
        entry.item = msgspec.structs.replace(entry.item, content=content)

    def _insert(self, entry: Entry, previous: str | None) -> None:
        items = list(self._entries.items())
        at = 0
        if previous is not None:
            at = 1 + [item_id for item_id, _ in items].index(previous)
        items.insert(at, (entry.item.id, entry))
        self._entries = dict(items)

    def announce(self, item: Any, previous: str | None) -> None:
        """Say that there is a new item, and that it is complete."""
        for event in (ev.ConversationItemAdded, ev.ConversationItemDone):
            self._outbox.emit(event, previous_item_id=previous, item=item)

    def retrieve(self, event: ev.ConversationItemRetrieve) -> None:
        """Show an item with its audio.

        Raises
        ------
        ServerError
            If there is no such item.
        """
        entry = self.find(event.item_id, "retrieve", "retrieving")
        self._outbox.emit(ev.ConversationItemRetrieved, item=_with_audio(entry))

    def delete(self, event: ev.ConversationItemDelete) -> None:
        """Take an item out.

        Raises
        ------
        ServerError
            If there is no such item.
        """
        self.find(event.item_id, "delete", "deleting")
        self._deleted[event.item_id] = self._entries.pop(event.item_id)
        self._outbox.emit(ev.ConversationItemDeleted, item_id=event.item_id)

    def cut(self, item_id: str, samples: int) -> None:
        """Keep so many samples of an assistant item's audio, and no transcript."""
        entry = self._entries[item_id]
        if entry.audio is not None:
            entry.audio = entry.audio[:samples]
        content = [ev.OutputAudio(transcript="")]
        entry.item = msgspec.structs.replace(entry.item, content=content)


def _with_audio(entry: Entry) -> Any:
    """The item as it is retrieved; elsewhere its audio is not shown."""
    item = entry.item
    if entry.audio is None or any(_sound(part) for part in item.content):
        return item
    content = [
        msgspec.structs.replace(part, audio=pcm16_encode(entry.audio))
        if isinstance(part, ev.InputAudio | ev.OutputAudio)
        else part
        for part in item.content
    ]
    return msgspec.structs.replace(item, content=content)


def _sound(part: Any) -> bool:
    return isinstance(getattr(part, "audio", UNSET), bytes)


def _without_audio(item: Any) -> Any:
    """The item as it is announced: audio bytes are only shown by retrieve."""
    if not isinstance(item, ev.MessageItem):
        return item
    content = [
        ev.InputAudio(transcript=None if part.transcript is UNSET else part.transcript)
        if isinstance(part, ev.InputAudio)
        else part
        for part in item.content
    ]
    return msgspec.structs.replace(item, content=content)
