"""The rules of a script as values, and how they are read from TOML tables.

`rtnb.gateway.script` says what a rule may hold and what it means.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast, get_args

from rtnb.errors import ConfigError
from rtnb.gateway.responder import (
    Failure,
    NextMessage,
    Pace,
    Pause,
    StopShort,
    Told,
)
from rtnb.protocol.server import FAILURES, Shortfall, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable

Situation = Literal["words", "tool_result", "no_words", "nothing"]
"""When a rule may apply."""

NAMES: Final = frozenset(
    {
        "choice",
        "counting",
        "date",
        "day",
        "earlier",
        "exactly",
        "examples",
        "greeting",
        "heard",
        "heard_seconds",
        "image",
        "instructions",
        "json",
        "language",
        "noted",
        "pending",
        "previous",
        "remembered",
        "result",
        "sum",
        "time",
        "tool",
        "tools",
        "why",
    }
)
"""What a string may name."""

_RULE_KEYS: Final = frozenset(
    {"name", "on", "match", "instructions", "then", "examples", "usage", "rate"}
)
_TRANSCRIPT_KEYS: Final = frozenset({"name", "match", "delay", "fail"})
_TOKENS: Final = frozenset(Tokens.__dataclass_fields__)
_ACTIONS: Final = frozenset({"say", "commentary", "wait", "call", "fail", "stop"})
_BESIDE: Final = {"call": {"arguments"}, "fail": {"message"}}
"""Keys that an action may have beside its own."""
MESSAGES: Final = {
    "server_error": "The server had an error while processing your request.",
    "rate_limit_exceeded": "Rate limit reached for this model. Try again later.",
    "insufficient_quota": "You exceeded your current quota, please check your plan.",
    "model_not_found": "The model does not exist or you do not have access to it.",
}
"""What a failed response says where the rule does not: the shapes of the service's."""
_GAP: Final = re.compile(r"(?:^|[(\[|])\s*(?:[|)\]]|$)")
"""Where one of several alternatives would be empty."""
_EXAMPLE: Final = re.compile(r"(?:[a-z']+|<number>|[()|\[\]\s])+")


@dataclass(frozen=True)
class Say:
    """Text to say, with names in braces."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function to call; None for arguments means to guess them."""

    tool: str
    arguments: dict[str, Any] | None


Action: TypeAlias = (
    Say | Call | Pause | NextMessage | Pace | Tokens | StopShort | Failure
)
"""One step of a rule."""


@dataclass(frozen=True)
class Rule:
    """One rule of a script.

    Parameters
    ----------
    name : str
        For error messages.
    on : tuple of Situation
        When it may apply.
    patterns : tuple of re.Pattern
        Of which one must be found; none always fits.
    instructed : tuple of re.Pattern
        The same for the instructions.
    actions : tuple of Action
        What is done.
    examples : tuple of str
        Phrases that it is meant for.
    """

    name: str
    on: tuple[Situation, ...]
    patterns: tuple[re.Pattern[str], ...]
    instructed: tuple[re.Pattern[str], ...]
    actions: tuple[Action, ...]
    examples: tuple[str, ...]

    @property
    def once(self) -> bool:
        """Whether it says the same of every result of a function."""
        said = [action.text for action in self.actions if isinstance(action, Say)]
        return not any("{result}" in text or "{tool}" in text for text in said)

    def groups_in(self, text: str, instructions: str) -> dict[str, str] | None:
        """Find the first pattern that fits, of each kind.

        Parameters
        ----------
        text : str
            Normalised.
        instructions : str
            As given.

        Returns
        -------
        dict or None
            Values of the patterns' groups that took part; None if one does not fit.
        """
        groups: dict[str, str] = {}
        for patterns, where in (
            (self.instructed, instructions),
            (self.patterns, text),
        ):
            found = groups_of(patterns, where)
            if found is None:
                return None
            groups |= found
        return groups


def groups_of(patterns: Iterable[re.Pattern[str]], text: str) -> dict[str, str] | None:
    """Groups of the first pattern that is found; none of none, None if none is found.

    Parameters
    ----------
    patterns : iterable of re.Pattern
        Of which one must be found, if there are any.
    text : str
        Where.

    Returns
    -------
    dict or None
        Those that took part, by name.
    """
    none_given = True
    for pattern in patterns:
        none_given = False
        if found := pattern.search(text):
            groups = found.groupdict()
            return {name: value for name, value in groups.items() if value}
    return {} if none_given else None


@dataclass(frozen=True)
class TranscriptRule:
    """How the client is told certain words.

    Parameters
    ----------
    patterns : tuple of re.Pattern
        Of which one must be found; none always fits.
    told : Told
        How.
    """

    patterns: tuple[re.Pattern[str], ...]
    told: Told


