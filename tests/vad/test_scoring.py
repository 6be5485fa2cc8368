"""What turns cut off, add and miss: each measure against a table and a plain loop."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.errors import ConfigError
from rtnb.vad import Policy, ServerVad, SpeechProbability, score, segment
from rtnb.vad.policies import find_turns
from rtnb.vad.scoring import MEASURES, plain_labels

SOON = ServerVad(silence_duration_ms=96, prefix_padding_ms=0)


def trace(text):
    """Hops of 32 ms: # is speech, + is not quite, anything else is quiet."""
    levels = {"#": 0.9, "+": 0.4}
    return SpeechProbability.from_array([levels.get(each, 0.1) for each in text])


def scored(text, settings=SOON, reference=None):
    probability = trace(text)
    return score(segment(probability, settings), probability, reference=reference)


def hops(*stretches):
    """Labels from hop to hop."""
    return [(first * 0.032, last * 0.032) for first, last in stretches]


def test_delay_runs_from_the_last_speech_to_the_end_of_the_turn():
    timing = scored("..####......").timing
    assert (timing.turns, timing.ended, timing.cut_ins) == (1, 1, 0)
    assert timing.delay_ms == timing.delay_mean_ms == timing.delay_p90_ms == 96


def test_what_is_not_quite_speech_adds_delay():
    assert scored("..####++......").timing.delay_ms == 96 + 64


def test_delays_have_median_mean_and_percentile():
    timing = scored("##....##+....##+++...." + 40 * ".").timing
    delays = [96, 128, 192]
    assert timing.turns == 3
    assert timing.delay_ms == 128
    assert timing.delay_mean_ms == pytest.approx(np.mean(delays))
    assert timing.delay_p90_ms == pytest.approx(np.quantile(delays, 0.9))


def test_a_turn_that_was_going_on_has_no_delay():
    timing = scored("..###..").timing
    assert (timing.turns, timing.ended, timing.cut_ins) == (1, 0, 0)
    assert math.isnan(timing.delay_ms)
    assert math.isnan(timing.delay_mean_ms)


def test_a_turn_without_speech_has_no_delay():
    score = scored("..++++....", ServerVad(threshold=0.3, silence_duration_ms=64))
    assert (score.timing.ended, score.timing.turns) == (1, 1)
    assert math.isnan(score.timing.delay_ms)
    assert math.isnan(score.coverage.heard)


@pytest.mark.parametrize(("quiet", "cut_ins"), [(3, 1), (34, 1), (35, 0)])
def test_speech_within_a_second_is_a_cut_in(quiet, cut_ins):
    """The turn ends with its 3rd quiet hop; 32 hops later are 1024 ms."""
    assert scored("##" + quiet * "." + "###").timing.cut_ins == cut_ins


@pytest.mark.parametrize(("later", "cut_ins"), [(99, 1), (100, 0)])
def test_a_second_later_is_no_cut_in(later, cut_ins):
    """Hops of 10 ms, of which 100 make a second to the millisecond."""
    p = np.full(200, 0.1, np.float32)
    p[:5] = p[15 + later :][:5] = 0.9  # the turn ends with hop 14
    probability = SpeechProbability(p, 160, 16_000)
    turns = segment(probability, ServerVad(silence_duration_ms=100))
    assert turns[0].audio_end_ms == 150
    assert score(turns, probability).timing.cut_ins == cut_ins


def test_a_single_hop_is_speech():
    assert scored("..#......").timing.delay_ms == 96


def test_what_is_not_quite_speech_is_no_cut_in():
    assert scored("##...+++").timing.cut_ins == 0


def test_heard_is_the_share_of_speech_in_turns():
    settings = ServerVad(threshold=0.95, silence_duration_ms=32, prefix_padding_ms=64)
    p = np.full(40, 0.1, np.float32)
    p[10:20] = 0.7  # speech, of which only the last hop opens a turn
    p[19] = 1.0
    p[21:31] = 0.7
    probability = SpeechProbability(p)
    found = score(segment(probability, settings), probability)
    assert found.timing.turns == 1
    assert found.coverage.heard == pytest.approx(3 / 20)


