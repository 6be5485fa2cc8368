"""JSON schemas, as far as a guesser of arguments needs them.

What is wrong or unknown in a schema counts as not said; nothing here raises.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DEEPEST: Final = 8
"""Objects within objects, and references after references, that are followed."""

MOST_ITEMS: Final = 100
"""Items that are made for a ``minItems``."""

USUAL: Final = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "email": "user@example.com",
    "ipv4": "192.0.2.1",
    "phone": "+1 555 0100",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
"""Texts of a ``format``: names and numbers that are kept free for examples."""


def resolved(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its references followed, its parts merged, one variant chosen.

    Parameters
    ----------
    schema : object
        A part of `root`.
    root : mapping
        Where ``#/…`` points into.

    Returns
    -------
    dict
        Of the variants the first that is not null; then ``nullable`` says that null is
        another. Empty where the schema cannot be followed.
    """
    merged: dict[str, Any] = dict(schema) if isinstance(schema, dict) else {}
    for _ in range(DEEPEST):
        if isinstance(reference := merged.pop("$ref", None), str):
            merged = {**_pointed(reference, root), **merged}
        elif isinstance(parts := merged.pop("allOf", None), list):
            whole: dict[str, Any] = {}
            for part in parts:
                whole = _merged(whole, resolved(part, root))
            merged = _merged(whole, merged)
        elif variants := merged.pop("anyOf", None) or merged.pop("oneOf", None):
            merged = _one_of(variants, merged)
        else:
            break
    return merged


