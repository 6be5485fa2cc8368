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
RELAYED = """import rtnb
from rtnb.local import start_gateway
provider = start_gateway(script="short.toml")
session = rtnb.connect(url=provider.url, api_key=provider.token)"""
RATE = 24_000
PREFIX_MS = 300
TOLERANCE_MS = 150
PREBUFFER_MS = 80


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


def test_a_provider_is_talked_to_through_a_relay(open_page, sentence):
    lab = open_page(*sentence).show(RELAYED, PANEL)
    lab.talk.click()
    lab.wait_for("ended")
    lab.until("session.turns and session.turns[0].done")
    assert lab.value("[session.provider, session.billed]") == ["url", True]
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


@pytest.mark.parametrize(
    ("transport", "blocked"),
    [
        ("proxy", [r"127\.0\.0\.1:\d+/rtnb/media"]),
        ("comm", [r"127\.0\.0\.1:\d+/rtnb/media", r"/proxy/\d+/rtnb/media"]),
    ],
)
def test_the_audio_finds_another_way(open_page, sentence, transport, blocked):
    block = [re.compile(pattern) for pattern in blocked]
    lab = open_page(*sentence, block=block).show(SESSION, PANEL)
    lab.talk.click()
    lab.wait_for("ended")
    assert lab.value("panel.port.transport") == transport
    reduced = "Reduced mode: the audio goes through the kernel"
    assert (reduced in lab.status.inner_text()) == (transport == "comm")
    assert_exact(lab)


def test_speech_silences_the_answer(open_page):
    heard = (
        Clip.silence(1, 16_000),
        Clip.example("austen-0880"),
        Clip.silence(9, 16_000),
    )
    lab = open_page(*heard).show("import rtnb\nsession = rtnb.connect()", PANEL)
    lab.panel.locator(".rtnb-status").click()
    lab.until("panel.port.state == 'live'")
    lab.execute("story = session.say('tell me a long story')")
    lab.wait_for("anchor")
    lab.talk.click()
    flush, flushed = lab.wait_for("flush"), lab.wait_for("flushed")
    lab.until("story.done and story.heard != story.text")
    unheard = lab.panel.locator(".rtnb-unheard").first
    unheard.wait_for()
    told, text = lab.value("[story.heard, story.text]")
    assert told
    assert text == told + unheard.text_content()
    cut = lab.value(
        "[e.facts['audio_end_ms'] for e in session.timeline"
        " if e.kind == 'conversation.item.truncated']"
    )
    played = lab.played()
    silent = np.flatnonzero(played.since(flush["time"])[: 2 * RATE])
    assert not np.any(silent > PREBUFFER_MS * RATE / 1000)
    assert len(cut) == 1
    assert 0 < cut[0] <= 1000 * flushed["position"] / RATE
    heard = played.since(lab.log("anchor")[0]["time"])
    assert_same(heard, lab.pcm("story.audio")[: flushed["position"]])


@pytest.mark.parametrize("by", ["pointer", "space bar"])
def test_push_to_talk(open_page, by):
    lab = open_page(Clip.example("austen-0880"), Clip.silence(9, 16_000))
    lab.show(SESSION, PANEL)
    lab.panel.get_by_role("button", name="Push to talk").click()
    lab.until("session.settings.audio.input.turn_detection is None")
    if by == "pointer":
        lab.talk.hover()
        lab.page.mouse.down()
    else:
        lab.status.click()
        lab.page.keyboard.down(" ")
    lab.page.wait_for_function("() => witness.port.sent > 3 * 24000")
    if by == "pointer":
        lab.page.mouse.up()
    else:
        lab.page.keyboard.up(" ")
    lab.wait_for("ended")
    assert lab.value("len(session.turns)") == 1
    assert lab.value("session.turns[0].user_text")
    assert not lab.log("speech_started")
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
    assert_same(heard, sent)
    assert not np.any(heard[len(sent) :])


def assert_same(heard, sent):
    """All that was sent was heard; silence at the very end is not recorded."""
    assert np.array_equal(heard[: len(sent)], sent[: len(heard)])
    assert not np.any(sent[len(heard) :])
