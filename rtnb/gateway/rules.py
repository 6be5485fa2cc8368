"""The rules of a script as values, and how they are read from TOML tables.

`rtnb.gateway.script` says what a rule may hold and what it means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from rtnb.errors import ConfigError
from rtnb.gateway.responder import Pause

Situation = Literal["words", "tool_result", "no_words", "nothing"]
"""When a rule may apply."""

NAMES: Final = frozenset(
    {
        "date",
        "day",
        "earlier",
        "examples",
        "heard",
        "heard_seconds",
        "image",
        "instructions",
        "previous",
        "result",
        "sum",
        "time",
        "tool",
        "tools",
        "why",
    }
)
"""What a string may name."""

_RULE_KEYS: Final = frozenset({"name", "on", "match", "then", "examples"})
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


Action: TypeAlias = Say | Call | Pause
"""One step of a rule."""


@dataclass(frozen=True)
class Rule:
    """One rule of a script.

    Parameters
    ----------
    name : str
        For error messages.
    on : Situation
        When it may apply.
    patterns : tuple of re.Pattern
        Of which one must be found; none always fits.
    actions : tuple of Action
        What is done.
    examples : tuple of str
        Phrases that it is meant for.
    """

    name: str
    on: Situation
    patterns: tuple[re.Pattern[str], ...]
    actions: tuple[Action, ...]
    examples: tuple[str, ...]

    def groups_in(self, text: str) -> dict[str, str] | None:
        """Find the first pattern that fits.

        Parameters
        ----------
        text : str
            Normalised.

        Returns
        -------
        dict or None
            Values of the pattern's groups that took part; None if no pattern fits.
        """
        if not self.patterns:
            return {}
        for pattern in self.patterns:
            if found := pattern.search(text):
                groups = found.groupdict()
                return {name: value for name, value in groups.items() if value}
        return None


class RuleReader:
    """Reads one ``[[rule]]`` and refuses what cannot be, with the way out.

    Parameters
    ----------
    source : str
        Name of the file, for error messages.
    number : int
        Which rule it is, from 1; its name until it has one.
    table : object
        What TOML gives.
    """

    def __init__(self, source: str, number: int, table: object) -> None:
        self._source = source
        self._name = f"rule {number}"
        self._table = table if isinstance(table, dict) else {}
        name = self._table.get("name")
        if isinstance(name, str) and name:
            self._name = name

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
        unknown = sorted(self._table.keys() - _RULE_KEYS)
        if unknown:
            raise self._error(
                f"{unknown[0]!r} means nothing: write {', '.join(sorted(_RULE_KEYS))}"
            )
        patterns = tuple(self._pattern(one) for one in self._strings("match"))
        groups = {name for pattern in patterns for name in pattern.groupindex}
        if hidden := sorted(groups & NAMES):
            raise self._error(
                f"the group {hidden[0]!r} hides the name {{{hidden[0]}}}: "
                "give the group another name"
            )
        if "then" not in self._table:
            raise self._error('there is no "then": write then = [] for silence')
        return Rule(
            name=self._name,
            on=self._situation(),
            patterns=patterns,
            actions=tuple(self._action(one, groups) for one in self._steps()),
            examples=tuple(self._example(one) for one in self._strings("examples")),
        )

    def _error(self, trouble: str) -> ConfigError:
        return ConfigError(f"{self._source}, {self._name}: {trouble}")

    def _strings(self, key: str) -> list[str]:
        value = self._table.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise self._error(f"{key!r} must be a string or a list of strings")
        return values

    def _situation(self) -> Situation:
        on = self._table.get("on", "words")
        if on not in get_args(Situation):
            raise self._error(
                f"on = {on!r} is no situation: "
                f"choose one of {', '.join(get_args(Situation))}"
            )
        return cast("Situation", on)

    def _pattern(self, text: str) -> re.Pattern[str]:
        try:
            return re.compile(text, re.IGNORECASE)
        except re.error as error:
            raise self._error(
                f"the pattern {text!r} is no regular expression ({error}): "
                "a sign that stands for itself needs a backslash before it"
            ) from error

    def _steps(self) -> list[object]:
        steps = self._table["then"]
        return steps if isinstance(steps, list) else [steps]

    def _action(self, step: object, groups: set[str]) -> Action:
        match step:
            case str(text):
                return Say(self._template(text, groups))
            case {"say": str(text), **none} if not none:
                return Say(self._template(text, groups))
            case {"wait": bool()}:
                raise self._no_action(step)
            case {"wait": int() | float() as seconds, **none} if not none:
                return self._pause(seconds)
            case {"call": str(name), "arguments": dict(arguments), **none} if not none:
                self._check_deep(arguments, groups)
                return Call(self._template(name, groups), arguments)
            case {"call": str(name), **none} if not none:
                return Call(self._template(name, groups), None)
            case _:
                raise self._no_action(step)

    def _no_action(self, step: object) -> ConfigError:
        return self._error(
            f"{step!r} is no action: write a string to say, "
            '{ say = "…" }, { wait = seconds } or '
            '{ call = "tool", arguments = {…} }'
        )

    def _pause(self, seconds: float) -> Pause:
        try:
            return Pause(float(seconds))
        except ConfigError as error:
            raise self._error(str(error)) from error

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
                    f"{{{name}}} in {text!r} is not known here: "
                    f"choose one of {', '.join(sorted(known))}"
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


def _balanced(text: str) -> bool:
    open_: list[str] = []
    closes = {")": "(", "]": "["}
    for sign in re.sub(r"[^()\[\]]", "", text):
        if sign not in closes:
            open_.append(sign)
        elif not open_ or open_.pop() != closes[sign]:
            return False
    return not open_
