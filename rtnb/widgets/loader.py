"""One ES module and one style sheet for a widget, from the files in ``rtnb/static``.

anywidget takes a module as one text, which is also saved in notebooks with the widget's
state. So relative imports are inlined, worklets become texts in the module, and comments
and indentation are left out. The files stay what they are: plain ES modules that a
browser or Node loads as they lie there.

What is understood, and nothing else (anything else raises `ValueError`):

* ``import { a, b as c } from "./x.js";``
* ``export`` before ``function``, ``async function``, ``class`` or ``const``
* ``export default`` in the first file
* ``new URL("./x.worklet.js", import.meta.url)``, which becomes the URL of a blob

Every module becomes a function called once, so two files may use the same private name.
Texts in backquotes keep to one line, and no code line begins with ``//`` or ``/*``.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parents[1] / "static"
"""Where the front end's files are."""

_COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/[ \t]*|//[^\n]*)$", re.MULTILINE | re.DOTALL)
_INLINE_TYPE = re.compile(r"/\*\* @type \{[^*]*\} \*/ ?")
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.MULTILINE)
_WORKLET = re.compile(r'new URL\("\./([\w.]+)", import\.meta\.url\)')
_LEFT_OVER = re.compile(
    r"^(?:import|export)\b(?! default).*$|import\.meta", re.MULTILINE
)


@cache
def bundle(name: str) -> str:
    """One self-contained ES module.

    Parameters
    ----------
    name : str
        File name of the first module in ``rtnb/static``, such as ``"audio_port.js"``.

    Returns
    -------
    str
        The text, without any import, with the worklets in it.

    Raises
    ------
    ValueError
        If modules import each other in a circle, or write an import or export in a way
        that is not understood.
    OSError
        If a file is missing.
    """
    order: list[str] = []
    _collect(name, order, trail=())
    parts = [_as_function(module) for module in order[:-1]]
    return "\n".join([*parts, _body(name)]) + "\n"


@cache
def stylesheet(*names: str) -> str:
    """One style sheet out of several files.

    Parameters
    ----------
    *names : str
        File names in ``rtnb/static``, in their order.

    Returns
    -------
    str
        The rules, without comments.
    """
    return "\n".join(_squeeze(_read(name)) for name in names) + "\n"


def _collect(name: str, order: list[str], *, trail: tuple[str, ...]) -> None:
    """Append `name` to `order`, after everything that it imports."""
    if name in trail:
        circle = " → ".join([*trail, name])
        raise ValueError(f"modules import each other in a circle: {circle}")
    if name in order:
        return
    for _, imported in _IMPORT.findall(_code(name)):
        _collect(imported, order, trail=(*trail, name))
    order.append(name)


def _as_function(name: str) -> str:
    exported = [public for _, public in _EXPORT.findall(_code(name))]
    names = ",".join(exported)
    return f"const {_variable(name)}=(()=>{{\n{_body(name)}\nreturn{{{names}}};\n}})();"


def _body(name: str) -> str:
    """The module's code, with its imports and exports resolved."""
    code = _IMPORT.sub(_take_import, _code(name))
    code = _EXPORT.sub(r"\1 \2", code)
    code = _WORKLET.sub(_take_worklet, code)
    if left := _LEFT_OVER.search(code):
        raise ValueError(f"{name}: cannot inline {left.group()!r}")
    return code


def _take_import(match: re.Match[str]) -> str:
    names = match.group(1).replace(" as ", ":").replace(" ", "").replace("\n", "")
    return f"const{{{names}}}={_variable(match.group(2))};"


def _take_worklet(match: re.Match[str]) -> str:
    text = json.dumps(bundle(match.group(1)))
    return f'URL.createObjectURL(new Blob([{text}],{{type:"text/javascript"}}))'


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _code(name: str) -> str:
    return _squeeze(_INLINE_TYPE.sub("", _read(name)))


def _squeeze(text: str) -> str:
    """The text without comment lines, indentation and empty lines."""
    lines = (line.strip() for line in _COMMENT.sub("", text).splitlines())
    return "\n".join(line for line in lines if line)


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
