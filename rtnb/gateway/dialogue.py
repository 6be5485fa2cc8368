"""What a page and a tap need of a session, whoever answers in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.audio import Samples
    from rtnb.gateway.tap import Tap
    from rtnb.protocol.formats import AudioFormat

RELEASE_EVENTS: Final = "rtnb_release_"
"""How the ids of events begin by which a provider is asked to take a push-to-talk turn:
what it refuses is told to the page."""


class Dialogue(Protocol):
    """A session with input audio, and perhaps answers that are heard.

    Attributes
    ----------
    observers : list of callables
        Each is called with every server event, in order.
    listeners : list of callables
        Each is called with ``(first_hop, probabilities)`` as they come.
    taps : list of Tap
        Each hears all input audio, in order.
    """

    observers: list[Callable[[Any], None]]
    listeners: list[Callable[[int, Samples], None]]
    taps: list[Tap]

    @property
    def id(self) -> str:
        """Identifier of the session; empty before there is one."""

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        """Settings in force, as on the wire."""

    @property
    def samples_appended(self) -> int:
        """Audio time of the session, in samples at 24 kHz."""

    def answer_format(self, item_id: str) -> AudioFormat:
        """Wire format of an answer's audio."""

    def append_audio(self, samples: Samples) -> None:
        """Take microphone audio of the page; float32, mono, 24 kHz."""

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Cut an answer at what was heard; one that cannot be cut is left alone."""

    def cancel(self) -> None:
        """Stop the answer that is being made."""

    def clear(self) -> None:
        """Empty the input buffer."""

    def end_turn(self) -> None:
        """End a push-to-talk turn.

        Raises
        ------
        ServerError
            If less than 100 ms was said, or an answer is being made.
        """
