"""Why a turn is as it is: one sentence of evidence.

What is said, in this order, each only where it is so:

* *cut in*: the turn ended and a hop of speech (at least 0.5, whatever the settings)
  begins within a second (`CUT_IN_MS`); how long the pause was, and the limit;
* *short*: less than `SHORT_SPEECH_MS` of it reaches the level at which a turn goes on;
  with the audio at hand, how long the sound is and how loud;
* *never speech*: no hop reaches 0.5, so it was the threshold that let it in;
* *clipped onset*: hops that reach the level at which a turn goes on lie directly before
  its speech and outside its audio;
* *silence*: at least `MOSTLY_SILENCE` of its audio is hops below 0.5;
* *late end*: it stopped `LATE_MS` or more after the silence that the settings ask for;
* *how it ended*, if not by silence.

Where nothing is, the sentence says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.audio import rms_dbfs
from rtnb.errors import ConfigError
from rtnb.vad.detector import Law
from rtnb.vad.policies import SPEECH, AzurePolicy, SileroPolicy
from rtnb.vad.scoring import CUT_IN_MS
from rtnb.vad.semantic import JUDGED_AFTER_MS, pause_law
from rtnb.vad.settings import SERVER_VAD_DEFAULTS, SemanticVad, ServerVad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtnb.audio import Clip
    from rtnb.vad.policies import Policy
    from rtnb.vad.probability import SpeechProbability
    from rtnb.vad.segmentation import Segment

SHORT_SPEECH_MS: Final = 250
"""Speech that is shorter may be none: silero-vad's ``min_speech_duration_ms``."""

CLICK_MS: Final = 100
"""A sound that is not longer is called a click. Our choice: short words last longer."""

CLICK_FRAME_MS: Final = 5
"""Length of the blocks in which the level of a short sound is followed."""

CLICK_RANGE_DB: Final = 20.0
"""A short sound lasts from the first to the last block so close to its loudest."""

MOSTLY_SILENCE: Final = 0.5
"""From this share on, the silence in a turn's audio is worth saying."""

LATE_MS: Final = 200
"""So much more than the settings ask for is worth saying. Our choice: it is heard."""


def explain(
    segment: Segment,
    *,
    probability: SpeechProbability,
    settings: ServerVad | SemanticVad | Policy = SERVER_VAD_DEFAULTS,
    clip: Clip | None = None,
    following: Segment | None = None,
) -> str:
    """Evidence about a turn, in one sentence.

    Parameters
    ----------
    segment : Segment
        The turn.
    probability : SpeechProbability
        Where it was found.
    settings : ServerVad, SemanticVad or Policy, optional
        What it was found with; what is not set has its default.
    clip : Clip, optional
        The audio, for the length and the level of a short sound.
    following : Segment, optional
        The turn after it, to say that this is where the rest went.

    Returns
    -------
    str
        Without a capital and a full stop, as a caption.

    Raises
    ------
    ConfigError
        If the turn is not one of this recording.

    Examples
    --------
    >>> import numpy as np
    >>> from rtnb.vad import SpeechProbability, segment
    >>> p = np.repeat([0.0, 0.9, 0.1, 0.9, 0.0], [20, 40, 9, 30, 20])
    >>> heard = SpeechProbability.from_array(p)
    >>> first, second = segment(heard)
    >>> explain(first, probability=heard, following=second)
    'cut in: paused 288 ms, the limit was 200; the rest became the next turn'
    >>> explain(second, probability=heard)
    'nothing remarkable: 960 ms of speech, ended by 224 ms of quiet, the limit was 200'
    """
    turn = _Turn.of(segment, probability, settings)
    evidence = [
        _cut_in(turn, following),
        _short(turn, clip),
        _never_speech(turn),
        _clipped_onset(turn),
        _mostly_silence(turn),
        _late_end(turn),
        _ending(turn),
    ]
    said = [each for each in evidence if each]
    return "; ".join(said) if said else _unremarkable(turn)


