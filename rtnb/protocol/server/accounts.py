"""What responses cost in tokens, and what is left of the minute's limit."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rtnb.protocol import events as ev
from rtnb.protocol.server.context import Weight
from rtnb.usage import (
    CachedTokensDetails,
    InputTokenDetails,
    OutputTokenDetails,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtnb.protocol.server.context import Weights
    from rtnb.protocol.server.outbox import Outbox

TOKENS_PER_MINUTE: Final = 40_000
"""``rate_limits.updated`` of a low usage tier, as captured in December 2025."""

CACHE_STEP: Final = 64
"""Cached tokens come in multiples of this, in every usage seen."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Tokens of a response as somebody says they are; what is None is counted.

    Parameters
    ----------
    input_text, input_audio, input_image : int or None
        What it reads.
    cached : int or None
        How much of that is cached, text first; rounded down to a multiple of 64.
    output_text, output_audio : int or None
        What it writes and speaks.
    """

    input_text: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    cached: int | None = None
    output_text: int | None = None
    output_audio: int | None = None


COUNTED: Final = Tokens()
"""Nobody says anything."""


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
        self._reserved: dict[str, int] = {}

    def usage(
        self,
        read: Weights,
        *,
        text: int,
        audio: int,
        in_conversation: bool,
        told: Tokens = COUNTED,
    ) -> Usage:
        """Usage of a response.

        Parameters
        ----------
        read : tuple of Weight
            Its input; the first is instructions and tools.
        text, audio : int
            Tokens it wrote and spoke.
        in_conversation : bool
            Whether the next response's cache begins with this input.
        told : Tokens
            What stands instead of what is counted.

        Notes
        -----
        Cached is the prefix that is the same as the last input's, in steps of 64.
        """
        cached = self._cached(read)
        if in_conversation:
            self._context = read
        counted = _sums(read)
        said = (told.input_text, told.input_audio, told.input_image)
        text_in, audio_in, image_in = map(_or, said, counted)
        if told.cached is not None or any(one is not None for one in said):
            cached = _split(_or(told.cached, cached.total), text_in, audio_in, image_in)
        text, audio = _or(told.output_text, text), _or(told.output_audio, audio)
        return Usage(
            total_tokens=text_in + audio_in + image_in + text + audio,
            input_tokens=text_in + audio_in + image_in,
            output_tokens=text + audio,
            input_token_details=InputTokenDetails(
                text_tokens=text_in,
                audio_tokens=audio_in,
                image_tokens=image_in,
                cached_tokens=cached.total,
                cached_tokens_details=CachedTokensDetails(
                    text_tokens=cached.text,
                    audio_tokens=cached.audio,
                    image_tokens=cached.image,
                ),
            ),
            output_token_details=OutputTokenDetails(
                text_tokens=text, audio_tokens=audio
            ),
        )

    def _cached(self, read: Weights) -> Weight:
        """Tokens of the prefix shared with the last input: text first, then audio."""
        shared = itertools.takewhile(
            lambda pair: pair[0] == pair[1], zip(self._context, read, strict=False)
        )
        text, audio, image = _sums([new for _, new in shared])
        return _split(text + audio + image, text, audio, image)

    def reserve(self, response_id: str, tokens: int) -> None:
        """Set aside what a response reads and may write, until it ends."""
        self._reserved[response_id] = tokens

    def spend(self, response_id: str, tokens: int) -> None:
        """Correct what was set aside for a response, and report the token budget.

        The budget refills evenly over a minute; what is set aside for other responses
        is not left of it.
        """
        now = self._outbox.now
        refill = (now - self._used_at) * TOKENS_PER_MINUTE / 60
        self._used_tokens = max(0.0, self._used_tokens - refill) + tokens
        self._used_at = now
        self._reserved.pop(response_id, None)
        gone = math.ceil(self._used_tokens) + sum(self._reserved.values())
        remaining = max(0, TOKENS_PER_MINUTE - gone)
        reset = (TOKENS_PER_MINUTE - remaining) / TOKENS_PER_MINUTE * 60
        limit = ev.RateLimit(
            name="tokens",
            limit=TOKENS_PER_MINUTE,
            remaining=remaining,
            reset_seconds=round(reset, 3),
        )
        self._outbox.emit(ev.RateLimitsUpdated, rate_limits=[limit])


def _sums(weights: Iterable[Weight]) -> tuple[int, int, int]:
    text = audio = image = 0
    for weight in weights:
        text += weight.text
        audio += weight.audio
        image += weight.image
    return text, audio, image


def _split(cached: int, text: int, audio: int, image: int) -> Weight:
    """Cached tokens of an input, in steps: text first, then audio."""
    steps = min(cached, text + audio + image) // CACHE_STEP * CACHE_STEP
    text = min(text, steps)
    audio = min(audio, steps - text)
    return Weight("", text, audio, steps - text - audio)


def _or(said: int | None, counted: int) -> int:
    return counted if said is None else said
