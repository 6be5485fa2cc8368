"""What of a conversation the model is given, and what that weighs.

A model reads so many tokens and no more. What does not fit is left out, oldest first;
the items themselves stay in the conversation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET

from rtnb.protocol.server.outbox import refusal
from rtnb.usage import estimate_text_tokens, estimate_tools_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rtnb.errors import ServerError
    from rtnb.protocol import events as ev
    from rtnb.protocol.server.items import Entry
    from rtnb.protocol.server.settings import Settings


@dataclass(frozen=True)
class ModelFacts:
    """What a model can take.

    Parameters
    ----------
    window : int
        Tokens of its context.
    input : int
        Of these, for what it reads.
    reasons : bool
        Whether `reasoning` and `parallel_tool_calls` are settings of it.
    """

    window: int
    input: int
    reasons: bool


SMALL: Final = ModelFacts(window=32_768, input=28_224, reasons=False)
"""gpt-realtime, -mini and -1.5: the input budget is the documented example's."""

LARGE: Final = ModelFacts(window=128_000, input=96_000, reasons=True)
"""The gpt-realtime-2 family: 128k of context, of which 32k may be output."""


def facts_of(model: str) -> ModelFacts:
    """What is known of a model; of an unknown one, that it is a small one.

    Examples
    --------
    >>> facts_of("gpt-realtime-2.1-mini").window, facts_of("gpt-realtime").window
    (128000, 32768)
    """
    return LARGE if model.startswith("gpt-realtime-2") else SMALL


def check_model(model: str, config: object, path: str) -> None:
    """Refuse what only a reasoning model is told.

    Parameters
    ----------
    model : str
        The session's.
    config : object
        A session or a response's configuration.
    path : str
        Where it stands in the event.

    Raises
    ------
    ServerError
        If it has `reasoning` or `parallel_tool_calls` and the model does not reason.
    """
    if facts_of(model).reasons:
        return
    for name in ("reasoning", "parallel_tool_calls"):
        if getattr(config, name) not in (UNSET, None):
            raise refusal(
                "Unsupported option for this model.", None, param=f"{path}.{name}"
            )


class Weight(NamedTuple):
    """Tokens of one part of a response's input: an item, or instructions and tools."""

    name: str
    text: int
    audio: int = 0
    image: int = 0

    @property
    def total(self) -> int:
        """All of its tokens."""
        return self.text + self.audio + self.image


Weights: TypeAlias = tuple[Weight, ...]


@dataclass(frozen=True)
class Reading:
    """The input of one response.

    Parameters
    ----------
    entries : list of Entry
        What the model is given, in order.
    weights : tuple of Weight
        Of instructions and tools, then of each of these.
    """

    entries: list[Entry]
    weights: Weights


class Context:
    """Chooses what is read.

    Parameters
    ----------
    settings : Settings
        With the model, and the truncation in force.

    Notes
    -----
    What was once left out stays out: the prefix cache begins anew at each truncation,
    which is why `retention_ratio` makes them rare.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._left_out: set[str] = set()

    def read(
        self,
        entries: Iterable[Entry],
        *,
        instructions: str,
        tools: Sequence[ev.Tool],
        in_conversation: bool,
    ) -> Reading:
        """Choose what of the entries is read.

        Parameters
        ----------
        entries : iterable of Entry
            What there is.
        instructions : str
            Of the response.
        tools : sequence of tool
            Of the response.
        in_conversation : bool
            Whether what is left out now stays out.

        Raises
        ------
        ServerError
            If it is too much and truncation is disabled, or if instructions and tools
            alone are.
        """
        described = json.dumps(msgspec.to_builtins(tools)) if tools else ""
        head = Weight(
            "", estimate_text_tokens(instructions) + estimate_tools_tokens(described)
        )
        kept = [
            (entry, _weight(entry))
            for entry in entries
            if not in_conversation or entry.item.id not in self._left_out
        ]
        limit, target = self._budget(head)
        total = sum(weight.total for _, weight in kept)
        if total > limit:
            if self._settings.raw["truncation"] == "disabled" or limit < 0:
                raise _too_much(head.total + total, facts_of(self._model))
            kept, dropped = _drop_oldest(kept, total - target)
            if in_conversation:
                self._left_out |= dropped
        return Reading(
            [entry for entry, _ in kept], (head, *(weight for _, weight in kept))
        )

    @property
    def _model(self) -> str:
        return str(self._settings.raw["model"])

    def _budget(self, head: Weight) -> tuple[int, int]:
        """Tokens at which items are left out, and how many of them are kept then."""
        truncation = self._settings.raw["truncation"]
        limit = facts_of(self._model).input - head.total
        if not isinstance(truncation, dict):
            return limit, limit
        limits = truncation.get("token_limits") or {}
        limit = min(limit, limits.get("post_instructions", limit))
        return limit, int(truncation["retention_ratio"] * limit)


def _weight(entry: Entry) -> Weight:
    item_id = entry.item.id if isinstance(entry.item.id, str) else ""
    return Weight(item_id, *entry.tokens())


def _drop_oldest(
    kept: list[tuple[Entry, Weight]], excess: int
) -> tuple[list[tuple[Entry, Weight]], set[str]]:
    """Leave out the oldest until `excess` tokens are gone; the newest always stays.

    A function's output goes with its call: a model cannot read one without the other.
    """
    dropped: set[str] = set()
    calls: set[str] = set()
    rest = list(kept)
    while len(rest) > 1 and (excess > 0 or _call_id(rest[0][0]) in calls):
        entry, weight = rest.pop(0)
        excess -= weight.total
        dropped.add(weight.name)
        calls.add(_call_id(entry) or "call_")
    return rest, dropped


def _call_id(entry: Entry) -> str | None:
    call_id = getattr(entry.item, "call_id", None)
    return call_id if isinstance(call_id, str) else None


def _too_much(tokens: int, facts: ModelFacts) -> ServerError:
    return refusal(
        f"This conversation has {tokens} tokens, but the model reads at most "
        f"{facts.input}: delete items, or allow truncation.",
        "context_length_exceeded",
    )
