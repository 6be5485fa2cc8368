"""Allow and Refuse."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rtnb.clock import SystemClock
from rtnb.session.approval import Approval, Approvals
from rtnb.widgets.approvals import (
    LONGEST,
    ApprovalBox,
    PassingApprovalBox,
    question_html,
)

PATIENCE_S = 10


@pytest.fixture
def approvals():
    return Approvals(SystemClock())


def ask(approvals, box_of, button, name="pay"):
    """Ask, press a button of the box, and return the answer."""

    async def asking():
        shown = asyncio.Event()
        unwatch = approvals.watch(shown.set)
        answer = asyncio.create_task(approvals.ask(name, {"amount": 5}))
        await shown.wait()
        unwatch()
        box = box_of(approvals)
        (row,) = box.children
        question, buttons = row.children
        assert name in question.value
        buttons.children[("Allow", "Refuse").index(button)].click()
        assert all(one.disabled for one in buttons.children)
        return box, await asyncio.wait_for(answer, PATIENCE_S)

    return asyncio.run(asking())


def test_a_button_answers(approvals):
    box, refused = ask(approvals, ApprovalBox, "Allow")
    assert refused is None
    box.close()
    box, refused = ask(approvals, ApprovalBox, "Refuse")
    assert refused == "the user refused it"
    box.refresh()
    assert box.children == ()
    box.close()


def test_a_box_of_its_own_goes_when_it_is_answered(approvals):
    gone = threading.Event()

    class Watched(PassingApprovalBox):
        def close(self):
            super().close()
            gone.set()

    ask(approvals, Watched, "Allow")
    assert gone.wait(PATIENCE_S)
    assert approvals._watchers == ()


def test_what_the_model_wrote_is_only_ever_shown():
    nasty = "<img src=x onerror=alert(1)>"
    html = question_html(Approval(nasty, {nasty: nasty, "list": [nasty, "\u202e"]}))
    assert "<img" not in html
    assert "\u202e" not in html
    assert html.count("&lt;img") == 4
    assert "&lt;img" in question_html(Approval("f", nasty))


def test_a_long_value_says_that_it_goes_on():
    html = question_html(Approval("f", {"text": "x" * (LONGEST + 7)}))
    assert "and 7 characters more" in html
