"""Sums in words or digits: found in a sentence and worked out exactly.

``"what is two plus three times four"`` is 14. Numbers may be digits (``12``, ``1,000``,
``2.5``) or words (``minus twenty one``, ``two point five``, ``a hundred and five``); the
operators are plus, minus, times, divided by, to the power of and squared, in words
or signs, with the usual precedence and brackets. Nothing is ever evaluated as code.
"""

from __future__ import annotations

import operator
import re
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNITS: Final = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
}
TENS: Final = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
SCALES: Final = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}

LARGEST: Final = 10**15
"""Numbers beyond this are not worked out: nobody listens to so many digits."""

LARGEST_EXPONENT: Final = 64
"""Powers beyond this are not even begun."""

LONGEST_TEXT: Final = 1000
"""Characters in which numbers are looked for."""

DEEPEST: Final = 20
"""Brackets within brackets, and powers of powers."""

Operator = Literal["+", "-", "*", "/", "^", "²", "(", ")"]
Token = Fraction | Operator

_OPERATORS: Final[dict[str, Operator]] = {
    "plus": "+",
    "+": "+",
    "minus": "-",
    "negative": "-",
    "-": "-",
    "−": "-",  # noqa: RUF001 - the minus sign
    "times": "*",
    "multiplied by": "*",
    "x": "*",
    "×": "*",
    "*": "*",
    "divided by": "/",
    "over": "/",
    "/": "/",
    "÷": "/",
    "to the power of": "^",
    "**": "^",
    "^": "^",
    "squared": "²",
    "²": "²",
    "(": "(",
    ")": ")",
}
_SIGN: Final = {"-"}
_SPOKEN: Final[dict[Operator, str]] = {
    "+": "plus",
    "-": "minus",
    "*": "times",
    "/": "divided by",
    "^": "to the power of",
    "²": "squared",
    "(": "(",
    ")": ")",
}
_LEXEME: Final = re.compile(
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)?)"
    r"|(?P<operator>multiplied by|divided by|to the power of|\*\*|[-+−*×/÷^²()])"  # noqa: RUF001
    r"|(?P<word>[a-z]+)"
    r"|(?P<other>[^\s])",
    re.IGNORECASE,
)
_INVERTED: Final = (
    (r"\b(?:add|sum of) (.+?) (?:and|to) (?=[\w(])", r"\1 plus "),
    (r"\b(?:multiply|product of) (.+?) (?:and|by|with) (?=[\w(])", r"\1 times "),
    (r"\bdivide (.+?) by (?=[\w(])", r"\1 divided by "),
)
"""Orders that name the operator first; "subtract" also swaps the numbers."""
_SUBTRACT: Final = re.compile(r"\bsubtract (.+?) from (.+)", re.IGNORECASE)


_HYPHEN: Final = re.compile(
    rf"\b({'|'.join(TENS)})-(?={'|'.join(UNITS)})", re.IGNORECASE
)
_ARTICLE: Final = re.compile(
    r"\ban? (?=hundred|thousand|million|billion)", re.IGNORECASE
)


@dataclass(frozen=True)
class Sum:
    """A sum and what it makes.

    Parameters
    ----------
    text : str
        The sum as understood, to be read aloud: ``"2 plus 3 times 4"``.
    value : fractions.Fraction or None
        Its exact value; None where there is none.
    trouble : str
        Why there is no value; empty where there is one.
    """

    text: str
    value: Fraction | None
    trouble: str = ""

    @property
    def sentence(self) -> str:
        """The whole thing in a sentence, to be read aloud."""
        if self.value is None:
            return f"{self.text} has no answer: {self.trouble}"
        exact = spoken_number(self.value)
        verb = (
            "is" if Fraction(exact.replace("minus ", "-")) == self.value else "is about"
        )
        return f"{self.text} {verb} {exact}"


def numbers_in(text: str) -> list[Fraction]:
    """The numbers of a text, in order, in digits or words.

    Parameters
    ----------
    text : str
        Anything.

    Returns
    -------
    list of fractions.Fraction
        Exact values; a minus sign or word right before a number makes it negative when
        no number stands before the sign.

    Examples
    --------
    >>> [int(n) for n in numbers_in("roll 2 dice with twenty one sides, minus five")]
    [2, 21, -5]
    """
    numbers: list[Fraction] = []
    before: Token | None = None
    negative = False
    for token in _tokens(text):
        if isinstance(token, Fraction):
            numbers.append(-token if negative else token)
        negative = token in _SIGN and not isinstance(before, Fraction)
        before = token
    return numbers


