"""A transcription session, driven by hand: no network, no clock, no recogniser."""

import base64
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import Clip
from rtnb.errors import ServerError
from rtnb.protocol import server as effects
from rtnb.protocol.codec import to_dict
from rtnb.protocol.server import (
    SAMPLE_RATE,
    HeardWord,
    ServerMachine,
    TranscriptionMachine,
)
from rtnb.protocol.server.settings import DELAYS_S
from rtnb.protocol.server.transcription import KNOWN_MODELS, LIVE_MODELS
from rtnb.protocol.server.transcripts import (
    DRAFT_SAMPLES,
    continuation,
    usage_of,
)

NOW = 1_785_214_048.0
SENTENCE = "he was not an ill disposed young man"
TRANSCRIPTION = "conversation.item.input_audio_transcription"
CLASSIC = "gpt-4o-transcribe"
LIVE = "gpt-live-transcribe"
LOGPROBS = "item.input_audio_transcription.logprobs"


class Desk:
    """Speaks JSON to a transcription machine, and writes down by hand what it hears."""

    def __init__(self, **options):
        self.machine = TranscriptionMachine(now=NOW, seed=1, **options)
        self.created = self.read()[0]

    def send(self, kind, **fields):
        self.machine.receive(json.dumps({"type": kind, **fields}), NOW)
        return self.read()

    def read(self):
        return [to_dict(event) for event in self.machine.take_events()]

    def update(self, **heard):
        session = {"type": "transcription", "audio": {"input": heard}}
        return self.send("session.update", session=session)

    def transcribe_by(self, model, **options):
        [updated] = self.update(transcription={"model": model, **options})
        assert updated["type"] == "session.updated", updated
        return updated["session"]["audio"]["input"]

    def say(self, seconds, chunk=2400):
        for _ in range(round(seconds * SAMPLE_RATE) // chunk):
            self.machine.append_audio(np.full(chunk, 0.1, np.float32), NOW)
        return self.read()

    def commit(self):
        return self.send("input_audio_buffer.commit")

    def taken(self, kind):
        return [e for e in self.machine.take_effects() if isinstance(e, kind)]

    def draft(self, asked, words):
        self.machine.drafted(asked, words, NOW)
        return self.read()

    def transcribed(self, item_id, words):
        text = " ".join(word.text for word in words)
        self.machine.transcribed(item_id, text, NOW, words)
        return self.read()


@pytest.fixture
def desk():
    return Desk()


def words(text, *, every=0.5, probability=None):
    """The words of a text, one after the other."""
    return [
        HeardWord(word, every * index, every * (index + 1), probability)
        for index, word in enumerate(text.split())
    ]


def types(events):
    return [event["type"] for event in events]


def deltas(events):
    return [e["delta"] for e in events if e["type"] == f"{TRANSCRIPTION}.delta"]


def error_of(events):
    [event] = events
    assert event["type"] == "error", event
    return event["error"]


# -- the session -------------------------------------------------------------------------


def test_the_session_begins_with_the_documented_defaults(desk):
    assert desk.created["type"] == "session.created"
    assert desk.created["session"] == {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": desk.machine.id,
        "expires_at": int(NOW) + 3600,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 200,
                },
            }
        },
        "include": None,
    }


def test_a_session_may_begin_with_settings_of_its_own():
    heard = {"transcription": {"model": LIVE}, "turn_detection": None}
    desk = Desk(session={"audio": {"input": heard}, "include": [LOGPROBS]})
    session = desk.created["session"]
    assert session["include"] == [LOGPROBS]
    assert session["audio"]["input"]["transcription"]["model"] == LIVE
    with pytest.raises(ServerError, match="Turn detection is not supported"):
        Desk(session={"audio": {"input": {**heard, "turn_detection": VAD}}})


