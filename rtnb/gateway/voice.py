"""Text to speech by espeak-ng, with the time of every word.

The library comes with the optional package ``espeakng-loader`` and is opened by
`ctypes`; without it `Voice.available` is False and speaking raises `MissingExtra`. The
ten voices of the wire are ten audibly different settings of espeak-ng's English voices.

espeak-ng keeps its state in globals: one lock serves all voices of a process. A clause
of ten seconds takes it about 10 ms, so nobody waits long. Its tremor and its breath go
on from one clause to the next, so the library is loaded anew for each, which takes a
millisecond: the same words in the same voice are the same samples, bit for bit.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from rtnb.audio import StreamingResampler, pcm16_decode
from rtnb.errors import EngineError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from rtnb.audio import Samples

SAMPLE_RATE: Final = 24_000
"""Hz of what is spoken; espeak-ng's own 22 050 Hz are resampled."""

SLOWEST_WPM: Final = 80
"""espeak-ng's lower bound, words a minute; slower speech is stretched."""

CHUNK_S: Final = 0.25
"""Length of a piece of speech, seconds: that of an audio delta on the wire."""


@dataclass(frozen=True)
class Word:
    """A word of the text: ``text[start:end]``, spoken from `at_ms` of the whole audio."""

    text: str
    start: int
    end: int
    at_ms: float


@dataclass(frozen=True, eq=False)
class Spoken:
    """A stretch of audio, float32 at 24 kHz, and the words that begin in it."""

    samples: Samples
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Timbre:
    """How espeak-ng sounds like somebody: voice and variant, pitch, pace, range."""

    name: str
    pitch: int
    words_per_minute: int
    range: int


TIMBRES: Final = {
    "alloy": Timbre("gmw/en-US+f3", 50, 168, 50),
    "ash": Timbre("gmw/en-US+m3", 38, 165, 55),
    "ballad": Timbre("gmw/en+m7", 45, 150, 70),
    "cedar": Timbre("gmw/en-US+m5", 30, 155, 45),
    "coral": Timbre("gmw/en-US+f2", 62, 172, 65),
    "echo": Timbre("gmw/en-US+m1", 50, 165, 40),
    "marin": Timbre("gmw/en-US+f1", 58, 165, 60),
    "sage": Timbre("gmw/en+f4", 50, 158, 45),
    "shimmer": Timbre("gmw/en-US+f5", 72, 175, 75),
    "verse": Timbre("gmw/en-GB-x-rp+m4", 55, 170, 80),
}
"""Ten settings whose median pitches, 79 to 256 Hz, are pairwise different."""


LANGUAGES: Final = {
    "de": "gmw/de",
    "es": "roa/es",
    "fr": "roa/fr",
    "it": "roa/it",
    "nl": "gmw/nl",
    "pt": "roa/pt",
}
"""espeak-ng's voices of other languages, by ISO 639-1 code."""


class Voice:
    """The embedded voice.

    Parameters
    ----------
    language : str, optional
        One of `LANGUAGES`, whose sounds it then makes; English by default.

    Notes
    -----
    May be used from any thread; `speak` blocks while it makes a clause.
    """

    def __init__(self, language: str = "") -> None:
        self._language = language

    def in_language(self, language: str) -> Voice:
        """The same voice in another language; in English where it cannot speak that."""
        return Voice(language if language in LANGUAGES else "")

    @property
    def available(self) -> bool:
        """Whether the voice is installed."""
        return importlib.util.find_spec("espeakng_loader") is not None

    def speak(self, text: str, *, voice: str, speed: float = 1.0) -> Generator[Spoken]:
        """Speak a clause.

        Parameters
        ----------
        text : str
            Plain text; markup is read out.
        voice : str
            One of `TIMBRES`.
        speed : float, 0.25 to 1.5
            Pace; durations are divided by it.

        Yields
        ------
        Spoken
            Pieces of at most 250 ms. Closing the generator ends the speech.

        Raises
        ------
        MissingExtra
            If espeak-ng is not installed.
        EngineError
            If there is no such voice, or espeak-ng fails.
        """
        timbre = TIMBRES.get(voice)
        if timbre is None:
            raise EngineError(
                f"there is no voice {voice!r}: choose one of {', '.join(TIMBRES)}"
            )
        if not self.available:
            raise MissingExtra("the embedded voice", "local")
        if self._language:
            variant = timbre.name.partition("+")[2]
            timbre = replace(timbre, name=f"{LANGUAGES[self._language]}+{variant}")
        asked = timbre.words_per_minute * speed
        stretch = max(1.0, SLOWEST_WPM / asked)
        timbre = replace(timbre, words_per_minute=max(SLOWEST_WPM, round(asked)))
        samples, words = _espeak().speak(text, timbre)
        if stretch > 1.0:
            samples = stretched(samples, stretch)
            words = [replace(word, at_ms=word.at_ms * stretch) for word in words]
        yield from _pieces(samples, words)


def _pieces(samples: Samples, words: list[Word]) -> Generator[Spoken]:
    step = round(CHUNK_S * SAMPLE_RATE)
    for start in range(0, len(samples), step):
        stop = start + step
        last = stop >= len(samples)
        inside = tuple(
            word
            for word in words
            if start <= word.at_ms * SAMPLE_RATE / 1000
            and (last or _before(word, stop))
        )
        yield Spoken(samples[start:stop], inside)


