"""Plain Python functions that the model can call.

The schema of a function comes from its annotations, defaults and docstring. A call never
raises: what goes wrong is told to the model as ``{"error": …}``, which it can read and
answer. Synchronous functions run in a daemon thread of their own, asynchronous ones on
the users' portal; one that never returns is given up after its timeout.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from rtnb.clock import SystemClock
from rtnb.errors import ConfigError
from rtnb.portal import settled, user_portal
from rtnb.protocol.events import FunctionTool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from rtnb.clock import Clock

log = logging.getLogger("rtnb.tools")

TIMEOUT_SECONDS: Final = 30.0
"""How long a tool may take unless it is told otherwise."""

MAX_OUTPUT_CHARACTERS: Final = 32_768
"""Longest output that is sent to the model whole; it is all billed as input."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNNAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
)


@dataclass(frozen=True)
class Tool:
    """A function, the definition that the model is given, and how long it may take.

    Parameters
    ----------
    definition : FunctionTool
        Name, description and JSON Schema of the arguments.
    function : callable
        Takes the arguments by keyword; may be asynchronous.
    timeout : float
        Seconds.
    arguments : type
        The msgspec type that checks and converts the arguments.
    """

    definition: FunctionTool
    function: Callable[..., Any]
    timeout: float
    arguments: type[msgspec.Struct]

    @classmethod
    def of(
        cls, function: Callable[..., Any], *, timeout: float = TIMEOUT_SECONDS
    ) -> Tool:
        """Make a tool of a plain function.

        Parameters
        ----------
        function : callable
            A function or method with a name. Its docstring, in numpydoc or Google
            style, describes it and its parameters; ``Annotated[int, "…"]`` does too.
        timeout : float, default 30.0
            Seconds it may take.

        Raises
        ------
        ConfigError
            If it has no name that the API takes, a parameter that cannot be given by
            name, or an annotation that has no JSON Schema.

        Examples
        --------
        >>> def weather(city: str, days: int = 1) -> str:
        ...     '''Forecast for a city.'''
        >>> Tool.of(weather).definition.parameters["required"]
        ['city']
        """
        name = getattr(function, "__name__", "")
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{function!r} cannot be a tool under the name {name!r}: give a function "
                "whose name is 1 to 64 letters, digits, '_' or '-'"
            )
        doc = inspect.getdoc(function) or ""
        arguments = _arguments_type(function, name)
        definition = FunctionTool(
            name=name,
            description=_description(doc) or UNSET,
            parameters=_schema(function, arguments),
        )
        return cls(definition, function, timeout, arguments)

    async def call(self, arguments: str, *, clock: Clock | None = None) -> str:
        """Call the function with the model's arguments.

        Parameters
        ----------
        arguments : str
            JSON object.
        clock : Clock, optional
            Whose time the timeout is.

        Returns
        -------
        str
            What the model is told: a string as it is, anything else as JSON; an
            ``{"error": …}`` if the arguments do not fit, the function raises, or it
            takes longer than `timeout`; cut where it is too long.

        Notes
        -----
        Cancelling the call cancels an asynchronous function; a thread goes on and
        what it returns is dropped.
        """
        try:
            values = msgspec.json.decode(
                arguments or "{}", type=self.arguments, strict=False
            )
        except msgspec.DecodeError as error:
            return error_output(f"the arguments do not fit: {error}")
        given = {
            name: value
            for name, value in msgspec.structs.asdict(values).items()
            if value is not UNSET
        }
        future = self._start(given)
        work = asyncio.ensure_future(settled(future))
        alarm = asyncio.ensure_future((clock or SystemClock()).sleep(self.timeout))
        try:
            await asyncio.wait({work, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        finally:
            future.cancel()
            work.cancel()
            alarm.cancel()
        log.warning("tool.timeout", extra={"rtnb.tool": self.definition.name})
        return error_output(f"no result within {self.timeout:g} s")

    def _start(self, given: dict[str, Any]) -> concurrent.futures.Future[str]:
        if inspect.iscoroutinefunction(self.function):
            return user_portal().submit(self._outcome_of(self.function(**given)))
        future: concurrent.futures.Future[str] = concurrent.futures.Future()
        name = f"rtnb.tool.{self.definition.name}"
        target = self._run
        threading.Thread(
            target=target, args=(future, given), name=name, daemon=True
        ).start()
        return future

    def _run(
        self, future: concurrent.futures.Future[str], given: dict[str, Any]
    ) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = self.function(**given)
            if inspect.iscoroutine(result):
                output = user_portal().run(self._outcome_of(result))
            else:
                output = _encoded(result)
        except BaseException as error:  # noqa: BLE001 - a tool may even call sys.exit
            output = self._failure(error)
        future.set_result(output)

    async def _outcome_of(self, coroutine: Coroutine[Any, Any, Any]) -> str:
        try:
            return _encoded(await coroutine)
        except Exception as error:  # noqa: BLE001 - whatever it is, the model is told
            return self._failure(error)

    def _failure(self, error: BaseException) -> str:
        name = self.definition.name
        log.warning("tool.failed", exc_info=error, extra={"rtnb.tool": name})
        return error_output(f"{type(error).__name__}: {error}")


# -- arguments and their schema ----------------------------------------------------------


def _arguments_type(function: Callable[..., Any], name: str) -> type[msgspec.Struct]:
    """Type that checks the arguments of a function and converts them."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"the annotations of {name} cannot be read: {error}"
        ) from None
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in _UNNAMED:
            raise ConfigError(
                f"{name} takes {parameter}, which the model cannot give by name: "
                "give every parameter a name of its own"
            )
        hint = hints.get(parameter.name, Any)
        if parameter.default is parameter.empty:
            fields.append((parameter.name, hint))
        else:
            fields.append((parameter.name, hint | UnsetType, UNSET))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


def _schema(
    function: Callable[..., Any], arguments: type[msgspec.Struct]
) -> dict[str, Any]:
    """JSON Schema of the arguments, with descriptions and defaults."""
    name = arguments.__name__
    try:
        (root,), definitions = msgspec.json.schema_components(
            [arguments], ref_template="#/$defs/{name}"
        )
    except (TypeError, NotImplementedError) as error:
        raise ConfigError(
            f"an annotation of {name} has no JSON Schema: {error}"
        ) from error
    schema: dict[str, Any] = definitions.pop(root["$ref"].rpartition("/")[2])
    del schema["title"]
    described = _parameter_docs(inspect.getdoc(function) or "")
    for parameter in inspect.signature(function).parameters.values():
        entry = schema["properties"][parameter.name]
        description = _annotated(function, parameter.name) or described.get(
            parameter.name
        )
        if description:
            entry.setdefault("description", description)
        if parameter.default is not parameter.empty:
            with suppress(TypeError):
                entry["default"] = msgspec.to_builtins(parameter.default)
    return schema | ({"$defs": definitions} if definitions else {})


def _annotated(function: Callable[..., Any], parameter: str) -> str | None:
    """Text of an ``Annotated[…, "text"]``."""
    hint = get_type_hints(function, include_extras=True).get(parameter)
    texts = (
        each for each in getattr(hint, "__metadata__", ()) if isinstance(each, str)
    )
    return next(texts, None)


# -- docstrings --------------------------------------------------------------------------

_NUMPY_SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}[ ]*$", re.MULTILINE)
_GOOGLE_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Keyword Args|Returns|Yields|Raises|Notes?|Examples?):[ ]*$",
    re.MULTILINE,
)
_OF_PARAMETERS: Final = ("Parameters", "Args", "Arguments", "Keyword Args")
_NUMPY_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: ?:.*)?$")
_GOOGLE_ENTRY = re.compile(r"^(\w+)(?: ?\([^)]*\))?: ?(.*)$")


def _sections(doc: str) -> list[tuple[str, str]]:
    """Headings of a docstring and what stands under each; the first has none."""
    marks = sorted(
        (match.start(), match.end(), match[1])
        for pattern in (_NUMPY_SECTION, _GOOGLE_SECTION)
        for match in pattern.finditer(doc)
    )
    starts = [("", 0), *((heading, end) for _, end, heading in marks)]
    ends = [*(start for start, _, _ in marks), len(doc)]
    return [
        (heading, doc[start:end])
        for (heading, start), end in zip(starts, ends, strict=True)
    ]


def _description(doc: str) -> str:
    """What stands in front of the first section."""
    return inspect.cleandoc(_sections(doc)[0][1]).strip()


def _parameter_docs(doc: str) -> dict[str, str]:
    """Description of each parameter, on one line."""
    described: dict[str, list[str]] = {}
    for heading, body in _sections(doc):
        if heading in _OF_PARAMETERS:
            _describe(inspect.cleandoc(body), described)
    return {name: " ".join(lines).strip() for name, lines in described.items()}


def _describe(body: str, described: dict[str, list[str]]) -> None:
    """Read entries, each at the margin with its description after it or below it."""
    names: list[str] = []
    for line in body.splitlines():
        if line[:1].strip():
            google, numpy = _GOOGLE_ENTRY.match(line), _NUMPY_ENTRY.match(line)
            is_google = google is not None and " : " not in line
            names = (
                [google[1]] if google and is_google
                else numpy[1].replace("*", "").split(", ") if numpy else []
            )  # fmt: skip
            first = google[2] if google and is_google else ""
        else:
            first = line
        for name in names:
            described.setdefault(name, []).append(first.strip())


# -- what the model is told --------------------------------------------------------------


def _encoded(result: Any) -> str:
    """Return the result as text for the model, cut where it is too long."""
    text = (
        result
        if isinstance(result, str)
        else msgspec.json.encode(result, enc_hook=_builtins).decode()
    )
    if len(text) <= MAX_OUTPUT_CHARACTERS:
        return text
    cut = {"cut_after": MAX_OUTPUT_CHARACTERS, "characters": len(text)}
    beginning = text[: MAX_OUTPUT_CHARACTERS // 2]
    return msgspec.json.encode(cut | {"beginning": beginning}).decode()


def _builtins(value: Any) -> Any:
    """What JSON can say of an array, a table, or anything else."""
    for method in ("tolist", "to_dict"):
        if hasattr(value, method):
            return getattr(value, method)()
    return str(value)


def error_output(message: str) -> str:
    """Output that tells the model what went wrong."""
    return msgspec.json.encode({"error": message[:MAX_OUTPUT_CHARACTERS]}).decode()
