"""What the scripted mind says of images."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from rtnb.gateway.responder import Request
from rtnb.gateway.script import Script
from rtnb.gateway.sight import COLOURS, colour_name, seen
from rtnb.protocol.events import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputImage,
    InputText,
    MessageItem,
    OutputText,
)
from rtnb.tools import picture

BLUE = np.full((30, 40, 3), (30, 80, 220), np.uint8)


def shown(*arrays, text=None):
    parts = [InputImage(image_url=picture(array).uri) for array in arrays]
    words = [] if text is None else [InputText(text=text)]
    return MessageItem(role="user", content=parts + words)


def answer(*items, user_text=None):
    request = Request(
        instructions="",
        items=items,
        tools=(),
        tool_choice="auto",
        user_text=user_text,
        heard_ms=None,
        transcription_failed=None,
        now=datetime(2026, 11, 20, tzinfo=UTC),
    )
    return "".join(Script.load()(request))


@pytest.mark.parametrize("name", COLOURS)
def test_every_colour_has_its_own_name(name):
    assert colour_name(COLOURS[name]) == name


def test_an_image_is_described_with_and_without_words():
    said = "I see an image of 40 by 30 pixels, mostly blue."
    assert answer(shown(BLUE)) == said
    assert answer(shown(BLUE, text="What is it?"), user_text="What is it?") == said


def test_several_images_are_described_and_one_that_is_broken():
    both = shown(BLUE, np.zeros((2, 2)))
    assert seen([both]).endswith("blue and an image of 2 by 2 pixels, mostly black")
    broken = InputImage(image_url="data:image/png;base64,AAAA")
    message = MessageItem(role="user", content=[broken])
    assert answer(message) == "I see an image that I cannot unpack."


def test_an_image_may_come_before_the_question():
    question = MessageItem(role="user", content=[InputText(text="What is it?")])
    assert answer(shown(BLUE), question, user_text="What is it?") == (
        "I see an image of 40 by 30 pixels, mostly blue."
    )


def test_an_image_that_was_answered_is_not_what_is_asked_about():
    answered = MessageItem(role="assistant", content=[OutputText(text="Blue.")])
    later = MessageItem(role="user", content=[InputText(text="How are you?")])
    assert seen([shown(BLUE), answered, later]) is None


def test_what_a_function_shows_belongs_to_its_result():
    call = FunctionCallItem(name="plot", call_id="c", arguments="{}")
    result = FunctionCallOutputItem(call_id="c", output="image 1")
    assert answer(call, result, shown(BLUE)) == (
        "The tool plot shows an image of 40 by 30 pixels, mostly blue."
    )
    assert answer(shown(BLUE), call, result) == "The tool plot says: image 1."
