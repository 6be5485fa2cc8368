"""Pictures of turns: their tokens, what they cost, how long one waited.

The functions take a session, or any iterable of turns; of the entries of a usage
ledger, too, for tokens and cost. A turn without the figure in question keeps its place
and stays empty.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any, Final

from matplotlib.ticker import FuncFormatter, MaxNLocator

from rtnb.plots.figure import axes_or_new, ink, legend
from rtnb.plots.palette import KINDS, SERIES
from rtnb.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes

FIGURE_KINDS: Final = {
    "text_input": "text in",
    "audio_input": "audio in",
    "image_input": "image in",
    "text_cached": "cached in",
    "audio_cached": "cached in",
    "image_cached": "cached in",
    "text_output": "text out",
    "audio_output": "audio out",
    "per_minute": "by the minute",
}
"""Kind in the picture for every kind of price."""


def plot_tokens(turns: Iterable[Any], ax: Axes | None = None) -> Axes:
    """Draw the tokens of every turn, stacked by kind.

    Parameters
    ----------
    turns : session, or iterable of turns or of ledger rows
        Each with a `usage`, and an `index` if it has a number of its own.
    ax : Axes, optional
        Where to draw; by default in a new picture.

    Returns
    -------
    Axes
        The Axes drawn on: one bar per turn as high as its `total_tokens` by kind;
        cached tokens are set off from the rest of the input.
    """
    ax = axes_or_new(ax, 6.4, 2.8)
    places = _places(turns)
    stacks = [_tokens(getattr(turn, "usage", None)) for _, turn in places]
    _draw_stacks(ax, [place for place, _ in places], stacks)
    ax.set_ylabel("tokens")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    legend(ax)
    return ax


def plot_cost(turns: Iterable[Any], ax: Axes | None = None) -> Axes:
    """Draw what every turn cost, stacked by kind.

    Parameters
    ----------
    turns : session, or iterable of turns or of ledger rows
        Each with a `cost`, and an `index` if it has a number of its own.
    ax : Axes, optional
        Where to draw; by default in a new picture.

    Returns
    -------
    Axes
        The Axes drawn on: one bar per turn in dollars; where the price is not known a
        question mark stands, on what is known of it.
    """
    ax = axes_or_new(ax, 6.4, 2.8)
    places = _places(turns)
    costs = [getattr(turn, "cost", None) for _, turn in places]
    stacks = [_dollars(cost) for cost in costs]
    _draw_stacks(ax, [place for place, _ in places], stacks)
    for (place, _), cost, stack in zip(places, costs, stacks, strict=True):
        if cost is not None and cost.usd is None:
            top = math.fsum(stack.values())
            ax.annotate(
                "?", (place, top), ha="center", va="bottom", color=ink(ax), size=11
            )
    ax.set_ylabel("cost (USD)")
    ax.yaxis.set_major_formatter(FuncFormatter(_dollar_tick))
    legend(ax)
    return ax


def plot_latency(turns: Iterable[Any], ax: Axes | None = None) -> Axes:
    """Draw how long every turn took to be answered.

    Parameters
    ----------
    turns : session, or iterable of turns
        Each with a `latency`, whose attributes that end in ``_ms`` are drawn, and an
        `index` if it has a number of its own.
    ax : Axes, optional
        Where to draw; by default in a new picture.

    Returns
    -------
    Axes
        The Axes drawn on: one line per kind of wait, in milliseconds, its median named
        beside it.
    """
    ax = axes_or_new(ax, 6.4, 2.8)
    places = _places(turns)
    waits = [
        (place, latencies(getattr(turn, "latency", None))) for place, turn in places
    ]
    names = list(dict.fromkeys(name for _, wait in waits for name in wait))
    for number, name in enumerate(names):
        points = [(place, wait[name]) for place, wait in waits if name in wait]
        x, y = zip(*points, strict=True)
        ax.plot(
            x,
            y,
            color=SERIES[number % len(SERIES)],
            marker="o",
            markersize=4,
            linewidth=1.2,
            label=f"{name}, median {statistics.median(y):.0f} ms",
        )
    ax.set_ylim(bottom=0)
    ax.set_ylabel("milliseconds")
    _turn_axis(ax, [place for place, _ in places])
    legend(ax, columns=2)
    return ax


def latencies(latency: object) -> dict[str, float]:
    """Waits of a turn by name.

    Parameters
    ----------
    latency : object or None
        Something with attributes that end in ``_ms``.

    Returns
    -------
    dict
        Milliseconds by name in words, in the order of the attributes; what is None or
        not a number is left out.
    """
    names = getattr(type(latency), "__dataclass_fields__", None) or getattr(
        latency, "__struct_fields__", None
    )
    values = {
        name: getattr(latency, name)
        for name in (vars(latency) if names is None and latency else names or ())
    }
    return {
        _in_words(name): float(value)
        for name, value in values.items()
        if name.endswith("_ms") and isinstance(value, int | float)
    }


def _in_words(name: str) -> str:
    """Name of a wait: ``stopped_to_created_ms`` is "stopped → created"."""
    return name.removesuffix("_ms").replace("_to_", " → ").replace("_", " ")


def _places(turns: Iterable[Any]) -> list[tuple[int, Any]]:
    """Turns and where each stands: at its index, or else at its place in the row."""
    listed = list(getattr(turns, "turns", turns))
    return [(getattr(turn, "index", at), turn) for at, turn in enumerate(listed)]


def _tokens(usage: object) -> dict[str, float]:
    if not isinstance(usage, Usage):
        return {}
    read, written = usage.input_token_details, usage.output_token_details
    cached = read.cached_tokens_details
    return {
        "text in": read.text_tokens - cached.text_tokens,
        "audio in": read.audio_tokens - cached.audio_tokens,
        "image in": read.image_tokens - cached.image_tokens,
        "cached in": cached.text_tokens + cached.audio_tokens + cached.image_tokens,
        "text out": written.text_tokens,
        "audio out": written.audio_tokens,
    }


def _dollars(cost: Any) -> dict[str, float]:
    stack: dict[str, float] = {}
    for kind, usd in (cost.by_kind if cost is not None else {}).items():
        name = FIGURE_KINDS[kind]
        stack[name] = stack.get(name, 0.0) + usd
    return stack


def _draw_stacks(
    ax: Axes, places: Sequence[int], stacks: Sequence[Mapping[str, float]]
) -> None:
    bottom = [0.0] * len(stacks)
    for kind, color in KINDS.items():
        heights = [stack.get(kind, 0) for stack in stacks]
        if any(heights):
            ax.bar(places, heights, 0.7, bottom, color=color, label=kind)
        bottom = [low + high for low, high in zip(bottom, heights, strict=True)]
    _turn_axis(ax, places)


def _turn_axis(ax: Axes, places: Sequence[int]) -> None:
    ax.set_xlabel("turn")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if places:
        ax.set_xlim(min(places) - 0.6, max(places) + 0.6)


def _dollar_tick(usd: float, _position: int | None = None) -> str:
    return f"${usd:.9f}".rstrip("0").rstrip(".") if usd > 0 else "0"
