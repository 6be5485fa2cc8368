import io
import warnings

import numpy as np
import pytest
import soundfile

from rtnb.audio import (
    alaw_decode,
    alaw_encode,
    pcm16_decode,
    pcm16_encode,
    ulaw_decode,
    ulaw_encode,
)

EVERY_VALUE = np.arange(-32768, 32768).astype("<i2").tobytes()
EVERY_CODE = bytes(range(256))


@pytest.fixture(scope="module")
def audioop():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("audioop", reason="audioop went with Python 3.13")


def test_ulaw_codes_are_the_standards(audioop):
    expected = audioop.lin2ulaw(EVERY_VALUE, 2)
    assert ulaw_encode(pcm16_decode(EVERY_VALUE)) == expected


def test_alaw_codes_are_the_standards(audioop):
    expected = audioop.lin2alaw(EVERY_VALUE, 2)
    assert alaw_encode(pcm16_decode(EVERY_VALUE)) == expected


def test_decoded_values_are_the_standards(audioop):
    assert pcm16_encode(ulaw_decode(EVERY_CODE)) == audioop.ulaw2lin(EVERY_CODE, 2)
    assert pcm16_encode(alaw_decode(EVERY_CODE)) == audioop.alaw2lin(EVERY_CODE, 2)


@pytest.mark.parametrize(
    ("subtype", "decode"), [("ULAW", ulaw_decode), ("ALAW", alaw_decode)]
)
def test_decoded_values_are_those_of_libsndfile(subtype, decode):
    expected, _ = soundfile.read(
        io.BytesIO(EVERY_CODE),
        format="RAW",
        subtype=subtype,
        samplerate=8000,
        channels=1,
        dtype="int16",
    )
    assert pcm16_encode(decode(EVERY_CODE)) == expected.astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("encode", "decode"), [(ulaw_encode, ulaw_decode), (alaw_encode, alaw_decode)]
)
def test_every_code_survives_decoding_and_encoding(encode, decode):
    again = np.frombuffer(encode(decode(EVERY_CODE)), np.uint8)
    changed = np.flatnonzero(again != np.frombuffer(EVERY_CODE, np.uint8))
    # mu-law has two zeros, 0x7F and 0xFF; the second is the one that is sent
    assert changed.tolist() == ([0x7F] if encode is ulaw_encode else [])


@pytest.mark.parametrize(
    ("encode", "decode"), [(ulaw_encode, ulaw_decode), (alaw_encode, alaw_decode)]
)
def test_a_sine_keeps_35_decibels(encode, decode):
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    noise = decode(encode(sine.astype(np.float32))) - sine
    assert 10 * np.log10(np.mean(sine**2) / np.mean(noise**2)) > 35


@pytest.mark.parametrize("encode", [ulaw_encode, alaw_encode])
def test_what_is_too_loud_saturates(encode):
    assert encode(np.array([3.0], np.float32)) == encode(np.array([1.0], np.float32))
