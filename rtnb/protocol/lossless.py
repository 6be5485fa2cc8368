"""Between a JSON object and a typed one, losing nothing.

A field that is not known, or whose value cannot be read, is kept beside the typed object
as an extra and written back; an item, content part or tool of another type or shape
becomes an :class:`~rtnb.protocol.wire.UnknownObject`. ``msgspec.structs.replace`` makes a
new object and leaves the extras behind.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar, cast

import msgspec
from msgspec import UNSET

from rtnb.protocol.wire import UnknownEvent, UnknownObject, type_name

_Event = TypeVar("_Event", bound=msgspec.Struct)

_EXTRAS: Final = "_extras"

_SHELTERS: Final = frozenset({"item", "part"})
"""Fields in which an `UnknownObject` may stand."""

_LIST_SHELTERS: Final = frozenset({"content", "input", "output", "tools"})
"""Fields in whose lists it may."""

_ATTEMPTS: Final = 32
"""Readings of one event: a peer that sends more nonsense than that is not followed."""

_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")

_Place: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead from an event to a value in it."""


def read(raw: dict[str, Any], cls: type[_Event]) -> _Event | None:
    """Typed event of a JSON object, with what it cannot hold kept beside it.

    Parameters
    ----------
    raw : dict
        The JSON object; it is not changed.
    cls : type
        The event it is by its ``type``.

    Returns
    -------
    event of type `cls`, or None
        None where what makes the event is missing, or more is wrong than is followed.
    """
    try:
        event = msgspec.convert(raw, cls)
    except msgspec.ValidationError as error:
        return _salvage(raw, cls, error)
    _keep_extras(event, raw)
    return event


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
    >>> from rtnb.protocol.codec import decode_server
    >>> extras(decode_server('{"type": "input_audio_buffer.cleared", "mood": "calm"}'))
    {'mood': 'calm'}
    """
    return dict(getattr(value, _EXTRAS, {}))


# -- what cannot be read -----------------------------------------------------------------


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


def is_plain(value: Any) -> bool:
    """Whether msgspec alone writes all that an event or object is."""
    if isinstance(value, list):
        return all(map(is_plain, value))
    if not isinstance(value, msgspec.Struct):
        return True
    if isinstance(value, UnknownObject) or hasattr(value, _EXTRAS):
        return False
    return all(is_plain(getattr(value, name)) for name in _shape(type(value)).nested)


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
