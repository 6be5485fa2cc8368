"""Folders of recordings: their names, their owner, and what is no recording."""

from __future__ import annotations

import json
import stat

import pytest

from rtnb.errors import ConfigError
from rtnb.recording.folder import (
    EVENTS,
    MANIFEST,
    Manifest,
    new_folder,
    read_manifest,
    write_manifest,
)


def test_only_its_owner_may_read_it(tmp_path):
    folder = new_folder(tmp_path / "take 1")
    write_manifest(folder, Manifest(model="m"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()] == [0o600]


@pytest.mark.parametrize(
    "name", ["", "..", "a/..", "take:1", "a\nb", "what?", "ends.", "a\\b", "\0"]
)
def test_a_name_that_some_system_cannot_keep_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="such as 'take-1'"):
        new_folder(f"{tmp_path}/{name}" if name else "")


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="has 121 characters, the most is 120"):
        new_folder(tmp_path / ("x" * 121))


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(FileExistsError, match="choose another name"):
            new_folder(taken)


def test_a_missing_parent_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist: make"):
        new_folder(tmp_path / "nowhere" / "take")


def test_a_manifest_comes_back_as_it_was(tmp_path):
    manifest = Manifest(model="m", settings={"audio": {}}, first_sample=3, note="yes")
    write_manifest(tmp_path, manifest)
    (tmp_path / EVENTS).touch()
    assert read_manifest(tmp_path) == manifest


def test_a_manifest_may_be_written_again(tmp_path):
    (tmp_path / f"{MANIFEST}.new").write_text("left behind")
    for note in ("one", "two"):
        write_manifest(tmp_path, Manifest(note=note))
    assert json.loads((tmp_path / MANIFEST).read_text())["note"] == "two"
    assert [each.name for each in tmp_path.iterdir()] == [MANIFEST]


def test_what_is_no_recording_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing does not exist"):
        read_manifest(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file: give the folder"):
        read_manifest(tmp_path / "file")
    with pytest.raises(ConfigError, match=r"no manifest\.json and no events\.jsonl"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged or no recording's"),
        ('{"format": 1, "model": "m', "damaged or no recording's"),
        ('{"name": "something else"}', "damaged or no recording's.*`format`"),
        ('{"format": 1, "settings": 3}', "damaged or no recording's"),
        ('{"format": 2}', "format 2, and this version reads up to 1: upgrade"),
    ],
)
def test_a_damaged_or_later_manifest_is_told(tmp_path, text, message):
    (tmp_path / EVENTS).touch()
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_manifest(tmp_path)
