"""Whether the server's marks are those that the law of this package expects.

Each recorded session with the hosted service is so a test of the replica: the speech
probability of its audio and the settings in force give the marks that the law expects,
and every one of them is laid beside the one that the service sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from msgspec import UNSET
from typing_extensions import override

from rtnb.protocol import events as ev
from rtnb.recording import page
from rtnb.recording.simulation import (
    SAMPLES_PER_HOP,
    ExpectedMark,
    MarkKind,
    expected_marks,
    hops_heard,
)
from rtnb.recording.turns import detection_of, mark_of
from rtnb.vad import SemanticVad, ServerVad
from rtnb.vad.detector import Law

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from rtnb.audio import Clip
    from rtnb.protocol.client import Mark
    from rtnb.recording.reading import Recording
    from rtnb.recording.turns import Step
    from rtnb.vad import SpeechProbability

GRACE_S: Final = 1.0
"""A mark that was due so shortly before the recording's end may have come after it."""

WARM_UP_MS: Final = 1000
"""Where the recording begins in the middle of the session, the detector's own memory of
what was before is gone after about so long."""

MOST_TOLD: Final = 6
"""Disagreements that the sentence tells one by one."""

NEAR_MS: Final = 1000
"""Marks further apart than this are not the same mark."""


@dataclass(frozen=True)
class MarkCheck:
    """A mark of the server beside the one that is expected.

    Parameters
    ----------
    kind : {"speech_started", "speech_stopped"}
        Which mark.
    item_id : str
        Of the turn, where the server sent one.
    hosted_ms, expected_ms : int or None
        What either says; None where it says nothing.
    margin : float or None
        How near the probability came to the level that decides, at the hops in
        question: where it is small, another resampler or rounding may decide otherwise.
    """

    kind: MarkKind
    item_id: str
    hosted_ms: int | None
    expected_ms: int | None
    margin: float | None

    @property
    def agrees(self) -> bool:
        """Whether both are there and the same to the millisecond."""
        return self.difference_ms == 0

    @property
    def difference_ms(self) -> int | None:
        """How much later the server's is; None if one of them is missing."""
        if self.hosted_ms is None or self.expected_ms is None:
            return None
        return self.hosted_ms - self.expected_ms

    @override
    def __str__(self) -> str:
        margin = "" if self.margin is None else f" (margin {self.margin:.3f})"
        if self.expected_ms is None:
            return f"{self.kind} at {self.hosted_ms} ms was not expected{margin}"
        if self.hosted_ms is None:
            return f"{self.kind} at {self.expected_ms} ms did not come{margin}"
        if self.agrees:
            return f"{self.kind} at {self.hosted_ms} ms agrees{margin}"
        return (
            f"{self.kind} at {self.hosted_ms} ms, {self.difference_ms:+d} ms from the "
            f"expected {self.expected_ms} ms{margin}"
        )


@dataclass(frozen=True)
class ReplicaReport:
    """The server's marks beside those that are expected.

    Parameters
    ----------
    checks : tuple of MarkCheck
        In order of time.
    notes : tuple of str
        What could not be checked.
    provider : str
        Whose marks.
    clip : Clip
        The input audio, from `start_ms` on.
    start_ms : int
        Where in the session's audio the clip begins.
    """

    checks: tuple[MarkCheck, ...]
    notes: tuple[str, ...] = ()
    provider: str = ""
    clip: Clip = field(repr=False, kw_only=True)
    start_ms: int = field(default=0, repr=False, kw_only=True)

    @property
    def agree(self) -> bool:
        """Whether there are marks, and all of them are as expected."""
        return bool(self.checks) and not self.disagreements

    @property
    def disagreements(self) -> tuple[MarkCheck, ...]:
        """Marks that differ, are missing, or were not expected."""
        return tuple(check for check in self.checks if not check.agrees)

    @property
    def summary(self) -> str:
        """How many agree, and the first disagreements."""
        if not self.checks:
            return "There are no marks to compare."
        right = len(self.checks) - len(self.disagreements)
        first = f"{right} of {len(self.checks)} marks agree to the millisecond"
        if not self.disagreements:
            return f"{first}."
        shown = [str(check) for check in self.disagreements[:MOST_TOLD]]
        more = len(self.disagreements) - len(shown)
        rest = [f"{more} more"] if more else []
        return f"{first}; {'; '.join([*shown, *rest])}."

    def to_frame(self) -> pd.DataFrame:
        """Write the marks as a table.

        Returns
        -------
        pandas.DataFrame
            A row a mark: `kind`, `item_id`, `hosted_ms`, `expected_ms`,
            `difference_ms`, `margin`; what there is not is missing.
        """
        import pandas as pd

        rows = [
            (
                check.kind,
                check.item_id,
                check.hosted_ms,
                check.expected_ms,
                check.difference_ms,
                check.margin,
            )
            for check in self.checks
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)

    @override
    def __str__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        head = ("mark", "sent", "expected", "difference", "margin")
        rows = [
            (
                check.kind,
                _ms(check.hosted_ms),
                _ms(check.expected_ms),
                "" if check.agrees else _difference(check),
                "" if check.margin is None else f"{check.margin:.3f}",
            )
            for check in sorted(self.checks, key=lambda check: check.agrees)
        ]
        return page.table(self.summary, head, rows, words=("mark",), notes=self.notes)


