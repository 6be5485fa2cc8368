"""What is said to a model otherwise than by typing or speaking: items, and one answer's own settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from rtnb.audio import Clip
from rtnb.errors import ConfigError
from rtnb.protocol import events as ev
from rtnb.protocol.client import ItemState
from rtnb.session.settings import keep_tools, session_patch
from rtnb.session.sound import wire_audio
from rtnb.session.turn import Turn
from rtnb.tools import Picture, Tool, picture
from rtnb.tools.pictures import is_picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.session.settings import ToolLike

MAX_METADATA: Final = 15
"""Pairs that a question may have; the API takes 16, and one is ours."""

MAX_KEY: Final = 64
MAX_VALUE: Final = 512
"""Characters of a key and of a value of the metadata: the API's."""

Question: TypeAlias = "str | Turn | ItemState | ev.InputItem | Mapping[str, Any] | Any"
"""A text, a clip, a picture, an item, an item or turn of the conversation to refer to."""

_PARTS: Final = (ev.InputText, ev.InputAudio, ev.InputImage)
_ITEMS: Final = get_args(ev.InputItem)


@dataclass(frozen=True)
class Said:
    """What a model is told: items, and what is shown of them.

    Parameters
    ----------
    items : tuple of InputItem
        As on the wire.
    text : str
        The texts among them, one after the other.
    pictures : tuple of Picture
        The pictures among them.
    """

    items: tuple[Any, ...]
    text: str = ""
    pictures: tuple[Picture, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the pictures."""
        return tuple(note for each in self.pictures for note in each.notes)


@dataclass
class _Reader:
    """Makes items of what is said; what a user says at once is one message."""

    wire_format: Any
    detail: str | UnsetType
    items: list[Any] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    _parts: list[Any] = field(default_factory=list)

    def read(self, said: Iterable[Question]) -> Said:
        for one in said:
            self._read_one(one)
        self._end_message()
        return Said(tuple(self.items), " ".join(self.texts), tuple(self.pictures))

    def _read_one(self, one: Question) -> None:
        part = self._part(one)
        if part is not None:
            self._parts.append(part)
            return
        self._end_message()
        match one:
            case Turn():
                self.items += [ev.ItemReference(id=item.id) for item in one.items]
            case ItemState():
                self.items.append(ev.ItemReference(id=one.id))
            case _ if isinstance(one, _ITEMS):
                self.items.append(one)
            case Mapping():
                self.items.append(_converted(one))
            case _:
                raise ConfigError(
                    f"a model cannot be told a {type(one).__name__}: give a text, a "
                    "Clip, a picture, an item of rtnb.protocol.events, or an item or a "
                    "turn of the session"
                )

    def _part(self, one: Question) -> Any:
        """Content of a user message; None if it is none."""
        match one:
            case str():
                if not one.strip():
                    raise ConfigError(f"{one!r} says nothing: give some text")
                self.texts.append(one)
                return ev.InputText(text=one)
            case Clip():
                sound = wire_audio(
                    one, None, wire_format=self.wire_format, detection=None
                )
                return ev.InputAudio(audio=sound.data)
            case _ if isinstance(one, _PARTS):
                return one
            case _ if isinstance(one, Path | np.ndarray) or is_picture(one):
                shown = picture(one)
                self.pictures.append(shown)
                return ev.InputImage(image_url=shown.uri, detail=self.detail)
            case _:
                return None

    def _end_message(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self.items.append(ev.MessageItem(role="user", content=parts))


def is_single(said: object) -> bool:
    """Whether it is one thing to tell, and no iterable of them."""
    return isinstance(said, str | Mapping | Clip | Turn | np.ndarray) or not isinstance(
        said, Iterable
    )


def told(
    said: Question | Iterable[Question],
    *,
    wire_format: Any,
    detail: str | UnsetType = UNSET,
) -> Said:
    """Make items of what is said to a model.

    Parameters
    ----------
    said : text, clip, picture, item, or an iterable of them
        What stands together of a user's text, sound and pictures is one message. An
        `ItemState` or a `Turn` refers to what the conversation has.
    wire_format : AudioPcm, AudioPcmu or AudioPcma
        The session's input format.
    detail : "auto", "low" or "high"
        How closely pictures are looked at.

    Raises
    ------
    ConfigError
        If it is nothing, or nothing that can be told.
    ImageFormatError, AudioFormatError
        If it is a picture or a sound that cannot be.
    """
    several: Iterable[Any] = [said] if is_single(said) else said  # type: ignore[assignment]
    whole = _Reader(wire_format, detail).read(several)
    if not whole.items:
        raise ConfigError("there is nothing to tell the model: give a text")
    return whole


def references(items: Iterable[ItemState]) -> list[Any]:
    """The conversation so far, as references to its items that are complete."""
    return [
        ev.ItemReference(id=item.id) for item in items if item.status != "in_progress"
    ]


def named(item: Any, item_id: str) -> Any:
    """Return the item with its own id, or with this one."""
    if isinstance(item, ev.ItemReference | ev.UnknownObject):
        raise ConfigError(
            f"{item!r} cannot be put into the conversation: give a message, a call or "
            "a result"
        )
    own = getattr(item, "id", None)
    if isinstance(own, str) and own:
        return item
    return msgspec.structs.replace(item, id=item_id)


def picture_message(called: str, pictures: tuple[Picture, ...]) -> ev.MessageItem:
    """Message that shows the pictures of a function's result."""
    parts: list[Any] = [ev.InputText(text=f"What {called} shows:")]
    parts += [ev.InputImage(image_url=each.uri) for each in pictures]
    return ev.MessageItem(role="user", content=parts)


@dataclass(frozen=True)
class Overrides:
    """What one answer shall do otherwise than the session says.

    Parameters
    ----------
    config : ResponseConfig
        As on the wire.
    tools : mapping of str to Tool, or None
        Functions that answer its calls; None: those of the session.
    """

    config: ev.ResponseConfig
    tools: Mapping[str, Tool] | None = None


def overrides(
    *,
    any_voice: bool,
    instructions: str | UnsetType = UNSET,
    output_modalities: str | list[str] | UnsetType = UNSET,
    voice: str | UnsetType = UNSET,
    tools: Iterable[Callable[..., Any] | ToolLike | Mapping[str, Any]]
    | UnsetType = UNSET,
    tool_choice: Any = UNSET,
    max_output_tokens: Any = UNSET,
    metadata: Mapping[str, object] | None = None,
) -> Overrides:
    """Check the settings of one answer, and say them as on the wire.

    Raises
    ------
    ConfigError
        If a value cannot be.
    """
    kept = None if isinstance(tools, UnsetType) else keep_tools(tools)
    patch = session_patch(
        any_voice=any_voice,
        instructions=instructions,
        output_modalities=output_modalities,
        voice=voice,
        tools=UNSET if kept is None else kept,
        tool_choice=tool_choice,
        max_output_tokens=max_output_tokens,
    )
    output = getattr(patch.audio, "output", UNSET)
    config = ev.ResponseConfig(
        instructions=patch.instructions,
        output_modalities=patch.output_modalities,
        tools=patch.tools,
        tool_choice=patch.tool_choice,
        max_output_tokens=patch.max_output_tokens,
        metadata=_metadata(metadata or {}),
        audio=UNSET
        if output is UNSET
        else ev.ResponseAudio(output=ev.ResponseAudioOutput(voice=output.voice)),
    )
    if kept is None:
        return Overrides(config)
    functions = {each.definition.name: each for each in kept if isinstance(each, Tool)}
    return Overrides(config, functions)


def _metadata(pairs: Mapping[str, object]) -> dict[str, str]:
    texts = {str(key): str(value) for key, value in pairs.items()}
    if len(texts) > MAX_METADATA:
        raise ConfigError(
            f"the metadata has {len(texts)} pairs: give at most {MAX_METADATA}"
        )
    for key, value in texts.items():
        if len(key) > MAX_KEY or len(value) > MAX_VALUE:
            raise ConfigError(
                f"the metadata {key[:MAX_KEY]!r} is too long: give a key of at most "
                f"{MAX_KEY} and a value of at most {MAX_VALUE} characters"
            )
    return texts


def _converted(item: Mapping[str, Any]) -> Any:
    try:
        return msgspec.convert(item, ev.InputItem)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{dict(item)!r} is no item of the API: {error}") from error
