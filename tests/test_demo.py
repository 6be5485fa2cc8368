"""``rtnb demo``, as a person runs it."""

import json
import subprocess
import sys

from rtnb.audio import Clip


def demo(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "rtnb", "demo", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_spoken_question_is_answered_and_written_down(tmp_path):
    done = demo(tmp_path, "--out", "take")
    assert done.returncode == 0, done.stderr
    for word in (
        "young man",
        "answer",
        "tokens",
        "cost",
        "latency",
        "segments",
        "3072",
    ):
        assert word in done.stdout, done.stdout
    answer = Clip.from_file(tmp_path / "take" / "answer.wav")
    assert answer.duration > 1
    assert (tmp_path / "take" / "turn.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "take" / "events.jsonl").read_text("utf-8")
    kinds = [json.loads(line)["type"] for line in text.splitlines()]
    assert kinds[0] == "input_audio_buffer.speech_started"
    assert "response.done" in kinds
    assert max(map(len, text.splitlines())) < 20_000


def test_what_is_no_audio_is_said_in_one_line(tmp_path):
    (tmp_path / "note.txt").write_text("not a sound")
    done = demo(tmp_path, "note.txt")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "note.txt" in done.stderr
