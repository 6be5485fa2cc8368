"""What responses cost in tokens, and what is left of the minute's limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

from rtnb.protocol import events as ev
from rtnb.usage import (
    CachedTokensDetails,
    InputTokenDetails,
    OutputTokenDetails,
    Usage,
)

if TYPE_CHECKING:
    from rtnb.protocol.server.outbox import Outbox

TOKENS_PER_MINUTE: Final = 40_000
"""``rate_limits.updated`` of a low usage tier, as captured in December 2025."""

CACHE_STEP: Final = 64
"""Cached tokens come in multiples of this, in every usage seen."""

Weights: TypeAlias = tuple[tuple[str, int, int], ...]
"""Of each part of a response's input: its name, and its text and audio tokens."""


class Accounts:
    """Usage of responses, with the prefix cache, and the rate limit.

    Parameters
    ----------
    outbox : Outbox
        Where ``rate_limits.updated`` goes.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._context: Weights = ()
        self._used_tokens = 0.0
        self._used_at = outbox.now

    def usage(
        self, read: Weights, *, text: int, audio: int, in_conversation: bool
    ) -> Usage:
        """Usage of a response.

        Parameters
        ----------
        read : tuple of (name, text tokens, audio tokens)
            Its input; the first is instructions and tools.
        text, audio : int
            Tokens it wrote and spoke.
        in_conversation : bool
            Whether the next response's cache begins with this input.

        Notes
        -----
        Cached is the prefix that is the same as the last input's, in steps of 64.
        """
        text_in = sum(tokens for _, tokens, _ in read)
        audio_in = sum(tokens for _, _, tokens in read)
        cached_text, cached_audio = self._cached(read)
        if in_conversation:
            self._context = read
        return Usage(
            total_tokens=text_in + audio_in + text + audio,
            input_tokens=text_in + audio_in,
            output_tokens=text + audio,
            input_token_details=InputTokenDetails(
                text_tokens=text_in,
                audio_tokens=audio_in,
                image_tokens=0,
                cached_tokens=cached_text + cached_audio,
                cached_tokens_details=CachedTokensDetails(
                    text_tokens=cached_text, audio_tokens=cached_audio, image_tokens=0
                ),
            ),
            output_token_details=OutputTokenDetails(
                text_tokens=text, audio_tokens=audio
            ),
        )

    def _cached(self, read: Weights) -> tuple[int, int]:
        """Text and audio tokens of the prefix shared with the last input."""
        text = audio = 0
        for old, new in zip(self._context, read, strict=False):
            if old != new:
                break
            text += new[1]
            audio += new[2]
        cached = (text + audio) // CACHE_STEP * CACHE_STEP
        return min(text, cached), cached - min(text, cached)

    def spend(self, tokens: int) -> None:
        """Report the token budget: it refills evenly over a minute."""
        now = self._outbox.now
        refill = (now - self._used_at) * TOKENS_PER_MINUTE / 60
        self._used_tokens = max(0.0, self._used_tokens - refill) + tokens
        self._used_at = now
        remaining = max(0, TOKENS_PER_MINUTE - math.ceil(self._used_tokens))
        reset = (TOKENS_PER_MINUTE - remaining) / TOKENS_PER_MINUTE * 60
        limit = ev.RateLimit(
            name="tokens",
            limit=TOKENS_PER_MINUTE,
            remaining=remaining,
            reset_seconds=round(reset, 3),
        )
        self._outbox.emit(ev.RateLimitsUpdated, rate_limits=[limit])
