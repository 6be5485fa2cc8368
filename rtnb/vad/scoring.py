r"""How good turns are: what they cut off, what they add, what they miss.

Times are milliseconds from the start of the audio. The measures, for one recording:

* *speech*, without labels: the hops of at least 0.5, whatever the settings; with
  labels: the labels.
* *speech end* of a turn: without labels the end of its last hop of speech; with labels
  the furthest end of those that begin before the turn stops. A turn that no speech
  reaches has none.
* *delay* of a turn that ended: the time at which ``speech_stopped`` would have been
  sent, less the speech end. With labels it is negative where the turn ended first.
* *cut-in*: a turn that ended while speech goes on within a second: a hop of speech
  begins in, or a label covers or begins in, [``audio_end_ms``, ``audio_end_ms`` + 1000).
* *heard*: the share of all speech that lies in the audio of some turn.

With labels also:

* *missed*: a label that the audio of no turn overlaps; *false*: a turn whose audio
  overlaps no label.
* *clipped onset* of a label: its time before the ``audio_start_ms`` of the first turn
  whose audio overlaps it; 0 where none is missing.
* *precision*, *recall*, *F1*, *detection error rate*: by duration, as in
  pyannote.metrics without a collar. With the labelled time :math:`R`, the detected
  time :math:`D` and what they share :math:`S`:

  .. math:: P = S/D, \quad Q = S/R, \quad F_1 = 2PQ/(P+Q), \quad E = (R + D - 2S)/R

  Detected is, of each turn, from the start of the hop that began it to where the quiet
  that ended it began: neither the prefix nor the silence waited for counts against it.
* *onset error*: start of that stretch less the start of the label, for every label
  with the first turn that overlaps it, unless that turn was under way; *offset error*
  likewise at the end. Positive is late.

References
----------
.. [1] H. Bredin, "pyannote.metrics: a toolkit for reproducible evaluation, diagnostic,
   and error analysis of speaker diarization systems", Interspeech 2017:
   ``DetectionErrorRate``, ``DetectionPrecision``, ``DetectionRecall``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from rtnb.errors import ConfigError
from rtnb.vad.policies import SPEECH, Turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from rtnb.vad.probability import SpeechProbability
    from rtnb.vad.segmentation import Segment

    Stretches: TypeAlias = Iterable[Any]
    """Labels: objects with `start_s` and `end_s`, or pairs of seconds."""

CUT_IN_MS: Final = 1000
"""Speech so soon after the end of a turn means that it cut in."""


class Timing(NamedTuple):
    """When turns ended.

    Parameters
    ----------
    turns, ended : int
        All turns, and those that ended before the audio did.
    cut_ins : int
        Turns that ended while the speaker goes on.
    delay_ms, delay_mean_ms, delay_p90_ms : float
        Median, mean and 90th percentile of the delay; NaN where no turn has one.
    """

    turns: int
    ended: int
    cut_ins: int
    delay_ms: float
    delay_mean_ms: float
    delay_p90_ms: float


class Detection(NamedTuple):
    """How detected and labelled time agree, whatever the prefix; NaN without labels.

    Parameters
    ----------
    precision, recall, f1 : float, 0 to 1
        By duration.
    detection_error_rate : float, >= 0
        Time missed and time invented, by the time labelled.
    """

    precision: float = math.nan
    recall: float = math.nan
    f1: float = math.nan
    detection_error_rate: float = math.nan


class Coverage(NamedTuple):
    """What the audio of the turns holds; NaN where nothing can be said.

    Parameters
    ----------
    heard : float, 0 to 1
        Share of the speech that lies in some turn.
    labels, missed, false : float
        Labels in all; those that no turn overlaps; turns that overlap no label.
    clipped_onset_ms : float
        Mean over the labels that some turn overlaps.
    onset_error_ms, offset_error_ms : float
        Medians; positive is late.
    """

    heard: float = math.nan
    labels: float = math.nan
    missed: float = math.nan
    false: float = math.nan
    clipped_onset_ms: float = math.nan
    onset_error_ms: float = math.nan
    offset_error_ms: float = math.nan


class Score(NamedTuple):
    """How good the turns of one recording are; the module's first lines define it all.

    Parameters
    ----------
    timing : Timing
        Turns, cut-ins and delays.
    detection : Detection
        By duration.
    coverage : Coverage
        Labels found, missed and clipped.
    """

    timing: Timing
    detection: Detection
    coverage: Coverage


MEASURES: Final = (*Timing._fields, *Detection._fields, *Coverage._fields)
"""Names of all measures, in order."""


def score(
    turns: Turns | Iterable[Segment],
    probability: SpeechProbability,
    *,
    reference: Stretches | None = None,
) -> Score:
    """Score the turns of a recording.

    Parameters
    ----------
    turns : Turns or iterable of Segment
        From `find_turns` or `segment`.
    probability : SpeechProbability
        Where they were found.
    reference : labels, optional
        Where there is speech: objects with `start_s` and `end_s`, or pairs, in seconds.

    Returns
    -------
    Score
        The module's first lines define the measures.

    Raises
    ------
    ConfigError
        If a label is none.

    Examples
    --------
    >>> from rtnb.vad import ServerVad, SpeechProbability, segment
    >>> heard = SpeechProbability.from_array([0.0] * 10 + [0.9] * 10 + [0.0] * 10)
    >>> found = score(segment(heard), heard, reference=[(0.3, 0.64)])
    >>> found.timing.delay_ms, found.coverage.onset_error_ms
    (224.0, 20.0)
    """
    arrays = turns if isinstance(turns, Turns) else Turns.of(turns, probability)
    scorer = Scorer(probability, reference)
    return Score(
        scorer.timing(arrays), scorer.detection(arrays), scorer.coverage(arrays)
    )


class Scorer:
    """Scores any number of findings in one recording.

    Parameters
    ----------
    probability : SpeechProbability
        Of the recording.
    reference : labels, optional
        Where there is speech.

    Raises
    ------
    ConfigError
        If a label is none.
    """

    def __init__(
        self, probability: SpeechProbability, reference: Stretches | None = None
    ) -> None:
        speech = probability.p >= SPEECH
        self._truth: _Speech | _Labels = (
            _Speech(speech, probability.hop_ms)
            if reference is None
            else _Labels(plain_labels(reference))
        )

    @property
    def speech_s(self) -> float:
        """Speech in all, in seconds."""
        return self._truth.total_ms / 1000

    def timing(self, turns: Turns) -> Timing:
        """Count turns and cut-ins, and measure the delays.

        Parameters
        ----------
        turns : Turns
            Of this recording.

        Returns
        -------
        Timing
            Without labels the same for every prefix.
        """
        ended = np.flatnonzero(turns.stopped_hop >= 0)
        stopped_ms = (turns.stopped_hop[ended] + 1) * turns.hop_ms
        end_ms = turns.audio_end_ms[ended]
        speech_end_ms = self._truth.last_end(turns, ended)
        delays = np.sort(stopped_ms - speech_end_ms)
        delays = delays[: len(delays) - np.count_nonzero(np.isnan(delays))]
        return Timing(
            turns=len(turns),
            ended=len(ended),
            cut_ins=int(np.count_nonzero(self._truth.goes_on(end_ms))),
            delay_ms=_quantile(delays, 0.5),
            delay_mean_ms=_mean(delays),
            delay_p90_ms=_quantile(delays, 0.9),
        )

    def detection(self, turns: Turns) -> Detection:
        """Compare detected and labelled time.

        Parameters
        ----------
        turns : Turns
            Of this recording.

        Returns
        -------
        Detection
            The same for every prefix; all NaN without labels.
        """
        return self._truth.detection(turns)

    def coverage(self, turns: Turns) -> Coverage:
        """Find what lies in the audio of the turns, and what does not.

        Parameters
        ----------
        turns : Turns
            Of this recording.

        Returns
        -------
        Coverage
            Only `heard` without labels.
        """
        heard = math.nan
        if self._truth.total_ms:
            stretches = _without_overlap(turns.audio_start_ms, turns.audio_end_ms)
            heard = self._truth.within(*stretches) / self._truth.total_ms
        return self._truth.coverage(turns, heard=heard)

    def scores(self, turns: Turns, prefixes_ms: Sequence[int]) -> Iterator[Score]:
        """Score turns for many prefixes, and what they share but once.

        Parameters
        ----------
        turns : Turns
            Of this recording, found by the law.
        prefixes_ms : sequence of int, >= 0
            How far the audio of each turn reaches back.

        Yields
        ------
        Score
            One for each prefix.
        """
        detection = self.detection(turns)
        if isinstance(self._truth, _Labels):
            for each in map(turns.with_prefix, prefixes_ms):
                yield Score(self.timing(each), detection, self.coverage(each))
            return
        timing, total = self.timing(turns), self._truth.total_ms or math.nan
        heard = self._truth.within_prefixed(turns, np.array(prefixes_ms)) / total
        for share in heard.tolist():
            yield Score(timing, detection, Coverage(share))


class _Speech:
    """Where a trace says speech."""

    def __init__(self, speech: NDArray[np.bool_], hop_ms: int) -> None:
        hops = len(speech)
        place, never = np.arange(hops), hops + CUT_IN_MS
        self._hop_ms = hop_ms
        self._last = np.maximum.accumulate(np.where(speech, place, -1))
        after = np.append(np.where(speech, place, never), never)
        self._next = np.minimum.accumulate(after[::-1])[::-1]
        self._so_far = np.append(0, speech.astype(np.int64).cumsum())
        self.total_ms = int(self._so_far[-1]) * hop_ms

    def last_end(
        self, turns: Turns, chosen: NDArray[np.intp]
    ) -> NDArray[np.floating[Any]]:
        """Where the speech of the chosen turns ends; NaN where they have none."""
        last = self._last[turns.stopped_hop[chosen]]
        return np.where(
            last >= turns.started_hop[chosen], (last + 1.0) * self._hop_ms, math.nan
        )

    def goes_on(self, end_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a hop of speech begins within a second of these times."""
        hop = np.minimum(-(-end_ms // self._hop_ms), len(self._next) - 1)
        return self._next[hop] * self._hop_ms < end_ms + CUT_IN_MS

    def within(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> float:
        """Speech in stretches that do not overlap: of hops that begin in one."""
        first, after = -(-starts // self._hop_ms), -(-ends // self._hop_ms)
        most = len(self._so_far) - 1
        first, after = np.minimum(first, most), np.minimum(after, most)
        hops = self._so_far[after] - self._so_far[first]
        return float(hops.sum()) * self._hop_ms

    def within_prefixed(
        self, turns: Turns, prefixes_ms: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Speech in the audio of turns, for each of many prefixes, shape (m,)."""
        begins, ends = turns.started_hop * turns.hop_ms, turns.audio_end_ms
        starts = np.maximum(begins - prefixes_ms[:, np.newaxis], 0)
        starts[:, 1:] = np.maximum(starts[:, 1:], ends[:-1])
        first = -(-starts // self._hop_ms)
        hops = self._so_far[ends // self._hop_ms] - self._so_far[first]
        heard_ms: NDArray[np.float64] = hops.sum(axis=1) * float(self._hop_ms)
        return heard_ms

    @staticmethod
    def detection(_turns: Turns) -> Detection:
        """Nothing: there are no labels."""
        return Detection()

    @staticmethod
    def coverage(_turns: Turns, *, heard: float) -> Coverage:
        """Only what was heard."""
        return Coverage(heard)


class _Labels:
    """Where labels say speech, in milliseconds."""

    def __init__(self, labels: Sequence[tuple[float, float]]) -> None:
        milliseconds = 1000 * np.array(labels, np.float64).reshape(-1, 2)
        starts, ends = milliseconds.round(3).T  # 288 is not to be 288.0000000000001
        self._starts, self._ends = starts, ends
        self._furthest = np.concatenate(([math.nan], np.maximum.accumulate(ends)))
        firsts, lasts = _without_overlap(starts, ends)
        self._edges = np.column_stack((firsts, lasts)).ravel()
        lengths = np.column_stack((np.zeros(len(firsts)), lasts - firsts)).ravel()
        self._so_far = np.cumsum(lengths)
        self.total_ms = float(lengths.sum())

    def last_end(
        self, turns: Turns, chosen: NDArray[np.intp]
    ) -> NDArray[np.floating[Any]]:
        """Furthest end of the labels that begin before a turn stops and reach into it."""
        stopped_ms = (turns.stopped_hop[chosen] + 1) * turns.hop_ms
        furthest = self._furthest_before(stopped_ms)
        reaches = furthest > turns.audio_start_ms[chosen]
        return np.where(reaches, furthest, math.nan)

    def goes_on(self, end_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a label covers, or begins within a second of, these times."""
        goes_on: NDArray[np.bool_] = self._furthest_before(end_ms + CUT_IN_MS) > end_ms
        return goes_on

    def _furthest_before(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """Furthest end of the labels that begin before these times; NaN without any."""
        return self._furthest[np.searchsorted(self._starts, times)]

    def within(self, starts: NDArray[Any], ends: NDArray[Any]) -> float:
        """Labelled time in stretches that do not overlap, in milliseconds."""
        if not len(self._edges):
            return 0.0
        so_far = np.interp(np.concatenate((starts, ends)), self._edges, self._so_far)
        return float(so_far[len(starts) :].sum() - so_far[: len(starts)].sum())

    def detection(self, turns: Turns) -> Detection:
        """Shares of time."""
        begins = turns.started_hop * turns.hop_ms
        ends = turns.speech_end_hop * turns.hop_ms
        detected = float((ends - begins).sum())
        shared = min(self.within(begins, ends), detected, self.total_ms)
        precision = shared / detected if detected else 1.0
        recall = shared / self.total_ms if self.total_ms else 1.0
        both = precision + recall
        wrong = self.total_ms + detected - 2 * shared
        return Detection(
            precision,
            recall,
            f1=2 * precision * recall / both if both else 0.0,
            detection_error_rate=_rate(wrong, self.total_ms),
        )

    def coverage(self, turns: Turns, *, heard: float) -> Coverage:
        """Labels found and missed, clipped onsets, errors at both ends."""
        first, last = self._overlapping(turns)
        found = np.flatnonzero(first <= last)
        begun, ended = _edge_labels(first, last, found)
        begins = turns.started_hop[first[begun]] * turns.hop_ms
        ends = turns.speech_end_hop[last[ended]] * turns.hop_ms
        late = turns.audio_start_ms[first[found]] - self._starts[found]
        touched = self._furthest_before(turns.audio_end_ms) > turns.audio_start_ms
        return Coverage(
            heard=heard,
            labels=len(first),
            missed=len(first) - len(found),
            false=len(touched) - int(np.count_nonzero(touched)),
            clipped_onset_ms=_mean(np.maximum(late, 0)),
            onset_error_ms=_median(begins - self._starts[begun]),
            offset_error_ms=_median(ends - self._ends[ended]),
        )

    def _overlapping(self, turns: Turns) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last turn whose audio overlaps each label; first > last if none."""
        first = np.searchsorted(turns.audio_end_ms, self._starts, "right")
        last = np.searchsorted(turns.audio_start_ms, self._ends, "left") - 1
        return first, last


def _edge_labels(
    first: NDArray[np.intp], last: NDArray[np.intp], found: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Labels at which a turn began, and at which one ended.

    Of the labels that share their first turn, it began at the first of them; of those
    that share their last, it ended at the last.
    """
    begun = np.diff(first[found], prepend=-1) > 0
    ended = np.diff(last[found], append=np.iinfo(np.intp).max) > 0
    return found[begun], found[ended]


def plain_labels(reference: Stretches) -> tuple[tuple[float, float], ...]:
    """Read labels of any kind.

    Parameters
    ----------
    reference : labels
        Objects with `start_s` and `end_s`, or pairs of seconds.

    Returns
    -------
    tuple of (float, float)
        Starts and ends in seconds, in order.

    Raises
    ------
    ConfigError
        If a label is none.
    """
    if isinstance(reference, str) or not isinstance(reference, Iterable):
        raise ConfigError(
            f"{reference!r} is no list of labels: give objects with start_s and end_s, "
            "or pairs of seconds"
        )
    return tuple(sorted(map(_pair, reference)))


def _pair(label: Any) -> tuple[float, float]:
    try:
        if hasattr(label, "start_s"):
            start, end = float(label.start_s), float(label.end_s)
        else:
            start, end = (float(each) for each in label)
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{label!r} is no label: give objects with start_s and end_s, or pairs of "
            "seconds"
        ) from error
    if not 0 <= start < end < math.inf:
        raise ConfigError(
            f"a label from {start} s to {end} s cannot be: it begins at 0 or later and "
            "ends after it begins"
        )
    return start, end


def _without_overlap(
    starts: NDArray[Any], ends: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Stretches in order of start that cover the same time, each moment once."""
    if not len(starts):
        return starts, ends
    reached = np.maximum.accumulate(ends)
    starts = np.concatenate((starts[:1], np.maximum(starts[1:], reached[:-1])))
    return starts, np.maximum(starts, ends)


def _rate(wrong: float, total: float) -> float:
    """Share of the total; of nothing, 0 if nothing is wrong, else 1 (pyannote's)."""
    return wrong / total if total else float(wrong > 0)


def _quantile(ordered: NDArray[Any], share: float) -> float:
    """Quantile by linear interpolation, as `numpy.quantile`; NaN of nothing."""
    if not len(ordered):
        return math.nan
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    below, above = float(ordered[low]), float(ordered[high])
    return below + (place - low) * (above - below)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _median(values: NDArray[Any]) -> float:
    return _quantile(np.sort(values), 0.5)
