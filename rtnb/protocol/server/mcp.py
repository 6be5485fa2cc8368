"""MCP servers of a session: who named them, what they offer, and who must allow a call.

A server is only ever named by the session's owner, in the tools of a session or of a
response. What the model says chooses among the tools that were listed, and nothing else.

References
----------
OpenAI Realtime API, GA interface. Three things are not documented, and chosen here: the
answer to an approval is followed by a new response, which begins with the call (or, when
it was refused, with the model's words); a response that names a server of its own waits
for its tools; a list that failed is followed by an ``error`` event that says why. Secrets
are echoed as ``<redacted>``, which stands for the known value when it is sent back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.server.effects import ForgetMcpServer, ListMcpTools, McpServer
from rtnb.protocol.server.items import Entry
from rtnb.protocol.server.outbox import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rtnb.protocol.server.items import Items
    from rtnb.protocol.server.outbox import Outbox

REDACTED: Final = "<redacted>"
"""Shown instead of a secret."""

_NAME_LENGTH: Final = 64
"""Longest name of a function, characters: documented for chat models."""


@dataclass(frozen=True)
class Definition:
    """An MCP server as one list of tools names it.

    Parameters
    ----------
    server : McpServer
        Where it is.
    allowed : list, McpToolFilter or None
        The tools that may be called; None: all of them.
    approval : str or McpApprovalFilter
        Which of them need to be allowed each time.
    """

    server: McpServer
    allowed: list[str] | ev.McpToolFilter | None
    approval: str | ev.McpApprovalFilter

    @property
    def label(self) -> str:
        """What it is called in the session."""
        return self.server.label

    @property
    def key(self) -> tuple[McpServer, bytes]:
        """Two with the same list of tools have the same."""
        return self.server, msgspec.json.encode(self.allowed)

    def allows(self, tool: ev.McpToolDescription) -> bool:
        """Whether a tool may be called at all."""
        match self.allowed:
            case None:
                return True
            case list() as names:
                return tool.name in names
            case wanted:
                return _matches(wanted, tool)

    def asks(self, tool: ev.McpToolDescription) -> bool:
        """Whether a call of a tool must be allowed; where nothing is said, it must."""
        policy = self.approval
        if isinstance(policy, str):
            return policy != "never"
        always, never = policy.always, policy.never
        if isinstance(always, ev.McpToolFilter) and _names(always, tool):
            return True
        return not (isinstance(never, ev.McpToolFilter) and _names(never, tool))


def _matches(wanted: ev.McpToolFilter, tool: ev.McpToolDescription) -> bool:
    names, read_only = wanted.tool_names, wanted.read_only
    if isinstance(names, list) and tool.name not in names:
        return False
    return not isinstance(read_only, bool) or read_only == _is_read_only(tool)


def _names(wanted: ev.McpToolFilter, tool: ev.McpToolDescription) -> bool:
    """Whether a filter is about a tool; an empty one is about none."""
    says = isinstance(wanted.tool_names, list) or isinstance(wanted.read_only, bool)
    return says and _matches(wanted, tool)


def _is_read_only(tool: ev.McpToolDescription) -> bool:
    annotations = tool.annotations
    return isinstance(annotations, dict) and annotations.get("readOnlyHint") is True


@dataclass(eq=False)
class Listing:
    """The list of a server's tools, and the item that shows it."""

    definition: Definition
    item_id: str
    previous_item_id: str | None
    state: Literal["asked for", "known", "failed"] = "asked for"
    tools: list[ev.McpToolDescription] = field(default_factory=list)


@dataclass(frozen=True)
class McpOffer:
    """One tool of a server that a response may call.

    Parameters
    ----------
    definition : Definition
        Its server.
    tool : McpToolDescription
        As the server describes it.
    name : str
        What the responder calls it: unique in the response.
    """

    definition: Definition
    tool: ev.McpToolDescription
    name: str

    @property
    def needs_approval(self) -> bool:
        """Whether each call must be allowed."""
        return self.definition.asks(self.tool)

    @property
    def function(self) -> ev.FunctionTool:
        """The tool as a function, for the responder."""
        return ev.FunctionTool(
            name=self.name,
            description=self.tool.description,
            parameters=self.tool.input_schema,
        )


