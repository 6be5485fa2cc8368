"""Plots without Axes get a transparent picture that shows itself."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib.image
from matplotlib.figure import Figure

from rtnb.plots.figure import Picture, axes_or_new, legend, new_axes, png


def pixels(data):
    return matplotlib.image.imread(io.BytesIO(data), format="png")


def test_given_axes_are_used_and_left_as_they_are():
    ax = Figure(facecolor="black").add_subplot()
    colour = ax.xaxis.label.get_color()
    assert axes_or_new(ax, 4, 2) is ax
    assert ax.xaxis.label.get_color() == colour


def test_a_new_picture_is_transparent_and_two_pixels_to_a_point():
    _, (ax,) = new_axes(4, 2)
    data, size = ax._repr_png_()
    image = pixels(data)
    assert size == {"width": 400, "height": 200}
    assert image.shape == (400, 800, 4)
    assert image[0, 0, 3] == 0


def test_the_ground_of_a_given_figure_is_kept():
    figure = Figure(facecolor="#112233", figsize=(1, 1), dpi=50)
    image = pixels(png(figure))
    assert tuple(round(255 * c) for c in image[0, 0]) == (0x11, 0x22, 0x33, 255)


def test_axes_and_picture_show_the_same():
    picture, (upper, lower) = new_axes(4, 3, ratios=(2, 1))
    assert isinstance(picture, Picture)
    assert upper._repr_png_() == lower._repr_png_() == picture._repr_png_()


def test_a_legend_of_nothing_is_none():
    _, (ax,) = new_axes(4, 2)
    legend(ax)
    assert ax.get_legend() is None


def test_pyplot_is_never_loaded():
    code = (
        "import sys; from rtnb.plots.figure import new_axes;"
        "new_axes(4, 2)[0]._repr_png_(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
