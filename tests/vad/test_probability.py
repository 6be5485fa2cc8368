import numpy as np
import pytest

from rtnb.errors import AudioFormatError
from rtnb.vad import SpeechProbability


def test_a_trace_has_times():
    probability = SpeechProbability(np.zeros(4, np.float32))
    assert probability.times.tolist() == [0.0, 0.032, 0.064, 0.096]
    assert probability.duration == pytest.approx(0.128)
    assert len(probability) == 4


def test_a_trace_is_for_reading():
    probability = SpeechProbability(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="read-only"):
        probability.p[0] = 1


@pytest.mark.parametrize("p", [np.zeros(4), np.zeros((2, 2), np.float32)])
def test_a_trace_of_another_kind_is_refused(p):
    with pytest.raises(AudioFormatError, match=r"not float32 of shape \(n,\)"):
        SpeechProbability(p)


@pytest.mark.parametrize(("hop", "rate"), [(512, 22_050), (0, 16_000), (1, 16_000)])
def test_hops_of_broken_milliseconds_are_refused(hop, rate):
    with pytest.raises(AudioFormatError, match="not a whole number of milliseconds"):
        SpeechProbability(np.zeros(4, np.float32), hop, rate)
