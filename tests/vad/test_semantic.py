"""The law of ``semantic_vad``: live, offline, and the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.errors import AudioFormatError
from rtnb.vad import (
    Judge,
    Segment,
    SemanticDetector,
    SemanticVad,
    SentenceEnds,
    ServerVad,
    SpeechProbability,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
    segment,
)
from rtnb.vad.semantic import UNJUDGED, JudgedPauses, wait_hops

EAGERNESS = ["low", "medium", "high", "auto"]
LEVELS = [0.0, 0.1, 0.34, 0.35, 0.36, 0.49, 0.5, 0.9, 1.0]
probabilities = st.one_of(st.sampled_from(LEVELS), st.floats(0, 1, width=32))
counts = st.one_of(st.integers(1, 80), st.sampled_from([7, 8, 9, 10, 37, 38, 62, 63]))
hops_ms = st.sampled_from([(512, 16_000), (160, 16_000), (256, 8_000), (8000, 16_000)])
judgements = st.one_of(
    st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32), st.none()
)


def trace(*runs):
    """A probability of so many hops each."""
    levels, counts = zip(*runs, strict=True)
    return SpeechProbability(np.repeat(np.array(levels, np.float32), counts))


def live(probability, settings, judge):
    """Segments as the streaming detector finds them; `judge` answers at once."""
    hop_ms = probability.hop_ms
    detector = SemanticDetector(settings, hop_ms=hop_ms)
    found = []
    started = wait = None
    for p in probability.p.tolist():
        match detector.push(p):
            case SpeechStarted() as event:
                started = event
            case Judge(audio_end_ms, hop):
                assert audio_end_ms == (hop + 1) * hop_ms
                answer = judge(hop)
                wait = wait_hops(
                    UNJUDGED if answer is None else answer,
                    settings.filled().eagerness,
                    hop_ms=hop_ms,
                )
                if answer is not None:
                    detector.judged(answer)
            case SpeechStopped() as event:
                assert event.audio_start_ms == started.audio_start_ms
                longest = wait_hops(0.0, settings.filled().eagerness, hop_ms=hop_ms)
                ended = "longest wait" if wait == longest else "sentence"
                marks = (event.audio_start_ms, event.audio_end_ms)
                found.append(
                    Segment(*marks, started.hop, event.hop, ended=ended, hop_ms=hop_ms)
                )
                started = None
    if started is not None:
        marks = (started.audio_start_ms, len(probability) * hop_ms)
        found.append(
            Segment(*marks, started.hop, None, ended="end of audio", hop_ms=hop_ms)
        )
    return found


@given(
    runs=st.lists(st.tuples(probabilities, counts), max_size=30),
    grid=hops_ms,
    eagerness=st.sampled_from(EAGERNESS),
    answers=st.lists(judgements, min_size=30, max_size=30),
)
def test_segments_are_those_of_the_live_detector(runs, grid, eagerness, answers):
    p = np.array([level for level, count in runs for _ in range(count)], np.float32)
    probability = SpeechProbability(p, *grid)
    asked = JudgedPauses.of(probability).judged
    known = [
        (hop, answer)
        for hop, answer in zip(asked.tolist(), answers, strict=False)
        if answer is not None
    ]
    sentences = SentenceEnds(
        np.array([hop for hop, _ in known], np.int32),
        np.array([answer for _, answer in known], np.float32),
    )
    settings = SemanticVad(eagerness=eagerness)
    segments = segment(probability, settings, sentences=sentences)
    assert segments == live(probability, settings, dict(known).get)


@pytest.mark.parametrize(
    ("eagerness", "waits_ms"),
    [
        ("high", [288, 352, 704, 2016]),
        ("medium", [288, 416, 1216, 4000]),
        ("auto", [288, 416, 1216, 4000]),
        ("low", [288, 576, 2208, 8000]),
    ],
)
def test_the_wait_lies_between_nine_hops_and_the_documented_ceiling(
    eagerness, waits_ms
):
    waits = [32 * wait_hops(p, eagerness) for p in (1.0, 0.8, 0.5, 0.0)]
    assert waits == waits_ms


@given(p=st.floats(0, 1), q=st.floats(0, 1), hop_ms=st.integers(1, 500))
def test_an_end_that_is_likelier_is_never_waited_for_longer(p, q, hop_ms):
    low, medium, high = (
        wait_hops(p, eagerness, hop_ms=hop_ms) for eagerness in EAGERNESS[:3]
    )
    assert low >= medium >= high > 256 / hop_ms
    assert medium <= max(high, -(-4000 // hop_ms))
    if p <= q:
        assert wait_hops(q, "auto", hop_ms=hop_ms) <= medium


@pytest.mark.parametrize(
    ("judgement", "stopped", "ended"),
    [(1.0, 18, "sentence"), (0.5, 47, "sentence"), (0.0, 134, "longest wait")],
)
def test_a_turn_ends_by_how_its_pause_is_judged(judgement, stopped, ended):
    probability = trace((0.9, 10), (0.0, 400))
    sentences = SentenceEnds(
        np.array([17], np.int32), np.array([judgement], np.float32)
    )
    (turn,) = segment(probability, SemanticVad(), sentences=sentences)
    assert turn == Segment(0, 32 * (stopped + 1), 0, stopped, ended=ended)


def test_without_judgements_all_pauses_are_waited_for_alike():
    probability = trace((0.9, 10), (0.0, 30), (0.9, 10), (0.0, 100))
    (turn,) = segment(probability, SemanticVad())
    assert (turn.stopped_hop, turn.ended) == (50 - 1 + 38, "sentence")


def test_a_pause_one_hop_shorter_than_its_wait_does_not_end_the_turn():
    probability = trace((0.9, 10), (0.0, 8), (0.9, 5), (0.0, 9))
    sentences = SentenceEnds(np.array([17, 30], np.int32), np.ones(2, np.float32))
    (turn,) = segment(probability, SemanticVad(), sentences=sentences)
    assert (turn.started_hop, turn.stopped_hop) == (0, 31)


def test_each_pause_is_judged_anew():
    detector = SemanticDetector()
    asked = []
    for hop, p in enumerate(trace((0.9, 5), (0.0, 20), (0.4, 1), (0.0, 20)).p):
        match detector.push(float(p)):
            case Judge() as judge:
                asked.append(judge.hop)
                detector.judged(0.0)
            case SpeechStopped():
                pytest.fail(f"ended at {hop}")
    assert asked == [12, 33]


def test_a_judgement_that_comes_late_still_counts_and_one_too_late_does_not():
    detector = SemanticDetector()
    events = [detector.push(p) for p in [0.9] * 5 + [0.0] * 15]
    assert detector.judging
    detector.judged(1.0)
    assert not detector.judging
    stopped = detector.push(0.0)
    assert isinstance(stopped, SpeechStopped)
    assert (len(events), stopped.hop) == (20, 20)
    for p in [0.9] * 5 + [0.0] * 8 + [0.9]:
        detector.push(p)
    detector.judged(1.0)  # they speak again
    assert [detector.push(0.0) for _ in range(7)] == [None] * 7
    assert isinstance(detector.push(0.0), Judge)


def test_eagerness_may_change_while_a_pause_is_waited_for():
    detector = SemanticDetector(SemanticVad(eagerness="low"))
    for p in [0.9] * 5 + [0.0] * 30:
        detector.push(p)
    detector.judged(0.5)
    detector.settings = SemanticVad(eagerness="high")
    stopped = detector.push(0.0)
    assert isinstance(stopped, SpeechStopped)
    assert stopped.hop == 35


def test_a_turn_that_another_detector_began_goes_on():
    turns = TurnDetector(ServerVad(silence_duration_ms=1000))
    for p in [0.0] * 20 + [0.9] * 5 + [0.0] * 10:
        turns.push(p)
    detector = SemanticDetector(turns=turns)
    asked = detector.push(0.0)
    assert asked == Judge(36 * 32, 35)
    detector.judged(1.0)
    assert detector.push(0.0) == SpeechStopped(37 * 32, 36, 20 * 32 - 300)


def test_nothing_is_judged_between_turns():
    detector = SemanticDetector()
    assert [detector.push(0.4) for _ in range(3)] == [None] * 3
    assert [detector.push(0.0) for _ in range(300)] == [None] * 300
    assert not detector.judging


def test_a_segment_that_is_reset_is_not_judged():
    detector = SemanticDetector()
    for p in [0.9] * 5 + [0.0] * 8:
        detector.push(p)
    detector.reset_segment()
    assert not detector.judging
    assert [detector.push(0.0) for _ in range(300)] == [None] * 300


@pytest.mark.parametrize(
    ("hops", "p", "sentence"),
    [
        (np.zeros(1, np.int64), np.zeros(1, np.float32), r"int64.*numpy\.int32"),
        (np.zeros(1, np.int32), np.zeros(1), r"float64.*numpy\.float32"),
        (np.zeros(2, np.int32), np.zeros(1, np.float32), r"\(2,\).*\(1,\)"),
        (np.array([3, 3], np.int32), np.zeros(2, np.float32), "out of order"),
        (np.array([-1], np.int32), np.zeros(1, np.float32), "out of order"),
        (np.array([1], np.int32), np.ones(1, np.float32) * 2, "between 0 and 1"),
        (np.array([1], np.int32), np.full(1, np.nan, np.float32), "between 0 and 1"),
    ],
)
def test_judgements_that_cannot_be_are_refused(hops, p, sentence):
    with pytest.raises(AudioFormatError, match=sentence):
        SentenceEnds(hops, p)
