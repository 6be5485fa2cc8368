"""Ways to find turns in a recording, as arrays: no object a turn, no loop over hops.

Besides the law of `ServerVad` there are named policies: what silero-vad makes of the
same probabilities, and what was seen of Azure's service.

References
----------
silero-vad 6.2.3, ``get_speech_timestamps_from_probs`` in ``utils_vad.py``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from typing_extensions import override

from rtnb.errors import ConfigError
from rtnb.vad.detector import HYSTERESIS, LOWEST_RELEASE, Law
from rtnb.vad.semantic import SentenceEnds, pause_law, semantic_stops
from rtnb.vad.settings import SemanticVad, ServerVad

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rtnb.vad.probability import SpeechProbability
    from rtnb.vad.segmentation import Ending, Segment

ENDINGS: Final[tuple[Ending, ...]] = (
    "silence",
    "sentence",
    "longest wait",
    "longest speech",
    "end of audio",
)
"""Why a turn ended; `Turns.ended` numbers them."""

SILENCE, SENTENCE, LONGEST_WAIT, LONGEST_SPEECH, END_OF_AUDIO = range(len(ENDINGS))

SPEECH: Final = 0.5
"""Where nothing else is known, a hop of at least this probability is speech."""

SILENCE_AT_LONGEST_MS: Final = 98
"""Speech that is too long is cut in a pause of more than this: silero-vad's own."""


@dataclass(frozen=True, eq=False)
class Turns:
    """The turns of one recording, in order; one element of each array a turn.

    Parameters
    ----------
    started_hop : int array, shape (n,)
        The hop that reached the threshold, from 0.
    stopped_hop : int array, shape (n,)
        The hop that ended it; -1 for a turn that was still going on.
    speech_end_hop : int array, shape (n,)
        The first hop of the quiet that ended it: where its speech is over.
    audio_start_ms, audio_end_ms : int array, shape (n,)
        Its audio; for a turn that was still going on, up to the end of the last hop.
    ended : int8 array, shape (n,)
        Why, as a place in `ENDINGS`.
    hop_ms : int
        Length of a hop.
    """

    started_hop: NDArray[np.int64]
    stopped_hop: NDArray[np.int64]
    speech_end_hop: NDArray[np.int64]
    audio_start_ms: NDArray[np.int64]
    audio_end_ms: NDArray[np.int64]
    ended: NDArray[np.int8]
    hop_ms: int = field(default=32, kw_only=True)

    def __len__(self) -> int:
        return len(self.started_hop)

    def with_prefix(self, prefix_ms: int) -> Turns:
        """Let the audio of each turn reach so far back before its speech.

        Parameters
        ----------
        prefix_ms : int, >= 0
            Not before the start of the recording.

        Returns
        -------
        Turns
            With the same ends.
        """
        begins = np.maximum(self.started_hop * self.hop_ms - prefix_ms, 0)
        return replace(self, audio_start_ms=begins)

    @classmethod
    def of(cls, segments: Iterable[Segment], probability: SpeechProbability) -> Turns:
        """Put segments into arrays.

        Parameters
        ----------
        segments : iterable of Segment
            In order.
        probability : SpeechProbability
            Where they were found; of a segment, the speech is over after its last hop
            of at least 0.5, or, where there is none, after the hop that began it.

        Returns
        -------
        Turns
            As many as there are segments.
        """
        listed = list(segments)
        started = _integers(each.started_hop for each in listed)
        stopped = _integers(
            -1 if each.stopped_hop is None else each.stopped_hop for each in listed
        )
        return cls(
            started,
            stopped,
            _speech_ends(probability.p >= SPEECH, started, stopped),
            _integers(each.audio_start_ms for each in listed),
            _integers(each.audio_end_ms for each in listed),
            np.array([ENDINGS.index(each.ended) for each in listed], np.int8),
            hop_ms=probability.hop_ms,
        )