@dataclass(frozen=True)
class Offers:
    """What a response may call.

    Parameters
    ----------
    functions : tuple of FunctionTool
        Of the client.
    mcp : tuple of McpOffer
        Of MCP servers.
    """

    functions: tuple[Any, ...] = ()
    mcp: tuple[McpOffer, ...] = ()

    @property
    def tools(self) -> tuple[Any, ...]:
        """All of them, as functions."""
        return (*self.functions, *(offer.function for offer in self.mcp))

    def find(self, name: str) -> McpOffer | None:
        """The tool of a server that the responder calls so."""
        return next((offer for offer in self.mcp if offer.name == name), None)

    def chosen(self, choice: Any) -> tuple[tuple[Any, ...], Any]:
        """Tools and choice for the responder, who knows of functions only."""
        if not isinstance(choice, ev.ToolChoiceMcp):
            return self.tools, choice
        of_server = [
            offer
            for offer in self.mcp
            if offer.definition.label == choice.server_label
            and choice.name in (UNSET, None, offer.tool.name)
        ]
        # Nothing of it is known yet, or ever: there is nothing to demand.
        demanded = "required" if of_server else "none"
        return tuple(offer.function for offer in of_server), demanded


@dataclass(frozen=True, eq=False)
class ApprovalRequest:
    """A call that waits to be allowed.

    Parameters
    ----------
    item : McpApprovalRequestItem
        As the client sees it.
    offer : McpOffer
        What would be called.
    arguments : dict
        With what.
    config : ResponseConfig
        Of the response that wanted it, which goes on as another one.
    servers : list of Definition or None
        Those that the response names itself.
    given : list of Entry or None
        What it reads instead of the conversation.
    made : tuple of items
        What it had made, where what it reads lacks that.
    """

    item: ev.McpApprovalRequestItem
    offer: McpOffer
    arguments: dict[str, Any]
    config: ev.ResponseConfig
    servers: list[Definition] | None
    given: list[Entry] | None
    made: tuple[Any, ...]


