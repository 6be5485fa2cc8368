"""Tables are escaped, aligned and bounded."""

from __future__ import annotations

from rtnb.recording.page import MOST_ROWS, table


def test_everything_is_escaped():
    html = table("<b>", ["<i>"], [["<script>\u202e"]], words=["<i>"], notes=["<u>"])
    for tag in ("<b>", "<i>", "<script>", "<u>", "\u202e"):
        assert tag not in html
    assert html.count("&lt;") == 4


def test_words_are_set_to_the_left_where_style_sheets_are_taken_away():
    html = table("t", ["name", "n"], [["a", "1"]], words=["name"])
    assert html.count('style="text-align: left"') == 2
    assert "<td>1</td>" in html
    assert "<ul>" not in html


def test_of_many_rows_the_rest_is_counted():
    html = table("t", ["n"], [["x"]] * (MOST_ROWS + 1234), words=[])
    assert html.count("<td>") == MOST_ROWS
    assert "<li>1,234 more</li>" in html
