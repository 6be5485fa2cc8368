"""The vocabulary of the wire as the official SDK has it: fields, literals, examples."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import typing_extensions
from openai.types.realtime import (
    RealtimeClientEvent,
    RealtimeClientEventParam,
    RealtimeServerEvent,
)
from pydantic import BaseModel

REQUIRED = {Required, typing_extensions.Required}
LISTS = {list, Iterable, Sequence}
INTEGERS = {"idle_timeout_ms": 6000}
NUMBERS = {"speed": 1.25}


@dataclass(frozen=True)
class Field:
    annotation: Any
    required: bool


class Bogus(str):
    """A word that is not one of those the SDK allows here."""

    supported: frozenset[str]

    def __new__(cls, supported):
        word = super().__new__(cls, "bogus")
        word.supported = frozenset(supported)
        return word


def bare(annotation):
    """The annotation without Annotated and Required."""
    while get_origin(annotation) in REQUIRED | {Annotated}:
        annotation = get_args(annotation)[0]
    return annotation


def alternatives(annotation):
    """The types of a union, or the one type."""
    annotation = bare(annotation)
    if get_origin(annotation) in {Union, types.UnionType}:
        return [one for arg in get_args(annotation) for one in alternatives(arg)]
    return [annotation]


def is_record(annotation):
    return typing_extensions.is_typeddict(annotation) or (
        inspect.isclass(annotation) and issubclass(annotation, BaseModel)
    )


def fields(record):
    """Fields of a TypedDict or model, by wire name."""
    if typing_extensions.is_typeddict(record):
        hints = get_type_hints(record, include_extras=True)
        return {
            name: Field(hint, get_origin(hint) in REQUIRED)
            for name, hint in hints.items()
        }
    return {
        info.alias or name: Field(info.annotation, info.is_required())
        for name, info in record.model_fields.items()
    }


def literals(annotation):
    """Values of the literals among the alternatives of an annotation."""
    return {
        value
        for one in alternatives(annotation)
        if get_origin(one) is Literal
        for value in get_args(one)
    }


def records(annotation):
    """TypedDicts and models in an annotation, also those in lists."""
    found = []
    for one in alternatives(annotation):
        if is_record(one):
            found.append(one)
        elif get_origin(one) in LISTS:
            found += records(get_args(one)[0])
    return found


def tags(record):
    field = fields(record).get("type")
    return literals(field.annotation) if field else set()


def by_wire_name(union):
    return {tag: one for one in alternatives(union) for tag in tags(one)}


CLIENT_PARAMS = by_wire_name(RealtimeClientEventParam)
CLIENT_MODELS = by_wire_name(RealtimeClientEvent)
SERVER_MODELS = by_wire_name(RealtimeServerEvent)


def examples(annotation, name="", *, bogus=False):
    """JSON values of a type: every union member, every literal, every optional field.

    With `bogus`, closed sets of words also give a word that is not in them.
    """
    options = alternatives(annotation)
    found = [value for one in options for value in _examples(one, name, bogus)]
    words = literals(annotation)
    if bogus and str not in options and len(words) > 1 and name != "type":
        found.append(Bogus(words))
    return found


def _examples(one, name, bogus):
    if is_record(one):
        return record_examples(one, bogus=bogus)
    if get_origin(one) is Literal:
        return list(get_args(one))
    if get_origin(one) is dict:
        inner = get_args(one)[1]
        return [{}, *({"key": value} for value in examples(inner, bogus=bogus))]
    if get_origin(one) in LISTS:
        (inner,) = get_args(one)
        return [[], *([value] for value in examples(inner, name, bogus=bogus))]
    return {
        str: ["AAAA"],
        int: [INTEGERS.get(name, 1)],
        float: [NUMBERS.get(name, 0.5)],
        bool: [True, False],
        type(None): [None],
        object: [{"any": [1, None]}],
    }[one]


def record_examples(record, *, bogus=False):
    """The least, the most, and the least with each value of each field.

    Where the SDK leaves open which kind of object it is, also each with each kind.
    """
    choices = {
        name: examples(field.annotation, name, bogus=bogus)
        for name, field in fields(record).items()
    }
    least = {
        name: choices[name][0]
        for name, field in fields(record).items()
        if field.required
    }
    most = {name: values[-1] for name, values in choices.items()}
    kinds = [] if "type" in least else choices.get("type", [])
    varied = [
        {**base, name: value}
        for base in [least, *({**least, "type": kind} for kind in kinds)]
        for name, values in choices.items()
        for value in values
    ]
    return [least, most, *varied]
