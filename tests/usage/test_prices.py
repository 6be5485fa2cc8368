"""Prices have a source, and costs are the documented sums."""

from __future__ import annotations

import re

import msgspec
import pytest

from rtnb.errors import ConfigError
from rtnb.usage import (
    CachedTokensDetails,
    Cost,
    InputTokenDetails,
    OutputTokenDetails,
    PriceCard,
    PriceTable,
    TranscriptionDuration,
    TranscriptionTokenDetails,
    TranscriptionTokens,
    Usage,
    cost,
    dollars,
)
from rtnb.usage.prices import FIGURES

FLAGSHIPS = ("gpt-realtime-2.1", "gpt-realtime-2", "gpt-realtime-1.5", "gpt-realtime")
MINIS = ("gpt-realtime-2.1-mini", "gpt-realtime-mini", "gpt-4o-mini-realtime-preview")
DOCUMENTED = Usage(
    total_tokens=253,
    input_tokens=132,
    output_tokens=121,
    input_token_details=InputTokenDetails(
        text_tokens=119,
        audio_tokens=13,
        cached_tokens=64,
        cached_tokens_details=CachedTokensDetails(text_tokens=64),
    ),
    output_token_details=OutputTokenDetails(text_tokens=30, audio_tokens=91),
)


def user_audio(tokens):
    return Usage(
        total_tokens=tokens,
        input_tokens=tokens,
        input_token_details=InputTokenDetails(audio_tokens=tokens),
    )


def assistant_audio(tokens):
    return Usage(
        total_tokens=tokens,
        output_tokens=tokens,
        output_token_details=OutputTokenDetails(audio_tokens=tokens),
    )


# -- the table ---------------------------------------------------------------------------


def test_every_card_has_a_price_a_source_and_dates_one_can_read():
    table = PriceTable.load()
    assert len(table) == 16
    for card in table:
        assert card.source
        assert any(card.price(figure) is not None for figure in FIGURES)
        days = (card.shutdown, *card.snapshot_shutdowns.values())
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day in days if day)
        assert card.date is None or re.fullmatch(r"\d{4}(-\d\d){0,2}", card.date)
        assert set(card.unverified) <= set(FIGURES)
        assert set(card.snapshot_shutdowns) <= set(card.snapshots)


def test_what_other_sources_say_is_kept():
    card = PriceTable.load().card("gpt-realtime-2.1")
    assert card.text_output == 24
    assert [(c.figure, c.usd) for c in card.conflicts] == [
        ("text_output", 16),
        ("all", None),
    ]


def test_a_cached_token_never_costs_more_than_a_fresh_one():
    for card in PriceTable.load():
        for kind in ("text", "audio", "image"):
            fresh, cached = card.price(f"{kind}_input"), card.price(f"{kind}_cached")
            assert cached is None or cached <= fresh


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-realtime-2025-08-28", "gpt-realtime"),
        ("gpt-realtime-2.1-2026-06-30", "gpt-realtime-2.1"),
        ("gpt-4o-realtime-preview-2025-06-03", "gpt-4o-realtime-preview"),
        ("gpt-4o-realtime-preview-2024-10-01", None),
        ("gpt-realtime-9", None),
        ("", None),
        (None, None),
    ],
)
def test_a_snapshot_finds_its_family(model, family):
    card = PriceTable.load().card(model)
    assert (card and card.model) == family


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.json"
    card = {"model": "mine", "source": "contract", "date": "2026-11", "per_minute": 1}
    path.write_bytes(msgspec.json.encode({"cards": [card]}))
    table = PriceTable.load(path)
    assert repr(table) == "PriceTable(mine)"
    assert cost(TranscriptionDuration(seconds=30), "mine", prices=table).usd == 0.5
    assert cost(user_audio(1), "gpt-realtime", prices=table).usd is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "truncated"),
        ('{"cards":[{"model":"m","source":"s","date":null,"cent":1}]}', "cent"),
        ('{"cards":[{"model":"m","source":"s","date":null,"text_input":-1}]}', "-1"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(tmp_path, text, says):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.json is no price table.*{says}"):
        PriceTable.load(path)


def test_two_cards_for_one_name_are_refused():
    card = PriceCard(model="mine", source="contract", date=None)
    with pytest.raises(ConfigError, match="two cards for mine"):
        PriceTable((card, card))


# -- the sum -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "heard", "said"),
    [(FLAGSHIPS, 0.0192, 0.0768), (MINIS, 0.006, 0.024)],
)
def test_a_minute_of_audio(models, heard, said):
    for model in models:
        assert cost(user_audio(600), model).usd == pytest.approx(heard, rel=1e-12)
        assert cost(assistant_audio(1200), model).usd == pytest.approx(said, rel=1e-12)


