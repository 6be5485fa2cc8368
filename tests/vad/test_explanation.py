import re
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import Clip
from rtnb.errors import ConfigError
from rtnb.vad import (
    Policy,
    Segment,
    SemanticVad,
    ServerVad,
    SpeechProbability,
    explain,
    segment,
    speech_probability,
)
from rtnb.vad.semantic import SentenceEnds


def trace(*runs):
    levels, hops = zip(*runs, strict=True)
    return SpeechProbability.from_array(np.repeat(levels, hops))


def explained(heard, settings=ServerVad(), *, turn=0, sentences=None, **given):  # noqa: B008
    found = segment(heard, settings, sentences=sentences)
    following = found[turn + 1] if turn + 1 < len(found) else None
    return explain(
        found[turn],
        probability=heard,
        settings=settings,
        following=following,
        **given,
    )


def test_a_good_turn_is_called_that_with_its_figures():
    assert explained(trace((0.0, 20), (0.9, 40), (0.0, 40))) == (
        "nothing remarkable: 1280 ms of speech, ended by 224 ms of quiet, "
        "the limit was 200"
    )


def test_speech_lasts_as_long_as_the_detector_takes_it_to():
    assert explained(trace((0.0, 20), (0.9, 40), (0.4, 3), (0.0, 40))).startswith(
        "nothing remarkable: 1376 ms of speech, ended by 224 ms of quiet"
    )


@pytest.mark.parametrize(
    ("pause", "said"),
    [
        (13, "cut in: paused 416 ms, the limit was 400; the rest became the next turn"),
        (13 + 31, "cut in: paused 1408 ms, the limit was 400; the rest"),
        (13 + 32, "nothing remarkable: "),
    ],
)
def test_a_turn_that_cut_in_says_how_long_the_pause_was(pause, said):
    heard = trace((0.9, 40), (0.1, pause), (0.9, 40), (0.0, 40))
    assert explained(heard, ServerVad(silence_duration_ms=400)).startswith(said)


def test_what_goes_on_need_not_become_a_turn():
    heard = trace((0.9, 40), (0.1, 9), (0.7, 2), (0.0, 40))
    assert explained(heard, ServerVad(threshold=0.8)) == (
        "cut in: paused 288 ms, the limit was 200"
    )


