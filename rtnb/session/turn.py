"""A turn: one person's go and the answer to it.

:class:`Turn` is what users hold; it reads, under the session's lock, the state that
:class:`~rtnb.session.book.TurnBook` keeps and the items that the client machine keeps.
"""

from __future__ import annotations

import concurrent.futures
import json
import re
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from typing_extensions import override

from rtnb.audio import Clip, alaw_decode, ulaw_decode
from rtnb.portal import settled
from rtnb.protocol.events import AudioPcma, AudioPcmu

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator

    from rtnb.errors import RtnbError
    from rtnb.protocol.client import ClientMachine, ItemState, ResponseState
    from rtnb.protocol.images import Image
    from rtnb.session.asking import Overrides
    from rtnb.usage import Cost, Usage

Kind: TypeAlias = Literal[
    "text", "clip", "speech", "silence", "response", "image", "request", "aside"
]
"""How a turn began: typed, sent, spoken, by an idle timeout, or nobody here asked; a
picture was shown, an answer to what there was asked for, or one beside the conversation."""

Status: TypeAlias = Literal[
    "waiting", "listening", "answering", "done", "cancelled", "failed"
]

CallStatus: TypeAlias = Literal[
    "waiting",
    "running",
    "done",
    "failed",
    "refused",
    "timeout",
    "cancelled",
    "unanswered",
]
"""How a call stands: it waits for a person, or runs; or how it ended. "refused" is also
one whose arguments do not fit, or whose function there is not; "unanswered" one of a
definition without a function, which the user answers."""

SHORT_TEXT: Final = 40
"""Characters of a text in a ``repr``."""

PCM_RATE: Final = 24_000
G711_RATE: Final = 8_000


@dataclass(frozen=True)
class Segment:
    """Speech as the turn detector saw it, in milliseconds of audio of the session.

    Parameters
    ----------
    audio_start_ms : int
        Start of the audio that is kept; the prefix padding is in it.
    audio_end_ms : int or None
        End of it, with the silence that ended the turn; None while it goes on.
    """

    audio_start_ms: int
    audio_end_ms: int | None = None


@dataclass(frozen=True)
class Latency:
    """Where the time of a turn went, in milliseconds; None where it did not happen.

    Parameters
    ----------
    stopped_to_created_ms : float or None
        From the end of the user's go, as it became known here (speech stopped, the
        commit or the request was sent), to the beginning of the answer.
    created_to_first_text_ms, created_to_first_audio_ms : float or None
        From there to the first words, and to the first sound.
    stopped_to_first_audio_ms : float or None
        From the end of the user's go to the first sound.
    total_ms : float or None
        From the end of the user's go to the end of the answer.
    """

    stopped_to_created_ms: float | None = None
    created_to_first_text_ms: float | None = None
    created_to_first_audio_ms: float | None = None
    stopped_to_first_audio_ms: float | None = None
    total_ms: float | None = None


@dataclass(eq=False)
class ToolCall:
    """A call of one of our functions.

    Parameters
    ----------
    call_id : str
        The model's name for it.
    name : str
        The function.
    arguments : dict or str
        As the model gave them; the text where it is no JSON object.
    output : str or None
        What the model was told; None while the function runs, or if it is not ours.
    status : str
        "waiting" for a person, "running", "done", "failed", "refused", "timeout",
        "cancelled" or "unanswered".
    called_at, done_at : float or None
        Times on the session's clock.
    """

    call_id: str
    name: str
    arguments: dict[str, Any] | str
    output: str | None = None
    status: CallStatus = "running"
    called_at: float | None = None
    done_at: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took, a person's permission included; None while it runs."""
        if self.called_at is None or self.done_at is None:
            return None
        return self.done_at - self.called_at

    @classmethod
    def of(cls, call_id: str, name: str, arguments: str) -> ToolCall:
        """Make a call of the model's text."""
        try:
            parsed = json.loads(arguments)
        except ValueError:
            parsed = arguments
        return cls(call_id, name, parsed if isinstance(parsed, dict) else arguments)


