"""The vocabulary of the wire, checked against the official SDK."""

import json
import re
from typing import get_args

import msgspec
import pytest
from msgspec import UNSET
from pydantic import TypeAdapter
from pydantic import ValidationError as SdkRefusal

from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.codec import (
    client_event,
    decode_client,
    decode_server,
    encode,
    server_event,
    to_dict,
)
from rtnb.protocol.validation import parse_client_event
from tests.protocol.mutations import holds
from tests.protocol.oracle import (
    CLIENT_MODELS,
    CLIENT_PARAMS,
    SERVER_MODELS,
    Bogus,
    fields,
    record_examples,
    records,
    tags,
)
from tests.protocol.samples import CLIENT_SAMPLES, SERVER_SAMPLES

EVENTS = {**ev.CLIENT_EVENTS, **ev.SERVER_EVENTS}
MODELS = {**CLIENT_MODELS, **SERVER_MODELS}
SAMPLES = {**CLIENT_SAMPLES, **SERVER_SAMPLES}


def camel_case(wire_name):
    return "".join(word.capitalize() for word in re.split(r"[._]", wire_name))


# -- our side ----------------------------------------------------------------------------


def test_a_class_is_named_after_its_event():
    assert {name: cls.__name__ for name, cls in EVENTS.items()} == {
        name: camel_case(name) for name in EVENTS
    }


def test_the_tables_hold_every_event_once():
    assert list(ev.CLIENT_EVENTS.values()) == list(get_args(ev.ClientEvent))
    assert list(ev.SERVER_EVENTS.values()) == list(get_args(ev.ServerEvent))
    assert ev.CLIENT_EVENTS.keys() == CLIENT_MODELS.keys() == CLIENT_PARAMS.keys()
    assert ev.SERVER_EVENTS.keys() == SERVER_MODELS.keys()


def test_what_is_not_given_is_not_written():
    assert to_dict(ev.SessionUpdate(session=ev.RealtimeSession())) == {
        "type": "session.update",
        "session": {"type": "realtime"},
    }
    assert to_dict(ev.AudioInput(turn_detection=None)) == {"turn_detection": None}


def test_an_event_shows_what_it_has():
    event = ev.ResponseCancel(event_id="a")
    assert repr(event) == "ResponseCancel(event_id='a')"
    assert event.response_id is UNSET


def test_a_tool_does_not_show_its_secrets():
    tool = ev.McpTool(server_label="docs", authorization="s3cret")
    assert repr(tool) == "McpTool(server_label='docs', authorization='***')"
    tool = ev.McpTool(server_label="docs", headers={"x-key": "s3cret"})
    assert "s3cret" not in repr(
        ev.SessionUpdate(session=ev.RealtimeSession(tools=[tool]))
    )
    assert repr(ev.McpTool(server_label="docs")) == "McpTool(server_label='docs')"


def test_events_are_frozen_and_compare_by_value():
    event = ev.ResponseCancel()
    with pytest.raises(AttributeError):
        event.response_id = "resp_1"
    assert event == ev.ResponseCancel()


def test_an_unknown_event_shows_its_identifier():
    assert ev.UnknownEvent("song", {"event_id": "a"}).event_id == "a"
    assert ev.UnknownEvent("song", {}).event_id is UNSET


def test_keys_stand_in_the_order_of_the_service():
    (event, *_) = SERVER_SAMPLES["input_audio_buffer.speech_started"]
    assert list(json.loads(encode(event))) == [
        "type",
        "event_id",
        "audio_start_ms",
        "item_id",
    ]


# -- fields, against the SDK -------------------------------------------------------------

SPEC = "in the specification or in recordings, not in the SDK's types"
OURS_ONLY = {
    "ConversationItemInputAudioTranscriptionDelta.obfuscation": SPEC,
    "InputAudioBufferDtmfEventReceived.event_id": "a base field; it is never set",
    "ResponseFunctionCallArgumentsDelta.obfuscation": SPEC,
    "ResponseOutputAudioTranscriptDelta.obfuscation": SPEC,
    "ResponseOutputTextDelta.obfuscation": SPEC,
    "MessageItem.phase": SPEC,
    "AudioPart.format": "in the documented answer to conversation.item.retrieve",
    **dict.fromkeys(
        (
            f"{session}.{field}"
            for session in ("RealtimeSession", "TranscriptionSession")
            for field in ("expires_at", "id", "object")
        ),
        "the SDK types the effective session as the request for one",
    ),
    **dict.fromkeys(
        (
            f"Mcp{item}Item.{field}"
            for item in ("ApprovalRequest", "ApprovalResponse", "Call", "ListTools")
            for field in ("object", "status")
        ),
        "every item may have them",
    ),
}
OURS_ONLY_KINDS = {
    "AudioPart": "in the documented answer to conversation.item.retrieve",
    "TextPart": "beta items still have it",
    "ItemReference": "documented for response.create",
}


