"""The gateway's door: HTTP and WebSocket routes, tokens, and the process itself.

Every route demands the token and a loopback ``Host``, and refuses a foreign ``Origin``.
Sessions and what goes with them also open to a client secret, which is made to be shown
by a page and expires.
A page is let in to its media socket by a single-use ticket instead, which its session's
owner obtains with the token; so the token never reaches a page.

Log levels: WARNING a client was refused or data was dropped; INFO served, connected,
closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import logging
import secrets
import socket
import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from typing_extensions import override

from rtnb.audio import EXAMPLES, transcript_of
from rtnb.clock import SystemClock, VirtualClock
from rtnb.errors import ConnectError
from rtnb.gateway import beta
from rtnb.gateway.adapters.settings import Models
from rtnb.gateway.client_secrets import ClientSecrets
from rtnb.gateway.control import Control
from rtnb.gateway.conversation import Engine
from rtnb.gateway.cors import Cors
from rtnb.gateway.media import MediaPort
from rtnb.gateway.opening import TRANSLATIONS, opened
from rtnb.gateway.parts import close
from rtnb.gateway.recogniser import Recogniser
from rtnb.gateway.refusals import HANDLERS, not_found, refusal
from rtnb.gateway.relay import RelayedConversation
from rtnb.gateway.responder import load
from rtnb.gateway.rest import Keys, Rest
from rtnb.gateway.script import Script
from rtnb.gateway.tap import Tap
from rtnb.gateway.translators import ModelTranslator, PhraseBook
from rtnb.gateway.upstream import Upstream
from rtnb.gateway.voice import Voice
from rtnb.protocol import tap
from rtnb.protocol.codec import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from starlette.requests import Request as HttpRequest
    from starlette.responses import Response

    from rtnb.gateway.adapters.settings import SttSettings, TtsSettings
    from rtnb.gateway.dialogue import Dialogue
    from rtnb.gateway.parts import SpeechToText, TextToSpeech
    from rtnb.gateway.responder import Responder
    from rtnb.gateway.tls import Certificate

log = logging.getLogger("rtnb.gateway")

TICKET_SECONDS = 60.0
"""How long a page has to use its ticket."""

LARGEST_FRAME = 64 * 2**20
"""Bytes; above the 15 MiB that one append may hold, so that the refusal has words."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - only when the user says so


@dataclass(frozen=True)
class Ticket:
    """Lets one page in, once.

    Parameters
    ----------
    session_id : str
        Whose media it opens.
    origin : str or None
        The page's origin, where it is not a loopback one.
    expires_at : float
        Monotonic seconds.
    """

    session_id: str
    origin: str | None
    expires_at: float


