"""Every turn has its place, once; equal lists are the same; stars never chain."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.recording.alignment import align, own_spans


@dataclass(frozen=True)
class T:
    audio_start_ms: int
    audio_end_ms: int


@st.composite
def turns(draw):
    """As a detector gives them: ends rise, starts do not fall, padding may overlap."""
    listed, start, end = [], 0, 0
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(start, end + 500))
        end = max(end, start) + draw(st.integers(1, 700))
        listed.append(T(start, end))
    return listed


def kinds(actual, would):
    changes = align([T(*each) for each in actual], [T(*each) for each in would])
    return [change.kind for change in changes]


@given(turns())
def test_equal_lists_are_the_same_turn_by_turn(listed):
    changes = align(listed, listed)
    assert [change.kind for change in changes] == ["same"] * len(listed)
    assert [change.actual for change in changes] == [(each,) for each in listed]
    assert all(change.actual == change.would for change in changes)


@given(turns(), turns())
def test_every_turn_occurs_exactly_once(actual, would):
    changes = align(actual, would)
    assert Counter(id(t) for c in changes for t in c.actual) == Counter(map(id, actual))
    assert Counter(id(t) for c in changes for t in c.would) == Counter(map(id, would))


@given(turns(), turns())
def test_the_kind_says_how_many_became_how_many(actual, would):
    for change in align(actual, would):
        sizes = len(change.actual), len(change.would)
        match change.kind:
            case "same" | "moved":
                assert sizes == (1, 1)
            case "split":
                assert sizes[0] == 1
                assert sizes[1] > 1
            case "merged":
                assert sizes[0] > 1
                assert sizes[1] == 1
            case "lost":
                assert sizes == (1, 0)
            case "new":
                assert sizes == (0, 1)


@given(turns())
def test_nothing_becomes_new_and_all_is_lost(listed):
    assert {change.kind for change in align([], listed)} <= {"new"}
    assert {change.kind for change in align(listed, [])} <= {"lost"}


@given(turns())
def test_what_turns_add_is_in_order_and_does_not_overlap(listed):
    flat = [ms for span in own_spans(listed) for ms in span]
    assert flat == sorted(flat)


@given(turns(), turns())
def test_those_that_add_nothing_in_common_are_not_joined(actual, would):
    spans = dict(zip(map(id, actual), own_spans(actual), strict=True))
    spans |= dict(zip(map(id, would), own_spans(would), strict=True))
    for change in align(actual, would):
        for one in change.actual:
            for other in change.would:
                (a, b), (c, d) = spans[id(one)], spans[id(other)]
                assert min(b, d) > max(a, c)


@pytest.mark.parametrize(
    ("actual", "would", "expected"),
    [
        ([(0, 100)], [(0, 100)], ["same"]),
        ([(0, 100)], [(0, 132)], ["moved"]),
        ([(0, 100)], [(20, 100)], ["moved"]),
        ([(0, 100)], [(0, 40), (60, 100)], ["split"]),
        ([(0, 40), (60, 100)], [(0, 100)], ["merged"]),
        ([(0, 100), (200, 300)], [(200, 300)], ["lost", "same"]),
        ([(200, 300)], [(0, 100), (200, 300)], ["new", "same"]),
        # a chain of four falls into two pairs, the larger overlaps first
        ([(0, 100), (110, 200)], [(0, 60), (70, 200)], ["moved", "moved"]),
        # padding that reaches back joins nothing
        ([(0, 100), (50, 300)], [(0, 100), (50, 300)], ["same", "same"]),
        ([(0, 100), (0, 300)], [(0, 100), (0, 300)], ["same", "same"]),
    ],
)
def test_what_became_of_turns(actual, would, expected):
    assert kinds(actual, would) == expected


def test_it_says_by_how_much():
    (change,) = align([T(100, 1000)], [T(68, 400), T(500, 1320)])
    assert (change.kind, change.start_moved_ms, change.end_moved_ms) == (
        "split",
        -32,
        320,
    )
    assert (change.start_ms, change.end_ms) == (68, 1320)
    (lost,) = align([T(0, 10)], [])
    assert (lost.start_moved_ms, lost.end_moved_ms) == (None, None)
