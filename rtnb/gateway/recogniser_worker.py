"""A speech recogniser in a process of its own, driven over standard input and output.

Started by `rtnb.gateway.recogniser`; ends when its standard input does. Frames in are
one kind byte and a little-endian u32 length, then the bytes; lines out are JSON.

.. code-block:: text

    P  phrases, JSON list of strings   → {"ready": true}   (first of all, once)
    A  audio, PCM16 mono 16 kHz        → nothing
    J  how does it stand? u32 number   → {"judged": number, "probability": … or null}
    D  what is heard so far? u32 number → {"drafted": number, "words": …}
    E  end of the utterance            → {"text": …, "words": …}
    C  forget the utterance            → nothing

A word is a list of its text, its start and end in seconds, and its probability.

Two decoders listen at once. One knows only the phrases that the script answers to, the
other pocketsphinx's open vocabulary. The phrase is believed where both heard nearly the
same phones; otherwise the open words stand, which are of demonstration quality.
"""

from __future__ import annotations

import contextlib
import json
import re
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from rtnb.vad.listener import OPTIONS, Listener, TimedWord

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER: Final = struct.Struct("<cI")
PHRASES, AUDIO, JUDGE, DRAFT, END, CANCEL = b"P", b"A", b"J", b"D", b"E", b"C"
NUMBER: Final = struct.Struct("<I")

AGREEMENT: Final = 0.45
"""Most by which the phones of phrase and open words may differ, as a share. Measured on
flite's slt and rms: of 102 lines of the tutorial understood rightly all but one differed
by 0.42 at most; of 67 other sentences one differed by less, in its last word only (a
city that the phrases do not know), and the rest by 0.50 at least."""


class Ears(Listener):
    """The two decoders.

    Parameters
    ----------
    phrases : iterable of str
        What the script answers to, with ``( | )``, ``[ ]`` and ``<number>`` as in its
        examples. One with a word that pocketsphinx cannot pronounce is left out.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        from pocketsphinx import Decoder

        closed = Decoder(lm=None, **OPTIONS)
        super().__init__(closed)
        spoken = [phrase for phrase in map(plain, phrases) if self._speakable(phrase)]
        self._complete = re.compile("|".join(map(pattern, spoken)) or "(?!)")
        closed.add_jsgf_string("phrases", grammar(spoken or ["hello"]))
        closed.activate_search("phrases")

    def understand(self) -> list[TimedWord]:
        """End the utterance; its words."""
        free, phrase = self.end()
        if self._complete.fullmatch(f"{_text(phrase)} ") is None:
            return free  # the closed decoder may stop in the middle of a phrase
        return self._believed(free, phrase)

    def understood(self) -> list[TimedWord]:
        """The words so far; the utterance goes on."""
        return self._believed(*self.draft())

    def _believed(
        self, free: list[TimedWord], phrase: list[TimedWord]
    ) -> list[TimedWord]:
        difference = self._difference(_text(phrase), _text(free))
        return phrase if phrase and difference <= AGREEMENT else free

    def _speakable(self, phrase: str) -> bool:
        words = re.findall(r"[a-z']+", phrase.replace("<number>", "one"))
        return bool(words) and all(map(self._phones, words))

    def _phones(self, text: str) -> list[str]:
        phones: list[str] = []
        for word in text.split():
            known = self.open.lookup_word(re.sub(r"\(\d+\)", "", word))
            phones += known.split() if known else []
        return phones

    def _difference(self, phrase: str, free: str) -> float:
        one, other = self._phones(phrase), self._phones(free)
        return edit_distance(one, other) / max(len(one), len(other), 1)


def _text(words: Iterable[TimedWord]) -> str:
    return " ".join(word.text for word in words)


NUMBERS: Final = {
    "unit": "one | two | three | four | five | six | seven | eight | nine",
    "teen": "ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen "
    "| seventeen | eighteen | nineteen",
    "tens": "twenty | thirty | forty | fifty | sixty | seventy | eighty | ninety",
    "small": "<unit> | <teen> | <tens> [<unit>]",
    "number": "zero | <small> | (a | <unit>) (hundred | thousand) [[and] <small>]",
}
"""What ``<number>`` stands for in a phrase."""

_TOKEN: Final = re.compile(r"<[a-z]+>|[a-z']+|[()|\[\]]")


def plain(phrase: str) -> str:
    """A phrase as the dictionary spells it: lower case, no punctuation."""
    return " ".join(_TOKEN.findall(phrase.lower()))


def grammar(phrases: Iterable[str]) -> str:
    """The phrases as a JSGF grammar."""
    rules = "".join(f"<{name}> = {rule};\n" for name, rule in NUMBERS.items())
    return (
        f"#JSGF V1.0;\ngrammar phrases;\n{rules}"
        f"public <phrase> = {' | '.join(phrases)};\n"
    )


def pattern(phrase: str) -> str:
    """The phrase as a regular expression, in which a space follows every word."""
    signs = {"(": "(?:", ")": ")", "[": "(?:", "]": ")?", "|": "|"}
    parts = [
        pattern(NUMBERS[token[1:-1]])
        if token[0] == "<"
        else signs.get(token, f"{token} ")
        for token in _TOKEN.findall(phrase)
    ]
    return f"(?:{''.join(parts)})"


def edit_distance(one: list[str], other: list[str]) -> int:
    """Insertions, deletions and replacements that turn one list into the other."""
    row = list(range(len(other) + 1))
    for i, mine in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, theirs in enumerate(other, 1):
            above = row[j]
            row[j] = min(above + 1, row[j - 1] + 1, diagonal + (mine != theirs))
            diagonal = above
    return row[-1]


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer frames until the source ends."""
    ears: Ears | None = None
    while len(header := source.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(header)
        body = source.read(length)
        if kind == PHRASES:
            ears = Ears(json.loads(body))
            _say(sink, {"ready": True})
        elif ears is None:
            raise ValueError("the phrases come first")
        elif kind == AUDIO:
            ears.hear(body)
        elif kind == JUDGE:
            (number,) = NUMBER.unpack(body)
            _say(sink, {"judged": number, "probability": ears.judge()})
        elif kind == DRAFT:
            (number,) = NUMBER.unpack(body)
            _say(sink, {"drafted": number, "words": ears.understood()})
        elif kind == END:
            words = ears.understand()
            _say(sink, {"text": _text(words), "words": words})
        elif kind == CANCEL:
            ears.forget()


def _say(sink: BinaryIO, message: dict[str, Any]) -> None:
    sink.write(json.dumps(message).encode() + b"\n")
    sink.flush()


if __name__ == "__main__":
    # unbuffered, so nothing is left to write when nobody reads any more
    with (
        open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as output,
        contextlib.suppress(BrokenPipeError),
    ):
        serve(sys.stdin.buffer, output)
