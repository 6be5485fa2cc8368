"""What a function gave, as text for the model, and the pictures in it.

Text goes as it is, everything else as JSON. A data frame gives its size and its first
rows, an array that is not small its shape and range, bytes their number. The wire takes
only text as the output of a call: a picture is named in it and sent in a message after it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np

from rtnb.tools.pictures import Picture, is_picture, picture

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_OUTPUT_BYTES: Final = 32_768
"""Longest output that is sent to the model whole; it is all billed as input."""

MAX_PICTURES: Final = 4
"""Pictures of one result that are sent."""

MAX_ROWS: Final = 20
"""Rows of a table that are sent."""

MAX_NUMBERS: Final = 64
"""Numbers of an array that are sent; of a larger one, its range and the first few."""

Status: TypeAlias = Literal["done", "failed", "refused", "timeout", "cancelled"]
"""How a call ended: "refused" is one that a person, or the arguments' check, stopped."""


@dataclass(frozen=True)
class Outcome:
    """What came of a call.

    Parameters
    ----------
    output : str
        What the model is told.
    pictures : tuple of Picture
        What it is shown besides.
    status : {"done", "failed", "refused", "timeout", "cancelled"}
        How the call ended.
    """

    output: str
    pictures: tuple[Picture, ...] = ()
    status: Status = "done"

    @classmethod
    def of(cls, result: Any) -> Outcome:
        """Make an outcome of what a function returned."""
        writer = _Writer()
        return cls(writer.text(result), tuple(writer.pictures))

    @classmethod
    def error(cls, message: str, status: Status = "failed") -> Outcome:
        """Make an outcome of what went wrong."""
        return cls(error_output(message), status=status)


def error_output(message: str) -> str:
    """Output that tells the model what went wrong."""
    told = _encodable(message)
    return _fitted(lambda size: _json({"error": told[:size]}), len(told))


class _Writer:
    """Writes a result, and puts the pictures aside that it finds in it."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []

    def text(self, result: Any) -> str:
        text = (
            _encodable(result)
            if isinstance(result, str)
            else _json(self._plain_bytes(result), self._told)
        )
        size = len(text.encode())
        if size <= MAX_OUTPUT_BYTES:
            return text
        cut = {"cut": f"these are the first characters of {size} bytes"}
        return _fitted(
            lambda length: _json(cut | {"beginning": text[:length]}), MAX_OUTPUT_BYTES
        )

    def _plain_bytes(self, result: Any) -> Any:
        """Bytes at the top, which would travel as text nobody reads."""
        if isinstance(result, bytes | bytearray | memoryview):
            return {"bytes": len(result)}
        return result

    def _told(self, value: Any) -> Any:
        """What JSON can say of a picture, a table, an array, or anything else."""
        if is_picture(value):
            return self._picture(value)
        table = _as_table(value)
        if table is not None:
            return _table(table)
        if isinstance(value, np.ndarray):
            return _array(value)
        for method in ("tolist", "to_dict"):
            if hasattr(value, method):
                return getattr(value, method)()
        return str(value)

    def _picture(self, value: Any) -> str:
        if len(self.pictures) == MAX_PICTURES:
            return f"image, not shown: a result may show {MAX_PICTURES}"
        shown = picture(value)
        self.pictures.append(shown)
        return (
            f"image {len(self.pictures)}, {shown.size}: it is shown in the next message"
        )


def _as_table(value: Any) -> Any:
    """The data frame that a value is or can be; pandas is loaded if it is one."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.Series):
        return value.to_frame()
    is_frame = pandas is not None and isinstance(value, pandas.DataFrame)
    return value if is_frame else None


def _table(frame: Any) -> dict[str, Any]:
    """Size of a data frame, its columns and its first rows."""
    named = frame.index.names != [None] or frame.index.dtype.kind not in "iu"
    head = frame.head(MAX_ROWS)
    if named:
        head = head.reset_index(allow_duplicates=True)
    split = json.loads(
        head.to_json(orient="split", date_format="iso", default_handler=str)
    )
    return {
        "rows": len(frame),
        "columns": split["columns"],
        "first_rows" if len(frame) > MAX_ROWS else "data": split["data"],
    }


def _array(array: np.ndarray[Any, Any]) -> Any:
    """A small array whole; else its shape, its range and how it begins."""
    if array.size <= MAX_NUMBERS:
        return array.tolist()
    told: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.dtype.kind in "iuf":
        told |= {
            "min": array.min().item(),
            "max": array.max().item(),
            "mean": array.mean().item(),
        }
    return told | {"first": array.ravel()[:16].tolist()}


def _json(value: Any, told: Any = None) -> str:
    return msgspec.json.encode(value, enc_hook=told).decode()


def _encodable(text: str) -> str:
    """The text with a question mark for every half of a character in it."""
    return text.encode(errors="replace").decode()


def _fitted(text: Callable[[int], str], length: int) -> str:
    """The first of the texts for `length` and for less that may be sent."""
    while len(told := text(length).encode()) > MAX_OUTPUT_BYTES:
        length = min(length - 1, length * MAX_OUTPUT_BYTES // len(told))
    return told.decode()
