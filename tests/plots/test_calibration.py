"""The noise floor's picture shows what was measured, where it was measured."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from rtnb.audio import Clip
from rtnb.plots import plot_noise_floor
from rtnb.plots.palette import SPEECH
from rtnb.vad import calibrate

RATE = 16_000


@pytest.fixture
def measured(rng):
    time = np.arange(5 * RATE) / RATE
    room = rng.normal(0, 1e-3, 5 * RATE)
    room += 0.005 * (np.sin(2 * np.pi * 50 * time) + np.sin(2 * np.pi * 100 * time))
    return calibrate(Clip.from_array(room, RATE), Clip.example("austen-0880"))


@pytest.fixture
def ax():
    return Figure(figsize=(8, 2.6), dpi=100).add_subplot()


def test_the_bands_stand_where_they_are(measured, ax):
    assert plot_noise_floor(measured, ax) is ax
    (steps,) = (patch for patch in ax.patches if isinstance(patch, StepPatch))
    values, edges, bottom = steps.get_data()
    assert tuple(values) == measured.spectrum.levels
    assert np.allclose(np.sqrt(edges[:-1] * edges[1:]), measured.spectrum.centres)
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == (edges[0], edges[-1])
    assert ax.get_ylim()[0] == bottom <= min(values)
    assert ax.get_ylim()[1] >= measured.speech_dbfs


def test_floor_speech_and_hum_are_marked(measured, ax):
    plot_noise_floor(measured, ax)
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["noise floor"].get_ydata()[0] == measured.noise_dbfs
    assert lines["speech"].get_ydata()[0] == measured.speech_dbfs
    assert lines["speech"].get_color() == SPEECH
    assert lines["hum, 50 Hz"].get_xdata()[0] == 50


def test_the_octaves_are_labelled(measured, ax):
    plot_noise_floor(measured, ax)
    ax.figure.savefig(io.BytesIO())
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["63", "125", "250", "500", "1k", "2k", "4k"]


def test_silence_and_nobody_are_drawn_too(ax):
    plot_noise_floor(calibrate(Clip.silence(5), Clip.silence(5)), ax)
    assert [line.get_label() for line in ax.lines] == ["noise floor"]


def test_without_axes_it_shows_itself(measured):
    png, _ = plot_noise_floor(measured)._repr_png_()
    assert png.startswith(b"\x89PNG")
