"""What the user is heard to say: transcripts, as they are written and at their end.

Some models write while they listen. Their words are reported as soon as they have stood
for a while, and what was reported stands: the rest of the transcript goes on from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from rtnb.protocol import events as ev
from rtnb.protocol.formats import SAMPLE_RATE
from rtnb.protocol.server.effects import Draft
from rtnb.usage import (
    TranscriptionDuration,
    TranscriptionTokenDetails,
    TranscriptionTokens,
    estimate_text_tokens,
    user_audio_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtnb.protocol.server.items import Items
    from rtnb.protocol.server.outbox import Outbox
    from rtnb.protocol.server.settings import Settings
    from rtnb.usage import TranscriptionUsage

DIARIZING_MODEL: Final = "gpt-4o-transcribe-diarize"
"""The model that says who speaks when."""

LANGUAGE_MODEL: Final = "gpt-transcribe"
"""The model that says which languages it heard."""

SPEAKER: Final = "spk_1"
"""The one speaker that there is; named as in the API reference."""

DRAFT_SAMPLES: Final = SAMPLE_RATE // 5
"""A draft is asked for after every 200 ms of new audio."""

LEAST_PROBABILITY: Final = 1e-9
"""What a probability of zero is taken for, so that it has a logarithm."""


@dataclass(frozen=True)
class HeardWord:
    """A word that was recognised.

    Parameters
    ----------
    text : str
        As it is written.
    start_s, end_s : float
        Where it is in the item's audio, seconds.
    probability : float or None
        0 to 1: that it was this word; None where the recogniser does not say.
    """

    text: str
    start_s: float
    end_s: float
    probability: float | None = None

    @property
    def middle_s(self) -> float:
        """What tells it from its neighbours, though they may have moved a little."""
        return (self.start_s + self.end_s) / 2


@dataclass(eq=False)
class _Draft:
    """What was reported of an item that is not finished."""

    said: list[str] = field(default_factory=list)
    said_until_s: float = 0.0
    heard: int = 0
    asked_at: int = 0
    asked: bool = False


class Transcripts:
    """What was recognised of the user's items, and what is reported of it.

    Parameters
    ----------
    outbox : Outbox
        Where events and effects go.
    settings : Settings
        Whether transcripts are wanted, by which model, and with what.
    items : Items
        Whose transcripts these are.
    """

    def __init__(self, outbox: Outbox, settings: Settings, items: Items) -> None:
        self._outbox = outbox
        self._settings = settings
        self._items = items
        self._drafts: dict[str, _Draft] = {}

    # -- while it is spoken ----------------------------------------------------------

    @property
    def live(self) -> bool:
        """Whether words are wanted before the audio is committed."""
        return self._settings.writes_live

    def follow(self, item_id: str, samples: int) -> None:
        """So many more samples of an item were heard: ask for the words so far."""
        if not self.live:
            return
        draft = self._drafts.setdefault(item_id, _Draft())
        draft.heard += samples
        if not draft.asked and draft.heard - draft.asked_at >= DRAFT_SAMPLES:
            draft.asked, draft.asked_at = True, draft.heard
            self._outbox.want(Draft(item_id, draft.heard / SAMPLE_RATE))

    def drafted(self, asked: Draft, words: Sequence[HeardWord]) -> None:
        """Report the words of a draft that have stood for as long as they must."""
        draft = self._drafts.get(asked.item_id)
        if draft is None:
            return
        draft.asked = False
        until = asked.heard_s - self._settings.transcription_delay
        for word in words:
            if word.middle_s < draft.said_until_s:
                continue
            if word.end_s > until:
                break
            self._say(asked.item_id, draft, word.text)
            draft.said_until_s = word.end_s
        self.follow(asked.item_id, 0)

    def forget(self, item_id: str) -> None:
        """The item will never be."""
        self._drafts.pop(item_id, None)

    # -- at its end ------------------------------------------------------------------

    def transcribed(
        self, item_id: str, text: str, words: Sequence[HeardWord] = ()
    ) -> None:
        """Keep what the engine recognised, and report it if asked to.

        Parameters
        ----------
        item_id : str
            Of the user's item.
        text : str
            All of it.
        words : sequence of HeardWord
            One for each word of `text`; empty where nothing more is known of them.
        """
        draft = self._drafts.pop(item_id, _Draft())
        entry = self._items.get(item_id)
        if entry is None:
            return
        texts = text.split(" ") if text else []
        goes_on = continuation(draft.said, texts)
        text = " ".join([*draft.said, *texts[goes_on:]])
        self._items.hear(item_id, text)
        if self._settings.transcription_model is None or not entry.reported:
            return
        known = words if len(words) == len(texts) else ()
        stood = [
            word
            for one, word in zip(draft.said, known[:goes_on], strict=False)
            if one == word.text
        ]
        for index in range(goes_on, len(texts)):
            self._say(item_id, draft, texts[index], known[index : index + 1])
        self._report(item_id, text, [*stood, *known[goes_on:]], entry.audio_ms)

    def _report(
        self, item_id: str, text: str, words: Sequence[HeardWord], audio_ms: float
    ) -> None:
        """Say that the transcript is complete."""
        model = self._settings.transcription_model
        where: dict[str, Any] = {"item_id": item_id, "content_index": 0}
        if model == DIARIZING_MODEL and text:
            self._outbox.emit(
                ev.ConversationItemInputAudioTranscriptionSegment,
                **where,
                id=self._outbox.new_id("seg"),
                text=text,
                speaker=SPEAKER,
                start=words[0].start_s if words else 0.0,
                end=words[-1].end_s if words else audio_ms / 1000,
            )
        self._outbox.emit(
            ev.ConversationItemInputAudioTranscriptionCompleted,
            **where,
            transcript=text,
            usage=usage_of(model or "", text, audio_ms),
            logprobs=self._logprobs(words),
            languages=[] if model == LANGUAGE_MODEL else UNSET,
        )

    def not_transcribed(self, item_id: str, message: str) -> None:
        """Report that the engine could not recognise the item, if asked to."""
        self._drafts.pop(item_id, None)
        entry = self._items.get(item_id)
        unknown = entry is None or not entry.reported
        if unknown or self._settings.transcription_model is None:
            return
        self._outbox.emit(
            ev.ConversationItemInputAudioTranscriptionFailed,
            item_id=item_id,
            content_index=0,
            error=ev.TranscriptionError(
                type="transcription_error",
                code="audio_unintelligible",
                message=message,
            ),
        )

    def _say(
        self, item_id: str, draft: _Draft, word: str, heard: Sequence[HeardWord] = ()
    ) -> None:
        """Report one more word."""
        delta = f" {word}" if draft.said else word
        draft.said.append(word)
        self._outbox.emit(
            ev.ConversationItemInputAudioTranscriptionDelta,
            item_id=item_id,
            content_index=0,
            delta=delta,
            logprobs=self._logprobs(heard),
            obfuscation=self._outbox.obfuscation(delta),
        )

    def _logprobs(self, words: Sequence[HeardWord]) -> Any:
        """What is known of the words' probabilities, if it was asked for."""
        if not self._settings.includes_logprobs:
            return UNSET
        return [
            ev.LogProb(
                token=word.text,
                logprob=math.log(max(word.probability, LEAST_PROBABILITY)),
                bytes=list(word.text.encode()),
            )
            for word in words
            if word.probability is not None
        ]


