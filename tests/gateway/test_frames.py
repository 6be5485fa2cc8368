from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.errors import AudioFormatError, ProtocolError
from rtnb.gateway.frames import (
    AnswerFrame,
    MicrophoneFrame,
    pack_answer,
    pack_microphone,
    unpack_answer,
    unpack_microphone,
)

FIXTURE = json.loads(
    (Path(__file__).parents[1] / "js" / "frames.json").read_text(encoding="utf-8")
)
pcm16 = st.binary(max_size=64).map(lambda data: data[: len(data) // 2 * 2])


@pytest.mark.parametrize("case", FIXTURE["microphone"], ids=lambda case: case["name"])
def test_microphone_frames_are_the_bytes_the_page_reads_and_writes(case):
    frame = MicrophoneFrame(
        case["seq"], case["browser_ms"], bytes.fromhex(case["pcm_hex"])
    )
    assert pack_microphone(frame).hex() == case["frame_hex"]
    assert unpack_microphone(bytes.fromhex(case["frame_hex"])) == frame


@pytest.mark.parametrize("case", FIXTURE["answer"], ids=lambda case: case["name"])
def test_answer_frames_are_the_bytes_the_page_reads_and_writes(case):
    frame = AnswerFrame(
        case["item_id"], case["start_sample"], bytes.fromhex(case["pcm_hex"])
    )
    assert pack_answer(frame).hex() == case["frame_hex"]
    assert unpack_answer(bytes.fromhex(case["frame_hex"])) == frame


@given(st.integers(0, 2**32 - 1), st.floats(allow_nan=False), pcm16)
def test_a_microphone_frame_survives_the_wire(seq, browser_ms, pcm):
    frame = MicrophoneFrame(seq, browser_ms, pcm)
    assert unpack_microphone(pack_microphone(frame)) == frame


@given(st.text(max_size=60), st.integers(0, 2**32 - 1), pcm16)
def test_an_answer_frame_survives_the_wire(item_id, start_sample, pcm):
    frame = AnswerFrame(item_id, start_sample, pcm)
    assert unpack_answer(pack_answer(frame)) == frame


def test_the_sequence_number_starts_again_after_its_largest():
    assert unpack_microphone(pack_microphone(MicrophoneFrame(2**32 + 5, 0.0, b""))) == (
        MicrophoneFrame(5, 0.0, b"")
    )


@pytest.mark.parametrize("unpack", [unpack_microphone, unpack_answer])
@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02\x00\x00", bytes([9]) * 40])
def test_what_is_no_frame_of_that_kind_is_refused(unpack, data):
    with pytest.raises(ProtocolError, match="media frame"):
        unpack(data)


def test_an_id_that_ends_early_or_is_no_text_is_refused():
    with pytest.raises(ProtocolError, match="ends within its item id"):
        unpack_answer(bytes([2, 9, 0, 0, 0, 0, 0, 0]) + b"short")
    with pytest.raises(ProtocolError, match="not UTF-8"):
        unpack_answer(bytes([2, 1, 0, 0, 0, 0, 0, 0, 0xFF]))


def test_an_id_too_long_for_its_length_byte_is_refused():
    with pytest.raises(ProtocolError, match="255 bytes"):
        pack_answer(AnswerFrame("é" * 128, 0, b""))


def test_half_a_sample_is_refused():
    with pytest.raises(AudioFormatError, match="3 bytes"):
        pack_microphone(MicrophoneFrame(0, 0.0, b"abc"))
    with pytest.raises(AudioFormatError, match="1 bytes"):
        pack_answer(AnswerFrame("it", 0, b"a"))
    with pytest.raises(AudioFormatError, match="1 bytes"):
        unpack_microphone(pack_microphone(MicrophoneFrame(0, 0.0, b"")) + b"a")
    with pytest.raises(AudioFormatError, match="1 bytes"):
        unpack_answer(pack_answer(AnswerFrame("it", 0, b"")) + b"a")
