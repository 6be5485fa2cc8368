"""The server machine with MCP servers, driven by hand: order, approvals, refusals."""

import json

import pytest

from rtnb.protocol import events as ev
from rtnb.protocol import server as effects
from rtnb.protocol.server.mcp import Definition, redacted
from rtnb.protocol.server.responses import MOST_ROUNDS
from tests.protocol.test_server import NOW, Wire, error_of, types

URL = "https://tools.example/mcp"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = ev.McpToolDescription(
    name="weather",
    description="Tells the weather.",
    input_schema=SCHEMA,
    annotations={"readOnlyHint": True},
)
SEND = ev.McpToolDescription(name="send", description="", input_schema=SCHEMA)
ARGUMENTS = {"city": "Paris"}


class McpWire(Wire):
    """Also plays the engine."""

    def effects(self, kind):
        found = self.machine.take_effects()
        return [effect for effect in found if isinstance(effect, kind)]

    def offer(self, *tools, **settings):
        """Name a server in the session and list its tools; returns all events."""
        events = self.configure(tools=[mcp(**settings)])
        [wanted] = self.effects(effects.ListMcpTools)
        self.machine.mcp_listed(wanted.item_id, tools or [WEATHER, SEND], NOW)
        return events + self.read()

    def call(self, name="weather", **response):
        """Have the responder call a tool; returns response id and events."""
        response_id = self.respond(**response)
        assert self.machine.call(response_id, name, ARGUMENTS, NOW)
        self.machine.finish(response_id, NOW)
        return response_id, self.read()

    def called(self, result):
        """End the call that runs; returns what follows."""
        [wanted] = self.effects(effects.CallMcpTool)
        self.machine.mcp_called(wanted.item_id, result, NOW)
        return self.read()

    def asked(self):
        """The request that the responder has now."""
        [wanted] = self.effects(effects.Respond)
        return wanted

    def request_approval(self, **response):
        self.offer()
        self.user("What is the weather?")
        _, events = self.call(**response)
        [request] = [one["item"] for one in only(events, "response.output_item.done")]
        assert request["type"] == "mcp_approval_request"
        self.effects(effects.Respond)
        return request

    def answer_approval(self, request, **fields):
        item = {"type": "mcp_approval_response", "approval_request_id": request["id"]}
        return self.send("conversation.item.create", item={**item, **fields})


@pytest.fixture
def wire():
    return McpWire(session={"output_modalities": ["text"]})


def mcp(**fields):
    tool = {"type": "mcp", "server_label": "tools", "server_url": URL, **fields}
    return {name: value for name, value in tool.items() if value is not None}


def only(events, kind):
    return [event for event in events if event["type"] == kind]


def folded(events):
    """Types in order, runs of deltas folded."""
    names = []
    for name in types(events):
        if not names or names[-1] != name:
            names.append(name)
    return names


LISTED = [
    "session.updated",
    "conversation.item.added",
    "mcp_list_tools.in_progress",
    "conversation.item.done",
]

CALLED = [
    "response.output_item.added",
    "conversation.item.added",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
]

ENDED = ["conversation.item.done", "response.output_item.done"]

SAID = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


# -- lists of tools ----------------------------------------------------------------------


def test_a_list_of_tools_event_by_event(wire):
    events = wire.offer()
    assert types(events) == [*LISTED, "mcp_list_tools.completed"]
    added, done = events[1]["item"], events[3]["item"]
    assert added == {
        "id": added["id"],
        "type": "mcp_list_tools",
        "server_label": "tools",
        "tools": [],
    }
    assert done["tools"] == [
        {
            "name": "weather",
            "description": "Tells the weather.",
            "input_schema": SCHEMA,
            "annotations": {"readOnlyHint": True},
        },
        {
            "name": "send",
            "description": "",
            "input_schema": SCHEMA,
        },
    ]
    assert {e["item_id"] for e in (events[2], events[4])} == {added["id"]}


