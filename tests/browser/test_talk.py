"""A person at the panel: Talk is pressed, speech is heard, answered and played."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from rtnb.audio import Clip
from tests.browser.conftest import PANEL, SESSION

pytestmark = pytest.mark.browser

QUICK_START = Path(__file__).parents[2] / "notebooks" / "00-quick-start.ipynb"
BUSY = """import pathlib, time
begun = time.time()
while not pathlib.Path("enough").exists():
    {work}"""
RATE = 24_000
PREFIX_MS = 300
TOLERANCE_MS = 150


def test_the_quick_start_hears_answers_and_counts(open_page, sentence):
    lab = open_page(*sentence).open(QUICK_START)
    for cell in (1, 3):
        lab.run(cell)
    lab.watch()
    lab.talk.click()
    lab.until("session.turns and session.turns[0].done")
    assert abs(late_ms(lab.pcm("session.turns[0].input_audio"))) <= TOLERANCE_MS
    answer = lab.value("session.turns[0].text")
    transcript = lab.panel.locator(".rtnb-lines")
    lab.page.wait_for_function(
        "text => document.querySelector('.rtnb-lines').innerText.includes(text)",
        arg=answer,
    )
    assert lab.value("session.turns[0].user_text") in transcript.inner_text()
    meters = lab.panel.locator("table[aria-label='Tokens and cost']").inner_text()
    counts = dict(re.findall(r"^(\D+?)\s+\$?([\d.]+)$", meters, re.MULTILINE))
    assert int(counts["Audio in"]) == lab.value(
        "session.usage.input_token_details.audio_tokens"
    )
    assert int(counts["Audio out"]) > 0
    assert float(counts["Cost"]) > 0


def test_what_is_played_is_what_was_sent(open_page, sentence):
    lab = open_page(*sentence).show(SESSION, PANEL)
    lab.talk.click()
    lab.wait_for("ended")
    assert lab.value("panel.port.transport") == "direct"
    assert_exact(lab)


@pytest.mark.parametrize(
    "work", ["time.sleep(0.1)", "sum(range(1000))"], ids=["sleeping", "computing"]
)
def test_the_conversation_goes_on_while_a_cell_runs(open_page, sentence, work):
    lab = open_page(*sentence).show(SESSION, PANEL, BUSY.format(work=work))
    lab.talk.click()
    lab.page.get_by_text("Listening · connected direct").wait_for()
    lab.start(2)
    lab.wait_for("ended")
    assert lab.is_running(2)
    (lab.lab.root / "enough").touch()
    begun = lab.value("begun")
    assert begun < lab.wait_for("speech_started")["at"] < lab.wait_for("anchor")["at"]
    assert_exact(lab)


def late_ms(input_audio):
    """How long after the true start of speech the detector puts it, in ms.

    The turn's audio begins the padding before the detected start; the clip is found in
    it by correlation, and the speech in the clip by its energy.
    """
    clip = Clip.example("austen-0880").resample(RATE).samples
    heard = input_audio / 32768
    size = 2 ** math.ceil(math.log2(len(heard) + len(clip)))
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(clip, size))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    lag -= size if lag > size // 2 else 0
    true_start = 1000 * lag / RATE + onset_ms(clip)
    return PREFIX_MS - true_start


def onset_ms(samples):
    """Where the level first comes within 15 dB of its highest, in ms."""
    frames = samples[: len(samples) // 240 * 240].reshape(-1, 240)
    power = (frames**2).mean(axis=1)
    return 10.0 * int(np.argmax(power > power.max() / 10**1.5))


def assert_exact(lab, turn=0):
    """The turn's audio was heard sample for sample, without a gap."""
    sent = lab.pcm(f"session.turns[{turn}].audio")
    played = lab.played()
    assert played.rate == RATE
    heard = played.since(lab.log("anchor")[turn]["time"])
    assert len(sent) > RATE / 2
    assert np.array_equal(heard[: len(sent)], sent[: len(heard)])
    assert not np.any(sent[len(heard) :])
    assert not np.any(heard[len(sent) :])
