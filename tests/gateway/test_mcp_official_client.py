"""The official client, unchanged, in sessions with a real MCP server behind the gateway.

Every event that it receives is validated strictly against the SDK's own types.
"""

import contextlib
import json
import urllib.request

import pytest
from openai import OpenAI

from tests.gateway.conftest import start_gateway, stop_gateway
from tests.gateway.mcp_server import mcp_server
from tests.gateway.test_official_client import (
    asynchronous,
    only,
    receive,
    say,
    synchronous,
    types,
    until,
)

pytestmark = pytest.mark.filterwarnings(
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)


@pytest.fixture(scope="module")
def served():
    with mcp_server() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    path = tmp_path_factory.mktemp("logs") / "log"
    with path.open("w") as log:
        running = start_gateway("--no-config", "--mcp-allow-private", stderr=log)
        yield running
        stop_gateway(running)
    # Neither what the gateway logs nor what the SDK does shows an authorization.
    assert "s3cret" not in path.read_text()


@pytest.fixture(scope="module")
def careful_gateway():
    running = start_gateway("--no-config")
    yield running
    stop_gateway(running)


@pytest.fixture(params=[synchronous, asynchronous], ids=["sync", "async"])
def connection(request, gateway):
    with request.param(gateway) as opened:
        assert receive(opened).type == "session.created"
        yield opened


def tool(served, **fields):
    return {
        "type": "mcp",
        "server_label": "tools",
        "server_url": served.url,
        "authorization": "s3cret",
        **fields,
    }


def offer(connection, served, last="mcp_list_tools.completed", **fields):
    connection.session.update(
        session={
            "type": "realtime",
            "output_modalities": ["text"],
            "tools": [tool(served, **fields)],
        }
    )
    return until(connection, last)


CALL = [
    "response.output_item.added",
    "conversation.item.added",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "conversation.item.done",
    "response.output_item.done",
]

MESSAGE = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
]

END = ["response.done", "rate_limits.updated"]


def answer_approval(connection, request, *, approve):
    connection.conversation.item.create(
        previous_item_id=request.id,
        item={
            "type": "mcp_approval_response",
            "id": f"answer_to_{request.id}",
            "approval_request_id": request.id,
            "approve": approve,
        },
    )


def test_tools_are_listed(connection, served):
    events = offer(connection, served)
    assert types(events) == [
        "session.updated",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
        "conversation.item.done",
        "mcp_list_tools.completed",
    ]
    names = [one.name for one in events[3].item.tools]
    assert names == ["get_weather", "break_things", "recite", "dawdle"]
    assert events[0].session.tools[0].authorization == "<redacted>"


def test_a_question_calls_a_tool_and_is_answered(connection, served):
    offer(connection, served, require_approval="never")
    say(connection, "what is the weather in Paris")
    events = until(connection, "rate_limits.updated")
    ahead = [name for name in types(events) if name.startswith("response.mcp")]
    assert ahead == [name for name in CALL if name.startswith("response.mcp")]
    item = only(events, "response.mcp_call.completed")[0]
    done = next(
        e.item
        for e in only(events, "response.output_item.done")
        if e.item.id == item.item_id
    )
    assert json.loads(done.arguments) == {"city": "Paris"}
    assert done.output == "It is sunny in Paris."
    text = only(events, "response.output_text.done")[-1].text
    assert "sunny in Paris" in text
    [final] = only(events, "response.done")
    assert final.response.output[-1].type == "message"


def test_a_call_that_is_allowed(connection, served):
    offer(connection, served)
    say(connection, "what is the weather in Paris")
    events = until(connection, "rate_limits.updated")
    request = only(events, "response.done")[0].response.output[-1]
    assert request.type == "mcp_approval_request"
    answer_approval(connection, request, approve=True)
    events = until(connection, "rate_limits.updated")
    without_arguments = [name for name in CALL if "arguments" not in name]
    assert types(events) == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        *without_arguments,
        *MESSAGE,
        *END,
    ]


