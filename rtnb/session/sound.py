"""From what a user hands in to the bytes that are sent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rtnb.audio import Clip, alaw_encode, ulaw_encode
from rtnb.errors import AudioFormatError
from rtnb.protocol import events as ev

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sound: TypeAlias = Clip | str | os.PathLike[str] | NDArray[np.generic] | bytes

CHUNK_MS: Final = 20
"""Audio in one append; smaller chunks let turn detection react sooner."""

SHORTEST_COMMIT_MS: Final = 100
"""The service's own bound."""

SILENCE_MARGIN_MS: Final = 500
"""Silence after a clip beyond what ends a turn: whole hops, and the filter's delay."""

OTHER_WAIT_MS: Final = 2_000
"""How long a detector that is not known here is taken to wait for more words."""


@dataclass(frozen=True)
class WireAudio:
    """A clip as it is sent: bytes in the session's input format.

    Parameters
    ----------
    data : bytes
        The clip, and the silence after it.
    bytes_per_ms : int
        48 for PCM16 at 24 kHz, 8 for G.711.
    notes : tuple of str
        What was done to the clip.
    """

    data: bytes
    bytes_per_ms: int
    notes: tuple[str, ...]

    @property
    def chunks(self) -> list[bytes]:
        """What one append after the other carries."""
        size = CHUNK_MS * self.bytes_per_ms
        starts = range(0, len(self.data), size)
        return [self.data[start : start + size] for start in starts]


def wire_audio(
    audio: Sound,
    sample_rate: int | None,
    *,
    wire_format: Any,
    detection: ev.TurnDetection | None,
) -> WireAudio:
    """Sound of a user as it is sent.

    Parameters
    ----------
    audio : Clip, path, array or bytes
        See `Session.send_audio`.
    sample_rate : int or None
        Hz, of an array or of bytes.
    wire_format : AudioPcm, AudioPcmu or AudioPcma
        The session's input format.
    detection : ServerVad, SemanticVad or None
        What ends the turn; after the clip there is silence enough for it.

    Raises
    ------
    AudioFormatError
        If it is no audio that can be sent; without detection, if it is too short.
    """
    clip = _clip(audio, sample_rate)
    ms = 1000 * clip.duration
    if detection is None and ms < SHORTEST_COMMIT_MS:
        raise AudioFormatError(
            f"the clip is {ms:.0f} ms long, but a message that no turn detection ends "
            f"has at least {SHORTEST_COMMIT_MS} ms: add some silence"
        )
    g711 = {ev.AudioPcmu: ulaw_encode, ev.AudioPcma: alaw_encode}.get(type(wire_format))
    rate = 24_000 if g711 is None else 8_000
    ready = clip if clip.sample_rate == rate else clip.resample(rate)
    whole = ready + Clip.silence(_silence_ms(detection) / 1000, rate)
    data = whole.to_pcm16() if g711 is None else g711(whole.samples)
    return WireAudio(data, 48 if g711 is None else 8, ready.notes)


def _clip(audio: Sound, sample_rate: int | None) -> Clip:
    if isinstance(audio, Clip):
        return audio
    if isinstance(audio, str | os.PathLike):
        return Clip.from_file(os.fspath(audio))
    if sample_rate is None:
        kind = type(audio).__name__
        raise AudioFormatError(
            f"what is the sample rate of this {kind}? give sample_rate=24000, or whatever it is"
        )
    if isinstance(audio, bytes):
        return Clip.from_pcm16(audio, sample_rate)
    return Clip.from_array(audio, sample_rate)


def _silence_ms(detection: ev.TurnDetection | None) -> int:
    """Silence that surely ends a turn."""
    if detection is None:
        return 0
    wait: object = None
    if isinstance(detection, ev.ServerVad):
        wait = detection.filled().silence_duration_ms
    if isinstance(detection, ev.SemanticVad):
        wait = detection.longest_wait_ms
    return (wait if isinstance(wait, int) else OTHER_WAIT_MS) + SILENCE_MARGIN_MS
