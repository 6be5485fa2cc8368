"""What was stands over what would have been, each in its place and colour."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from rtnb.audio import Clip
from rtnb.plots import plot_counterfactual, plot_replica
from rtnb.plots.counterfactual import (
    ABOVE,
    BELOW,
    CHANGE_COLOURS,
    MOST_NAMED,
)
from rtnb.plots.palette import SPEECH, THRESHOLD
from rtnb.recording import (
    Counterfactual,
    MarkCheck,
    Outcome,
    RecordedTurn,
    ReplicaReport,
    SimulatedTurn,
    align,
)
from rtnb.vad import ServerVad

NOTHING = Outcome(0, 0, None, 0.0, 0, None)


@pytest.fixture
def ax():
    return Figure(figsize=(8, 2.6), dpi=100).add_subplot()


def sound(seconds=10.0):
    t = np.arange(int(24_000 * seconds)) / 24_000
    return Clip((0.5 * np.sin(2 * np.pi * 100 * t)).astype(np.float32), 24_000)


def found(actual, would, *, clip=None, start_ms=0):
    was = [
        RecordedTurn(n, f"item_{n}", *span, "server") for n, span in enumerate(actual)
    ]
    other = [SimulatedTurn(*span, 0, 1, "detector") for span in would]
    return Counterfactual(
        ServerVad(),
        tuple(align(was, other)),
        tuple(was),
        tuple(other),
        NOTHING,
        NOTHING,
        "m",
        clip=sound() if clip is None else clip,
        start_ms=start_ms,
    )


def report(*checks, clip=None, provider="openai", start_ms=0):
    made = [MarkCheck(kind, "item", *times, None) for kind, *times in checks]
    return ReplicaReport(
        tuple(made),
        provider=provider,
        clip=sound() if clip is None else clip,
        start_ms=start_ms,
    )


def boxes(ax, lane):
    """Start, end and colour of what stands in a lane."""
    made = []
    for each in ax.collections:
        box = each.get_paths()[0].get_extents()
        if isinstance(each, PolyCollection) and (box.y0, box.y1) == pytest.approx(lane):
            made.append((box.x0, box.x1, tuple(each.get_edgecolor()[0])))
    return made


def colour(kind):
    return to_rgba(CHANGE_COLOURS[kind])


def words(ax):
    return [text.get_text() for text in ax.texts]


def names(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_turns_stand_in_their_lanes_in_the_colour_of_their_change(ax):
    drawn = found(
        [(0, 1000), (2000, 3000), (4000, 6000), (7000, 7500)],
        [(0, 1000), (2000, 3288), (4000, 4500), (5000, 6000), (9000, 9500)],
    )
    assert plot_counterfactual(drawn, ax) is ax
    assert boxes(ax, ABOVE) == [
        (0, 1, colour("same")),
        (2, 3, colour("moved")),
        (4, 6, colour("split")),
        (7, 7.5, colour("lost")),
    ]
    assert boxes(ax, BELOW) == [
        (0, 1, colour("same")),
        (2, pytest.approx(3.288), colour("moved")),
        (4, 4.5, colour("split")),
        (5, 6, colour("split")),
        (9, 9.5, colour("new")),
    ]
    assert words(ax) == ["end +288 ms", "split", "lost", "new"]
    assert names(ax) == ["same", "moved", "split", "lost", "new"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "sound",
        "was",
        "would be",
    ]


def test_both_ends_may_move(ax):
    plot_counterfactual(found([(1000, 2000)], [(900, 1900)]), ax)
    assert words(ax) == ["start -100 ms, end -100 ms"]


def test_turns_that_merge_are_named_once(ax):
    plot_counterfactual(found([(0, 1000), (2000, 3000)], [(0, 3000)]), ax)
    assert words(ax) == ["merged"]
    assert len(boxes(ax, ABOVE)) == 2


def test_many_changes_are_told_by_their_colour_alone(ax):
    many = [(300 * n, 300 * n + 200) for n in range(MOST_NAMED + 1)]
    plot_counterfactual(found(many, []), ax)
    assert words(ax) == []
    assert names(ax) == ["lost"]


def test_x_is_the_time_of_the_session(ax):
    plot_counterfactual(found([(5000, 6000)], [(5000, 6000)], start_ms=4000), ax)
    assert ax.get_xlim() == (4, 14)
    assert boxes(ax, ABOVE)[0][:2] == (5, 6)
    assert ax.get_xlabel() == "time (s)"


def test_nothing_at_all_can_be_drawn(ax):
    plot_counterfactual(found([], [], clip=sound(0)), ax)
    assert ax.get_legend() is None
    plot_replica(report(clip=sound(0)), ax)


def marks(ax):
    return [
        (line.get_xdata()[0], line.get_marker(), line.get_color())
        for line in ax.get_lines()
        if line.get_marker() in "<>"
    ]


def test_marks_that_agree_are_green_and_pairs(ax):
    plot_replica(
        report(("speech_started", 1460, 1460), ("speech_stopped", 4256, 4256)), ax
    )
    assert marks(ax) == [
        (1.46, ">", SPEECH),
        (1.46, ">", SPEECH),
        (4.256, "<", SPEECH),
        (4.256, "<", SPEECH),
    ]
    assert (words(ax), names(ax)) == ([], ["agrees"])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "sound",
        "hosted",
        "expected",
    ]


def test_marks_that_differ_are_red_and_say_by_how_much(ax):
    plot_replica(
        report(
            ("speech_started", 1492, 1460),
            ("speech_stopped", None, 4256),
            ("speech_started", 6000, None),
        ),
        ax,
    )
    assert [at for at, _, _ in marks(ax)] == [1.492, 1.46, 4.256, 6.0]
    assert {shade for _, _, shade in marks(ax)} == {THRESHOLD}
    assert [word.strip() for word in words(ax)] == [
        "+32 ms",
        "did not come",
        "not expected",
    ]
    assert names(ax) == ["disagrees"]


def test_our_own_server_is_called_so(ax):
    plot_replica(report(provider="embedded"), ax)
    assert ax.get_yticklabels()[1].get_text() == "embedded"


def test_without_axes_a_picture_is_made():
    assert plot_counterfactual(found([(0, 500)], [])).figure._repr_png_() is not None
    made = plot_replica(report(("speech_started", 1, 1)))
    assert made.figure._repr_png_() is not None
