"""Which tool the user's words name, and with which arguments: guesses, not a model.

A tool is named when a word of its name is said (``get_weather`` by "weather"), or two
words of its description. Its arguments come from the JSON schema and the words: numbers
in their order, members of an enumeration, quoted words, what stands after the
parameter's own name or after "in", "for", "to" and their like, capitalised words.
Days and hours are counted from the day of the request, numbers must be in their range,
and what has a form (an address, a pattern) must have it. A required string for which
nothing is found gets what is left of the sentence; anything else that is required, the
least that its schema allows. So the arguments nearly always obey the schema, and the same
words give the same ones.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from rtnb.gateway.arithmetic import LONGEST_TEXT, numbers_in
from rtnb.gateway.moments import find_day, find_time
from rtnb.gateway.schemas import (
    DEEPEST,
    USUAL,
    allows,
    choices_of,
    count_of,
    kind_of,
    least,
    number_as,
    properties_of,
    required_of,
    resolved,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from fractions import Fraction

    from rtnb.protocol.events import FunctionTool

STOP_WORDS: Final = frozenset(
    """a about after all am an and any are as at be been by can could current did do does
    for from get give given go had has have he her here his how i if in into is it its
    just let like look make me my need new no not now of off on one or our out please
    return returns run see set she show so some take tell than that the their them then
    there these they this to today tool up use used user using want was we were what
    when where which who why will with would you your function call fetch find""".split()  # noqa: SIM905 - to be read, not to be counted
)
"""Words that name nothing."""

NAME_WEIGHT: Final = 3
"""A word of the name counts as much as so many of the description."""

ENOUGH: Final = 2
"""The least score that names a tool."""

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_QUOTED: Final = re.compile(r"[\"“]([^\"“”]+)[\"”]|(?<!\w)'([^']+)'(?!\w)")
_PREPOSITIONS: Final = "in|for|to|from|at|near|of|about|on|with|called|named"
_PHRASE: Final = re.compile(
    rf"\b(?:{_PREPOSITIONS})\s+(?:the\s+)?(.+?)"
    rf"(?=\s+(?:{_PREPOSITIONS}|and|or|please|today|tomorrow|now|right now)\b|[,;.!?]|$)",
    re.IGNORECASE,
)
_CAPITALISED: Final = re.compile(r"(?<=[^.!?]\s)[A-Z][\w'-]*(?:\s+[A-Z][\w'-]*)*")
_OFF: Final = re.compile(
    r"\b(?:off|no|not|don't|false|disable|without|stop|close)\b", re.I
)
_THING: Final = (
    r"(?:(?:a|an|the|some|\d+|two|three|four|five|six|seven|eight|nine|ten)\s+)?[\w'-]+"
)
_ROW: Final = re.compile(
    rf"{_THING}(?:,\s*{_THING})*,?\s+(?:and|or)\s+{_THING}|{_THING}(?:,\s*{_THING})+",
    re.IGNORECASE,
)
_ROW_GAP: Final = re.compile(r",?\s+(?:and|or)\s+|,\s*", re.IGNORECASE)
_AT: Final = re.compile(r"\s+at\s+(?=[\w-]+(?:\s+dot\s+|\.)\w)", re.IGNORECASE)
_DOT: Final = re.compile(r"(?<=\w)\s+dot\s+(?=\w)", re.IGNORECASE)
_FORMS: Final = {
    "email": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "uri": r"\b[a-z][a-z0-9+.-]*://[^\s,;\"']+",
    "url": r"\b[a-z][a-z0-9+.-]*://[^\s,;\"']+",
    "uuid": r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b",
    "ipv4": r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
    "phone": r"\+?\d[\d ()-]{4,}\d",
}
"""Texts of a form, by the ``format`` of their schema."""
_NOTHING: Final = object()
"""No value; None is one."""
_NO_DAY: Final = (2026, 1, 1)
"""Where days are counted from when nobody says which day it is."""
_PROPER: Final = frozenset(
    {"city", "country", "destination", "location", "name", "person", "place", "town"}
)
"""Parameters whose values begin with a capital, which a recogniser does not write."""


def named_tools(text: str, tools: Sequence[FunctionTool]) -> list[FunctionTool]:
    """The tools that a sentence names.

    Parameters
    ----------
    text : str
        What the user said.
    tools : sequence of FunctionTool
        Those of the session.

    Returns
    -------
    list of FunctionTool
        The best first; one more for each that is named by other words than those before
        ("the time and the weather").
    """
    said = stems(text)
    left = list(tools)
    named: list[FunctionTool] = []
    while left:
        best = max(left, key=lambda tool: _score(tool, said))
        if _score(best, said) < ENOUGH:
            break
        named.append(best)
        left.remove(best)
        said -= stems(_spaced(best.name)) | stems(_described(best))
    return named


def guess_arguments(
    text: str, tool: FunctionTool, *, today: date | None = None
) -> dict[str, Any]:
    """Arguments for a tool, from the user's words.

    Parameters
    ----------
    text : str
        What the user said.
    tool : FunctionTool
        Its `parameters` are a JSON schema.
    today : datetime.date, optional
        From which "tomorrow" is counted.

    Returns
    -------
    dict
        A value for every parameter that is required or that the words seem to give.
    """
    schema = tool.parameters if isinstance(tool.parameters, dict) else {}
    return guess_object(text, schema, tool_words=_spaced(tool.name), today=today)


def guess_object(
    text: str,
    schema: Mapping[str, Any],
    *,
    tool_words: str = "",
    today: date | None = None,
) -> dict[str, Any]:
    """An object of a schema, from words; see `guess_arguments`.

    Parameters
    ----------
    text : str
        What the user said.
    schema : mapping
        JSON schema of an object; ``$ref`` within it and ``allOf`` are followed.
    tool_words : str
        Words that are of no parameter's value.
    today : datetime.date, optional
        From which "tomorrow" is counted.

    Returns
    -------
    dict
        A value for every property that is required or that the words seem to give.
    """
    whole = resolved(schema, schema)
    return _Guess(text, stems(tool_words), schema, today).of_object(whole)


def fit(value: Any, schema: Any) -> Any:
    """A text made into the type that a parameter wants, where it can be.

    Parameters
    ----------
    value : object
        Anything; only strings are changed.
    schema : object
        JSON schema of the parameter.

    Returns
    -------
    object
        A number or a truth value, or `value` itself.
    """
    if not isinstance(value, str):
        return value
    match kind_of(schema):
        case "integer" | "number" as kind:
            numbers = numbers_in(value)
            return number_as(numbers[0], kind) if numbers else value
        case "boolean":
            return not _OFF.search(value)
        case _:
            return value


def schema_of(tool: FunctionTool, parameter: str) -> Any:
    """The JSON schema of one parameter; an empty one if the tool does not tell.

    Parameters
    ----------
    tool : FunctionTool
        Where.
    parameter : str
        Which.

    Returns
    -------
    object
        Usually a dictionary.
    """
    schema = tool.parameters if isinstance(tool.parameters, dict) else {}
    return properties_of(schema).get(parameter, {})


def _score(tool: FunctionTool, said: set[str]) -> int:
    name = stems(_spaced(tool.name))
    return NAME_WEIGHT * len(name & said) + len((stems(_described(tool)) - name) & said)


def _described(tool: FunctionTool) -> str:
    return tool.description if isinstance(tool.description, str) else ""


def _spaced(name: str) -> str:
    return re.sub(r"[_\-.]+", " ", _CAMEL.sub(" ", name))


def stems(text: str) -> set[str]:
    """The words of a text that name something, without their endings.

    Parameters
    ----------
    text : str
        A sentence.

    Returns
    -------
    set of str
        In lower case.

    Examples
    --------
    >>> sorted(stems("Roll the dice"))
    ['dice', 'roll']
    """
    words = (word.lower() for word in _WORD.findall(text))
    return {_stem(word) for word in words if word not in STOP_WORDS}


def _stem(word: str) -> str:
    for ending, rest in (("ies", "y"), ("ing", ""), ("es", "e"), ("s", ""), ("ed", "")):
        if word.endswith(ending) and len(word) - len(ending) > 2:  # noqa: PLR2004
            return word.removesuffix(ending) + rest
    return word


class _Guess:
    """The words of one sentence, which are used up by the arguments one after another."""

    def __init__(
        self,
        text: str,
        tool_words: set[str],
        root: Mapping[str, Any],
        today: date | None,
    ) -> None:
        text = self._text = text[:LONGEST_TEXT]
        self._tool_words = tool_words
        self._root = root
        self._today = today or date(*_NO_DAY)
        self._day = find_day(text, self._today)
        self._time = find_time(text)
        self._numbers = numbers_in(text)
        self._strings = list(self._phrases())

    def of_object(self, schema: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
        required = required_of(schema)
        guesses = {}
        for name, inner in properties_of(schema).items():
            wanted = name in required
            value = self._value(name, inner, required=wanted, depth=depth)
            if value is not _NOTHING:
                guesses[name] = value
        return guesses

    def _value(self, name: str, schema: Any, *, required: bool, depth: int) -> Any:
        facts = resolved(schema, self._root)
        value = _NOTHING
        if choices := choices_of(facts):
            value = self._chosen(choices)
        elif depth <= DEEPEST:
            value = self._said(name, facts, required=required, depth=depth)
        return self._least(facts, depth) if value is _NOTHING and required else value

    def _least(self, schema: Any, depth: int) -> Any:
        return least(schema, self._root, text=self._text, depth=depth)

    def _said(
        self, name: str, schema: dict[str, Any], *, required: bool, depth: int
    ) -> Any:
        match kind_of(schema):
            case "integer" | "number" as kind:
                return self._number(name, schema, kind)
            case "boolean":
                return self._truth(name, required=required)
            case "array":
                return self._several(name, schema, depth)
            case "object":
                return self.of_object(schema, depth + 1) or _NOTHING
            case "string":
                return self._text_for(name, schema, required=required)
            case _:
                return _NOTHING

    def _chosen(self, choices: list[Any]) -> Any:
        """The member of an enumeration that is said first."""
        said = self._all_chosen(choices)
        return said[0] if said else _NOTHING

    def _all_chosen(self, choices: list[Any]) -> list[Any]:
        places = {}
        for choice in choices:
            words = re.escape(_spaced(str(choice))).replace(r"\ ", r"[\s_-]+")
            if found := re.search(rf"(?<!\w){words}(?!\w)", self._text, re.IGNORECASE):
                places[found.start(), -found.end()] = choice
            elif isinstance(choice, int | float) and choice in numbers_in(self._text):
                places[len(self._text), len(places)] = choice
        return [places[place] for place in sorted(places)]

    def _number(self, name: str, schema: dict[str, Any], kind: str) -> Any:
        """The number beside the parameter's name, else the next that is in its range."""
        fitting = [one for one in self._numbers if allows(schema, one, kind)]
        beside = [one for one in self._beside(name) if one in fitting]
        for number in (*beside, *fitting):
            self._numbers.remove(number)
            return number_as(number, kind)
        return _NOTHING

    def _beside(self, name: str) -> list[Fraction]:
        """Numbers before and after the words of a parameter's name."""
        own = stems(_spaced(name))
        words = self._text.split()
        for place, word in enumerate(words):
            if stems(word) & own:
                before = numbers_in(" ".join(words[max(0, place - 3) : place]))
                after = numbers_in(" ".join(words[place + 1 : place + 5]))
                return [*before[-1:], *after[:1]]
        return []

    def _truth(self, name: str, *, required: bool) -> Any:
        if required or stems(_spaced(name)) & stems(self._text):
            return not _OFF.search(self._text)
        return _NOTHING

    def _several(self, name: str, schema: dict[str, Any], depth: int) -> Any:
        items = resolved(schema.get("items"), self._root)
        found = self._items(name, items, depth)
        if schema.get("uniqueItems"):
            found = [one for at, one in enumerate(found) if one not in found[:at]]
        missing = (count_of(schema, "minItems") or 0) - len(found)
        if found and missing > 0:
            found += [self._least(items, depth + 1)] * missing
        return found[: count_of(schema, "maxItems")] or _NOTHING

    def _items(self, name: str, items: dict[str, Any], depth: int) -> list[Any]:
        if choices := choices_of(items):
            return self._all_chosen(choices)
        match kind_of(items):
            case "integer" | "number" as kind:
                numbers = [n for n in self._numbers if allows(items, n, kind)]
                self._numbers = [n for n in self._numbers if n not in numbers]
                return [number_as(number, kind) for number in numbers]
            case "object":
                one = self._value("", items, required=False, depth=depth + 1)
                return [] if one is _NOTHING else [one]
            case "string" if "format" not in items:
                return [_proper(name, one) for one in self._listed()]
            case _:
                one = self._value(name, items, required=False, depth=depth + 1)
                return [] if one is _NOTHING else [one]

    def _listed(self) -> list[str]:
        """Things in a row: "milk, bread and two eggs"."""
        if found := _ROW.search(self._text):
            row = _ROW_GAP.split(found[0])
            self._strings = [one for one in self._strings if one not in found[0]]
            row = [re.sub(r"^(?:the|a|an|some)\s+", "", one.strip()) for one in row]
            return [one for one in row if one]
        strings, self._strings = self._strings or (self._rest() or "").split(), []
        return strings

    def _text_for(self, name: str, schema: dict[str, Any], *, required: bool) -> Any:
        moment = self._moment(name, schema)
        if moment is not None:
            return moment
        form = str(schema.get("format"))
        if form in _FORMS:
            found = re.search(_FORMS[form], _AT.sub("@", _DOT.sub(".", self._text)))
            return found[0] if found else _NOTHING
        if isinstance(pattern := schema.get("pattern"), str):
            return self._patterned(pattern)
        if form in USUAL:
            return self._today.isoformat() if form == "date" and required else _NOTHING
        text = self._string(name, required=required)
        if text is None or len(text) < (count_of(schema, "minLength") or 0):
            return _NOTHING
        return text[: count_of(schema, "maxLength")]

    def _moment(self, name: str, schema: dict[str, Any]) -> str | None:
        """A day or an hour, where the parameter is for one and the words have one."""
        form = schema.get("format")
        told = f"{schema.get('description', '')}".upper()
        own = set(_spaced(name).lower().split())
        if form == "date-time" and (self._day or self._time):
            day = self._day.value if self._day else self._today.isoformat()
            return f"{day}T{self._time.value if self._time else '00:00'}:00Z"
        if self._day and (
            form == "date" or "YYYY-MM-DD" in told or (not form and "date" in own)
        ):
            return self._day.value
        if self._time and (
            form == "time" or "HH:MM" in told or (not form and "time" in own)
        ):
            return f"{self._time.value}:00Z" if form == "time" else self._time.value
        return None

    def _patterned(self, pattern: str) -> Any:
        """What of the words has the form of a pattern."""
        inner = re.sub(r"^\^|\$$", "", pattern)
        try:
            for text in (self._text, self._text.upper(), self._text.lower()):
                if found := re.search(rf"(?<!\w)(?:{inner})(?!\w)", text):
                    return found[0]
        except re.error:
            pass
        return _NOTHING

    def _string(self, name: str, *, required: bool) -> str | None:
        label = re.escape(_spaced(name))
        after = re.search(
            rf"\b{label}\s+(?:is\s+|to\s+|of\s+|called\s+|named\s+)?(\w+)",
            self._text,
            re.I,
        )
        if label and after and after[1].lower() not in STOP_WORDS:
            return _proper(name, after[1])
        if not self._strings:
            return self._rest() if required else None
        return _proper(name, self._strings.pop(0))

    def _phrases(self) -> Iterable[str]:
        """Stretches of the sentence that may be a string, the likeliest first."""
        quoted = [one or other for one, other in _QUOTED.findall(self._text)]
        after = [
            phrase for phrase in _PHRASE.findall(self._text) if self._names(phrase)
        ]
        capitals = _CAPITALISED.findall(self._text)
        return dict.fromkeys(
            quoted or after or [word for word in capitals if word != "I"]
        )

    def _names(self, phrase: str) -> bool:
        """Whether it says something beside the tool's own name, a number or a day."""
        own = bool(stems(phrase) - self._tool_words)
        moments = (find_day(phrase, self._today), find_time(phrase))
        return own and not numbers_in(phrase) and not any(moments)

    def _rest(self) -> str | None:
        """What is left of the sentence without the tool's name and words like "the"."""
        words = [
            word
            for word in _WORD.findall(self._text)
            if word.lower() not in STOP_WORDS
            and _stem(word.lower()) not in self._tool_words
        ]
        return " ".join(words) or None


def _proper(name: str, value: str) -> str:
    """A name with capitals, as one writes it, where the parameter is for names."""
    if value.islower() and _PROPER & set(_spaced(name).lower().split()):
        return value.title()
    return value
