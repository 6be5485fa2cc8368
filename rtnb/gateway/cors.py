"""Cross-origin requests: the pages that the WebSocket lets in may call REST as well.

References
----------
Fetch standard, "CORS protocol", https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFLIGHT_SECONDS = 600
"""How long a browser may remember what is allowed."""


class Cors:
    """Tells browsers which pages may read what is answered.

    Parameters
    ----------
    app : ASGI application
        What answers.
    knows : callable
        Whether the page of an ``Origin`` may call.

    Notes
    -----
    A page that is not known gets no header, so its browser keeps the answer from it;
    refusing the request itself is the application's part. Cookies play no role here.
    """

    def __init__(self, app: ASGIApp, *, knows: Callable[[str], bool]) -> None:
        self._app = app
        self._knows = knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; let everything else through."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin")
        if origin is None or not self._knows(origin):
            await self._app(scope, receive, send)
        elif (
            scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        ):
            await _preflight(origin, headers)(scope, receive, send)
        else:
            await self._app(scope, receive, _readable(origin, send))


def _preflight(origin: str, asked: Headers) -> Response:
    allowed = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Vary": "Origin, Access-Control-Request-Headers",
    }
    names = asked.get("access-control-request-headers")
    if names:
        allowed["Access-Control-Allow-Headers"] = names
    return Response(status_code=204, headers=allowed)


def _readable(origin: str, send: Send) -> Send:
    """Let the page at `origin` read the response."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers.add_vary_header("Origin")
        await send(message)

    return send_with_headers
