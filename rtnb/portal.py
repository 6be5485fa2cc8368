"""The threads that own our event loops, and the bridges to and from them.

A session's sockets live on one loop in one daemon thread of the process, never on the
loop of a notebook cell: a cell may block, and ``nest_asyncio`` may have changed its
loop. What users hand in (asynchronous tools and callbacks) runs on a second such loop,
so that their slow code cannot stall a socket. Both start on first use and end, tasks
cancelled and awaited, when the interpreter does.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

END_SECONDS: Final = 2.0
"""How long the end of a portal may take before its daemon thread is left behind."""


class Portal:
    """An event loop in a daemon thread of its own.

    Parameters
    ----------
    name : str
        Name of the thread.

    Notes
    -----
    Every method may be called from any thread; `run` from any but the portal's own.
    The loop is asyncio's selector loop whatever policy the process has set.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread has been started and has not been ended."""
        return self._loop is not None

    @property
    def inside(self) -> bool:
        """Whether the caller is on the portal's own thread."""
        return threading.current_thread() is self._thread

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine as a task; cancelling the future cancels the task."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._started())

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine and wait for its result.

        Parameters
        ----------
        coroutine : coroutine
            What to run; cancelled if the wait is interrupted or times out.
        timeout : float, optional
            Seconds to wait.

        Raises
        ------
        RuntimeError
            On the portal's own thread, which would wait for itself.
        TimeoutError
            If it takes longer than `timeout`.
        """
        if self.inside:
            coroutine.close()
            raise RuntimeError(f"{self._name} would wait for itself; await instead")
        future = self.submit(coroutine)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the loop soon; nothing is awaited."""
        self._started().call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """Cancel every task and end the thread; a later use starts a new one."""
        with self._lock:
            loop, stop, thread = self._loop, self._stop, self._thread
            self._loop = self._stop = self._thread = None
        if loop is None or stop is None or thread is None:
            return
        loop.call_soon_threadsafe(stop.set)
        thread.join(END_SECONDS)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                born: concurrent.futures.Future[
                    tuple[asyncio.AbstractEventLoop, asyncio.Event]
                ] = concurrent.futures.Future()
                self._thread = threading.Thread(
                    target=_live, args=(born,), name=self._name, daemon=True
                )
                self._thread.start()
                self._loop, self._stop = born.result()
            return self._loop


def _live(
    born: concurrent.futures.Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]],
) -> None:
    async def until_stopped() -> None:
        stop = asyncio.Event()
        born.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(until_stopped())


async def settled(future: concurrent.futures.Future[T]) -> T:
    """Await a future of another thread, on any loop.

    Notes
    -----
    Cancelling the wait leaves the future as it is; others may be waiting for it too.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: concurrent.futures.Future[T]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    await done.wait()
    return future.result()


_portals: dict[tuple[int, str], Portal] = {}
_portals_lock = threading.Lock()


def portal() -> Portal:
    """Portal of this process for sockets; none of the user's code runs on it."""
    return _named("rtnb.portal")


def user_portal() -> Portal:
    """Portal of this process for the users' asynchronous tools and callbacks."""
    return _named("rtnb.user")


def _named(name: str) -> Portal:
    """Portal of that name; a forked child has no threads and gets its own."""
    with _portals_lock:
        key = (os.getpid(), name)
        if key not in _portals:
            _portals[key] = Portal(name)
        return _portals[key]


@atexit.register
def _end() -> None:
    for (pid, _), each in list(_portals.items()):
        if pid == os.getpid():
            each.close()
