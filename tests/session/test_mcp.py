"""MCP tools in a session of ours: a real server, the real gateway, and who allows a call."""

import threading

import pytest

from rtnb.errors import ConfigError
from rtnb.local import start_gateway
from rtnb.protocol.events import McpTool
from rtnb.session import Session
from rtnb.session.connect import embedded_endpoint
from tests.gateway.mcp_server import mcp_server

PATIENCE_S = 60


@pytest.fixture(scope="module")
def served():
    with mcp_server() as found:
        yield found


@pytest.fixture(scope="module")
def gateway():
    running = start_gateway(mcp_allow_private=True)
    yield running
    running.close()


@pytest.fixture
def session(gateway):
    with Session(embedded_endpoint(gateway, "gpt-realtime")) as opened:
        opened.configure(output_modalities="text")
        yield opened


def offer(session, served, confirm=None, **fields):
    listed = threading.Event()
    session.on("mcp_list_tools.completed", lambda _: listed.set())
    tool = McpTool(server_label="tools", server_url=served.url, **fields)
    session.configure(tools=[tool], confirm=confirm)
    assert listed.wait(PATIENCE_S)


def ask(session):
    return session.say("what is the weather in Paris").wait(PATIENCE_S)


def test_a_tool_is_called_without_us(session, served):
    offer(session, served, require_approval="never")
    turn = ask(session)
    assert "sunny in Paris" in turn.text
    assert turn.tool_calls == ()


@pytest.mark.parametrize("by_label", [True, False])
def test_a_policy_allows_a_call(session, served, by_label):
    asked = []

    def policy(name, arguments):
        asked.append((name, arguments))
        return True

    offer(session, served, confirm={"tools": policy} if by_label else policy)
    turn = ask(session)
    assert asked == [("get_weather", {"city": "Paris"})]
    assert "sunny in Paris" in turn.text
    assert [(call.name, call.status) for call in turn.tool_calls] == [
        ("get_weather", "done")
    ]


def test_a_policy_refuses_a_call(session, served):
    offer(session, served, confirm={"tools": lambda name, arguments: False})
    turn = ask(session)
    assert "not allowed" in turn.text
    assert [call.status for call in turn.tool_calls] == ["refused"]


def test_nobody_is_asked_where_confirm_is_false(session, served):
    offer(session, served, confirm={"tools": False})
    assert "sunny in Paris" in ask(session).text


def test_a_person_is_asked_by_default(session, served):
    offer(session, served)
    questions = []

    def changed():
        for question in session.approvals.waiting:
            if question.open:
                questions.append((question.name, question.arguments))
                question.allow()

    end = session.approvals.watch(changed)
    turn = ask(session)
    end()
    assert questions == [("get_weather", {"city": "Paris"})]
    assert "sunny in Paris" in turn.text


def test_where_nobody_can_be_asked_the_answer_is_no(session, served):
    offer(session, served)
    assert "not allowed" in ask(session).text


def test_a_cancelled_turn_leaves_the_question_unanswered(session, served):
    offer(session, served)
    waiting = threading.Event()
    end = session.approvals.watch(waiting.set)
    turn = session.say("what is the weather in Paris")
    assert waiting.wait(PATIENCE_S)
    session.cancel()
    assert turn.wait(PATIENCE_S).tool_calls[0].status == "cancelled"
    end()
    assert session.say("hello").wait(PATIENCE_S).status == "done"


def test_a_label_that_there_is_not(session, served):
    tool = McpTool(server_label="tools", server_url=served.url)
    with pytest.raises(ConfigError, match="no label of an MCP server: these are tools"):
        session.configure(tools=[tool], confirm={"other": True})