VAD = {"type": "server_vad"}


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"type": "realtime"}, "invalid_parameter", "session.type"),
        ({}, "missing_required_parameter", "session.type"),
        (
            {"type": "transcription", "instructions": "x"},
            "unknown_parameter",
            "session.instructions",
        ),
        (
            {"type": "transcription", "audio": {"output": {}}},
            "unknown_parameter",
            "session.audio.output",
        ),
        (
            {"type": "transcription", "include": ["x"]},
            "invalid_value",
            "session.include[0]",
        ),
        ({"type": "transcription", "id": "sess_x"}, "unknown_parameter", "session.id"),
    ],
)
def test_what_a_transcription_session_has_no_place_for(desk, session, code, param):
    error = error_of(desk.send("session.update", event_id="mine", session=session))
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
    [updated] = desk.update()
    assert updated["session"] == desk.created["session"]


def test_the_wording_of_a_wrong_type(desk):
    error = error_of(desk.send("session.update", session={"type": "realtime"}))
    assert error["message"] == (
        "Passing a realtime session update event to a transcription session is not "
        "allowed."
    )


def test_what_turn_detection_says_of_responses_is_ignored(desk):
    asked = {**VAD, "threshold": 0.7, "create_response": True, "idle_timeout_ms": 6000}
    [updated] = desk.update(turn_detection=asked)
    assert updated["session"]["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.7,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
    }


def test_semantic_vad_and_none(desk):
    desk.transcribe_by(CLASSIC)
    [updated] = desk.update(turn_detection={"type": "semantic_vad"})
    detection = updated["session"]["audio"]["input"]["turn_detection"]
    assert detection == {"type": "semantic_vad", "eagerness": "auto"}
    [updated] = desk.update(turn_detection=None)
    assert updated["session"]["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize("model", LIVE_MODELS)
@pytest.mark.parametrize("detection", [VAD, {"type": "semantic_vad"}])
def test_live_models_know_no_turns(desk, model, detection):
    error = error_of(
        desk.update(transcription={"model": model}, turn_detection=detection)
    )
    assert error["message"].startswith("Turn detection is not supported")
    assert error["param"] == "session.audio.input.turn_detection"
    assert desk.transcribe_by(model)["turn_detection"] is None
    assert error_of(desk.update(turn_detection=detection))["param"] == error["param"]


ALL_OPTIONS = {
    "prompt": "names",
    "languages": ["en"],
    "keywords": ["Ada"],
    "delay": "low",
}
TAKEN = {
    "gpt-live-transcribe": {"prompt", "languages", "keywords", "delay"},
    "gpt-realtime-whisper": {"delay"},
    "gpt-transcribe": {"prompt", "languages", "keywords"},
    "gpt-4o-transcribe-diarize": set(),
}


@pytest.mark.parametrize("model", [*KNOWN_MODELS, "whisper-large-v3"])
@pytest.mark.parametrize("option", ALL_OPTIONS)
def test_options_are_for_the_models_that_take_them(desk, model, option):
    config = {"model": model, option: ALL_OPTIONS[option]}
    [event] = desk.update(transcription=config, turn_detection=None)
    taken = TAKEN.get(model, {"prompt"}) if model in KNOWN_MODELS else set(ALL_OPTIONS)
    if option in taken:
        assert event["type"] == "session.updated"
    else:
        assert event["error"]["message"] == "Unsupported option for this model."
        assert event["error"]["param"] == f"session.audio.input.transcription.{option}"


def test_one_language_or_several(desk):
    both = {"model": LIVE, "language": "en", "languages": ["en", "de"]}
    error = error_of(desk.update(transcription=both))
    assert error["code"] == "invalid_value"


def test_the_delay_is_in_force_and_not_echoed(desk):
    heard = desk.transcribe_by(LIVE, delay="minimal", languages=["en"])
    assert heard["transcription"] == {
        "model": LIVE,
        "language": None,
        "prompt": None,
        "languages": ["en"],
    }
    error = error_of(desk.update(transcription={"delay": "bogus"}))
    assert error["param"] == "session.audio.input.transcription.delay"
    assert error["message"] == (
        "Invalid value: 'bogus'. Supported values are: 'minimal', 'low', 'medium', "
        "'high', and 'xhigh'."
    )


def test_noise_reduction_says_for_which_microphone(desk):
    strength = {"strength": 0.5}
    error = error_of(desk.update(noise_reduction=strength))
    assert error["code"] == "missing_required_parameter"
    assert error["param"] == "session.audio.input.noise_reduction.type"
    desk.update(noise_reduction={"type": "far_field"})
    [updated] = desk.update(noise_reduction=strength)
    chosen = updated["session"]["audio"]["input"]["noise_reduction"]
    assert chosen == {"type": "far_field", "strength": 0.5}


# -- what is refused ---------------------------------------------------------------------


MESSAGE = {"type": "message", "role": "user", "content": []}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("response.create", {}),
        ("conversation.item.create", {"item": MESSAGE}),
        (
            "conversation.item.truncate",
            {"item_id": "x", "content_index": 0, "audio_end_ms": 1},
        ),
        ("output_audio_buffer.clear", {}),
    ],
)
def test_events_of_a_conversation_are_refused(desk, kind, fields):
    error = error_of(desk.send(kind, event_id="mine", **fields))
    assert (error["type"], error["event_id"]) == ("invalid_request_error", "mine")
    assert f"'{kind}'" in error["message"]


