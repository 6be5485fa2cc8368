"""Real HTTP servers on loopback that speak as model servers do, oddities included."""

import asyncio
import contextlib
import json
import secrets
import socket
import threading
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PATIENCE_S = 20.0


_models = {}
_hub = []


@contextlib.contextmanager
def hub():
    """One server for the models of all tests, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    every = ["GET", "POST"]
    config = uvicorn.Config(
        Starlette(routes=[Route("/{key}/v1/{path:path}", _dispatch, methods=every)]),
        log_level="critical",
        access_log=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    _hub.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
    try:
        yield
    finally:
        _hub.clear()
        server.should_exit = True
        thread.join()
        listener.close()


async def _dispatch(request):
    return await _models[request.path_params["key"]].serve(request)


@contextlib.contextmanager
def served(model):
    """Serve a model; gives the base of its API."""
    key = secrets.token_hex(4)
    _models[key] = model
    try:
        yield f"{_hub[0]}/{key}/v1"
    finally:
        del _models[key]


def nowhere():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


# -- chat ------------------------------------------------------------------------------


def chunk(content=None, *, finish=None, calls=None, **delta):
    """One chunk of an answer, as OpenAI writes it."""
    if content is not None:
        delta["content"] = content
    if calls is not None:
        delta["tool_calls"] = calls
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def call(index, name=None, arguments="", call_id=None):
    """One part of a call."""
    part = {"index": index, "function": {"arguments": arguments}}
    if name is not None:
        part["function"]["name"] = name
    if call_id is not None:
        part |= {"id": call_id, "type": "function"}
    return part


def events(*chunks, done=True):
    """The bytes of a stream."""
    body = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks)
    return body + b"data: [DONE]\n\n" if done else body


def says(*words):
    """A stream of words."""
    pieces = [chunk(role="assistant"), *map(chunk, words), chunk(finish="stop")]
    return events(*pieces)


@dataclass
class Stalled:
    """Bytes that are sent, and then nothing for ever."""

    head: bytes


@dataclass
class Broken:
    """Bytes that are sent before the connection is lost."""

    head: bytes


@dataclass
class Model:
    """A chat, speech or transcription server with answers that are laid out for it."""

    models: list[str] | None = field(default_factory=lambda: ["tiny"])
    replies: list[object] = field(default_factory=list)
    requests: list[dict] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)
    size: int = 7
    """Bytes in a piece: odd, so that lines, signs and samples are cut anywhere."""
    media_type: str = "text/event-stream"

    def __post_init__(self):
        self.begun = threading.Event()
        self.gone = threading.Event()

    async def serve(self, request):
        self.headers.append(dict(request.headers))
        if request.path_params["path"] == "models":
            return self._list()
        body = await request.body()
        self.requests.append(_fields(request.headers["content-type"], body))
        reply = self.replies.pop(0)
        if isinstance(reply, Response):
            return reply
        return _Stream(self, self._pieces(reply))

    def _list(self):
        if self.models is None:
            return Response(status_code=404)
        data = [{"id": name, "object": "model"} for name in self.models]
        return JSONResponse({"object": "list", "data": data})

    async def _pieces(self, reply):
        head = reply if isinstance(reply, bytes) else reply.head
        for start in range(0, len(head), self.size):
            yield head[start : start + self.size]
        if isinstance(reply, Stalled):
            self.begun.set()
            await asyncio.Event().wait()
        if isinstance(reply, Broken):
            raise ConnectionError


class _Stream(StreamingResponse):
    """Says when it is over, by its end or because nobody listens any more."""

    def __init__(self, model, pieces):
        super().__init__(pieces, media_type=model.media_type)
        self.model = model

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.model.gone.set()


def _fields(content_type, body):
    """Fields of a JSON body, or of a form; files as (name, bytes)."""
    if content_type.startswith("application/json"):
        return json.loads(body)
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = BytesParser(policy=HTTP).parsebytes(head + body)
    fields = {}
    for part in form.iter_parts():
        disposition = part["content-disposition"]
        name = disposition.params["name"]
        data = part.get_payload(decode=True)
        file = disposition.params.get("filename")
        fields[name] = (file, data) if file else data.decode()
    return fields