def test_the_item_of_a_list_can_be_retrieved_at_once(wire):
    events = wire.configure(tools=[mcp()])
    item_id = events[1]["item"]["id"]
    [retrieved] = wire.send("conversation.item.retrieve", item_id=item_id)
    assert retrieved["item"]["tools"] == []


def test_a_list_that_fails_says_so_and_why(wire):
    wire.configure(tools=[mcp()])
    [wanted] = wire.effects(effects.ListMcpTools)
    wire.machine.mcp_failed(wanted.item_id, "Nobody is there.", NOW)
    events = wire.read()
    assert types(events) == [
        "conversation.item.done",
        "mcp_list_tools.failed",
        "error",
    ]
    assert events[2]["error"]["type"] == "external_connector_error"
    assert events[2]["error"]["message"].endswith("'tools'. Nobody is there.")
    wire.machine.mcp_listed(wanted.item_id, [WEATHER], NOW)
    assert wire.read() == []
    wire.respond()
    assert wire.asked().tools == ()


def test_the_same_server_is_not_listed_twice_unless_it_failed(wire):
    wire.offer()
    wire.configure(tools=[mcp(require_approval="never")])
    assert wire.effects(effects.ListMcpTools) == []
    wire.configure(tools=[mcp(allowed_tools=["send"])])
    [wanted] = wire.effects(effects.ListMcpTools)
    wire.machine.mcp_failed(wanted.item_id, "no", NOW)
    wire.configure(tools=[mcp(allowed_tools=["send"])])
    assert len(wire.effects(effects.ListMcpTools)) == 1


def test_an_update_without_tools_leaves_servers_alone(wire):
    wire.offer()
    assert types(wire.configure(instructions="Be brief.")) == ["session.updated"]
    wire.respond()
    assert [tool.name for tool in wire.asked().tools] == ["weather", "send"]


def test_a_server_that_is_removed_offers_nothing_and_may_come_back_by_its_label(wire):
    wire.offer(authorization="s3cret")
    wire.configure(tools=[])
    [forgotten] = wire.effects(effects.ForgetMcpServer)
    assert forgotten.server.url == URL
    wire.answer("Hi", None)
    assert wire.asked().tools == ()
    wire.configure(tools=[mcp(server_url=None)])
    [wanted] = wire.effects(effects.ListMcpTools)
    assert wanted.server == forgotten.server
    assert wanted.server.headers == (("Authorization", "Bearer s3cret"),)


def test_a_server_that_is_removed_while_it_is_asked_ends_its_list(wire):
    wire.configure(tools=[mcp()])
    events = wire.configure(tools=[])
    assert types(events) == [
        "session.updated",
        "conversation.item.done",
        "mcp_list_tools.failed",
    ]


def test_another_address_under_the_same_label_is_listed_anew(wire):
    wire.offer()
    wire.configure(tools=[mcp(server_url="https://other.example/")])
    found = wire.machine.take_effects()
    assert [type(effect) for effect in found] == [
        effects.ListMcpTools,
        effects.ForgetMcpServer,
    ]
    assert found[0].server.url == "https://other.example/"


def test_a_list_whose_item_was_deleted_still_ends(wire):
    events = wire.configure(tools=[mcp()])
    item_id = events[1]["item"]["id"]
    wire.send("conversation.item.delete", item_id=item_id)
    wire.machine.mcp_listed(item_id, [WEATHER], NOW)
    assert types(wire.read())[-1] == "mcp_list_tools.completed"
    [error] = wire.send("conversation.item.retrieve", item_id=item_id)
    assert error["error"]["code"] == "item_retrieve_invalid_item_id"


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        (["send"], ["send"]),
        ([], []),
        ({"tool_names": ["weather", "unknown"]}, ["weather"]),
        ({"read_only": True}, ["weather"]),
        ({"read_only": False}, ["send"]),
        ({"read_only": True, "tool_names": ["send"]}, []),
        ({}, ["weather", "send"]),
    ],
)
def test_only_allowed_tools_are_listed_and_offered(wire, allowed, names):
    done = only(wire.offer(allowed_tools=allowed), "conversation.item.done")[0]
    assert [tool["name"] for tool in done["item"]["tools"]] == names
    wire.respond()
    assert [tool.name for tool in wire.asked().tools] == names


