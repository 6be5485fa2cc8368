"""Turns and sessions show what there is, harmlessly, and follow until they are done."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field, fields
from html.parser import HTMLParser
from types import SimpleNamespace

import nbformat
import numpy as np
import PIL.Image
import pytest
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient

from rtnb import display
from rtnb.audio import Clip
from rtnb.session import session, turn
from rtnb.session.turn import Latency, Segment, ToolCall
from rtnb.tools import picture
from rtnb.usage import (
    Cost,
    InputTokenDetails,
    OutputTokenDetails,
    Usage,
    cost,
)

USAGE = Usage(
    total_tokens=1234,
    input_tokens=1139,
    output_tokens=95,
    input_token_details=InputTokenDetails(
        text_tokens=43, audio_tokens=1096, cached_tokens=64
    ),
    output_token_details=OutputTokenDetails(text_tokens=18, audio_tokens=77),
)

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</dd></dl></div><iframe srcdoc='<script>alert(1)</script>'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "javascript:alert(1)",
    "\u202e<b>reversed",
    "\x1b]0;title\x07\x1b[31mred",
    "\x00\x08\x7f\x9b31m",
)


@dataclass
class Turn:
    """A turn to whose facts anything may happen."""

    index: int = 1
    user_text: str = ""
    text: str = ""
    heard: str | None = None
    notes: tuple = ()
    usage: Usage | None = None
    cost: Cost | None = None
    latency: Latency = field(default_factory=Latency)
    audio: Clip | None = None
    input_audio: Clip | None = None
    segments: tuple = ()
    tool_calls: tuple = ()
    images: tuple = ()
    status: str = "done"
    error: Exception | None = None

    def __post_init__(self):
        self.heard = self.text if self.heard is None else self.heard

    @property
    def done(self):
        return self.status in ("done", "cancelled", "failed")


@dataclass
class Session:
    turns: list = field(default_factory=list)
    model: str = "gpt-realtime"
    billed: bool = True
    usage: Usage = field(default_factory=Usage)
    cost: Cost = field(default_factory=Cost)


Turn.__module__ = Session.__module__ = "rtnb.session"


def spoken(**other):
    t = np.arange(12_000) / 24_000
    tone = (0.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)
    facts = {
        "user_text": "What did you hear?",
        "text": "I heard half a second of a tone.",
        "usage": USAGE,
        "cost": cost(USAGE, "gpt-realtime"),
        "latency": Latency(stopped_to_first_audio_ms=42.4, total_ms=512),
        "audio": Clip(tone, 24_000),
        "input_audio": Clip(tone[:6000], 24_000),
        "segments": (Segment(1460, 1710),),
        "notes": ("resampled 16000 Hz to 24000 Hz",),
    }
    return Turn(**{**facts, **other})


class Page(HTMLParser):
    """What a browser would make of it: tags with attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_matplotlib_waits_for_the_first_picture():
    code = "import sys, rtnb.display; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("stand_in", "real"), [(Turn, turn.Turn), (Session, session.Session)]
)
def test_the_stand_in_is_called_and_has_what_the_real_one_has(stand_in, real):
    assert {field.name for field in fields(stand_in)} <= set(dir(real))
    assert stand_in.__module__ == real.__module__
    assert stand_in.__name__ == real.__name__


# -- a turn ------------------------------------------------------------------------------


def test_a_shown_image_is_seen_small_and_described():
    image = picture(np.zeros((300, 600))).image
    turn = Turn(user_text="What is it?", images=(image,))
    html = display.turn_html(turn)
    source = re.search(
        r'alt="Image, 600 x 300 pixels" src="data:image/png;base64,([^"]+)"', html
    )
    assert PIL.Image.open(io.BytesIO(base64.b64decode(source[1]))).size == (240, 120)
    assert "600 x 300" in display.turn_text(turn)


def test_a_spoken_turn_shows_everything():
    page = Page(display.turn_html(spoken()))
    for said in (
        "Turn 1",
        "What did you hear?",
        "I heard half a second of a tone.",
        "1,139 in (43 text, 1,096 audio, 64 cached), 95 out (18 text, 77 audio)",
        f"{cost(USAGE, 'gpt-realtime')} at the prices of gpt-realtime",
        "stopped → first audio 42 ms, total 512 ms",
        "resampled 16000 Hz to 24000 Hz",
    ):
        assert said in page.text
    (image,) = page.all("img")
    assert image["src"].startswith("data:image/png;base64,")
    assert image["alt"] == "Waveforms: you, 0.2 s and answer, 0.5 s"


