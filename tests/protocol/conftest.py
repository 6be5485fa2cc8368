"""Recordings of the real service."""

import json

import pytest


@pytest.fixture(scope="session")
def hosted_frames(shared_data):
    """Frames of a recorded session by name: a list of {direction, data}."""

    def frames(name):
        text = (shared_data / "hosted" / f"{name}.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    return frames
