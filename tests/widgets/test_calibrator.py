"""The guided calibration, with a session in memory and a page that the test plays."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rtnb.audio import Clip, pcm16_decode
from rtnb.protocol.events import InputAudioBufferAppend
from rtnb.session import Session
from rtnb.session.session import Endpoint
from rtnb.vad import ServerVad
from rtnb.widgets import AudioPort, Calibrator
from rtnb.widgets import calibrator as module
from tests.session.server import SESSION, Server
from tests.widgets.conftest import PageComm

RATE = module.SAMPLE_RATE
DETECTION = SESSION["audio"]["input"]["turn_detection"]
WAIT_S = 10
CHUNK = 2400


def noise(seconds, dbfs=-65.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 10 ** (dbfs / 20), round(seconds * RATE)).astype(np.float32)


def sentence(seconds=module.SPEECH_S):
    heard = noise(seconds, seed=1)
    said = Clip.example("austen-0880").resample(RATE).samples
    heard[RATE : RATE + len(said)] += said
    return heard


class Room:
    """A session, a calibrator, its page, and what the microphone there hears."""

    def __init__(self, server, session, port, page, calibrator):
        self.server, self.session, self.port = server, session, port
        self.page, self.calibrator = page, calibrator
        self.position = 0
        self._changed = threading.Condition()
        calibrator.observe(
            self._step_changed, ["step", "seconds_left", "message", "applied"]
        )

    def _step_changed(self, _):
        with self._changed:
            self._changed.notify_all()

    def until(self, condition):
        with self._changed:
            assert self._changed.wait_for(condition, WAIT_S), (
                self.calibrator.step,
                self.calibrator.message,
            )

    def until_step(self, step):
        self.until(lambda: self.calibrator.step == step)

    def hears(self, samples):
        for start in range(0, len(samples), CHUNK):
            chunk = Clip(np.clip(samples[start : start + CHUNK], -1, 1), RATE)
            self.session.send(InputAudioBufferAppend(audio=chunk.to_pcm16()))
        self.position += len(samples)

    def start(self, **options):
        self.calibrator.start(**options)
        self.until_step("quiet")

    def quiet(self):
        self.hears(noise(module.LEAD_S + module.QUIET_S))
        self.until_step("speech")

    def speech(self):
        self.hears(sentence())
        self.until_step("loudspeaker")

    def loudspeaker(self, attenuation_db, delay_ms=60):
        """The page plays what it is told to, and the microphone hears it."""
        self.hears(noise(module.BEFORE_PROBE_S, seed=2))
        content, (pcm,) = self.page.hears_of("probe")
        late = round((0.1 + delay_ms / 1000) * RATE)
        heard = noise(2.5, seed=3)
        probe = pcm16_decode(pcm) * 10 ** (-attenuation_db / 20)
        heard[late : late + len(probe)] += probe
        began = self.position + round(0.1 * RATE)
        self.page.says("probe.played", probe=content["probe"], sample=began)
        self.hears(heard)

    def updates(self):
        """Every turn detection that the server was told, in order."""
        return [
            event["session"]["audio"]["input"]["turn_detection"]
            for event in self.server.received
            if event["type"] == "session.update"
        ]

    @property
    def in_force(self):
        return self.server.settings["audio"]["input"]["turn_detection"]


@pytest.fixture
def make_room():
    made = []

    def make(*, patience=module.PATIENCE_S, **session_facts):
        server = Server(**session_facts)
        endpoint = Endpoint("url", "ws://127.0.0.1:1/v1/realtime?model=m", {})
        session = Session(endpoint, open_transport=server.open, timeout=10)
        server.session = session
        page = PageComm()
        port = AudioPort(comm=page)
        page.says("hello")
        page.says("open", attempt=1, origin=None)
        port.talking = True
        calibrator = Calibrator(port, session, patience=patience)
        made.extend([calibrator, port, session])
        return Room(server, session, port, page, calibrator)

    yield make
    for each in made:
        each.close()


@pytest.fixture
def room(make_room):
    return make_room()


def run(room, *, attenuation_db=60):
    """A whole run, to its result."""
    room.start()
    room.quiet()
    room.speech()
    room.loudspeaker(attenuation_db)
    room.until_step("done")


def test_a_run_measures_what_the_microphone_heard(room):
    run(room)
    measured = room.calibrator.calibration
    assert measured.noise_dbfs == pytest.approx(-65, abs=0.5)
    assert measured.speech_dbfs == pytest.approx(-24, abs=3)
    assert measured.echo.heard
    assert measured.echo.delay_ms == pytest.approx(60, abs=1)
    assert measured.echo.attenuation_db == pytest.approx(60, abs=1)
    assert measured.problems == ()
    shown = room.calibrator.result
    assert shown["usable"]
    assert shown["recommended"].startswith("threshold 0.50, silence")
    assert len(shown["centres"]) == len(shown["levels"]) > 20
    assert room.calibrator.message == ""


def test_a_loudspeaker_that_is_heard_is_warned_of(room):
    run(room, attenuation_db=15)
    (problem,) = room.calibrator.result["problems"]
    assert "headphones or echo cancellation" in problem


def test_the_model_answers_nothing_and_all_is_put_back(room):
    run(room)
    assert room.updates() == [None, DETECTION]
    assert room.in_force == DETECTION
    room.server.settle()
    types = room.server.types("input_audio_buffer.append")
    assert types == ["session.update", "input_audio_buffer.clear", "session.update"]


def test_the_countdown_falls_by_seconds(room):
    told = []
    room.calibrator.observe(lambda change: told.append(change["new"]), "seconds_left")
    room.start()
    room.quiet()
    assert told == [7, 6, 5, 4, 3, 2, 1, 0, 8]


def test_push_to_talk_has_no_detection_to_put_back(make_room):
    room = make_room(audio={"input": {"turn_detection": None}})
    run(room)
    assert room.updates() == []
    room.server.settle()
    assert room.server.types()[-1] == "input_audio_buffer.clear"


def test_what_somebody_else_sets_meanwhile_stands(room):
    room.start()
    room.session.configure(turn_detection=ServerVad(threshold=0.8))
    room.calibrator.cancel()
    room.until_step("idle")
    assert room.in_force["threshold"] == 0.8


@pytest.mark.parametrize("step", ["quiet", "speech", "loudspeaker"])
def test_cancelled_at_any_step_everything_is_put_back(room, step):
    room.start()
    for before in ("quiet", "speech", "loudspeaker"):
        if before == step:
            break
        getattr(room, before)()
    room.calibrator._receive(None, {"type": "cancel"}, [])
    room.until_step("idle")
    assert room.calibrator.message == module.CANCELLED
    assert room.calibrator.calibration is None
    assert room.in_force == DETECTION


def test_closed_in_the_middle_everything_is_put_back(room):
    room.start()
    room.calibrator.close()
    assert room.in_force == DETECTION
    assert room.server.types()[-1] == "session.update"


def test_a_session_that_ends_in_the_middle_is_no_disaster(make_room):
    room = make_room(patience=0.05)
    room.start()
    room.session.close()
    room.until_step("idle")
    assert room.calibrator.message


def test_without_audio_a_sentence_says_what_to_do(make_room):
    room = make_room(patience=0.05)
    room.calibrator.start()
    room.until(lambda: room.calibrator.message)
    assert "No audio came from the microphone" in room.calibrator.message
    assert (room.calibrator.step, room.in_force) == ("idle", DETECTION)


def test_a_microphone_that_goes_away_ends_the_run_with_its_sentence(room):
    room.start()
    room.port.message = "The microphone went away."
    room.port.talking = False
    room.until_step("idle")
    assert room.calibrator.message == "The microphone went away."
    assert room.in_force == DETECTION


def test_a_muted_microphone_is_not_calibrated(room):
    room.port.muted = True
    room.calibrator.start()
    room.until(lambda: room.calibrator.message)
    assert "press Unmute" in room.calibrator.message
    assert room.updates() == []


def test_a_server_that_refuses_is_quoted(room):
    room.server.refusals["session.update"] = {"message": "not now"}
    room.calibrator.start()
    room.until_step("idle")
    assert "not now" in room.calibrator.message
    assert room.in_force == DETECTION


def test_next_ends_the_sentence_early_but_not_at_once(room):
    room.start()
    room.quiet()
    room.calibrator._receive(None, {"type": "next"}, [])
    room.hears(sentence(5))
    room.until(lambda: room.calibrator.seconds_left == 3)
    room.calibrator._receive(None, {"type": "next"}, [])
    room.until_step("loudspeaker")
    room.calibrator._receive(None, {"type": "next"}, [])
    room.hears(noise(0.1))
    room.until_step("done")
    assert room.calibrator.calibration.echo is None
    assert room.calibrator.calibration.usable


def test_again_begins_the_step_anew(room):
    room.start()
    room.hears(noise(3, -20))
    room.until(lambda: room.calibrator.seconds_left == 4)
    room.calibrator._receive(None, {"type": "again"}, [])
    room.quiet()
    room.speech()
    room.loudspeaker(60)
    room.until_step("done")
    assert room.calibrator.calibration.usable


def test_a_page_that_cannot_play_leaves_the_rest(room):
    room.start()
    room.quiet()
    room.speech()
    room.hears(noise(module.BEFORE_PROBE_S))
    content, _ = room.page.hears_of("probe")
    room.page.says("probe.failed", probe=content["probe"], message="no sound here")
    room.hears(noise(0.1))
    room.until_step("done")
    assert room.calibrator.message == "The echo was not checked: no sound here"
    assert room.calibrator.calibration.usable


def test_a_page_that_never_answers_leaves_the_rest(room):
    room.start()
    room.quiet()
    room.speech()
    room.hears(noise(module.BEFORE_PROBE_S + 2 + module.PATIENCE_S + 0.2))
    room.until_step("done")
    assert "did not say when it played" in room.calibrator.message


def test_speech_in_the_silence_recommends_nothing(room):
    room.start()
    room.hears(sentence(module.LEAD_S + module.QUIET_S))
    room.until_step("speech")
    room.speech()
    room.loudspeaker(60)
    room.until_step("done")
    assert not room.calibrator.result["usable"]


def applied(room):
    room.calibrator._receive(None, {"type": "apply"}, [])
    room.until(lambda: room.calibrator.message)


def test_apply_configures_the_session(room):
    run(room)
    recommended = room.calibrator.calibration.recommended
    applied(room)
    assert room.calibrator.message.startswith("Applied: threshold 0.50")
    assert room.calibrator.applied == recommended
    assert (room.calibrator.step, room.calibrator.result) == ("idle", {})
    sent = room.server.last("session.update")["session"]["audio"]["input"]
    assert sent == {
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": recommended.prefix_padding_ms,
            "silence_duration_ms": recommended.silence_duration_ms,
        },
        "noise_reduction": None,
    }
    assert room.in_force["create_response"]


def test_apply_in_push_to_talk_leaves_turn_detection_off(make_room):
    room = make_room(audio={"input": {"turn_detection": None}})
    room.port.mode = "push-to-talk"
    run(room)
    applied(room)
    assert room.in_force is None
    assert room.calibrator.applied is not None
    assert "waits for hands-free" in room.calibrator.message


def test_what_cannot_be_applied_says_so_and_stays(room):
    run(room)
    room.server.refusals["session.update"] = {"message": "not now"}
    applied(room)
    assert "Not applied: not now" in room.calibrator.message
    assert room.calibrator.step == "done"
    assert room.calibrator.applied is None


def test_discard_forgets(room):
    run(room)
    room.calibrator._receive(None, {"type": "discard"}, [])
    assert (room.calibrator.step, room.calibrator.result) == ("idle", {})
    assert room.calibrator.calibration is None
    room.calibrator.apply()
    assert room.calibrator.applied is None


def test_a_second_start_does_not_disturb_the_first(room):
    room.start()
    room.calibrator._receive(None, {"type": "start", "started": False}, [])
    room.quiet()
    assert room.updates() == [None]


def test_it_waits_for_the_page_to_switch_off_what_it_switched_on(room):
    room.start(started=True)
    room.calibrator.cancel()
    room.until_step("measuring")
    room.calibrator._thread.join(0.2)
    assert room.in_force is None
    room.port.talking = False
    room.until_step("idle")
    assert room.in_force == DETECTION


def test_an_unknown_message_is_logged(room, caplog):
    room.calibrator._receive(None, {"type": "nonsense"}, [])
    assert "message.unknown" in caplog.text
