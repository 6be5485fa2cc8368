"""Calibration: turn detection settings for one microphone, in one room, for one voice.

Two recordings are enough: some seconds of silence and one sentence. What is measured is
kept as figures, what follows from it as settings with a reason each, and what is wrong
as sentences that say what to do about it. Levels are in dBFS, where a full-scale square
wave is 0.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from rtnb.audio import StreamingResampler
from rtnb.errors import AudioFormatError
from rtnb.vad.detector import HYSTERESIS, Law
from rtnb.vad.settings import ServerVad
from rtnb.vad.silero import HOP_MS, SAMPLE_RATE, SileroVad
from rtnb.vad.spectrum import Hum, Spectrum, mains_hum, third_octaves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rtnb.audio import Clip, Samples
    from rtnb.vad.echo import EchoCheck

NoiseReduction: TypeAlias = Literal["near_field", "far_field"]
"""The two filters of the Realtime API: for a headset, for a laptop or a room."""

SHORTEST_S: Final = 1.0
"""Least length of either recording: thirty hops, so that the 99th percentile means
something. Our choice."""

THRESHOLD_RANGE: Final = (0.3, 0.9)
"""No threshold outside is recommended: measured on noisy speech, frame F1 falls on both
sides of it. Our choice."""

NOISE_PERCENTILE: Final = 99.0
"""What counts as the highest speech probability of noise: one hop in three seconds may
exceed it. Our choice."""

SURE: Final = 0.5
"""A hop of at least this probability is speech, whatever the settings: the detector's
default threshold."""

SPOKEN_HOPS: Final = 8
"""So many hops of speech, 256 ms, are somebody speaking: silero-vad's least length of
speech, 250 ms, in whole hops."""

FAINT_PERCENTILE: Final = 25.0
"""Of the speech's hops, so many per cent may fall below the threshold. Our choice."""

ROOM_BELOW_SPEECH: Final = 0.1
"""How far the threshold stands below faint speech, where noise lets it. Our choice."""

ACTIVE_MARGIN_DB: Final = 15.9
"""A hop is loud if its level is at most so far below the active level, the margin of
ITU-T P.56 (2011), and above the noise."""

PAUSE_MARGIN_MS: Final = 100
"""Silence that a pause must have to spare: three hops. Our choice."""

LONGEST_PAUSE_MS: Final = 900
"""A longer pause separates sentences and is not waited for. Our choice."""

ONSET_DB: Final = 6.0
"""Sound that is so far above the noise is more than noise. Our choice: twice its
amplitude."""

SPEECH_RANGE_DB: Final = 30.0
"""Sound that is further below the active level is no part of a word: about the range
between vowels and the faintest consonants. Our choice."""

ONSET_MARGIN_MS: Final = 100
"""Audio kept from before that. Our choice."""

LONGEST_PREFIX_MS: Final = 1_000
"""No longer prefix is recommended. Our choice."""

STEP_MS: Final = 20
"""Recommended times are multiples of this, one chunk of audio."""

FULL_SCALE: Final = 32_766 / 32_768
"""A sample of at least this magnitude is at full scale: PCM16 ends at 32 767."""

CLIPPED_SAMPLES: Final = 3
"""So many samples at full scale in a row are clipping; one or two may be a peak. Our
choice."""

CLIPPED_RUNS: Final = 3
"""So many of these runs are trouble; fewer are a knock. Our choice."""

FAINT_DBFS: Final = -45.0
"""Speech below this is too quiet: 10 dB more than what Silero was measured to miss. Our
choice."""

LEAST_SNR_DB: Final = 10.0
"""Speech that is less above the noise is hardly recognised. Our choice."""

CLEAN_SNR_DB: Final = 30.0
"""From here on there is nothing for a noise filter to do. Our choice."""

NEAR_SNR_DB: Final = 20.0
"""From here on the mouth is near the microphone. Our choice."""

ECHO_MARGIN: Final = 0.05
"""How far above an answer's echo the threshold must be. Our choice."""

