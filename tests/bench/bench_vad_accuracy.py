"""How well speech models tell speech from noise: frame F1, next to a study's figures.

Run as ``python -m tests.bench.bench_vad_accuracy``. Human speech, clean and with white
and pink noise; three models.

The study's 21 clips come with two Debian packages, ``pocketsphinx-testdata`` (sentences
read for LibriVox, commands, numbers and playing cards) and ``alsa-utils`` (eight names of
loudspeakers); with them its figures are reproduced. Where they are not installed, the
three sentences of this package are measured, which are easier, and the study's figures
stand beside them for comparison.

The method is the study's. Half a second of silence stands before and after every clip.
A frame is 8 ms. Truth: frames of the clean clip within 30 dB of its loudest, gaps
shorter than 250 ms closed. Decision: on at a probability of 0.5, off below 0.35, gaps
shorter than 250 ms closed. F1 is over the frames of all clips together. Noise is mixed
by `rtnb.vad.add_noise`, by the active speech's power.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtnb.audio import EXAMPLES, Clip
from rtnb.vad import SpeechProbability, add_noise, speech_probability

SENTENCES = Path("/usr/share/pocketsphinx/test/data")
NAMES = Path("/usr/share/sounds/alsa")
SILENCE_S = 0.5
FRAME_MS = 8
GAP_MS = 250
TRUTH_DB = 30.0
ON, OFF = 0.5, 0.35
COLUMNS = ("clean", "white 20", "10", "5", "0 dB", "pink 20", "10", "5", "0 dB")


@dataclass(frozen=True)
class Condition:
    color: str | None = None
    snr_db: float = 0.0

    def applied(self, clip: Clip, seed: int) -> Clip:
        if self.color is None:
            return clip
        return add_noise(clip, self.snr_db, seed, color=self.color)


CONDITIONS = (
    Condition(),
    *(Condition(color, snr) for color in ("white", "pink") for snr in (20, 10, 5, 0)),
)

STUDY = {
    "silero": (0.941, 0.930, 0.927, 0.922, 0.897, 0.930, 0.926, 0.913, 0.889),
    "energy": (0.933, 0.926, 0.795, 0.535, 0.083, 0.935, 0.838, 0.636, 0.238),
    "webrtc-0": (0.901, 0.920, 0.863, 0.759, 0.759, 0.897, 0.805, 0.759, 0.759),
    "webrtc-2": (0.912, 0.921, 0.896, 0.873, 0.759, 0.916, 0.868, 0.759, 0.759),
    "webrtc-3": (0.936, 0.906, 0.901, 0.870, 0.759, 0.905, 0.874, 0.794, 0.759),
}
"""Frame F1 on the study's 21 human clips; 0.759 is that of always saying speech."""


MEASURED = {
    "silero": (0.974, 0.973, 0.973, 0.969, 0.944, 0.969, 0.968, 0.950, 0.948),
    "energy": (0.985, 0.961, 0.842, 0.555, 0.070, 0.969, 0.895, 0.736, 0.261),
}
"""Ours on the three clips of the package, which a test holds us to."""


def study_clips() -> list[Clip]:
    """The study's 21 clips with silence around them; none where they are not installed."""
    raw = sorted(SENTENCES.glob("*.raw"))
    wav = sorted(SENTENCES.rglob("*.wav"))
    names = sorted(NAMES.glob("*_*.wav"))
    if (len(raw), len(wav), len(names)) != (3, 10, 8):
        return []
    found = [Clip.from_pcm16(path.read_bytes(), 16_000) for path in raw]
    found += [Clip.from_file(path).resample(16_000) for path in (*wav, *names)]
    return with_silence(found)


def package_clips() -> list[Clip]:
    """The three clips of the package with silence around them."""
    return with_silence([Clip.example(name) for name in EXAMPLES])


def with_silence(clips: list[Clip]) -> list[Clip]:
    silence = Clip.silence(SILENCE_S, 16_000)
    return [silence + clip + silence for clip in clips]


def truth(clip: Clip) -> np.ndarray:
    """Which frames of a clean clip at 16 kHz are speech."""
    size = 16 * FRAME_MS
    frames = clip.samples[: len(clip) // size * size].reshape(-1, size)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    return closed(power >= power.max() / 10 ** (TRUTH_DB / 10), GAP_MS / FRAME_MS)


def decided(probability: SpeechProbability, frames: int) -> np.ndarray:
    """Which frames a model calls speech."""
    active = closed(hysteresis(probability.p), GAP_MS / probability.hop_ms)
    hops = (np.arange(frames) + 0.5) * FRAME_MS // probability.hop_ms
    return active[np.minimum(hops.astype(int), len(active) - 1)]


def hysteresis(p: np.ndarray) -> np.ndarray:
    """On from a value >= ON until one < OFF."""
    decisive = np.flatnonzero((p >= ON) | (p < OFF))
    latest = np.searchsorted(decisive, np.arange(len(p)), side="right") - 1
    values = p[decisive[np.maximum(latest, 0)]] if len(decisive) else np.zeros(len(p))
    return (values >= ON) & (latest >= 0)


def closed(active: np.ndarray, gap: float) -> np.ndarray:
    """The same with gaps of fewer than `gap` between two stretches closed."""
    edges = np.flatnonzero(np.diff(active.astype(int), prepend=0, append=0))
    result = active.copy()
    for end, start in zip(edges[1:-1:2], edges[2::2], strict=True):
        if start - end < gap:
            result[end:start] = True
    return result


def f1(true: np.ndarray, said: np.ndarray) -> float:
    return float(2 * np.sum(true & said) / (np.sum(true) + np.sum(said)))


def scores(model: str, sounds: list[Clip]) -> list[float]:
    """Frame F1 of a model in all conditions."""
    true = [truth(clip) for clip in sounds]
    found = []
    for condition in CONDITIONS:
        said = []
        for seed, (clip, each) in enumerate(zip(sounds, true, strict=True)):
            heard = condition.applied(clip, seed)
            probability = speech_probability(heard, model, cache=False)
            said.append(decided(probability, len(each)))
        found.append(f1(np.concatenate(true), np.concatenate(said)))
    return found


def main() -> None:
    sounds = study_clips() or package_clips()
    true = np.concatenate([truth(clip) for clip in sounds])
    seconds = sum(clip.duration for clip in sounds)
    print(f"{len(sounds)} clips: {seconds:.1f} s, {true.mean():.0%} of it speech;")
    print(
        f"always saying speech scores {f1(true, np.ones_like(true)):.3f} (study: 0.759)"
    )
    print(f"{'':16}" + "".join(f"{name:>9}" for name in COLUMNS))
    for model, study in STUDY.items():
        for name, row in ((model, scores(model, sounds)), ("  study", study)):
            print(f"{name:16}" + "".join(f"{score:9.3f}" for score in row))


if __name__ == "__main__":
    main()
