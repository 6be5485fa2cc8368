"""The JSON Schema of a function's arguments, and the type that checks them.

Bounds are those of the annotations: ``Annotated[int, msgspec.Meta(ge=0, le=10)]``, or the
same in the words of other packages (``annotated_types.Ge(0)``, ``pydantic.Field(ge=0)``).
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import UNSET, UnsetType

from rtnb.errors import ConfigError
from rtnb.tools.docstrings import parameter_docs

if TYPE_CHECKING:
    from collections.abc import Callable

_UNNAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
)
_BOUNDS: Final = (
    "ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern",
)  # fmt: skip
"""What an annotation may say of a value, under the names that msgspec has too."""


def arguments_type(function: Callable[..., Any], name: str) -> type[msgspec.Struct]:
    """Type that checks the arguments of a function and converts them."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"the annotations of {name} cannot be read: {error}"
        ) from None
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in _UNNAMED:
            raise ConfigError(
                f"{name} takes {parameter}, which the model cannot give by name: "
                "give every parameter a name of its own"
            )
        hint = _bounded(hints.get(parameter.name, Any))
        if parameter.default is parameter.empty:
            fields.append((parameter.name, hint))
        else:
            fields.append((parameter.name, hint | UnsetType, UNSET))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


def _bounded(hint: Any) -> Any:
    """The annotation with every bound in it as msgspec understands it."""
    if get_origin(hint) is not Annotated:
        return hint
    kind, *metadata = get_args(hint)
    told = [
        each
        for one in metadata
        for each in (one, *(getattr(one, "metadata", None) or ()))
        if not isinstance(each, msgspec.Meta)
    ]
    bounds: dict[str, Any] = {
        name: bound
        for each in told
        for name in _BOUNDS
        if isinstance(bound := getattr(each, name, None), int | float | str)
    }
    if not bounds:
        return hint
    return Annotated[(kind, *metadata, msgspec.Meta(**bounds))]


def arguments_schema(
    function: Callable[..., Any], arguments: type[msgspec.Struct]
) -> dict[str, Any]:
    """JSON Schema of the arguments, with descriptions and defaults."""
    name = arguments.__name__
    try:
        (root,), definitions = msgspec.json.schema_components(
            [arguments], ref_template="#/$defs/{name}"
        )
    except (TypeError, NotImplementedError) as error:
        raise ConfigError(
            f"an annotation of {name} has no JSON Schema: {error}"
        ) from error
    schema: dict[str, Any] = definitions.pop(root["$ref"].rpartition("/")[2])
    del schema["title"]
    described = parameter_docs(inspect.getdoc(function) or "")
    for parameter in inspect.signature(function).parameters.values():
        entry = schema["properties"][parameter.name]
        description = _annotated(function, parameter.name) or described.get(
            parameter.name
        )
        if description:
            entry.setdefault("description", description)
        if parameter.default is not parameter.empty:
            with suppress(TypeError):
                entry["default"] = msgspec.to_builtins(parameter.default)
    return schema | ({"$defs": definitions} if definitions else {})


def _annotated(function: Callable[..., Any], parameter: str) -> str | None:
    """Text of an ``Annotated[…, "text"]``."""
    hint = get_type_hints(function, include_extras=True).get(parameter)
    texts = (
        each for each in getattr(hint, "__metadata__", ()) if isinstance(each, str)
    )
    return next(texts, None)