def test_there_is_nothing_to_cancel(desk):
    assert (
        error_of(desk.send("response.cancel"))["code"] == "response_cancel_not_active"
    )


@pytest.mark.parametrize("model", [None, CLASSIC, LIVE])
def test_too_little_cannot_be_committed(desk, model):
    desk.update(
        transcription=None if model is None else {"model": model}, turn_detection=None
    )
    desk.say(0.08, chunk=480)
    error = error_of(desk.commit())
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert "only has 80.00ms" in error["message"]


# -- the order of events, without turn detection -----------------------------------------


def test_a_live_model_writes_while_it_listens(desk):
    desk.transcribe_by(LIVE, delay="low")
    assert desk.say(2.0) == []
    [listen] = [
        e for e in [*desk.machine.take_effects()] if isinstance(e, effects.Listen)
    ]
    desk.say(2.0)
    item_id = listen.item_id
    heard = words(SENTENCE)
    early = desk.draft(effects.Draft(item_id, 2.2), heard[:5])
    assert deltas(early) == ["he", " was", " not"]
    assert {event["item_id"] for event in early} == {item_id}
    committed = desk.commit()
    assert types(committed) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert committed[0] == {
        "type": "input_audio_buffer.committed",
        "event_id": committed[0]["event_id"],
        "previous_item_id": None,
        "item_id": item_id,
    }
    assert committed[2]["item"]["content"] == [
        {"type": "input_audio", "transcript": None}
    ]
    rest = desk.transcribed(item_id, heard)
    assert deltas(early) + deltas(rest) == [
        "he",
        *(f" {w}" for w in SENTENCE.split()[1:]),
    ]
    assert types(rest)[-1] == f"{TRANSCRIPTION}.completed"
    assert rest[-1]["transcript"] == SENTENCE
    assert rest[-1]["usage"] == {"type": "duration", "seconds": 4}
    assert desk.machine.user_text(item_id) == SENTENCE


def test_drafts_are_asked_for_one_at_a_time(desk):
    desk.transcribe_by(LIVE)
    desk.say(1.0)
    [first] = desk.taken(effects.Draft)
    assert first.heard_s == DRAFT_SAMPLES / SAMPLE_RATE
    desk.say(1.0)
    assert desk.taken(effects.Draft) == []
    desk.draft(first, [])
    [second] = desk.taken(effects.Draft)
    assert second.heard_s == pytest.approx(2.0)
    desk.draft(second, [])
    assert desk.taken(effects.Draft) == []


@pytest.mark.parametrize("delay", DELAYS_S)
def test_a_word_is_written_once_it_has_stood_for_the_delay(desk, delay):
    desk.transcribe_by(LIVE, delay=delay)
    desk.say(4.0)
    [asked] = desk.taken(effects.Draft)
    stood = desk.draft(effects.Draft(asked.item_id, 4.0), words(SENTENCE, every=0.1))
    assert len(deltas(stood)) == sum(
        word.end_s <= 4.0 - DELAYS_S[delay] for word in words(SENTENCE, every=0.1)
    )


