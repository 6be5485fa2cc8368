"""The ledger counts each response once."""

from __future__ import annotations

import pytest

from rtnb.usage import (
    InputTokenDetails,
    PriceTable,
    TranscriptionDuration,
    Usage,
    UsageLedger,
)

HEARD = Usage(
    total_tokens=600,
    input_tokens=600,
    input_token_details=InputTokenDetails(audio_tokens=600),
)


def test_the_same_response_counts_once():
    ledger = UsageLedger()
    assert ledger.add("resp_1", HEARD, "gpt-realtime")
    assert not ledger.add("resp_1", HEARD, "gpt-realtime")
    assert ledger.usage == HEARD
    assert ledger.cost.usd == pytest.approx(0.0192)
    assert ledger.add("resp_2", HEARD, "gpt-realtime")
    assert ledger.usage == HEARD + HEARD
    assert ledger.cost.usd == pytest.approx(0.0384)


def test_a_transcription_costs_but_is_no_token_of_the_model():
    ledger = UsageLedger()
    ledger.add("item_1", TranscriptionDuration(seconds=60), "gpt-realtime-whisper")
    assert ledger.usage == Usage()
    assert ledger.cost.usd == 0.017


def test_one_unknown_price_makes_the_total_unknown():
    ledger = UsageLedger()
    ledger.add("resp_1", HEARD, "gpt-realtime")
    ledger.add("resp_2", HEARD, "home-made")
    assert ledger.cost.usd is None
    assert ledger.usage.total_tokens == 1200


def test_rows_stand_in_the_order_they_came():
    ledger = UsageLedger()
    for name in ("resp_2", "resp_1"):
        ledger.add(name, HEARD, "gpt-realtime")
    assert [row.id for row in ledger.rows()] == ["resp_2", "resp_1"]
    assert ledger.rows()[0].cost.usd == pytest.approx(0.0192)
    assert repr(ledger) == "UsageLedger(2 entries, 1200 tokens, $0.0384)"


def test_prices_of_ones_own():
    ledger = UsageLedger(PriceTable(()))
    ledger.add("resp_1", HEARD, "gpt-realtime")
    assert ledger.cost.usd is None