class _Reader:
    """Reads a table and refuses what cannot be, with the way out."""

    def __init__(self, where: str, name: str, table: object) -> None:
        self._where = where
        self._name = name
        self._table = table if isinstance(table, dict) else {}
        given = self._table.get("name")
        if isinstance(given, str) and given:
            self._name = given

    def _check_keys(self, keys: Iterable[str], known: frozenset[str], of: str) -> None:
        for key in sorted(keys):
            if key not in known:
                raise self._error(f"{key!r} means nothing{of}: {nearest(key, known)}")

    def _error(self, trouble: str) -> ConfigError:
        return ConfigError(f"{self._where}, {self._name}: {trouble}")

    def _strings(self, key: str) -> list[str]:
        value = self._table.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise self._error(f"{key!r} must be a string or a list of strings")
        return values

    def _patterns(self, key: str) -> tuple[re.Pattern[str], ...]:
        return tuple(self._pattern(one) for one in self._strings(key))

    def _pattern(self, text: str) -> re.Pattern[str]:
        try:
            return re.compile(text, re.IGNORECASE)
        except re.error as error:
            raise self._error(
                f"the pattern {text!r} is no regular expression ({error}): "
                "a sign that stands for itself needs a backslash before it"
            ) from error

    def _seconds(self, seconds: object) -> Pause:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise self._error(f"{seconds!r} is no number of seconds: write 2.5, or inf")
        try:
            return Pause(float(seconds))
        except ConfigError as error:
            raise self._error(str(error)) from error


class TranscriptReader(_Reader):
    """Reads one ``[[transcript]]``.

    Parameters
    ----------
    where : str
        File and line, for error messages.
    name : str
        What to call it until it has a name.
    table : object
        What TOML gives.
    """

    def read(self) -> TranscriptRule:
        """Read the rule.

        Returns
        -------
        TranscriptRule
            Checked.

        Raises
        ------
        ConfigError
            If something in it cannot be: names the file, the line and the way out.
        """
        self._check_keys(self._table, _TRANSCRIPT_KEYS, "")
        failure = self._table.get("fail")
        if not isinstance(failure, str | None):
            raise self._error(f"fail = {failure!r} is no message: write a string")
        delay = self._seconds(self._table.get("delay", 0)).seconds
        return TranscriptRule(self._patterns("match"), Told(delay, failure))


