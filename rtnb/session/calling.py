"""Running the functions that the model calls: allowed, in time, and stopped when asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtnb.portal import portal
from rtnb.tools import Outcome

if TYPE_CHECKING:
    from rtnb.clock import Clock
    from rtnb.session.approval import Approvals
    from rtnb.session.book import RunTool
    from rtnb.tools import Tool


class ToolRunner:
    """Functions that run, by the calls that they answer.

    Parameters
    ----------
    approvals : Approvals
        Who is asked where a person must allow a call.
    clock : Clock
        Whose time the timeouts are.

    Notes
    -----
    Everything but `stop` happens on the portal's loop.
    """

    def __init__(self, approvals: Approvals, clock: Clock) -> None:
        self._approvals = approvals
        self._clock = clock
        self._running: dict[str, asyncio.Task[Outcome]] = {}

    async def run(self, run: RunTool) -> Outcome:
        """Call a function once it may be called.

        Returns
        -------
        Outcome
            "cancelled" after `stop`.
        """
        call_id = run.call.call_id
        work = asyncio.ensure_future(self._outcome(run))
        self._running[call_id] = work
        try:
            await asyncio.wait({work})
            if work.cancelled():
                return Outcome.error("the call was cancelled", "cancelled")
            return work.result()
        finally:
            work.cancel()
            del self._running[call_id]

    def stop(self, call_id: str) -> None:
        """Stop a call, from any thread; a thread that runs goes on unheard."""

        def cancel() -> None:
            work = self._running.get(call_id)
            if work is not None:
                work.cancel()

        portal().call(cancel)

    async def _outcome(self, run: RunTool) -> Outcome:
        tool, call = run.tool, run.call
        if tool.confirm is not False and _fits(tool, run.arguments):
            call.status = "waiting"
            refused = await self._refused(run)
            if refused is not None:
                return Outcome.error(
                    f"{call.name} was not called: {refused}", "refused"
                )
            call.status = "running"
        return await tool.call(run.arguments, clock=self._clock)

    async def _refused(self, run: RunTool) -> str | None:
        """Why the call is not allowed; None if it is."""
        tool, call = run.tool, run.call
        if tool.confirm is True:
            return await self._approvals.ask(call.name, call.arguments)
        allowed = await tool.allows(run.arguments)
        return None if allowed else "the policy of this session refused it"


def _fits(tool: Tool, arguments: str) -> bool:
    """Whether there is anything to allow: what does not fit is not called anyway."""
    try:
        tool.read(arguments)
    except ValueError:
        return False
    return True