def test_what_was_written_stands_when_the_recogniser_thinks_again(desk):
    desk.transcribe_by(LIVE)
    desk.say(3.0)
    [asked] = desk.taken(effects.Draft)
    late = effects.Draft(asked.item_id, 99.0)
    assert deltas(desk.draft(late, words("he was until"))) == ["he", " was", " until"]
    assert deltas(desk.draft(late, words("he was an ill"))) == [" ill"]
    assert deltas(desk.draft(late, words("he was"))) == []
    item_id = desk.commit()[0]["item_id"]
    events = desk.transcribed(item_id, words("he was an ill disposed"))
    assert deltas(events) == [" disposed"]
    assert events[-1]["transcript"] == "he was until ill disposed"


def test_a_word_that_moved_a_little_is_not_written_twice(desk):
    desk.transcribe_by(LIVE)
    desk.say(3.0)
    [asked] = desk.taken(effects.Draft)
    late = effects.Draft(asked.item_id, 99.0)
    desk.draft(late, [HeardWord("he", 0.2, 0.5), HeardWord("was", 0.5, 0.8)])
    moved = [HeardWord("he", 0.2, 0.6), HeardWord("was", 0.6, 0.9)]
    assert deltas(desk.draft(late, [*moved, HeardWord("not", 0.9, 1.2)])) == [" not"]


@pytest.mark.parametrize("model", [m for m in KNOWN_MODELS if m not in LIVE_MODELS])
def test_classic_models_write_after_the_commit(desk, model):
    desk.update(transcription={"model": model}, turn_detection=None)
    desk.say(2.0)
    assert desk.machine.take_effects() == []
    item_id = desk.commit()[0]["item_id"]
    kinds = [type(effect) for effect in desk.machine.take_effects()]
    assert kinds == [effects.Listen, effects.Hear, effects.Recognise]
    events = desk.transcribed(item_id, words("good morning"))
    assert deltas(events) == ["good", " morning"]


def test_items_are_chained_and_may_be_completed_in_any_order(desk):
    desk.transcribe_by(LIVE)
    desk.say(1.0)
    one = desk.commit()[0]
    desk.say(1.0)
    two = desk.commit()[0]
    assert two["previous_item_id"] == one["item_id"] != two["item_id"]
    later = desk.transcribed(two["item_id"], words("second"))
    sooner = desk.transcribed(one["item_id"], words("first"))
    assert [e[-1]["transcript"] for e in (later, sooner)] == ["second", "first"]


def test_silence_has_an_empty_transcript(desk):
    desk.transcribe_by(LIVE)
    desk.say(1.0)
    item_id = desk.commit()[0]["item_id"]
    desk.machine.nothing_heard(item_id, "no words", NOW)
    [completed] = desk.read()
    assert completed["type"] == f"{TRANSCRIPTION}.completed"
    assert completed["transcript"] == ""


def test_a_failure_is_said(desk):
    desk.transcribe_by(LIVE)
    desk.say(1.0)
    item_id = desk.commit()[0]["item_id"]
    desk.machine.transcription_failed(item_id, "it broke", NOW)
    [failed] = desk.read()
    assert failed["type"] == f"{TRANSCRIPTION}.failed"
    assert failed["error"]["type"] == "transcription_error"


def test_a_cleared_buffer_is_forgotten(desk):
    desk.transcribe_by(LIVE)
    desk.say(1.0)
    [asked] = desk.taken(effects.Draft)
    assert types(desk.send("input_audio_buffer.clear")) == [
        "input_audio_buffer.cleared"
    ]
    assert desk.taken(effects.Forget) == [effects.Forget(asked.item_id)]
    late = effects.Draft(asked.item_id, 99.0)
    assert desk.draft(late, words("too late")) == []
    desk.say(1.0)
    assert desk.commit()[0]["item_id"] != asked.item_id


