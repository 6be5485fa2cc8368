"""Audio files and browser takes, read into arrays and written.

The packages that do it load on first use: soundfile for files, PyAV for what a
browser's recorder makes.
"""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rtnb.audio.pcm import pcm16_encode, to_int16
from rtnb.errors import AudioFormatError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rtnb.audio.levels import Samples

_EXACT: Final = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""Subtypes whose samples are what was stored: one out of range is a fault."""


def read_file(path: str | Path) -> tuple[NDArray[np.float32], int, bool]:
    """Read any file that libsndfile reads.

    Returns
    -------
    array : float32, shape (n, channels)
    sample_rate : int
    lossy : bool
        True where the decoder may overshoot full scale.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    AudioFormatError
        If it is not audio that libsndfile knows.
    """
    import soundfile

    with Path(path).open("rb") as stream:
        try:
            with soundfile.SoundFile(stream) as file:
                array = file.read(dtype="float32", always_2d=True)
                return array, file.samplerate, file.subtype not in _EXACT
        except soundfile.LibsndfileError as error:
            raise AudioFormatError(
                f"{path} cannot be read as audio ({error.error_string}): give a WAV, "
                "FLAC, OGG or MP3 file"
            ) from error


def write_file(path: str | Path, samples: Samples, sample_rate: int) -> None:
    """Write 16-bit samples in the format that the file's name says.

    Raises
    ------
    AudioFormatError
        If libsndfile knows no such format, or not at this rate.
    """
    path = Path(path)
    if path.suffix.lower() == ".wav":
        path.write_bytes(wav_bytes(samples, sample_rate))
        return
    import soundfile

    try:
        soundfile.write(path, to_int16(samples), sample_rate)
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise AudioFormatError(
            f"{path.name} cannot be written at {sample_rate} Hz ({error}): "
            "name it .wav or .flac"
        ) from error


def wav_bytes(samples: Samples, sample_rate: int) -> bytes:
    """Return the bytes of a WAV file: PCM16, mono."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm16_encode(samples))
    return buffer.getvalue()


def read_take(data: bytes) -> tuple[NDArray[np.float32], int]:
    """Decode what a browser's recorder made: webm or ogg, opus inside.

    Returns
    -------
    array : float32, shape (n, channels)
    sample_rate : int

    Raises
    ------
    AudioFormatError
        If nothing was recorded, or it holds no audio that can be decoded.
    MissingExtra
        If PyAV is not installed.
    """
    if not data:
        raise AudioFormatError(
            "the take holds 0 bytes: press record, speak, press stop, then try again"
        )
    try:
        import av
    except ImportError as error:
        raise MissingExtra("decoding a browser's recording", "lab") from error
    try:
        with av.open(io.BytesIO(data)) as container:
            if not container.streams.audio:
                raise AudioFormatError(
                    f"the take's {len(data)} bytes hold no sound: record an audio stream"
                )
            pieces = list(_decoded(container))
            sample_rate = int(container.streams.audio[0].rate)
    except av.FFmpegError as error:
        raise AudioFormatError(
            f"the take's {len(data)} bytes cannot be decoded ({error}): "
            "give the bytes of a webm or ogg recording"
        ) from error
    if not pieces:
        raise AudioFormatError(
            f"the take's {len(data)} bytes hold 0 samples: record for longer"
        )
    return np.concatenate(pieces), sample_rate


def _decoded(container: Any) -> Iterator[NDArray[np.float32]]:
    """Decoded pieces of the first audio stream, each of shape (n, channels)."""
    import av

    planar = av.AudioResampler(format="fltp")  # leaves rate and channels as they are
    for frame in container.decode(audio=0):
        for piece in planar.resample(frame):
            yield piece.to_ndarray().T.astype(np.float32, copy=False)
