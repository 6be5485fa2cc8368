"""Widgets that the browser must do itself: audio in and out, and a live canvas."""

from __future__ import annotations

from rtnb.widgets.audio_port import AudioPort, MediaEndpoint
from rtnb.widgets.timeline import LiveTimeline

__all__ = ["AudioPort", "LiveTimeline", "MediaEndpoint"]
