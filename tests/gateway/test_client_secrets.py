"""Keys that expire: what they open, how long, and that they are not seen."""

import re

import pytest

from rtnb.errors import ServerError
from rtnb.gateway.client_secrets import ClientSecrets

NOW = 1_785_000_000.75
SESSION = {"type": "realtime", "tools": [{"authorization": "hidden"}]}


def test_a_secret_opens_its_session_until_it_expires():
    store = ClientSecrets()
    value, grant = store.mint(SESSION, seconds=10, now=NOW)
    assert re.fullmatch(r"ek_[0-9a-f]{32}", value)
    assert grant.expires_at == 1_785_000_010
    assert store.find(value) is grant
    assert store.find(value).session == SESSION
    assert not grant.expired(NOW + 9)
    assert grant.expired(1_785_000_010)


def test_an_expired_secret_is_still_known_for_what_it_was():
    store = ClientSecrets()
    value, _ = store.mint(SESSION, seconds=10, now=NOW)
    store.mint(SESSION, seconds=10, now=NOW + 60)
    assert store.find(value).expired(NOW + 60)


@pytest.mark.parametrize("value", ["", "ek_", "ek_" + 32 * "0", "\udc80", "é"])
def test_what_was_never_made_is_not_found(value):
    store = ClientSecrets()
    store.mint(SESSION, seconds=10, now=NOW)
    assert store.find(value) is None


def test_no_two_secrets_are_alike():
    store = ClientSecrets()
    values = {store.mint(SESSION, seconds=10, now=NOW)[0] for _ in range(50)}
    assert len(values) == 50


def test_the_store_is_bounded_and_says_when_there_is_room():
    store = ClientSecrets(most=2)
    first, _ = store.mint(SESSION, seconds=100, now=NOW)
    second, _ = store.mint(SESSION, seconds=50, now=NOW)
    with pytest.raises(ServerError, match=r"2 are valid.* try again in 49s") as refused:
        store.mint(SESSION, seconds=10, now=NOW)
    assert refused.value.code == "rate_limit_exceeded"
    third, _ = store.mint(SESSION, seconds=10, now=NOW + 50)
    assert [store.find(value) is None for value in (first, second, third)] == [
        False,
        True,
        False,
    ]


def test_neither_the_secret_nor_its_settings_are_in_a_repr():
    store = ClientSecrets()
    value, grant = store.mint(SESSION, seconds=10, now=NOW)
    seen = f"{store!r} {grant!r} {vars(store)!r}"
    assert value not in seen
    assert "hidden" not in seen
