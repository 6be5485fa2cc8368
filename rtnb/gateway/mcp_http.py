"""The HTTP client below the MCP SDK: connects to what was looked at, and nowhere else.

Every request resolves the host, has all its addresses admitted and connects to one of
these by number, so that a name cannot mean another address in between; certificates are
checked for the name. No redirect is followed, and no proxy of the environment is used.

The SDK forgets the status of a refused request. Here it is put into the body, as the data
of a JSON-RPC error, which the SDK hands on.

This module imports httpx2, which comes with the SDK.
"""

from __future__ import annotations

import contextlib
import http
import json
from typing import TYPE_CHECKING, Any, Final

import httpx2
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from rtnb.gateway.mcp_addresses import Admission

LARGEST_ANSWER: Final = 4 * 2**20
"""Largest answer of a server that is not a stream of events, bytes."""

_NOT_FOUND: Final = -32601
_FAILED: Final = -32000
"""JSON-RPC codes of an HTTP error: the SDK's for 404, ours for any other."""

_PORTS: Final = {"http": 80, "https": 443}


def http_client(
    headers: Mapping[str, str], *, connect_seconds: float, admit: Admission
) -> httpx2.AsyncClient:
    """A client for one MCP server.

    Parameters
    ----------
    headers : mapping of str to str
        Sent with every request.
    connect_seconds : float
        How long connecting, or waiting for a connection, may take; reading has no limit
        of its own, whoever reads has.
    admit : Admission
        Resolves the host and says whether it may be connected to.

    Returns
    -------
    httpx2.AsyncClient
        To be closed.
    """
    return httpx2.AsyncClient(
        transport=_Transport(admit),
        headers=dict(headers),
        timeout=httpx2.Timeout(connect_seconds, read=None),
        trust_env=False,
    )


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, admit: Admission) -> None:
        self._admit = admit
        self._inner = httpx2.AsyncHTTPTransport()

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        port = url.port or _PORTS.get(url.scheme, 0)
        *others, last = await self._admit(url.host, port)
        for address in others:
            with contextlib.suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
                return await self._ask(request, address)
        return await self._ask(request, last)

    async def _ask(self, request: httpx2.Request, address: str) -> httpx2.Response:
        numeric = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        response = await self._inner.handle_async_request(numeric)
        kind = response.headers.get("content-type", "").lower()
        if not response.is_success:
            return await _told(response, kind)
        if not kind.startswith("text/event-stream"):
            response.stream = _Limited(response.stream)
        return response

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()


class _Limited(httpx2.AsyncByteStream):
    """At most `LARGEST_ANSWER` bytes of an answer."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > LARGEST_ANSWER:
                raise httpx2.StreamError(f"more than {LARGEST_ANSWER} bytes")
            yield piece

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()


async def _told(response: httpx2.Response, kind: str) -> httpx2.Response:
    """The answer again, with a JSON-RPC error as its body."""
    status, body = response.status_code, b""
    if kind.startswith("application/json"):
        with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError):
            async for piece in _Limited(response.stream):
                body += piece
    await response.aclose()
    not_found = status == http.HTTPStatus.NOT_FOUND
    error = _json_rpc_error(body) or {
        "code": _NOT_FOUND if not_found else _FAILED,
        "message": _sentence(response),
        "data": {"http_status": status},
    }
    message = {"jsonrpc": "2.0", "id": None, "error": error}
    if response.has_redirect_location:  # the SDK follows some
        status = http.HTTPStatus.BAD_GATEWAY
    return httpx2.Response(status, json=message)


def _json_rpc_error(body: bytes) -> dict[str, Any] | None:
    """The error in a body that is one of JSON-RPC."""
    try:
        error = json.loads(body)["error"]
        good = isinstance(error["code"], int) and isinstance(error["message"], str)
    except (ValueError, KeyError, TypeError):
        return None
    return error if good else None


def _sentence(response: httpx2.Response) -> str:
    phrase = f" ({response.reason_phrase})" if response.reason_phrase else ""
    redirect = "; redirects are not followed" if response.is_redirect else ""
    return f"Http status code: {response.status_code}{phrase}{redirect}"
