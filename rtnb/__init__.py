"""A laboratory bench for realtime speech in a notebook.

>>> import rtnb
>>> session = rtnb.connect()
>>> turn = session.say("hello").wait()
>>> session.close()
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtnb import errors, plots, vad
    from rtnb.audio import Clip
    from rtnb.panel import Panel
    from rtnb.recording import Recording
    from rtnb.session import Session, Turn, connect, translate
    from rtnb.tools import tool
    from rtnb.vad import SemanticVad, ServerVad
    from rtnb.widgets import AudioPort, LiveTimeline, VadTuner

__all__ = [  # noqa: RUF022 - as a dictionary sorts
    "AudioPort",
    "Clip",
    "connect",
    "errors",
    "LiveTimeline",
    "Panel",
    "plots",
    "Recording",
    "SemanticVad",
    "ServerVad",
    "Session",
    "tool",
    "translate",
    "Turn",
    "vad",
    "VadTuner",
]

_HOMES = {
    "AudioPort": "rtnb.widgets",
    "Clip": "rtnb.audio",
    "LiveTimeline": "rtnb.widgets",
    "Panel": "rtnb.panel",
    "Recording": "rtnb.recording",
    "SemanticVad": "rtnb.vad",
    "ServerVad": "rtnb.vad",
    "Session": "rtnb.session",
    "Turn": "rtnb.session",
    "VadTuner": "rtnb.widgets",
    "connect": "rtnb.session",
    "tool": "rtnb.tools",
    "translate": "rtnb.session",
}
"""Where a name is loaded from when it is first used; the others are modules."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name)
    value = (
        getattr(import_module(home), name) if home else import_module(f"rtnb.{name}")
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _show_in_notebooks() -> None:
    """Let turns and sessions show themselves where IPython runs."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        import_module("rtnb.display").register(shell)


logging.getLogger("rtnb").addHandler(logging.NullHandler())
_show_in_notebooks()
