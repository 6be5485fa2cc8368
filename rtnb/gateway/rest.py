"""The REST routes beside the Realtime WebSocket: models, speech, client secrets.

References
----------
OpenAI API reference: "List models", "Retrieve model", "Create speech", "Create client
secret". The wording of refusals is the service's where it is known.
"""

from __future__ import annotations

import struct
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from rtnb.audio import pcm16_encode
from rtnb.errors import ServerError
from rtnb.gateway import beta
from rtnb.gateway.conversation import CLAUSE
from rtnb.gateway.models import DEFAULT_MODEL, models
from rtnb.gateway.opening import TRANSLATIONS, translation
from rtnb.gateway.parts import speech
from rtnb.gateway.refusals import NOT_FOUND, refusal
from rtnb.gateway.voice import SAMPLE_RATE
from rtnb.protocol import events as ev
from rtnb.protocol.codec import encode, to_dict
from rtnb.protocol.requests import (
    ClientSecretRequest,
    SpeechRequest,
    TranslationSecretRequest,
)
from rtnb.protocol.rules import refusal as broken_rule
from rtnb.protocol.rules import refuse_value
from rtnb.protocol.server import ServerMachine, TranscriptionMachine
from rtnb.protocol.validation import validate_request

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Mapping,
    )

    from starlette.requests import Request
    from starlette.responses import Response

    from rtnb.gateway.client_secrets import ClientSecrets
    from rtnb.gateway.conversation import Engine

LARGEST_BODY: Final = 2**20
"""Bytes of a request's body."""

MEDIA_TYPES: Final = {"pcm": "audio/pcm", "wav": "audio/wav"}
"""Formats of speech that are made here: PCM16, little-endian, mono, 24 kHz."""

OTHER_FORMATS: Final = ("mp3", "opus", "aac", "flac")
"""Formats that the service makes as well."""

NEIGHBOURS: Final = {"fable": "ballad", "nova": "coral", "onyx": "cedar"}
"""Voices of the speech endpoint alone, and the voice of the engine that speaks for them."""

Keys: TypeAlias = Literal["token", "token or client secret"]
"""What a caller may show."""


class Rest:
    """The REST routes of a gateway.

    Parameters
    ----------
    engine : Engine
        Its voice and its clock are used.
    client_secrets : ClientSecrets
        Where new ones are kept.
    refusal_of : callable
        Why the caller with these headers may not come in, or None.
    """

    def __init__(
        self,
        engine: Engine,
        client_secrets: ClientSecrets,
        refusal_of: Callable[[Mapping[str, str], Keys], Response | None],
    ) -> None:
        self._engine = engine
        self._client_secrets = client_secrets
        self._refusal_of = refusal_of

    @property
    def routes(self) -> list[Route]:
        """What to give to the application."""
        translations = f"{TRANSLATIONS}/client_secrets"
        anyone: Keys = "token or client secret"
        return [
            self._route("GET", "/v1/models", anyone, _list_models),
            self._route("GET", "/v1/models/{model:path}", anyone, _retrieve_model),
            self._route("POST", "/v1/audio/speech", anyone, self._speak),
            self._route("POST", "/v1/realtime/client_secrets", "token", self._mint),
            self._route("POST", translations, "token", self._mint_translation),
            self._route("POST", "/v1/realtime/sessions", "token", _beta),
            self._route("POST", "/v1/realtime/transcription_sessions", "token", _beta),
        ]

    def _route(
        self,
        method: str,
        path: str,
        keys: Keys,
        endpoint: Callable[[Request], Awaitable[Response]],
    ) -> Route:
        async def guarded(request: Request) -> Response:
            return self._refusal_of(request.headers, keys) or await endpoint(request)

        return Route(path, guarded, methods=[method])

    async def _mint(self, request: Request) -> Response:
        wanted = validate_request(await _json_body(request), ClientSecretRequest)
        settings = (
            {"type": "realtime"} if wanted.session is msgspec.UNSET else wanted.session
        )
        now = self._engine.clock.now()
        effective = effective_session(settings, now)
        return self._minted(settings, effective, wanted.expires_after.seconds, now)

    async def _mint_translation(self, request: Request) -> Response:
        body = await _json_body(request)
        wanted = validate_request(body, TranslationSecretRequest)
        # As it was sent: null is not absent.
        settings = {**msgspec.json.decode(body)["session"], "type": "translation"}
        now = self._engine.clock.now()
        machine = translation(settings, self._engine, model=wanted.session.model)
        effective = to_dict(machine.session)
        return self._minted(settings, effective, wanted.expires_after.seconds, now)

    def _minted(
        self,
        settings: Mapping[str, Any],
        effective: Mapping[str, Any],
        seconds: int,
        now: float,
    ) -> Response:
        """A new client secret and the session that it would open."""
        value, grant = self._client_secrets.mint(settings, seconds=seconds, now=now)
        # A session that is not open yet expires at no time: recorded from the service.
        session = {**effective, "expires_at": 0}
        body = {"value": value, "expires_at": grant.expires_at, "session": session}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def _speak(self, request: Request) -> Response:
        wanted = validate_request(await _json_body(request), SpeechRequest)
        media_type = _media_type(wanted.response_format)
        sound = self._sound(wanted)
        # The first piece tells whether there is a voice, while a status can be sent.
        first = await anext(sound)
        if wanted.response_format == "wav":
            first = wav_header() + first
        return StreamingResponse(_chain(first, sound), media_type=media_type)

    async def _sound(self, wanted: SpeechRequest) -> AsyncGenerator[bytes]:
        """PCM16 of the text, clause by clause; at least one piece."""
        if not isinstance(wanted.voice, str):
            raise broken_rule(
                f"The voice '{wanted.voice.id}' does not exist: custom voices live "
                "with the service.",
                "invalid_value",
                param="voice.id",
            )
        voice = NEIGHBOURS.get(wanted.voice, wanted.voice)
        clauses = [clause for clause in CLAUSE.split(wanted.input) if clause.strip()]
        for clause in clauses or [" "]:
            spoken = speech(
                self._engine.voice, clause.strip(), voice=voice, speed=wanted.speed
            )
            async with aclosing(spoken) as pieces:
                async for piece in pieces:
                    yield pcm16_encode(piece.samples)


