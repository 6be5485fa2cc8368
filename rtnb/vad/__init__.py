"""Turn detection: settings, speech probability, the turn detector, segments.

What belongs to what:

* the law: `settings`, `detector`, `semantic`; live in `streaming`, offline in
  `policies` (arrays) and `segmentation` (objects); the words come from `listener`
  (live) and `sentences` (offline);
* speech probability: `probability`, `cache`, and `models`: `silero`, `energy` and, from
  other packages, `foreign`;
* many settings, many recordings: `sweeping` (with `grid` and `workers`), `scoring`,
  `choosing`, and `stress` to make a recording harder;
* one recording, closely: `labels`, `explanation`, `dialects`;
* a microphone: `calibration`, `spectrum`, `echo`;
* ``rtnb vad``: `command` and `reports`.

Times are whole milliseconds from the start of the audio, hops are 32 ms. Everything
but the settings, which are wire types, loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rtnb.vad.settings import (
    SEMANTIC_VAD_DEFAULTS,
    SERVER_VAD_DEFAULTS,
    Eagerness,
    SemanticVad,
    ServerVad,
)

if TYPE_CHECKING:
    from rtnb.vad.cache import CacheInfo, cache_info, clear_cache
    from rtnb.vad.calibration import Calibration, Clipping, calibrate
    from rtnb.vad.choosing import best, by_setting
    from rtnb.vad.detector import SpeechStarted, SpeechStopped, TurnDetector
    from rtnb.vad.dialects import as_code
    from rtnb.vad.echo import EchoCheck, echo_probe, measure_echo
    from rtnb.vad.explanation import explain
    from rtnb.vad.labels import Label, Labels
    from rtnb.vad.models import SpeechModel, SpeechStream, speech_model
    from rtnb.vad.policies import Policy
    from rtnb.vad.probability import SpeechProbability, speech_probability
    from rtnb.vad.scoring import score
    from rtnb.vad.segmentation import Segment, segment
    from rtnb.vad.semantic import Judge, SemanticDetector, SentenceEnds
    from rtnb.vad.sentences import sentence_ends
    from rtnb.vad.silero import SileroStream, SileroVad
    from rtnb.vad.spectrum import Hum, Spectrum, mains_hum, third_octaves
    from rtnb.vad.streaming import StreamingVad
    from rtnb.vad.stress import (
        add_noise,
        change_gain,
        drop_packets,
        insert_silences,
        telephone,
    )
    from rtnb.vad.sweeping import sweep

__all__ = [
    "SEMANTIC_VAD_DEFAULTS",
    "SERVER_VAD_DEFAULTS",
    "CacheInfo",
    "Calibration",
    "Clipping",
    "Eagerness",
    "EchoCheck",
    "Hum",
    "Judge",
    "Label",
    "Labels",
    "Policy",
    "Segment",
    "SemanticDetector",
    "SemanticVad",
    "SentenceEnds",
    "ServerVad",
    "SileroStream",
    "SileroVad",
    "Spectrum",
    "SpeechModel",
    "SpeechProbability",
    "SpeechStarted",
    "SpeechStopped",
    "SpeechStream",
    "StreamingVad",
    "TurnDetector",
    "add_noise",
    "as_code",
    "best",
    "by_setting",
    "cache_info",
    "calibrate",
    "change_gain",
    "clear_cache",
    "drop_packets",
    "echo_probe",
    "explain",
    "insert_silences",
    "mains_hum",
    "measure_echo",
    "score",
    "segment",
    "sentence_ends",
    "speech_model",
    "speech_probability",
    "sweep",
    "telephone",
    "third_octaves",
]

_HOME = {
    "CacheInfo": "cache",
    "Calibration": "calibration",
    "Clipping": "calibration",
    "EchoCheck": "echo",
    "Hum": "spectrum",
    "Judge": "semantic",
    "Label": "labels",
    "Labels": "labels",
    "Policy": "policies",
    "Segment": "segmentation",
    "SemanticDetector": "semantic",
    "SentenceEnds": "semantic",
    "SileroStream": "silero",
    "SileroVad": "silero",
    "Spectrum": "spectrum",
    "SpeechModel": "models",
    "SpeechProbability": "probability",
    "SpeechStarted": "detector",
    "SpeechStopped": "detector",
    "SpeechStream": "models",
    "StreamingVad": "streaming",
    "TurnDetector": "detector",
    "add_noise": "stress",
    "as_code": "dialects",
    "best": "choosing",
    "by_setting": "choosing",
    "cache_info": "cache",
    "calibrate": "calibration",
    "change_gain": "stress",
    "clear_cache": "cache",
    "drop_packets": "stress",
    "echo_probe": "echo",
    "explain": "explanation",
    "insert_silences": "stress",
    "mains_hum": "spectrum",
    "measure_echo": "echo",
    "score": "scoring",
    "segment": "segmentation",
    "sentence_ends": "sentences",
    "speech_model": "models",
    "speech_probability": "probability",
    "sweep": "sweeping",
    "telephone": "stress",
    "third_octaves": "spectrum",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
