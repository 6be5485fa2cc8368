"""What the scripted mind sees of an image: its size and the colour there is most of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rtnb.errors import ImageFormatError
from rtnb.protocol.events import InputImage, MessageItem
from rtnb.protocol.images import read_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COLOURS: Final = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "gray": (128, 128, 128),
    "red": (220, 20, 30),
    "dark red": (128, 0, 0),
    "orange": (255, 140, 0),
    "yellow": (250, 220, 0),
    "brown": (130, 80, 40),
    "green": (0, 170, 60),
    "dark green": (0, 90, 0),
    "turquoise": (40, 200, 200),
    "light blue": (130, 190, 240),
    "blue": (30, 80, 220),
    "dark blue": (0, 0, 110),
    "purple": (130, 40, 160),
    "pink": (245, 150, 190),
}
"""Names that a voice can say, and a colour of each."""


def colour_name(colour: tuple[int, int, int]) -> str:
    """Name of the nearest of `COLOURS`.

    Parameters
    ----------
    colour : tuple of int
        Red, green and blue, 0 to 255.

    Examples
    --------
    >>> colour_name((250, 5, 5))
    'red'
    """
    return min(COLOURS, key=lambda name: _distance(COLOURS[name], colour))


def _distance(one: Sequence[int], other: Sequence[int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def seen(items: Iterable[object]) -> str | None:
    """What the images look like that the user has shown since the last answer.

    An image may come in the message that asks about it, or in one of its own before.

    Parameters
    ----------
    items : iterable of Item
        The conversation.

    Returns
    -------
    str or None
        Such as ``"an image of 640 by 480 pixels, mostly blue"``; None without images.
    """
    shown: list[str] = []
    for item in items:
        match item:
            case MessageItem(role="assistant"):
                shown.clear()
            case MessageItem(role="user", content=content):
                shown += [
                    part.image_url
                    for part in content
                    if isinstance(part, InputImage) and isinstance(part.image_url, str)
                ]
            case _:
                continue
    return " and ".join(map(_described, shown)) or None


def shows_image(item: object) -> bool:
    """Whether an item is a message of the user with an image in it."""
    return seen([item]) is not None


def _described(uri: str) -> str:
    try:
        image = read_image(uri)
        colour = colour_name(image.dominant_colour())
    except ImageFormatError:
        return "an image that I cannot unpack"
    return f"an image of {image.width} by {image.height} pixels, mostly {colour}"