def test_a_session_may_begin_with_servers():
    wire = McpWire(session={"tools": [mcp(authorization="s3cret")]})
    assert wire.created["session"]["tools"] == [mcp(authorization="<redacted>")]
    [wanted] = wire.effects(effects.ListMcpTools)
    assert wanted.server.headers == (("Authorization", "Bearer s3cret"),)


# -- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tools", "param", "words"),
    [
        ([mcp(), mcp()], "session.tools[1].server_label", "Duplicate"),
        ([mcp(server_url=None)], "session.tools[0].server_url", "not been defined"),
        (
            [mcp(server_url=None, connector_id="connector_gmail")],
            "session.tools[0].connector_id",
            "give the server_url",
        ),
        (
            [mcp(server_url=None, tunnel_id="t_1")],
            "session.tools[0].tunnel_id",
            "give the server_url",
        ),
        (
            [mcp(connector_id="connector_gmail")],
            "session.tools[0].connector_id",
            "exclude each other",
        ),
        (
            [mcp(server_url=None, connector_id="connector_nobody")],
            "session.tools[0].connector_id",
            "Supported values",
        ),
        (
            [mcp(authorization="a", headers={"authorization": "b"})],
            "session.tools[0].headers.Authorization",
            "exclude each other",
        ),
        (
            [
                mcp(
                    server_url=None,
                    connector_id="connector_gmail",
                    headers={"Authorization": "b"},
                )
            ],
            "session.tools[0].headers.Authorization",
            "connector",
        ),
        ([mcp(server_url="file:///etc/passwd")], "session.tools[0].server_url", "http"),
        ([mcp(server_url="https://me:pw@x/")], "session.tools[0].server_url", "http"),
        ([mcp(server_url="http://[::1")], "session.tools[0].server_url", "http"),
        ([mcp(server_url="http:///path")], "session.tools[0].server_url", "http"),
        (
            [mcp(authorization="<redacted>")],
            "session.tools[0].headers.Authorization",
            "given before",
        ),
    ],
)
def test_servers_that_cannot_be_are_refused_and_nothing_changes(
    wire, tools, param, words
):
    error = error_of(wire.configure(tools=tools))
    assert error["param"] == param
    assert words in error["message"]
    assert "pw" not in error["message"]
    assert wire.machine.take_effects() == []
    [updated] = wire.configure()
    assert updated["session"]["tools"] == []


def test_an_update_refused_for_another_reason_defines_no_server(wire):
    error_of(wire.configure(tools=[mcp()], model="another"))
    assert wire.machine.take_effects() == []


def test_secrets_are_echoed_nowhere(wire):
    secrets = {"headers": {"X-Key": "hush"}, "authorization": "s3cret"}
    events = wire.offer(**secrets)
    shown = json.dumps(events)
    assert "hush" not in shown
    assert "s3cret" not in shown
    assert events[0]["session"]["tools"] == redacted([mcp(**secrets)])
    wire.respond()
    assert "s3cret" not in repr(wire.asked())


def test_what_was_echoed_may_be_sent_back(wire):
    echoed = wire.offer(authorization="s3cret")[0]["session"]["tools"]
    [updated] = wire.configure(tools=echoed)
    assert updated["session"]["tools"] == echoed
    assert wire.machine.take_effects() == []


def test_what_was_echoed_goes_to_no_other_address(wire):
    [echoed] = wire.offer(authorization="s3cret")[0]["session"]["tools"]
    echoed["server_url"] = "https://evil.example/"
    error = error_of(wire.configure(tools=[echoed]))
    assert "given before" in error["message"]


def test_an_effect_hides_headers(wire):
    wire.configure(tools=[mcp(authorization="s3cret")])
    assert "s3cret" not in repr(wire.machine.take_effects())