def test_players_hold_the_very_sound():
    turn = spoken()
    players = Page(display.turn_html(turn)).all("audio")
    data = [base64.b64decode(p["src"].partition(",")[2]) for p in players]
    assert data == [turn.input_audio.to_wav_bytes(), turn.audio.to_wav_bytes()]
    assert all("controls" in player for player in players)


def test_a_long_answer_gets_no_player():
    page = Page(display.turn_html(spoken(audio=Clip.silence(61, 8000))))
    assert len(page.all("audio")) == 1
    assert "61 s: too long to keep a player in the notebook" in page.text


def test_what_was_not_heard_is_struck_through():
    html = display.turn_html(spoken(heard="I heard half"))
    assert "<span>I heard half</span>" in html
    assert 'title="not heard"> a second of a tone.</span>' in html


@pytest.mark.parametrize("heard", ["I heard half a second of a tone.", "else"])
def test_nothing_is_struck_through_without_cause(heard):
    assert "not heard" not in display.turn_html(spoken(heard=heard))


def test_nothing_heard_at_all_is_struck_through_whole():
    html = display.turn_html(spoken(heard=""))
    assert 'title="not heard">I heard half a second of a tone.</span>' in html


def test_a_typed_turn_without_sound_shows_no_picture():
    turn = Turn(user_text="hello", text="Hello!")
    page = Page(display.turn_html(turn))
    assert display.turn_png(turn) is None
    assert not page.all("img")
    assert not page.all("audio")
    assert "Tokens" not in page.text


def test_speech_without_words_is_called_speech():
    assert "(speech)" in Page(display.turn_html(spoken(user_text=""))).text


def test_an_error_is_a_sentence():
    page = Page(display.turn_html(Turn(error=ValueError("the voice is gone"))))
    assert "the voice is gone" in page.text
    assert {"class": "rtnb-trouble", "role": "alert"} in page.all("span")


def test_an_unknown_price_is_said():
    text = display.turn_text(spoken(cost=cost(USAGE, "home-made")))
    assert re.search(r"cost +price unknown", text)


def test_the_picture_is_a_transparent_png_of_both_sounds():
    one = display.turn_png(spoken(audio=None))
    both = display.turn_png(spoken())
    heights = [int.from_bytes(png[20:24], "big") for png in (one, both)]
    assert heights[1] > 1.5 * heights[0]
    assert both[25] == 6  # colour type: with alpha


def test_plain_text_is_neat():
    turn = spoken(
        cost=Cost(0.00426, model="gpt-realtime"),
        error=ValueError("cut off"),
        status="answering",
    )
    assert display.turn_text(turn).splitlines() == [
        "Turn 1, answering …",
        "  you      What did you hear?",
        "  answer   I heard half a second of a tone.",
        "  tokens   1,139 in (43 text, 1,096 audio, 64 cached), "
        "95 out (18 text, 77 audio)",
        "  cost     $0.00426 at the prices of gpt-realtime",
        "  latency  stopped → first audio 42 ms, total 512 ms",
        "  note     resampled 16000 Hz to 24000 Hz",
        "  error    cut off",
    ]


@pytest.mark.parametrize(
    ("status", "heading"),
    [
        ("done", "Turn 1"),
        ("cancelled", "Turn 1, cancelled"),
        ("failed", "Turn 1, failed"),
        ("listening", "Turn 1, listening …"),
    ],
)
def test_the_heading_says_how_it_stands(status, heading):
    assert display.turn_text(Turn(status=status)) == heading


def test_functions_that_were_called_are_named():
    calls = (
        ToolCall("call_1", "weather", {"city": "Rome"}, "sunny"),
        ToolCall("call_2", "clock", "not JSON"),
    )
    text = display.turn_text(Turn(tool_calls=calls))
    assert "called   weather(city='Rome') → sunny, clock(not JSON)" in text


@pytest.mark.parametrize(
    ("segments", "spans"),
    [
        ([Segment(1460, 1710)], [(0, 250)]),
        ([Segment(1000, 1100), Segment(5000, 5150)], [(0, 100), (100, 250)]),
        ([Segment(1000, 1100), Segment(5000)], [(0, 100), (100, 250)]),
        ([Segment(1000, 1220)], [(0, 220)]),
        ([Segment(1000, 1100)], []),
        ([], []),
    ],
)
def test_segments_lie_where_they_are_in_the_turns_own_sound(segments, spans):
    marks = display._placed(segments, Clip.silence(0.25))
    assert [(mark.audio_start_ms, mark.audio_end_ms) for mark in marks] == spans


# -- a session ---------------------------------------------------------------------------


