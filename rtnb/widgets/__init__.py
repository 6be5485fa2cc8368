"""Widgets that the browser must do itself: audio in and out, and a live canvas."""

from __future__ import annotations

from rtnb.widgets.audio_port import AudioPort, MediaEndpoint
from rtnb.widgets.calibrator import Calibrator
from rtnb.widgets.timeline import LiveTimeline
from rtnb.widgets.tuner import VadTuner

__all__ = ["AudioPort", "Calibrator", "LiveTimeline", "MediaEndpoint", "VadTuner"]