# -- calls -------------------------------------------------------------------------------


def test_a_call_event_by_event(wire):
    wire.offer(require_approval="never")
    wire.user("What is the weather?")
    _, events = wire.call()
    assert folded(events) == CALLED
    item_id = events[0]["item"]["id"]
    assert events[0]["item"] == {
        "id": item_id,
        "type": "mcp_call",
        "server_label": "tools",
        "name": "weather",
        "arguments": "",
        "approval_request_id": None,
        "output": None,
        "error": None,
    }
    deltas = only(events, "response.mcp_call_arguments.delta")
    text = "".join(event["delta"] for event in deltas)
    assert json.loads(text) == ARGUMENTS
    assert all(len(e["delta"] + e["obfuscation"]) % 16 == 0 for e in deltas)
    done = only(events, "response.mcp_call_arguments.done")[0]
    assert done["arguments"] == text
    assert "response_id" not in events[-1]
    wire.effects(effects.Respond)


def test_the_same_response_goes_on_with_the_answer(wire):
    wire.offer(require_approval="never")
    wire.user("What is the weather?")
    response_id = wire.respond()
    wire.effects(effects.Respond)
    wire.machine.call(response_id, "weather", ARGUMENTS, NOW)
    wire.machine.finish(response_id, NOW)
    wire.read()
    [wanted] = wire.effects(effects.CallMcpTool)
    assert (wanted.server.url, wanted.name) == (URL, "weather")
    assert wanted.arguments == ARGUMENTS
    wire.machine.mcp_called(wanted.item_id, "Sunny.", NOW)
    events = wire.read()
    assert types(events) == ["response.mcp_call.completed", *ENDED]
    assert events[2]["item"]["output"] == "Sunny."
    again = wire.asked()
    assert again.response_id == response_id
    assert again.items[-1].output == "Sunny."
    assert [tool.name for tool in again.tools] == ["weather", "send"]
    wire.machine.write(response_id, "It is sunny.", NOW)
    wire.machine.finish(response_id, NOW)
    events = wire.read()
    assert types(events) == SAID
    response = events[-2]["response"]
    assert [item["type"] for item in response["output"]] == ["mcp_call", "message"]
    assert [one["output_index"] for one in only(events, SAID[0])] == [1]


@pytest.mark.parametrize(
    "error",
    [
        ev.McpToolExecutionError(message="It broke."),
        ev.McpProtocolError(code=-32602, message="Unknown tool"),
        ev.McpHttpError(code=503, message="Http status code: 503"),
    ],
)
def test_a_call_that_fails_is_answered_too(wire, error):
    wire.offer(require_approval="never")
    wire.call()
    wire_effects = wire.machine.take_effects()
    [wanted] = [e for e in wire_effects if isinstance(e, effects.CallMcpTool)]
    wire.machine.mcp_called(wanted.item_id, error, NOW)
    events = wire.read()
    assert types(events) == ["response.mcp_call.failed", *ENDED]
    item = events[2]["item"]
    assert item["output"] is None
    assert item["error"]["message"] == error.message
    assert wire.asked().items[-1].error == error


def test_calls_side_by_side_are_answered_once(wire):
    wire.offer(require_approval="never")
    response_id = wire.respond()
    wire.effects(effects.Respond)
    wire.machine.call(response_id, "weather", ARGUMENTS, NOW)
    wire.machine.call(response_id, "send", {}, NOW)
    wire.machine.write(response_id, "One moment.", NOW)
    first, second = wire.effects(effects.CallMcpTool)
    wire.machine.mcp_called(second.item_id, "sent", NOW)
    wire.machine.finish(response_id, NOW)
    assert wire.effects(effects.Respond) == []
    wire.machine.mcp_called(first.item_id, "Sunny.", NOW)
    # What was called for comes last, whatever was said meanwhile.
    kinds = [type(item) for item in wire.asked().items]
    assert kinds[-3:] == [ev.MessageItem, ev.McpCallItem, ev.McpCallItem]
    events = wire.read()
    indexes = [e["output_index"] for e in only(events, "response.output_item.added")]
    assert indexes == [0, 1, 2]
    wire.machine.finish(response_id, NOW)
    response = wire.read()[-2]["response"]
    kinds = [item["type"] for item in response["output"]]
    assert kinds == ["mcp_call", "mcp_call", "message"]


