"""Speech probability: how likely each stretch of a recording is speech, found once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from rtnb.audio import Clip, StreamingResampler
from rtnb.audio.files import duration_of
from rtnb.errors import AudioFormatError
from rtnb.vad.cache import Entry, cache_key, probability_cache
from rtnb.vad.models import speech_model
from rtnb.vad.progress import progress
from rtnb.vad.silero import HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from rtnb.vad.models import SpeechFunction, SpeechModel


PIECE: Final = 65_536
"""Samples of a sound that are listened to at once: 2.7 s at 24 kHz."""


class HasMicrophone(Protocol):
    """What recorded a microphone, such as a recording of a session."""

    @property
    def microphone(self) -> Path:
        """A sound file."""


@dataclass(frozen=True, eq=False)
class SpeechProbability:
    """How likely each hop of a recording is speech.

    Parameters
    ----------
    p : float32 array, shape (n,)
        Probabilities, 0 to 1; kept as a read-only view.
    hop : int, default 512
        Samples that one stands for.
    sample_rate : int, default 16000
        Hz; a hop must be a whole number of milliseconds.
    model, version : str
        Which model found them; "" where it is unknown.
    source : str
        SHA-256 of what was heard, 64 hexadecimal digits; "" where it is unknown.

    Raises
    ------
    AudioFormatError
        If the array is not float32 of shape (n,), or a hop not whole milliseconds.
    """

    p: NDArray[np.float32]
    hop: int = HOP
    sample_rate: int = SAMPLE_RATE
    model: str = field(default="", kw_only=True)
    version: str = field(default="", kw_only=True)
    source: str = field(default="", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.p.dtype != np.float32 or self.p.ndim != 1:
            raise AudioFormatError(
                f"probabilities are {self.p.dtype} of shape {self.p.shape}, not float32 "
                "of shape (n,): give one recording's, as numpy.float32"
            )
        if self.hop < 1 or 1000 * self.hop % self.sample_rate:
            raise AudioFormatError(
                f"a hop of {self.hop} samples at {self.sample_rate} Hz is not a whole "
                "number of milliseconds: use 512 at 16000 Hz"
            )
        view = self.p.view()
        view.flags.writeable = False
        object.__setattr__(self, "p", view)

    @classmethod
    def from_array(
        cls, p: ArrayLike, *, hop: int = HOP, sample_rate: int = SAMPLE_RATE
    ) -> SpeechProbability:
        """Make one of figures that were found elsewhere.

        Parameters
        ----------
        p : array of numbers, shape (n,)
            Probabilities, 0 to 1.
        hop : int, default 512
            Samples that one stands for.
        sample_rate : int, default 16000
            Hz; a hop must be a whole number of milliseconds.

        Returns
        -------
        SpeechProbability
            Of no known model.

        Raises
        ------
        AudioFormatError
            If the figures are no probabilities, or a hop not whole milliseconds.

        Examples
        --------
        >>> SpeechProbability.from_array([0.1, 0.9]).duration
        0.064
        """
        given = np.asarray(p)
        if given.dtype.kind not in "fiub" or given.ndim != 1:
            raise AudioFormatError(
                f"probabilities are {given.dtype} of shape {given.shape}, not numbers "
                "of shape (n,): give one recording's"
            )
        outside = given[~((given >= 0) & (given <= 1))]
        if len(outside):
            raise AudioFormatError(
                f"{outside[0]} is no probability, which lies between 0 and 1: give "
                "what a model found, not a level"
            )
        return cls(given.astype(np.float32), hop, sample_rate)

    @property
    def hop_ms(self) -> int:
        """Length of a hop in milliseconds."""
        return 1000 * self.hop // self.sample_rate

    @property
    def times(self) -> NDArray[np.float64]:
        """Start of each hop in seconds, shape (n,)."""
        starts = np.arange(len(self.p), dtype=np.float64) * self.hop
        return starts / self.sample_rate

    @property
    def duration(self) -> float:
        """Length of all hops in seconds."""
        return len(self.p) * self.hop / self.sample_rate

    def __len__(self) -> int:
        return len(self.p)


def speech_probability(
    sound: Clip | str | PathLike[str] | HasMicrophone,
    model: str | SpeechModel | SpeechFunction = "silero",
    *,
    on_progress: Callable[[float, float], object] | None = None,
    cache: bool = True,
) -> SpeechProbability:
    """How likely each hop of a sound is speech.

    Parameters
    ----------
    sound : Clip, path or recording
        At any rate; resampled to the model's as a live stream would be. Of a recording,
        the microphone. A file is read in pieces, however long it is.
    model : str, SpeechModel or callable, default "silero"
        What `speech_model` takes; Silero's hops are 32 ms.
    on_progress : callable, optional
        Told the seconds done and the seconds in all, every few seconds of sound; by
        default a bar appears when it takes more than a second.
    cache : bool, default True
        Look on disk whether the model has heard the sound before, and keep there what
        it finds; see `rtnb.vad.cache`. A function is always asked.

    Returns
    -------
    SpeechProbability
        One value for each whole hop: the same, bit for bit, of a file, of the clip that
        is read from it, and of a live stream.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    AudioFormatError
        If the sound is empty, not audio, cut off, or of a rate that cannot be used.
    ConfigError
        If there is no such model.
    MissingExtra
        If the model's package is not installed.

    Notes
    -----
    A file is looked up by its bytes, a clip by its samples: hashing a file is many
    times faster than decoding it, and listening to it once more after it was converted
    does no harm. `SpeechProbability.source` is the same for both.

    Examples
    --------
    >>> from rtnb.audio import Clip
    >>> clip = Clip.example("austen-0880") + Clip.silence(1.0, 16_000)
    >>> len(speech_probability(clip))
    124
    """
    ears = speech_model(model)
    source = _ClipSource(sound) if isinstance(sound, Clip) else _FileSource(sound)
    if not cache or not ears.version:
        return _probability(ears, _listen(source, ears, on_progress))
    kept = probability_cache()
    key = cache_key(source.kind, source.content(), ears=ears)
    entry = kept.load(key)
    if entry is None:
        before = source.stamp()
        entry = _listen(source, ears, on_progress)
        if source.stamp() == before:  # not while somebody writes to it
            kept.store(key, entry)
    return _probability(ears, entry)


def _probability(ears: SpeechModel, entry: Entry) -> SpeechProbability:
    return SpeechProbability(
        entry.p,
        entry.hop,
        entry.sample_rate,
        model=ears.name,
        version=ears.version,
        source=entry.source,
    )


class _Source(Protocol):
    """What is listened to."""

    kind: str
    seconds: float

    def content(self) -> bytes:
        """Hash by which it is looked up."""

    def stamp(self) -> object:
        """Something else once it has changed."""

    def pieces(self) -> Iterator[Clip]:
        """At least one, in order."""


class _ClipSource:
    kind = "clip"

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self.seconds = clip.duration

    def content(self) -> bytes:
        fingerprint = _Fingerprint(self._clip.sample_rate)
        for piece in self.pieces():
            fingerprint.add(piece)
        return fingerprint.digest()

    def stamp(self) -> object:
        return None

    def pieces(self) -> Iterator[Clip]:
        samples, rate = self._clip.samples, self._clip.sample_rate
        for first in range(0, max(len(samples), 1), PIECE):
            yield Clip(samples[first : first + PIECE], rate)


class _FileSource:
    kind = "file"

    def __init__(self, sound: str | PathLike[str] | HasMicrophone) -> None:
        named = getattr(sound, "microphone", sound)
        if not isinstance(named, str | PathLike):
            raise AudioFormatError(
                f"a {type(sound).__name__} is no sound: give a Clip, the path of a sound "
                "file, or a recording"
            )
        self._path = Path(named)
        self.seconds = duration_of(self._path)

    def content(self) -> bytes:
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def stamp(self) -> object:
        status = self._path.stat()
        return status.st_size, status.st_mtime_ns

    def pieces(self) -> Iterator[Clip]:
        return Clip.pieces_of(self._path, samples=PIECE)


class _Fingerprint:
    """SHA-256 of a sound: its rate as 8 bytes, then its samples as float32."""

    def __init__(self, sample_rate: int) -> None:
        self._hash = hashlib.sha256(sample_rate.to_bytes(8, "little"))

    def add(self, piece: Clip) -> None:
        self._hash.update(piece.samples.astype("<f4").tobytes())

    def digest(self) -> bytes:
        return self._hash.digest()


def _listen(
    source: _Source,
    ears: SpeechModel,
    on_progress: Callable[[float, float], object] | None,
) -> Entry:
    """Let a model listen to a sound, piece by piece."""
    pieces = source.pieces()
    first = next(pieces)
    if not len(first):
        raise AudioFormatError(
            "the sound is empty: give one with at least one sample; a hop takes "
            f"{ears.hop} at {ears.sample_rate} Hz"
        )
    resampler = StreamingResampler(first.sample_rate, ears.sample_rate)
    fingerprint = _Fingerprint(first.sample_rate)
    stream = ears.stream()
    found = []
    done = 0
    with progress(source.seconds, on_progress) as show:
        for piece in chain((first,), pieces):
            fingerprint.add(piece)
            found.append(stream.push(resampler(piece.samples)))
            done += len(piece)
            show(done / first.sample_rate)
    found.append(stream.push(resampler.flush()))
    digest = fingerprint.digest().hex()
    return Entry(np.concatenate(found), ears.hop, ears.sample_rate, digest)
