"""An MCP server of the official SDK on loopback, with tools that do little."""

import asyncio
import contextlib
import socket
import threading

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations


class Served:
    """What a server was asked, and where it is."""

    def __init__(self, url):
        self.url = url
        self.requests = []
        self.dawdling = threading.Event()


def tools(served):
    server = MCPServer("tests")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    async def get_weather(city: str) -> str:
        """Tells the weather of a city."""
        return f"It is sunny in {city}."

    @server.tool()
    async def break_things() -> str:
        """Breaks."""
        raise ToolError("it broke")

    @server.tool()
    async def recite(count: int) -> str:
        """Recites many letters."""
        return "x" * count

    @server.tool()
    async def dawdle() -> str:
        """Never comes to an end."""
        served.dawdling.set()
        await asyncio.Event().wait()
        return ""

    return server


@contextlib.contextmanager
def serving(app, *, host="127.0.0.1"):
    """Serve an ASGI application in a thread; gives its origin."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=1,
        ws="websockets-sansio",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def mcp_server(**options):
    """An MCP server that notes each request's method, host and authorization."""
    served = Served("")
    inner = tools(served).streamable_http_app(**options)

    async def app(scope, receive, send):
        if scope["type"] == "http":
            headers = {
                name.decode(): value.decode() for name, value in scope["headers"]
            }
            served.requests.append(
                (scope["method"], headers.get("host"), headers.get("authorization"))
            )
        await inner(scope, receive, send)

    with serving(app) as origin:
        served.url = f"{origin}/mcp"
        yield served