class Gateway:
    """All conversations of one process.

    Parameters
    ----------
    answers : Engine or Upstream
        What answers: on this machine, or a provider.
    token : str
        What a client must show.
    host : str
        The address it listens on: a known ``Host`` besides the loopback ones. Where that
        is every address, any numeric ``Host`` is known; names could be rebound.
    """

    def __init__(
        self, answers: Engine | Upstream, *, token: str, host: str = "127.0.0.1"
    ) -> None:
        self._answers = answers
        self._clock = answers.clock if isinstance(answers, Engine) else SystemClock()
        self._token = token
        self._hosts = {*LOOPBACK, host}
        self._anywhere = host in EVERYWHERE
        self._dialogues: list[Dialogue] = []
        self._sessions = 0
        self._ports: dict[str, MediaPort] = {}
        self._tickets: dict[str, Ticket] = {}
        self._client_secrets = ClientSecrets()
        routes = (
            Rest(answers, self._client_secrets, self._refusal).routes
            if isinstance(answers, Engine)
            else []
        )
        self.app = Starlette(
            routes=[
                WebSocketRoute("/v1/realtime", self._realtime),
                WebSocketRoute("/realtime", self._realtime),
                WebSocketRoute("/rtnb/media", self._media),
                WebSocketRoute(tap.PATH, self._tap),
                Route("/rtnb/tickets", self._mint, methods=["POST"]),
                *routes,
                WebSocketRoute(TRANSLATIONS, self._realtime),
                WebSocketRoute("/{path:path}", _no_socket),
            ],
            middleware=[Middleware(Cors, knows=self._knows_origin)],
            exception_handlers=HANDLERS,
            lifespan=self._lifespan,
        )
        # A redirect would repeat the caller's Host before anybody looked at it.
        self.app.router.redirect_slashes = False

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        if isinstance(self._answers, Upstream):
            yield
            return
        engine = self._answers
        await engine.recogniser.start()
        try:
            yield
        finally:
            for part in (engine.recogniser, engine.responder, engine.voice):
                await close(part)

    # -- who may come in -------------------------------------------------------------

    def _refusal(
        self, headers: Mapping[str, str], keys: Keys = "token"
    ) -> JSONResponse | None:
        """Why this caller may not come in, or None."""
        if not self._knows(_hostname(f"//{headers.get('host', '')}")):
            return refusal(403, "This Host is not served here.", "host_not_allowed")
        origin = headers.get("origin")
        if origin is not None and not self._knows_origin(origin):
            return refusal(403, "This Origin is not known.", "origin_not_allowed")
        shown = _shown_key(headers)
        if not shown:
            return refusal(
                401,
                "You didn't provide an API key. Send the gateway's token in an "
                "Authorization header: Bearer TOKEN.",
                None,
            )
        if hmac.compare_digest(shown.encode(), self._token.encode()):
            return None
        return self._refusal_of_secret(shown, keys)

    def _refusal_of_secret(self, shown: str, keys: Keys) -> JSONResponse | None:
        """Why who shows a client secret may not come in, or None."""
        grant = self._client_secrets.find(shown)
        if grant is None:
            return refusal(401, "Incorrect API key provided.", "invalid_api_key")
        if grant.expired(self._clock.now()):
            # The message is documented, the code is not.
            return refusal(401, "Ephemeral token expired", "token_expired")
        if keys == "token":
            message = "A client secret does not open this; show the gateway's token."
            return refusal(403, message, "insufficient_permissions")
        return None

    def _knows_origin(self, origin: str) -> bool:
        return self._knows(_hostname(origin))

    def _knows(self, host: str | None) -> bool:
        return host in self._hosts or (self._anywhere and _is_address(host))

    async def _mint(self, request: HttpRequest) -> Response:
        """``POST /rtnb/tickets {"session_id", "origin"?}`` → ``{"ticket", "path"}``."""
        refused = self._refusal(request.headers)
        if refused is not None:
            return refused
        try:
            body = await request.json()
            session_id, origin = str(body["session_id"]), body.get("origin")
        except (ValueError, KeyError, TypeError, AttributeError):
            return refusal(400, 'The body must be {"session_id": …}.', "invalid_json")
        if self._dialogue(session_id) is None:
            return refusal(404, f"No session '{session_id}'.", "session_not_found")
        now = time.monotonic()
        self._tickets = {k: t for k, t in self._tickets.items() if t.expires_at > now}
        name = secrets.token_urlsafe(24)
        self._tickets[name] = Ticket(session_id, origin, now + TICKET_SECONDS)
        return JSONResponse({"ticket": name, "path": "/rtnb/media"})

    # -- conversations ---------------------------------------------------------------

    async def _realtime(self, websocket: WebSocket) -> None:
        refused = self._refusal(websocket.headers, "token or client secret")
        if refused is not None:
            log.warning("client.refused", extra={"rtnb.status": refused.status_code})
            await websocket.send_denial_response(refused)
            return
        if isinstance(self._answers, Upstream):
            await self._relay(websocket, self._answers)
        elif beta.asked_for(websocket.headers):
            await _accept(websocket)
            await beta.refuse(websocket)
        else:
            await self._converse(websocket, self._answers)

    async def _converse(self, websocket: WebSocket, engine: Engine) -> None:
        """Hold a session with the engine."""
        grant = self._client_secrets.find(_shown_key(websocket.headers))
        engine = engine.of_session(self._sessions)
        self._sessions += 1
        conversation = opened(websocket.url.path, websocket.query_params, grant, engine)
        await _accept(websocket)
        control = Control(websocket, conversation.take)
        conversation.observers.append(lambda event: control.put(encode(event)))
        conversation.on_hangup = control.hang_up
        try:
            with self._present(conversation):
                conversation.pump()
                await control.run()
        finally:
            await conversation.close()

    async def _relay(self, websocket: WebSocket, upstream: Upstream) -> None:
        """Hold a session with a provider."""
        try:
            transport = await upstream.open(
                query=websocket.url.query,
                headers=websocket.headers,
                below=websocket.url.path.partition("/realtime")[2],
            )
        except ConnectError as error:
            denial = upstream.denial(error)
            log.warning("upstream.refused", extra={"rtnb.status": denial.status_code})
            await websocket.send_denial_response(denial)
            return
        relayed = RelayedConversation(transport)
        control = Control(websocket, relayed.receive)
        relayed.on_frame, relayed.on_hangup = control.put, control.hang_up
        relaying = asyncio.create_task(relayed.run())
        try:
            await _accept(websocket)
            with self._present(relayed):
                await control.run()
        finally:
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
            await relayed.close(*control.closed_with)

    @contextlib.contextmanager
    def _present(self, dialogue: Dialogue) -> Iterator[None]:
        """Let pages and taps find a session while it lasts."""
        self._dialogues.append(dialogue)
        log.info("session.opened", extra={"rtnb.session": dialogue.id})
        try:
            yield
        finally:
            self._dialogues.remove(dialogue)
            if dialogue.id in self._ports:
                self._ports[dialogue.id].end("The session has ended.")
            log.info("session.closed", extra={"rtnb.session": dialogue.id})

    def _dialogue(self, session_id: str) -> Dialogue | None:
        known = (each for each in self._dialogues if each.id == session_id)
        return next(known, None)

    async def _tap(self, websocket: WebSocket) -> None:
        """Let the owner of a session hear what the session hears."""
        session_id = websocket.query_params.get("session_id", "")
        conversation = self._dialogue(session_id)
        refused = self._refusal(websocket.headers)
        if refused is None and conversation is not None:
            await Tap(websocket, conversation).run()
            return
        unknown = refusal(404, f"No session '{session_id}'.", "session_not_found")
        await websocket.send_denial_response(refused or unknown)

    # -- media -----------------------------------------------------------------------

    async def _media(self, websocket: WebSocket) -> None:
        ticket = self._tickets.pop(websocket.query_params.get("ticket", ""), None)
        conversation = self._admit(ticket, websocket.headers.get("origin"))
        if conversation is None:
            refused = refusal(403, "This ticket is not valid.", "invalid_ticket")
            await websocket.send_denial_response(refused)
            return
        await websocket.accept()
        session_id = conversation.id
        if session_id in self._ports:
            self._ports[session_id].end(
                "This session is active in another tab; press Talk to take it back."
            )
        port = MediaPort(conversation, _sender(websocket))
        self._ports[session_id] = port
        port.attach()
        writer = asyncio.create_task(port.write())
        reader = asyncio.create_task(_read_media(websocket, port))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            port.detach()
            if self._ports.get(session_id) is port:
                del self._ports[session_id]
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await websocket.close()

    def _admit(self, ticket: Ticket | None, origin: str | None) -> Dialogue | None:
        if ticket is None or ticket.expires_at < time.monotonic():
            return None
        known = {None, ticket.origin}
        if origin not in known and not self._knows_origin(origin or ""):
            return None
        return self._dialogue(ticket.session_id)


