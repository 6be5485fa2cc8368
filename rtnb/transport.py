"""One seam to the network: text messages, in order, both ways.

:class:`WebSocketTransport` is the network, :class:`MemoryTransport` its double that
takes a script; both keep one contract, tested by one suite:

* `send` returns when the message has been handed on; it waits while the peer is slow.
* `receive` gives every message that arrived, also those before a close, and then
  raises :class:`~rtnb.errors.ConnectionLost` with the code and the reason, each time
  it is asked. Cancelling a receive loses nothing.
* `close` may be called twice; afterwards both others raise `ConnectionLost`.

A dead link is known after one ping interval and one ping timeout, also while a send is
blocked: the watchdog is ours, because that of ``websockets`` waits behind the send.
Nothing is retried here. Compression is off: for audio it costs several times the CPU
that it saves in bytes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

from typing_extensions import override
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)

from rtnb.clock import SystemClock
from rtnb.errors import ConnectError, ConnectionLost, ConnectTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from websockets.asyncio.client import ClientConnection

    from rtnb.clock import Clock

MAX_MESSAGE_BYTES: Final = 64 * 2**20
"""Largest message taken: a retrieved item of 15 minutes of audio fits."""

OPEN_SECONDS: Final = 10.0
PING_SECONDS: Final = 5.0
PONG_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 2.0
"""A dead link is known within twelve seconds, whatever the traffic."""

NEAR_PONG_SECONDS: Final = 60.0
"""On this machine the end of a peer is known without a ping; a busy one gets time."""

NORMAL_CLOSURE: Final = 1000
"""Close code of an end that was wanted, RFC 6455 §7.4.1."""

NO_CODES: Final = frozenset({1005, 1006})
"""Codes that never travel: they say that no code was received, RFC 6455 §7.4.1."""

# websockets logs the handshake, with its Authorization header, at DEBUG
_library_log = logging.getLogger("rtnb.transport.websockets")
_library_log.setLevel(logging.INFO)


class Transport(Protocol):
    """A connection that carries messages; see the module for the contract."""

    async def send(self, message: str) -> None:
        """Hand one message on."""
        ...

    async def receive(self) -> str | bytes:
        """Return the next message; bytes only from a peer that sends binary frames."""
        ...

    async def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """End the connection."""
        ...


class _OpenWebSocket(open_websocket):
    """Opens one connection where it was told to, and nowhere else."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketTransport(Transport):
    """Messages over a WebSocket.

    Parameters
    ----------
    connection : websockets.asyncio.client.ClientConnection
        An open connection without a keepalive of its own.
    ping_seconds, pong_seconds : float
        How often the peer is asked, and how long it may take to answer.
    """

    def __init__(
        self,
        connection: ClientConnection,
        *,
        ping_seconds: float = PING_SECONDS,
        pong_seconds: float = PONG_SECONDS,
    ) -> None:
        self._connection = connection
        self._why = ""
        self._watch = asyncio.create_task(self._keep_watch(ping_seconds, pong_seconds))

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = OPEN_SECONDS,  # noqa: ASYNC109 - the bound of the handshake
        ping_seconds: float = PING_SECONDS,
        pong_seconds: float | None = None,
    ) -> WebSocketTransport:
        """Open a connection.

        Parameters
        ----------
        url : str
            ``ws://`` or ``wss://``; a proxy of the environment is used, but not to
            reach this machine.
        headers : mapping of str to str, optional
            Sent with the handshake; the only place for a key.
        timeout : float
            Seconds that the connection and the handshake may take.
        ping_seconds : float
            See the class.
        pong_seconds : float, optional
            See the class; by default 5, and 60 for a peer on this machine.

        Raises
        ------
        ConnectTimeout
            If it does not open in time.
        ConnectError
            If it does not open: with the HTTP status and the peer's own message, where
            there is one. A redirect is not followed.
        """
        where = without_query(url)
        try:
            connection = await _OpenWebSocket(
                url,
                additional_headers=dict(headers or {}),
                close_timeout=CLOSE_SECONDS,
                compression=None,
                logger=_library_log,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=timeout,
                ping_interval=None,
                proxy=None if is_loopback(url) else True,
            )
        except TimeoutError as error:
            reason = f"no answer within {timeout:g} s"
            raise ConnectTimeout(where, reason) from error
        except InvalidStatus as error:
            status = error.response.status_code
            reason = _refusal(error.response.body)
            raise ConnectError(where, reason, status=status) from error
        except InvalidURI as error:
            reason = "that is no WebSocket address; one begins with ws:// or wss://"
            raise ConnectError(where, reason) from error
        except InvalidMessage as error:
            cut = isinstance(error.__cause__, EOFError)
            reason = "it hung up" if cut else "what answers there speaks no HTTP"
            raise ConnectError(where, reason) from error
        except (InvalidHandshake, OSError) as error:
            raise ConnectError(where, _words(error)) from error
        if pong_seconds is None:
            pong_seconds = NEAR_PONG_SECONDS if is_loopback(url) else PONG_SECONDS
        return cls(connection, ping_seconds=ping_seconds, pong_seconds=pong_seconds)

    @override
    async def send(self, message: str | bytes) -> None:
        try:
            await self._connection.send(message)
        except ConnectionClosed as error:
            raise self._lost(error) from error

    @override
    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise self._lost(error) from error

    @override
    async def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        self._watch.cancel()
        await self._connection.close(code, reason)

    def _lost(self, error: ConnectionClosed) -> ConnectionLost:
        self._watch.cancel()
        if self._why:
            return ConnectionLost(None, self._why)
        frame = error.rcvd or error.sent
        if frame is None or frame.code in NO_CODES:
            return ConnectionLost(None, "the link was cut")
        return ConnectionLost(frame.code, frame.reason)

    async def _keep_watch(self, ping_seconds: float, pong_seconds: float) -> None:
        """Ask the peer again and again; a ping queues behind a send that is blocked.

        `asyncio.wait` looks once more before it gives up, so a loop that was held up,
        by a cell that kept the interpreter, does not blame the peer.
        """
        while True:
            await asyncio.sleep(ping_seconds)
            ping = asyncio.ensure_future(self._ping())
            done, _ = await asyncio.wait({ping}, timeout=pong_seconds)
            if not done:
                self._why = f"no answer to a ping for {pong_seconds:g} s"
                self._connection.transport.abort()
                ping.cancel()
                return
            if not ping.result():
                return

    async def _ping(self) -> bool:
        """Wait for a pong; false if the connection ends first."""
        try:
            await (await self._connection.ping())
        except ConnectionClosed:
            return False
        return True

    @override
    def __repr__(self) -> str:
        return f"WebSocketTransport({self._connection.state.name.lower()})"


