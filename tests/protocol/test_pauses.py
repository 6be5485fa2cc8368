"""``semantic_vad`` in the server machine: pauses are judged, and by whom they are not."""

import json

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.protocol import server as effects
from rtnb.protocol.codec import to_dict
from rtnb.protocol.server import JUDGE_PATIENCE_S, SAMPLE_RATE, ServerMachine
from rtnb.vad import SemanticVad, SentenceEnds, segment, speech_probability

NOW = 1_785_214_048.0
WORDS = Clip.example("austen-0880").resample(SAMPLE_RATE)
SPEECH = Clip.silence(0.5) + WORDS
MIDDLE = (WORDS.slice(0, 1.0), WORDS.slice(1.0, WORDS.duration))
PAUSED = Clip.silence(0.5) + MIDDLE[0] + Clip.silence(1.5) + MIDDLE[1]


def semantic(eagerness="auto", **settings):
    return {"type": "semantic_vad", "eagerness": eagerness, **settings}


class Ward:
    """A machine whose events and effects are kept, and whose pauses are judged by hand."""

    def __init__(self, detection):
        self.now = NOW
        session = {"audio": {"input": {"turn_detection": detection}}}
        self.machine = ServerMachine(model="m", now=NOW, seed=1, session=session)
        self.events = []
        self.effects = []
        self.take()

    def take(self):
        self.events += map(to_dict, self.machine.take_events())
        new = self.machine.take_effects()
        self.effects += new
        return new

    def say(self, clip, chunk=480):
        """Append a clip; returns the pauses that are to be judged."""
        for start in range(0, len(clip.samples), chunk):
            self.machine.append_audio(clip.samples[start : start + chunk], self.now)
        return [e for e in self.take() if isinstance(e, effects.JudgePause)]

    @property
    def asked(self):
        return [e for e in self.effects if isinstance(e, effects.JudgePause)]

    def judge(self, pause, probability):
        counts = self.machine.judged(pause, probability, self.now)
        self.take()
        return counts

    def send(self, kind, **fields):
        self.machine.receive(json.dumps({"type": kind, **fields}), self.now)
        self.take()

    def detect_by(self, detection):
        session = {
            "type": "realtime",
            "audio": {"input": {"turn_detection": detection}},
        }
        self.send("session.update", session=session)

    def marks(self):
        names = ("audio_start_ms", "audio_end_ms")
        return [e[n] for e in self.events for n in names if n in e]

    def heard(self, item_id):
        parts = [
            effect.samples
            for effect in self.effects
            if isinstance(effect, effects.Hear) and effect.item_id == item_id
        ]
        return np.concatenate(parts)

    def count(self, kind):
        return sum(event["type"] == kind for event in self.events)


@pytest.mark.parametrize("chunk", [480, 999, 10**7])
@pytest.mark.parametrize(
    ("eagerness", "judgement", "wait_hops"),
    [("low", 1.0, 9), ("low", 0.0, 250), ("auto", 0.5, 38), ("high", 0.0, 63)],
)
def test_a_judged_pause_lasts_as_long_as_the_law_says(
    eagerness, judgement, wait_hops, chunk
):
    ward = Ward(semantic(eagerness))
    [pause] = ward.say(SPEECH + Clip.silence(9), chunk)
    assert ward.judge(pause, judgement)
    start_ms, end_ms = ward.marks()
    assert (start_ms, end_ms) == (468, pause.audio_end_ms + 32 * (wait_hops - 8))
    assert ward.count("input_audio_buffer.committed") == 1


@pytest.mark.parametrize("chunk", [480, 10**7])
def test_a_pause_is_judged_by_exactly_what_was_heard_until_then(chunk):
    ward = Ward(semantic())
    [pause] = ward.say(SPEECH + Clip.silence(2), chunk)
    heard = ward.heard(pause.item_id)
    whole = (SPEECH + Clip.silence(2)).samples
    span = slice(468 * 24, pause.audio_end_ms * 24)
    np.testing.assert_array_equal(heard, whole[span])
    ward.judge(pause, 0.0)
    np.testing.assert_array_equal(ward.heard(pause.item_id), whole[468 * 24 :])


