"""Lowest and highest sample per bin: what a waveform looks like from afar.

No peak is ever lost: each sample lies in at least one bin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.errors import AudioFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio.levels import Samples

SMALLEST_BUCKET: Final = 64
"""Samples in a bucket of the lowest level of a pyramid."""

BUCKETS_PER_BUCKET: Final = 8
"""Buckets of one level in a bucket of the next."""

BUCKETS_PER_BIN: Final = 4
"""A bin drawn from buckets spans at least so many: its edges are that sharp."""


def envelope(samples: Samples, bins: int) -> tuple[Samples, Samples]:
    """Lowest and highest sample of each of `bins` equal parts.

    Parameters
    ----------
    samples : float32 array, shape (n,), n >= 1
        Samples in [-1, 1].
    bins : int, >= 1
        Number of parts. With more parts than samples, samples are repeated.

    Returns
    -------
    low, high : float32 arrays, shape (bins,)
        Extremes of samples ``i * n // bins`` up to ``(i + 1) * n // bins``.

    Raises
    ------
    AudioFormatError
        If there are no samples or no bins.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = envelope(np.array([0.0, 1.0, -0.5, 0.25], np.float32), 2)
    >>> low.tolist(), high.tolist()
    ([0.0, -0.5], [1.0, 0.25])
    """
    _check(len(samples), 0, len(samples), bins)
    starts = np.arange(bins) * len(samples) // bins
    return np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)


class EnvelopePyramid:
    """Envelopes of any part of a long recording, quickly.

    Extremes of buckets of 64, 512, 4096 … samples are computed once; a view reads the
    coarsest buckets that are still four times finer than its bins.

    Parameters
    ----------
    samples : float32 array, shape (n,), n >= 1
        Samples in [-1, 1]; kept, not copied.

    Raises
    ------
    AudioFormatError
        If there are no samples.

    Notes
    -----
    Memory: a little over 1/28 of the samples'.

    Examples
    --------
    >>> import numpy as np
    >>> pyramid = EnvelopePyramid(np.linspace(-1, 1, 100_000, dtype=np.float32))
    >>> low, high = pyramid.view(0, 100_000, 10)
    >>> float(low[0]), float(high[-1])
    (-1.0, 1.0)
    """

    def __init__(self, samples: Samples) -> None:
        _check(len(samples), 0, len(samples), 1)
        self._length = len(samples)
        self._levels = [(1, samples, samples)]
        width = SMALLEST_BUCKET
        while width <= len(samples):
            below, low, high = self._levels[-1]
            starts = np.arange(0, len(low), width // below)
            self._levels.append(
                (
                    width,
                    np.minimum.reduceat(low, starts),
                    np.maximum.reduceat(high, starts),
                )
            )
            width *= BUCKETS_PER_BUCKET

    def __len__(self) -> int:
        return self._length

    def view(self, start: int, stop: int, bins: int) -> tuple[Samples, Samples]:
        """Lowest and highest sample of each of `bins` equal parts of a stretch.

        Parameters
        ----------
        start, stop : int, 0 <= start < stop <= n
            First sample, and the one after the last.
        bins : int, >= 1
            Number of parts.

        Returns
        -------
        low, high : float32 arrays, shape (bins,)
            As `envelope` gives them; where buckets were read, a bin may also show
            what lies within a quarter of its width to either side.

        Raises
        ------
        AudioFormatError
            If the stretch is empty or outside the recording, or there are no bins.
        """
        _check(self._length, start, stop, bins)
        width, low, high = self._level((stop - start) / bins)
        edges = start + np.arange(bins + 1) * (stop - start) // bins
        first = edges[:-1] // width
        last = np.maximum(-(-edges[1:] // width), first + 1)
        return _extremes(low, high, first, last)

    def _level(self, samples_per_bin: float) -> tuple[int, Samples, Samples]:
        """Coarsest level that is fine enough."""
        return next(
            level
            for level in reversed(self._levels)
            if level[0] == 1 or level[0] * BUCKETS_PER_BIN <= samples_per_bin
        )


def _extremes(
    low: Samples, high: Samples, first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[Samples, Samples]:
    """Extremes of buckets ``first[i]`` up to ``last[i]``, which may overlap."""
    offset, end = int(first[0]), int(last[-1])
    # reduceat wants every index inside: one bucket more, which is never looked at
    pairs = np.stack((first, last), axis=1).ravel() - offset
    lows = np.append(low[offset:end], np.float32(0))
    highs = np.append(high[offset:end], np.float32(0))
    return (
        np.minimum.reduceat(lows, pairs)[::2],
        np.maximum.reduceat(highs, pairs)[::2],
    )


def _check(length: int, start: int, stop: int, bins: int) -> None:
    if bins < 1:
        raise AudioFormatError(f"{bins} bins cannot be drawn: ask for 1 or more")
    if not 0 <= start < stop <= length:
        raise AudioFormatError(
            f"samples {start} to {stop} are not a stretch of {length} samples: "
            f"choose 0 <= start < stop <= {length}"
        )