def _before(word: Word, stop: int) -> bool:
    return word.at_ms * SAMPLE_RATE / 1000 < stop


def stretched(samples: Samples, factor: float) -> Samples:
    """Speech made longer at its own pitch.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        Speech at 24 kHz.
    factor : float, >= 1
        How many times longer.

    Returns
    -------
    float32 array, shape (about n * factor,)
        The stretched speech.

    Notes
    -----
    WSOLA: windows of 40 ms are laid 20 ms apart, each taken from where the input, within
    ±10 ms of its due place, continues best what was laid before.

    References
    ----------
    .. [1] W. Verhelst, M. Roelands, "An overlap-add technique based on waveform
       similarity (WSOLA) for high quality time-scale modification of speech",
       ICASSP 1993.
    """
    hop = SAMPLE_RATE // 50
    reach = hop // 2
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    padded = np.pad(samples, (reach, 4 * hop + reach))
    count = max(1, int(len(samples) * factor) // hop)
    out = np.zeros((count + 2) * hop, np.float32)
    expected = padded[reach : reach + 2 * hop]
    for index in range(count):
        due = min(int(index * hop / factor), len(samples))
        nearby = padded[due : due + 2 * reach + 2 * hop]
        likeness = np.correlate(nearby, expected, mode="valid")
        at = due + int(np.argmax(likeness))
        out[index * hop : index * hop + 2 * hop] += padded[at : at + 2 * hop] * window
        expected = padded[at + hop : at + 3 * hop]
    return np.clip(out[: count * hop], -1.0, 1.0)


# -- the library -----------------------------------------------------------------------

# Numbers from espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_END_PAUSE = 0x1000  # so that clauses spoken one by one sound like the whole
_RATE, _PITCH, _RANGE = 1, 3, 4
_EVENT_END, _EVENT_WORD = 0, 1
_SEED = 1


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Espeak:
    """The one espeak-ng of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pcm: list[bytes] = []
        self._marks: list[tuple[int, int, int]] = []
        self._callback = _CALLBACK(self._receive)

    @contextmanager
    def _fresh(self) -> Iterator[tuple[ctypes.CDLL, int]]:
        """The library as if it had never spoken, and its sample rate in Hz."""
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            data = espeakng_loader.get_data_path().encode()
            rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT)
            if rate <= 0:
                raise EngineError(f"espeak-ng did not start: code {rate}")
            library.espeak_SetSynthCallback(self._callback)
            library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
            try:
                yield library, rate
            finally:
                library.espeak_Terminate()
        finally:
            _unload(library)

    def speak(self, text: str, timbre: Timbre) -> tuple[Samples, list[Word]]:
        """The whole clause at 24 kHz, and its words."""
        with self._lock, self._fresh() as (library, rate):
            self._pcm, self._marks = [], []
            if library.espeak_SetVoiceByName(timbre.name.encode()) != 0:
                raise EngineError(f"espeak-ng has no voice {timbre.name!r}")
            library.espeak_SetParameter(_RATE, timbre.words_per_minute, 0)
            library.espeak_SetParameter(_PITCH, timbre.pitch, 0)
            library.espeak_SetParameter(_RANGE, timbre.range, 0)
            # A NUL would end the text unread.
            data = text.replace("\0", " ").encode() + b"\0"
            flags = _UTF8 | _END_PAUSE
            code = library.espeak_Synth(data, len(data), 0, 1, 0, flags, None, None)
            if code != 0:
                raise EngineError(f"espeak-ng could not speak: code {code}")
            pcm, marks = b"".join(self._pcm), self._marks
        samples = pcm16_decode(pcm)
        resampler = StreamingResampler(rate, SAMPLE_RATE)
        whole = np.concatenate([resampler(samples), resampler.flush()])
        return whole, _words(text, marks)

    def _receive(self, wave: object, count: int, events: object) -> int:
        """espeak-ng's callback: a buffer of sound and what happens in it."""
        if wave and count > 0:
            self._pcm.append(ctypes.string_at(wave, 2 * count))  # type: ignore[arg-type]
        index = 0
        while (event := events[index]).type != _EVENT_END:  # type: ignore[index]
            if event.type == _EVENT_WORD:
                mark = (event.text_position - 1, event.length, event.audio_position)
                self._marks.append(mark)
            index += 1
        return 0


def _unload(library: ctypes.CDLL) -> None:
    """Let go of a library, so that its globals are forgotten."""
    if sys.platform == "win32":
        unload = ctypes.windll.kernel32.FreeLibrary
    else:
        unload = ctypes.CDLL(None).dlclose
    unload(ctypes.c_void_p(library._handle))  # noqa: SLF001 - no public name


def _words(text: str, marks: list[tuple[int, int, int]]) -> list[Word]:
    """Words in order; each reaches to the next one's beginning, so none is lost."""
    starts = [max(0, min(position, len(text))) for position, _, _ in marks]
    words: list[Word] = []
    for number, (start, (_, _, at_ms)) in enumerate(zip(starts, marks, strict=True)):
        end = starts[number + 1] if number + 1 < len(starts) else len(text)
        end = start + len(text[start:end].rstrip())
        if end > start:
            words.append(Word(text[start:end], start, end, float(at_ms)))
    return words


_ESPEAK = _Espeak()


def _espeak() -> _Espeak:
    return _ESPEAK
