"""Tickets for the media socket."""

from __future__ import annotations

import http.server
import json
import threading
from collections import deque

import pytest

from rtnb.errors import ConnectError
from rtnb.local import LocalGateway
from rtnb.session.media import MediaEndpoint, mint_ticket

TOKEN = "token-not-to-be-seen"


@pytest.fixture
def door():
    """An HTTP server that answers what it is told to."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"], json.loads(body)))
            status, answer = server.reply
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.seen = seen
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}
    )
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def gateway(port):
    http_ = f"http://127.0.0.1:{port}/v1"
    return LocalGateway("ws://h", http_, TOKEN, process=None, tail=deque())


def test_a_ticket_is_asked_for_with_the_token(door):
    door.reply = 200, '{"ticket": "T1", "path": "/rtnb/media"}'
    endpoint = mint_ticket(gateway(door.server_port), "sess_1", origin="https://hub")
    assert endpoint == MediaEndpoint(door.server_port, "/rtnb/media", "T1", "sess_1")
    assert "T1" not in repr(endpoint)
    body = {"session_id": "sess_1", "origin": "https://hub"}
    assert door.seen == [("/rtnb/tickets", f"Bearer {TOKEN}", body)]


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        ((404, '{"error": {"message": "No session."}}'), 404, "No session."),
        ((500, "{}"), 500, "refused"),
        ((200, "<html>"), None, "Expecting value"),
    ],
)
def test_a_refusal_is_told(door, reply, status, reason):
    door.reply = reply
    with pytest.raises(ConnectError, match=reason) as error:
        mint_ticket(gateway(door.server_port), "sess_1")
    assert error.value.status == status
    assert TOKEN not in str(error.value)


def test_a_gateway_that_is_gone():
    with pytest.raises(ConnectError):
        mint_ticket(gateway(1), "sess_1")
