"""What spoils a sound on its way to the detector, made on purpose.

Every function gives a new clip of the same rate, and says in its notes what was done.
What is random hangs on a seed: the same seed, the same samples.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from rtnb.audio import Clip, resample, ulaw_decode, ulaw_encode
from rtnb.errors import AudioFormatError, ConfigError
from rtnb.vad.probability import SpeechProbability, speech_probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rtnb.audio import Samples

    Doubles: TypeAlias = NDArray[np.float64]

SNR_RANGE_DB: Final = (-60.0, 120.0)
GAIN_RANGE_DB: Final = (-120.0, 60.0)
PAUSE_RANGE_MS: Final = (1, 10_000)
PACKET_RANGE_MS: Final = (1, 1_000)

ACTIVE_HOP_S: Final = 0.032
"""Length of the stretches that are looked at for speech."""

ACTIVE_DB: Final = 30.0
"""A stretch within so many decibels of the loudest one counts as speech."""

TELEPHONE_RATE: Final = 8_000
TELEPHONE_BAND: Final = (300.0, 3_400.0)
"""Hz that a telephone line lets through: ITU-T G.712."""

DIP_LOG_ODDS: Final = 2.0
"""Between two words, the log odds of speech dip by so much to either side.

Of 1, 2 and 3, the value that finds about as many gaps in the example recordings as
there are joints between phrases, most of them in a stretch 12 dB or more below the
loudest.
"""

GAP_SEARCH_S: Final = 0.048
"""The cut is made where it is quietest, so far around the middle of the dip."""

FADE_S: Final = 0.005
"""The sound fades out and in again around an inserted silence."""

_PINK_TAPS: Final = 8_191
_LOWEST_PINK_HZ: Final = 20.0
_BAND_TAPS: Final = 401
_SURE: Final = 1e-6
"""Probabilities closer to 0 or 1 than this have the log odds of this."""


def add_noise(
    clip: Clip,
    snr_db: float,
    seed: int,
    *,
    color: Literal["white", "pink"] = "white",
) -> Clip:
    """Add noise at a chosen distance below the speech.

    Parameters
    ----------
    clip : Clip
        Speech, as clean as can be.
    snr_db : float, -60 to 120
        Decibels between the power of the active speech and that of the noise.
    seed : int, >= 0
        Of the noise.
    color : {"white", "pink"}
        White noise has as much power in every hertz, pink in every octave (above
        20 Hz).

    Returns
    -------
    Clip
        As long as before; where the sum would leave [-1, 1], all of it is made quieter,
        and a note says by how much.

    Raises
    ------
    AudioFormatError
        If the clip holds no sound to measure the noise against.
    ConfigError
        If the distance, the seed or the colour cannot be.

    Notes
    -----
    Active speech: the stretches of 32 ms whose power is within 30 dB of the loudest
    one's. The noise is as strong in the pauses.

    Examples
    --------
    >>> add_noise(Clip.example(), 10, seed=0).notes
    ('added white noise at 10 dB SNR (seed 0)',)
    """
    _check_within("snr_db", snr_db, SNR_RANGE_DB, "dB")
    rng = _generator(seed)
    if color not in ("white", "pink"):
        raise ConfigError(f'color is {color!r}: choose "white" or "pink"')
    power = _active_power(clip)
    if color == "white":
        noise = rng.standard_normal(len(clip))
    else:
        noise = _pink_noise(len(clip), clip.sample_rate, rng)
    noise *= math.sqrt(power / 10 ** (snr_db / 10) / np.mean(np.square(noise)))
    note = f"added {color} noise at {snr_db:g} dB SNR (seed {seed})"
    mixed = clip.samples + noise
    peak = float(np.abs(mixed).max())
    if peak <= 1.0:
        return _made_of(clip, mixed, note)
    quieter = f"made quieter by {20 * math.log10(peak):.1f} dB to fit"
    return _made_of(clip, mixed / peak, note, quieter)


def telephone(clip: Clip) -> Clip:
    """Send a sound through a telephone line: 300 to 3400 Hz, 8 kHz, mu-law.

    Parameters
    ----------
    clip : Clip
        At any rate.

    Returns
    -------
    Clip
        As long as before, at the rate it had.

    Examples
    --------
    >>> telephone(Clip.example()).notes
    ('sent through a telephone line',)
    """
    low = resample(clip.samples, from_rate=clip.sample_rate, to_rate=TELEPHONE_RATE)
    band = _filtered(low.astype(np.float64), _band_pass(*TELEPHONE_BAND))
    heard = ulaw_decode(ulaw_encode(_single(band)))
    back = resample(heard, from_rate=TELEPHONE_RATE, to_rate=clip.sample_rate)
    whole = np.zeros(len(clip))
    whole[: len(back)] = back[: len(clip)]
    return _made_of(clip, whole, "sent through a telephone line")


def change_gain(clip: Clip, steps: Sequence[tuple[float, float]]) -> Clip:
    """Change the gain in steps, as somebody does who moves or turns a knob.

    Parameters
    ----------
    clip : Clip
        Any sound.
    steps : sequence of (float, float)
        Seconds from the start, ascending, and the gain in dB (-120 to 60) from there
        on; before the first it is 0 dB.

    Returns
    -------
    Clip
        What exceeds full scale saturates, as in a converter; a note says how much.

    Raises
    ------
    ConfigError
        If a step is outside the clip or its gain out of range, or two are out of order.

    Examples
    --------
    >>> change_gain(Clip.example(), [(0.0, -20.0), (1.5, 0.0)]).notes
    ('changed the gain to -20 dB at 0 s, 0 dB at 1.5 s',)
    """
    times = [start_s for start_s, _ in steps]
    for start_s, gain_db in steps:
        _check_within("a step's time", start_s, (0.0, clip.duration), "s")
        _check_within("a step's gain", gain_db, GAIN_RANGE_DB, "dB")
    if not times or any(later <= earlier for earlier, later in pairwise(times)):
        raise ConfigError(
            f"the steps are at {times} s: give at least one, in ascending order"
        )
    gains = np.ones(len(clip))
    for start_s, gain_db in steps:
        gains[round(start_s * clip.sample_rate) :] = 10 ** (gain_db / 20)
    changed = clip.samples * gains
    words = ", ".join(f"{gain:g} dB at {start:g} s" for start, gain in steps)
    notes = [f"changed the gain to {words}"]
    saturated = int(np.count_nonzero(np.abs(changed) > 1.0))
    if saturated:
        notes.append(f"saturated {saturated} samples")
    return _made_of(clip, changed, *notes)


def drop_packets(clip: Clip, share: float, seed: int, *, packet_ms: int = 20) -> Clip:
    """Lose packets on the way; silence takes their place.

    Parameters
    ----------
    clip : Clip
        Any sound.
    share : float, 0 to 1
        Of the packets, rounded to whole ones, that are lost.
    seed : int, >= 0
        Of the choice.
    packet_ms : int, 1 to 1000, default 20
        Length of a packet.

    Returns
    -------
    Clip
        As long as before.

    Raises
    ------
    ConfigError
        If the share, the seed or the length cannot be.

    Examples
    --------
    >>> drop_packets(Clip.example(), 0.1, seed=0).notes
    ('dropped 15 of 150 packets of 20 ms (seed 0)',)
    """
    _check_within("share", share, (0.0, 1.0), "of the packets")
    _check_within("packet_ms", packet_ms, PACKET_RANGE_MS, "ms")
    rng = _generator(seed)
    size = round(packet_ms * clip.sample_rate / 1000)
    count = -(-len(clip) // size)
    lost = rng.permutation(count)[: round(share * count)]
    kept = np.ones(count, bool)
    kept[lost] = False
    samples = np.where(np.repeat(kept, size)[: len(clip)], clip.samples, 0.0)
    note = f"dropped {len(lost)} of {count} packets of {packet_ms} ms (seed {seed})"
    return _made_of(clip, samples, note)


def insert_silences(
    clip: Clip, ms: int, *, probability: SpeechProbability | None = None
) -> Clip:
    """Make the speaker pause between words.

    Parameters
    ----------
    clip : Clip
        Speech.
    ms : int, 1 to 10000
        Length of every silence; people who think take 100 to 900.
    probability : SpeechProbability, optional
        Of the clip; found when it is not given.

    Returns
    -------
    Clip
        Longer than before by a silence for every gap; a note says how many.

    Raises
    ------
    AudioFormatError
        If the clip is empty, or the probability is not that of the clip.
    ConfigError
        If the length cannot be.

    Notes
    -----
    A gap between words is a dip of the speech probability: its log odds fall by 2 and
    rise by 2 again, within speech. The cut is where it is quietest, and the sound fades
    over 5 ms to either side.

    Examples
    --------
    >>> insert_silences(Clip.example(), 400).notes
    ('inserted 400 ms of silence at 3 gaps',)
    """
    _check_within("ms", ms, PAUSE_RANGE_MS, "ms")
    if probability is None:
        probability = speech_probability(clip)
    if abs(probability.duration - clip.duration) > 2 * probability.hop_ms / 1000:
        raise AudioFormatError(
            f"the probability is of {probability.duration:.3f} s, the clip has "
            f"{clip.duration:.3f} s: give the clip's own, or leave it out"
        )
    hop_s = probability.hop_ms / 1000
    middles = [(hop + 0.5) * hop_s for hop in _dips(probability.p.astype(np.float64))]
    cuts = sorted({_quietest(clip, middle) for middle in middles})
    pause = np.zeros(round(ms * clip.sample_rate / 1000))
    words = np.split(clip.samples * _fades(clip, cuts), cuts)
    pieces = [piece for word in words for piece in (pause, word)][1:]
    gaps = "1 gap" if len(cuts) == 1 else f"{len(cuts)} gaps"
    note = f"inserted {ms} ms of silence at {gaps}"
    return _made_of(clip, np.concatenate(pieces), note)


def _active_power(clip: Clip) -> float:
    """Mean square of the samples of all stretches that count as speech."""
    if not clip.peak:
        raise AudioFormatError(
            f"{clip!r} holds no sound that noise could be a number of decibels below: "
            "give a clip with speech"
        )
    starts = np.arange(0, len(clip), round(ACTIVE_HOP_S * clip.sample_rate))
    energies = np.add.reduceat(np.square(clip.samples, dtype=np.float64), starts)
    sizes = np.diff(starts, append=len(clip))
    powers = energies / sizes
    active = powers >= powers.max() / 10 ** (ACTIVE_DB / 10)
    return float(energies[active].sum() / sizes[active].sum())


def _pink_noise(count: int, sample_rate: int, rng: np.random.Generator) -> Doubles:
    """Noise whose spectrum falls by 3 dB an octave from 20 Hz on."""
    frequencies = np.fft.rfftfreq(_PINK_TAPS + 1, 1 / sample_rate)
    shape = 1 / np.sqrt(np.maximum(frequencies, _LOWEST_PINK_HZ))
    taps = np.roll(np.fft.irfft(shape), _PINK_TAPS // 2)[:_PINK_TAPS]
    white = rng.standard_normal(count + _PINK_TAPS - 1)
    return _filtered(white, taps * np.hanning(_PINK_TAPS))[_PINK_TAPS // 2 :][:count]


def _band_pass(low_hz: float, high_hz: float) -> Doubles:
    """Taps of a filter for the telephone's rate, a windowed sinc."""
    time = (np.arange(_BAND_TAPS) - _BAND_TAPS // 2) / TELEPHONE_RATE
    ideal = [2 * edge * np.sinc(2 * edge * time) for edge in (high_hz, low_hz)]
    taps: Doubles = (ideal[0] - ideal[1]) * np.hamming(_BAND_TAPS) / TELEPHONE_RATE
    return taps


def _filtered(samples: Doubles, taps: Doubles) -> Doubles:
    """Samples through a filter of an odd number of taps, delayed by none.

    In blocks, each by way of its spectrum (overlap-add), so that an hour is no harder
    than a second.
    """
    size = 8 * (len(taps) + 1)
    step = size - len(taps) + 1
    response = np.fft.rfft(taps, size)
    filtered = np.zeros(len(samples) + size)
    for first in range(0, len(samples), step):
        spectrum = np.fft.rfft(samples[first : first + step], size)
        filtered[first : first + size] += np.fft.irfft(spectrum * response, size)
    return filtered[len(taps) // 2 :][: len(samples)]


def _dips(p: Doubles) -> list[int]:
    """Hops at the bottom of each dip of the log odds, with speech on both sides."""
    sure = np.clip(p, _SURE, 1 - _SURE)
    log_odds = np.log(sure / (1 - sure))
    speech = np.flatnonzero(p >= 0.5)  # noqa: PLR2004 - as likely as not
    dips: list[int] = []
    if not len(speech):
        return dips
    top = bottom = -math.inf
    at: int | None = None  # of the bottom, once it is deep enough
    for hop in range(speech[0], speech[-1] + 1):
        value = float(log_odds[hop])
        if at is None:
            top = max(top, value)
            if value <= top - DIP_LOG_ODDS:
                at, bottom = hop, value
        elif value < bottom:
            at, bottom = hop, value
        elif value >= bottom + DIP_LOG_ODDS:
            dips.append(at)
            at, top = None, value
    return dips


def _quietest(clip: Clip, middle_s: float) -> int:
    """Sample in the middle of the quietest stretch near an instant."""
    size = round(FADE_S * clip.sample_rate)
    first = max(0, round((middle_s - GAP_SEARCH_S) * clip.sample_rate))
    last = min(len(clip), round((middle_s + GAP_SEARCH_S) * clip.sample_rate))
    power = np.square(clip.samples[first:last], dtype=np.float64)
    sums = np.convolve(power, np.ones(size), mode="valid")
    return first + int(sums.argmin()) + size // 2


def _fades(clip: Clip, cuts: Sequence[int]) -> Doubles:
    """Gain of every sample: 1, and down to 0 on both sides of a cut."""
    gains = np.ones(len(clip))
    size = round(FADE_S * clip.sample_rate)
    slope = np.abs(np.arange(-size, size) + 0.5) / size
    for cut in cuts:
        first = max(0, cut - size)
        near = gains[first : cut + size]
        near *= slope[first - cut + size :][: len(near)]
    return gains


def _made_of(clip: Clip, samples: NDArray[np.floating], *notes: str) -> Clip:
    """A clip of new samples, limited to full scale, with more notes."""
    return Clip(_single(samples), clip.sample_rate, notes=(*clip.notes, *notes))


def _single(samples: NDArray[np.floating]) -> Samples:
    limited: Samples = np.clip(samples, -1.0, 1.0).astype(np.float32)
    return limited


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"the seed is {seed!r}: give a whole number from 0 on")
    return np.random.default_rng(seed)


def _check_within(
    name: str, value: Any, limits: tuple[float, float], unit: str
) -> None:
    low, high = limits
    is_number = isinstance(value, int | float | np.number)
    if isinstance(value, bool) or not is_number or not low <= value <= high:
        raise ConfigError(
            f"{name} is {value!r}: give a number from {low:g} to {high:g} {unit}"
        )
