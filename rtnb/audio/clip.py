"""A piece of recorded sound.

Whatever a clip is made from, it holds the same thing: float32, mono, in [-1, 1]. What
had to be done to make it so is written in its notes; what cannot be done without
guessing is refused.
"""

from __future__ import annotations

import base64
import html
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from typing_extensions import override

from rtnb.audio import examples, files
from rtnb.audio.levels import Samples, rms_dbfs
from rtnb.audio.pcm import pcm16_decode, pcm16_encode
from rtnb.audio.resampling import resample
from rtnb.errors import AudioFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

LOWEST_RATE: Final = 8_000
HIGHEST_RATE: Final = 192_000
MOST_CHANNELS: Final = 64
LONGEST_PLAYER_S: Final = 600.0
"""A player in the page holds the whole sound: ten minutes are 38 MB at 24 kHz."""

_FULL_SCALE: Final = {"int16": 32768.0, "int32": 2147483648.0, "uint8": 128.0}


@dataclass(frozen=True, eq=False, repr=False)
class Clip:
    """A piece of sound: mono samples and their rate.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        Samples in [-1, 1]; kept as a read-only view, not copied.
    sample_rate : int
        Hz, 8000 to 192000.
    notes : tuple of str
        What was done to make it so.

    Raises
    ------
    AudioFormatError
        If dtype, shape, range or rate is another; `Clip.from_array` converts.

    Examples
    --------
    >>> clip = Clip.example("austen-0880")
    >>> clip
    Clip(2.99 s, 16000 Hz)
    >>> clip.resample(24_000).notes
    ('resampled 16000 Hz to 24000 Hz',)
    """

    samples: Samples
    sample_rate: int
    _: KW_ONLY
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_rate(self.sample_rate)
        _check_samples(self.samples)
        view = self.samples.view()
        view.flags.writeable = False
        object.__setattr__(self, "samples", view)
        object.__setattr__(self, "sample_rate", int(self.sample_rate))

    @classmethod
    def from_array(cls, array: ArrayLike, sample_rate: int) -> Clip:
        """Make a clip of an array of any usual kind.

        Parameters
        ----------
        array : array of int16, int32, uint8 or float, shape (n,) or (n, channels)
            Integers are taken to use their whole range; floats must lie in [-1, 1].
            Channels are averaged.
        sample_rate : int
            Hz, 8000 to 192000.

        Returns
        -------
        Clip
            Its notes say what was converted.

        Raises
        ------
        AudioFormatError
            If dtype, shape, range or rate cannot be used.
        """
        given = np.asarray(array)
        notes: tuple[str, ...] = ()
        if given.dtype != np.float32:
            notes = (f"converted {given.dtype} to float32",)
        return cls._from_channels(_as_float32(given), sample_rate, notes=notes)

    @classmethod
    def from_file(cls, path: str | Path) -> Clip:
        """Read a WAV, FLAC, OGG or MP3 file, or another that libsndfile knows.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Clip
            At the file's own rate.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        AudioFormatError
            If it is not audio, or its samples or rate cannot be used.
        """
        array, sample_rate, lossy = files.read_file(path)
        return cls._from_block(array, sample_rate, lossy=lossy)

    @classmethod
    def pieces_of(cls, path: str | Path, *, samples: int = 65_536) -> Iterator[Clip]:
        """Read a sound file piece by piece, however long it is.

        Parameters
        ----------
        path : str or Path
            The file.
        samples : int, >= 1, default 65536
            Samples in a piece; the last may be shorter.

        Yields
        ------
        Clip
            At least one. Together they have the samples of `from_file`.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        AudioFormatError
            If it is not audio, or its samples or rate cannot be used.
        """
        if samples < 1:
            raise AudioFormatError(
                f"pieces of {samples} samples cannot be: give 1 or more, such as 65536"
            )
        with files.open_file(path) as file:
            lossy = files.is_lossy(file)
            for block in files.blocks(file, samples, path=path):
                yield cls._from_block(block, file.samplerate, lossy=lossy)

    @classmethod
    def from_pcm16(cls, data: bytes, sample_rate: int) -> Clip:
        """Make a clip of PCM16 bytes, little-endian, mono.

        Parameters
        ----------
        data : bytes
            The audio, as on the wire.
        sample_rate : int
            Hz, 8000 to 192000; the wire's PCM has 24000.

        Returns
        -------
        Clip
            As long as the bytes are.

        Raises
        ------
        AudioFormatError
            If the byte count is odd or the rate cannot be used.
        """
        return cls(pcm16_decode(data), sample_rate)

    @classmethod
    def from_recorder(cls, take: Any) -> Clip:
        """Make a clip of a take that the browser recorded.

        Parameters
        ----------
        take : ipywebrtc.AudioRecorder or bytes
            A recorder that has recorded, or its bytes (webm or ogg).

        Returns
        -------
        Clip
            At the recording's own rate, which is 48 kHz for opus.

        Raises
        ------
        AudioFormatError
            If nothing was recorded or it cannot be decoded.
        MissingExtra
            If PyAV, which decodes it, is not installed.
        """
        data = take if isinstance(take, bytes) else bytes(take.audio.value)
        array, sample_rate = files.read_take(data)
        array, notes = _limited(array)
        return cls._from_channels(array, sample_rate, notes=notes)

    @classmethod
    def silence(cls, seconds: float, sample_rate: int = 24_000) -> Clip:
        """Make a clip of zeros.

        Parameters
        ----------
        seconds : float, >= 0
            Its length.
        sample_rate : int, default 24000
            Hz, 8000 to 192000.

        Returns
        -------
        Clip
            As long as asked for, to the nearest sample.

        Raises
        ------
        AudioFormatError
            If the length is negative or the rate cannot be used.
        """
        _check_rate(sample_rate)
        if not 0 <= seconds < np.inf:
            raise AudioFormatError(
                f"{seconds} s of silence cannot be: give a length of 0 s or more"
            )
        return cls(np.zeros(round(seconds * sample_rate), np.float32), sample_rate)

    @classmethod
    def example(cls, name: str = "austen-0880") -> Clip:
        """Read one of the recordings of human speech that come with the package.

        Parameters
        ----------
        name : str
            One of `EXAMPLES`; `transcript_of` gives the words.

        Returns
        -------
        Clip
            16 kHz.

        Raises
        ------
        AudioFormatError
            If there is no such example.
        """
        return cls.from_file(examples.path_of(name))

    @classmethod
    def _from_channels(
        cls, array: NDArray[np.float32], sample_rate: int, *, notes: tuple[str, ...]
    ) -> Clip:
        """Average the channels of an array of shape (n,) or (n, channels)."""
        _check_shape(array)
        if array.ndim == 1:
            return cls(array, sample_rate, notes=notes)
        channels = array.shape[1]
        if channels == 1:
            return cls(array[:, 0], sample_rate, notes=notes)
        _check_range(array)
        mono = array.mean(axis=1, dtype=np.float32)
        notes = (*notes, f"mixed {channels} channels to mono")
        return cls(mono, sample_rate, notes=notes)

    @classmethod
    def _from_block(
        cls, array: NDArray[np.float32], sample_rate: int, *, lossy: bool
    ) -> Clip:
        """Make a clip of what was read of a file, shape (n, channels)."""
        notes: tuple[str, ...] = ()
        if lossy:
            array, notes = _limited(array)
        return cls._from_channels(array, sample_rate, notes=notes)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self) / self.sample_rate

    @property
    def peak(self) -> float:
        """Largest magnitude of a sample, 0 to 1; 0 where there are none."""
        return float(np.abs(self.samples).max(initial=0.0))

    @property
    def rms_dbfs(self) -> float:
        """Root-mean-square level in dBFS, as `rtnb.audio.rms_dbfs` gives it."""
        return rms_dbfs(self.samples)

    def resample(self, sample_rate: int) -> Clip:
        """Change the sample rate.

        Parameters
        ----------
        sample_rate : int
            Hz, 8000 to 192000.

        Returns
        -------
        Clip
            The clip itself, if it has this rate already.

        Raises
        ------
        AudioFormatError
            If the rate cannot be used.
        """
        _check_rate(sample_rate)
        if sample_rate == self.sample_rate:
            return self
        samples = resample(
            self.samples, from_rate=self.sample_rate, to_rate=sample_rate
        )
        note = f"resampled {self.sample_rate} Hz to {sample_rate} Hz"
        return Clip(samples, sample_rate, notes=(*self.notes, note))

    def slice(self, start_s: float, end_s: float | None = None) -> Clip:
        """Cut out a stretch.

        Parameters
        ----------
        start_s, end_s : float, 0 <= start_s <= end_s <= duration
            Seconds, rounded to samples; without `end_s`, to the end.

        Returns
        -------
        Clip
            A view of the same samples.

        Raises
        ------
        AudioFormatError
            If the stretch is not inside the clip.
        """
        end_s = self.duration if end_s is None else end_s
        if not 0 <= start_s <= end_s <= self.duration:
            raise AudioFormatError(
                f"{start_s} s to {end_s} s is not inside the clip's "
                f"{self.duration} s: choose 0 <= start <= end <= duration"
            )
        start, end = round(start_s * self.sample_rate), round(end_s * self.sample_rate)
        return Clip(self.samples[start:end], self.sample_rate, notes=self.notes)

    def to_pcm16(self) -> bytes:
        """Give the samples as PCM16 bytes, little-endian, as on the wire."""
        return pcm16_encode(self.samples)

    def to_wav_bytes(self) -> bytes:
        """Give the bytes of a WAV file: PCM16, mono."""
        return files.wav_bytes(self.samples, self.sample_rate)

    def save(self, path: str | Path) -> None:
        """Write the clip to a file, 16 bits a sample.

        Parameters
        ----------
        path : str or Path
            Its suffix says the format: ``.wav``, ``.flac``, ``.ogg`` …

        Raises
        ------
        AudioFormatError
            If the suffix names no format that can be written.
        """
        files.write_file(path, self.samples, self.sample_rate)

    def __add__(self, other: Clip) -> Clip:
        if self.sample_rate != other.sample_rate:
            raise AudioFormatError(
                f"{self.sample_rate} Hz and {other.sample_rate} Hz cannot be joined: "
                f"write a + b.resample({self.sample_rate})"
            )
        notes = dict.fromkeys((*self.notes, *other.notes))  # each once, in order
        samples = np.concatenate((self.samples, other.samples))
        return Clip(samples, self.sample_rate, notes=tuple(notes))

    def __len__(self) -> int:
        return len(self.samples)

    @override
    def __repr__(self) -> str:
        notes = "".join(f"; {note}" for note in self.notes)
        return f"Clip({self.duration:.2f} s, {self.sample_rate} Hz{notes})"

    def _repr_html_(self) -> str:
        caption = html.escape(repr(self))
        if not 0 < self.duration <= LONGEST_PLAYER_S:
            return f"<code>{caption}</code>"
        data = base64.b64encode(self.to_wav_bytes()).decode("ascii")
        return (
            f'<audio controls aria-label="{caption}" '
            f'src="data:audio/wav;base64,{data}"></audio><br><code>{caption}</code>'
        )