DEFAULT_THRESHOLD: Final = 0.5
DEFAULT_SILENCE_MS: Final = 200
DEFAULT_PREFIX_MS: Final = 300
"""What `SERVER_VAD_DEFAULTS` holds; a test keeps them equal."""

OFFSET: Final = 0.01
"""An offset of the samples beyond this is a fault of the device. Our choice: -40 dBFS."""

HUM_DBFS: Final = -60.0
"""Hum of this level is worth looking for its cause. Our choice."""


@dataclass(frozen=True)
class Clipping:
    """Samples at full scale.

    Parameters
    ----------
    share : float, 0 to 1
        Of all samples.
    runs : int
        Stretches of at least three of them.
    longest : int
        Samples in the longest stretch.
    """

    share: float
    runs: int
    longest: int


@dataclass(frozen=True)
class Calibration:
    """What two recordings say about a microphone, and the settings that follow.

    Parameters
    ----------
    noise_dbfs : float
        Noise floor: median level of the hops of the silence, the offset taken off.
    spectrum : Spectrum
        Of the silence, in third-octave bands.
    hum : Hum or None
        Of the mains.
    speech_dbfs : float or None
        Active level: of the hops that are speech, together; None if there are none.
    snr_db : float or None
        Power of the speech alone over that of the noise.
    clipping : Clipping
        In either recording.
    dc_offset : float
        Where the middle of the silence's samples is, median over hops.
    noise_probability : float
        99th percentile of the speech probability in the silence.
    speech_probability : float or None
        25th percentile of the speech probability where the speech is loud.
    longest_pause_ms : int
        Within the sentence.
    onset_ms : int
        How long the sound had risen before the detector was sure.
    echo : EchoCheck or None
        What `measure_echo` found, if it was asked.
    recommended : ServerVad
        Threshold, silence and prefix; for ``session.configure(turn_detection=…)``.
    noise_reduction : {"near_field", "far_field"} or None
        For ``session.configure(noise_reduction=…)``.
    reasons : tuple of str
        Why: a sentence each for threshold, silence, prefix and noise reduction.
    problems : tuple of str
        What is wrong and what to do about it; empty where all is well.
    usable : bool
        Whether the settings follow from the recordings. If not, `recommended` holds
        defaults, and `problems` says why.
    """

    noise_dbfs: float
    spectrum: Spectrum
    hum: Hum | None
    speech_dbfs: float | None
    snr_db: float | None
    clipping: Clipping
    dc_offset: float
    noise_probability: float
    speech_probability: float | None
    longest_pause_ms: int
    onset_ms: int
    echo: EchoCheck | None
    recommended: ServerVad
    noise_reduction: NoiseReduction | None
    reasons: tuple[str, ...]
    problems: tuple[str, ...]
    usable: bool

    def _repr_html_(self) -> str:
        problems = "".join(f"<li>{html.escape(each)}</li>" for each in self.problems)
        reasons = "".join(f"<li>{html.escape(each)}</li>" for each in self.reasons)
        figures = "".join(
            f"<tr><td>{name}</td><td>{html.escape(value)}</td></tr>"
            for name, value in self.figures().items()
        )
        return (
            f"<p><code>{html.escape(repr(self.recommended))}</code></p>"
            + (f"<p><b>Trouble</b></p><ul>{problems}</ul>" if problems else "")
            + f"<ul>{reasons}</ul><table>{figures}</table>"
        )

    def figures(self) -> dict[str, str]:
        """What was measured, written with its units, by what it is called."""
        unknown = "unknown"
        speech, snr = self.speech_dbfs, self.snr_db
        told = {
            "Noise floor": f"{self.noise_dbfs:.0f} dBFS",
            "Speech level": unknown if speech is None else f"{speech:.0f} dBFS",
            "Speech above noise": unknown if snr is None else f"{snr:.0f} dB",
            "Speech probability of the noise": f"{self.noise_probability:.2f}",
            "Longest pause in the sentence": f"{self.longest_pause_ms} ms",
            "Clipped samples": f"{100 * self.clipping.share:.2g} %",
            "Hum": "none" if self.hum is None else _hum_text(self.hum),
        }
        if self.echo is not None:
            told["Echo"] = _echo_text(self.echo)
        return told


