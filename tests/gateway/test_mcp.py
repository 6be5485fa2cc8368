"""The gateway's MCP client, against real servers of the official SDK on loopback."""

import asyncio
import contextlib
import logging
import sys

import pytest
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route

from rtnb.errors import EngineError, MissingExtra
from rtnb.gateway import mcp, mcp_http
from rtnb.gateway.mcp import McpClients
from rtnb.gateway.mcp_addresses import Admission
from rtnb.protocol.events import McpHttpError, McpProtocolError, McpToolExecutionError
from rtnb.protocol.server import McpServer
from tests.gateway.mcp_server import mcp_server, serving

SECRET = (("Authorization", "Bearer s3cret"),)


@pytest.fixture(scope="module", params=[{}, {"json_response": True}])
def options(request):
    return request.param


@pytest.fixture
def served(options):
    with mcp_server(**options) as found:
        yield found


def using(work, **options):
    """Run `work(clients)` and close the connections."""

    async def run():
        clients = McpClients(**{"allow_private": True, **options})
        try:
            return await asyncio.wait_for(work(clients), 20)
        finally:
            await clients.close()

    return asyncio.run(run())


def named(url, headers=()):
    return McpServer("tools", url, headers)


def test_tools_are_listed(served):
    found = using(lambda clients: clients.list_tools(named(served.url)))
    assert [tool.name for tool in found] == [
        "get_weather",
        "break_things",
        "recite",
        "dawdle",
    ]
    assert found[0].description == "Tells the weather of a city."
    assert found[0].input_schema["properties"]["city"]["type"] == "string"
    assert found[0].annotations == {"readOnlyHint": True}


def test_one_connection_serves_a_session_and_shows_the_authorization(served, caplog):
    caplog.set_level(logging.DEBUG)

    async def work(clients):
        server = named(served.url, SECRET)
        await clients.list_tools(server)
        before = len([one for one in served.requests if one[0] == "POST"])
        city = {"city": "Paris"}
        told = await asyncio.gather(
            *(clients.call(server, "get_weather", city) for _ in range(3))
        )
        after = len([one for one in served.requests if one[0] == "POST"])
        return told, after - before

    told, posts = using(work)
    assert told == ["It is sunny in Paris."] * 3
    assert posts == 3
    assert {one[2] for one in served.requests} == {"Bearer s3cret"}
    assert "s3cret" not in caplog.text


def test_a_tool_that_fails(served):
    result = using(lambda clients: clients.call(named(served.url), "break_things", {}))
    assert isinstance(result, McpToolExecutionError)
    assert "it broke" in result.message


def test_a_tool_that_there_is_not(served):
    result = using(lambda clients: clients.call(named(served.url), "nothing", {}))
    assert isinstance(result, McpToolExecutionError | McpProtocolError)
    assert "nothing" in result.message


def test_a_long_output_is_cut(served):
    many = {"count": mcp.LONGEST_OUTPUT + 5}
    result = using(lambda clients: clients.call(named(served.url), "recite", many))
    assert result == "x" * mcp.LONGEST_OUTPUT + "… [5 more characters were cut]"


def test_a_tool_that_takes_too_long(served):
    async def work(clients):
        server = named(served.url)
        return [
            await clients.call(server, "dawdle", {}),
            await clients.call(server, "get_weather", {"city": "Rome"}),
        ]

    late, told = using(work, call_seconds=2.0)
    assert late == McpProtocolError(
        code=-32001, message="The tool did not answer in 2 s."
    )
    assert told == "It is sunny in Rome."


def test_a_call_can_be_cancelled(served):
    async def work(clients):
        server = named(served.url)
        call = asyncio.create_task(clients.call(server, "dawdle", {}))
        assert await asyncio.to_thread(served.dawdling.wait, 10)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        return await clients.call(server, "get_weather", {"city": "Rome"})

    assert using(work) == "It is sunny in Rome."


def test_a_forgotten_server_is_connected_to_anew(served):
    async def work(clients):
        server = named(served.url)
        first = await clients.list_tools(server)
        await clients.forget(server)
        await clients.forget(server)
        return first == await clients.list_tools(server)

    assert using(work)


def test_a_server_that_went_away_and_came_back():
    async def work(clients):
        with mcp_server() as served:
            await clients.list_tools(named(served.url))
        with pytest.raises(EngineError):
            await clients.list_tools(named(served.url))
        result = await clients.call(named(served.url), "get_weather", {"city": "x"})
        assert isinstance(result, McpProtocolError)

    using(work)


# -- addresses ---------------------------------------------------------------------------


def test_loopback_is_refused_without_the_switch(served):
    with pytest.raises(EngineError, match="not an address of the public Internet"):
        using(lambda c: c.list_tools(named(served.url)), allow_private=False)
    assert served.requests == []


def test_a_name_that_means_loopback_is_refused_without_the_switch(served):
    url = served.url.replace("127.0.0.1", "localhost")
    with pytest.raises(EngineError, match="The host localhost is at"):
        using(lambda c: c.list_tools(named(url)), allow_private=False)
    assert served.requests == []


