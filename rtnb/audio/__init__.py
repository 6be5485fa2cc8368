"""Sound as numbers: clips, PCM16 and G.711, sample rates, envelopes, levels.

Samples are float32, mono, shape (n,), in [-1, 1]. Names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtnb.audio.clip import Clip
    from rtnb.audio.envelopes import EnvelopePyramid, envelope
    from rtnb.audio.examples import EXAMPLES, transcript_of
    from rtnb.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
    from rtnb.audio.levels import Samples, rms_dbfs
    from rtnb.audio.noise_reduction import NoiseReducer
    from rtnb.audio.pcm import pcm16_decode, pcm16_encode
    from rtnb.audio.resampling import StreamingResampler, resample

__all__ = [
    "EXAMPLES",
    "Clip",
    "EnvelopePyramid",
    "NoiseReducer",
    "Samples",
    "StreamingResampler",
    "alaw_decode",
    "alaw_encode",
    "envelope",
    "pcm16_decode",
    "pcm16_encode",
    "resample",
    "rms_dbfs",
    "transcript_of",
    "ulaw_decode",
    "ulaw_encode",
]

_HOME = {
    "EXAMPLES": "examples",
    "Clip": "clip",
    "EnvelopePyramid": "envelopes",
    "NoiseReducer": "noise_reduction",
    "Samples": "levels",
    "StreamingResampler": "resampling",
    "alaw_decode": "g711",
    "alaw_encode": "g711",
    "envelope": "envelopes",
    "pcm16_decode": "pcm",
    "pcm16_encode": "pcm",
    "resample": "resampling",
    "rms_dbfs": "levels",
    "transcript_of": "examples",
    "ulaw_decode": "g711",
    "ulaw_encode": "g711",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
