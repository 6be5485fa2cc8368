"""Client secrets: keys that expire, each with settings for the sessions it opens.

A page shows one instead of the gateway's token. It may be used again until it expires,
and a session that was opened with it may live on after that.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rtnb.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "ek_"
"""How a client secret begins; 32 hexadecimal digits follow."""

MOST_SECRETS: Final = 256
"""How many may be valid at a time."""


@dataclass(frozen=True)
class Grant:
    """What a client secret opens.

    Parameters
    ----------
    expires_at : int
        Seconds since the epoch.
    session : mapping
        Settings that stand instead of the defaults; never in a ``repr``, for a tool
        may hold a key.
    """

    expires_at: int
    session: Mapping[str, Any] = field(repr=False)

    def expired(self, now: float) -> bool:
        """Whether it opens nothing any more."""
        return now >= self.expires_at


class ClientSecrets:
    """The client secrets of a gateway.

    Parameters
    ----------
    most : int
        How many may be valid at a time.

    Notes
    -----
    Only digests are kept, so that no secret can leave by a log or a ``repr``.
    """

    def __init__(self, most: int = MOST_SECRETS) -> None:
        self._most = most
        self._grants: dict[bytes, Grant] = {}

    def mint(
        self, session: Mapping[str, Any], *, seconds: int, now: float
    ) -> tuple[str, Grant]:
        """Make a secret.

        Parameters
        ----------
        session : mapping
            Settings of the sessions that it opens, already validated.
        seconds : int
            How long it lasts.
        now : float
            Seconds since the epoch.

        Returns
        -------
        value : str
            The secret; it cannot be had again.
        grant : Grant
            What it opens.

        Raises
        ------
        ServerError
            If as many as may be are valid: says when the first one expires.
        """
        if len(self._grants) >= self._most:
            # Expired ones are kept until now: they are told that they expired.
            self._grants = {
                digest: grant
                for digest, grant in self._grants.items()
                if not grant.expired(now)
            }
        if len(self._grants) >= self._most:
            first = min(grant.expires_at for grant in self._grants.values())
            raise ServerError(
                f"Rate limit reached for client secrets: {self._most} are valid. "
                f"Please try again in {first - now:.0f}s, or use one again.",
                type="rate_limit_error",
                code="rate_limit_exceeded",
            )
        value = PREFIX + secrets.token_hex(16)
        grant = Grant(int(now) + seconds, session)
        self._grants[_digest(value)] = grant
        return value, grant

    def find(self, value: str) -> Grant | None:
        """What a secret opens or opened; None if it was never made, or long ago."""
        return self._grants.get(_digest(value))


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()