@dataclass(eq=False)
class TurnState:
    """What is known of a turn; the book writes it, under the session's lock.

    Attributes
    ----------
    sending : bool
        Whether its clip is still being sent.
    fence : str or None
        Event whose answer says that the server has taken the clip in.
    looked : bool
        Whether the clip without speech had its last moment.
    patience : bool or None
        Whether it waits for a transcript; None: not yet, False: no more.
    clip_span : tuple of float or None
        From where to where its clip goes, milliseconds of the session; the end is
        infinite while it is being sent.
    uncommitted : set of str
        Items of speech that began and is not yet a message.
    open_responses : set of str
        Responses that are being made.
    wanted : int
        Responses that we shall ask for or have asked for.
    expected : int
        Responses that the server owes of itself.
    running : set of str
        Calls whose functions run.
    spans : dict
        For each of its spoken items, from where to where it was in what we sent; None
        if we did not send it.
    retrieving : set of str
        Items whose audio we asked back.
    asked_at, begun_at, done_at : float or None
        Times on the session's clock.
    said : str
        What was asked beside the conversation.
    images : list of Image
        What was shown.
    shown_items : list of str
        Items that show the pictures of its functions.
    arriving : set of str
        Items of ours that the conversation does not have yet.
    overrides : Overrides or None
        What its answers shall do otherwise.
    """

    index: int
    kind: Kind
    begun_at: float
    sending: bool = False
    fence: str | None = None
    clip_span: tuple[float, float] | None = None
    looked: bool = False
    patience: bool | None = None
    cancelled: bool = False
    expected: int = 0
    wanted: int = 0
    asked_at: float | None = None
    done_at: float | None = None
    final: Literal["done", "cancelled", "failed"] | None = None
    error: RtnbError | None = None
    notes: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    user_items: list[str] = field(default_factory=list)
    responses: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    uncommitted: set[str] = field(default_factory=set)
    open_responses: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    retrieving: set[str] = field(default_factory=set)
    spans: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    said: str = ""
    images: list[Image] = field(default_factory=list)
    shown_items: list[str] = field(default_factory=list)
    arriving: set[str] = field(default_factory=set)
    overrides: Overrides | None = None
    settled: concurrent.futures.Future[None] = field(
        default_factory=concurrent.futures.Future
    )

    @property
    def beside(self) -> bool:
        """Whether it is beside the conversation."""
        return self.kind == "aside"

    @property
    def status(self) -> Status:
        """Where it stands."""
        if self.final is not None:
            return self.final
        if self.open_responses:
            return "answering"
        return "listening" if self.sending or self.uncommitted else "waiting"


