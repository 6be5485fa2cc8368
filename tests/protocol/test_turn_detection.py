"""Turn detection in the server machine: flags, changes on the way, and idle users."""

import itertools

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.protocol import server as effects
from rtnb.protocol.server import SAMPLE_RATE
from tests.protocol.wire import TONE, Wire, types, vad

FLAGS = list(itertools.product([True, False], repeat=2))


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture(scope="module")
def spoken():
    return Clip.example("austen-0880").resample(SAMPLE_RATE) + Clip.silence(1.0)


def detect(wire, detection):
    return wire.configure(audio={"input": {"turn_detection": detection}})


def hear(wire, samples, chunk=2400):
    """Append audio; pauses are judged as whole sentences at once."""
    events = []
    for start in range(0, len(samples), chunk):
        wire.machine.append_audio(samples[start : start + chunk], wire.now)
        events += wire.read()
        for effect in wire.machine.take_effects():
            if isinstance(effect, effects.JudgePause):
                wire.machine.judged(effect, 1.0, wire.now)
                events += wire.read()
    return events


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
@pytest.mark.parametrize(("create", "interrupt"), FLAGS)
def test_all_four_ways_to_answer_and_to_interrupt(
    wire, spoken, kind, create, interrupt
):
    flags = {"create_response": create, "interrupt_response": interrupt}
    [updated] = detect(wire, {"type": kind, **flags})
    echoed = updated["session"]["audio"]["input"]["turn_detection"]
    assert {name: echoed[name] for name in flags} == flags
    running = wire.respond()
    beside = wire.respond(conversation="none")
    wire.machine.write(running, "Once", wire.now)
    wire.read()
    events = hear(wire, spoken.samples)
    done = [e["response"] for e in events if e["type"] == "response.done"]
    assert [response["id"] for response in done] == [running] * interrupt
    assert wire.machine.is_active(beside)
    codes = [e["error"]["code"] for e in events if e["type"] == "error"]
    conflict = "conversation_already_has_active_response"
    assert codes == [conflict] * (create and not interrupt)
    created = [e for e in events if e["type"] == "response.created"]
    assert len(created) == (create and interrupt)


def test_the_marks_stay_while_nobody_answers(wire, spoken):
    detect(wire, vad(create_response=False, interrupt_response=False))
    assert types(hear(wire, spoken.samples)) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]


@pytest.mark.parametrize(
    "change",
    [
        vad(silence_duration_ms=5000),
        vad(threshold=0.9, prefix_padding_ms=0),
        {"type": "semantic_vad", "eagerness": "high"},
        None,
    ],
)
def test_settings_that_change_in_the_middle_of_speech(wire, spoken, change):
    before, after = np.split(spoken.samples, [SAMPLE_RATE])
    hear(wire, before)
    detect(wire, change)
    events = types(hear(wire, np.concatenate([after, np.zeros(6 * SAMPLE_RATE)])))
    stopped = "input_audio_buffer.speech_stopped" in events
    assert stopped is (change is not None)
    assert events.count("input_audio_buffer.committed") == stopped


def test_detection_turned_on_hears_what_comes_then(wire, spoken):
    detect(wire, None)
    assert hear(wire, spoken.samples) == []
    detect(wire, vad())
    kinds = types(hear(wire, spoken.samples))
    assert kinds[0] == "input_audio_buffer.speech_started"


# -- nobody says anything --------------------------------------------------------------

TIMEOUT = "input_audio_buffer.timeout_triggered"


def idle(wire, **settings):
    detect(wire, vad(idle_timeout_ms=6000, **settings))
    wire.machine.append_audio(np.zeros(SAMPLE_RATE, np.float32), wire.now)
    wire.answer()
    wire.machine.take_effects()
    return wire.machine.next_deadline()


def wait(wire, until):
    """Silence until then, as a microphone gives it, and what comes of it."""
    seconds = until - wire.now
    hear(wire, np.zeros(round(seconds * SAMPLE_RATE), np.float32))
    wire.now = until
    wire.machine.tick(until)
    return wire.read()


def test_the_silence_itself_becomes_the_item(wire):
    deadline = idle(wire)
    events = wait(wire, deadline)
    assert events[0]["type"] == TIMEOUT
    assert (events[0]["audio_start_ms"], events[0]["audio_end_ms"]) == (2000, 8000)
    assert wire.machine.item_samples(events[0]["item_id"]) == 6 * SAMPLE_RATE
    assert types(events)[-1] == "response.created"


def test_nobody_is_answered_where_nobody_is_to_be(wire):
    events = wait(wire, idle(wire, create_response=False))
    assert types(events) == [
        TIMEOUT,
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]


@pytest.mark.parametrize(
    "change", [vad(idle_timeout_ms=None), {"type": "semantic_vad"}, None]
)
def test_a_timeout_that_is_taken_back(wire, change):
    deadline = idle(wire)
    detect(wire, change)
    assert wait(wire, deadline) == []


def test_a_timeout_that_is_taken_back_stays_so_until_the_next_answer(wire):
    deadline = idle(wire)
    detect(wire, vad(idle_timeout_ms=None))
    detect(wire, vad(idle_timeout_ms=6000))
    assert wait(wire, deadline) == []


def test_a_timeout_that_becomes_longer(wire):
    deadline = idle(wire)
    detect(wire, vad(idle_timeout_ms=9000))
    assert wire.machine.next_deadline() == deadline + 3


def test_an_answer_beside_the_conversation_wakes_nobody(wire):
    deadline = idle(wire)
    wire.answer(conversation="none")
    assert types(wait(wire, deadline))[0] == TIMEOUT


def test_an_answer_in_the_conversation_begins_anew(wire):
    first = idle(wire)
    wire.now += 2
    wire.answer()
    assert wire.machine.next_deadline() == first + 2


def test_an_answer_cut_by_its_limit_is_an_answer(wire):
    detect(wire, vad(idle_timeout_ms=6000))
    response_id = wire.respond(max_output_tokens=20)
    wire.machine.play(response_id, np.tile(TONE, 2), wire.now)
    assert wire.machine.next_deadline() == wire.now + 1 + 6


def test_speech_ends_the_waiting(wire, spoken):
    deadline = idle(wire)
    hear(wire, spoken.samples[:SAMPLE_RATE])
    wire.machine.tick(deadline)
    assert TIMEOUT not in types(wire.read())


def test_who_commits_by_hand_while_idle_commits_no_more_than_else(wire):
    idle(wire)
    hear(wire, np.zeros(4 * SAMPLE_RATE, np.float32))
    [committed, *_] = wire.send("input_audio_buffer.commit")
    assert wire.machine.item_samples(committed["item_id"]) == 400 * 24