def _pointed(reference: str, root: Any) -> dict[str, Any]:
    for step in reference.removeprefix("#").removeprefix("/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        root = root if not name else root.get(name) if isinstance(root, dict) else None
    return dict(root) if isinstance(root, dict) else {}


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    both = {**first, **second}
    both["properties"] = {**properties_of(first), **properties_of(second)}
    both["required"] = [*required_of(first), *required_of(second)]
    return {name: value for name, value in both.items() if value not in ({}, [])}


def _one_of(variants: object, rest: dict[str, Any]) -> dict[str, Any]:
    """One of several schemas; of constants, all of them."""
    listed = variants if isinstance(variants, list) else []
    given = [one for one in listed if isinstance(one, dict)]
    real = [one for one in given if one.get("type") != "null"]
    if real and all("const" in one for one in real):
        chosen: dict[str, Any] = {"enum": [one["const"] for one in real]}
    else:
        chosen = dict(real[0]) if real else {"type": "null"}
    if len(real) < len(given):
        chosen["nullable"] = True
    return {**chosen, **rest}


# -- what a schema says --------------------------------------------------------------


def properties_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an object, by name."""
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def required_of(schema: Mapping[str, Any]) -> list[Any]:
    """Names of the properties that an object must have."""
    required = schema.get("required")
    return required if isinstance(required, list) else []


def choices_of(schema: Mapping[str, Any]) -> list[Any]:
    """All values that are allowed, where they are listed."""
    choices = schema.get("enum")
    if not choices and "const" in schema:
        choices = [schema["const"]]
    return choices if isinstance(choices, list) else []


def kind_of(schema: Any) -> str:
    """The JSON type of a schema; the first that is not null where there are several."""
    schema = resolved(schema, {})
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    return kind if isinstance(kind, str) else "string"


def nullable(schema: Mapping[str, Any]) -> bool:
    """Whether a resolved schema allows null beside other things."""
    kinds = schema.get("type")
    listed = isinstance(kinds, list) and "null" in kinds
    return listed or schema.get("nullable") is True


def count_of(schema: Mapping[str, Any], name: str) -> int | None:
    """A bound of a length, such as ``maxItems``; None where there is none."""
    value = schema.get(name)
    return value if isinstance(value, int) and value >= 0 else None


def number_as(value: Fraction, kind: str) -> int | float:
    """A number as JSON has it: whole where it can be."""
    return int(value) if kind == "integer" or value.denominator == 1 else float(value)


def allows(schema: Mapping[str, Any], value: Fraction, kind: str) -> bool:
    """Whether a number is in the range of a schema."""
    low, high, step = _range(schema, kind)
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and value != _bound(schema, "exclusiveMinimum")
        and value != _bound(schema, "exclusiveMaximum")
        and (kind == "number" or value.denominator == 1)
        and (not _bound(schema, "multipleOf") or (value / step).denominator == 1)
    )


def _bound(schema: Mapping[str, Any], name: str) -> Fraction | None:
    value = schema.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Fraction(str(value)) if math.isfinite(value) else None


def _range(
    schema: Mapping[str, Any], kind: str
) -> tuple[Fraction | None, Fraction | None, Fraction]:
    """The least and the greatest number, and the step from one to the next."""
    lows = [_bound(schema, name) for name in ("minimum", "exclusiveMinimum")]
    highs = [_bound(schema, name) for name in ("maximum", "exclusiveMaximum")]
    low = max((one for one in lows if one is not None), default=None)
    high = min((one for one in highs if one is not None), default=None)
    step = _bound(schema, "multipleOf")
    if step:
        return low, high, Fraction(step.numerator) if kind == "integer" else step
    narrow = kind == "number" and low is not None and high is not None
    if narrow and low is not None and high is not None and low < high <= low + 1:
        return low, high, (high - low) / 2
    return low, high, Fraction(1)


# -- the plainest value --------------------------------------------------------------


def least(
    schema: Any, root: Mapping[str, Any], *, text: str = "", depth: int = 0
) -> Any:
    """The plainest value that a schema allows.

    Parameters
    ----------
    schema : object
        A part of `root`.
    root : mapping
        Where ``#/…`` points into.
    text : str
        What a string is made of.
    depth : int
        How deep `schema` lies; below `DEEPEST` objects and arrays are empty.

    Returns
    -------
    object
        Its default, null, its first choice or example, or else the least of its type.

    Examples
    --------
    >>> least({"type": "integer", "minimum": 3}, {})
    3
    """
    facts = resolved(schema, root)
    for listed in (choices_of(facts), facts.get("examples")):
        if isinstance(listed, list) and listed:
            facts.setdefault("default", None if nullable(facts) else listed[0])
    if "default" in facts or nullable(facts):
        return facts.get("default")
    match kind_of(facts):
        case "integer" | "number" as kind:
            return _nearest_zero(facts, kind)
        case "array" | "object" as kind:
            return _least_whole(facts, kind, root, text=text, depth=depth + 1)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return _least_text(facts, text)


def _nearest_zero(schema: Mapping[str, Any], kind: str) -> int | float:
    low, high, step = _range(schema, kind)
    first, direction = Fraction(0), 1
    if low is not None and low > 0:
        first = math.ceil(low / step) * step
        first = low if kind == "number" and allows(schema, low, kind) else first
    elif high is not None and high < 0:
        first, direction = math.floor(high / step) * step, -1
    elif high is not None and not allows(schema, first, kind):
        direction = 1 if high > 0 else -1
    tried = (first + direction * count * step for count in range(3))
    fitting = (value for value in tried if allows(schema, value, kind))
    return number_as(next(fitting, first), kind)


def _least_whole(
    facts: dict[str, Any], kind: str, root: Mapping[str, Any], *, text: str, depth: int
) -> Any:
    if kind == "array":
        count = 0 if depth > DEEPEST else count_of(facts, "minItems") or 0
        items = range(min(count, MOST_ITEMS))
        return [least(facts.get("items"), root, text=text, depth=depth) for _ in items]
    properties = {} if depth > DEEPEST else properties_of(facts)
    return {
        name: least(inner, root, text=text, depth=depth)
        for name, inner in properties.items()
        if name in required_of(facts)
    }


def _least_text(facts: Mapping[str, Any], text: str) -> str:
    form = facts.get("format")
    if isinstance(form, str) and form in USUAL:
        return USUAL[form]
    text = text[: count_of(facts, "maxLength")]
    return text + "-" * ((count_of(facts, "minLength") or 0) - len(text))
