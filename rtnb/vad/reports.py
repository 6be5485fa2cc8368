"""What ``rtnb vad`` writes about a file, or about a sweep.

A table is to be read; CSV, JSON lines and files of labels are for programs.
"""

from __future__ import annotations

import csv
import io
import json
import math
import tempfile
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rtnb.vad.explanation import explain
from rtnb.vad.label_files import FORMATS as LABEL_FORMATS
from rtnb.vad.labels import Labels

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from rtnb.vad.probability import SpeechProbability
    from rtnb.vad.scoring import Score
    from rtnb.vad.segmentation import Segment
    from rtnb.vad.settings import ServerVad

FORMATS: Final = ("table", "csv", "json", *sorted(set(LABEL_FORMATS) - {"csv"}))
"""What turns may be written as; a sweep is one of the first three."""

COLUMNS: Final = ("file", "start", "end", "started_at", "stopped_at", "ended")
"""Columns of the turns as CSV, in seconds; `Labels.read` finds its own among them."""

_TIERS = {"rttm": "speech", "textgrid": "turns"}


@dataclass(frozen=True)
class Found:
    """What there is to say about a file.

    Parameters
    ----------
    file, stem : str
        What it is called, and what a file about it is called.
    probability : SpeechProbability
        What was heard.
    settings : ServerVad
        What the turns were found with.
    turns : list of Segment
        In order.
    score : Score or None
        How they compare with labels.
    """

    file: str
    stem: str
    probability: SpeechProbability
    settings: ServerVad
    turns: list[Segment]
    score: Score | None


def text_of(found: Found, name: str) -> str:
    """Write about a file.

    Parameters
    ----------
    found : Found
        All about it.
    name : str
        One of `FORMATS`.

    Returns
    -------
    str
        Whole lines; of CSV without the header.

    Raises
    ------
    ConfigError
        If the format cannot hold the turns.
    MissingExtra
        If the format's library is not there.
    """
    return _WRITERS[name](found) if name in _WRITERS else _labels_text(found, name)


def header_of(name: str) -> str:
    """What comes before everything else: of CSV the names of the columns."""
    return _csv_line(COLUMNS) if name == "csv" else ""


def suffix_of(name: str) -> str:
    """How the files of a format are called."""
    files = (file.suffix for known, file in LABEL_FORMATS.items() if known == name)
    return next(files, f".{name}")


def text_of_sweep(frame: pd.DataFrame, name: str) -> str:
    """Write about a sweep.

    Parameters
    ----------
    frame : DataFrame
        From `sweep`.
    name : {"table", "csv", "json"}
        A table has a row for each setting, the others one for each file and setting.

    Returns
    -------
    str
        Whole lines.
    """
    match name:
        case "csv":
            return frame.to_csv(index=False, lineterminator="\n")
        case "json":
            return f"{frame.to_json(orient='records', lines=True).rstrip()}\n"
        case _:
            from rtnb.vad.choosing import by_setting

            table = by_setting(frame).dropna(axis="columns", how="all")
            return table.to_string(index=False, float_format="{:.4g}".format) + "\n"


def _table_text(found: Found) -> str:
    heard = found.probability
    count = len(found.turns)
    lines = [
        f"{found.file}: {count} turn{'s' * (count != 1)} in {heard.duration:.1f} s "
        f"({heard.model} {heard.version})".rstrip()
    ]
    if found.turns:
        lines.append(f"{'start':>10} {'end':>10}  evidence")
    for turn, following in zip_longest(found.turns, found.turns[1:]):
        evidence = explain(
            turn, probability=heard, settings=found.settings, following=following
        )
        start, end = turn.audio_start_ms / 1000, turn.audio_end_ms / 1000
        lines.append(f"{start:10.3f} {end:10.3f}  {evidence}")
    if found.score is not None:
        lines.append(_score_line(found.score))
    return "\n".join(lines) + "\n"


def _score_line(found: Score) -> str:
    detection, coverage = found.detection, found.coverage
    return (
        f"of {coverage.labels:.0f} labels {coverage.missed:.0f} missed; "
        f"{coverage.false:.0f} false turns; precision {detection.precision:.3f}, "
        f"recall {detection.recall:.3f}, F1 {detection.f1:.3f}; "
        f"onset {coverage.onset_error_ms:+.0f} ms, "
        f"offset {coverage.offset_error_ms:+.0f} ms"
    )


def _csv_text(found: Found) -> str:
    return "".join(
        _csv_line(
            (
                found.file,
                _seconds(turn.audio_start_ms),
                _seconds(turn.audio_end_ms),
                _seconds(turn.started_at_ms),
                _seconds(turn.stopped_at_ms),
                turn.ended,
            )
        )
        for turn in found.turns
    )


def _csv_line(fields: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


def _seconds(ms: int | None) -> str:
    return "" if ms is None else f"{ms / 1000:.3f}"


def _json_text(found: Found) -> str:
    facts: dict[str, Any] = {
        "file": found.file,
        "model": found.probability.model,
        "version": found.probability.version,
        "duration_ms": len(found.probability) * found.probability.hop_ms,
        "settings": msgspec.to_builtins(found.settings),
        "turns": [
            {
                "audio_start_ms": turn.audio_start_ms,
                "audio_end_ms": turn.audio_end_ms,
                "speech_started_ms": turn.started_at_ms,
                "speech_stopped_ms": turn.stopped_at_ms,
                "ended": turn.ended,
            }
            for turn in found.turns
        ],
    }
    if found.score is not None:
        facts["score"] = {
            name: None if math.isnan(value) else value
            for part in found.score
            for name, value in part._asdict().items()
        }
    return json.dumps(facts, ensure_ascii=False) + "\n"


def _labels_text(found: Found, name: str) -> str:
    """The turns as a file of labels."""
    chosen = next(known for known in LABEL_FORMATS if known == name)
    spans = Labels.of(found.turns, tier=_TIERS.get(name, ""))
    numbered = (replace(span, text=f"turn {n}") for n, span in enumerate(spans, 1))
    with tempfile.TemporaryDirectory(prefix="rtnb-vad-") as folder:
        path = Path(folder, found.stem + ".labels")
        Labels(numbered).write(path, chosen)
        return path.read_bytes().decode("utf-8")


_WRITERS: Final[dict[str, Callable[[Found], str]]] = {
    "table": _table_text,
    "csv": _csv_text,
    "json": _json_text,
}