def find_sum(text: str) -> Sum | None:
    """Find a sum in a sentence and work it out.

    Parameters
    ----------
    text : str
        What was said.

    Returns
    -------
    Sum or None
        The longest stretch of the text that is a sum; None if there is none.

    Examples
    --------
    >>> find_sum("what is two plus three times four?").sentence
    '2 plus 3 times 4 is 14'
    >>> find_sum("what is the time?") is None
    True
    """
    tokens = list(_tokens(_reordered(text)))
    found = max(_sums(tokens), key=lambda parser: parser.length, default=None)
    return found.result() if found is not None else None


def spoken_number(value: Fraction) -> str:
    """A number to be read aloud.

    Parameters
    ----------
    value : fractions.Fraction
        Any.

    Returns
    -------
    str
        Its digits, rounded to four decimals, with "minus" before a negative one.

    Examples
    --------
    >>> spoken_number(Fraction(-7, 2)), spoken_number(Fraction(14))
    ('minus 3.5', '14')
    """
    digits = f"{float(abs(value)):.4f}" if value.denominator != 1 else str(abs(value))
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return f"minus {digits}" if value < 0 else digits


def _reordered(text: str) -> str:
    text = _SUBTRACT.sub(r"\2 minus \1", text)
    for pattern, replacement in _INVERTED:
        text = re.sub(pattern, replacement, text, flags=re.IGNORECASE)
    return text


def _read(tokens: list[Token]) -> str:
    words = [
        spoken_number(token) if isinstance(token, Fraction) else _SPOKEN[token]
        for token in tokens
    ]
    return " ".join(words).replace("( ", "(").replace(" )", ")")


def _sums(tokens: list[Token | None]) -> Iterator[_Parser]:
    """Every sum, from left to right; one that touches another number is none."""
    at = 0
    while at < len(tokens):
        parser = _Parser(tokens, at)
        around = [*tokens[max(0, at - 1) : at], *tokens[parser.end : parser.end + 1]]
        if parser.is_sum and not any(isinstance(token, Fraction) for token in around):
            yield parser
        at = max(parser.end, at + 1)


# -- words to tokens -----------------------------------------------------------------


def _tokens(text: str) -> Iterator[Token | None]:
    """Numbers and operators; None for anything else."""
    number = _SpokenNumber()
    text = _ARTICLE.sub("one ", _HYPHEN.sub(r"\1 ", text[:LONGEST_TEXT]))
    for match in _LEXEME.finditer(text):
        lexeme = match[0].lower()
        if number.takes(lexeme):
            continue
        yield from number.done()
        if match["digits"]:
            yield Fraction(lexeme.replace(",", ""))
        elif lexeme in _OPERATORS:
            yield _OPERATORS[lexeme]
        elif not number.takes(lexeme):
            yield None
    yield from number.done()


