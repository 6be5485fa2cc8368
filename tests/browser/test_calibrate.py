"""A person calibrates the microphone: silence, a sentence, a tone, and Apply."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rtnb.audio import Clip
from tests.browser.conftest import PANEL, SESSION
from tests.browser.test_looks import NARROW, STICKS_OUT, THEME, THEMED, THEMES, WIDE

pytestmark = pytest.mark.browser

RATE = 16_000
STEPS = """log = []
panel.calibrator.observe(lambda c: log.append(c['new']), 'step')
sent = []
asked = session.on('session.updated', lambda e: sent.append(
    e.session.audio.input.turn_detection))"""

TROUBLED = """import numpy
from rtnb.vad import EchoCheck, calibrate
time = numpy.arange(5 * 24000) / 24000
hiss = numpy.random.default_rng(0).normal(0, 0.003, len(time))
hum = sum(numpy.sin(2 * numpy.pi * f * time) for f in (50, 100, 150))
quiet = rtnb.Clip.from_array((hiss + 0.004 * hum).astype('float32'), 24000)
said = rtnb.Clip.example('austen-0890')
loud = rtnb.Clip.from_array(numpy.clip(8 * said.samples, -1, 1), 16000)
echo = EchoCheck(84.0, 17.3, heard=True, would_trigger=True, probability=0.71)
panel.calibrator._show(calibrate(quiet, loud, echo=echo), '')"""
LOUDSPEAKER = """(() => {
  const Context = window.AudioContext;
  const {connect} = AudioNode.prototype;
  const listen = MediaDevices.prototype.getUserMedia;
  let air, ear;
  window.AudioContext = class extends Context {
    constructor(options) {
      super(options);
      air = new DelayNode(this, {delayTime: 0.08});
      ear = new MediaStreamAudioDestinationNode(this, {channelCount: 1});
      const gain = new GainNode(this, {gain: 10 ** (-14 / 20)});
      connect.call(connect.call(air, gain), ear);
    }
  };
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target === this.context.destination && air) connect.call(this, air);
    return connect.call(this, target, ...rest);
  };
  MediaDevices.prototype.getUserMedia = async function (constraints) {
    const stream = await listen.call(this, constraints);
    connect.call(ear.context.createMediaStreamSource(stream), ear);
    return ear.stream;
  };
})();"""
FOCUS = (
    "each => each.contains(document.activeElement) && document.activeElement.innerText"
)


def room(seconds, seed):
    hiss = np.random.default_rng(seed).normal(0, 10 ** (-62 / 20), seconds * RATE)
    return Clip(hiss.astype(np.float32), RATE)


def spoken(name, after=0):
    clip = Clip.example(name)
    hiss = room(8, 9).slice(0, clip.duration)
    return Clip(np.clip(clip.samples + hiss.samples, -1, 1), RATE) + room(after, 8)


@pytest.fixture
def microphone():
    """Quiet for nine seconds, then a sentence, then quiet again."""
    return room(9, 1), spoken("austen-0880", after=25)


def calibrator(lab):
    lab.page.get_by_text("Calibrate microphone").click()
    found = lab.page.locator(".rtnb-calibrator")
    found.get_by_role("button", name="Start").wait_for()
    return found


def seen(found, step, timeout=30_000):
    found.and_(found.page.locator(f"[data-step={step}]")).wait_for(timeout=timeout)


def test_a_microphone_is_calibrated_and_the_settings_applied(
    open_page, microphone, tmp_path
):
    lab = open_page(*microphone, viewport=(WIDE, 1400))
    lab.show(SESSION, PANEL)
    lab.hide_sidebar()
    lab.execute("panel.echo_cancellation.value = panel.noise_suppression.value = False")
    lab.execute("panel.port.auto_gain_control = False")
    lab.execute("session.configure(noise_reduction='near_field')")
    lab.execute("panel.threshold.value = 0.7")
    lab.until("session.settings.audio.input.turn_detection.threshold == 0.7")
    lab.execute(STEPS)
    found = calibrator(lab)
    found.screenshot(path=tmp_path / "idle.png")
    found.get_by_role("button", name="Start").focus()
    lab.page.keyboard.press("Enter")
    seen(found, "quiet")
    assert lab.value("session.settings.audio.input.turn_detection") is None
    found.screenshot(path=tmp_path / "quiet.png")
    seen(found, "speech")
    assert found.evaluate(FOCUS) == "Cancel"
    assert "sunlight" in found.get_by_role("status").inner_text()
    found.screenshot(path=tmp_path / "speech.png")
    seen(found, "loudspeaker")
    found.screenshot(path=tmp_path / "loudspeaker.png")
    seen(found, "done")
    assert found.evaluate(FOCUS).startswith("Recommended")
    assert lab.value("log") == [
        "preparing",
        "quiet",
        "speech",
        "loudspeaker",
        "measuring",
        "done",
    ]
    assert lab.value("panel.calibrator.calibration.usable"), found.inner_text()
    assert lab.value("panel.calibrator.message") == ""
    assert not lab.value("panel.port.talking")
    assert lab.value("session.settings.audio.input.turn_detection.threshold") == 0.7
    assert lab.value("panel.calibrator.calibration.noise_dbfs") == pytest.approx(
        -62, abs=2
    )
    assert not lab.value("panel.calibrator.calibration.echo.heard")
    recommended = lab.value(
        "(lambda r: [r.threshold, r.silence_duration_ms, r.prefix_padding_ms])"
        "(panel.calibrator.calibration.recommended)"
    )
    lab.page.keyboard.press("Tab")
    assert found.evaluate(FOCUS) == "Apply"
    lab.page.keyboard.press("Enter")
    lab.until("panel.calibrator.applied is not None")
    lab.until(f"panel.threshold.value == {recommended[0]}")
    in_force = lab.value(
        "(lambda d: [d.threshold, d.silence_duration_ms, d.prefix_padding_ms])"
        "(session.settings.audio.input.turn_detection)"
    )
    assert in_force == recommended
    assert lab.value(
        "[panel.threshold.value, panel.silence_duration.value,"
        " panel.prefix_padding.value]"
    ) == pytest.approx(recommended)
    found.get_by_text(re.compile("^Applied: threshold 0.50")).wait_for()
    assert lab.value("[len(session.turns), session.usage.total_tokens]") == [0, 0]
    assert not lab.value("session.errors")


def test_the_keyboard_cancels_and_all_is_as_it_was(open_page, microphone):
    lab = open_page(*microphone).show(SESSION, PANEL)
    lab.panel.get_by_role("button", name="Push to talk").click()
    lab.until("session.settings.audio.input.turn_detection is None")
    found = calibrator(lab)
    found.get_by_role("button", name="Start").click()
    seen(found, "quiet")
    lab.page.keyboard.press("Escape")
    seen(found, "idle")
    found.get_by_text("Cancelled; nothing has changed.").wait_for()
    lab.until("not panel.port.talking")
    assert lab.value("[len(session.turns), len(session.errors)]") == [0, 0]


def test_trouble_and_result_look_well(open_page, tmp_path):
    lab = open_page(Clip.silence(1), viewport=(WIDE, 1400)).show(SESSION, PANEL)
    lab.hide_sidebar()
    found = calibrator(lab)
    lab.execute(TROUBLED)
    seen(found, "done")
    assert "The answer would trigger" in found.inner_text()
    for name, theme in THEMES.items():
        lab.page.evaluate(THEME, theme)
        lab.page.wait_for_function(THEMED, arg=str(name == "light").lower())
        for width in (WIDE, NARROW):
            lab.page.set_viewport_size({"width": width, "height": 1400})
            found.scroll_into_view_if_needed()
            found.screenshot(path=tmp_path / f"done-{name}-{width}.png")
            assert lab.panel.evaluate(STICKS_OUT) == []


def test_the_tone_is_heard_through_a_loudspeaker(open_page, microphone):
    """In the page the loudspeaker is led to the microphone: 80 ms later, 14 dB down."""
    lab = open_page(*microphone)
    lab.page.add_init_script(LOUDSPEAKER)
    lab.show(SESSION, PANEL)
    found = calibrator(lab)
    found.get_by_role("button", name="Start").click()
    seen(found, "done", timeout=60_000)
    echo = "panel.calibrator.calibration.echo."
    assert lab.value(echo + "heard"), found.inner_text()
    assert lab.value(echo + "attenuation_db") == pytest.approx(14, abs=1)
    assert 80 <= lab.value(echo + "delay_ms") < 300
    assert lab.value(echo + "would_trigger")
    found.get_by_text("use headphones or echo cancellation").wait_for()


def test_a_denied_microphone_is_said_where_one_looks(open_page):
    lab = open_page(Clip.silence(1), allow=False).show(SESSION, PANEL)
    found = calibrator(lab)
    found.get_by_role("button", name="Start").click()
    found.get_by_role("alert").get_by_text("The browser denies").wait_for()
    assert lab.value("panel.calibrator.step") == "idle"
