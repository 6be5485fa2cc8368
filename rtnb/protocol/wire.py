"""What every type of the wire is made of.

Python names are the wire's names. A field that was not given is ``msgspec.UNSET`` and is
not written; ``None`` is the wire's ``null``. Values are frozen and compare by their
fields. What a peer sent beyond the fields is kept beside them, see
:func:`rtnb.protocol.lossless.extras`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class Wire(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    repr_omit_defaults=True,
    dict=True,
):
    """Base of every event and object of the protocol."""


class UnknownObject(Wire, frozen=True, kw_only=True, tag_field="type", tag="\0unknown"):
    """An item, part, tool or setting of a type or shape that is not known here.

    Parameters
    ----------
    raw : dict
        The object as it came, and as it will be written.
    """

    raw: dict[str, Any]


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a type or shape that is not known here: shown, kept, never fatal.

    Parameters
    ----------
    type : str
        Its wire name.
    raw : dict
        The whole event as it came, and as it will be written.
    """

    type: str
    raw: dict[str, Any]

    @property
    def event_id(self) -> str | UnsetType:
        """Its identifier, where it has one."""
        event_id = self.raw.get("event_id")
        return event_id if isinstance(event_id, str) else UNSET


def type_name(cls: type[msgspec.Struct]) -> str:
    """Wire name of an event or object class.

    Examples
    --------
    >>> from rtnb.protocol.events import ResponseOutputAudioDelta
    >>> type_name(ResponseOutputAudioDelta)
    'response.output_audio.delta'
    """
    return str(cls.__struct_config__.tag)
