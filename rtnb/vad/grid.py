"""All combinations of settings, and how each does on one recording.

What settings share is computed once: all with one threshold share the pauses, all with
one threshold and one silence share the turns, but for how far back their audio reaches.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rtnb.errors import ConfigError
from rtnb.vad.detector import Law
from rtnb.vad.policies import Pauses
from rtnb.vad.scoring import MEASURES, Scorer
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, ServerVad

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from rtnb.vad.probability import SpeechProbability

SETTINGS: Final = ("threshold", "silence_duration_ms", "prefix_padding_ms")
"""The columns that make a setting."""

FACTS: Final = ("minutes", "speech_s")
"""Columns that say how much there was to listen to, and how much of it speech."""

WHOLE: Final = (*SETTINGS[1:], "turns", "ended", "cut_ins")
"""Columns of whole numbers."""

FIGURES: Final = (*FACTS, *MEASURES)
"""Columns of `measure`."""


@dataclass(frozen=True)
class Grid:
    """All combinations of settings, threshold slowest, prefix fastest.

    Parameters
    ----------
    threshold : tuple of float, 0 to 1
        Each once.
    silence_duration_ms, prefix_padding_ms : tuple of int, >= 0
        Each once.
    """

    threshold: tuple[float, ...]
    silence_duration_ms: tuple[int, ...]
    prefix_padding_ms: tuple[int, ...]

    @classmethod
    def of(cls, *axes: ArrayLike | None) -> Grid:
        """Check the values of each axis; None stands for the default alone."""
        values = []
        for name, axis in zip(SETTINGS, axes, strict=True):
            default = getattr(SERVER_VAD_DEFAULTS, name)
            given = np.atleast_1d(np.asarray(default if axis is None else axis))
            listed = tuple(dict.fromkeys(given.ravel().tolist()))
            for value in listed:
                ServerVad(**{name: value})
            if not listed:
                raise ConfigError(
                    f"{name} has no value to try: give one or more, or leave it out"
                )
            values.append(listed)
        return cls(*values)

    def settings(self) -> Iterator[tuple[float, int, int]]:
        """Every combination, in the order of the rows."""
        return itertools.product(
            self.threshold, self.silence_duration_ms, self.prefix_padding_ms
        )


def measure(
    probability: SpeechProbability, grid: Grid, reference: Iterable[Any] | None = None
) -> NDArray[np.float64]:
    """Score every setting of a grid on one recording.

    Parameters
    ----------
    probability : SpeechProbability
        Of the recording.
    grid : Grid
        The settings.
    reference : labels, optional
        Where there is speech.

    Returns
    -------
    float64 array, shape (settings, figures)
        In the order of `Grid.settings`; the columns are `FIGURES`.
    """
    p = probability.p.astype(np.float64)
    scorer = Scorer(probability, reference)
    facts = (probability.duration / 60, scorer.speech_s)
    rows: list[tuple[float, ...]] = []
    for threshold in grid.threshold:
        law = Law.of(ServerVad(threshold=threshold), hop_ms=probability.hop_ms)
        pauses = Pauses(p, law)
        known: dict[int, list[tuple[float, ...]]] = {}
        for silence in grid.silence_duration_ms:
            hops = max(1, -(-silence // law.hop_ms))
            if hops not in known:
                turns = pauses.turns(replace(law, quiet_hops=hops))
                known[hops] = [
                    (*facts, *timing, *detection, *coverage)
                    for timing, detection, coverage in scorer.scores(
                        turns, grid.prefix_padding_ms
                    )
                ]
            rows.extend(known[hops])
    return np.array(rows)
