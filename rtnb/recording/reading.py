"""A recorded session, opened again without a network.

Positions are samples of the session's input audio at 24 kHz, milliseconds count from
its beginning too, and times are seconds since the recording began.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from typing_extensions import override

from rtnb.audio import Clip
from rtnb.errors import ProtocolError
from rtnb.protocol import events as ev
from rtnb.protocol.client import ClientMachine
from rtnb.protocol.codec import decode_client, encode
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.recording import folder as on_disk
from rtnb.recording import page, wave_file
from rtnb.recording.folder import AudioRef, Direction, Line, Manifest
from rtnb.recording.simulation import SAMPLES_PER_HOP, hops_heard
from rtnb.recording.turns import Detection, RecordedTurn, Step, Story, mark_of, ms, tell
from rtnb.vad import SpeechProbability, speech_probability

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from rtnb.protocol.client import ClientEvent, Mark
    from rtnb.recording.counterfactual import Counterfactual
    from rtnb.recording.replica import ReplicaReport
    from rtnb.usage import Cost, LedgerRow, Usage
    from rtnb.vad import Policy, SemanticVad, ServerVad

_LINE = msgspec.json.Decoder(Line)


@dataclass(frozen=True)
class RecordedEvent:
    """An event of a recording.

    Parameters
    ----------
    t : float
        Seconds since the recording began.
    direction : {"sent", "received", "noted"}
        Who it is from: the client, the server, or the recorder itself.
    event : event of the protocol
        Its audio is empty; what the recorder noted is an ``UnknownEvent``.
    position : int
        Input audio before it, samples. For what was sent by a session that sent all
        audio itself this is exact; else it is as much as had been heard by then.
    audio : AudioRef or None
        Where its audio is.
    """

    t: float
    direction: Direction
    event: ClientEvent | ev.ServerEvent
    position: int
    audio: AudioRef | None = None


class InForce(NamedTuple):
    """Turn detection from a position on; None is off."""

    position: int
    turn_detection: Detection


class Recording:
    """A session that was recorded, see ``session.record``.

    Parameters
    ----------
    path : path
        Its folder.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : Manifest
        What was recorded, when, and with which versions.
    events : tuple of RecordedEvent
        All events in the order in which they were recorded.
    notes : tuple of str
        What is missing or was damaged.
    exact : bool
        Whether the session sent all audio itself, so that whatever it sent has its
        exact place in it; the microphone of a page has not.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ConfigError
        If it is no recording, or one of a later format.
    AudioFormatError
        If one of its sound files is not the one that was recorded.

    Notes
    -----
    A recording that was cut off is read as far as it reaches; a WAV header that does
    not tell the whole file is put right, where the folder can be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest: Manifest = on_disk.read_manifest(self.path)
        for file in (self.microphone, self.path / on_disk.ANSWERS):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                wave_file.mend(file)
        self._machine = ClientMachine()
        opening = on_disk.opening(self.manifest.settings)
        self._machine.receive(encode(opening), 0.0)
        self._found: list[str] = []
        lines = list(self._read_lines())
        self.exact = all(
            line.heard <= line.appended for line in lines if line.direction != "noted"
        )
        self._heard = [(line.heard, line.t) for line in lines]
        self.events: tuple[RecordedEvent, ...] = tuple(self._read_events(lines))
        self.notes: tuple[str, ...] = tuple(self._faults())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Open a recording; the same as ``Recording(path)``.

        Parameters
        ----------
        path : path
            Its folder.

        Returns
        -------
        Recording
            As far as it was written.
        """
        return cls(path)

    # -- reading the folder ------------------------------------------------------------

    def _read_lines(self) -> Iterator[Line]:
        with (self.path / on_disk.EVENTS).open("rb") as file:
            for number, text in enumerate(file, start=1):
                try:
                    yield _LINE.decode(text)
                except (msgspec.DecodeError, UnicodeError):
                    cut = "was cut off" if not text.endswith(b"\n") else "is damaged"
                    self._found.append(f"line {number} of the events {cut}")

    def _read_events(self, lines: list[Line]) -> Iterator[RecordedEvent]:
        for number, line in enumerate(lines, start=1):
            try:
                event = self._take(line)
            except ProtocolError as error:
                self._found.append(f"event {number} cannot be read: {error}")
                continue
            position = line.heard
            if line.direction == "sent" and self.exact:
                position = line.audio.start if line.audio else line.appended
            yield RecordedEvent(line.t, line.direction, event, position, line.audio)

    def _take(self, line: Line) -> ClientEvent | ev.ServerEvent:
        """Event of a line, after the machine has taken it in."""
        text = bytes(line.event)
        if line.direction == "received":
            return self._machine.receive(text, line.t)
        event = decode_client(text)
        silent = isinstance(event, ev.InputAudioBufferAppend)
        if line.direction == "sent" and not silent:
            self._machine.send(event, line.t)
        return event

    def _faults(self) -> Iterator[str]:
        yield from self._found
        if self.manifest.ended is None:
            yield "it has no end: it was cut off, or still goes on"
        dropped = sum(each.type == "queue.dropped" for each in self._noted())
        if dropped:
            yield "events are missing: the disk was too slow"
        for gap in self._noted():
            if gap.type == "audio.missing":
                seconds = int(gap.raw["samples"]) / self.manifest.sample_rate
                yield f"{seconds:.2f} s of input audio are missing and silent here"

    def _noted(self) -> Iterator[ev.UnknownEvent]:
        for each in self.events:
            if each.direction == "noted" and isinstance(each.event, ev.UnknownEvent):
                yield each.event

    # -- sound -------------------------------------------------------------------------

    @property
    def microphone(self) -> Path:
        """The sound file of the input audio, from `first_sample` on."""
        return self.path / on_disk.MICROPHONE

    @property
    def first_sample(self) -> int:
        """Position of the first sample that was recorded."""
        return self.manifest.first_sample or 0

    @property
    def end(self) -> int:
        """Position of the end of the input audio that was recorded."""
        if not self.microphone.exists():
            return self.first_sample
        return self.first_sample + wave_file.count(self.microphone)

    @property
    def duration(self) -> float:
        """Seconds of input audio."""
        return (self.end - self.first_sample) / self.manifest.sample_rate

    @property
    def clip(self) -> Clip:
        """The input audio."""
        return Clip(wave_file.read(self.microphone), self.manifest.sample_rate)

    @cached_property
    def answers(self) -> Mapping[str, Clip]:
        """The answers' audio, by item id; read when it is asked for."""
        places: dict[str, list[AudioRef]] = {}
        for each in self.events:
            event = each.event
            if isinstance(event, ev.ResponseOutputAudioDelta) and each.audio:
                places.setdefault(event.item_id, []).append(each.audio)
        return _Answers(self.path / on_disk.ANSWERS, places)

    # -- what was said and decided -----------------------------------------------------

    @cached_property
    def _story(self) -> Story:
        opening = on_disk.opening(self.manifest.settings)
        return tell(
            self.events,
            opening=getattr(opening, "session", None),
            first_sample=self.first_sample,
            end=self.end,
            exact=self.exact,
        )

    @cached_property
    def settings(self) -> tuple[InForce, ...]:
        """Turn detection in force, and from which position on; the first from the start.

        Exact where the session sent all audio itself; where a page did, as near as the
        audio heard back until the server had taken the change, one or two chunks.
        """
        return tuple(
            InForce(step.position, step.detection)
            for step in self._story.steps
            if step.kind == "settings"
        )

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """What the server's turn detector said, in order."""
        return tuple(filter(None, map(mark_of, self.events)))

    @cached_property
    def turns(self) -> tuple[RecordedTurn, ...]:
        """Spoken turns that were sent, with what they were answered and what that cost."""
        return tuple(map(self._turn, range(len(self._story.spans))))

    def _turn(self, index: int) -> RecordedTurn:
        span = self._story.spans[index]
        answers = self._story.answers.get(index, [])
        return RecordedTurn(
            index,
            span.item_id,
            span.start_ms,
            span.end_ms,
            span.ended,
            user_text=self._words(span.item_id),
            text=self._answer(answers),
            entries=tuple(
                row for row in self.responses if row.id in (span.item_id, *answers)
            ),
        )

    def _words(self, item_id: str) -> str:
        item = self._machine.items.get(item_id)
        return "" if item is None else item.text

    def _answer(self, response_ids: list[str]) -> str:
        responses = map(self._machine.responses.get, response_ids)
        items = [item for each in responses if each for item in each.item_ids]
        return " ".join(filter(None, map(self._words, items)))

    @property
    def responses(self) -> list[LedgerRow]:
        """Tokens and cost of every response and transcription, by today's price table."""
        return self._machine.ledger.rows()

    @property
    def model(self) -> str:
        """Model that answered."""
        return self._machine.model or self.manifest.model

    @property
    def billed(self) -> bool:
        """Whether the cost was real; the embedded engine's is hypothetical."""
        return self.manifest.provider != "embedded"

    @property
    def usage(self) -> Usage:
        """Tokens of all responses."""
        return self._machine.ledger.usage

    @property
    def cost(self) -> Cost:
        """Cost of all responses and transcriptions, see also `billed`."""
        return self._machine.ledger.cost

    # -- what could have been ----------------------------------------------------------

    @property
    def start_ms(self) -> int:
        """Where in the session's input audio the recording begins."""
        return ms(self.first_sample)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What acted on the turn detector, and where: settings, commits and clears."""
        return tuple(self._story.steps)

    def left_after(self, position: int) -> float:
        """How long the recording went on after some audio was heard.

        Parameters
        ----------
        position : int
            End of that audio, samples since the session began.

        Returns
        -------
        float
            Seconds; 0 if it was never heard.
        """
        last = max((t for _, t in self._heard), default=0.0)
        reached = (t for heard, t in self._heard if heard >= position)
        return last - next(reached, last)

    @cached_property
    def probability(self) -> SpeechProbability:
        """Speech probability by Silero 6.2, from the beginning of the session on.

        One value for each hop that the server had heard; 0 where nothing was recorded.
        """
        first_hop = -(-self.first_sample // SAMPLES_PER_HOP)
        hops = hops_heard(self.end) - first_hop
        if hops < 1:
            return SpeechProbability.from_array(np.zeros(max(0, first_hop)))
        found = speech_probability(self._sound(first_hop))
        p = np.concatenate((np.zeros(first_hop, np.float32), found.p[:hops]))
        return dataclasses.replace(found, p=p)

    def _sound(self, first_hop: int) -> Recording | Clip:
        """What is to be heard, from the start of a hop on."""
        skipped = first_hop * SAMPLES_PER_HOP - self.first_sample
        if not skipped:
            return self
        samples = wave_file.read(self.microphone, skipped)
        return Clip(samples, self.manifest.sample_rate)

    def replay_turns(
        self, settings: ServerVad | SemanticVad | Policy
    ) -> Counterfactual:
        """Find the turns that other settings would have made.

        Parameters
        ----------
        settings : ServerVad, SemanticVad or Policy
            In the place of whatever was in force, wherever turn detection was on.

        Returns
        -------
        Counterfactual
            Those turns beside the ones that were sent: the same, moved, split, merged,
            lost or new; what that does to delay, cut-ins, tokens and dollars.

        Raises
        ------
        ConfigError
            If the settings are of another kind.

        Notes
        -----
        The turn detector of this package is given the recording's speech probability.
        Commits and clears by hand act where they did, and while turn detection was off
        it stays off. The first call listens to the recording, which is kept.
        """
        from rtnb.recording.counterfactual import replay

        return replay(self, settings)

    def check_replica(self) -> ReplicaReport:
        """Compare the server's marks with those that the law of this package expects.

        Returns
        -------
        ReplicaReport
            Every mark beside the expected one, and how near the probability came to
            the level that decided.

        Notes
        -----
        The settings in force at each point count. Marks under ``semantic_vad`` are not
        checked, since its law is not known.
        """
        from rtnb.recording.replica import check

        return check(self)

    # -- being shown -------------------------------------------------------------------

    @override
    def __repr__(self) -> str:
        return f"<Recording {str(self.path)!r}: {self._summary()}>"

    def _summary(self) -> str:
        count = len(self.turns)
        return (
            f"{self.duration:.1f} s, {count} turn{'' if count == 1 else 's'}, "
            f"{self.manifest.provider} {self.model}, {self.cost}"
            + ("" if self.billed else " (not billed)")
        )

    def _repr_html_(self) -> str:
        head = ("turn", "from", "to", "ended by", "you", "answer", "tokens", "cost")
        rows = [
            (
                str(turn.index),
                f"{turn.audio_start_ms / 1000:.2f} s",
                f"{turn.audio_end_ms / 1000:.2f} s",
                turn.ended,
                turn.user_text,
                turn.text,
                "" if turn.usage is None else f"{turn.usage.total_tokens:,}",
                "" if turn.cost is None else str(turn.cost),
            )
            for turn in self.turns
        ]
        words = ("ended by", "you", "answer")
        title = f"Recording {self.path.name}: {self._summary()}"
        return page.table(title, head, rows, words=words, notes=self.notes)


class _Answers(Mapping[str, Clip]):
    """Clips that are read from the file when they are asked for."""

    def __init__(self, path: Path, places: dict[str, list[AudioRef]]) -> None:
        self._path = path
        self._places = places

    @override
    def __getitem__(self, item_id: str) -> Clip:
        pieces = [
            wave_file.read(self._path, ref.start, ref.start + ref.samples)
            for ref in self._places[item_id]
        ]
        return Clip(np.concatenate(pieces), SAMPLE_RATE)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    @override
    def __len__(self) -> int:
        return len(self._places)

    @override
    def __repr__(self) -> str:
        return f"<{len(self)} answers: {', '.join(self._places)}>"