async def _accept(websocket: WebSocket) -> None:
    """Let a client in, in the one subprotocol that we speak if it names any."""
    offered = websocket.headers.get("sec-websocket-protocol", "")
    names = [name.strip() for name in offered.split(",")]
    await websocket.accept(subprotocol="realtime" if "realtime" in names else None)


async def _read_media(websocket: WebSocket, port: MediaPort) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                port.receive_bytes(message["bytes"])
            else:
                port.receive_text(message["text"])


def _sender(websocket: WebSocket) -> Any:
    async def send(frame: str | bytes) -> None:
        if isinstance(frame, str):
            await websocket.send_text(frame)
        else:
            await websocket.send_bytes(frame)

    return send


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_address(host: str | None) -> bool:
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return False
    return True


def _shown_key(headers: Mapping[str, str]) -> str:
    """The key in the Authorization header, or the one a browser offers as subprotocol."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    prefix = "openai-insecure-api-key."
    for name in headers.get("sec-websocket-protocol", "").split(","):
        if name.strip().startswith(prefix):
            return name.strip().removeprefix(prefix)
    return ""


async def _no_socket(websocket: WebSocket) -> None:
    refused = not_found("GET", websocket.url.path)
    await websocket.send_denial_response(refused)


# -- the process -----------------------------------------------------------------------


class _Server(uvicorn.Server):
    """Says on standard output, in one JSON line, when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: dict[str, str]) -> None:
        super().__init__(config)
        self._ready = ready

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(json.dumps(self._ready) + "\n")
        sys.stdout.flush()


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    script: str | None = None,
    responder: str | None = None,
    models: Models | None = None,
    upstream: Upstream | None = None,
    mcp_allow_private: bool = False,
    seed: int | None = None,
    virtual_clock: bool = False,
    certificate: Certificate | None = None,
    die_with_parent: bool = False,
) -> int:
    """Run the gateway until it is told to end.

    Parameters
    ----------
    host : str, default "127.0.0.1"
        Address to listen on.
    port : int, default 0
        0 takes a free one.
    token : str, optional
        What clients must show; a random one by default.
    script : str, optional
        A TOML file for the scripted responder, see `rtnb.gateway.script`.
    responder : str, optional
        ``MODULE:FUNCTION`` of a Python function that answers instead.
    models : Models, optional
        Models of the user's own that take the place of embedded parts, already tried.
    upstream : Upstream, optional
        A provider that answers instead of all these.
    mcp_allow_private : bool, default False
        Let sessions name MCP servers on this machine and in its network.
    seed : int, optional
        Makes the identifiers of sessions repeatable: the same in the first session of
        every run, and so on.
    virtual_clock : bool, default False
        Let each session have a `rtnb.clock.VirtualClock`: pauses and paced audio take
        no time, and with a seed the same frames get the same answers, byte for byte.
    certificate : Certificate, optional
        Serve ``wss`` and ``https`` with it, and nothing else.
    die_with_parent : bool, default False
        End when standard input does.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    ConfigError
        If the script or the responder cannot be used, or a model's key is missing.
    """
    answers: Engine | Upstream
    if upstream is not None:
        answers = upstream
    else:
        engine = _engine(script, responder, models or Models())
        clock = VirtualClock() if virtual_clock else engine.clock
        answers = replace(
            engine, mcp_allow_private=mcp_allow_private, clock=clock, seed=seed
        )
    token = token or secrets.token_urlsafe(24)
    gateway = Gateway(answers, token=token, host=host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    netloc = f"[{host}]" if ":" in host else host
    address = f"{netloc}:{listener.getsockname()[1]}"
    secure = "s" if certificate is not None else ""
    ready = {
        "event": "ready",
        "url": f"ws{secure}://{address}/v1/realtime",
        "http": f"http{secure}://{address}/v1",
        "token": token,
    }
    if certificate is not None:
        ready["certificate"] = str(certificate.trust.absolute())
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for chatty in ("httpx", "httpx2", "mcp"):  # a line for every request, with its URL
        logging.getLogger(chatty).setLevel(logging.WARNING)
    config = uvicorn.Config(
        gateway.app,
        ws="websockets-sansio",
        ws_max_size=LARGEST_FRAME,
        ws_per_message_deflate=False,
        # A cell may hold the kernel's interpreter for minutes; that is no dead client.
        ws_ping_interval=30,
        ws_ping_timeout=600,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate.chain if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    server = _Server(config, ready)
    if die_with_parent:
        threading.Thread(target=_await_parent, args=(server,), daemon=True).start()
    server.run(sockets=[listener])
    return 0


def _engine(script: str | None, responder: str | None, models: Models) -> Engine:
    """The embedded parts, but for those that models of the user's own stand in for."""
    answers: Responder
    if models.chat is not None:
        from rtnb.gateway.adapters.chat import ChatResponder

        answers = ChatResponder(models.chat)
    else:
        answers = load(responder) if responder else Script.load(script)
    return Engine(
        responder=answers,
        recogniser=_ears(models.stt, answers),
        voice=_mouth(models.tts),
        translator=PhraseBook() if models.chat is None else ModelTranslator(answers),
    )


def _ears(settings: SttSettings | None, answers: Responder) -> SpeechToText:
    if settings is None:
        # What tutorials say is recognised best: the script's lines and the sample speech.
        script_lines = answers.examples if isinstance(answers, Script) else ()
        return Recogniser((*script_lines, *map(transcript_of, EXAMPLES)))
    if settings.whisper is not None:
        from rtnb.gateway.adapters.whisper import WhisperRecogniser

        return WhisperRecogniser(settings)
    from rtnb.gateway.adapters.transcription import ServedRecogniser

    return ServedRecogniser(settings)


def _mouth(settings: TtsSettings | None) -> TextToSpeech:
    if settings is None:
        return Voice()
    from rtnb.gateway.adapters.speech import SpeechVoice

    return SpeechVoice(settings)


def _await_parent(server: uvicorn.Server) -> None:
    """Standard input ends when the parent does; then so do we."""
    sys.stdin.buffer.read()
    server.should_exit = True