def test_a_session_lists_its_turns_and_sums():
    turns = [spoken(index=1), Turn(index=2, user_text="typed", status="answering")]
    html = display.session_html(Session(turns, usage=USAGE, cost=Cost(0.5)))
    page = Page(html)
    assert len(page.all("tr")) == 4
    for said in ("2 turns", "What did you hear?", "typed", "1,139", "42 ms", "$0.500"):
        assert said in page.text
    assert not page.all("audio")


def test_a_session_in_plain_text_has_a_line_per_turn():
    turns = [spoken(index=1), Turn(index=2, user_text="x" * 200)]
    lines = display.session_text(Session(turns, usage=USAGE)).splitlines()
    assert lines[0] == "Session with gpt-realtime: 2 turns, 1,234 tokens, $0.00"
    assert lines[1] == "    1  What did you hear? → I heard half a second of a tone."
    assert lines[2] == f"    2  {'x' * 99}…"


def test_a_session_says_when_its_cost_is_hypothetical():
    free = Session(cost=Cost(0.5), billed=False)
    assert "$0.500, which here is not billed" in display.session_text(free)
    assert "which here is not billed" in display.session_html(free)


def test_a_session_before_the_first_word():
    html = display.session_html(Session())
    assert "Nothing has been said yet." in html
    assert "0 turns" in html


def test_an_error_stands_in_its_turn():
    turns = [Turn(error=ValueError("the voice is gone"))]
    assert "the voice is gone" in Page(display.session_html(Session(turns))).text


# -- harmless ----------------------------------------------------------------------------


@pytest.mark.parametrize("words", HOSTILE)
def test_what_was_said_is_shown_and_never_run(words):
    hostile, tame = (
        Turn(user_text=w, text=w, heard="", notes=(w,), error=ValueError(w))
        for w in (words, "a")
    )
    for one, other in (
        (display.turn_html(hostile), display.turn_html(tame)),
        (
            display.session_html(Session([hostile], model=words)),
            display.session_html(Session([tame])),
        ),
    ):
        assert Page(one).tags == Page(other).tags
        assert "<script" not in one
    assert Page(display.turn_html(hostile)).text.count(_visible(words)) == 4


@pytest.mark.parametrize("words", HOSTILE)
def test_text_has_no_character_that_steers_a_terminal(words):
    hostile = Turn(user_text=words, text=words, notes=(words,), error=ValueError(words))
    text = display.turn_text(hostile) + display.session_text(Session([hostile]))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_several_lines_become_one():
    assert "  you      one two\n" in display.turn_text(
        Turn(user_text="one\ntwo", text="three")
    )


def _visible(words):
    steering = {**{n: 0x2400 + n for n in range(32)}, 0x7F: 0x2421}
    return words.translate(steering | dict.fromkeys([0x9B, 0x202E], 0xFFFD))


# -- following ---------------------------------------------------------------------------


class Script:
    """Time in which things happen to a turn: one step each time one waits."""

    def __init__(self, turn, *steps):
        self.turn, self.steps, self.time = turn, list(steps), 0.0
        self.published = []

    def now(self):
        return self.time

    def wait(self, seconds):
        self.time += seconds
        if not self.steps:
            return True
        for name, value in self.steps.pop(0).items():
            setattr(self.turn, name, value)
        return False

    def publish(self, data, *, transient, update):
        self.published.append(data)
        assert update == (len(self.published) > 1)

    def follow(self):
        follower = display.Follower(self.turn, self.publish)
        follower.refresh()
        follower.run(wait=self.wait, now=self.now)
        return [bundle["text/plain"] for bundle in self.published]


def test_a_turn_is_published_when_it_changes_and_when_it_is_done():
    script = Script(
        Turn(text="I", status="answering"),
        {"text": "I heard"},
        {},
        {},
        {"text": "I heard you."},
        {"status": "done"},
        {"text": "never seen"},
    )
    assert [text.splitlines()[-1][11:] for text in script.follow()] == [
        "I",
        "I heard",
        "I heard you.",
        "I heard you.",
    ]
    assert script.time == 5 * display.FOLLOW_INTERVAL_S


def test_players_come_at_the_end_and_the_picture_with_the_sound():
    script = Script(
        spoken(audio=None, input_audio=None, status="answering"),
        {"audio": Clip.silence(0.5)},
        {"status": "done"},
    )
    script.follow()
    assert ["image/png" in bundle for bundle in script.published] == [False, True, True]
    players = ["<audio" in bundle["text/html"] for bundle in script.published]
    assert players == [False, False, True]


