import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rtnb import lab
from rtnb.errors import ConfigError

FIRST, SECOND, THIRD = b"first", b"second", b"third"
OURS = Path("00-quick-start.ipynb")
NEW = Path("00-quick-start-new.ipynb")
ANSWERS = Path(__file__).parent / "wheel" / "answers.py"


@pytest.fixture
def originals(tmp_path):
    folder = tmp_path / "originals"
    folder.mkdir()
    (folder / OURS).write_bytes(FIRST)
    return folder


@pytest.fixture
def mine(tmp_path):
    return tmp_path / "mine"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.ipynb")}


def test_the_tutorials_are_copied_once(originals, mine):
    assert lab.copy_tutorials(mine, source=originals) == [f"Copied {mine / OURS}."]
    assert contents(mine) == {OURS.name: FIRST}
    assert lab.copy_tutorials(mine, source=originals) == []


def test_an_untouched_copy_follows_the_tutorial(originals, mine):
    lab.copy_tutorials(mine, source=originals)
    (originals / OURS).write_bytes(SECOND)
    assert lab.copy_tutorials(mine, source=originals) == [f"Updated {mine / OURS}."]
    assert contents(mine) == {OURS.name: SECOND}


def test_a_changed_copy_stays_and_says_nothing(originals, mine):
    lab.copy_tutorials(mine, source=originals)
    (mine / OURS).write_bytes(b"mine")
    assert lab.copy_tutorials(mine, source=originals) == []
    assert contents(mine) == {OURS.name: b"mine"}


def test_a_newer_tutorial_is_put_beside_a_changed_copy(originals, mine):
    lab.copy_tutorials(mine, source=originals)
    (mine / OURS).write_bytes(b"mine")
    (originals / OURS).write_bytes(SECOND)
    assert lab.copy_tutorials(mine, source=originals) == [
        f"Kept {mine / OURS}, which you changed. Copied {mine / NEW}."
    ]
    assert contents(mine) == {OURS.name: b"mine", NEW.name: SECOND}
    assert lab.copy_tutorials(mine, source=originals) == []


def test_a_changed_newer_tutorial_stays_too(originals, mine):
    lab.copy_tutorials(mine, source=originals)
    (mine / OURS).write_bytes(b"mine")
    (originals / OURS).write_bytes(SECOND)
    lab.copy_tutorials(mine, source=originals)
    (mine / NEW).write_bytes(b"mine too")
    assert lab.copy_tutorials(mine, source=originals) == []
    (originals / OURS).write_bytes(THIRD)
    assert lab.copy_tutorials(mine, source=originals) == [
        f"Kept {mine / OURS}, which you changed. Kept {mine / NEW}, which you changed; "
        "the newer tutorial was not copied."
    ]
    assert contents(mine) == {OURS.name: b"mine", NEW.name: b"mine too"}


def test_a_deleted_copy_comes_back(originals, mine):
    lab.copy_tutorials(mine, source=originals)
    (mine / OURS).unlink()
    lab.copy_tutorials(mine, source=originals)
    assert contents(mine) == {OURS.name: FIRST}


@pytest.mark.parametrize("manifest", ["", "[]", "not json", "{}"])
def test_without_a_readable_manifest_every_file_is_the_users(originals, mine, manifest):
    lab.copy_tutorials(mine, source=originals)
    (mine / lab.MANIFEST).write_text(manifest)
    (originals / OURS).write_bytes(SECOND)
    lab.copy_tutorials(mine, source=originals)
    assert contents(mine) == {OURS.name: FIRST, NEW.name: SECOND}


def test_the_originals_are_not_a_working_folder(originals):
    with pytest.raises(ConfigError, match="holds the original tutorials"):
        lab.copy_tutorials(originals, source=originals)
    assert sorted(originals.iterdir()) == [originals / OURS]


def test_a_folder_that_cannot_be_is_a_sentence(originals, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write .* --dir"):
        lab.copy_tutorials(tmp_path / "file" / "mine", source=originals)


def test_the_quick_start_is_among_the_tutorials():
    assert (lab.tutorials() / lab.QUICK_START).is_file()


@contextlib.contextmanager
def running_lab(folder, home):
    """`rtnb lab` on a free port, with none of this machine's Jupyter settings."""
    words = ["lab", "--no-browser", "--port", "0", "--dir", str(folder)]
    kept = {key: value for key, value in os.environ.items() if "JUPYTER" not in key}
    process = subprocess.Popen(
        [sys.executable, "-m", "rtnb", *words, "--", "--ServerApp.ip=127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, "HOME": str(home), "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_lab_serves_the_copy_and_opens_the_quick_start(tmp_path):
    """The address that Jupyter prints, a little before it listens, leads there."""
    folder = tmp_path / "mine"
    address = re.compile(rf"http://127\S+/lab/tree/{lab.QUICK_START}\?token=\w+")
    said = []
    with running_lab(folder, tmp_path) as process:
        for line in process.stdout:
            said.append(line)
            if found := address.search(line):
                break
        else:
            pytest.fail("".join(said))
        subprocess.run([sys.executable, ANSWERS, found[0], "30"], check=True)
    original = lab.tutorials() / lab.QUICK_START
    assert (folder / lab.QUICK_START).read_bytes() == original.read_bytes()
