"""Colours that one can read on a white page and on a dark one.

Every colour stands out by a contrast ratio of at least 3 (WCAG 2.2, graphics and large
text) from white and from JupyterLab's dark ground, so that a transparent picture in a
saved notebook suits both. Sound and tokens share their colours: what the user said is
blue, what was answered is orange.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

INK: Final = "#7a7a7a"
"""Text, axes and grid."""

USER: Final = "#2b7fc9"
"""Sound from the microphone."""

ASSISTANT: Final = "#d55e00"
"""Sound of the answer."""

PROBABILITY: Final = "#a464d4"
"""Speech probability."""

THRESHOLD: Final = "#dc4c4c"
"""Threshold of the turn detector."""

SPEECH: Final = "#159a68"
"""Speech segments."""

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "text in": "#159a68",
        "audio in": USER,
        "image in": "#cc5f9a",
        "cached in": "#7b8794",
        "text out": "#a98a00",
        "audio out": ASSISTANT,
        "by the minute": PROBABILITY,
    }
)
"""Kinds of tokens and of cost, in the order in which they are stacked."""

SERIES: Final = (USER, ASSISTANT, SPEECH, PROBABILITY, "#a98a00", THRESHOLD, "#1b95a0")
"""Colours of lines that have no meaning of their own."""

LIGHT_GROUND: Final = "#ffffff"
"""A white page."""

DARK_GROUND: Final = "#111111"
"""JupyterLab's dark ground (``--jp-layout-color0`` of its dark theme)."""
