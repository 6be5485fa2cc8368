"""Pictures of what was beside what would have been, on the sound that both are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from rtnb.audio import envelope
from rtnb.plots.figure import axes_or_new, ink, legend, pixels, time_axis
from rtnb.plots.palette import (
    ASSISTANT,
    INK,
    PROBABILITY,
    SERIES,
    SPEECH,
    THRESHOLD,
    USER,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes

    from rtnb.audio import Clip
    from rtnb.recording.alignment import TurnLike
    from rtnb.recording.counterfactual import Counterfactual, TurnChange
    from rtnb.recording.replica import MarkCheck, ReplicaReport

CHANGE_COLOURS: Final[Mapping[str, str]] = {
    "same": SPEECH,
    "moved": USER,
    "split": ASSISTANT,
    "merged": PROBABILITY,
    "lost": THRESHOLD,
    "new": SERIES[4],
}
"""Colour of each kind of change."""

MOST_NAMED: Final = 24
"""Changes, or marks, that are named; of more, only their colours tell."""

SOUND: Final = (2.0, 3.0)
ABOVE: Final = (1.28, 1.82)
BELOW: Final = (0.4, 0.94)
"""Bottom and top of the waveform and of the two lanes."""


class _Recorded(Protocol):
    """Input audio, and where in the session it begins."""

    @property
    def clip(self) -> Clip: ...

    @property
    def start_ms(self) -> int: ...


def plot_counterfactual(found: Counterfactual, ax: Axes | None = None) -> Axes:
    """Draw the turns that were over the turns that would have been.

    Parameters
    ----------
    found : Counterfactual
        From ``recording.replay_turns(settings)``.
    ax : Axes, optional
        Where to draw; by default in a new picture.

    Returns
    -------
    Axes
        The Axes drawn on: x is the time of the session, the upper lane holds the turns
        that were sent, the lower those of the other settings. Each change has the
        colour of its kind, and those that moved say by how many milliseconds.

    Notes
    -----
    Where there are many changes only their colours tell them apart.
    """
    ax = _sound_and_lanes(found, ax, above="was", below="would be")
    for kind, colour in CHANGE_COLOURS.items():
        label: str | None = kind
        for change in found.changes:
            if change.kind == kind:
                _draw_turns(ax, change.actual, ABOVE, colour, label=label)
                label = None if change.actual else label
                _draw_turns(ax, change.would, BELOW, colour, label=label)
                label = None
    differing = [change for change in found.changes if change.kind != "same"]
    if len(differing) <= MOST_NAMED:
        for change in differing:
            _name_change(ax, change)
    legend(ax)
    return ax


def plot_replica(report: ReplicaReport, ax: Axes | None = None) -> Axes:
    """Draw the marks that the server sent over those that the law expects.

    Parameters
    ----------
    report : ReplicaReport
        From ``recording.check_replica()``.
    ax : Axes, optional
        Where to draw; by default in a new picture.

    Returns
    -------
    Axes
        The Axes drawn on: x is the time of the session; a mark points to the right
        where speech starts and to the left where it stops. Marks that agree are green,
        others red, and say by how many milliseconds they differ.
    """
    sender = "embedded" if report.provider == "embedded" else "hosted"
    ax = _sound_and_lanes(report, ax, above=sender, below="expected")
    for agrees, colour, name in (
        (True, SPEECH, "agrees"),
        (False, THRESHOLD, "disagrees"),
    ):
        checks = [check for check in report.checks if check.agrees is agrees]
        label: str | None = name
        for check in checks:
            _draw_mark(ax, check, colour, label=label)
            label = None
    if len(report.disagreements) <= MOST_NAMED:
        for check in report.disagreements:
            _name_mark(ax, check)
    legend(ax)
    return ax


def _sound_and_lanes(
    recorded: _Recorded, ax: Axes | None, *, above: str, below: str
) -> Axes:
    ax = axes_or_new(ax, 8, 2.6)
    start_s, clip = recorded.start_ms / 1000, recorded.clip
    if len(clip):
        low, high = envelope(clip.samples, min(len(clip), pixels(ax)))
        peak = max(float(high.max()), -float(low.min()), 0.01)
        middle, gain = sum(SOUND) / 2, (SOUND[1] - SOUND[0]) / 2 / peak
        times = start_s + (np.arange(len(low)) + 0.5) * clip.duration / len(low)
        ax.fill_between(
            times, middle + gain * low, middle + gain * high, color=INK, linewidth=0.8
        )
    for bottom, top in (ABOVE, BELOW):
        ax.axhline((bottom + top) / 2, color=INK, lw=0.6, alpha=0.5, zorder=0.5)
    ax.set_yticks([sum(SOUND) / 2, sum(ABOVE) / 2, sum(BELOW) / 2])
    ax.set_yticklabels(["sound", above, below])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(0, 3.05)
    time_axis(ax, start_s, start_s + clip.duration)
    return ax


def _draw_turns(
    ax: Axes,
    turns: Iterable[TurnLike],
    lane: tuple[float, float],
    colour: str,
    *,
    label: str | None,
) -> None:
    bottom, top = lane
    for number, turn in enumerate(turns):
        ax.broken_barh(
            [
                (
                    turn.audio_start_ms / 1000,
                    (turn.audio_end_ms - turn.audio_start_ms) / 1000,
                )
            ],
            (bottom, top - bottom),
            facecolor=(colour, 0.35),
            edgecolor=colour,
            linewidth=1.2,
            label=label if not number else None,
        )


def _name_change(ax: Axes, change: TurnChange) -> None:
    """Write what became of turns under the lane where it can be seen."""
    lane, turns = (BELOW, change.would) if change.would else (ABOVE, change.actual)
    middle = (turns[0].audio_start_ms + turns[-1].audio_end_ms) / 2000
    ax.text(
        middle,
        lane[0] - 0.06,
        _words(change),
        color=ink(ax),
        size=8,
        ha="center",
        va="top",
        clip_on=True,
    )


def _words(change: TurnChange) -> str:
    if change.kind != "moved":
        return change.kind
    moved = [("start", change.start_moved_ms), ("end", change.end_moved_ms)]
    return ", ".join(f"{name} {by:+d} ms" for name, by in moved if by)


def _draw_mark(ax: Axes, check: MarkCheck, colour: str, *, label: str | None) -> None:
    shape = ">" if check.kind == "speech_started" else "<"
    lanes = ((check.hosted_ms, ABOVE), (check.expected_ms, BELOW))
    for at_ms, (bottom, top) in lanes:
        if at_ms is None:
            continue
        ax.vlines(at_ms / 1000, bottom, top, color=colour, lw=1.6)
        ax.plot(
            [at_ms / 1000],
            [(bottom + top) / 2],
            marker=shape,
            ms=7,
            color=colour,
            ls="none",
            label=label,
        )
        label = None


def _name_mark(ax: Axes, check: MarkCheck) -> None:
    times: Sequence[int] = [
        at for at in (check.hosted_ms, check.expected_ms) if at is not None
    ]
    if check.difference_ms is not None:
        words = f"{check.difference_ms:+d} ms"
    else:
        words = "not expected" if check.expected_ms is None else "did not come"
    ax.text(
        max(times) / 1000,
        (ABOVE[0] + BELOW[1]) / 2,
        f" {words}",
        color=ink(ax),
        size=8,
        ha="left",
        va="center",
        clip_on=True,
    )
