"""Points stand where the settings are, and the front is what nothing beats."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from rtnb.errors import ConfigError
from rtnb.plots import plot_robustness, plot_sweep
from rtnb.plots.palette import ASSISTANT, SPEECH, THRESHOLD
from rtnb.plots.sweep import MOST_LINES, pareto
from rtnb.vad import ServerVad, SpeechProbability, by_setting, sweep


@pytest.fixture
def ax():
    return Figure(figsize=(6, 4)).add_subplot()


@pytest.fixture(scope="module")
def probability():
    """Turns with pauses of 160, 320 and 640 ms, three seconds between them."""
    turns = [
        [0.9] * 30 + [0.1] * pause + [0.9] * 30 + [0.1] * 95 for pause in (5, 10, 20)
    ]
    return SpeechProbability.from_array(sum(turns, [0.1] * 10))


@pytest.fixture(scope="module")
def frame(probability):
    return sweep(
        probability,
        threshold=[0.4, 0.6],
        silence_duration_ms=[100, 200, 400, 700],
        prefix_padding_ms=[0, 300],
    )


def stressed(rows):
    """A sweep with stressors: (stressor, threshold, f1 or None, cut-ins)."""
    one = sweep(SpeechProbability.from_array([0.1] * 20 + [0.9] * 20 + [0.1] * 20))
    frames = [
        one.assign(
            stressor=[stressor],
            threshold=threshold,
            cut_ins=cut_ins,
            recall=np.nan if f1 is None else f1,
            detection_error_rate=np.nan if f1 is None else 2 - 2 * f1,
        )
        for stressor, threshold, f1, cut_ins in rows
    ]
    return pd.concat(frames)


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_every_threshold_and_silence_is_a_point(ax, frame):
    assert plot_sweep(frame, ax) is ax
    table = by_setting(frame)
    points = lines(ax)["setting"].get_xydata()
    assert len(points) == 8
    assert {tuple(each) for each in points} == set(
        zip(table["delay_ms"], table["cut_ins_per_min"], strict=True)
    )


def test_the_front_falls_to_where_nothing_cuts_in(ax, frame):
    plot_sweep(frame, ax)
    front = lines(ax)["nothing better in both"]
    x, y = front.get_xydata().T
    assert to_rgba(front.get_color()) == to_rgba(ASSISTANT)
    assert len(x) == 4
    assert np.all(np.diff(x) > 0)
    assert np.all(np.diff(y) < 0)
    assert y[-1] == 0
    assert [text.get_text() for text in ax.texts] == [
        f"0.4 · {silence} ms" for silence in (100, 200, 400, 700)
    ]


def test_the_current_and_the_chosen_setting_are_marked(ax, frame):
    current, chosen = (
        ServerVad(threshold=0.6),
        ServerVad(threshold=0.4, silence_duration_ms=700),
    )
    plot_sweep(frame, ax, current=current, chosen=chosen)
    drawn = lines(ax)
    table = by_setting(frame).set_index(["threshold", "silence_duration_ms"])
    for label, key, color in (
        ("current: 0.6 · 200 ms", (0.6, 200), THRESHOLD),
        ("chosen: 0.4 · 700 ms", (0.4, 700), SPEECH),
    ):
        ((x, y),) = drawn[label].get_xydata()
        row = table.loc[key].iloc[0]
        assert (x, y) == (row["delay_ms"], row["cut_ins_per_min"])
        assert to_rgba(drawn[label].get_color()) == to_rgba(color)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == list(drawn)


def test_a_setting_that_was_not_swept_cannot_be_marked(ax, frame):
    with pytest.raises(ConfigError, match=r"chosen is ServerVad\(threshold=0\.9\)"):
        plot_sweep(frame, ax, chosen=ServerVad(threshold=0.9))


def test_axes_say_what_they_are(ax, frame):
    plot_sweep(frame, ax)
    assert "speech_stopped (ms)" in ax.get_xlabel()
    assert ax.get_ylabel() == "cut-ins per minute"
    assert ax.get_ylim()[0] <= 0


def test_a_sweep_in_which_no_turn_ended_is_an_empty_picture(ax):
    plot_sweep(sweep(SpeechProbability.from_array([0.1] * 50)), ax)
    assert len(lines(ax)["setting"].get_xydata()) == 0


def test_many_points_of_the_front_are_not_all_named(ax, probability):
    silences = range(100, 750, 32)
    plot_sweep(sweep(probability, silence_duration_ms=silences), ax)
    front = lines(ax)["nothing better in both"].get_xydata()
    assert 1 <= len(ax.texts) <= len(front) <= len(silences)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30).map(
        lambda points: np.array(points, float).reshape(-1, 2)
    )
)
def test_the_front_is_what_no_point_beats(points):
    delay, rate = points.T
    front = pareto(delay, rate)
    kept = {tuple(each) for each in points[front].tolist()}
    assert len(kept) == len(front)
    for x, y in points.tolist():
        beaten = any(
            other != [x, y] and other[0] <= x and other[1] <= y
            for other in points.tolist()
        )
        assert beaten == ((x, y) not in kept)


def test_robustness_draws_f1_where_there_are_labels(ax):
    rows = [("clean", 0.5, 0.9, 0), ("noise", 0.5, 0.6, 2)]
    assert plot_robustness(stressed(rows), ax) is ax
    (line,) = ax.get_lines()
    assert line.get_xdata().tolist() == [0, 1]
    assert line.get_ydata() == pytest.approx([0.9, 0.6])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["clean", "noise"]
    assert ax.get_ylabel() == "F1"


def test_robustness_draws_cut_ins_where_there_are_none(ax):
    rows = [
        (10, 0.5, None, 3),
        (0, 0.5, None, 6),
        (10, 0.7, None, 1),
        (0, 0.7, None, 2),
    ]
    frame = stressed(rows)
    plot_robustness(frame, ax)
    first, second = ax.get_lines()
    assert first.get_xdata().tolist() == [0, 10]  # decibels, to scale
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["10", "0"]
    minutes = frame["minutes"].iloc[0]
    assert first.get_ydata() == pytest.approx([6 / minutes, 3 / minutes])
    assert second.get_label() == "threshold 0.7"
    assert ax.get_ylabel() == "cut-ins per minute"


def test_robustness_draws_the_measure_that_is_asked_for(ax):
    plot_robustness(
        stressed([("a", 0.5, 0.9, 0), ("b", 0.5, 0.6, 2)]), ax, measure="heard"
    )
    assert ax.get_ylabel() == "speech heard"
    assert ax.get_lines()[0].get_ydata().tolist() == [1, 1]


@pytest.mark.parametrize(
    ("frame", "measure", "told"),
    [
        (stressed([(1, 0.5, None, 0)]).drop(columns="stressor"), None, "no stressors"),
        (stressed([(1, 0.5, None, 0)]), "beauty", "'beauty' cannot be drawn"),
        (
            stressed([(1, n / 10, None, 0) for n in range(MOST_LINES + 1)]),
            None,
            "8 settings cannot be told apart",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(ax, frame, measure, told):
    with pytest.raises(ConfigError, match=told):
        plot_robustness(frame, ax, measure=measure)


def test_without_axes_a_picture_is_made(frame):
    assert plot_sweep(frame).figure._repr_png_() is not None
