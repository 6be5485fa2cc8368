"""Pictures of a sweep: what every setting costs, and what noise does to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rtnb.errors import ConfigError
from rtnb.plots.figure import axes_or_new, ink, legend
from rtnb.plots.palette import ASSISTANT, SERIES, SPEECH, THRESHOLD, USER
from rtnb.vad.choosing import by_setting
from rtnb.vad.grid import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from rtnb.vad import ServerVad

MOST_NAMED: Final = 8
"""Points of the front that are named; of more, some are left without."""

MOST_LINES: Final = len(SERIES)
"""Settings that `plot_robustness` can tell apart by their colours."""

RATES: Final = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "heard": "speech heard",
    "detection_error_rate": "detection error rate",
    "cut_ins_per_min": "cut-ins per minute",
    "delay_ms": "delay (ms)",
    "missed": "missed labels",
    "false": "false turns",
    "clipped_onset_ms": "clipped onset (ms)",
}
"""What `plot_robustness` can draw, and how its axis is labelled."""


def plot_sweep(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    current: ServerVad | None = None,
    chosen: ServerVad | None = None,
) -> Axes:
    """Draw cut-ins against delay, and the settings that nothing beats in both.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `rtnb.vad.sweep`; files and stressors count together.
    ax : Axes, optional
        Where to draw; by default in a new picture.
    current, chosen : ServerVad, optional
        Settings of the sweep to mark: the one in use, and the one to use.

    Returns
    -------
    Axes
        The Axes drawn on: x is the mean delay in ms, y the cut-ins per minute; each
        point is a threshold and a silence, the line the Pareto front.

    Raises
    ------
    ConfigError
        If a setting to mark is not in the sweep.

    Notes
    -----
    The prefix changes neither cut-ins nor delay, so that settings which differ in it
    alone share a point.
    """
    table = _points(frame)
    ax = axes_or_new(ax, 6.4, 3.6)
    delay, rate = table["delay_ms"].to_numpy(), table["cut_ins_per_min"].to_numpy()
    ax.plot(delay, rate, "o", color=USER, ms=3.5, mec="none", label="setting")
    front = pareto(delay, rate)
    ax.plot(
        delay[front],
        rate[front],
        color=ASSISTANT,
        lw=1.4,
        marker="o",
        ms=5,
        drawstyle="steps-post",
        label="nothing better in both",
        zorder=3,
    )
    _name_points(ax, table.iloc[front])
    _mark(ax, table, current, name="current", color=THRESHOLD, marker="s")
    _mark(ax, table, chosen, name="chosen", color=SPEECH, marker="D")
    ax.set_xlabel("mean delay from the end of speech to speech_stopped (ms)")
    ax.set_ylabel("cut-ins per minute")
    ax.margins(x=0.12, y=0.12)
    ax.set_ylim(bottom=-0.04 * max(float(np.max(rate, initial=0.0)), 1e-3))
    legend(ax)
    return ax


def plot_robustness(
    frame: pd.DataFrame, ax: Axes | None = None, *, measure: str | None = None
) -> Axes:
    """Draw how settings hold out against the stressors.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `rtnb.vad.sweep` with stressors. Where these are numbers, such as decibels,
        they are drawn to scale.
    ax : Axes, optional
        Where to draw; by default in a new picture.
    measure : str, optional
        A column of `rtnb.vad.by_setting`; by default ``"f1"`` with labels and
        ``"cut_ins_per_min"`` without.

    Returns
    -------
    Axes
        The Axes drawn on: x is the stressor, one line for each setting.

    Raises
    ------
    ConfigError
        If there are no stressors, no such measure, or too many settings to tell apart.
    """
    if "stressor" not in frame:
        raise ConfigError(
            "the sweep has no stressors: sweep(..., stressors={20: ..., 10: ...})"
        )
    table = by_setting(frame, apart=["stressor"])
    if measure is None:
        labelled = bool(table["f1"].notna().any())
        measure = "f1" if labelled else "cut_ins_per_min"
    if measure not in RATES:
        raise ConfigError(f"{measure!r} cannot be drawn: choose one of {[*RATES]}")
    groups = list(table.groupby(list(SETTINGS), sort=False))
    if len(groups) > MOST_LINES:
        raise ConfigError(
            f"{len(groups)} settings cannot be told apart by {MOST_LINES} colours: "
            'choose some, such as frame[frame["threshold"] == 0.5]'
        )
    ax = axes_or_new(ax, 6.4, 3.2)
    names = list(dict.fromkeys(table["stressor"]))
    places = _places(names)
    varied = [name for name in SETTINGS if table[name].nunique() > 1]
    for number, (_, rows) in enumerate(groups):
        x = [places[name] for name in rows["stressor"]]
        y = rows[measure].to_numpy()
        order = np.argsort(x)
        ax.plot(
            np.array(x)[order],
            y[order],
            color=SERIES[number],
            marker="o",
            ms=4,
            lw=1.3,
            label=_name(rows.iloc[0], varied or SETTINGS[:2]),
        )
    _stressor_axis(ax, places)
    ax.set_ylabel(RATES[measure])
    legend(ax, columns=min(4, len(groups)))
    return ax


def pareto(delay: Any, rate: Any) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Points that no other point beats in both figures.

    Parameters
    ----------
    delay, rate : float array, shape (n,)
        The less the better.

    Returns
    -------
    int array, shape (m,)
        Their places, by rising delay and falling rate; of equal points the first.
    """
    order = np.lexsort((rate, delay))
    best_before = np.concatenate(([math.inf], np.minimum.accumulate(rate[order])[:-1]))
    found: np.ndarray[tuple[int], np.dtype[np.intp]] = order[rate[order] < best_before]
    return found