class McpServers:
    """The servers that the owner of a session has named.

    Parameters
    ----------
    outbox : Outbox
        Where events and effects go.
    items : Items
        Where lists of tools are shown.

    Attributes
    ----------
    on_listed : callable
        Called when a list has come, or will not.
    """

    def __init__(self, outbox: Outbox, items: Items) -> None:
        self._outbox = outbox
        self._items = items
        self._session: dict[str, Definition] = {}
        self._named: dict[str, Definition] = {}
        self._listings: dict[tuple[McpServer, bytes], Listing] = {}
        self._requests: dict[str, ApprovalRequest] = {}
        self._answered: set[str] = set()
        self.on_listed: Callable[[], None] = lambda: None

    # -- named by the owner ----------------------------------------------------------

    def read(self, tools: Iterable[Any], path: str) -> list[Definition]:
        """The servers among tools; nothing changes.

        Parameters
        ----------
        tools : iterable of tool
            On the wire.
        path : str
            Where they stand in the event.

        Raises
        ------
        ServerError
            If one cannot be, or is named twice.
        """
        read: dict[str, Definition] = {}
        for index, tool in enumerate(tools):
            if not isinstance(tool, ev.McpTool):
                continue
            where = f"{path}[{index}]"
            if tool.server_label in read:
                raise refusal(
                    f"Duplicate MCP server_label '{tool.server_label}': each label can "
                    "be used once.",
                    "invalid_value",
                    param=f"{where}.server_label",
                )
            read[tool.server_label] = self._definition(tool, where)
        return list(read.values())

    def _definition(self, tool: ev.McpTool, where: str) -> Definition:
        known = self._session.get(tool.server_label) or self._named.get(
            tool.server_label
        )
        server = self._server(tool, known, where)
        allowed, approval = tool.allowed_tools, tool.require_approval
        by_label = not isinstance(tool.server_url, str) and known is not None
        if by_label and known is not None:
            allowed = known.allowed if allowed is UNSET else allowed
            approval = known.approval if approval is UNSET else approval
        return Definition(
            server=server,
            allowed=None if allowed is UNSET else allowed,
            approval="always" if approval in (UNSET, None) else approval,
        )

    def _server(
        self, tool: ev.McpTool, known: Definition | None, where: str
    ) -> McpServer:
        url, label = tool.server_url, tool.server_label
        given = [
            name
            for name in ("server_url", "connector_id", "tunnel_id")
            if isinstance(getattr(tool, name), str)
        ]
        _check_headers(tool, where)
        if len(given) > 1:
            raise refusal(
                f"MCP server '{label}': {' and '.join(given)} exclude each other.",
                "invalid_value",
                param=f"{where}.{given[1]}",
            )
        if given and not isinstance(url, str):
            raise refusal(
                f"MCP server '{label}': {given[0]} names a server that only the "
                "service itself can reach; give the server_url of a streamable HTTP "
                "server.",
                "invalid_value",
                param=f"{where}.{given[0]}",
            )
        if isinstance(url, str):
            _check_url(url, label, f"{where}.server_url")
        elif known is None:
            raise refusal(
                f"MCP server '{label}' has not been defined: give its server_url.",
                "missing_required_parameter",
                param=f"{where}.server_url",
            )
        else:
            url = known.server.url
        same = known is not None and known.server.url == url
        old = dict(known.server.headers) if known is not None and same else {}
        return McpServer(label, url, _headers(tool, old, where))

    def define(self, definitions: Sequence[Definition]) -> None:
        """Let the session have these servers, and no others; list what is new."""
        before = self._session
        self._session = {one.label: one for one in definitions}
        self.list(definitions)
        used = {one.server for one in definitions}
        for gone in before.values():
            if gone.server not in used:
                self._forget(gone)

    def _forget(self, definition: Definition) -> None:
        listing = self._listings.pop(definition.key, None)
        if listing is not None and listing.state == "asked for":
            self._end(listing, "failed", [])
            self._outbox.emit(ev.McpListToolsFailed, item_id=listing.item_id)
        self._outbox.want(ForgetMcpServer(definition.server))

    def list(self, definitions: Iterable[Definition]) -> None:
        """Ask for the tools of servers, where they are not known."""
        for definition in definitions:
            self._named[definition.label] = definition
            listing = self._listings.get(definition.key)
            if listing is None or listing.state == "failed":
                self._ask(definition)

    def _ask(self, definition: Definition) -> None:
        item_id, previous = self._outbox.new_id("item"), self._items.last_id
        listing = Listing(definition, item_id, previous)
        self._listings[definition.key] = listing
        item = _list_item(listing)
        self._items.set(item_id, Entry(item))
        emit = self._outbox.emit
        emit(ev.ConversationItemAdded, previous_item_id=previous, item=item)
        emit(ev.McpListToolsInProgress, item_id=item_id)
        self._outbox.want(ListMcpTools(item_id, definition.server))

    # -- what the engine answers -----------------------------------------------------

    def listed(self, item_id: str, tools: Iterable[ev.McpToolDescription]) -> None:
        """The server's tools are known; those that are not allowed are left out."""
        listing = self._asked(item_id)
        if listing is not None:
            allowed = filter(listing.definition.allows, tools)
            self._end(listing, "known", [*allowed])
            self._outbox.emit(ev.McpListToolsCompleted, item_id=item_id)
            self.on_listed()

    def failed(self, item_id: str, message: str) -> None:
        """The server's tools will not be known: say so, and why."""
        listing = self._asked(item_id)
        if listing is not None:
            self._end(listing, "failed", [])
            self._outbox.emit(ev.McpListToolsFailed, item_id=item_id)
            self._outbox.refuse(
                ServerError(
                    "Error retrieving tool list from MCP server: "
                    f"'{listing.definition.label}'. {message}",
                    type="external_connector_error",
                    code="mcp_list_tools_failed",
                    param="tools",
                )
            )
            self.on_listed()

    def _asked(self, item_id: str) -> Listing | None:
        for listing in self._listings.values():
            if listing.item_id == item_id and listing.state == "asked for":
                return listing
        return None

    def _end(
        self,
        listing: Listing,
        state: Literal["known", "failed"],
        tools: Sequence[ev.McpToolDescription],
    ) -> None:
        listing.state, listing.tools = state, [*tools]
        item = _list_item(listing)
        if listing.item_id in self._items:
            self._items.set(listing.item_id, Entry(item))
        self._outbox.emit(
            ev.ConversationItemDone,
            previous_item_id=listing.previous_item_id,
            item=item,
        )

    # -- what a response may call ----------------------------------------------------

    @property
    def of_session(self) -> Sequence[Definition]:
        """The servers of the session."""
        return list(self._session.values())

    def awaits(self, definitions: Iterable[Definition]) -> bool:
        """Whether the tools of one are still asked for."""
        listings = (self._listings.get(one.key) for one in definitions)
        return any(one is not None and one.state == "asked for" for one in listings)

    def offers(self, tools: Iterable[Any], definitions: Iterable[Definition]) -> Offers:
        """What there is to call now: servers whose tools are not known offer nothing."""
        functions = tuple(tool for tool in tools if not isinstance(tool, ev.McpTool))
        taken = {getattr(tool, "name", "") for tool in functions}
        offers: list[McpOffer] = []
        for definition in definitions:
            listing = self._listings.get(definition.key)
            for tool in listing.tools if listing is not None else ():
                name = _unique(definition.label, tool.name, taken)
                taken.add(name)
                offers.append(McpOffer(definition, tool, name))
        return Offers(functions, tuple(offers))

    # -- who must allow it -----------------------------------------------------------

    def request(self, request: ApprovalRequest) -> None:
        """Remember a call that must be allowed."""
        self._requests[str(request.item.id)] = request

    def answered(self, answer: ev.McpApprovalResponseItem) -> ApprovalRequest | None:
        """The call that an item allows or refuses; None if it is history.

        Raises
        ------
        ServerError
            If there is no such request, or it was answered before.
        """
        wanted = answer.approval_request_id
        if wanted in self._requests:
            return self._requests[wanted]
        if wanted in self._items and wanted not in self._answered:
            return None
        was = "has been answered" if wanted in self._answered else "does not exist"
        raise refusal(
            f"Error creating item: the MCP approval request with id '{wanted}' {was}.",
            "item_create_invalid_approval_request_id",
            param="item.approval_request_id",
        )

    def settle(self, request: ApprovalRequest) -> None:
        """A request has its answer; another one will be refused."""
        request_id = str(request.item.id)
        del self._requests[request_id]
        self._answered.add(request_id)


