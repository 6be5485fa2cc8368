"""Input audio of a conversation, on its way to the session's owner."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from starlette.websockets import WebSocket, WebSocketDisconnect

from rtnb.protocol import tap

if TYPE_CHECKING:
    from rtnb.audio import Samples
    from rtnb.gateway.dialogue import Dialogue

log = logging.getLogger("rtnb.gateway")

OUTBOX_CHUNKS = 8_192
"""Chunks that may wait for a slow reader: minutes of speech; then the tap is closed."""


class Tap:
    """One reader of a conversation's input audio.

    Parameters
    ----------
    websocket : WebSocket
        Not yet accepted: once it is, the reader misses nothing.
    conversation : Dialogue
        Whose audio.
    """

    def __init__(self, websocket: WebSocket, conversation: Dialogue) -> None:
        self._websocket = websocket
        self._conversation = conversation
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue(OUTBOX_CHUNKS)
        self._ended = False

    async def run(self) -> None:
        """Send all audio from now on, until either side or the conversation ends."""
        self._conversation.taps.append(self)
        await self._websocket.accept()
        reader = asyncio.create_task(self._read())
        try:
            while (chunk := await self._outbox.get()) is not None:
                await self._websocket.send_bytes(chunk)
            await self._websocket.close()
        except (RuntimeError, WebSocketDisconnect):
            log.debug("tap.gone")
        finally:
            if self in self._conversation.taps:
                self._conversation.taps.remove(self)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    def hear(self, position: int, samples: Samples) -> None:
        """Take audio; a reader that is minutes late gets no more of it."""
        if self._ended:
            return
        try:
            self._outbox.put_nowait(tap.pack(position, samples))
        except asyncio.QueueFull:
            log.warning("queue.dropped", extra={"rtnb.queue": "tap"})
            self._outbox.get_nowait()
            self.end()

    def end(self) -> None:
        """Send what waits, then close."""
        if not self._ended:
            self._ended = True
            with contextlib.suppress(asyncio.QueueFull):
                self._outbox.put_nowait(None)

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while await self._websocket.receive_text() != tap.END:
                pass
        self.end()
