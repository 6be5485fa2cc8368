"""How far long work has come: told to the caller, or drawn as a bar.

The bar is tqdm's, in a terminal and in a notebook. It appears once the work has taken a
second, never where nobody looks (a log file, a test), and nothing fails because of it.
"""

from __future__ import annotations

import threading
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S: Final = 1.0
"""Work that is over sooner shows no bar."""


@contextmanager
def progress(
    total_s: float,
    on_progress: Callable[[float, float], object] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    bar: Callable[[float], Any] | None = None,
) -> Iterator[Callable[[float], object]]:
    """Say how far the work has come while it goes on.

    Parameters
    ----------
    total_s : float
        Seconds of sound in all.
    on_progress : callable, optional
        Told the seconds done and the seconds in all, instead of a bar.
    clock : callable
        Gives the time in seconds.
    bar : callable, optional
        Makes a bar of so many seconds with tqdm's `update` and `close`.

    Yields
    ------
    callable
        To be told the seconds done.
    """
    if on_progress is not None:
        tell = on_progress
        yield lambda done_s: tell(done_s, max(done_s, total_s))
        return
    patient = _PatientBar(total_s, clock, bar or new_bar)
    try:
        yield patient.show
    finally:
        patient.close()


class _PatientBar:
    """A bar that is made when the work turns out to be long."""

    def __init__(
        self, total_s: float, clock: Callable[[], float], make: Callable[[float], Any]
    ) -> None:
        self._total_s = total_s
        self._clock = clock
        self._make = make
        self._began = clock()
        self._bar: Any = None
        self._shown_s = 0.0

    def show(self, done_s: float) -> None:
        done_s = min(done_s, self._total_s)
        if self._bar is None:
            if self._clock() - self._began < PATIENCE_S or done_s >= self._total_s:
                return
            self._bar = self._make(self._total_s)
        self._bar.update(done_s - self._shown_s)
        self._shown_s = done_s

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def new_bar(total_s: float, *, unit: str = "s") -> Any:
    """Make tqdm's bar for where we are.

    Parameters
    ----------
    total_s : float
        Seconds of sound in all.
    unit : str, default "s"
        What else than seconds may be counted, such as files.

    Returns
    -------
    tqdm.tqdm
        In a notebook without ipywidgets, one of text.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns where ipywidgets is missing
        from tqdm.auto import tqdm
    kind: Any = tqdm

    class Bar(kind):  # type: ignore[misc]  # known when it runs
        monitor_interval = 0  # no thread that watches over it

    Bar.set_lock(threading.RLock())  # nor a lock between processes
    return Bar(
        total=round(total_s, 1),
        desc="listening",
        unit=unit,
        unit_scale=True,
        leave=False,
        disable=None,  # where the output is no terminal and no notebook
    )