def test_the_picture_is_drawn_only_for_new_sound(monkeypatch):
    drawn = []
    draw = display.turn_png
    monkeypatch.setattr(display, "turn_png", lambda turn: drawn.append(1) or draw(turn))
    script = Script(
        spoken(status="answering"),
        *({"text": "x" * n} for n in range(9)),
        {"status": "done"},
    )
    script.follow()
    assert len(script.published) == 11
    assert len(drawn) == 1


def test_a_turn_that_is_never_done_is_left_after_a_while():
    changes = ({"text": str(n)} for n in range(10_000))
    script = Script(Turn(status="answering"), *changes)
    script.follow()
    assert script.time == display.FOLLOW_LIMIT_S


# -- in IPython --------------------------------------------------------------------------


class Publisher:
    def __init__(self):
        self.published = []
        self.done = threading.Event()

    def publish(self, data, *, transient=None, update=False):
        self.published.append((data, transient, update))
        if "answering" not in data["text/plain"]:
            self.done.set()


class BrokenPublisher:
    def publish(self, data, *, transient=None, update=False):
        if update:
            raise OSError("the socket is closed")


@pytest.fixture
def terminal():
    """As much of an IPython as shows things, with its real formatters."""
    return SimpleNamespace(display_formatter=DisplayFormatter())


@pytest.fixture
def kernel(terminal):
    """The same in a kernel."""
    terminal.kernel, terminal.display_pub = object(), Publisher()
    return terminal


def test_a_terminal_gets_the_text(terminal):
    display.register(terminal)
    turn = Turn(user_text="hello")
    data, _ = terminal.display_formatter.format(turn, include={"text/plain"})
    assert data == {"text/plain": "Turn 1\n  you      hello"}
    data, _ = terminal.display_formatter.format(Session(), include={"text/plain"})
    assert data["text/plain"].startswith("Session with gpt-realtime: 0 turns")


def test_a_front_end_gets_html_and_picture(terminal):
    for _ in range(2):
        display.register(terminal)
    data, _ = terminal.display_formatter.format(spoken())
    assert set(data) == {"text/plain", "text/html", "image/png"}
    data, _ = terminal.display_formatter.format(Session())
    assert set(data) == {"text/plain", "text/html"}


def test_in_a_kernel_a_turn_follows_on_a_thread_until_it_is_done(kernel):
    display.register(kernel)
    turn = Turn(text="I", status="answering")
    assert kernel.display_formatter.format(turn) == ({}, {})
    turn.text, turn.status = "I heard you.", "done"
    assert kernel.display_pub.done.wait(10)
    (_, first, fresh), *_, (data, last, update) = kernel.display_pub.published
    assert (fresh, update) == (False, True)
    assert first == last
    assert first["display_id"]
    assert data["text/plain"] == "Turn 1\n  answer   I heard you."


def test_a_turn_that_is_done_needs_no_thread(kernel):
    display.register(kernel)
    before = threading.active_count()
    kernel.display_formatter.format(Turn(text="Hello!"))
    assert threading.active_count() == before
    assert [update for *_, update in kernel.display_pub.published] == [False]


def test_trouble_while_following_is_logged_not_raised(kernel, caplog):
    kernel.display_pub = BrokenPublisher()
    display.register(kernel)
    turn = Turn(status="answering")
    kernel.display_formatter.format(turn)
    turn.status = "done"
    for thread in threading.enumerate():
        if thread.name == "rtnb-display":
            thread.join(10)
    assert "display.failed" in caplog.messages


CELLS = (
    """
import dataclasses, threading
from rtnb import display
@dataclasses.dataclass
class Turn:
    index: int = 7
    user_text: str = "hello"
    text: str = ""
    heard: str = ""
    notes: tuple = ()
    usage: object = None
    cost: object = None
    latency: object = None
    audio: object = None
    input_audio: object = None
    segments: tuple = ()
    tool_calls: tuple = ()
    images: tuple = ()
    status: str = "answering"
    done: bool = False
    error: object = None
Turn.__module__ = "rtnb.session"
display.register(get_ipython())
turn = Turn()
""",
    "turn",
    """
turn.text, turn.status, turn.done = "Hello to you.", "done", True
for thread in threading.enumerate():
    if thread.name == "rtnb-display":
        thread.join(30)
""",
    "turn",
)


@pytest.mark.notebook
def test_in_a_real_kernel_the_first_showing_is_brought_up_to_date():
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for number in (1, 3):
        (output,) = notebook.cells[number].outputs
        assert output.output_type == "display_data"
        assert output.data["text/plain"].endswith("answer   Hello to you.")
        assert "not heard" in output.data["text/html"]