def click(length_ms, level_dbfs, *, rate=16_000):
    """A second of silence, a tone, a second and a half of silence."""
    n = length_ms * rate // 1000
    tone = np.sin(2 * np.pi * 1000 * np.arange(n) / rate)
    tone *= 10 ** (level_dbfs / 20) / np.sqrt(0.5)
    samples = np.concatenate((np.zeros(rate), tone, np.zeros(3 * rate // 2)))
    return Clip.from_array(samples.astype(np.float32), rate)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize(
    ("length_ms", "level", "said"),
    [
        (90, -31, "started by a 90 ms click at −31 dBFS; "),  # noqa: RUF001 - a minus
        (90, -12, "started by a 90 ms click at −12 dBFS; "),  # noqa: RUF001
        (105, -31, "started by a 105 ms sound at −31 dBFS; "),  # noqa: RUF001
    ],
)
def test_a_click_is_measured_in_the_audio(rate, length_ms, level, said):
    heard = trace((0.0, 31), (0.9, 3), (0.0, 40))
    clip = click(length_ms, level, rate=rate)
    found = explained(heard, clip=clip)
    length = int(re.search(r"a (\d+) ms", found).group(1))
    assert length == pytest.approx(length_ms, abs=5)
    assert found.replace(f" {length} ms", f" {length_ms} ms").startswith(said)


def test_a_click_without_the_audio():
    heard = trace((0.0, 31), (0.9, 3), (0.0, 40))
    assert explained(heard) == (
        "only 96 ms of sound kept it going; 85 % of the committed audio was silence"
    )


def test_quarter_of_a_second_is_no_click():
    assert "started by" not in explained(
        trace((0.0, 31), (0.9, 8), (0.0, 40)), clip=click(256, -20)
    )


def test_a_threshold_that_lets_in_what_is_no_speech():
    heard = trace((0.0, 20), (0.42, 40), (0.0, 40))
    assert explained(heard, ServerVad(threshold=0.3)).startswith(
        "speech was never more than 0.42 probable: the threshold of 0.3 let it in; "
        "100 % of the committed audio was silence"
    )


def test_an_onset_that_is_clipped():
    heard = trace((0.0, 20), (0.4, 4), (0.9, 40), (0.0, 40))
    assert explained(heard, ServerVad(prefix_padding_ms=28)) == (
        "onset clipped: 100 ms of sound lie before its audio, which begins 28 ms "
        "before the threshold was reached"
    )
    assert "clipped" not in explained(heard, ServerVad(prefix_padding_ms=128))
    assert "clipped" not in explained(heard, Policy.silero(speech_pad_ms=0))


def test_audio_that_is_mostly_silence():
    heard = trace((0.0, 20), (0.9, 20), (0.0, 60))
    settings = ServerVad(silence_duration_ms=660, prefix_padding_ms=300)
    assert explained(heard, settings) == "60 % of the committed audio was silence"


def test_an_end_that_came_late():
    heard = trace((0.0, 20), (0.9, 40), (0.4, 10), (0.0, 40))
    assert explained(heard) == (
        "ended 544 ms after the speech, 320 more than the settings ask for: the "
        "probability lingered above 0.35"
    )


@pytest.mark.parametrize(
    ("quiet", "said"), [(0, ", in the middle of speech"), (5, ", 160 ms into a pause")]
)
def test_a_turn_that_the_audio_ended(quiet, said):
    heard = trace((0.0, 20), (0.9, 40), (0.0, quiet))
    assert explained(heard) == f"ended because the audio ended{said}"


def judged(p):
    return SentenceEnds(np.array([47], np.int32), np.array([p], np.float32))


def test_semantic_turns():
    heard = trace((0.9, 40), (0.0, 100))
    settings = SemanticVad(eagerness="high")
    assert explained(heard, settings, sentences=judged(1.0)) == (
        "nothing remarkable: 1280 ms of speech, ended by 288 ms of quiet, "
        "the words were taken for a whole sentence after 288"
    )
    assert explained(heard, settings, sentences=judged(0.0)).endswith(
        "waited 2016 ms, the longest: no sentence seemed to end"
    )
    heard = trace((0.9, 40), (0.0, 20), (0.9, 20), (0.0, 300))
    assert explained(heard, settings, sentences=judged(1.0)) == (
        "cut in: paused 640 ms, the words were taken for a whole sentence after 288; "
        "the rest became the next turn"
    )


def test_policies():
    heard = trace((0.0, 20), (0.9, 40), (0.0, 40))
    assert "256 ms of quiet, the limit was 232" in explained(
        heard, Policy.azure(ServerVad())
    )
    assert "the limit was 100" in explained(heard, Policy.silero())
    longest = Policy.silero(max_speech_duration_s=1.0)
    assert explained(heard, longest) == "cut because it was longer than speech may be"


def test_an_example_is_explained_by_what_was_heard():
    clip = Clip.silence(1.0, 16_000) + Clip.example() + Clip.silence(1.0, 16_000)
    found = explained(speech_probability(clip, cache=False), clip=clip)
    assert found.startswith("nothing remarkable: ")


levels = st.sampled_from([0.0, 0.2, 0.34, 0.4, 0.5, 0.7, 1.0])


@given(
    runs=st.lists(st.tuples(levels, st.integers(1, 40)), min_size=1, max_size=20),
    settings=st.one_of(
        st.builds(
            ServerVad,
            threshold=levels,
            silence_duration_ms=st.integers(0, 700),
            prefix_padding_ms=st.integers(0, 700),
        ),
        st.builds(SemanticVad, eagerness=st.sampled_from(["low", "high"])),
        st.builds(Policy.silero, levels, max_speech_duration_s=st.just(1.0)),
    ),
)
def test_every_turn_has_its_sentence(runs, settings):
    heard = trace(*runs)
    clip = Clip.silence(heard.duration, 16_000)
    found = segment(heard, settings)
    for turn, following in zip_longest(found, found[1:]):
        said = explain(
            turn, probability=heard, settings=settings, clip=clip, following=following
        )
        assert said
        assert "nan" not in said


@pytest.mark.parametrize(
    ("turn", "clip", "settings", "complaint"),
    [
        (Segment(0, 9600, 0, 299), None, ServerVad(), "is not of this recording of 60 hops"),
        (Segment(0, 9600, 70, None), None, ServerVad(), "is not of this recording"),
        (Segment(0, 960, 0, 29, hop_ms=30), None, ServerVad(), "30 ms each"),
        (Segment(0, 960, 30, 39), Clip.silence(0.1), ServerVad(), "the clip lasts 100"),
        (Segment(0, 960, 30, 39), None, "eager", "'eager' does not say when"),
    ],
)  # fmt: skip
def test_a_turn_of_something_else_is_refused(turn, clip, settings, complaint):
    heard = trace((0.9, 20), (0.0, 40))
    with pytest.raises(ConfigError, match=complaint):
        explain(turn, probability=heard, settings=settings, clip=clip)
