"""The tuner in a real JupyterLab: what is dragged in the page is what Python finds."""

from __future__ import annotations

import pytest

from rtnb.audio import Clip
from tests.browser.test_looks import STICKS_OUT, THEME, THEMED, THEMES

pytestmark = pytest.mark.browser

SOUND = """import rtnb
from rtnb.audio import Clip, EXAMPLES
from rtnb.vad import add_noise
clip = sum((Clip.example(name) + Clip.silence(0.7, 16_000) for name in EXAMPLES),
           Clip.silence(0.5, 16_000))
clip = add_noise(clip, 5, seed=1)"""
TUNER = "tuner = rtnb.VadTuner(clip)\ntuner"
ACTIONS = "[...globalThis[Symbol.for('rtnb')].tuners.values()].at(-1)"
TURNS = f"""() => {{
  const {{ turns }} = {ACTIONS}.store.chosen;
  const columns = [turns.audioStartMs, turns.audioEndMs, turns.startedHop, turns.stoppedHop, turns.ended];
  return Array.from(turns.startedHop, (_, i) => columns.map((column) => column[i]));
}}"""
SEGMENTS = """[[s.audio_start_ms, s.audio_end_ms, s.started_hop,
  -1 if s.stopped_hop is None else s.stopped_hop, s.ended] for s in tuner.segments]"""
WIDTHS = (600, 900, 1600)


class Tuner:
    """The tuner of a page, and what a hand does with it."""

    def __init__(self, lab):
        self.lab = lab
        self.page = lab.page
        self.root = lab.page.locator(".rtnb-tuner").last
        self.canvas = self.root.locator("canvas")
        self.root.wait_for()
        self.wait("store.chosen")

    def wait(self, expression):
        self.page.wait_for_function(f"() => {ACTIONS}.{expression}")

    def get(self, expression):
        return self.page.evaluate(f"() => {ACTIONS}.{expression}")

    def turns(self):
        return self.page.evaluate(TURNS)

    def at(self, x, y):
        self.canvas.scroll_into_view_if_needed()
        box = self.canvas.bounding_box()
        return box["x"] + x, box["y"] + (y if y >= 0 else box["height"] + y)

    def width(self):
        return self.canvas.bounding_box()["width"]

    def drag(self, start, end, *, steps=8):
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=steps)
        self.page.mouse.up()

    def height_of(self, p):
        """Where the picture has a probability, without frozen settings."""
        return self.page.evaluate(
            """([p, height]) => {
              const above = 30 + 4 + 22 + 18;
              const room = height - above - 24 - 4;
              const wave = Math.round(0.55 * room);
              return above + wave + 6 + (1 - p) * (room - wave - 12);
            }""",
            [p, self.canvas.bounding_box()["height"] - 2],
        )

    def says(self, text):
        self.root.locator(".rtnb-tuner-status").get_by_text(text).wait_for()

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)


def show(lab, *cells, viewport=None):
    lab.open(list(cells))
    for number in range(len(cells)):
        lab.run(number)
    lab.hide_sidebar()
    return Tuner(lab)


@pytest.fixture
def tuner(open_page):
    return show(open_page(Clip.silence(1)), SOUND, TUNER)


def test_dragging_the_threshold_gives_the_turns_that_python_finds(tuner):
    before = tuner.turns()
    assert before == tuner.lab.value(SEGMENTS)
    tuner.drag((400, tuner.height_of(0.5)), (420, tuner.height_of(0.97)))
    tuner.lab.until("tuner.settings.threshold >= 0.95")
    after = tuner.turns()
    assert after == tuner.lab.value(SEGMENTS)
    assert after != before
    assert tuner.get("store.tookMs") < 16


