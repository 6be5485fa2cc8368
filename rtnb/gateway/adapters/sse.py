"""Server-sent events, read from bytes in pieces of any size.

References
----------
.. [1] WHATWG HTML, section 9.2 "Server-sent events", parsing an event stream.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rtnb.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_EVENT: Final = 2**20
"""Bytes; more than any answer, and little enough to be held."""

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class EventStream:
    """The data of events, as soon as they are whole.

    Notes
    -----
    Only CR, LF and CRLF end a line, as the standard has it: JSON may hold other line
    separators as they are. Comments and other fields than ``data`` are skipped.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Take bytes; give the data of every event that they complete.

        Parameters
        ----------
        chunk : bytes
            Any part of the stream.

        Yields
        ------
        str
            The event's data.

        Raises
        ------
        EngineError
            If an event is larger than `LARGEST_EVENT`, or is not UTF-8.
        """
        self._rest += chunk
        if self._first and len(self._rest) >= len(_BOM):
            self._rest = self._rest.removeprefix(_BOM)
            self._first = False
        while (line := self._line()) is not None:
            if line:
                self._take(line)
            elif self._data:
                yield self._event()
        if self._size + len(self._rest) > LARGEST_EVENT:
            raise EngineError(
                f"the server sent an event of more than {LARGEST_EVENT} bytes"
            )

    def end(self) -> Iterator[str]:
        """The stream is over: a last event may lack its empty line.

        Yields
        ------
        str
            Its data.
        """
        if self._rest:
            self._take(self._rest.rstrip(b"\r"))
            self._rest = b""
        if self._data:
            yield self._event()

    def _line(self) -> bytes | None:
        end = _LINE_END.search(self._rest)
        # A CR at the very end may be half of a CRLF.
        if end is None or (end[0] == b"\r" and end.end() == len(self._rest)):
            return None
        line, self._rest = self._rest[: end.start()], self._rest[end.end() :]
        return line

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value)

    def _event(self) -> str:
        data, self._data, self._size = b"\n".join(self._data), [], 0
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise EngineError(
                f"the server sent an event that is not UTF-8: {error}"
            ) from error
