import io
import sys
from types import SimpleNamespace

import av
import ipywebrtc
import numpy as np
import pytest
import soundfile

from rtnb.audio import Clip, files
from rtnb.errors import AudioFormatError, MissingExtra


def tone(seconds=0.1, rate=24_000, amplitude=0.5):
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)


def take(*, container="webm", codec="libopus", rate=48_000, layout="mono", seconds=1.0):
    """What a browser's recorder would have made of a 1 kHz tone."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate)
        channels = 1 if layout == "mono" else 2
        planes = np.tile(tone(seconds, rate), (channels, 1))
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or 1024
        fifo = av.AudioFifo()
        for piece in resampler.resample(frame):
            fifo.write(piece)
        for chunk in fifo.read_many(size, partial=False):
            output.mux(stream.encode(chunk))
        output.mux(stream.encode(None))
    return buffer.getvalue()


class TestFiles:
    @pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
    def test_saving_and_reading_gives_the_same_pcm(self, tmp_path, suffix):
        clip = Clip(tone(), 24_000)
        path = tmp_path / f"take{suffix}"
        clip.save(path)
        again = Clip.from_file(str(path))
        assert again.to_pcm16() == clip.to_pcm16()
        assert again.sample_rate == 24_000
        assert again.notes == ()

    def test_channels_of_a_file_are_averaged(self, tmp_path):
        path = tmp_path / "stereo.wav"
        soundfile.write(path, np.stack([tone(), -tone()], axis=1), 44_100)
        clip = Clip.from_file(path)
        assert clip.notes == ("mixed 2 channels to mono",)
        assert clip.peak <= 1 / 32768

    def test_what_a_lossy_decoder_overshoots_is_limited(self, tmp_path):
        path = tmp_path / "loud.ogg"
        square = np.sign(tone(1.0)).astype(np.float32)
        soundfile.write(path, square, 24_000)
        clip = Clip.from_file(path)
        assert clip.peak == 1.0
        assert clip.notes[0].startswith("limited a peak of 1.")

    def test_a_quiet_lossy_file_needs_no_limit(self, tmp_path):
        path = tmp_path / "quiet.ogg"
        Clip(tone(1.0), 24_000).save(path)
        assert Clip.from_file(path).notes == ()

    def test_a_float_file_out_of_range_is_refused(self, tmp_path):
        path = tmp_path / "float.wav"
        soundfile.write(path, 3 * tone(), 24_000, subtype="FLOAT")
        with pytest.raises(AudioFormatError, match=r"reach 1\.5"):
            Clip.from_file(path)

    @pytest.mark.parametrize("samples", [1, 777, 2_400, 2_401])
    @pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
    def test_pieces_together_are_the_file(self, tmp_path, suffix, samples):
        path = tmp_path / f"noise.{suffix}"
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2_400, 2))
        soundfile.write(path, noise, 24_000)
        pieces = [*Clip.pieces_of(path, samples=samples)]
        joined = np.concatenate([piece.samples for piece in pieces])
        assert np.array_equal(joined, Clip.from_file(path).samples)
        assert {len(piece) for piece in pieces[:-1]} <= {samples}
        assert pieces[0].sample_rate == 24_000

    def test_an_empty_file_is_one_empty_piece(self, tmp_path):
        path = tmp_path / "empty.wav"
        soundfile.write(path, tone(0.0), 24_000)
        assert [len(piece) for piece in Clip.pieces_of(path)] == [0]
        assert len(Clip.from_file(path)) == 0

    def test_pieces_of_nothing_are_refused(self, tmp_path):
        with pytest.raises(AudioFormatError, match="pieces of 0 samples cannot be"):
            next(Clip.pieces_of(tmp_path / "any.wav", samples=0))

    def test_a_length_is_read_from_the_header(self, tmp_path):
        path = tmp_path / "tone.flac"
        Clip(tone(0.25), 24_000).save(path)
        assert files.duration_of(path) == 0.25

    def test_a_wav_file_cut_off_anywhere_is_refused(self, tmp_path):
        path = tmp_path / "cut.wav"
        Clip(tone(0.005), 24_000).save(path)
        data = path.read_bytes()
        for length in range(len(data)):
            path.write_bytes(data[:length])
            with pytest.raises(AudioFormatError, match=r"was cut off|cannot be read"):
                Clip.from_file(path)

    def test_what_follows_the_sound_may_be_cut_off(self, tmp_path):
        path = tmp_path / "note.wav"
        Clip(tone(), 24_000).save(path)
        path.write_bytes(path.read_bytes() + b"LIST\x40\0\0\0INFO")
        assert len(Clip.from_file(path)) == 2_400

    def test_what_precedes_the_sound_is_passed_over(self, tmp_path):
        path = tmp_path / "note.wav"
        Clip(tone(), 24_000).save(path)
        data = path.read_bytes()
        at = data.index(b"data")
        path.write_bytes(data[:at] + b"note\x03\0\0\0abc\0" + data[at:-2])
        with pytest.raises(AudioFormatError, match=r"was cut off: 99\.9 %"):
            Clip.from_file(path)

    @pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\0\0\xff\x7f"])
    def test_a_wav_file_of_unknown_length_is_read_to_its_end(self, tmp_path, length):
        path = tmp_path / "pipe.wav"
        Clip(tone(), 24_000).save(path)
        data = path.read_bytes()
        at = data.index(b"data") + 4
        path.write_bytes(data[:at] + length + data[at + 4 :])
        assert len(Clip.from_file(path)) == 2_400

    @pytest.mark.parametrize("suffix", ["flac", "mp3"])
    def test_a_compressed_file_that_was_cut_off_is_refused(self, tmp_path, suffix):
        path = tmp_path / f"cut.{suffix}"
        soundfile.write(path, tone(2.0), 24_000)
        path.write_bytes(path.read_bytes()[:-1_500])
        with pytest.raises(AudioFormatError, match=r"was cut off|cannot be read"):
            Clip.from_file(path)

    def test_a_folder_is_refused(self, tmp_path):
        with pytest.raises(AudioFormatError, match="is a folder: give a sound file"):
            Clip.from_file(tmp_path)

    def test_what_is_not_audio_is_refused(self, tmp_path):
        path = tmp_path / "notes.wav"
        path.write_text("not audio")
        with pytest.raises(
            AudioFormatError, match=r"notes\.wav cannot be read as audio"
        ):
            Clip.from_file(path)

    def test_a_missing_file_is_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            Clip.from_file(tmp_path / "none.wav")

    @pytest.mark.parametrize("name", ["take.txt", "take"])
    def test_an_unknown_suffix_is_refused(self, tmp_path, name):
        with pytest.raises(AudioFormatError, match=r"name it \.wav or \.flac"):
            Clip(tone(), 24_000).save(tmp_path / name)

    def test_wav_bytes_are_a_wav_file(self):
        clip = Clip(tone(), 16_000)
        samples, rate = soundfile.read(io.BytesIO(clip.to_wav_bytes()), dtype="int16")
        assert rate == 16_000
        assert samples.astype("<i2").tobytes() == clip.to_pcm16()


class TestFromRecorder:
    @pytest.mark.parametrize("container", ["webm", "ogg"])
    def test_a_take_is_decoded(self, container):
        clip = Clip.from_recorder(take(container=container))
        assert clip.sample_rate == 48_000
        assert clip.duration == pytest.approx(1.0, abs=0.05)
        assert clip.notes == ()
        spectrum = np.abs(np.fft.rfft(clip.samples))
        frequency = spectrum.argmax() / clip.duration
        assert frequency == pytest.approx(1000, abs=2)
        assert clip.slice(0.2, 0.8).rms_dbfs == pytest.approx(-9.03, abs=0.3)

    def test_two_channels_become_one(self):
        clip = Clip.from_recorder(take(layout="stereo"))
        assert clip.notes == ("mixed 2 channels to mono",)
        assert clip.slice(0.2, 0.8).rms_dbfs == pytest.approx(-9.03, abs=0.3)

    def test_a_recorder_gives_its_take(self):
        recorder = ipywebrtc.AudioRecorder()
        recorder.audio.value = take(seconds=0.5)
        clip = Clip.from_recorder(recorder)
        assert clip.duration == pytest.approx(0.5, abs=0.05)
        recorder.audio.close()
        recorder.close()

    def test_nothing_recorded_is_said(self):
        recorder = SimpleNamespace(audio=SimpleNamespace(value=b""))
        with pytest.raises(AudioFormatError, match="0 bytes: press record, speak"):
            Clip.from_recorder(recorder)

    def test_bytes_that_are_no_take_are_refused(self):
        with pytest.raises(AudioFormatError, match="9 bytes cannot be decoded"):
            Clip.from_recorder(b"not audio")

    def test_a_take_cut_short_gives_what_there_is(self):
        whole = take()
        clip = Clip.from_recorder(whole[: len(whole) // 2])
        assert 0.2 < clip.duration < 0.8

    def test_a_take_without_samples_is_refused(self):
        empty = Clip.silence(0).to_wav_bytes()
        with pytest.raises(AudioFormatError, match="hold 0 samples: record for longer"):
            Clip.from_recorder(empty)

    def test_a_take_without_sound_is_refused(self):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="webm") as output:
            stream = output.add_stream("libvpx", rate=10)
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv420p"
            output.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
            output.mux(stream.encode(None))
        with pytest.raises(AudioFormatError, match="hold no sound"):
            Clip.from_recorder(buffer.getvalue())

    def test_without_pyav_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(MissingExtra, match=r'pip install "rtnb\[lab\]"'):
            Clip.from_recorder(b"anything")