def test_settings_go_both_ways(tuner):
    tuner.lab.execute(
        "tuner.settings = rtnb.ServerVad(threshold=0.31, silence_duration_ms=500, "
        "prefix_padding_ms=120, create_response=False)"
    )
    tuner.wait("store.settings.threshold === 0.31")
    assert tuner.turns() == tuner.lab.value(SEGMENTS)
    field = tuner.root.get_by_label("Silence that ends, ms, exactly")
    field.fill("96")
    field.press("Enter")
    tuner.lab.until("tuner.settings.silence_duration_ms == 96")
    assert tuner.turns() == tuner.lab.value(SEGMENTS)
    assert tuner.lab.value("tuner.settings.create_response") is False
    field.fill("-5")
    field.press("Enter")
    tuner.says("Silence that ends is -5, but takes whole milliseconds, 0 or more.")
    tuner.root.get_by_label("Kind of turn detection").select_option("semantic_vad")
    tuner.wait("store.sentences")
    tuner.root.get_by_label("Eagerness").select_option("high")
    tuner.lab.until("tuner.settings.filled().eagerness == 'high'")
    assert tuner.turns() == tuner.lab.value(SEGMENTS)


def test_a_busy_kernel_holds_up_no_slider(tuner):
    tuner.lab.execute("import threading, time; gate = threading.Event()")
    tuner.page.evaluate(
        "code => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        ".requestExecute({code}); }",
        "gate.wait(3)",
    )
    for threshold in (0.9, 0.2, 0.7):
        tuner.drag(
            (300, tuner.height_of(tuner.get("store.settings.threshold"))),
            (300, tuner.height_of(threshold)),
        )
        assert tuner.get("store.chosen.settings.threshold") == pytest.approx(
            threshold, abs=0.02
        )
    tuner.lab.until("abs(tuner.settings.threshold - 0.7) < 0.02")
    assert tuner.turns() == tuner.lab.value(SEGMENTS)


def test_a_label_is_drawn_written_saved_and_read_again(tuner):
    tuner.drag((100, -10), (400, -10))
    tuner.lab.until("len(tuner.labels) == 1")
    tuner.page.mouse.dblclick(*tuner.at(200, -10))
    tuner.page.keyboard.type("hello there")
    tuner.page.keyboard.press("Enter")
    tuner.drag((400, -10), (500, -10))
    tuner.drag((600, -10), (700, -10))
    tuner.page.keyboard.press("Delete")
    tuner.page.keyboard.press("Control+z")
    tuner.page.keyboard.press("Control+Shift+Z")
    tuner.lab.until("[label.text for label in tuner.labels] == ['hello there']")
    start, end = tuner.lab.value("[tuner.labels[0].start_s, tuner.labels[0].end_s]")
    a_second = tuner.width() / tuner.get("store.whole.end")
    assert start == pytest.approx(100 / a_second, abs=0.05)
    assert end == pytest.approx(500 / a_second, abs=0.05)
    tuner.root.get_by_label("File for the labels").fill("reference.csv")
    tuner.button("Save").click()
    tuner.says("1 label saved in")
    assert "hello there" in (tuner.lab.lab.root / "reference.csv").read_text("utf-8")
    tuner.lab.execute(
        "from rtnb.vad import Labels\n"
        "again = rtnb.VadTuner(clip, labels=Labels.read('reference.csv'))"
    )
    assert tuner.lab.value("again.labels == tuner.labels")
    tuner.root.get_by_label("File for the labels").fill("nowhere/reference.csv")
    tuner.button("Save").click()
    tuner.says("there is no folder")


def test_apply_changes_the_settings_of_the_session(open_page):
    lab = open_page(Clip.silence(1))
    session = "session = rtnb.connect(script='short.toml')"
    tuner = show(
        lab, SOUND, f"{session}\ntuner = rtnb.VadTuner(clip, session=session)\ntuner"
    )
    tuner.drag((400, tuner.height_of(0.5)), (400, tuner.height_of(0.8)))
    tuner.root.get_by_label("Kept before speech, ms, exactly").fill("140")
    tuner.button("Apply to session").click()
    tuner.says("In force in the session: server_vad with threshold 0.8")
    effective = lab.value(
        "(lambda d: [d.threshold, d.prefix_padding_ms, d.silence_duration_ms])"
        "(session.settings.audio.input.turn_detection)"
    )
    assert effective == [pytest.approx(0.8, abs=0.015), 140, 200]
    assert effective[0] == lab.value("tuner.settings.threshold")
    lab.execute("session.close()")
    tuner.button("Apply to session").click()
    tuner.says("this session has ended")


