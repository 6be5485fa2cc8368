"""Labels: who spoke when, read from and written to what the field uses.

Times are seconds from the start of the audio, kept to the microsecond, so that they are
the same after a journey through any format but WebVTT, which has milliseconds.

================  =============  ======================================================
format            suffix         what it holds
================  =============  ======================================================
``"audacity"``    ``.txt``       times and text, one tier; text on one line without tabs
``"csv"``         ``.csv``       everything
``"rttm"``        ``.rttm``      times and tier (the speaker, without blanks); no text
``"textgrid"``    ``.TextGrid``  everything; the text may not be empty, as gaps are
``"vtt"``         ``.vtt``       times in ms, text without blank lines, tier as the voice
================  =============  ======================================================

What a format has no place for is left out. What it has a place for and would not give
back is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Self, overload

from typing_extensions import override

from rtnb.errors import ConfigError
from rtnb.vad.label_files import (
    DECIMALS,
    FORMATS,
    check_columns,
    column,
    replacing,
)

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

    from rtnb.vad.label_files import LabelFile, LabelFormat, Row
    from rtnb.vad.segmentation import Segment


@dataclass(frozen=True, order=True)
class Label:
    """A stretch of audio that somebody marked.

    Parameters
    ----------
    start_s, end_s : float
        Seconds from the start of the audio, 0 <= `start_s` < `end_s`; rounded to
        microseconds.
    text : str, default ""
        What is said there, or what it is.
    tier : str, default ""
        Whose it is: a speaker, a track.

    Raises
    ------
    ConfigError
        If the times are no stretch of audio.

    Examples
    --------
    >>> Label(0.5, 1.25, "yes")
    Label(start_s=0.5, end_s=1.25, text='yes', tier='')
    """

    start_s: float
    end_s: float
    text: str = ""
    tier: str = ""

    def __post_init__(self) -> None:
        for name in ("start_s", "end_s"):
            seconds = float(getattr(self, name))
            if not math.isfinite(seconds):
                raise ConfigError(f"{name} is {seconds}: give seconds, such as 1.25")
            object.__setattr__(self, name, round(seconds, DECIMALS))
        if self.start_s < 0:
            raise ConfigError(
                f"a label begins at {self.start_s} s, before the audio: begin it at 0 "
                "or later"
            )
        if self.end_s <= self.start_s:
            raise ConfigError(
                f"a label begins at {self.start_s} s and ends at {self.end_s} s: it "
                "must last a microsecond at least"
            )

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return round(self.end_s - self.start_s, DECIMALS)

    @override
    def __str__(self) -> str:
        name = repr(self.text) if self.text else "a label"
        of = f" of tier {self.tier!r}" if self.tier else ""
        return f"{name}{of} ({self.start_s:.3f}–{self.end_s:.3f} s)"


@dataclass(frozen=True, eq=False, repr=False)
class Labels(Sequence[Label]):
    """Labels in the order of their time; within a tier they do not overlap.

    Parameters
    ----------
    labels : iterable of Label, optional
        In any order.

    Attributes
    ----------
    notes : tuple of str
        What was mended or left out when a file was read.

    Raises
    ------
    ConfigError
        If two of one tier overlap.

    Examples
    --------
    >>> labels = Labels([Label(2.0, 3.0, "no"), Label(0.5, 1.25, "yes")])
    >>> [label.text for label in labels]
    ['yes', 'no']
    """

    labels: Iterable[Label] = ()
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.labels))
        object.__setattr__(self, "labels", ordered)
        for tier in self.tiers:
            for first, second in pairwise(one for one in ordered if one.tier == tier):
                _refuse_overlap(first, second)

    @classmethod
    def of(cls, segments: Iterable[Segment], *, text: str = "", tier: str = "") -> Self:
        """Labels of turns, each from the start of its audio to its end.

        Parameters
        ----------
        segments : iterable of Segment
            From `segment`.
        text, tier : str, default ""
            Of all of them.

        Returns
        -------
        Labels
            One for each; a prefix that reaches into the turn before is cut.
        """
        labels: list[Label] = []
        for turn in segments:
            before = labels[-1].end_s if labels else 0.0
            start, end = turn.audio_start_ms / 1000, turn.audio_end_ms / 1000
            labels.append(Label(max(start, before), end, text, tier))
        return cls(labels)

    @classmethod
    def read(
        cls,
        path: str | PathLike[str],
        format: LabelFormat | None = None,  # noqa: A002 - the field's word
    ) -> Labels:
        """Read a file of labels.

        Parameters
        ----------
        path : str or path
            The file: UTF-8, or UTF-16 with its mark.
        format : {"audacity", "csv", "rttm", "textgrid", "vtt"}, optional
            By default what the suffix says.

        Returns
        -------
        Labels
            With `notes` about points, which last no time and are left out, and about
            an order that was not that of time.

        Raises
        ------
        OSError
            If the file cannot be read.
        ConfigError
            If the format is not known, the file is not of that format, or two labels
            of a tier overlap.
        MissingExtra
            If WebVTT or TextGrid is asked for and the extra `labels` is not there.

        Notes
        -----
        CSV may have a header (start, end, text, tier; label and speaker do as well) or
        none. The lines of an RTTM file that are not SPEAKER lines are passed over, as
        are the frequencies of an Audacity track and the markup of WebVTT. Tiers of one
        name in a TextGrid are numbered.
        """
        source = Path(path)
        return _read(source, _chosen(source, format))

    def write(
        self,
        path: str | PathLike[str],
        format: LabelFormat | None = None,  # noqa: A002 - the field's word
    ) -> None:
        """Write a file of labels; what was there before stays until all is written.

        Parameters
        ----------
        path : str or path
            The file.
        format : {"audacity", "csv", "rttm", "textgrid", "vtt"}, optional
            By default what the suffix says.

        Raises
        ------
        OSError
            If the file cannot be written.
        ConfigError
            If the format is not known, or would not give back what it has a place for.
        MissingExtra
            If WebVTT or TextGrid is asked for and the extra `labels` is not there.
        """
        target = Path(path)
        chosen = _chosen(target, format)
        with replacing(target) as draft:
            _write(self, draft, chosen, recording=target.stem)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Self:
        """Labels from a data frame with the columns of `to_frame`.

        Parameters
        ----------
        frame : DataFrame
            `start_s`, `end_s` and, if need be, `text` and `tier`; the names that CSV
            files may have will do.

        Returns
        -------
        Labels
            One for each row; a missing text is an empty one.

        Raises
        ------
        ConfigError
            If a column is missing or two labels of a tier overlap.
        """
        columns = [column(name) for name in frame.columns]
        check_columns(columns)
        table = frame.set_axis(columns, axis="columns")
        texts = table.reindex(columns=["text", "tier"]).astype(object)
        texts = texts.where(texts.notna(), "")
        rows = zip(table["start"], table["end"], texts.text, texts.tier, strict=True)
        return cls(Label(start, end, str(text), str(t)) for start, end, text, t in rows)

    def to_frame(self) -> pd.DataFrame:
        """Labels as a data frame.

        Returns
        -------
        DataFrame
            A row for each: `start_s`, `end_s`, `text`, `tier`.
        """
        import pandas as pd

        columns = ["start_s", "end_s", "text", "tier"]
        rows = [(one.start_s, one.end_s, one.text, one.tier) for one in self]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype({"start_s": float, "end_s": float})

    @property
    def tiers(self) -> tuple[str, ...]:
        """Names of the tiers, in the order of their first labels."""
        return tuple(dict.fromkeys(label.tier for label in self))

    @overload
    def __getitem__(self, index: int) -> Label: ...
    @overload
    def __getitem__(self, index: slice) -> Labels: ...
    @override
    def __getitem__(self, index: int | slice) -> Label | Labels:
        if isinstance(index, slice):
            return Labels(self._tuple[index])
        return self._tuple[index]

    @override
    def __iter__(self) -> Iterator[Label]:
        return iter(self._tuple)

    @override
    def __len__(self) -> int:
        return len(self._tuple)

    @override
    def __eq__(self, other: object) -> bool:
        return self._tuple == other._tuple if isinstance(other, Labels) else False

    @override
    def __hash__(self) -> int:
        return hash(self._tuple)

    @override
    def __repr__(self) -> str:
        return f"Labels({list(self._tuple)!r})"

    @property
    def _tuple(self) -> tuple[Label, ...]:
        assert isinstance(self.labels, tuple)
        return self.labels


def _refuse_overlap(first: Label, second: Label) -> None:
    if second.start_s < first.end_s:
        raise ConfigError(
            f"labels overlap: {first} and {second}. One tier holds one label at a "
            f"time: end the first at {second.start_s} s or give them different tiers"
        )


def _chosen(path: Path, name: LabelFormat | None) -> LabelFormat:
    if name is not None and name not in FORMATS:
        raise ConfigError(
            f"format is {name!r}, but there are only {', '.join(FORMATS)}"
        )
    for known, file in FORMATS.items():
        if known == name or (
            name is None and path.suffix.lower() == file.suffix.lower()
        ):
            return known
    suffixes = ", ".join(file.suffix for file in FORMATS.values())
    raise ConfigError(
        f"{path.name} does not say of which format it is: end its name in {suffixes}, "
        "or give format="
    )


def _read(path: Path, name: LabelFormat) -> Labels:
    try:
        return _labels(FORMATS[name].read(path), path.name)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{path.name} is no {name} file: {error}") from error


def _labels(rows: Sequence[Row], name: str) -> Labels:
    spans = [row for row in rows if row[0] != row[1]]
    notes = []
    if points := len(rows) - len(spans):
        notes.append(f"{name}: left out what lasts no time, {points} of {len(rows)}")
    if _disordered(spans):
        notes.append(f"{name}: put into the order of time")
    return Labels((Label(*row) for row in spans), notes=tuple(notes))


def _disordered(rows: Sequence[Row]) -> bool:
    """Whether a tier's rows are not in the order of their starts."""
    latest: dict[str, float] = {}
    for start, _, _, tier in rows:
        if start < latest.get(tier, 0.0):
            return True
        latest[tier] = start
    return False


def _write(labels: Labels, draft: Path, name: LabelFormat, *, recording: str) -> None:
    """Write, read again and compare."""
    expected = [_held(label, FORMATS[name]) for label in labels]
    try:
        FORMATS[name].write(labels, draft, recording)
    except UnicodeError as error:
        raise ConfigError(f"a text of these labels is no Unicode: {error}") from error
    found = _found(draft, name)
    if found == sorted(expected):
        return
    pairs = zip(labels, expected, strict=True)
    lost = next((label for label, held in pairs if held not in found), labels[0])
    raise ConfigError(
        f"{name} would not give back {lost} as it is, with the text {lost.text!r}: "
        "change that, or write csv, which holds everything"
    )


def _found(draft: Path, name: LabelFormat) -> list[Label]:
    try:
        return list(_read(draft, name))
    except ConfigError:
        return []


def _held(label: Label, file: LabelFile) -> Label:
    """What a format has a place for."""
    start, end = round(label.start_s, file.decimals), round(label.end_s, file.decimals)
    if start == end:
        raise ConfigError(
            f"{file.suffix} files have milliseconds, too coarse for {label}"
        )
    return Label(
        start,
        end,
        label.text if file.has_text else "",
        label.tier if file.has_tier else "",
    )
