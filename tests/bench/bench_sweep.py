"""A sweep against silero-vad's own loop: 200 settings over one hour.

Run as ``python -m tests.bench.bench_sweep``. The probabilities are those of the
packaged examples with pauses between them, repeated to an hour. Rounds alternate, so
that what else the machine does falls on both; the median wall times and their ratio are
printed. silero-vad's loop is its release's, if ``RTNB_SILERO_ONNX`` says where (see
``tests/vad/conftest.py``); it is timed on ten settings a round, for it takes long.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtnb.audio import EXAMPLES, Clip
from rtnb.vad import SpeechProbability, speech_probability, sweep
from tests.vad.makers import load_loop

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
HOPS_OF_AN_HOUR = 112_500
THRESHOLDS = np.linspace(0.1, 0.9, 10).round(3)
SILENCES_MS = [100, 200, 300, 500, 800]
PADS_MS = [0, 30, 100, 300]
TIMED_OF_THEM = 10


def an_hour() -> SpeechProbability:
    clip = Clip.silence(0.5, 16_000)
    for name, pause in zip(EXAMPLES, (0.3, 0.6, 1.2), strict=True):
        clip = clip + Clip.example(name) + Clip.silence(pause, 16_000)
    p = speech_probability(clip).p
    rng = np.random.default_rng(0)
    hour = np.resize(p, HOPS_OF_AN_HOUR) + rng.normal(0, 0.05, HOPS_OF_AN_HOUR)
    return SpeechProbability(np.clip(hour, 0, 1).astype(np.float32))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    hour = an_hour()
    listed = hour.p.tolist()
    labels = [(start, start + 2.0) for start in range(0, 3600, 3)]
    grid = {
        "threshold": THRESHOLDS,
        "silence_duration_ms": SILENCES_MS,
        "prefix_padding_ms": PADS_MS,
    }
    settings = list(itertools.product(THRESHOLDS.tolist(), SILENCES_MS, PADS_MS))
    timed = settings[:: len(settings) // TIMED_OF_THEM]
    onnx = os.environ.get("RTNB_SILERO_ONNX")
    loop = load_loop(Path(onnx)) if onnx else None

    def makers() -> None:
        assert loop is not None
        for threshold, silence, pad in timed:
            loop(
                listed,
                threshold=threshold,
                min_silence_duration_ms=silence,
                speech_pad_ms=pad,
            )

    sweep(hour, **grid)  # pandas is imported
    ours, with_labels, theirs = [], [], []
    for _ in range(ROUNDS):
        ours.append(seconds(lambda: sweep(hour, **grid)))
        if loop is not None:
            theirs.append(seconds(makers) * len(settings) / len(timed))
        with_labels.append(seconds(lambda: sweep(hour, **grid, reference=labels)))
    print(
        f"{len(settings)} settings over an hour: {1000 * statistics.median(ours):.0f} "
        f"ms, with 1200 labels {1000 * statistics.median(with_labels):.0f} ms"
    )
    if theirs:
        ratio = statistics.median(theirs) / statistics.median(ours)
        print(
            f"silero-vad's loop: {statistics.median(theirs):.2f} s for as many, "
            f"{ratio:.0f} times as long"
        )


if __name__ == "__main__":
    main()
