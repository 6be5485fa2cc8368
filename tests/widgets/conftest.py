from __future__ import annotations

import queue
from typing import NamedTuple

import comm.base_comm
import pytest

WAIT_S = 5.0


class Endpoint(NamedTuple):
    port: int
    path: str
    ticket: str


class PageComm(comm.base_comm.BaseComm):
    """The page's end of a widget's comm: messages in the shape they have on the wire."""

    def __init__(self, page="page"):
        self.page = page
        self.inbox = queue.Queue()
        super().__init__(target_name="jupyter.widget", comm_id=f"comm of {page}")

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        if msg_type == "comm_msg" and data["method"] == "custom":
            self.inbox.put((data["content"], [bytes(each) for each in buffers or []]))

    def says(self, type, *buffers, **facts):  # noqa: A002 - the wire's name
        content = {"type": type, "page": self.page, **facts}
        data = {"method": "custom", "content": content}
        views = [memoryview(each) for each in buffers]
        self.handle_msg({"content": {"data": data}, "buffers": views})

    def changes(self, **traits):
        data = {"method": "update", "state": traits, "buffer_paths": []}
        self.handle_msg({"content": {"data": data}, "buffers": []})

    def hears(self):
        """The next message and its buffers."""
        return self.inbox.get(timeout=WAIT_S)

    def hears_of(self, type):  # noqa: A002 - the wire's name
        """The next message of that type."""
        while True:
            content, buffers = self.hears()
            if content["type"] == type:
                return content, buffers


@pytest.fixture
def page():
    return PageComm()
