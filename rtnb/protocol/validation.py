"""The strict reading of what a client sends, for a server.

Shapes come from the types of the wire, what a shape cannot say from
:mod:`rtnb.protocol.rules`. Every refusal is a :class:`~rtnb.errors.ServerError` with the
code, the dotted ``param`` and the ``event_id`` that belong into an ``error`` event.

References
----------
OpenAI Realtime API, GA interface. The wording of refused types and of missing and unknown
parameters is the service's; that of base64 is ours.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeVar, cast

import msgspec
import pybase64
from msgspec import UNSET, inspect

from rtnb.errors import ProtocolError, ServerError
from rtnb.protocol.codec import audio_append, parse_json
from rtnb.protocol.events import (
    CLIENT_EVENTS,
    ClientEvent,
    InputAudioBufferAppend,
    SessionConfig,
    UnknownObject,
    type_name,
)
from rtnb.protocol.rules import (
    FIELD_RULES,
    MAX_APPEND_BYTES,
    MAX_EVENT_ID,
    OBJECT_RULES,
    Rule,
    refusal,
    refuse_value,
)
from rtnb.protocol.translation import (
    TRANSLATION_CLIENT_EVENTS,
    TranslationClientEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_Request = TypeVar("_Request", bound=msgspec.Struct)


def parse_client_event(message: str | bytes) -> tuple[ClientEvent, dict[str, Any]]:
    """Typed event and parsed JSON of a client's message.

    Parameters
    ----------
    message : str or bytes
        One frame as it came.

    Returns
    -------
    event : ClientEvent
        The event; it has no extras, for what is not known is refused.
    raw : dict
        What was sent, key by key; of an ``input_audio_buffer.append`` without ``audio``.

    Raises
    ------
    ServerError
        If the message is not JSON (``invalid_json``), not an event (``invalid_event``),
        or has a field that is missing (``missing_required_parameter``), not known
        (``unknown_parameter``), of another type (``invalid_type``), out of its range or
        set (``invalid_value``) or too long (``string_above_max_length``).

    Examples
    --------
    >>> parse_client_event('{"type": "response.cancel", "event_id": "a"}')
    (ResponseCancel(event_id='a'), {'type': 'response.cancel', 'event_id': 'a'})
    >>> parse_client_event('{"type": "session.update", "session": {}}')
    Traceback (most recent call last):
        ...
    rtnb.errors.ServerError: Missing required parameter: 'session.type'. (code=missing_required_parameter, param=session.type)
    """
    append = _plain_append(message)
    if append is not None:
        given = {} if append.event_id is UNSET else {"event_id": append.event_id}
        return append, {"type": type_name(InputAudioBufferAppend), **given}
    raw = _object(message)
    event: ClientEvent = _event(raw, _CLIENT_EVENT, CLIENT_EVENTS)
    return event, raw


def parse_translation_event(
    message: str | bytes,
) -> tuple[TranslationClientEvent, dict[str, Any]]:
    """Typed event and parsed JSON of a message to a translation session.

    Parameters
    ----------
    message : str or bytes
        One frame as it came.

    Returns
    -------
    event : TranslationClientEvent
        The event.
    raw : dict
        What was sent, key by key.

    Raises
    ------
    ServerError
        As `parse_client_event`.

    Examples
    --------
    >>> parse_translation_event('{"type": "session.close"}')
    (SessionClose(), {'type': 'session.close'})
    """
    raw = _object(message)
    event: TranslationClientEvent = _event(
        raw, _TRANSLATION_EVENT, TRANSLATION_CLIENT_EVENTS
    )
    return event, raw


def validate_session(raw: dict[str, Any]) -> SessionConfig:
    """Typed session of a session object, such as one that an update was merged into.

    Parameters
    ----------
    raw : dict
        A session object with its ``type``.

    Returns
    -------
    RealtimeSession or TranscriptionSession
        As the ``type`` says.

    Raises
    ------
    ServerError
        As `parse_client_event`; its `param` begins with ``session``.

    Examples
    --------
    >>> validate_session({"type": "realtime", "output_modalities": ["text"]})
    RealtimeSession(output_modalities=['text'])
    """
    _check(raw, _SESSION, "session")
    session: SessionConfig = msgspec.convert(raw, SessionConfig)
    return session


def validate_request(message: bytes, kind: type[_Request]) -> _Request:
    """Typed body of a REST request.

    Parameters
    ----------
    message : bytes
        The body as it came.
    kind : type
        What it must be, one of :mod:`rtnb.protocol.requests`.

    Returns
    -------
    kind
        The body.

    Raises
    ------
    ServerError
        As `parse_client_event`.

    Examples
    --------
    >>> from rtnb.protocol.requests import ClientSecretRequest
    >>> validate_request(b'{"expires_after": {"seconds": 5}}', ClientSecretRequest)
    Traceback (most recent call last):
        ...
    rtnb.errors.ServerError: Invalid 'expires_after.seconds': must be between 10 and 7200, got 5. (code=invalid_value, param=expires_after.seconds)
    """
    try:
        raw = parse_json(message)
    except ProtocolError as error:
        text = "We could not parse the JSON body of your request."
        raise refusal(text, "invalid_json") from error
    if not isinstance(raw, dict):
        text = f"Invalid body: expected object, got {_kind(raw)}"
        raise refusal(text, "invalid_type")
    _check(raw, inspect.type_info(kind), "")
    return msgspec.convert(raw, kind)


def _plain_append(message: str | bytes) -> InputAudioBufferAppend | None:
    """An ``input_audio_buffer.append`` in which there is nothing to refuse."""
    append = audio_append(message)
    if append is None or len(append.audio) > MAX_APPEND_BYTES:
        return None
    if isinstance(append.event_id, str) and len(append.event_id) > MAX_EVENT_ID:
        return None
    return append


def _object(message: str | bytes) -> dict[str, Any]:
    try:
        raw = parse_json(message)
    except ProtocolError as error:
        text = "Invalid event: failed to parse JSON value"
        raise refusal(text, "invalid_json") from error
    if not isinstance(raw, dict):
        text = f"Invalid event: expected object, got {_kind(raw)}"
        raise refusal(text, "invalid_event")
    return raw


def _event(
    raw: dict[str, Any], info: inspect.Type, events: Mapping[str, type[Any]]
) -> Any:
    """The event that is meant; a refusal names the client's ``event_id``."""
    try:
        if "type" not in raw:
            raise refusal("The 'type' field is missing.", "invalid_event")
        _check(raw, info, "")
    except ServerError as error:
        event_id = raw.get("event_id")
        error.event_id = event_id if isinstance(event_id, str) else None
        raise
    return msgspec.convert(raw, events[raw["type"]])


