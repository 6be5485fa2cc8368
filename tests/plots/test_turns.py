"""Bars and lines stand where the turns are, as high as their figures."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from rtnb.plots import plot_cost, plot_latency, plot_tokens
from rtnb.plots.palette import KINDS
from rtnb.plots.turns import latencies
from rtnb.session import turn as session
from rtnb.usage import (
    CachedTokensDetails,
    InputTokenDetails,
    OutputTokenDetails,
    TranscriptionDuration,
    Usage,
    UsageLedger,
    cost,
)

RECORDED = Usage(
    total_tokens=200,
    input_tokens=139,
    output_tokens=61,
    input_token_details=InputTokenDetails(
        text_tokens=43,
        audio_tokens=96,
        cached_tokens=64,
        cached_tokens_details=CachedTokensDetails(audio_tokens=64),
    ),
    output_token_details=OutputTokenDetails(text_tokens=18, audio_tokens=43),
)


@dataclass
class Latency:
    first_audio_ms: float | None = None
    response_ms: float | None = None
    turns: int = 0


@dataclass
class Turn:
    index: int
    usage: Usage | None = None
    cost: object = None
    latency: Latency | None = None


@pytest.fixture
def ax():
    return Figure().add_subplot()


def bars(ax):
    """Bottom and height of every bar by kind and place."""
    return {
        (group.get_label(), bar.get_x() + bar.get_width() / 2): (
            bar.get_y(),
            bar.get_height(),
        )
        for group in ax.containers
        for bar in group
    }


def test_tokens_are_stacked_by_kind_up_to_the_total(ax):
    assert plot_tokens([Turn(3, RECORDED)], ax) is ax
    assert bars(ax) == {
        ("text in", 3): (0, 43),
        ("audio in", 3): (43, 32),
        ("cached in", 3): (75, 64),
        ("text out", 3): (139, 18),
        ("audio out", 3): (157, 43),
    }
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("turn", "tokens")


def test_kinds_have_their_colours(ax):
    plot_tokens([Turn(0, RECORDED)], ax)
    for group in ax.containers:
        assert group[0].get_facecolor() == to_rgba(KINDS[group.get_label()])
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["text in", "audio in", "cached in", "text out", "audio out"]


def test_a_turn_without_usage_keeps_its_place(ax):
    plot_tokens([Turn(0), Turn(1, RECORDED), Turn(2)], ax)
    assert bars(ax)["text in", 0] == (0, 0)
    assert bars(ax)["text in", 1] == (0, 43)
    assert ax.get_xlim() == (-0.6, 2.6)


@pytest.mark.parametrize("plot", [plot_tokens, plot_cost, plot_latency])
def test_no_turns_are_an_empty_picture(plot, ax):
    plot([], ax)
    ax.figure.draw_without_rendering()
    assert ax.get_legend() is None


@pytest.mark.parametrize("plot", [plot_tokens, plot_cost, plot_latency])
def test_without_axes_a_new_picture_is_drawn(plot):
    ax = plot([Turn(0, RECORDED, cost(RECORDED, "gpt-realtime"), Latency(42))])
    assert ax._repr_png_()[0].startswith(b"\x89PNG")


def test_ledger_rows_are_counted_from_the_left(ax):
    ledger = UsageLedger()
    ledger.add("item_1", TranscriptionDuration(seconds=60), "whisper-1")
    ledger.add("resp_1", RECORDED, "gpt-realtime")
    plot_tokens(ledger.rows(), ax)
    assert bars(ax)["text in", 1] == (0, 43)
    money = plot_cost(ledger.rows())
    assert bars(money)["by the minute", 0] == pytest.approx((0, 0.006))


def test_a_session_is_taken_for_its_turns(ax):
    @dataclass
    class Session:
        turns: list

    plot_tokens(Session([Turn(0, RECORDED)]), ax)
    assert bars(ax)["text in", 0] == (0, 43)


def test_cost_is_stacked_up_to_the_dollars(ax):
    total = cost(RECORDED, "gpt-realtime")
    plot_cost([Turn(0, RECORDED, total)], ax)
    heights = {kind: height for (kind, _), (_, height) in bars(ax).items()}
    assert sum(heights.values()) == pytest.approx(total.usd)
    assert heights["cached in"] == pytest.approx(64 * 0.4e-6)
    assert heights["audio out"] == pytest.approx(43 * 64e-6)
    assert ax.yaxis.get_major_formatter()(0.0192) == "$0.0192"
    assert ax.yaxis.get_major_formatter()(0.0005) == "$0.0005"
    assert ax.yaxis.get_major_formatter()(20) == "$20"
    assert ax.yaxis.get_major_formatter()(0) == "0"


def test_an_unknown_cost_is_a_question_not_a_zero(ax):
    known = cost(RECORDED, "gpt-realtime")
    turns = [Turn(0, RECORDED, cost(RECORDED, "home-made")), Turn(1, RECORDED, known)]
    plot_cost([*turns, Turn(2)], ax)
    assert [(text.get_text(), text.xy[0]) for text in ax.texts] == [("?", 0)]


def test_latency_is_a_line_per_wait_with_its_median(ax):
    waits = [(40, 900), (44, None), (50, 1100)]
    plot_latency([Turn(n, latency=Latency(*w)) for n, w in enumerate(waits)], ax)
    first, whole = ax.lines
    assert first.get_xydata().tolist() == [[0, 40], [1, 44], [2, 50]]
    assert whole.get_xydata().tolist() == [[0, 900], [2, 1100]]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["first audio, median 44 ms", "response, median 1000 ms"]
    assert ax.get_ylim()[0] == 0


def test_waits_are_what_ends_in_ms_and_is_known():
    assert latencies(Latency(42.0, None, turns=3)) == {"first audio": 42.0}
    assert latencies(None) == {}


def test_waits_of_a_real_turn_are_named_in_words():
    waits = session.Latency(stopped_to_created_ms=4, total_ms=9)
    assert latencies(waits) == {"stopped → created": 4, "total": 9}
