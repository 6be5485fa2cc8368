"""The book of turns: which event belongs to which turn, and what follows from it.

A machine like that of the protocol: it is told events and times, under the session's
lock, and says what to do as a list of actions. It also keeps the queue of answers that
were asked for: the service makes one at a time, so the next is asked for when the one
before has ended. An answer is known again by the metadata of its request; those that
the turn detector causes have none and go to the turn that was committed last.
"""

from __future__ import annotations

import concurrent.futures
import json
import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET

from rtnb.errors import EngineError, ServerError
from rtnb.protocol import events as ev
from rtnb.session.asking import named, picture_message, references
from rtnb.session.permission import answer_to, permission
from rtnb.session.turn import Segment, ToolCall, Turn, TurnState
from rtnb.tools import Outcome

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from rtnb.errors import RtnbError
    from rtnb.protocol.client import ClientEvent, ClientMachine, ResponseState
    from rtnb.session.asking import Overrides, Said
    from rtnb.session.turn import Kind
    from rtnb.tools import Confirm, Tool

TURN_KEY: Final = "rtnb_turn"
"""Key of the metadata by which a response is known again."""

WORDS_SECONDS: Final = 3.0
"""How long a turn that was answered waits for the transcript of what was said."""

SPEECH_SECONDS: Final = 2.0
"""How long after a server has taken in a clip it may report speech in it."""

ANSWER_SECONDS: Final = 10.0
"""How long an answer that the server owes may take to begin."""

ALREADY_ACTIVE: Final = "conversation_already_has_active_response"
NOT_ACTIVE: Final = "response_cancel_not_active"


@dataclass(frozen=True)
class Post:
    """Send this event."""

    event: ClientEvent


@dataclass(frozen=True)
class RunTool:
    """Run this function and call `TurnBook.tool_done` with what it gives."""

    tool: Tool
    arguments: str
    state: TurnState
    call: ToolCall


@dataclass(frozen=True)
class StopTool:
    """Stop the function that answers this call, if it runs."""

    call_id: str


LookFor: TypeAlias = Literal["words", "fence", "speech", "answer"]
"""The transcript, the end of a clip at the server, speech in it, an answer."""


@dataclass(frozen=True)
class Look:
    """Call `TurnBook.look` in so many seconds."""

    state: TurnState
    seconds: float
    why: LookFor


Action: TypeAlias = Post | RunTool | StopTool | Look


@dataclass(eq=False)
class _Wanted:
    """An answer that is to be asked for, and has been once it has an event id."""

    state: TurnState
    event_id: str | None = None


@dataclass(eq=False)
class _Round:
    """Calls of one response, whose outputs its follow-up waits for."""

    outstanding: set[str]
    posted: bool = False
    completed: bool = False


@dataclass(frozen=True)
class _Commit:
    """A commit of ours: whose, and from where to where in what we sent."""

    state: TurnState
    event_id: str
    span: tuple[float, float]


