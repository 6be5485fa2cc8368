"""The echo of a synthetic room, whose delay and attenuation are known."""

import numpy as np
import pytest

from rtnb.errors import AudioFormatError
from rtnb.vad import EchoCheck, ServerVad, echo_probe, measure_echo
from rtnb.vad.echo import PROBE_DBFS

RATE = 24_000
BEFORE = RATE // 2
PROBE = echo_probe(RATE).samples
HEADPHONES = EchoCheck(None, None, heard=False, would_trigger=False, probability=0.0)


def recorded(rng, *, delay_ms, attenuation_db, noise_dbfs, rate=RATE, began=None):
    """The probe, late and quieter, in white noise."""
    probe = echo_probe(rate).samples
    began = rate // 2 if began is None else began
    late = began + round(delay_ms * rate / 1000)
    heard = rng.normal(0, 10 ** (noise_dbfs / 20), began + 2 * rate)
    heard[late : late + len(probe)] += 10 ** (-attenuation_db / 20) * probe
    return heard.astype(np.float32)


def test_the_probe_is_loud_as_said_and_begins_and_ends_softly():
    probe = echo_probe()
    assert (probe.duration, probe.sample_rate) == (1.0, RATE)
    assert probe.rms_dbfs == pytest.approx(PROBE_DBFS, abs=0.01)
    assert probe.peak < 0.15
    assert np.abs(probe.samples[[0, -1]]).max() < 1e-3


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_the_probe_rises_from_low_to_high(rate):
    crossings = np.flatnonzero(np.diff(np.signbit(echo_probe(rate).samples)))
    rising = rate / 2 / np.diff(crossings)
    assert rising[5] < 130
    assert rising[-20:].mean() > 0.4 * min(rate, 16_000)


@pytest.mark.parametrize("delay_ms", [0, 7.3, 41, 180, 400, 790])
@pytest.mark.parametrize("attenuation_db", [6, 20, 40])
def test_delay_and_attenuation_are_measured_in_noise(rng, delay_ms, attenuation_db):
    for snr in (40, 0):
        noise = PROBE_DBFS - attenuation_db - snr
        heard = recorded(
            rng, delay_ms=delay_ms, attenuation_db=attenuation_db, noise_dbfs=noise
        )
        echo = measure_echo(heard, PROBE, sample_rate=RATE, began=BEFORE)
        assert echo.heard
        assert echo.delay_ms == pytest.approx(delay_ms, abs=1)
        assert echo.attenuation_db == pytest.approx(attenuation_db, abs=1)


def test_an_echo_far_below_the_noise_is_heard(rng):
    heard = recorded(rng, delay_ms=80, attenuation_db=30, noise_dbfs=-35)
    echo = measure_echo(heard, PROBE, sample_rate=RATE, began=BEFORE)
    assert echo.delay_ms == pytest.approx(80, abs=1)
    assert echo.attenuation_db == pytest.approx(30, abs=1)
    assert not echo.would_trigger


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_other_rates_give_the_same(rng, rate):
    heard = recorded(rng, delay_ms=60, attenuation_db=20, noise_dbfs=-60, rate=rate)
    probe = echo_probe(rate).samples
    echo = measure_echo(heard, probe, sample_rate=rate, began=rate // 2)
    assert echo.delay_ms == pytest.approx(60, abs=1)
    assert echo.attenuation_db == pytest.approx(20, abs=1)


def test_a_room_that_rings_is_measured_as_a_whole(rng):
    time = np.arange(int(0.3 * RATE)) / RATE
    room = 0.05 * rng.normal(size=len(time)) * 10 ** (-3 * time / 0.3)
    room[0] = 1
    sound = np.convolve(PROBE, 0.1 * room)
    truth = 10 * np.log10(np.sum(PROBE**2) / np.sum(sound**2))
    heard = rng.normal(0, 1e-3, BEFORE + 2 * RATE)
    heard[BEFORE + 1200 :][: len(sound)] += sound
    echo = measure_echo(heard.astype(np.float32), PROBE, sample_rate=RATE, began=BEFORE)
    assert echo.delay_ms == pytest.approx(50, abs=1)
    assert echo.attenuation_db == pytest.approx(truth, abs=1)


def test_a_recording_from_the_probe_on_will_do(rng):
    heard = recorded(rng, delay_ms=60, attenuation_db=20, noise_dbfs=-45, began=0)
    echo = measure_echo(heard, PROBE, sample_rate=RATE)
    assert echo.delay_ms == pytest.approx(60, abs=1)
    assert echo.attenuation_db == pytest.approx(20, abs=1)


def test_noise_alone_is_no_echo():
    for seed in range(50):
        noise = np.random.default_rng(seed).normal(0, 0.01, BEFORE + 2 * RATE)
        heard = noise.astype(np.float32)
        assert measure_echo(heard, PROBE, sample_rate=RATE, began=BEFORE) == HEADPHONES


def test_digital_silence_is_no_echo():
    silence = np.zeros(BEFORE + 2 * RATE, np.float32)
    assert measure_echo(silence, PROBE, sample_rate=RATE, began=BEFORE) == HEADPHONES


def test_whether_an_answer_would_trigger_follows_from_the_echo_and_the_settings(rng):
    loud, faint = (
        measure_echo(
            recorded(rng, delay_ms=30, attenuation_db=db, noise_dbfs=-60),
            PROBE,
            sample_rate=RATE,
            began=BEFORE,
        )
        for db in (12, 60)
    )
    assert loud.would_trigger
    assert loud.probability > 0.9
    assert not faint.would_trigger
    assert faint.heard
    heard = recorded(
        np.random.default_rng(3), delay_ms=30, attenuation_db=40, noise_dbfs=-60
    )
    for threshold in (0.0, 1.0):
        echo = measure_echo(
            heard,
            PROBE,
            sample_rate=RATE,
            began=BEFORE,
            settings=ServerVad(threshold=threshold),
        )
        assert echo.would_trigger == (echo.probability >= threshold)


@pytest.mark.parametrize(("began", "length"), [(-1, 3 * RATE), (RATE, 2 * RATE)])
def test_a_recording_without_the_whole_probe_is_refused(began, length):
    heard = np.zeros(length, np.float32)
    with pytest.raises(AudioFormatError, match="begin to record before the probe"):
        measure_echo(heard, PROBE, sample_rate=RATE, began=began)


def test_a_silent_probe_is_refused():
    silence = np.zeros(RATE, np.float32)
    with pytest.raises(AudioFormatError, match=r"empty or silent.*play echo_probe"):
        measure_echo(silence, silence, sample_rate=RATE)
