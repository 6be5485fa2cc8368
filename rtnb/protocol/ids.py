"""Identifiers as the service makes them.

An event, item, response, conversation or session id is a prefix and 21 characters: five
encode the second of its making, sixteen are random. Both the clock and the dice are
arguments.

References
----------
Derived from recorded sessions, whose ``expires_at`` confirm the encoded second.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""The digits of base 62, in order."""

EPOCH: Final = 1_576_800_000
"""Unix time of the second that is written ``00000``."""

_TIME_DIGITS: Final = 5
_RANDOM_DIGITS: Final = 16


def new_id(prefix: str, *, now: float, random: Random) -> str:
    """Identifier of an event, item, response, conversation or session.

    Parameters
    ----------
    prefix : str
        ``event``, ``item``, ``resp``, ``conv`` or ``sess``.
    now : float
        Seconds since the epoch.
    random : random.Random
        Source of the last sixteen characters.

    Returns
    -------
    str
        The prefix, an underscore, and 21 base-62 characters that sort by time.

    Examples
    --------
    >>> from random import Random
    >>> new_id("sess", now=1785214047, random=Random(1))[:10]
    'sess_E6U0t'
    """
    seconds = max(0, int(now) - EPOCH)
    digits = ""
    for _ in range(_TIME_DIGITS):
        seconds, digit = divmod(seconds, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return f"{prefix}_{digits}{_dice(random)}"


def new_call_id(random: Random) -> str:
    """Identifier of a function call: ``call_`` and 16 random base-62 characters."""
    return f"call_{_dice(random)}"


def _dice(random: Random) -> str:
    return "".join(random.choices(ALPHABET, k=_RANDOM_DIGITS))
