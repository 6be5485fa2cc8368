r"""A responder made of rules in a TOML file: the language of scenario files.

A script is a list of rules; the first one that applies answers. ::

    [[rule]]
    name = "greeting"                        # for error messages
    match = ["^(hello|hi)\\b", "good morning"]
    then = ["Hello! I heard you for {heard_seconds} seconds."]
    examples = ["hello", "good morning"]     # taught to the recogniser

    [[rule]]
    match = "weather in (?P<city>\\w+)"
    then = [
        { commentary = "Let me look." },
        { wait = 0.5 },
        { call = "get_weather", arguments = { city = "{city}" } },
    ]

    [[rule]]
    on = "tool_result"
    then = "It says: {result}"

    [[rule]]                                 # a row of a table: text, answer, usage
    match = "^ping$"
    instructions = "test"
    then = "pong"
    usage = { input_text = 12, cached = 0, output_text = 2 }
    rate = "instant"

    [[rule]]
    match = "^overload$"
    then = { fail = "rate_limit_exceeded" }

    [[rule]]                                 # no match: takes what is left
    then = "I know nothing about that."

    [[transcript]]                           # these words are told late
    match = "^overload$"
    delay = 2.0

``on``
    The situation, or several: ``"words"`` (the default; the user said or typed
    something), ``"tool_result"`` (functions have given results; the rules are gone
    through for each result in turn), ``"no_words"`` (there was audio but no words in
    it), ``"nothing"`` (an answer was asked for without anything to answer).
``match``
    One regular expression, or several of which one must be found, in the user's words;
    on a tool result in the function's name, and where there are no words in the reason
    for that. Case does not matter. The words are
    normalised first: straight quotes, single spaces, no punctuation at the end. A rule
    without ``match`` always fits.
``instructions``
    The same for the instructions, as they were written: those of the response, or of
    the session where it has none.
``then``
    One action or a list of them, done in order; an empty list is silence. A string is
    said. The other actions are tables:

    ``{ say = "…" }``                      the same as the string alone
    ``{ commentary = "…" }``               said, in a message of its own: of models that
                                           reason its phase is ``commentary`` and that
                                           of the last message ``final_answer``
    ``{ wait = 2.5 }``                     seconds pass; ``inf`` is until the answer is
                                           interrupted or cancelled
    ``{ call = "f", arguments = {…} }``    a function call, several for several calls in
                                           one response; without ``arguments`` they are
                                           guessed from the words and the schema
    ``{ fail = "…", message = "…" }``      the response fails: ``server_error``,
                                           ``rate_limit_exceeded``,
                                           ``insufficient_quota``, ``model_not_found``
    ``{ stop = "…" }``                     it is incomplete: ``max_output_tokens``,
                                           ``content_filter``
``usage``
    Tokens that the response reports instead of those that are counted:
    ``input_text``, ``input_audio``, ``input_image``, ``cached`` (rounded down to a
    multiple of 64), ``output_text``, ``output_audio``. Sums follow.
``rate``
    How fast the sound leaves, in times real time after the first second, or
    ``"instant"``; without it the engine's.
``examples``
    Phrases that a user may say, for the recogniser and for ``{examples}``: lower-case
    words, ``(a | b)`` for either, ``[a]`` for perhaps, ``<number>`` for any number
    word.

A ``[[transcript]]`` says of words of spoken turns (``match``; without it of all) how the
client is told them: ``delay`` seconds late (``inf`` is never), or not at all, with
``fail`` as the reason. The answer waits for neither. The first that fits counts.

Strings may hold these names in braces (a brace itself is written twice), and the names
of the groups of the rule's own patterns:

``{heard}``           the user's words
``{heard_seconds}``   length of the user's audio, such as ``2.9``
``{why}``             why there are no words
``{exactly}``         what words or instructions order to "reply exactly", "say the word"
``{choice}``          one of the answers a prompt allows: "answer yes or no", "one of: a, b"
``{json}``            an object where a prompt asks for JSON, by the example in it
``{counting}``        the numbers that the user asks to be counted
``{noted}``           a fact that the user tells: ``your name is Marcelo``
``{remembered}``      what the user told of what is asked: "what is my name?"
``{language}`` ``{greeting}``   what instructions say to speak, if not English, and its good day
``{time}`` ``{date}`` ``{day}``   ``2:30 PM``, ``20 November 2026``, ``Friday``
``{image}``           size and main colour of the images that the user or a function shows
``{sum}``             a sum in the user's words and what it makes
``{previous}``        what was answered last
``{earlier}``         what the user said before
``{instructions}``    the session's instructions
``{tools}``           names of the session's functions
``{tool}``            the function that the words name, or whose result it is
``{result}``          a function's result, to be read aloud
``{pending}``         functions whose results have not come
``{examples}``        the first example of every rule that has some

*A rule applies when its situation is there, its patterns fit, everything it names has a
value, and everything it calls may be called.* So one with ``{sum}`` applies only to
sums, one with ``{image}`` only to images, one with ``{heard_seconds}`` only to speech,
and one that calls a function only where the session has it and ``tool_choice`` allows
it. ``call = "{tool}"`` calls every function that the words name. When nothing applies
the answer is silence.

Where another answer is asked for after the results of a function have been told, and
the user has said nothing since, it is not called again: the situation is
``"tool_result"`` again.

Where ``tool_choice`` demands a call (``"required"``, one function, or one of several) and
the rule makes none such, the function that the words name best, or the first, or the one
demanded, is called instead with guessed arguments.

The same requests always get the same answers; `rtnb.gateway.orders`,
`rtnb.gateway.arithmetic` and `rtnb.gateway.tool_guess` say how the names get their
values.
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from rtnb.errors import ConfigError
from rtnb.gateway import orders
from rtnb.gateway.arithmetic import find_sum
from rtnb.gateway.responder import Told, ToolCall
from rtnb.gateway.rules import (
    Call,
    Rule,
    RuleReader,
    Say,
    TranscriptReader,
    TranscriptRule,
    groups_of,
)
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
    transcripts : tuple of TranscriptRule
        How the client is told what the user said.

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
    transcripts: tuple[TranscriptRule, ...] = ()

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
        if unknown := sorted(content.keys() - {"rule", "transcript"}):
            raise ConfigError(
                f"{source} has {unknown[0]!r} at its top, but a script is a list "
                "of [[rule]] and [[transcript]] tables"
            )
        rules = _tables(content, "rule", text, source)
        if not rules:
            raise ConfigError(f"{source} has no rules: begin one with [[rule]]")
        transcripts = _tables(content, "transcript", text, source)
        return cls(
            tuple(RuleReader(*table).read() for table in rules),
            tuple(TranscriptReader(*table).read() for table in transcripts),
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
        piece
            The rule's actions.
        """
        choice = _Choice(request)
        pieces: list[Piece] = []
        answered: list[Rule] = []
        for facts in _situations(request, choice, self._first_examples):
            rule, actions = self._answer(facts)
            if rule is not None and not (rule.once and rule in answered):
                answered.append(rule)
                pieces += actions
        if (demanded := choice.demanded(pieces)) is not None:
            pieces = [demanded]
        begun = False
        for piece in pieces:
            yield f" {piece}" if begun and isinstance(piece, str) else piece
            begun = begun or isinstance(piece, str)

    def told(self, words: str) -> Told:
        """How the client is told what the user said.

        Parameters
        ----------
        words : str
            What was recognised.

        Returns
        -------
        Told
            Of the first ``[[transcript]]`` that fits; at once if none does.
        """
        heard = _normalised(words)
        for rule in self.transcripts:
            if groups_of(rule.patterns, heard) is not None:
                return rule.told
        return Told()

    @cached_property
    def _first_examples(self) -> list[str]:
        plain = (
            next((one for one in rule.examples if _PLAIN.fullmatch(one)), None)
            for rule in self.rules
        )
        return [example for example in plain if example]

    def _answer(self, facts: _Facts) -> tuple[Rule | None, list[Piece]]:
        for rule in self.rules:
            if facts.situation not in rule.on:
                continue
            groups = rule.groups_in(facts.subject, facts.instructions)
            if groups is None:
                continue
            try:
                return rule, facts.perform(rule.actions, groups)
            except _NoValueError:
                continue
        return None, []


