"""Pictures of sound: the waveform, and what the turn detector made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from rtnb.audio import envelope
from rtnb.plots.figure import axes_or_new, legend, pixels, time_axis
from rtnb.plots.palette import PROBABILITY, SERIES, SPEECH, THRESHOLD, USER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

    from rtnb.audio import Clip, Samples
    from rtnb.vad import ServerVad, SpeechProbability

QUIETEST: Final = 0.01
"""A peak below this (-40 dBFS) is drawn as low as it is, not blown up."""


MODELS: Final = (PROBABILITY, *(c for c in SERIES if c not in (PROBABILITY, USER)))
"""Colours of speech models; the waveform has its own."""


class SegmentLike(Protocol):
    """A stretch of speech, in milliseconds of the clip it is drawn on."""

    @property
    def audio_start_ms(self) -> float:
        """Where it begins."""

    @property
    def audio_end_ms(self) -> float | None:
        """Where it ends; None while it lasts."""


def plot_waveform(
    clip: Clip,
    ax: Axes | None = None,
    *,
    color: str = USER,
    segments: Iterable[SegmentLike] = (),
) -> Axes:
    """Draw the envelope of a clip.

    Parameters
    ----------
    clip : Clip
        Mono audio of any length.
    ax : Axes, optional
        Where to draw; by default in a new picture.
    color : str
        Colour of the waveform.
    segments : iterable of segments
        Stretches of speech to mark, with `audio_start_ms` and `audio_end_ms`.

    Returns
    -------
    Axes
        The Axes drawn on; x in seconds, y in [-1, 1] cut to what there is.

    Notes
    -----
    Lowest and highest sample of every pixel are drawn, so that no peak is lost and an
    hour is drawn as fast as a second.
    """
    ax = axes_or_new(ax, 8, 1.8)
    _draw_segments(ax, clip, segments)
    low, high = _extremes(ax, clip)
    _draw_envelope(ax, clip, low, high, color=color)
    top = 1.05 * max(_peak(low, high), QUIETEST)
    ax.set_ylim(-top, top)
    ax.set_ylabel("amplitude")
    time_axis(ax, 0, clip.duration)
    return ax


def plot_activity(
    clip: Clip,
    ax: Axes | None = None,
    *,
    probability: SpeechProbability | None = None,
    settings: ServerVad | None = None,
    segments: Iterable[SegmentLike] | None = None,
) -> Axes:
    """Draw waveform, speech probability, threshold and segments of a clip.

    Parameters
    ----------
    clip : Clip
        Mono audio.
    ax : Axes, optional
        Where to draw; by default in a new picture.
    probability : SpeechProbability, optional
        From `rtnb.vad.speech_probability`; computed when it is not given.
    settings : ServerVad, optional
        Whose threshold is drawn and, unless `segments` are given, whose segments; what
        is left out has its default.
    segments : iterable of segments, optional
        Stretches of speech to mark; by default those that the turn detector finds.

    Returns
    -------
    Axes
        The Axes drawn on; x in seconds, y is the probability, and the waveform stands
        around 0.5, scaled to fit.

    Notes
    -----
    Speech begins at the upper line and is over below the lower one.
    """
    from rtnb.vad import ServerVad, segment, speech_probability
    from rtnb.vad.detector import Law

    ax = axes_or_new(ax, 8, 2.6)
    settings = settings or ServerVad()
    if probability is None:
        probability = speech_probability(clip)
    if segments is None:
        segments = segment(probability, settings)
    _draw_segments(ax, clip, segments)
    low, high = _extremes(ax, clip)
    gain = 0.45 / max(_peak(low, high), QUIETEST)
    _draw_envelope(ax, clip, 0.5 + gain * low, 0.5 + gain * high, color=USER, alpha=0.5)
    _draw_probability(ax, probability)
    law = Law.of(settings, hop_ms=probability.hop_ms)
    ax.axhline(law.enter, color=THRESHOLD, lw=1.2, ls="--", label="threshold")
    ax.axhline(law.leave, color=THRESHOLD, lw=0.9, ls=":")
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel("speech probability")
    time_axis(ax, 0, clip.duration)
    legend(ax)
    return ax


def plot_probabilities(
    clip: Clip,
    probabilities: Iterable[SpeechProbability],
    ax: Axes | None = None,
) -> Axes:
    """Draw what several speech models say of a clip, one over the other.

    Parameters
    ----------
    clip : Clip
        Mono audio.
    probabilities : iterable of SpeechProbability
        Of the clip, each by another model; their hops may differ.
    ax : Axes, optional
        Where to draw; by default in a new picture.

    Returns
    -------
    Axes
        The Axes drawn on; x in seconds, y is the probability, and the waveform stands
        around 0.5, scaled to fit. The legend has the models' names and versions.

    Notes
    -----
    The first is drawn with the widest line, so that it shows where others agree with it.
    """
    ax = axes_or_new(ax, 8, 2.6)
    low, high = _extremes(ax, clip)
    gain = 0.45 / max(_peak(low, high), QUIETEST)
    _draw_envelope(ax, clip, 0.5 + gain * low, 0.5 + gain * high, color=USER, alpha=0.3)
    traces = list(probabilities)
    for number, probability in enumerate(traces):
        name = f"{probability.model} {probability.version}".strip()
        _draw_probability(
            ax,
            probability,
            color=MODELS[number % len(MODELS)],
            label=name or f"probability {number + 1}",
            width=1.3 + 0.6 * (len(traces) - 1 - number),
        )
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel("speech probability")
    time_axis(ax, 0, clip.duration)
    legend(ax)
    return ax


def _extremes(ax: Axes, clip: Clip) -> tuple[Samples, Samples]:
    """Lowest and highest sample of every pixel, or of every sample if there are few."""
    if not len(clip):
        return clip.samples, clip.samples
    return envelope(clip.samples, min(len(clip), pixels(ax)))


def _peak(low: Samples, high: Samples) -> float:
    return float(max(-low.min(initial=0), high.max(initial=0)))


def _draw_envelope(
    ax: Axes,
    clip: Clip,
    low: Samples,
    high: Samples,
    *,
    color: str,
    alpha: float = 1.0,
) -> None:
    centres = (np.arange(len(low)) + 0.5) * clip.duration / max(1, len(low))
    ax.fill_between(
        centres, low, high, color=color, alpha=alpha, linewidth=0.8, label="waveform"
    )


def _draw_probability(
    ax: Axes,
    probability: SpeechProbability,
    *,
    color: str = PROBABILITY,
    label: str = "probability",
    width: float = 1.3,
) -> None:
    """Draw steps, each as long as its hop; of many, the envelope of every pixel."""
    hop_s = probability.hop_ms / 1000
    p = probability.p
    if len(p) <= pixels(ax):
        edges = np.arange(len(p) + 1) * hop_s
        ax.stairs(p, edges, baseline=None, color=color, lw=width, label=label)
        return
    low, high = envelope(p, pixels(ax))
    centres = (np.arange(len(low)) + 0.5) * len(p) * hop_s / len(low)
    ax.fill_between(centres, low, high, color=color, linewidth=0.8, label=label)


def _draw_segments(ax: Axes, clip: Clip, segments: Iterable[SegmentLike]) -> None:
    for number, stretch in enumerate(segments):
        end = stretch.audio_end_ms
        ax.axvspan(
            stretch.audio_start_ms / 1000,
            clip.duration if end is None else end / 1000,
            facecolor=(SPEECH, 0.18),
            edgecolor=(SPEECH, 0.9),
            linewidth=0.8,
            label="_" if number else "speech",
        )
