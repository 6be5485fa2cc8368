"""Functions that the model calls: allowed or not, once, stopped when asked, and logged."""

from __future__ import annotations

import asyncio
import json
import threading

import pandas as pd
import PIL.Image
import pytest

import rtnb
from rtnb.errors import ConfigError
from rtnb.notebook import questions_are_shown_by, show_questions_by
from rtnb.protocol import events as ev
from rtnb.session.approval import APPROVAL_SECONDS
from tests.session.server import Server

PATIENCE_S = 10


def items(server):
    """What the session put into the conversation, but for what was typed."""
    made = [e["item"] for e in server.received if e["type"].endswith("item.create")]
    return made[1:]


def outputs(server):
    return [item["output"] for item in items(server) if "output" in item]


def delete(path: str) -> str:
    """Delete a file."""
    return f"{path} is gone"


@pytest.fixture
def no_notebook():
    before = questions_are_shown_by()
    show_questions_by(None)
    yield
    show_questions_by(before)


@pytest.fixture
def ask_delete(open_session, no_notebook, clock):
    """A session whose model calls `delete`, and a person who watches."""
    server = Server(("delete", {"path": "trash/a"}), "So be it.")
    session = open_session(server, clock=clock)
    asked = threading.Event()
    session.approvals.watch(lambda: session.approvals.waiting and asked.set())

    def start(**how):
        session.configure(tools=[delete], confirm=True, **how)
        turn = session.say("delete it")
        assert asked.wait(PATIENCE_S)
        return turn, session.approvals.waiting[0]

    return server, session, start


# -- permission ------------------------------------------------------------------------


def test_what_is_allowed_is_called(ask_delete):
    server, session, start = ask_delete
    turn, approval = start()
    assert (approval.name, approval.arguments) == ("delete", {"path": "trash/a"})
    assert turn.tool_calls[0].status == "waiting"
    assert (outputs(server), turn.done) == ([], False)
    approval.allow()
    assert turn.wait(PATIENCE_S).text == "So be it."
    assert outputs(server) == ["trash/a is gone"]
    assert session.approvals.waiting == ()
    assert not approval.open


def test_what_is_refused_is_told_to_the_model(ask_delete):
    server, _, start = ask_delete
    turn, approval = start()
    approval.refuse()
    approval.allow()
    assert turn.wait(PATIENCE_S).tool_calls[0].status == "refused"
    assert outputs(server) == ['{"error":"delete was not called: the user refused it"}']


def test_nobody_answers_is_a_refusal(ask_delete, clock):
    server, session, start = ask_delete
    turn, approval = start()
    clock.advance(APPROVAL_SECONDS)
    turn.wait(PATIENCE_S)
    assert "nobody allowed it within 120 s" in outputs(server)[0]
    assert (session.approvals.waiting, approval.open) == ((), False)


def test_without_a_notebook_the_answer_is_no_with_the_way_out(
    open_session, no_notebook
):
    server = Server(("delete", {"path": "a"}), "I may not.")
    session = open_session(server)
    session.configure(tools=[rtnb.tool(confirm=True)(delete)])
    session.say("go").wait(PATIENCE_S)
    assert "rtnb.tool(confirm=...)" in outputs(server)[0]


def test_a_notebook_without_a_panel_is_asked(open_session, no_notebook):
    seen = []

    def show(approvals):
        seen.extend(approvals.waiting)
        approvals.waiting[0].allow()

    show_questions_by(show)
    server = Server(("delete", {"path": "a"}), "Done.")
    session = open_session(server)
    session.configure(tools=[delete], confirm={"delete": True})
    session.say("go").wait(PATIENCE_S)
    assert [one.name for one in seen] == ["delete"]
    assert outputs(server) == ["a is gone"]


def test_a_policy_decides_by_itself(open_session, no_notebook):
    calls = [("delete", {"path": path}) for path in ("trash/a", "home/b")]
    server = Server(calls, "Done.")
    session = open_session(server)
    in_trash = {"delete": lambda name, given: given["path"].startswith("trash/")}
    session.configure(tools=[delete], confirm=in_trash)
    turn = session.say("go").wait(PATIENCE_S)
    assert [call.status for call in turn.tool_calls] == ["done", "refused"]


