"""Speech probability: the same of a clip, a file and a stream, and found once."""

import os
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rtnb.audio import EXAMPLES, Clip
from rtnb.errors import AudioFormatError, ConfigError
from rtnb.vad import (
    SileroVad,
    SpeechProbability,
    StreamingVad,
    cache_info,
    speech_probability,
)

RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]


class Counting:
    """Silero, and how often it was asked."""

    name, version, hop, sample_rate = "counting", "1", 512, 16_000

    def __init__(self):
        self.streams = 0

    def stream(self):
        self.streams += 1
        return SileroVad().stream()


def written(path, clip, **options):
    soundfile.write(path, clip.samples, clip.sample_rate, **options)
    return path


@pytest.fixture
def spoken():
    return Clip.example("austen-0880")


@pytest.fixture
def wav(tmp_path, spoken):
    path = tmp_path / "spoken.wav"
    spoken.save(path)
    return path


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


class TestFromArray:
    @pytest.mark.parametrize("p", [[0.0, 0.5, 1], (True, False), np.array([0.25])])
    def test_figures_of_any_kind_are_taken(self, p):
        probability = SpeechProbability.from_array(p)
        assert probability.p.dtype == np.float32
        assert probability.p.tolist() == [float(value) for value in p]
        assert (probability.model, probability.version, probability.source) == ("",) * 3

    def test_hops_may_be_others(self):
        probability = SpeechProbability.from_array([0.5], hop=160, sample_rate=8_000)
        assert probability.hop_ms == 20

    @pytest.mark.parametrize("value", [-0.1, 1.01, np.nan, np.inf])
    def test_what_is_no_probability_is_refused(self, value):
        with pytest.raises(AudioFormatError, match="is no probability"):
            SpeechProbability.from_array([0.5, value])

    @pytest.mark.parametrize("p", ["abc", [[0.5]], 0.5, [1j]])
    def test_what_is_no_row_of_numbers_is_refused(self, p):
        with pytest.raises(AudioFormatError, match="not numbers of shape"):
            SpeechProbability.from_array(p)


class TestTheSameOfAll:
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_it_is_the_networks(self, name):
        clip = Clip.example(name)
        probability = speech_probability(clip)
        assert np.array_equal(probability.p, SileroVad().probabilities(clip.samples))
        assert (probability.model, probability.version) == ("silero", "6.2")

    @pytest.mark.parametrize("rate", RATES)
    def test_a_file_is_its_clip(self, tmp_path, spoken, rate):
        path = written(tmp_path / "spoken.wav", spoken.resample(rate))
        of_file = speech_probability(path, cache=False)
        of_clip = speech_probability(Clip.from_file(path), cache=False)
        assert np.array_equal(of_file.p, of_clip.p)
        assert of_file.source == of_clip.source
        assert of_file.p.max() > 0.9

    @pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
    def test_a_compressed_file_is_its_clip(self, tmp_path, spoken, suffix):
        path = written(tmp_path / f"spoken.{suffix}", spoken)
        of_file = speech_probability(path, cache=False)
        of_clip = speech_probability(Clip.from_file(path), cache=False)
        assert np.array_equal(of_file.p, of_clip.p)

    @given(piece=st.integers(1, 100_000))
    @settings(max_examples=15)
    def test_pieces_of_any_size_give_the_same(self, piece):
        clip = Clip.example("austen-0880").resample(24_000)
        whole = speech_probability(clip, cache=False)
        patch = pytest.MonkeyPatch()
        with patch.context() as context:
            context.setattr("rtnb.vad.probability.PIECE", max(piece, 50))
            cut = speech_probability(clip, cache=False)
        assert np.array_equal(whole.p, cut.p)
        assert whole.source == cut.source

    @pytest.mark.parametrize("size", [1, 479, 480, 4_800])
    @pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
    def test_a_live_stream_is_its_clip(self, rate, size):
        clip = Clip.example("austen-0880").resample(rate).slice(0.2, 1.2)
        ears = StreamingVad(sample_rate=rate)
        for chunk in np.split(clip.samples, range(size, len(clip), size)):
            ears.push(chunk)
        heard = ears.take_probabilities()
        offline = speech_probability(clip).p
        assert len(offline) - 1 <= len(heard) <= len(offline)
        assert np.array_equal(heard, offline[: len(heard)])

    def test_six_channels_are_their_mean(self, tmp_path, spoken, rng):
        gains = rng.uniform(0, 1, 6).astype(np.float32)
        path = tmp_path / "six.wav"
        soundfile.write(path, spoken.samples[:, np.newaxis] * gains, 16_000)
        probability = speech_probability(path)
        assert np.array_equal(probability.p, speech_probability(Clip.from_file(path)).p)
        assert probability.p.max() > 0.9

    def test_a_path_may_be_text(self, wav):
        assert np.array_equal(speech_probability(str(wav)).p, speech_probability(wav).p)

    def test_of_a_recording_the_microphone_is_heard(self, wav):
        recording = SimpleNamespace(microphone=wav)
        found = speech_probability(recording)
        assert np.array_equal(found.p, speech_probability(wav).p)

    def test_silence_is_hardly_speech(self):
        for model in ("silero", "energy", "webrtc"):
            found = speech_probability(Clip.silence(2.0, 24_000), model)
            assert found.p.max() < 0.1

    def test_less_than_a_hop_has_no_probability(self):
        assert len(speech_probability(Clip.silence(0.03, 16_000))) == 0


