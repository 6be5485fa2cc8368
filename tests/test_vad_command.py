"""``rtnb vad``, as a process where the process matters and as a function elsewhere."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

from rtnb import cli
from rtnb.audio import Clip
from rtnb.errors import ConfigError
from rtnb.vad import Label, Labels, ServerVad, command, segment, speech_probability
from rtnb.vad.command import FORMATS, Order, run

NAMES = ("austen-0870", "austen-0880")
CSV = (
    "file,start,end,started_at,stopped_at,ended\n"
    "austen-0870.wav,0.436,7.616,0.768,7.616,silence\n"
    "austen-0880.wav,0.468,3.584,0.800,3.584,silence\n"
)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    before, after = Clip.silence(0.5, 16_000), Clip.silence(1.0, 16_000)
    for name in NAMES:
        (before + Clip.example(name) + after).save(folder / f"{name}.wav")
    return folder


@pytest.fixture
def sounds(originals, tmp_path, monkeypatch):
    """Two sound files in the current folder, and a cache of our own."""
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


FILES = tuple(f"{name}.wav" for name in NAMES)


def process(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "rtnb", "vad", *words],
        capture_output=True,
        timeout=60,
        check=False,
        **options,
    )


def ordered(files=FILES, stdin=b"", **asked):
    """Exit code, standard output, complaints."""
    out, complaints = io.StringIO(), []
    code = run(
        Order(files=tuple(files), **asked),
        stdin=io.BytesIO(stdin),
        stdout=out,
        complain=complaints.append,
    )
    return code, out.getvalue(), complaints


def turns_of(file, settings=ServerVad()):  # noqa: B008 - it does not change
    return segment(speech_probability(file, cache=False), settings)


def test_a_table_says_when_and_why(sounds, capsys):
    assert cli.main(["vad", *FILES]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines()[:3] == [
        "austen-0870.wav: 1 turn in 8.6 s (silero 6.2)",
        "     start        end  evidence",
        "     0.436      7.616  nothing remarkable: 6656 ms of speech, ended by 224 ms "
        "of quiet, the limit was 200",
    ]


def test_csv_comes_out_clean(sounds):
    done = process(*FILES, "--format", "csv")
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, CSV, b"")


def test_a_file_that_fails_is_named_and_the_others_go_on(sounds):
    Path("notes.txt").write_text("no sound", "utf-8")
    Path("empty.wav").touch()
    files = ["missing.wav", FILES[0], "notes.txt", ".", "empty.wav", FILES[1]]
    done = process(*files, "--format", "csv")
    assert (done.returncode, done.stdout.decode()) == (1, CSV)
    complaints = done.stderr.decode().splitlines()
    assert len(complaints) == 4
    for name, complaint in zip(
        ["missing.wav", "notes.txt", ".", "empty.wav"], complaints, strict=True
    ):
        assert complaint.startswith("rtnb: ")
        assert name in complaint


@pytest.mark.parametrize("jobs", [None, 2])
def test_json_is_one_object_a_line(sounds, jobs):
    files = (FILES[0], "missing.wav", FILES[1])
    code, out, complaints = ordered(
        files, format="json", jobs=jobs, threshold=(0.3,), silence=(100,), prefix=(0,)
    )
    assert code == 1
    assert [each.count("missing.wav") for each in complaints] == [1]
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["file"] for each in found] == list(FILES)
    settings = ServerVad(threshold=0.3, silence_duration_ms=100, prefix_padding_ms=0)
    for each in found:
        assert each["turns"] == [
            {
                "audio_start_ms": turn.audio_start_ms,
                "audio_end_ms": turn.audio_end_ms,
                "speech_started_ms": turn.started_at_ms,
                "speech_stopped_ms": turn.stopped_at_ms,
                "ended": turn.ended,
            }
            for turn in turns_of(each["file"], settings)
        ]
        assert each["settings"]["threshold"] == 0.3
        assert each["model"] == "silero"


def test_a_turn_that_does_not_end(sounds):
    Clip.from_file(FILES[0]).slice(0, 2).save("cut.wav")
    _, table, _ = ordered(["cut.wav"], format="csv")
    assert table.splitlines()[1] == "cut.wav,0.436,1.984,0.768,,end of audio"
    _, line, _ = ordered(["cut.wav"], format="json")
    assert json.loads(line)["turns"][0]["speech_stopped_ms"] is None


def test_standard_input_is_a_file(sounds):
    done = process("-", "--format", "csv", input=Path(FILES[1]).read_bytes())
    assert done.stderr == b""
    assert done.stdout.decode().splitlines()[1] == CSV.splitlines()[2].replace(
        FILES[1], "-"
    )


def test_a_reader_that_goes_away_is_no_error(sounds):
    """Far more is written than a pipe holds, and nobody reads."""
    links = [f"{number}.wav" for number in range(400)]
    for link in links:
        Path(link).symlink_to(FILES[0])
    with subprocess.Popen(
        [sys.executable, "-m", "rtnb", "vad", *links, "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout.readline().startswith(b'{"file": "0.wav"')
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == cli.PIPE_CLOSED


def test_ctrl_c_ends_the_processes_too(sounds):
    """Both are made to wait for a pipe that nobody writes to."""
    for name in ("a.wav", "b.wav"):
        os.mkfifo(name)
    with (
        subprocess.Popen(
            [sys.executable, "-m", "rtnb", "vad", "a.wav", "b.wav", "--jobs", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as running,
        Path("a.wav").open("wb"),  # opens once it is read
        Path("b.wav").open("wb"),
    ):
        helpers = psutil.Process(running.pid).children(recursive=True)
        os.killpg(running.pid, signal.SIGINT)
        out, complaint = running.communicate(timeout=20)
    assert (running.returncode, out, complaint) == (cli.INTERRUPTED, b"", b"")
    assert len(helpers) >= 2
    assert psutil.wait_procs(helpers, timeout=20)[1] == []


@pytest.mark.parametrize("name", ["audacity", "rttm", "vtt", "textgrid"])
def test_turns_as_labels_on_standard_output(sounds, name):
    code, out, complaints = ordered(FILES[1:], format=name)
    assert (code, complaints) == (0, [])
    Path("labels").write_text(out, "utf-8")
    (label,) = Labels.read("labels", name)
    assert (label.start_s, label.end_s) == (0.468, 3.584)
    assert label.text == ("" if name == "rttm" else "turn 1")


def test_rttm_of_many_files_is_one_stream(sounds):
    _, out, _ = ordered(format="rttm")
    assert [line.split()[1] for line in out.splitlines()] == list(NAMES)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("audacity", ".txt"),
        ("csv", ".csv"),
        ("rttm", ".rttm"),
        ("vtt", ".vtt"),
        ("textgrid", ".TextGrid"),
    ],
)
def test_a_folder_gets_a_file_each(sounds, name, suffix):
    code, out, _ = ordered(format=name, out="found/here")
    assert (code, out) == (0, "")
    paths = sorted(Path("found/here").iterdir())
    assert [path.name for path in paths] == [f"{stem}{suffix}" for stem in NAMES]
    starts = [Labels.read(path)[0].start_s for path in paths]
    assert starts == [0.436, 0.468]


def test_json_in_a_folder(sounds):
    ordered(format="json", out=".")
    assert json.loads(Path("austen-0880.json").read_text("utf-8"))["file"] == FILES[1]


def test_a_recording_without_speech(sounds):
    Clip.silence(2.0, 16_000).save("silence.wav")
    assert ordered(["silence.wav"]) == (
        0,
        "silence.wav: 0 turns in 2.0 s (silero 6.2)\n",
        [],
    )
    assert ordered(["silence.wav"], format="audacity")[:2] == (0, "")
    code, _, complaints = ordered(["silence.wav"], format="textgrid")
    assert (code, complaints) == (
        1,
        ["silence.wav: a TextGrid has a length: there must be one label at least"],
    )


def test_labels_are_compared_with(sounds):
    Labels([Label(0.7, 7.4)]).write("austen-0870.vtt")
    _, out, _ = ordered(FILES[:1], labels="austen-0870.vtt")
    assert out.splitlines()[-1].startswith("of 1 labels 0 missed; 0 false turns; ")
    _, line, _ = ordered(FILES[:1], labels="austen-0870.vtt", format="json")
    score = json.loads(line)["score"]
    assert score["onset_error_ms"] == 736 - 700
    Labels().write("none.csv")
    _, line, _ = ordered(FILES[:1], labels="none.csv", format="json")
    assert json.loads(line)["score"]["onset_error_ms"] is None


def test_labels_in_a_folder_go_by_name(sounds):
    Path("labels").mkdir()
    Labels([Label(0.7, 7.4)]).write("labels/austen-0870.TextGrid.csv")
    Labels([Label(0.7, 7.4)]).write("labels/austen-0870.csv")
    code, out, complaints = ordered(labels="labels", format="json")
    assert code == 1
    assert [json.loads(line)["score"]["labels"] for line in out.splitlines()] == [1]
    assert complaints == [
        "austen-0880.wav: labels has no labels for it: add austen-0880.csv or the like"
    ]


def test_a_sweep_is_a_table(sounds):
    _, out, _ = ordered(sweep=True, silence=(200, 500))
    rows = out.splitlines()
    assert rows[0].split()[:2] == ["threshold", "silence_duration_ms"]
    assert len(rows) == 1 + 6 * 2


@pytest.mark.parametrize("jobs", [None, 2])
def test_a_sweep_as_csv_has_a_row_for_each_file_and_setting(sounds, jobs):
    code, out, complaints = ordered(
        [*FILES, "missing.wav"],
        sweep=True,
        format="csv",
        threshold=(0.4, 0.6),
        silence=(200, 500),
        prefix=(0, 300),
        jobs=jobs,
    )
    frame = pd.read_csv(io.StringIO(out))
    assert len(frame) == 2 * 8
    assert set(frame["file"]) == set(FILES)
    assert code == 1
    assert [each.count("missing.wav") for each in complaints] == [1]


def test_a_sweep_against_labels_into_a_folder(sounds):
    Path("labels").mkdir()
    Labels([Label(0.7, 7.4)]).write("labels/austen-0870.csv")
    code, out, complaints = ordered(
        sweep=True, format="json", out="swept", labels="labels", threshold=(0.5,)
    )
    assert (code, out, len(complaints)) == (1, "", 1)
    lines = Path("swept/sweep.json").read_text("utf-8").splitlines()
    assert len(lines) == len(command.SWEPT_SILENCES)
    assert json.loads(lines[0])["labels"] == 1


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"threshold": (1.5,)}, "threshold is 1.5, but a probability"),
        ({"silence": (-1,)}, "silence_duration_ms is -1 ms"),
        ({"prefix": (-1,)}, "prefix_padding_ms is -1 ms"),
        ({"threshold": (0.3, 0.4)}, "--threshold has 2 values: give one, or --sweep"),
        ({"sweep": True, "threshold": (0.3, 1.4)}, "threshold is 1.4"),
        ({"model": "ear"}, "'ear'"),
        ({"format": "vtt"}, "one vtt file cannot hold the turns of 2 files"),
        ({"format": "vtt", "sweep": True}, "a sweep has no turns to write as vtt"),
        ({"out": "folder"}, "a table is to be read, not to be kept in folder"),
        ({"labels": "labels.csv"}, "labels.csv cannot be about 2 files"),
        ({"files": ("a.wav", "b.wav", "a.wav")}, "a.wav is given twice"),
        (
            {"files": ("a/x.wav", "b/x.wav"), "out": "o", "format": "csv"},
            "two files are called x",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(asked, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Order(**{"files": FILES} | asked)


def test_such_an_error_is_one_line_and_1(capsys):
    assert cli.main(["vad", "a.wav", "--threshold", "1.5"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("rtnb: threshold is 1.5")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["a.wav", "--silence", "2.5"], "'2.5': give a number"),
        (["a.wav", "--threshold", "0.3,,"], "'0.3,,': give a number"),
        (["a.wav", "--jobs", "0"], "'0' is no number of processes"),
        (["a.wav", "--format", "xml"], "'xml'"),
        ([], "FILE"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_2(words, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["vad", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_command_line_knows_every_format():
    assert cli.VAD_FORMATS == FORMATS
