"""Speech models on the packaged clips, clean and in noise, by the bench's method."""

import numpy as np
import pytest

from rtnb.audio import Clip
from rtnb.vad import SpeechProbability
from tests.bench.bench_vad_accuracy import (
    MEASURED,
    STUDY,
    closed,
    decided,
    f1,
    hysteresis,
    package_clips,
    scores,
    study_clips,
    truth,
)

TOLERANCE = 0.02


@pytest.fixture(scope="module")
def sounds():
    return package_clips()


@pytest.mark.parametrize("model", MEASURED)
def test_frame_f1_is_what_was_measured(sounds, model):
    assert scores(model, sounds) == pytest.approx(MEASURED[model], abs=TOLERANCE)


@pytest.fixture(scope="module")
def study():
    clips = study_clips()
    if not clips:
        pytest.skip(
            "the study's clips are not installed; to get them on Debian: "
            "apt-get install pocketsphinx-testdata alsa-utils"
        )
    return clips


def test_silero_reproduces_the_study(study):
    assert scores("silero", study) == pytest.approx(STUDY["silero"], abs=TOLERANCE)


def test_always_saying_speech_scores_as_in_the_study(study):
    true = np.concatenate([truth(clip) for clip in study])
    assert f1(true, np.ones_like(true)) == pytest.approx(0.759, abs=TOLERANCE)


def test_silero_is_better_in_noise_than_the_others(sounds):
    silero, energy, webrtc = (
        np.array(scores(model, sounds)) for model in ("silero", "energy", "webrtc-2")
    )
    loud = [3, 4, 7, 8]  # 5 and 0 dB
    assert (silero[loud] > energy[loud] + 0.1).all()
    assert (silero[loud] > webrtc[loud]).all()


def test_the_method_on_small_figures():
    p = np.array([0.4, 0.6, 0.4, 0.34, 0.4, 0.5, 0.1], np.float32)
    assert hysteresis(p).tolist() == [False, True, True, False, False, True, False]
    assert not hysteresis(np.full(3, 0.4, np.float32)).any()
    marks = np.array([0, 1, 0, 1, 0, 0, 1, 0], bool)
    assert closed(marks, 2).tolist() == [0, 1, 1, 1, 0, 0, 1, 0]
    assert f1(np.array([1, 1, 0], bool), np.array([1, 0, 1], bool)) == 0.5


def test_truth_and_decisions_lie_on_the_same_frames():
    tone = Clip(np.full(8_000, 0.5, np.float32), 16_000)
    true = truth(Clip.silence(0.8, 16_000) + tone + Clip.silence(0.8, 16_000))
    assert np.flatnonzero(true)[[0, -1]].tolist() == [100, 162]
    p = np.zeros(66, np.float32)
    p[25:41] = 1.0
    said = decided(SpeechProbability(p), len(true))
    assert np.flatnonzero(said)[[0, -1]].tolist() == [100, 163]