def test_what_does_not_fit_is_not_asked_about(open_session, no_notebook):
    server = Server(("delete", {"file": "a"}), "Sorry.")
    session = open_session(server)
    session.configure(tools=[delete], confirm=True)
    session.say("go").wait(PATIENCE_S)
    assert "the arguments do not fit" in outputs(server)[0]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"confirm": True}, "give both"),
        ({"tools": [delete], "confirm": {"other": True}}, "these are delete"),
        ({"tools": [delete], "confirm": "yes"}, "confirm is 'yes'"),
    ],
)
def test_permission_that_cannot_be_asked_for(open_session, how, reason):
    with pytest.raises(ConfigError, match=reason):
        open_session(Server()).configure(**how)


# -- running ---------------------------------------------------------------------------


def test_a_call_that_comes_twice_runs_once(open_session):
    ran = []

    def count() -> int:
        ran.append(1)
        return len(ran)

    server = Server(("count", {}), "Done.")
    session = open_session(server)
    session.configure(tools=[count])
    turn = session.say("go").wait(PATIENCE_S)
    call = turn.tool_calls[0]
    again = {
        "id": "item_again",
        "type": "function_call",
        "status": "completed",
        "name": "count",
        "call_id": call.call_id,
        "arguments": "{}",
    }
    server.replies.append(None)
    started = list(server.respond(None))
    place = {"response_id": server._open_response["id"], "output_index": 0}
    server.tell(
        *started, server.event("response.output_item.done", item=again, **place)
    )
    server.tell(*server.finish("completed"))
    assert ran == [1]
    assert len(outputs(server)) == 1


def test_cancel_stops_functions_and_tells_the_model(open_session):
    started, ended = threading.Event(), threading.Event()

    async def slow() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    server = Server(("slow", {}))
    session = open_session(server)
    session.configure(tools=[slow])
    turn = session.say("go")
    assert started.wait(PATIENCE_S)
    session.cancel()
    assert turn.wait(PATIENCE_S).status == "cancelled"
    assert ended.wait(PATIENCE_S)
    server.settle()
    assert outputs(server) == ['{"error":"the call was cancelled"}']
    assert turn.tool_calls[0].status == "cancelled"
    assert server.types().count("response.create") == 1


def test_cancel_while_a_person_is_asked(ask_delete):
    server, session, start = ask_delete
    turn, approval = start()
    session.cancel()
    assert turn.wait(PATIENCE_S).status == "cancelled"
    server.settle()
    assert (session.approvals.waiting, approval.open) == ((), False)


def test_pictures_are_shown_in_a_message_after_the_output(open_session):
    def plot() -> PIL.Image.Image:
        return PIL.Image.new("RGB", (30, 20), "red")

    plot.__annotations__ = {}
    server = Server(("plot", {}), "Red.")
    session = open_session(server)
    session.configure(tools=[plot])
    turn = session.say("go").wait(PATIENCE_S)
    output, message = items(server)
    assert output["type"] == "function_call_output"
    text, image = message["content"]
    assert text["text"] == "What plot shows:"
    assert image["image_url"].startswith("data:image/png;base64,")
    assert server.types().count("response.create") == 2
    assert (turn.text, turn.user_text, len(session.turns)) == ("Red.", "go", 1)
    assert message["id"] in [item.id for item in turn.items]
    session.send(ev.ResponseCreate())
    server.settle()
    assert session.turns[1].user_text == ""


def test_every_call_is_logged(open_session):
    def table():
        return pd.DataFrame({"n": [1, 2]})

    def broken():
        raise ValueError("no")

    calls = [("table", {}), ("broken", {}), ("nowhere", {})]
    server = Server(calls, "Done.")
    session = open_session(server)
    session.configure(tools=[table, broken])
    session.say("go").wait(PATIENCE_S)
    log = session.tool_calls
    assert [(call.name, call.status) for call in log] == [
        ("table", "done"),
        ("broken", "failed"),
        ("nowhere", "refused"),
    ]
    assert json.loads(log[0].output)["data"] == [[1], [2]]
    assert log[2].output == (
        '{"error":"there is no function called nowhere; functions: table, broken"}'
    )
    assert all(call.seconds >= 0 for call in log)


def test_a_notebook_that_cannot_ask(open_session, no_notebook, caplog):
    show_questions_by(lambda approvals: 1 / 0)
    server = Server(("delete", {"path": "a"}), "Sorry.")
    session = open_session(server)
    session.configure(tools=[delete], confirm=True)
    session.say("go").wait(PATIENCE_S)
    assert "could not be shown: division by zero" in outputs(server)[0]
    assert "approval.not_shown" in caplog.text
