"""Between a message on the wire and a typed event.

Nothing a peer says is lost and little is fatal. A field that is not known, or holds what
it should not, is kept beside the object, see `extras`, and written back; an item, content
part or tool of another type becomes an :class:`~rtnb.protocol.wire.UnknownObject`; an
event that cannot be read even so, an :class:`~rtnb.protocol.wire.UnknownEvent`. Only what
is no event at all, and audio that is not base64, raises. The strict reading, for a
server, is in :mod:`rtnb.protocol.validation`.

``msgspec.structs.replace`` makes a new object and leaves the extras behind.

Notes
-----
The two events that carry audio take a short cut: no dictionary is built, and pybase64
does the base64.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar, cast

import msgspec
import pybase64
from msgspec import UNSET, UnsetType

from rtnb.errors import ProtocolError
from rtnb.protocol.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    ClientEvent,
    InputAudioBufferAppend,
    ResponseOutputAudioDelta,
    ServerEvent,
    UnknownEvent,
    UnknownObject,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CLIENT_EVENTS",
    "SERVER_EVENTS",
    "audio_append",
    "client_event",
    "decode_client",
    "decode_server",
    "encode",
    "extras",
    "parse_json",
    "server_event",
    "to_dict",
    "type_name",
]

_Event = TypeVar("_Event", bound=msgspec.Struct)

_EXTRAS: Final = "_extras"

MAX_DEPTH: Final = 128
"""Levels of lists and objects in a message, far more than any event has."""

_HEAD: Final = 256
"""Characters in which an audio event's type must stand to take the short cut."""

_AUDIO_FIELDS: Final[dict[type, str]] = {
    InputAudioBufferAppend: "audio",
    ResponseOutputAudioDelta: "delta",
}


def encode(event: ClientEvent | ServerEvent | UnknownEvent) -> str:
    r"""Text of an event: its fields, and the extras it came with.

    Parameters
    ----------
    event : ClientEvent or ServerEvent or UnknownEvent
        Any event of the protocol.

    Returns
    -------
    str
        One JSON object: ``type``, ``event_id``, then the payload, then the extras.

    Examples
    --------
    >>> from rtnb.protocol.events import InputAudioBufferAppend
    >>> encode(InputAudioBufferAppend(audio=b"\0\0"))
    '{"type":"input_audio_buffer.append","audio":"AAA="}'
    """
    if isinstance(event, UnknownEvent):
        return _json(event.raw)
    if not _is_plain(event):
        return _json(to_dict(event))
    if isinstance(event, InputAudioBufferAppend):
        return _json(_Append(event_id=event.event_id, audio=_base64(event.audio)))
    if isinstance(event, ResponseOutputAudioDelta):
        return _json(
            _AudioDelta(
                event_id=event.event_id,
                response_id=event.response_id,
                item_id=event.item_id,
                output_index=event.output_index,
                content_index=event.content_index,
                delta=_base64(event.delta),
            )
        )
    return _json(event)


def decode_server(message: str | bytes) -> ServerEvent | UnknownEvent:
    """Event that a server's message means.

    Parameters
    ----------
    message : str or bytes
        One frame as it came.

    Returns
    -------
    ServerEvent or UnknownEvent
        The event, with extras where there was more than is known.

    Raises
    ------
    ProtocolError
        If the message is not JSON, is not an object, or has no ``type``; if it is
        nested more than `MAX_DEPTH` deep; if the
        ``delta`` of a ``response.output_audio.delta`` is not base64.

    Examples
    --------
    >>> decode_server('{"type": "input_audio_buffer.cleared", "event_id": "event_1"}')
    InputAudioBufferCleared(event_id='event_1')
    >>> decode_server('{"type": "response.sung", "notes": 7}').raw["notes"]
    7
    """
    return _audio_delta(message) or server_event(_object(message))


def decode_client(message: str | bytes) -> ClientEvent | UnknownEvent:
    """Event that a client's message means.

    Parameters
    ----------
    message : str or bytes
        One frame as it came.

    Returns
    -------
    ClientEvent or UnknownEvent
        The event, with extras where there was more than is known.

    Raises
    ------
    ProtocolError
        If the message is not JSON, is not an object, or has no ``type``; if it is
        nested more than `MAX_DEPTH` deep; if the
        ``audio`` of an ``input_audio_buffer.append`` is not base64.
    """
    return audio_append(message) or client_event(_object(message))