class Turn:
    """One person's go and the answer to it, as it comes and when it is done.

    Returned by `Session.say`, `Session.send_audio`, `Session.ask` and others; turns that are spoken into a
    microphone are in `Session.turns`. It can be read from any thread while it goes on.
    ``turn.wait()`` blocks until it is done, ``await turn`` waits on any event loop.
    """

    def __init__(
        self, state: TurnState, machine: ClientMachine, lock: threading.RLock
    ) -> None:
        self._state = state
        self._machine = machine
        self._lock = lock

    # -- waiting -----------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> Turn:
        """Block until the turn is done.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; without end by default.

        Returns
        -------
        Turn
            The turn itself. One that was cancelled is done too.

        Raises
        ------
        ServerError
            If the server refused it, or failed to answer.
        ConnectionLost
            If the connection ended before it was done.
        SessionClosed
            If the session was closed before it was done.
        TimeoutError
            If it is not done within `timeout`; it goes on.
        """
        try:
            self._state.settled.result(timeout)
        except TimeoutError:
            message = f"turn {self.index} is still {self.status} after {timeout:g} s"
            raise TimeoutError(message) from None
        return self._or_error()

    def __await__(self) -> Generator[Any, None, Turn]:
        yield from settled(self._state.settled).__await__()
        return self._or_error()

    def _or_error(self) -> Turn:
        if self._state.error is not None:
            raise self._state.error
        return self

    @property
    def done(self) -> bool:
        """Whether it is over, in whatever way."""
        return self._state.final is not None

    @property
    def status(self) -> Status:
        """Where it stands.

        "waiting" for the model, "listening" to the user, "answering", "done",
        "cancelled" by the user or by other speech, or "failed".
        """
        with self._lock:
            return self._state.status

    @property
    def error(self) -> RtnbError | None:
        """Why it failed."""
        return self._state.error

    # -- what was said -----------------------------------------------------------------

    @property
    def index(self) -> int:
        """Its place in `Session.turns`, from 0."""
        return self._state.index

    @property
    def kind(self) -> Kind:
        """How it began.

        "text" (`say`), "clip" (`send_audio`), "speech" (microphone, or a commit),
        "silence" (idle timeout), "response" (nobody here asked), "image" (`show`),
        "request" (`respond`), "aside" (`ask`, beside the conversation).
        """
        return self._state.kind

    @property
    def user_text(self) -> str:
        """What the user typed or asked, or the transcript of what was said."""
        with self._lock:
            return _text(self._user_items()) or self._state.said

    @property
    def images(self) -> tuple[Image, ...]:
        """Pictures that the user showed, as they were sent."""
        with self._lock:
            return tuple(self._state.images)

    @property
    def text(self) -> str:
        """What the model wrote or said, all of it, heard or not."""
        with self._lock:
            return _text(self._answers())

    @property
    def heard(self) -> str:
        """Part of `text` that was heard.

        After an interruption the words up to the point where the audio was cut, found
        in proportion to the length of the audio; else all of it.
        """
        with self._lock:
            texts = (_heard(item) for item in self._answers())
            return " ".join(filter(None, texts))

    @property
    def audio(self) -> Clip | None:
        """The answer's sound; None if there is none, or it is no longer kept."""
        with self._lock:
            pieces = [
                (item.audio, self._machine.audio_format(item))
                for item in self._answers()
            ]
        return _joined(pieces)

    @property
    def input_audio(self) -> Clip | None:
        """The user's sound, as it was sent; from a microphone, as it was asked back."""
        with self._lock:
            wire_format = self._machine.input_format
            pieces = [(self._sent(item), wire_format) for item in self._user_items()]
        return _joined(pieces)

    def _sent(self, item: ItemState) -> bytes:
        span = self._state.spans.get(item.id)
        return (span and self._machine.tape.between(*span)) or item.audio

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Speech of the user as the turn detector saw it."""
        with self._lock:
            return tuple(self._state.segments)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Functions that the model called."""
        with self._lock:
            return tuple(self._state.calls)

    @property
    def notes(self) -> tuple[str, ...]:
        """What one must know of it: conversions, cuts, calls nobody answers."""
        with self._lock:
            return tuple(self._state.notes)

    @property
    def responses(self) -> tuple[ResponseState, ...]:
        """Responses of the model, in their order; with tools, more than one."""
        with self._lock:
            return tuple(
                self._machine.responses[each] for each in self._state.responses
            )

    @property
    def items(self) -> tuple[ItemState, ...]:
        """Items of the conversation that belong to it, in their order."""
        with self._lock:
            own = {item.id for item in (*self._user_items(), *self._output_items())}
            own |= set(self._state.shown_items)
            calls = {call.call_id for call in self._state.calls}
            return tuple(
                item
                for item in self._machine.conversation
                if item.id in own or getattr(item.wire, "call_id", None) in calls
            )

    # -- what it took ------------------------------------------------------------------

    @property
    def usage(self) -> Usage | None:
        """Tokens of its responses; None before the first of them is done."""
        with self._lock:
            used = [each.wire.usage for each in self.responses if each.wire.usage]
        return reduce(add, used) if used else None

    @property
    def cost(self) -> Cost | None:
        """Cost of its responses and transcriptions, at the prices of the model.

        The embedded engine bills nothing: there it is what the model would have cost,
        see `Session.billed`.
        """
        with self._lock:
            own = {*self._state.responses, *self._state.user_items}
            rows = [row for row in self._machine.ledger.rows() if row.id in own]
        return reduce(add, (row.cost for row in rows)) if rows else None

    @property
    def latency(self) -> Latency:
        """Where its time went."""
        with self._lock:
            asked = self._state.asked_at
            if asked is None:
                return Latency()
            answers = [each for each in self.responses if each.created_at >= asked]
            done = self._state.done_at if answers else None
        created = min((each.created_at for each in answers), default=None)
        text, audio = (
            min((at for each in answers if (at := getattr(each, name))), default=None)
            for name in ("first_text_at", "first_audio_at")
        )
        return Latency(
            stopped_to_created_ms=_ms(asked, created),
            created_to_first_text_ms=_ms(created, text),
            created_to_first_audio_ms=_ms(created, audio),
            stopped_to_first_audio_ms=_ms(asked, audio),
            total_ms=_ms(asked, done),
        )

    def _user_items(self) -> list[ItemState]:
        known = self._machine.items
        return [known[each] for each in self._state.user_items if each in known]

    def _output_items(self) -> list[ItemState]:
        return [
            self._machine.items[item_id]
            for response in self.responses
            for item_id in response.item_ids
        ]

    def _answers(self) -> list[ItemState]:
        return [
            item
            for item in self._output_items()
            if getattr(item.wire, "role", None) == "assistant"
        ]

    @override
    def __repr__(self) -> str:
        shown = "".join(f"[{one.width} x {one.height} pixels] " for one in self.images)
        said = f"{shown}{_short(self.user_text)!r} → {_short(self.text)!r}"
        return f"<Turn {self.index} {self.status}: {said}>"


