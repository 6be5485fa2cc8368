"""What other settings would have made of a recorded session.

The probability of the recording is given to the turn detector with the other settings,
and the turns it makes are laid beside those that were. What a turn would have been
answered, and what would have been said then, nobody knows: the audio is taken as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from typing_extensions import override

from rtnb.audio import Clip
from rtnb.errors import MissingExtra
from rtnb.recording import page
from rtnb.recording.alignment import KINDS, Change, TurnLike, align, own_spans
from rtnb.recording.replica import warnings
from rtnb.recording.simulation import SimulatedTurn, would_be
from rtnb.recording.turns import RecordedTurn
from rtnb.usage import InputTokenDetails, Usage, cost, dollars, user_audio_tokens
from rtnb.vad import Policy, SemanticVad, ServerVad, score
from rtnb.vad.policies import Turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from rtnb.recording.reading import Recording
    from rtnb.vad import SentenceEnds, SpeechProbability

SHORTEST_COMMIT_MS: Final = 100
"""The server refuses to commit less: documented."""

MOST_STRETCHES: Final = 3
"""Turns of one change whose times are shown one by one."""

TurnChange: TypeAlias = Change[RecordedTurn, SimulatedTurn]


@dataclass(frozen=True)
class Outcome:
    """What turns amount to; see `rtnb.vad.scoring` for delay and cut-in.

    Parameters
    ----------
    turns : int
        How many were sent.
    cut_ins : int
        How many ended while the speaker goes on.
    delay_ms : float or None
        Median from the end of speech to ``speech_stopped``; None where no turn ended
        after speech.
    audio_s : float
        Audio that was committed.
    audio_tokens : int
        Tokens of user audio that the answers read: each turn is answered once, and each
        answer reads the turn and all before it.
    usd : float or None
        What these cost when none is cached: an upper bound. None is not known.
    """

    turns: int
    cut_ins: int
    delay_ms: float | None
    audio_s: float
    audio_tokens: int
    usd: float | None


@dataclass(frozen=True)
class Counterfactual:
    """Turns that would have been, beside those that were.

    Parameters
    ----------
    settings : ServerVad, SemanticVad or Policy
        The other settings.
    changes : tuple of Change
        What became of each turn, in order of time.
    actual, would : tuple of turns
        Those that were sent, and those that would have been.
    before, after : Outcome
        What either amount to.
    model : str
        Whose prices count.
    notes : tuple of str
        What is not as exact as the rest.
    clip : Clip
        The input audio, from `start_ms` on.
    start_ms : int
        Where in the session's audio the clip begins.

    Notes
    -----
    It is an estimate where the recording cannot know: answers would have been others,
    and so would have been what the user said to them; tokens of text and of answers are
    left out.
    """

    settings: ServerVad | SemanticVad | Policy
    changes: tuple[TurnChange, ...]
    actual: tuple[RecordedTurn, ...]
    would: tuple[SimulatedTurn, ...]
    before: Outcome
    after: Outcome
    model: str
    notes: tuple[str, ...] = ()
    clip: Clip = field(repr=False, kw_only=True)
    start_ms: int = field(default=0, repr=False, kw_only=True)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many changes there are of each kind."""
        kinds = [change.kind for change in self.changes]
        return {kind: kinds.count(kind) for kind in KINDS}

    @property
    def delay_change_ms(self) -> float | None:
        """How much later an answer would have begun; None where it is not known."""
        before, after = self.before.delay_ms, self.after.delay_ms
        return None if before is None or after is None else after - before

    @property
    def usd_change(self) -> float | None:
        """How much more it would have cost; None where a price is not known."""
        before, after = self.before.usd, self.after.usd
        return None if before is None or after is None else after - before

    @property
    def summary(self) -> str:
        """One sentence.

        Examples
        --------
        "3 turns instead of 5: 1 same, 1 moved, 1 merged; answers 288 ms later, 2
        cut-ins fewer, 41 audio tokens fewer (about $0.00131)."
        """
        kinds = [f"{count} {kind}" for kind, count in self.counts.items() if count]
        changes = f": {', '.join(kinds)}" if kinds else ""
        return (
            f"{_turns(self.after.turns)} instead of {self.before.turns}{changes}; "
            f"{', '.join(self._differences())}."
        )

    def _differences(self) -> list[str]:
        delay, usd = self.delay_change_ms, self.usd_change
        cut_ins = self.after.cut_ins - self.before.cut_ins
        tokens = self.after.audio_tokens - self.before.audio_tokens
        price = "price unknown" if usd is None else f"about {dollars(abs(usd))}"
        return [
            "delay unknown"
            if delay is None
            else "answers as soon as before"
            if not delay
            else f"answers {abs(delay):.0f} ms {'later' if delay > 0 else 'sooner'}",
            _fewer(cut_ins, "cut-in"),
            _fewer(tokens, "audio token") + (f" ({price})" if tokens else ""),
        ]

    def to_frame(self) -> pd.DataFrame:
        """Write the changes as a table.

        Returns
        -------
        pandas.DataFrame
            A row a change: `kind`, the numbers of the actual turns, how many there
            would have been, start and end in milliseconds on either side, how much
            later either is; what a side does not have is missing.
        """
        import pandas as pd

        rows = [_row(change) for change in self.changes]
        return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)

    @override
    def __str__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        head = ("change", "turn", "was (s)", "would be (s)", "start", "end")
        rows = [
            (
                change.kind,
                ", ".join(str(turn.index) for turn in change.actual),
                _stretches(change.actual),
                _stretches(change.would),
                _moved(change.start_moved_ms),
                _moved(change.end_moved_ms),
            )
            for change in self.changes
        ]
        title = f"{_code(self.settings)}: {self.summary}"
        return page.table(
            title,
            head,
            rows,
            words=("change", "was (s)", "would be (s)"),
            notes=self.notes,
        )


