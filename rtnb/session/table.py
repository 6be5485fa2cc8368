"""Turns as a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from rtnb.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtnb.session.turn import Turn

COLUMNS: Final = (
    "kind",
    "status",
    "user_text",
    "text",
    "heard",
    "audio_start_ms",
    "audio_end_ms",
    "segments",
    "stopped_to_created_ms",
    "created_to_first_text_ms",
    "created_to_first_audio_ms",
    "stopped_to_first_audio_ms",
    "total_ms",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "total_tokens",
    "cost_usd",
    "tool_calls",
    "error",
)


def turns_table(turns: Iterable[Turn]) -> pd.DataFrame:
    """Table of turns, a row a turn, by their index; see `COLUMNS`."""
    rows = {turn.index: _row(turn) for turn in turns}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    return table.rename_axis("turn")


def _row(turn: Turn) -> dict[str, Any]:
    segments, cost = turn.segments, turn.cost
    usage = turn.usage or Usage()
    return {
        "kind": turn.kind,
        "status": turn.status,
        "user_text": turn.user_text,
        "text": turn.text,
        "heard": turn.heard,
        "audio_start_ms": segments[0].audio_start_ms if segments else None,
        "audio_end_ms": segments[-1].audio_end_ms if segments else None,
        "segments": len(segments),
        **asdict(turn.latency),
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.input_token_details.cached_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cost_usd": None if cost is None else cost.usd,
        "tool_calls": len(turn.tool_calls),
        "error": None if turn.error is None else str(turn.error),
    }