def test_without_a_model_nothing_is_transcribed(desk):
    desk.update(turn_detection=None)
    desk.say(1.0)
    item_id = desk.commit()[0]["item_id"]
    assert desk.transcribed(item_id, words("good morning")) == []


def test_turn_detection_begins_anew_where_a_live_model_listened(desk):
    desk.transcribe_by(LIVE)
    desk.say(1.0)
    [listen] = desk.taken(effects.Listen)
    [updated] = desk.update(transcription={"model": CLASSIC}, turn_detection=VAD)
    assert updated["type"] == "session.updated"
    assert desk.taken(effects.Forget) == [effects.Forget(listen.item_id)]


# -- the order of events, with turn detection --------------------------------------------


def spoken(desk):
    """Say a sentence to turn detection; returns the events and the item."""
    clip = Clip.example("austen-0880").resample(SAMPLE_RATE) + Clip.silence(1.0)
    audio = base64.b64encode(clip.to_pcm16()).decode()
    events = desk.send("input_audio_buffer.append", audio=audio)
    return events, events[0]["item_id"]


def test_a_turn_of_server_vad(desk):
    desk.transcribe_by(CLASSIC)
    events, item_id = spoken(desk)
    assert types(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert {e["item_id"] for e in events[:3]} == {item_id}
    events = desk.transcribed(item_id, words(SENTENCE))
    assert types(events)[-1] == f"{TRANSCRIPTION}.completed"


def test_items_can_be_had_and_deleted(desk):
    _, item_id = spoken(desk)
    [got] = desk.send("conversation.item.retrieve", item_id=item_id)
    assert got["item"]["content"][0]["audio"]
    [gone] = desk.send("conversation.item.delete", item_id=item_id)
    assert gone == {
        "type": "conversation.item.deleted",
        "event_id": gone["event_id"],
        "item_id": item_id,
    }


# -- what a transcript comes with --------------------------------------------------------


def completed(desk, model, heard, *, seconds=2.2):
    desk.update(transcription={"model": model}, turn_detection=None)
    desk.say(seconds)
    return desk.transcribed(desk.commit()[0]["item_id"], heard)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("gpt-4o-transcribe", "tokens"),
        ("gpt-4o-mini-transcribe-2025-12-15", "tokens"),
        ("gpt-4o-transcribe-diarize", "tokens"),
        ("gpt-transcribe", "duration"),
        ("gpt-realtime-whisper", "duration"),
        ("whisper-1", "duration"),
        ("a-model-of-ours", "duration"),
    ],
)
def test_usage_is_in_the_unit_of_the_model(desk, model, kind):
    usage = completed(desk, model, words(SENTENCE))[-1]["usage"]
    assert usage["type"] == kind
    if kind == "duration":
        assert usage["seconds"] == 3
        return
    assert usage["input_tokens"] == usage["input_token_details"]["audio_tokens"] == 22
    assert usage["input_token_details"]["text_tokens"] == 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens"] > 0


def test_nothing_said_costs_what_was_heard():
    assert usage_of("gpt-4o-transcribe", "", 1000.0).total_tokens == 10


def test_logprobs_come_when_asked_for(desk):
    heard = words("good morning", probability=0.5)
    assert "logprobs" not in completed(desk, CLASSIC, heard)[-1]
    desk.send(
        "session.update", session={"type": "transcription", "include": [LOGPROBS]}
    )
    *written, done = completed(desk, CLASSIC, heard)
    assert done["logprobs"] == [
        {"token": word, "logprob": math.log(0.5), "bytes": list(word.encode())}
        for word in ("good", "morning")
    ]
    assert [event["logprobs"] for event in written] == [
        [one] for one in done["logprobs"]
    ]


def test_a_recogniser_without_probabilities_says_none(desk):
    desk.send(
        "session.update", session={"type": "transcription", "include": [LOGPROBS]}
    )
    assert completed(desk, CLASSIC, words("good morning"))[-1]["logprobs"] == []