def test_a_call_of_the_client_beside_it_leaves_the_answer_to_the_client(wire):
    wire.configure(
        tools=[{"type": "function", "name": "light"}, mcp(require_approval="never")]
    )
    [wanted] = wire.effects(effects.ListMcpTools)
    wire.machine.mcp_listed(wanted.item_id, [WEATHER], NOW)
    wire.read()
    response_id = wire.respond()
    assert [tool.name for tool in wire.asked().tools] == ["light", "weather"]
    wire.machine.call(response_id, "light", {}, NOW)
    wire.machine.call(response_id, "weather", {}, NOW)
    wire.machine.finish(response_id, NOW)
    events = wire.read() + wire.called("Sunny.")
    assert only(events, "response.done")[0]["response"]["status"] == "completed"


def test_a_cancelled_response_stops_its_call(wire):
    wire.offer(require_approval="never")
    wire.call()
    events = wire.send("response.cancel")
    assert types(events) == [
        "response.mcp_call.failed",
        *ENDED,
        "response.done",
        "rate_limits.updated",
    ]
    found = wire.machine.take_effects()
    [stopped] = [one for one in found if isinstance(one, effects.StopMcpCall)]
    wire.machine.mcp_called(stopped.item_id, "late", NOW)
    assert wire.read() == []


def test_a_responder_that_never_stops_calling_is_stopped(wire):
    wire.offer(require_approval="never")
    response_id = wire.respond()
    for _ in range(MOST_ROUNDS):
        asked = wire.asked()
        assert asked.tools
        wire.machine.call(response_id, "weather", {}, NOW)
        wire.machine.finish(response_id, NOW)
        wire.called("Sunny.")
    asked = wire.asked()
    assert (asked.tools, asked.tool_choice) == ((), "none")


def test_a_call_that_is_too_long_is_not_begun(wire):
    wire.offer(require_approval="never")
    response_id = wire.respond(max_output_tokens=5)
    assert not wire.machine.call(response_id, "weather", {"city": "x" * 200}, NOW)
    events = wire.read()
    assert types(events) == ["response.done", "rate_limits.updated"]
    assert events[0]["response"]["status"] == "incomplete"
    assert wire.effects(effects.CallMcpTool) == []


@pytest.mark.parametrize("approval", ["never", "always"])
def test_calls_one_at_a_time_where_that_is_wanted(approval):
    wire = McpWire(model="gpt-realtime-2.1", session={"output_modalities": ["text"]})
    wire.offer(require_approval=approval)
    response_id = wire.respond(parallel_tool_calls=False)
    wire.effects(effects.Respond)
    assert not wire.machine.call(response_id, "weather", ARGUMENTS, NOW)
    found = wire.machine.take_effects()
    stopped = [one for one in found if isinstance(one, effects.StopResponding)]
    assert [one.response_id for one in stopped] == [response_id]
    assert wire.machine.is_active(response_id) == (approval == "never")
    for call in found:
        if isinstance(call, effects.CallMcpTool):
            wire.machine.mcp_called(call.item_id, "Sunny.", NOW)
            assert wire.asked().response_id == response_id


def test_what_was_demanded_is_demanded_once(wire):
    wire.offer(require_approval="never")
    response_id = wire.respond(tool_choice="required")
    assert wire.asked().tool_choice == "required"
    wire.machine.call(response_id, "weather", {}, NOW)
    wire.machine.finish(response_id, NOW)
    wire.called("Sunny.")
    assert wire.asked().tool_choice == "auto"


