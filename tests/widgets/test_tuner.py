from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rtnb.audio import Clip
from rtnb.errors import AudioFormatError, ConfigError, SessionClosed
from rtnb.vad import SemanticVad, ServerVad, SpeechProbability, segment
from rtnb.vad.dialects import DIALECTS, as_code
from rtnb.vad.explanation import explain
from rtnb.vad.labels import Label, Labels
from rtnb.widgets import VadTuner
from tests.widgets.conftest import PageComm

SETTINGS = ServerVad(threshold=0.6, prefix_padding_ms=100, silence_duration_ms=64)
WIRE = {
    "type": "server_vad",
    "threshold": 0.6,
    "prefix_padding_ms": 100,
    "silence_duration_ms": 64,
}


def probability():
    return SpeechProbability.from_array(
        np.repeat([0.0, 0.9, 0.1, 0.9, 0.0], [10, 20, 5, 20, 38])
    )


@pytest.fixture
def clip(rng):
    return Clip(rng.uniform(-0.5, 0.5, 3 * 16_000).astype(np.float32), 16_000)


@pytest.fixture
def tuner(page, clip):
    made = VadTuner(clip, settings=SETTINGS, probability=probability(), comm=page)
    yield made
    made.close()


class Session:
    """A session as far as a tuner asks for it."""

    def __init__(self, detection, *, takes=True, fails=None):
        self.takes = takes
        self.fails = fails
        self._has(detection)

    def _has(self, detection):
        heard = SimpleNamespace(turn_detection=detection)
        self.settings = SimpleNamespace(audio=SimpleNamespace(input=heard))

    def configure(self, *, turn_detection):
        if self.fails:
            raise self.fails
        if self.takes:
            self._has(turn_detection)

    def tap_input(self, callback):
        self.says = callback
        return lambda: None


def greet(page):
    """Show the tuner, and have everything that it says first."""
    page.says("ready", request=1)
    sound, outline = page.hears_of("ready")
    page.hears_of("labels")
    found, [p] = page.hears_of("probability")
    return sound, outline, found, p


def answer(page, type, **facts):  # noqa: A002 - the wire's name
    """Ask, and give the answer's facts and buffers."""
    page.says("ready", request=1)
    page.says(type, request=7, **facts)
    while True:
        content, buffers = page.hears()
        if content.get("request") == 7:
            assert content["page"] == page.page
            return content, buffers


# -- in Python ---------------------------------------------------------------------------


def test_the_turns_are_those_of_the_settings(tuner):
    assert tuner.segments == segment(probability(), SETTINGS)
    tuner.settings = ServerVad(threshold=0.95)
    assert tuner.segments == []


def test_everything_works_without_a_page(tmp_path):
    tuner = VadTuner(Clip.example("austen-0880"), labels=[Label(0.1, 0.5, "in")])
    assert len(tuner.segments) == 1
    assert tuner.probability.model == "silero"
    assert tuner.view == (0.0, 2.99)
    tuner.save(tmp_path / "labels.txt")
    assert Labels.read(tmp_path / "labels.txt") == tuner.labels
    assert repr(tuner).startswith("VadTuner(2.99 s of sound, ServerVad(threshold=0.5")
    tuner.close()


def test_semantic_turns_are_judged_by_the_words():
    pytest.importorskip("pocketsphinx")
    clip = Clip.example("austen-0880") + Clip.silence(5.0, 16_000)
    tuner = VadTuner(clip, settings=SemanticVad())
    assert [turn.ended for turn in tuner.segments] == ["sentence"]
    tuner.close()


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_it_opens_a_file(tmp_path, clip, as_path):
    clip.save(tmp_path / "clip.wav")
    tuner = VadTuner(as_path(tmp_path / "clip.wav"), probability=probability())
    assert tuner.view == (0.0, 3.0)
    tuner.close()


