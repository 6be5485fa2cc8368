"""What a JSON schema says, and the plainest value that it allows."""

from fractions import Fraction

import pytest

from rtnb.gateway.schemas import allows, kind_of, least, resolved


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "text"),
        (None, "text"),
        ({"type": "null"}, None),
        ({"type": "boolean"}, False),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 1.5, "multipleOf": 5}, 5),
        ({"type": "integer", "minimum": True}, 0),
        ({"type": "number", "minimum": 1.5}, 1.5),
        ({"type": "number", "exclusiveMinimum": 1, "maximum": 1.5}, 1.25),
        ({"type": "number", "multipleOf": 0.25, "minimum": 0.3}, 0.5),
        ({"type": "array", "minItems": 2, "items": {"type": "boolean"}}, [False, False]),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]}, {"a": "text"}),
        ({"type": "integer", "default": 6}, 6),
        ({"enum": ["a", "b"]}, "a"),
        ({"enum": ["a"], "type": ["string", "null"]}, None),
        ({"examples": ["x"]}, "x"),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, None),
        ({"oneOf": [{"const": 2}, {"const": 3}]}, 2),
        ({"$ref": "#/$defs/a%2"}, "text"),
        ({"$ref": "#/$defs/a~1b"}, 7),
        ({"allOf": [{"type": "integer"}, {"minimum": 2}]}, 2),
        ({"format": "email"}, "user@example.com"),
        ({"maxLength": 2}, "te"),
        ({"minLength": 6}, "text--"),
    ],
)  # fmt: skip
def test_the_plainest_value(schema, value):
    assert least(schema, {"$defs": {"a/b": {"const": 7}}}, text="text") == value


def test_objects_are_merged():
    a = {"properties": {"x": {}}, "required": ["x"]}
    b = {"properties": {"y": {}}, "required": ["y"]}
    assert resolved({"allOf": [a, b]}, {}) == {
        "properties": {"x": {}, "y": {}},
        "required": ["x", "y"],
    }


def test_the_type_is_the_first_that_is_not_null():
    assert kind_of({"type": ["null", "integer"]}) == "integer"
    assert kind_of({"properties": {}}) == "object"
    assert kind_of({"type": ["null"]}) == "null"
    assert kind_of({"type": 3}) == "string"


@pytest.mark.parametrize(("number", "fits"), [(0, False), (1, True), (5, False)])
def test_numbers_are_in_range_or_not(number, fits):
    schema = {"exclusiveMinimum": 0, "exclusiveMaximum": 5}
    assert allows(schema, Fraction(number), "integer") is fits
    assert not allows({}, Fraction(1, 2), "integer")
