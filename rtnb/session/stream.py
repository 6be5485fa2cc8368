"""Events on their way to users: into callbacks, and into ``async for``.

A session's reader never waits for a user. Each listener has a queue with a bound; at
the bound a stream drops its oldest event and the callbacks drop the newest, and both
count. When the session ends a stream gives what is left and then ends too, or raises
why the connection was lost.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rtnb.portal import user_portal
from rtnb.protocol.events import UnknownEvent, type_name

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import AsyncIterator, Callable

    from rtnb.protocol.events import ServerEvent

log = logging.getLogger("rtnb.session")

STREAM_EVENTS: Final = 1024
"""Events that a stream keeps for a consumer that is late."""

CALLBACK_EVENTS: Final = 4096
"""Events that wait for slow callbacks."""


class EventStream:
    """Events of a session for one consumer, on any event loop.

    Attributes
    ----------
    dropped : int
        Events that the consumer was too late for.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._lock = threading.Lock()
        self._events: deque[ServerEvent | UnknownEvent] = deque(maxlen=STREAM_EVENTS)
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._ended = False
        self._error: Exception | None = None

    def put(self, event: ServerEvent | UnknownEvent) -> None:
        """Add an event, from any thread."""
        with self._lock:
            self.dropped += len(self._events) == STREAM_EVENTS
            self._events.append(event)
            self._wake()

    def end(self, error: Exception | None) -> None:
        """Let the consumer end after what is left; with an error, raise it then."""
        with self._lock:
            self._ended, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            loop, waiter = self._waiting
            self._waiting = None
            if not loop.is_closed():
                loop.call_soon_threadsafe(waiter.set)

    def __aiter__(self) -> AsyncIterator[ServerEvent | UnknownEvent]:
        return self

    async def __anext__(self) -> ServerEvent | UnknownEvent:
        while True:
            with self._lock:
                if self._events:
                    return self._events.popleft()
                if self._ended and self._error is not None:
                    raise self._error
                if self._ended:
                    raise StopAsyncIteration
                waiter = asyncio.Event()
                self._waiting = asyncio.get_running_loop(), waiter
            await waiter.wait()


@dataclass(eq=False)
class _Subscription:
    """A callback, and the wire name of the events it wants; ``*`` is all."""

    wants: str
    callback: Callable[[Any], Any]
    failed: bool = False


class Callbacks:
    """Callbacks of a session, run one after the other on a thread of their own.

    The thread starts with the first callback and ends with the session. What a callback
    raises is shown once, as an uncaught exception of a thread is, and logged after that.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._lock = threading.Lock()
        self._subscriptions: list[_Subscription] = []
        self._events: queue.SimpleQueue[ServerEvent | UnknownEvent | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._ended = False

    def add(
        self, event_type: str | type, callback: Callable[[Any], Any]
    ) -> Callable[[], None]:
        """Call back for every event of a type; the result ends that."""
        wants = event_type if isinstance(event_type, str) else type_name(event_type)
        subscription = _Subscription(wants, callback)

        def unsubscribe() -> None:
            with self._lock:
                if subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)

        with self._lock:
            self._subscriptions.append(subscription)
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(
                    target=self._run, name="rtnb.callbacks", daemon=True
                )
                self._thread.start()
        return unsubscribe

    def put(self, event: ServerEvent | UnknownEvent) -> None:
        """Hand on an event if anybody wants any."""
        if self._thread is None or not self._wanting(event):
            return
        if self._events.qsize() < CALLBACK_EVENTS:
            self._events.put(event)
        else:
            self.dropped += 1

    def end(self) -> None:
        """Call back for what is left, then end the thread."""
        with self._lock:
            self._ended = True
        self._events.put(None)

    def _wanting(self, event: ServerEvent | UnknownEvent) -> list[_Subscription]:
        name = event.type if isinstance(event, UnknownEvent) else type_name(type(event))
        with self._lock:
            return [each for each in self._subscriptions if each.wants in ("*", name)]

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            for subscription in self._wanting(event):
                _call(subscription, event)


def _call(subscription: _Subscription, event: ServerEvent | UnknownEvent) -> None:
    try:
        result = subscription.callback(event)
        if inspect.iscoroutine(result):
            task = user_portal().submit(result)
            task.add_done_callback(lambda done: _show_failure(subscription, done))
    except Exception as error:  # noqa: BLE001 - a user's code may raise anything
        _show(subscription, error)


def _show_failure(
    subscription: _Subscription, done: concurrent.futures.Future[Any]
) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        _show(subscription, error)


def _show(subscription: _Subscription, error: BaseException) -> None:
    log.error("callback.failed", exc_info=error)
    if not subscription.failed:
        subscription.failed = True
        thread = threading.current_thread()
        threading.excepthook(
            threading.ExceptHookArgs((type(error), error, error.__traceback__, thread))
        )
