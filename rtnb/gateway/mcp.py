"""The gateway as a client of MCP servers, over streamable HTTP.

The protocol is the official SDK's (extra ``mcp``), imported on first use. A connection is
made when a session first needs it, kept as long as the session, and made anew after it
broke; a call that failed is not repeated, for it may have done something.

What may be connected to is decided in :mod:`rtnb.gateway.mcp_addresses`, and held to, below
the SDK, in :mod:`rtnb.gateway.mcp_http`.

Log levels: INFO connected, closed. Headers and queries are never logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from rtnb.errors import EngineError, MissingExtra
from rtnb.gateway.mcp_addresses import Admission
from rtnb.protocol.events import (
    McpError,
    McpHttpError,
    McpProtocolError,
    McpToolDescription,
    McpToolExecutionError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import mcp
    from mcp.types import CallToolResult

    from rtnb.gateway.mcp_addresses import Resolve
    from rtnb.protocol.server import McpServer

log = logging.getLogger("rtnb.gateway")

CONNECT_SECONDS: Final = 10.0
"""How long a server may take to be connected to and shake hands."""

LIST_SECONDS: Final = 20.0
"""How long it may take to list its tools."""

CALL_SECONDS: Final = 60.0
"""How long a tool may run."""

MOST_SERVERS: Final = 16
"""Servers that one session may be connected to at once."""

MOST_TOOLS: Final = 256
"""Tools that a server may have."""

MOST_PAGES: Final = 32
"""Pages on which it may list them."""

LARGEST_SCHEMA: Final = 64 * 2**10
"""Longest JSON of a tool's description and schema, characters."""

LONGEST_OUTPUT: Final = 64 * 2**10
"""What is kept of a tool's output, characters."""

_TIMED_OUT: Final = -32001
_FAILED: Final = -32000
"""JSON-RPC codes: the SDK's for a request without an answer, and ours."""