class TurnBook:
    """Turns of a session, and what to do next.

    Parameters
    ----------
    machine : ClientMachine
        What the session knows; told each event before the book is.
    lock : threading.RLock
        Held by whoever calls.
    embedded : bool
        Whether the server is our own gateway: what fails there is our engine, and
        speech that others sent can be asked back cheaply.
    new_item_id : callable
        Gives each item that we put into the conversation its id.

    Attributes
    ----------
    turns : list of Turn
        In the order in which they began.
    tools : dict of str to Tool
        Functions that answer calls.
    confirm : dict of str to bool or callable
        Who must allow what the server asks about, by the labels of MCP servers; by
        default a person.
    """

    def __init__(
        self,
        machine: ClientMachine,
        lock: threading.RLock,
        *,
        embedded: bool,
        new_item_id: Callable[[], str],
    ) -> None:
        self.turns: list[Turn] = []
        self.tools: dict[str, Tool] = {}
        self.confirm: dict[str, Confirm] = {}
        self._machine = machine
        self._lock = lock
        self._embedded = embedded
        self._new_item_id = new_item_id
        self._states: list[TurnState] = []
        self._open: dict[int, TurnState] = {}
        self._by_item: dict[str, TurnState] = {}
        self._by_response: dict[str, TurnState] = {}
        self._by_event: dict[str, TurnState] = {}
        self._rounds: dict[str, _Round] = {}
        self._called: set[str] = set()
        self._permissions: set[str] = set()
        self._beside: dict[str, TurnState] = {}
        self._queue: deque[_Wanted] = deque()
        self._asked: _Wanted | None = None
        self._echoes = False
        self._expected: deque[TurnState] = deque()
        self._commits: deque[_Commit] = deque()
        self._buffer_start_ms = 0.0
        self._foreign = False
        self._fences: dict[str, TurnState] = {}
        self._loose: list[str] = []
        self._actions: list[Action] = []
        self._now = 0.0
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.InputAudioBufferSpeechStarted: self._speech_started,
            ev.InputAudioBufferSpeechStopped: self._speech_stopped,
            ev.InputAudioBufferTimeoutTriggered: self._timeout_triggered,
            ev.InputAudioBufferCommitted: self._committed,
            ev.InputAudioBufferCleared: self._cleared,
            ev.ConversationItemAdded: self._item_added,
            ev.ConversationItemDone: self._item_done,
            ev.ConversationItemRetrieved: self._item_retrieved,
            ev.ConversationItemInputAudioTranscriptionCompleted: self._words,
            ev.ConversationItemInputAudioTranscriptionFailed: self._no_words,
            ev.SessionUpdated: self._session_updated,
            ev.ResponseCreated: self._response_created,
            ev.ResponseOutputItemDone: self._output_item_done,
            ev.ResponseDone: self._response_done,
            ev.Error: self._error,
        }

    # -- what the session does ---------------------------------------------------------

    def told(
        self,
        said: Said,
        now: float,
        *,
        kind: Kind = "text",
        overrides: Overrides | None = None,
        answered: bool = True,
    ) -> tuple[Turn, list[Action]]:
        """Begin a turn with items, and ask for its answer."""
        self._now = now
        items = [named(item, self._new_item_id()) for item in said.items]
        turn, state = self._begin(kind)
        state.overrides = overrides
        state.images += [each.image for each in said.pictures]
        state.notes += said.notes
        for item in items:
            self._by_item[item.id] = state
            state.user_items.append(item.id)
            state.arriving.add(item.id)
            self._post(ev.ConversationItemCreate(item=item), state)
        if answered:
            state.arriving.clear()
            self._want(state)
        return turn, self._taken()

    def respond(self, overrides: Overrides, now: float) -> tuple[Turn, list[Action]]:
        """Ask for an answer to what there is: in the last turn, if that has none."""
        self._now = now
        state = self._states[-1] if self._states else None
        if state is None or self._loose or not self._may_be_answered(state):
            _, state = self._begin("request")
            self._take_loose(state)
        self._reopen(state)
        state.overrides = overrides
        self._want(state)
        return self.turns[state.index], self._taken()

    def ask(
        self, said: Said, overrides: Overrides, *, with_conversation: bool, now: float
    ) -> tuple[Turn, list[Action]]:
        """Begin a turn beside the conversation, and ask for its answer."""
        self._now = now
        turn, state = self._begin("aside")
        state.said = said.text
        state.images += [each.image for each in said.pictures]
        state.notes += said.notes
        before = references(self._machine.conversation) if with_conversation else []
        config = msgspec.structs.replace(
            overrides.config, conversation="none", input=[*before, *said.items]
        )
        state.overrides = replace(overrides, config=config)
        state.asked_at = now
        self._ask_beside(state)
        return turn, self._taken()

    def clip(self, notes: tuple[str, ...], now: float) -> tuple[Turn, TurnState]:
        """Begin a turn with a clip that will be sent."""
        self._now = now
        turn, state = self._begin("clip")
        state.notes.extend(notes)
        state.sending = True
        return turn, state

    def clip_begins(self, state: TurnState, now: float) -> None:
        """Note that the clip is what is sent from now on."""
        self._now = now
        start_ms = self._machine.tape.end_ms
        if self._detection() is None:
            self._buffer_start_ms = start_ms
        state.clip_span = (start_ms, math.inf)

    def clip_ends(self, state: TurnState, now: float) -> list[Action]:
        """Note that the clip, and the silence after it, have been sent.

        An update that changes nothing goes after it: its answer says that the server
        has taken the clip in, so speech in it is told about then, or soon after.
        """
        self._now = now
        end_ms = self._machine.tape.end_ms
        state.sending = False
        state.clip_span = ((state.clip_span or (end_ms,))[0], end_ms)
        if self._detection() is None:
            self._commit(state)
        else:
            settings = type(self._machine.session or ev.RealtimeSession())()
            state.fence = self._post(ev.SessionUpdate(session=settings), None)
            self._fences[state.fence] = state
            self._look_later(state, ANSWER_SECONDS, "fence")
        return self._taken()

    def commit(self, now: float) -> tuple[Turn, list[Action]]:
        """Commit what was sent; the turn is the one being spoken, or a new one."""
        self._now = now
        listening = (each for each in self._open.values() if each.uncommitted)
        state = next(listening, None) or self._begin("speech")[1]
        self._commit(state)
        return self.turns[state.index], self._taken()

    def cancel(self, now: float, turn: Turn | None = None) -> list[Action]:
        """Stop the answer that is being made, and those that were asked for.

        Of one turn, or of all in the conversation.
        """
        self._now = now
        if turn is not None:
            self._cancel_one(self._states[turn.index])
            return self._taken()
        if self._asked is not None or self._machine.active_response is not None:
            self._actions.append(Post(ev.ResponseCancel()))
        for state in list(self._open.values()):
            if not state.beside:
                self._give_up(state)
        return self._taken()

    def _cancel_one(self, state: TurnState) -> None:
        if state.final is not None:
            return
        for response_id in sorted(state.open_responses):
            self._actions.append(Post(ev.ResponseCancel(response_id=response_id)))
        if self._asked is not None and self._asked.state is state:
            self._actions.append(Post(ev.ResponseCancel()))
        self._give_up(state)

    def _give_up(self, state: TurnState) -> None:
        """Ask for no more answers of a turn, and stop its functions."""
        if not (state.wanted or state.open_responses or state.running):
            return
        self._queue = deque(each for each in self._queue if each.state is not state)
        is_asked = self._asked is not None and self._asked.state is state
        state.cancelled = True
        if not state.beside:
            state.wanted = int(is_asked)
        for call in state.calls:
            if call.call_id in state.running:
                self._actions.append(StopTool(call.call_id))
                outcome = Outcome.error("the call was cancelled", "cancelled")
                self._end_call(state, call, outcome)
        self._maybe_finish(state)

    def tool_done(
        self, state: TurnState, call: ToolCall, outcome: Outcome, now: float
    ) -> list[Action]:
        """Tell the model what a function gave, unless it was told otherwise."""
        self._now = now
        if call.call_id in state.running:
            self._end_call(state, call, outcome)
        return self._taken()

    def take(self, event: ev.ServerEvent | ev.UnknownEvent, now: float) -> list[Action]:
        """Take in an event that the machine has taken in and not ignored."""
        self._now = now
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        return self._taken()

    def look(self, look: Look, now: float) -> list[Action]:
        """Look again at a turn that may be waiting in vain."""
        self._now = now
        state = look.state
        match look.why:
            case "words":
                state.patience = False
            case "fence":
                self._pass_fence(state.fence)
            case "speech":
                self._look_for_speech(state)
            case "answer" if state in self._expected:
                self._expected.remove(state)
                state.expected -= 1
                state.notes.append(f"no answer began within {look.seconds:g} s")
                self._pump()
        self._maybe_finish(state)
        return self._taken()

    def end(self, error: RtnbError, now: float) -> None:
        """Fail every turn that is not done: nothing will come any more."""
        self._now = now
        for state in list(self._open.values()):
            self._fail(state, error)
        self._taken()

    # -- the user's part ---------------------------------------------------------------

    def _speech_started(self, event: ev.InputAudioBufferSpeechStarted) -> None:
        if event.item_id in self._by_item:
            return
        self._notice_foreign(event.audio_start_ms)
        state = self._clip_at(event.audio_start_ms) or self._begin("speech")[1]
        self._reopen(state)
        self._by_item[event.item_id] = state
        state.uncommitted.add(event.item_id)
        state.segments.append(Segment(event.audio_start_ms))

    def _session_updated(self, event: ev.SessionUpdated) -> None:  # noqa: ARG002 - every handler is called alike
        self._pass_fence(self._machine.accepted)

    def _pass_fence(self, event_id: str | None) -> None:
        """Give speech in a clip that the server has taken in a last moment."""
        state = self._fences.pop(event_id or "", None)
        if state is not None:
            state.fence = None
            self._look_later(state, SPEECH_SECONDS, "speech")
            self._maybe_finish(state)

    def _clip_at(self, audio_start_ms: int) -> TurnState | None:
        """Turn in whose clip speech began; the kept audio may begin before it."""
        padding = getattr(self._detection(), "prefix_padding_ms", UNSET)
        ms = audio_start_ms + (padding if isinstance(padding, int) else 0)
        for state in reversed(self._states):
            if state.clip_span and state.clip_span[0] <= ms < state.clip_span[1]:
                return state
        sending = (each for each in self._open.values() if each.sending)
        return next((each for each in sending if each.clip_span), None)

    def _speech_stopped(self, event: ev.InputAudioBufferSpeechStopped) -> None:
        state = self._by_item.get(event.item_id)
        if state is None or not state.segments:
            return
        self._notice_foreign(event.audio_end_ms)
        start_ms = state.segments[-1].audio_start_ms
        state.segments[-1] = Segment(start_ms, event.audio_end_ms)
        state.spans[event.item_id] = (start_ms, event.audio_end_ms)
        state.asked_at = self._now

    def _timeout_triggered(self, event: ev.InputAudioBufferTimeoutTriggered) -> None:
        if event.item_id in self._by_item:
            return
        _, state = self._begin("silence")
        self._by_item[event.item_id] = state
        state.uncommitted.add(event.item_id)
        span = (event.audio_start_ms, event.audio_end_ms)
        state.segments.append(Segment(*span))
        state.spans[event.item_id] = span
        state.asked_at = self._now

    def _committed(self, event: ev.InputAudioBufferCommitted) -> None:
        state = self._by_item.get(event.item_id)
        ours = self._our_commit(state)
        if state is None:
            state = ours.state if ours is not None else self._begin("speech")[1]
        elif event.item_id in state.user_items:
            return
        self._by_item[event.item_id] = state
        state.uncommitted.discard(event.item_id)
        state.user_items.append(event.item_id)
        span = state.spans.get(event.item_id) or (ours.span if ours else None)
        state.spans[event.item_id] = None if self._foreign else span
        if ours is not None:
            self._close_segment(state, ours.span)
            self._want(state)
            return
        if span is not None:
            self._buffer_start_ms = span[1]
        state.asked_at = state.asked_at or self._now
        detection = self._detection()
        if (
            detection is None
            or getattr(detection, "create_response", True) is not False
        ):
            self._expect(state)
        else:
            self._maybe_finish(state)

    def _our_commit(self, state: TurnState | None) -> _Commit | None:
        """Commit of ours that a committed item answers, if it answers one."""
        if self._commits and state in (None, self._commits[0].state):
            commit = self._commits.popleft()
            self._by_event.pop(commit.event_id, None)
            commit.state.uncommitted.discard(commit.event_id)
            return commit
        return None

    def _close_segment(self, state: TurnState, span: tuple[float, float]) -> None:
        """End the segment that a commit of ours cut short, or note one."""
        if not state.segments:
            state.segments.append(Segment(round(span[0]), round(span[1])))
        elif state.segments[-1].audio_end_ms is None:
            start_ms = state.segments[-1].audio_start_ms
            state.segments[-1] = Segment(start_ms, round(span[1]))

    def _cleared(self, event: ev.InputAudioBufferCleared) -> None:  # noqa: ARG002 - every handler is called alike
        self._buffer_start_ms = self._machine.tape.end_ms
        for state in list(self._open.values()):
            if state.uncommitted:
                state.uncommitted.clear()
                state.notes.append("the audio was cleared before it became a message")
                self._maybe_finish(state)

    def _item_added(self, event: ev.ConversationItemAdded) -> None:
        item_id = getattr(event.item, "id", UNSET)
        by_user = getattr(event.item, "role", None) == "user"
        if by_user and isinstance(item_id, str) and item_id not in self._by_item:
            self._loose.append(item_id)
        state = self._by_item.get(str(item_id))
        if state is not None and item_id in state.arriving:
            state.arriving.discard(str(item_id))
            self._maybe_finish(state)

    def _item_done(self, event: ev.ConversationItemDone) -> None:
        item_id = str(getattr(event.item, "id", UNSET))
        state = self._by_item.get(item_id)
        unknown = state is not None and item_id in state.spans
        if state is not None and unknown and state.spans[item_id] is None:
            if self._embedded:
                state.retrieving.add(item_id)
                self._post(ev.ConversationItemRetrieve(item_id=item_id), None)
            self._maybe_finish(state)

    def _item_retrieved(self, event: ev.ConversationItemRetrieved) -> None:
        self._settle_item(str(getattr(event.item, "id", UNSET)), retrieved=True)

    def _words(
        self, event: ev.ConversationItemInputAudioTranscriptionCompleted
    ) -> None:
        self._settle_item(event.item_id)

    def _no_words(
        self, event: ev.ConversationItemInputAudioTranscriptionFailed
    ) -> None:
        state = self._by_item.get(event.item_id)
        if state is not None:
            why = event.error.message or event.error.code or "no reason given"
            state.notes.append(f"what was said could not be transcribed: {why}")
        self._settle_item(event.item_id)

    def _settle_item(self, item_id: str, *, retrieved: bool = False) -> None:
        state = self._by_item.get(item_id)
        if state is not None:
            if retrieved:
                state.retrieving.discard(item_id)
            self._maybe_finish(state)

    # -- the model's part --------------------------------------------------------------

    def _response_created(self, event: ev.ResponseCreated) -> None:
        response = self._machine.responses[str(event.response.id)]
        key = response.metadata.get(TURN_KEY)
        state = self._asked_beside(key, response)
        if state is None:
            if not response.in_conversation:
                return
            state = self._owner(key)
        self._reopen(state)
        self._by_response[response.id] = state
        state.responses.append(response.id)
        state.open_responses.add(response.id)
        self._pump()

    def _asked_beside(
        self, key: str | None, response: ResponseState
    ) -> TurnState | None:
        """Turn beside the conversation that a new response belongs to."""
        if key is None and not response.in_conversation:
            key = next(iter(self._beside), None)  # a server that repeats no metadata
        state = self._beside.pop(key or "", None)
        if state is not None:
            state.wanted -= 1
            if state.cancelled:
                self._actions.append(Post(ev.ResponseCancel(response_id=response.id)))
        return state

    def _owner(self, key: str | None) -> TurnState:
        """Turn that a new response of the conversation belongs to."""
        asked = self._asked
        self._echoes = self._echoes or key is not None
        if asked is not None and (key is not None or not self._echoes):
            self._asked = None
            asked.state.wanted -= 1
            return asked.state
        if self._expected:
            state = self._expected.popleft()
            state.expected -= 1
            return state
        last = self._states[-1] if self._states else None
        if last is not None and not self._loose and self._lacks_an_answer(last):
            return last
        _, state = self._begin("response")
        self._take_loose(state)
        return state

    def _take_loose(self, state: TurnState) -> None:
        """Let a turn have the messages that no turn has."""
        for item_id in self._loose:
            self._by_item[item_id] = state
        state.user_items.extend(self._loose)
        self._loose.clear()

    @staticmethod
    def _lacks_an_answer(state: TurnState) -> bool:
        """Whether what the user said got no answer, and none was asked for."""
        return not (
            state.responses or state.wanted or state.beside or state.final == "failed"
        )

    def _may_be_answered(self, state: TurnState) -> bool:
        """Whether an answer that we ask for belongs to that turn."""
        going_on = state.sending or state.uncommitted or state.expected
        return self._lacks_an_answer(state) and not going_on and not state.arriving

    def _output_item_done(self, event: ev.ResponseOutputItemDone) -> None:
        state, item = self._by_response.get(event.response_id), event.item
        if state is not None and isinstance(item, ev.McpApprovalRequestItem):
            self._ask_permission(state, item)
        if state is None or not isinstance(item, ev.FunctionCallItem):
            return
        fresh = item.call_id and item.call_id not in self._called
        if item.status == "incomplete" or not item.call_id or not fresh:
            return
        self._called.add(item.call_id)
        call = ToolCall.of(item.call_id, item.name, item.arguments)
        call.called_at = self._now
        state.calls.append(call)
        calls = self._rounds.setdefault(event.response_id, _Round(set()))
        functions = self._functions(state)
        tool = functions.get(item.name)
        if tool is not None:
            calls.outstanding.add(item.call_id)
            state.running.add(item.call_id)
            self._actions.append(RunTool(tool, item.arguments, state, call))
        elif item.name in self._declared() or state.kind == "response":
            call.status = "unanswered"
            state.notes.append(
                f"the model called {item.name}, which nobody here answers: send a "
                f"FunctionCallOutputItem with call_id={item.call_id!r}"
            )
        else:
            calls.outstanding.add(item.call_id)
            known = ", ".join(functions) or "there are none"
            message = f"there is no function called {item.name}; functions: {known}"
            self._end_call(state, call, Outcome.error(message, "refused"))

    def _ask_permission(
        self, state: TurnState, item: ev.McpApprovalRequestItem
    ) -> None:
        """Have it decided whether the server may call a tool of an MCP server."""
        call = ToolCall.of(str(item.id), item.name, item.arguments)
        if call.call_id in self._permissions:
            return
        self._permissions.add(call.call_id)
        call.called_at = self._now
        state.calls.append(call)
        state.running.add(call.call_id)
        tool = permission(item, self.confirm.get(item.server_label, True))
        self._actions.append(RunTool(tool, item.arguments, state, call))

    def _answer_permission(
        self, state: TurnState, call: ToolCall, outcome: Outcome
    ) -> None:
        """Tell the server, which then goes on by itself; without an answer it does not."""
        state.running.discard(call.call_id)
        if outcome.status != "cancelled":
            item = answer_to(call.call_id, outcome)
            self._post(ev.ConversationItemCreate(item=item), state)
            if not (state.beside or state.cancelled):
                self._expect(state)
        self._maybe_finish(state)

    def _functions(self, state: TurnState) -> Mapping[str, Tool]:
        """Functions that answer the calls of a turn."""
        given = None if state.overrides is None else state.overrides.tools
        return self.tools if given is None else given

    def _declared(self) -> set[str]:
        tools = getattr(self._machine.session, "tools", UNSET) or []
        return {tool.name for tool in tools if isinstance(tool, ev.FunctionTool)}

    def _end_call(self, state: TurnState, call: ToolCall, outcome: Outcome) -> None:
        """Tell the model what came of a call."""
        call.output, call.status = outcome.output, outcome.status
        call.done_at = self._now
        if call.call_id in self._permissions:
            self._answer_permission(state, call, outcome)
            return
        told: list[Any] = [
            ev.FunctionCallOutputItem(call_id=call.call_id, output=outcome.output)
        ]
        if outcome.pictures:
            told.append(picture_message(call.name, outcome.pictures))
        if state.beside:
            self._tell_beside(state, call, told)
        else:
            self._tell(state, told)
        state.running.discard(call.call_id)
        for calls in self._rounds.values():
            if call.call_id in calls.outstanding:
                calls.outstanding.discard(call.call_id)
                self._follow_up(state, calls)
        self._maybe_finish(state)

    def _tell(self, state: TurnState, items: list[Any]) -> None:
        output, *pictures = items
        self._post(ev.ConversationItemCreate(item=output), state)
        for item in pictures:
            message = named(item, self._new_item_id())
            self._by_item[message.id] = state
            state.shown_items.append(message.id)
            self._post(ev.ConversationItemCreate(item=message), state)

    @staticmethod
    def _tell_beside(state: TurnState, call: ToolCall, items: list[Any]) -> None:
        """Add a call and its result to what the next answer reads."""
        assert state.overrides is not None
        config = state.overrides.config
        arguments = call.arguments
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        made = ev.FunctionCallItem(
            name=call.name, call_id=call.call_id, arguments=arguments
        )
        read = [*(config.input or ()), made, *items]
        state.overrides = replace(
            state.overrides, config=msgspec.structs.replace(config, input=read)
        )

    def _follow_up(self, state: TurnState, calls: _Round) -> None:
        """Ask for the answer to a round of calls, once, when all of it is there."""
        ready = calls.completed and not calls.outstanding and not calls.posted
        if ready and any(call.output is not None for call in state.calls):
            calls.posted = True
            if state.cancelled:
                return
            if state.beside:
                self._ask_beside(state)
            else:
                self._want(state)

    def _response_done(self, event: ev.ResponseDone) -> None:
        response = self._machine.responses[str(event.response.id)]
        state = self._by_response.get(response.id)
        if state is not None:
            state.open_responses.discard(response.id)
            self._note_ending(state, event.response)
            calls = self._rounds.get(response.id)
            if calls is not None and response.status == "completed":
                calls.completed = True
                self._follow_up(state, calls)
        self._pump()
        if state is not None:
            self._maybe_finish(state)

    def _note_ending(self, state: TurnState, response: ev.Response) -> None:
        details = response.status_details or ev.StatusDetails()
        if response.status == "incomplete":
            state.notes.append(f"the answer is incomplete: {details.reason}")
        if response.status == "failed":
            error = details.error or ev.StatusError()
            message = error.message or "the response failed without a reason"
            state.error = (
                EngineError(message)
                if self._embedded
                else ServerError(
                    message, type=error.type or None, code=error.code or None
                )
            )

    # -- asking for answers ------------------------------------------------------------

    def _want(self, state: TurnState) -> None:
        state.wanted += 1
        self._queue.append(_Wanted(state))
        self._pump()

    def _pump(self) -> None:
        """Ask for the next answer if none is being made or on its way."""
        busy = self._asked or self._expected or self._machine.active_response
        if busy or not self._queue:
            return
        wanted = self._queue.popleft()
        state = wanted.state
        wanted.event_id = self._post(
            ev.ResponseCreate(response=self._config(state)), None
        )
        self._asked = wanted
        typed = state.kind in ("text", "image", "request")
        if typed and not state.responses:
            state.asked_at = self._now

    def _config(self, state: TurnState) -> ev.ResponseConfig:
        """What the next answer of a turn shall be like."""
        config = ev.ResponseConfig()
        if state.overrides is not None:
            config = state.overrides.config
        choice = config.tool_choice
        if state.responses and self._forced(choice):
            choice = "auto"
        metadata = {**(config.metadata or {}), TURN_KEY: str(state.index)}
        return msgspec.structs.replace(config, metadata=metadata, tool_choice=choice)

    def _ask_beside(self, state: TurnState) -> None:
        """Ask for an answer at once: any number may be made beside the conversation."""
        state.wanted += 1
        self._beside[str(state.index)] = state
        self._post(ev.ResponseCreate(response=self._config(state)), state)

    def _forced(self, choice: object) -> bool:
        """Whether the settings force a call, which a follow-up would repeat for ever."""
        if choice is UNSET:
            choice = getattr(self._machine.session, "tool_choice", UNSET)
        return choice not in ("auto", "none", UNSET)

    def _expect(self, state: TurnState) -> None:
        state.expected += 1
        self._expected.append(state)
        self._look_later(state, ANSWER_SECONDS, "answer")

    def _commit(self, state: TurnState) -> None:
        span = (self._buffer_start_ms, self._machine.tape.end_ms)
        event_id = self._post(ev.InputAudioBufferCommit(), state)
        self._commits.append(_Commit(state, event_id, span))
        self._buffer_start_ms = span[1]
        state.uncommitted.add(event_id)
        state.asked_at = self._now

    # -- what is refused ---------------------------------------------------------------

    def _error(self, event: ev.Error) -> None:
        detail = event.error
        event_id = detail.event_id or None
        self._pass_fence(event_id)
        if self._asked is not None and event_id == self._asked.event_id:
            self._refused(self._asked, detail)
        elif event_id is not None and event_id in self._by_event:
            self._fail(self._by_event[event_id], server_error(detail))
        elif detail.code == ALREADY_ACTIVE and self._expected:
            state = self._expected.popleft()
            state.expected -= 1
            state.notes.append(detail.message)
            self._maybe_finish(state)

    def _refused(self, asked: _Wanted, detail: ev.ErrorDetail) -> None:
        """Ask again after the active response; anything else is the turn's failure."""
        self._asked = None
        if detail.code == ALREADY_ACTIVE and not asked.state.cancelled:
            self._queue.appendleft(_Wanted(asked.state))
            return
        asked.state.wanted -= 1
        if asked.state.cancelled:
            self._maybe_finish(asked.state)
        else:
            self._fail(asked.state, server_error(detail))
        self._pump()

    # -- beginning and ending ----------------------------------------------------------

    def _begin(self, kind: Kind) -> tuple[Turn, TurnState]:
        state = TurnState(len(self._states), kind, self._now)
        turn = Turn(state, self._machine, self._lock)
        self._states.append(state)
        self._open[state.index] = state
        self.turns.append(turn)
        return turn, state

    def _reopen(self, state: TurnState) -> None:
        """Go on with a turn that seemed to be done."""
        if state.final is None or state.final == "failed":
            return
        state.final = state.done_at = state.patience = None
        state.settled = concurrent.futures.Future()
        self._open[state.index] = state

    def _maybe_finish(self, state: TurnState) -> None:
        """End a turn of which nothing more is to come."""
        if state.final is not None or not self._ended(state):
            return
        if self._waits_for_words(state) and state.patience is not False:
            if state.patience is None:
                state.patience = True
                self._look_later(state, WORDS_SECONDS, "words")
            return
        self._finish(state)

    def _ended(self, state: TurnState) -> bool:
        going_on = (
            state.sending
            or state.fence
            or state.uncommitted
            or state.wanted
            or state.expected
            or state.running
            or state.open_responses
            or state.arriving
        )
        unheard = state.kind == "clip" and not state.user_items and not state.looked
        return state.error is not None or not (going_on or unheard)

    def _waits_for_words(self, state: TurnState) -> bool:
        """Whether audio or a transcript of what was said is still to come."""
        if state.error is not None:
            return False
        known = self._machine.items
        spoken = [known[each] for each in state.spans if each in known]
        untold = any(
            not (content.transcribed or content.failed)
            for item in spoken
            for content in item.contents.values()
            if content.kind == "input_audio"
        )
        return bool(state.retrieving) or (untold and self._transcribes())

    def _finish(self, state: TurnState) -> None:
        responses = [self._machine.responses[each] for each in state.responses]
        stopped = bool(responses) and responses[-1].status == "cancelled"
        state.done_at = self._now
        if state.error is not None:
            state.final = "failed"
        else:
            state.final = "cancelled" if state.cancelled or stopped else "done"
        self._open.pop(state.index, None)
        self._by_event = {
            event_id: each
            for event_id, each in self._by_event.items()
            if each is not state
        }
        state.settled.set_result(None)

    def _fail(self, state: TurnState, error: RtnbError) -> None:
        state.error = state.error or error
        state.arriving.clear()
        self._beside.pop(str(state.index), None)
        self._queue = deque(each for each in self._queue if each.state is not state)
        self._commits = deque(each for each in self._commits if each.state is not state)
        if state.final is None:
            self._finish(state)

    def _look_for_speech(self, state: TurnState) -> None:
        """End a clip in which no speech was found, or whose speech did not end."""
        state.looked = True
        if state.uncommitted:
            state.uncommitted.clear()
            state.notes.append(
                "speech began and did not end in the clip and the silence after it: "
                "commit() makes a message of it, a higher threshold ends it"
            )
        elif not state.user_items:
            state.notes.append(
                "the turn detector found no speech in the clip: a lower threshold "
                "finds more, and commit() makes a message of it without the detector"
            )

    # -- the rest ----------------------------------------------------------------------

    def _detection(self) -> ev.TurnDetection | None:
        """Turn detection in force; None: turns are committed by hand."""
        detection = getattr(self._input(), "turn_detection", UNSET)
        return detection or None

    def _transcribes(self) -> bool:
        return bool(getattr(self._input(), "transcription", UNSET))

    def _input(self) -> object:
        return getattr(getattr(self._machine.session, "audio", UNSET), "input", UNSET)

    def _notice_foreign(self, ms: float) -> None:
        """Notice that others, such as a page's microphone, send audio too."""
        self._foreign = self._foreign or ms > self._machine.tape.end_ms + 1

    def _look_later(
        self,
        state: TurnState,
        seconds: float,
        why: LookFor,
    ) -> None:
        self._actions.append(Look(state, seconds, why))

    def _post(self, event: ClientEvent, state: TurnState | None) -> str:
        """Send an event, for whose refusal the turn will answer; its event id."""
        event = self._machine.named(event)
        event_id = str(event.event_id)
        if state is not None:
            self._by_event[event_id] = state
        self._actions.append(Post(event))
        return event_id

    def _taken(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions


def server_error(detail: ev.ErrorDetail) -> ServerError:
    """Exception of an ``error`` event."""
    return ServerError(
        detail.message,
        type=detail.type,
        code=detail.code or None,
        param=detail.param or None,
        event_id=detail.event_id or None,
    )