def calibrate(
    seconds_of_silence: Clip,
    seconds_of_speech: Clip,
    *,
    echo: EchoCheck | None = None,
) -> Calibration:
    """Measure a microphone and recommend turn detection settings.

    Parameters
    ----------
    seconds_of_silence : Clip
        The room while nobody speaks, at least one second; five are good.
    seconds_of_speech : Clip
        One sentence, read as one speaks, at least one second.
    echo : EchoCheck, optional
        From `rtnb.vad.measure_echo`.

    Returns
    -------
    Calibration
        Its `recommended` is ready for ``session.configure``.

    Raises
    ------
    AudioFormatError
        If a recording is too short.

    Notes
    -----
    The threshold is 0.5, and higher if noise asks for it: then it lies as far above the
    99th percentile of the noise's probability as a turn's end lies below the threshold
    (0.15), so that noise can neither begin a turn nor keep one open. It is lower if
    three quarters of the loud speech would not reach it. It is never outside [0.3, 0.9].

    The silence is what the longest pause in the sentence needs and 100 ms more, the
    prefix what the first sound needs and 100 ms more, neither below the default.

    Examples
    --------
    >>> import numpy as np
    >>> from rtnb.audio import Clip
    >>> hiss = np.random.default_rng(0).normal(0, 0.001, 5 * 16_000)
    >>> room = Clip.from_array(hiss.astype(np.float32), 16_000)
    >>> calibrate(room, Clip.example("austen-0880")).recommended
    ServerVad(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=200)
    """
    for name, clip in (("silence", seconds_of_silence), ("speech", seconds_of_speech)):
        if clip.duration < SHORTEST_S:
            raise AudioFormatError(
                f"the {name} lasts {clip.duration:g} s, but at least {SHORTEST_S:g} s "
                "are needed: record five seconds"
            )
    return _Analysis(_Heard(seconds_of_silence), _Heard(seconds_of_speech), echo).told()


def threshold_between(noise: float, speech: float) -> float:
    """The threshold for what noise reaches and faint speech falls to.

    Parameters
    ----------
    noise : float, 0 to 1
        High percentile of the noise's speech probability.
    speech : float, 0 to 1
        Low percentile of the speech's.

    Returns
    -------
    float, 0.3 to 0.9
        Whole hundredths. More than 0.15 above the noise, where that is in the range;
        then 0.1 below the speech, where that is below the default; else the default.

    Examples
    --------
    >>> threshold_between(0.1, 0.95), threshold_between(0.46, 0.95)
    (0.5, 0.62)
    """
    low, high = THRESHOLD_RANGE
    wanted = min(
        DEFAULT_THRESHOLD, math.floor(100 * (speech - ROOM_BELOW_SPEECH)) / 100
    )
    above = math.floor(100 * (noise + HYSTERESIS) + 1) / 100
    return min(max(wanted, above, low), high)


