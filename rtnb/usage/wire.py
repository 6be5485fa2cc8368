"""Usage objects, as they travel on the wire.

Field names and their order are the service's. A server writes every field; what a
peer leaves out is read as zero. Counts are tokens; cached tokens are part of the input
tokens, not added to them.

References
----------
OpenAI Realtime API, ``response.done`` (``response.usage``) and
``conversation.item.input_audio_transcription.completed`` (``usage``).
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import msgspec

_Counts = TypeVar("_Counts", bound=msgspec.Struct)


class CachedTokensDetails(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Cached input tokens by kind; ``+`` adds."""

    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0

    def __add__(self, other: CachedTokensDetails) -> CachedTokensDetails:
        return _added(self, other)


class InputTokenDetails(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Input tokens by kind, and how many of them were cached; ``+`` adds."""

    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    cached_tokens: int = 0
    cached_tokens_details: CachedTokensDetails = CachedTokensDetails()

    def __add__(self, other: InputTokenDetails) -> InputTokenDetails:
        return _added(self, other)


class OutputTokenDetails(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Output tokens by kind; ``+`` adds."""

    text_tokens: int = 0
    audio_tokens: int = 0

    def __add__(self, other: OutputTokenDetails) -> OutputTokenDetails:
        return _added(self, other)


class Usage(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Tokens of one response, or the sum over several; ``+`` adds.

    Parameters
    ----------
    total_tokens : int
        Input and output tokens together.
    input_tokens : int
        Text, audio and image tokens read, cached ones included.
    output_tokens : int
        Text and audio tokens written.
    input_token_details : InputTokenDetails
        The input by kind.
    output_token_details : OutputTokenDetails
        The output by kind.

    Examples
    --------
    >>> one = Usage(total_tokens=40, input_tokens=16, output_tokens=24)
    >>> (one + one).total_tokens
    80
    """

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: InputTokenDetails = InputTokenDetails()
    output_token_details: OutputTokenDetails = OutputTokenDetails()

    def __add__(self, other: Usage) -> Usage:
        return _added(self, other)


class TranscriptionTokenDetails(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Input tokens of a transcription by kind; ``+`` adds."""

    text_tokens: int = 0
    audio_tokens: int = 0

    def __add__(self, other: TranscriptionTokenDetails) -> TranscriptionTokenDetails:
        return _added(self, other)


class TranscriptionTokens(
    msgspec.Struct, frozen=True, kw_only=True, dict=True, tag_field="type", tag="tokens"
):
    """Usage of a transcription model that is billed by tokens; ``+`` adds."""

    total_tokens: int = 0
    input_tokens: int = 0
    input_token_details: TranscriptionTokenDetails = TranscriptionTokenDetails()
    output_tokens: int = 0

    def __add__(self, other: TranscriptionTokens) -> TranscriptionTokens:
        return _added(self, other)


class TranscriptionDuration(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    dict=True,
    tag_field="type",
    tag="duration",
):
    """Usage of a transcription model that is billed by seconds of audio; ``+`` adds."""

    seconds: int | float = 0

    def __add__(self, other: TranscriptionDuration) -> TranscriptionDuration:
        return _added(self, other)


TranscriptionUsage: TypeAlias = TranscriptionTokens | TranscriptionDuration
"""What a transcription cost: the one or the other, told apart by ``type``."""


def _added(one: _Counts, other: object) -> _Counts:
    if type(one) is not type(other):
        raise TypeError(f"cannot add {type(other).__name__} to {type(one).__name__}")
    return type(one)(
        **{
            name: getattr(one, name) + getattr(other, name)
            for name in one.__struct_fields__
        }
    )
