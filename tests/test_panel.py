"""The panel's controls follow what is in force."""

from __future__ import annotations

import threading

import pytest

from rtnb.panel import Panel
from rtnb.session import Session
from rtnb.session.session import Endpoint
from rtnb.vad import ServerVad
from tests.conftest import live_widgets
from tests.session.server import Server

WAIT_S = 10


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def panel(server):
    endpoint = Endpoint("url", "ws://127.0.0.1:1/v1/realtime?model=m", {})
    before = set(live_widgets())
    with Session(endpoint, open_transport=server.open, timeout=10) as session:
        server.session = session
        panel = Panel(session)
        yield panel
        panel.close()
    for key, widget in live_widgets().items():
        if key not in before:
            widget.close()


def until(control, value):
    """Wait until a control shows a value."""
    reached = threading.Event()

    def look(_=None):
        if control.value == value:
            reached.set()

    control.observe(look, "value")
    look()
    assert reached.wait(WAIT_S), control.value
    control.unobserve(look, "value")


def test_the_sliders_follow_what_was_calibrated_and_send_nothing(panel, server):
    measured = ServerVad(threshold=0.62, prefix_padding_ms=340, silence_duration_ms=420)
    panel.calibrator.applied = measured
    until(panel.prefix_padding, 340)
    assert (panel.threshold.value, panel.silence_duration.value) == (0.62, 420)
    assert panel.turn_detection.silence_duration_ms == 420
    updated = threading.Event()
    panel.session.on("session.updated", lambda _: updated.set())
    panel.speed.value = 1.2
    assert updated.wait(WAIT_S)
    sent = [e["session"] for e in server.received if e["type"] == "session.update"]
    assert sent == [{"type": "realtime", "audio": {"output": {"speed": 1.2}}}]


def test_while_one_calibrates_turn_detection_is_not_the_sliders_to_change(panel):
    for step, held in [("quiet", True), ("measuring", True), ("done", False)]:
        panel.calibrator.step = step
        assert panel.threshold.disabled is panel.mode.disabled is held


def test_closing_the_panel_closes_the_calibrator(panel):
    panel.close()
    assert panel.calibrator.comm is None