@dataclass(frozen=True)
class _Turn:
    """A turn with all that can be said about it.

    Parameters
    ----------
    segment : Segment
        The turn.
    p : float64 array, shape (n,)
        Probabilities of the whole recording.
    enter, leave : float
        Levels of the detector.
    limit_ms : float
        Silence that the settings ask for; of ``semantic_vad``, before it judges.
    limit_hops : int
        The same in whole hops.
    settings : ServerVad, SemanticVad or Policy
        What the turn was found with.
    """

    segment: Segment
    p: NDArray[np.float64]
    enter: float
    leave: float
    limit_ms: float
    limit_hops: int
    settings: ServerVad | SemanticVad | Policy

    @classmethod
    def of(
        cls,
        segment: Segment,
        probability: SpeechProbability,
        settings: ServerVad | SemanticVad | Policy,
    ) -> _Turn:
        hops = len(probability)
        last = (
            segment.started_hop if segment.stopped_hop is None else segment.stopped_hop
        )
        if segment.hop_ms != probability.hop_ms or not last < hops:
            raise ConfigError(
                f"the turn of hops {segment.started_hop} to {last}, {segment.hop_ms} ms "
                f"each, is not of this recording of {hops} hops of "
                f"{probability.hop_ms} ms: give the probability it was found in"
            )
        enter, leave, limit_ms, limit_hops = _levels(settings, probability.hop_ms)
        p = probability.p.astype(np.float64)
        return cls(segment, p, enter, leave, limit_ms, limit_hops, settings)

    @property
    def hop_ms(self) -> int:
        return self.segment.hop_ms

    @property
    def last_hop(self) -> int:
        """Its last hop, or the recording's."""
        stopped = self.segment.stopped_hop
        return len(self.p) - 1 if stopped is None else stopped

    @property
    def own(self) -> NDArray[np.float64]:
        """Probabilities from its first loud hop to its last."""
        return self.p[self.segment.started_hop : self.last_hop + 1]

    @property
    def going_on(self) -> NDArray[np.bool_]:
        """Which of `own` keep it going; the first always does."""
        found: NDArray[np.bool_] = self.own >= self.leave
        found[0] = True
        return found

    @property
    def quiet_from(self) -> int:
        """The hop after the last that kept it going."""
        return self.segment.started_hop + int(np.flatnonzero(self.going_on)[-1]) + 1

    @property
    def quiet_ms(self) -> int:
        """Quiet at its end."""
        return (self.last_hop + 1 - self.quiet_from) * self.hop_ms


