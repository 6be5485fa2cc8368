import numpy as np
import pytest

from rtnb.audio import Clip, pcm16_encode
from rtnb.errors import AudioFormatError


def tone(seconds=0.1, rate=24_000, amplitude=0.5):
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)


class TestMade:
    def test_it_keeps_what_it_is_given(self):
        samples = tone()
        clip = Clip(samples, 24_000, notes=("recorded",))
        assert np.shares_memory(clip.samples, samples)
        assert clip.sample_rate == 24_000
        assert clip.notes == ("recorded",)

    def test_its_samples_are_for_reading(self):
        samples = tone()
        with pytest.raises(ValueError, match="read-only"):
            Clip(samples, 24_000).samples[0] = 1
        samples[0] = 1  # they are the caller's still

    @pytest.mark.parametrize(
        ("samples", "sentence"),
        [
            ([0.0, 0.5], "samples are list, not a float32 array: use Clip.from_array"),
            (np.zeros(4), "samples are float64, not a float32 array"),
            (np.zeros(4, np.int16), "samples are int16, not a float32 array"),
            (
                np.zeros((4, 2), np.float32),
                r"shape \(4, 2\), not \(n,\): use Clip.from",
            ),
            (np.array([0, 1.5], np.float32), r"reach 1.5, but must lie in \[-1, 1\]"),
            (np.array([0, -9e3], np.float32), "by 32768 if these are 16-bit values"),
            (np.array([0, np.nan], np.float32), "not finite .* numpy.nan_to_num"),
            (np.array([0, np.inf], np.float32), "not finite"),
        ],
    )
    def test_it_refuses_other_samples(self, samples, sentence):
        with pytest.raises(AudioFormatError, match=sentence):
            Clip(samples, 24_000)

    @pytest.mark.parametrize("rate", [7_999, 192_001, 0, -1])
    def test_it_refuses_a_rate_out_of_range(self, rate):
        with pytest.raises(
            AudioFormatError, match=f"^{rate} Hz is outside 8000 to 192"
        ):
            Clip(tone(), rate)

    @pytest.mark.parametrize("rate", [24_000.0, "24000", True, None])
    def test_it_refuses_a_rate_that_is_not_whole(self, rate):
        with pytest.raises(AudioFormatError, match="give whole Hz, such as 24000"):
            Clip(tone(), rate)

    @pytest.mark.parametrize("rate", [8_000, 192_000, np.int64(24_000)])
    def test_it_takes_a_rate_in_range(self, rate):
        assert type(Clip(tone(), rate).sample_rate) is int


class TestFromArray:
    @pytest.mark.parametrize(
        ("array", "expected"),
        [
            (np.array([-32768, 0, 16384], np.int16), [-1.0, 0.0, 0.5]),
            (np.array([-(2**31), 0, 2**30], np.int32), [-1.0, 0.0, 0.5]),
            (np.array([0, 128, 192], np.uint8), [-1.0, 0.0, 0.5]),
            (np.array([-1.0, 0.0, 0.5]), [-1.0, 0.0, 0.5]),
            (np.array([-1.0, 0.0, 0.5], np.float16), [-1.0, 0.0, 0.5]),
        ],
    )
    def test_each_kind_has_its_full_scale(self, array, expected):
        clip = Clip.from_array(array, 24_000)
        assert clip.samples.dtype == np.float32
        assert clip.samples.tolist() == expected
        assert clip.notes == (f"converted {array.dtype} to float32",)

    def test_what_fits_is_left_alone(self):
        samples = tone()
        clip = Clip.from_array(samples, 24_000)
        assert np.shares_memory(clip.samples, samples)
        assert clip.notes == ()

    def test_a_list_is_an_array(self):
        assert Clip.from_array([0.0, 0.25], 24_000).samples.tolist() == [0.0, 0.25]

    def test_channels_are_averaged_and_that_is_said(self):
        stereo = np.array([[16384, 0], [-16384, -16384]], np.int16)
        clip = Clip.from_array(stereo, 44_100)
        assert clip.samples.tolist() == [0.25, -0.5]
        assert clip.notes == (
            "converted int16 to float32",
            "mixed 2 channels to mono",
        )

    def test_one_channel_is_no_mix(self):
        assert Clip.from_array(tone()[:, np.newaxis], 24_000).notes == ()

    @pytest.mark.parametrize(
        ("array", "sentence"),
        [
            (np.array([0.0, 1.01]), "reach 1.01, but must lie"),
            (np.array([[3.0, -3.0]]), "reach 3, but must lie"),
            (np.array([[np.nan, 0.0]]), "not finite"),
            (np.zeros(4, np.int64), "samples are int64, not int16, int32, uint8 or"),
            (np.zeros(4, bool), "samples are bool, not int16"),
            (np.array(["a"]), "samples are <U1, not int16"),
            (np.zeros((2, 480)), r"\(2, 480\), which is 480 channels.* give array\.T"),
            (np.zeros((480, 0)), "which is 0 channels"),
            (np.zeros((2, 2, 2)), r"\(2, 2, 2\), not \(n,\) or \(n, channels\)"),
            (np.float32(0.5), r"shape \(\), not \(n,\)"),
        ],
    )
    def test_what_cannot_be_converted_is_refused(self, array, sentence):
        with pytest.raises(AudioFormatError, match=sentence):
            Clip.from_array(array, 24_000)


