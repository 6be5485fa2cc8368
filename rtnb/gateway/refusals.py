"""What a refused HTTP request is told: the API's error object, whatever went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from rtnb.errors import EngineError, MissingExtra, ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

REFUSED = "invalid_request_error"
"""Type of an error that the client can mend."""

FAILED = "server_error"
"""Type of an error that it cannot."""

RATE_LIMITED = "rate_limit_error"
"""Type of an error that mends itself in time."""

BAD_REQUEST, NOT_FOUND, WRONG_METHOD, TOO_MANY = 400, 404, 405, 429
BROKEN, UNAVAILABLE = 500, 503


def refusal(
    status: int,
    message: str,
    code: str | None,
    *,
    param: str | None = None,
    kind: str = REFUSED,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Error response of the API.

    Parameters
    ----------
    status : int
        HTTP status.
    message : str
        A sentence that says the way out.
    code : str or None
        For programs.
    param : str, optional
        Dotted path of the field that is to blame.
    kind : str
        The error's ``type``.
    headers : mapping, optional
        Headers of the response.

    Returns
    -------
    JSONResponse
        ``{"error": {"message", "type", "param", "code"}}``.
    """
    error = {"message": message, "type": kind, "param": param, "code": code}
    headers = dict(headers or {})
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def not_found(method: str, path: str) -> JSONResponse:
    """Response to an address that nobody serves."""
    return refusal(NOT_FOUND, f"Invalid URL ({method} {path})", None)


async def http_error(request: Request, error: Exception) -> Response:
    """Response to a request that no route takes, or takes with another method."""
    assert isinstance(error, HTTPException)
    method, path = request.method, request.url.path
    if error.status_code == NOT_FOUND:
        return not_found(method, path)
    if error.status_code == WRONG_METHOD:
        message = f"Not allowed to {method} on {path}."
        hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
        code = "method_not_supported"
        return refusal(WRONG_METHOD, f"{message} {hint}", code, headers=error.headers)
    return refusal(error.status_code, error.detail, None, headers=error.headers)


async def server_error(_: Request, error: Exception) -> Response:
    """Response to a request that we refuse or cannot answer."""
    match error:
        case ServerError():
            kind = error.type or REFUSED
            status = TOO_MANY if kind == RATE_LIMITED else BAD_REQUEST
            return refusal(
                status, error.message, error.code, param=error.param, kind=kind
            )
        case MissingExtra():
            return refusal(UNAVAILABLE, str(error), "engine_unavailable", kind=FAILED)
        case EngineError():
            return refusal(BROKEN, str(error), None, kind=FAILED)
        case _:
            message = "The server had an error while processing your request."
            return refusal(BROKEN, message, None, kind=FAILED)


HANDLERS = {
    HTTPException: http_error,
    ServerError: server_error,
    EngineError: server_error,
    Exception: server_error,
}
"""What a Starlette application does with exceptions."""