def test_without_labels_nothing_is_said_of_agreement():
    found = scored("..####....")
    assert all(map(math.isnan, found.detection))
    assert all(map(math.isnan, found.coverage[1:]))


def test_labels_move_the_end_of_speech():
    labels = hops((2, 5))
    assert scored("..####......", reference=labels).timing.delay_ms == 9 * 32 - 5 * 32
    late = scored("..####......", reference=hops((2, 11))).timing
    assert late.delay_ms == (9 - 11) * 32
    assert late.cut_ins == 1


def test_the_furthest_label_that_reaches_into_the_turn_counts():
    text = "..####......" + 40 * "."
    inside = hops((2, 4), (3, 7), (5, 6))
    assert scored(text, reference=inside).timing.delay_ms == (9 - 7) * 32
    before = scored(text, reference=hops((0, 1)))
    assert math.isnan(before.timing.delay_ms)


@pytest.mark.parametrize(
    ("label", "cut_ins"),
    [((4, 9), 0), ((4, 9.1), 1), ((12, 20), 1), ((40.2, 41), 1), ((40.3, 41), 0)],
)
def test_a_label_within_a_second_is_a_cut_in(label, cut_ins):
    """The turn ends with hop 8, at 288 ms; 1288 ms are 40.25 hops."""
    text = "..####......" + 40 * "."
    assert scored(text, reference=hops((2, 4), label)).timing.cut_ins == cut_ins


def test_missed_false_and_clipped():
    text = "..####...." + 10 * "." + "##...." + 10 * "."
    found = scored(text, reference=hops((0, 5), (12, 15)))
    assert (found.timing.turns, found.coverage.labels) == (2, 2)
    assert (found.coverage.missed, found.coverage.false) == (1, 1)
    assert found.coverage.clipped_onset_ms == 64
    prefixed = ServerVad(silence_duration_ms=96, prefix_padding_ms=32)
    clipped = scored(text, prefixed, hops((0, 5), (12, 15))).coverage.clipped_onset_ms
    assert clipped == 32


def test_touching_is_not_overlapping():
    found = scored("..####......", reference=hops((0, 2), (9, 11)))
    assert (found.coverage.missed, found.coverage.false) == (2, 1)
    assert found.coverage.heard == 0
    assert math.isnan(found.timing.delay_ms)


def test_onset_and_offset_errors_are_those_of_the_first_and_the_last():
    text = "..####....####...." + 40 * "."
    one = scored(text, reference=hops((1, 15))).coverage
    assert (one.onset_error_ms, one.offset_error_ms) == (32, -32)
    long = ServerVad(silence_duration_ms=320, prefix_padding_ms=0)
    two = scored(text, long, hops((1, 6), (10, 15))).coverage
    assert (two.onset_error_ms, two.offset_error_ms) == (32, -32)


def test_durations_agree_as_pyannote_counts_them():
    found = scored("..####......", reference=hops((3, 8))).detection
    shared, detected, labelled = 3, 4, 5
    assert found.precision == pytest.approx(shared / detected)
    assert found.recall == pytest.approx(shared / labelled)
    assert found.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert found.detection_error_rate == pytest.approx((1 + 2) / 5)


def test_nothing_found_and_nothing_labelled():
    silent = scored("......", reference=hops((1, 3)))
    assert tuple(silent.detection) == (1.0, 0.0, 0.0, 1.0)
    assert silent.coverage.heard == 0
    unlabelled = scored("..####......", reference=[])
    assert tuple(unlabelled.detection) == (0.0, 1.0, 0.0, 1.0)
    assert (unlabelled.coverage.false, unlabelled.coverage.labels) == (1, 0)
    neither = scored("......", reference=[])
    assert tuple(neither.detection) == (1.0, 1.0, 1.0, 0.0)