def test_an_impossible_word_has_a_logarithm_too(desk):
    desk.send(
        "session.update", session={"type": "transcription", "include": [LOGPROBS]}
    )
    [one] = completed(desk, CLASSIC, words("what", probability=0.0))[-1]["logprobs"]
    assert math.isfinite(one["logprob"])


def test_words_that_were_thought_over_have_no_probability(desk):
    desk.send(
        "session.update", session={"type": "transcription", "include": [LOGPROBS]}
    )
    desk.transcribe_by(LIVE)
    desk.say(3.0)
    [asked] = desk.taken(effects.Draft)
    early = desk.draft(effects.Draft(asked.item_id, 99.0), words("he was until"))
    assert [event["logprobs"] for event in early] == [[], [], []]
    item_id = desk.commit()[0]["item_id"]
    done = desk.transcribed(item_id, words("he was an ill", probability=0.9))[-1]
    assert done["transcript"] == "he was until ill"
    assert [one["token"] for one in done["logprobs"]] == ["he", "was", "ill"]


def test_the_diarizing_model_names_its_speaker(desk):
    events = completed(
        desk, "gpt-4o-transcribe-diarize", words("good morning", every=0.4)
    )
    *written, segment, done = events
    assert types(written) == [f"{TRANSCRIPTION}.delta"] * 2
    assert segment["type"] == f"{TRANSCRIPTION}.segment"
    assert (segment["text"], segment["speaker"]) == ("good morning", "spk_1")
    assert (segment["start"], segment["end"]) == (0.0, 0.8)
    assert segment["id"].startswith("seg_")
    assert done["type"] == f"{TRANSCRIPTION}.completed"


def test_a_segment_without_times_is_the_whole_item(desk):
    desk.update(
        transcription={"model": "gpt-4o-transcribe-diarize"}, turn_detection=None
    )
    desk.say(2.0)
    desk.machine.transcribed(desk.commit()[0]["item_id"], "good morning", NOW)
    segment = desk.read()[-2]
    assert (segment["start"], segment["end"]) == (0.0, 2.0)


def test_only_one_model_speaks_of_languages(desk):
    assert completed(desk, "gpt-transcribe", words("good"))[-1]["languages"] == []
    assert "languages" not in completed(desk, CLASSIC, words("good"))[-1]


def test_deltas_are_padded(desk):
    for event in completed(desk, CLASSIC, words(SENTENCE))[:-1]:
        assert (len(event["delta"]) + len(event["obfuscation"])) % 16 == 0


@pytest.mark.parametrize("detection", [VAD, None])
def test_a_conversation_is_written_down_when_it_is_committed(detection):
    heard = {"transcription": {"model": LIVE}, "turn_detection": detection}
    machine = ServerMachine(
        model="gpt-realtime", now=NOW, session={"audio": {"input": heard}}
    )
    clip = Clip.example("austen-0880").resample(SAMPLE_RATE)
    machine.append_audio(clip.samples, NOW)
    asked = machine.take_effects()
    assert not [effect for effect in asked if isinstance(effect, effects.Draft)]
    assert bool(asked) is (detection is not None)


# -- the end -----------------------------------------------------------------------------


def test_the_session_ends_after_an_hour(desk):
    assert desk.machine.next_deadline() == int(NOW) + 3600
    desk.machine.tick(NOW + 3600)
    assert error_of(desk.read())["code"] == "session_expired"
    assert desk.taken(effects.Hangup)[0].code == 1001


# -- continuations -----------------------------------------------------------------------

WORDS = st.lists(st.sampled_from("abc"), max_size=8)


@given(WORDS, WORDS)
def test_what_stands_is_continued_exactly(said, rest):
    assert continuation(said, said + rest) == len(said)


@given(WORDS, WORDS)
def test_a_continuation_is_somewhere_in_the_words(said, heard):
    at = continuation(said, heard)
    assert 0 <= at <= len(heard)
    if not said:
        assert at == 0
