"""What happened when, on one clock, in bounded memory.

Times are seconds on whatever clock the writer uses throughout. When the timeline is
full the oldest entries go and are counted.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened: when, of which kind, and its facts."""

    t: float
    kind: str
    facts: Mapping[str, Any]


class Timeline:
    """Entries in the order in which they were added, the newest `maxlen` of them.

    Parameters
    ----------
    maxlen : int, default 100_000
        Entries kept, at least 1.

    Raises
    ------
    ValueError
        If `maxlen` is less than 1.

    Notes
    -----
    Any thread may add and read. Iteration goes over the entries there were when it
    began.

    Examples
    --------
    >>> timeline = Timeline(maxlen=2)
    >>> for n in range(3):
    ...     timeline.add(n / 10, "audio.captured", samples=480)
    >>> [entry.t for entry in timeline], timeline.dropped
    ([0.1, 0.2], 1)
    """

    def __init__(self, maxlen: int = 100_000) -> None:
        if maxlen < 1:
            raise ValueError(f"maxlen is {maxlen}: a timeline keeps at least 1 entry")
        self._entries: deque[TimelineEntry] = deque(maxlen=maxlen)
        self._dropped = 0
        self._lock = threading.Lock()

    @property
    def maxlen(self) -> int:
        """Entries kept at most."""
        return self._entries.maxlen or 0

    @property
    def dropped(self) -> int:
        """Entries that had to go because the timeline was full."""
        return self._dropped

    def add(self, t: float, kind: str, **facts: Any) -> None:
        """Add an entry.

        Parameters
        ----------
        t : float
            When, seconds.
        kind : str
            What, as an event name: ``audio.captured``.
        **facts
            Whatever else is to be known.
        """
        entry = TimelineEntry(t, kind, facts)
        with self._lock:
            self._dropped += len(self._entries) == self._entries.maxlen
            self._entries.append(entry)

    def to_frame(self) -> pd.DataFrame:
        """Write the entries as a table.

        Returns
        -------
        pandas.DataFrame
            One row per entry: `t` (seconds), `kind`, and a column for every fact that
            any entry has; what an entry does not have is missing.
        """
        import pandas as pd

        rows = [{"t": e.t, "kind": e.kind, **e.facts} for e in self]
        return pd.DataFrame(rows, columns=None if rows else ["t", "kind"])

    def __iter__(self) -> Iterator[TimelineEntry]:
        with self._lock:
            return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    @override
    def __repr__(self) -> str:
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        return f"Timeline({len(self)} entries{dropped})"
