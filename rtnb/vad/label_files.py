"""Files of labels: one reader and one writer for each format.

A reader gives rows that nobody has checked. A writer writes what it is given and refuses
only what it knows that the format cannot hold; `rtnb.vad.labels` reads everything again
and compares. WebVTT is webvtt-py's, TextGrids are read by praatio; they are written here,
for praatio takes 3600.000002 for a whole number and cannot read its own 0.000001.

References
----------
Audacity manual, "Importing and Exporting Labels"; NIST, "RTTM File Format
Specification"; W3C, "WebVTT: The Web Video Text Tracks Format"; Praat manual, "TextGrid
file formats".
"""

from __future__ import annotations

import csv
import html
import io
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from rtnb.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from rtnb.vad.labels import Label

LabelFormat: TypeAlias = Literal["audacity", "csv", "rttm", "textgrid", "vtt"]
"""Names of the formats."""

DECIMALS: Final = 6
"""Of a second, that are kept."""

COLUMNS: Final = ("start", "end", "text", "tier")
"""Columns of a CSV file, if it has no header."""

Row: TypeAlias = tuple[float, float, str, str]
"""Start and end in seconds, text, tier: not yet checked."""

_OTHER_NAMES = {"label": "text", "speaker": "tier", "start_s": "start", "end_s": "end"}
_NOBODY = "<NA>"
_SPEAKER_LINE = ("type", "file", "channel", "start", "length", "ortho", "kind", "name")


@dataclass(frozen=True)
class LabelFile:
    """What a format is like.

    Parameters
    ----------
    suffix : str
        How its files' names end.
    read : callable
        Takes a path, gives the rows in the order of the file. ValueError if it is not
        of this format.
    write : callable
        Takes labels, a path and the recording's name. ConfigError, ValueError or
        UnicodeError if the format cannot hold them.
    has_text, has_tier : bool
        Whether it has a place for these.
    decimals : int
        Of a second, that it has.
    """

    suffix: str
    read: Callable[[Path], list[Row]]
    write: Callable[[Sequence[Label], Path, str], None]
    has_text: bool = True
    has_tier: bool = True
    decimals: int = DECIMALS


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Parameters
    ----------
    target : Path
        The file; what was there before stays until the end.

    Yields
    ------
    Path
        An empty file in the same folder, to be written; unless something is raised, it
        takes the place of the other, whose mode it gets.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(_usual_mode(target))
        draft.replace(target)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _usual_mode(target: Path) -> int:
    """Mode of the file that is there, or of a new one."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _text(path: Path) -> str:
    """A file's text, with the ends of its lines as they are."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")


def _lines(path: Path) -> list[str]:
    return _text(path).replace("\r\n", "\n").split("\n")


def _save(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))


def _tiers(labels: Sequence[Label]) -> list[str]:
    return list(dict.fromkeys(label.tier for label in labels))


def _seconds(value: float) -> str:
    return f"{value:.{DECIMALS}f}"


def _read_audacity(path: Path) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip() or line.startswith("\\"):
            continue
        start, *rest = line.split("\t", 2)
        if not rest:
            raise ValueError(f"line {number} has no tab: {line[:40]!r}")
        text = rest[1] if len(rest) > 1 else ""
        rows.append((_number(start, number), _number(rest[0], number), text, ""))
    return rows


def _write_audacity(labels: Sequence[Label], path: Path, recording: str) -> None:
    del recording  # its track has no name
    tiers = _tiers(labels)
    if len(tiers) > 1:
        raise ConfigError(
            f"an audacity file is one tier, and these are {len(tiers)} "
            f"({', '.join(map(repr, tiers))}): write one file for each"
        )
    for label in labels:
        if set(label.text) & set("\t\r\n"):
            raise ConfigError(
                f"audacity keeps text on one line without tabs: change {label}"
            )
    lines = (
        f"{_seconds(one.start_s)}\t{_seconds(one.end_s)}\t{one.text}\n"
        for one in labels
    )
    _save(path, "".join(lines))


