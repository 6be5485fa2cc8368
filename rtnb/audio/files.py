"""Audio files and browser takes, read into arrays and written.

The packages that do it load on first use: soundfile for files, PyAV for what a
browser's recorder makes.
"""

from __future__ import annotations

import io
import wave
from contextlib import contextmanager
from functools import cache
from os import SEEK_CUR, SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from rtnb.audio.pcm import pcm16_encode, to_int16
from rtnb.errors import AudioFormatError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rtnb.audio.levels import Samples

_UNKNOWN_LENGTH: Final = 0x7FFF_0000
"""Programs that write to a pipe announce at least so many bytes."""

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
        If it is not audio that libsndfile knows, or ends before its time.
    """
    with open_file(path) as file:
        (array,) = blocks(file, file.frames, path=path)
        return array, file.samplerate, is_lossy(file)


@contextmanager
def open_file(path: str | Path) -> Iterator[Any]:
    """Open any file that libsndfile reads; its errors become ours.

    Yields
    ------
    soundfile.SoundFile
        For `blocks`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    AudioFormatError
        If it is not audio that libsndfile knows, or a WAV file that was cut off.
    """
    import soundfile

    if Path(path).is_dir():
        raise AudioFormatError(f"{path} is a folder: give a sound file in it")
    with Path(path).open("rb") as stream:
        try:
            _check_whole(stream, path)
            with _forward_reader()(stream) as file:
                yield file
        except soundfile.LibsndfileError as error:
            raise AudioFormatError(
                f"{path} cannot be read as audio ({error.error_string}): give a WAV, "
                "FLAC, OGG or MP3 file"
            ) from error


def blocks(file: Any, size: int, *, path: str | Path) -> Iterator[NDArray[np.float32]]:
    """Read an open file in blocks.

    Parameters
    ----------
    file : soundfile.SoundFile
        At its beginning.
    size : int, >= 0
        Samples in a block; the last may be shorter.
    path : str or Path
        Its name, for an error.

    Yields
    ------
    float32 array, shape (n, channels)
        At least one; a file without samples gives an empty one.

    Raises
    ------
    AudioFormatError
        If the file ends before its time.
    """
    done = 0
    while True:
        block = file.read(size, dtype="float32", always_2d=True)
        done += len(block)
        if len(block) < size and done < file.frames:
            raise _cut_off(path, done / file.frames)
        yield block
        if done >= file.frames:
            return


def duration_of(path: str | Path) -> float:
    """Length of a sound file in seconds, as its header has it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    AudioFormatError
        If it is not audio that libsndfile knows, or a WAV file that was cut off.
    """
    with open_file(path) as file:
        return float(file.frames / file.samplerate)


def is_lossy(file: Any) -> bool:
    """Whether the decoder of an open file may overshoot full scale."""
    return file.subtype not in _EXACT


@cache
def _forward_reader() -> Any:
    """A SoundFile that only goes forward, and so reads the same in blocks as at once.

    Otherwise soundfile seeks after every block, and an MP3 decoder that is sent to
    where it is loses what it knew of the frames before.
    """
    import soundfile

    class ForwardReader(soundfile.SoundFile):  # type: ignore[misc]  # has no types
        def seekable(self) -> bool:
            return False

    return ForwardReader


def _check_whole(stream: BinaryIO, path: str | Path) -> None:
    """Refuse a WAV file whose data is longer than the file; libsndfile does not."""
    head = stream.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        announced = _length_of_data(stream)
        here = stream.tell()
        left = stream.seek(0, SEEK_END) - here
        if left < announced < _UNKNOWN_LENGTH:
            raise _cut_off(path, max(0, left) / announced)
    stream.seek(0)


def _length_of_data(stream: BinaryIO) -> int:
    """Go to the data of a WAV file; the bytes that it is said to have, 1 if none."""
    while len(chunk := stream.read(8)) == 8:  # noqa: PLR2004 - name and length
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            return length
        stream.seek(length + length % 2, SEEK_CUR)
    return 1


def _cut_off(path: str | Path, share: float) -> AudioFormatError:
    return AudioFormatError(
        f"{path} was cut off: {int(1000 * share) / 10} % of the sound that its header "
        "announces is there; copy it again, or write what there is anew with another program"
    )


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
