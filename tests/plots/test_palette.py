"""Every colour stands out from a white page and from JupyterLab's dark one."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.colors import to_rgb

from rtnb.plots import palette

COLOURS = sorted(
    {
        palette.INK,
        palette.USER,
        palette.ASSISTANT,
        palette.PROBABILITY,
        palette.THRESHOLD,
        palette.SPEECH,
        *palette.KINDS.values(),
        *palette.SERIES,
    }
)


def luminance(colour):
    """Relative luminance as WCAG 2.2 defines it."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in to_rgb(colour)
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", [palette.LIGHT_GROUND, palette.DARK_GROUND])
def test_colour_stands_out(colour, ground):
    assert contrast(colour, ground) >= 3


@pytest.mark.parametrize("ground", [palette.LIGHT_GROUND, palette.DARK_GROUND])
def test_text_stands_out_as_far_as_one_colour_can_on_both(ground):
    best = (contrast(palette.LIGHT_GROUND, palette.DARK_GROUND)) ** 0.5
    assert contrast(palette.INK, ground) >= 0.95 * best


def test_stacked_kinds_are_told_apart():
    colours = list(palette.KINDS.values())
    for one, other in itertools.combinations(map(to_rgb, colours), 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.2
