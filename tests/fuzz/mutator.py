"""Client events in which something is wrong, and what a server may make of them.

An event of the samples is changed in up to three places, or its text is; ids are often
those of the running session. Each must end in a documented error or a documented effect,
and the session must go on.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from copy import deepcopy

from rtnb.protocol import server as effects
from rtnb.protocol.codec import to_dict
from tests.protocol.books import Books
from tests.protocol.mutations import places
from tests.protocol.samples import CLIENT_SAMPLES
from tests.protocol.stage import CLAUSE, Machines

DOCUMENTS = {
    name: [to_dict(event) for event in events]
    for name, events in CLIENT_SAMPLES.items()
}
DOCUMENTS["input_audio_buffer.append"] += [
    {"type": "input_audio_buffer.append", "audio": "AAAA" * 3200}
] * 3

VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    24_000,
    2**53,
    2**70,
    -0.5,
    0.5,
    1e308,
    "",
    "a",
    "auto",
    "none",
    "root",
    "inf",
    "AAAA",
    "é\u2028\U0001f600",
    "\ud800",
    "x" * 600,
    [],
    {},
    [None],
    {"type": "message"},
    {"type": "server_vad"},
    [[[[]]]],
]

POINTERS = {"item_id", "previous_item_id", "response_id", "call_id"}

ERROR_TYPES = {"invalid_request_error", "server_error"}

CODES = {
    None,
    "cannot_update_voice",
    "context_length_exceeded",
    "conversation_already_has_active_response",
    "empty_string",
    "input_audio_buffer_commit_empty",
    "invalid_event",
    "invalid_json",
    "invalid_parameter",
    "invalid_tool_call_id",
    "invalid_type",
    "invalid_value",
    "item_create_duplicate_item_id",
    "item_create_invalid_approval_request_id",
    "item_create_invalid_previous_item_id",
    "item_delete_invalid_item_id",
    "item_retrieve_invalid_item_id",
    "item_truncate_invalid_item_id",
    "missing_required_parameter",
    "object_above_max_properties",
    "response_cancel_not_active",
    "string_above_max_length",
    "unknown_parameter",
    "unsupported_content_type",
}
"""Every code that an ``error`` may have in answer to an event."""

CODELESS = (
    "Unsupported option for this model.",
    "is already shorter than",
)
"""What the messages of errors without a code say."""

EFFECTS = {
    "session.update": {"session.updated"},
    "input_audio_buffer.append": {
        None,
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
    },
    "input_audio_buffer.commit": {"input_audio_buffer.committed"},
    "input_audio_buffer.clear": {"input_audio_buffer.cleared"},
    "conversation.item.create": {"conversation.item.added"},
    "conversation.item.retrieve": {"conversation.item.retrieved"},
    "conversation.item.truncate": {"conversation.item.truncated"},
    "conversation.item.delete": {"conversation.item.deleted"},
    "response.create": {"response.created"},
    "response.cancel": {
        "response.output_audio.done",
        "response.output_text.done",
        "response.done",
    },
    "output_audio_buffer.clear": set(),
}
"""First event in answer to each; None: there need be none."""

HEARING = {
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
}
"""Events on which speech may begin and end, in new audio or in what the noise reduction
withheld; a turn that ends may find that an answer is being made."""

LONGEST_SESSION = 500
"""Events in one session."""


class Fuzzer:
    """Sends mutated events, one a step, to sessions one after the other."""

    def __init__(self, seed):
        self._random = random.Random(seed)  # noqa: S311 - events, not secrets
        self.sessions = 0
        self.outcomes = Counter()
        self._begin()

    def _begin(self):
        model = self._random.choice(["gpt-realtime", "gpt-realtime-2.1"])
        self.stage = Machines(model, engine=False)
        self.books = Books()
        self._wanted = []
        self._sent = 0
        self.sessions += 1
        self._read()

    def step(self):
        """Send one event, check what comes of it, and let the engine do something."""
        if self._sent >= LONGEST_SESSION:
            self._end()
            self._begin()
        self._sent += 1
        text = self._message()
        before = len(self.stage.said)
        try:
            self.stage.server.receive(text, self.stage.now)
            self.stage.pump()
            self._read()
            self._check(text, self.stage.said[before:])
        except Exception as error:
            error.add_note(f"after {text[:2000]!r}")
            raise
        self._engine()

    # -- messages --------------------------------------------------------------------

    def _message(self):
        document = deepcopy(self._random.choice(DOCUMENTS[self._kind()]))
        self._point(document)
        for _ in range(self._random.choice([0, 0, 1, 1, 2, 3])):
            self._mutate(document)
        text = json.dumps(document, ensure_ascii=self._random.random() < 0.9)
        if self._random.random() < 0.03:
            text = self._garbled(text)
        if self._random.random() < 0.05:
            return text.encode("utf-8", "surrogatepass")
        return text

    def _point(self, document):
        """Let it speak of what there is."""
        books = self.books
        known = {"response_id": list(books.open), "call_id": books.calls}
        for container, key in list(places(document)):
            ids = known.get(key, books.order)
            if key in POINTERS and ids and self._random.random() < 0.8:
                container[key] = self._random.choice(ids)
            elif key == "id" and "content" in container and self._random.random() < 0.7:
                del container[key]

    def _kind(self):
        return self._random.choice(list(DOCUMENTS))

    def _mutate(self, document):
        found = list(places(document))
        if not found:
            return
        container, key = self._random.choice(found)
        match self._random.randrange(6):
            case 0:
                del container[key]
            case 1 | 2:
                container[key] = deepcopy(self._random.choice(VALUES))
            case 3 | 4:
                container[key] = self._random.choice([*self._ids(), "item_x"])
            case 5:
                other = self._random.choice(DOCUMENTS[self._kind()])
                container[key] = deepcopy(self._random.choice(list(places(other)))[0])
                if isinstance(container, dict) and self._random.random() < 0.3:
                    container["extra"] = 1

    def _ids(self):
        return [*self.books.ever[-3:], *self.books.calls[-1:], *self.books.open]

    def _garbled(self, text):
        at = self._random.randrange(len(text))
        junk = self._random.choice(["", "\0", '"', "}", "[" * 300, "1e999", "\\u"])
        return text[:at] + junk + text[at + self._random.randrange(3) :]

    # -- what comes of it ------------------------------------------------------------

    def _read(self):
        for event in self.stage.said[self.books.read :]:
            self.books.enter(event)
        for effect in self.stage.effects:
            if isinstance(effect, effects.Respond):
                self._wanted.append(effect.response_id)
        self.stage.effects.clear()

    def _check(self, text, said):
        types = [event["type"] for event in said] or [None]
        if "error" in types:
            turn = len(said) > 1
            error = next(event["error"] for event in said if event["type"] == "error")
            self._check_error(text, error, turn=turn)
            assert not turn or json.loads(text)["type"] in HEARING, types
            return
        kind = json.loads(text)["type"]
        heard = types[:1] if kind not in HEARING else types
        answer = next((one for one in heard if one in EFFECTS[kind]), "nothing")
        assert answer in EFFECTS[kind], (kind, types)
        self.outcomes[f"{kind} → {answer}"] += 1
        if kind == "session.update":
            updated = next(one for one in said if one["type"] == "session.updated")
            assert updated["session"] == self.stage.client.effective

    def _check_error(self, text, error, *, turn):
        assert error["type"] in ERROR_TYPES
        assert error["code"] in CODES
        assert error["message"]
        if error["code"] is None:
            assert any(words in error["message"] for words in CODELESS)
        try:
            event_id = json.loads(text).get("event_id")
        except (ValueError, AttributeError, RecursionError):
            event_id = None
        if error["code"] != "invalid_json":
            known = event_id if isinstance(event_id, str) else None
            assert error["event_id"] == known or (turn and error["event_id"] is None)
        self.outcomes[f"error {error['code']}"] += 1

    def _engine(self):
        """Answer a little, in any order."""
        server, now = self.stage.server, self.stage.now
        if not self._wanted or self._random.random() < 0.5:
            return
        response_id = self._random.choice(self._wanted)
        match self._random.randrange(5):
            case 0:
                server.write(response_id, "one two ", now)
            case 1:
                server.play(response_id, CLAUSE, now)
            case 2:
                server.call(response_id, "f", {"a": 1}, now)
            case 3:
                server.finish(response_id, now)
            case 4:
                server.fail(response_id, "No.", now)
        self._wanted = [one for one in self._wanted if server.is_active(one)]
        self.stage.pump()
        self._read()

    def _end(self):
        """The session went on until here: it still answers, and no response is dead."""
        for response_id in self._wanted:
            self.stage.server.finish(response_id, self.stage.now)
        self.stage.pump()
        self._read()
        assert not self.books.open
        assert not self.books.unfinished
        order = [entry.item.id for entry in self.stage.server._items.entries]
        assert order == self.books.order
        self.stage.server.receive(
            '{"type": "input_audio_buffer.clear"}', self.stage.now
        )
        self.stage.pump()
        self._read()
        assert self.stage.said[-1]["type"] == "input_audio_buffer.cleared"
