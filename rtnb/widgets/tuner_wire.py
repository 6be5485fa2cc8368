"""Settings, view and labels, as the tuner's page and its kernel write them to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rtnb.errors import ConfigError
from rtnb.vad import SemanticVad, ServerVad
from rtnb.vad.labels import Label, Labels

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN: Final = {
    "server_vad": ("threshold", "prefix_padding_ms", "silence_duration_ms"),
    "semantic_vad": ("eagerness",),
}
"""Settings that a page changes; the others stay what they are."""


def settings_to_page(settings: ServerVad | SemanticVad | None) -> dict[str, Any] | None:
    """What a page needs of settings; what is not set has its default.

    Parameters
    ----------
    settings : ServerVad, SemanticVad or None
        None: there are none.

    Returns
    -------
    dict or None
        With the type, as on the wire of the API.
    """
    if settings is None:
        return None
    kind = "server_vad" if isinstance(settings, ServerVad) else "semantic_vad"
    filled = settings.filled()
    return {"type": kind, **{name: getattr(filled, name) for name in SHOWN[kind]}}


def settings_from_page(
    wire: dict[str, Any] | None, *, before: ServerVad | SemanticVad
) -> ServerVad | SemanticVad | None:
    """Settings that a page has chosen.

    Parameters
    ----------
    wire : dict or None
        As `settings_to_page` writes it.
    before : ServerVad or SemanticVad
        Where the rest is taken from, such as `create_response`.

    Returns
    -------
    ServerVad, SemanticVad or None
        None where there are none.

    Raises
    ------
    ConfigError
        If they are of another kind or cannot be.
    """
    if wire is None:
        return None
    shown = SHOWN.get(str(wire.get("type")))
    if shown is None or not set(shown) <= set(wire):
        raise ConfigError(
            f"{wire!r} are no settings of a turn detector: give the type, server_vad or "
            "semantic_vad, with what belongs to it"
        )
    kind = ServerVad if wire["type"] == "server_vad" else SemanticVad
    rest = {
        name: getattr(before, name)
        for name in kind.__struct_fields__
        if name not in shown and hasattr(before, name)
    }
    chosen: ServerVad | SemanticVad = kind(
        **rest, **{name: wire[name] for name in shown}
    )
    return chosen


def checked_settings(value: object) -> ServerVad | SemanticVad:
    """Settings that a tuner can show.

    Raises
    ------
    ConfigError
        If it is nothing of the kind.
    """
    if isinstance(value, ServerVad | SemanticVad):
        return value
    raise ConfigError(
        f"{value!r} is neither a ServerVad nor a SemanticVad: write for instance "
        "ServerVad(threshold=0.6)"
    )


def checked_view(
    value: Any, *, start: float, end: float, live: bool
) -> tuple[float, float] | None:
    """A view that lies within the sound; what reaches beyond is cut.

    Raises
    ------
    ConfigError
        If it is no stretch of the sound.
    """
    if value is None:
        return None if live else (start, end)
    try:
        first, last = (float(second) for second in value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"the view is {value!r}: give two times in seconds, such as (0.0, 10.0)"
        ) from None
    if live:
        end = max(end, last)
    cut = max(start, first), min(end, last)
    if not (first < last and cut[0] < cut[1]):
        raise ConfigError(
            f"the view from {first:g} s to {last:g} s shows nothing of a sound from "
            f"{start:g} s to {end:g} s: choose a stretch of it"
        )
    return cut


def labels_to_page(labels: Labels) -> list[list[Any]]:
    """Start, end, text and tier of each."""
    return [[one.start_s, one.end_s, one.text, one.tier] for one in labels]


def labels_from_page(rows: Iterable[Iterable[Any]]) -> Labels:
    """Labels that a page has drawn.

    Raises
    ------
    ConfigError
        If they overlap, or one is no stretch of time.
    """
    return Labels(
        Label(float(start), float(end), str(text), str(tier))
        for start, end, text, tier in rows
    )
