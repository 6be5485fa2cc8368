"""A WAV file is whole after every piece, and again after any cut."""

from __future__ import annotations

import stat

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from rtnb.errors import AudioFormatError
from rtnb.recording import wave_file
from rtnb.recording.wave_file import HEADER, WaveFile, count, mend, read


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mic.wav"


def ramp(start, stop):
    return np.arange(start, stop, dtype=np.float32) / 32768


def heard(path):
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 24_000
    return samples


def test_anybody_reads_it_while_it_grows(path):
    file = WaveFile(path)
    assert len(heard(path)) == 0
    for start in range(0, 300, 100):
        file.append(ramp(start, start + 100))
        np.testing.assert_array_equal(heard(path), ramp(0, start + 100))
    file.close()
    assert file.closed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_silence_is_zeros_of_the_right_length(path):
    file = WaveFile(path)
    file.append(ramp(1, 3))
    file.append_silence(60_000)
    file.close()
    assert file.samples == count(path) == 60_002
    assert not heard(path)[2:].any()


def test_nothing_is_overwritten(path):
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        WaveFile(path)


def test_a_full_file_says_so_and_stays_whole(path, monkeypatch):
    monkeypatch.setattr(wave_file, "MOST_SAMPLES", 150)
    file = WaveFile(path)
    file.append(ramp(0, 100))
    with pytest.raises(OSError, match=r"full: it holds 24\.8 hours"):
        file.append(ramp(100, 200))
    file.close()
    np.testing.assert_array_equal(heard(path), ramp(0, 100))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("wave") / "whole.wav"
    file = WaveFile(path)
    file.append(ramp(0, 500))
    file.close()
    return path


@given(cut=st.integers(0, HEADER.size + 1000))
def test_cut_at_any_byte_it_is_whole_again(whole, tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "mic.wav"
    path.write_bytes(whole.read_bytes()[:cut])
    mend(path)
    expected = ramp(0, max(0, cut - HEADER.size) // 2)
    np.testing.assert_array_equal(heard(path), expected)
    np.testing.assert_array_equal(read(path), expected)


def test_what_the_header_did_not_tell_yet_is_found(path):
    file = WaveFile(path)
    file.append(ramp(0, 10))
    file.close()
    with path.open("ab") as more:
        more.write(b"\1\0\2\0\3")
    mend(path)
    assert len(heard(path)) == count(path) == 12


def test_a_whole_file_is_left_alone(whole):
    before = whole.stat().st_mtime_ns
    mend(whole)
    assert whole.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, None, (0, 500)),
        (10, 20, (10, 20)),
        (490, 900, (490, 500)),
        (700, 800, (0, 0)),
    ],
)
def test_parts_are_read(whole, start, stop, expected):
    np.testing.assert_array_equal(read(whole, start, stop), ramp(*expected))


def test_another_file_is_refused(path):
    soundfile.write(path, np.zeros((10, 2)), 44_100)
    with pytest.raises(AudioFormatError, match="not the WAV file that was recorded"):
        mend(path)
