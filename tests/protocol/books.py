"""What the events of a server say, kept and checked: its books."""

from __future__ import annotations

import base64

KINDS = ("text_tokens", "audio_tokens", "image_tokens")


def check_usage(usage):
    """The documented identities."""
    details, out = usage["input_token_details"], usage["output_token_details"]
    cached = details["cached_tokens_details"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens"] == sum(details[kind] for kind in KINDS)
    assert usage["output_tokens"] == out["text_tokens"] + out["audio_tokens"]
    assert details["cached_tokens"] == sum(cached[kind] for kind in KINDS)
    assert details["cached_tokens"] % 64 == 0
    assert all(0 <= cached[kind] <= details[kind] for kind in KINDS)


class Books:
    """Items, responses and sound as the events tell of them; a wrong event is refused.

    Attributes
    ----------
    order : list of str
        Items of the conversation.
    items : dict
        As last told.
    ever : list of str
        Items that are or once were in the conversation.
    calls : list of str
        Ids of calls.
    open : dict
        Responses that are not done.
    unfinished : set of str
        Items that responses began and did not end.
    audio_sent : dict
        Samples sent of each item, at 24 kHz, rounded up to whole bytes.
    """

    def __init__(self):
        self.read = 0
        self.order = []
        self.items = {}
        self.ever = []
        self.calls = []
        self.open = {}
        self.unfinished = set()
        self.audio_sent = {}
        self._event_ids = set()
        self._text = {}
        self._formats = {}

    @property
    def active(self):
        """The response of the conversation that is being made."""
        active = [name for name, one in self.open.items() if one["conversation_id"]]
        assert len(active) <= 1
        return active[0] if active else None

    def enter(self, event):
        """Take an event."""
        self.read += 1
        assert event["event_id"] not in self._event_ids
        self._event_ids.add(event["event_id"])
        name = "_" + event["type"].replace(".", "_")
        getattr(self, name, lambda _: None)(event)

    # -- items -----------------------------------------------------------------------

    def _conversation_item_added(self, event):
        item, previous = event["item"], event["previous_item_id"]
        assert item["id"] not in self.order
        at = 0 if previous is None else self.order.index(previous) + 1
        self.order.insert(at, item["id"])
        self.items[item["id"]] = item
        self.ever.append(item["id"])
        if item["type"] == "function_call":
            self.calls.append(item["call_id"])

    def _conversation_item_done(self, event):
        assert event["item"]["id"] in self.order
        self.items[event["item"]["id"]] = event["item"]

    def _conversation_item_deleted(self, event):
        self.order.remove(event["item_id"])

    def _conversation_item_truncated(self, event):
        item = self.items[event["item_id"]]
        assert item["role"] == "assistant"
        assert event["audio_end_ms"] * 24 <= self.audio_sent[event["item_id"]] + 24

    # -- responses -------------------------------------------------------------------

    def _response_created(self, event):
        response = event["response"]
        assert response["status"] == "in_progress"
        assert response["usage"] is None
        self.open[response["id"]] = response
        assert self.active is None or self.active in self.open

    def _response_output_item_added(self, event):
        response = self.open[event["response_id"]]
        assert event["output_index"] == len(response["output"])
        response["output"].append(event["item"])
        self.unfinished.add(event["item"]["id"])
        self._text[event["item"]["id"]] = ""
        self._formats[event["item"]["id"]] = response["audio"]["output"]["format"]

    def _response_output_item_done(self, event):
        self.unfinished.remove(event["item"]["id"])
        self.open[event["response_id"]]["output"][event["output_index"]] = event["item"]

    def _delta(self, event):
        assert event["item_id"] in self.unfinished
        self._text[event["item_id"]] += event["delta"]
        assert (len(event["delta"]) + len(event["obfuscation"])) % 16 == 0

    _response_output_text_delta = _delta
    _response_output_audio_transcript_delta = _delta
    _response_function_call_arguments_delta = _delta

    def _response_output_text_done(self, event):
        assert event["text"] == self._text[event["item_id"]]

    def _response_output_audio_transcript_done(self, event):
        assert event["transcript"] == self._text[event["item_id"]]

    def _response_function_call_arguments_done(self, event):
        assert event["arguments"] == self._text[event["item_id"]]

    def _response_output_audio_delta(self, event):
        assert event["item_id"] in self.unfinished
        size = len(base64.b64decode(event["delta"]))
        linear = self._formats[event["item_id"]]["type"] == "audio/pcm"
        samples = size // 2 if linear else size * 3
        # G.711 holds a little back until the item ends.
        slack = 0 if linear else 24_000
        known = self.audio_sent.get(event["item_id"], slack)
        self.audio_sent[event["item_id"]] = known + samples

    def _response_done(self, event):
        response = event["response"]
        opened = self.open.pop(response["id"])
        assert response["status"] in ("completed", "cancelled", "incomplete", "failed")
        assert response["output"] == opened["output"]
        assert response["metadata"] == opened["metadata"]
        usage = response["usage"]
        check_usage(usage)
        if response["status"] == "failed":
            assert usage["total_tokens"] == 0
        elif response["max_output_tokens"] != "inf":
            assert usage["output_tokens"] <= response["max_output_tokens"]
        details = response["status_details"]
        assert (details is None) is (response["status"] == "completed")

    def _rate_limits_updated(self, event):
        [tokens] = event["rate_limits"]
        assert 0 <= tokens["remaining"] <= tokens["limit"]
