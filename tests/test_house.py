"""The rules of the house that a tool can keep."""

import ast
import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import rtnb

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "rtnb").rglob("*.py"))
SCRIPTS = sorted((ROOT / "rtnb" / "static").rglob("*.js"))
MOST_NAMES = 17
HEAVY = {
    "IPython",
    "ipywidgets",
    "matplotlib",
    "pandas",
    "soundfile",
    "soxr",
    "starlette",
}
BANNED = {"eval", "exec", "pickle", "pyplot", "raise NotImplementedError", "yaml.load"}


def test_imports_point_down_the_floors():
    command = Path(sysconfig.get_path("scripts")) / "lint-imports"
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_public_names_are_sorted_and_few():
    assert list(rtnb.__all__) == sorted(rtnb.__all__, key=str.casefold)
    assert len(rtnb.__all__) <= MOST_NAMES


def test_public_names_exist_and_are_listed():
    assert set(rtnb.__all__) <= set(dir(rtnb))
    assert [name for name in rtnb.__all__ if getattr(rtnb, name, None) is None] == []


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        rtnb.nonsense  # noqa: B018 - the access is the test


def test_import_leaves_heavy_packages_alone():
    program = "import json, sys, rtnb; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {module.partition(".")[0] for module in json.loads(done.stdout)}
    assert loaded & HEAVY == set()


def camel_case(wire_name: str) -> str:
    return "".join(word.capitalize() for word in re.split(r"[._]", wire_name))


@pytest.mark.parametrize(
    ("table", "count"), [("CLIENT_EVENTS", 11), ("SERVER_EVENTS", 46)]
)
def test_event_classes_are_named_after_the_wire(table, count):
    from rtnb.protocol import codec

    events = getattr(codec, table)
    assert len(events) == count
    assert {name: camel_case(name) for name in events} == {
        name: event.__name__ for name, event in events.items()
    }
    assert {name: codec.type_name(event) for name, event in events.items()} == {
        name: name for name in events
    }


def words_of(path: Path) -> set[str]:
    """Every name, attribute, imported module and raised error of a Python file."""
    words: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Name(id=name):
                words.add(name)
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                words |= {name, f"{owner}.{name}"}
            case ast.Attribute(attr=name):
                words.add(name)
            case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
                words.add(f"raise {name}")
            case ast.Import(names=names):
                words |= {part for alias in names for part in alias.name.split(".")}
            case ast.ImportFrom(module=module, names=names):
                words |= {*(module or "").split("."), *(alias.name for alias in names)}
    return words


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_words(path):
    assert words_of(path) & BANNED == set()


def test_banned_words_are_seen(tmp_path):
    program = tmp_path / "bad.py"
    program.write_text(
        "import matplotlib.pyplot\n"
        "from pickle import loads\n"
        "yaml.load(eval('1'))\n"
        "exec('2')\n"
        "raise NotImplementedError('later')\n"
    )
    assert words_of(program) & BANNED == BANNED


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_make_no_code_from_text(path):
    assert re.findall(r"\beval\(|new Function\(", path.read_text("utf-8")) == []