def plain_score(probability, turns, labels):
    """The definitions, one turn and one label at a time, on a grid of milliseconds."""
    ends = [t for t in turns if t.stopped_hop is not None]
    delays = []
    cut_ins = 0
    for turn in ends:
        reach = [
            1000 * end for start, end in labels if 1000 * start < turn.stopped_at_ms
        ]
        if reach and max(reach) > turn.audio_start_ms:
            delays.append(turn.stopped_at_ms - max(reach))
        cut_ins += any(
            1000 * end > turn.audio_end_ms and 1000 * start < turn.audio_end_ms + 1000
            for start, end in labels
        )

    def overlaps(turn, label):
        return (
            1000 * label[0] < turn.audio_end_ms
            and 1000 * label[1] > turn.audio_start_ms
        )

    truth = np.zeros(6000, bool)
    for start, end in labels:
        truth[round(1000 * start) : round(1000 * end)] = True
    audio = np.zeros_like(truth)
    detected = np.zeros_like(truth)
    arrays = find_turns(probability, SOON)
    for turn, over in zip(turns, arrays.speech_end_hop.tolist(), strict=True):
        audio[turn.audio_start_ms : turn.audio_end_ms] = True
        detected[turn.speech_start_ms : over * 32] = True
    found = [[t for t in turns if overlaps(t, label)] for label in labels]
    shared = (truth & detected).sum()
    return {
        "cut_ins": cut_ins,
        "delay_mean_ms": np.mean(delays) if delays else math.nan,
        "missed": sum(not each for each in found),
        "false": sum(not any(overlaps(t, label) for label in labels) for t in turns),
        "clipped_onset_ms": np.mean(
            [
                max(0, each[0].audio_start_ms - 1000 * label[0])
                for each, label in zip(found, labels, strict=True)
                if each
            ]
        )
        if any(found)
        else math.nan,
        "heard": (truth & audio).sum() / truth.sum() if truth.any() else math.nan,
        "precision": shared / detected.sum() if detected.any() else 1.0,
        "recall": shared / truth.sum() if truth.any() else 1.0,
        "detection_error_rate": (truth ^ detected).sum() / truth.sum()
        if truth.any()
        else float(detected.any()),
    }


@given(
    text=st.text("#+.", max_size=120),
    labels=st.lists(st.tuples(st.integers(0, 4500), st.integers(1, 900)), max_size=6),
)
def test_scores_are_those_of_the_definitions(text, labels):
    labels = sorted((start / 1000, (start + length) / 1000) for start, length in labels)
    probability = trace(text)
    turns = segment(probability, SOON)
    found = score(find_turns(probability, SOON), probability, reference=labels)
    figures = dict(zip(MEASURES, (x for part in found for x in part), strict=True))
    expected = plain_score(probability, turns, labels)
    assert {name: figures[name] for name in expected} == pytest.approx(
        expected, nan_ok=True, abs=1e-6
    )


def test_silero_segments_are_scored_too():
    probability = trace(10 * "." + 20 * "#" + 10 * ".")
    chosen = Policy.silero()
    found = score(
        find_turns(probability, chosen), probability, reference=hops((10, 30))
    )
    assert found.timing.turns == 1
    assert tuple(found.detection) == (1, 1, 1, 0)


def test_labels_may_be_objects_or_pairs():
    objects = [SimpleNamespace(start_s=1, end_s=2), (0.0, 0.5)]
    assert plain_labels(objects) == ((0.0, 0.5), (1.0, 2.0))


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([(1.0, 1.0)], r"a label from 1\.0 s to 1\.0 s cannot be"),
        ([(-1, 1)], "begins at 0 or later"),
        ([(0, math.inf)], "cannot be"),
        ([(math.nan, 1)], "cannot be"),
        ([(0, 1, 2)], r"\(0, 1, 2\) is no label"),
        ([SimpleNamespace(start_s=1)], "is no label"),
        (["ab"], "'ab' is no label"),
        ("labels.txt", "'labels.txt' is no list of labels"),
        (7, "7 is no list of labels"),
    ],
)
def test_what_is_no_label_is_refused(labels, told):
    with pytest.raises(ConfigError, match=told):
        plain_labels(labels)