def test_it_opens_a_recording_with_what_it_ended_with(tmp_path, clip):
    clip.save(tmp_path / "microphone.wav")
    steps = tuple(SimpleNamespace(turn_detection=each) for each in (None, SETTINGS))
    recording = SimpleNamespace(microphone=tmp_path / "microphone.wav", settings=steps)
    tuner = VadTuner(recording, probability=probability())
    assert tuner.settings == SETTINGS
    tuner.close()


def test_what_is_seen_and_drawn_can_be_observed(tuner):
    seen = []
    tuner.observe(lambda change: seen.append(change["new"]), ["labels", "settings"])
    tuner.labels = [Label(1.0, 2.0)]
    tuner.settings = SemanticVad()
    assert seen == [Labels([Label(1.0, 2.0)]), SemanticVad()]


# -- what cannot be ----------------------------------------------------------------------


def test_an_empty_clip_is_refused():
    with pytest.raises(AudioFormatError, match="no samples"):
        VadTuner(Clip.silence(0.0))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is a folder: give one of its sound files"):
        VadTuner(tmp_path)


def test_a_file_that_is_not_there_is_missed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.wav"):
        VadTuner(tmp_path / "nothing.wav")


def test_samples_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "broken.wav"
    soundfile.write(path, np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    with pytest.raises(AudioFormatError, match="NaN"):
        VadTuner(path)


@pytest.mark.parametrize("sound", [3, None, [0.0, 0.5]])
def test_what_is_no_sound_is_refused(sound):
    with pytest.raises(ConfigError, match="nothing to tune on: give a Clip"):
        VadTuner(sound)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"settings": 0.5}, "neither a ServerVad nor a SemanticVad"),
        ({"labels": [Label(0, 2), Label(1, 3)]}, "labels overlap"),
        ({"probability": SpeechProbability.from_array([0.5] * 200)}, "this very clip"),
    ],
)
def test_facts_that_cannot_be_are_refused(clip, facts, sentence):
    with pytest.raises(ConfigError, match=sentence):
        VadTuner(clip, **facts)


@pytest.mark.parametrize(
    ("trait", "value", "sentence"),
    [
        ("settings", None, "None is neither"),
        ("compared", "server_vad", "'server_vad' is neither"),
        ("view", (3.5, 4.0), "shows nothing"),
        ("labels", [Label(0, 2), Label(1, 3)], "labels overlap"),
    ],
)
def test_traits_that_cannot_be_are_refused(tuner, trait, value, sentence):
    before = getattr(tuner, trait)
    with pytest.raises(ConfigError, match=sentence):
        setattr(tuner, trait, value)
    assert getattr(tuner, trait) == before


def test_a_live_sound_has_no_probability_beforehand():
    with pytest.raises(ConfigError, match="leave probability out"):
        VadTuner(Session(None), probability=probability())


def test_labels_without_a_file_are_not_saved(tuner, tmp_path):
    with pytest.raises(ConfigError, match="no file yet"):
        tuner.save()
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere"):
        tuner.save(tmp_path / "nowhere" / "labels.txt")


# -- what a page asks --------------------------------------------------------------------


def test_a_page_gets_outline_labels_and_probability(tuner, page):
    tuner.labels = [Label(1.0, 2.0, "x")]
    page.says("ready", request=1)
    sound, (low, high) = page.hears_of("ready")
    assert (sound["start"], sound["end"], sound["live"]) == (0.0, 3.0, False)
    assert sound["facts"]["dialects"] == list(DIALECTS)
    assert sound["facts"]["session"] is False
    assert len(low) == len(high)
    labels, _ = page.hears_of("labels")
    assert labels["labels"] == [[1.0, 2.0, "x", ""]]
    found, [p] = page.hears_of("probability")
    assert (found["hop_ms"], found["first_hop"]) == (32, 0)
    assert p == probability().p.tobytes()


