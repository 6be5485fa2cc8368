"""The usage objects read and write what the service does."""

from __future__ import annotations

import msgspec
import pytest
from openai.types.realtime import RealtimeResponseUsage
from openai.types.realtime import (
    conversation_item_input_audio_transcription_completed_event as completed,
)

from rtnb.usage import (
    CachedTokensDetails,
    InputTokenDetails,
    OutputTokenDetails,
    TranscriptionDuration,
    TranscriptionTokenDetails,
    TranscriptionTokens,
    TranscriptionUsage,
    Usage,
)

RECORDED = (
    '{"total_tokens":200,"input_tokens":139,"output_tokens":61,"input_token_details":'
    '{"text_tokens":43,"audio_tokens":96,"image_tokens":0,"cached_tokens":64,'
    '"cached_tokens_details":{"text_tokens":0,"audio_tokens":64,"image_tokens":0}},'
    '"output_token_details":{"text_tokens":18,"audio_tokens":43}}'
)


def test_recorded_usage_survives_the_round_trip_to_the_letter():
    usage = msgspec.json.decode(RECORDED, type=Usage)
    assert msgspec.json.encode(usage).decode() == RECORDED
    assert usage.input_token_details.cached_tokens_details.audio_tokens == 64


def test_what_a_peer_leaves_out_is_zero():
    assert msgspec.json.decode("{}", type=Usage) == Usage()
    assert '"cached_tokens":0' in msgspec.json.encode(Usage()).decode()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Usage, RealtimeResponseUsage),
        (TranscriptionTokens, completed.UsageTranscriptTextUsageTokens),
        (TranscriptionDuration, completed.UsageTranscriptTextUsageDuration),
        (
            TranscriptionTokenDetails,
            completed.UsageTranscriptTextUsageTokensInputTokenDetails,
        ),
    ],
)
def test_fields_are_those_of_the_official_client(ours, theirs):
    assert set(ours.__struct_fields__) == set(theirs.model_fields) - {"type"}
    theirs.model_validate(msgspec.to_builtins(ours()), strict=True)


def test_transcription_usage_is_told_apart_by_its_type():
    for raw, usage in (
        ('{"type":"duration","seconds":3}', TranscriptionDuration(seconds=3)),
        ('{"type":"tokens","output_tokens":9}', TranscriptionTokens(output_tokens=9)),
    ):
        assert msgspec.json.decode(raw, type=TranscriptionUsage) == usage
    assert msgspec.json.encode(TranscriptionDuration(seconds=3)).endswith(b":3}")


def test_transcription_tokens_keep_the_order_of_the_service():
    names = list(msgspec.to_builtins(TranscriptionTokens()))
    assert names == [
        "type",
        "total_tokens",
        "input_tokens",
        "input_token_details",
        "output_tokens",
    ]


def test_sum_adds_every_level():
    usage = msgspec.json.decode(RECORDED, type=Usage)
    twice = usage + usage
    assert twice == Usage(
        total_tokens=400,
        input_tokens=278,
        output_tokens=122,
        input_token_details=InputTokenDetails(
            text_tokens=86,
            audio_tokens=192,
            cached_tokens=128,
            cached_tokens_details=CachedTokensDetails(audio_tokens=128),
        ),
        output_token_details=OutputTokenDetails(text_tokens=36, audio_tokens=86),
    )


def test_sum_of_transcriptions():
    seconds = TranscriptionDuration(seconds=3) + TranscriptionDuration(seconds=2)
    assert seconds.seconds == 5
    details = TranscriptionTokenDetails(audio_tokens=17)
    tokens = TranscriptionTokens(input_token_details=details, output_tokens=9)
    assert (tokens + tokens).input_token_details.audio_tokens == 34


def test_sum_refuses_another_kind():
    with pytest.raises(TypeError, match="cannot add int to Usage"):
        Usage() + 1
