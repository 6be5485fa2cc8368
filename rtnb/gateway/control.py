"""The control connection of a session: a client's frames in, events out, in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger("rtnb.gateway")

OUTBOX_FRAMES: Final = 20_000
"""Frames that may wait for a slow client before its connection is closed."""

NO_CODE: Final = 1005
"""Close code of a client that gave none, RFC 6455 §7.4.1."""


class Control:
    """One control connection.

    Parameters
    ----------
    websocket : WebSocket
        Accepted.
    receive : callable
        Takes each frame of the client; the next one waits for it.

    Attributes
    ----------
    closed_with : (int, str)
        Code and reason with which the client closed.
    """

    def __init__(
        self, websocket: WebSocket, receive: Callable[[str | bytes], Awaitable[None]]
    ) -> None:
        self.closed_with = (NO_CODE, "")
        self._websocket = websocket
        self._receive = receive
        self._outbox: asyncio.Queue[str | bytes | tuple[int, str]] = asyncio.Queue(
            OUTBOX_FRAMES
        )
        self._overrun = asyncio.Event()

    def put(self, frame: str | bytes) -> None:
        """Send a frame after those that wait already."""
        self._put(frame)

    def hang_up(self, code: int, reason: str) -> None:
        """Close the connection once everything before is sent."""
        self._put((code, reason))

    def _put(self, frame: str | bytes | tuple[int, str]) -> None:
        try:
            self._outbox.put_nowait(frame)
        except asyncio.QueueFull:
            log.warning("client.slow", extra={"rtnb.waiting": OUTBOX_FRAMES})
            self._overrun.set()

    async def run(self) -> None:
        """Serve until either side ends."""
        tasks = {
            asyncio.create_task(self._read()),
            asyncio.create_task(self._write()),
            asyncio.create_task(self._watch()),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    code = message.get("code", NO_CODE)
                    self.closed_with = code, message.get("reason") or ""
                    return
                text = message.get("text")
                await self._receive(message["bytes"] if text is None else text)
                # A client that sends faster than we work must not starve the others.
                await asyncio.sleep(0)

    async def _write(self) -> None:
        while True:
            match await self._outbox.get():
                case (code, reason):
                    await self._websocket.close(code, reason)
                    return
                case str() as text:
                    await self._websocket.send_text(text)
                case bytes() as data:
                    await self._websocket.send_bytes(data)

    async def _watch(self) -> None:
        await self._overrun.wait()
        await self._websocket.close(1013, "events are not being read")
