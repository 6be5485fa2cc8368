"""The picture of a calibration: the spectrum of the room, and where speech stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, NullLocator

from rtnb.plots.figure import axes_or_new, legend
from rtnb.plots.palette import INK, SPEECH, THRESHOLD, USER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rtnb.vad import Calibration

TICKS_HZ = (63, 125, 250, 500, 1000, 2000, 4000, 8000)
"""Octaves, as acousticians label them (IEC 61260-1)."""


def plot_noise_floor(calibration: Calibration, ax: Axes | None = None) -> Axes:
    """Draw the spectrum of the noise in third-octave bands.

    Parameters
    ----------
    calibration : Calibration
        From `rtnb.vad.calibrate`.
    ax : Axes, optional
        Where to draw; by default in a new picture.

    Returns
    -------
    Axes
        The Axes drawn on; x in Hz, one step for each band, y in dBFS.

    Notes
    -----
    The lines are levels of the whole: the noise floor, and the active level of the
    speech. Hum of the mains is marked where there is any.
    """
    ax = axes_or_new(ax, 8, 2.6)
    spectrum = calibration.spectrum
    half = 10 ** (1 / 20)
    edges = [spectrum.centres[0] / half, *(f * half for f in spectrum.centres)]
    bottom = 10 * (min(spectrum.levels) // 10)
    ax.stairs(
        spectrum.levels,
        edges,
        baseline=bottom,
        fill=True,
        color=USER,
        alpha=0.6,
        label="noise by third octave",
    )
    ax.axhline(calibration.noise_dbfs, color=INK, lw=1.2, ls="--", label="noise floor")
    if calibration.speech_dbfs is not None:
        ax.axhline(calibration.speech_dbfs, color=SPEECH, lw=1.4, label="speech")
    if calibration.hum is not None:
        hum = f"hum, {calibration.hum.frequency} Hz"
        ax.axvline(calibration.hum.frequency, color=THRESHOLD, lw=1, ls=":", label=hum)
    ax.set_xscale("log")
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xticks([hz for hz in TICKS_HZ if edges[0] < hz < edges[-1]])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(_hertz))
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylim(bottom, _top(calibration))
    ax.set_ylabel("level (dBFS)")
    legend(ax)
    return ax


def _top(calibration: Calibration) -> float:
    """A round level above everything that is drawn."""
    levels = [*calibration.spectrum.levels, calibration.noise_dbfs]
    if calibration.speech_dbfs is not None:
        levels.append(calibration.speech_dbfs)
    return min(0.0, 10 * (max(levels) // 10 + 1))


def _hertz(frequency: float, _position: int | None = None) -> str:
    return f"{frequency / 1000:g}k" if frequency >= 1000 else f"{frequency:g}"  # noqa: PLR2004 - kilo