def server_event(raw: dict[str, Any]) -> ServerEvent | UnknownEvent:
    """Event that a server's message means, from its parsed JSON.

    Parameters
    ----------
    raw : dict
        The JSON object of the message; it is not changed.

    Returns
    -------
    ServerEvent or UnknownEvent
        As `decode_server`.

    Raises
    ------
    ProtocolError
        As `decode_server`.
    """
    return _event(raw, SERVER_EVENTS)


def client_event(raw: dict[str, Any]) -> ClientEvent | UnknownEvent:
    """Event that a client's message means, from its parsed JSON.

    Parameters
    ----------
    raw : dict
        The JSON object of the message; it is not changed.

    Returns
    -------
    ClientEvent or UnknownEvent
        As `decode_client`.

    Raises
    ------
    ProtocolError
        As `decode_client`.
    """
    return _event(raw, CLIENT_EVENTS)


def to_dict(event: msgspec.Struct) -> dict[str, Any]:
    """An event or object as the JSON object it is on the wire.

    Parameters
    ----------
    event : event or object of the protocol
        Audio in it becomes base64.

    Returns
    -------
    dict
        What `encode` writes, extras included; share nothing of it, the inside of extras
        and of unknown objects is not copied.
    """
    plain: dict[str, Any] = _plain(event)
    return plain


def extras(value: msgspec.Struct) -> dict[str, Any]:
    """What a peer sent in an event or object beyond its fields.

    Parameters
    ----------
    value : event or object of the protocol
        Those inside it have extras of their own.

    Returns
    -------
    dict
        By wire name: fields that are not known, and fields whose value cannot be read.

    Examples
    --------
    >>> extras(decode_server('{"type": "input_audio_buffer.cleared", "mood": "calm"}'))
    {'mood': 'calm'}
    """
    return dict(getattr(value, _EXTRAS, {}))


# -- messages ----------------------------------------------------------------------------


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def parse_json(message: str | bytes) -> Any:
    """JSON value that a message is.

    Parameters
    ----------
    message : str or bytes
        One frame as it came.

    Returns
    -------
    dict, list, str, int, float, bool or None
        The value.

    Raises
    ------
    ProtocolError
        If the message is not JSON, or is nested more than `MAX_DEPTH` deep.
    """
    try:
        value = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError("not JSON", _text(message)) from error
    if _is_deep(value):
        raise ProtocolError(f"nested more than {MAX_DEPTH} deep", _text(message))
    return value


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    """The containers in a container."""
    inner = value.values() if isinstance(value, dict) else value
    return [one for one in inner if isinstance(one, dict | list)]


def _object(message: str | bytes) -> dict[str, Any]:
    raw = parse_json(message)
    if not isinstance(raw, dict):
        raise ProtocolError("not a JSON object", _text(message))
    return raw


def _text(message: str | bytes) -> str:
    return message if isinstance(message, str) else message.decode(errors="replace")


def _event(
    raw: dict[str, Any], kinds: dict[str, type[_Event]]
) -> _Event | UnknownEvent:
    name = raw.get("type")
    if not isinstance(name, str):
        raise ProtocolError("no 'type'", _excerpt(raw))
    cls = kinds.get(name)
    if cls is None:
        return UnknownEvent(name, raw)
    try:
        event = msgspec.convert(raw, cls)
    except msgspec.ValidationError as error:
        _refuse_bad_audio(cls, raw, error)
        return _salvage(raw, cls, error) or UnknownEvent(name, raw)
    _keep_extras(event, raw)
    return event


def _excerpt(raw: dict[str, Any]) -> str:
    return msgspec.json.encode(raw).decode()


# -- audio, the short cut ----------------------------------------------------------------


class _Append(
    msgspec.Struct,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag=type_name(InputAudioBufferAppend),
):
    """``input_audio_buffer.append`` with its base64 as it stands in the message."""

    event_id: str | UnsetType = UNSET
    audio: msgspec.Raw


