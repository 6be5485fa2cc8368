"""Opening a session: with the embedded engine, or with a provider.

Only the arguments of `connect` choose who answers. A key in the environment is used for
the provider that it belongs to and never makes a session cost money by itself.
"""

from __future__ import annotations

import getpass
import logging
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from rtnb.errors import ConfigError
from rtnb.local import local_gateway, start_gateway, start_relay
from rtnb.session.session import OPEN_SECONDS, Endpoint, Session
from rtnb.transport import is_loopback, without_query

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rtnb.clock import Clock
    from rtnb.local import LocalGateway

log = logging.getLogger("rtnb.session")

OPENAI_URL: Final = "wss://api.openai.com/v1/realtime"

TRANSCRIBER: Final = "gpt-realtime-whisper"
"""Name of the model by which an embedded session's user is written down."""


def connect(
    provider: Literal["embedded", "openai", "azure"] = "embedded",
    *,
    model: str | None = None,
    url: str | None = None,
    api_key: str | None = None,
    script: str | Path | None = None,
    responder: str | Callable[..., Any] | None = None,
    models: str | Path | None = None,
    relay: bool | None = None,
    mcp_allow_private: bool = False,
    timeout: float = OPEN_SECONDS,
    clock: Clock | None = None,
) -> Session:
    """Open a session; without arguments with the embedded engine, which costs nothing.

    Parameters
    ----------
    provider : "embedded", "openai" or "azure"
        Who answers. The embedded engine runs on this machine: no key, no network,
        nothing spent, whatever is in the environment.
    model : str, optional
        Model of the provider; on Azure, the deployment. For the embedded engine, the
        model whose name and prices are shown.
    url : str, optional
        Address of a compatible server instead, ``ws://`` or ``wss://``, such as
        ``ws://127.0.0.1:8000/v1/realtime``; on Azure, the resource's endpoint.
    api_key : str, optional
        Key of the provider or server. Without it, ``OPENAI_API_KEY`` or
        ``AZURE_OPENAI_API_KEY`` of the environment, else you are asked for it. It is
        sent in a header and shown nowhere.
    script : path, optional
        TOML rules by which a private embedded engine answers.
    responder : str or callable, optional
        ``MODULE:FUNCTION`` of a Python function by which it does.
    models : path, optional
        A file such as ``rtnb.toml`` that names models of your own: a chat model that
        answers, a recogniser, a voice. A private embedded engine uses them; what they
        cost is between you and their servers.
    relay : bool, optional
        Whether a process on this machine stands between the session and a provider or
        server, so that a `rtnb.Panel` has a microphone and a speaker; it costs nothing
        more. By default it does in a notebook, where the provider is reached by
        ``wss://`` or is on this machine. The key is handed to that process on its
        standard input and shown to the provider alone.
    mcp_allow_private : bool, default False
        Let a private embedded engine connect to MCP servers on this machine and in its
        network, too; servers of the public Internet need no leave.
    timeout : float
        Seconds to open in; the start of the embedded engine, or of a relay, has as many
        of its own.
    clock : Clock, optional
        Paces what is sent, and tells the times of events.

    Returns
    -------
    Session
        Open; close it, or use it in a ``with`` or ``async with`` block.

    Raises
    ------
    ConfigError
        If the arguments do not go together, or there is no key and nobody to ask.
    ConnectError
        If the server does not let us in.
    EngineError
        If the embedded engine, or the relay, does not start.

    Examples
    --------
    >>> import rtnb
    >>> with rtnb.connect() as session:
    ...     session.configure(output_modalities="text")
    ...     turn = session.say("what is two plus three?").wait()
    ...     turn.status
    'done'
    """
    check_provider(provider, url=url, api_key=api_key)
    private = mcp_allow_private or any(
        one is not None for one in (script, responder, models)
    )
    if provider == "embedded" and url is None:
        if relay is not None:
            raise ConfigError(
                "the embedded engine needs no relay: its gateway has the microphone"
            )
        end = None
        if private:
            gateway = start_gateway(
                script=script,
                responder=responder,
                models=models,
                mcp_allow_private=mcp_allow_private,
                timeout=timeout,
            )
            end = gateway.close
        else:
            gateway = local_gateway(timeout=timeout)
        return _embedded(gateway, model, timeout=timeout, clock=clock, end=end)
    if private:
        raise ConfigError(
            "script, responder, models and mcp_allow_private are for the embedded engine "
            "only"
        )
    endpoint = provider_endpoint(provider, model=model, url=url, api_key=api_key)
    if not _wants_relay(relay, endpoint.url):
        return Session(endpoint, timeout=timeout, clock=clock)
    return _relayed(endpoint, timeout=timeout, clock=clock)


def check_provider(provider: str, *, url: str | None, api_key: str | None) -> None:
    """Refuse a provider that there is not, and a key for one that takes none.

    Raises
    ------
    ConfigError
        In either case.
    """
    if provider not in ("embedded", "openai", "azure"):
        raise ConfigError(
            f"there is no provider {provider!r}: choose 'embedded', 'openai', 'azure', "
            "or give url= for a compatible server"
        )
    if provider == "embedded" and url is None and api_key is not None:
        raise ConfigError(
            "the embedded engine takes no key: choose 'openai' or 'azure', or give url= "
            "for a compatible server"
        )


