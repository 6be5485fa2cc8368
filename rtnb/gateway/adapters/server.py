"""A server that speaks the OpenAI API: one connection pool, one key, errors in words.

The key goes into the header of requests to this server alone: redirects are not
followed, and proxies of the environment are not asked for what is on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, Final

import httpx

from rtnb.errors import EngineError
from rtnb.transport import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from rtnb.gateway.adapters.settings import Place

log = logging.getLogger("rtnb.gateway")

CONNECT_S: Final = 5.0
"""Seconds that a connection may take."""

LARGEST_REFUSAL: Final = 64 * 2**10
"""Bytes of a refusal that are read."""

LONGEST_REASON: Final = 300
"""Characters of a refusal that are shown."""

LARGEST_ANSWER: Final = 16 * 2**20
"""Bytes of an answer that is read whole."""

_REDIRECTS: Final = range(300, 400)
_OK: Final = 200
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_NOT_ACCEPTED: Final = (400, 404, 422)


class ModelServer:
    """A server with a model.

    Parameters
    ----------
    place : Place
        Where it is.
    what : str
        What to call it in error messages, such as ``"the chat model"``.

    Raises
    ------
    ConfigError
        If the key's variable is not set.

    Notes
    -----
    The connections belong to the event loop of the first request.
    """

    def __init__(self, place: Place, *, what: str) -> None:
        self.place = place
        self.what = what
        self._key = place.key()
        self._client: httpx.AsyncClient | None = None
        self._closing: set[asyncio.Future[None]] = set()
        if self._key and place.url.startswith("http:") and not is_loopback(place.url):
            log.warning("key.unencrypted", extra={"rtnb.url": place.url})

    @property
    def options(self) -> dict[str, Any]:
        """What every HTTP client of this server is made with."""
        headers = {"User-Agent": "rtnb"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        secure = self.place.url.startswith("https:")
        return {
            "headers": headers,
            "follow_redirects": False,
            "trust_env": not is_loopback(self.place.url),
            # SSL_CERT_FILE counts on this machine too, where proxies do not.
            "verify": httpx.create_ssl_context(trust_env=True) if secure else True,
            "timeout": httpx.Timeout(self.place.timeout, connect=CONNECT_S),
        }

    @contextlib.asynccontextmanager
    async def post(
        self, path: str, *, hint: str = "", **body: Any
    ) -> AsyncIterator[httpx.Response]:
        """Ask for something, and read the answer within the block.

        Parameters
        ----------
        path : str
            After the base, such as ``"/chat/completions"``.
        hint : str, optional
            What may be wrong with the request, where the server does not accept it.
        **body
            As httpx takes it: `json`, or `data` and `files`.

        Yields
        ------
        httpx.Response
            Accepted; its body is still to come.

        Raises
        ------
        EngineError
            If the server cannot be reached, refuses, falls silent or breaks off; in
            the block as well.

        Notes
        -----
        Leaving the block early, by an error or by cancellation, closes the connection:
        the server learns at once that nobody listens. The closing is a task of its own,
        for a second cancellation would end it halfway and leave the connection open.
        """
        if self._client is None:
            self._client = httpx.AsyncClient(**self.options)
        request = self._client.build_request("POST", self.place.url + path, **body)
        try:
            response = await self._sent(self._client, request)
            try:
                await self._check(response, hint)
                yield response
            except BaseException:
                await self._surely(_cut(response))
                raise
            await self._surely(response.aclose())
        except httpx.HTTPError as error:
            raise self.failure(error) from error

    async def _check(self, response: httpx.Response, hint: str) -> None:
        """Raise what a refusal says."""
        if response.status_code != _OK:
            raise self.refusal(response, await _beginning(response), hint=hint)

    async def _sent(
        self, client: httpx.AsyncClient, request: httpx.Request
    ) -> httpx.Response:
        """Send a request and wait for the beginning of its answer."""
        sending = asyncio.ensure_future(client.send(request, stream=True))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await self._surely(_taken_back(sending))
            raise

    async def _surely(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something to its end, even if who waits for it is cancelled."""
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    async def whole(self, response: httpx.Response) -> bytes:
        """Read an answer that must be had whole.

        Parameters
        ----------
        response : httpx.Response
            Of `post`.

        Returns
        -------
        bytes
            Its body.

        Raises
        ------
        EngineError
            If it is larger than `LARGEST_ANSWER`.
        """
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise self.wrong(f"sent more than {LARGEST_ANSWER} bytes")
        return bytes(body)

    async def close(self) -> None:
        """Close the connections; the next request opens others."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # -- what went wrong ---------------------------------------------------------------

    def wrong(self, what: str) -> EngineError:
        """An error of the server that `what` says.

        Parameters
        ----------
        what : str
            Goes on after "the chat model at URL".

        Returns
        -------
        EngineError
            To be raised. The key is never in it.
        """
        sentence = f"{self.what} at {self.place.url} {what}"
        return EngineError(
            sentence.replace(self._key, "[key]") if self._key else sentence
        )

    def refusal(
        self, response: httpx.Response, body: bytes, *, hint: str = ""
    ) -> EngineError:
        """Say why the server refused.

        Parameters
        ----------
        response : httpx.Response
            Any but 200.
        body : bytes
            Its body, or the beginning of it.
        hint : str, optional
            What may be wrong with the request.

        Returns
        -------
        EngineError
            To be raised, with the server's words and a way out.
        """
        status = response.status_code
        if status in _REDIRECTS:
            target = response.headers.get("location", "nowhere")
            return self.wrong(
                f"sends us on to {target}, which is not followed: if that is where the "
                "model is, give it as url"
            )
        reason = reason_in(body) or response.reason_phrase or "no reason given"
        advice = self._advice(status)
        if hint and status in _NOT_ACCEPTED:
            advice = f"; {hint}"
        error = self.wrong(f"answered {status}: {reason}{advice}")
        error.code = _failure_code(status, body)
        return error

    def failure(self, error: httpx.HTTPError) -> EngineError:
        """Say what happened to the connection.

        Parameters
        ----------
        error : httpx.HTTPError
            Of the client.

        Returns
        -------
        EngineError
            To be raised.
        """
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout():
                reason = str(error) or f"no connection within {CONNECT_S:g} s"
                return self.wrong(
                    f"cannot be reached ({reason}): start it, or correct its url"
                )
            case httpx.TimeoutException():
                return self.wrong(
                    f"was silent for {self.place.timeout:g} s and was given up: where it "
                    "needs longer, raise its timeout"
                )
            case _:
                reason = str(error) or type(error).__name__
                return self.wrong(f"broke off: {reason}")

    def _advice(self, status: int) -> str:
        match status:
            case 401 | 403 if self._key:
                return f"; it does not accept the key in {self.place.key_env}"
            case 401 | 403:
                return "; name the environment variable that holds its key as key_env"
            case 404 if self.place.model:
                return (
                    f"; it may not have the model {self.place.model!r}, or not speak "
                    "the OpenAI API there"
                )
            case _:
                return ""


def _failure_code(status: int, body: bytes) -> str | None:
    """What a failed response says of a refusal, in the service's own words."""
    if status == _TOO_MANY:
        spent = b"insufficient_quota" in body
        return "insufficient_quota" if spent else "rate_limit_exceeded"
    return "model_not_found" if status == _NOT_FOUND else None


