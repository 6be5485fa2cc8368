import base64
import io
import zlib

import PIL.Image
import pytest

from rtnb.errors import ImageFormatError
from rtnb.protocol.images import LARGEST_BYTES, LARGEST_SIDE, Image, read_image


def data_uri(image, kind="PNG", *, says=None):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    text = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{says or kind.lower()};base64,{text}"


def plain(width, height, colour=(200, 30, 30)):
    return PIL.Image.new("RGB", (width, height), colour)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_three_formats_are_read(kind):
    image = read_image(data_uri(plain(40, 30), kind))
    assert (image.width, image.height, image.format) == (40, 30, kind)


def test_it_is_what_the_data_says_and_not_the_uri():
    assert read_image(data_uri(plain(2, 1), "PNG", says="jpeg")).format == "PNG"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("https://example.org/cat.png", "never fetched"),
        ("file:///etc/passwd", "never fetched"),
        ("", "expected a data URI"),
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw=", "expected a data URI"),
        ("data:image/png;base64,????", "not valid base64"),
        ("data:image/png;base64,AAAA", "no PNG, JPEG or WebP"),
        ("data:image/png;base64,", "no PNG, JPEG or WebP"),
        (data_uri(plain(1, 1), "GIF", says="png"), "no PNG, JPEG or WebP"),
        (data_uri(plain(LARGEST_SIDE + 1, 1)), "16385 x 1 pixels"),
        ("data:image/png;base64," + "A" * (2 * LARGEST_BYTES), "at most 20971520"),
    ],
    ids=lambda value: value[:24],
)
def test_what_is_no_image_is_refused_in_words(uri, words):
    with pytest.raises(ImageFormatError, match=words):
        read_image(uri)


def test_a_bomb_is_refused_by_its_head():
    head = bytearray(base64.b64decode(data_uri(plain(1, 1)).split(",")[1]))
    head[16:24] = (60_000).to_bytes(4, "big") * 2
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    uri = "data:image/png;base64," + base64.b64encode(head).decode()
    with pytest.raises(ImageFormatError):
        read_image(uri)


@pytest.mark.parametrize(
    ("size", "detail", "tokens"),
    [
        ((512, 512), "auto", 85 + 170),
        ((1024, 1024), "high", 765),
        ((2048, 4096), "high", 1105),
        ((2048, 4096), "low", 85),
        ((100, 100), "low", 85),
    ],
)
def test_tokens_are_counted_by_tiles(size, detail, tokens):
    assert Image(b"", *size, "PNG").tokens(detail) == tokens


def test_the_most_frequent_colour_is_told():
    image = plain(64, 64)
    image.paste((10, 10, 250), (0, 0, 64, 20))
    assert read_image(data_uri(image)).dominant_colour() == (200, 30, 30)


def test_a_file_that_was_cut_off_has_no_colour():
    whole = read_image(data_uri(plain(500, 500, (1, 2, 3))))
    with pytest.raises(ImageFormatError, match="cannot be unpacked"):
        Image(whole.data[:60], 500, 500, "PNG").dominant_colour()