def effective_session(settings: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Session that a new connection with these settings would have.

    Parameters
    ----------
    settings : mapping
        As in a ``session.update``; the model is the one that they name.
    now : float
        Seconds since the epoch.

    Returns
    -------
    dict
        The session with every default.

    Raises
    ------
    ServerError
        What the ``session.update`` would be refused for.
    """
    machine: ServerMachine | TranscriptionMachine
    if settings.get("type") == "transcription":
        machine = TranscriptionMachine(now=now)
    else:
        model = settings.get("model", DEFAULT_MODEL)
        machine = ServerMachine(model=str(model), now=now)
    update = {"type": "session.update", "session": settings}
    machine.receive(msgspec.json.encode(update), now)
    event = next(
        event
        for event in machine.take_events()
        if isinstance(event, ev.SessionUpdated | ev.Error)
    )
    if isinstance(event, ev.Error):
        wrong = msgspec.to_builtins(event.error)
        raise ServerError(
            wrong["message"],
            type=wrong["type"],
            code=wrong.get("code"),
            param=wrong.get("param"),
        )
    session: dict[str, Any] = msgspec.json.decode(encode(event))["session"]
    return session


def wav_header() -> bytes:
    """RIFF header of PCM16, mono, 24 kHz, of a length that is not known yet.

    Returns
    -------
    bytes
        44 bytes; both lengths are the largest there is, which readers take for "to the
        end", as in what the service streams.
    """
    width, endless = 2, 0xFFFFFFFF
    sound = struct.pack(
        "<HHIIHH", 1, 1, SAMPLE_RATE, SAMPLE_RATE * width, width, 8 * width
    )
    head = struct.pack("<4sI4s4sI", b"RIFF", endless, b"WAVE", b"fmt ", len(sound))
    return head + sound + struct.pack("<4sI", b"data", endless)


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _media_type(response_format: str) -> str:
    if response_format in OTHER_FORMATS:
        raise broken_rule(
            f"Invalid value: '{response_format}'. This gateway makes 'pcm' and 'wav'; "
            "where response_format is not given, 'mp3' is meant.",
            "invalid_value",
            param="response_format",
        )
    if response_format not in MEDIA_TYPES:
        refuse_value(response_format, (*OTHER_FORMATS, *MEDIA_TYPES), "response_format")
    return MEDIA_TYPES[response_format]


async def _list_models(_: Request) -> Response:
    return JSONResponse({"object": "list", "data": list(models().values())})


async def _retrieve_model(request: Request) -> Response:
    name = request.path_params["model"]
    model = models().get(name)
    if model is None:
        message = f"The model '{name}' does not exist"
        return refusal(NOT_FOUND, message, "model_not_found", param="model")
    return JSONResponse(model)


async def _beta(_: Request) -> Response:
    return refusal(400, beta.MESSAGE, beta.CODE)


async def _json_body(request: Request) -> bytes:
    """Body of a request, which says that it is JSON and is not too long."""
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(
            415,
            f"Unsupported content type: '{given}'. Send the body as JSON, with the "
            "header 'Content-Type: application/json'.",
        )
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                raise HTTPException(
                    413, f"The body is longer than {LARGEST_BODY} bytes."
                )
    except ClientDisconnect:
        raise HTTPException(400, "The request ended before its body did.") from None
    return bytes(body)