_COLUMNS: Final = {
    "kind": "string",
    "item_id": "string",
    "hosted_ms": "Int64",
    "expected_ms": "Int64",
    "difference_ms": "Int64",
    "margin": "Float64",
}


def _ms(value: int | None) -> str:
    return "–" if value is None else f"{value:,} ms"


def _difference(check: MarkCheck) -> str:
    if check.difference_ms is not None:
        return f"{check.difference_ms:+d} ms"
    return "not expected" if check.expected_ms is None else "did not come"


class _Pair(NamedTuple):
    """A mark of the server and an expected one, or one of them alone."""

    kind: MarkKind
    item_id: str
    hosted_ms: int | None
    expected_ms: int | None
    expected_hop: int | None

    @property
    def times(self) -> list[int]:
        """The one or two times there are."""
        return [ms for ms in (self.hosted_ms, self.expected_ms) if ms is not None]


def check(recording: Recording) -> ReplicaReport:
    """Compare the marks of a recording, see `Recording.check_replica`."""
    sent, unchecked = _sent(recording)
    expected, undecided = _expected(recording)
    levels = _Levels(recording.probability, recording.steps)
    pairs = sorted(_matched(sent, expected), key=lambda pair: pair.times)
    notes = [
        _note(unchecked, "sent under semantic_vad, whose law is not known"),
        _note(undecided, "due less than a second before the recording ended"),
        *warnings(recording),
    ]
    return ReplicaReport(
        tuple(_check(pair, levels) for pair in pairs),
        tuple(filter(None, notes)),
        recording.manifest.provider,
        clip=recording.clip,
        start_ms=recording.start_ms,
    )


def warnings(recording: Recording) -> list[str]:
    """What makes the simulation of a recording less exact than it could be."""
    found = []
    if recording.first_sample:
        found.append(
            f"the recording begins {recording.start_ms / 1000:.1f} s into the session: "
            "its first second is less sure"
        )
    if len(recording.steps) > 1 and not recording.exact:
        found.append(
            "changes of settings and commits are placed as near as the audio heard "
            "back, one or two chunks"
        )
    if _reduces_noise(recording):
        found.append(
            "noise reduction was on: the server listened to quieter audio than was "
            "recorded"
        )
    return found


def _reduces_noise(recording: Recording) -> bool:
    """Whether the server was told to filter the microphone, at any time."""
    audio = recording.manifest.settings.get("audio") or {}
    if (audio.get("input") or {}).get("noise_reduction"):
        return True
    return any(
        getattr(_input_of(each.event.session), "noise_reduction", None)
        not in (None, UNSET)
        for each in recording.events
        if isinstance(each.event, ev.SessionUpdated)
    )


def _input_of(session: object) -> object:
    return getattr(getattr(session, "audio", UNSET), "input", UNSET)


def _sent(recording: Recording) -> tuple[list[Mark], int]:
    """Marks that the server sent and that can be checked, and how many cannot."""
    detection = recording.settings[0].turn_detection
    since_ms = _sure_from_ms(recording)
    marks, unchecked = [], 0
    for each in recording.events:
        if isinstance(each.event, ev.SessionUpdated):
            detection = detection_of(each.event.session)
        mark = mark_of(each)
        if mark is None or mark.ms < since_ms:
            continue
        if isinstance(detection, SemanticVad):
            unchecked += 1
        else:
            marks.append(mark)
    return marks, unchecked


