"""Allow and Refuse in a real notebook: while a cell runs, and in the panel."""

from __future__ import annotations

import pytest

from rtnb.audio import Clip

pytestmark = pytest.mark.browser

CONNECT = """
import rtnb
session = rtnb.connect()
session.configure(output_modalities="text")
gone = []
@rtnb.tool(confirm=True)
def delete(path: str = "<b>all</b>") -> str:
    gone.append(path)
    return "done"
session.configure(tools=[delete])
"""
SAY = 'turn = session.say("delete").wait(60)\nprint(turn.tool_calls[0].status)'


def test_a_person_is_asked_while_a_cell_runs_and_in_the_panel(open_page):
    lab = open_page(Clip.silence(1, 16_000))
    lab.open([CONNECT, SAY, "panel = rtnb.Panel(session)\npanel", SAY])
    lab.run(0)
    lab.start(1)
    question = lab.page.locator(".rtnb-question")
    question.wait_for()
    assert "The model wants to call delete" in question.inner_text()
    assert question.locator("b").all_inner_texts() == ["delete"]
    assert lab.is_running(1)
    lab.page.get_by_role("button", name="Refuse").click()
    lab.until("session.tool_calls and session.tool_calls[0].status == 'refused'")
    question.wait_for(state="detached")
    assert lab.value("gone") == []
    lab.run(2)
    lab.start(3)
    lab.panel.get_by_role("button", name="Allow").click()
    lab.until("gone == ['<b>all</b>']")
    assert lab.page.locator(".rtnb-question").count() == 0
