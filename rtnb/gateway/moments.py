"""Days and hours in a sentence: "next Friday at half past five".

English, and ISO 8601 as it stands. Relative days are counted from a given day, so the
same words on the same day are always the same date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from rtnb.gateway.arithmetic import numbers_in

if TYPE_CHECKING:
    from collections.abc import Callable

_Moment = TypeVar("_Moment", date, time)

_WEEKDAYS: Final = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTH: Final = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS)
_DAY: Final = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR: Final = r"(?:,?\s+(\d{4}))?"
_NUMBER: Final = r"((?:[a-z]+|\d+)(?:[ -][a-z]+)?)"


@dataclass(frozen=True)
class Found:
    """A day or an hour, and where it stands: ``text[start:end]``."""

    value: str
    start: int
    end: int


def find_day(text: str, today: date) -> Found | None:
    """The first day that a text names.

    Parameters
    ----------
    text : str
        What was said.
    today : datetime.date
        From which "tomorrow" and "Friday" are counted. A day and month without a year
        is the next such.

    Returns
    -------
    Found or None
        Its value is ``YYYY-MM-DD``.

    Examples
    --------
    >>> find_day("see you on 3 March", date(2026, 11, 20)).value
    '2027-03-03'
    """
    found = (
        Found(day.isoformat(), match.start(), match.end())
        for pattern, read in _DAYS
        for match in re.finditer(pattern, text, re.IGNORECASE)
        if (day := _possible(read, match, today)) is not None
    )
    return min(found, key=lambda one: (one.start, -one.end), default=None)


def find_time(text: str) -> Found | None:
    """The first time of day that a text names.

    Parameters
    ----------
    text : str
        What was said.

    Returns
    -------
    Found or None
        Its value is ``HH:MM``.

    Examples
    --------
    >>> find_time("at half past five pm").value
    '17:30'
    """
    found = (
        Found(hour.strftime("%H:%M"), match.start(), match.end())
        for pattern, read in _TIMES
        for match in re.finditer(pattern, text, re.IGNORECASE)
        if (hour := _possible(read, match, date.min)) is not None
    )
    return min(found, key=lambda one: (one.start, -one.end), default=None)


def _possible(
    read: Callable[[re.Match[str], date], _Moment], match: re.Match[str], today: date
) -> _Moment | None:
    try:
        return read(match, today)
    except (ValueError, IndexError, OverflowError):
        return None


# -- days ----------------------------------------------------------------------------


def _iso(match: re.Match[str], _: date) -> date:
    return date.fromisoformat(match[0])


def _day_month(match: re.Match[str], today: date) -> date:
    return _next_such(int(match[1]), match[2], match[3], today)


def _month_day(match: re.Match[str], today: date) -> date:
    return _next_such(int(match[2]), match[1], match[3], today)


def _next_such(day: int, month: str, year: str | None, today: date) -> date:
    number = [name[:3] for name in _MONTHS].index(month[:3].lower()) + 1
    if year:
        return date(int(year), number, day)
    this = date(today.year, number, day)
    return this if this >= today else date(today.year + 1, number, day)


def _relative(match: re.Match[str], today: date) -> date:
    days = {"yesterday": -1, "today": 0, "tonight": 0, "tomorrow": 1}
    after = 1 if match[1] else 0
    return today + timedelta(days=days[match[2].lower()] + after)


def _in_days(match: re.Match[str], today: date) -> date:
    number = 1 if match[1].lower() in {"a", "an"} else int(_first(match[1]))
    return today + timedelta(days=number * (7 if match[2].lower() == "week" else 1))


def _weekday(match: re.Match[str], today: date) -> date:
    ahead = (_WEEKDAYS.index(match[1].lower()) - today.weekday() - 1) % 7 + 1
    return today + timedelta(days=ahead)


_DAYS: Final[tuple[tuple[str, Callable[[re.Match[str], date], date]], ...]] = (
    (r"\b\d{4}-\d\d-\d\d(?!\d)", _iso),
    (rf"\b(?:the )?{_DAY}(?: of)? ({_MONTH})\b{_YEAR}", _day_month),
    (rf"\b({_MONTH})\b (?:the )?{_DAY}\b(?!:){_YEAR}", _month_day),
    (r"\b(the day after )?(yesterday|today|tonight|tomorrow)\b", _relative),
    (rf"\bin {_NUMBER} (day|week)s?\b", _in_days),
    (rf"\b(?:on |next |this |coming )*({'|'.join(_WEEKDAYS)})\b", _weekday),
)


# -- hours ---------------------------------------------------------------------------


def _clock(match: re.Match[str], _: date) -> time:
    return time(_hour(int(match[1]), match[3]), int(match[2]))


def _o_clock(match: re.Match[str], _: date) -> time:
    return time(_hour(int(_first(match[1])), match[2]))


def _past(match: re.Match[str], _: date) -> time:
    part = match[1].lower()
    minutes = {"half": 30, "quarter": 15, "a quarter": 15}.get(part)
    minutes = int(_first(part)) if minutes is None else minutes
    hour = _hour(int(_first(match[3])), match[4])
    if match[2].lower() == "to":
        hour, minutes = (hour - 1) % 24, 60 - minutes
    return time(hour, minutes)


def _named(match: re.Match[str], _: date) -> time:
    return time(12 if match[1].lower() == "noon" else 0)


def _hour(hour: int, half: str | None) -> int:
    """An hour of 24, of one that may say which half of the day it is of."""
    letter = (half or "").lower()[:1]
    if letter and not 1 <= hour <= 12:  # noqa: PLR2004 - a clock's face
        raise ValueError(hour)
    if letter == "p":
        return hour % 12 + 12
    return hour % 12 if letter == "a" else hour


def _first(words: str) -> int:
    return int(numbers_in(words)[0])


_HALF: Final = r"(?:\s*([ap])\.?m\b\.?)"
_TIMES: Final[tuple[tuple[str, Callable[[re.Match[str], date], time]], ...]] = (
    (rf"\b(\d{{1,2}}):(\d\d)\b{_HALF}?", _clock),
    (
        rf"\b(half|a quarter|quarter|\d+|[a-z]+) (past|to) (\d{{1,2}}|[a-z]+){_HALF}?",
        _past,
    ),
    (rf"\b(\d{{1,2}}|[a-z]+){_HALF}", _o_clock),
    (rf"\b(\d{{1,2}}|[a-z]+) o'? ?clock\b{_HALF}?", _o_clock),
    (r"\b(noon|midnight)\b", _named),
)
