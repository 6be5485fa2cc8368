"""A session's input audio, handed on as the server takes it."""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from msgspec import UNSET, UnsetType

from rtnb.errors import ConnectionLost, TransportError
from rtnb.portal import portal
from rtnb.protocol import tap as wire
from rtnb.protocol.events import AudioPcm
from rtnb.protocol.formats import InputDecoder
from rtnb.transport import WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.audio import Samples
    from rtnb.local import LocalGateway
    from rtnb.protocol.formats import AudioFormat
    from rtnb.transport import Transport

log = logging.getLogger("rtnb.session")

OPEN_SECONDS: Final = 10.0
"""How long the gateway may take to open a tap."""

END_SECONDS: Final = 5.0
"""How long `Tap.end` waits for what is on its way and for the callback."""

WAITING_CHUNKS: Final = 30_000
"""Chunks that may wait for a slow callback, ten minutes of 20 ms; newer ones are dropped,
and the next position shows the hole."""


class Tap:
    """Calls back with input audio, on a thread of its own.

    Parameters
    ----------
    callback : callable
        Takes ``(position, samples)``. One that raises gets no more.
    """

    def __init__(self, callback: Callable[[int, Samples], object]) -> None:
        self._callback = callback
        self._chunks: queue.Queue[tuple[int, Samples] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="rtnb.tap", daemon=True)
        self._thread.start()

    def put(self, position: int, samples: Samples) -> None:
        """Take the next audio."""
        if self._chunks.qsize() < WAITING_CHUNKS:
            self._chunks.put((position, samples))
        else:
            log.warning("queue.dropped", extra={"rtnb.queue": "tap"})

    def end(self) -> None:
        """Call back for what waits, then end."""
        self._chunks.put(None)

    def join(self) -> None:
        """Wait until it has ended; on its own thread it does not."""
        if threading.current_thread() is not self._thread:
            self._thread.join(END_SECONDS)

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._callback(*chunk)


class OwnAudio:
    """What this session appends itself: all the input there is without a gateway.

    Notes
    -----
    Appended to by one thread at a time; `tap` may be called from any.
    """

    def __init__(self) -> None:
        self._position = 0
        self._decoder: InputDecoder | None = None
        self._taps: tuple[Tap, ...] = ()

    @property
    def position(self) -> int:
        """Samples appended so far, at 24 kHz."""
        return self._position

    def append(self, audio: bytes, wire_format: AudioFormat | UnsetType) -> None:
        """Hand on the audio of an append, in its wire format; not told, it is PCM16.

        Half a sample is what the server refuses, so it is not heard here either.
        """
        known = AudioPcm() if wire_format is UNSET else wire_format
        if isinstance(known, AudioPcm) and (len(audio) % 2 or not self._taps):
            self._position += 0 if len(audio) % 2 else len(audio) // 2
            return
        self._decoder = self._decoder or InputDecoder(known)
        self._decoder.follow(known)
        samples = self._decoder(audio)
        for tap in self._taps:
            tap.put(self._position, samples)
        self._position += len(samples)

    def tap(self, callback: Callable[[int, Samples], object]) -> Callable[[], None]:
        """Call back with what is appended from now on; the result ends that."""
        tap = Tap(callback)
        self._taps = (*self._taps, tap)

        def end() -> None:
            self._taps = tuple(each for each in self._taps if each is not tap)
            tap.end()
            tap.join()

        return end

    def end(self) -> None:
        """Nothing more will be appended."""
        for tap in self._taps:
            tap.end()


def tap_gateway(
    gateway: LocalGateway,
    session_id: str,
    callback: Callable[[int, Samples], object],
) -> Callable[[], None]:
    """Call back with what the gateway hears from now on; the result ends that.

    Raises
    ------
    ConnectError
        If the gateway is not there or refuses.
    """
    address = urlsplit(gateway.http).netloc
    transport = portal().run(
        WebSocketTransport.open(
            f"ws://{address}{wire.PATH}?session_id={quote(session_id)}",
            headers={"Authorization": f"Bearer {gateway.token}"},
            timeout=OPEN_SECONDS,
        )
    )
    tap = Tap(callback)
    relayed = portal().submit(_relay(transport, tap))

    def end() -> None:
        with suppress(TransportError, TimeoutError):
            portal().run(transport.send(wire.END))
            relayed.result(END_SECONDS)
        tap.join()

    return end


async def _relay(transport: Transport, tap: Tap) -> None:
    """Hand on what the gateway's tap sends, until that ends."""
    try:
        while True:
            message = await transport.receive()
            if isinstance(message, bytes):
                tap.put(*wire.unpack(message))
    except ConnectionLost as error:
        log.debug("tap.ended", extra={"rtnb.reason": str(error)})
    finally:
        tap.end()
        await transport.close()
