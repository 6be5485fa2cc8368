"""Images in messages: data URIs, read as far as their size, and what they weigh.

An image is never fetched: what is not in the message itself is refused.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pybase64

from rtnb.errors import ImageFormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS: Final = ("PNG", "JPEG", "WEBP")
"""PNG and JPEG are documented; WebP is taken besides."""

LARGEST_BYTES: Final = 20 * 2**20
"""Bytes of one image, decoded from base64: our choice, as the service's other doors."""

LARGEST_SIDE: Final = 16_384
LARGEST_PIXELS: Final = 64 * 2**20
"""Bounds in pixels, checked before anything is unpacked: our choice."""

BASE_TOKENS: Final = 85
TILE_TOKENS: Final = 170
TILE: Final = 512
FIRST_SIDE: Final = 2048
SHORT_SIDE: Final = 768
"""What an image counts for is not published for realtime models. This is the rule of the
gpt-4o family: fitted into 2048 x 2048, its short side brought to 768, then 85 tokens and
170 for every tile of 512 x 512 that is touched; 85 alone where `detail` is low."""

_DATA_URI = re.compile(r"data:image/(png|jpe?g|webp);base64,", re.IGNORECASE)


@dataclass(frozen=True)
class Image:
    """An image of a message.

    Parameters
    ----------
    data : bytes
        The file.
    width, height : int
        Pixels.
    format : {"PNG", "JPEG", "WEBP"}
        What the file is, whatever its URI says.
    """

    data: bytes
    width: int
    height: int
    format: str

    def tokens(self, detail: str = "auto") -> int:
        """Tokens it counts for as input: an estimate, see `TILE_TOKENS`.

        Parameters
        ----------
        detail : {"auto", "low", "high"}
            "auto" is "high".

        Examples
        --------
        >>> Image(b"", 1024, 1024, "PNG").tokens()
        765
        """
        if detail == "low":
            return BASE_TOKENS
        scale = min(1.0, FIRST_SIDE / max(self.width, self.height))
        scale = min(scale, SHORT_SIDE / min(self.width, self.height))
        across, down = (
            -(-max(1, round(side * scale)) // TILE)
            for side in (self.width, self.height)
        )
        return BASE_TOKENS + TILE_TOKENS * across * down

    def dominant_colour(self) -> tuple[int, int, int]:
        """The most frequent of its colours, each channel in eight steps.

        Returns
        -------
        tuple of int
            Red, green and blue, 0 to 255: the mean of all pixels of that colour.

        Raises
        ------
        ImageFormatError
            If the file ends before its pixels do.
        """
        import numpy as np

        pixels = _thumbnail(self.data).reshape(-1, 3)
        steps = (pixels // 32).astype(np.int64) @ np.array([64, 8, 1])
        most = np.bincount(steps).argmax()
        red, green, blue = pixels[steps == most].mean(axis=0).round().astype(int)
        return int(red), int(green), int(blue)

    def thumbnail(self, side: int) -> bytes:
        """A PNG file of it with at most so many pixels a side.

        Parameters
        ----------
        side : int
            Pixels.

        Raises
        ------
        ImageFormatError
            If the file ends before its pixels do.
        """
        import PIL.Image

        file = io.BytesIO()
        PIL.Image.fromarray(_thumbnail(self.data, side)).save(file, format="PNG")
        return file.getvalue()


def read_image(uri: str) -> Image:
    """The image in a data URI; only its head is read.

    Parameters
    ----------
    uri : str
        ``data:image/png;base64,…``, or jpeg or webp.

    Raises
    ------
    ImageFormatError
        If it is not in the message, not such an image, or too large.

    Examples
    --------
    >>> read_image("https://example.org/cat.png")
    Traceback (most recent call last):
        ...
    rtnb.errors.ImageFormatError: expected a data URI with a base64 PNG, JPEG or WebP image; images are never fetched
    """
    import PIL.Image

    head = _DATA_URI.match(uri)
    if head is None:
        raise ImageFormatError(
            "expected a data URI with a base64 PNG, JPEG or WebP image; images are "
            "never fetched"
        )
    size = (len(uri) - head.end()) * 3 // 4
    if size > LARGEST_BYTES:
        raise ImageFormatError(
            f"the image has {size} bytes, but at most {LARGEST_BYTES} are taken: send "
            "a smaller one"
        )
    try:
        data = pybase64.b64decode(uri[head.end() :], validate=True)
    except ValueError as error:
        raise ImageFormatError("the image is not valid base64") from error
    try:
        with warnings.catch_warnings(action="ignore"):  # the size is looked at below
            opened = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
    except (OSError, PIL.Image.DecompressionBombError) as error:
        raise ImageFormatError("the data is no PNG, JPEG or WebP image") from error
    width, height = opened.size
    if max(width, height) > LARGEST_SIDE or width * height > LARGEST_PIXELS:
        raise ImageFormatError(
            f"the image has {width} x {height} pixels, but at most {LARGEST_SIDE} a "
            f"side and {LARGEST_PIXELS} in all are taken: send a smaller one"
        )
    return Image(data, width, height, str(opened.format))


def _thumbnail(data: bytes, side: int = 64) -> NDArray[np.uint8]:
    import numpy as np
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            opened.thumbnail((side, side))
            return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ImageFormatError(f"the image cannot be unpacked: {error}") from error