class _SpokenNumber:
    """The words of one number, as they come."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._total = 0
        self._group = 0
        self._last = 0  # what the last word left room for: 1000, 100, 10 or 1
        self._decimals: list[int] | None = None
        self._begun = False

    def takes(self, word: str) -> bool:
        """Add a word if it goes on with the number; a fresh one takes only a first."""
        if word == "point":
            fits = self._begun and self._decimals is None
            self._decimals = [] if fits else self._decimals
            return fits
        if self._decimals is not None:
            return self._take_decimal(word)
        if word == "and":
            return self._begun and self._last >= 100  # noqa: PLR2004 - a hundred and five
        return self._take_integer(word)

    def _take_decimal(self, word: str) -> bool:
        digit = UNITS.get(word, 10)
        if digit > 9 or self._decimals is None:  # noqa: PLR2004 - a decimal digit
            return False
        self._decimals.append(digit)
        return True

    def _take_integer(self, word: str) -> bool:
        room = self._last if self._begun else 10**12
        if word in UNITS and (room > 10 or (room == 10 and 0 < UNITS[word] < 10)):  # noqa: PLR2004
            self._group += UNITS[word]
            self._last = 2 if 0 < UNITS[word] < 10 else 1  # noqa: PLR2004
        elif word in TENS and room >= 100:  # noqa: PLR2004
            self._group += TENS[word]
            self._last = 10
        elif word == "hundred" and self._begun and 0 < self._group < 10:  # noqa: PLR2004
            self._group *= 100
            self._last = 100
        elif word in SCALES and self._begun and self._group:
            self._total += self._group * SCALES[word]
            self._group = 0
            self._last = 1000
        else:
            return False
        self._begun = True
        return True

    def done(self) -> Iterator[Token]:
        """The number so far, if there is one; then start afresh."""
        if self._begun:
            decimals = "".join(map(str, self._decimals or [])) or "0"
            yield Fraction(f"{self._total + self._group}.{decimals}")
        self._clear()


# -- tokens to a value ---------------------------------------------------------------


class _Parser:
    """The longest sum that begins at a token: recursive descent, no look back.

    Parameters
    ----------
    tokens : list of (Token or None)
        What was said.
    start : int
        Where the sum may begin.
    """

    def __init__(self, tokens: list[Token | None], start: int) -> None:
        self._tokens = tokens
        self._start = start
        self._value: Fraction | None = None
        self._trouble = ""
        self._depth = 0
        self.end = start
        with suppress(_NoNumber):
            self._value = self._sum()

    @property
    def length(self) -> int:
        """Tokens used."""
        return self.end - self._start

    @property
    def is_sum(self) -> bool:
        """Whether a number was found and something is done with it."""
        used = self._tokens[self._start : self.end]
        numbers = sum(isinstance(token, Fraction) for token in used)
        return self._value is not None and (numbers > 1 or "²" in used)

    def result(self) -> Sum:
        """The sum in words, and its value."""
        used = [
            token for token in self._tokens[self._start : self.end] if token is not None
        ]
        value = None if self._trouble else self._value
        return Sum(_read(used), value, self._trouble)

    def _take(self, *wanted: Operator) -> Operator | None:
        if self.end < len(self._tokens):
            token = self._tokens[self.end]
            if (
                token is not None
                and not isinstance(token, Fraction)
                and token in wanted
            ):
                self.end += 1
                return token
        return None

    def _sum(self) -> Fraction:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Fraction:
        return self._chain(self._signed, "*", "/")

    def _chain(self, part: Callable[[], Fraction], *operators: Operator) -> Fraction:
        value = part()
        while operator := self._take(*operators):
            before = self.end - 1
            try:
                value = self._apply(operator, value, part())
            except _NoNumber:
                self.end = before  # "two plus three plus": the last word is not used
                break
        return value

    def _signed(self) -> Fraction:
        negative = False
        while self._take("-"):
            negative = not negative
        value = self._power()
        return -value if negative else value

    def _power(self) -> Fraction:
        value = self._atom()
        while self._take("²"):
            value = self._apply("^", value, Fraction(2))
        if self._take("^"):
            value = self._apply("^", value, self._deeper(self._signed))
        return value

    def _atom(self) -> Fraction:
        if self._take("("):
            value = self._deeper(self._sum)
            if not self._take(")"):
                raise _NoNumber
            return value
        token = self._tokens[self.end] if self.end < len(self._tokens) else None
        if not isinstance(token, Fraction):
            raise _NoNumber
        self.end += 1
        return token

    def _deeper(self, part: Callable[[], Fraction]) -> Fraction:
        if self._depth == DEEPEST:
            raise _NoNumber
        self._depth += 1
        value = part()
        self._depth -= 1
        return value

    def _apply(self, operator: Operator, left: Fraction, right: Fraction) -> Fraction:
        """Work it out; where that cannot be done note why and go on with the left."""
        try:
            value = _OPERATIONS[operator](left, right)
        except ZeroDivisionError:
            self._trouble = "nothing can be divided by zero"
            return left
        except OverflowError:
            value = Fraction(LARGEST + 1)
        if abs(value) > LARGEST or value.denominator > LARGEST:
            self._trouble = "the number is too large to say"
            return left
        return value


class _NoNumber(Exception):  # noqa: N818 - not an error: the sum ends here
    """There is no number where one had to be."""


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > LARGEST_EXPONENT:
        raise OverflowError
    return base ** int(exponent)


_OPERATIONS: Final[dict[Operator, Callable[[Fraction, Fraction], Fraction]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": _power,
}