def _read_rttm(path: Path) -> list[Row]:
    rows: list[Row] = []
    recordings: dict[str, None] = {}
    for number, line in enumerate(_lines(path), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        line_fields = dict(zip(_SPEAKER_LINE, fields, strict=False))
        if "length" not in line_fields:
            raise ValueError(f"line {number} is not whole: {line[:40]!r}")
        recordings[line_fields["file"]] = None
        start = _decimal(line_fields["start"], number)
        length = _decimal(line_fields["length"], number)
        speaker = line_fields.get("name", _NOBODY)
        tier = "" if speaker == _NOBODY else speaker
        rows.append((float(start), float(start + length), "", tier))
    if len(recordings) > 1:
        raise ValueError(
            f"it is about {len(recordings)} recordings ({', '.join(recordings)}): "
            "make a file for each"
        )
    return rows


def _write_rttm(labels: Sequence[Label], path: Path, recording: str) -> None:
    name = "_".join(recording.split()) or "audio"
    lines = []
    for label in labels:
        if label.tier == _NOBODY or label.tier.split() != [label.tier] * bool(
            label.tier
        ):
            raise ConfigError(
                f"rttm takes a name without blanks for a speaker: change the tier of "
                f"{label}"
            )
        times = f"{_seconds(label.start_s)} {_seconds(label.duration)}"
        speaker = label.tier or _NOBODY
        lines.append(
            f"SPEAKER {name} 1 {times} {_NOBODY} {_NOBODY} {speaker} {_NOBODY} "
            f"{_NOBODY}\n"
        )
    _save(path, "".join(lines))


def _read_csv(path: Path) -> list[Row]:
    table = [row for row in csv.reader(io.StringIO(_text(path), newline="")) if row]
    columns: Sequence[str] = COLUMNS
    first = 1
    if table and not _is_number(table[0][0]):
        columns = [column(name) for name in table.pop(0)]
        first = 2
        check_columns(columns)
    rows: list[Row] = []
    for number, fields in enumerate(table, first):
        row = dict(zip(columns, fields, strict=False))
        if "start" not in row or "end" not in row:
            raise ValueError(f"row {number} has no end: {fields}")
        start, end = _number(row["start"], number), _number(row["end"], number)
        rows.append((start, end, row.get("text", ""), row.get("tier", "")))
    return rows


def _write_csv(labels: Sequence[Label], path: Path, recording: str) -> None:
    del recording  # the file's name says it
    columns = len(COLUMNS) if any(label.tier for label in labels) else 3
    text = io.StringIO(newline="")
    # numbers bare and texts quoted: so a lone carriage return is quoted on Python 3.11
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    text.write(",".join(COLUMNS[:columns]) + "\n")
    for one in labels:
        times = [Decimal(_seconds(one.start_s)), Decimal(_seconds(one.end_s))]
        writer.writerow([*times, one.text, one.tier][:columns])
    _save(path, text.getvalue())


def _read_vtt(path: Path) -> list[Row]:
    webvtt = _optional("webvtt", "WebVTT")
    text = _text(path).replace("\r\n", "\n")
    try:
        captions = webvtt.from_string(text, strict=True).captions
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as e:
        raise ValueError(str(e) or "it does not begin with WEBVTT") from e
    rows: list[Row] = []
    for caption in captions:
        voice = re.match(r"<v(?:\.[^\s>]*)?\s([^>]*)>", caption.raw_text)
        words = re.sub(r"<[^>]*>", "", caption.raw_text)
        rows.append(
            (
                caption.start_time.in_milliseconds() / 1000,
                caption.end_time.in_milliseconds() / 1000,
                html.unescape(words),
                html.unescape(voice.group(1)) if voice else "",
            )
        )
    return rows


def _write_vtt(labels: Sequence[Label], path: Path, recording: str) -> None:
    del recording
    webvtt = _optional("webvtt", "WebVTT")
    timestamp = webvtt.models.Timestamp
    captions = [
        webvtt.Caption(
            start=str(timestamp.from_seconds(round(one.start_s, 3))),
            end=str(timestamp.from_seconds(round(one.end_s, 3))),
            text=(f"<v {_escaped(one.tier)}>" if one.tier else "") + _escaped(one.text),
        )
        for one in labels
    ]
    try:
        text: str = webvtt.WebVTT(captions=captions).content
    except ValueError as error:
        raise ConfigError(f"vtt cannot hold these labels: {error}") from error
    _save(path, text.rstrip("\n") + "\n")


def _escaped(text: str) -> str:
    """Text without the characters of WebVTT's markup and of its arrow."""
    return html.escape(text, quote=False)


def _read_textgrid(path: Path) -> list[Row]:
    textgrid = _optional("praatio.textgrid", "TextGrid")
    errors = import_module("praatio.utilities.errors")
    try:
        grid = textgrid.openTextgrid(
            str(path), includeEmptyIntervals=False, duplicateNamesMode="rename"
        )
    except (errors.PraatioException, IndexError) as error:
        raise ValueError(str(error) or "it has no tiers") from error
    rows: list[Row] = []
    for tier in grid.tiers:
        for entry in tier.entries:
            *times, text = entry
            rows.append((float(times[0]), float(times[-1]), text, tier.name))
    return rows


def _write_textgrid(labels: Sequence[Label], path: Path, recording: str) -> None:
    del recording
    if not labels:
        raise ConfigError("a TextGrid has a length: there must be one label at least")
    for label in labels:
        if not label.text:
            raise ConfigError(
                f"an interval of a TextGrid without text is a gap: give {label} a "
                'text, such as "speech"'
            )
    end = max(label.end_s for label in labels)
    names = _tiers(labels)
    tiers = [[label for label in labels if label.tier == name] for name in names]
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        *(_extent(0.0, end)),
        "tiers? <exists>",
        f"size = {len(names)}",
        "item []:",
        *(
            f"    {line}"
            for number, (name, tier) in enumerate(zip(names, tiers, strict=True), 1)
            for line in _textgrid_tier(number, name, tier, end)
        ),
    ]
    _save(path, "\n".join(lines) + "\n")


