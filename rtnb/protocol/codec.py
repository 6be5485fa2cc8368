"""Between a message on the wire and a typed event.

Nothing a peer says is lost and little is fatal: what an event cannot hold is kept beside
it (see :mod:`rtnb.protocol.lossless`), and an event that cannot be read even so becomes
an :class:`~rtnb.protocol.wire.UnknownEvent`. Only what is no event at all, and audio that
is not base64, raises. The strict reading, for a server, is in
:mod:`rtnb.protocol.validation`.

Notes
-----
The two events that carry audio take a short cut: no dictionary is built, and pybase64
does the base64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

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
    type_name,
)
from rtnb.protocol.lossless import extras, is_plain, read, to_dict
from rtnb.protocol.translation import (
    TRANSLATION_SERVER_EVENTS,
    SessionOutputAudioDelta,
    TranslationClientEvent,
    TranslationServerEvent,
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
    "decode_translation",
    "encode",
    "extras",
    "parse_json",
    "server_event",
    "to_dict",
    "type_name",
]

_Event = TypeVar("_Event", bound=msgspec.Struct)

MAX_DEPTH: Final = 128
"""Levels of lists and objects in a message, far more than any event has."""

_HEAD: Final = 256
"""Characters in which an audio event's type must stand to take the short cut."""

_AUDIO_FIELDS: Final[dict[type, str]] = {
    InputAudioBufferAppend: "audio",
    ResponseOutputAudioDelta: "delta",
    SessionOutputAudioDelta: "delta",
}


def encode(
    event: ClientEvent | ServerEvent | TranslationClientEvent | UnknownEvent,
) -> str:
    r"""Text of an event: its fields, and the extras it came with.

    Parameters
    ----------
    event : ClientEvent, ServerEvent, TranslationClientEvent or UnknownEvent
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
    if not is_plain(event):
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


def decode_translation(message: str | bytes) -> TranslationServerEvent | UnknownEvent:
    """Event that a message of a translation session's server means.

    Parameters
    ----------
    message : str or bytes
        One frame as it came.

    Returns
    -------
    TranslationServerEvent or UnknownEvent
        As `decode_server`.

    Raises
    ------
    ProtocolError
        As `decode_server`, for the ``delta`` of a ``session.output_audio.delta``.

    Examples
    --------
    >>> decode_translation('{"type": "session.closed"}')
    SessionClosed()
    """
    return _event(_object(message), TRANSLATION_SERVER_EVENTS)


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
    event = read(raw, cls)
    if event is None:
        _refuse_bad_audio(cls, raw)
        return UnknownEvent(name, raw)
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


def _refuse_bad_audio(cls: type, raw: dict[str, Any]) -> None:
    field = _AUDIO_FIELDS.get(cls)
    if field is None or not isinstance(raw.get(field), str):
        return
    try:
        pybase64.b64decode(raw[field], validate=True)
    except ValueError as error:
        raise ProtocolError(f"'{field}' is not base64", _excerpt(raw)) from error