class _AudioDelta(
    msgspec.Struct,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag=type_name(ResponseOutputAudioDelta),
):
    """``response.output_audio.delta`` with its base64 as it stands in the message."""

    event_id: str | UnsetType = UNSET
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: msgspec.Raw


_APPEND = msgspec.json.Decoder(_Append)
_AUDIO_DELTA = msgspec.json.Decoder(_AudioDelta)


def audio_append(message: str | bytes) -> InputAudioBufferAppend | None:
    """The ``input_audio_buffer.append`` that a message plainly is.

    Parameters
    ----------
    message : str or bytes
        One frame as it came.

    Returns
    -------
    InputAudioBufferAppend or None
        None for any other event, and where one has to look closely: at a field too many,
        at base64 that is not valid, or for a type that stands late in the message.
    """
    frame = _frame(message, InputAudioBufferAppend, _APPEND)
    audio = None if frame is None else _bytes(frame.audio)
    if frame is None or audio is None:
        return None
    return InputAudioBufferAppend(event_id=frame.event_id, audio=audio)


def _audio_delta(message: str | bytes) -> ResponseOutputAudioDelta | None:
    frame = _frame(message, ResponseOutputAudioDelta, _AUDIO_DELTA)
    delta = None if frame is None else _bytes(frame.delta)
    if frame is None or delta is None:
        return None
    return ResponseOutputAudioDelta(
        event_id=frame.event_id,
        response_id=frame.response_id,
        item_id=frame.item_id,
        output_index=frame.output_index,
        content_index=frame.content_index,
        delta=delta,
    )


def _frame(
    message: str | bytes, cls: type, decoder: msgspec.json.Decoder[_Event]
) -> _Event | None:
    name, head = type_name(cls), message[:_HEAD]
    found = name in head if isinstance(head, str) else name.encode() in head
    if not found:
        return None
    try:
        return decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _bytes(text: msgspec.Raw) -> bytes | None:
    """Bytes of a base64 JSON string; None if it is not plainly one."""
    view = memoryview(text)
    if view[0] != ord('"'):
        return None
    try:
        return pybase64.b64decode(view[1:-1], validate=True)
    except ValueError:
        return None


def _base64(data: bytes) -> msgspec.Raw:
    return msgspec.Raw(b'"' + pybase64.b64encode(data) + b'"')


def _refuse_bad_audio(
    cls: type, raw: dict[str, Any], error: msgspec.ValidationError
) -> None:
    field = _AUDIO_FIELDS.get(cls)
    if field and _place(error) == (field,) and isinstance(raw.get(field), str):
        raise ProtocolError(f"'{field}' is not base64", _excerpt(raw)) from error


# -- what is not known -------------------------------------------------------------------

_SHELTERS: Final = frozenset({"item", "part"})
"""Fields in which an `UnknownObject` may stand."""

_LIST_SHELTERS: Final = frozenset({"content", "input", "output", "tools"})
"""Fields in whose lists it may."""

_ATTEMPTS: Final = 32
"""Readings of one event: a peer that sends more nonsense than that is not followed."""

_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")

