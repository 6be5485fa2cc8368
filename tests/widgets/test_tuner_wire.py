from __future__ import annotations

import pytest

from rtnb.errors import ConfigError
from rtnb.vad import SemanticVad, ServerVad
from rtnb.vad.labels import Label, Labels
from rtnb.widgets.tuner_wire import (
    checked_settings,
    checked_view,
    labels_from_page,
    labels_to_page,
    settings_from_page,
    settings_to_page,
)


def test_a_page_gets_settings_whole():
    assert settings_to_page(ServerVad(threshold=0.6)) == {
        "type": "server_vad",
        "threshold": 0.6,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
    }
    assert settings_to_page(SemanticVad()) == {
        "type": "semantic_vad",
        "eagerness": "auto",
    }
    assert settings_to_page(None) is None


@pytest.mark.parametrize(
    "settings",
    [
        ServerVad(threshold=0.3, prefix_padding_ms=1, silence_duration_ms=2),
        SemanticVad(eagerness="low"),
        None,
    ],
)
def test_settings_survive_the_journey(settings):
    before = ServerVad()
    assert settings_from_page(settings_to_page(settings), before=before) == settings


def test_what_a_page_does_not_show_stays():
    before = ServerVad(create_response=False, idle_timeout_ms=6000)
    chosen = settings_from_page(settings_to_page(ServerVad()), before=before)
    assert (chosen.create_response, chosen.idle_timeout_ms) == (False, 6000)
    chosen = settings_from_page(settings_to_page(SemanticVad()), before=before)
    assert chosen == SemanticVad(eagerness="auto", create_response=False)


@pytest.mark.parametrize(
    "wire",
    [{}, {"type": "other"}, {"type": "server_vad", "threshold": 0.5}],
)
def test_what_is_no_settings_is_refused(wire):
    with pytest.raises(ConfigError, match="no settings of a turn detector"):
        settings_from_page(wire, before=ServerVad())


def test_a_threshold_of_a_page_is_checked():
    wire = settings_to_page(ServerVad()) | {"threshold": 1.5}
    with pytest.raises(ConfigError, match=r"threshold is 1.5"):
        settings_from_page(wire, before=ServerVad())


def test_only_settings_are_settings():
    assert checked_settings(ServerVad()) == ServerVad()
    with pytest.raises(ConfigError, match=r"0.5 is neither a ServerVad nor"):
        checked_settings(0.5)


def test_a_view_is_cut_to_the_sound():
    recorded = {"start": 0.0, "end": 10.0, "live": False}
    assert checked_view((2, 4), **recorded) == (2.0, 4.0)
    assert checked_view([-1, 11], **recorded) == (0.0, 10.0)
    assert checked_view(None, **recorded) == (0.0, 10.0)


def test_a_live_view_may_be_ahead_of_the_sound():
    live = {"start": 60.0, "end": 70.0, "live": True}
    assert checked_view(None, **live) is None
    assert checked_view((65, 85), **live) == (65.0, 85.0)


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        ((4, 2), "shows nothing"),
        ((11, 12), "from 0 s to 10 s"),
        ((float("nan"), 2), "shows nothing"),
        (3, "give two times"),
        ("ab", "give two times"),
    ],
)
def test_what_is_no_view_is_refused(view, sentence):
    with pytest.raises(ConfigError, match=sentence):
        checked_view(view, start=0.0, end=10.0, live=False)


def test_labels_survive_the_journey():
    labels = Labels([Label(0.5, 1.25, "yes", "a"), Label(1.0, 2.0, "", "b")])
    assert labels_from_page(labels_to_page(labels)) == labels


def test_overlapping_labels_of_a_page_are_refused():
    with pytest.raises(ConfigError, match="overlap"):
        labels_from_page([[0, 2, "", ""], [1, 3, "", ""]])
