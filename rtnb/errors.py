"""Every exception of the package, in one tree.

.. code-block:: text

    RtnbError
    ├── AudioFormatError    also ValueError      shape, dtype, rate, odd byte count
    ├── ConfigError         also ValueError      a session or price setting that cannot be
    ├── TransportError      also OSError
    │   ├── ConnectError                         never opened: url, http status if any
    │   │   └── ConnectTimeout  also TimeoutError
    │   └── ConnectionLost                       was open: close code, reason, what was unsent
    ├── ProtocolError                            the peer broke the protocol
    ├── ServerError                              the peer said no: type, code, param, event_id
    ├── SessionClosed                            used after close
    └── EngineError                              the local engine failed; cause chained
        └── MissingExtra    also ImportError     the sentence that installs what is missing

Errors keep their values and form the sentence in ``__str__``. An error that resembles
a builtin is one, so old habits catch it. API keys never enter a message or a ``repr``.
"""

from __future__ import annotations

from typing_extensions import override

_LONGEST = 200
"""Characters of a peer's message that an error repeats."""


class RtnbError(Exception):
    """Base of every error that rtnb raises on purpose."""


class AudioFormatError(RtnbError, ValueError):
    """Audio whose shape, dtype, rate, range or byte count cannot be used."""


class ImageFormatError(RtnbError, ValueError):
    """An image that is not in the message, of another format, or too large."""


class ConfigError(RtnbError, ValueError):
    """A setting that cannot be: the value, the limit and the way out."""


class TransportError(RtnbError, OSError):
    """The network between us and the peer failed."""


class ConnectError(TransportError):
    """A connection that never opened.

    Parameters
    ----------
    url : str
        Where to; without query values, so that no key shows.
    reason : str
        What happened, in words.
    status : int or None
        HTTP status of a refused handshake.
    """

    def __init__(self, url: str, reason: str, *, status: int | None = None) -> None:
        super().__init__(url, reason, status)
        self.url = url
        self.reason = reason
        self.status = status

    @override
    def __str__(self) -> str:
        status = f" (HTTP {self.status})" if self.status is not None else ""
        return f"could not connect to {self.url}{status}: {self.reason}"


class ConnectTimeout(ConnectError, TimeoutError):
    """A connection that did not open in time."""


class ConnectionLost(TransportError):
    """A connection that was open and ended without our asking.

    Parameters
    ----------
    code : int or None
        WebSocket close code; None where the link was cut without one.
    reason : str
        The peer's reason, or ours in words.
    unsent : int
        Events that were queued and did not leave.
    """

    def __init__(self, code: int | None, reason: str, *, unsent: int = 0) -> None:
        super().__init__(code, reason, unsent)
        self.code = code
        self.reason = reason
        self.unsent = unsent

    @override
    def __str__(self) -> str:
        code = f"close code {self.code}" if self.code is not None else "no close frame"
        unsent = f"; {self.unsent} event(s) were not sent" if self.unsent else ""
        return f"connection lost ({code}): {self.reason or 'no reason given'}{unsent}"


class ProtocolError(RtnbError):
    """The peer broke the protocol; the offending message, shortened."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = _shortened(message)

    @override
    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


class ServerError(RtnbError):
    """The peer refused an event or failed: its own ``error`` object.

    Attributes
    ----------
    type, code, message, param, event_id : str or None
        As on the wire; `event_id` is that of the client's event.
    """

    def __init__(
        self,
        message: str,
        *,
        type: str | None = None,  # noqa: A002 - the wire's name
        code: str | None = None,
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        super().__init__(message, type, code, param, event_id)
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.event_id = event_id

    @override
    def __str__(self) -> str:
        facts = ", ".join(
            f"{name}={value}"
            for name, value in (("code", self.code), ("param", self.param))
            if value
        )
        return f"{self.message} ({facts})" if facts else self.message


class SessionClosed(RtnbError):
    """A session used after it ended; says why it ended."""


class EngineError(RtnbError):
    """The local engine (recognition, responder, voice) failed; the cause is chained.

    Attributes
    ----------
    code : str or None
        What a failed response says of it, such as ``"rate_limit_exceeded"``.
    """

    def __init__(self, *facts: object, code: str | None = None) -> None:
        super().__init__(*facts)
        self.code = code


class MissingExtra(EngineError, ImportError):
    """An optional package is missing.

    Parameters
    ----------
    what : str
        What cannot be done.
    extra : str
        The extra that brings it, such as ``"local"``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)
        self.what = what
        self.extra = extra

    @override
    def __str__(self) -> str:
        return (
            f'{self.what} needs an optional package: pip install "rtnb[{self.extra}]"'
        )


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST else message[:_LONGEST] + "…"