def _speech_ends(
    speech: NDArray[np.bool_], started: NDArray[np.int64], stopped: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The hop after the last that is speech, of each turn, or after its first hop."""
    last = np.maximum.accumulate(np.where(speech, np.arange(len(speech)), -1))
    return (
        np.maximum(last[np.where(stopped < 0, len(speech) - 1, stopped)], started) + 1
    )


def _integers(values: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(values), np.int64)


class Pauses:
    """Where a trace is loud and where it is quiet, for one threshold.

    From it follow the turns for any silence.

    Parameters
    ----------
    p : float64 array, shape (n,)
        Probabilities; compared in double precision, as the live detector compares.
    law : Law
        Its levels count, not its silence.

    Notes
    -----
    No hop is both quiet and loud, so the first loud hop after the one that ends a turn
    is the first after the whole run of quiet ones, however long that run has to be. It
    is looked up once a run; a silence then only chooses among the runs.
    """

    def __init__(self, p: NDArray[np.float64], law: Law) -> None:
        loud = np.flatnonzero(p >= law.enter)
        self._starts, ends = _runs(p < law.leave)
        self._lengths = ends - self._starts
        self._hops = len(p)
        self._loud_after = _first_of(loud, self._starts, len(p))
        self._first = np.append(loud[:1], len(p))[:1]
        open_pause = len(ends) > 0 and ends[-1] == len(p)
        self._last_speech_end = self._starts[-1] if open_pause else len(p)

    def turns(self, law: Law) -> Turns:
        """Turns that end with so many quiet hops as the law wants.

        Parameters
        ----------
        law : Law
            With the levels that the pauses were found for.

        Returns
        -------
        Turns
            In order.
        """
        long_enough = self._lengths >= law.quiet_hops
        pauses = self._starts[long_enough]
        begins = np.concatenate((self._first, self._loud_after[long_enough]))
        real = begins < np.append(pauses, self._hops)
        started = begins[real]
        stopped = np.append(pauses + (law.quiet_hops - 1), -1)[real]
        going_on = stopped < 0
        return Turns(
            started,
            stopped,
            np.append(pauses, self._last_speech_end)[real],
            np.maximum(started * law.hop_ms - law.prefix_ms, 0),
            np.where(going_on, self._hops, stopped + 1) * law.hop_ms,
            np.where(going_on, END_OF_AUDIO, SILENCE).astype(np.int8),
            hop_ms=law.hop_ms,
        )


def _runs(flags: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the runs of True begin, and the place after their last element."""
    edges = np.flatnonzero(flags[1:] != flags[:-1]) + 1
    if flags[:1].any():
        edges = np.concatenate(([0], edges))
    if flags[-1:].any():
        edges = np.append(edges, len(flags))
    return edges[::2], edges[1::2]


def _first_of(
    sorted_hops: NDArray[np.int64], since: NDArray[np.int64], none: int
) -> NDArray[np.int64]:
    """The first of the hops from each `since` on; `none` where there is none."""
    return np.append(sorted_hops, none)[np.searchsorted(sorted_hops, since)]


def find_turns(
    probability: SpeechProbability,
    settings: ServerVad | SemanticVad | Policy,
    *,
    sentences: SentenceEnds | None = None,
) -> Turns:
    """Turns of a recording as arrays; `segment` gives the same as objects.

    Parameters
    ----------
    probability : SpeechProbability
        From `speech_probability`.
    settings : ServerVad, SemanticVad or Policy
        What is not set has its default.
    sentences : SentenceEnds, optional
        From `sentence_ends`; only ``semantic_vad`` asks for it.

    Returns
    -------
    Turns
        In order.
    """
    match settings:
        case ServerVad():
            return _turns_by(probability, Law.of(settings, hop_ms=probability.hop_ms))
        case SemanticVad():
            judged = SentenceEnds.none() if sentences is None else sentences
            return _semantic_turns(probability, settings, judged)
        case Policy():
            return settings.turns(probability)
    raise ConfigError(
        f"{settings!r} does not say when a turn ends: give ServerVad(...), "
        "SemanticVad(...) or a Policy"
    )


def _turns_by(probability: SpeechProbability, law: Law) -> Turns:
    return Pauses(probability.p.astype(np.float64), law).turns(law)


def _semantic_turns(
    probability: SpeechProbability, settings: SemanticVad, sentences: SentenceEnds
) -> Turns:
    law = pause_law(probability.hop_ms)
    p = probability.p.astype(np.float64)
    stops, longest = semantic_stops(probability, settings, sentences)
    loud = np.flatnonzero(p >= law.enter)
    next_stop, first = np.unique(np.searchsorted(stops, loud), return_index=True)
    started, stopped = loud[first], np.append(stops, -1)[next_stop]
    endings = np.append(np.where(longest, LONGEST_WAIT, SENTENCE), END_OF_AUDIO)
    return Turns(
        started,
        stopped,
        _speech_ends(p >= law.leave, started, stopped),
        np.maximum(started * law.hop_ms - law.prefix_ms, 0),
        np.where(stopped < 0, len(p), stopped + 1) * law.hop_ms,
        endings[next_stop].astype(np.int8),
        hop_ms=law.hop_ms,
    )


class Policy(ABC):
    """A named way to find turns, for `segment` in the place of settings.

    Examples
    --------
    >>> Policy.silero(threshold=0.6).speech_pad_ms
    30
    >>> Policy.azure(ServerVad()).name
    'azure'
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called."""

    @abstractmethod
    def turns(self, probability: SpeechProbability) -> Turns:
        """Find the turns of a recording.

        Parameters
        ----------
        probability : SpeechProbability
            From `speech_probability`.

        Returns
        -------
        Turns
            In order.
        """

    @staticmethod
    def silero(
        threshold: float = 0.5,
        *,
        neg_threshold: float | None = None,
        min_speech_duration_ms: float = 250,
        min_silence_duration_ms: float = 100,
        speech_pad_ms: int = 30,
        max_speech_duration_s: float = math.inf,
    ) -> SileroPolicy:
        """What silero-vad's ``get_speech_timestamps`` makes of the probabilities.

        Parameters
        ----------
        threshold : float, 0 to 1
            Speech begins at a probability of at least this.
        neg_threshold : float, 0 to 1, optional
            Quiet begins below this; by default `threshold` - 0.15, not below 0.01.
            It ends at `threshold`, which is not so in the law of `ServerVad`.
        min_speech_duration_ms : float, >= 0
            Speech that is not longer is dropped.
        min_silence_duration_ms : float, >= 0
            How long it must be quiet for the segment to end.
        speech_pad_ms : int, >= 0
            Audio kept before and after; where two segments are closer, half of the
            silence each.
        max_speech_duration_s : float, > 0
            Longer segments are cut: in their longest pause of more than 98 ms, or else
            where they are too long.

        Returns
        -------
        SileroPolicy
            With the names and the defaults of silero-vad 6.2.3.

        Raises
        ------
        ConfigError
            If a value cannot be.
        """
        return SileroPolicy(
            threshold=threshold,
            neg_threshold=neg_threshold,
            min_speech_duration_ms=min_speech_duration_ms,
            min_silence_duration_ms=min_silence_duration_ms,
            speech_pad_ms=speech_pad_ms,
            max_speech_duration_s=max_speech_duration_s,
        )

    @staticmethod
    def azure(settings: ServerVad) -> AzurePolicy:
        """The law of `ServerVad` with one quiet hop more.

        Parameters
        ----------
        settings : ServerVad
            What is not set has its default.

        Returns
        -------
        AzurePolicy
            A guess that fits two recordings of Azure's service, together with Silero 5
            for the probabilities.
        """
        return AzurePolicy(settings)


@dataclass(frozen=True)
class AzurePolicy(Policy):
    """`Policy.azure` makes one.

    Parameters
    ----------
    settings : ServerVad
        What is not set has its default.
    """

    settings: ServerVad

    @property
    @override
    def name(self) -> str:
        return "azure"

    @override
    def turns(self, probability: SpeechProbability) -> Turns:
        law = Law.of(self.settings, hop_ms=probability.hop_ms)
        return _turns_by(probability, replace(law, quiet_hops=law.quiet_hops + 1))


@dataclass(frozen=True, kw_only=True)
class SileroPolicy(Policy):
    """`Policy.silero` makes one; its parameters are explained there.

    Raises
    ------
    ConfigError
        If a value cannot be.

    Notes
    -----
    A silence longer than the hops that silero-vad needs to see ends a segment at its
    own first hop, and segments are made and dropped with the whole recording in view:
    `started_hop` and `stopped_hop` say which hops decided, not when an event would have
    been sent. The recording is as long as its whole hops.
    """

    threshold: float = 0.5
    neg_threshold: float | None = None
    min_speech_duration_ms: float = 250
    min_silence_duration_ms: float = 100
    speech_pad_ms: int = 30
    max_speech_duration_s: float = math.inf

    def __post_init__(self) -> None:
        _check_probability("threshold", self.threshold)
        if self.neg_threshold is not None:
            _check_probability("neg_threshold", self.neg_threshold)
        _check_not_negative("min_speech_duration_ms", self.min_speech_duration_ms)
        _check_not_negative("min_silence_duration_ms", self.min_silence_duration_ms)
        _check_not_negative("speech_pad_ms", self.speech_pad_ms)
        if not isinstance(self.speech_pad_ms, int):
            raise ConfigError(
                f"speech_pad_ms is {self.speech_pad_ms!r}: give whole milliseconds, "
                "such as 30"
            )
        if not self.max_speech_duration_s > 0:
            raise ConfigError(
                f"max_speech_duration_s is {self.max_speech_duration_s}, but speech has "
                "a length: give seconds above 0, or math.inf for no limit"
            )

    @property
    @override
    def name(self) -> str:
        return "silero"

    @property
    def leave(self) -> float:
        """Quiet begins below this probability."""
        if self.neg_threshold is not None:
            return self.neg_threshold
        return max(self.threshold - HYSTERESIS, LOWEST_RELEASE)

    @override
    def turns(self, probability: SpeechProbability) -> Turns:
        limits = _Limits.of(self, probability)
        p = probability.p.astype(np.float64)
        if limits.longest == math.inf and self.leave <= self.threshold:
            found = _silero_stretches(p, self.threshold, self.leave, limits)
        else:
            found = _silero_hop_by_hop(p.tolist(), self.threshold, self.leave, limits)
        return _padded(found, limits, hops=len(p))


@dataclass(frozen=True)
class _Limits:
    """silero-vad's limits in samples; it takes them as they come, not as whole hops."""

    hop: int
    rate: int
    shortest_speech: float
    shortest_silence: float
    silence_at_longest: float
    longest: float
    pad: int

    @classmethod
    def of(cls, policy: SileroPolicy, probability: SpeechProbability) -> _Limits:
        hop, rate = probability.hop, probability.sample_rate
        pad = rate * policy.speech_pad_ms / 1000
        return cls(
            hop=hop,
            rate=rate,
            shortest_speech=rate * policy.min_speech_duration_ms / 1000,
            shortest_silence=rate * policy.min_silence_duration_ms / 1000,
            silence_at_longest=rate * SILENCE_AT_LONGEST_MS / 1000,
            longest=rate * policy.max_speech_duration_s - hop - 2 * pad,
            pad=int(pad),
        )


@dataclass(frozen=True, eq=False)
class _Stretches:
    """Stretches of speech before they are padded; hops, and why each ended."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    decided: NDArray[np.int64]
    ended: NDArray[np.int8]


def _silero_stretches(
    p: NDArray[np.float64], enter: float, leave: float, limits: _Limits
) -> _Stretches:
    """Speech without a longest length.

    After the last loud hop before a pause, the quiet begins at the first quiet hop, and
    the pause is decided by the first quiet hop that is far enough from it.
    """
    hops = len(p)
    loud = np.flatnonzero(p >= enter)
    quiet = np.flatnonzero(p < leave)
    before = loud[np.diff(loud, append=hops + 1) > 1]  # and the very last
    after = np.append(loud, hops)[np.searchsorted(loud, before, "right")]
    quiet_since = _first_of(quiet, before, hops)
    far_enough = math.ceil(limits.shortest_silence / limits.hop)
    decided = _first_of(quiet, quiet_since + far_enough, hops)
    ends_there = decided < after
    starts = np.concatenate((loud[:1], after[ends_there]))
    ends = np.append(quiet_since[ends_there], hops)[: len(starts)]
    decided = np.append(decided[ends_there], -1)[: len(starts)]
    ended = np.where(decided < 0, END_OF_AUDIO, SILENCE).astype(np.int8)
    real = (ends - starts) * limits.hop > limits.shortest_speech
    real &= starts < hops
    return _Stretches(starts[real], ends[real], decided[real], ended[real])


def _silero_hop_by_hop(
    p: Sequence[float], enter: float, leave: float, limits: _Limits
) -> _Stretches:
    """Speech that is cut where it is too long, or whose levels cross."""
    machine = _SileroMachine(enter, leave, limits)
    for hop, probability in enumerate(p):
        machine.push(hop, probability)
    machine.end(len(p))
    table = np.array(machine.found, np.int64).reshape(-1, 4)
    starts, ends, decided, ended = (np.ascontiguousarray(each) for each in table.T)
    return _Stretches(starts, ends, decided, ended.astype(np.int8))


class _SileroMachine:
    """silero-vad's loop: start, end and deciding hop of each stretch, and its ending.

    `pauses` are first hop and length of those in which the speech may be cut.
    """

    def __init__(self, enter: float, leave: float, limits: _Limits) -> None:
        self._enter, self._leave, self._limits = enter, leave, limits
        self._begin(None)
        self.found: list[tuple[int, int, int, int]] = []

    def _begin(self, start: int | None) -> None:
        self._start = start
        self._quiet_since: int | None = None
        self._pauses: list[tuple[int, int]] = []

    def push(self, hop: int, probability: float) -> None:
        if probability >= self._enter:
            self._end_pause(hop)
            if self._start is None:
                self._start = hop
                return
        if self._start is not None and self._samples(self._start, hop) > (
            self._limits.longest
        ):
            self._cut(self._start, hop)
        if self._start is not None and probability < self._leave:
            self._wait(self._start, hop)

    def end(self, hops: int) -> None:
        if self._start is not None and self._long_enough(self._start, hops):
            self.found.append((self._start, hops, -1, END_OF_AUDIO))

    def _end_pause(self, hop: int) -> None:
        since, self._quiet_since = self._quiet_since, None
        if since is not None and (
            self._samples(since, hop) > self._limits.silence_at_longest
        ):
            self._pauses.append((since, hop - since))

    def _cut(self, start: int, hop: int) -> None:
        """In the longest pause, after which the speech goes on; or else here."""
        if self._pauses:
            end, length = max(self._pauses, key=lambda pause: pause[1])
            self._begin(end + length)
        else:
            end = hop
            self._begin(None)
        self.found.append((start, end, hop, LONGEST_SPEECH))

    def _wait(self, start: int, hop: int) -> None:
        since = hop if self._quiet_since is None else self._quiet_since
        self._quiet_since = since
        if self._samples(since, hop) < self._limits.shortest_silence:
            return
        if self._long_enough(start, since):
            self.found.append((start, since, hop, SILENCE))
        self._begin(None)

    def _long_enough(self, start: int, end: int) -> bool:
        return self._samples(start, end) > self._limits.shortest_speech

    def _samples(self, start: int, end: int) -> int:
        return (end - start) * self._limits.hop


def _padded(found: _Stretches, limits: _Limits, *, hops: int) -> Turns:
    """Stretches with their padding: all of it, or half of a silence that is shorter."""
    starts, ends = found.starts * limits.hop, found.ends * limits.hop
    silences = starts[1:] - ends[:-1]
    close = silences < 2 * limits.pad
    after = np.append(np.where(close, silences // 2, limits.pad), limits.pad)
    before = np.concatenate(([limits.pad], after[:-1]))
    audio_starts = np.maximum(starts - before[: len(starts)], 0)
    audio_ends = np.minimum(ends + after[: len(ends)], hops * limits.hop)
    return Turns(
        found.starts,
        found.decided,
        found.ends,
        1000 * audio_starts // limits.rate,
        1000 * audio_ends // limits.rate,
        found.ended,
        hop_ms=1000 * limits.hop // limits.rate,
    )


def _check_probability(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} is {value!r}: give a number between 0 and 1")
    if not 0 <= value <= 1:
        raise ConfigError(
            f"{name} is {value}, but a probability lies between 0 and 1: choose one in "
            "between, such as 0.5"
        )


def _check_not_negative(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} is {value!r}: give milliseconds, such as 100")
    if not 0 <= value < math.inf:
        raise ConfigError(
            f"{name} is {value} ms, but a length of time is 0 or more: choose one, "
            "such as 100"
        )
