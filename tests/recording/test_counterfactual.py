"""What would have been is laid beside what was, and its price is told."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtnb.audio import Clip
from rtnb.errors import ConfigError
from rtnb.recording import Recording
from rtnb.recording.counterfactual import answered_tokens
from rtnb.vad import Policy, SemanticVad, ServerVad
from tests.recording.making import LawServer, Maker

SPEECH = (
    (Clip.example("austen-0870") + Clip.silence(1.0, 16_000)).resample(24_000).samples
)
SILENCE = np.zeros(24_000, np.float32)

any_settings = st.builds(
    ServerVad,
    threshold=st.floats(0.05, 0.99),
    silence_duration_ms=st.integers(0, 1500),
    prefix_padding_ms=st.integers(0, 800),
)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """A session in which settings changed, and the client committed and cleared."""
    maker = Maker(tmp_path_factory.mktemp("spoken") / "take")
    server = LawServer(maker)
    server.hear(SPEECH)
    server.configure(ServerVad(silence_duration_ms=500))
    server.hear(SPEECH[:60_000])
    server.commit()
    server.hear(SPEECH[60_000:])
    server.hear(SPEECH[:60_000])
    server.clear()
    server.hear(SILENCE)
    server.configure(None)
    server.hear(SPEECH[:72_000])
    server.commit()
    server.hear(SILENCE)
    server.configure(ServerVad(threshold=0.6))
    server.hear(SPEECH)
    return maker.finish()


def test_the_hosted_turns_under_their_own_settings_are_the_same(hosted):
    found = hosted.replay_turns(ServerVad())
    assert [change.kind for change in found.changes] == ["same"] * 3
    assert found.before == found.after
    assert found.before.audio_tokens == 27 + 54 + 81
    assert found.summary == (
        "3 turns instead of 3: 3 same; answers as soon as before, as many cut-ins, "
        "as many audio tokens."
    )


def test_more_silence_moves_the_hosted_ends_by_whole_hops(hosted):
    found = hosted.replay_turns(ServerVad(silence_duration_ms=500))
    assert [change.kind for change in found.changes] == ["moved"] * 3
    assert {change.start_moved_ms for change in found.changes} == {0}
    assert {change.end_moved_ms for change in found.changes} == {288}  # 16 hops, not 7
    assert found.delay_change_ms == 288
    assert found.after.audio_tokens == 30 + 60 + 90
    assert found.usd_change == pytest.approx(18 * 32e-6)
    assert "answers 288 ms later" in str(found)
    assert "18 audio tokens more (about $0.000576)" in str(found)


def test_an_impatient_detector_splits_the_hosted_turns(hosted):
    found = hosted.replay_turns(ServerVad(threshold=0.9, silence_duration_ms=32))
    assert found.counts["split"] == 3
    assert found.after.cut_ins > found.before.cut_ins
    assert found.after.turns > 3


def test_of_a_model_without_a_price_the_dollars_are_unknown(path):
    maker = Maker(path, settings={"model": "home-made"}, model="home-made")
    LawServer(maker).hear(SPEECH)
    found = maker.finish().replay_turns(ServerVad(silence_duration_ms=600))
    assert (found.before.usd, found.after.usd, found.usd_change) == (None, None, None)
    assert "(price unknown)" in found.summary


def test_what_was_in_force_gives_what_was(spoken):
    """Settings that never changed, with a commit, a clear and a pause in between."""
    (_, first), *_ = spoken.settings
    found = spoken.replay_turns(first)
    by_hand = [turn for turn in spoken.turns if turn.ended == "hand"]
    assert len(by_hand) == 2
    would = {(turn.audio_start_ms, turn.audio_end_ms) for turn in found.would}
    off = by_hand[-1]
    assert (off.audio_start_ms, off.audio_end_ms) in would
    same = [change.actual[0].index for change in found.changes if change.kind == "same"]
    assert {0, off.index} <= set(same)
    cleared = range(15_000, 17_000)
    assert not [start for start, _ in would if start in cleared]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=any_settings)
def test_every_turn_has_its_place_once(spoken, chosen):
    found = spoken.replay_turns(chosen)
    assert Counter(t.index for c in found.changes for t in c.actual) == Counter(
        turn.index for turn in spoken.turns
    )
    assert Counter(t for c in found.changes for t in c.would) == Counter(found.would)
    assert found.before.turns == len(spoken.turns)
    assert found.after.turns == len(found.would)
    assert sum(found.counts.values()) == len(found.changes)
    ends = [turn.audio_end_ms for turn in found.would]
    assert ends == sorted(ends)


@settings(max_examples=25)
@given(chosen=any_settings)
def test_asked_with_its_own_settings_a_session_did_what_it_would(
    tmp_path_factory, chosen
):
    maker = Maker(tmp_path_factory.mktemp("own") / "take")
    server = LawServer(maker)
    server.configure(chosen)
    server.hear(SPEECH)
    recording = maker.finish()
    found = recording.replay_turns(chosen)
    assert {change.kind for change in found.changes} <= {"same"}
    assert len(found.changes) == len(recording.turns)
    assert found.before == found.after
    assert not recording.check_replica().disagreements


def test_the_frame_says_it_all(hosted):
    found = hosted.replay_turns(ServerVad(threshold=0.99, silence_duration_ms=500))
    frame = found.to_frame()
    assert len(frame) == len(found.changes)
    assert list(frame.columns[:3]) == ["kind", "turns", "would"]
    lost = hosted.replay_turns(ServerVad(threshold=1.0)).to_frame()
    assert list(lost["kind"]) == ["lost"] * 3
    assert lost["would_start_ms"].isna().all()
    assert list(lost["would"]) == [0, 0, 0]


def test_it_shows_itself(hosted):
    html = hosted.replay_turns(ServerVad(silence_duration_ms=500))._repr_html_()
    assert "ServerVad(silence_duration_ms=500)" in html
    assert "+288 ms" in html
    assert "1.46 – 4.26" in html
    assert "<script" not in html


def test_many_turns_in_one_change_are_counted(path):
    server = LawServer(Maker(path))
    for _ in range(5):
        server.hear(np.concatenate((SPEECH[12_000:36_000], SILENCE[:12_000])))
    server.hear(SILENCE)
    found = server.maker.finish().replay_turns(ServerVad(silence_duration_ms=900))
    assert found.summary.startswith("1 turn instead of 5: 1 merged; ")
    assert "5 in 0.0" in found._repr_html_()


def test_semantic_vad_and_policies_can_be_asked_too(hosted):
    words = hosted.replay_turns(SemanticVad(eagerness="low"))
    assert "recogniser of this package" in words.notes[0]
    assert words.after.turns <= 3
    azure = hosted.replay_turns(Policy.azure(ServerVad()))
    assert [change.end_moved_ms for change in azure.changes] == [32] * 3
    assert azure._repr_html_().count("azure") == 1


def test_settings_of_another_kind_are_refused(hosted):
    with pytest.raises(ConfigError, match="does not say when a turn ends"):
        hosted.replay_turns(0.7)


def test_an_empty_recording_has_nothing_to_change(path):
    found = Maker(path).finish().replay_turns(ServerVad())
    assert found.changes == ()
    assert found.summary == (
        "0 turns instead of 0; delay unknown, as many cut-ins, as many audio tokens."
    )
    assert len(found.to_frame()) == 0


def test_a_late_start_is_said(path):
    maker = Maker(path, start=24_000)
    LawServer(maker).hear(SPEECH)
    recording = maker.finish()
    found = recording.replay_turns(ServerVad())
    assert "begins 1.0 s into the session" in found.notes[0]
    assert found.start_ms == 1000
    assert isinstance(recording, Recording)
    assert found.would[0].audio_start_ms >= 1000 - 300


def test_each_answer_reads_all_turns_before_it():
    assert answered_tokens([]) == 0
    assert answered_tokens([2796]) == 27
    assert answered_tokens([1000, 1000]) == 10 + 20