def continuation(said: Sequence[str], words: Sequence[str]) -> int:
    """Where words go on that were reported in part, and perhaps otherwise.

    Parameters
    ----------
    said : sequence of str
        Words that were reported and stand.
    words : sequence of str
        What is heard now, from the beginning.

    Returns
    -------
    int
        How many of `words` those that were said stand for: of all beginnings the one
        with the least edit distance, the longest of these.

    Examples
    --------
    >>> continuation(["he", "was", "until"], "he was an ill disposed".split())
    3
    >>> continuation([], ["he"])
    0
    """
    row = list(range(len(words) + 1))
    for number, one in enumerate(said, 1):
        diagonal, row[0] = row[0], number
        for index, other in enumerate(words, 1):
            above = row[index]
            row[index] = min(above + 1, row[index - 1] + 1, diagonal + (one != other))
            diagonal = above
    return max(range(len(row)), key=lambda length: (-row[length], length))


def usage_of(model: str, text: str, audio_ms: float) -> TranscriptionUsage:
    """What a transcription costs, in the unit its model is billed by.

    Parameters
    ----------
    model : str
        Of the transcription.
    text : str
        What it wrote.
    audio_ms : float
        Length of the audio.

    Returns
    -------
    TranscriptionTokens or TranscriptionDuration
        Tokens for the gpt-4o models; whole seconds, rounded up, for all others.

    Examples
    --------
    >>> usage_of("whisper-1", "hello", 2200.0).seconds
    3
    """
    if not model.startswith("gpt-4o"):
        return TranscriptionDuration(seconds=math.ceil(audio_ms / 1000))
    heard, written = user_audio_tokens(audio_ms), estimate_text_tokens(text)
    return TranscriptionTokens(
        total_tokens=heard + written,
        input_tokens=heard,
        input_token_details=TranscriptionTokenDetails(audio_tokens=heard),
        output_tokens=written,
    )
