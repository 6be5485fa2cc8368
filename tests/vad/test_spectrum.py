"""Third-octave levels and mains hum, against sines and noise of known level."""

import numpy as np
import pytest

from rtnb.errors import AudioFormatError
from rtnb.vad import mains_hum, third_octaves

RATE = 24_000


def sine(hertz, dbfs, *, rate=RATE, seconds=5):
    time = np.arange(seconds * rate) / rate
    return (np.sqrt(2) * 10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * time)).astype(
        np.float32
    )


def white(rng, dbfs, *, rate=RATE, seconds=5):
    return rng.normal(0, 10 ** (dbfs / 20), seconds * rate).astype(np.float32)


def total(spectrum):
    return 10 * np.log10(sum(10 ** (level / 10) for level in spectrum.levels))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 48_000])
def test_the_bands_are_those_of_the_standard(rate):
    centres = third_octaves(np.zeros(rate, np.float32), rate).centres
    assert centres[0] == pytest.approx(50.12, abs=0.01)
    assert np.allclose(np.diff(np.log10(centres)), 0.1)
    assert centres[-1] * 10**0.05 <= rate / 2 < centres[-1] * 10**0.15


@pytest.mark.parametrize("hertz", [100, 1000, 6300])
def test_a_sine_is_in_its_band_and_in_no_other(hertz):
    spectrum = third_octaves(sine(hertz, -30), RATE)
    nearest = int(np.argmin(np.abs(np.log(np.array(spectrum.centres) / hertz))))
    assert spectrum.levels[nearest] == pytest.approx(-30, abs=0.1)
    rest = spectrum.levels[: nearest - 1] + spectrum.levels[nearest + 2 :]
    assert max(rest) < -80


def test_white_noise_gives_each_band_its_share(rng):
    spectrum = third_octaves(white(rng, -40), RATE)
    for centre, level in zip(spectrum.centres, spectrum.levels, strict=True):
        width = centre * (10**0.05 - 10**-0.05)
        assert level == pytest.approx(-40 + 10 * np.log10(width / 12_000), abs=2)
    assert total(spectrum) == pytest.approx(
        -40 + 10 * np.log10(11_220 / 12_000), abs=0.2
    )


def test_an_offset_is_no_sound():
    offset = np.full(RATE, 0.1, np.float32)
    assert set(third_octaves(offset, RATE).levels) == {-140.0}


@pytest.mark.parametrize("mains", [50, 60])
def test_hum_is_noticed_with_its_level(rng, mains):
    hum = sine(mains, -50) + sine(3 * mains, -55) + white(rng, -60)
    found = mains_hum(hum, RATE)
    assert found.frequency == mains
    assert found.level_dbfs == pytest.approx(
        10 * np.log10(10**-5.0 + 10**-5.5), abs=0.3
    )


def test_a_single_tone_is_no_hum(rng):
    assert mains_hum(sine(100, -40) + white(rng, -60), RATE) is None


@pytest.mark.parametrize("seconds", [1, 5])
def test_noise_is_no_hum(seconds):
    for seed in range(50):
        noise = white(np.random.default_rng(seed), -40, seconds=seconds)
        assert mains_hum(noise, RATE) is None


@pytest.mark.parametrize("measure", [third_octaves, mains_hum])
def test_too_short_a_sound_is_refused(measure):
    with pytest.raises(AudioFormatError, match=r"0\.4 s have no spectrum.*longer"):
        measure(np.zeros(int(0.4 * RATE), np.float32), RATE)