class TestFoundOnce:
    def test_a_clip_is_heard_once(self, spoken):
        model = Counting()
        first = speech_probability(spoken, model)
        again = speech_probability(Clip(spoken.samples.copy(), 16_000), model)
        assert model.streams == 1
        assert np.array_equal(first.p, again.p)
        assert (first.model, first.version, first.source, first.hop) == (
            again.model,
            again.version,
            again.source,
            again.hop,
        )

    def test_a_file_is_heard_once_wherever_it_lies(self, wav, tmp_path):
        model = Counting()
        first = speech_probability(wav, model)
        moved = wav.rename(tmp_path / "elsewhere.wav")
        again = speech_probability(moved, model)
        assert model.streams == 1
        assert first.source == again.source

    def test_another_sound_is_heard(self, wav, spoken):
        model = Counting()
        speech_probability(wav, model)
        written(wav, Clip(spoken.samples[::-1].copy(), 16_000))
        speech_probability(wav, model)
        speech_probability(Clip(spoken.samples, 24_000), model)
        assert model.streams == 3

    def test_what_was_found_can_be_forgotten(self, spoken):
        model = Counting()
        speech_probability(spoken, model, cache=False)
        assert cache_info().entries == 0
        speech_probability(spoken, model)
        speech_probability(spoken, model, cache=False)
        assert model.streams == 3

    def test_a_function_is_always_asked(self, spoken):
        asked = []
        for _ in range(2):
            speech_probability(spoken, lambda hop: asked.append(1) or 0.5)
        assert len(asked) == 2 * (len(spoken) // 512)
        assert cache_info().entries == 0

    def test_a_broken_entry_is_found_anew(self, spoken, empty_cache):
        model = Counting()
        first = speech_probability(spoken, model)
        (path,) = empty_cache.iterdir()
        path.write_bytes(path.read_bytes()[:-1])
        assert np.array_equal(speech_probability(spoken, model).p, first.p)
        assert model.streams == 2

    def test_a_file_that_changes_meanwhile_is_not_kept(self, wav):
        then = time.time() - 100

        def touch(_done, _total):
            os.utime(wav, (then, then))

        speech_probability(wav, on_progress=touch)
        assert cache_info().entries == 0

    def test_a_cache_that_cannot_be_written_harms_nothing(self, spoken, monkeypatch):
        monkeypatch.setenv("RTNB_CACHE_DIR", os.devnull)
        assert speech_probability(spoken).p.max() > 0.9


class TestLong:
    def test_a_quarter_of_an_hour_needs_little_memory(self, tmp_path):
        path = tmp_path / "long.wav"
        minute = np.zeros(60 * 24_000, np.float32)
        with soundfile.SoundFile(path, "w", 24_000, 1) as file:
            for _ in range(15):
                file.write(minute)
        process = psutil.Process()
        speech_probability(Clip.silence(1.0), "energy")
        before = process.memory_info().rss
        highest = []
        found = speech_probability(
            path,
            "energy",
            on_progress=lambda *_: highest.append(process.memory_info().rss),
        )
        assert len(found) == 900 * 16_000 // 512
        assert max(highest) - before < 20 * 2**20  # of 86 MB of samples

    def test_the_caller_is_told_how_far_it_is(self, tmp_path):
        path = written(tmp_path / "ten.wav", Clip.silence(10.0))
        told = []
        speech_probability(
            path, "energy", on_progress=lambda done, total: told.append((done, total))
        )
        assert {total for _, total in told} == {10.0}
        done = [seconds for seconds, _ in told]
        assert done == sorted(done)
        assert len(done) == 4
        assert done[-1] == 10.0

    def test_what_was_found_before_needs_no_progress(self, wav):
        told = []
        for _ in range(2):
            speech_probability(wav, on_progress=lambda *facts: told.append(facts))
        assert len(told) == 1


class TestRefused:
    def test_an_empty_clip(self):
        with pytest.raises(AudioFormatError, match="the sound is empty: give one with"):
            speech_probability(Clip.silence(0.0))

    def test_an_empty_file(self, tmp_path):
        path = written(tmp_path / "empty.wav", Clip.silence(0.0))
        with pytest.raises(AudioFormatError, match="the sound is empty"):
            speech_probability(path)

    def test_a_folder(self, tmp_path):
        with pytest.raises(AudioFormatError, match="is a folder: give a sound file"):
            speech_probability(tmp_path)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"none\.wav"):
            speech_probability(tmp_path / "none.wav")

    def test_a_file_that_is_no_sound(self, tmp_path):
        path = tmp_path / "notes.wav"
        path.write_text("no sound")
        with pytest.raises(AudioFormatError, match="cannot be read as audio"):
            speech_probability(path)

    @pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
    def test_a_file_that_was_cut_off(self, wav, share):
        data = wav.read_bytes()
        wav.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(AudioFormatError, match=r"was cut off|cannot be read"):
            speech_probability(wav)

    def test_samples_that_are_no_numbers(self, tmp_path):
        path = tmp_path / "nan.wav"
        samples = np.zeros(200_000)
        samples[150_000] = np.nan
        soundfile.write(path, samples, 24_000, subtype="FLOAT")
        with pytest.raises(AudioFormatError, match="not finite"):
            speech_probability(path)

    def test_a_rate_that_cannot_be_resampled(self, tmp_path):
        path = written(tmp_path / "odd.wav", Clip.silence(0.1, 16_001))
        with pytest.raises(AudioFormatError, match="is 16000:16001 in lowest terms"):
            speech_probability(path)

    @pytest.mark.parametrize("sound", [None, 7, b"RIFF", np.zeros(512, np.float32)])
    def test_what_is_no_sound(self, sound):
        with pytest.raises(AudioFormatError, match="is no sound: give a Clip"):
            speech_probability(sound)

    def test_an_unknown_model(self, spoken):
        with pytest.raises(ConfigError, match="there is no speech model 'sillero'"):
            speech_probability(spoken, "sillero")
