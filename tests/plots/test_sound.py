"""Waveform and activity show every peak, segment and line where it belongs."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch

from rtnb.audio import Clip
from rtnb.plots import plot_activity, plot_probabilities, plot_waveform
from rtnb.plots.palette import ASSISTANT, PROBABILITY, SPEECH, USER
from rtnb.plots.sound import MODELS
from rtnb.vad import ServerVad, SpeechProbability, segment, speech_probability


@pytest.fixture
def ax():
    return Figure(figsize=(8, 2), dpi=100).add_subplot()


def stretch(start_ms, end_ms):
    return SimpleNamespace(audio_start_ms=start_ms, audio_end_ms=end_ms)


def outline(ax, number=0):
    """Corners of a filled shape."""
    return ax.collections[number].get_paths()[0].vertices


def spans(ax):
    boxes = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    return [(box.get_x(), box.get_x() + box.get_width()) for box in boxes]


def test_waveform_reaches_the_extremes_of_a_sine(ax):
    t = np.arange(24_000) / 24_000
    clip = Clip((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), 24_000)
    assert plot_waveform(clip, ax) is ax
    heights = outline(ax)[:, 1]
    assert heights.min() == pytest.approx(-0.5, abs=1e-3)
    assert heights.max() == pytest.approx(0.5, abs=1e-3)
    assert ax.get_xlim() == (0, 1)
    assert ax.get_ylim() == pytest.approx((-0.525, 0.525), abs=1e-3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "amplitude")


@pytest.mark.parametrize("at", [0, 1, 12_345_678, 86_399_999])
def test_one_sample_in_an_hour_is_seen_at_its_time(ax, at):
    samples = np.zeros(3600 * 24_000, np.float32)
    samples[at] = -0.75
    plot_waveform(Clip(samples, 24_000), ax)
    corners = outline(ax)
    x, y = corners[corners[:, 1].argmin()]
    assert y == -0.75
    assert x == pytest.approx(at / 24_000, abs=3600 / 1600)


def test_an_hour_takes_well_under_a_second(ax, rng):
    minute = rng.uniform(-1, 1, 60 * 24_000).astype(np.float32)
    clip = Clip(np.tile(minute, 60), 24_000)
    began = time.process_time()
    plot_waveform(clip, ax)
    ax.figure.savefig(io.BytesIO(), format="png")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_very_short_clips_are_drawn(ax, count):
    plot_waveform(Clip(np.full(count, 0.5, np.float32), 24_000), ax)
    ax.figure.draw_without_rendering()


def test_silence_is_a_line_not_noise_blown_up(ax):
    plot_waveform(Clip(np.full(24_000, 1e-4, np.float32), 24_000), ax)
    assert ax.get_ylim() == pytest.approx((-0.0105, 0.0105))


def test_colour_and_segments_of_a_waveform(ax):
    segments = [stretch(200, 500), stretch(700, None)]
    plot_waveform(Clip.silence(1.0), ax, color=ASSISTANT, segments=segments)
    assert spans(ax) == [pytest.approx((0.2, 0.5)), pytest.approx((0.7, 1.0))]
    assert tuple(ax.collections[0].get_facecolor()[0]) == to_rgba(ASSISTANT)
    assert ax.patches[0].get_facecolor() == to_rgba(SPEECH, 0.18)


def test_minutes_are_counted_on_a_long_axis(ax):
    plot_waveform(Clip.silence(130, 8000), ax)
    assert ax.get_xlabel() == "time (min:s)"
    assert ax.xaxis.get_major_formatter()(125.0) == "2:05"


def test_activity_draws_what_it_is_given(ax):
    p = np.array([0.0, 0.9, 0.9, 0.1], np.float32)
    probability = SpeechProbability(p, 512, 16_000)
    settings = ServerVad(threshold=0.7)
    plot_activity(
        Clip.silence(0.128),
        ax,
        probability=probability,
        settings=settings,
        segments=[stretch(32, 96)],
    )
    (steps,) = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    assert steps.get_data().values.tolist() == pytest.approx(p.tolist())
    assert steps.get_data().edges == pytest.approx([0, 0.032, 0.064, 0.096, 0.128])
    assert steps.get_edgecolor() == to_rgba(PROBABILITY)
    enter, leave = (line.get_ydata()[0] for line in ax.lines)
    assert (enter, leave) == pytest.approx((0.7, 0.55))
    assert spans(ax) == [pytest.approx((0.032, 0.096))]


def test_activity_of_speech_finds_probability_and_segments_itself(ax):
    clip = Clip.example("austen-0880")
    plot_activity(clip, ax)
    probability = speech_probability(clip)
    expected = [
        (s.audio_start_ms / 1000, s.audio_end_ms / 1000)
        for s in segment(probability, ServerVad())
    ]
    assert expected
    assert spans(ax) == [pytest.approx(span) for span in expected]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["speech", "waveform", "probability", "threshold"]


def test_waveform_of_an_activity_stands_in_the_middle(ax):
    samples = np.zeros(2400, np.float32)
    samples[100], samples[200] = 0.2, -0.1
    plot_activity(
        Clip(samples, 24_000),
        ax,
        probability=SpeechProbability(np.zeros(3, np.float32), 512, 16_000),
        segments=(),
    )
    heights = outline(ax)[:, 1]
    assert (heights.max(), heights.min()) == pytest.approx((0.95, 0.275))
    assert tuple(ax.collections[0].get_facecolor()[0])[:3] == to_rgba(USER)[:3]


def test_no_spike_of_a_long_probability_is_lost(ax):
    p = np.zeros(112_500, np.float32)
    p[77_777] = 1.0
    probability = SpeechProbability(p, 512, 16_000)
    plot_activity(Clip.silence(3600, 8000), ax, probability=probability, segments=())
    corners = outline(ax, 1)
    x, y = corners[corners[:, 1].argmax()]
    assert y == 1
    assert x == pytest.approx(77_777 * 0.032, abs=3600 / 1600)


def test_models_lie_over_each_other_each_in_its_colour(ax):
    slow = SpeechProbability(np.full(4, 0.5, np.float32), model="slow", version="2")
    fast = SpeechProbability(np.full(12, 0.25, np.float32), 160, model="fast")
    unknown = SpeechProbability.from_array([0.0, 1.0, 1.0, 0.0])
    assert plot_probabilities(Clip.silence(0.128), [slow, fast, unknown], ax) is ax
    steps = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    assert [step.get_data().edges[1] for step in steps] == [0.032, 0.01, 0.032]
    assert [len(step.get_data().values) for step in steps] == [4, 12, 4]
    assert [step.get_edgecolor() for step in steps] == [*map(to_rgba, MODELS[:3])]
    widths = [step.get_linewidth() for step in steps]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 3
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["waveform", "slow 2", "fast", "probability 3"]
    assert ax.get_ylim() == (-0.02, 1.02)


def test_more_models_than_colours_are_drawn(ax):
    traces = [SpeechProbability.from_array([0.5])] * (len(MODELS) + 1)
    plot_probabilities(Clip.silence(0.032), traces, ax)
    steps = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    assert steps[-1].get_edgecolor() == steps[0].get_edgecolor()
    assert len(set(MODELS)) == len(MODELS)


def test_without_axes_a_new_picture_is_drawn():
    ax = plot_waveform(Clip.silence(1.0))
    assert ax.figure.get_facecolor() == (0, 0, 0, 0)
    assert ax.figure.get_size_inches().tolist() == pytest.approx([8, 1.8])
