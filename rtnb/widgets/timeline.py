"""The live timeline: what the microphone, the detector and the speaker do, on a canvas.

Nothing of it travels through the kernel: the page draws what its own
`~rtnb.widgets.AudioPort` hears, sends and plays.
"""

from __future__ import annotations

import uuid

import anywidget
import traitlets as t

from rtnb.widgets.loader import bundle, stylesheet


class LiveTimeline(anywidget.AnyWidget):
    """Microphone, speech probability, segments and answer, as they happen.

    Parameters
    ----------
    port_id : str
        ``port_id`` of the `AudioPort` that it follows; it must be on the same page.
    seconds : float, default 12.0
        Length of the window, 2 to 60 s; four fifths of it are past.
    threshold : float, default 0.5
        Where the threshold line stands. The leave level is drawn 0.15 below; what the
        gateway has in effect is drawn beside it where it differs.
    height : int, default 280
        Height in CSS pixels.

    Notes
    -----
    All parameters are synced traits and may be linked to controls. Drawn at the
    display's own rate while visible and while something changes, else not at all.

    Examples
    --------
    >>> timeline = LiveTimeline(port_id="port", threshold=0.6)
    >>> timeline.seconds
    12.0
    >>> timeline.close()
    """

    _esm = bundle("timeline.js")
    _css = stylesheet("theme.css", "timeline.css")

    timeline_id = t.Unicode(read_only=True).tag(sync=True)
    port_id = t.Unicode("").tag(sync=True)
    seconds = t.Float(12.0, min=2.0, max=60.0).tag(sync=True)
    threshold = t.Float(0.5, min=0.0, max=1.0).tag(sync=True)
    height = t.Int(280, min=120, max=2000).tag(sync=True)

    @t.default("timeline_id")
    def _new_id(self) -> str:
        return uuid.uuid4().hex