def test_the_documented_example_by_hand():
    total = cost(DOCUMENTED, "gpt-realtime-2.1")
    by_hand = (55 * 4 + 64 * 0.4 + 13 * 32 + 30 * 24 + 91 * 64) / 1e6
    assert total.usd == pytest.approx(by_hand, rel=1e-12)
    assert by_hand == pytest.approx(0.0072056)
    assert set(total.by_kind) == {
        "text_input",
        "text_cached",
        "audio_input",
        "text_output",
        "audio_output",
    }
    assert (total.model, total.date) == ("gpt-realtime-2.1", "2026-10")


def test_cached_audio_is_eighty_times_cheaper():
    cached = CachedTokensDetails(audio_tokens=600)
    details = InputTokenDetails(
        audio_tokens=600, cached_tokens=600, cached_tokens_details=cached
    )
    usage = Usage(input_tokens=600, input_token_details=details)
    full = cost(user_audio(600), "gpt-realtime-2.1").usd
    assert full / cost(usage, "gpt-realtime-2.1").usd == pytest.approx(80)


def test_images_have_their_own_price():
    cached = CachedTokensDetails(image_tokens=100)
    details = InputTokenDetails(image_tokens=300, cached_tokens_details=cached)
    usage = Usage(input_tokens=300, input_token_details=details)
    assert cost(usage, "gpt-realtime").usd == pytest.approx((200 * 5 + 100 * 0.5) / 1e6)


def test_more_cached_than_read_is_not_paid_back():
    cached = CachedTokensDetails(text_tokens=500)
    details = InputTokenDetails(text_tokens=100, cached_tokens_details=cached)
    total = cost(Usage(input_token_details=details), "gpt-realtime")
    assert total.by_kind == {"text_cached": pytest.approx(100 * 0.4 / 1e6)}


def test_transcription_by_the_minute_and_by_token():
    minute = cost(TranscriptionDuration(seconds=60), "gpt-realtime-whisper")
    assert minute.usd == 0.017
    details = TranscriptionTokenDetails(audio_tokens=17)
    tokens = TranscriptionTokens(
        total_tokens=26, input_tokens=17, input_token_details=details, output_tokens=9
    )
    total = cost(tokens, "gpt-4o-transcribe").usd
    assert total == pytest.approx((17 * 2.5 + 9 * 10) / 1e6)
    without_kinds = TranscriptionTokens(input_tokens=17, output_tokens=9)
    assert cost(without_kinds, "gpt-4o-transcribe").usd == pytest.approx(total)


def test_nothing_used_costs_nothing_where_the_price_is_known():
    assert cost(Usage(), "gpt-realtime").usd == 0
    assert cost(TranscriptionDuration(), "whisper-1").usd == 0


@pytest.mark.parametrize(
    ("usage", "model"),
    [
        (Usage(), "home-made"),
        (Usage(), None),
        (user_audio(600), "whisper-1"),
        (TranscriptionDuration(seconds=1), "gpt-realtime"),
        (Usage(input_tokens=16), "gpt-realtime"),
        (Usage(output_tokens=24), "gpt-realtime"),
    ],
)
def test_an_unknown_price_is_none_never_zero(usage, model):
    total = cost(usage, model)
    assert total.usd is None
    assert str(total) == "price unknown"


def test_the_known_part_of_an_unknown_cost_is_kept():
    image = InputTokenDetails(image_tokens=10, text_tokens=10)
    usage = Usage(input_tokens=20, input_token_details=image)
    total = cost(usage, "gpt-4o-realtime-preview")
    assert total.usd is None
    assert total.by_kind == {"text_input": pytest.approx(10 * 5 / 1e6)}


def test_costs_add_and_one_unknown_makes_the_sum_unknown():
    heard, said = (cost(u, "gpt-realtime") for u in (user_audio(1), assistant_audio(1)))
    both = heard + said
    assert both.usd == pytest.approx(96e-6)
    assert (both + both).by_kind["audio_input"] == pytest.approx(64e-6)
    assert Cost() + heard == heard
    mixed = both + cost(user_audio(1), "home-made")
    assert mixed.usd is None
    assert mixed.model == "gpt-realtime, home-made"
    assert set(mixed.by_kind) == {"audio_input", "audio_output"}


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0, "$0.00"),
        (0.1234, "$0.123"),
        (0.0192, "$0.0192"),
        (0.00192, "$0.00192"),
        (4.2e-9, "$0.00000000420"),
        (1, "$1.00"),
        (1234.567, "$1234.57"),
    ],
)
def test_dollars_are_written_without_a_false_zero(usd, text):
    assert dollars(usd) == text
    assert str(Cost(usd=usd)) == text
