"""The pauses of recorded people, judged by their words."""

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.errors import AudioFormatError
from rtnb.vad import (
    Judge,
    SemanticVad,
    SentenceEnds,
    SpeechProbability,
    SpeechStopped,
    StreamingVad,
    segment,
    sentence_ends,
    speech_probability,
)

RATE = 16_000
WORDS = Clip.example("austen-0880")
CUT_S = 1.0  # "he was not | an ill disposed young man"
EAGERNESS = ["low", "medium", "high"]


def silence(seconds):
    return Clip.silence(seconds, RATE)


def turns(clip, eagerness):
    probability = speech_probability(clip)
    settings = SemanticVad(eagerness=eagerness)
    ends = sentence_ends(clip, probability, settings)
    return segment(probability, settings, sentences=ends)


@pytest.fixture(scope="module")
def whole():
    return silence(0.5) + WORDS + silence(9)


@pytest.fixture(scope="module")
def cut():
    return silence(0.5) + WORDS.slice(0, CUT_S) + silence(9)


@pytest.fixture(scope="module")
def interrupted():
    first, second = WORDS.slice(0, CUT_S), WORDS.slice(CUT_S, WORDS.duration)
    return silence(0.5) + first + silence(1.5) + second + silence(9)


@pytest.mark.parametrize("eagerness", EAGERNESS)
def test_a_finished_sentence_ends_sooner_than_one_cut_in_the_middle(
    whole, cut, eagerness
):
    (finished,), (unfinished,) = turns(whole, eagerness), turns(cut, eagerness)
    spoken_ms = {id(finished): 500 + 1000 * WORDS.duration, id(unfinished): 1500}
    waits = [turn.audio_end_ms - spoken_ms[id(turn)] for turn in (finished, unfinished)]
    assert waits[0] < 600
    assert waits[1] > 1900
    assert (finished.ended, unfinished.ended) == ("sentence", "longest wait")


def test_the_less_eager_the_longer_the_wait(cut):
    ends = [turns(cut, eagerness)[0].audio_end_ms for eagerness in EAGERNESS]
    low, medium, high = ends
    assert (low - medium, medium - high) == (4000, 1984)  # 250, 125 and 63 hops


@pytest.mark.parametrize("eagerness", EAGERNESS)
def test_a_pause_inside_a_sentence_does_not_end_the_turn(interrupted, eagerness):
    (turn,) = turns(interrupted, eagerness)
    assert turn.ended == "sentence"
    assert turn.audio_end_ms > 4500


def test_each_pause_has_the_hop_that_asked_and_a_judgement(interrupted):
    probability = speech_probability(interrupted)
    seen = []
    ends = sentence_ends(
        interrupted, probability, on_progress=lambda *times: seen.append(times)
    )
    assert len(ends) == 2
    assert ends.p[0] == 0.0
    assert ends.p[1] > 0.9
    for hop in ends.hops.tolist():
        assert (probability.p[hop - 7 : hop + 1] < 0.35).all()
        assert probability.p[hop - 8] >= 0.35
    done = [time for time, _ in seen]
    assert done == sorted(done)
    assert seen[-1] == (interrupted.duration, interrupted.duration)


def test_the_rate_does_not_matter(interrupted):
    low, high = (
        turns(clip, "auto") for clip in (interrupted, interrupted.resample(24_000))
    )
    assert low == high


def test_live_and_offline_are_the_same(interrupted):
    settings = SemanticVad(eagerness="high")
    probability = speech_probability(interrupted)
    ends = sentence_ends(interrupted, probability, settings)
    judgements = dict(zip(ends.hops.tolist(), ends.p.tolist(), strict=True))
    ears = StreamingVad(settings, sample_rate=RATE)
    stopped = []
    for chunk in np.array_split(interrupted.samples, 60):
        events = ears.push(chunk)
        while events:
            event = events.pop(0)
            if isinstance(event, SpeechStopped):
                stopped.append(event.audio_end_ms)
            if isinstance(event, Judge):
                events += ears.judged(judgements[event.hop])
    assert stopped == [turn.audio_end_ms for turn in turns(interrupted, "high")]


class Witness:
    """A listener that finds every sentence finished and keeps what it heard."""

    def __init__(self):
        self.utterances = [b""]

    def hear(self, data):
        self.utterances[-1] += data

    def judge(self):
        return 1.0

    def forget(self):
        self.utterances.append(b"")


def test_a_turn_begins_where_the_last_one_ended_at_the_earliest(monkeypatch, rng):
    witness = Witness()
    monkeypatch.setattr("rtnb.vad.sentences.Listener", lambda: witness)
    trace = [0.0] * 20 + [0.9] * 5 + [0.0] * 11 + [0.9] * 5 + [0.0] * 20
    clip = Clip(rng.uniform(-0.5, 0.5, 512 * len(trace)).astype(np.float32), RATE)
    ends = sentence_ends(clip, SpeechProbability(np.array(trace, np.float32)))
    assert ends.hops.tolist() == [32, 48]
    first, second, rest = witness.utterances
    pcm = clip.to_pcm16()
    # from 300 ms before hop 20; from where the first turn ended, hop 34: 288 ms
    for heard, start, hop in ((first, 340 * 16, 32), (second, 34 * 512, 48)):
        assert pcm[2 * start : 2 * 512 * (hop + 1)].startswith(heard)
        assert len(heard) > 2 * 512 * (hop + 1) - 2 * start - 100
    assert rest == b""


def test_silence_has_nothing_to_judge():
    clip = silence(2)
    ends = sentence_ends(clip, speech_probability(clip))
    assert isinstance(ends, SentenceEnds)
    assert len(ends) == 0


def test_the_probability_must_be_of_the_clip(whole):
    probability = speech_probability(whole)
    with pytest.raises(AudioFormatError, match=r"lasts 12\.5 s, the clip 3\.0 s"):
        sentence_ends(WORDS, probability)
