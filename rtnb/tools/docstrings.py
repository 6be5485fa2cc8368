"""What a docstring, in numpydoc or Google style, says of a function and its parameters."""

from __future__ import annotations

import inspect
import re
from typing import Final

_NUMPY_SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}[ ]*$", re.MULTILINE)
_GOOGLE_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Keyword Args|Returns|Yields|Raises|Notes?|Examples?):[ ]*$",
    re.MULTILINE,
)
_OF_PARAMETERS: Final = ("Parameters", "Args", "Arguments", "Keyword Args")
_NUMPY_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: ?:.*)?$")
_GOOGLE_ENTRY = re.compile(r"^(\w+)(?: ?\([^)]*\))?: ?(.*)$")


def _sections(doc: str) -> list[tuple[str, str]]:
    """Headings of a docstring and what stands under each; the first has none."""
    marks = sorted(
        (match.start(), match.end(), match[1])
        for pattern in (_NUMPY_SECTION, _GOOGLE_SECTION)
        for match in pattern.finditer(doc)
    )
    starts = [("", 0), *((heading, end) for _, end, heading in marks)]
    ends = [*(start for start, _, _ in marks), len(doc)]
    return [
        (heading, doc[start:end])
        for (heading, start), end in zip(starts, ends, strict=True)
    ]


def description(doc: str) -> str:
    """What stands in front of the first section."""
    return inspect.cleandoc(_sections(doc)[0][1]).strip()


def parameter_docs(doc: str) -> dict[str, str]:
    """Description of each parameter, on one line."""
    described: dict[str, list[str]] = {}
    for heading, body in _sections(doc):
        if heading in _OF_PARAMETERS:
            _describe(inspect.cleandoc(body), described)
    return {name: " ".join(lines).strip() for name, lines in described.items()}


def _describe(body: str, described: dict[str, list[str]]) -> None:
    """Read entries, each at the margin with its description after it or below it."""
    names: list[str] = []
    for line in body.splitlines():
        if line[:1].strip():
            google, numpy = _GOOGLE_ENTRY.match(line), _NUMPY_ENTRY.match(line)
            is_google = google is not None and " : " not in line
            names = (
                [google[1]] if google and is_google
                else numpy[1].replace("*", "").split(", ") if numpy else []
            )  # fmt: skip
            first = google[2] if google and is_google else ""
        else:
            first = line
        for name in names:
            described.setdefault(name, []).append(first.strip())
