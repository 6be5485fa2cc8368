"""What the panel says and keeps to itself, and where else it works."""

from __future__ import annotations

import json
import re

import pytest

from rtnb.audio import Clip
from tests.browser.conftest import PANEL, SESSION

pytestmark = pytest.mark.browser

STATE = "str([w.get_state() for w in ipywidgets.widgets.widget._instances.values()])"


def test_a_denied_microphone_is_a_sentence(open_page):
    lab = open_page(Clip.silence(1), allow=False).show(SESSION, PANEL)
    lab.talk.click()
    lab.status.get_by_text("The browser denies the microphone").wait_for()
    lab.until("'allow it for this page' in panel.port.message")
    lab.execute("turn = session.send_audio(rtnb.Clip.example('austen-0880'))")
    lab.until("turn.done")
    assert lab.value("turn.text")


def test_secrets_stay_in_the_kernel(open_page, sentence):
    lab = open_page(*sentence)
    urls = []
    lab.page.on("websocket", lambda socket: urls.append(socket.url))
    lab.show(SESSION, PANEL)
    lab.talk.click()
    lab.until("session.turns and session.turns[0].done")
    token = lab.value("session._endpoint.gateway.token")
    tickets = re.findall(r"ticket=([^&\s]+)", " ".join(urls))
    lab.execute("import ipywidgets")
    shown = [
        lab.save(),
        lab.value(STATE),
        lab.page.content(),
        " ".join(lab.console),
    ]
    assert (
        "application/vnd.jupyter.widget-state+json"
        in json.loads(shown[0])["metadata"]["widgets"]
    )
    assert len(tickets) == 1
    for secret in (token, *tickets):
        assert not any(secret in text for text in shown)
    assert not any(token in url for url in urls)


def test_notebook_7_shows_the_panel(open_page, sentence):
    lab = open_page(*sentence).show(SESSION, PANEL, app="notebooks")
    lab.talk.click()
    lab.wait_for("ended")
    assert lab.value("panel.port.transport") == "direct"
    assert lab.value("session.turns[0].user_text")