def test_a_call_that_is_not_allowed(connection, served):
    offer(connection, served)
    say(connection, "what is the weather in Paris")
    events = until(connection, "rate_limits.updated")
    request = only(events, "response.done")[0].response.output[-1]
    answer_approval(connection, request, approve=False)
    events = until(connection, "rate_limits.updated")
    assert types(events)[2:] == ["response.created", *MESSAGE, *END]
    assert "not allowed" in only(events, "response.output_text.done")[0].text


def test_a_tool_that_fails_is_told_of(connection, served):
    offer(connection, served, require_approval="never")
    choice = {"type": "mcp", "server_label": "tools", "name": "break_things"}
    connection.response.create(response={"tool_choice": choice})
    events = until(connection, "rate_limits.updated")
    assert len(only(events, "response.mcp_call.failed")) == 1
    call = only(events, "response.done")[0].response.output[0]
    assert call.error.type == "tool_execution_error"
    assert "it broke" in call.error.message
    assert "it broke" in only(events, "response.output_text.done")[-1].text


def test_a_running_call_is_cancelled(connection, served):
    offer(connection, served, require_approval="never")
    choice = {"type": "mcp", "server_label": "tools", "name": "dawdle"}
    connection.response.create(response={"tool_choice": choice})
    until(connection, "response.mcp_call.in_progress")
    connection.response.cancel()
    events = until(connection, "rate_limits.updated")
    assert types(events)[0] == "response.mcp_call.failed"
    assert only(events, "response.done")[0].response.status == "cancelled"
    say(connection, "what is the weather in Rome")
    events = until(connection, "rate_limits.updated")
    assert "sunny in Rome" in only(events, "response.output_text.done")[-1].text


def test_a_server_that_is_not_there(connection, served):
    events = offer(connection, served, last="error", server_url="http://127.0.0.1:9/")
    assert types(events)[-3:] == [
        "conversation.item.done",
        "mcp_list_tools.failed",
        "error",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_private_addresses_need_the_switch(careful_gateway, served, host):
    url = served.url.replace("127.0.0.1", host)
    before = len(served.requests)
    with synchronous(careful_gateway) as connection:
        receive(connection)
        events = offer(connection, served, last="error", server_url=url)
    assert types(events)[-2] == "mcp_list_tools.failed"
    assert "--mcp-allow-private" in events[-1].error.message
    assert len(served.requests) == before


def test_what_the_model_says_reaches_no_server(careful_gateway, served):
    """An address in the words, or in items of the conversation, is only words."""
    before = len(served.requests)
    with synchronous(careful_gateway) as connection:
        receive(connection)
        connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"]}
        )
        connection.conversation.item.create(
            item={
                "type": "mcp_call",
                "id": "item_a",
                "server_label": "tools",
                "name": "get_weather",
                "arguments": json.dumps({"server_url": served.url}),
            }
        )
        say(connection, f"call the weather tool of {served.url} for Paris")
        events = until(connection, "rate_limits.updated")
    assert not [name for name in types(events) if name.startswith("response.mcp")]
    assert len(served.requests) == before


def test_a_client_secret_may_bring_a_server(gateway, served):
    session = {"type": "realtime", "tools": [tool(served)]}
    request = urllib.request.Request(
        f"{gateway.http}/realtime/client_secrets",
        data=json.dumps({"session": session}).encode(),
        headers={
            "Authorization": f"Bearer {gateway.token}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request) as answer:
        secret = json.load(answer)
    assert secret["session"]["tools"][0]["authorization"] == "<redacted>"
    client = OpenAI(api_key=secret["value"], base_url=gateway.http, max_retries=0)
    with client, client.realtime.connect(model="gpt-realtime") as opened:
        events = until(opened, "mcp_list_tools.completed")
    assert types(events)[0] == "session.created"
    assert "s3cret" not in str(events)


def test_a_python_function_sees_tools_as_functions(served):
    running = start_gateway(
        "--no-config",
        "--mcp-allow-private",
        "--responder",
        "tests.gateway.mcp_answers:answer",
    )
    with contextlib.ExitStack() as stack:
        stack.callback(stop_gateway, running)
        connection = stack.enter_context(synchronous(running))
        receive(connection)
        offer(connection, served, require_approval="never")
        say(connection, "go")
        events = until(connection, "rate_limits.updated")
    assert only(events, "response.output_text.done")[-1].text == (
        "get_weather says: It is sunny in Oslo."
    )
