"""Text that somebody else wrote, made fit to be shown.

Control and direction characters become visible, so that no line breaks, vanishes or
runs backwards; for HTML everything is escaped.
"""

from __future__ import annotations

from html import escape
from typing import Final

_VISIBLE: Final[dict[int, int | str]] = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys((0x200E, 0x200F, 0x061C), 0xFFFD),
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD),
    **dict.fromkeys(map(ord, "\t\n\r\v\f\x85\u2028\u2029"), " "),
}
"""Control and direction characters, and what stands for them."""


def plain(value: object) -> str:
    r"""Text in one line, nothing in it invisible.

    Examples
    --------
    >>> plain("one\ntwo\x07")
    'one two␇'
    """
    return str(value).translate(_VISIBLE)


def safe(value: object) -> str:
    """Text that HTML shows and never runs.

    Examples
    --------
    >>> safe("<b>")
    '&lt;b&gt;'
    """
    return escape(plain(value))
