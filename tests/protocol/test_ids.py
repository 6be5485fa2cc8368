"""Identifiers as the service makes them."""

import random
import re

import pytest

from rtnb.protocol.ids import ALPHABET, EPOCH, new_call_id, new_id

SECOND = 1_785_214_048.0
"""When the recorded session of text-in-audio-out began: its expiry less an hour."""


def dice(seed=1):
    return random.Random(seed)  # noqa: S311 - identifiers, not secrets


def encoded_second(identifier):
    digits = identifier.partition("_")[2][:5]
    value = 0
    for digit in digits:
        value = value * len(ALPHABET) + ALPHABET.index(digit)
    return EPOCH + value


@pytest.mark.parametrize("prefix", ["event", "item", "resp", "conv", "sess"])
def test_an_identifier_is_a_prefix_and_21_characters(prefix):
    identifier = new_id(prefix, now=SECOND, random=dice())
    assert re.fullmatch(prefix + r"_[0-9A-Za-z]{21}", identifier)


def test_a_call_identifier_is_16_characters():
    assert re.fullmatch(r"call_[0-9A-Za-z]{16}", new_call_id(dice()))


@pytest.mark.parametrize("now", [EPOCH, EPOCH + 61.9, SECOND, SECOND + 86_400])
def test_the_second_of_its_making_can_be_read(now):
    assert encoded_second(new_id("item", now=now, random=dice())) == int(now)


def test_the_second_is_where_the_service_puts_it():
    assert encoded_second("event_E6U0upa15CBe8gAnApXCO") == SECOND
    assert new_id("event", now=SECOND, random=dice()).startswith("event_E6U0u")


def test_identifiers_of_recorded_sessions_fit_their_expiry(hosted_frames):
    for name in ("text-in-audio-out", "tool-call-round", "three-server-vad-turns"):
        created = hosted_frames(name)[0]["data"]
        begun = created["session"]["expires_at"] - 3600
        assert abs(encoded_second(created["event_id"]) - begun) <= 1


def test_a_clock_before_the_epoch_gives_the_first_second():
    assert new_id("item", now=0, random=dice()).startswith("item_00000")


def test_the_same_dice_give_the_same_identifier():
    first, again, other = (
        new_id("item", now=SECOND, random=dice(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_identifiers_sort_by_time():
    seconds = [SECOND + 100 * n for n in range(100)]
    identifiers = [new_id("item", now=s, random=dice()) for s in seconds]
    assert identifiers == sorted(identifiers)
