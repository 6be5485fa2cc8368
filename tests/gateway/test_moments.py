"""Days and hours are found in sentences, and nowhere else."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.gateway.moments import find_day, find_time

FRIDAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("see you on 3 March", "2027-03-03"),
        ("on the 24th of december", "2026-12-24"),
        ("March 5th, 2029 please", "2029-03-05"),
        ("tomorrow or on Monday", "2026-11-21"),
        ("not yesterday", "2026-11-19"),
        ("the day after tomorrow", "2026-11-22"),
        ("in three days", "2026-11-23"),
        ("in a week", "2026-11-27"),
        ("next Friday", "2026-11-27"),
        ("on monday", "2026-11-23"),
        ("2026-12-01T10:00", "2026-12-01"),
        ("30 February", None),
        ("2026-13-01", None),
        ("maybe 3 more", None),
        ("in some days", None),
        ("", None),
    ],
)
def test_days(text, day):
    found = find_day(text, FRIDAY)
    assert (found and found.value) == day


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("at half past five pm", "17:30"),
        ("at 5 pm", "17:00"),
        ("7:30 or 8:30", "07:30"),
        ("at 7:30 p.m.", "19:30"),
        ("ten to six", "05:50"),
        ("ten to one am", "00:50"),
        ("five to midnight or twelve am", "00:00"),
        ("a quarter past nine", "09:15"),
        ("noon", "12:00"),
        ("five o'clock", "05:00"),
        ("25:00", None),
        ("13 pm", None),
        ("good morning I am", None),
        ("", None),
    ],
)
def test_hours(text, hour):
    found = find_time(text)
    assert (found and found.value) == hour


def test_it_is_told_where_they_stand():
    text = "see you on 3 March, at noon"
    day, hour = find_day(text, FRIDAY), find_time(text)
    assert text[day.start : day.end] == "3 March"
    assert text[hour.start : hour.end] == "noon"


@given(st.text(), st.dates())
def test_any_text_will_do(text, today):
    find_day(text, today)
    find_time(text)
    find_day(f"the day after {text} tomorrow in 9999999999 weeks", today)
