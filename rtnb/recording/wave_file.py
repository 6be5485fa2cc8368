"""A WAV file that can be read at any moment while it grows, whatever ends it.

PCM16, mono, 24 kHz, with the plain header of 44 bytes. The header is made true after
every piece, so a process that is killed leaves a whole file behind; a file that was cut
off elsewhere is made whole again by `mend`.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.audio import pcm16_encode
from rtnb.audio.pcm import FULL_SCALE
from rtnb.errors import AudioFormatError
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.recording.folder import create

if TYPE_CHECKING:
    from pathlib import Path

    from rtnb.audio import Samples

HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
"""RIFF, size, WAVE, "fmt ", its size, PCM, channels, rate, bytes a second, bytes a
sample, bits, "data", its size: 44 bytes."""

SAMPLE_BYTES: Final = 2

MOST_SAMPLES: Final = (2**32 - 1 - HEADER.size) // SAMPLE_BYTES
"""What the header's 32 bits can count: 24.8 hours."""

_SILENCE: Final = bytes(SAMPLE_BYTES * SAMPLE_RATE)


class WaveFile:
    """A new WAV file, to be written piece by piece.

    Parameters
    ----------
    path : Path
        Where; there must be no such file.

    Attributes
    ----------
    samples : int
        How many it has.
    """

    def __init__(self, path: Path) -> None:
        self.samples = 0
        self._file = os.fdopen(create(path), "wb", buffering=0)
        self._write(_header(0))

    def append(self, samples: Samples) -> None:
        """Add samples, float32, shape (n,), in [-1, 1].

        Raises
        ------
        OSError
            If they cannot be written; the file holds what it held before.
        """
        self._append(pcm16_encode(samples))

    def append_silence(self, samples: int) -> None:
        """Add so many zeros."""
        for left in range(samples, 0, -SAMPLE_RATE):
            self._append(_SILENCE[: SAMPLE_BYTES * left])

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        return self._file.closed

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, data: bytes) -> None:
        samples = self.samples + len(data) // SAMPLE_BYTES
        if samples > MOST_SAMPLES:
            raise OSError("the WAV file is full: it holds 24.8 hours")
        self._file.seek(HEADER.size + SAMPLE_BYTES * self.samples)
        self._write(data)
        self._file.seek(0)
        self._write(_header(samples))
        self.samples = samples

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


def mend(path: Path) -> None:
    """Let the header of a file that was cut off tell how much there is.

    Raises
    ------
    AudioFormatError
        If it is not a file that `WaveFile` wrote.
    OSError
        If it needs mending and cannot be written.
    """
    samples = count(path)
    with path.open("rb") as file:
        told = file.read(HEADER.size)
    if told != _header(samples):
        with path.open("r+b") as file:
            file.write(_header(samples))
            file.truncate(HEADER.size + SAMPLE_BYTES * samples)


def count(path: Path) -> int:
    """Samples that are in a file, whatever its header says.

    Raises
    ------
    AudioFormatError
        If it is not a file that `WaveFile` wrote.
    """
    with path.open("rb") as file:
        told = file.read(HEADER.size)
        size = file.seek(0, os.SEEK_END)
    whole = _header(0)
    if any(told[part] != whole[part][: len(told[part])] for part in _FIXED):
        raise AudioFormatError(
            f"{path} is not the WAV file that was recorded (mono, 16 bits, "
            f"{SAMPLE_RATE} Hz): put the recorded one back"
        )
    return max(0, size - HEADER.size) // SAMPLE_BYTES


def read(path: Path, start: int = 0, stop: int | None = None) -> Samples:
    """Samples of a file from number `start` to number `stop`.

    Returns
    -------
    float32 array, shape (n,)
        In [-1, 1]; fewer than asked for where the file ends before.
    """
    last = count(path) if stop is None else min(stop, count(path))
    first = min(max(0, start), last)
    with path.open("rb") as file:
        file.seek(HEADER.size + SAMPLE_BYTES * first)
        data = file.read(SAMPLE_BYTES * (last - first))
    samples: Samples = np.frombuffer(data, "<i2").astype(np.float32)
    samples /= np.float32(FULL_SCALE)
    return samples


def _header(samples: int) -> bytes:
    data = SAMPLE_BYTES * samples
    return HEADER.pack(
        b"RIFF",
        data + HEADER.size - 8,
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        SAMPLE_RATE,
        SAMPLE_RATE * SAMPLE_BYTES,
        SAMPLE_BYTES,
        8 * SAMPLE_BYTES,
        b"data",
        data,
    )


_FIXED: Final = (slice(0, 4), slice(8, 40))
"""The header but for the two sizes."""
