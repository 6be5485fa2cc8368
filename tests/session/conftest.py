"""Sessions with a server in memory."""

from __future__ import annotations

import pytest

from rtnb.session import Session
from rtnb.session.session import Endpoint
from tests.session.server import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def open_session():
    """Open a session with a server in memory; closed after the test."""
    opened = []

    def open_(server, *, clock=None, provider="url"):
        endpoint = Endpoint(
            provider,
            "ws://127.0.0.1:1/v1/realtime?model=m",
            {"Authorization": "Bearer sk-secret"},
        )
        session = Session(endpoint, open_transport=server.open, clock=clock, timeout=10)
        server.session = session
        opened.append(session)
        return session

    yield open_
    for session in opened:
        session.close()
