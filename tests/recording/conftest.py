"""Recordings that are made without a network."""

from __future__ import annotations

import numpy as np
import pytest

from rtnb.audio import Clip
from tests.protocol.conftest import hosted_frames
from tests.recording.making import of_frames
from tests.session.conftest import clock, open_session

__all__ = ["clock", "hosted", "hosted_frames", "hosted_sound", "open_session", "path"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "take-1"


@pytest.fixture
def hosted_sound(shared_data):
    """What the hosted session was sent: a clip and 2 s of zeros, three times."""
    data = (shared_data / "hosted" / "clip-24khz.pcm").read_bytes()
    once = Clip.from_pcm16(data, 24_000) + Clip.silence(2.0)
    return np.tile(once.samples, 3)


@pytest.fixture
def hosted(hosted_frames, hosted_sound, path):
    """A recording of a session with the real service."""
    return of_frames(path, hosted_frames("three-server-vad-turns"), hosted_sound)
