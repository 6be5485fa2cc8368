"""What the machine has to say and what it wants done, until these are taken."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING, Any, Final

from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol.ids import new_call_id, new_id

if TYPE_CHECKING:
    from rtnb.protocol.server.effects import Effect

_PADDING: Final = string.digits + string.ascii_letters


class Outbox:
    """Events and effects in order, with the identifiers and the time they are made of.

    Parameters
    ----------
    now : float
        Time, seconds since the epoch.
    seed : int or None
        Makes identifiers repeatable; None draws them at random.

    Attributes
    ----------
    now : float
        Set by whoever drives the machine, at each call.
    """

    def __init__(self, *, now: float, seed: int | None) -> None:
        self.now = now
        self._random = random.Random(seed)  # noqa: S311 - identifiers, not secrets
        self._events: list[Any] = []
        self._effects: list[Effect] = []

    def emit(self, event: type, **fields: Any) -> None:
        """Say an event; it gets its ``event_id`` here."""
        self._events.append(event(event_id=self.new_id("event"), **fields))

    def refuse(self, error: ServerError) -> None:
        """Say an ``error`` event."""
        self.emit(
            ev.Error,
            error=ev.ErrorDetail(
                type=error.type or "invalid_request_error",
                code=error.code,
                message=error.message,
                param=error.param,
                event_id=error.event_id,
            ),
        )

    def want(self, *effects: Effect) -> None:
        """Ask the engine for something."""
        self._effects += effects

    def take_events(self) -> list[Any]:
        """Events to send, in order; each is given once."""
        events, self._events = self._events, []
        return events

    def take_effects(self) -> list[Effect]:
        """Work for the engine, in order; each is given once."""
        effects, self._effects = self._effects, []
        return effects

    def new_id(self, prefix: str) -> str:
        """A fresh identifier, such as ``item_…``."""
        return new_id(prefix, now=self.now, random=self._random)

    def new_call_id(self) -> str:
        """A fresh identifier of a function call."""
        return new_call_id(self._random)

    def obfuscation(self, delta: str) -> str:
        """Random characters that pad a delta to a multiple of 16."""
        return "".join(self._random.choices(_PADDING, k=-len(delta) % 16))


def refusal(
    message: str,
    code: str | None,
    *,
    param: str | None = None,
    event_id: str | None = None,
) -> ServerError:
    """An ``invalid_request_error``, to be raised."""
    return ServerError(
        message,
        type="invalid_request_error",
        code=code,
        param=param,
        event_id=event_id,
    )
