"""Pictures that a model is shown: whatever holds one, made a small PNG or JPEG file.

A picture is always encoded anew, so that nothing travels but its pixels: no place, no
camera, no thumbnail of what was cut off. What is transparent becomes white, for models
take it to be black.
"""

from __future__ import annotations

import io
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pybase64

from rtnb.errors import ImageFormatError
from rtnb.protocol.images import (
    FIRST_SIDE,
    FORMATS,
    LARGEST_PIXELS,
    LARGEST_SIDE,
    Image,
    read_image,
)

if TYPE_CHECKING:
    import os

    import PIL.Image

Picturesque: TypeAlias = "str | os.PathLike[str] | bytes | Image | Any"
"""A file, its bytes, a data URI, a PIL image, a matplotlib figure or axes, or an array."""

PNG_BYTES: Final = 2**20
"""A PNG file that is larger becomes a JPEG file."""

JPEG_QUALITY: Final = 90

_GRAY, _COLOUR = 2, 3
_LEVELS: Final = 255


@dataclass(frozen=True)
class Picture:
    """A picture as it travels, and what was done to it.

    Parameters
    ----------
    image : Image
        The file.
    notes : tuple of str
        What one must know of it, such as that it was made smaller.
    """

    image: Image
    notes: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """The file as a data URI."""
        data = pybase64.b64encode(self.image.data).decode()
        return f"data:image/{self.image.format.lower()};base64,{data}"

    @property
    def size(self) -> str:
        """Its size in words."""
        return f"{self.image.width} x {self.image.height} pixels"


def is_picture(value: object) -> bool:
    """Whether a value is an image or a figure, whatever package made it.

    Parameters
    ----------
    value : object
        Anything; arrays are numbers, not pictures.
    """
    return isinstance(value, Image | Picture) or any(
        isinstance(value, kind)
        for module, name in (
            ("PIL.Image", "Image"),
            ("matplotlib.figure", "Figure"),
            ("matplotlib.axes", "Axes"),
        )
        if (kind := getattr(sys.modules.get(module), name, None)) is not None
    )


def picture(image: Picturesque, *, largest_side: int = FIRST_SIDE) -> Picture:
    """Make a picture of whatever holds one.

    Parameters
    ----------
    image : path, bytes, data URI, PIL image, figure, axes or array
        An array is uint8 or float in [0, 1], shape (height, width), or with a last
        dimension of 3 or 4 colours.
    largest_side : int, default 2048
        Pixels; what is larger is made smaller. Models look at no more than 2048.

    Raises
    ------
    ImageFormatError
        If it holds no picture, or too large a one.
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> picture(np.zeros((3000, 1500))).notes
    ('the image was made smaller: from 1500 x 3000 to 1024 x 2048 pixels',)
    """
    if isinstance(image, Picture):
        return image
    import PIL.Image

    opened = _opened(image)
    notes: tuple[str, ...] = ()
    width, height = opened.size
    if max(width, height) > largest_side:
        scale = largest_side / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        opened = opened.resize(size, PIL.Image.Resampling.LANCZOS)
        notes = (
            f"the image was made smaller: from {width} x {height} to "
            f"{size[0]} x {size[1]} pixels",
        )
    return Picture(_encoded(opened, photo=_is_photo(image)), notes)


def _opened(image: Picturesque) -> PIL.Image.Image:
    """Pixels of an image, upright, in gray or in colours."""
    import PIL.Image
    import PIL.ImageOps

    match image:
        case PIL.Image.Image():
            opened = image
        case Image(data=data):
            opened = _read(data, "the image")
        case np.ndarray():
            opened = _from_array(image)
        case bytes() | bytearray():
            opened = _read(bytes(image), "the bytes")
        case str() if image.startswith("data:"):
            opened = _read(read_image(image).data, "the data URI")
        case str() if "://" in image:
            raise ImageFormatError(
                f"{image!r} is an address, and images are never fetched: download it "
                "and give its path"
            )
        case _ if isinstance(image, str | Path) or hasattr(image, "__fspath__"):
            opened = _read(Path(image).read_bytes(), str(image))
        case _ if is_picture(image):
            opened = _read(_drawn(image), "the figure")
        case _:
            raise ImageFormatError(
                f"{type(image).__name__} is no picture: give a path, a PIL image, a "
                "matplotlib figure or an array"
            )
    _check_size(*opened.size)
    upright = PIL.ImageOps.exif_transpose(opened)
    if upright.has_transparency_data:
        paper = PIL.Image.new("RGBA", upright.size, "white")
        return PIL.Image.alpha_composite(paper, upright.convert("RGBA")).convert("RGB")
    return upright.convert("L" if upright.mode in ("1", "L") else "RGB")


def _read(data: bytes, name: str) -> PIL.Image.Image:
    import PIL.Image

    try:
        with warnings.catch_warnings(action="ignore"):  # the size is checked here
            opened = PIL.Image.open(io.BytesIO(data), formats=(*FORMATS, "GIF", "BMP"))
            _check_size(*opened.size)
            opened.load()
    except (OSError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise ImageFormatError(f"{name} holds no image: {error}") from error
    return opened


def _check_size(width: int, height: int) -> None:
    if not 0 < max(width, height) <= LARGEST_SIDE or width * height > LARGEST_PIXELS:
        raise ImageFormatError(
            f"the image has {width} x {height} pixels, but at least one and at most "
            f"{LARGEST_SIDE} a side and {LARGEST_PIXELS} in all are taken: give "
            "another one"
        )


def _from_array(array: np.ndarray[Any, Any]) -> PIL.Image.Image:
    import PIL.Image

    flat = array.ndim == _GRAY
    colours = array.ndim == _COLOUR and array.shape[2] in (3, 4)
    if not array.size or not (flat or colours):
        raise ImageFormatError(
            f"an array of shape {array.shape} is no picture: give (height, width), or "
            "(height, width, 3 or 4)"
        )
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and 0 <= array.min() <= array.max() <= 1):
            raise ImageFormatError(
                "an array of floats must lie in [0, 1] to be a picture: scale it first"
            )
        array = np.round(array * _LEVELS).astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * _LEVELS
    elif array.dtype != np.uint8:
        raise ImageFormatError(
            f"an array of {array.dtype} is no picture: give uint8, or float in [0, 1]"
        )
    return PIL.Image.fromarray(np.ascontiguousarray(array))


def _drawn(drawing: Any) -> bytes:
    """PNG file of a figure, or of the figure that axes belong to."""
    figure = drawing if hasattr(drawing, "savefig") else drawing.figure
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _is_photo(image: Picturesque) -> bool:
    """Whether it was a JPEG file, which as PNG would only grow."""
    if isinstance(image, str | bytes | bytearray | Path):
        data = image if isinstance(image, bytes | bytearray) else b""
        name = image if isinstance(image, str | Path) else ""
        return bytes(data[:2]) == b"\xff\xd8" or str(name).lower().endswith(
            (".jpg", ".jpeg")
        )
    return getattr(image, "format", None) == "JPEG"


def _encoded(pixels: PIL.Image.Image, *, photo: bool) -> Image:
    file = io.BytesIO()
    if not photo:
        pixels.save(file, format="PNG")
    if photo or file.tell() > PNG_BYTES:
        file = io.BytesIO()
        pixels.save(file, format="JPEG", quality=JPEG_QUALITY)
        return Image(file.getvalue(), *pixels.size, "JPEG")
    return Image(file.getvalue(), *pixels.size, "PNG")
