"""The provider behind a relay: its address, the key for it, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.responses import Response
from websockets.exceptions import InvalidStatus

from rtnb.errors import ConfigError, ConnectError, ConnectTimeout
from rtnb.gateway.refusals import FAILED, refusal
from rtnb.transport import WebSocketTransport, is_loopback, without_query

if TYPE_CHECKING:
    from collections.abc import Mapping

OPEN_SECONDS: Final = 8.0
"""How long a provider may take to open: our own clients wait for us for ten."""

REFUSED_FROM: Final = 400
"""HTTP statuses below are no refusals of a handshake that a client should see."""

BAD_GATEWAY, GATEWAY_TIMEOUT = 502, 504

HIDDEN: Final = "***"
"""What stands for the key wherever a provider repeats it."""

FORWARDED: Final = "openai-"
"""Headers of a client whose names begin so are for the provider."""

KEY_HEADERS: Final = ("authorization", "api-key")
"""Where a provider wants its key: as a bearer token, or bare, as Azure does."""


@dataclass(frozen=True)
class Upstream:
    """A provider's Realtime WebSocket.

    Parameters
    ----------
    url : str
        Its address: ``wss://``, or ``ws://`` on this machine.
    key : str, default ""
        Its key, which is sent to this address and to no other; never in a ``repr``.
    key_header : "authorization" or "api-key"
        The header that carries it.

    Raises
    ------
    ConfigError
        If the key would travel unencrypted or stand in the address, or cannot be one.
    """

    url: str
    key: str = field(default="", repr=False)
    key_header: str = "authorization"

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        shown = without_query(self.url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ConfigError(
                f"{shown!r} is no WebSocket address: give one such as "
                "wss://api.openai.com/v1/realtime"
            )
        if "@" in parts.netloc or "key" in parts.query.lower():
            raise ConfigError(
                "a key does not belong in an address, which is logged in many places: "
                "give it by standard input or by --upstream-key-env"
            )
        if parts.scheme == "ws" and not is_loopback(self.url):
            raise ConfigError(
                f"{shown} is neither encrypted nor on this machine: a relay wants wss://"
            )
        if self.key_header not in KEY_HEADERS:
            raise ConfigError(
                f"a key goes in one of the headers {', '.join(KEY_HEADERS)}, "
                f"not in {self.key_header!r}"
            )
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise ConfigError(
                "that is no key: it has spaces, line ends or letters beyond ASCII"
            )

    @property
    def host(self) -> str:
        """Who it is, in a word."""
        return urlsplit(self.url).hostname or ""

    async def open(
        self, *, query: str, headers: Mapping[str, str], below: str = ""
    ) -> WebSocketTransport:
        """Open a session.

        Parameters
        ----------
        query : str
            The client's; where it names what the address names too, it counts: an
            empty ``model=`` leaves the address's model out.
        headers : mapping of str to str
            The client's, of which only those that are for the provider are sent.
        below : str, optional
            What the client's path has below ``/realtime``.

        Raises
        ------
        ConnectError
            If it does not open; see `denial`.
        """
        forwarded = {
            name: value
            for name, value in headers.items()
            if name.lower().startswith(FORWARDED)
        }
        return await WebSocketTransport.open(
            self._address(query, below),
            headers={**forwarded, **self._authorization},
            timeout=OPEN_SECONDS,
        )

    @property
    def _authorization(self) -> dict[str, str]:
        if not self.key:
            return {}
        bare = self.key_header == "api-key"
        return {self.key_header: self.key if bare else f"Bearer {self.key}"}

    def _address(self, query: str, below: str) -> str:
        """The address for one client: nothing of it but path and query can differ."""
        parts = urlsplit(self.url)
        ours = parse_qsl(parts.query)
        asked = parse_qsl(query, keep_blank_values=True)
        names = {name for name, _ in asked}
        kept = [pair for pair in ours if pair[0] not in names]
        named = {name for name, _ in ours}
        asked = [(name, value) for name, value in asked if value or name not in named]
        path = parts.path.rstrip("/") + below
        return urlunsplit(
            parts._replace(path=path, query=urlencode([*kept, *asked]), fragment="")
        )

    def denial(self, error: ConnectError) -> Response:
        """What a client is told whose session did not open.

        Parameters
        ----------
        error : ConnectError
            Why.

        Returns
        -------
        Response
            The provider's own refusal, status and body, but for the key; ours where it
            said nothing.
        """
        cause = error.__cause__
        if isinstance(cause, InvalidStatus):
            answer = cause.response
            if answer.status_code >= REFUSED_FROM:
                names = ("content-type", "retry-after")
                told = {name: answer.headers.get(name) for name in names}
                return Response(
                    self.hide(bytes(answer.body or b"").decode("utf-8", "replace")),
                    answer.status_code,
                    {name: value for name, value in told.items() if value},
                )
        late = isinstance(error, ConnectTimeout)
        return refusal(
            GATEWAY_TIMEOUT if late else BAD_GATEWAY,
            f"No session with {self.host}: {self.hide(error.reason)}",
            "upstream_timeout" if late else "upstream_unreachable",
            kind=FAILED,
        )

    def hide(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self.key, HIDDEN) if self.key else text
