"""The timeline keeps what fits and counts what does not."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from rtnb.timeline import Timeline, TimelineEntry


def test_entries_stand_in_the_order_they_were_added():
    timeline = Timeline()
    timeline.add(1.5, "session.created")
    timeline.add(1.25, "audio.captured", samples=480)
    assert list(timeline) == [
        TimelineEntry(1.5, "session.created", {}),
        TimelineEntry(1.25, "audio.captured", {"samples": 480}),
    ]
    assert (len(timeline), timeline.maxlen) == (2, 100_000)


def test_a_full_timeline_drops_the_oldest_and_counts_them():
    timeline = Timeline(maxlen=3)
    for n in range(10):
        timeline.add(n, "tick")
    assert [entry.t for entry in timeline] == [7, 8, 9]
    assert timeline.dropped == 7
    assert repr(timeline) == "Timeline(3 entries, 7 dropped)"


def test_nothing_is_dropped_until_it_is_full():
    timeline = Timeline(maxlen=3)
    for n in range(3):
        timeline.add(n, "tick")
    assert timeline.dropped == 0
    assert repr(timeline) == "Timeline(3 entries)"


def test_a_timeline_of_no_entries_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Timeline(maxlen=0)


def test_a_fact_cannot_take_the_name_of_the_time():
    with pytest.raises(TypeError):
        Timeline().add(0.0, "tick", t=1)


def test_iteration_goes_over_what_there_was_when_it_began():
    timeline = Timeline()
    timeline.add(0, "tick")
    for entry in timeline:
        timeline.add(entry.t + 1, "tick")
    assert len(timeline) == 2


def test_threads_that_add_and_read_at_once_lose_nothing():
    timeline = Timeline(maxlen=100)
    start = threading.Barrier(4)

    def write():
        start.wait()
        for n in range(2000):
            timeline.add(n, "tick")
            if n % 100 == 0:
                assert sum(1 for _ in timeline) <= 100

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(timeline) + timeline.dropped == 8000


def test_table_has_a_column_per_fact():
    timeline = Timeline()
    timeline.add(0.5, "audio.captured", samples=480)
    timeline.add(0.7, "response.done", status="completed")
    frame = timeline.to_frame()
    assert list(frame.columns) == ["t", "kind", "samples", "status"]
    assert frame["samples"].iloc[0] == 480
    assert frame["status"].isna().tolist() == [True, False]


def test_table_of_nothing_has_its_columns():
    assert list(Timeline().to_frame().columns) == ["t", "kind"]


def test_pandas_waits_for_the_first_table():
    code = (
        "import sys, rtnb.timeline as t; assert 'pandas' not in sys.modules;"
        "t.Timeline().to_frame(); assert 'pandas' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