@pytest.mark.parametrize("delay", [0, 1, 7, 400], ids="{} chunks".format)
def test_turns_do_not_depend_on_how_long_judging_takes(delay):
    clip = PAUSED + Clip.silence(3)
    nothing = np.zeros(0, np.float32)
    answers = [0.0, 1.0]
    ward = Ward(semantic())
    answered = waited = 0
    for chunk in [*np.array_split(clip.samples, len(clip) // 480), *[nothing] * 900]:
        ward.say(Clip(chunk, SAMPLE_RATE))
        waited = waited + 1 if len(ward.asked) > answered else 0
        if waited > delay:
            assert ward.judge(ward.asked[answered], answers[answered])
            answered, waited = answered + 1, 0
    hops = np.array([pause.audio_end_ms // 32 - 1 for pause in ward.asked], np.int32)
    ends = SentenceEnds(hops, np.array(answers, np.float32))
    [turn] = segment(speech_probability(clip), SemanticVad(), sentences=ends)
    assert ward.marks() == [turn.audio_start_ms, turn.audio_end_ms]


def test_nobody_judges_in_time_and_the_pause_is_waited_for_halfway():
    ward = Ward(semantic())
    [pause] = ward.say(SPEECH + Clip.silence(3))
    by = ward.machine.next_deadline()
    spoken_s = (pause.audio_end_ms - 468) / 1000
    assert by - NOW == pytest.approx(spoken_s + JUDGE_PATIENCE_S, abs=1e-3)
    ward.machine.tick(by - 0.01)
    ward.take()
    assert len(ward.marks()) == 1
    ward.machine.tick(by)
    ward.take()
    assert ward.marks()[1] == pause.audio_end_ms + 32 * 30
    assert not ward.judge(pause, 1.0)
    assert ward.machine.next_deadline() > NOW + 1000


def test_who_keeps_pace_with_speech_has_one_second():
    ward = Ward(semantic())
    for chunk in np.array_split((SPEECH + Clip.silence(0.5)).samples, 100):
        ward.now += len(chunk) / SAMPLE_RATE
        if ward.say(Clip(chunk, SAMPLE_RATE)):
            break
    left = ward.machine.next_deadline() - ward.now
    assert JUDGE_PATIENCE_S <= left < JUDGE_PATIENCE_S + 0.6


def test_a_pause_that_nothing_can_be_said_about_is_waited_for_halfway():
    ward = Ward(semantic("high"))
    [pause] = ward.say(SPEECH + Clip.silence(3))
    assert ward.judge(pause, None)
    assert ward.marks()[1] == pause.audio_end_ms + 32 * 14


def test_an_answer_about_an_earlier_pause_is_dropped():
    ward = Ward(semantic())
    [first] = ward.say(PAUSED)
    ward.machine.tick(ward.machine.next_deadline())
    ward.take()
    [second] = ward.say(Clip.silence(0.6))
    assert not ward.judge(first, 1.0)
    assert ward.judge(second, 1.0)


@pytest.mark.parametrize("kind", ["commit", "clear"])
def test_a_turn_that_is_ended_by_hand_is_not_judged(kind):
    ward = Ward(semantic())
    [pause] = ward.say(SPEECH + Clip.silence(0.5))
    ward.send(f"input_audio_buffer.{kind}")
    assert not ward.judge(pause, 1.0)
    ward.say(Clip.silence(9))
    assert len(ward.marks()) == 1
    committed = ward.count("input_audio_buffer.committed")
    assert committed == (1 if kind == "commit" else 0)
    if kind == "commit":
        total = ward.machine.item_samples(pause.item_id)
        assert total == len(SPEECH + Clip.silence(0.5)) - 468 * 24
        assert len(ward.heard(pause.item_id)) == total
    [again] = ward.say(WORDS + Clip.silence(0.5))
    assert again.item_id != pause.item_id


def test_speech_that_waits_when_the_turn_is_committed_does_not_begin_another():
    ward = Ward(semantic())
    ward.say(PAUSED)  # the second half waits for the judgement of the first
    ward.send("input_audio_buffer.commit")
    ward.say(Clip.silence(0.4))
    assert len(ward.marks()) == 1
    ward.say(SPEECH)
    before_ms = 1000 * PAUSED.duration + 400
    assert ward.marks()[1] == pytest.approx(before_ms + 468, abs=40)


def test_server_vad_takes_over_in_the_middle_of_a_judgement():
    ward = Ward(semantic("low"))
    [pause] = ward.say(SPEECH + Clip.silence(0.35))
    ward.detect_by({"type": "server_vad", "silence_duration_ms": 900})
    assert len(ward.marks()) == 1
    assert not ward.judge(pause, 1.0)
    ward.say(Clip.silence(2))
    assert ward.marks()[1] == pause.audio_end_ms - 256 + 29 * 32
    assert ward.asked == [pause]


def test_semantic_vad_takes_over_in_the_middle_of_speech():
    ward = Ward({"type": "server_vad"})
    assert ward.say(SPEECH.slice(0, 1.2)) == []
    ward.detect_by(semantic("high"))
    [pause] = ward.say(SPEECH.slice(1.2, SPEECH.duration) + Clip.silence(1))
    ward.judge(pause, 1.0)
    assert ward.marks() == [468, pause.audio_end_ms + 32]
    assert ward.count("input_audio_buffer.speech_started") == 1


def test_semantic_vad_takes_over_in_a_pause_that_is_longer_than_it_would_judge():
    ward = Ward({"type": "server_vad", "silence_duration_ms": 5000})
    ward.say(SPEECH + Clip.silence(1))
    ward.detect_by(semantic())
    [pause] = ward.say(Clip.silence(0.1))
    assert pause.audio_end_ms > 4400
    ward.judge(pause, 1.0)
    ward.say(Clip.silence(0.1))
    assert len(ward.marks()) == 2


def test_eagerness_may_change_while_a_pause_is_waited_for():
    ward = Ward(semantic("low"))
    [pause] = ward.say(SPEECH + Clip.silence(1))
    ward.judge(pause, 0.0)
    ward.detect_by(semantic("high"))
    ward.say(Clip.silence(3))
    assert ward.marks()[1] == pause.audio_end_ms + 32 * (63 - 8)


def test_an_update_of_something_else_leaves_the_pause_alone():
    ward = Ward(semantic())
    [pause] = ward.say(SPEECH + Clip.silence(1))
    ward.send("session.update", session={"type": "realtime", "instructions": "x"})
    assert ward.judge(pause, 1.0)
    assert len(ward.marks()) == 2


def test_detection_may_be_switched_off_in_a_pause_and_on_again():
    ward = Ward(semantic("low"))
    [pause] = ward.say(PAUSED)
    ward.detect_by(None)
    assert ward.effects[-1] == effects.Forget(pause.item_id)
    assert not ward.judge(pause, 1.0)
    ward.say(SPEECH)
    assert len(ward.marks()) == 1
    ward.detect_by(semantic())
    [again] = ward.say(SPEECH + Clip.silence(1))
    ward.judge(again, 1.0)
    assert len(ward.marks()) == 3


def test_whether_an_answer_is_made_is_a_setting_of_semantic_vad_too():
    ward = Ward(semantic(create_response=False))
    [pause] = ward.say(SPEECH + Clip.silence(1))
    ward.judge(pause, 1.0)
    assert ward.count("input_audio_buffer.committed") == 1
    assert ward.count("response.created") == 0
