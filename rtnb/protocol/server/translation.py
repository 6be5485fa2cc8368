"""A translation session: what it hears it says in another language, on and on.

Its ears are a conversation's, with turns that nobody outside hears of: a turn is a
sentence, by ``semantic_vad``. Sentences are translated in the order they were spoken in.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from typing_extensions import override

from rtnb.errors import ServerError
from rtnb.protocol import events as ev
from rtnb.protocol import translation as tr
from rtnb.protocol.client import merged
from rtnb.protocol.formats import SAMPLE_RATE, OutputEncoder
from rtnb.protocol.rules import refuse_value
from rtnb.protocol.server.effects import Translate
from rtnb.protocol.server.listening import ListeningMachine
from rtnb.protocol.server.outbox import Outbox, refusal
from rtnb.protocol.server.settings import (
    SESSION_SECONDS,
    Settings,
    check_noise_reduction,
    vad_defaults,
)
from rtnb.protocol.validation import parse_translation_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rtnb.audio import Samples
    from rtnb.protocol.server.transcripts import HeardWord

DEFAULT_LANGUAGE: Final = "es"
"""What is translated into where nothing was said of it; the service's is not known."""

FRAME_MS: Final = 200
"""The step of ``elapsed_ms``: documented."""

PCM: Final = ev.AudioPcm(rate=SAMPLE_RATE)
"""The one format of a translation, in and out."""


class TranslationSettings(Settings):
    """Settings of a translation session.

    Parameters
    ----------
    raw : dict
        The session object as on the wire.
    languages : sequence of str or None
        What can be translated into; None: anything.

    Raises
    ------
    ServerError
        If it is another language.
    """

    def __init__(self, raw: dict[str, Any], languages: Sequence[str] | None) -> None:
        self._languages = languages
        super().__init__(raw)

    @override
    def _typed(self, raw: dict[str, Any]) -> tr.TranslationSession:
        language = raw["audio"]["output"]["language"]
        if self._languages is not None and language not in self._languages:
            path = "session.audio.output.language"
            refuse_value(language, self._languages, path)
        return msgspec.convert(raw, tr.TranslationSession)

    def update(self, patch: dict[str, Any]) -> None:
        """Take an update, or refuse it whole.

        Parameters
        ----------
        patch : dict
            The ``session`` of a ``session.update``.

        Raises
        ------
        ServerError
            If the language is not one that can be translated into, or the noise
            reduction has no type.
        """
        wanted = merged(self.raw, patch)
        check_noise_reduction(wanted)
        self.session = self._typed(wanted)
        self.raw = wanted

    @property
    def language(self) -> str:
        """What is translated into."""
        return str(self.raw["audio"]["output"]["language"])

    @property
    def shows_source(self) -> bool:
        """Whether the client wants to read what was said, too."""
        return self.raw["audio"]["input"]["transcription"] is not None

    @property
    @override
    def turn_detection(self) -> dict[str, Any]:
        """Sentences, as soon as they seem to be over; no setting of the client's."""
        return {**vad_defaults("semantic_vad"), "eagerness": "high"}

    @property
    @override
    def transcription_model(self) -> None:
        """Transcripts are not reported as those of items are."""

    @property
    @override
    def includes_logprobs(self) -> bool:
        """Never."""
        return False

    @override
    def format(self, side: str) -> ev.AudioFormat:
        """PCM16 at 24 kHz."""
        return PCM


class _OwnVocabulary(Outbox):
    """Keeps from the client what the ears say of items and turns."""

    @override
    def emit(self, event: type, **fields: Any) -> None:
        if event is ev.Error or event.__module__ == tr.__name__:
            super().emit(event, **fields)


@dataclass(eq=False)
class _Sentence:
    """Something that was said; None: its words are not known yet."""

    item_id: str
    text: str | None = None
    under_way: bool = False
    told: set[type] = field(default_factory=set)