_Place: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead from an event to a value in it."""


def _place(error: msgspec.ValidationError) -> _Place:
    """Where in the event the value at fault stands."""
    path = str(error).rpartition(" - at `$")[2].rpartition("`")[0]
    return tuple(name or int(index) for name, index in _STEP.findall(path))


def _at(value: Any, place: _Place) -> Any:
    for step in place:
        value = value[step]
    return value


def _changed(value: Any, place: _Place, new: Any = UNSET) -> Any:
    """A copy of `value` with `new` at the place, or with nothing there."""
    step, *rest = place
    copy = value.copy()
    if rest:
        copy[step] = _changed(value[step], tuple(rest), new)
    elif new is UNSET:
        del copy[step]
    else:
        copy[step] = new
    return copy


def _salvage(
    raw: dict[str, Any], cls: type[_Event], error: msgspec.ValidationError
) -> _Event | None:
    """Read `raw` with what cannot be read sheltered, or laid aside among the extras."""
    patched: dict[str, Any] = raw
    aside: list[_Place] = []
    sheltered: set[_Place] = set()
    for _ in range(_ATTEMPTS):
        place = _culprit(_place(error), raw, sheltered)
        if not place:
            return None
        if _may_shelter(place):
            sheltered.add(place)
            shelter = {"type": type_name(UnknownObject), "raw": _at(raw, place)}
            patched = _changed(patched, place, shelter)
        else:
            aside.append(place)
            patched = _changed(patched, place)
        try:
            event = msgspec.convert(patched, cls)
        except msgspec.ValidationError as next_error:
            error = next_error
        else:
            _keep_extras(event, patched)
            gone = sheltered.union(aside)
            for place in aside:
                if not any(place[:end] in gone for end in range(1, len(place))):
                    _lay_aside(event, raw, place)
            return event
    return None


def _culprit(place: _Place, raw: dict[str, Any], sheltered: set[_Place]) -> _Place:
    """The innermost object to shelter, or field to lay aside, that holds the place."""
    while place:
        if _may_shelter(place):
            if place not in sheltered and isinstance(_at(raw, place), dict):
                return place
        elif place[-1] != "type" and isinstance(place[-1], str):
            return place
        place = place[:-1]
    return ()


def _may_shelter(place: _Place) -> bool:
    if isinstance(place[-1], int):
        return len(place) > 1 and place[-2] in _LIST_SHELTERS
    return place[-1] in _SHELTERS


def _lay_aside(event: msgspec.Struct, raw: dict[str, Any], place: _Place) -> None:
    """Keep what stands in `raw` at the place as an extra of the object it stands in."""
    *steps, name = place
    value: Any = event
    for step in steps:
        value = value[step] if isinstance(step, int) else getattr(value, step)
    kept: dict[Any, Any] = extras(value)
    vars(value)[_EXTRAS] = {**kept, name: _at(raw, place)}


# -- extras ------------------------------------------------------------------------------


class _Shape(NamedTuple):
    """What the codec must know of a type."""

    tag: str | None
    known: frozenset[str]
    nested: tuple[str, ...]


@cache
def _shape(cls: type[msgspec.Struct]) -> _Shape:
    tag = cls.__struct_config__.tag
    info = cast("msgspec.inspect.StructType", msgspec.inspect.type_info(cls))
    return _Shape(
        tag=None if tag is None else str(tag),
        known=frozenset(cls.__struct_fields__) | ({"type"} if tag else frozenset()),
        nested=tuple(f.name for f in info.fields if _holds_struct(f.type)),
    )


def _holds_struct(info: msgspec.inspect.Type) -> bool:
    match info:
        case msgspec.inspect.StructType():
            return True
        case msgspec.inspect.UnionType(types=types):
            return any(map(_holds_struct, types))
        case msgspec.inspect.ListType(item_type=item):
            return _holds_struct(item)
        case _:
            return False


def _keep_extras(value: Any, raw: Any) -> None:
    if isinstance(value, list):
        for one, raw_one in zip(value, raw, strict=True):
            _keep_extras(one, raw_one)
    elif isinstance(raw, dict) and isinstance(value, msgspec.Struct):
        shape = _shape(type(value))
        beyond = {key: given for key, given in raw.items() if key not in shape.known}
        if beyond:
            vars(value)[_EXTRAS] = beyond
        for name in shape.nested:
            _keep_extras(getattr(value, name), raw.get(name))


def _is_plain(value: Any) -> bool:
    """Whether msgspec alone writes all that `value` is."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if not isinstance(value, msgspec.Struct):
        return True
    if isinstance(value, UnknownObject) or hasattr(value, _EXTRAS):
        return False
    return all(_is_plain(getattr(value, name)) for name in _shape(type(value)).nested)


def _plain(value: Any) -> Any:
    if isinstance(value, UnknownObject | UnknownEvent):
        return value.raw
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    tag = _shape(type(value)).tag
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return {
        **({"type": tag} if tag else {}),
        **{name: _plain(given) for name, given in fields.items() if given is not UNSET},
        **extras(value),
    }
