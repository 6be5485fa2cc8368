"""What may be the provider of a relay, and that its key stays unseen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rtnb.errors import ConfigError, ConnectError, ConnectTimeout
from rtnb.gateway.upstream import Upstream

KEY = "sk-CANARY-not-to-be-seen"
HOSTED = "wss://api.openai.com/v1/realtime"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://api.openai.com/v1/realtime", "no WebSocket address"),
        ("wss:///v1/realtime", "no WebSocket address"),
        ("ws://api.openai.com/v1/realtime", "wants wss://"),
        ("ws://127.0.0.1.example/v1/realtime", "wants wss://"),
        (f"wss://me:{KEY}@h/v1", "does not belong in an address"),
        (f"wss://h/v1?api-key={KEY}", "does not belong in an address"),
    ],
)
def test_addresses_that_are_none(url, reason):
    with pytest.raises(ConfigError, match=reason) as error:
        Upstream(url, KEY)
    assert KEY not in str(error.value)


@pytest.mark.parametrize("key", [f"{KEY} x", f"{KEY}\r\nHost: h", f"{KEY}é"])
def test_keys_that_are_none(key):
    with pytest.raises(ConfigError, match="no key") as error:
        Upstream(HOSTED, key)
    assert KEY not in str(error.value)


def test_the_key_goes_in_a_header_that_is_known():
    with pytest.raises(ConfigError, match="api-key"):
        Upstream(HOSTED, KEY, "cookie")


def test_the_key_is_not_shown():
    upstream = Upstream(HOSTED, KEY)
    assert KEY not in repr(upstream)
    assert upstream.host == "api.openai.com"
    assert upstream.hide(f"your key {KEY}!") == "your key ***!"
    assert Upstream(HOSTED).hide("no key") == "no key"


@pytest.mark.parametrize(
    ("query", "below", "address"),
    [
        ("", "", f"{HOSTED}?model=a&lang=de"),
        ("model=b", "", f"{HOSTED}?lang=de&model=b"),
        ("intent=x&model=", "", f"{HOSTED}?lang=de&intent=x"),
        ("x=", "/translations", f"{HOSTED}/translations?model=a&lang=de&x="),
        ("x=//evil.example/@evil", "", None),
    ],
)
def test_a_client_changes_the_query_and_no_more(query, below, address):
    made = Upstream(f"{HOSTED}?model=a&lang=de", KEY)._address(query, below)
    assert made.startswith(f"{HOSTED}{below}?")
    assert address in (None, made)


@pytest.mark.parametrize(
    ("error", "status"),
    [(ConnectError("u", f"no {KEY}"), 502), (ConnectTimeout("u", "late"), 504)],
)
def test_a_provider_that_said_nothing_is_spoken_for(error, status):
    denial = Upstream(HOSTED, KEY).denial(error)
    assert denial.status_code == status
    assert b"api.openai.com" in denial.body
    assert KEY.encode() not in denial.body


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--upstream", "ws://h/v1"], "wants wss://"),
        (["--upstream", HOSTED, "--script", "a.toml"], "leave --script out"),
        (["--upstream", HOSTED, "--chat-model", "m"], "leave --chat-model out"),
        (["--upstream", HOSTED, "--virtual-clock"], "leave --virtual-clock out"),
        (["--upstream", HOSTED, "--seed", "1"], "leave --seed out"),
        (["--upstream", HOSTED, "--upstream-key-env", "RTNB_NONE"], "RTNB_NONE"),
        (["--upstream-key-env", "HOME"], "give --upstream"),
    ],
)
def test_a_command_line_that_cannot_be(arguments, reason):
    done = subprocess.run(
        [sys.executable, "-m", "rtnb", "serve", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
