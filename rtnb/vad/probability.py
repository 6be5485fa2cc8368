"""Speech probability: how likely each stretch of a recording is speech, found once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rtnb.audio import Clip, StreamingResampler
from rtnb.errors import AudioFormatError
from rtnb.vad.models import speech_model
from rtnb.vad.silero import HOP, SAMPLE_RATE

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from rtnb.vad.models import SpeechFunction, SpeechModel


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
    sound: Clip | str | os.PathLike[str] | HasMicrophone,
    model: str | SpeechModel | SpeechFunction = "silero",
    *,
    on_progress: Callable[[float, float], object] | None = None,
    cache: bool = True,
) -> SpeechProbability:
    """How likely each 32 ms of a sound is speech.

    Parameters
    ----------
    sound : Clip, path or recording
        At any rate; resampled to the model's as a live stream would be.
    model : str, SpeechModel or callable, default "silero"
        What `speech_model` takes.
    on_progress : callable, optional
        Told the seconds done and the seconds in all; by default long work shows a bar.
    cache : bool, default True
        Look the result up in the cache on disk, and keep it there.

    Returns
    -------
    SpeechProbability
        One value for each whole hop.

    Raises
    ------
    AudioFormatError
        If the sound cannot be used.
    ConfigError
        If there is no such model.

    Examples
    --------
    >>> from rtnb.audio import Clip
    >>> clip = Clip.example("austen-0880") + Clip.silence(1.0, 16_000)
    >>> len(speech_probability(clip))
    124
    """
    ears = speech_model(model)
    clip = _clip_of(sound)
    resampler = StreamingResampler(clip.sample_rate, ears.sample_rate)
    samples = np.concatenate((resampler(clip.samples), resampler.flush()))
    if on_progress is not None:
        on_progress(clip.duration, clip.duration)
    return SpeechProbability(
        ears.stream().push(samples),
        ears.hop,
        ears.sample_rate,
        model=ears.name,
        version=ears.version,
    )


def _clip_of(sound: Clip | str | os.PathLike[str] | HasMicrophone) -> Clip:
    if isinstance(sound, Clip):
        return sound
    microphone = getattr(sound, "microphone", sound)
    return Clip.from_file(Path(microphone))
