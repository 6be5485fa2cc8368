"""Tickets that let a page into the gateway's media socket."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from rtnb.errors import ConnectError

if TYPE_CHECKING:
    from rtnb.local import LocalGateway

TICKET_SECONDS: Final = 5.0
"""How long the gateway may take to give a ticket."""


@dataclass(frozen=True)
class MediaEndpoint:
    """Where a page may open the media socket, once.

    Parameters
    ----------
    port : int
        Of the gateway on this machine.
    path : str
        Of the socket.
    ticket : str
        Single-use and short-lived; a secret until it is used, never in a ``repr``.
    session_id : str
        Whose media it opens.
    """

    port: int
    path: str
    ticket: str = field(repr=False)
    session_id: str = ""


def mint_ticket(
    gateway: LocalGateway, session_id: str, *, origin: str | None = None
) -> MediaEndpoint:
    """Ask the gateway to let a page in.

    Parameters
    ----------
    gateway : LocalGateway
        Whose media socket.
    session_id : str
        Whose media.
    origin : str, optional
        Origin of the page, where it is not a loopback one.

    Raises
    ------
    ConnectError
        If the gateway is not there or refuses.

    Notes
    -----
    Blocks for the loopback round trip; proxies of the environment are not used.
    """
    address = urlsplit(gateway.http)
    where = f"http://{address.netloc}/rtnb/tickets"
    body = json.dumps({"session_id": session_id, "origin": origin})
    headers = {
        "Authorization": f"Bearer {gateway.token}",
        "Content-Type": "application/json",
    }
    connection = http.client.HTTPConnection(address.netloc, timeout=TICKET_SECONDS)
    try:
        connection.request("POST", "/rtnb/tickets", body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConnectError(where, str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        reason = content.get("error", {}).get("message", "refused")
        raise ConnectError(where, reason, status=answer.status)
    return MediaEndpoint(
        port=address.port or 80,
        path=content["path"],
        ticket=content["ticket"],
        session_id=session_id,
    )
