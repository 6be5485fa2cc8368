from __future__ import annotations

import json

import pytest
import traitlets

from rtnb.widgets import LiveTimeline
from tests.widgets.conftest import PageComm


@pytest.fixture
def timeline(page):
    made = LiveTimeline(port_id="port", comm=page)
    yield made
    made.close()


def test_it_shows_twelve_seconds_of_a_port_and_the_default_threshold(timeline):
    assert (timeline.port_id, timeline.seconds, timeline.threshold) == ("port", 12, 0.5)


def test_it_has_an_id_of_its_own(timeline):
    other = LiveTimeline(comm=PageComm("other"))
    assert timeline.timeline_id
    assert timeline.timeline_id != other.timeline_id
    other.close()


@pytest.mark.parametrize(
    ("trait", "value"),
    [("threshold", 1.5), ("threshold", -0.1), ("seconds", 1), ("seconds", 61)],
)
def test_what_cannot_be_is_refused(timeline, trait, value):
    with pytest.raises(traitlets.TraitError):
        setattr(timeline, trait, value)


def test_the_page_can_zoom(timeline, page):
    page.changes(seconds=8)
    assert timeline.seconds == 8


def test_what_is_synced_is_small(timeline):
    state = timeline.get_state()
    del state["_esm"], state["_css"]
    assert len(json.dumps(state)) < 1500