def test_a_call_to_a_refused_address_fails_in_words(served):
    result = using(
        lambda c: c.call(named(served.url), "get_weather", {}), allow_private=False
    )
    assert isinstance(result, McpProtocolError)
    assert "public Internet" in result.message


def test_a_name_is_connected_to_where_it_was_looked_up():
    """The name is resolved by us alone: the connection goes to the number."""
    asked = []

    async def resolve(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    anybody = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    with mcp_server(transport_security=anybody) as served:
        url = served.url.replace("127.0.0.1", "tools.invalid")
        found = using(lambda c: c.list_tools(named(url)), resolve=resolve)
        assert found
        port = served.url.split(":")[2].split("/")[0]
        assert {one[1] for one in served.requests} == {f"tools.invalid:{port}"}
    assert set(asked) == {"tools.invalid"}


def test_a_name_that_is_bound_anew_is_refused(served):
    """Each request looks again: the second answer of a resolver does not slip in."""
    answers = iter([["192.0.43.10"], ["127.0.0.1"]])

    async def resolve(host, port):
        return next(answers, ["127.0.0.1"])

    admit = Admission(resolve=resolve)

    async def look():
        first = await admit("rebinding.example", 80)
        client = mcp_http.http_client({}, connect_seconds=1.0, admit=admit)
        async with client:
            with pytest.raises(EngineError, match=r"at 127\.0\.0\.1"):
                await client.post(served.url.replace("127.0.0.1", "rebinding.example"))
        return first

    assert asyncio.run(look()) == ["192.0.43.10"]
    assert served.requests == []


def test_every_address_of_a_name_is_tried(served):
    async def resolve(host, port):
        return ["::1", "127.0.0.1"]  # only the second is listened to

    assert using(lambda c: c.list_tools(named(served.url)), resolve=resolve)


def test_proxies_of_the_environment_are_not_used(served, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert using(lambda clients: clients.list_tools(named(served.url)))


# -- servers that are none ---------------------------------------------------------------


def plain(handler):
    methods = ["GET", "POST", "DELETE"]
    return serving(Starlette(routes=[Route("/mcp", handler, methods=methods)]))


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_what_http_says_is_told(status):
    with plain(lambda _: PlainTextResponse("no", status_code=status)) as origin:
        server = named(f"{origin}/mcp")
        with pytest.raises(EngineError, match=f"Http status code: {status}"):
            using(lambda clients: clients.list_tools(server))
        result = using(lambda clients: clients.call(server, "x", {}))
    assert isinstance(result, McpHttpError)
    assert result.code == status


def test_redirects_are_not_followed(served):
    def away(request):
        return RedirectResponse(served.url, status_code=307)

    told = pytest.raises(EngineError, match=r"307.*redirects are not followed")
    with plain(away) as origin, told:
        using(lambda clients: clients.list_tools(named(f"{origin}/mcp")))
    assert served.requests == []


def test_redirects_within_the_server_are_not_followed_either():
    seen = []

    def away(request):
        seen.append(request.url.path)
        return RedirectResponse("/mcp/", status_code=307)

    app = Starlette(
        routes=[
            Route("/mcp", away, methods=["GET", "POST"]),
            Route("/mcp/", away, methods=["GET", "POST"]),
        ]
    )
    with serving(app) as origin, pytest.raises(EngineError, match="307"):
        using(lambda clients: clients.list_tools(named(f"{origin}/mcp")))
    assert set(seen) == {"/mcp"}


def test_an_answer_without_end_is_not_read(monkeypatch):
    monkeypatch.setattr(mcp_http, "LARGEST_ANSWER", 1000)
    large = plain(lambda _: JSONResponse({"x": "y" * 10_000}))
    with large as origin, pytest.raises(EngineError, match="1000 bytes"):
        using(lambda clients: clients.list_tools(named(f"{origin}/mcp")))


def test_nobody_listens():
    with pytest.raises(EngineError, match="ConnectError"):
        using(lambda clients: clients.list_tools(named("http://127.0.0.1:9/mcp")))


def test_too_many_tools(served, monkeypatch):
    monkeypatch.setattr(mcp, "MOST_TOOLS", 2)
    with pytest.raises(EngineError, match="more than 2 tools"):
        using(lambda clients: clients.list_tools(named(served.url)))


def test_a_description_that_is_too_long(served, monkeypatch):
    monkeypatch.setattr(mcp, "LARGEST_SCHEMA", 20)
    with pytest.raises(EngineError, match="'get_weather' is longer than 20"):
        using(lambda clients: clients.list_tools(named(served.url)))


def test_too_many_servers(served, monkeypatch):
    monkeypatch.setattr(mcp, "MOST_SERVERS", 1)

    async def work(clients):
        await clients.list_tools(named(served.url))
        await clients.list_tools(named(f"{served.url}?2"))

    with pytest.raises(EngineError, match="1 MCP servers already"):
        using(work)


def test_without_the_package_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtra, match=r"pip install \"rtnb\[mcp\]\""):
        using(lambda clients: clients.list_tools(named("http://127.0.0.1:9/mcp")))
