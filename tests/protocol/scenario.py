"""Conversations written down: what a client sends, an engine answers and a server says.

A file of ``tests/protocol/scenarios`` is read line by line::

    # a comment
    model gpt-realtime-2.1             the session's model, before anything else
    transcription                      a session that only writes down what it hears
    machine only                       not played over a socket; a comment says why
    > response.create {"a": "$item"}   the client sends an event; JSON may go on below
    >> not JSON                        the client sends this text
    + austen-0880                      the client appends sample speech, in 100 ms pieces
    + silence 1.5                      the same of seconds of silence
    ! say "Hello."                     the engine: say "…", call NAME {…}, finish,
                                       fail CODE "…", hear "…"; of MCP servers: offer
                                       TOOL, unlisted "…", result "…"
    ! [label] say "Hello."             the same, of the response with these instructions
    @ 6.0                              seconds pass
    < response.created                 the server says this next, with these fields:
        response.status = "in_progress"
        response.id -> first           "$first" stands for it from here on
        response.id ~ resp_.{21}       matches a regular expression
    < a.delta or b.delta, repeated     one or more of these, until another event comes
    hang up 1001                       the server closes the connection

Between the lines nothing else may be said.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "scenarios"
FILES = sorted(FOLDER.glob("*.txt"))
NOTHING = object()


@dataclass
class Step:
    number: int
    verb: str
    text: str
    below: list[str] = field(default_factory=list)

    @property
    def payload(self):
        return "\n".join([self.text, *self.below]).strip()


@dataclass
class Scenario:
    name: str
    model: str
    transcribes: bool
    over_a_socket: bool
    steps: list[Step]

    @property
    def labels(self):
        """Instructions by which the engine's lines name their responses."""
        lines = [step.text for step in self.steps if step.verb == "!"]
        return {found[1] for line in lines if (found := re.match(r"\[(.*?)\]", line))}

    def __str__(self):
        return self.name


VERBS = (
    "machine only",
    "transcription",
    "model",
    "hang up",
    ">>",
    ">",
    "+",
    "!",
    "@",
    "<",
)


def read(path):
    """The scenario of a file."""
    steps = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            steps[-1].below.append(line.strip())
            continue
        verb = next((one for one in VERBS if line.startswith(one)), None)
        assert verb is not None, f"{path.name}:{number}: {line}"
        steps.append(Step(number, verb, line.removeprefix(verb).strip()))
    models = [step.text for step in steps if step.verb == "model"]
    over_a_socket = all(step.verb != "machine only" for step in steps)
    transcribes = any(step.verb == "transcription" for step in steps)
    kept = [step for step in steps if step.verb not in VERBS[:3]]
    model = (models or ["gpt-realtime"])[0]
    return Scenario(path.stem, model, transcribes, over_a_socket, kept)


def play(scenario, stage):
    """Play a scenario on a stage, which sends, makes the engine answer, and listens."""
    names = {}
    stage = _Folding(stage)
    for step in scenario.steps:
        try:
            _play(step, stage, names)
        except AssertionError as error:
            where = f"{scenario.name}, line {step.number}: {step.verb} {step.text}"
            raise AssertionError(f"{where}\n{error}") from error
    rest = stage.take(wait=False)
    assert rest is None, f"{scenario.name}: and then {rest}"
    return names


class _Folding:
    """A stage whose repeated events are taken once."""

    def __init__(self, stage):
        self._stage = stage
        self.kinds = ()

    def __getattr__(self, name):
        return getattr(self._stage, name)

    def take(self, *, wait=True):
        event = self._stage.take(wait=wait)
        while event is not None and event["type"] in self.kinds:
            event = self._stage.take(wait=wait)
        self.kinds = ()
        return event


def _play(step, stage, names):
    match step.verb:
        case ">":
            kind, _, rest = step.payload.partition(" ")
            fields = json.loads(_named(rest, names)) if rest.strip() else {}
            stage.send({"type": kind, **fields})
        case ">>":
            stage.send_text(step.payload)
        case "+":
            stage.append(*step.text.split())
        case "!":
            label, rest = re.fullmatch(r"(?:\[(.*?)\] )?(.*)", step.text).groups()
            verb, _, arguments = rest.partition(" ")
            stage.engine(label, verb, arguments)
        case "@":
            stage.wait(float(step.text))
        case "hang up":
            assert stage.hung_up() == int(step.text)
        case "<":
            _expect(step, stage, names)


def _expect(step, stage, names):
    wanted, _, repeated = step.text.partition(", ")
    kinds = wanted.split(" or ")
    event = stage.take()
    assert event is not None, "nothing was said"
    assert event["type"] in kinds, json.dumps(event)
    for line in step.below:
        _check(line, event, names)
    if repeated:
        stage.kinds = kinds


def _check(line, event, names):
    path, operator, wanted = re.fullmatch(r"(\S+) (->|=|~) (.*)", line).groups()
    value = at(event, path)
    match operator:
        case "->":
            assert value is not NOTHING, f"no {path} in {json.dumps(event)}"
            names[wanted] = value
        case "=":
            expected = (
                NOTHING if wanted == "nothing" else json.loads(_named(wanted, names))
            )
            assert value == expected, f"{path}: {value!r}"
        case "~":
            assert isinstance(value, str), f"{path}: {value!r}"
            assert re.fullmatch(_named(wanted, names), value), f"{path}: {value!r}"


def _named(text, names):
    return re.sub(r"\$(\w+)", lambda found: str(names[found[1]]), text)


def at(value, path):
    """What stands at a dotted path; numbers index lists."""
    for name in path.split("."):
        if isinstance(value, list) and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return NOTHING
    return value