def replay(
    recording: Recording, settings: ServerVad | SemanticVad | Policy
) -> Counterfactual:
    """Lay what would have been beside what was, see `Recording.replay_turns`."""
    probability, steps = recording.probability, recording.steps
    sentences, notes = _sentences(recording, settings)
    made = would_be(
        probability, settings, steps, end=recording.end, sentences=sentences
    )
    would = _with_commits(made, recording.turns)
    return Counterfactual(
        settings,
        tuple(align(recording.turns, would)),
        recording.turns,
        tuple(would),
        outcome(recording.turns, probability, recording.model),
        outcome(would, probability, recording.model),
        recording.model,
        (*notes, *warnings(recording)),
        clip=recording.clip,
        start_ms=recording.start_ms,
    )


def _sentences(
    recording: Recording, settings: ServerVad | SemanticVad | Policy
) -> tuple[SentenceEnds | None, tuple[str, ...]]:
    if not isinstance(settings, SemanticVad):
        return None, ()
    from rtnb.vad import sentence_ends

    said = (
        "semantic_vad is simulated by a recogniser of this package, not the service's"
    )
    try:
        ends = sentence_ends(_from_zero(recording), recording.probability, settings)
    except MissingExtra as error:
        return None, (said, f"no pause is judged: {error}")
    return ends, (said,)


def _from_zero(recording: Recording) -> Clip:
    """The input audio from the beginning of the session on."""
    clip = recording.clip
    before = recording.first_sample / clip.sample_rate
    return Clip.silence(before, clip.sample_rate) + clip if before else clip


def _with_commits(
    would: list[SimulatedTurn], actual: Sequence[RecordedTurn]
) -> list[SimulatedTurn]:
    """Add what the client commits by hand where the detector has ended its turn."""
    turns = list(would)
    for turn in actual:
        end = turn.audio_end_ms
        if turn.ended != "hand" or any(
            other.ended == "hand" and other.audio_end_ms == end for other in would
        ):
            continue
        before = [other.audio_end_ms for other in turns if other.audio_end_ms <= end]
        start = max([turn.audio_start_ms, *before])
        if end - start >= SHORTEST_COMMIT_MS:
            turns.append(SimulatedTurn(start, end, None, None, "hand"))
    return sorted(turns, key=lambda turn: (turn.audio_end_ms, turn.audio_start_ms))


