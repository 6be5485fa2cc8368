import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.audio import pcm16_decode, pcm16_encode
from rtnb.errors import AudioFormatError

ALL = np.arange(-32768, 32768).astype("<i2")


def test_every_value_survives_decoding_and_encoding():
    assert pcm16_encode(pcm16_decode(ALL.tobytes())) == ALL.tobytes()


def test_full_scale_is_32768():
    samples = pcm16_decode(np.array([-32768, 16384, 32767], "<i2").tobytes())
    assert samples.dtype == np.float32
    assert samples.tolist() == [-1.0, 0.5, 32767 / 32768]


def test_bytes_are_little_endian():
    assert (
        pcm16_encode(np.array([1 / 32768, -2 / 32768], np.float32)) == b"\1\0\xfe\xff"
    )


@pytest.mark.parametrize(
    ("sample", "value"), [(1.0, 32767), (2.0, 32767), (-3.0, -32768)]
)
def test_what_is_too_loud_saturates(sample, value):
    encoded = pcm16_encode(np.array([sample], np.float32))
    assert np.frombuffer(encoded, "<i2").tolist() == [value]


def test_values_are_rounded_not_cut():
    steps = np.array([0.4, 0.6, -0.4, -0.6], np.float32) / 32768
    assert np.frombuffer(pcm16_encode(steps), "<i2").tolist() == [0, 1, 0, -1]


@given(st.lists(st.floats(-1, 1, width=32), max_size=50))
def test_encoding_is_off_by_half_a_step_at_most(samples):
    given_samples = np.array(samples, np.float32)
    error = pcm16_decode(pcm16_encode(given_samples)) - given_samples
    limit = np.where(given_samples > 32767 / 32768, 1.0, 0.5) / 32768
    assert (np.abs(error) <= limit).all()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_can_be_decoded(kind):
    assert pcm16_decode(kind(b"\0\x40")).tolist() == [0.5]


def test_no_bytes_are_no_samples():
    assert pcm16_decode(b"").shape == (0,)
    assert pcm16_encode(np.zeros(0, np.float32)) == b""


def test_an_odd_byte_count_is_refused():
    with pytest.raises(AudioFormatError, match=r"^3 bytes .* even byte"):
        pcm16_decode(b"\0\0\0")
