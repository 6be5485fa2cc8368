"""Ears that say how likely the words so far end a sentence.

pocketsphinx writes down what is said; its own language model, which looks at three
words, says how likely a sentence ends after the last two. A word that no sentence ends
with ("and", "the", "um") settles it.

The recogniser is of demonstration quality: English, close microphone, little noise. It
does not hear a voice fall, and a clause that could stand alone ("when I came home last
night") passes for a sentence.
"""

from __future__ import annotations

import importlib.util
import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rtnb.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_RATE: Final = 16_000
"""Hz that the recogniser listens at."""

ADAPT_BYTES: Final = 2 * SAMPLE_RATE
"""The first second sets the cepstral mean of the rest: a voice and a microphone differ
from those that pocketsphinx was trained with."""

LARGEST_BEAM: Final = 3000
"""States followed at once. pocketsphinx's own 30 000 take three times the work (0.28 s
instead of 0.10 s for a second of speech) and understood no word of 47 clips better."""

STEP_BYTES: Final = 3200

OPTIONS: Final[dict[str, Any]] = {
    "samprate": SAMPLE_RATE,
    "loglevel": "FATAL",
    # The second pass costs 60 ms at the end of every turn.
    "fwdflat": False,
    "maxhmmpf": LARGEST_BEAM,
}
"""Settings of a decoder."""

_OPEN_WORDS: Final = (
    "a an the my your our their every and or but because if unless although than of "
    "um uh er erm"
)
OPEN_WORDS: Final = frozenset(_OPEN_WORDS.split())
"""Words that leave a sentence open. The trigrams know most of them, but give an "um" an
end as likely as a name's."""

OVER, OPEN = -1.5, -3.5
"""ln P of a sentence's end that is taken for certain, and the one for impossible; in
between the score is a straight line. Its middle, -2.5, is passed by 95 % of 100 finished
sentences and 10 % of 100 unfinished ones that flite spoke (rms and slt) and pocketsphinx
wrote down; the area under the curve is 0.97. Of clauses that could stand alone, 0.61."""

FRAMES_PER_S: Final = 100
"""pocketsphinx counts time in frames of 10 ms."""

_FILLER: Final = re.compile(r"[<\[+]")
_VARIANT: Final = re.compile(r"\(\d+\)$")

_LOG_BASE: Final = math.log(1.0001)
"""pocketsphinx counts in powers of 1.0001."""


class TimedWord(NamedTuple):
    """A word of an utterance.

    Parameters
    ----------
    text : str
        As the dictionary spells it.
    start_s, end_s : float
        Where it is, seconds from the beginning of the utterance.
    probability : float
        0 to 1, once the utterance is over: its share of all paths that pocketsphinx
        still thought possible. Before that 0.
    """

    text: str
    start_s: float
    end_s: float
    probability: float


def available() -> bool:
    """Whether the recogniser is installed."""
    return importlib.util.find_spec("pocketsphinx") is not None


def end_probability(words: Sequence[str], language_model: Any) -> float | None:
    """How likely words end a sentence.

    Parameters
    ----------
    words : sequence of str
        As the dictionary spells them.
    language_model : pocketsphinx.NGramModel
        Trigrams.

    Returns
    -------
    float or None
        From 0 to 1; None without words.
    """
    if not words:
        return None
    if words[-1] in OPEN_WORDS:
        return 0.0
    before = words[-2] if len(words) > 1 else "<s>"
    ln_p: float = _LOG_BASE * language_model.prob(["</s>", words[-1], before])
    return min(1.0, max(0.0, (ln_p - OPEN) / (OVER - OPEN)))


class Listener:
    """Ears for one utterance after the other, which can be asked how it stands.

    Parameters
    ----------
    others : pocketsphinx.Decoder
        Decoders that listen too, made with `OPTIONS`.

    Attributes
    ----------
    open : pocketsphinx.Decoder
        The one with the open vocabulary.

    Raises
    ------
    MissingExtra
        If pocketsphinx is not installed.

    Notes
    -----
    Asking changes nothing: the words at the end are the same. Only within the first
    second it has the decoders begin early, with less to adapt to.
    """

    def __init__(self, *others: Any) -> None:
        if not available():
            raise MissingExtra("speech recognition", "local")
        from pocketsphinx import Decoder

        self.open = Decoder(**OPTIONS)
        self._decoders = (self.open, *others)
        self._language_model = self.open.get_lm("_default")
        self._waiting = b""
        self._listening = False

    def hear(self, data: bytes) -> None:
        """Take audio as it is spoken: PCM16, 16 kHz."""
        self._waiting += data
        if self._listening or len(self._waiting) >= ADAPT_BYTES:
            self._catch_up()

    def judge(self) -> float | None:
        """How likely the words so far end a sentence; None where there are none."""
        if not self._waiting and not self._listening:
            return None
        self._catch_up()
        return end_probability(_words(self.open), self._language_model)

    def draft(self) -> list[list[TimedWord]]:
        """The words so far of each decoder; none before they have begun."""
        if not self._listening:
            return [[] for _ in self._decoders]
        return [timed_words(decoder) for decoder in self._decoders]

    def end(self) -> list[list[TimedWord]]:
        """End the utterance; what each decoder heard, its own words first."""
        if not self._listening and not self._waiting:
            return [[] for _ in self._decoders]
        self._catch_up()
        self._end()
        return [timed_words(decoder) for decoder in self._decoders]

    def forget(self) -> None:
        """Drop the utterance."""
        self._waiting = b""
        if self._listening:
            self._end()

    def _end(self) -> None:
        for decoder in self._decoders:
            decoder.end_utt()
        self._listening = False

    def _catch_up(self) -> None:
        """Listen to what waits."""
        if not self._listening:
            self._begin()
        for start in range(0, len(self._waiting), STEP_BYTES):
            for decoder in self._decoders:
                decoder.process_raw(self._waiting[start : start + STEP_BYTES])
        self._waiting = b""

    def _begin(self) -> None:
        """Adapt the decoders to the first second and begin their utterance."""
        first = self._waiting[:ADAPT_BYTES]
        self.open.start_utt()
        self.open.process_raw(first, no_search=True, full_utt=True)
        self.open.end_utt()
        mean = self.open.get_cmn(update=False)
        for decoder in self._decoders:
            decoder.set_cmn(mean)
            decoder.start_utt()
        self._listening = True


def _words(decoder: Any) -> list[str]:
    guess = decoder.hyp()
    return guess.hypstr.split() if guess else []


def timed_words(decoder: Any) -> list[TimedWord]:
    """The words that a decoder hears, without silences and noises."""
    return [
        TimedWord(
            _VARIANT.sub("", one.word),
            one.start_frame / FRAMES_PER_S,
            (one.end_frame + 1) / FRAMES_PER_S,
            min(1.0, max(0.0, one.prob)),
        )
        for one in decoder.seg() or ()
        if not _FILLER.match(one.word) and one.word != "(NULL)"
    ]