def test_progress_is_told(page):
    clip = Clip.silence(40.0, 16_000)
    tuner = VadTuner(clip, comm=page)
    page.says("ready", request=1)
    progress, _ = page.hears_of("progress")
    assert 0 <= progress["done"] < progress["total"] == 40.0
    page.hears_of("probability")
    tuner.close()


def test_what_is_saved_in_a_notebook_is_small():
    hour = Clip.silence(3600.0, 8_000)
    tuner = VadTuner(hour, probability=SpeechProbability.from_array([0.5] * 112_500))
    state = tuner.get_state()
    code = len(state.pop("_esm")) + len(state.pop("_css"))
    assert code < 110_000
    assert len(json.dumps(state)) < 1500
    tuner.close()


def test_detail_and_audio_come_in_pieces(tuner, page):
    content, (low, _) = answer(page, "detail", start=1.0, stop=1.5, bins=100)
    assert (content["start"], content["stop"]) == (1.0, 1.5)
    assert len(low) == 200
    _, [pcm] = answer(page, "audio", start=1.0, end=1.5)
    assert len(pcm) == 24_000


def test_a_page_changes_settings_and_the_rest_stays(tuner, page):
    tuner.settings = ServerVad(create_response=False)
    page.changes(settings={**WIRE, "threshold": 0.25}, compared=WIRE, view=[1.0, 2.0])
    assert tuner.settings == ServerVad(
        threshold=0.25,
        prefix_padding_ms=100,
        silence_duration_ms=64,
        create_response=False,
    )
    assert tuner.compared.threshold == 0.6
    assert tuner.view == (1.0, 2.0)


def test_labels_of_a_page_are_taken_and_told_to_the_others(tuner, page):
    greet(page)
    page.says("labels", labels=[[0.5, 1.5, "hello", ""]])
    assert tuner.labels == Labels([Label(0.5, 1.5, "hello")])
    told, _ = page.hears_of("labels")
    assert told["drawn_by"] == page.page
    tuner.labels = []
    told, _ = page.hears_of("labels")
    assert (told["labels"], told["drawn_by"]) == ([], None)


def test_labels_that_cannot_be_are_not_taken(tuner, page):
    tuner.labels = [Label(2.0, 3.0)]
    greet(page)
    page.says("labels", labels=[[0, 2, "", ""], [1, 3, "", ""]])
    told, _ = page.hears_of("trouble")
    assert told["message"].startswith("Labels not taken: labels overlap")
    assert tuner.labels == Labels([Label(2.0, 3.0)])


def test_a_page_saves_and_reads_where(tuner, page, tmp_path):
    tuner.labels = [Label(0.5, 1.5, "hello")]
    path = tmp_path / "labels.csv"
    content, _ = answer(page, "save", path=str(path))
    assert content["text"] == f"1 label saved in {path}."
    assert Labels.read(path) == tuner.labels
    assert tuner.labels_path == str(path)
    content, _ = answer(page, "save", path=str(tmp_path / "labels.doc"))
    assert ".doc" in content["error"]


def test_a_turn_is_explained_with_the_settings_of_the_page(tuner, page):
    first, second = segment(probability(), SETTINGS)
    content, _ = answer(page, "explain", settings=WIRE, started=first.started_hop)
    assert content["text"] == explain(
        first,
        probability=probability(),
        settings=SETTINGS,
        clip=tuner._sound.clip_from(0),
        following=second,
    )
    content, _ = answer(page, "explain", settings=WIRE, started=3)
    assert content["text"] == "it is gone by now"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_settings_become_code(tuner, page, dialect):
    content, _ = answer(page, "code", settings=WIRE, dialect=dialect)
    assert content["text"] == as_code(SETTINGS, dialect)


def test_a_dialect_that_nobody_speaks_is_an_error(tuner, page):
    content, _ = answer(page, "code", settings=WIRE, dialect="klingon")
    assert "klingon" in content["error"]