class McpClients:
    """The MCP connections of one session.

    Parameters
    ----------
    allow_private : bool, default False
        Whether addresses that are not of the public Internet may be connected to.
    resolve : callable, optional
        Gives the addresses of a host; by default the system's resolver.
    call_seconds : float, default `CALL_SECONDS`
        How long a tool may run.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolve: Resolve | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._admit = Admission(allow_private=allow_private, resolve=resolve)
        self._call_seconds = call_seconds
        self._connections: dict[McpServer, _Connection] = {}

    async def list_tools(self, server: McpServer) -> list[McpToolDescription]:
        """The tools of a server.

        Parameters
        ----------
        server : McpServer
            As the session's owner named it.

        Returns
        -------
        list of McpToolDescription
            All of them.

        Raises
        ------
        EngineError
            If it cannot be reached, may not be, does not speak the protocol, or has too
            many tools; or if the extra is missing.
        """
        try:
            async with asyncio.timeout(LIST_SECONDS), self._using(server) as client:
                return await _all_tools(client)
        except TimeoutError as error:
            raise EngineError(f"It did not answer in {LIST_SECONDS:.0f} s.") from error

    async def call(
        self, server: McpServer, name: str, arguments: dict[str, Any]
    ) -> str | McpError:
        """Call a tool.

        Parameters
        ----------
        server : McpServer
            Whose tool it is.
        name : str
            As the server lists it.
        arguments : dict
            For the tool.

        Returns
        -------
        str or McpError
            Its output as text, at most `LONGEST_OUTPUT` characters of it, or what went
            wrong.
        """
        try:
            async with asyncio.timeout(self._call_seconds):
                async with self._using(server) as client:
                    return _outcome(await client.call_tool(name, arguments))
        except TimeoutError:
            text = f"The tool did not answer in {self._call_seconds:g} s."
            return McpProtocolError(code=_TIMED_OUT, message=text)
        except _RefusedError as error:
            if error.status is not None:
                return McpHttpError(code=error.status, message=str(error))
            return McpProtocolError(code=error.rpc_code, message=str(error))
        except EngineError as error:
            return McpProtocolError(code=_FAILED, message=str(error))

    async def forget(self, server: McpServer) -> None:
        """Close the connection to a server, if there is one."""
        connection = self._connections.pop(server, None)
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*map(self.forget, list(self._connections)))

    @contextlib.asynccontextmanager
    async def _using(self, server: McpServer) -> AsyncIterator[mcp.Client]:
        """The connection to a server; what the SDK raises becomes an EngineError."""
        connection = self._connected(server)
        try:
            yield await connection.ready()
        except (EngineError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise _failure(error) from error
        finally:
            if connection.broken and self._connections.get(server) is connection:
                await self.forget(server)

    def _connected(self, server: McpServer) -> _Connection:
        connection = self._connections.get(server)
        if connection is None:
            if len(self._connections) >= MOST_SERVERS:
                raise EngineError(
                    f"The session is connected to {MOST_SERVERS} MCP servers already: "
                    "remove one."
                )
            connection = _Connection(server, self._admit)
            self._connections[server] = connection
        return connection


class _RefusedError(EngineError):
    """The server said no: the code of the protocol, and of HTTP where that said it."""

    def __init__(self, message: str, code: int, status: int | None) -> None:
        super().__init__(message)
        self.rpc_code = code
        self.status = status


class _Connection:
    """One server, in a task that enters and leaves the SDK's contexts."""

    def __init__(self, server: McpServer, admit: Admission) -> None:
        self._server = server
        self._admit = admit
        self._client: asyncio.Future[mcp.Client] = asyncio.Future()
        self._client.add_done_callback(_retrieve)
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    @property
    def broken(self) -> bool:
        """Whether it is of no more use."""
        return self._task.done()

    async def ready(self) -> mcp.Client:
        """The client, once hands are shaken."""
        return await asyncio.shield(self._client)

    async def close(self) -> None:
        """Say goodbye, if the server lets us, and end."""
        self._over.set()
        if not self._client.done():
            self._task.cancel()
        await asyncio.wait({self._task}, timeout=1.0)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        host = urlsplit(self._server.url).hostname
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(CONNECT_SECONDS):
                    client = await self._enter(stack)
                log.info("mcp.connected", extra={"rtnb.host": host})
                self._client.set_result(client)
                await self._over.wait()
        except TimeoutError:
            self._fail(EngineError(f"No connection in {CONNECT_SECONDS:.0f} s."))
        except asyncio.CancelledError:
            self._fail(EngineError("The connection was closed."))
            raise
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises, it is told
            self._fail(_failure(error))
        log.info("mcp.closed", extra={"rtnb.host": host})

    async def _enter(self, stack: contextlib.AsyncExitStack) -> mcp.Client:
        try:
            import mcp
            from mcp.client.streamable_http import streamable_http_client

            from rtnb.gateway.mcp_http import http_client
        except ImportError as error:
            raise MissingExtra("an MCP server", "mcp") from error
        http = await stack.enter_async_context(
            http_client(
                dict(self._server.headers),
                connect_seconds=CONNECT_SECONDS,
                admit=self._admit,
            )
        )
        transport = streamable_http_client(self._server.url, http_client=http)
        client = mcp.Client(transport, cache=None)
        return await stack.enter_async_context(client)

    def _fail(self, error: EngineError) -> None:
        if not self._client.done():
            self._client.set_exception(error)


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Nobody may have waited; that is no mistake."""
    if not future.cancelled():
        future.exception()


def _failure(error: BaseException) -> EngineError:
    """What the SDK, or something below it, raised, in words."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, EngineError):
        return error
    code = getattr(error, "code", None)
    if isinstance(code, int):
        data = getattr(error, "data", None)
        status = data.get("http_status") if isinstance(data, dict) else None
        return _RefusedError(str(error), code, status)
    words = str(error).partition("\n")[0]
    return EngineError(f"{type(error).__name__}: {words}" if words else repr(error))


# -- what comes back ---------------------------------------------------------------------


async def _all_tools(client: mcp.Client) -> list[McpToolDescription]:
    tools: list[McpToolDescription] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += map(_described, page.tools)
        cursor = page.next_cursor
        if len(tools) > MOST_TOOLS:
            break
        if cursor is None:
            return tools
    raise EngineError(
        f"It lists more than {MOST_TOOLS} tools, or more than {MOST_PAGES} pages."
    )


def _described(tool: Any) -> McpToolDescription:
    raw = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    if len(json.dumps(raw)) > LARGEST_SCHEMA:
        raise EngineError(
            f"The description of its tool {tool.name!r} is longer than "
            f"{LARGEST_SCHEMA} characters."
        )
    return McpToolDescription(
        name=tool.name,
        description=tool.description or "",  # clients demand a string
        input_schema=raw.get("inputSchema", {}),
        annotations=raw.get("annotations"),
    )


def _outcome(result: CallToolResult) -> str | McpError:
    parts = [_text(part) for part in result.content]
    if not parts and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = "\n".join(parts)
    if len(text) > LONGEST_OUTPUT:
        more = len(text) - LONGEST_OUTPUT
        text = f"{text[:LONGEST_OUTPUT]}… [{more} more characters were cut]"
    if result.is_error:
        return McpToolExecutionError(message=text or "The tool failed.")
    return text


def _text(part: Any) -> str:
    """Text of a content; what is no text is named."""
    match part.type:
        case "text":
            return str(part.text)
        case "image" | "audio":
            return f"[{part.type}: {part.mime_type}]"
        case "resource":
            text = getattr(part.resource, "text", None)
            return f"[resource: {part.resource.uri}]" if text is None else str(text)
        case _:
            return f"[{part.type}: {getattr(part, 'uri', '')}]"