def _as_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    kind = array.dtype.name
    if kind in _FULL_SCALE:
        centre = 128.0 if kind == "uint8" else 0.0
        return ((array - centre) / _FULL_SCALE[kind]).astype(np.float32)
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    raise AudioFormatError(
        f"samples are {array.dtype}, not int16, int32, uint8 or float: convert them "
        "first, so that their full scale is known"
    )


def _limited(array: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Limit what a lossy decoder overshot, and say so."""
    peak = np.abs(array).max(initial=0.0)
    if peak <= 1.0:
        return array, ()
    return np.clip(array, -1.0, 1.0), (f"limited a peak of {peak:.3f} to 1",)


def _check_rate(sample_rate: int) -> None:
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer):
        raise AudioFormatError(
            f"the sample rate is {sample_rate!r}: give whole Hz, such as 24000"
        )
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise AudioFormatError(
            f"{sample_rate} Hz is outside {LOWEST_RATE} to {HIGHEST_RATE} Hz: give the "
            "sample rate in Hz, such as 24000"
        )


def _check_samples(samples: object) -> None:
    """Refuse anything but float32, shape (n,), finite, in [-1, 1]."""
    if not isinstance(samples, np.ndarray) or samples.dtype != np.float32:
        kind = getattr(samples, "dtype", type(samples).__name__)
        raise AudioFormatError(
            f"samples are {kind}, not a float32 array: use Clip.from_array"
        )
    if samples.ndim != 1:
        raise AudioFormatError(
            f"samples have shape {samples.shape}, not (n,): use Clip.from_array, "
            "which mixes channels to mono"
        )
    _check_range(samples)


def _check_shape(array: NDArray[np.float32]) -> None:
    if array.ndim not in (1, 2):
        raise AudioFormatError(
            f"samples have shape {array.shape}, not (n,) or (n, channels): "
            "give one recording at a time"
        )
    if array.ndim == 2 and not 1 <= array.shape[1] <= MOST_CHANNELS:  # noqa: PLR2004 - two axes
        raise AudioFormatError(
            f"samples have shape {array.shape}, which is {array.shape[1]} channels, "
            f"not 1 to {MOST_CHANNELS}: if channels come first, give array.T"
        )


def _check_range(array: NDArray[np.float32]) -> None:
    peak = float(np.abs(array).max(initial=0.0))
    if not np.isfinite(peak):
        raise AudioFormatError(
            "samples hold a value that is not finite (NaN or infinity), but must lie "
            "in [-1, 1]: repair them, for instance with numpy.nan_to_num"
        )
    if peak > 1.0:
        raise AudioFormatError(
            f"samples reach {peak:g}, but must lie in [-1, 1]: divide by the peak, or "
            "by 32768 if these are 16-bit values"
        )
