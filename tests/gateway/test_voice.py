"""The embedded voice, for real: espeak-ng speaks."""

import itertools

import numpy as np
import pytest

from rtnb.errors import EngineError, MissingExtra
from rtnb.gateway import voice as voice_module
from rtnb.gateway.voice import SAMPLE_RATE, TIMBRES, Voice, stretched

TEXT = "Once upon a time there was a little lighthouse at the end of the world."


def spoken(text=TEXT, *, voice="alloy", speed=1.0):
    return list(Voice().speak(text, voice=voice, speed=speed))


def sound(pieces):
    return np.concatenate([piece.samples for piece in pieces])


def median_pitch(samples):
    """Hz; by autocorrelation of the louder 40 ms windows."""
    size = SAMPLE_RATE // 25
    pitches = []
    for start in range(0, len(samples) - size, size):
        window = samples[start : start + size]
        if np.sqrt(np.mean(window**2)) < 0.03:
            continue
        likeness = np.correlate(window, window, "full")[size - 1 :]
        low, high = SAMPLE_RATE // 350, SAMPLE_RATE // 60
        lag = low + int(np.argmax(likeness[low:high]))
        if likeness[lag] > 0.4 * likeness[0]:
            pitches.append(SAMPLE_RATE / lag)
    return float(np.median(pitches))


def test_speech_is_sound_in_pieces_of_a_quarter_second():
    pieces = spoken()
    samples = sound(pieces)
    assert samples.dtype == np.float32
    assert 0.1 < np.abs(samples).max() <= 1.0
    assert {len(p.samples) for p in pieces[:-1]} == {SAMPLE_RATE // 4}


@pytest.mark.parametrize("voice", ["alloy", "shimmer", "verse"])
def test_the_same_words_are_the_same_samples(voice):
    first = sound(spoken(voice=voice))
    spoken("Something else, by somebody else.", voice="ash")
    np.testing.assert_array_equal(sound(spoken(voice=voice)), first)


def test_every_word_has_its_time():
    pieces = spoken()
    words = [word for piece in pieces for word in piece.words]
    assert " ".join(word.text for word in words) == TEXT
    assert [TEXT[word.start : word.end] for word in words] == [w.text for w in words]
    assert len(words) > 10  # espeak-ng runs a few short ones together
    times = [word.at_ms for word in words]
    assert times == sorted(times)
    assert times[-1] < 1000 * len(sound(pieces)) / SAMPLE_RATE
    start = 0
    for piece in pieces[:-1]:
        stop = start + len(piece.samples)
        for word in piece.words:
            assert start <= word.at_ms * SAMPLE_RATE / 1000 < stop
        start = stop


def test_the_ten_voices_are_ten():
    samples = {name: sound(spoken(voice=name)) for name in TIMBRES}
    pitch = {name: median_pitch(voice) for name, voice in samples.items()}
    assert max(pitch.values()) > 2 * min(pitch.values()), pitch
    for one, other in itertools.combinations(samples, 2):
        length = min(len(samples[one]), len(samples[other]))
        spectra = [np.abs(np.fft.rfft(samples[n][:length])) for n in (one, other)]
        bands = [np.add.reduceat(s, np.arange(0, len(s), 400)) for s in spectra]
        unlike = np.abs(np.log(bands[0] / bands[1])).mean()
        assert unlike > 0.1, (one, other, unlike)


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.75, 1.25, 1.5])
def test_speed_divides_the_duration(speed):
    usual, paced = len(sound(spoken())), len(sound(spoken(speed=speed)))
    assert paced * speed == pytest.approx(usual, rel=0.1)


def test_clauses_one_by_one_last_as_long_as_the_whole():
    clauses = ["Hello there,", "my friend.", "This is good;", "is it not?", "Yes."]
    apart = sum(len(sound(spoken(clause))) for clause in clauses)
    assert apart == pytest.approx(len(sound(spoken(" ".join(clauses)))), rel=0.02)


def test_stretching_keeps_the_pitch():
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = (0.5 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)
    longer = stretched(tone, 2.0)
    assert len(longer) == pytest.approx(2 * len(tone), rel=0.02)
    assert median_pitch(longer) == pytest.approx(200, abs=3)


def test_closing_ends_the_speech():
    pieces = Voice().speak(TEXT, voice="ash")
    assert len(next(pieces).samples) == SAMPLE_RATE // 4
    pieces.close()
    with pytest.raises(StopIteration):
        next(pieces)


def test_text_beyond_ascii_is_spoken():
    assert len(sound(spoken("Déjà vu – naïve café, 21 °C."))) > SAMPLE_RATE


def test_an_unknown_voice_is_named():
    with pytest.raises(EngineError, match=r"'darth'.*alloy"):
        next(Voice().speak("x", voice="darth"))


def test_without_the_extra_it_says_how_to_add_it(monkeypatch):
    monkeypatch.setattr(voice_module.importlib.util, "find_spec", lambda _: None)
    assert not Voice().available
    with pytest.raises(MissingExtra, match=r"pip install \"rtnb\[local\]\""):
        next(Voice().speak("x", voice="alloy"))
