"""Turn detection: speech probability, the turn detector, offline segmentation."""

from __future__ import annotations

from rtnb.vad.settings import (
    SEMANTIC_VAD_DEFAULTS,
    SERVER_VAD_DEFAULTS,
    Eagerness,
    SemanticVad,
    ServerVad,
)

__all__ = [
    "SEMANTIC_VAD_DEFAULTS",
    "SERVER_VAD_DEFAULTS",
    "Eagerness",
    "SemanticVad",
    "ServerVad",
]
