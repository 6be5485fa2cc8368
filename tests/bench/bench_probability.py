"""Speech probability of one hour: ours, and onnxruntime's on the makers' own file.

Run as ``python -m tests.bench.bench_probability``. Both read the same WAV file of one
hour at 24 kHz, in turns; the cache is not used. Prints how many times faster than real
time each is, by processor time (the median, and the extremes), their ratio, the largest
difference, and how much memory listening to the hour took. ``RTNB_SILERO_ONNX`` names the makers' file;
without it only ours is measured.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile

from rtnb.audio import EXAMPLES, Clip
from rtnb.vad import SpeechProbability, speech_probability

HOUR_S = 3600
RATE = 24_000
ROUNDS = 3


def write_hour(path: Path) -> None:
    """The example recordings over and over, with pauses between them."""
    pieces = [Clip.example(name) + Clip.silence(1.0, 16_000) for name in EXAMPLES]
    samples = np.concatenate([piece.resample(RATE).samples for piece in pieces])
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        left = HOUR_S * RATE
        while left:
            part = samples[:left]
            file.write(part)
            left -= len(part)


class Watched:
    """A model at work, its times, and what it found last."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.times: list[float] = []
        self.grown = 0
        self.found: SpeechProbability | None = None

    def run(self, path: Path) -> None:
        process = psutil.Process()
        before = highest = process.memory_info().rss

        def look(_done_s: float, _total_s: float) -> None:
            nonlocal highest
            highest = max(highest, process.memory_info().rss)

        began = time.process_time()
        self.found = speech_probability(path, self.model, cache=False, on_progress=look)
        self.times.append(time.process_time() - began)
        self.grown = max(self.grown, highest - before)

    def report(self) -> str:
        speeds = [HOUR_S / taken for taken in self.times]
        return (
            f"{self.model.partition(':')[0]}: {statistics.median(self.times):.1f} s an "
            f"hour, {statistics.median(speeds):.0f} times faster than real time "
            f"({min(speeds):.0f} to {max(speeds):.0f}); "
            f"{self.grown / 2**20:.0f} MB more memory"
        )


def main() -> None:
    onnx = os.environ.get("RTNB_SILERO_ONNX")
    ours = Watched("silero")
    theirs = Watched(f"silero-onnx:{onnx}") if onnx else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.wav"
        write_hour(path)
        for _ in range(ROUNDS):
            for subject in filter(None, (ours, theirs)):
                subject.run(path)
    print(ours.report())
    if theirs is None or theirs.found is None or ours.found is None:
        print("RTNB_SILERO_ONNX names no file: onnxruntime was not measured")
        return
    print(theirs.report())
    ratio = statistics.median(theirs.times) / statistics.median(ours.times)
    difference = np.abs(ours.found.p - theirs.found.p).max()
    print(f"ours is {ratio:.2f} times as fast; largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
