"""What the user says: audio in, marks of speech, and the items that come of it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.audio import NoiseReducer
from rtnb.errors import AudioFormatError
from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE, InputDecoder
from rtnb.protocol.server.effects import Forget, Hear, JudgePause, Listen, Recognise
from rtnb.protocol.server.items import Entry, Items
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.vad import (
    Judge,
    SemanticVad,
    ServerVad,
    SpeechStarted,
    SpeechStopped,
    StreamingVad,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtnb.audio import Samples
    from rtnb.audio.noise_reduction import Field
    from rtnb.protocol.server.responses import Response
    from rtnb.protocol.server.settings import Settings
    from rtnb.protocol.server.transcripts import Transcripts
    from rtnb.vad.semantic import Mark

DETECTION_MS: Final = 100
"""What is kept beyond the prefix in silence: speech shows at the end of a 32 ms hop."""

SHORTEST_COMMIT_MS: Final = 100
"""The service's own bound, named in its error text."""

JUDGE_PATIENCE_S: Final = 1.0
"""How long the engine has to judge a pause, once it could have heard the words at the
speed of speech. It takes a tenth of a second; audio sent faster than that takes longer."""


class InputBuffer:
    """Audio appended and not yet committed; positions are samples since the start."""

    def __init__(self) -> None:
        self.start = 0
        self._chunks: deque[Samples] = deque()
        self._length = 0

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self.start + self._length

    def append(self, samples: Samples) -> None:
        """Add at the end."""
        self._chunks.append(samples)
        self._length += len(samples)

    def read(self, start: int, stop: int) -> Samples:
        """The samples of ``[start, stop)`` that are still here."""
        whole = self._whole()
        return whole[max(0, start - self.start) : max(0, stop - self.start)]

    def drop_before(self, position: int) -> None:
        """Forget everything before `position`."""
        while self._chunks and self.start + len(self._chunks[0]) <= position:
            gone = len(self._chunks.popleft())
            self.start += gone
            self._length -= gone
        if self._chunks and self.start < position:
            cut = position - self.start
            self._chunks[0] = self._chunks[0][cut:]
            self.start += cut
            self._length -= cut
        if not self._chunks:
            self.start = max(self.start, position)

    def _whole(self) -> Samples:
        if len(self._chunks) > 1:
            self._chunks = deque([np.concatenate(self._chunks)])
        return self._chunks[0] if self._chunks else np.zeros(0, np.float32)


@dataclass(eq=False)
class Speech:
    """The speech going on: its future item, positions in samples, when it was noticed."""

    item_id: str
    start: int
    heard: int
    noticed_at: float