class _Heard:
    """A recording, with level and speech probability of each hop."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        resampler = StreamingResampler(clip.sample_rate, SAMPLE_RATE)
        samples = np.concatenate((resampler(clip.samples), resampler.flush()))
        self.p = SileroVad().probabilities(samples).astype(np.float64)
        edges = np.arange(len(self.p) + 1) * clip.sample_rate * HOP_MS // 1000
        whole, starts, lengths = edges[-1], edges[:-1], np.diff(edges)
        heard = clip.samples[:whole].astype(np.float64)
        self.dc_offset = float(np.median(np.add.reduceat(heard, starts) / lengths))
        powers = np.add.reduceat(np.square(heard - self.dc_offset), starts) / lengths
        self.levels = 10 * np.log10(np.maximum(powers, 1e-12))

    @property
    def silent(self) -> bool:
        """Whether there is nothing but zeros."""
        return self.clip.peak == 0

    def level_of(self, hops: NDArray[np.bool_]) -> float:
        """Level of some hops together."""
        return 10 * math.log10(float(np.mean(10 ** (self.levels[hops] / 10))))


class _Analysis:
    """What follows from two recordings."""

    def __init__(self, quiet: _Heard, spoken: _Heard, echo: EchoCheck | None) -> None:
        self.quiet, self.spoken, self.echo = quiet, spoken, echo
        self.noise = float(np.median(quiet.levels))
        self.noise_p = float(np.percentile(quiet.p, NOISE_PERCENTILE))
        self.hum = mains_hum(quiet.clip.samples, quiet.clip.sample_rate)
        self.clipping = _clipping([quiet.clip.samples, spoken.clip.samples])
        self.speech = self._speech_level()
        self.speech_p = self._faint_probability()
        self.blocked = self._blocked()
        self.threshold = self._threshold()
        self.pause_ms, self.onset_ms = self._pause_ms(), self._onset_ms()

    # -- measured ----------------------------------------------------------------------

    def _speech_level(self) -> float | None:
        sure = self.spoken.p >= SURE
        return self.spoken.level_of(sure) if sure.sum() >= SPOKEN_HOPS else None

    @property
    def snr(self) -> float | None:
        """Speech alone over noise, dB."""
        if self.speech is None:
            return None
        ratio = 10 ** ((self.speech - self.noise) / 10)
        return 10 * math.log10(max(ratio - 1, 1e-3))

    def _faint_probability(self) -> float | None:
        if self.speech is None:
            return None
        least = max(self.speech - ACTIVE_MARGIN_DB, self.noise + ONSET_DB)
        loud = self.spoken.levels >= least
        if not loud.any():
            loud = self.spoken.p >= SURE
        return float(np.percentile(self.spoken.p[loud], FAINT_PERCENTILE))

    def _law(self) -> Law:
        return Law.of(ServerVad(threshold=self.threshold), hop_ms=HOP_MS)

    def _spoken_hops(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.spoken.p >= self._law().enter)

    def _pause_ms(self) -> int:
        """Longest pause within a sentence, as the detector counts silence."""
        hops = self._spoken_hops()
        if not len(hops):
            return 0
        within = self.spoken.p[hops[0] : hops[-1]] < self._law().leave
        pauses = [HOP_MS * (end - start) for start, end in _runs(within)]
        return max((each for each in pauses if each <= LONGEST_PAUSE_MS), default=0)

    def _onset_ms(self) -> int:
        """How long it was loud before the first hop that began a turn."""
        hops = self._spoken_hops()
        if not len(hops) or self.speech is None:
            return 0
        ground = max(self.noise, float(np.percentile(self.spoken.levels, 10)))
        least = max(ground + ONSET_DB, self.speech - SPEECH_RANGE_DB)
        quiet_before = np.flatnonzero(self.spoken.levels[: hops[0]] < least)
        last = quiet_before[-1] if len(quiet_before) else -1
        return HOP_MS * int(hops[0] - last - 1)

    # -- recommended -------------------------------------------------------------------

    def _threshold(self) -> float:
        if self.blocked or self.speech_p is None:
            return DEFAULT_THRESHOLD
        return threshold_between(self.noise_p, self.speech_p)

    @property
    def silence_ms(self) -> int:
        """Silence that outlasts the pause."""
        return max(DEFAULT_SILENCE_MS, _step_up(self.pause_ms + PAUSE_MARGIN_MS))

    @property
    def prefix_ms(self) -> int:
        """Prefix that holds the onset."""
        wanted = max(DEFAULT_PREFIX_MS, _step_up(self.onset_ms + ONSET_MARGIN_MS))
        return min(wanted, LONGEST_PREFIX_MS)

    @property
    def noise_reduction(self) -> NoiseReduction | None:
        """The filter for such a microphone."""
        if self.snr is None or self.snr >= CLEAN_SNR_DB:
            return None
        near = self.snr >= NEAR_SNR_DB and not (self.echo and self.echo.heard)
        return "near_field" if near else "far_field"

    # -- said --------------------------------------------------------------------------

    def told(self) -> Calibration:
        """Everything, as a value."""
        settings = ServerVad(
            threshold=self.threshold,
            prefix_padding_ms=DEFAULT_PREFIX_MS if self.blocked else self.prefix_ms,
            silence_duration_ms=DEFAULT_SILENCE_MS if self.blocked else self.silence_ms,
        )
        return Calibration(
            noise_dbfs=self.noise,
            spectrum=third_octaves(
                self.quiet.clip.samples, self.quiet.clip.sample_rate
            ),
            hum=self.hum,
            speech_dbfs=self.speech,
            snr_db=self.snr,
            clipping=self.clipping,
            dc_offset=self.quiet.dc_offset,
            noise_probability=self.noise_p,
            speech_probability=self.speech_p,
            longest_pause_ms=self.pause_ms,
            onset_ms=self.onset_ms,
            echo=self.echo,
            recommended=settings,
            noise_reduction=None if self.blocked else self.noise_reduction,
            reasons=() if self.blocked else tuple(self._reasons()),
            problems=(*self.blocked, *self._troubles()),
            usable=not self.blocked,
        )

    def _reasons(self) -> Iterator[str]:
        yield self._threshold_reason()
        if self.silence_ms == DEFAULT_SILENCE_MS:
            yield (
                f"Silence {self.silence_ms} ms, the default: the longest pause in the "
                f"sentence lasted {self.pause_ms} ms."
            )
        else:
            yield (
                f"Silence {self.silence_ms} ms: the longest pause in the sentence lasted "
                f"{self.pause_ms} ms, and {PAUSE_MARGIN_MS} ms more keep it whole."
            )
        yield self._prefix_reason()
        yield self._reduction_reason()

    def _threshold_reason(self) -> str:
        noise, speech = f"{self.noise_p:.2f}", f"{self.speech_p:.2f}"
        if self.threshold == DEFAULT_THRESHOLD:
            return (
                f"Threshold {self.threshold:.2f}, the default: noise reaches {noise}, "
                f"three quarters of the loud speech at least {speech}."
            )
        if self.threshold < DEFAULT_THRESHOLD:
            return (
                f"Threshold {self.threshold:.2f}: a quarter of the loud speech stays "
                f"below {speech}, and noise reaches only {noise}."
            )
        return (
            f"Threshold {self.threshold:.2f}: noise reaches {noise}, and must stay "
            f"{HYSTERESIS} below so that it neither begins a turn nor keeps one open."
        )

    def _prefix_reason(self) -> str:
        default = ", the default" if self.prefix_ms == DEFAULT_PREFIX_MS else ""
        late = (
            f"the sound rose {self.onset_ms} ms before the detector was sure of it"
            if self.onset_ms
            else "the detector was sure as soon as the sound rose"
        )
        return f"Prefix {self.prefix_ms} ms{default}: {late}."

    def _reduction_reason(self) -> str:
        if self.quiet.silent:
            return (
                "Noise reduction none: the silence is digital zeros, so something "
                "filters the microphone already."
            )
        told = f"speech is {self.snr:.0f} dB above the noise"
        match self.noise_reduction:
            case None:
                return f"Noise reduction none: {told}, so there is little to take away."
            case "near_field":
                return f"Noise reduction near_field: {told}, as close to a microphone."
            case _:
                return (
                    f"Noise reduction far_field: {told}, or the loudspeaker is heard, "
                    "as with a microphone in the room."
                )

    def _blocked(self) -> tuple[str, ...]:
        """What makes the recordings useless."""
        if self.spoken.silent:
            return (
                "The microphone gave digital zeros: it is muted or off; unmute it in "
                "the panel, on the headset and in the system's settings.",
            )
        found = []
        speech = [run for run in _runs(self.quiet.p >= SURE) if _long_enough(run)]
        if speech:
            found.append(
                f"Speech was heard in the silence, after {speech[0][0] * HOP_MS / 1000:.1f}"
                " s: do it again in silence; if nobody spoke, a television or music is "
                "too near."
            )
        if self.speech is None:
            found.append(
                "Nobody was heard to speak: read the sentence aloud, or choose another "
                f"microphone; the level reached {self.spoken.levels.max():.0f} dBFS."
            )
        return tuple(found)

    def _troubles(self) -> Iterator[str]:
        """What is worth mending, although the recordings can be used."""
        if self.clipping.runs >= CLIPPED_RUNS:
            yield (
                f"The microphone clips: {self.clipping.runs} times, "
                f"{100 * self.clipping.share:.2g} % of the samples; turn its gain down "
                "or speak from further away."
            )
        if self.speech is not None:
            yield from self._faults_of_speech(self.speech)
        if abs(self.quiet.dc_offset) > OFFSET:
            yield (
                f"The samples are off centre by {self.quiet.dc_offset:.3f} of full scale: the "
                "sound device is faulty; try another input."
            )
        if self.hum is not None and self.hum.level_dbfs >= HUM_DBFS:
            yield (
                f"The mains hum: {_hum_text(self.hum)}; unplug the charger or move the "
                "cable."
            )
        if self.echo is not None and self.echo.would_trigger:
            yield _echo_warning(self.echo)

    def _faults_of_speech(self, speech: float) -> Iterator[str]:
        snr, faint = self.snr or 0.0, self.speech_p or 0.0
        if speech < FAINT_DBFS:
            yield (
                f"Speech is too quiet, {speech:.0f} dBFS: turn the microphone's gain up "
                "or come closer."
            )
        if snr < LEAST_SNR_DB:
            yield (
                f"Speech is only {snr:.0f} dB above the noise, less than "
                f"{LEAST_SNR_DB:.0f} dB: come closer, or quieten the room."
            )
        if not self.blocked and self.threshold > faint:
            yield (
                f"Noise sounds like speech: it reaches a probability of "
                f"{self.noise_p:.2f}, and a quarter of the loud speech stays below "
                f"{faint:.2f}; no threshold parts them well."
            )


def _clipping(recordings: list[Samples]) -> Clipping:
    full = [np.abs(samples) >= FULL_SCALE for samples in recordings]
    runs = [end - start for each in full for start, end in _runs(each)]
    clipped = [run for run in runs if run >= CLIPPED_SAMPLES]
    share = sum(runs) / sum(map(len, full))
    return Clipping(share, len(clipped), max(clipped, default=0))


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and end of every run of True."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _long_enough(run: tuple[int, int]) -> bool:
    return run[1] - run[0] >= SPOKEN_HOPS


def _step_up(milliseconds: int) -> int:
    return -(-milliseconds // STEP_MS) * STEP_MS


def _hum_text(hum: Hum) -> str:
    return f"{hum.frequency} Hz at {hum.level_dbfs:.0f} dBFS"


def _echo_text(echo: EchoCheck) -> str:
    if not echo.heard:
        return "none"
    return f"{echo.attenuation_db:.0f} dB down, after {echo.delay_ms:.0f} ms"


def _echo_warning(echo: EchoCheck) -> str:
    needed = math.floor(100 * (echo.probability + ECHO_MARGIN) + 1) / 100
    highest = THRESHOLD_RANGE[1]
    way_out = (
        f", or a threshold of {needed:.2f} at least"
        if needed <= highest
        else f"; no threshold up to {highest} would do"
    )
    return (
        f"The answer would trigger the detector: its echo ({_echo_text(echo)}) reaches a "
        f"probability of {echo.probability:.2f}; use headphones or echo cancellation"
        f"{way_out}."
    )
