"""Which turn became which: two lists of turns of the same audio, laid side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class TurnLike(Protocol):
    """A stretch of audio that was, or would have been, a turn."""

    @property
    def audio_start_ms(self) -> int:
        """Where its audio starts."""

    @property
    def audio_end_ms(self) -> int:
        """Where its audio ends."""


Actual = TypeVar("Actual", bound=TurnLike)
Would = TypeVar("Would", bound=TurnLike)

Kind: TypeAlias = Literal["same", "moved", "split", "merged", "lost", "new"]
"""What became of turns."""

KINDS: tuple[Kind, ...] = ("same", "moved", "split", "merged", "lost", "new")


@dataclass(frozen=True)
class Change(Generic[Actual, Would]):
    """What became of one turn, or of several that belong together.

    Parameters
    ----------
    kind : {"same", "moved", "split", "merged", "lost", "new"}
        One became one at the same times, or at others; one became several; several
        became one; one became none; none became one.
    actual, would : tuple of turns
        Those that were, and those that would have been.
    """

    kind: Kind
    actual: tuple[Actual, ...]
    would: tuple[Would, ...]

    @property
    def start_moved_ms(self) -> int | None:
        """How much later the audio starts; None if one side has no turn."""
        if not (self.actual and self.would):
            return None
        return self.would[0].audio_start_ms - self.actual[0].audio_start_ms

    @property
    def end_moved_ms(self) -> int | None:
        """How much later the audio ends; None if one side has no turn."""
        if not (self.actual and self.would):
            return None
        return self.would[-1].audio_end_ms - self.actual[-1].audio_end_ms

    @property
    def start_ms(self) -> int:
        """Where the first of its turns starts."""
        return min(turn.audio_start_ms for turn in (*self.actual, *self.would))

    @property
    def end_ms(self) -> int:
        """Where the last of its turns ends."""
        return max(turn.audio_end_ms for turn in (*self.actual, *self.would))


def own_spans(turns: Sequence[TurnLike]) -> list[tuple[int, int]]:
    """What each turn adds to the audio of those before it.

    The padding of a turn may reach back into the one before; that audio was committed
    with the first and is not committed again.

    Parameters
    ----------
    turns : sequence of turns
        In order of their ends.

    Returns
    -------
    list of (int, int)
        Start and end in milliseconds; the stretches do not overlap.
    """
    spans, taken = [], 0
    for turn in turns:
        end = max(turn.audio_end_ms, taken)
        spans.append((min(max(turn.audio_start_ms, taken), end), end))
        taken = end
    return spans


def align(
    actual: Sequence[Actual], would: Sequence[Would]
) -> list[Change[Actual, Would]]:
    """Lay two lists of turns side by side.

    Parameters
    ----------
    actual, would : sequence of turns
        Of the same audio, each in the order of their ends.

    Returns
    -------
    list of Change
        Every turn of either list is in exactly one of them; in order of time.

    Notes
    -----
    Turns belong together where what they add (`own_spans`) overlaps. Pairs are joined
    by falling overlap, as long as one of the two sides stays alone: so a turn becomes
    several or several one, never several others.

    Examples
    --------
    >>> from rtnb.vad import Segment
    >>> one, two = Segment(0, 1000, 0, 30), Segment(1200, 2000, 40, 62)
    >>> both = Segment(0, 2000, 0, 62)
    >>> [change.kind for change in align([one, two], [both])]
    ['merged']
    """
    partners = _Partners(len(actual), len(would))
    for first, second in _overlapping(own_spans(actual), own_spans(would)):
        partners.join(first, second)
    changes = [
        _change(
            tuple(actual[each] for each in firsts),
            tuple(would[each] for each in seconds),
        )
        for firsts, seconds in partners.groups()
    ]
    return sorted(changes, key=lambda change: (change.end_ms, change.start_ms))


def _overlapping(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Pairs of places whose stretches overlap, those that overlap most first."""
    found: list[tuple[int, int, int]] = []
    begin = 0
    for place, (start, end) in enumerate(first):
        while begin < len(second) and second[begin][1] <= start:
            begin += 1
        other = begin
        while other < len(second) and second[other][0] < end:
            shared = min(end, second[other][1]) - max(start, second[other][0])
            if shared > 0:
                found.append((-shared, place, other))
            other += 1
    return [(place, other) for _, place, other in sorted(found)]


class _Partners:
    """Who belongs to whom, as stars: one in the middle, one or more around it."""

    def __init__(self, first: int, second: int) -> None:
        self._of_first: list[list[int]] = [[] for _ in range(first)]
        self._of_second: list[list[int]] = [[] for _ in range(second)]

    def join(self, first: int, second: int) -> None:
        """Join two, unless both, or a partner of theirs, would have several partners."""
        ours, theirs = self._of_first[first], self._of_second[second]
        if ours and theirs:
            return
        if any(len(self._of_second[each]) > 1 for each in ours):
            return
        if any(len(self._of_first[each]) > 1 for each in theirs):
            return
        ours.append(second)
        theirs.append(first)

    def groups(self) -> list[tuple[list[int], list[int]]]:
        """All groups, each with its members of either side in order."""
        groups = [
            (sorted(self._of_second[partners[0]]), partners[:1])
            if len(partners) == 1
            else ([first], sorted(partners))
            for first, partners in enumerate(self._of_first)
        ]
        alone: list[tuple[list[int], list[int]]] = [
            ([], [second])
            for second, partners in enumerate(self._of_second)
            if not partners
        ]
        once = {tuple(firsts): (firsts, seconds) for firsts, seconds in groups}
        return [*once.values(), *alone]


def _change(
    actual: tuple[Actual, ...], would: tuple[Would, ...]
) -> Change[Actual, Would]:
    kind: Kind
    match len(actual), len(would):
        case 0, _:
            kind = "new"
        case _, 0:
            kind = "lost"
        case 1, 1:
            one, other = actual[0], would[0]
            same = (one.audio_start_ms, one.audio_end_ms) == (
                other.audio_start_ms,
                other.audio_end_ms,
            )
            kind = "same" if same else "moved"
        case 1, _:
            kind = "split"
        case _:
            kind = "merged"
    return Change(kind, actual, would)
