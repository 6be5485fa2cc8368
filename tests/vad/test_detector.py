import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.vad import ServerVad, SpeechStarted, SpeechStopped, TurnDetector
from rtnb.vad.detector import Law

LOUD, MIDDLE, QUIET = 0.9, 0.4, 0.1


def run(trace, detector=None):
    detector = detector or TurnDetector()
    return [event for event in map(detector.push, trace) if event is not None]


def test_silence_decides_nothing():
    assert run([QUIET] * 100 + [MIDDLE] * 100) == []


def test_a_turn_has_its_padding_before_and_its_silence_after():
    trace = [QUIET] * 20 + [LOUD] * 30 + [QUIET] * 20
    assert run(trace) == [
        SpeechStarted(audio_start_ms=20 * 32 - 300, hop=20),
        SpeechStopped(audio_end_ms=57 * 32, hop=56, audio_start_ms=340),
    ]


@pytest.mark.parametrize(
    ("silence_ms", "hops"), [(0, 1), (1, 1), (32, 1), (33, 2), (200, 7), (500, 16)]
)
def test_silence_is_counted_in_whole_hops(silence_ms, hops):
    detector = TurnDetector(ServerVad(silence_duration_ms=silence_ms))
    assert run([LOUD] + [QUIET] * hops, detector)[1:] == [
        SpeechStopped(audio_end_ms=32 * (hops + 1), hop=hops, audio_start_ms=0)
    ]
    assert not detector.active


@pytest.mark.parametrize(
    ("start_hop", "padding_ms", "audio_start_ms"),
    [(0, 300, 0), (9, 300, 0), (10, 300, 20), (10, 0, 320), (10, 1000, 0)],
)
def test_padding_does_not_reach_below_zero(start_hop, padding_ms, audio_start_ms):
    detector = TurnDetector(ServerVad(prefix_padding_ms=padding_ms))
    (started,) = run([QUIET] * start_hop + [LOUD], detector)
    assert started == SpeechStarted(audio_start_ms, start_hop)


@pytest.mark.parametrize(("p", "begins"), [(0.5, True), (0.4999, False)])
def test_the_threshold_itself_begins_speech(p, begins):
    assert bool(run([p])) is begins


@pytest.mark.parametrize(("p", "quiet"), [(0.35, False), (0.3499, True)])
def test_a_hop_at_the_lower_level_is_not_quiet(p, quiet):
    trace = [LOUD] + [QUIET] * 6 + [p] + [QUIET] * 6
    assert (len(run(trace)) == 2) is quiet


def test_a_hop_in_between_starts_the_count_anew():
    trace = [LOUD] + [QUIET] * 6 + [MIDDLE] + [QUIET] * 7
    assert run(trace)[1].hop == len(trace) - 1


def test_a_turn_follows_another():
    trace = [LOUD] + [QUIET] * 7 + [MIDDLE] * 3 + [LOUD] + [QUIET] * 7
    events = run(trace, TurnDetector(ServerVad(prefix_padding_ms=32)))
    assert [event.hop for event in events] == [0, 7, 11, 18]
    assert events[2].audio_start_ms == 10 * 32


@pytest.mark.parametrize(
    ("threshold", "leave"),
    [(0.5, 0.35), (1.0, 0.85), (0.16, 0.01), (0.1, 0.01), (0.005, 0.005), (0, 0)],
)
def test_the_lower_level_is_one_that_can_be_reached(threshold, leave):
    law = Law.of(ServerVad(threshold=threshold), hop_ms=32)
    assert law.enter == threshold
    assert law.leave == pytest.approx(leave)


def test_it_knows_what_it_is_in_the_middle_of():
    detector = TurnDetector()
    assert (detector.active, detector.hop) == (False, 0)
    detector.push(LOUD)
    assert (detector.active, detector.hop) == (True, 1)
    run([QUIET] * 7, detector)
    assert (detector.active, detector.hop) == (False, 8)


def test_a_new_threshold_acts_from_the_next_hop():
    detector = TurnDetector()
    assert run([MIDDLE] * 3, detector) == []
    detector.settings = ServerVad(threshold=0.4)
    assert run([MIDDLE], detector) == [SpeechStarted(audio_start_ms=0, hop=3)]
    detector.settings = ServerVad(threshold=0.9)
    assert [event.hop for event in run([MIDDLE] * 7, detector)] == [10]


def test_a_shorter_silence_counts_what_was_quiet_already():
    detector = TurnDetector(ServerVad(silence_duration_ms=1000))
    run([LOUD] + [QUIET] * 9, detector)
    detector.settings = ServerVad(silence_duration_ms=200)
    assert [event.hop for event in run([QUIET], detector)] == [10]


def test_new_settings_leave_the_start_of_a_turn():
    detector = TurnDetector(ServerVad(prefix_padding_ms=0))
    run([QUIET] * 20 + [LOUD], detector)
    detector.settings = ServerVad(prefix_padding_ms=600)
    assert run([QUIET] * 7, detector)[0].audio_start_ms == 640


def test_settings_are_kept_as_given():
    settings = ServerVad(threshold=0.7)
    detector = TurnDetector()
    detector.settings = settings
    assert detector.settings is settings


def test_a_commit_by_hand_ends_the_turn_without_an_event():
    detector = TurnDetector()
    run([LOUD] + [QUIET] * 6, detector)
    detector.reset_segment()
    assert not detector.active
    assert run([QUIET] * 10, detector) == []
    assert run([LOUD], detector) == [SpeechStarted(audio_start_ms=244, hop=17)]
    assert [event.hop for event in run([QUIET] * 7, detector)] == [24]


def test_a_commit_in_the_middle_of_a_word_begins_another_turn():
    detector = TurnDetector()
    run([LOUD] * 20, detector)
    detector.reset_segment()
    assert run([LOUD], detector) == [SpeechStarted(audio_start_ms=340, hop=20)]


def test_hops_may_have_another_length():
    detector = TurnDetector(hop_ms=10)
    trace = [QUIET] * 50 + [LOUD] + [QUIET] * 20
    assert run(trace, detector) == [
        SpeechStarted(audio_start_ms=200, hop=50),
        SpeechStopped(audio_end_ms=710, hop=70, audio_start_ms=200),
    ]


@given(st.lists(st.floats(0, 1), max_size=200), st.floats(0, 1))
def test_events_take_turns(trace, threshold):
    events = run(trace, TurnDetector(ServerVad(threshold=threshold)))
    kinds = [type(event) for event in events]
    assert kinds == [SpeechStarted, SpeechStopped] * (len(kinds) // 2) + (
        [SpeechStarted] if len(kinds) % 2 else []
    )
    assert [event.hop for event in events] == sorted({event.hop for event in events})