class InputAudio:
    """The ears: buffer, turn detector, idle timer.

    Parameters
    ----------
    outbox : Outbox
        Where events and effects go.
    settings : Settings
        Format, turn detection and transcription in force.
    items : Items
        Where user items go.
    transcripts : Transcripts
        Who is told what is heard.

    Attributes
    ----------
    on_interruption : callable
        Called when the user begins to speak, where turn detection is to interrupt.
    on_turn : callable
        Called when the user has finished, or is silent for too long, where turn
        detection is to have that answered.
    """

    def __init__(
        self,
        outbox: Outbox,
        settings: Settings,
        items: Items,
        transcripts: Transcripts,
    ) -> None:
        self._outbox = outbox
        self._settings = settings
        self._items = items
        self._transcripts = transcripts
        self.on_interruption: Callable[[], object] = lambda: None
        self.on_turn: Callable[[], object] = lambda: None
        self._buffer = InputBuffer()
        self._decoder = InputDecoder(settings.format("input"))
        self._field: Field | None = None
        self._reducer: NoiseReducer | None = None
        self._position = 0
        # The detector hears every sample of the session, whatever the settings: its
        # state is never reset, and the page always has a probability to draw.
        self._vad = StreamingVad(ServerVad())
        self._vad_settings: ServerVad | SemanticVad | None = None
        self._speech: Speech | None = None
        self._asked: tuple[JudgePause, float] | None = None
        self._idle: tuple[float, int] | None = None
        self._probabilities: list[tuple[int, Samples]] = []
        self._appended: list[tuple[int, Samples]] = []
        self.follow_settings()

    def take_probabilities(self) -> list[tuple[int, Samples]]:
        """Speech probabilities since the last call: (first hop, one per 32 ms hop)."""
        taken, self._probabilities = self._probabilities, []
        return taken

    def take_audio(self) -> list[tuple[int, Samples]]:
        """Input audio since the last call: (position of its first sample, samples)."""
        taken, self._appended = self._appended, []
        return taken

    @property
    def samples_appended(self) -> int:
        """Audio time of the session, in samples at 24 kHz."""
        return self._position

    @property
    def hears_speech(self) -> bool:
        """Whether somebody is speaking, or a live model is listening."""
        return self._speech is not None

    # -- settings --------------------------------------------------------------------

    def follow_settings(self) -> None:
        """Obey the effective settings, mid-speech if need be."""
        self._decoder.follow(self._settings.format("input"))
        self._follow_noise_reduction()
        if self._idle_s is None:
            self._idle = None
        settings = self._settings.detector
        if settings == self._vad_settings:
            return
        while self._asked is not None:  # what was heard until now is the old settings'
            self._judged(None)
        if settings is None or self._vad_settings is None:
            self._abandon_speech()
        self._vad_settings = settings
        if settings is None:
            self._idle = None
        else:
            self._vad.settings = settings

    def _follow_noise_reduction(self) -> None:
        field = self._settings.noise_reduction
        if field != self._field:
            self._flush_reducer()
            self._field = field
            self._reducer = None if field is None else NoiseReducer(field)

    def _flush_reducer(self) -> None:
        """Hear what the noise reduction withholds."""
        if self._reducer is not None:
            self._listen(self._reducer.flush())

    def _abandon_speech(self) -> None:
        if self._speech is not None:
            self._transcripts.forget(self._speech.item_id)
            self._outbox.want(Forget(self._speech.item_id))
        self._vad.reset_segment()
        self._speech = self._asked = None

    # -- audio in --------------------------------------------------------------------

    def decode(self, audio: bytes) -> Samples:
        """The samples of an append, in the wire's format.

        Raises
        ------
        ServerError
            If it is no audio.
        """
        try:
            return self._decoder(audio)
        except AudioFormatError as error:
            raise refusal(str(error), "invalid_value", param="audio") from error

    def append(self, samples: Samples) -> None:
        """Take audio of the user; float32, mono, 24 kHz, any length."""
        self._appended.append((self._position, samples))
        self._position += len(samples)
        self._listen(samples if self._reducer is None else self._reducer(samples))

    def _listen(self, samples: Samples) -> None:
        self._buffer.append(samples)
        marks = self._vad.push(samples)
        probabilities = self._vad.take_probabilities()
        if len(probabilities):
            first = self._vad.hops - len(probabilities)
            self._probabilities.append((first, probabilities))
        if self._vad_settings is not None:
            self._follow_speech(marks)
            return
        self._vad.reset_segment()
        if self._transcripts.live:
            self._hear_all()

    def _hear_all(self) -> None:
        """Without turn detection, what a live model hears begins with the buffer."""
        if self._speech is None:
            item_id, start = self._outbox.new_id("item"), self._buffer.start
            self._speech = Speech(item_id, start, start, noticed_at=self._outbox.now)
            self._outbox.want(Listen(item_id))
        self._hear(self._speech, self._buffer.end)

    def _follow_speech(self, marks: Iterable[Mark]) -> None:
        for mark in marks:
            match mark:
                case SpeechStarted(audio_start_ms):
                    self._speech_started(audio_start_ms)
                case SpeechStopped(audio_end_ms):
                    self._speech_stopped(audio_end_ms)
                case Judge(audio_end_ms):
                    self._ask(audio_end_ms)
        if self._speech is None:
            idle_from = math.inf if self._idle is None else samples_of(self._idle[1])
            self._buffer.drop_before(int(min(self._onset_from, idle_from)))
        elif self._asked is None:
            self._hear(self._speech, self._buffer.end)

    @property
    def _onset_from(self) -> int:
        """Where speech would begin that is noticed now."""
        kept = samples_of(self._vad.detector.prefix_ms + DETECTION_MS)
        return max(self._buffer.start, self._buffer.end - kept)

    def _hear(self, speech: Speech, until: int) -> None:
        if until > speech.heard:
            samples = self._buffer.read(speech.heard, until)
            self._outbox.want(Hear(speech.item_id, samples))
            speech.heard = until
            self._transcripts.follow(speech.item_id, len(samples))

    def _speech_started(self, audio_start_ms: int) -> None:
        item_id = self._outbox.new_id("item")
        start = max(self._buffer.start, samples_of(audio_start_ms))
        self._speech = Speech(item_id, start, heard=start, noticed_at=self._outbox.now)
        self._idle = None
        self._outbox.emit(
            ev.InputAudioBufferSpeechStarted,
            audio_start_ms=audio_start_ms,
            item_id=item_id,
        )
        self._outbox.want(Listen(item_id))
        if self._settings.detects("interrupt_response"):
            self.on_interruption()

    def _speech_stopped(self, audio_end_ms: int) -> None:
        speech, self._speech = self._speech, None
        if speech is None:
            return
        stop = samples_of(audio_end_ms)
        self._outbox.emit(
            ev.InputAudioBufferSpeechStopped,
            audio_end_ms=audio_end_ms,
            item_id=speech.item_id,
        )
        self._hear(speech, stop)
        self._make_item(speech.item_id, self._buffer.read(speech.start, stop))
        self._buffer.drop_before(stop)
        if self._settings.detects("create_response"):
            self.on_turn()

    # -- pauses ----------------------------------------------------------------------

    def _ask(self, audio_end_ms: int) -> None:
        """Have the engine judge a pause, by exactly what was heard until then."""
        speech = self._speech
        if speech is None:
            return
        end = samples_of(audio_end_ms)
        self._hear(speech, end)
        pause = JudgePause(speech.item_id, audio_end_ms)
        self._outbox.want(pause)
        spoken_by = speech.noticed_at + (end - speech.start) / SAMPLE_RATE
        self._asked = pause, max(self._outbox.now, spoken_by) + JUDGE_PATIENCE_S

    def judged(self, pause: JudgePause, probability: float | None) -> bool:
        """The engine judged a pause; false if nobody asks about it any more."""
        if self._asked is None or self._asked[0] != pause:
            return False
        self._judged(probability)
        return True

    def _judged(self, probability: float | None) -> None:
        self._asked = None
        self._follow_speech(self._vad.judged(probability))

    # -- committed, cleared ----------------------------------------------------------

    def commit(self) -> str:
        """Make the buffered audio a user item; returns its id.

        Raises
        ------
        ServerError
            If less than 100 ms is buffered.
        """
        self._flush_reducer()
        start, stop = self._buffer.start, self._buffer.end
        if self._speech is not None:
            start = self._speech.start
        elif self._vad_settings is not None:
            start = self._onset_from
        ms = 1000 * (stop - start) / SAMPLE_RATE
        if ms < SHORTEST_COMMIT_MS:
            raise refusal(
                "Error committing input audio buffer: buffer too small. Expected at "
                f"least 100ms of audio, but buffer only has {ms:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
            )
        samples = self._buffer.read(start, stop)
        speech, self._speech, self._asked = self._speech, None, None
        if speech is not None:
            item_id = speech.item_id
            self._hear(speech, stop)
            self._vad.reset_segment()
        else:
            item_id = self._outbox.new_id("item")
            self._outbox.want(Listen(item_id), Hear(item_id, samples))
        self._make_item(item_id, samples)
        self._buffer.drop_before(stop)
        return item_id

    def _make_item(self, item_id: str, samples: Samples) -> None:
        previous = self._items.last_id
        self._outbox.emit(
            ev.InputAudioBufferCommitted, previous_item_id=previous, item_id=item_id
        )
        item = ev.MessageItem(
            id=item_id,
            status="completed",
            role="user",
            content=[ev.InputAudio(transcript=None)],
        )
        self._items.set(item_id, Entry(item, samples))
        self._items.announce(item, previous)
        self._outbox.want(Recognise(item_id))

    def clear(self) -> None:
        """Drop the buffered audio."""
        self._flush_reducer()
        self._abandon_speech()
        self._buffer.drop_before(self._buffer.end)
        self._outbox.emit(ev.InputAudioBufferCleared)

    # -- time ------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `tick` must be called at the latest, seconds since the epoch."""
        idle = self._idle_deadline
        judge_by = math.inf if self._asked is None else self._asked[1]
        return min(idle, judge_by)

    def tick(self) -> None:
        """Let time pass: judgements that do not come, and the idle timeout."""
        now = self._outbox.now
        if self._asked is not None and now >= self._asked[1]:
            self._judged(None)
        if self._idle is not None and now >= self._idle_deadline:
            self._idle_timeout(self._idle[1])

    @property
    def _idle_s(self) -> float | None:
        """How long nobody may speak after an answer; None: as long as they like."""
        timeout = (self._settings.turn_detection or {}).get("idle_timeout_ms")
        return None if timeout is None else timeout / 1000

    @property
    def _idle_deadline(self) -> float:
        if self._idle is None or self._idle_s is None:
            return math.inf
        return self._idle[0] + self._idle_s

    def stop_idle(self) -> None:
        """Something happens: nobody is idle."""
        self._idle = None

    def start_idle(self, response: Response) -> None:
        """Start the idle timer: it runs from the end of the answer's playback."""
        if self._idle_s is None or self._speech is not None:
            return
        playback = response.playback_s
        start_ms = self._buffer.end * 1000 // SAMPLE_RATE + round(1000 * playback)
        self._idle = (self._outbox.now + playback, start_ms)

    def _idle_timeout(self, start_ms: int) -> None:
        self._idle = None
        item_id = self._outbox.new_id("item")
        end = self._buffer.end
        end_ms = max(start_ms, end * 1000 // SAMPLE_RATE)
        self._outbox.emit(
            ev.InputAudioBufferTimeoutTriggered,
            audio_start_ms=start_ms,
            audio_end_ms=end_ms,
            item_id=item_id,
        )
        samples = self._buffer.read(samples_of(start_ms), end)
        self._outbox.want(Listen(item_id), Hear(item_id, samples))
        self._make_item(item_id, samples)
        self._buffer.drop_before(end)
        if self._settings.detects("create_response"):
            self.on_turn()


def samples_of(ms: int) -> int:
    """Samples that last so long."""
    return ms * SAMPLE_RATE // 1000