def structs(info):
    """Our classes in a type, also those in lists."""
    match info:
        case msgspec.inspect.StructType(cls=cls):
            return [] if cls is ev.UnknownObject else [cls]
        case msgspec.inspect.UnionType(types=types):
            return [cls for one in types for cls in structs(one)]
        case msgspec.inspect.ListType(item_type=item):
            return structs(item)
        case _:
            return []


def own_fields(cls):
    return {field.name: field for field in msgspec.inspect.type_info(cls).fields}


def counterparts(ours, theirs):
    """The SDK's records that each of our classes stands for."""
    return {
        cls: [
            record
            for record in theirs
            if cls.__struct_config__.tag is None or ev.type_name(cls) in tags(record)
        ]
        for cls in ours
    }


class Comparison:
    """What only one side has, over everything reachable from an event."""

    def __init__(self):
        self.ours_only, self.ours_only_kinds = set(), set()
        self.theirs_only, self.seen = set(), set()

    def compare(self, ours, theirs):
        pairs = counterparts(ours, theirs)
        for cls, matching in pairs.items():
            if not matching:
                self.ours_only_kinds.add(cls.__name__)
            elif (cls, *matching) not in self.seen:
                self.seen.add((cls, *matching))
                self._fields(cls, matching)
        for record in theirs:
            self._their_fields(record, [c for c in ours if record in pairs[c]])

    def _fields(self, cls, matching):
        for name, field in own_fields(cls).items():
            theirs = [fields(r)[name] for r in matching if name in fields(r)]
            if not theirs:
                self.ours_only.add(f"{cls.__name__}.{name}")
            deeper = [r for field in theirs for r in records(field.annotation)]
            if structs(field.type) and deeper:
                self.compare(structs(field.type), list(dict.fromkeys(deeper)))

    def _their_fields(self, record, ours):
        known = {name for cls in ours for name in own_fields(cls)} | {"type"}
        self.theirs_only |= {
            f"{record.__name__}.{name}" for name in fields(record).keys() - known
        }
        if any(cls.__struct_config__.tag for cls in ours):
            unknown = tags(record) - {ev.type_name(cls) for cls in ours}
            self.theirs_only |= {f"{record.__name__}: {tag}" for tag in unknown}


def test_every_field_and_kind_is_on_both_sides():
    comparison = Comparison()
    for name, cls in EVENTS.items():
        comparison.compare([cls], [MODELS[name]])
    assert comparison.theirs_only == set()
    assert comparison.ours_only == OURS_ONLY.keys()
    assert comparison.ours_only_kinds == OURS_ONLY_KINDS.keys()
    assert len(comparison.seen) > 100


def test_the_comparison_sees_what_is_missing():
    comparison = Comparison()
    comparison.compare([ev.ResponseCancel], [CLIENT_MODELS["response.cancel"]])
    assert not comparison.ours_only | comparison.theirs_only
    comparison.compare(
        [ev.ResponseOutputTextDone], [SERVER_MODELS["response.output_text.done"]]
    )
    comparison.compare([ev.OutputText], [SERVER_MODELS["response.output_text.done"]])
    assert comparison.ours_only_kinds == {"OutputText"}


# -- words, against the SDK --------------------------------------------------------------


def bogus_in(value):
    """The word that is not allowed in an example, if there is one."""
    if isinstance(value, Bogus):
        return value
    if isinstance(value, dict):  # the variables of a stored prompt are the user's own
        value = [inner for name, inner in value.items() if name != "variables"]
    found = map(bogus_in, value) if isinstance(value, list) else ()
    return next(filter(None, found), None)


def refusal_of(example):
    with pytest.raises(ServerError) as refusal:
        parse_client_event(json.dumps(example))
    return refusal.value


BOGUS = [
    (bogus_in(example).supported, example)
    for record in CLIENT_PARAMS.values()
    for example in record_examples(record, bogus=True)
    if bogus_in(example)
]