def _points(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each threshold and silence in which a turn ended."""
    table = by_setting(frame)
    table = table[table["delay_ms"].notna()]
    return table.drop_duplicates(list(SETTINGS[:2])).reset_index(drop=True)


def _name_points(ax: Axes, rows: pd.DataFrame) -> None:
    """Name points of the front, as many as can be read."""
    step = max(1, math.ceil(len(rows) / MOST_NAMED))
    for _, row in rows.iloc[::step].iterrows():
        ax.annotate(
            _name(row, SETTINGS[:2]),
            (row["delay_ms"], row["cut_ins_per_min"]),
            xytext=(5, 4),
            textcoords="offset points",
            color=ink(ax),
            size=7,
        )


def _mark(
    ax: Axes,
    table: pd.DataFrame,
    settings: ServerVad | None,
    *,
    name: str,
    color: str,
    marker: str,
) -> None:
    if settings is None:
        return
    filled = settings.filled()
    found = table
    for column in SETTINGS[:2]:
        found = found[np.isclose(found[column], getattr(filled, column))]
    if found.empty:
        raise ConfigError(
            f"{name} is {settings!r}, of which the sweep knows nothing: sweep its "
            "threshold and its silence_duration_ms too"
        )
    row = found.iloc[0]
    ax.plot(
        row["delay_ms"],
        row["cut_ins_per_min"],
        marker,
        color=color,
        ms=10,
        mfc="none",
        mew=2,
        label=f"{name}: {_name(row, SETTINGS[:2])}",
        zorder=4,
    )


def _name(row: pd.Series[Any], columns: Sequence[str]) -> str:
    """A setting in few characters: "0.5 · 200 ms", or "silence 200 ms" alone."""
    words = {
        "threshold": ("threshold", f"{row['threshold']:g}"),
        "silence_duration_ms": ("silence", f"{row['silence_duration_ms']:.0f} ms"),
        "prefix_padding_ms": ("prefix", f"{row['prefix_padding_ms']:.0f} ms"),
    }
    if tuple(columns) == SETTINGS[:2]:
        return " · ".join(words[column][1] for column in columns)
    return " · ".join(" ".join(words[column]) for column in columns)


def _places(names: Sequence[Any]) -> dict[Any, float]:
    """Where each stressor stands: at its number, if all are numbers, or in a row."""
    numbers = [
        isinstance(name, int | float | np.number)
        and not isinstance(name, bool)
        and math.isfinite(float(name))
        for name in names
    ]
    if all(numbers):
        return {name: float(name) for name in names}
    return {name: float(place) for place, name in enumerate(names)}


def _stressor_axis(ax: Axes, places: dict[Any, float]) -> None:
    ax.set_xlabel("stressor")
    ax.set_xticks(
        list(places.values()),
        [f"{name:g}" if name == place else str(name) for name, place in places.items()],
    )
