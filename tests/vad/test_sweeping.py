"""Clips, files, stressors and labels of every kind become one table."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from rtnb.audio import EXAMPLES, Clip
from rtnb.errors import AudioFormatError, ConfigError
from rtnb.vad import (
    Label,
    Labels,
    ServerVad,
    SpeechProbability,
    add_noise,
    score,
    segment,
    speech_probability,
    sweep,
)
from rtnb.vad.grid import FACTS, SETTINGS

CLIP = Clip.example() + Clip.silence(1.0, 16_000)
FIRST = ["file", *SETTINGS, *FACTS, "turns"]


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{name}.wav" for name in EXAMPLES]
    for path in paths:
        (Clip.example(path.stem) + Clip.silence(1.0, 16_000)).save(path)
    return paths


def test_a_row_says_what_a_setting_does():
    frame = sweep(CLIP, threshold=[0.4, 0.6], silence_duration_ms=[200, 500])
    assert list(frame.columns[: len(FIRST)]) == FIRST
    probability = speech_probability(CLIP)
    assert len(frame) == 4
    for row in frame.to_dict("records"):
        settings = ServerVad(
            threshold=row["threshold"], silence_duration_ms=row["silence_duration_ms"]
        )
        alone = score(segment(probability, settings), probability)
        assert row["turns"] == alone.timing.turns
        assert row["delay_ms"] == alone.timing.delay_ms
        assert row["minutes"] == probability.duration / 60
        assert row["speech_s"] == np.count_nonzero(probability.p >= 0.5) * 0.032


def test_what_is_left_out_has_its_default():
    (row,) = sweep(CLIP).to_dict("records")
    assert row["file"] == "clip 1"
    assert (row["threshold"], row["silence_duration_ms"]) == (0.5, 200)
    assert row["prefix_padding_ms"] == 300


def test_counts_are_whole_numbers():
    kinds = sweep(CLIP, threshold=[0.5]).dtypes
    for name in ("silence_duration_ms", "prefix_padding_ms", "turns", "cut_ins"):
        assert kinds[name] == np.int64
    assert kinds["missed"] == np.float64


def test_sounds_of_every_kind_give_the_same_figures(files):
    path = files[1]
    recording = SimpleNamespace(microphone=path)
    probability = speech_probability(path)
    frame = sweep({"file": path, "text": str(path), "p": probability, "r": recording})
    assert frame["file"].tolist() == ["file", "text", "p", "r"]
    assert frame.drop(columns="file").drop_duplicates().shape[0] == 1
    assert sweep(recording)["file"].tolist() == [str(path)]
    assert sweep(probability)["file"].tolist() == ["clip 1"]


def test_files_go_by_their_paths_in_order(files):
    frame = sweep(files, silence_duration_ms=[200, 400])
    assert frame["file"].tolist() == [str(each) for each in files for _ in range(2)]
    assert frame.attrs["failed"] == {}
    assert frame.attrs["summary"] == "3 of 3 could be used."


def test_one_failing_file_is_reported_and_spoils_no_other(files, tmp_path, caplog):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    frame = sweep([files[0], bad, tmp_path / "nowhere.wav", files[1]])
    assert frame["file"].tolist() == [str(files[0]), str(files[1])]
    assert list(frame.attrs["failed"]) == [str(bad), str(tmp_path / "nowhere.wav")]
    assert "bad.wav" in frame.attrs["failed"][str(bad)]
    assert frame.attrs["summary"].startswith("2 of 4 could be used. Not used: ")
    assert [each.message for each in caplog.records] == ["sweep.failed"] * 2


def test_nothing_but_failures_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing could be listened to: .*b\.wav"):
        sweep([tmp_path / "a.wav", tmp_path / "b.wav"])


def test_the_failure_of_a_single_clip_is_raised(tmp_path):
    with pytest.raises(FileNotFoundError):
        sweep(tmp_path / "nowhere.wav")
    with pytest.raises(AudioFormatError, match="empty"):
        sweep(Clip.silence(0.0, 16_000))


def test_stressors_are_an_axis(files):
    stressors = {
        "as it is": None,
        0: partial(add_noise, snr_db=0, seed=1),
    }
    frame = sweep(files[:2], threshold=[0.4, 0.6], stressors=stressors)
    assert frame["stressor"].tolist() == ["as it is", "as it is", 0, 0] * 2
    noisy = add_noise(Clip.from_file(files[1]), snr_db=0, seed=1)
    expected = sweep(noisy, threshold=[0.4, 0.6])["speech_s"].tolist()
    found = frame[(frame["stressor"] == 0) & (frame["file"] == str(files[1]))]
    assert found["speech_s"].tolist() == expected


def test_a_failing_stressor_is_reported_by_its_name(files):
    def broken(clip):
        raise ZeroDivisionError

    frame = sweep(files[:2], stressors={"none": None, "broken": broken})
    assert frame["stressor"].tolist() == ["none", "none"]
    assert frame.attrs["failed"] == {
        f"{path} (broken)": "ZeroDivisionError" for path in files[:2]
    }


def test_labels_of_a_single_clip():
    labels = Labels([Label(0.3, 2.6)])
    (row,) = sweep(CLIP, reference=labels).to_dict("records")
    assert (row["labels"], row["missed"], row["false"]) == (1, 0, 0)
    assert row["speech_s"] == pytest.approx(2.3)
    assert row["recall"] > 0.9


def test_labels_of_each_clip_in_order_or_by_name(files):
    one, two = [(0.3, 2.6)], [(0.3, 1.0), (1.2, 2.6)]
    in_order = sweep(files, reference=[one, None, two])
    assert in_order["labels"].tolist() == pytest.approx([1, np.nan, 2], nan_ok=True)
    by_name = sweep(files, reference={files[0].name: one, str(files[2]): two})
    assert by_name.drop(columns="file").equals(in_order.drop(columns="file"))


def test_a_model_of_ones_own():
    def loud(hop):
        return float(np.abs(hop).max() > 0.1)

    (row,) = sweep(CLIP, model=loud).to_dict("records")
    assert row["turns"] >= 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"clips": []}, "there are no clips"),
        ({"clips": 7}, "7 is no sound"),
        ({"clips": [7]}, "7 is no sound"),
        ({"clips": ["a.wav", "a.wav"]}, r"a\.wav is given twice"),
        ({"clips": CLIP, "threshold": 2}, "threshold is 2"),
        ({"clips": CLIP, "model": "crystal ball"}, "no speech model 'crystal ball'"),
        ({"clips": CLIP, "reference": 7}, "the labels of clip 1: 7 is no list"),
        ({"clips": CLIP, "reference": [(2, 1)]}, "the labels of clip 1: a label from"),
        ({"clips": [CLIP], "reference": []}, "labels for 0 clips, but 1 clips"),
        ({"clips": [CLIP], "reference": {"x": []}}, "labels for 'x', but no such clip"),
        ({"clips": CLIP, "stressors": {"x": 7}}, "stressor 'x' is 7"),
        (
            {
                "clips": SpeechProbability.from_array([0.5]),
                "stressors": {"x": lambda clip: clip},
            },
            "stressor 'x' changes sound",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(given, told):
    with pytest.raises(ConfigError, match=told):
        sweep(**given)
