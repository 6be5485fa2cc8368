"""Files are put together as if they were one, and the best setting keeps its promise."""

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.errors import ConfigError
from rtnb.vad import (
    ServerVad,
    SpeechProbability,
    best,
    by_setting,
    sweep,
)

SETTINGS = {
    "threshold": [0.3, 0.5, 0.7],
    "silence_duration_ms": [100, 300, 700],
    "prefix_padding_ms": [0, 300],
}


@pytest.fixture(scope="module")
def traces():
    """Two recordings of turns with pauses of half a second in them."""
    rng = np.random.default_rng(1)
    turn = np.concatenate(
        [np.full(40, 0.9), np.full(15, 0.1), np.full(30, 0.9), np.full(80, 0.1)]
    )
    p = np.concatenate([np.full(45, 0.1), np.tile(turn, 6)])
    p = np.clip(p + rng.normal(0, 0.02, len(p)), 0, 1).astype(np.float32)
    return [SpeechProbability(p), SpeechProbability(p[: 45 + 2 * len(turn)])]


def labels_of(probability):
    """One label a turn, over its pause, a little later than its first hop."""
    starts = range(45, len(probability) - 100, 165)
    return [(32e-3 * start + 0.01, 32e-3 * (start + 85)) for start in starts]


def test_files_are_put_together_as_if_they_were_one(traces):
    """Of one file after the other, but for the pause that they share."""
    joined = SpeechProbability(np.concatenate([each.p for each in traces]))
    first, second = map(labels_of, traces)
    shift = traces[0].duration
    reference = [*first, *((shift + start, shift + end) for start, end in second)]
    apart = by_setting(sweep(traces, **SETTINGS, reference=[first, second]))
    whole = by_setting(sweep(joined, **SETTINGS, reference=reference))
    for name in apart.columns:
        assert apart[name].to_numpy() == pytest.approx(whole[name].to_numpy()), name


def test_one_file_put_together_is_what_it_was(traces):
    frame = sweep(traces[0], **SETTINGS, reference=labels_of(traces[0]))
    table = by_setting(frame)
    assert table["delay_ms"].tolist() == pytest.approx(frame["delay_mean_ms"].tolist())
    for name in set(table.columns) & set(frame.columns) - {"delay_ms"}:
        assert table[name].tolist() == pytest.approx(frame[name].tolist()), name
    rates = frame["cut_ins"] / frame["minutes"]
    assert table["cut_ins_per_min"].tolist() == pytest.approx(rates.tolist())


def test_without_labels_nothing_is_said_of_them(traces):
    table = by_setting(sweep(traces, **SETTINGS))
    assert table[["missed", "f1", "detection_error_rate"]].isna().all(axis=None)
    assert table["delay_ms"].notna().all()


def test_stressors_may_be_kept_apart():
    clip = Clip.example() + Clip.silence(1.0, 16_000)
    frame = sweep(clip, stressors={"as it is": None, "also": None})
    assert by_setting(frame)["turns"].tolist() == [2]
    apart = by_setting(frame, apart=["stressor"])
    assert apart["stressor"].tolist() == ["as it is", "also"]
    assert apart["turns"].tolist() == [1, 1]


def test_the_best_setting_waits_for_as_long_as_it_must(traces):
    frame = sweep(traces, **SETTINGS)
    patient = best(frame, max_cut_ins_per_min=0)
    assert patient.silence_duration_ms == 700
    eager = best(frame, max_cut_ins_per_min=100)
    assert eager.silence_duration_ms == 100


def test_of_settings_that_do_the_same_the_usual_one_is_chosen(traces):
    frame = sweep(traces, **SETTINGS)
    chosen = best(frame, max_cut_ins_per_min=0)
    assert (chosen.threshold, chosen.prefix_padding_ms) == (0.5, 300)


def test_less_clipped_onset_is_better(traces):
    p = traces[0]
    early = [(start - 0.2, end) for start, end in labels_of(p)]
    frame = sweep(p, prefix_padding_ms=[0, 100, 250, 300], reference=early)
    assert best(frame, max_cut_ins_per_min=100).prefix_padding_ms == 300
    frame = sweep(p, prefix_padding_ms=[0, 100, 250], reference=early)
    assert best(frame, max_cut_ins_per_min=100).prefix_padding_ms == 250


def test_a_setting_does_not_win_by_hearing_nothing():
    p = np.tile(np.repeat([0.1, 0.6, 0.1, 0.95, 0.1], [50, 40, 50, 40, 50]), 5)
    probability = SpeechProbability.from_array(p)
    frame = sweep(probability, threshold=[0.5, 0.9])
    assert best(frame, max_cut_ins_per_min=0).threshold == 0.5
    deaf = best(frame[frame["threshold"] == 0.9], max_cut_ins_per_min=0, min_heard=0.4)
    assert deaf.threshold == 0.9


def test_no_setting_names_the_nearest(traces):
    frame = sweep(traces, silence_duration_ms=[100, 400])
    told = (
        r"no setting keeps to 0 cut-ins a minute; the nearest is ServerVad\("
        r"threshold=0\.5, prefix_padding_ms=300, silence_duration_ms=100\) with \d"
    )
    with pytest.raises(ConfigError, match=told):
        best(frame, max_cut_ins_per_min=0)


def test_too_little_heard_names_the_nearest():
    p = np.tile(np.repeat([0.1, 0.6, 0.1, 0.95, 0.1], [50, 40, 50, 40, 50]), 5)
    frame = sweep(SpeechProbability.from_array(p), threshold=[0.8, 0.9])
    with pytest.raises(ConfigError, match=r"no setting hears 95% .* with 50\.0%"):
        best(frame, max_cut_ins_per_min=0)


def test_silence_has_no_best_setting():
    frame = sweep(SpeechProbability.from_array([0.1] * 50))
    with pytest.raises(ConfigError, match="in no setting a turn ended"):
        best(frame, max_cut_ins_per_min=0)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"max_cut_ins_per_min": -1}, "max_cut_ins_per_min is -1"),
        ({"max_cut_ins_per_min": float("nan")}, "max_cut_ins_per_min is nan"),
        ({"max_cut_ins_per_min": 1, "min_heard": 95}, "min_heard is 95"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(traces, wish, told):
    with pytest.raises(ConfigError, match=told):
        best(sweep(traces[1]), **wish)


def test_the_best_setting_can_be_sent(traces):
    chosen = best(sweep(traces, **SETTINGS), max_cut_ins_per_min=0)
    assert isinstance(chosen, ServerVad)
    assert {type(chosen.threshold), type(chosen.prefix_padding_ms)} == {float, int}
