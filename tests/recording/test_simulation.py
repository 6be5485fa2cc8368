"""The simulated detector is the live one, whatever the client does meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import Clip
from rtnb.recording.simulation import expected_marks, hops_heard, simulate, would_be
from rtnb.recording.turns import Step
from rtnb.vad import (
    Policy,
    SemanticVad,
    SentenceEnds,
    ServerVad,
    SpeechProbability,
    StreamingVad,
    TurnDetector,
    segment,
)

HOP = 768
BEFORE = 96
"""What the resampler withholds of 24 kHz audio: 4 ms."""


def trace(*pieces):
    return SpeechProbability.from_array([p for p, hops in pieces for _ in range(hops)])


def at_hop(hop):
    """Position at which so many hops have been decided."""
    return hop * HOP + BEFORE if hop else 0


def spans(turns):
    return [(turn.audio_start_ms, turn.audio_end_ms, turn.ended) for turn in turns]


@given(chunks=st.lists(st.integers(0, 4000), max_size=12))
def test_it_knows_how_many_hops_a_live_detector_has_heard(chunks):
    ears, heard = StreamingVad(), 0
    for chunk in chunks:
        ears.push(np.zeros(chunk, np.float32))
        heard += chunk
        assert hops_heard(heard) == ears.hops


@given(
    p=st.lists(st.floats(0, 1, width=32), max_size=120),
    threshold=st.floats(0, 1),
    silence=st.integers(0, 400),
    prefix=st.integers(0, 600),
)
def test_undisturbed_it_finds_what_segment_finds(p, threshold, silence, prefix):
    probability = SpeechProbability.from_array(np.array(p, np.float32))
    settings = ServerVad(
        threshold=threshold, silence_duration_ms=silence, prefix_padding_ms=prefix
    )
    turns = simulate(probability, [Step(0, "settings", settings)], end=at_hop(len(p)))
    found = segment(probability, settings)
    assert [(t.audio_start_ms, t.started_hop, t.stopped_hop) for t in turns] == [
        (s.audio_start_ms, s.started_hop, s.stopped_hop) for s in found
    ]
    assert [t.audio_end_ms for t in turns if t.ended == "detector"] == [
        s.audio_end_ms for s in found if s.stopped_hop is not None
    ]


@given(
    p=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=80),
    changes=st.lists(
        st.tuples(st.integers(0, 80), st.floats(0, 1), st.integers(0, 200)), max_size=4
    ),
)
def test_settings_change_where_they_did_live(p, changes):
    changes = sorted(changes)
    detector, expected = TurnDetector(ServerVad()), []
    for hop, value in enumerate(np.array(p, np.float32).tolist()):
        for since, threshold, silence in changes:
            if since == hop:
                detector.settings = ServerVad(
                    threshold=threshold, silence_duration_ms=silence
                )
        mark = detector.push(value)
        if mark is not None:
            expected.append(mark.hop)
    steps = [Step(0, "settings", ServerVad())] + [
        Step(
            at_hop(since),
            "settings",
            ServerVad(threshold=threshold, silence_duration_ms=silence),
        )
        for since, threshold, silence in changes
    ]
    probability = SpeechProbability.from_array(np.array(p, np.float32))
    assert [mark.hop for mark in expected_marks(probability, steps)] == expected


SPEECH = trace((0.0, 20), (0.9, 30), (0.0, 20))


def test_a_commit_by_hand_ends_the_turn_there():
    steps = [Step(0, "settings", ServerVad()), Step(at_hop(30), "commit")]
    first, second = spans(simulate(SPEECH, steps, end=at_hop(70)))
    assert first == (340, 964, "hand")
    assert second == (660, 57 * 32, "detector")  # the next loud hop begins another


def test_a_clear_drops_what_was_being_said():
    steps = [Step(0, "settings", ServerVad()), Step(at_hop(45), "clear")]
    assert spans(simulate(SPEECH, steps, end=at_hop(70))) == [(1140, 1824, "detector")]
    marks = [(mark.kind, mark.hop) for mark in expected_marks(SPEECH, steps)]
    assert [kind for kind, _ in marks] == ["speech_started"] * 2 + ["speech_stopped"]


def test_while_it_is_off_nothing_is_detected():
    steps = [Step(0, "settings", None), Step(at_hop(40), "settings", ServerVad())]
    assert spans(simulate(SPEECH, steps, end=at_hop(70))) == [(980, 1824, "detector")]
    off_again = [*steps, Step(at_hop(52), "settings", None)]
    assert simulate(SPEECH, off_again, end=at_hop(70)) == []


def test_speech_to_the_end_is_a_turn():
    probability = trace((0.0, 10), (0.9, 10))
    steps = [Step(0, "settings", ServerVad())]
    assert spans(simulate(probability, steps, end=16_000)) == [
        (20, 666, "end of audio")
    ]


def test_semantic_vad_is_simulated_by_its_own_law():
    ends = SentenceEnds(np.array([57], np.int32), np.array([1.0], np.float32))
    eager = SemanticVad(eagerness="high")
    steps = [Step(0, "settings", eager)]
    turns = simulate(SPEECH, steps, end=at_hop(70), sentences=ends)
    (found,) = segment(SPEECH, eager, sentences=ends)
    assert spans(turns) == [(found.audio_start_ms, found.audio_end_ms, "detector")]


def test_other_settings_take_the_place_of_those_in_force_but_not_of_off():
    steps = [
        Step(0, "settings", ServerVad(threshold=0.99)),
        Step(at_hop(60), "settings", None),
    ]
    assert simulate(SPEECH, steps, end=at_hop(70)) == []
    turns = would_be(SPEECH, ServerVad(threshold=0.5), steps, end=at_hop(70))
    assert spans(turns) == [(340, 1824, "detector")]
    patient = ServerVad(silence_duration_ms=500)
    assert would_be(SPEECH, patient, steps, end=at_hop(70)) == []


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (None, [(340, 1856, "detector")]),
        (Step(at_hop(40), "commit"), [(340, 1284, "hand")]),
        (Step(at_hop(40), "clear"), []),
        (Step(at_hop(40), "settings", None), []),
        (Step(at_hop(65), "settings", None), [(340, 1856, "detector")]),
    ],
)
def test_a_policy_is_cut_to_what_happened(step, expected):
    steps = [Step(0, "settings", ServerVad()), *([step] if step else [])]
    turns = would_be(SPEECH, Policy.azure(ServerVad()), steps, end=at_hop(70))
    assert spans(turns) == expected


def test_a_real_clip_through_a_live_detector():
    clip = (Clip.example("austen-0870") + Clip.silence(1.0, 16_000)).resample(24_000)
    ears, hops = StreamingVad(), []
    settings = {0: ServerVad(), 48_000: ServerVad(threshold=0.8), 96_000: ServerVad()}
    for start in range(0, len(clip), 480):
        ears.settings = settings.get(start, ears.settings)
        hops += [mark.hop for mark in ears.push(clip.samples[start : start + 480])]
    steps = [Step(at, "settings", each) for at, each in settings.items()]
    probability = SpeechProbability(ears.take_probabilities())
    assert [mark.hop for mark in expected_marks(probability, steps)] == hops