@pytest.mark.parametrize(
    ("choice", "names", "demanded"),
    [
        ({"server_label": "tools"}, ["weather", "send"], "required"),
        ({"server_label": "tools", "name": "send"}, ["send"], "required"),
        ({"server_label": "unknown"}, [], "none"),
    ],
)
def test_tool_choice_names_a_server(wire, choice, names, demanded):
    wire.offer()
    wire.respond(tool_choice={"type": "mcp", **choice})
    asked = wire.asked()
    assert [tool.name for tool in asked.tools] == names
    assert asked.tool_choice == demanded


def test_tools_of_one_name_are_told_apart(wire):
    wire.configure(
        tools=[
            {"type": "function", "name": "weather"},
            mcp(require_approval="never"),
            mcp(server_label="more.tools", server_url="https://more.example/"),
        ]
    )
    for wanted in wire.effects(effects.ListMcpTools):
        wire.machine.mcp_listed(wanted.item_id, [WEATHER], NOW)
    wire.read()
    response_id = wire.respond()
    names = [tool.name for tool in wire.asked().tools]
    assert names == ["weather", "tools_weather", "more_tools_weather"]
    wire.machine.call(response_id, "tools_weather", {}, NOW)
    [wanted] = wire.effects(effects.CallMcpTool)
    assert (wanted.server.label, wanted.name) == ("tools", "weather")


def test_a_name_that_no_server_has_is_a_function(wire):
    wire.offer(require_approval="never")
    _, events = wire.call("delete_everything")
    assert events[0]["item"]["type"] == "function_call"
    assert wire.effects(effects.CallMcpTool) == []


def test_items_of_the_client_call_nothing(wire):
    wire.offer(require_approval="never")
    item = {"server_label": "tools", "name": "weather", "arguments": "{}"}
    for kind in ("mcp_call", "mcp_approval_request"):
        events = wire.send("conversation.item.create", item={"type": kind, **item})
        assert types(events) == ["conversation.item.added", "conversation.item.done"]
    assert wire.machine.take_effects() == []


# -- servers of one response -------------------------------------------------------------


def test_a_response_waits_for_servers_of_its_own(wire):
    events = wire.send(
        "response.create", response={"tools": [mcp(require_approval="never")]}
    )
    assert types(events) == [
        "response.created",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
    ]
    [wanted] = wire.machine.take_effects()
    wire.machine.mcp_listed(wanted.item_id, [WEATHER], NOW)
    assert [tool.name for tool in wire.asked().tools] == ["weather"]
    wire.machine.finish(events[0]["response"]["id"], NOW)
    wire.read()
    wire.respond()
    assert wire.asked().tools == ()


def test_a_response_does_without_a_server_that_fails(wire):
    wire.send("response.create", response={"tools": [mcp()]})
    [wanted] = wire.machine.take_effects()
    wire.machine.mcp_failed(wanted.item_id, "no", NOW)
    assert wire.asked().tools == ()


def test_a_response_does_not_wait_for_servers_of_the_session(wire):
    wire.configure(tools=[mcp()])
    wire.effects(effects.ListMcpTools)
    wire.respond()
    assert wire.asked().tools == ()


def test_a_response_narrows_the_session_for_itself_only(wire):
    wire.offer()
    narrow = mcp(server_url=None, allowed_tools=["send"])
    events = wire.send("response.create", response={"tools": [narrow]})
    [wanted] = wire.machine.take_effects()
    wire.machine.mcp_listed(wanted.item_id, [WEATHER, SEND], NOW)
    assert [tool.name for tool in wire.asked().tools] == ["send"]
    wire.machine.finish(events[0]["response"]["id"], NOW)
    wire.read()
    wire.respond()
    assert [tool.name for tool in wire.asked().tools] == ["weather", "send"]


def test_a_response_with_a_bad_server_is_refused(wire):
    error = error_of(
        wire.send("response.create", response={"tools": [mcp(server_url="ftp://x")]})
    )
    assert error["param"] == "response.tools[0].server_url"
    assert wire.machine.active_response_id is None


