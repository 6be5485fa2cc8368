"""Pictures as they travel, whatever they come from."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from matplotlib.figure import Figure

from rtnb.errors import ImageFormatError
from rtnb.protocol.images import read_image
from rtnb.tools.pictures import is_picture, picture


def file_of(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


RED = PIL.Image.new("RGB", (40, 30), (250, 0, 0))


@pytest.fixture
def red_file(tmp_path):
    path = tmp_path / "red.png"
    path.write_bytes(file_of(RED))
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path,
        str,
        lambda path: path.read_bytes(),
        PIL.Image.open,
        picture,
        lambda path: picture(path).image,
        lambda path: picture(path).uri,
        lambda path: np.full((30, 40, 3), (250, 0, 0), np.uint8),
        lambda path: np.full((30, 40, 3), (250 / 255, 0, 0)),
    ],
)
def test_whatever_holds_a_picture(red_file, make):
    shown = picture(make(red_file))
    read = read_image(shown.uri)
    assert (read.width, read.height, read.format) == (40, 30, "PNG")
    assert read.dominant_colour() == (250, 0, 0)
    assert shown.notes == ()


def test_a_figure_and_its_axes_are_drawn():
    axes = Figure(figsize=(2, 1), dpi=50).subplots()
    for drawn in (axes, axes.figure):
        assert (picture(drawn).size, is_picture(drawn)) == ("100 x 50 pixels", True)


def test_what_is_transparent_is_white():
    figure = Figure(figsize=(1, 1), facecolor="none")
    for shown in (picture(PIL.Image.new("RGBA", (9, 9))), picture(figure)):
        assert shown.image.dominant_colour() == (255, 255, 255)


def test_a_gray_or_boolean_array():
    assert picture(np.zeros((5, 7))).size == "7 x 5 pixels"
    assert picture(np.eye(9, dtype=bool)).image.height == 9


def test_what_is_too_large_is_made_smaller_and_says_so():
    shown = picture(PIL.Image.new("L", (5000, 100)))
    assert shown.size == "2048 x 41 pixels"
    assert shown.notes == (
        "the image was made smaller: from 5000 x 100 to 2048 x 41 pixels",
    )


def test_a_png_that_would_be_heavy_becomes_a_jpeg():
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 4), np.uint8)
    shown = picture(noise)
    assert shown.image.format == "JPEG"
    assert len(shown.image.data) < 2**20


def test_a_photo_stays_one_and_loses_where_it_was_taken():
    exif = PIL.Image.Exif()
    exif[0x010E] = "my garden"
    exif[0x0112] = 6  # turned by a quarter
    shown = picture(file_of(RED, "JPEG", exif=exif))
    assert (shown.image.format, shown.size) == ("JPEG", "30 x 40 pixels")
    assert b"garden" not in shown.image.data
    assert not PIL.Image.open(io.BytesIO(shown.image.data)).getexif()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("https://example.org/cat.png", "never fetched"),
        (b"no image", "holds no image"),
        (file_of(RED)[:60], "holds no image"),
        (np.zeros(5), r"an array of shape \(5,\)"),
        (np.zeros((0, 5)), "no picture"),
        (np.full((2, 2), 7.0), r"in \[0, 1\]"),
        (np.full((2, 2), np.nan), r"in \[0, 1\]"),
        (np.zeros((2, 2), np.int64), "int64"),
        (PIL.Image.new("1", (20_000, 1)), "at most 16384 a side"),
        (3, "int is no picture"),
    ],
)
def test_what_is_no_picture_is_refused(wrong, reason):
    with pytest.raises(ImageFormatError, match=reason):
        picture(wrong)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        picture(tmp_path / "none.png")


def test_numbers_and_texts_are_no_pictures():
    assert not any(map(is_picture, (np.zeros((2, 2)), "red.png", b"", 3)))