def test_sentence_ends_are_found_for_a_page(page):
    pytest.importorskip("pocketsphinx")
    clip = Clip.example("austen-0880") + Clip.silence(5.0, 16_000)
    tuner = VadTuner(clip, comm=page)
    ends = tuner._sound.sentences()
    _, (hops, p) = answer(page, "sentences")
    assert hops == ends.hops.tobytes()
    assert p == ends.p.tobytes()
    assert len(ends.hops) > 0
    tuner.close()


def test_what_nobody_knows_is_passed_over(tuner, page, caplog):
    page.says("nonsense")
    assert "message.unknown" in caplog.text


def test_a_fault_of_ours_is_told_and_logged(tuner, page, caplog):
    greet(page)
    page.says("detail", request=7)
    content, _ = page.hears_of("detail")
    assert content["error"] == "KeyError('start')"
    assert "KeyError" in caplog.text


# -- the session -------------------------------------------------------------------------


def test_apply_says_what_is_in_force(page, clip):
    session = Session(None)
    tuner = VadTuner(clip, session=session, probability=probability(), comm=page)
    content, _ = answer(page, "apply", settings=WIRE)
    assert content["text"] == (
        "In force in the session: server_vad with threshold 0.6, prefix_padding_ms 100, "
        "silence_duration_ms 64."
    )
    assert session.settings.audio.input.turn_detection.threshold == 0.6
    assert tuner.session is session
    tuner.close()


def test_apply_says_what_the_session_made_of_it(page, clip):
    session = Session(SemanticVad(), takes=False)
    tuner = VadTuner(clip, session=session, probability=probability(), comm=page)
    content, _ = answer(page, "apply", settings=WIRE)
    assert "was asked for server_vad" in content["text"]
    assert "but has semantic_vad with eagerness auto" in content["text"]
    tuner.close()


@pytest.mark.parametrize(
    ("session", "sentence"),
    [
        (None, "no session is attached"),
        (Session(None, fails=SessionClosed("this session has ended")), "has ended"),
        (Session(None, fails=TimeoutError("no session.updated")), "no session.updated"),
    ],
)
def test_apply_says_why_not(page, clip, session, sentence):
    tuner = VadTuner(clip, session=session, probability=probability(), comm=page)
    content, _ = answer(page, "apply", settings=WIRE)
    assert sentence in content["error"]
    tuner.close()


def test_a_session_is_heard_live_with_its_own_settings(page):
    session = Session(SETTINGS)
    tuner = VadTuner(session, comm=page)
    assert (tuner.session, tuner.settings, tuner.view) == (session, SETTINGS, None)
    clip = (Clip.example("austen-0880") + Clip.silence(1.0, 16_000)).resample(24_000)
    session.says(24_000, clip.samples[:48_000])
    sound, _, found, _ = greet(page)
    assert (sound["live"], sound["start"], found["first_hop"]) == (True, 1.024, 32)
    session.says(72_000, clip.samples[48_000:])
    page.hears_of("feed")
    turn, alone = tuner.segments[0], segment(tuner.probability, SETTINGS)[0]
    assert turn.audio_start_ms == 1024 + alone.audio_start_ms
    assert turn.started_hop == 32 + alone.started_hop
    assert turn.speech_start_ms - turn.audio_start_ms == alone.prefix_ms
    content, _ = answer(page, "explain", settings=WIRE, started=turn.started_hop)
    assert "ms" in content["text"]
    content, _ = answer(page, "sentences")
    assert "live" in content["error"]
    tuner.close()


def test_closing_ends_what_goes_on(clip):
    page = PageComm()
    before = set(threading.enumerate())
    tuner = VadTuner(Clip.silence(1200.0, 16_000), comm=page)
    page.says("ready", request=1)
    page.hears_of("progress")
    tuner.close()
    assert not [thread for thread in threading.enumerate() if thread not in before]
    tuner.close()