def outcome(
    turns: Sequence[RecordedTurn | SimulatedTurn],
    probability: SpeechProbability,
    model: str,
) -> Outcome:
    """What turns amount to.

    Parameters
    ----------
    turns : sequence of turns
        In order.
    probability : SpeechProbability
        From the beginning of the session on.
    model : str
        Whose prices count.
    """
    committed = [end - start for start, end in own_spans(turns)]
    tokens = answered_tokens(committed)
    read = Usage(input_token_details=InputTokenDetails(audio_tokens=tokens))
    timing = score(_arrays(turns, probability), probability).timing
    return Outcome(
        turns=len(turns),
        cut_ins=timing.cut_ins,
        delay_ms=None if math.isnan(timing.delay_ms) else timing.delay_ms,
        audio_s=sum(committed) / 1000,
        audio_tokens=tokens,
        usd=cost(read, model).usd,
    )


def answered_tokens(committed_ms: Sequence[int]) -> int:
    """Tokens of user audio that are read when every turn is answered once.

    Parameters
    ----------
    committed_ms : sequence of int
        Audio of each turn.

    Returns
    -------
    int
        Each answer reads its turn and all before it.

    Notes
    -----
    Recorded: three turns of 2796 ms were 27, 54 and 81 tokens of user audio in their
    three answers, 162 in all.

    Examples
    --------
    >>> answered_tokens([2796, 2796, 2796])
    162
    """
    so_far = read = 0
    for length in committed_ms:
        so_far += user_audio_tokens(length)
        read += so_far
    return read


def _arrays(
    turns: Sequence[RecordedTurn | SimulatedTurn], probability: SpeechProbability
) -> Turns:
    """Turns as the scorer takes them; those that no detector ended are going on."""
    hop_ms, last = probability.hop_ms, max(len(probability) - 1, 0)
    stopped = [
        min(turn.audio_end_ms // hop_ms - 1, last)
        if turn.ended in ("server", "detector")
        else -1
        for turn in turns
    ]
    started = [min(-(-start // hop_ms), last) for start, _ in own_spans(turns)]
    ends = [turn.audio_end_ms for turn in turns]
    return Turns(
        np.array(started, np.int64),
        np.array(stopped, np.int64),
        np.array(ends, np.int64) // hop_ms,
        np.array([turn.audio_start_ms for turn in turns], np.int64),
        np.array(ends, np.int64),
        np.zeros(len(ends), np.int8),
        hop_ms=hop_ms,
    )


_COLUMNS: Final = {
    "kind": "string",
    "turns": "string",
    "would": "Int64",
    "start_ms": "Int64",
    "end_ms": "Int64",
    "would_start_ms": "Int64",
    "would_end_ms": "Int64",
    "start_moved_ms": "Int64",
    "end_moved_ms": "Int64",
}


def _row(change: TurnChange) -> tuple[object, ...]:
    return (
        change.kind,
        ", ".join(str(turn.index) for turn in change.actual),
        len(change.would),
        *_ends(change.actual),
        *_ends(change.would),
        change.start_moved_ms,
        change.end_moved_ms,
    )


def _ends(turns: Sequence[TurnLike]) -> tuple[int | None, int | None]:
    return (turns[0].audio_start_ms, turns[-1].audio_end_ms) if turns else (None, None)


def _stretches(turns: Sequence[TurnLike]) -> str:
    if len(turns) > MOST_STRETCHES:
        start, end = turns[0].audio_start_ms, turns[-1].audio_end_ms
        return f"{len(turns)} in {start / 1000:.2f} – {end / 1000:.2f}"
    return ", ".join(
        f"{turn.audio_start_ms / 1000:.2f} – {turn.audio_end_ms / 1000:.2f}"
        for turn in turns
    )


def _moved(by_ms: int | None) -> str:
    return "" if by_ms is None else f"{by_ms:+d} ms" if by_ms else "same"


def _turns(count: int) -> str:
    return f"{count} turn{'' if count == 1 else 's'}"


def _fewer(change: int, what: str) -> str:
    if not change:
        return f"as many {what}s"
    many = "" if abs(change) == 1 else "s"
    return f"{abs(change)} {what}{many} {'more' if change > 0 else 'fewer'}"


def _code(settings: ServerVad | SemanticVad | Policy) -> str:
    return settings.name if isinstance(settings, Policy) else repr(settings)