@dataclass(frozen=True)
class Deliver:
    """Step of a script: the peer sends a message."""

    message: str | bytes


@dataclass(frozen=True)
class Delay:
    """Step of a script: time passes, seconds on the transport's clock."""

    seconds: float


@dataclass(frozen=True)
class Drop:
    """Step of a script: the link is cut without a close frame."""


@dataclass(frozen=True)
class Close:
    """Step of a script: the peer closes with this code and reason."""

    code: int = NORMAL_CLOSURE
    reason: str = ""


Step = Deliver | Delay | Drop | Close


class MemoryTransport(Transport):
    """The double of a network: what the peer does stands in a script.

    Parameters
    ----------
    script : iterable of Step
        What the peer does from the start, in this order.
    answer : callable, optional
        Called with each message that is sent; the steps it returns join the script.
    clock : Clock, optional
        Whose time a `Delay` takes.

    Attributes
    ----------
    sent : list of str
        Every message that was sent.
    closed_with : tuple of (int, str) or None
        Code and reason of our own close.

    Examples
    --------
    >>> async def conversation():
    ...     transport = MemoryTransport(answer=lambda message: [Deliver(message[::-1])])
    ...     await transport.send("abc")
    ...     return await transport.receive()
    >>> asyncio.run(conversation())
    'cba'
    """

    def __init__(
        self,
        script: Iterable[Step] = (),
        *,
        answer: Callable[[str], Iterable[Step]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.sent: list[str] = []
        self.closed_with: tuple[int, str] | None = None
        self._steps = deque(script)
        self._answer = answer
        self._clock = SystemClock() if clock is None else clock
        self._more = asyncio.Event()
        self._lost: ConnectionLost | None = None

    @override
    async def send(self, message: str) -> None:
        if self._lost is not None:
            raise self._lost
        self.sent.append(message)
        if self._answer is not None:
            self.add(*self._answer(message))

    @override
    async def receive(self) -> str | bytes:
        while self._lost is None:
            if not self._steps:
                self._more.clear()
                await self._more.wait()
                continue
            match self._steps[0]:
                case Deliver(message):
                    self._steps.popleft()
                    return message
                case Delay(seconds) as delay:
                    await self._clock.sleep(seconds)
                    if self._steps and self._steps[0] is delay:
                        self._steps.popleft()
                case Drop():
                    self._end(ConnectionLost(None, "the link was cut"))
                case Close(code, reason):
                    self._end(ConnectionLost(code, reason))
        raise self._lost

    @override
    async def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        if self._lost is None:
            self.closed_with = code, reason
            self._end(ConnectionLost(code, reason))

    def add(self, *steps: Step) -> None:
        """Let the peer do more, at the end of the script; on the loop's thread."""
        self._steps.extend(steps)
        self._more.set()

    def _end(self, lost: ConnectionLost) -> None:
        self._lost = lost
        self._steps.clear()
        self._more.set()


def without_query(url: str) -> str:
    """Return the address without query and credentials, so that it may be shown.

    Examples
    --------
    >>> without_query("wss://me:secret@host:1/v1/realtime?model=m")
    'wss://host:1/v1/realtime'
    """
    scheme, netloc, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, netloc.rpartition("@")[2], path, "", ""))


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own.

    Examples
    --------
    >>> is_loopback("ws://127.0.0.1:8000/v1"), is_loopback("wss://127.0.0.1.example")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refusal(body: bytes | bytearray | None) -> str:
    """Message of the API's error JSON, else the beginning of the body."""
    text = (body or b"").decode("utf-8", "replace").strip()
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(text)["error"]["message"])
    return text[:200] or "refused without a reason"


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