def test_a_cancelled_response_that_waits_is_never_asked(wire):
    wire.send("response.create", response={"tools": [mcp()]})
    [wanted] = wire.machine.take_effects()
    wire.send("response.cancel")
    wire.machine.take_effects()
    wire.machine.mcp_listed(wanted.item_id, [WEATHER], NOW)
    assert wire.machine.take_effects() == []


# -- approvals ---------------------------------------------------------------------------


def test_a_call_that_must_be_allowed_asks(wire):
    wire.offer()
    wire.user("What is the weather?")
    _, events = wire.call()
    assert folded(events) == [
        *CALLED[:-1],
        *ENDED,
        "response.done",
        "rate_limits.updated",
    ]
    request = only(events, "response.output_item.done")[0]["item"]
    assert request == {
        "id": request["id"],
        "type": "mcp_approval_request",
        "server_label": "tools",
        "name": "weather",
        "arguments": json.dumps(ARGUMENTS),
    }
    assert wire.effects(effects.CallMcpTool) == []


def test_an_allowed_call_runs_in_a_response_of_its_own(wire):
    request = wire.request_approval()
    events = wire.answer_approval(request, approve=True)
    assert types(events) == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.mcp_call.in_progress",
    ]
    call = events[3]["item"]
    assert call["approval_request_id"] == request["id"]
    assert call["arguments"] == request["arguments"]
    [wanted] = wire.effects(effects.CallMcpTool)
    assert wanted.arguments == ARGUMENTS
    wire.machine.mcp_called(wanted.item_id, "Sunny.", NOW)
    asked = wire.asked()
    assert asked.items[-1].output == "Sunny."
    wire.machine.write(asked.response_id, "It is sunny.", NOW)
    wire.machine.finish(asked.response_id, NOW)
    assert types(wire.read()) == ["response.mcp_call.completed", *ENDED, *SAID]


def test_a_refused_call_never_runs_and_is_answered(wire):
    request = wire.request_approval(tool_choice="required")
    events = wire.answer_approval(request, approve=False, reason="Not today.")
    assert types(events)[-1] == "response.created"
    found = wire.machine.take_effects()
    [asked] = found
    assert isinstance(asked, effects.Respond)
    assert asked.items[-1].reason == "Not today."
    assert asked.tool_choice == "auto"


def test_an_id_and_a_place_may_be_given_with_an_answer(wire):
    request = wire.request_approval()
    item = {
        "type": "mcp_approval_response",
        "id": "approval_" + "x" * 40,
        "approval_request_id": request["id"],
        "approve": True,
    }
    events = wire.send(
        "conversation.item.create", item=item, previous_item_id=request["id"]
    )
    assert events[0]["previous_item_id"] == request["id"]
    assert events[0]["item"]["id"] == item["id"]


def test_a_request_is_answered_once(wire):
    request = wire.request_approval()
    wire.answer_approval(request, approve=True)
    error = error_of(wire.answer_approval(request, approve=True))
    assert error["code"] == "item_create_invalid_approval_request_id"
    assert "has been answered" in error["message"]
    assert len(wire.effects(effects.CallMcpTool)) == 1


def test_an_answer_to_no_request_is_refused(wire):
    error = error_of(wire.answer_approval({"id": "item_x"}, approve=True))
    assert error["param"] == "item.approval_request_id"
    assert "does not exist" in error["message"]


def test_an_answer_that_cannot_be_placed_leaves_the_request_open(wire):
    request = wire.request_approval()
    answer = {
        "type": "mcp_approval_response",
        "approval_request_id": request["id"],
        "approve": True,
    }
    error_of(
        wire.send("conversation.item.create", item=answer, previous_item_id="nowhere")
    )
    assert wire.effects(effects.CallMcpTool) == []
    wire.answer_approval(request, approve=True)
    assert len(wire.effects(effects.CallMcpTool)) == 1


