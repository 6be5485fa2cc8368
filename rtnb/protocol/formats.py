"""Between the wire's audio formats and the 24 kHz samples inside.

``audio/pcm`` is little-endian PCM16 at 24 kHz; ``audio/pcmu`` and ``audio/pcma`` are
G.711 at 8 kHz. Decoder and encoder keep a resampler's state, so that a stream cut in
any way gives the same samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtnb.audio import (
    Samples,
    StreamingResampler,
    alaw_decode,
    alaw_encode,
    pcm16_decode,
    pcm16_encode,
    ulaw_decode,
    ulaw_encode,
)
from rtnb.protocol.events import AudioPcm, AudioPcma, AudioPcmu

if TYPE_CHECKING:
    from typing import TypeAlias

    AudioFormat: TypeAlias = AudioPcm | AudioPcmu | AudioPcma

SAMPLE_RATE = 24_000
"""Hz inside, and of ``audio/pcm`` on the wire."""

G711_RATE = 8_000
"""Hz of ``audio/pcmu`` and ``audio/pcma``."""


class InputDecoder:
    """Bytes in a wire format → float32 samples at 24 kHz.

    Parameters
    ----------
    format : AudioPcm or AudioPcmu or AudioPcma
        As in ``session.audio.input.format``.
    """

    def __init__(self, format: AudioFormat) -> None:  # noqa: A002 - the wire's name
        self._format = format
        self._resampler: StreamingResampler | None = None
        self.follow(format)

    def follow(self, format: AudioFormat) -> None:  # noqa: A002 - the wire's name
        """Decode what comes from now on as `format`."""
        if isinstance(format, AudioPcm):
            self._resampler = None
        elif self._resampler is None:
            self._resampler = StreamingResampler(G711_RATE, SAMPLE_RATE)
        self._format = format

    def __call__(self, data: bytes) -> Samples:
        """The samples of `data`, shape (n,).

        Raises
        ------
        AudioFormatError
            If PCM16 comes with an odd byte count.
        """
        if self._resampler is None:
            return pcm16_decode(data)
        decode = ulaw_decode if isinstance(self._format, AudioPcmu) else alaw_decode
        return self._resampler(decode(data))

    def flush(self) -> Samples:
        """What the resampler still holds back; none for PCM."""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        return self._resampler.flush()


class OutputEncoder:
    """Float32 samples at 24 kHz → bytes in a wire format.

    Parameters
    ----------
    format : AudioPcm or AudioPcmu or AudioPcma
        As in ``session.audio.output.format``.
    """

    def __init__(self, format: AudioFormat) -> None:  # noqa: A002 - the wire's name
        self._format = format
        self._resampler = (
            None
            if isinstance(format, AudioPcm)
            else StreamingResampler(SAMPLE_RATE, G711_RATE)
        )

    def __call__(self, samples: Samples) -> bytes:
        """The bytes of `samples`."""
        if self._resampler is None:
            return pcm16_encode(samples)
        return self._compand(self._resampler(samples))

    def flush(self) -> bytes:
        """What the resampler still holds back; empty for PCM."""
        if self._resampler is None:
            return b""
        return self._compand(self._resampler.flush())

    def _compand(self, samples: Samples) -> bytes:
        encode = ulaw_encode if isinstance(self._format, AudioPcmu) else alaw_encode
        return encode(samples)
