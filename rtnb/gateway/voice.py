"""Text to speech by espeak-ng."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rtnb.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Generator

    from rtnb.audio import Samples

SAMPLE_RATE: Final = 24_000


@dataclass(frozen=True)
class Word:
    """A word of the text: ``text[start:end]``, spoken from `at_ms` of the whole audio."""

    text: str
    start: int
    end: int
    at_ms: float


@dataclass(frozen=True, eq=False)
class Spoken:
    """A stretch of audio, float32 at 24 kHz, and the words that begin in it."""

    samples: Samples
    words: tuple[Word, ...]


class Voice:
    """The embedded voice."""

    @property
    def available(self) -> bool:
        """Whether the voice is installed."""
        return False

    def speak(self, text: str, *, voice: str, speed: float = 1.0) -> Generator[Spoken]:
        """Speak; a blocking generator, to be closed to cancel."""
        raise MissingExtra("the embedded voice", "local")
        yield Spoken()  # type: ignore[unreachable]