def provider_endpoint(
    provider: str, *, model: str | None, url: str | None, api_key: str | None
) -> Endpoint:
    """Endpoint of a provider, or of a compatible server; see `connect`."""
    match provider:
        case "openai":
            return _openai(model, url, api_key)
        case "azure":
            return _azure(model, url, api_key)
        case _:
            return _compatible(model, str(url), api_key)


def _embedded(
    gateway: LocalGateway,
    model: str | None,
    *,
    timeout: float,
    clock: Clock | None,
    end: Callable[[], None] | None,
) -> Session:
    """Session with a gateway of ours; `end` ends what was started for it alone."""
    with ExitStack() as undo:
        if end is not None:
            undo.callback(end)
        endpoint = embedded_endpoint(gateway, model)
        session = Session(endpoint, timeout=timeout, clock=clock, on_end=end)
        undo.callback(session.close)
        session.configure(transcription=TRANSCRIBER)
        undo.pop_all()
    return session


def embedded_endpoint(gateway: LocalGateway, model: str | None = None) -> Endpoint:
    """Endpoint of a gateway of ours."""
    headers = {"Authorization": f"Bearer {gateway.token}"}
    return Endpoint("embedded", _with_model(gateway.url, model), headers, gateway)


def _wants_relay(relay: bool | None, url: str) -> bool:  # noqa: FBT001 - as asked for
    secure = url.startswith("wss:") or is_loopback(url)
    if relay and not secure:
        raise ConfigError(
            f"{without_query(url)} is neither encrypted nor on this machine: a relay "
            "wants wss://; relay=False does without it, and without a microphone"
        )
    return (secure and _in_notebook()) if relay is None else relay


def _relayed(endpoint: Endpoint, *, timeout: float, clock: Clock | None) -> Session:
    """Session with a provider behind a gateway of ours, which ends with it."""
    header, key = _key_of(endpoint)
    gateway = start_relay(endpoint.url, key=key, key_header=header, timeout=timeout)
    with ExitStack() as undo:
        undo.callback(gateway.close)
        headers = {"Authorization": f"Bearer {gateway.token}"}
        here = Endpoint(
            endpoint.provider, gateway.url, headers, gateway, behind=endpoint.url
        )
        session = Session(here, timeout=timeout, clock=clock, on_end=gateway.close)
        undo.pop_all()
    return session


def _key_of(endpoint: Endpoint) -> tuple[str, str]:
    """Header in which an endpoint wants its key, and the key."""
    header, value = next(iter(endpoint.headers.items()), ("Authorization", ""))
    return header.lower(), value.removeprefix("Bearer ")


def _openai(model: str | None, url: str | None, api_key: str | None) -> Endpoint:
    if model is None:
        raise ConfigError(
            "which model? write connect('openai', model='gpt-realtime-2.1')"
        )
    if url is not None:
        raise ConfigError("connect('openai') knows its address: leave url= out")
    key = api_key or _key("OPENAI_API_KEY", "OpenAI")
    return Endpoint(
        "openai", _with_model(OPENAI_URL, model), {"Authorization": f"Bearer {key}"}
    )


def _azure(model: str | None, url: str | None, api_key: str | None) -> Endpoint:
    if model is None:
        raise ConfigError(
            "which deployment? write connect('azure', model='my-deployment')"
        )
    resource = url or os.environ.get("AZURE_OPENAI_ENDPOINT")
    if not resource:
        raise ConfigError(
            "where is your Azure resource? set AZURE_OPENAI_ENDPOINT or give "
            "url='https://my-resource.openai.azure.com'"
        )
    host = urlsplit(resource).netloc or resource.strip("/")
    key = api_key or _key("AZURE_OPENAI_API_KEY", "Azure OpenAI")
    address = _with_model(f"wss://{host}/openai/v1/realtime", model)
    return Endpoint("azure", address, {"api-key": key})


def _compatible(model: str | None, url: str, api_key: str | None) -> Endpoint:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.netloc:
        raise ConfigError(
            f"{without_query(url)!r} is no WebSocket address: give one such as "
            "ws://127.0.0.1:8000/v1/realtime"
        )
    if "@" in parts.netloc or "key" in parts.query.lower():
        raise ConfigError(
            "a key does not belong in an address, which is logged in many places: "
            "give it as api_key="
        )
    if api_key and parts.scheme == "ws" and not is_loopback(url):
        log.warning("key.unencrypted", extra={"rtnb.url": without_query(url)})
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return Endpoint("url", _with_model(url, model), headers)


def _with_model(url: str, model: str | None) -> str:
    """Return the address with the model in its query."""
    if model is None:
        return url
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "model"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("model", model)])))


def _in_notebook() -> bool:
    """Whether a page may show what we make."""
    return "ipykernel" in sys.modules


def _key(variable: str, whose: str) -> str:
    """Key of the environment, else of whoever sits there."""
    key = os.environ.get(variable)
    if key:
        return key
    missing = f"there is no {whose} key: set {variable}, or give api_key="
    if not _in_notebook() and not sys.stdin.isatty():
        raise ConfigError(missing)
    try:
        key = getpass.getpass(f"{whose} API key: ")
    except (EOFError, RuntimeError) as error:
        raise ConfigError(missing) from error
    if not key.strip():
        raise ConfigError(missing)
    return key.strip()
