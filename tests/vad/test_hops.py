import numpy as np
import pytest

from rtnb.vad.hops import HopCutter


@pytest.mark.parametrize("size", [1, 3, 4, 5, 100])
def test_hops_do_not_hang_on_the_chunks(size):
    samples = np.arange(30, dtype=np.float32)
    cut = HopCutter(4)
    chunks = np.split(samples, range(size, 30, size))
    hops = np.concatenate([cut(chunk) for chunk in chunks])
    assert hops.tolist() == samples[:28].reshape(7, 4).tolist()


def test_nothing_gives_no_hop():
    assert HopCutter(4)(np.zeros(0, np.float32)).shape == (0, 4)
