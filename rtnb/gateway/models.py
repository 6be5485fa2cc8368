"""The models whose names the gateway lists.

Whatever a client calls the model, the same engine answers; a name decides what a turn
would cost and what the service would have allowed.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from typing import Any, Final

from rtnb.usage import PriceTable

DEFAULT_MODEL: Final = "gpt-realtime-2.1"
"""What the session says when a client names no model."""

TRANSLATION_MODEL: Final = "gpt-realtime-translate"
"""The same of a translation session."""

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}$")


@functools.cache
def models() -> dict[str, dict[str, Any]]:
    """Models that hear and speak, by name, as the API describes them.

    Returns
    -------
    dict
        Of each model of the price table and of its dated snapshots: ``id``, ``object``,
        ``created`` (the day in its name, seconds since the epoch; 0 where there is
        none), ``owned_by`` and ``shutdown_date``.
    """
    return {
        name: {
            "id": name,
            "object": "model",
            "created": _created(name),
            "owned_by": "rtnb",
            "shutdown_date": card.snapshot_shutdowns.get(name, card.shutdown),
        }
        for card in PriceTable.load()
        if card.audio_output is not None
        for name in (card.model, *card.snapshots)
    }


def _created(name: str) -> int:
    day = _DAY.search(name)
    if day is None:
        return 0
    return int(datetime.fromisoformat(day.group()).replace(tzinfo=UTC).timestamp())
