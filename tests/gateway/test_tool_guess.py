"""Which tool a sentence names, and with what: guesses one can rely on."""

from __future__ import annotations

import pytest

from rtnb.gateway.tool_guess import fit, guess_arguments, named_tools
from rtnb.protocol.events import FunctionTool

TEXT, WHOLE, NUMBER, TRUTH = (
    {"type": kind} for kind in ("string", "integer", "number", "boolean")
)


def tool(name, description="", *, required=None, **properties):
    required = list(properties) if required is None else required
    schema = {"type": "object", "properties": properties, "required": required}
    return FunctionTool(name=name, description=description, parameters=schema)


WEATHER = tool(
    "get_weather",
    "Get the current weather in a city.",
    required=["city"],
    city=TEXT,
    unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
)
TIME = tool("get_time", "The time in a zone.")
DICE = tool("rollDice", "Throw some dice.", count=WHOLE, sides=WHOLE)
LIGHT = tool(
    "set_light",
    "Switch a lamp.",
    room={"type": "string", "enum": ["kitchen", "living_room"]},
    on=TRUTH,
)
TOOLS = [WEATHER, TIME, DICE, LIGHT]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("what is the weather in paris", [WEATHER]),
        ("roll the dice", [DICE]),
        ("rolling two dice", [DICE]),
        ("throw something", []),
        ("turn the lights off", [LIGHT]),
        ("switch the lamp", [LIGHT]),
        ("what's the time and the weather in Rome", [WEATHER, TIME]),
        ("tell me a story", []),
        ("get the one with the use", []),
        ("", []),
    ],
)
def test_tools_are_named_by_their_words(said, named):
    assert named_tools(said, TOOLS) == named


def test_one_phrase_names_one_tool():
    forecast = tool("get_weather_forecast")
    assert named_tools("the weather forecast", [WEATHER, forecast]) == [forecast]


@pytest.mark.parametrize(
    ("said", "chosen", "arguments"),
    [
        ("what is the weather in paris", WEATHER, {"city": "Paris"}),
        ("weather in New York please", WEATHER, {"city": "New York"}),
        (
            "Berlin's weather, what is it like in Berlin today?",
            WEATHER,
            {"city": "Berlin"},
        ),
        (
            "weather in Rome in fahrenheit",
            WEATHER,
            {"city": "Rome", "unit": "fahrenheit"},
        ),
        ("weather for city Oslo", WEATHER, {"city": "Oslo"}),
        ("roll 3 dice with twenty sides", DICE, {"count": 3, "sides": 20}),
        ("roll the dice", DICE, {"count": 0, "sides": 0}),
        ("light off in the living room", LIGHT, {"room": "living_room", "on": False}),
        ("light in the kitchen", LIGHT, {"room": "kitchen", "on": True}),
        ("light", LIGHT, {"room": "kitchen", "on": True}),
        ("the time in London", TIME, {}),
    ],
)
def test_arguments_come_from_the_words(said, chosen, arguments):
    assert guess_arguments(said, chosen) == arguments


@pytest.mark.parametrize(
    ("said", "properties", "arguments"),
    [
        ('send to Anna "see you"', {"text": TEXT, "to": TEXT}, {"text": "see you", "to": "Anna"}),
        ("add two and 3.5", {"a": NUMBER, "b": NUMBER}, {"a": 2, "b": 3.5}),
        ("sum 1, 2 and 3", {"xs": {"type": "array", "items": WHOLE}}, {"xs": [1, 2, 3]}),
        ("order milk, bread", {"items": {"type": "array", "items": TEXT}}, {"items": ["order", "milk", "bread"]}),
        ("hm", {"xs": {"type": "array"}, "o": {"type": "object"}}, {"xs": ["hm"], "o": {}}),
        ("go to Bern", {"trip": {"properties": {"destination": TEXT}}}, {"trip": {"destination": "Bern"}}),
        ("maybe", {"n": {"type": "integer", "default": 6}}, {"n": 6}),
        ("maybe", {"n": {"type": "integer", "minimum": 1}}, {"n": 1}),
        ("maybe 4", {"n": {"anyOf": [{"type": "null"}, WHOLE]}}, {"n": 4}),
        ("maybe 4", {"n": {"type": ["null", "integer"]}}, {"n": 4}),
        ("anything", {"mode": {"const": "fast"}}, {"mode": "fast"}),
        ("the and of", {"query": TEXT}, {"query": "the and of"}),
    ],
)  # fmt: skip
def test_every_type_of_the_schema_has_a_guess(said, properties, arguments):
    assert guess_arguments(said, tool("x_y", **properties)) == arguments


def test_what_is_optional_and_not_said_is_left_out():
    optional = tool("play", required=[], song=TEXT, loud=TRUTH, times=WHOLE)
    assert guess_arguments("play", optional) == {}
    assert guess_arguments("play not so loud", optional) == {"loud": False}


@pytest.mark.parametrize("parameters", [None, [], {}, {"properties": []}])
def test_a_tool_without_a_schema_is_called_without_arguments(parameters):
    assert guess_arguments("x 5", FunctionTool(name="x", parameters=parameters)) == {}


@pytest.mark.parametrize(
    ("value", "schema", "fitted"),
    [
        ("twenty one", WHOLE, 21),
        ("2.5", NUMBER, 2.5),
        ("many", WHOLE, "many"),
        ("off", TRUTH, False),
        ("on", TRUTH, True),
        ("text", TEXT, "text"),
        (7, TEXT, 7),
        ("text", None, "text"),
    ],
)
def test_a_text_is_fitted_to_its_parameter(value, schema, fitted):
    assert fit(value, schema) == fitted