def test_an_allowed_call_waits_until_nothing_else_is_said(wire):
    request = wire.request_approval()
    other = wire.respond()
    events = wire.answer_approval(request, approve=True)
    assert types(events) == ["conversation.item.added", "conversation.item.done"]
    assert wire.effects(effects.CallMcpTool) == []
    wire.machine.finish(other, NOW)
    events = wire.read()
    assert types(events)[:3] == [
        "response.done",
        "rate_limits.updated",
        "response.created",
    ]
    assert len(wire.effects(effects.CallMcpTool)) == 1


def test_an_allowed_call_does_not_interrupt_who_interrupted(wire):
    request = wire.request_approval()
    wire.respond()
    wire.answer_approval(request, approve=True)
    assert wire.machine._responses.cancel(None, "turn_detected")
    assert only(wire.read(), "response.created") == []
    answer = wire.respond()
    wire.machine.finish(answer, NOW)
    assert len(only(wire.read(), "response.created")) == 1
    assert len(wire.effects(effects.CallMcpTool)) == 1


def test_history_may_hold_requests_and_answers(wire):
    item = {
        "type": "mcp_approval_request",
        "id": "item_old",
        "server_label": "tools",
        "name": "weather",
        "arguments": "{}",
    }
    wire.send("conversation.item.create", item=item)
    events = wire.answer_approval({"id": "item_old"}, approve=True)
    assert types(events) == ["conversation.item.added", "conversation.item.done"]
    assert wire.machine.take_effects() == []


def test_a_response_aside_goes_on_aside(wire):
    wire.offer()
    response_id = wire.respond(
        conversation="none",
        input=[
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "weather"}],
            }
        ],
    )
    wire.machine.call(response_id, "weather", ARGUMENTS, NOW)
    wire.machine.finish(response_id, NOW)
    [done] = only(wire.read(), "response.output_item.done")
    wire.machine.take_effects()
    events = wire.answer_approval(done["item"], approve=True)
    created = only(events, "response.created")[0]["response"]
    assert created["conversation_id"] is None
    wire.called("Sunny.")
    items = wire.asked().items
    assert [type(item) for item in items] == [
        ev.MessageItem,
        ev.McpApprovalRequestItem,
        ev.McpApprovalResponseItem,
        ev.McpCallItem,
    ]


@pytest.mark.parametrize(
    ("policy", "asks"),
    [
        ("always", ["weather", "send"]),
        ("never", []),
        (None, ["weather", "send"]),
        ({"never": {"tool_names": ["weather"]}}, ["send"]),
        ({"never": {"read_only": True}}, ["send"]),
        ({"always": {"tool_names": ["send"]}}, ["weather", "send"]),
        (
            {"always": {"tool_names": ["send"]}, "never": {"tool_names": ["weather"]}},
            ["send"],
        ),
        (
            {"always": {"tool_names": ["send"]}, "never": {"tool_names": ["send"]}},
            ["weather", "send"],
        ),
        ({"never": {}}, ["weather", "send"]),
        ({"never": {"read_only": True, "tool_names": ["send"]}}, ["weather", "send"]),
    ],
)
def test_who_must_be_asked(wire, policy, asks):
    wire.configure(tools=[mcp(require_approval=policy)])
    [wanted] = wire.effects(effects.ListMcpTools)
    wire.machine.mcp_listed(wanted.item_id, [WEATHER, SEND], NOW)
    wire.read()
    asked = []
    for name in ("weather", "send"):
        _, events = wire.call(name)
        if events[0]["item"]["type"] == "mcp_approval_request":
            asked.append(name)
        elif wire.machine.active_response_id:
            wire.send("response.cancel")
    assert asked == asks


def test_a_read_only_hint_must_be_true():
    hinted = ev.McpToolDescription(
        name="x", input_schema={}, annotations={"readOnlyHint": "yes"}
    )
    definition = Definition(
        server=effects.McpServer("tools", URL),
        allowed=ev.McpToolFilter(read_only=True),
        approval="always",
    )
    assert not definition.allows(hinted)
    assert definition.allows(WEATHER)
