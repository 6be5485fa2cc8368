"""How long a picture takes, from the call to the PNG.

Run as ``python -m tests.bench.bench_plots``: prints the median wall time of a picture
in milliseconds. A scenario has `setup`, and `run`, which draws one picture.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from rtnb.audio import Clip
from rtnb.plots import plot_activity, plot_tokens, plot_waveform
from rtnb.plots.figure import png
from rtnb.usage import InputTokenDetails, OutputTokenDetails, Usage, UsageLedger
from rtnb.vad import SpeechProbability

REPEATS = 7
HOUR_S = 3600


def noise(seconds: int) -> Clip:
    rng = np.random.default_rng(0)
    second = rng.uniform(-1, 1, 24_000).astype(np.float32)
    return Clip(np.tile(second, seconds), 24_000)


class WaveformOfAnHour:
    def setup(self) -> None:
        self.clip = noise(HOUR_S)

    def run(self) -> None:
        png(plot_waveform(self.clip).get_figure(root=True))


class ActivityOfAnHour(WaveformOfAnHour):
    def setup(self) -> None:
        super().setup()
        p = np.random.default_rng(0).uniform(size=HOUR_S * 16_000 // 512)
        self.probability = SpeechProbability(p.astype(np.float32))

    def run(self) -> None:
        ax = plot_activity(self.clip, probability=self.probability)
        png(ax.get_figure(root=True))


class WaveformOfTenSeconds(WaveformOfAnHour):
    def setup(self) -> None:
        self.clip = noise(10)


class TokensOfAHundredTurns:
    def setup(self) -> None:
        usage = Usage(
            total_tokens=200,
            input_tokens=139,
            output_tokens=61,
            input_token_details=InputTokenDetails(text_tokens=43, audio_tokens=96),
            output_token_details=OutputTokenDetails(text_tokens=18, audio_tokens=43),
        )
        self.ledger = UsageLedger()
        for number in range(100):
            self.ledger.add(f"resp_{number}", usage, "gpt-realtime")

    def run(self) -> None:
        png(plot_tokens(self.ledger.rows()).get_figure(root=True))


SCENARIOS = (
    WaveformOfTenSeconds,
    WaveformOfAnHour,
    ActivityOfAnHour,
    TokensOfAHundredTurns,
)


def main() -> None:
    for scenario in SCENARIOS:
        subject = scenario()
        subject.setup()
        subject.run()
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            subject.run()
            times.append(1000 * (time.perf_counter() - began))
        print(f"{scenario.__name__}: {statistics.median(times):.0f} ms")


if __name__ == "__main__":
    main()
