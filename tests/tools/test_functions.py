"""Plain functions as tools: their schema, their calls, and all that can go wrong."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import threading
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import numpy as np
import pytest

from rtnb.clock import InstantClock
from rtnb.errors import ConfigError
from rtnb.tools import MAX_OUTPUT_BYTES, Tool, tool


@dataclass
class Place:
    lat: float
    lon: float


class Note(TypedDict):
    text: str


def look_up(
    city: str,
    unit: Literal["c", "f"] = "c",
    days: int | None = 3,
    *,
    where: Place | None = None,
    notes: tuple[Note, ...] = (),
    anything=None,
):
    """Forecast for a city.

    From the archive
    of forecasts.

    Parameters
    ----------
    city : str
        Name of the
        city.
    unit, days
        For both: a word.

    Returns
    -------
    str
        city : no parameter at all
    """
    return {"city": city, "unit": unit, "days": days, "where": where}


def in_google_style(first: int, second: dict[str, float]):
    """Sum up.

    Args:
        first (int): One
            number.
        second: A map: name to number.

    Returns:
        first: not this.
    """


def call(function, arguments="{}", **options):
    return asyncio.run(Tool.of(function, **options).call(arguments)).output


def error_of(output):
    (message,) = json.loads(output).values()
    return message


# -- the schema ------------------------------------------------------------------------


def test_the_schema_comes_from_the_annotations():
    definition = Tool.of(look_up).definition
    properties = definition.parameters["properties"]
    assert definition.name == "look_up"
    assert definition.parameters["required"] == ["city"]
    assert definition.parameters["additionalProperties"] is False
    assert properties["city"]["type"] == "string"
    assert properties["unit"]["enum"] == ["c", "f"]
    assert properties["days"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert properties["where"]["anyOf"][0] == {"$ref": "#/$defs/Place"}
    assert set(definition.parameters["$defs"]) == {"Place", "Note"}
    assert properties["anything"] == {"default": None}


def test_defaults_are_told():
    properties = Tool.of(look_up).definition.parameters["properties"]
    assert (properties["unit"]["default"], properties["days"]["default"]) == ("c", 3)
    assert "default" not in properties["city"]


def test_a_default_that_json_cannot_say_is_left_out():
    def draw(color: Any = Ellipsis):
        """Draw."""

    assert "default" not in Tool.of(draw).definition.parameters["properties"]["color"]


def test_a_numpydoc_docstring_describes():
    definition = Tool.of(look_up).definition
    properties = definition.parameters["properties"]
    assert definition.description == (
        "Forecast for a city.\n\nFrom the archive\nof forecasts."
    )
    assert properties["city"]["description"] == "Name of the city."
    assert properties["unit"]["description"] == "For both: a word."
    assert properties["days"]["description"] == "For both: a word."
    assert "description" not in properties["where"]


def test_a_google_docstring_describes():
    definition = Tool.of(in_google_style).definition
    properties = definition.parameters["properties"]
    assert definition.description == "Sum up."
    assert properties["first"]["description"] == "One number."
    assert properties["second"]["description"] == "A map: name to number."


def test_annotated_describes_too():
    def draw(color: Annotated[str, "as #rrggbb"]):
        pass

    definition = Tool.of(draw).definition
    assert definition.parameters["properties"]["color"]["description"] == "as #rrggbb"
    assert not definition.description


def test_methods_have_no_self():
    class Shop:
        def price(self, item: str) -> int:
            return len(item)

    assert list(Tool.of(Shop().price).definition.parameters["properties"]) == ["item"]
    assert call(Shop().price, '{"item": "tea"}') == "3"


def positional(a, /):
    pass


def variadic(*names):
    pass


def keywords(**options):
    pass


def unresolved(a: Nowhere):  # noqa: F821 - the point of the test
    pass


def without_schema(a: complex | threading.Thread):
    pass


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda: None, "cannot be a tool under the name '<lambda>'"),
        (functools.partial(look_up), "cannot be a tool under the name ''"),
        (positional, "cannot give by name"),
        (variadic, r"takes \*names, which the model"),
        (keywords, r"takes \*\*options, which the model"),
        (unresolved, "'Nowhere' is not defined"),
        (without_schema, "has no JSON Schema"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_at_once(function, reason):
    with pytest.raises(ConfigError, match=reason):
        Tool.of(function)


# -- calls -----------------------------------------------------------------------------


def test_arguments_are_converted_and_defaults_left_to_the_function():
    arguments = '{"city": "Oslo", "days": "2", "where": {"lat": 59.9, "lon": 10.7}}'
    answer = json.loads(call(look_up, arguments))
    assert answer == {
        "city": "Oslo",
        "unit": "c",
        "days": 2,
        "where": {"lat": 59.9, "lon": 10.7},
    }


@pytest.mark.parametrize(
    "arguments", ["{", "[]", "{}", '{"city": 1.5}', '{"city": "Oslo", "moon": 1}']
)
def test_arguments_that_do_not_fit_are_told_to_the_model(arguments):
    assert error_of(call(look_up, arguments)).startswith("the arguments do not fit: ")


def test_no_arguments_at_all_may_come_as_an_empty_text():
    def now() -> str:
        return "noon"

    assert call(now, "") == "noon"


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ("as it is", "as it is"),
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
        (None, "null"),
        (np.float64(1.5), "1.5"),
        (np.arange(3), "[0,1,2]"),
        ({1}, "[1]"),
        (Place(1.0, 2.0), '{"lat":1.0,"lon":2.0}'),
        (complex(1, 2), '"(1+2j)"'),
    ],
)
def test_results_become_text(result, output):
    def get():
        return result

    assert call(get) == output


def test_a_long_result_is_cut_and_says_so():
    def much() -> str:
        return "x" * 5_000_000

    output = call(much)
    assert len(output.encode()) <= MAX_OUTPUT_BYTES
    assert (
        json.loads(output)["cut"] == "these are the first characters of 5000000 bytes"
    )


def test_a_function_that_raises_tells_the_model(caplog):
    def fail():
        raise ZeroDivisionError("by nought")

    assert error_of(call(fail)) == "ZeroDivisionError: by nought"
    assert "ZeroDivisionError" in caplog.text


def test_a_function_that_wants_to_end_the_interpreter_does_not():
    def leave():
        sys.exit(3)

    assert error_of(call(leave)) == "SystemExit: 3"


def test_a_result_that_cannot_be_told_is_an_error():
    def loop():
        endless = []
        endless.append(endless)
        return endless

    assert error_of(call(loop)).startswith("RecursionError")


def test_functions_run_away_from_the_loop():
    def where() -> str:
        return threading.current_thread().name

    assert call(where) == "rtnb.tool.where"


def test_asynchronous_functions_run_on_the_users_loop():
    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    async def fail():
        raise ValueError("no")

    def wrapped():
        return where()

    assert call(where) == "rtnb.user"
    assert call(wrapped) == "rtnb.user"
    assert error_of(call(fail)) == "ValueError: no"


def test_a_function_that_never_returns_is_given_up():
    release = threading.Event()

    def hang():
        release.wait()

    output = call(hang, timeout=0.01)
    release.set()
    assert error_of(output) == "no result within 0.01 s"


def test_an_asynchronous_one_is_cancelled():
    ended = threading.Event()

    async def hang():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    tool = Tool.of(hang)
    outcome = asyncio.run(tool.call("{}", clock=InstantClock()))
    assert outcome.status == "timeout"
    assert error_of(outcome.output) == "no result within 30 s"
    assert ended.wait(5)


# -- bounds, policies, the decorator ---------------------------------------------------


@dataclass(frozen=True)
class AtMost:
    """As other packages write a bound."""

    le: int


def bounded(
    level: Annotated[int, msgspec.Meta(ge=0)],
    share: Annotated[float, AtMost(1), "of all"] = 0.5,
    unit: Literal["c", "f"] = "c",
) -> str:
    return f"{level} {share} {unit}"


def test_bounds_are_told_and_kept():
    properties = Tool.of(bounded).definition.parameters["properties"]
    assert properties["level"]["minimum"] == 0
    assert properties["share"]["maximum"] == 1
    assert properties["share"]["description"] == "of all"
    assert call(bounded, '{"level": 0, "share": 1}') == "0 1.0 c"


@pytest.mark.parametrize(
    "arguments",
    ['{"level": -1}', '{"level": 1, "share": 1.5}', '{"level": 1, "unit": "k"}', "3"],
)
def test_what_is_out_of_bounds_is_never_called(arguments):
    called = []

    @functools.wraps(bounded)
    def watched(**given):
        called.append(given)

    outcome = asyncio.run(Tool.of(watched).call(arguments))
    assert outcome.status == "refused"
    assert error_of(outcome.output).startswith("the arguments do not fit: ")
    assert called == []


def test_the_decorator_leaves_a_function_that_can_be_called():
    @tool
    def plain(x: int) -> int:
        return x + 1

    @tool(confirm=True, timeout=3)
    def careful(x: int) -> int:
        return x + 2

    assert (plain(1), careful(x=1)) == (2, 3)
    assert (plain.confirm, plain.timeout) == (False, 30)
    assert (careful.confirm, careful.timeout) == (True, 3)


@pytest.mark.parametrize("options", [{"confirm": "yes"}, {"timeout": 0}])
def test_what_cannot_be_asked_of_a_tool(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        tool(**options)(bounded)


def allowed(policy):
    return asyncio.run(Tool.of(bounded, confirm=policy).allows('{"level": "7"}'))


@pytest.mark.parametrize(
    ("answer", "allows"), [(True, True), (1, False), ("true", False), (None, False)]
)
def test_only_true_allows(answer, allows):
    async def later(name, arguments):
        return answer

    assert allowed(lambda name, arguments: answer) is allows
    assert allowed(later) is allows


def test_a_policy_sees_what_would_be_called():
    seen = []
    allowed(lambda name, arguments: seen.append((name, arguments)))
    assert seen == [("bounded", {"level": 7})]


def test_a_policy_that_raises_allows_nothing(caplog):
    assert not allowed(lambda name, arguments: 1 / 0)
    assert "ZeroDivisionError" in caplog.text
