"""What is measured of a made-up microphone, and what is recommended for it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtnb.audio import EXAMPLES, Clip
from rtnb.errors import AudioFormatError
from rtnb.vad import (
    SERVER_VAD_DEFAULTS,
    EchoCheck,
    ServerVad,
    calibrate,
    segment,
    speech_probability,
)
from rtnb.vad.calibration import (
    DEFAULT_PREFIX_MS,
    DEFAULT_SILENCE_MS,
    DEFAULT_THRESHOLD,
    threshold_between,
)
from rtnb.vad.detector import HYSTERESIS

RATE = 16_000
LOUD = EchoCheck(40.0, 12.0, heard=True, would_trigger=True, probability=0.7)
TOO_LOUD = EchoCheck(40.0, 6.0, heard=True, would_trigger=True, probability=0.99)
NONE = EchoCheck(None, None, heard=False, would_trigger=False, probability=0.0)


def noise(dbfs, seconds=5.0, *, seed=0, rate=RATE):
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 10 ** (dbfs / 20), round(seconds * rate))
    return Clip(np.clip(samples, -1, 1).astype(np.float32), rate)


def mixed(clip, other):
    samples = np.clip(clip.samples + other.samples[: len(clip)], -1, 1)
    return Clip(samples, clip.sample_rate)


def spoken(name="austen-0880", *, gain=1.0, dbfs=-70.0):
    """A sentence between silences, in noise."""
    said = Clip.silence(0.5, RATE) + Clip.example(name) + Clip.silence(1, RATE)
    louder = Clip(np.clip(gain * said.samples, -1, 1), RATE)
    return mixed(louder, noise(dbfs, 10, seed=1))


def with_pause(pause_ms):
    """Two sentences with a pause of so long between them."""
    first, second = Clip.example("austen-0880"), Clip.example("austen-0890")
    trimmed = first.slice(0.25, 2.6) + Clip.silence(pause_ms / 1000, RATE)
    return mixed(trimmed + second.slice(0.3) + Clip.silence(1, RATE), noise(-70, 12))


@pytest.mark.parametrize("dbfs", [-75, -60, -40])
def test_the_noise_floor_is_the_level_of_the_noise(dbfs):
    assert calibrate(noise(dbfs), spoken()).noise_dbfs == pytest.approx(dbfs, abs=0.3)


def test_a_knock_and_an_offset_are_no_part_of_the_floor():
    room = noise(-60).samples.copy()
    room[1000:1400] = 0.5
    measured = calibrate(Clip(room + np.float32(0.02), RATE), spoken())
    assert measured.noise_dbfs == pytest.approx(-60, abs=0.3)
    assert measured.dc_offset == pytest.approx(0.02, abs=0.001)
    assert any("off centre" in problem for problem in measured.problems)


@pytest.mark.parametrize("gain_db", [0, -12])
def test_the_speech_level_follows_the_gain_and_the_noise_is_taken_off(gain_db):
    plain = calibrate(noise(-80), spoken(dbfs=-80))
    gain = 10 ** (gain_db / 20)
    other = calibrate(noise(-50), spoken(gain=gain, dbfs=-50))
    assert other.speech_dbfs == pytest.approx(plain.speech_dbfs + gain_db, abs=0.7)
    assert other.snr_db == pytest.approx(other.speech_dbfs + 50, abs=0.7)


def test_a_good_microphone_gets_the_defaults_and_no_complaint():
    measured = calibrate(noise(-75), spoken(dbfs=-75), echo=NONE)
    assert measured.recommended == ServerVad(
        threshold=0.5, prefix_padding_ms=300, silence_duration_ms=200
    )
    assert measured.noise_reduction is None
    assert measured.problems == ()
    assert measured.usable
    assert [each.split()[0] for each in measured.reasons] == [
        "Threshold",
        "Silence",
        "Prefix",
        "Noise",
    ]
    assert all(each.endswith(".") for each in measured.reasons)


def test_the_defaults_are_those_of_the_settings():
    ours = (DEFAULT_THRESHOLD, DEFAULT_PREFIX_MS, DEFAULT_SILENCE_MS)
    names = ("threshold", "prefix_padding_ms", "silence_duration_ms")
    assert ours == tuple(getattr(SERVER_VAD_DEFAULTS, name) for name in names)


@pytest.mark.parametrize(
    ("snr", "filter_"), [(40, None), (25, "near_field"), (12, "far_field")]
)
def test_the_filter_follows_the_distance(snr, filter_):
    level = calibrate(noise(-80), spoken(dbfs=-80)).speech_dbfs - snr
    measured = calibrate(noise(level), spoken(dbfs=level))
    assert measured.noise_reduction == filter_
    assert str(filter_ or "none") in measured.reasons[3]


def test_a_loudspeaker_that_is_heard_is_in_a_room():
    level = calibrate(noise(-80), spoken(dbfs=-80)).speech_dbfs - 25
    measured = calibrate(noise(level), spoken(dbfs=level), echo=LOUD)
    assert measured.noise_reduction == "far_field"


@pytest.mark.parametrize("pause_ms", [200, 400, 700])
def test_the_silence_outlasts_the_pause_and_the_sentence_stays_one_turn(pause_ms):
    said = with_pause(pause_ms)
    measured = calibrate(noise(-70), said)
    assert abs(measured.longest_pause_ms - pause_ms) < 200
    assert measured.recommended.silence_duration_ms >= measured.longest_pause_ms + 100
    assert f"{measured.longest_pause_ms} ms" in measured.reasons[1]
    turns = segment(speech_probability(said), measured.recommended)
    assert len(turns) == 1


def test_a_long_rest_is_not_waited_for():
    measured = calibrate(noise(-70), with_pause(2000))
    assert measured.recommended.silence_duration_ms < 1000


@given(
    st.sampled_from(EXAMPLES), st.floats(-80, -30), st.floats(-20, 6), st.integers(0, 9)
)
@settings(max_examples=30)
def test_noise_can_neither_begin_a_turn_nor_keep_one_open(name, level, gain, seed):
    room = noise(level, 3, seed=seed)
    measured = calibrate(room, spoken(name, gain=10 ** (gain / 20), dbfs=level))
    threshold = measured.recommended.threshold
    assert 0.3 <= threshold <= 0.9
    assert threshold == round(threshold, 2)
    if threshold < 0.9 and measured.usable:
        assert measured.noise_probability < threshold - HYSTERESIS


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_threshold_is_above_noise_first_and_below_speech_then(noise_p, speech_p):
    threshold = threshold_between(noise_p, speech_p)
    assert 0.3 <= threshold <= 0.9
    if threshold < 0.9:
        assert noise_p < threshold - HYSTERESIS
    if threshold > 0.5:
        assert threshold < noise_p + HYSTERESIS + 0.011
    if 0.3 < threshold < 0.5:
        assert threshold <= max(speech_p - 0.1, noise_p + HYSTERESIS + 0.01) + 1e-9


@pytest.mark.parametrize(
    ("noise_p", "speech_p", "threshold"),
    [
        (0.02, 0.99, 0.5),
        (0.34, 0.99, 0.5),
        (0.4, 0.99, 0.56),
        (0.8, 0.99, 0.9),
        (0.05, 0.5, 0.4),
        (0.305, 0.5, 0.46),
        (0.02, 0.1, 0.3),
    ],
)
def test_thresholds_by_table(noise_p, speech_p, threshold):
    assert threshold_between(noise_p, speech_p) == threshold


def problem(measured, words):
    """The one problem with these words."""
    (found,) = [each for each in measured.problems if words in each]
    return found


@pytest.mark.parametrize("room", [noise(-70), Clip.silence(5, RATE)])
def test_a_muted_microphone_is_said_so(room):
    measured = calibrate(room, Clip.silence(8, RATE))
    assert problem(measured, "digital zeros").startswith("The microphone gave")
    assert (measured.usable, measured.reasons, len(measured.problems)) == (False, (), 1)
    assert (measured.speech_dbfs, measured.snr_db) == (None, None)
    assert measured.noise_reduction is None


def test_nobody_spoke():
    measured = calibrate(noise(-70), noise(-70, 8, seed=1))
    assert "-69 dBFS" in problem(measured, "Nobody was heard to speak")
    assert not measured.usable
    assert measured.recommended.threshold == 0.5


def test_somebody_spoke_in_the_silence():
    measured = calibrate(
        mixed(Clip.silence(1, RATE) + spoken(), noise(-70, 9)), spoken()
    )
    assert "after 1." in problem(measured, "Speech was heard in the silence")
    assert not measured.usable


def test_speech_that_is_too_quiet():
    measured = calibrate(noise(-95), spoken(gain=0.03, dbfs=-95))
    assert "dBFS: turn" in problem(measured, "too quiet")
    assert measured.usable


def test_speech_that_drowns():
    level = calibrate(noise(-80), spoken(dbfs=-80)).speech_dbfs - 3
    measured = calibrate(noise(level), spoken(dbfs=level))
    assert "less than 10 dB" in problem(measured, "above the noise")


def test_clipping_is_counted_in_runs():
    samples = spoken().samples.copy()
    for number, length in enumerate([1, 2, 3, 4, 50]):
        samples[1000 * number : 1000 * number + length] = (-1) ** number
    measured = calibrate(noise(-70), Clip(samples, RATE))
    clipping = measured.clipping
    assert (clipping.runs, clipping.longest) == (3, 50)
    assert clipping.share == pytest.approx(60 / (len(samples) + 5 * RATE))
    assert "3 times" in problem(measured, "clips")


def test_speech_that_is_too_loud_clips():
    (sentence,) = calibrate(noise(-70), spoken(gain=20)).problems
    assert "clips" in sentence


def test_hum_is_noticed():
    time = np.arange(5 * RATE) / RATE
    hum = 0.003 * (np.sin(2 * np.pi * 50 * time) + np.sin(2 * np.pi * 150 * time))
    room = mixed(Clip.from_array(hum.astype(np.float32), RATE), noise(-75))
    measured = calibrate(room, spoken())
    assert measured.hum.frequency == 50
    assert measured.hum.level_dbfs == pytest.approx(-50.5, abs=0.3)
    assert "50 Hz at -50 dBFS" in problem(measured, "hum")


def test_a_gate_that_gives_zeros_is_no_trouble():
    measured = calibrate(Clip.silence(5, RATE), spoken())
    assert measured.usable
    assert measured.problems == ()
    assert measured.noise_dbfs == -120
    assert "digital zeros" in measured.reasons[3]


def test_an_echo_that_triggers_is_warned_of_with_the_way_out():
    warning = problem(calibrate(noise(-70), spoken(), echo=LOUD), "The answer would")
    assert "headphones or echo cancellation, or a threshold of 0.76" in warning
    warning = problem(calibrate(noise(-70), spoken(), echo=TOO_LOUD), "The answer")
    assert "no threshold up to 0.9 would do" in warning
    assert calibrate(noise(-70), spoken(), echo=NONE).problems == ()


def test_the_settings_do_not_depend_on_the_rate():
    low = calibrate(noise(-60), spoken(dbfs=-60))
    high = calibrate(noise(-60, rate=24_000), spoken(dbfs=-60).resample(24_000))
    assert low.recommended == high.recommended
    assert low.speech_dbfs == pytest.approx(high.speech_dbfs, abs=0.2)


@pytest.mark.parametrize("seconds", [0, 0.9])
def test_too_short_a_recording_is_refused(seconds):
    short = Clip.silence(seconds, RATE)
    with pytest.raises(AudioFormatError, match=f"silence lasts {seconds:g} s.*five"):
        calibrate(short, spoken())
    with pytest.raises(AudioFormatError, match=f"speech lasts {seconds:g} s.*five"):
        calibrate(noise(-70), short)


def test_it_shows_itself_with_figures_reasons_and_trouble():
    shown = calibrate(noise(-70), spoken(gain=20), echo=LOUD)._repr_html_()
    for words in (
        "ServerVad(threshold=0.5",
        "Noise floor",
        "-70 dBFS",
        "clips",
        "40 ms",
    ):
        assert words in shown
    assert "Trouble" not in calibrate(noise(-75), spoken(dbfs=-75))._repr_html_()
    unheard = calibrate(noise(-70), noise(-70, seed=2), echo=NONE).figures()
    assert unheard["Speech level"] == "unknown"
    assert unheard["Echo"] == "none"
