"""The front end's units, which run under Node without a browser."""

import shutil
import subprocess
from pathlib import Path

import pytest

from rtnb.widgets.loader import bundle

JS = Path(__file__).resolve().parent / "js"
NO_NODE = "no Node on this machine; Debian and Ubuntu have it: apt-get install nodejs"


@pytest.fixture(scope="module")
def node() -> str:
    path = shutil.which("node") or shutil.which("nodejs")
    if path is None:
        pytest.skip(NO_NODE)
    return path


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_units_of_the_front_end(node):
    done = run(node, "--test", *sorted(map(str, JS.glob("*.test.mjs"))))
    assert done.returncode == 0, done.stdout[-20_000:]
    assert "# pass 0" not in done.stdout


@pytest.mark.parametrize(
    "name", ["audio_port.js", "calibrator.js", "timeline.js", "tuner.js"]
)
def test_a_bundle_is_a_module_that_offers_a_widget(node, name, tmp_path):
    module = tmp_path / "widget.mjs"
    module.write_text(bundle(name), "utf-8")
    program = (
        "const { default: widget } = await import(process.argv[1]);"
        "console.log(typeof widget.initialize, typeof widget.render)"
    )
    done = run(node, "--input-type=module", "-e", program, str(module))
    assert done.stdout.split() == ["function", "function"], done.stderr


@pytest.mark.parametrize("name", ["tap.worklet.js", "player.worklet.js"])
def test_a_worklet_registers_its_processor(node, name, tmp_path):
    module = tmp_path / "worklet.mjs"
    module.write_text(bundle(name), "utf-8")
    program = (
        "globalThis.AudioWorkletProcessor = class {};"
        "globalThis.registerProcessor = (name) => console.log(name);"
        "await import(process.argv[1])"
    )
    done = run(node, "--input-type=module", "-e", program, str(module))
    assert done.stdout.strip() == f"rtnb-{name.partition('.')[0]}", done.stderr
