import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.errors import AudioFormatError, ProtocolError
from rtnb.protocol.tap import pack, unpack


@given(
    position=st.integers(0, 2**63),
    pcm=st.lists(st.integers(-32768, 32767), max_size=50),
)
def test_what_is_packed_is_unpacked(position, pcm):
    samples = (np.array(pcm, np.float32) / 32768).astype(np.float32)
    there, heard = unpack(pack(position, samples))
    assert there == position
    np.testing.assert_array_equal(heard, samples)


def test_a_message_without_a_position_is_refused():
    with pytest.raises(ProtocolError, match="7 bytes, its position alone 8"):
        unpack(bytes(7))


def test_half_a_sample_is_refused():
    with pytest.raises(AudioFormatError, match="whole"):
        unpack(bytes(9))
