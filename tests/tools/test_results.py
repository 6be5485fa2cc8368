"""What a function gave, as the model is told it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from rtnb.tools import MAX_OUTPUT_BYTES, Outcome, error_output
from rtnb.tools.results import MAX_PICTURES, MAX_ROWS


def told(result):
    return json.loads(Outcome.of(result).output)


def test_a_table_is_its_size_and_its_first_rows():
    frame = pd.DataFrame({"n": range(1000), "name": "a"})
    assert told(frame) == {
        "rows": 1000,
        "columns": ["n", "name"],
        "first_rows": [[n, "a"] for n in range(MAX_ROWS)],
    }


def test_a_small_table_is_told_whole_with_its_index():
    frame = pd.DataFrame(
        {"when": pd.to_datetime(["2026-11-20"]), "x": [float("nan")]}, index=["Oslo"]
    )
    answer = told({"table": frame})["table"]
    assert answer["columns"] == ["index", "when", "x"]
    assert answer["data"] == [["Oslo", "2026-11-20T00:00:00.000", None]]


def test_a_column_is_a_table_of_one():
    assert told(pd.Series([1, 2], name="n")) == {
        "rows": 2,
        "columns": ["n"],
        "data": [[1], [2]],
    }


def test_columns_of_one_name_do_no_harm():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"], index=pd.Index([3], name="a"))
    assert told(frame)["data"] == [[3, 1, 2]]


def test_a_large_array_is_its_shape_and_range():
    answer = told(np.arange(10_000.0).reshape(100, 100))
    assert (answer["shape"], answer["dtype"]) == ([100, 100], "float64")
    assert (answer["min"], answer["max"], answer["mean"]) == (0, 9999, 4999.5)
    assert answer["first"] == list(range(16))


def test_bytes_are_counted_and_not_sent():
    assert told(b"\x00" * 5000) == {"bytes": 5000}


def test_pictures_are_named_in_the_text_and_put_aside():
    red, figure = PIL.Image.new("RGB", (30, 20), "red"), Figure(figsize=(1, 1), dpi=50)
    outcome = Outcome.of({"note": "see", "shown": [red, figure]})
    assert json.loads(outcome.output) == {
        "note": "see",
        "shown": [
            "image 1, 30 x 20 pixels: it is shown in the next message",
            "image 2, 50 x 50 pixels: it is shown in the next message",
        ],
    }
    assert [each.image.width for each in outcome.pictures] == [30, 50]


def test_there_is_a_limit_to_pictures():
    outcome = Outcome.of([PIL.Image.new("L", (2, 2))] * (MAX_PICTURES + 1))
    assert len(outcome.pictures) == MAX_PICTURES
    assert "not shown" in json.loads(outcome.output)[-1]


@given(st.text(st.characters(), min_size=1).map(lambda text: text * 9000))
def test_no_text_is_longer_than_what_is_sent(text):
    for output in (Outcome.of(text).output, error_output(text)):
        assert len(output.encode()) <= MAX_OUTPUT_BYTES


@pytest.mark.parametrize("text", ["half \ud800 a character", "\x00"])
def test_every_text_can_be_sent(text):
    assert Outcome.of(text).output.encode()
    assert json.loads(error_output(text))["error"]
