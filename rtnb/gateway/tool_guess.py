"""Which tool the user's words name, and with which arguments: guesses, not a model.

A tool is named when a word of its name is said (``get_weather`` by "weather"), or two
words of its description. Its arguments come from the JSON schema and the words: numbers
in their order, members of an enumeration, quoted words, what stands after the
parameter's own name or after "in", "for", "to" and their like, capitalised words.
A required string for which nothing is found gets what is left of the sentence.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rtnb.gateway.arithmetic import numbers_in

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
    said = _stems(text)
    left = list(tools)
    named: list[FunctionTool] = []
    while left:
        best = max(left, key=lambda tool: _score(tool, said))
        if _score(best, said) < ENOUGH:
            break
        named.append(best)
        left.remove(best)
        said -= _stems(_spaced(best.name)) | _stems(_described(best))
    return named


def guess_arguments(text: str, tool: FunctionTool) -> dict[str, Any]:
    """Arguments for a tool, from the user's words.

    Parameters
    ----------
    text : str
        What the user said.
    tool : FunctionTool
        Its `parameters` are a JSON schema.

    Returns
    -------
    dict
        A value for every parameter that is required or that the words seem to give.
    """
    schema = tool.parameters if isinstance(tool.parameters, dict) else {}
    return _Guess(text, _stems(_spaced(tool.name))).of_object(schema)


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
    match _kind(schema):
        case "integer" | "number" as kind:
            numbers = numbers_in(value)
            return _number(numbers[0], kind) if numbers else value
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
    return _properties(schema).get(parameter, {})


def _score(tool: FunctionTool, said: set[str]) -> int:
    name = _stems(_spaced(tool.name))
    return NAME_WEIGHT * len(name & said) + len(
        (_stems(_described(tool)) - name) & said
    )


def _described(tool: FunctionTool) -> str:
    return tool.description if isinstance(tool.description, str) else ""


def _spaced(name: str) -> str:
    return re.sub(r"[_\-.]+", " ", _CAMEL.sub(" ", name))


def _stems(text: str) -> set[str]:
    words = (word.lower() for word in _WORD.findall(text))
    return {_stem(word) for word in words if word not in STOP_WORDS}


def _stem(word: str) -> str:
    for ending, rest in (("ies", "y"), ("ing", ""), ("es", "e"), ("s", ""), ("ed", "")):
        if word.endswith(ending) and len(word) - len(ending) > 2:  # noqa: PLR2004
            return word.removesuffix(ending) + rest
    return word


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def _kind(schema: Any) -> str:
    """The JSON type of a schema; the first that is not null where there are several."""
    if not isinstance(schema, dict):
        return "string"
    for variant in schema.get("anyOf", ()) or schema.get("oneOf", ()):
        if _kind(variant) != "null":
            return _kind(variant)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "string")
    return kind if isinstance(kind, str) else "string"


def _number(value: Fraction, kind: str) -> int | float:
    return int(value) if kind == "integer" or value.denominator == 1 else float(value)


class _Guess:
    """The words of one sentence, which are used up by the arguments one after another."""

    def __init__(self, text: str, tool_words: set[str]) -> None:
        self._text = text
        self._tool_words = tool_words
        self._numbers = numbers_in(text)
        self._strings = list(self._phrases())

    def of_object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        required = schema.get("required") or ()
        guesses = {}
        for name, inner in _properties(schema).items():
            value = self._value(name, inner, required=name in required)
            if value is not None:
                guesses[name] = value
        return guesses

    def _value(self, name: str, schema: Any, *, required: bool) -> Any:
        facts = schema if isinstance(schema, dict) else {}
        value = self._said(name, facts, required=required)
        if value is None and required:
            value = self._fallback(facts)
        return value

    def _said(self, name: str, schema: dict[str, Any], *, required: bool) -> Any:
        if isinstance(choices := _choices(schema), list):
            return self._chosen(choices)
        match _kind(schema):
            case "integer" | "number" as kind:
                return _number(self._numbers.pop(0), kind) if self._numbers else None
            case "boolean":
                return self._truth(name, required=required)
            case "array":
                return self._several(name, schema.get("items"))
            case "object":
                return self.of_object(schema) or None
            case _:
                return self._string(name, required=required)

    def _fallback(self, schema: dict[str, Any]) -> Any:
        if "default" in schema:
            return schema["default"]
        if isinstance(choices := _choices(schema), list):
            return choices[0]
        match _kind(schema):
            case "integer" | "number":
                return schema.get("minimum", 0)
            case "array":
                return []
            case "object":
                return {}
            case _:
                return self._text

    def _chosen(self, choices: list[Any]) -> Any:
        """The member of an enumeration that is said first."""
        places = {}
        for choice in choices:
            words = re.escape(_spaced(str(choice))).replace(r"\ ", r"[\s_-]+")
            if found := re.search(rf"(?<!\w){words}(?!\w)", self._text, re.IGNORECASE):
                places[found.start()] = choice
        return places[min(places)] if places else None

    def _truth(self, name: str, *, required: bool) -> bool | None:
        if required or _stems(_spaced(name)) & _stems(self._text):
            return not _OFF.search(self._text)
        return None

    def _several(self, name: str, schema: Any) -> list[Any] | None:
        if _kind(schema) in {"integer", "number"}:
            numbers, self._numbers = self._numbers, []
            return [_number(number, _kind(schema)) for number in numbers] or None
        strings, self._strings = self._strings or (self._rest() or "").split(), []
        return [_proper(name, string) for string in strings] or None

    def _string(self, name: str, *, required: bool) -> str | None:
        label = re.escape(_spaced(name))
        after = re.search(
            rf"\b{label}\s+(?:is\s+|to\s+|of\s+|called\s+|named\s+)?(\w+)",
            self._text,
            re.I,
        )
        if after and after[1].lower() not in STOP_WORDS:
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
        """Whether it says something beside the tool's own name."""
        return bool(_stems(phrase) - self._tool_words) and not numbers_in(phrase)

    def _rest(self) -> str | None:
        """What is left of the sentence without the tool's name and words like "the"."""
        words = [
            word
            for word in _WORD.findall(self._text)
            if word.lower() not in STOP_WORDS
            and _stem(word.lower()) not in self._tool_words
        ]
        return " ".join(words) or None


def _choices(schema: dict[str, Any]) -> list[Any] | None:
    choices = schema.get("enum")
    if not choices and "const" in schema:
        choices = [schema["const"]]
    return choices if isinstance(choices, list) and choices else None


def _proper(name: str, value: str) -> str:
    """A name with capitals, as one writes it, where the parameter is for names."""
    if value.islower() and _PROPER & set(_spaced(name).lower().split()):
        return value.title()
    return value
