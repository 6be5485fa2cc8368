"""Token counts are those of the recorded sessions, or as near as said."""

from __future__ import annotations

import pytest

from rtnb.usage import (
    USER_AUDIO_MARKERS,
    assistant_audio_tokens,
    estimate_text_tokens,
    estimate_tools_tokens,
    estimate_transcript_tokens,
    user_audio_tokens,
)

TOOL = (
    '{"type": "function", "name": "get_weather", "parameters": {"additionalProperties":'
    ' false, "properties": {"city": {"type": "string"}}, "required": ["city"], "type": '
    '"object"}, "description": "Look up the weather for a city."}'
)


@pytest.mark.parametrize(
    ("ms", "tokens"),
    [(0, 0), (99.9, 0), (100, 1), (2796, 27), (60_000, 600), (1000 * 7200 / 24000, 3)],
)
def test_user_audio_counts_whole_tenths_of_a_second(ms, tokens):
    assert user_audio_tokens(ms) == tokens


@pytest.mark.parametrize(
    ("ms", "tokens"),
    [(0, 0), (1, 1), (50, 1), (50.5, 2), (60_000, 1200), (1000 * 51600 / 24000, 43)],
)
def test_assistant_audio_counts_begun_twentieths_of_a_second(ms, tokens):
    assert assistant_audio_tokens(ms) == tokens


@pytest.mark.parametrize("count", range(0, 48000, 1200))
def test_a_whole_number_of_tokens_is_not_moved_by_float_noise(count):
    ms = sum([1000 / 24000] * count)
    assert assistant_audio_tokens(ms) == count // 1200
    assert user_audio_tokens(ms) == count // 2400


def test_recorded_text_turn_was_sixteen_tokens():
    texts = ("Answer in two or three words.", "Say a short greeting.")
    assert sum(map(estimate_text_tokens, texts)) == 16


def test_recorded_spoken_turn_was_fifteen_text_tokens():
    text = estimate_text_tokens("Reply in two or three words.")
    assert text + USER_AUDIO_MARKERS == 15


def test_recorded_tool_turn_was_sixty_three_tokens():
    instructions = (
        "Use the get_weather tool for any weather question, then answer in one short "
        "sentence."
    )
    texts = (instructions, "What is the weather in London?")
    tokens = sum(map(estimate_text_tokens, texts)) + estimate_tools_tokens(TOOL)
    assert tokens == pytest.approx(63, abs=2)


def test_recorded_text_answer_was_thirteen_tokens():
    tokens = estimate_text_tokens("It is foggy and 12 degrees in London.")
    assert tokens == pytest.approx(13, abs=2)


@pytest.mark.parametrize(
    ("transcript", "recorded"),
    [
        ("Hi there!", 9),
        ("Hi Marcelo! Nice to meet you.", 18),
        ("Hi Marcelo! Great to meet you.", 18),
        ("Hey Marcelo, nice meeting you.", 17),
    ],
)
def test_recorded_spoken_answers(transcript, recorded):
    assert estimate_transcript_tokens(transcript) == pytest.approx(recorded, abs=1)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("日本語", 3),
        ("한국", 2),
        ("こんにちは", 5),
        ("1234567", 3),
        ("a_b", 3),
        ("...", 1),
    ],
)
def test_other_scripts_digits_and_punctuation(text, content):
    assert estimate_text_tokens(text) == content + 2


@pytest.mark.parametrize(
    "estimate",
    [estimate_text_tokens, estimate_transcript_tokens, estimate_tools_tokens],
)
@pytest.mark.parametrize("text", ["", " \n\t"])
def test_nothing_counts_for_nothing(estimate, text):
    assert estimate(text) == 0