class TestFromPcm16:
    def test_bytes_come_back(self):
        data = pcm16_encode(tone())
        assert Clip.from_pcm16(data, 24_000).to_pcm16() == data

    def test_an_odd_byte_count_is_refused(self):
        with pytest.raises(AudioFormatError, match="5 bytes are not a whole number"):
            Clip.from_pcm16(bytes(5), 24_000)


class TestSilence:
    def test_it_is_long_and_empty(self):
        clip = Clip.silence(0.25)
        assert (len(clip), clip.sample_rate, clip.peak) == (6000, 24_000, 0.0)
        assert clip.rms_dbfs == -120.0

    @pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf")])
    def test_an_impossible_length_is_refused(self, seconds):
        with pytest.raises(AudioFormatError, match=f"^{seconds} s of silence"):
            Clip.silence(seconds)

    def test_an_impossible_rate_is_refused(self):
        with pytest.raises(AudioFormatError, match="1 Hz is outside"):
            Clip.silence(1.0, 1)


class TestUsed:
    def test_measures(self):
        clip = Clip(tone(0.5), 24_000)
        assert clip.duration == 0.5
        assert len(clip) == 12_000
        assert clip.peak == pytest.approx(0.5)
        assert clip.rms_dbfs == pytest.approx(-9.03, abs=0.01)

    def test_no_samples_have_no_peak(self):
        assert Clip.silence(0).peak == 0.0

    def test_resampling_keeps_the_tone_and_says_so(self):
        clip = Clip(tone(0.5, 44_100), 44_100).resample(24_000)
        assert clip.sample_rate == 24_000
        assert len(clip) == 12_000
        assert clip.notes == ("resampled 44100 Hz to 24000 Hz",)
        error = clip.samples - tone(0.5)
        assert np.abs(error[2000:-2000]).max() < 1e-4

    def test_resampling_to_its_own_rate_is_itself(self):
        clip = Clip(tone(), 24_000)
        assert clip.resample(24_000) is clip

    def test_resampling_to_an_impossible_rate_is_refused(self):
        with pytest.raises(AudioFormatError, match="4000 Hz is outside"):
            Clip(tone(), 24_000).resample(4_000)

    def test_a_slice_is_a_stretch_of_it(self):
        clip = Clip(tone(1.0), 24_000, notes=("a note",))
        part = clip.slice(0.25, 0.5)
        assert np.array_equal(part.samples, clip.samples[6000:12_000])
        assert part.notes == ("a note",)
        assert len(clip.slice(0.75)) == 6000
        assert len(clip.slice(0.0, clip.duration)) == len(clip)

    @pytest.mark.parametrize("stretch", [(-0.1, 0.5), (0.6, 0.5), (0.0, 1.1), (2.0,)])
    def test_a_slice_outside_is_refused(self, stretch):
        with pytest.raises(AudioFormatError, match=r"is not inside the clip's 1\.0 s"):
            Clip(tone(1.0), 24_000).slice(*stretch)

    def test_a_sum_is_one_after_the_other(self):
        one = Clip(tone(0.1), 24_000, notes=("a", "b"))
        other = Clip(tone(0.2), 24_000, notes=("b", "c"))
        both = one + other
        assert both.duration == pytest.approx(0.3)
        assert np.array_equal(both.samples[2400:], other.samples)
        assert both.notes == ("a", "b", "c")

    def test_a_sum_of_two_rates_is_refused_with_the_way_out(self):
        with pytest.raises(AudioFormatError, match=r"a \+ b\.resample\(24000\)"):
            Clip(tone(), 24_000) + Clip(tone(), 16_000)


class TestShown:
    def test_its_repr_says_length_rate_and_notes(self):
        clip = Clip(tone(), 24_000, notes=("mixed 2 channels to mono",))
        assert repr(clip) == "Clip(0.10 s, 24000 Hz; mixed 2 channels to mono)"

    def test_in_a_page_it_plays(self):
        page = Clip(tone(), 24_000, notes=("<b>",))._repr_html_()
        assert page.startswith("<audio controls")
        assert "data:audio/wav;base64,UklGR" in page
        assert "&lt;b&gt;" in page
        assert "<b>" not in page

    @pytest.mark.parametrize("seconds", [0, 601])
    def test_what_is_empty_or_very_long_has_no_player(self, seconds):
        page = Clip.silence(seconds, 8_000)._repr_html_()
        assert page == f"<code>Clip({seconds:.2f} s, 8000 Hz)</code>"
