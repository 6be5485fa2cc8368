"""Stressors do what they say, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtnb.audio import EXAMPLES, Clip
from rtnb.errors import AudioFormatError, ConfigError
from rtnb.vad import (
    SpeechProbability,
    add_noise,
    change_gain,
    drop_packets,
    insert_silences,
    speech_probability,
    telephone,
)

RATE = 24_000


def tone(hertz, seconds=1.0, rate=RATE, amplitude=0.25):
    time = np.arange(round(seconds * rate)) / rate
    return Clip((amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32), rate)


def power_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


def octave_db(samples, low_hz, rate=RATE):
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    return 10 * np.log10(spectrum[(hertz >= low_hz) & (hertz < 2 * low_hz)].sum())


@pytest.fixture
def spoken():
    return Clip.example("austen-0890")


class TestNoise:
    @pytest.mark.parametrize("color", ["white", "pink"])
    @pytest.mark.parametrize("snr_db", [30, 10, 3.5])
    def test_the_distance_is_to_the_active_speech(self, color, snr_db):
        clip = Clip.silence(1.0) + tone(440) + Clip.silence(2.0)
        noise = add_noise(clip, snr_db, 1, color=color).samples - clip.samples
        assert power_db(tone(440).samples) - power_db(noise) == pytest.approx(
            snr_db, abs=0.15
        )

    def test_what_is_far_below_the_loudest_is_not_speech(self):
        quiet = Clip(0.01 * tone(440).samples, RATE)  # 40 dB below
        alone = add_noise(tone(440), 10, 1)
        both = add_noise(tone(440) + quiet, 10, 1)
        noises = [
            power_db(alone.samples - tone(440).samples),
            power_db(both.samples - (tone(440) + quiet).samples),
        ]
        assert noises[0] == pytest.approx(noises[1], abs=0.2)

    def test_white_noise_is_white_and_pink_is_pink(self):
        clip = Clip(np.full(20 * RATE, 0.1, np.float32), RATE)
        white = add_noise(clip, 0, 1).samples - clip.samples
        pink = add_noise(clip, 0, 1, color="pink").samples - clip.samples
        edges = [100, 400, 1_600, 6_000]
        steps = np.diff([octave_db(white, edge) for edge in edges])
        assert steps == pytest.approx([6.02, 6.02, 5.74], abs=0.3)
        assert np.ptp([octave_db(pink, edge) for edge in edges]) < 0.5

    def test_the_seed_decides(self, spoken):
        once, again = add_noise(spoken, 5, 7), add_noise(spoken, 5, 7)
        other = add_noise(spoken, 5, 8)
        assert np.array_equal(once.samples, again.samples)
        assert not np.array_equal(once.samples, other.samples)

    def test_a_loud_sum_is_made_quieter_not_cut(self):
        clip = tone(440, amplitude=0.9)
        mixed = add_noise(clip, 0, 1)
        assert mixed.peak == pytest.approx(1.0)
        assert mixed.notes[1].startswith("made quieter by ")
        decibels = float(mixed.notes[1].split()[3])
        speech = clip.samples * 10 ** (-decibels / 20)
        gap = power_db(speech) - power_db(mixed.samples - speech)
        assert gap == pytest.approx(0, abs=0.2)

    def test_length_and_rate_stay(self, spoken):
        mixed = add_noise(spoken.resample(44_100), 20, 0, color="pink")
        assert len(mixed) == len(spoken.resample(44_100))
        assert mixed.sample_rate == 44_100
        assert mixed.notes[-1] == "added pink noise at 20 dB SNR (seed 0)"

    def test_pink_noise_of_any_length_has_its_level(self):
        short, long = tone(440, 0.01), tone(440, 30)
        for clip in (short, long):
            noise = add_noise(clip, 10, 0, color="pink").samples - clip.samples
            assert len(noise) == len(clip)
            assert power_db(clip.samples) - power_db(noise) == pytest.approx(10, abs=1)

    @pytest.mark.parametrize("clip", [Clip.silence(0.0), Clip.silence(1.0)])
    def test_silence_has_no_distance(self, clip):
        with pytest.raises(AudioFormatError, match="holds no sound that noise could"):
            add_noise(clip, 10, 0)

    @pytest.mark.parametrize("snr_db", [-61, 121, float("nan"), "10", None, True])
    def test_a_distance_that_cannot_be_is_refused(self, spoken, snr_db):
        with pytest.raises(ConfigError, match=r"snr_db is .*: give a number from -60"):
            add_noise(spoken, snr_db, 0)

    @pytest.mark.parametrize("seed", [-1, 0.5, None, True])
    def test_a_seed_that_cannot_be_is_refused(self, spoken, seed):
        with pytest.raises(ConfigError, match=r"the seed is .*: give a whole number"):
            add_noise(spoken, 10, seed)

    def test_an_unknown_colour_is_refused(self, spoken):
        with pytest.raises(ConfigError, match='choose "white" or "pink"'):
            add_noise(spoken, 10, 0, color="brown")


class TestTelephone:
    @pytest.mark.parametrize("hertz", [500, 1_000, 3_000])
    def test_the_band_passes_in_time(self, hertz):
        clip = tone(hertz)
        heard = telephone(clip)
        middle = slice(RATE // 10, -RATE // 10)
        error = heard.samples[middle] - clip.samples[middle]
        assert power_db(error) < power_db(clip.samples) - 25

    @pytest.mark.parametrize("hertz", [60, 120, 3_900, 5_000])
    def test_the_rest_does_not(self, hertz):
        heard = telephone(tone(hertz)).samples[RATE // 10 : -RATE // 10]
        assert power_db(heard + 1e-9) < power_db(tone(hertz).samples) - 20

    @pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 48_000])
    @pytest.mark.parametrize("count", [0, 1, 7, 1_000])
    def test_length_and_rate_stay(self, rate, count):
        heard = telephone(Clip(np.full(count, 0.1, np.float32), rate))
        assert (len(heard), heard.sample_rate) == (count, rate)

    def test_eight_bits_are_heard(self):
        heard = telephone(tone(1_000, rate=8_000)).samples
        assert len(np.unique(heard)) < 256

    def test_speech_is_still_speech(self, spoken):
        p = speech_probability(telephone(spoken)).p
        assert np.mean(p > 0.5) > 0.8


class TestGain:
    def test_each_step_holds_from_its_time(self):
        clip = Clip(np.full(1_000, 0.1, np.float32), 10_000)
        changed = change_gain(clip, [(0.02, -20), (0.05, 6.0206)]).samples
        assert changed[:200] == pytest.approx(0.1)
        assert changed[200:500] == pytest.approx(0.01)
        assert changed[500:] == pytest.approx(0.2)

    def test_what_exceeds_full_scale_saturates(self):
        changed = change_gain(tone(440), [(0.0, 20.0)])
        assert changed.peak == 1.0
        assert changed.notes[1].startswith("saturated ")

    @pytest.mark.parametrize("steps", [[], [(0.5, 0), (0.5, 3)], [(0.5, 0), (0.1, 0)]])
    def test_steps_out_of_order_are_refused(self, steps):
        with pytest.raises(ConfigError, match="at least one, in ascending order"):
            change_gain(tone(440), steps)

    @pytest.mark.parametrize(
        ("step", "reason"),
        [
            ((-0.1, 0), "a step's time is -0.1"),
            ((1.1, 0), "a step's time is 1.1: give a number from 0 to 1 s"),
            ((0.5, 61), "a step's gain is 61"),
            ((0.5, float("nan")), "a step's gain is nan"),
        ],
    )
    def test_a_step_that_cannot_be_is_refused(self, step, reason):
        with pytest.raises(ConfigError, match=reason):
            change_gain(tone(440), [step])


class TestPackets:
    @given(share=st.floats(0, 1), seed=st.integers(0, 99), packet=st.integers(1, 99))
    @settings(max_examples=30)
    def test_whole_packets_are_lost_and_the_rest_is_kept(self, share, seed, packet):
        clip = Clip(np.full(RATE // 2, 0.5, np.float32), RATE)
        left = drop_packets(clip, share, seed, packet_ms=packet).samples
        size = round(packet * RATE / 1000)
        starts = range(0, len(clip), size)
        packets = [set(left[start : start + size].tolist()) for start in starts]
        assert all(values in ({0.0}, {0.5}) for values in packets)
        assert packets.count({0.0}) == round(share * len(packets))

    def test_the_seed_decides(self, spoken):
        runs = [drop_packets(spoken, 0.3, seed).samples for seed in (1, 1, 2)]
        assert np.array_equal(runs[0], runs[1])
        assert not np.array_equal(runs[0], runs[2])

    def test_nothing_of_nothing_is_lost(self):
        assert len(drop_packets(Clip.silence(0.0), 0.5, 0)) == 0

    @pytest.mark.parametrize(
        ("share", "packet_ms", "reason"),
        [
            (1.5, 20, "share is 1.5"),
            (0.1, 0, "packet_ms is 0"),
            ("1", 20, "share is '1'"),
        ],
    )
    def test_what_cannot_be_is_refused(self, spoken, share, packet_ms, reason):
        with pytest.raises(ConfigError, match=reason):
            drop_packets(spoken, share, 0, packet_ms=packet_ms)


class TestSilences:
    @pytest.mark.parametrize("name", EXAMPLES)
    @pytest.mark.parametrize("ms", [100, 900])
    def test_every_gap_grows_by_as_much(self, name, ms):
        clip = Clip.example(name)
        paused = insert_silences(clip, ms)
        gaps = int(paused.notes[-1].split()[-2])
        assert gaps >= 3
        assert len(paused) - len(clip) == gaps * ms * clip.sample_rate // 1000
        zeros = paused.samples == 0.0
        edges = np.flatnonzero(np.diff(zeros.astype(int), prepend=0, append=0))
        runs = edges[1::2] - edges[::2]
        assert np.count_nonzero(runs >= ms * 16) == gaps

    def test_the_words_stay_in_between(self, spoken):
        paused = insert_silences(spoken, 500)
        size = 500 * 16
        left, at = [], 0
        while at < len(paused):  # take every silence out again
            if not paused.samples[at : at + size].any() and at + size <= len(paused):
                at += size
            left.append(paused.samples[at])
            at += 1
        rest = np.array(left)
        assert len(rest) == len(spoken)
        faded = rest != spoken.samples
        gaps = int(paused.notes[-1].split()[-2])
        assert faded.sum() <= gaps * 2 * 0.005 * 16_000
        assert np.abs(rest).max() == spoken.peak

    def test_a_turn_breaks_at_long_pauses(self, spoken):
        from rtnb.vad import ServerVad, segment

        settings_ = ServerVad(silence_duration_ms=500)
        whole = segment(speech_probability(spoken), settings_)
        paused = segment(speech_probability(insert_silences(spoken, 900)), settings_)
        assert len(whole) == 1
        assert len(paused) >= 4

    def test_the_gap_is_where_the_probability_dips(self):
        clip = tone(440, 2.048, 16_000)
        p = np.full(64, 0.99, np.float32)
        p[20] = 0.3
        p[40] = 0.97  # too shallow
        probability = SpeechProbability(p)
        paused = insert_silences(clip, 100, probability=probability)
        first = np.flatnonzero(np.convolve(paused.samples == 0, np.ones(1_600)) > 1_599)
        start = int(first[0]) - 1_599
        assert start / 512 == pytest.approx(20.5, abs=2)
        assert paused.notes[-1] == "inserted 100 ms of silence at 1 gap"

    def test_the_cut_is_where_it_is_quietest_and_fades(self):
        samples = np.full(32_768, 0.5, np.float32)
        samples[10_900:11_000] = 0.1  # 26 to 32 ms after the middle of the dip
        p = np.full(64, 0.99, np.float32)
        p[20] = 0.3
        clip = Clip(samples, 16_000)
        paused = insert_silences(clip, 100, probability=SpeechProbability(p)).samples
        start = int(np.flatnonzero(paused == 0.0)[0])
        assert start == pytest.approx(10_950, abs=15)
        assert not paused[start : start + 1_600].any()
        assert max(paused[start - 1], paused[start + 1_600]) < 0.01
        assert paused[start - 81] == paused[start + 1_681] == pytest.approx(0.5)

    @pytest.mark.parametrize(
        "p", [np.zeros(64), np.full(64, 0.99), np.linspace(0, 1, 64)]
    )
    def test_without_gaps_nothing_is_inserted(self, p):
        clip = tone(440, 2.048, 16_000)
        probability = SpeechProbability.from_array(p)
        paused = insert_silences(clip, 100, probability=probability)
        assert np.array_equal(paused.samples, clip.samples)

    def test_a_probability_of_another_clip_is_refused(self, spoken):
        other = speech_probability(Clip.example("austen-0880"))
        with pytest.raises(
            AudioFormatError, match=r"is of 2\.976 s, the clip has 5\.3"
        ):
            insert_silences(spoken, 100, probability=other)

    @pytest.mark.parametrize("ms", [0, -5, 10_001, "100"])
    def test_a_length_that_cannot_be_is_refused(self, spoken, ms):
        with pytest.raises(
            ConfigError, match=r"ms is .*: give a number from 1 to 10000"
        ):
            insert_silences(spoken, ms)

    def test_an_empty_clip_is_refused(self):
        with pytest.raises(AudioFormatError, match="the sound is empty"):
            insert_silences(Clip.silence(0.0), 100)
