"""What answers: a function from a request to the pieces of a reply.

A responder is any callable that takes a :class:`Request` and gives text, tool calls,
pauses and the rarer pieces below, one after the other: a generator, an asynchronous generator, a function that
returns a list or just one string, a coroutine that returns either. Nothing (``None``, an
empty string) means to stay silent. Pieces travel as soon as they are there; the first
sentence is spoken while the next is being thought of.

::

    def responder(request):
        yield f"You said: {request.user_text}. "
        if request.tools:
            yield ToolCall(request.tools[0].name, {})

:func:`stream` runs it for the gateway: a synchronous responder in a thread of its own,
an asynchronous one in the gateway's event loop. :func:`load` finds it by name.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
import inspect
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Protocol,
    TypeAlias,
    cast,
    get_args,
    runtime_checkable,
)

from rtnb.errors import ConfigError, EngineError
from rtnb.protocol.server import Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from datetime import datetime

    from rtnb.protocol.events import FunctionTool, Item
    from rtnb.protocol.server import Shortfall

AHEAD: Final = 8
"""Pieces that a synchronous responder may be ahead of the gateway."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a responder may know when it answers.

    Parameters
    ----------
    instructions : str
        The session's instructions, or those of this response.
    items : tuple of Item
        The conversation so far, oldest first, as on the wire.
    tools : tuple of FunctionTool
        Functions that may be called, and tools of MCP servers, which look like them.
    tool_choice : str or object
        ``"auto"``, ``"none"``, ``"required"``, or an object (or mapping) with the
        ``name`` of the one function to call.
    user_text : str or None
        What the user said or typed last; None when there are no words.
    heard_ms : float or None
        Length of the user's last audio; None when the turn was typed.
    transcription_failed : str or None
        Why the last audio has no words; None when it has, or when nothing was spoken.
    now : datetime.datetime
        The time of the request, aware of its zone.
    """

    instructions: str
    items: tuple[Item, ...]
    tools: tuple[FunctionTool, ...]
    tool_choice: str | object
    user_text: str | None
    heard_ms: float | None
    transcription_failed: str | None
    now: datetime


@dataclass(frozen=True)
class ToolCall:
    """A call of one of the session's functions, or of a tool of an MCP server.

    The client runs a function, and asks for another answer; the gateway runs a tool, and
    asks the responder again, with the call and its output among the items.

    Parameters
    ----------
    name : str
        The function's name.
    arguments : dict
        Its arguments; they travel as JSON.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pause:
    """Time that passes before the next piece.

    Parameters
    ----------
    seconds : float, >= 0
        How long; infinity is until the answer is interrupted or cancelled.

    Raises
    ------
    ConfigError
        If `seconds` is negative or not a number.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise ConfigError(
                f"a pause of {self.seconds} s cannot be: give zero or more seconds"
            )


@dataclass(frozen=True)
class NextMessage:
    """What follows is a message of its own; of models that make but one, the same.

    Models that reason say of each message but the last that it is commentary.
    """


@dataclass(frozen=True)
class Pace:
    """How fast the sound of the answer leaves from here on.

    Parameters
    ----------
    rate : float, > 0
        Times real time, after the first second; infinity is at once.

    Raises
    ------
    ConfigError
        If `rate` is not positive.
    """

    rate: float

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ConfigError(
                f"a rate of {self.rate} cannot be: 1 is real time, more is faster"
            )


@dataclass(frozen=True)
class StopShort:
    """The answer ends here, ``incomplete``.

    Parameters
    ----------
    reason : str
        ``"max_output_tokens"`` or ``"content_filter"``.
    """

    reason: Shortfall


@dataclass(frozen=True)
class Failure:
    """The answer ends here, ``failed``.

    Parameters
    ----------
    message : str
        What is said of it.
    code : str or None
        A key of `rtnb.protocol.server.FAILURES`; None for an error of the server.
    """

    message: str
    code: str | None = None


Piece: TypeAlias = (
    str | ToolCall | Pause | NextMessage | Pace | Tokens | StopShort | Failure
)
"""One step of a reply; `Tokens` say what it costs, instead of what is counted."""


class Responder(Protocol):
    """Anything that answers a request."""

    def __call__(self, request: Request, /) -> Any:
        """Answer.

        Parameters
        ----------
        request : Request
            What is known.

        Returns
        -------
        iterable, asynchronous iterable or awaitable of pieces, a piece, or None
            The reply, see the module.
        """


@dataclass(frozen=True)
class Told:
    """How the client is told what the user said.

    Parameters
    ----------
    delay : float, >= 0
        Seconds after the words are known; infinity is never.
    failure : str or None
        That there are no words, and why, though there are.
    """

    delay: float = 0.0
    failure: str | None = None

    @property
    def at_once(self) -> bool:
        """Whether nothing is held back."""
        return self.delay == 0


@runtime_checkable
class Teller(Protocol):
    """A responder that decides how the client is told what the user said."""

    def told(self, words: str) -> Told:
        """How the client is told these words; the answer is not held back by it."""


def told_of(responder: object, words: str) -> Told:
    """How the client is told what the user said: at once, if nobody decides.

    Parameters
    ----------
    responder : object
        Perhaps a `Teller`.
    words : str
        What was recognised.

    Returns
    -------
    Told
        How.
    """
    return responder.told(words) if isinstance(responder, Teller) else Told()


def load(name: str) -> Responder:
    """Find a responder by name.

    Parameters
    ----------
    name : str
        ``MODULE:FUNCTION``, such as ``"my_bot:answer"``. The current directory is
        searched first; `FUNCTION` may have dots.

    Returns
    -------
    Responder
        The function.

    Raises
    ------
    ConfigError
        If the name has another form, the module cannot be imported, it has no such
        function, or that cannot be called.
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise ConfigError(
            f"the responder {name!r} has not the form MODULE:FUNCTION: "
            "write, for example, my_bot:answer for the function answer in my_bot.py"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigError(
            f"the responder's module {module_name!r} cannot be imported "
            f"({type(error).__name__}: {error}): it must be installed or lie in {here}"
        ) from error
    try:
        found: object = functools.reduce(getattr, path.split("."), module)
    except AttributeError as error:
        raise ConfigError(
            f"the module {module_name!r} has no {path!r}: {error}"
        ) from error
    if not callable(found):
        raise ConfigError(
            f"{name} is of type {type(found).__name__} and cannot be called: "
            "name a function that takes a request"
        )
    return cast("Responder", found)


_PIECES: Final = get_args(Piece)


async def stream(responder: Responder, request: Request) -> AsyncGenerator[Piece]:
    """Run a responder and give its pieces as they come.

    Parameters
    ----------
    responder : Responder
        Who answers.
    request : Request
        What is known.

    Yields
    ------
    piece
        The reply; empty strings are left out.

    Raises
    ------
    EngineError
        If the responder raises (chained), or gives something that is no piece.

    Notes
    -----
    A synchronous responder runs in a daemon thread and is at most `AHEAD` pieces ahead.
    Closing this generator, or cancelling the task in it, closes the responder's: at once
    when it is asynchronous; when it is synchronous as soon as it yields, in its own
    thread, which nobody waits for. So one that blocks for ever holds nothing up.
    """
    async with aclosing(_pieces(responder, request)) as pieces:
        async for piece in pieces:
            if not isinstance(piece, _PIECES):
                raise EngineError(
                    f"the responder {name_of(responder)} gave a "
                    f"{type(piece).__name__}, not a str, ToolCall or Pause"
                )
            if piece != "":
                yield piece


def name_of(responder: Responder) -> str:
    """The name of a responder, for people.

    Parameters
    ----------
    responder : Responder
        A function, method or callable object.

    Returns
    -------
    str
        As `load` takes it, where it has a name.
    """
    named = responder if hasattr(responder, "__qualname__") else type(responder)
    return f"{named.__module__}:{named.__qualname__}"


async def _pieces(responder: Responder, request: Request) -> AsyncGenerator[object]:
    try:
        if _is_async(responder):
            source = _flatten(responder(request))
        else:
            source = _in_thread(responder, request)
        async with aclosing(source) as pieces:
            async for piece in pieces:
                yield piece
    except EngineError:
        raise  # it says itself what failed
    except (Exception, SystemExit) as error:
        raise EngineError(
            f"the responder {name_of(responder)} raised {type(error).__name__}: {error}"
        ) from error


def _is_async(responder: Responder) -> bool:
    inner: Callable[..., object] = responder
    while isinstance(inner, functools.partial):
        inner = inner.func
    return any(
        inspect.isasyncgenfunction(call) or inspect.iscoroutinefunction(call)
        for call in (inner, getattr(inner, "__call__", None))  # noqa: B004
    )


async def _flatten(reply: object) -> AsyncGenerator[object]:
    """Whatever an asynchronous responder returned, piece by piece."""
    if isinstance(reply, Awaitable):
        reply = await reply
    if not isinstance(reply, AsyncIterable):
        for piece in _iterate(reply):
            yield piece
        return
    pieces: AsyncIterator[object] = aiter(reply)
    try:
        async for piece in pieces:
            yield piece
    finally:
        if hasattr(pieces, "aclose"):
            await pieces.aclose()


def _iterate(reply: object) -> Iterator[object]:
    """Whatever a synchronous responder returned, piece by piece."""
    if reply is None:
        return
    if isinstance(reply, str | bytes | Mapping) or not isinstance(reply, Iterable):
        yield reply
        return
    pieces = iter(reply)
    try:
        yield from pieces
    finally:
        if hasattr(pieces, "close"):
            pieces.close()


async def _in_thread(responder: Responder, request: Request) -> AsyncGenerator[object]:
    run = _ThreadRun(responder, request)
    run.start()
    try:
        async for piece in run.pieces():
            yield piece
    finally:
        run.stop()


class _End:
    """The responder is through, perhaps by an error or with something asynchronous."""

    def __init__(
        self,
        error: BaseException | None = None,
        rest: AsyncIterable[object] | Awaitable[object] | None = None,
    ) -> None:
        self.error = error
        self.rest = rest


class _ThreadRun:
    """A synchronous responder in its thread, and the way back into the loop."""

    def __init__(self, responder: Responder, request: Request) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[object] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)
        self._stopped = threading.Event()
        self._responder = responder
        self._request = request

    def start(self) -> None:
        run = contextvars.copy_context().run
        threading.Thread(
            target=run, args=(self._work,), name="rtnb-responder", daemon=True
        ).start()

    def stop(self) -> None:
        self._stopped.set()
        self._room.release()

    async def pieces(self) -> AsyncGenerator[object]:
        while not isinstance(piece := await self._queue.get(), _End):
            self._room.release()
            yield piece
        if piece.error is not None:
            raise piece.error
        if piece.rest is not None:
            async with aclosing(_flatten(piece.rest)) as rest:
                async for later in rest:
                    yield later

    def _work(self) -> None:
        try:
            reply = self._responder(self._request)
            if isinstance(reply, AsyncIterable | Awaitable):
                self._put(_End(rest=reply))
                return
            self._forward(_iterate(reply))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the gateway tells
            self._put(_End(error))
        else:
            self._put(_End())

    def _forward(self, pieces: Iterator[object]) -> None:
        try:
            for piece in pieces:
                self._room.acquire()
                if self._stopped.is_set():
                    return
                self._put(piece)
        finally:
            pieces.close()  # type: ignore[attr-defined]  # a generator of ours

    def _put(self, piece: object) -> None:
        if not self._stopped.is_set():
            with suppress(RuntimeError):  # the loop is closed: nobody reads any more
                self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)
