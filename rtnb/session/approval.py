"""Calls that a person must allow, and who shows the question.

A question is shown by whoever watches: a panel does. Where nobody does, the notebook
is asked, see `rtnb.notebook`; where there is no notebook either, the answer is
no, with a sentence that names the way out.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rtnb.notebook import questions_are_shown_by
from rtnb.portal import settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtnb.clock import Clock

log = logging.getLogger("rtnb.session")

APPROVAL_SECONDS: Final = 120.0
"""How long a person may think; then the answer is no."""

NOBODY_THERE: Final = (
    "it needs a person's permission, and there is no notebook in which to ask: whoever "
    "runs this can give rtnb.tool(confirm=...) a function that decides"
)


@dataclass(eq=False)
class Approval:
    """The question to a person whether something may be called.

    Parameters
    ----------
    name : str
        The function.
    arguments : dict or str
        As the model gave them.
    """

    name: str
    arguments: dict[str, Any] | str
    _answer: concurrent.futures.Future[bool] = field(
        default_factory=concurrent.futures.Future, repr=False
    )

    @property
    def open(self) -> bool:
        """Whether it waits for an answer."""
        return not self._answer.done()

    def allow(self) -> None:
        """Let it be called; of several answers the first one counts."""
        self._settle(allowed=True)

    def refuse(self) -> None:
        """Do not let it be called; the model is told."""
        self._settle(allowed=False)

    def _settle(self, *, allowed: bool) -> None:
        try:
            self._answer.set_result(allowed)
        except concurrent.futures.InvalidStateError:
            log.debug("approval.late", extra={"rtnb.tool": self.name})


class Approvals:
    """The questions of a session that wait for an answer.

    Parameters
    ----------
    clock : Clock
        Whose time a person has.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: tuple[Approval, ...] = ()
        self._watchers: tuple[Callable[[], object], ...] = ()

    @property
    def waiting(self) -> tuple[Approval, ...]:
        """Those without an answer, the oldest first."""
        return self._waiting

    def watch(self, changed: Callable[[], object]) -> Callable[[], None]:
        """Show questions from now on: be told when there are others than before.

        Parameters
        ----------
        changed : callable
            Takes nothing, returns at once; called on a thread of the session.

        Returns
        -------
        callable
            Ends it.
        """
        self._watchers = (*self._watchers, changed)

        def end() -> None:
            self._watchers = tuple(one for one in self._watchers if one is not changed)

        return end

    async def ask(
        self,
        name: str,
        arguments: dict[str, Any] | str,
        *,
        seconds: float = APPROVAL_SECONDS,
    ) -> str | None:
        """Ask a person.

        Parameters
        ----------
        name : str
            What would be called.
        arguments : dict or str
            With what.
        seconds : float
            To think.

        Returns
        -------
        str or None
            None: it is allowed. Else why it is not, for the model.
        """
        if not self._watchers and questions_are_shown_by() is None:
            return NOBODY_THERE
        question = Approval(name, arguments)
        self._waiting = (*self._waiting, question)
        answer = asyncio.ensure_future(settled(question._answer))  # noqa: SLF001
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            hindered = await self._show()
            if hindered is not None:
                return hindered
            await asyncio.wait({answer, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                return f"nobody allowed it within {seconds:g} s"
            return None if answer.result() else "the user refused it"
        finally:
            answer.cancel()
            alarm.cancel()
            question.refuse()
            self._waiting = tuple(one for one in self._waiting if one is not question)
            self._tell()

    async def _show(self) -> str | None:
        """Show the questions; returns why they could not be."""
        show = questions_are_shown_by()
        if not self._watchers and show is not None:
            try:
                await settled(_in_thread(show, self))
            except Exception as error:
                log.exception("approval.not_shown")
                return f"the question could not be shown: {error}"
        self._tell()
        return None

    def _tell(self) -> None:
        for changed in self._watchers:
            changed()


def _in_thread(
    show: Callable[[Any], object], approvals: Approvals
) -> concurrent.futures.Future[None]:
    """Show questions away from the loop, which must not wait for a page."""
    shown: concurrent.futures.Future[None] = concurrent.futures.Future()

    def run() -> None:
        try:
            show(approvals)
        except BaseException as error:  # noqa: BLE001 - it is told to whoever asked
            shown.set_exception(error)
        else:
            shown.set_result(None)

    threading.Thread(target=run, name="rtnb-question", daemon=True).start()
    return shown
