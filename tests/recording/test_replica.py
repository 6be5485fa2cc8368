"""The server's marks are laid beside those that the law expects."""

from __future__ import annotations

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.recording import Recording
from rtnb.vad import SemanticVad, ServerVad
from tests.recording.making import LawServer, Maker, of_frames

SPEECH = (
    (Clip.example("austen-0880") + Clip.silence(1.0, 16_000)).resample(24_000).samples
)
SILENCE = np.zeros(24_000, np.float32)


@pytest.fixture
def maker(path):
    return Maker(path)


def test_the_hosted_service_is_as_expected(hosted):
    report = hosted.check_replica()
    assert str(report) == "6 of 6 marks agree to the millisecond."
    assert report.agree
    assert [check.hosted_ms for check in report.checks] == [
        *(1460, 4256),
        *(8948, 11744),
        *(16436, 19232),
    ]
    assert min(check.margin for check in report.checks) > 0.03
    assert report.notes == ()
    assert list(report.to_frame()["difference_ms"]) == [0] * 6


def test_another_law_is_found_out(hosted_frames, hosted_sound, path):
    frames = hosted_frames("three-server-vad-turns")
    report = of_frames(path, frames, hosted_sound, shift_ms=32).check_replica()
    assert not report.agree
    assert [check.difference_ms for check in report.disagreements] == [32] * 6
    first = "speech_started at 1492 ms, +32 ms from the expected 1460 ms (margin 0."
    assert str(report).startswith(f"0 of 6 marks agree to the millisecond; {first}")


def test_settings_that_changed_are_those_in_force(maker):
    server = LawServer(maker)
    server.hear(SPEECH)
    server.configure(ServerVad(threshold=0.9, silence_duration_ms=96))
    server.hear(SPEECH)
    server.configure(ServerVad(silence_duration_ms=700))
    server.hear(SPEECH)
    server.clear()
    server.hear(SPEECH[:30_000])
    server.commit()
    server.hear(np.concatenate((SPEECH[30_000:], SILENCE)))
    recording = maker.finish()
    report = recording.check_replica()
    assert len(report.checks) >= 9
    assert report.agree, str(report)


def test_what_was_begun_and_left_is_compared_too(maker):
    server = LawServer(maker)
    server.hear(SPEECH[:40_000])
    server.configure(None)
    server.hear(SPEECH[40_000:])
    recording = maker.finish()
    (mark,) = recording.check_replica().checks
    assert (mark.kind, mark.agrees) == ("speech_started", True)
    assert recording.turns == ()


def test_a_missing_and_an_unexpected_mark_are_told(maker, path):
    server = LawServer(maker)
    server.hear(SPEECH)
    maker.received(
        {
            "type": "input_audio_buffer.speech_started",
            "event_id": "event_x",
            "audio_start_ms": 3900,
            "item_id": "item_x",
        }
    )
    server.hear(SILENCE)
    server.on = False
    server.hear(np.concatenate((SPEECH, SILENCE)))
    report = maker.finish().check_replica()
    told = [str(check).partition(" (")[0] for check in report.disagreements]
    assert told[0] == "speech_started at 3900 ms was not expected"
    assert told[1].startswith("speech_started at ")
    assert told[1].endswith("did not come")
    assert len(told) == 3
    assert "2 of 5 marks agree" in report.summary
    frame = report.to_frame()
    assert frame["expected_ms"].isna().sum() == 1
    assert frame["hosted_ms"].isna().sum() == 2
    html = report._repr_html_()
    assert "not expected" in html
    assert "did not come" in html


def test_what_was_due_at_the_very_end_may_be_late(maker):
    server = LawServer(maker)
    server.hear(SPEECH)
    server.on = False
    server.hear(SPEECH)
    report = maker.finish(after_s=0.1).check_replica()
    assert "1 mark was not checked: due less than a second before" in report.notes[0]
    assert len(report.disagreements) == 1  # the start was due long before


def test_marks_of_semantic_vad_are_left_out(maker):
    server = LawServer(maker)
    server.hear(SPEECH)
    server.configure(SemanticVad())
    server.hear(SPEECH)
    report = maker.finish().check_replica()
    assert report.agree
    assert len(report.checks) == 2
    assert "marks were not checked: sent under semantic_vad" in report.notes[0]


def test_a_recording_that_began_late_agrees_after_a_second(path, tmp_path):
    whole = LawServer(Maker(tmp_path / "whole"))
    whole.hear(np.concatenate((SPEECH, SPEECH, SPEECH)))
    late = Maker(path, start=100_000)
    server = LawServer(late)
    server.ears = whole_ears = type(server.ears)()
    whole_ears.push(np.concatenate((SPEECH, SPEECH, SPEECH))[:100_000])
    server.hear(np.concatenate((SPEECH, SPEECH, SPEECH))[100_000:])
    whole.maker.finish()
    report = late.finish().check_replica()
    assert report.agree, str(report)
    assert len(report.checks) >= 2
    assert "begins 4.2 s into the session" in report.notes[0]
    assert min(check.hosted_ms for check in report.checks) >= 5166


def test_without_marks_there_is_nothing_to_say(maker):
    maker.hear(SILENCE)
    report = maker.finish().check_replica()
    assert not report.agree
    assert str(report) == "There are no marks to compare."


def test_without_audio_there_is_nothing_to_say(maker):
    recording = maker.finish()
    assert isinstance(recording, Recording)
    assert str(recording.check_replica()) == "There are no marks to compare."
