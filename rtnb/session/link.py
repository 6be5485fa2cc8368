"""The living part of a session: its connection, reader, writer and tasks.

Everything here happens on the portal's loop. Other threads hand messages and tasks over
and wait for nothing.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rtnb.errors import ConnectionLost, RtnbError, TransportError
from rtnb.portal import portal
from rtnb.transport import NORMAL_CLOSURE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from rtnb.transport import Transport

log = logging.getLogger("rtnb.session")

OUTBOX_MESSAGES: Final = 4_096
"""Messages that may wait for a slow link before more are refused."""

ROOM_MESSAGES: Final = 16
"""Messages that may wait before a clip that is sent in a burst waits too."""


class Link:
    """A connection and what is done with it, from beginning to end.

    Parameters
    ----------
    open_transport : callable
        Opens the connection.
    take : callable
        Called with each message that comes.
    ended : callable
        Called once, when nothing more will come: with None after our own `close`, else
        with the reason.
    """

    def __init__(
        self,
        open_transport: Callable[[], Awaitable[Transport]],
        *,
        take: Callable[[str | bytes], None],
        ended: Callable[[RtnbError | None], None],
    ) -> None:
        self._open_transport = open_transport
        self._take = take
        self._on_end = ended
        self._outbox: deque[str] = deque()
        self._posted, self._sent = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: Transport | None = None
        self._closing = False
        self.over: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._life: concurrent.futures.Future[None] | None = None

    # -- from any thread ---------------------------------------------------------------

    def start(self) -> None:
        """Open the connection and begin."""
        self._life = portal().submit(self._live())

    def close(self) -> None:
        """Begin to end; `over` tells when it has."""
        self._closing = True
        if self._transport is not None and not self.over.done():
            portal().submit(self._transport.close(NORMAL_CLOSURE))
        elif self._life is not None:
            self._life.cancel()

    def post(self, message: str) -> None:
        """Send a message after those that wait already."""
        self._outbox.append(message)
        portal().call(self._posted.set)

    @property
    def full(self) -> bool:
        """Whether so much waits to be sent that nothing should be added."""
        return len(self._outbox) >= OUTBOX_MESSAGES

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task until it or the link ends."""

        def start() -> None:
            if self.over.done():
                work.close()
            else:
                task = asyncio.get_running_loop().create_task(work)
                self._tasks.add(task)
                task.add_done_callback(self._forget)

        portal().call(start)

    # -- on the portal -----------------------------------------------------------------

    async def room(self) -> None:
        """Wait until the connection has taken most of what was posted."""
        while len(self._outbox) > ROOM_MESSAGES:
            self._sent.clear()
            await self._sent.wait()

    async def _live(self) -> None:
        error: BaseException | None = None
        try:
            self._transport = await self._open_transport()
            workers = {
                asyncio.create_task(self._read(self._transport)),
                asyncio.create_task(self._write(self._transport)),
            }
            self._tasks |= workers
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
            error = next(iter(done)).exception()
        except RtnbError as reason:
            error = reason
        finally:
            await self._wind_up()
            self.over.set_result(None)
            self._on_end(None if self._closing else self._reason(error))

    async def _wind_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._transport is not None:
            with suppress(TransportError):
                await self._transport.close()

    async def _read(self, transport: Transport) -> None:
        while True:
            self._take(await transport.receive())

    async def _write(self, transport: Transport) -> None:
        while True:
            await self._posted.wait()
            self._posted.clear()
            while self._outbox:
                await transport.send(self._outbox[0])
                self._outbox.popleft()
                self._sent.set()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("task.failed", exc_info=error)

    def _reason(self, error: BaseException | None) -> RtnbError:
        match error:
            case ConnectionLost():
                unsent = len(self._outbox)
                return ConnectionLost(error.code, error.reason, unsent=unsent)
            case RtnbError():
                return error
            case None:
                return ConnectionLost(None, "the process is ending")
            case _:
                log.error("session.failed", exc_info=error)
                return ConnectionLost(None, f"{type(error).__name__}: {error}")