def _tables(
    content: Mapping[str, Any], kind: str, text: str, source: str
) -> list[tuple[str, str, object]]:
    """Tables of a kind: where each begins, its name until it has one, and itself."""
    tables = content.get(kind, [])
    if not isinstance(tables, list):
        tables = []
    header = re.compile(rf"^[ \t]*\[\[\s*{kind}\s*\]\]", re.MULTILINE)
    lines = [text.count("\n", 0, found.start()) + 1 for found in header.finditer(text)]
    places = [f"{source}, line {line}" for line in lines]
    if len(places) != len(tables):  # some stand within a string
        places = [source] * len(tables)
    return [
        (place, f"{kind} {number}", table)
        for number, (place, table) in enumerate(zip(places, tables, strict=True), 1)
    ]


# -- what is known -------------------------------------------------------------------


class _Choice:
    """Which functions may be called, and which must be."""

    def __init__(self, request: Request) -> None:
        self._text = _normalised(request.user_text or "")
        self._today = request.now.date()
        self.tools: tuple[FunctionTool, ...] = request.tools
        self._required = False
        choice = request.tool_choice
        if choice == "none":
            self.tools = ()
        elif choice == "required":
            self._required = True
        elif _get(choice, "type") == "allowed_tools":
            allowed = _get(choice, "tools")
            names = [_get(one, "name") for one in allowed] if _listing(allowed) else []
            self.tools = tuple(tool for tool in request.tools if tool.name in names)
            self._required = _get(choice, "mode") == "required"
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
        return guess_arguments(self._text, tool, today=self._today)

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
        *,
        instructions: str,
    ) -> None:
        self.situation = situation
        self.subject = subject
        self.instructions = instructions
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
                case _:
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
    facts = partial(_Facts, choice=choice, instructions=request.instructions)
    values: dict[str, str | None] = {
        **_ordered(request),
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
    results, told_of = _results(request.items)
    if not any(values[name] for name in ("exactly", "json", "choice")):
        answered = {tool for tool, _ in told_of}
        if answered & {
            tool.name for tool in choice.named()
        }:  # asked for another answer
            results = results or told_of
    if results:
        values["image"] = seen(request.items[-1:])
        for tool, output in results:
            told = {"tool": tool, "result": _spoken_result(output)}
            yield facts("tool_result", tool, {**values, **told})
    elif heard:
        values["tool"] = _listed([tool.name for tool in choice.named()])
        yield facts("words", heard, values)
    elif request.heard_ms is not None or request.transcription_failed:
        why = values["why"] = _normalised(values["why"] or "there were no words in it")
        yield facts("no_words", why, values)
    else:
        yield facts("nothing", "", values)


def _ordered(request: Request) -> dict[str, str | None]:
    """What the words and the instructions order."""
    words, instructions = request.user_text or "", request.instructions
    messages = [item for item in request.items if isinstance(item, MessageItem)]
    said = [
        " ".join(_texts(item)) for item in messages if item.role in ("user", "system")
    ]
    by_user = [" ".join(_texts(item)) for item in messages if item.role == "user"]
    language = orders.language(instructions)
    return {
        "exactly": orders.exact_reply(words, instructions),
        "choice": orders.choice(words, instructions, by_user),
        "json": orders.json_reply(words, instructions, request.now.date()),
        "counting": orders.counting(words),
        "noted": orders.noted(words),
        "remembered": orders.remembered(words, [instructions, *said]),
        "language": language,
        "greeting": orders.GREETINGS[language.lower()] if language else None,
        "pending": _listed(_pending(request.items)),
    }


def _pending(items: Sequence[object]) -> list[str]:
    """Names of the functions that were called and have not answered."""
    done = {item.call_id for item in items if isinstance(item, FunctionCallOutputItem)}
    calls = [item for item in items if isinstance(item, FunctionCallItem)]
    return [call.name for call in calls if call.call_id not in done]


def _listing(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(value, list | tuple)


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


def _results(
    items: Sequence[object],
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Names and outputs of the functions that have answered since the last words.

    Since anybody's, which are still to be told; and those that the assistant has said
    something to since the user's, none where there are words of the user after them.
    """
    since: list[tuple[str, str]] = []
    told_of: list[tuple[str, str]] = []
    names: dict[str, str] = {}
    for item in items:
        match item:
            case MessageItem() if since and shows_image(item):
                continue  # what a function shows
            case MessageItem(role=role):
                told_of = since or told_of if role == "assistant" else []
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
    return since, told_of


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
