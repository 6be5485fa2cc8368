"""A chat model that answers: any ``/v1/chat/completions``, streamed.

Words travel as they come; calls of functions are gathered and given at the end, in the
order of their index. What a model thinks (``reasoning``, ``reasoning_content``) is not
said. The server is asked for its token counts, which are logged
(``chat.answered``); a response's ``usage`` stays the gateway's own estimate, which tells
audio from text.

References
----------
.. [1] OpenAI API reference, "Create chat completion", the streaming object.
"""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rtnb.gateway.adapters.history import messages_of, tools_of
from rtnb.gateway.adapters.server import ModelServer
from rtnb.gateway.adapters.sse import EventStream
from rtnb.gateway.responder import ToolCall

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    import httpx

    from rtnb.errors import EngineError
    from rtnb.gateway.adapters.settings import ChatSettings
    from rtnb.gateway.responder import Request

log = logging.getLogger("rtnb.gateway")

PATH: Final = "/chat/completions"
DONE: Final = "[DONE]"


class ChatResponder:
    """Answers by a chat model.

    Parameters
    ----------
    settings : ChatSettings
        Which.

    Raises
    ------
    ConfigError
        If the key's variable is not set.

    Notes
    -----
    Runs in the gateway's event loop. Closing the answer, as an interruption by the user
    does, closes the connection, by which servers stop to work on it.
    """

    def __init__(self, settings: ChatSettings) -> None:
        self._settings = settings
        self._server = ModelServer(settings, what="the chat model")

    async def __call__(self, request: Request) -> AsyncGenerator[str | ToolCall]:
        """Answer.

        Parameters
        ----------
        request : Request
            What is known.

        Yields
        ------
        str or ToolCall
            Words as they come, calls at the end.

        Raises
        ------
        EngineError
            If the server fails, or what it sends is no answer.
        """
        body = body_of(request, self._settings)
        answer = _Answer(self._server)
        async with (
            self._server.post(PATH, json=body) as response,
            aclosing(_chunks(response, self._server)) as chunks,
        ):
            async for chunk in chunks:
                if words := answer.take(chunk):
                    yield words
        for call in answer.calls():
            yield call

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._server.close()


def body_of(request: Request, settings: ChatSettings) -> dict[str, Any]:
    """What is sent for a request.

    Parameters
    ----------
    request : Request
        What is to be answered.
    settings : ChatSettings
        Model and options.

    Returns
    -------
    dict
        Body of the chat completion. With ``tool_choice`` ``"none"`` no functions are in
        it, for some servers heed only that.
    """
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": messages_of(request),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.max_tokens is not None:
        body["max_tokens"] = settings.max_tokens
    if request.tools and request.tool_choice != "none":
        body["tools"] = tools_of(request.tools)
        choice = _choice(request)
        if choice != "auto":
            body["tool_choice"] = choice
    return {**body, **settings.extra}


def _choice(request: Request) -> str | dict[str, Any]:
    choice = request.tool_choice
    if isinstance(choice, str):
        return choice
    name = choice.get("name") if isinstance(choice, dict) else None
    name = name or getattr(choice, "name", None)
    known = any(tool.name == name for tool in request.tools)
    return {"type": "function", "function": {"name": name}} if known else "required"


async def _chunks(
    response: httpx.Response, server: ModelServer
) -> AsyncGenerator[dict[str, Any]]:
    """The chunks of an answer; a server that does not stream sends one."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        yield _object(await server.whole(response), server)
        return
    events = EventStream()
    async for data in response.aiter_bytes():
        for event in events.feed(data):
            if event.strip() == DONE:
                yield {"done": True}
                return
            yield _object(event, server)
    for event in events.end():
        yield {"done": True} if event.strip() == DONE else _object(event, server)


def _object(data: str | bytes, server: ModelServer) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        raise server.wrong(
            f"sent something that is no chunk of an answer: {text[:80]!r}"
        )
    return value


@dataclass
class _Call:
    """A call in the making: its parts come in pieces."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class _Answer:
    """What has come of an answer."""

    server: ModelServer
    ended: bool = False
    said: bool = False
    reason: str = ""
    made: list[_Call] = field(default_factory=list)
    at: dict[int, _Call] = field(default_factory=dict)

    def take(self, chunk: dict[str, Any]) -> str:
        """Take a chunk; returns the words in it."""
        if chunk.get("done") is True:
            self.ended = True
            return ""
        if (error := chunk.get("error")) or chunk.get("object") == "error":
            raise self.server.wrong(f"failed: {_words_of(error or chunk)}")
        if isinstance(usage := chunk.get("usage"), dict):
            log.info("chat.answered", extra={"rtnb.usage": usage})
        choices = chunk.get("choices") or [{}]
        choice = choices[0] if isinstance(choices[0], dict) else {}
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self.ended, self.reason = True, reason
        delta = choice.get("delta") or choice.get("message") or {}
        for call in delta.get("tool_calls") or ():
            self._gather(call)
        words = _content(delta.get("content"))
        self.said = self.said or bool(words)
        return words

    def calls(self) -> Iterator[ToolCall]:
        """The calls, once all has come."""
        if not self.ended:
            raise self.server.wrong("ended its answer in the middle")
        if self.reason == "content_filter" and not (self.said or self.made):
            raise self.server.wrong("withheld its answer (content_filter)")
        if self.reason == "length":
            log.warning("chat.cut", extra={"rtnb.reason": "max_tokens of the server"})
        for call in self.made:
            yield ToolCall(call.name, self._arguments(call))

    def _gather(self, part: Any) -> None:
        """Add a part of a call."""
        if not isinstance(part, dict):
            raise self.server.wrong(f"sent a call that is none: {part!r:.80}")
        function = part.get("function") or {}
        new_id, name = part.get("id") or "", function.get("name") or ""
        index = self._index(part.get("index"), new_id, name)
        call = self.at.get(index)
        # Some servers give every call the same index; then another id tells.
        if call is None or (new_id and call.id and new_id != call.id):
            call = self.at[index] = _Call()
            self.made.append(call)
        call.id = call.id or new_id
        if name != call.name:  # some repeat it in every part
            call.name += name
        arguments = function.get("arguments") or ""
        call.arguments += (
            arguments if isinstance(arguments, str) else json.dumps(arguments)
        )

    def _index(self, index: object, new_id: str, name: str) -> int:
        """Which call a part belongs to; some servers do not say."""
        if isinstance(index, int):
            return index
        for known, call in self.at.items():
            if new_id and call.id == new_id:
                return known
        last = max(self.at, default=-1)
        return last + 1 if new_id or name else max(last, 0)

    def _arguments(self, call: _Call) -> dict[str, Any]:
        if not call.name:
            raise self.server.wrong("called a function without a name")
        text = call.arguments.strip()
        try:
            value = json.loads(text) if text else {}
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._bad_arguments(call)
        return value

    def _bad_arguments(self, call: _Call) -> EngineError:
        return self.server.wrong(
            f"called {call.name} with arguments that are no JSON object: "
            f"{call.arguments[:80]!r}"
        )


def _content(content: object) -> str:
    """Words of a delta: a string, or parts of which the texts count."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(
        part["text"]
        for part in content
        if isinstance(part, dict)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
    )


def _words_of(error: object) -> str:
    if isinstance(error, dict):
        return str(error.get("message") or error)
    return str(error)
