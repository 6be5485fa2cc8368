from __future__ import annotations

import re

import pytest

from rtnb.widgets import loader
from rtnb.widgets.loader import bundle, stylesheet


@pytest.fixture
def static(tmp_path, monkeypatch):
    """An empty folder in the place of ``rtnb/static``; call it to write a file."""
    monkeypatch.setattr(loader, "STATIC", tmp_path)
    bundle.cache_clear()
    stylesheet.cache_clear()

    def write(name, text):
        (tmp_path / name).write_text(text, "utf-8")

    yield write
    bundle.cache_clear()
    stylesheet.cache_clear()


@pytest.mark.parametrize("name", ["audio_port.js", "timeline.js"])
def test_no_import_is_left_and_one_widget_is_exported(name):
    text = bundle(name)
    assert not re.search(r"^\s*import\b|\bimport\.meta|\bimport\(", text, re.MULTILINE)
    assert re.findall(r"^export .*$", text, re.MULTILINE) == ["export default {"]


def test_the_worklets_are_texts_within_the_port():
    text = bundle("audio_port.js")
    assert text.count("new Blob([") == 2
    for name in ("rtnb-tap", "rtnb-player"):
        assert f'registerProcessor(\\"{name}\\"' in text


def test_the_timeline_carries_no_worklet():
    assert "registerProcessor" not in bundle("timeline.js")


@pytest.mark.parametrize("name", ["audio_port.js", "timeline.js"])
def test_what_is_saved_with_every_notebook_is_lean(name):
    text = bundle(name)
    assert len(text) < 64_000
    assert "/**" not in text
    assert not re.search(r"^\s|\n\n", text, re.MULTILINE)


def test_modules_are_inlined_once_and_before_their_users(static):
    static("leaf.js", "const secret = 1;\nexport const leaf = () => secret;\n")
    static(
        "left.js",
        'import { leaf } from "./leaf.js";\nconst secret = 2;\n'
        "export function left() {\n  return leaf() + secret;\n}\n",
    )
    static(
        "first.js",
        'import {\n  leaf as small,\n} from "./leaf.js";\n'
        'import { left } from "./left.js";\n'
        "// a remark\nexport default { render: () => small() + left() };\n",
    )
    assert bundle("first.js").splitlines() == [
        "const $leaf=(()=>{",
        "const secret = 1;",
        "const leaf = () => secret;",
        "return{leaf};",
        "})();",
        "const $left=(()=>{",
        "const{leaf}=$leaf;",
        "const secret = 2;",
        "function left() {",
        "return leaf() + secret;",
        "}",
        "return{left};",
        "})();",
        "const{leaf:small,}=$leaf;",
        "const{left}=$left;",
        "export default { render: () => small() + left() };",
    ]


def test_addresses_and_other_double_slashes_in_code_stay(static):
    static("first.js", 'export default { url: "ws://127.0.0.1" };\n')
    assert '"ws://127.0.0.1"' in bundle("first.js")


def test_a_circle_is_an_error_that_names_it(static):
    static("a.js", 'import { b } from "./b.js";\nexport const a = 1;\n')
    static("b.js", 'import { a } from "./a.js";\nexport const b = 1;\n')
    with pytest.raises(ValueError, match=r"a\.js → b\.js → a\.js"):
        bundle("a.js")


@pytest.mark.parametrize(
    "line",
    [
        'import * as x from "./x.js";',
        'import x from "./x.js";',
        'import "./x.js";',
        'export { x } from "./x.js";',
        "export let x = 1;",
        "const here = import.meta.url;",
    ],
)
def test_what_cannot_be_inlined_is_an_error(static, line):
    static("a.js", f"{line}\nexport default {{}};\n")
    with pytest.raises(ValueError, match=r"a\.js: cannot inline"):
        bundle("a.js")


def test_a_missing_file_is_an_error(static):
    static("a.js", 'import { b } from "./b.js";\n')
    with pytest.raises(FileNotFoundError, match=r"b\.js"):
        bundle("a.js")


def test_style_sheets_are_joined_without_their_comments(static):
    static("a.css", "/* colours\n   of all */\n.a {\n  color: red;\n}\n")
    static("b.css", ".b { color: var(--x, url(//y)); }\n")
    assert stylesheet("a.css", "b.css") == (
        ".a {\ncolor: red;\n}\n.b { color: var(--x, url(//y)); }\n"
    )
