"""A server whose every step a test can see: it answers in memory, without waiting."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import threading

from rtnb.clock import Clock
from rtnb.portal import portal
from rtnb.transport import Deliver, MemoryTransport

SESSION = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_1",
    "model": "gpt-realtime-2.1",
    "output_modalities": ["audio"],
    "instructions": "Be brief.",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 200,
                "idle_timeout_ms": None,
                "create_response": True,
                "interrupt_response": True,
            },
        },
        "output": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "voice": "alloy",
            "speed": 1.0,
        },
    },
}
USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"text_tokens": 20},
    "output_token_details": {"text_tokens": 10},
}
AUDIO_MS = 400


def merge(current, patch):
    both = dict(current)
    for name, value in patch.items():
        inner = both.get(name)
        same = isinstance(inner, dict) and isinstance(value, dict)
        both[name] = merge(inner, value) if same else value
    return both


class Server:
    """Answers as the service does, one event after the other.

    `replies` are what it says next: a text is spoken, a tuple (name, arguments) calls a
    function, a list does several things in one response, None leaves the response open.
    """

    def __init__(self, *replies, **session):
        self.settings = merge(SESSION, session)
        self.replies = list(replies)
        self.refusals = {}
        self.received = []
        self.echoes_metadata = True
        self.transport = None
        self.session = None
        self._ids = itertools.count(1)
        self._last_item = None
        self._open_response = None

    # -- the connection

    async def open(self, endpoint):
        self.transport = MemoryTransport(
            [self.event("session.created", session=self.settings)], answer=self.answer
        )
        return self.transport

    def event(self, type_, **fields):
        event_id = f"event_{next(self._ids)}"
        return Deliver(json.dumps({"type": type_, "event_id": event_id, **fields}))

    def answer(self, message):
        event = json.loads(message)
        self.received.append(event)
        type_ = event["type"]
        if type_ in self.refusals:
            error = {"type": "invalid_request_error", "message": "no", "param": None}
            error |= {"code": None, "event_id": event["event_id"]} | self.refusals.pop(
                type_
            )
            return [self.event("error", error=error)]
        handler = getattr(self, "on_" + type_.replace(".", "_"), None)
        return list(handler(event)) if handler else []

    def tell(self, *steps):
        """Let the server say something, and wait until the session has taken it in."""
        portal().run(self._add(steps))
        self.settle()

    async def _add(self, steps):
        self.transport.add(*steps)

    def settle(self):
        """Wait until nothing is on its way in either direction."""
        portal().run(self._settled())

    async def _settled(self):
        link, quiet = self.session._link, 0
        while quiet < 10:
            await asyncio.sleep(0)
            busy = link._outbox or self.transport._steps
            quiet = 0 if busy else quiet + 1

    def types(self, *but):
        """Types of what was received, runs of appends folded into one."""
        types = [event["type"] for event in self.received]
        return [type_ for type_, _ in itertools.groupby(types) if type_ not in but]

    def last(self, type_):
        return [event for event in self.received if event["type"] == type_][-1]

    # -- what it does with each event

    def on_session_update(self, event):
        self.settings = merge(self.settings, event["session"])
        yield self.event("session.updated", session=self.settings)

    def on_conversation_item_create(self, event):
        item = {"id": f"item_{next(self._ids)}", "status": "completed", **event["item"]}
        yield from self.item(item)

    def on_conversation_item_retrieve(self, event):
        audio = base64.b64encode(b"\1\0" * 24 * 50).decode()
        content = [{"type": "input_audio", "audio": audio, "transcript": None}]
        yield self.event(
            "conversation.item.retrieved", item=user_item(event["item_id"], content)
        )

    def on_input_audio_buffer_commit(self, event):
        yield from self.commit(f"item_{next(self._ids)}")

    def on_response_create(self, event):
        metadata = event.get("response", {}).get("metadata")
        yield from self.respond(metadata if self.echoes_metadata else None)

    def on_response_cancel(self, event):
        if self._open_response is not None:
            yield from self.finish("cancelled", reason="client_cancelled")

    # -- pieces of conversations

    def item(self, item):
        previous, self._last_item = self._last_item, item["id"]
        fields = {"previous_item_id": previous, "item": item}
        yield self.event("conversation.item.added", **fields)
        yield self.event("conversation.item.done", **fields)

    def commit(self, item_id):
        fields = {"previous_item_id": self._last_item, "item_id": item_id}
        yield self.event("input_audio_buffer.committed", **fields)
        yield from self.item(user_item(item_id))

    def speech(self, item_id, start_ms, end_ms, *, respond=True):
        yield self.started(item_id, start_ms)
        yield self.stopped(item_id, end_ms)
        yield from self.commit(item_id)
        if respond:
            yield from self.respond(None)

    def started(self, item_id, ms):
        fields = {"item_id": item_id, "audio_start_ms": ms}
        return self.event("input_audio_buffer.speech_started", **fields)

    def stopped(self, item_id, ms):
        fields = {"item_id": item_id, "audio_end_ms": ms}
        return self.event("input_audio_buffer.speech_stopped", **fields)

    def transcript(self, item_id, text):
        return self.event(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=text,
            usage={"type": "duration", "seconds": 2},
        )

    def respond(self, metadata, **response):
        response_id = f"resp_{next(self._ids)}"
        response = {
            "id": response_id,
            "status": "in_progress",
            "metadata": metadata,
        } | response
        self._open_response = {**response, "output": []}
        yield self.event("response.created", response=response)
        reply = self.replies.pop(0) if self.replies else "Hello there."
        parts = reply if isinstance(reply, list) else [reply]
        for index, part in enumerate(parts):
            if part is None:
                return
            make = self.speak if isinstance(part, str) else self.call
            yield from make(index, part)
        yield from self.finish("completed")

    def speak(self, index, text, *, closed=True):
        item = {
            "id": f"item_{next(self._ids)}",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        place = {"response_id": self._open_response["id"], "output_index": index}
        yield self.event("response.output_item.added", item=item, **place)
        previous, self._last_item = self._last_item, item["id"]
        fields = {"previous_item_id": previous, "item": item}
        yield self.event("conversation.item.added", **fields)
        inner = {**place, "item_id": item["id"], "content_index": 0}
        part = {"type": "audio", "transcript": ""}
        yield self.event("response.content_part.added", part=part, **inner)
        transcript = "response.output_audio_transcript"
        yield self.event(f"{transcript}.delta", delta=text, **inner)
        audio = base64.b64encode(b"\1\0" * 24 * AUDIO_MS).decode()
        yield self.event("response.output_audio.delta", delta=audio, **inner)
        if not closed:
            return
        content = [{"type": "output_audio", "transcript": text}]
        done = item | {"status": "completed", "content": content}
        part = {"type": "audio", "transcript": text}
        yield self.event("response.content_part.done", part=part, **inner)
        yield self.event("conversation.item.done", **fields | {"item": done})
        yield self.event("response.output_item.done", item=done, **place)
        self._open_response["output"].append(done)

    def call(self, index, name_and_arguments):
        name, arguments = name_and_arguments
        number = next(self._ids)
        item = {
            "id": f"item_{number}",
            "type": "function_call",
            "status": "completed",
            "name": name,
            "call_id": f"call_{number}",
            "arguments": json.dumps(arguments),
        }
        place = {"response_id": self._open_response["id"], "output_index": index}
        yield from self.item(item)
        yield self.event("response.output_item.done", item=item, **place)
        self._open_response["output"].append(item)

    def finish(self, status, *, reason=None, error=None, usage=USAGE):
        response, self._open_response = self._open_response, None
        details = {"type": status, "reason": reason, "error": error}
        response |= {"status": status, "status_details": details, "usage": usage}
        yield self.event("response.done", response=response)


def user_item(item_id, content=None):
    return {
        "id": item_id,
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": content or [{"type": "input_audio", "transcript": None}],
    }


class ManualClock(Clock):
    """A clock that stands still until a test moves it, from any thread."""

    def __init__(self):
        self._now = 0.0
        self._changed = threading.Condition()
        self._sleepers = []

    def now(self):
        return self._now

    async def sleep(self, seconds):
        if seconds <= 0:
            return
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        entry = (self._now + seconds, loop, woken)
        with self._changed:
            self._sleepers.append(entry)
            self._changed.notify_all()
        try:
            await woken.wait()
        finally:
            with self._changed:
                if entry in self._sleepers:
                    self._sleepers.remove(entry)

    def advance(self, seconds, *, sleepers=1):
        """Let time pass once at least so many sleep."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._sleepers) >= sleepers, 5)
            self._now += seconds
            due = [each for each in self._sleepers if each[0] <= self._now + 1e-9]
            for entry in due:
                self._sleepers.remove(entry)
                entry[1].call_soon_threadsafe(entry[2].set)
