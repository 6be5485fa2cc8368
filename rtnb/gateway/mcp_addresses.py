"""Which addresses an MCP server may have.

A session's owner names servers, and the gateway is what connects to them: from inside,
where routers, metadata services and the user's own programs listen. So only the public
Internet is open, unless the user has said otherwise.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from rtnb.errors import EngineError

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the numeric addresses of a host and port; raises OSError if there are none."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether a numeric address is one of the public Internet.

    Parameters
    ----------
    address : str
        IPv4 or IPv6; a zone (``%eth0``) is left aside.

    Returns
    -------
    bool
        False for loopback, private, link-local, shared, reserved and multicast ones, and
        for IPv6 addresses that carry such an IPv4 one (mapped, 6to4, Teredo, NAT64).

    Examples
    --------
    >>> is_public("8.8.8.8"), is_public("::ffff:127.0.0.1"), is_public("169.254.169.254")
    (True, False, False)
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        carried = _carried(parsed)
        if carried:
            return all(is_public(str(one)) for one in carried)
    return parsed.is_global and not parsed.is_multicast


def _carried(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 one leads to."""
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


async def system_addresses(host: str, port: int) -> Sequence[str]:
    """Addresses by the system's resolver.

    Parameters
    ----------
    host : str
        Name or address, in any notation that the system reads.
    port : int
        Of the server.

    Returns
    -------
    sequence of str
        Numeric, each once, in the system's order.

    Raises
    ------
    OSError
        If there are none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Admission:
    """Resolves a host and says whether it may be connected to.

    Parameters
    ----------
    allow_private : bool, default False
        Whether addresses need not be public.
    resolve : callable, optional
        Gives the addresses; by default the system's resolver.
    """

    def __init__(
        self, *, allow_private: bool = False, resolve: Resolve | None = None
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or system_addresses

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, if all of them may be connected to.

        Parameters
        ----------
        host : str
            Name or address.
        port : int
            Of the server.

        Returns
        -------
        sequence of str
            Numeric addresses, at least one, in the order to be tried.

        Raises
        ------
        EngineError
            If the host is not known, or one of its addresses may not be connected to.
        """
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise EngineError(f"The host {host} is not known.") from error
        for address in addresses:
            if not (self._allow_private or is_public(address)):
                raise EngineError(
                    f"The host {host} is at {address}, which is not an address of the "
                    "public Internet: allow it with rtnb serve --mcp-allow-private, or "
                    "rtnb.connect(mcp_allow_private=True)."
                )
        return addresses