class RuleReader(_Reader):
    """Reads one ``[[rule]]``.

    Parameters
    ----------
    where : str
        File and line, for error messages.
    name : str
        What to call it until it has a name.
    table : object
        What TOML gives.
    """

    def read(self) -> Rule:
        """Read the rule.

        Returns
        -------
        Rule
            Checked.

        Raises
        ------
        ConfigError
            If something in it cannot be: names the file, the rule and the way out.
        """
        self._check_keys(self._table, _RULE_KEYS, "")
        patterns = self._patterns("match")
        instructed = self._patterns("instructions")
        both = (*patterns, *instructed)
        groups = {name for pattern in both for name in pattern.groupindex}
        if hidden := sorted(groups & NAMES):
            raise self._error(
                f"the group {hidden[0]!r} hides the name {{{hidden[0]}}}: "
                "give the group another name"
            )
        if "then" not in self._table:
            raise self._error('there is no "then": write then = [] for silence')
        return Rule(
            name=self._name,
            on=self._situations(),
            patterns=patterns,
            instructed=instructed,
            actions=(
                *self._prices(),
                *self._pace(),
                *(one for step in self._steps() for one in self._action(step, groups)),
            ),
            examples=tuple(self._example(one) for one in self._strings("examples")),
        )

    def _situations(self) -> tuple[Situation, ...]:
        given = self._table.get("on", "words")
        known = get_args(Situation)
        for one in given if isinstance(given, list) and given else [given]:
            if one not in known:
                raise self._error(
                    f"on = {one!r} is no situation: {nearest(str(one), known)}"
                )
        several = given if isinstance(given, list) else [given]
        return cast("tuple[Situation, ...]", tuple(several))

    def _prices(self) -> Iterable[Tokens]:
        """What the answer costs, where the rule says so."""
        usage = self._table.get("usage")
        if usage is None:
            return
        if not isinstance(usage, dict):
            raise self._error("'usage' must be a table, such as { output_text = 7 }")
        self._check_keys(usage, _TOKENS, " in usage")
        for name, tokens in usage.items():
            if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
                raise self._error(
                    f"usage.{name} = {tokens!r} is no number of tokens: write 0 or more"
                )
        yield Tokens(**usage)

    def _pace(self) -> Iterable[Pace]:
        """How fast the answer's sound leaves, where the rule says so."""
        rate = self._table.get("rate")
        if rate is None:
            return
        rate = math.inf if rate == "instant" else rate
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise self._error(f'rate = {rate!r} is no rate: write 1.0, or "instant"')
        try:
            yield Pace(float(rate))
        except ConfigError as error:
            raise self._error(str(error)) from error

    def _steps(self) -> list[object]:
        steps = self._table["then"]
        return steps if isinstance(steps, list) else [steps]

    def _action(self, step: object, groups: set[str]) -> Iterable[Action]:
        if isinstance(step, str):
            return [Say(self._template(step, groups))]
        kinds = _ACTIONS & step.keys() if isinstance(step, dict) else set()
        if not isinstance(step, dict) or len(kinds) != 1:
            raise self._no_action(step)
        (kind,) = kinds
        known = frozenset({kind, *_BESIDE.get(kind, ())})
        self._check_keys(step, known, f" beside {kind!r}")
        match kind, step[kind]:
            case "say", str(text):
                return [Say(self._template(text, groups))]
            case "commentary", str(text):
                return [Say(self._template(text, groups)), NextMessage()]
            case "wait", seconds:
                return [self._seconds(seconds)]
            case "call", str(name):
                return [self._call(name, step, groups)]
            case "fail" | "stop", str(reason):
                return [self._end(kind, reason, step)]
            case _:
                raise self._no_action(step)

    def _call(self, name: str, step: dict[str, Any], groups: set[str]) -> Call:
        arguments = step.get("arguments")
        if not isinstance(arguments, dict | None):
            raise self._no_action(step)
        self._check_deep(arguments, groups)
        return Call(self._template(name, groups), arguments)

    def _end(self, kind: str, reason: str, step: dict[str, Any]) -> Action:
        known = get_args(Shortfall) if kind == "stop" else tuple(MESSAGES)
        if reason not in known:
            raise self._error(
                f"{kind} = {reason!r} is not documented: {nearest(reason, known)}"
            )
        if kind == "stop":
            return StopShort(cast("Shortfall", reason))
        message = step.get("message", MESSAGES[reason])
        if not isinstance(message, str):
            raise self._no_action(step)
        return Failure(message, reason if reason in FAILURES else None)

    def _no_action(self, step: object) -> ConfigError:
        return self._error(
            f"{step!r} is no action: write a string to say, or a table with one of "
            f"{', '.join(sorted(_ACTIONS))}, such as {{ wait = 2.5 }} or "
            '{ call = "tool", arguments = {…} }'
        )

    def _template(self, text: str, groups: set[str]) -> str:
        try:
            fields = list(Formatter().parse(text))
        except ValueError as error:
            raise self._error(
                f"the braces in {text!r} do not match ({error}): write {{{{ for a brace"
            ) from error
        known = NAMES | groups
        for _, name, form, conversion in fields:
            if name is not None and (name not in known or form or conversion):
                raise self._error(
                    f"{{{name}}} in {text!r} is not known here: {nearest(name, known)}"
                )
        return text

    def _check_deep(self, value: object, groups: set[str]) -> None:
        match value:
            case str():
                self._template(value, groups)
            case list():
                for one in value:
                    self._check_deep(one, groups)
            case dict():
                for one in value.values():
                    self._check_deep(one, groups)
            case _:
                pass

    def _example(self, text: str) -> str:
        if not _EXAMPLE.fullmatch(text) or _GAP.search(text) or not _balanced(text):
            raise self._error(
                f"the example {text!r} cannot be spoken: write lower-case words, "
                "( | ) for either, [ ] for perhaps and <number> for a number"
            )
        return text


def nearest(word: str, known: Iterable[str]) -> str:
    """What somebody may have meant, as the way out of an error.

    Parameters
    ----------
    word : str
        What was written.
    known : iterable of str
        What could be.

    Returns
    -------
    str
        The nearest, if one is near, and all.

    Examples
    --------
    >>> nearest("than", ["name", "then"])
    "did you mean 'then'? There are name, then"
    """
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    everything = ", ".join(known)
    if close:
        return f"did you mean {close[0]!r}? There are {everything}"
    return f"choose one of {everything}"


def _balanced(text: str) -> bool:
    open_: list[str] = []
    closes = {")": "(", "]": "["}
    for sign in re.sub(r"[^()\[\]]", "", text):
        if sign not in closes:
            open_.append(sign)
        elif not open_ or open_.pop() != closes[sign]:
            return False
    return not open_