def _levels(
    settings: ServerVad | SemanticVad | Policy, hop_ms: int
) -> tuple[float, float, float, int]:
    """Enter, leave, silence asked for in ms and in hops."""
    match settings:
        case ServerVad():
            law = Law.of(settings, hop_ms=hop_ms)
            limit = settings.filled().silence_duration_ms
            assert isinstance(limit, int)
            return law.enter, law.leave, limit, law.quiet_hops
        case SemanticVad():
            law = pause_law(hop_ms)
            return law.enter, law.leave, JUDGED_AFTER_MS, law.quiet_hops
        case AzurePolicy(settings=server):
            enter, leave, limit_ms, hops = _levels(server, hop_ms)
            return enter, leave, limit_ms + hop_ms, hops + 1
        case SileroPolicy():
            limit_ms = settings.min_silence_duration_ms
            hops = int(-(-limit_ms // hop_ms)) + 1
            return settings.threshold, settings.leave, limit_ms, hops
    raise ConfigError(
        f"{settings!r} does not say when a turn ends: give ServerVad(...), "
        "SemanticVad(...) or a Policy"
    )


def _cut_in(turn: _Turn, following: Segment | None) -> str:
    end_ms = turn.segment.audio_end_ms
    if turn.segment.ended in ("end of audio", "longest speech"):
        return ""
    first, after = -(-end_ms // turn.hop_ms), -(-(end_ms + CUT_IN_MS) // turn.hop_ms)
    speech = np.flatnonzero(turn.p[first:after] >= SPEECH)
    if not len(speech):
        return ""
    pause_ms = (first + int(speech[0]) - turn.quiet_from) * turn.hop_ms
    said = f"cut in: paused {pause_ms} ms, {_limit(turn)}"
    if following is None or following.speech_start_ms >= end_ms + CUT_IN_MS:
        return said
    return f"{said}; the rest became the next turn"


def _limit(turn: _Turn) -> str:
    """The limit that a pause met."""
    match turn.segment.ended:
        case "sentence":
            return f"the words were taken for a whole sentence after {turn.quiet_ms}"
        case "longest wait":
            return f"the longest wait was {turn.quiet_ms}"
        case _:
            return f"the limit was {turn.limit_ms:g}"


def _short(turn: _Turn, clip: Clip | None) -> str:
    loud_ms = int(np.count_nonzero(turn.going_on)) * turn.hop_ms
    if loud_ms >= SHORT_SPEECH_MS or turn.segment.stopped_hop is None:
        return ""
    if clip is None:
        return f"only {loud_ms} ms of sound kept it going"
    return f"started by {_sound(turn, clip)}"


def _sound(turn: _Turn, clip: Clip) -> str:
    """Length and level of what is loudest around the hops that kept a turn going."""
    frame = max(1, CLICK_FRAME_MS * clip.sample_rate // 1000)
    start_ms = max(0, turn.segment.speech_start_ms - turn.hop_ms)
    first = start_ms * clip.sample_rate // 1000
    last = (turn.quiet_from + 1) * turn.hop_ms * clip.sample_rate // 1000
    around = clip.samples[first:last]
    frames = around[: len(around) // frame * frame].reshape(-1, frame)
    if not len(frames):
        raise ConfigError(
            f"the turn begins at {turn.segment.speech_start_ms} ms, but the clip lasts "
            f"{1000 * clip.duration:.0f}: give the audio that it was found in"
        )
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    near = np.flatnonzero(power >= power.max() / 10 ** (CLICK_RANGE_DB / 10))
    sound = frames[near[0] : near[-1] + 1]
    sound_ms = round(1000 * sound.size / clip.sample_rate)
    kind = "click" if sound_ms <= CLICK_MS else "sound"
    return f"a {sound_ms} ms {kind} at {_dbfs(rms_dbfs(sound.ravel()))}"


def _dbfs(level: float) -> str:
    sign = "\N{MINUS SIGN}" if round(level) < 0 else ""
    return f"{sign}{abs(round(level))} dBFS"


def _never_speech(turn: _Turn) -> str:
    most = turn.own.max()
    if most >= SPEECH:
        return ""
    return (
        f"speech was never more than {most:.2f} probable: the threshold of "
        f"{turn.enter:g} let it in"
    )


def _clipped_onset(turn: _Turn) -> str:
    if isinstance(turn.settings, SileroPolicy):  # what lies before may be a turn, cut
        return ""
    before = turn.p[: turn.segment.started_hop] < turn.leave
    quiet = np.flatnonzero(before)
    onset_hop = int(quiet[-1]) + 1 if len(quiet) else 0
    clipped_ms = turn.segment.audio_start_ms - onset_hop * turn.hop_ms
    if clipped_ms <= 0:
        return ""
    return (
        f"onset clipped: {clipped_ms} ms of sound lie before its audio, which begins "
        f"{turn.segment.prefix_ms} ms before the threshold was reached"
    )


def _mostly_silence(turn: _Turn) -> str:
    audio_ms = turn.segment.audio_end_ms - turn.segment.audio_start_ms
    speech_ms = int(np.count_nonzero(turn.own >= SPEECH)) * turn.hop_ms
    silence = max(0.0, 1 - speech_ms / audio_ms)
    if silence < MOSTLY_SILENCE:
        return ""
    return f"{100 * silence:.0f} % of the committed audio was silence"


def _late_end(turn: _Turn) -> str:
    if turn.segment.ended != "silence":
        return ""
    speech = np.flatnonzero(turn.own >= SPEECH)
    if not len(speech):
        return ""
    delay_ms = (len(turn.own) - 1 - int(speech[-1])) * turn.hop_ms
    asked_ms = turn.limit_hops * turn.hop_ms
    if delay_ms - asked_ms < LATE_MS:
        return ""
    return (
        f"ended {delay_ms} ms after the speech, {delay_ms - asked_ms} more than "
        f"the settings ask for: the probability lingered above {turn.leave:g}"
    )


def _ending(turn: _Turn) -> str:
    match turn.segment.ended:
        case "end of audio":
            said = "ended because the audio ended"
            if turn.quiet_ms:
                return f"{said}, {turn.quiet_ms} ms into a pause"
            return f"{said}, in the middle of speech"
        case "longest wait":
            return f"waited {turn.quiet_ms} ms, the longest: no sentence seemed to end"
        case "longest speech":
            return "cut because it was longer than speech may be"
        case "silence" | "sentence":
            return ""


def _unremarkable(turn: _Turn) -> str:
    speech_ms = (turn.quiet_from - turn.segment.started_hop) * turn.hop_ms
    return (
        f"nothing remarkable: {speech_ms} ms of speech, ended by {turn.quiet_ms} ms of "
        f"quiet, {_limit(turn)}"
    )
