"""The media socket through the kernel, for pages that can reach no socket.

The page's frames come as comm messages and leave through a WebSocket to the gateway,
and the other way about. Bytes are piped, not understood, but for one thing: a ``flush``
is never kept waiting. Every queue has a bound in bytes; at the bound the oldest audio is
dropped and counted, texts never.

``WARNING`` says that audio was dropped, ``INFO`` that a tunnel opened or closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.client import ClientConnection

log = logging.getLogger("rtnb.widgets")

OPEN_SECONDS = 2.0
"""How long the gateway may take to open; the page waits 2.5 s for its hello."""

UP_LIMIT_BYTES = 3 * 48_000
"""Three seconds of microphone: what is older is no conversation any more."""

DOWN_LIMIT_BYTES = 32 * 2**20
"""Eleven minutes of answer."""

MESSAGE_BYTES = 256 * 2**10
"""Most audio in one comm message: five seconds."""

COALESCE_SECONDS = 0.05
"""Comm messages to the page leave at most twenty times a second, but for a flush: the
server's limit is a thousand a second, and each repaints the front end's indicators."""

TAKEN_FRAMES = 5
"""Half a second of microphone: after that many the page is told that they arrived."""


class FrameQueue:
    """Frames in order, within a bound.

    Parameters
    ----------
    limit : int
        Bytes of audio that may wait; beyond it the oldest audio goes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: deque[str | bytes] = deque()
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: str | bytes) -> None:
        """Add a frame, at the cost of the oldest audio if it must be."""
        self._frames.append(frame)
        if isinstance(frame, str):
            return
        self._bytes += len(frame)
        while self._bytes > self._limit:
            self._drop_oldest()

    def take(self, limit: int | None = None) -> list[str | bytes]:
        """The oldest frames with at most `limit` bytes of audio, one at least."""
        taken: list[str | bytes] = []
        size = 0
        while self._frames:
            frame = self._frames[0]
            audio = len(frame) if isinstance(frame, bytes) else 0
            if limit is not None and taken and size + audio > limit:
                break
            taken.append(self._frames.popleft())
            size += audio
        self._bytes -= size
        return taken

    def _drop_oldest(self) -> None:
        for place, frame in enumerate(self._frames):
            if isinstance(frame, bytes):
                del self._frames[place]
                self._bytes -= len(frame)
                self.dropped += 1
                return


class Tunnel:
    """One page's media socket, carried by comm messages.

    Parameters
    ----------
    tunnel : int
        The page's number for it.
    page : str
        The page's id.
    send : callable
        Sends a comm message, content and buffers, to the page; called on the loop.
    call_soon : callable
        Calls a function on the loop that runs the tunnel, from any thread.
    on_drop : callable
        Told how many frames were dropped so far, whenever that grows.

    Notes
    -----
    `put` may be called from any thread, everything else belongs to the loop of `run`.
    """

    def __init__(
        self,
        tunnel: int,
        *,
        page: str,
        send: Callable[[dict[str, Any], list[bytes]], None],
        call_soon: Callable[..., object],
        on_drop: Callable[[int], None],
    ) -> None:
        self._address = {"page": page, "tunnel": tunnel}
        self._send = send
        self._call_soon = call_soon
        self._on_drop = on_drop
        self._up = FrameQueue(UP_LIMIT_BYTES)
        self._down = FrameQueue(DOWN_LIMIT_BYTES)
        self._taken = 0
        self._told_taken = 0
        self._told_dropped = 0
        self._up_waiting = asyncio.Event()
        self._down_waiting = asyncio.Event()
        self._urgent = asyncio.Event()

    def put(self, frame: str | bytes) -> None:
        """Take a frame of the page; it only goes into the queue."""
        self._call_soon(self._enqueue, frame)

    async def run(self, url: str) -> None:
        """Carry frames until either end closes.

        Parameters
        ----------
        url : str
            The gateway's media socket, with its ticket.

        Notes
        -----
        Never raises for a peer that refuses or goes: the page is told. Cancelling it
        closes the socket; what waits in the queues is lost.
        """
        reason = ""
        try:
            async with connect(
                url,
                compression=None,
                max_size=None,
                open_timeout=OPEN_SECONDS,
                ping_interval=None,
                proxy=None,
            ) as socket:
                log.info("tunnel.opened", extra={"rtnb.page": self._address["page"]})
                reason = await self._carry(socket)
        except (OSError, TimeoutError, WebSocketException) as error:
            reason = f"the gateway cannot be reached: {error}"
        finally:
            log.info("tunnel.closed", extra={"rtnb.reason": reason})
        self._send({"type": "tunnel.closed", **self._address, "reason": reason}, [])

    async def _carry(self, socket: ClientConnection) -> str:
        """Pipe both ways; the reason for which the gateway closed."""
        others = [
            asyncio.create_task(self._carry_up(socket)),
            asyncio.create_task(self._carry_down()),
        ]
        try:
            async for frame in socket:
                self._receive(frame)
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await socket.close()
        self._pass_on(None)
        return socket.close_reason or ""

    # -- from the page to the gateway ------------------------------------------------

    def _enqueue(self, frame: str | bytes) -> None:
        before = self._up.dropped
        self._up.put(frame)
        self._taken += self._up.dropped - before
        self._count_drops()
        self._up_waiting.set()

    async def _carry_up(self, socket: ClientConnection) -> None:
        while True:
            await self._up_waiting.wait()
            self._up_waiting.clear()
            for frame in self._up.take():
                try:
                    await socket.send(frame)
                except ConnectionClosed:
                    return
                self._taken += isinstance(frame, bytes)
            if self._taken - self._told_taken >= TAKEN_FRAMES:
                self._down_waiting.set()

    # -- from the gateway to the page ------------------------------------------------

    def _receive(self, frame: str | bytes) -> None:
        self._down.put(frame)
        self._count_drops()
        self._down_waiting.set()
        if isinstance(frame, str) and '"flush"' in frame:
            self._urgent.set()

    async def _carry_down(self) -> None:
        while True:
            await self._down_waiting.wait()
            self._down_waiting.clear()
            self._urgent.clear()
            self._pass_on(MESSAGE_BYTES)
            if self._down:
                self._down_waiting.set()
            try:
                await asyncio.wait_for(self._urgent.wait(), COALESCE_SECONDS)
            except TimeoutError:
                continue

    def _pass_on(self, limit: int | None) -> None:
        """Send what waits as one comm message."""
        frames = self._down.take(limit)
        if not frames and self._taken == self._told_taken:
            return
        self._told_taken = self._taken
        content = {
            "type": "tunnel.frames",
            **self._address,
            "taken": self._taken,
            "frames": [frame if isinstance(frame, str) else None for frame in frames],
        }
        self._send(content, [frame for frame in frames if isinstance(frame, bytes)])

    def _count_drops(self) -> None:
        dropped = self._up.dropped + self._down.dropped
        if dropped == self._told_dropped:
            return
        self._told_dropped = dropped
        log.warning("queue.dropped", extra={"rtnb.frames": dropped})
        self._on_drop(dropped)
