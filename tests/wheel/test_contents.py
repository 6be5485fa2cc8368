import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load_contents():
    path = Path(__file__).with_name("contents.py")
    spec = importlib.util.spec_from_file_location("contents", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


contents = load_contents()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def without(wheel, left_out, folder):
    smaller = folder / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(smaller, "w") as target:
        for name in source.namelist():
            if name != left_out:
                target.writestr(name, source.read(name))
    return smaller


def test_the_wheel_holds_everything_that_git_knows(wheel):
    """What git does not know yet is a matter for a clean clone, so for .ci/run."""
    faults = contents.faults(wheel)
    assert [fault for fault in faults if not fault.startswith("does not belong")] == []


def test_a_wheel_without_the_weights_is_noticed(wheel, tmp_path):
    smaller = without(wheel, "rtnb/vad/silero_vad_6.2.npz", tmp_path)
    assert [fault for fault in contents.faults(smaller) if "silero" in fault] == [
        "missing: rtnb/vad/silero_vad_6.2.npz",
        "indispensable and missing: rtnb/vad/silero_vad_6.2.npz",
    ]


def test_a_stray_file_is_noticed(wheel, tmp_path):
    larger = without(wheel, "", tmp_path)
    with zipfile.ZipFile(larger, "a") as archive:
        archive.writestr("rtnb/static/.swp", "")
    assert "does not belong: rtnb/static/.swp" in contents.faults(larger)
