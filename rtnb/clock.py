"""Time as an argument: what waits asks a clock, so that tests need not wait."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from typing_extensions import override


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


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
        self._now += max(0.0, seconds)
        await asyncio.sleep(0)
