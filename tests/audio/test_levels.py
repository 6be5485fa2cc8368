import numpy as np
import pytest

from rtnb.audio import rms_dbfs
from rtnb.errors import AudioFormatError


def test_a_full_scale_square_wave_is_the_reference():
    square = np.tile(np.array([1, -1], np.float32), 100)
    assert rms_dbfs(square) == 0.0


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.001])
def test_a_sine_is_three_decibels_below_its_peak(amplitude):
    sine = amplitude * np.sin(2 * np.pi * np.arange(24_000) / 24, dtype=np.float32)
    expected = 20 * np.log10(amplitude) - 3.0103
    assert rms_dbfs(sine.astype(np.float32)) == pytest.approx(expected, abs=1e-3)


def test_silence_has_the_lowest_level():
    assert rms_dbfs(np.zeros(10, np.float32)) == -120.0


def test_nothing_is_below_the_floor():
    assert rms_dbfs(np.full(10, 1e-5, np.float32), floor=-60.0) == -60.0


def test_no_samples_have_no_level():
    with pytest.raises(AudioFormatError, match="at least 1"):
        rms_dbfs(np.zeros(0, np.float32))
