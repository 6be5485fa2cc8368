"""``rtnb demo``: one spoken question through the embedded gateway, without a browser.

Prints the turn and writes what a notebook would show: the figure, the answer as WAV and
the events as JSON lines.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from rtnb import plots
from rtnb.audio import EXAMPLES, Clip
from rtnb.display import turn_text
from rtnb.protocol.codec import to_dict
from rtnb.session import connect

if TYPE_CHECKING:
    from rtnb.session import Turn

DEFAULT_CLIP = "austen-0880"


def main(
    clip: str | None = None, *, out: str = "rtnb-demo", realtime: bool = True
) -> int:
    """Hold one spoken turn and write what came of it.

    Parameters
    ----------
    clip : str, optional
        An audio file, or the name of one of the package's examples.
    out : str, default "rtnb-demo"
        Folder for ``turn.png``, ``answer.wav`` and ``events.jsonl``; made if missing.
    realtime : bool, default True
        Send the question at the speed of speech; False sends it at once.

    Returns
    -------
    int
        Exit status: 0 when the turn was answered.

    Raises
    ------
    AudioFormatError
        If the file cannot be read as audio.
    """
    question = _question(clip or DEFAULT_CLIP)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    events: list[dict[str, Any]] = []
    with connect() as session:
        session.on("*", lambda event: events.append(_without_audio(to_dict(event))))
        print(f"Asking with {question.duration:.2f} s of speech …")
        turn = session.send_audio(question, realtime=realtime)
        turn.wait(timeout=question.duration + 60)
        _write(folder, turn, events)
    print(_report(turn))
    print(f"Written to {folder}: turn.png, answer.wav, events.jsonl")
    return 0


def _question(name: str) -> Clip:
    if name in EXAMPLES:
        return Clip.example(name)
    return Clip.from_file(name)


def _report(turn: Turn) -> str:
    marks = ", ".join(f"{s.audio_start_ms}–{s.audio_end_ms} ms" for s in turn.segments)
    return f"{turn_text(turn)}\n  segments {marks or 'none'}"


def _write(folder: Path, turn: Turn, events: list[dict[str, Any]]) -> None:
    if turn.audio is not None:
        turn.audio.save(folder / "answer.wav")
    lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    (folder / "events.jsonl").write_text(lines, encoding="utf-8")
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots(2, 1)
    if turn.input_audio is not None:
        plots.plot_activity(turn.input_audio, axes[0])
        axes[0].set_title("What you said")
    if turn.audio is not None:
        plots.plot_waveform(turn.audio, axes[1])
        axes[1].set_title("What was answered")
    figure.savefig(folder / "turn.png", dpi=120)


def _without_audio(event: dict[str, Any]) -> dict[str, Any]:
    """The event as a line of text: audio stands as its length."""
    if event["type"] == "response.output_audio.delta":
        return {**event, "delta": f"<{len(event['delta'])} characters of base64>"}
    return event