def test_frozen_settings_stay_beside_those_that_change(tuner):
    tuner.button("Freeze as B").click()
    tuner.root.get_by_label("Threshold, exactly").fill("0.9")
    tuner.page.keyboard.press("Enter")
    tuner.lab.until("tuner.settings.threshold == 0.9")
    assert tuner.lab.value("tuner.compared.threshold") == 0.5
    rows = tuner.root.locator(".rtnb-tuner-counters tbody tr")
    assert [row.split()[0] for row in rows.all_inner_texts()] == ["A", "B"]
    tuner.button("Swap").click()
    tuner.lab.until(
        "tuner.settings.threshold == 0.5 and tuner.compared.threshold == 0.9"
    )
    assert tuner.turns() == tuner.lab.value(SEGMENTS)
    tuner.button("Clear B").click()
    tuner.lab.until("tuner.compared is None")


def test_the_wheel_zooms_at_the_pointer_and_detail_comes(tuner):
    x = 700
    time = "store.window.start + (store.window.end - store.window.start) * {} / {}"
    where = time.replace("store", f"{ACTIONS}.store").format(x, tuner.width())
    before = tuner.page.evaluate(f"() => {where}")
    tuner.page.mouse.move(*tuner.at(x, 150))
    for _ in range(4):
        tuner.page.mouse.wheel(0, -300)
    tuner.wait("store.window.end - " + f"{ACTIONS}.store.window.start < 5")
    assert tuner.page.evaluate(f"() => {where}") == pytest.approx(before, abs=0.03)
    tuner.wait("store.detail")
    assert tuner.get("store.envelope === " + f"{ACTIONS}.store.detail")
    tuner.lab.until("tuner.view[1] - tuner.view[0] < 5")
    tuner.lab.execute("tuner.view = (1.0, 2.0)")
    tuner.wait("store.window.start === 1")


def test_keys_are_heard_in_the_tuner_and_only_there(tuner):
    cells = "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
    count = tuner.page.evaluate(cells)
    tuner.canvas.focus()
    for key in ("b", "+", "ArrowRight", "ArrowUp", "End", "l", "x", "d", "d"):
        tuner.page.keyboard.press(key)
    assert tuner.page.evaluate(cells) == count
    tuner.lab.until("tuner.settings.threshold == 0.51")
    assert tuner.get("store.cursor === " + f"{ACTIONS}.store.whole.end")
    tuner.page.keyboard.press("Home")
    tuner.page.keyboard.press("Space")
    tuner.wait("player.position > 0.3")
    tuner.page.keyboard.press("Space")
    tuner.wait("player.playing === null")
    tuner.page.evaluate(
        "() => { document.activeElement.blur();"
        "window.jupyterapp.commands.execute('notebook:enter-command-mode'); }"
    )
    tuner.page.keyboard.press("b")
    tuner.page.wait_for_function(f"count => ({cells})() === count + 1", arg=count)
    assert tuner.lab.value("tuner.settings.threshold") == 0.51


def test_a_turn_is_played_as_the_api_would_have_received_it(tuner):
    start, end = tuner.turns()[0][:2]
    tuner.button("Play turn").click()
    tuner.wait("player.position !== null")
    assert tuner.get("player.playing") == {"start": start / 1000, "end": end / 1000}
    tuner.button("Loop").click()
    tuner.wait(f"player.position > {start / 1000 + 0.5}")
    tuner.button("Stop").click()
    assert tuner.get("player.position") is None