def heard_text(text: str, *, audio_ms: float, heard_ms: float) -> str:
    """Words of a spoken text that were heard whole.

    Parameters
    ----------
    text : str
        What is said.
    audio_ms : float
        Length of the audio that says it.
    heard_ms : float
        How much of the audio was heard.

    Returns
    -------
    str
        The words that end within the part of the text that is in proportion to the
        part of the audio.

    Examples
    --------
    >>> heard_text("one two three four", audio_ms=1800, heard_ms=900)
    'one two'
    """
    if heard_ms >= audio_ms:
        return text if audio_ms else ""
    within = len(text) * heard_ms / audio_ms
    ends = (word.end() for word in re.finditer(r"\S+", text))
    return text[: max((end for end in ends if end <= within), default=0)]


def _heard(item: ItemState) -> str:
    if item.truncated_ms is None:
        return item.text
    return heard_text(item.text, audio_ms=item.audio_ms, heard_ms=item.truncated_ms)


def _text(items: list[ItemState]) -> str:
    return " ".join(filter(None, (item.text for item in items)))


def _joined(pieces: list[tuple[bytes, Any]]) -> Clip | None:
    clips = [_decoded(data, wire_format) for data, wire_format in pieces if data]
    return reduce(add, clips) if clips else None


def _decoded(data: bytes, wire_format: Any) -> Clip:
    match wire_format:
        case AudioPcmu():
            return Clip(ulaw_decode(data), G711_RATE)
        case AudioPcma():
            return Clip(alaw_decode(data), G711_RATE)
        case _:
            return Clip.from_pcm16(data[: len(data) // 2 * 2], PCM_RATE)


def wire_clip(item: object, wire_format: Any) -> Clip | None:
    """Sound of an item as it is on the wire; None if it has none."""
    pieces = [
        data
        for part in getattr(item, "content", ())
        if isinstance(data := getattr(part, "audio", None), bytes)
    ]
    return _joined([(data, wire_format) for data in pieces])


def _ms(since: float | None, until: float | None) -> float | None:
    return None if since is None or until is None else 1000 * (until - since)


def _short(text: str) -> str:
    return text if len(text) <= SHORT_TEXT else f"{text[: SHORT_TEXT - 1]}…"
