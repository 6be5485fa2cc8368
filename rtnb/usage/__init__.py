"""Tokens and dollars: what a turn used, and what that costs."""

from __future__ import annotations

from rtnb.usage.ledger import LedgerRow, UsageLedger
from rtnb.usage.prices import Conflict, Cost, PriceCard, PriceTable, cost, dollars
from rtnb.usage.tokens import (
    USER_AUDIO_MARKERS,
    assistant_audio_tokens,
    estimate_text_tokens,
    estimate_tools_tokens,
    estimate_transcript_tokens,
    user_audio_tokens,
)
from rtnb.usage.wire import (
    CachedTokensDetails,
    InputTokenDetails,
    OutputTokenDetails,
    TranscriptionDuration,
    TranscriptionTokenDetails,
    TranscriptionTokens,
    TranscriptionUsage,
    Usage,
)

__all__ = [
    "USER_AUDIO_MARKERS",
    "CachedTokensDetails",
    "Conflict",
    "Cost",
    "InputTokenDetails",
    "LedgerRow",
    "OutputTokenDetails",
    "PriceCard",
    "PriceTable",
    "TranscriptionDuration",
    "TranscriptionTokenDetails",
    "TranscriptionTokens",
    "TranscriptionUsage",
    "Usage",
    "UsageLedger",
    "assistant_audio_tokens",
    "cost",
    "dollars",
    "estimate_text_tokens",
    "estimate_tools_tokens",
    "estimate_transcript_tokens",
    "user_audio_tokens",
]
