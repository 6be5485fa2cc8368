"""Time as an argument: what waits asks a clock, so that tests need not wait.

A clock of one's own has `Clock.now` and `Clock.sleep`; the rest of a `Clock` is for those
who simulate, and does by default what is right where time passes by itself.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Final, Protocol

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

VIRTUAL_START: Final = 1_767_225_600.0
"""First reading of a `VirtualClock`: midnight of 1 January 2026, UTC."""


class Cancellable(Protocol):
    """What `Clock.call_at` gives."""

    def cancel(self) -> None:
        """Do not call after all."""


class Clock(Protocol):
    """Tells the time and lets it pass."""

    @property
    def zone(self) -> tzinfo | None:
        """Where the hours are those of; None for where the machine is."""
        return None

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; never, if that is infinity."""
        ...

    def call_at(self, when: float, call: Callable[[], object]) -> Cancellable:
        """Call something at a time, seconds since the epoch, on the running loop."""
        delay = max(0.0, when - self.now())
        return asyncio.get_running_loop().call_later(delay, call)

    def work(self, task: asyncio.Task[Any]) -> None:  # noqa: ARG002 - by default
        """A task has begun that takes no time but where it sleeps on this clock."""
        return

    async def rest(self) -> None:
        """Let everybody else have a go."""
        await asyncio.sleep(0)

    async def elapse(self, seconds: float) -> None:  # noqa: ARG002 - by default
        """Be told that `seconds` have passed outside; this clock knows by itself."""
        return

    def of_session(self) -> Clock:
        """The clock of one conversation."""
        return self


class SystemClock(Clock):
    """The machine's own clock; it never jumps, whoever sets the wall clock."""

    _STARTED = time.time() - time.monotonic()

    @override
    def now(self) -> float:
        return self._STARTED + time.monotonic()

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class InstantClock(Clock):
    """A clock on which sleeping takes no time at all and moves the hand.

    Parameters
    ----------
    start : float, default 0.0
        First reading, seconds since the epoch.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    @override
    def now(self) -> float:
        return self._now

    @override
    async def sleep(self, seconds: float) -> None:
        if math.isinf(seconds):
            await asyncio.get_running_loop().create_future()
        self._now += max(0.0, seconds)
        await asyncio.sleep(0)


class VirtualClock(Clock):
    """A clock that moves on only when everybody waits for it.

    While a task works (`work`), time stands still, however long it takes. When all sleep,
    the hand jumps to where the first of them wakes, one after the other, and calls what
    `call_at` was asked for on its way. So what happens, and when, does not depend on the
    machine. Nothing is called for its own sake: without sleepers the clock stands still.

    Parameters
    ----------
    start : float, default `VIRTUAL_START`
        First reading, seconds since the epoch.

    Notes
    -----
    Belongs to one event loop. Whoever sleeps on it must be a task that works.
    """

    def __init__(self, start: float = VIRTUAL_START) -> None:
        self._start = self._now = start
        self._working = 0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._calls: list[tuple[float, int, _Call]] = []
        self._resting: list[asyncio.Future[None]] = []

    @property
    @override
    def zone(self) -> tzinfo:
        return UTC

    @override
    def now(self) -> float:
        return self._now

    @override
    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if math.isfinite(seconds):
            when = self._now + max(0.0, seconds)
            heapq.heappush(self._sleepers, (when, next(self._order), woken))
        self._stop_working()
        try:
            await woken
        except asyncio.CancelledError:
            if woken.cancelled():  # else it was woken, and counted, just before
                self._working += 1
            raise

    @override
    def call_at(self, when: float, call: Callable[[], object]) -> Cancellable:
        planned = _Call(call)
        heapq.heappush(self._calls, (when, next(self._order), planned))
        return planned

    @override
    def work(self, task: asyncio.Task[Any]) -> None:
        self._working += 1
        task.add_done_callback(lambda _: self._stop_working())

    @override
    async def rest(self) -> None:
        """Return when all work is done, and nobody sleeps but for ever."""
        rested: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._resting.append(rested)
        self._settle()
        await rested

    @override
    async def elapse(self, seconds: float) -> None:
        """Let `seconds` pass, with all that happens in them, and come to rest."""
        self._working += 1
        try:
            await self.sleep(seconds)
        finally:
            self._stop_working()
        await self.rest()

    @override
    def of_session(self) -> VirtualClock:
        """A clock of its own for each, so that they do not depend on each other."""
        return VirtualClock(self._start)

    def _stop_working(self) -> None:
        self._working -= 1
        self._settle()

    def _settle(self) -> None:
        """Move on, if nobody works."""
        while self._working == 0:
            _drop_cancelled(self._sleepers)
            _drop_cancelled(self._calls)
            if not self._sleepers:
                break
            if self._calls and self._calls[0][0] <= self._sleepers[0][0]:
                when, _, planned = heapq.heappop(self._calls)
                self._now = max(self._now, when)
                planned.call()
                continue
            when, _, woken = heapq.heappop(self._sleepers)
            self._now = max(self._now, when)
            self._working += 1
            woken.set_result(None)
        else:
            return
        resting, self._resting = self._resting, []
        for rested in resting:
            if not rested.done():
                rested.set_result(None)


class _Call:
    """Something that a `VirtualClock` shall call."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled


def _drop_cancelled(heap: list[Any]) -> None:
    """Take from the front of a heap what is no longer wanted."""
    while heap and heap[0][2].cancelled():
        heapq.heappop(heap)
