"""Sessions with a realtime model, and the turns they are made of."""

from __future__ import annotations

from rtnb.session.connect import connect
from rtnb.session.listening import Transcription, TranscriptSegment, Word
from rtnb.session.media import MediaEndpoint
from rtnb.session.session import Session
from rtnb.session.settings import SettingRow
from rtnb.session.translating import Translation, translate
from rtnb.session.turn import Latency, Segment, ToolCall, Turn

__all__ = [
    "Latency",
    "MediaEndpoint",
    "Segment",
    "Session",
    "SettingRow",
    "ToolCall",
    "TranscriptSegment",
    "Transcription",
    "Translation",
    "Turn",
    "Word",
    "connect",
    "translate",
]

# IPython finds formatters by the module that users know, without importing it
Session.__module__ = Turn.__module__ = __name__
