"""Turns as arrays: by the law, by Silero's own loop, and as Azure was seen to do."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtnb.errors import ConfigError
from rtnb.vad import Policy, SemanticVad, ServerVad, SpeechProbability, segment
from rtnb.vad.policies import Turns, find_turns
from tests.vad.makers import load_loop

THRESHOLDS = (0.05, 0.3, 0.5, 0.7, 0.9)
NEG_THRESHOLDS = (None, 0.02, 0.25)
SPEECHES_MS = (0, 100, 250)
SILENCES_MS = (0, 50, 100, 300, 1000)
PADS_MS = (0, 30, 200)
LONGEST_S = (math.inf, math.inf, 5.0, 1.3)
EVERY_SETTING = list(
    itertools.product(
        THRESHOLDS, NEG_THRESHOLDS, SPEECHES_MS, SILENCES_MS, PADS_MS, LONGEST_S
    )
)
SOME_SETTINGS = EVERY_SETTING[::11]


def trace(seed, hops=1500):
    """A probability that wanders between speech and quiet, with short spikes in it."""
    rng = np.random.default_rng(seed)
    spoken = np.repeat(rng.random(hops // 5) < 0.6, rng.integers(1, 12, hops // 5))
    p = np.where(spoken, 0.85, 0.1) + rng.normal(0, 0.25, len(spoken))
    return SpeechProbability(np.clip(p, 0, 1).astype(np.float32))


def policy(setting):
    threshold, neg_threshold, speech_ms, silence_ms, pad_ms, longest_s = setting
    return Policy.silero(
        threshold,
        neg_threshold=neg_threshold,
        min_speech_duration_ms=speech_ms,
        min_silence_duration_ms=silence_ms,
        speech_pad_ms=pad_ms,
        max_speech_duration_s=longest_s,
    )


@pytest.fixture(scope="module")
def makers_segments(silero_onnx):
    """The makers' own loop: a trace and a policy in, marks in milliseconds out."""
    if not (silero_onnx.parent.parent / "utils_vad.py").is_file():
        pytest.skip("utils_vad.py is missing: unpack the whole of silero-vad's wheel")
    loop = load_loop(silero_onnx)

    def segments(probability, policy):
        found = loop(
            probability.p.tolist(),
            threshold=policy.threshold,
            neg_threshold=policy.neg_threshold,
            min_speech_duration_ms=policy.min_speech_duration_ms,
            min_silence_duration_ms=policy.min_silence_duration_ms,
            speech_pad_ms=policy.speech_pad_ms,
            max_speech_duration_s=policy.max_speech_duration_s,
        )
        assert all(mark % 16 == 0 for each in found for mark in each.values())
        return [(each["start"] // 16, each["end"] // 16) for each in found]

    return segments


def marks(probability, chosen):
    return [
        (each.audio_start_ms, each.audio_end_ms)
        for each in segment(probability, chosen)
    ]


def test_there_are_settings_enough():
    assert len(SOME_SETTINGS) >= 200
    assert {each[-1] for each in SOME_SETTINGS} == set(LONGEST_S)


@pytest.mark.parametrize("seed", range(4))
def test_silero_segments_are_the_makers(makers_segments, seed):
    probability = trace(seed)
    for number, setting in enumerate(SOME_SETTINGS[seed % 2 :: 2]):
        chosen = policy(setting)
        assert marks(probability, chosen) == makers_segments(probability, chosen), (
            number,
            chosen,
        )


levels = st.one_of(
    st.sampled_from([0.0, 0.005, 0.01, 0.2, 0.35, 0.4, 0.5, 0.65, 1.0]),
    st.floats(0, 1, width=32),
)
policies = st.builds(
    Policy.silero,
    levels,
    neg_threshold=st.none() | levels,
    min_speech_duration_ms=st.sampled_from([0, 32, 33.5, 250]),
    min_silence_duration_ms=st.sampled_from([0, 32, 33.5, 100, 400]),
    speech_pad_ms=st.integers(0, 200),
    max_speech_duration_s=st.sampled_from([math.inf, 3.0, 0.5, 0.05]),
)


@settings(max_examples=500)
@given(
    pieces=st.lists(st.tuples(levels, st.integers(1, 20)), max_size=40),
    chosen=policies,
)
def test_silero_segments_are_the_makers_for_any_trace(makers_segments, pieces, chosen):
    p = [level for level, count in pieces for _ in range(count)]
    probability = SpeechProbability(np.array(p, np.float32))
    assert marks(probability, chosen) == makers_segments(probability, chosen)


def test_silero_drops_short_speech_and_pads_the_rest():
    p = [0.0] * 5 + [0.9] * 3 + [0.0] * 5 + [0.9] * 10 + [0.0] * 5
    (found,) = segment(SpeechProbability.from_array(p), Policy.silero())
    assert (found.audio_start_ms, found.audio_end_ms) == (13 * 32 - 30, 23 * 32 + 30)
    assert (found.started_hop, found.stopped_hop, found.ended) == (13, 27, "silence")


@pytest.mark.parametrize("longest_s", [math.inf, 60.0])
def test_silero_drops_speech_that_is_just_as_long_as_the_least(longest_s):
    p = [0.0] * 5 + [0.9] * 3 + [0.0] * 5 + [0.9] * 4
    chosen = Policy.silero(min_speech_duration_ms=96, max_speech_duration_s=longest_s)
    found = segment(SpeechProbability.from_array(p), chosen)
    assert [each.started_hop for each in found] == [13]


def test_silero_counts_what_lies_between_the_levels_as_quiet():
    p = [0.9] * 10 + [0.1] + [0.4] * 8 + [0.1] + [0.9] * 10
    probability = SpeechProbability.from_array(p)
    assert len(segment(probability, Policy.silero())) == 2
    assert len(segment(probability, ServerVad(silence_duration_ms=96))) == 1


def test_silero_cuts_long_speech_in_its_longest_pause():
    p = [0.9] * 20 + [0.1] * 4 + [0.9] * 20 + [0.1] * 5 + [0.9] * 60
    probability = SpeechProbability.from_array(p)
    chosen = Policy.silero(
        min_silence_duration_ms=500, speech_pad_ms=0, max_speech_duration_s=2.0
    )
    found = segment(probability, chosen)
    assert [(each.started_hop, each.ended) for each in found] == [
        (0, "longest speech"),
        (49, "end of audio"),
    ]
    assert found[0].audio_end_ms == 44 * 32
    halved = Policy.silero(speech_pad_ms=100, min_silence_duration_ms=96)
    ends = [each.audio_end_ms for each in segment(probability, halved)]
    assert ends[0] == 22 * 32


@pytest.mark.parametrize("hop", [(160, 16_000), (256, 8_000), (512, 16_000)])
def test_azure_waits_one_hop_more(hop):
    p = np.zeros(200, np.float32)
    p[20:40] = p[100:120] = 0.9
    probability = SpeechProbability(p, *hop)
    law = find_turns(probability, ServerVad())
    azure = find_turns(probability, Policy.azure(ServerVad()))
    assert azure.started_hop.tolist() == law.started_hop.tolist()
    assert (azure.stopped_hop - law.stopped_hop).tolist() == [1] * len(law)
    assert len(law) > 0


@pytest.mark.parametrize("chosen", [ServerVad(), Policy.silero(), SemanticVad()])
@pytest.mark.parametrize("p", [[], [0.0] * 9, [1.0] * 9, [1.0], [0.0]])
def test_short_and_even_traces(chosen, p):
    turns = find_turns(SpeechProbability.from_array(p), chosen)
    spoken = len(p) > 8 or not isinstance(chosen, Policy)
    expected = 1 if p and p[0] == 1.0 and spoken else 0
    assert len(turns) == expected
    assert turns.stopped_hop.tolist() == [-1] * expected


@pytest.mark.parametrize(
    "chosen",
    [
        ServerVad(silence_duration_ms=100),
        ServerVad(threshold=0.0),
        SemanticVad(eagerness="high"),
        Policy.silero(),
        Policy.silero(max_speech_duration_s=2.0),
    ],
)
def test_segments_say_what_the_arrays_say(chosen):
    probability = trace(7)
    turns = find_turns(probability, chosen)
    back = Turns.of(segment(probability, chosen), probability)
    for name in ("started_hop", "stopped_hop", "audio_start_ms", "audio_end_ms"):
        assert getattr(back, name).tolist() == getattr(turns, name).tolist()
    assert back.ended.tolist() == turns.ended.tolist()
    assert back.hop_ms == turns.hop_ms
    assert np.all(turns.speech_end_hop > turns.started_hop)


def test_speech_is_over_where_the_quiet_begins():
    p = [0.0] * 3 + [0.9] * 4 + [0.4] * 2 + [0.1] * 9 + [0.9] * 2 + [0.1] * 3
    probability = SpeechProbability.from_array(p)
    assert find_turns(probability, ServerVad()).speech_end_hop.tolist() == [9, 20]
    segments = segment(probability, ServerVad())
    assert Turns.of(segments, probability).speech_end_hop.tolist() == [7, 20]


def test_the_speech_of_a_turn_without_any_is_its_first_hop():
    probability = SpeechProbability.from_array([0.0] * 2 + [0.4] * 3 + [0.0] * 9)
    segments = segment(probability, ServerVad(threshold=0.3))
    assert Turns.of(segments, probability).speech_end_hop.tolist() == [3]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("threshold", 1.5, "threshold is 1.5, but a probability"),
        ("threshold", "0.5", "threshold is '0.5': give a number"),
        ("neg_threshold", -0.1, "neg_threshold is -0.1"),
        ("min_speech_duration_ms", -1, "min_speech_duration_ms is -1 ms"),
        ("min_silence_duration_ms", math.inf, "min_silence_duration_ms is inf ms"),
        ("min_silence_duration_ms", None, "give milliseconds"),
        ("speech_pad_ms", 30.5, "speech_pad_ms is 30.5: give whole milliseconds"),
        ("max_speech_duration_s", 0, "max_speech_duration_s is 0"),
        ("max_speech_duration_s", math.nan, "max_speech_duration_s is nan"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(name, value, told):
    with pytest.raises(ConfigError, match=told):
        Policy.silero(**{name: value})


def test_settings_of_another_kind_are_refused():
    with pytest.raises(ConfigError, match=r"0\.5 does not say when a turn ends"):
        segment(SpeechProbability.from_array([0.5]), 0.5)


def test_policies_have_names():
    assert [Policy.silero().name, Policy.azure(ServerVad()).name] == ["silero", "azure"]
