"""Calls of MCP tools that the server asks about, and runs once they are allowed.

To the session they are calls like those of its own functions: they wait for a person or
a policy, and what comes of that is told. Only what is run is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from rtnb.protocol.events import (
    FunctionTool,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
)
from rtnb.tools import Outcome, Tool

if TYPE_CHECKING:
    from rtnb.clock import Clock
    from rtnb.tools import Confirm


class Permission(Tool):
    """Stands for a tool that the server runs: to call it is to let the server do so."""

    @override
    def read(self, arguments: str) -> dict[str, Any]:
        """The arguments, whatever they are; the server knows the schema."""
        return msgspec.json.decode(arguments or "{}", type=dict[str, Any])

    @override
    async def call(self, arguments: str, *, clock: Clock | None = None) -> Outcome:
        """Nothing is left to do."""
        return Outcome.of("allowed")


def permission(request: McpApprovalRequestItem, confirm: Confirm) -> Permission:
    """What decides whether the server may make a call.

    Parameters
    ----------
    request : McpApprovalRequestItem
        What it asks.
    confirm : bool or callable
        Who must allow it, as of any tool: nobody, a person, or a function of the name
        and the arguments.

    Returns
    -------
    Permission
        To be run like a tool.
    """
    return Permission(
        definition=FunctionTool(name=request.name),
        function=dict,
        timeout=0.0,
        arguments=msgspec.Struct,
        confirm=confirm,
    )


def answer_to(request_id: str, outcome: Outcome) -> McpApprovalResponseItem:
    """The item that tells the server.

    Parameters
    ----------
    request_id : str
        Of the request's item.
    outcome : Outcome
        Of the permission.

    Returns
    -------
    McpApprovalResponseItem
        To be put into the conversation.
    """
    allowed = outcome.status == "done"
    return McpApprovalResponseItem(
        approval_request_id=request_id,
        approve=allowed,
        reason=None if allowed else outcome.output,
    )