@pytest.mark.parametrize("words", sorted({" ".join(sorted(w)) for w, _ in BOGUS}))
def test_closed_sets_of_words_are_those_of_the_sdk(words):
    wanted = set(words.split())
    refusals = [refusal_of(example) for given, example in BOGUS if given == wanted]
    texts = [error.message for error in refusals if error.code == "invalid_value"]
    assert texts
    for text in texts:
        supported = text.partition("Supported values are:")[2]
        assert set(re.findall(r"'([^']*)'", supported)) == wanted


# -- what we build, read by the SDK ------------------------------------------------------


@pytest.mark.parametrize("wire_name", EVENTS)
def test_what_we_build_validates_strictly_in_the_sdk(wire_name):
    sdk = TypeAdapter(MODELS[wire_name])
    for event in SAMPLES[wire_name]:
        sdk.validate_json(encode(event), strict=True)


def test_the_sdk_is_strict():
    event = ev.RateLimitsUpdated(event_id="a", rate_limits=[ev.RateLimit(name="songs")])
    with pytest.raises(SdkRefusal):
        TypeAdapter(MODELS["rate_limits.updated"]).validate_json(encode(event))


@pytest.mark.parametrize("wire_name", CLIENT_SAMPLES)
def test_client_events_survive_the_wire(wire_name):
    for event in CLIENT_SAMPLES[wire_name]:
        message = encode(event)
        assert decode_client(message) == decode_client(message.encode()) == event
        assert parse_client_event(message)[0] == event


@pytest.mark.parametrize("wire_name", SERVER_SAMPLES)
def test_server_events_survive_the_wire(wire_name):
    for event in SERVER_SAMPLES[wire_name]:
        message = encode(event)
        assert decode_server(message) == decode_server(message.encode()) == event


# -- what the SDK builds, read here ------------------------------------------------------


@pytest.mark.parametrize("wire_name", CLIENT_PARAMS)
def test_what_the_sdk_sends_decodes_here(wire_name):
    for example in record_examples(CLIENT_PARAMS[wire_name]):
        event = client_event(example)
        assert isinstance(event, ev.CLIENT_EVENTS[wire_name])
        assert to_dict(event) == json.loads(encode(event)) == example


@pytest.mark.parametrize("wire_name", SERVER_MODELS)
def test_what_the_sdk_receives_decodes_here(wire_name):
    for example in record_examples(SERVER_MODELS[wire_name]):
        event = server_event(example)
        assert isinstance(event, ev.SERVER_EVENTS[wire_name])
        assert holds(to_dict(event), example)  # token counts left out are zeros
        assert json.loads(encode(event)) == to_dict(event)


MORE_THAN_THE_SDK_ASKS = {
    ("missing_required_parameter", "content[].type"): "the SDK tells kinds apart by it",
    ("missing_required_parameter", "content[].text"): "a text without text",
    ("missing_required_parameter", "format.type"): "the SDK tells kinds apart by it",
    ("missing_required_parameter", "tools[].type"): "the SDK tells kinds apart by it",
    ("missing_required_parameter", "tools[].name"): "a function without a name",
    **{
        ("unknown_parameter", f"content[].{name}"): "the SDK has one type for them all"
        for name in ("audio", "detail", "image_url", "text", "transcript")
    },
    ("invalid_value", "content[].image_url"): "the SDK allows any address",
    ("invalid_value", "output.voice"): "the SDK allows any name",
    ("invalid_value", "response.conversation"): "the SDK allows any name",
    ("invalid_value", "response.output_modalities"): "the SDK allows none or two",
    ("invalid_value", "session.output_modalities"): "the SDK allows none or two",
}


def test_the_strict_reading_accepts_what_the_sdk_sends():
    refused = set()
    for record in CLIENT_PARAMS.values():
        for example in record_examples(record):
            try:
                parse_client_event(json.dumps(example))
            except ServerError as error:
                path = re.sub(r"\d+", "", error.param).split(".")
                refused.add((error.code, ".".join(path[-2:])))
    assert refused == MORE_THAN_THE_SDK_ASKS.keys()


def test_examples_vary_every_field_of_the_sdk():
    record = CLIENT_PARAMS["conversation.item.truncate"]
    least, most, *_ = record_examples(record)
    assert least.keys() == {"type", "item_id", "content_index", "audio_end_ms"}
    assert most.keys() == least.keys() | {"event_id"}
    choices = {
        example["session"]["tool_choice"]
        for example in record_examples(CLIENT_PARAMS["session.update"])
        if isinstance(example["session"].get("tool_choice"), str)
    }
    assert choices == {"none", "auto", "required"}
