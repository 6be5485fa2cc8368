"""Turn detection settings, as they travel on the wire.

A field that is left out is ``msgspec.UNSET`` and is not sent, so that a partial
update stays partial; :meth:`ServerVad.filled` gives the documented defaults. A value
that cannot be is refused when the object is built, by a sentence that names the value,
the limit and the way out: as :class:`~rtnb.errors.ConfigError` in Python, and inside
``msgspec.ValidationError`` (the same sentence, chained) when it came from the wire.

References
----------
OpenAI Realtime API, ``session.audio.input.turn_detection``; the default of
``silence_duration_ms`` is what the service reports in ``session.created``.
"""

from __future__ import annotations

from typing import Final, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, UnsetType

from rtnb.errors import ConfigError

Eagerness = Literal["low", "medium", "high", "auto"]
"""How soon ``semantic_vad`` takes a pause for an end."""

LONGEST_WAIT_MS: Final[dict[Eagerness, int]] = {
    "low": 8_000,
    "medium": 4_000,
    "high": 2_000,
    "auto": 4_000,
}
"""How long ``semantic_vad`` waits at most for more words: the API's documentation."""

IDLE_TIMEOUT_RANGE_MS: Final = (5_000, 30_000)
"""Limits of ``idle_timeout_ms``: OpenAPI description of the Realtime API."""

_Vad = TypeVar("_Vad", bound=msgspec.Struct)


class ServerVad(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag="server_vad",
    omit_defaults=True,
    repr_omit_defaults=True,
    dict=True,
):
    """Turn detection by speech probability and silence.

    Parameters
    ----------
    threshold : float, 0 to 1
        Speech begins at a probability of at least this.
    prefix_padding_ms : int, >= 0
        Audio kept from before the beginning of speech.
    silence_duration_ms : int, >= 0
        How long it must be quiet for the turn to end.
    idle_timeout_ms : int, 5000 to 30000, or None
        After so long without speech the service asks again; None: it waits.
    create_response : bool
        Answer at the end of a turn.
    interrupt_response : bool
        Cancel a running answer when speech begins.

    Raises
    ------
    ConfigError
        If a value is of another type or out of its range.

    Examples
    --------
    >>> ServerVad(threshold=0.6)
    ServerVad(threshold=0.6)
    >>> ServerVad(threshold=0.6).filled().silence_duration_ms
    200
    >>> ServerVad(threshold=1.5)
    Traceback (most recent call last):
        ...
    rtnb.errors.ConfigError: threshold is 1.5, but a probability lies between 0 and 1: choose one in between, such as 0.5
    """

    threshold: float | UnsetType = UNSET
    prefix_padding_ms: int | UnsetType = UNSET
    silence_duration_ms: int | UnsetType = UNSET
    idle_timeout_ms: int | UnsetType | None = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        _check_threshold(self.threshold)
        _check_duration("prefix_padding_ms", self.prefix_padding_ms)
        _check_duration("silence_duration_ms", self.silence_duration_ms)
        _check_idle_timeout(self.idle_timeout_ms)
        _check_switch("create_response", self.create_response)
        _check_switch("interrupt_response", self.interrupt_response)

    def filled(self) -> ServerVad:
        """Fill every field that is not set from `SERVER_VAD_DEFAULTS`."""
        return _filled(self, SERVER_VAD_DEFAULTS)


class SemanticVad(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag="semantic_vad",
    omit_defaults=True,
    repr_omit_defaults=True,
    dict=True,
):
    """Turn detection by what was said.

    Parameters
    ----------
    eagerness : {"low", "medium", "high", "auto"}
        How soon a pause is taken for an end; the longest wait is 8 s (low),
        4 s (medium, which "auto" means too) or 2 s (high).
    create_response : bool
        Answer at the end of a turn.
    interrupt_response : bool
        Cancel a running answer when speech begins.

    Raises
    ------
    ConfigError
        If a value is of another type or not one of those named.
    """

    eagerness: Eagerness | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.eagerness is not UNSET and self.eagerness not in get_args(Eagerness):
            raise ConfigError(
                f"eagerness is {self.eagerness!r}, but there are only "
                f"{', '.join(get_args(Eagerness))}: choose one of these"
            )
        _check_switch("create_response", self.create_response)
        _check_switch("interrupt_response", self.interrupt_response)

    @property
    def longest_wait_ms(self) -> int:
        """How long a pause is waited for at most, in milliseconds."""
        chosen = self.eagerness
        return LONGEST_WAIT_MS["auto" if isinstance(chosen, UnsetType) else chosen]

    def filled(self) -> SemanticVad:
        """Fill every field that is not set from `SEMANTIC_VAD_DEFAULTS`."""
        return _filled(self, SEMANTIC_VAD_DEFAULTS)


def _filled(settings: _Vad, defaults: _Vad) -> _Vad:
    unset = {
        name: getattr(defaults, name)
        for name in settings.__struct_fields__
        if getattr(settings, name) is UNSET
    }
    return msgspec.structs.replace(settings, **unset)


def _check_threshold(value: object) -> None:
    if value is UNSET:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"threshold is {value!r}: give a number between 0 and 1")
    if not 0 <= value <= 1:
        raise ConfigError(
            f"threshold is {value}, but a probability lies between 0 and 1: "
            "choose one in between, such as 0.5"
        )


def _check_duration(name: str, value: object) -> None:
    if value is UNSET:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} is {value!r}: give whole milliseconds, such as 300")
    if value < 0:
        raise ConfigError(
            f"{name} is {value} ms, but time does not run back: use 0 or more"
        )


def _check_idle_timeout(value: object) -> None:
    if value is UNSET or value is None:
        return
    _check_duration("idle_timeout_ms", value)
    low, high = IDLE_TIMEOUT_RANGE_MS
    if isinstance(value, int) and not low <= value <= high:
        raise ConfigError(
            f"idle_timeout_ms is {value}, but the API takes {low} to {high}: "
            "choose one in between, or None to wait without end"
        )


def _check_switch(name: str, value: object) -> None:
    if value is not UNSET and not isinstance(value, bool):
        raise ConfigError(f"{name} is {value!r}: give True or False")


SERVER_VAD_DEFAULTS: Final = ServerVad(
    threshold=0.5,
    prefix_padding_ms=300,
    silence_duration_ms=200,
    idle_timeout_ms=None,
    create_response=True,
    interrupt_response=True,
)
"""What the service reports in ``session.created`` where nothing was asked for."""

SEMANTIC_VAD_DEFAULTS: Final = SemanticVad(
    eagerness="auto", create_response=True, interrupt_response=True
)
"""Documented defaults of ``semantic_vad``."""