def redacted(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tools as they are echoed, without what is secret.

    Parameters
    ----------
    tools : iterable of mapping
        As the client sent them.

    Returns
    -------
    list of dict
        The same, with `REDACTED` for authorizations and the values of headers.

    Examples
    --------
    >>> redacted([{"type": "mcp", "server_label": "docs", "authorization": "s3cret"}])
    [{'type': 'mcp', 'server_label': 'docs', 'authorization': '<redacted>'}]
    """
    shown = []
    for tool in tools:
        echo = dict(tool)
        if tool.get("type") == "mcp":
            if tool.get("authorization"):
                echo["authorization"] = REDACTED
            if tool.get("headers"):
                echo["headers"] = dict.fromkeys(tool["headers"], REDACTED)
        shown.append(echo)
    return shown


def _check_url(url: str, label: str, param: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        good = good and parts.username is None and parts.password is None
    except ValueError:
        good = False
    if not good:
        raise refusal(
            f"MCP server '{label}': server_url must be an http:// or https:// address "
            "with a host and without a password.",
            "invalid_value",
            param=param,
        )


def _check_headers(tool: ev.McpTool, where: str) -> None:
    """Refuse two authorizations."""
    headers = tool.headers if isinstance(tool.headers, dict) else {}
    named = any(name.lower() == "authorization" for name in headers)
    if named and isinstance(tool.authorization, str):
        why = "authorization and headers.Authorization exclude each other."
    elif named and isinstance(tool.connector_id, str):
        why = "a connector takes its authorization by that name, not in headers."
    else:
        return
    raise refusal(
        f"MCP server '{tool.server_label}': {why}",
        "invalid_value",
        param=f"{where}.headers.Authorization",
    )


def _headers(
    tool: ev.McpTool, old: Mapping[str, str], where: str
) -> tuple[tuple[str, str], ...]:
    """What to send with each request; `old` is what the same address was sent."""
    by_label = not isinstance(tool.server_url, str)
    nothing_said = tool.authorization is UNSET and tool.headers is UNSET
    if by_label and nothing_said:
        return tuple(old.items())
    headers = dict(tool.headers) if isinstance(tool.headers, dict) else {}
    if isinstance(tool.authorization, str):
        shown = tool.authorization == REDACTED
        headers["Authorization"] = REDACTED if shown else f"Bearer {tool.authorization}"
    for name, value in headers.items():
        if value == REDACTED:
            if name not in old:
                raise refusal(
                    f"MCP server '{tool.server_label}': '{REDACTED}' stands for a value "
                    f"that was given before, and there is none of {name} for this "
                    "address.",
                    "invalid_value",
                    param=f"{where}.headers.{name}",
                )
            headers[name] = old[name]
    return tuple(headers.items())


def _list_item(listing: Listing) -> ev.McpListToolsItem:
    return ev.McpListToolsItem(
        id=listing.item_id,
        server_label=listing.definition.label,
        tools=[*listing.tools],
    )


def _unique(label: str, name: str, taken: set[str]) -> str:
    """A name for a tool that chat models accept and no other tool has."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_NAME_LENGTH] or "tool"
    if plain not in taken:
        return plain
    longer = re.sub(r"[^A-Za-z0-9_-]", "_", f"{label}_{name}")[: _NAME_LENGTH - 4]
    names = [longer, *(f"{longer}_{number}" for number in range(2, 1000))]
    return next(one for one in names if one not in taken)
