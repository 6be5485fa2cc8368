"""Tokens and dollars: what a turn used, and what that costs."""

from __future__ import annotations

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
    "CachedTokensDetails",
    "InputTokenDetails",
    "OutputTokenDetails",
    "TranscriptionDuration",
    "TranscriptionTokenDetails",
    "TranscriptionTokens",
    "TranscriptionUsage",
    "Usage",
]