# -- shapes ------------------------------------------------------------------------------

_CLIENT_EVENT: Final = inspect.type_info(ClientEvent)
_TRANSLATION_EVENT: Final = inspect.type_info(TranslationClientEvent)
_SESSION: Final = inspect.type_info(SessionConfig)

_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}

_ACCEPTED: Final[dict[type, tuple[str, ...]]] = {
    inspect.NoneType: ("null",),
    inspect.BoolType: ("boolean",),
    inspect.IntType: ("integer",),
    inspect.FloatType: ("number", "integer"),
    inspect.StrType: ("string",),
    inspect.LiteralType: ("string",),
    inspect.BytesType: ("string",),
    inspect.ListType: ("array",),
    inspect.DictType: ("object",),
    inspect.StructType: ("object",),
    inspect.AnyType: tuple(_KINDS.values()),
}
"""Kinds of JSON value that a type reads, first the one it is called by."""


class _Shape(NamedTuple):
    """Fields of a class of objects."""

    cls: type
    tag: str | None
    fields: dict[str, inspect.Field]


@cache
def _shape(cls: type[msgspec.Struct]) -> _Shape:
    info = cast("inspect.StructType", inspect.type_info(cls))
    tag = None if info.tag is None else str(info.tag)
    return _Shape(cls, tag, {field.encode_name: field for field in info.fields})


def _kind(value: Any) -> str:
    return _KINDS[type(value)]


def _options(info: inspect.Type) -> list[inspect.Type]:
    """The types a value may have; what is kept unknown elsewhere is not among them."""
    types = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [one for one in types if getattr(one, "cls", None) is not UnknownObject]


def _check(
    value: Any, info: inspect.Type, path: str, rules: Iterable[Rule] = ()
) -> None:
    """Refuse `value` unless it is all that its type and the rules say."""
    options = _options(info)
    fitting = [one for one in options if _kind(value) in _ACCEPTED[type(one)]]
    if not fitting:
        _refuse_type(value, options, path)
    match fitting[0]:
        case inspect.StructType():
            shapes = [_shape(cast("inspect.StructType", one).cls) for one in fitting]
            _check_object(value, shapes, path)
        case inspect.DictType(value_type=inner):
            for key, one in value.items():
                _check(one, inner, f"{path}.{key}")
        case inspect.ListType(item_type=inner):
            for index, one in enumerate(value):
                _check(one, inner, f"{path}[{index}]", rules)
        case inspect.BytesType():
            _check_base64(value, path)
    for rule in rules:
        rule(value, path)


def _check_object(value: dict[str, Any], shapes: list[_Shape], path: str) -> None:
    shape = _chosen(value, shapes, path)
    rules = FIELD_RULES.get(shape.cls, {})
    for name, field in shape.fields.items():
        if field.required and name not in value:
            _refuse_missing(_joined(path, name))
    for name, given in value.items():
        if name in shape.fields:
            inner = _joined(path, name)
            _check(given, shape.fields[name].type, inner, rules.get(name, ()))
        elif name != "type" or shape.tag is None:
            _refuse_unknown(_joined(path, name))
    if shape.cls in OBJECT_RULES:
        OBJECT_RULES[shape.cls](value, path)


def _chosen(value: dict[str, Any], shapes: list[_Shape], path: str) -> _Shape:
    """The one of `shapes` that the ``type`` of an object names."""
    tagged = {shape.tag: shape for shape in shapes if shape.tag}
    if not tagged:
        return shapes[0]
    where = _joined(path, "type")
    if "type" not in value:
        _refuse_missing(where)
    if not isinstance(value["type"], str):
        _refuse_type(value["type"], [inspect.StrType()], where)
    if value["type"] not in tagged:
        refuse_value(value["type"], tagged, where)
    return tagged[value["type"]]


def _check_base64(value: str, path: str) -> None:
    try:
        pybase64.b64decode(value, validate=True)
    except ValueError as error:
        text = f"Invalid '{path}': expected base64-encoded audio."
        raise refusal(text, "invalid_value", param=path) from error


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _refuse_type(value: Any, options: list[inspect.Type], path: str) -> NoReturn:
    wanted = " or ".join(dict.fromkeys(_ACCEPTED[type(one)][0] for one in options))
    text = f"Invalid type for '{path}': expected {wanted}, got {_kind(value)}"
    raise refusal(text, "invalid_type", param=path)


def _refuse_missing(path: str) -> NoReturn:
    text = f"Missing required parameter: '{path}'."
    raise refusal(text, "missing_required_parameter", param=path)


def _refuse_unknown(path: str) -> NoReturn:
    raise refusal(f"Unknown parameter: '{path}'.", "unknown_parameter", param=path)
