"""The law of the hosted service, as recorded and as it is kept.

The recording is a session of OpenAI's service in which a clip and two seconds of zeros
were sent three times with the default settings. It is read where it lies, next to the
repository; the marks of the packaged examples guard the law without it.
"""

import json

import numpy as np
import pytest

from rtnb.audio import EXAMPLES, Clip, resample
from rtnb.vad import (
    ServerVad,
    SpeechProbability,
    SpeechStarted,
    StreamingVad,
    segment,
    speech_probability,
)

HOSTED = [1460, 4256, 8948, 11744, 16436, 19232]
EXAMPLE_MARKS = {
    "austen-0870": [436, 7616],
    "austen-0880": [468, 3584],
    "austen-0890": [468, 5888],
}
EAGER = ServerVad(threshold=0.3, silence_duration_ms=100, prefix_padding_ms=0)
EAGER_MARKS = {
    "austen-0870": [736, 7552],
    "austen-0880": [768, 3520],
    "austen-0890": [768, 5824],
}


def example(name):
    """Half a second, the words, a second: at the rate of the wire."""
    before, after = Clip.silence(0.5, 16_000), Clip.silence(1.0, 16_000)
    return (before + Clip.example(name) + after).resample(24_000)


def live_marks(clip, chunks, settings=None):
    ears = StreamingVad(settings or ServerVad(), sample_rate=clip.sample_rate)
    events = [event for chunk in chunks for event in ears.push(chunk)]
    return [
        event.audio_start_ms if isinstance(event, SpeechStarted) else event.audio_end_ms
        for event in events
    ]


def offline_marks(clip, settings=None):
    turns = segment(speech_probability(clip), settings or ServerVad())
    return [mark for turn in turns for mark in (turn.audio_start_ms, turn.audio_end_ms)]


def in_chunks(samples, size):
    return np.split(samples, range(size, len(samples), size))


@pytest.fixture(scope="module")
def hosted_clip(shared_data):
    data = (shared_data / "hosted" / "clip-24khz.pcm").read_bytes()
    turn = Clip.from_pcm16(data, 24_000) + Clip.silence(2.0)
    return turn + turn + turn


def test_the_marks_are_the_recorded_ones(shared_data):
    path = shared_data / "hosted" / "three-server-vad-turns.jsonl"
    events = [json.loads(line)["data"] for line in path.read_text("utf-8").splitlines()]
    marks = [
        event.get("audio_start_ms", event.get("audio_end_ms"))
        for event in events
        if event["type"].startswith("input_audio_buffer.speech_")
    ]
    assert marks == HOSTED


@pytest.mark.parametrize("size", [480, 2400, 24_000, 10**9], ids="{} samples".format)
def test_live_marks_are_the_hosted_ones(hosted_clip, size):
    assert live_marks(hosted_clip, in_chunks(hosted_clip.samples, size)) == HOSTED


def test_live_marks_are_the_hosted_ones_in_odd_chunks(hosted_clip, rng):
    cuts = np.cumsum(rng.integers(1, 2000, len(hosted_clip) // 900))
    chunks = np.split(hosted_clip.samples, cuts[cuts < len(hosted_clip)])
    assert live_marks(hosted_clip, chunks) == HOSTED


def test_live_marks_are_the_hosted_ones_sample_by_sample(hosted_clip):
    turn = hosted_clip.slice(0.0, 5.0)
    assert live_marks(turn, in_chunks(turn.samples, 1)) == HOSTED[:2]


def test_offline_marks_are_the_hosted_ones(hosted_clip):
    assert offline_marks(hosted_clip) == HOSTED


@pytest.mark.parametrize("quality", ["LQ", "MQ", "HQ", "VHQ"])
def test_soxr_gives_the_hosted_marks_too(hosted_clip, quality):
    import soxr

    samples = soxr.resample(hosted_clip.samples, 24_000, 16_000, quality=quality)
    assert offline_marks(Clip(np.clip(samples, -1, 1), 16_000)) == HOSTED


def test_our_resampler_leads_to_the_probabilities_of_soxr(hosted_clip):
    import soxr

    samples = soxr.resample(hosted_clip.samples, 24_000, 16_000, quality="VHQ")
    best = speech_probability(Clip(np.clip(samples, -1, 1), 16_000)).p
    difference = np.abs(speech_probability(hosted_clip).p - best)
    assert difference.mean() < 0.001
    assert difference.max() < 0.04


def test_the_marks_do_not_hang_by_a_thread(hosted_clip):
    probability = speech_probability(hosted_clip)
    for threshold in (0.46, 0.54):
        turns = segment(probability, ServerVad(threshold=threshold))
        marks = [mark for s in turns for mark in (s.audio_start_ms, s.audio_end_ms)]
        assert marks == HOSTED


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_marks_of_the_examples_stay(name):
    clip = example(name)
    assert offline_marks(clip) == EXAMPLE_MARKS[name]
    assert live_marks(clip, in_chunks(clip.samples, 480)) == EXAMPLE_MARKS[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_makers_network_gives_the_marks_of_the_examples(oracle, name):
    samples = resample(example(name).samples, from_rate=24_000, to_rate=16_000)
    turns = segment(SpeechProbability(oracle(samples)))
    marks = [mark for s in turns for mark in (s.audio_start_ms, s.audio_end_ms)]
    assert marks == EXAMPLE_MARKS[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_marks_of_the_examples_stay_for_an_eager_detector(name):
    clip = example(name)
    assert offline_marks(clip, EAGER) == EAGER_MARKS[name]
    assert live_marks(clip, in_chunks(clip.samples, 479), EAGER) == EAGER_MARKS[name]
