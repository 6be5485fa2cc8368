"""What of the protocol is tested where: ``python -m tests.protocol.coverage``.

Every event, error code, status, close code and field of the dossier, with the tests and
scenarios that name it. It fails where something is named by none, so that a new type
brings its test. Samples and the tests that go through all types alike do not count.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

from msgspec import inspect

from rtnb.protocol import events as ev
from rtnb.protocol.codec import CLIENT_EVENTS, SERVER_EVENTS
from tests.protocol.scenario import FILES

TESTS = Path(__file__).resolve().parents[1]
FOLDERS = ("protocol", "gateway", "session")
ALIKE = {
    "test_codec.py",
    "test_coverage.py",
    "test_events.py",
    "test_lossless.py",
    "test_tap.py",
}
"""Tests that go through all types alike."""

ERROR_CODES = (
    "audio_unintelligible",
    "beta_api_shape_disabled",
    "cannot_update_voice",
    "context_length_exceeded",
    "conversation_already_has_active_response",
    "input_audio_buffer_commit_empty",
    "insufficient_quota",
    "invalid_api_key",
    "invalid_event",
    "invalid_json",
    "invalid_parameter",
    "invalid_tool_call_id",
    "invalid_type",
    "invalid_value",
    "item_create_duplicate_item_id",
    "item_create_invalid_previous_item_id",
    "item_delete_invalid_item_id",
    "item_retrieve_invalid_item_id",
    "item_truncate_invalid_item_id",
    "missing_required_parameter",
    "model_not_found",
    "rate_limit_exceeded",
    "response_cancel_not_active",
    "session_expired",
    "string_above_max_length",
    "unknown_parameter",
    "unsupported_content_type",
)
"""Codes of ``error`` events, of failed responses and of failed transcriptions."""

MESSAGES = (
    "Only model output audio messages can be truncated",
    "Unsupported option for this model.",
)
"""Errors that are known by their words."""

OUTCOMES = (
    "completed",
    "cancelled",
    "incomplete",
    "failed",
    "client_cancelled",
    "turn_detected",
    "max_output_tokens",
)
"""Statuses of a response, and why."""

ITEMS = (
    "message",
    "function_call",
    "function_call_output",
    "mcp_list_tools",
    "mcp_call",
    "mcp_approval_request",
    "mcp_approval_response",
    "item_reference",
    "input_text",
    "input_audio",
    "input_image",
    "output_text",
    "output_audio",
)
"""Types of items and of their contents."""

CLOSE_CODES = ("1001", "4000")

ELSEWHERE = {
    "conversation.created": "specified, and absent from every recording",
    "input_audio_buffer.dtmf_event_received": "of a telephone call",
    "output_audio_buffer.started": "of WebRTC",
    "output_audio_buffer.stopped": "of WebRTC",
    "output_audio_buffer.cleared": "of WebRTC",
}
"""What no gateway says on a WebSocket, and why; it is read and kept like any other
event. A name must go when a test of its own comes."""


def fields(cls, prefix="", seen=()):
    """Dotted names of all fields of a wire type and of the types in it."""
    found = []
    for field in inspect.type_info(cls).fields:
        name = f"{prefix}{field.encode_name}"
        found.append(name)
        for inner in _structs(field.type):
            if inner not in seen:
                found += fields(inner, f"{name}.", (*seen, inner))
    return list(dict.fromkeys(found))


def _structs(info):
    match info:
        case inspect.StructType(cls=cls):
            return [cls] if cls is not ev.UnknownObject else []
        case inspect.UnionType(types=types):
            return [one for each in types for one in _structs(each)]
        case inspect.ListType(item_type=inner):
            return _structs(inner)
        case _:
            return []


def subjects():
    """Everything that is to be tested: by heading, a name and the word that names it."""
    session = [
        name
        for name in fields(ev.RealtimeSession)
        if not name.startswith("tools.") or name.count(".") == 1
    ]
    response = [one.encode_name for one in inspect.type_info(ev.ResponseConfig).fields]
    return {
        "Client events": {name: name for name in CLIENT_EVENTS},
        "Server events": {name: name for name in SERVER_EVENTS},
        "Error codes": {name: name for name in ERROR_CODES},
        "Errors by their words": {name: name for name in MESSAGES},
        "Outcomes of a response": {name: name for name in OUTCOMES},
        "Items and contents": {name: name for name in ITEMS},
        "Close codes": {name: name for name in CLOSE_CODES},
        "Fields of a session": {
            f"session.{name}": name.rpartition(".")[2] for name in session
        },
        "Fields of response.create": {f"response.{name}": name for name in response},
    }


def mentions():
    """Words of the tests and scenarios: by word, who says it."""
    said = defaultdict(list)
    for path in FILES:
        text = path.read_text("utf-8")
        for word in set(re.findall(r"[\w.]+|-", text)) | _pieces(text):
            said[word].append(f"scenarios/{path.stem}")
        for message in MESSAGES:
            if message in text:
                said[message].append(f"scenarios/{path.stem}")
    for folder in FOLDERS:
        for path in sorted((TESTS / folder).rglob("test_*.py")):
            if path.name not in ALIKE:
                _read(path, said)
    return said


def _pieces(text):
    return {piece for path in re.findall(r"[\w.]+", text) for piece in path.split(".")}


def _read(path, said):
    for node in ast.parse(path.read_text("utf-8")).body:
        for word in set(_words(node)):
            said[word].append(f"{path.parent.name}/{path.stem}")


def _words(node):
    for inner in ast.walk(node):
        match inner:
            case ast.Constant(value=str() | int() as value):
                yield str(value)
                if isinstance(value, str) and re.fullmatch(r"[\w.]+", value):
                    yield from value.split(".")
            case ast.keyword(arg=str() as name):
                yield name


def table():
    """By heading and name: the files that test it, each once."""
    said = mentions()
    return {
        heading: {
            name: list(dict.fromkeys(said.get(word, ())))
            for name, word in names.items()
        }
        for heading, names in subjects().items()
    }


def missing(found):
    """What no test names, but for what is excused; an excuse that is not needed is one."""
    rows = {name: files for names in found.values() for name, files in names.items()}
    return [name for name in rows if bool(rows[name]) is (name in ELSEWHERE)]


def main():
    found = table()
    for heading, names in found.items():
        print(f"\n## {heading}\n\n| what | where |\n|---|---|")
        for name, files in names.items():
            excuse = ELSEWHERE.get(name, "")
            where = ", ".join(files[:4]) + (" …" if len(files) > 4 else "")
            print(f"| `{name}` | {where or excuse or '**nowhere**'} |")
    untested = missing(found)
    if untested:
        sys.exit(f"\nnamed by no test, or excused and named: {', '.join(untested)}")


if __name__ == "__main__":
    main()