def reason_in(body: bytes) -> str:
    """What a refusal says.

    Parameters
    ----------
    body : bytes
        JSON in the form of OpenAI, Ollama, FastAPI or vLLM, or any text.

    Returns
    -------
    str
        One line of at most `LONGEST_REASON` characters; empty if it says nothing.

    Examples
    --------
    >>> reason_in(b'{"error": {"message": "no such model"}}')
    'no such model'
    >>> reason_in(b'{"detail": "not found"}'), reason_in(b'<h1>Bad Gateway</h1>')
    ('not found', '<h1>Bad Gateway</h1>')
    """
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        text = _message(json.loads(text)) or text
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


def _message(value: object) -> str:
    match value:
        case {"error": inner} | {"message": inner} | {"detail": inner} | {"msg": inner}:
            return _message(inner)
        case str():
            return value
        case [first, *_]:
            return _message(first)
        case _:
            return ""


async def _beginning(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= LARGEST_REFUSAL:
            break
    return bytes(body[:LARGEST_REFUSAL])


async def _cut(response: httpx.Response) -> None:
    """Close the connection under an answer, however far that was read."""
    stream = response.extensions.get("network_stream")
    with contextlib.suppress(httpx.HTTPError, OSError):
        if stream is not None:
            await stream.aclose()
        await response.aclose()


async def _taken_back(sending: asyncio.Future[httpx.Response]) -> None:
    """Give a request up, whether or not its answer has begun."""
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
        await _cut(await sending)
