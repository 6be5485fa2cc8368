r"""A responder made of rules in a TOML file.

A script is a list of rules; the first one that applies answers. ::

    [[rule]]
    name = "greeting"                        # for error messages
    match = ["^(hello|hi)\\b", "good morning"]
    then = ["Hello! I heard you for {heard_seconds} seconds."]
    examples = ["hello", "good morning"]     # taught to the recogniser

    [[rule]]
    match = "weather in (?P<city>\\w+)"
    then = [
        "Let me look.",
        { wait = 0.5 },
        { call = "get_weather", arguments = { city = "{city}" } },
    ]

    [[rule]]
    on = "tool_result"
    then = "It says: {result}"

    [[rule]]                                 # no match: takes what is left
    then = "I know nothing about that."

``on``
    The situation: ``"words"`` (the default; the user said or typed something),
    ``"tool_result"`` (functions have given results; the rules are gone through for each
    result in turn), ``"no_words"`` (there was audio but no words in it),
    ``"nothing"`` (an answer was asked for without anything to answer).
``match``
    One regular expression, or several of which one must be found, in the user's words;
    on a tool result in the function's name, and where there are no words in the reason
    for that. Case does not matter. The words are
    normalised first: straight quotes, single spaces, no punctuation at the end. A rule
    without ``match`` always fits.
``then``
    One action or a list of them, done in order. A string is said. Tables are
    ``{ say = "…" }``, ``{ wait = seconds }`` and ``{ call = "tool", arguments = {…} }``;
    without ``arguments`` they are guessed from the words. An empty list is silence.
``examples``
    Phrases that a user may say, for the recogniser and for ``{examples}``: lower-case
    words, ``(a | b)`` for either, ``[a]`` for perhaps, ``<number>`` for any number
    word.

Strings may hold these names in braces (a brace itself is written twice), and the names
of the groups of the rule's own patterns:

``{heard}``           the user's words
``{heard_seconds}``   length of the user's audio, such as ``2.9``
``{why}``             why there are no words
``{time}`` ``{date}`` ``{day}``   ``2:30 PM``, ``20 November 2026``, ``Friday``
``{image}``           size and main colour of the images that the user or a function shows
``{sum}``             a sum in the user's words and what it makes
``{previous}``        what was answered last
``{earlier}``         what the user said before
``{instructions}``    the session's instructions
``{tools}``           names of the session's functions
``{tool}``            the function that the words name, or whose result it is
``{result}``          a function's result, to be read aloud
``{examples}``        the first example of every rule that has some

*A rule applies when its situation is there, its pattern fits, everything it names has a
value, and everything it calls may be called.* So one with ``{sum}`` applies only to
sums, one with ``{image}`` only to images, one with ``{heard_seconds}`` only to speech, and one that calls a function only
where the session has it and ``tool_choice`` allows it. ``call = "{tool}"`` calls every
function that the words name. When nothing applies the answer is silence.

Where ``tool_choice`` demands a call (``"required"``, or one function) and the rule makes
none such, the function that the words name best, or the first, or the one demanded, is
called instead with guessed arguments.
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rtnb.errors import ConfigError
from rtnb.gateway.arithmetic import find_sum
from rtnb.gateway.responder import Pause, ToolCall
from rtnb.gateway.rules import Call, Rule, RuleReader, Say
from rtnb.gateway.sight import seen, shows_image
from rtnb.gateway.tool_guess import fit, guess_arguments, named_tools, schema_of
from rtnb.protocol.events import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputText,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
    McpCallItem,
    MessageItem,
    OutputAudio,
    OutputText,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rtnb.gateway.responder import Piece, Request
    from rtnb.gateway.rules import Action, Situation
    from rtnb.protocol.events import FunctionTool

_PLAIN: Final = re.compile(r"[a-z' ]+")
_QUOTES: Final = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"'})  # noqa: RUF001


class _NoValueError(LookupError):
    """A name has no value in this situation: the rule does not apply."""


@dataclass(frozen=True)
class Script:
    """A responder that follows rules; the module says how they are written.

    Parameters
    ----------
    rules : tuple of Rule
        In the order in which they are tried.

    Examples
    --------
    >>> script = Script.parse('''
    ... [[rule]]
    ... match = "^hello"
    ... then = "Hello to you!"
    ... ''')
    >>> script.rules[0].name
    'rule 1'
    """

    rules: tuple[Rule, ...]

    @classmethod
    def load(cls, path: str | Path | None = None) -> Script:
        """Read a script.

        Parameters
        ----------
        path : str, Path or None
            A TOML file; None for the tutorial that comes with the package.

        Returns
        -------
        Script
            Ready to answer.

        Raises
        ------
        ConfigError
            If the file cannot be read, is not TOML, or a rule cannot be: names the file,
            the rule and the way out.
        """
        if path is None:
            tutorial = resources.files("rtnb.gateway").joinpath("scripts/tutorial.toml")
            return cls.parse(tutorial.read_text("utf-8"), source="the tutorial script")
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the script {path} cannot be read ({error}): "
                "give the path of a TOML file, in UTF-8"
            ) from error
        return cls.parse(text, source=str(path))

    @classmethod
    def parse(cls, text: str, *, source: str = "the script") -> Script:
        """Read a script from its text.

        Parameters
        ----------
        text : str
            TOML.
        source : str
            What to call it in error messages.

        Returns
        -------
        Script
            Ready to answer.

        Raises
        ------
        ConfigError
            See `load`.
        """
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(
                f"{source} is not TOML ({error}): in patterns write \\\\b for \\b, "
                "or put them between single quotes"
            ) from error
        if unknown := sorted(content.keys() - {"rule"}):
            raise ConfigError(
                f"{source} has {unknown[0]!r} at its top, but a script is a list "
                "of [[rule]] tables"
            )
        tables = content.get("rule")
        if not isinstance(tables, list) or not tables:
            raise ConfigError(f"{source} has no rules: begin one with [[rule]]")
        return cls(
            tuple(
                RuleReader(source, number, table).read()
                for number, table in enumerate(tables, start=1)
            )
        )

    @cached_property
    def examples(self) -> tuple[str, ...]:
        """Every example of every rule, for the recogniser."""
        return tuple(example for rule in self.rules for example in rule.examples)

    def __call__(self, request: Request) -> Iterator[Piece]:
        """Answer by the first rule that applies.

        Parameters
        ----------
        request : Request
            What is known.

        Yields
        ------
        str, ToolCall or Pause
            The rule's actions.
        """
        choice = _Choice(request)
        pieces = [
            piece
            for facts in _situations(request, choice, self._first_examples)
            for piece in self._answer(facts)
        ]
        if (demanded := choice.demanded(pieces)) is not None:
            pieces = [demanded]
        begun = False
        for piece in pieces:
            yield f" {piece}" if begun and isinstance(piece, str) else piece
            begun = begun or isinstance(piece, str)

    @cached_property
    def _first_examples(self) -> list[str]:
        plain = (
            next((one for one in rule.examples if _PLAIN.fullmatch(one)), None)
            for rule in self.rules
        )
        return [example for example in plain if example]

    def _answer(self, facts: _Facts) -> list[Piece]:
        for rule in self.rules:
            if rule.on != facts.situation:
                continue
            groups = rule.groups_in(facts.subject)
            if groups is None:
                continue
            try:
                return facts.perform(rule.actions, groups)
            except _NoValueError:
                continue
        return []


# -- what is known -------------------------------------------------------------------


class _Choice:
    """Which functions may be called, and which must be."""

    def __init__(self, request: Request) -> None:
        self._text = _normalised(request.user_text or "")
        self.tools: tuple[FunctionTool, ...] = request.tools
        self._required = False
        choice = request.tool_choice
        if choice == "none":
            self.tools = ()
        elif choice == "required":
            self._required = True
        elif not isinstance(choice, str):
            name = _get(choice, "name")
            only = tuple(tool for tool in request.tools if tool.name == name)
            self._required = bool(only)
            self.tools = only or request.tools

    def named(self) -> list[FunctionTool]:
        """Those that the words name."""
        return named_tools(self._text, self.tools)

    def guess(self, tool: FunctionTool) -> dict[str, Any]:
        """Arguments for one, from the words."""
        return guess_arguments(self._text, tool)

    def demanded(self, pieces: Sequence[Piece]) -> ToolCall | None:
        """The call that must be made and is not among the pieces."""
        called = any(isinstance(piece, ToolCall) for piece in pieces)
        if not self._required or called or not self.tools:
            return None
        tool = next(iter(self.named()), self.tools[0])
        return ToolCall(tool.name, self.guess(tool))


class _Facts:
    """One situation, and the values of the names in it."""

    def __init__(
        self,
        situation: Situation,
        subject: str,
        values: Mapping[str, str | None],
        choice: _Choice,
    ) -> None:
        self.situation = situation
        self.subject = subject
        self._values = {name: value for name, value in values.items() if value}
        self._choice = choice

    def perform(
        self, actions: Sequence[Action], groups: Mapping[str, str]
    ) -> list[Piece]:
        """Fill in the actions; raises _NoValueError when one cannot be."""
        values = {**self._values, **groups}
        pieces: list[Piece] = []
        for action in actions:
            match action:
                case Say(text):
                    pieces.append(_filled(text, values))
                case Call("{tool}", arguments):
                    pieces += self._calls(self._named(), arguments, values)
                case Call(name, arguments):
                    tool = self._tool(_filled(name, values))
                    pieces += self._calls([tool], arguments, values)
                case Pause():
                    pieces.append(action)
        return pieces

    def _named(self) -> list[FunctionTool]:
        if not (named := self._choice.named()):
            raise _NoValueError
        return named

    def _tool(self, name: str) -> FunctionTool:
        for tool in self._choice.tools:
            if tool.name == name:
                return tool
        raise _NoValueError

    def _calls(
        self,
        tools: Sequence[FunctionTool],
        arguments: dict[str, Any] | None,
        values: Mapping[str, str],
    ) -> Iterator[ToolCall]:
        for tool in tools:
            if arguments is None:
                yield ToolCall(tool.name, self._choice.guess(tool))
                continue
            filled = {
                name: fit(_filled_deep(value, values), schema_of(tool, name))
                for name, value in arguments.items()
            }
            yield ToolCall(tool.name, filled)


def _situations(
    request: Request, choice: _Choice, examples: list[str]
) -> Iterator[_Facts]:
    """The situation of a request: one, or one for each result of a function."""
    heard = _normalised(request.user_text or "")
    now = request.now
    found = find_sum(heard)
    values: dict[str, str | None] = {
        "heard": heard,
        "heard_seconds": _seconds(request.heard_ms),
        "why": request.transcription_failed,
        "time": f"{now.hour % 12 or 12}:{now:%M} {'AM' if now.hour < 12 else 'PM'}",  # noqa: PLR2004
        "date": f"{now.day} {now:%B %Y}",
        "day": f"{now:%A}",
        "image": seen(request.items),
        "sum": found.sentence if found else None,
        "previous": _last_words(request.items, "assistant", 1),
        "earlier": _last_words(request.items, "user", 2),
        "instructions": _normalised(request.instructions),
        "tools": _listed([tool.name for tool in choice.tools]),
        "examples": _listed([f'"{example}"' for example in examples]),
    }
    if results := _results(request.items):
        values["image"] = seen(request.items[-1:])
        for tool, output in results:
            told = {"tool": tool, "result": _spoken_result(output)}
            yield _Facts("tool_result", tool, {**values, **told}, choice)
    elif heard:
        values["tool"] = _listed([tool.name for tool in choice.named()])
        yield _Facts("words", heard, values, choice)
    elif request.heard_ms is not None or request.transcription_failed:
        why = values["why"] = _normalised(values["why"] or "there were no words in it")
        yield _Facts("no_words", why, values, choice)
    else:
        yield _Facts("nothing", "", values, choice)


def _normalised(text: str) -> str:
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    return re.sub(r"\s+", " ", text).strip().rstrip(".!?…,;: ")


def _seconds(milliseconds: float | None) -> str | None:
    return None if milliseconds is None else f"{milliseconds / 1000:.1f}"


def _get(choice: object, key: str) -> object:
    if isinstance(choice, dict):
        return choice.get(key)
    return getattr(choice, key, None)


def _listed(words: Sequence[str]) -> str | None:
    if not words:
        return None
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _last_words(items: Sequence[object], role: str, back: int) -> str | None:
    """What somebody said last, or before that, as normalised text."""
    said = [
        _normalised(" ".join(_texts(item)))
        for item in items
        if isinstance(item, MessageItem) and item.role == role
    ]
    return said[-back] if len(said) >= back else None


def _texts(message: MessageItem) -> Iterator[str]:
    for part in message.content:
        match part:
            case InputText(text=str(text)) | OutputText(text=str(text)):
                yield text
            case InputAudio(transcript=str(text)) | OutputAudio(transcript=str(text)):
                yield text


def _results(items: Sequence[object]) -> list[tuple[str, str]]:
    """Names and outputs of the functions that have answered since the last words."""
    since: list[tuple[str, str]] = []
    names: dict[str, str] = {}
    for item in items:
        match item:
            case MessageItem() if since and shows_image(item):
                continue  # what a function shows
            case MessageItem():
                since = []
            case FunctionCallItem(name=name, call_id=str(call_id)):
                names[call_id] = name
            case FunctionCallOutputItem(call_id=call_id, output=output):
                since.append((names.get(call_id, "function"), output))
            case McpCallItem(name=name, output=str(output)):
                since.append((name, output))
            case McpCallItem(name=name):
                why = item.error.message if item.error else "there is no result"
                since.append((name, f"it failed: {why}"))
            case McpApprovalRequestItem(id=str(request_id), name=name):
                names[request_id] = name
            case McpApprovalResponseItem(approve=False, approval_request_id=request_id):
                since.append((names.get(request_id, "tool"), "it was not allowed"))
            case _:
                continue
    return since


def _spoken_result(output: str) -> str:
    """A function's output without the signs of JSON."""
    try:
        return _spoken_value(json.loads(output)) or "nothing"
    except ValueError:
        return output.strip() or "nothing"


def _spoken_value(value: object) -> str:
    match value:
        case dict():
            parts = [f"{name}: {_spoken_value(one)}" for name, one in value.items()]
            return ", ".join(parts)
        case list():
            return ", ".join(_spoken_value(one) for one in value)
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value).strip()


def _filled(template: str, values: Mapping[str, str]) -> str:
    try:
        return template.format_map(dict(values))
    except KeyError as error:
        raise _NoValueError from error


def _filled_deep(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _filled(value, values)
        case list():
            return [_filled_deep(one, values) for one in value]
        case dict():
            return {name: _filled_deep(one, values) for name, one in value.items()}
        case _:
            return value