def _textgrid_tier(
    number: int, name: str, labels: Sequence[Label], end: float
) -> list[str]:
    """Lines of a tier, with its gaps as intervals without text."""
    intervals: list[tuple[float, float, str]] = []
    reached = 0.0
    for label in labels:
        if label.start_s > reached:
            intervals.append((reached, label.start_s, ""))
        intervals.append((label.start_s, label.end_s, label.text))
        reached = label.end_s
    if end > reached:
        intervals.append((reached, end, ""))
    lines = [
        f"item [{number}]:",
        '    class = "IntervalTier"',
        f"    name = {_praat(name)}",
        *(f"    {line}" for line in _extent(0.0, end)),
        f"    intervals: size = {len(intervals)}",
    ]
    for index, (first, last, text) in enumerate(intervals, 1):
        lines.append(f"    intervals [{index}]:")
        lines += [f"        {line}" for line in _extent(first, last)]
        lines.append(f"        text = {_praat(text)}")
    return lines


def _extent(first: float, last: float) -> tuple[str, str]:
    return f"xmin = {_seconds(first)}", f"xmax = {_seconds(last)}"


def _praat(text: str) -> str:
    """Text as Praat quotes it."""
    return '"' + text.replace('"', '""') + '"'


def _optional(module: str, what: str) -> Any:
    try:
        found: ModuleType = import_module(module)
    except ImportError as error:
        raise MissingExtra(f"reading and writing {what}", "labels") from error
    return found


def column(name: object) -> str:
    """Name of a column as `COLUMNS` has it."""
    plain = str(name).strip().lower()
    return _OTHER_NAMES.get(plain, plain)


def check_columns(columns: Sequence[str]) -> None:
    """Refuse a table without times."""
    for needed in ("start", "end"):
        if needed not in columns:
            raise ConfigError(
                f"there is no column {needed!r} among {', '.join(columns)}: name the "
                f"columns {', '.join(COLUMNS)}"
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, line: int) -> float:
    return float(_decimal(text, line))


def _decimal(text: str, line: int) -> Decimal:
    """A decimal number: sums of them are exact, so neighbours stay neighbours."""
    try:
        return Decimal(text.strip())
    except ArithmeticError:
        raise ValueError(f"line {line}: {text[:40]!r} is no time in seconds") from None


FORMATS: Final[dict[LabelFormat, LabelFile]] = {
    "audacity": LabelFile(".txt", _read_audacity, _write_audacity, has_tier=False),
    "csv": LabelFile(".csv", _read_csv, _write_csv),
    "rttm": LabelFile(".rttm", _read_rttm, _write_rttm, has_text=False),
    "textgrid": LabelFile(".TextGrid", _read_textgrid, _write_textgrid),
    "vtt": LabelFile(".vtt", _read_vtt, _write_vtt, decimals=3),
}
"""The formats by their names."""
