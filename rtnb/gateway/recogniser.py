"""Speech to text in worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtnb.errors import MissingExtra

if TYPE_CHECKING:
    from rtnb.audio import Samples


@dataclass(frozen=True)
class Transcript:
    """What was understood: the words, and the length of the audio in seconds."""

    text: str
    seconds: float


class Recogniser:
    """A pool of speech recognisers."""

    def __init__(self, *, workers: int = 2) -> None:
        self._workers = workers

    @property
    def available(self) -> bool:
        """Whether the recogniser is installed."""
        return False

    async def start(self) -> None:
        """Start and warm the workers."""

    def utterance(self) -> Utterance:
        """Begin an utterance."""
        return Utterance()

    async def close(self) -> None:
        """End the workers."""


class Utterance:
    """One go of the user, recognised while it is spoken."""

    def feed(self, samples: Samples) -> None:
        """Give audio at 16 kHz; returns at once."""

    async def finish(self, *, timeout: float = 10.0) -> Transcript:  # noqa: ASYNC109
        """End the utterance and wait for its words."""
        raise MissingExtra("speech recognition", "local")

    def cancel(self) -> None:
        """Forget the utterance."""
