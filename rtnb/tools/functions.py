"""Functions as tools: their definition, whether they may run, and how they are run."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, overload

import msgspec
from msgspec import UNSET

from rtnb.clock import SystemClock
from rtnb.errors import ConfigError
from rtnb.portal import settled, user_portal
from rtnb.protocol.events import FunctionTool
from rtnb.tools.docstrings import description
from rtnb.tools.results import Outcome
from rtnb.tools.schema import arguments_schema, arguments_type

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rtnb.clock import Clock

log = logging.getLogger("rtnb.tools")

TIMEOUT_SECONDS: Final = 30.0
"""How long a tool may take unless it is told otherwise."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Policy: TypeAlias = Callable[[str, dict[str, Any]], Any]
"""Takes the function's name and its arguments; only True, or what awaits to it, allows."""

Confirm: TypeAlias = bool | Policy
"""Whether a call must be allowed first: True asks a person, a policy decides itself."""


@dataclass(frozen=True)
class Tool:
    """A function, the definition that the model is given, and how it may be called.

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
    confirm : bool or callable
        Who must allow each call.
    """

    definition: FunctionTool
    function: Callable[..., Any]
    timeout: float
    arguments: type[msgspec.Struct]
    confirm: Confirm = False

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *,
        timeout: float = TIMEOUT_SECONDS,
        confirm: Confirm = False,
    ) -> Tool:
        """Make a tool of a plain function.

        Parameters
        ----------
        function : callable
            A function or method with a name. Its docstring, in numpydoc or Google
            style, describes it and its parameters; ``Annotated[int, "…"]`` does too.
        timeout : float, default 30.0
            Seconds it may take.
        confirm : bool or callable
            Who must allow each call, see `tool`.

        Raises
        ------
        ConfigError
            If it has no name that the API takes, a parameter that cannot be given by
            name, an annotation that has no JSON Schema, or a timeout or policy that
            cannot be.

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
        if not timeout > 0:
            raise ConfigError(f"timeout is {timeout!r}: give {name} seconds to run in")
        arguments = arguments_type(function, name)
        definition = FunctionTool(
            name=name,
            description=description(inspect.getdoc(function) or "") or UNSET,
            parameters=arguments_schema(function, arguments),
        )
        return cls(definition, function, timeout, arguments).confirmed(confirm)

    def confirmed(self, confirm: Confirm) -> Tool:
        """Return the same tool with another policy.

        Raises
        ------
        ConfigError
            If it is neither True, False nor a function.
        """
        if not (isinstance(confirm, bool) or callable(confirm)):
            raise ConfigError(
                f"confirm is {confirm!r}: give True to be asked, or a function that "
                "takes the name and the arguments and returns True to allow the call"
            )
        return replace(self, confirm=confirm)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function itself, as if it were no tool."""
        return self.function(*arguments, **named)

    def read(self, arguments: str) -> dict[str, Any]:
        """Check the model's arguments and convert them.

        Parameters
        ----------
        arguments : str
            JSON object.

        Returns
        -------
        dict
            What the function is given; defaults are left to it.

        Raises
        ------
        ValueError
            If they do not fit; the message says what was expected, and where.
        """
        values = msgspec.json.decode(
            arguments or "{}", type=self.arguments, strict=False
        )
        return {
            name: value
            for name, value in msgspec.structs.asdict(values).items()
            if value is not UNSET
        }

    async def call(self, arguments: str, *, clock: Clock | None = None) -> Outcome:
        """Call the function with the model's arguments, if they fit.

        Parameters
        ----------
        arguments : str
            JSON object.
        clock : Clock, optional
            Whose time the timeout is.

        Returns
        -------
        Outcome
            What the model is told: an ``{"error": …}`` if the arguments do not fit,
            the function raises, or it takes longer than `timeout`.

        Notes
        -----
        Cancelling the call cancels an asynchronous function; a thread goes on and
        what it returns is dropped.
        """
        try:
            given = self.read(arguments)
        except ValueError as error:
            return Outcome.error(f"the arguments do not fit: {error}", "refused")
        return await self._within_time(self._start(self.function, given), clock)

    async def allows(self, arguments: str) -> bool:
        """Ask the tool's own policy, which is a function, whether a call may be made.

        Notes
        -----
        It runs where the function would. One that raises allows nothing.
        """
        given = self.read(arguments)
        decided = self._start(self._decide, given)
        try:
            return await settled(decided) == Outcome.of(result=True)
        finally:
            decided.cancel()

    def _decide(self, **given: Any) -> Any:
        assert callable(self.confirm)
        answer = self.confirm(self.definition.name, given)
        if inspect.isawaitable(answer):
            return _is_true(answer)
        return answer is True

    async def _within_time(
        self, future: concurrent.futures.Future[Outcome], clock: Clock | None
    ) -> Outcome:
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
        return Outcome.error(f"no result within {self.timeout:g} s", "timeout")

    def _start(
        self, function: Callable[..., Any], given: dict[str, Any]
    ) -> concurrent.futures.Future[Outcome]:
        if inspect.iscoroutinefunction(function):
            return user_portal().submit(self._outcome_of(function(**given)))
        future: concurrent.futures.Future[Outcome] = concurrent.futures.Future()
        name = f"rtnb.tool.{self.definition.name}"
        arguments = (future, function, given)
        threading.Thread(
            target=self._run, args=arguments, name=name, daemon=True
        ).start()
        return future

    def _run(
        self,
        future: concurrent.futures.Future[Outcome],
        function: Callable[..., Any],
        given: dict[str, Any],
    ) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = function(**given)
            if inspect.iscoroutine(result):
                outcome = user_portal().run(self._outcome_of(result))
            else:
                outcome = Outcome.of(result)
        except BaseException as error:  # noqa: BLE001 - a tool may even call sys.exit
            outcome = self._failure(error)
        future.set_result(outcome)

    async def _outcome_of(self, coroutine: Coroutine[Any, Any, Any]) -> Outcome:
        try:
            return Outcome.of(await coroutine)
        except Exception as error:  # noqa: BLE001 - whatever it is, the model is told
            return self._failure(error)

    def _failure(self, error: BaseException) -> Outcome:
        name = self.definition.name
        log.warning("tool.failed", exc_info=error, extra={"rtnb.tool": name})
        return Outcome.error(f"{type(error).__name__}: {error}")


