"""A figure of our own, for plots that are given no Axes.

It is transparent, belongs to nobody's global state, and shows itself at the end of a
notebook cell, as its Axes do, because these are what the plot functions return.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from rtnb.plots.palette import INK

if TYPE_CHECKING:
    from collections.abc import Sequence

PIXELS_PER_POINT: Final = 2
"""Finer than the page asks for, so that dense screens show it sharp."""

LONG_S: Final = 100.0
"""From this many seconds on, the axis counts minutes."""


class Picture(Figure):
    """A transparent figure that shows itself as PNG in a notebook."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (round(side * self.dpi) for side in self.get_size_inches())
        return png(self), {"width": width, "height": height}


class PictureAxes(Axes):
    """Axes that show the picture they are in."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        figure = self.get_figure(root=True)
        return figure._repr_png_() if isinstance(figure, Picture) else None


def png(figure: Figure) -> bytes:
    """Draw a figure.

    Parameters
    ----------
    figure : Figure
        Any figure; its own ground is kept.

    Returns
    -------
    bytes
        PNG with two pixels per point of the figure's size.
    """
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format="png",
        dpi=figure.dpi * PIXELS_PER_POINT,
        facecolor=figure.get_facecolor(),
    )
    return buffer.getvalue()


def new_axes(
    width: float, height: float, *, ratios: Sequence[float] = (1,)
) -> tuple[Picture, list[Axes]]:
    """A new transparent picture with Axes below one another.

    Parameters
    ----------
    width, height : float
        Size of the picture, inches of 100 points.
    ratios : sequence of float
        Relative heights, one for each of the Axes.

    Returns
    -------
    picture : Picture
        The figure.
    axes : list of Axes
        From top to bottom.
    """
    picture = Picture(
        figsize=(width, height), dpi=100, facecolor="none", layout="constrained"
    )
    grid = picture.add_gridspec(len(ratios), 1, height_ratios=ratios)
    return picture, [
        _quiet(picture.add_subplot(grid[row], axes_class=PictureAxes))
        for row in range(len(ratios))
    ]


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """The Axes that were given, or those of a new picture."""
    return new_axes(width, height)[1][0] if ax is None else ax


def ink(ax: Axes) -> str:
    """Colour in which the Axes write their labels."""
    return str(ax.xaxis.label.get_color())


def legend(ax: Axes, *, columns: int | None = None) -> None:
    """Name what is drawn, above the Axes, where it hides nothing.

    Parameters
    ----------
    ax : Axes
        Whose labelled artists are named.
    columns : int, optional
        Names in a row; by default all.
    """
    handles, _ = ax.get_legend_handles_labels()
    if not handles:
        return
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns or len(handles),
        frameon=False,
        fontsize=8,
        labelcolor=ink(ax),
        borderaxespad=0.2,
        handlelength=1.2,
        columnspacing=1.2,
    )


def pixels(ax: Axes) -> int:
    """Number of columns that the Axes can show on a dense screen."""
    figure = ax.get_figure(root=True)
    width = 800.0 if figure is None else figure.get_size_inches()[0] * figure.dpi
    return int(np.clip(2 * width, 400, 8000))


def time_axis(ax: Axes, start_s: float, end_s: float) -> None:
    """Let x count time, in seconds or, of a long stretch, in minutes.

    Parameters
    ----------
    ax : Axes
        Whose x is in seconds.
    start_s, end_s : float
        What is shown.
    """
    ax.set_xlim(start_s, max(end_s, start_s + 1e-3))
    if end_s < LONG_S:
        ax.set_xlabel("time (s)")
        return
    ax.xaxis.set_major_formatter(FuncFormatter(_clock_face))
    ax.set_xlabel("time (min:s)")


def _clock_face(seconds: float, _position: int | None = None) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _quiet(ax: Axes) -> Axes:
    """Axes without ground and frame, in the ink of both grounds."""
    ax.set_facecolor("none")
    ax.tick_params(colors=INK, labelcolor=INK, labelsize=8)
    ax.xaxis.label.set(color=INK, size=8)
    ax.yaxis.label.set(color=INK, size=8)
    ax.title.set(color=INK, size=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(INK)
    return ax
