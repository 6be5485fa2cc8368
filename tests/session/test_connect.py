"""Who answers: only the arguments say, and no key is ever shown."""

from __future__ import annotations

import getpass
import sys

import pytest

from rtnb.errors import ConfigError
from rtnb.session import connect
from rtnb.session.connect import _azure, _compatible, _openai
from tests.session.server import Server

KEY = "sk-not-to-be-seen"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    return monkeypatch


def test_openai_with_the_key_of_the_environment(environment):
    environment.setenv("OPENAI_API_KEY", KEY)
    endpoint = _openai("gpt-realtime-2.1", None, None)
    assert endpoint.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"
    assert endpoint.headers == {"Authorization": f"Bearer {KEY}"}
    assert KEY not in repr(endpoint)


def test_a_key_that_is_given_comes_before_the_environment(environment):
    environment.setenv("OPENAI_API_KEY", "other")
    assert KEY in _openai("m", None, KEY).headers["Authorization"]


def test_azure_has_its_own_header_and_address(environment):
    environment.setenv("AZURE_OPENAI_ENDPOINT", "https://lab.openai.azure.com/")
    environment.setenv("AZURE_OPENAI_API_KEY", KEY)
    endpoint = _azure("my-model", None, None)
    assert endpoint.url == (
        "wss://lab.openai.azure.com/openai/v1/realtime?model=my-model"
    )
    assert endpoint.headers == {"api-key": KEY}
    assert _azure("m", "https://other.azure.com", KEY).url.startswith("wss://other.")


def test_a_compatible_server_keeps_its_query():
    endpoint = _compatible(
        "m 1", "ws://127.0.0.1:8000/v1/realtime?model=x&lang=de", None
    )
    assert endpoint.url == "ws://127.0.0.1:8000/v1/realtime?lang=de&model=m+1"
    assert endpoint.headers == {}
    assert _compatible(None, "wss://h/v1", KEY).headers["Authorization"]


def test_a_key_in_the_clear_is_warned_about(caplog):
    _compatible(None, "ws://192.168.1.5:8000/v1/realtime", KEY)
    assert "key.unencrypted" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"provider": "closedai"}, "there is no provider 'closedai'"),
        ({"provider": "openai"}, "which model"),
        ({"provider": "openai", "model": "m"}, "set OPENAI_API_KEY"),
        ({"provider": "openai", "model": "m", "url": "ws://h"}, "knows its address"),
        ({"provider": "openai", "model": "m", "script": "a"}, "embedded engine only"),
        (
            {"provider": "openai", "model": "m", "mcp_allow_private": True},
            "embedded engine only",
        ),
        ({"provider": "azure"}, "which deployment"),
        ({"provider": "azure", "model": "m"}, "set AZURE_OPENAI_ENDPOINT"),
        ({"provider": "azure", "model": "m", "url": "h"}, "set AZURE_OPENAI_API_KEY"),
        ({"url": "http://h/v1"}, "'http://h/v1' is no WebSocket address"),
        ({"url": f"ws://h/v1?api-key={KEY}"}, "does not belong in an address"),
        ({"url": f"ws://me:{KEY}@h/v1"}, "does not belong in an address"),
        ({"api_key": KEY}, "takes no key"),
        ({"script": "a.toml", "responder": "a:b"}, "give one of them"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, reason):
    with pytest.raises(ConfigError) as error:
        connect(**arguments)
    assert reason in str(error.value)
    assert KEY not in str(error.value)


def test_somebody_who_sits_there_is_asked(environment):
    asked = []
    environment.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    environment.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or KEY)
    assert KEY in _openai("m", None, None).headers["Authorization"]
    assert asked == ["OpenAI API key: "]


@pytest.mark.parametrize("answer", [EOFError, RuntimeError, ""])
def test_somebody_who_has_no_key_is_told(environment, answer):
    def reply(prompt):
        if answer:
            raise answer
        return ""

    environment.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    environment.setattr(getpass, "getpass", reply)
    with pytest.raises(ConfigError, match="set OPENAI_API_KEY"):
        _openai("m", None, None)


def test_the_documented_use_of_a_compatible_server(open_session):
    assert open_session(Server(), provider="url").provider == "url"