def test_a_turn_is_explained_and_settings_are_copied_as_code(tuner):
    start, end = tuner.turns()[0][:2]
    middle = (start + end) / 2000 / tuner.get("store.whole.end") * tuner.width()
    tuner.page.mouse.move(*tuner.at(middle, 150))
    tip = tuner.root.locator(".rtnb-tuner-tip")
    tip.get_by_text("Turn 1: ").wait_for()
    for dialect in ("rtnb", "session.update", "livekit", "pipecat", "fastrtc"):
        tuner.root.get_by_label("Dialect of the code").select_option(dialect)
        tuner.button("Copy as code").click()
        told = tuner.lab.value(
            f"__import__('rtnb.vad.dialects').vad.dialects.as_code(tuner.settings, {dialect!r})"
        )
        tuner.page.wait_for_function(f"text => {ACTIONS}.code === text", arg=told)
    assert tuner.root.locator("textarea").input_value() == told


def test_a_live_session_scrolls_with_what_it_hears(open_page, tmp_path):
    lab = open_page(Clip.silence(1))
    session = "import rtnb\nsession = rtnb.connect(script='short.toml')"
    lab.open([session, "tuner = rtnb.VadTuner(session)\ntuner"])
    lab.run(0)
    lab.run(1)
    lab.hide_sidebar()
    lab.execute(
        "from rtnb.audio import Clip\n"
        "turn = session.send_audio(Clip.example('austen-0880'), realtime=False)"
    )
    tuner = Tuner(lab)
    lab.until("turn.done")
    tuner.wait("store.chosen.turns.stoppedHop[0] > 0")
    [(start, end, *_)] = tuner.turns()
    assert [start, end] == lab.value(
        "[turn.segments[0].audio_start_ms, turn.segments[0].audio_end_ms]"
    )
    assert [[start, end]] == [row[:2] for row in lab.value(SEGMENTS)]
    assert tuner.get("store.following")
    tuner.root.screenshot(path=tmp_path / "live.png")
    lab.execute("tuner.close(); session.close()")


@pytest.mark.parametrize("theme", THEMES)
def test_it_fits_and_is_photographed(tuner, theme, tmp_path):
    tuner.page.evaluate(THEME, THEMES[theme])
    tuner.page.wait_for_function(THEMED, arg=str(theme == "light").lower())
    told = tuner.lab.execute(
        "from rtnb.audio import transcript_of\n"
        "from rtnb.vad import Label\n"
        "at = [(0.75, 7.05), (8.55, 11.1), (12.2, 17.1)]\n"
        "tuner.labels = [Label(*each, transcript_of(name))"
        " for each, name in zip(at, EXAMPLES)]\n"
        "tuner.compared = rtnb.ServerVad(threshold=0.8, silence_duration_ms=96)\n"
        "tuner.settings = rtnb.ServerVad(threshold=0.62, silence_duration_ms=440)"
    )
    assert not told
    tuner.wait("store.compared.settings.threshold === 0.8")
    tuner.wait("store.settings.threshold === 0.62")
    tuner.canvas.click(position={"x": 600, "y": 150})
    tuner.root.locator(".rtnb-tuner-tip").get_by_text("Turn 2: ").wait_for()
    tuner.root.screenshot(path=tmp_path / f"tuner-{theme}.png")
    tuner.root.get_by_label("Threshold, exactly").fill("7")
    tuner.page.keyboard.press("Enter")
    tuner.says("Threshold is 7, but takes a number between 0 and 1.")
    tuner.root.screenshot(path=tmp_path / f"error-{theme}.png")
    tuner.button("Copy as code").click()
    tuner.root.locator("textarea").wait_for()
    for width in WIDTHS:
        tuner.page.set_viewport_size({"width": width + 120, "height": 1400})
        tuner.root.scroll_into_view_if_needed()
        tuner.root.screenshot(path=tmp_path / f"{theme}-{width}.png")
        assert tuner.root.evaluate(STICKS_OUT) == []
