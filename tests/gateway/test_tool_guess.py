"""Which tool a sentence names, and with what: guesses one can rely on."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtnb.gateway.tool_guess import fit, guess_arguments, guess_object, named_tools
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
        ("order milk, bread", {"items": {"type": "array", "items": TEXT}}, {"items": ["milk", "bread"]}),
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


FRIDAY = date(2026, 11, 20)
DATE = {"type": "string", "format": "date"}
HOUR = {"type": "string", "format": "time"}
COLOUR = {"type": "string", "enum": ["red", "dark red", "blue"]}


@pytest.mark.parametrize(
    ("said", "schema", "value"),
    [
        ("on 3 March", DATE, "2027-03-03"),
        ("come tomorrow", {"type": "string", "description": "As YYYY-MM-DD."}, "2026-11-21"),
        ("at half past five pm", HOUR, "17:30:00Z"),
        ("at 7 am", {"type": "string", "description": "HH:MM, 24 hours"}, "07:00"),
        ("in 3 days at 9:15", {"type": "string", "format": "date-time"}, "2026-11-23T09:15:00Z"),
        ("noon", {"type": "string", "format": "date-time"}, "2026-11-20T12:00:00Z"),
        ("whenever", DATE, "2026-11-20"),
        ("whenever", HOUR, "12:00:00Z"),
        ("mail anna at example dot org today", {"type": "string", "format": "email"}, "anna@example.org"),
        ("mail her", {"type": "string", "format": "email"}, "user@example.com"),
        ("open https://a.example/b?c=1, please", {"type": "string", "format": "uri"}, "https://a.example/b?c=1"),
        ("order ab-12 now", {"type": "string", "pattern": "^[A-Z]{2}-\\d+$"}, "AB-12"),
        ("a dark red one, not blue", COLOUR, "dark red"),
        ("level 2", {"type": "integer", "enum": [1, 2, 3]}, 2),
        ("ten or 3", {"type": "integer", "minimum": 1, "maximum": 5}, 3),
        ("ten", {"type": "integer", "minimum": 1, "maximum": 5}, 1),
        ("2.5 or 4", {"type": "integer"}, 4),
        ("7", {"type": "integer", "multipleOf": 5, "exclusiveMinimum": 0}, 5),
        ("so cold", {"type": "number", "maximum": -3}, -3),
        ("x", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ("what", {"anyOf": [WHOLE, {"type": "null"}]}, None),
        ("what", {"type": ["string", "null"], "enum": ["a", "b", None]}, None),
        ("blue", {"anyOf": [{"const": "red"}, {"const": "blue"}]}, "blue"),
        ("hm", {"$ref": "#/$defs/Colour"}, "red"),
        ("in blue", {"allOf": [{"$ref": "#/$defs/Colour"}]}, "blue"),
        ("blue and red", {"type": "array", "items": COLOUR}, ["blue", "red"]),
        ("buy milk, two eggs and some bread", {"type": "array", "items": TEXT}, ["milk", "two eggs", "bread"]),
        ("sum 1, 2 and 2", {"type": "array", "items": WHOLE, "uniqueItems": True}, [1, 2]),
        ("sum 1, 2 and 3", {"type": "array", "items": WHOLE, "maxItems": 2}, [1, 2]),
        ("sum 1", {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 3}, [1, 1, 1]),
        ("hm", {"type": "string", "maxLength": 1}, "h"),
        ("hm", {"type": "string", "minLength": 4}, "hm--"),
        ("hm", {"type": "string", "examples": ["one"]}, "hm"),
        ("the", {"type": "array", "items": {"type": "object", "properties": {"n": WHOLE}, "required": ["n"]}, "minItems": 1}, [{"n": 0}]),
        ("5 to Bern", {"type": "object", "properties": {"to": TEXT, "n": WHOLE}, "required": ["n"]}, {"to": "Bern", "n": 5}),
    ],
)  # fmt: skip
def test_a_required_value_obeys_its_schema(said, schema, value):
    whole = {
        "properties": {"it": schema},
        "required": ["it"],
        "$defs": {"Colour": COLOUR},
    }
    assert guess_object(said, whole, today=FRIDAY) == {"it": value}


def test_numbers_go_to_the_parameter_they_stand_beside():
    book = tool("book_hotel", city=TEXT, nights=WHOLE, guests=WHOLE, arrival=DATE)
    said = "book a hotel in Oslo on 4 May for two guests and 3 nights"
    assert guess_arguments(said, book, today=FRIDAY) == {
        "city": "Oslo",
        "nights": 3,
        "guests": 2,
        "arrival": "2027-05-04",
    }


def test_a_schema_that_contains_itself_has_an_end():
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}}}
    assert guess_object("x", {**tree, "required": ["left"]})
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert guess_object("x", loop) == {}


KEYWORDS = """type properties required items enum anyOf allOf $ref minItems minimum maximum
    multipleOf format pattern default a b"""
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 30) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYWORDS.split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(st.sampled_from(["properties", "required", "$ref"]), ANYTHING),
    st.text(),
)
def test_no_schema_and_no_words_are_too_much(schema, said):
    assert isinstance(guess_object(said, schema, today=FRIDAY), dict)