class TranslationMachine(ListeningMachine):
    """One translation session as the service holds it.

    Parameters
    ----------
    model : str
        Echoed in the session; any name is accepted.
    now : float
        Time of the connection, seconds since the epoch.
    seed : int or None
        Makes identifiers repeatable; None draws them at random.
    session : dict, optional
        Settings as in a ``session.update`` that stand instead of the defaults.
    languages : sequence of str, optional
        What can be translated into; None: anything.

    Raises
    ------
    ServerError
        If `session` cannot be.
    """

    _settings: TranslationSettings
    _updated = tr.SessionUpdated

    def __init__(
        self,
        *,
        model: str,
        now: float,
        seed: int | None = None,
        session: dict[str, Any] | None = None,
        languages: Sequence[str] | None = None,
    ) -> None:
        outbox = _OwnVocabulary(now=now, seed=seed)
        language = DEFAULT_LANGUAGE
        if languages is not None and language not in languages:
            language = languages[0]
        raw = {
            "type": "translation",
            "id": outbox.new_id("sess"),
            "model": model,
            "expires_at": int(now) + SESSION_SECONDS,
            "audio": {
                "input": {"transcription": None, "noise_reduction": None},
                "output": {"language": language},
            },
        }
        settings = TranslationSettings(raw, languages)
        if session:
            settings.update(session)
        super().__init__(outbox, settings)
        self._sentences: deque[_Sentence] = deque()
        self._encoder = OutputEncoder(PCM)
        self._begun: set[type] = set()
        self._closing = False
        self._input.on_turn = self._begin_sentence
        self._outbox.emit(tr.SessionCreated, session=settings.session)

    @property
    @override
    def turn_detection(self) -> None:
        """A translation session has none to set."""

    # -- what the client sends -------------------------------------------------------

    @override
    def _parse(self, message: str | bytes) -> tuple[Any, dict[str, Any]]:
        return parse_translation_event(message)

    @override
    def _all_handlers(self) -> Mapping[type, Callable[[Any], object]]:
        return {
            tr.SessionInputAudioBufferAppend: self._append,
            tr.SessionClose: lambda _: self._close(),
        }

    @override
    def _change_settings(self, patch: dict[str, Any]) -> None:
        self._settings.update(patch)

    def _close(self) -> None:
        """Translate what was said until now, and no more."""
        if self._closing:
            raise refusal("The session is closing already.", None)
        if self._input.hears_speech:
            with suppress(ServerError):  # shorter than any word
                self._input.commit()
                self._begin_sentence()
        self._closing = True
        self._end_if_done()

    @override
    def _append(self, event: Any) -> None:
        if self._closing:
            raise refusal("The session is closing: it hears nothing any more.", None)
        super()._append(event)

    @override
    def end_turn(self, now: float) -> None:
        """There are no turns to end: it translates as it goes."""

    # -- sentences, in order ---------------------------------------------------------

    def _begin_sentence(self) -> None:
        item_id = self._items.last_id
        if item_id is not None:
            self._sentences.append(_Sentence(item_id))

    @override
    def transcribed(
        self, item_id: str, text: str, now: float, words: Sequence[HeardWord] = ()
    ) -> None:
        """The engine recognised a sentence: have it translated when its time comes."""
        self._outbox.now = now
        self._items.delete(ev.ConversationItemDelete(item_id=item_id))
        for sentence in self._sentences:
            if sentence.item_id == item_id:
                sentence.text = text
        self._go_on()

    @override
    def nothing_heard(self, item_id: str, message: str, now: float) -> None:
        """There were no words: there is nothing to translate."""
        self.transcribed(item_id, "", now)

    @override
    def transcription_failed(self, item_id: str, message: str, now: float) -> None:
        """The engine could not recognise a sentence: say so, and go on."""
        self._outbox.now = now
        self._complain(f"What was said could not be understood: {message}")
        self.transcribed(item_id, "", now)

    def _go_on(self) -> None:
        """Have the next sentence translated, unless one is being translated."""
        while self._sentences and self._sentences[0].text == "":
            self._sentences.popleft()
        if self._sentences:
            first = self._sentences[0]
            if first.text is not None and not first.under_way:
                self._have_translated(first, first.text)
        self._end_if_done()

    def _have_translated(self, sentence: _Sentence, text: str) -> None:
        sentence.under_way = True
        if self._settings.shows_source:
            self._tell(tr.SessionInputTranscriptDelta, sentence, text)
        language = self._settings.language
        self._outbox.want(Translate(sentence.item_id, text, language))

    def _end_if_done(self) -> None:
        if self._closing and not self._sentences:
            self._outbox.emit(tr.SessionClosed)

    # -- what the engine answers -----------------------------------------------------

    def write(self, item_id: str, text: str, now: float) -> None:
        """More words of the translation of a sentence."""
        self._outbox.now = now
        self._tell(tr.SessionOutputTranscriptDelta, self._first(item_id), text)

    def play(self, item_id: str, samples: Samples, now: float) -> None:
        """More sound of the translation of a sentence; float32, mono, 24 kHz."""
        self._outbox.now = now
        self._first(item_id)
        self._outbox.emit(
            tr.SessionOutputAudioDelta,
            delta=self._encoder(samples),
            sample_rate=SAMPLE_RATE,
            channels=1,
            format="pcm16",
            elapsed_ms=self._elapsed_ms,
        )

    def finish(self, item_id: str, now: float) -> None:
        """The translation of a sentence is complete."""
        self._outbox.now = now
        self._sentences.remove(self._first(item_id))
        self._go_on()

    def fail(self, item_id: str, message: str, now: float) -> None:
        """The engine could not translate a sentence: say so, and go on."""
        self._outbox.now = now
        self._complain(f"A sentence could not be translated: {message}")
        self.finish(item_id, now)

    def _first(self, item_id: str) -> _Sentence:
        """The sentence that is being translated."""
        first = self._sentences[0]
        if first.item_id != item_id:
            raise ValueError(f"{item_id} is not being translated")
        return first

    def _tell(self, event: type, sentence: _Sentence, text: str) -> None:
        """Say more of a transcript; a space parts its sentences, and nothing else."""
        new = event not in sentence.told
        sentence.told.add(event)
        delta = f" {text}" if new and event in self._begun else text
        self._begun.add(event)
        self._outbox.emit(event, delta=delta, elapsed_ms=self._elapsed_ms)

    @property
    def _elapsed_ms(self) -> int:
        heard_ms = self.samples_appended * 1000 // SAMPLE_RATE
        return heard_ms // FRAME_MS * FRAME_MS

    def _complain(self, message: str) -> None:
        self._outbox.refuse(ServerError(message, type="server_error"))