def _expected(recording: Recording) -> tuple[list[ExpectedMark], int]:
    """Marks that the law makes, and how many the recording ended too soon for."""
    steps = [
        step._replace(detection=None)
        if isinstance(step.detection, SemanticVad)
        else step
        for step in recording.steps
    ]
    since_ms = _sure_from_ms(recording)
    marks = [
        mark
        for mark in expected_marks(recording.probability, steps)
        if mark.ms >= since_ms
    ]
    last = {(mark.kind, mark.ms) for mark in recording.marks}
    undecided = [
        mark
        for mark in marks
        if (mark.kind, mark.ms) not in last
        and recording.left_after((mark.hop + 1) * SAMPLES_PER_HOP) < GRACE_S
    ]
    return [mark for mark in marks if mark not in undecided], len(undecided)


def _sure_from_ms(recording: Recording) -> int:
    return recording.start_ms + WARM_UP_MS if recording.first_sample else 0


def _matched(sent: Sequence[Mark], expected: Sequence[ExpectedMark]) -> Iterator[_Pair]:
    """Pairs of the same mark, the nearest first; whoever stays alone, alone."""
    used: set[int] = set()
    paired: set[int] = set()
    for _, place, number in sorted(_near(sent, expected)):
        if place not in used and number not in paired:
            used.add(place)
            paired.add(number)
            mark = expected[number]
            item_id, hosted_ms = sent[place].item_id, sent[place].ms
            yield _Pair(mark.kind, item_id, hosted_ms, mark.ms, mark.hop)
    for place, alone in enumerate(sent):
        if place not in used and alone.kind != "timeout_triggered":
            yield _Pair(alone.kind, alone.item_id, alone.ms, None, None)
    for number, mark in enumerate(expected):
        if number not in paired:
            yield _Pair(mark.kind, "", None, mark.ms, mark.hop)


def _near(
    sent: Sequence[Mark], expected: Sequence[ExpectedMark]
) -> Iterator[tuple[int, int, int]]:
    """Distance and places of all that could be pairs."""
    times = np.array([mark.ms for mark in expected])
    order = np.argsort(times, kind="stable")
    for place, mark in enumerate(sent):
        first, after = np.searchsorted(
            times[order], (mark.ms - NEAR_MS, mark.ms + NEAR_MS + 1)
        )
        for number in order[first:after].tolist():
            if expected[number].kind == mark.kind:
                yield abs(mark.ms - expected[number].ms), place, number


def _check(pair: _Pair, levels: _Levels) -> MarkCheck:
    return MarkCheck(
        pair.kind,
        pair.item_id,
        pair.hosted_ms,
        pair.expected_ms,
        levels.margin(pair),
    )


def _note(count: int, what: str) -> str:
    if not count:
        return ""
    return f"{count} mark{' was' if count == 1 else 's were'} not checked: {what}"


class _Levels:
    """How near the probability came to the level that decides."""

    def __init__(self, probability: SpeechProbability, steps: Sequence[Step]) -> None:
        self._p = probability.p.astype(np.float64)
        self._hop_ms = probability.hop_ms
        self._laws = [
            (hops_heard(step.position), Law.of(step.detection, hop_ms=self._hop_ms))
            for step in steps
            if isinstance(step.detection, ServerVad)
        ]
        self._first = [law for _, law in self._laws[:1]]

    def margin(self, pair: _Pair) -> float | None:
        """Least distance from the level, over the hops that these marks hang on."""
        since = pair.times[0] // self._hop_ms
        laws = [law for hop, law in self._laws if hop <= since + 1] or self._first
        if not laws:
            return None
        law, hops = laws[-1], self._hops(pair, laws[-1])
        if pair.kind == "speech_started":
            level, first, last = law.enter, min(hops) - 1, max(hops) + 1
        else:
            level, first, last = law.leave, min(hops) - law.quiet_hops, max(hops)
        around = self._p[max(0, first) : last + 1]
        return float(np.abs(around - level).min()) if len(around) else None

    def _hops(self, pair: _Pair, law: Law) -> list[int]:
        """The hops that decided: the expected one, and the server's."""
        if pair.expected_hop is not None:
            late_ms = 0 if pair.hosted_ms is None else pair.hosted_ms - pair.times[-1]
            return [pair.expected_hop, pair.expected_hop + late_ms // self._hop_ms]
        if pair.kind == "speech_started":
            return [(pair.times[0] + law.prefix_ms) // self._hop_ms]
        return [pair.times[0] // self._hop_ms - 1]