async def _is_true(answer: Any) -> bool:
    return (await answer) is True


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *, confirm: Confirm = ..., timeout: float = ...
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    confirm: Confirm = False,
    timeout: float = TIMEOUT_SECONDS,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Say how a function may be called when it is a tool. A decorator.

    Parameters
    ----------
    function : callable
        The function, where the decorator is written without brackets.
    confirm : bool or callable
        Whether each call must be allowed first. True: a person is asked in the
        notebook, and the model is told if they refuse; without a notebook every call is
        refused. A function: it takes the name and the arguments and allows a call by
        returning True, and by nothing else.
    timeout : float, default 30.0
        Seconds it may take, once it was allowed.

    Returns
    -------
    Tool
        To be given to `Session.configure`; calling it calls the function.

    Raises
    ------
    ConfigError
        If the function cannot be a tool, see `Tool.of`.

    Notes
    -----
    In JupyterLab with ipykernel 7 a click is heard while a cell runs. An older kernel
    hears it when the cell has ended: there, do not wait for the turn in the cell.

    Examples
    --------
    >>> @tool(confirm=lambda name, arguments: arguments["amount"] < 100)
    ... def pay(amount: float) -> str:
    ...     '''Pay an amount.'''
    ...     return "paid"
    >>> pay(5)
    'paid'
    """
    if function is not None:
        return Tool.of(function)

    def decorate(function: Callable[..., Any]) -> Tool:
        return Tool.of(function, confirm=confirm, timeout=timeout)

    return decorate
