"""A translation session, driven by hand: no network, no clock, no engine."""

import base64
import json

import numpy as np
import pytest
from openai.types.realtime.realtime_translation_server_event import (
    RealtimeTranslationServerEvent,
)
from pydantic import TypeAdapter

from rtnb.audio import Clip
from rtnb.errors import ServerError
from rtnb.protocol import server as effects
from rtnb.protocol import translation as tr
from rtnb.protocol.codec import to_dict
from rtnb.protocol.server import SAMPLE_RATE, TranslationMachine
from rtnb.protocol.wire import type_name

NOW = 1_785_214_048.0
STRICT = TypeAdapter(RealtimeTranslationServerEvent)
SENTENCE = Clip.example("austen-0880").resample(SAMPLE_RATE) + Clip.silence(1.2)
TONE = np.full(SAMPLE_RATE // 10, 0.25, np.float32)


class Booth:
    """Speaks JSON to a translation machine, and interprets by hand."""

    def __init__(self, **options):
        options = {"model": "gpt-realtime-translate", "now": NOW, "seed": 1, **options}
        self.machine = TranslationMachine(**options)
        [self.created] = self.read()

    def send(self, kind, **fields):
        self.machine.receive(json.dumps({"type": kind, **fields}), NOW)
        return self.read()

    def read(self):
        events = [to_dict(event) for event in self.machine.take_events()]
        for event in events:
            STRICT.validate_python(event, strict=True)
        return events

    def update(self, **audio):
        return self.send("session.update", session={"audio": audio})

    def append(self, clip):
        audio = base64.b64encode(clip.to_pcm16()).decode()
        return self.send("session.input_audio_buffer.append", audio=audio)

    def taken(self, kind):
        return [e for e in self.machine.take_effects() if isinstance(e, kind)]

    def sentence(self):
        """Somebody says a sentence; returns its id."""
        assert self.append(SENTENCE) == []
        for pause in self.taken(effects.JudgePause):
            self.machine.judged(pause, 1.0, NOW)
        assert self.read() == []
        [heard] = self.taken(effects.Recognise)
        return heard.item_id

    def recognised(self, item_id, text):
        self.machine.transcribed(item_id, text, NOW)
        return self.read()

    def interpret(self, item_id, text):
        self.machine.write(item_id, text, NOW)
        self.machine.play(item_id, TONE, NOW)
        self.machine.finish(item_id, NOW)
        return self.read()


@pytest.fixture
def booth():
    return Booth()


def types(events):
    return [event["type"] for event in events]


def error_of(events):
    [event] = events
    assert event["type"] == "error", event
    return event["error"]


# -- the session -------------------------------------------------------------------------


def test_the_session_begins_with_its_defaults(booth):
    assert booth.created["type"] == "session.created"
    assert booth.created["session"] == {
        "type": "translation",
        "id": booth.machine.id,
        "model": "gpt-realtime-translate",
        "expires_at": int(NOW) + 3600,
        "audio": {
            "input": {"transcription": None, "noise_reduction": None},
            "output": {"language": "es"},
        },
    }


def test_settings_change_and_stay(booth):
    [updated] = booth.update(
        input={"transcription": {"model": "gpt-realtime-whisper"}},
        output={"language": "fr"},
    )
    assert updated["type"] == "session.updated"
    [updated] = booth.update(input={"noise_reduction": {"type": "near_field"}})
    assert updated["session"]["audio"] == {
        "input": {
            "transcription": {"model": "gpt-realtime-whisper"},
            "noise_reduction": {"type": "near_field"},
        },
        "output": {"language": "fr"},
    }
    [updated] = booth.update(input={"transcription": None, "noise_reduction": None})
    assert updated["session"]["audio"]["input"] == {
        "transcription": None,
        "noise_reduction": None,
    }


def test_only_languages_that_the_translator_knows():
    booth = Booth(languages=("de", "fr"))
    assert booth.created["session"]["audio"]["output"] == {"language": "de"}
    error = error_of(booth.update(output={"language": "xx"}))
    assert error["code"] == "invalid_value"
    assert error["param"] == "session.audio.output.language"
    assert (
        error["message"] == "Invalid value: 'xx'. Supported values are: 'de' and 'fr'."
    )
    [updated] = booth.update()
    assert updated["session"] == booth.created["session"]
    session = {"audio": {"output": {"language": "fr"}}}
    chosen = Booth(languages=("de", "fr"), session=session).created["session"]
    assert chosen["audio"]["output"] == {"language": "fr"}
    spanish = {"audio": {"output": {"language": "es"}}}
    with pytest.raises(ServerError, match="'es'"):
        Booth(languages=("de", "fr"), session=spanish)


@pytest.mark.parametrize(
    ("kind", "fields", "code", "param"),
    [
        ("session.update", {}, "missing_required_parameter", "session"),
        (
            "session.update",
            {"session": {"type": "translation"}},
            "unknown_parameter",
            "session.type",
        ),
        (
            "session.update",
            {"session": {"model": "x"}},
            "unknown_parameter",
            "session.model",
        ),
        (
            "session.update",
            {"session": {"audio": {"output": {"voice": "alloy"}}}},
            "unknown_parameter",
            "session.audio.output.voice",
        ),
        (
            "session.update",
            {"session": {"audio": {"input": {"transcription": {}}}}},
            "missing_required_parameter",
            "session.audio.input.transcription.model",
        ),
        (
            "session.update",
            {"session": {"audio": {"input": {"noise_reduction": {"type": "x"}}}}},
            "invalid_value",
            "session.audio.input.noise_reduction.type",
        ),
        (
            "session.update",
            {"session": {"audio": {"input": {"noise_reduction": {"strength": 0.5}}}}},
            "missing_required_parameter",
            "session.audio.input.noise_reduction.type",
        ),
        ("input_audio_buffer.append", {"audio": ""}, "invalid_value", "type"),
        ("input_audio_buffer.commit", {}, "invalid_value", "type"),
        ("response.create", {}, "invalid_value", "type"),
        ("session.input_audio_buffer.append", {"audio": "?"}, "invalid_value", "audio"),
        (
            "session.input_audio_buffer.append",
            {"audio": "AAAA"},
            "invalid_value",
            "audio",
        ),
    ],
)
def test_what_it_does_not_take(booth, kind, fields, code, param):
    error = error_of(booth.send(kind, event_id="mine", **fields))
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")


def test_noise(booth):
    booth.machine.receive("{", NOW)
    assert error_of(booth.read())["code"] == "invalid_json"
    booth.machine.receive("{}", NOW)
    assert error_of(booth.read())["code"] == "invalid_event"


# -- the order of events -----------------------------------------------------------------


def test_a_sentence(booth):
    booth.update(input={"transcription": {"model": "gpt-realtime-whisper"}})
    item_id = booth.sentence()
    [source] = booth.recognised(item_id, "good morning")
    heard_ms = SENTENCE.duration * 1000 // 200 * 200
    assert source["type"] == "session.input_transcript.delta"
    assert (source["delta"], source["elapsed_ms"]) == ("good morning", heard_ms)
    assert booth.taken(effects.Translate) == [
        effects.Translate(item_id, "good morning", "es")
    ]
    words, sound = booth.interpret(item_id, "Buenos días.")
    assert words["type"] == "session.output_transcript.delta"
    assert (words["delta"], words["elapsed_ms"]) == ("Buenos días.", heard_ms)
    assert sound.pop("event_id").startswith("event_")
    assert len(base64.b64decode(sound.pop("delta"))) == 2 * len(TONE)
    assert sound == {
        "type": "session.output_audio.delta",
        "sample_rate": 24_000,
        "channels": 1,
        "format": "pcm16",
        "elapsed_ms": heard_ms,
    }


def test_the_source_is_shown_only_when_asked_for(booth):
    assert booth.recognised(booth.sentence(), "good morning") == []


def test_transcripts_are_joined_as_they_are(booth):
    booth.update(input={"transcription": {"model": "x"}})
    source, target = [], []
    for text, pieces in (("one", ["U", "no."]), ("two", ["Dos", "."])):
        item_id = booth.sentence()
        source += booth.recognised(item_id, text)
        for piece in pieces:
            booth.machine.write(item_id, piece, NOW)
        booth.machine.finish(item_id, NOW)
        target += booth.read()
    assert "".join(event["delta"] for event in source) == "one two"
    assert "".join(event["delta"] for event in target) == "Uno. Dos."


def test_sentences_are_translated_in_the_order_they_were_spoken_in(booth):
    first, second = booth.sentence(), booth.sentence()
    booth.recognised(second, "two")
    assert booth.taken(effects.Translate) == []
    booth.recognised(first, "one")
    [wanted] = booth.taken(effects.Translate)
    assert (wanted.item_id, wanted.text) == (first, "one")
    booth.interpret(first, "Uno.")
    [wanted] = booth.taken(effects.Translate)
    assert (wanted.item_id, wanted.text) == (second, "two")


def test_no_sentence_is_translated_twice(booth):
    first, second = booth.sentence(), booth.sentence()
    booth.recognised(first, "one")
    booth.recognised(second, "two")
    assert [wanted.text for wanted in booth.taken(effects.Translate)] == ["one"]
    booth.interpret(first, "Uno.")
    assert [wanted.text for wanted in booth.taken(effects.Translate)] == ["two"]


def test_the_language_of_a_sentence_is_the_one_in_force(booth):
    item_id = booth.sentence()
    booth.update(output={"language": "fr"})
    booth.recognised(item_id, "one")
    [wanted] = booth.taken(effects.Translate)
    assert wanted.language == "fr"


def test_what_had_no_words_is_passed_over(booth):
    first, second = booth.sentence(), booth.sentence()
    booth.recognised(second, "two")
    booth.machine.nothing_heard(first, "no words", NOW)
    [wanted] = booth.taken(effects.Translate)
    assert wanted.item_id == second


def test_a_failure_is_said_and_it_goes_on(booth):
    first, second = booth.sentence(), booth.sentence()
    booth.machine.transcription_failed(first, "it broke", NOW)
    error = error_of(booth.read())
    assert error["type"] == "server_error"
    assert error["message"] == "What was said could not be understood: it broke"
    booth.recognised(second, "two")
    booth.machine.fail(second, "no words for it", NOW)
    error = error_of(booth.read())
    assert error["message"] == "A sentence could not be translated: no words for it"
    booth.recognised(booth.sentence(), "three")
    assert booth.taken(effects.Translate)[0].text == "three"


def test_only_the_sentence_whose_time_it_is_is_said(booth):
    first, second = booth.sentence(), booth.sentence()
    booth.recognised(first, "one")
    with pytest.raises(ValueError, match="is not being translated"):
        booth.machine.write(second, "Dos.", NOW)


# -- the end -----------------------------------------------------------------------------


def test_closing_a_silent_session(booth):
    booth.append(Clip.silence(1.0))
    assert types(booth.send("session.close")) == ["session.closed"]
    assert booth.machine.take_effects() == []


def test_closing_waits_for_what_was_said(booth):
    item_id = booth.sentence()
    assert booth.send("session.close") == []
    assert booth.recognised(item_id, "good morning") == []
    assert types(booth.interpret(item_id, "Buenos días.")) == [
        "session.output_transcript.delta",
        "session.output_audio.delta",
        "session.closed",
    ]


def test_closing_in_the_middle_of_a_sentence(booth):
    booth.append(Clip(SENTENCE.samples[: 2 * SAMPLE_RATE], SAMPLE_RATE))
    assert booth.taken(effects.Recognise) == []
    assert booth.send("session.close") == []
    [heard] = booth.taken(effects.Recognise)
    assert types(booth.recognised(heard.item_id, "")) == ["session.closed"]


@pytest.mark.parametrize("kind", ["session.close", "session.input_audio_buffer.append"])
def test_a_closing_session_takes_nothing_more(booth, kind):
    booth.sentence()
    booth.send("session.close")
    fields = {} if kind == "session.close" else {"audio": ""}
    assert "closing" in error_of(booth.send(kind, **fields))["message"]


def test_the_session_ends_after_an_hour(booth):
    booth.machine.tick(NOW + 3600)
    assert error_of(booth.read())["code"] == "session_expired"


def test_a_page_can_press_its_button_in_vain(booth):
    assert booth.machine.turn_detection is None
    booth.machine.end_turn(NOW)
    assert booth.read() == []


def test_classes_are_named_after_their_events():
    for event in (
        *tr.TranslationClientEvent.__args__,
        *tr.TranslationServerEvent.__args__,
    ):
        words = type_name(event).replace(".", "_").split("_")
        assert event.__name__ == "".join(word.capitalize() for word in words)
