"""Recordings that are made without a network."""

from __future__ import annotations

from tests.session.conftest import clock, open_session

__all__ = ["clock", "open_session"]
