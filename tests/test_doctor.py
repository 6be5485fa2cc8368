import json
import os
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from rtnb import doctor
from rtnb.doctor import Finding, Report
from rtnb.errors import EngineError, MissingExtra
from rtnb.vad import silero


def finding(state, *, required=False, name="thing", remedy=""):
    return Finding(
        section="Section",
        name=name,
        state=state,
        found="a fact",
        remedy=remedy,
        required=required,
    )


@pytest.mark.parametrize(
    ("line", "installed", "state", "found"),
    [
        ("numpy>=1.26", "2.4.6", "ok", "2.4.6"),
        ("numpy", "1.0", "ok", "1.0"),
        ("numpy>=1.26", "1.25.9", "broken", "1.25.9, needs >=1.26"),
        ("numpy>=1.26", "2.5.0rc1", "ok", "2.5.0rc1"),
        ("numpy>=1.26", None, "missing", "not installed, needs >=1.26"),
        ("numpy", None, "missing", "not installed"),
        # older ones proxied WebSockets without authentication (CVE-2024-28179)
        ("jupyter-server-proxy>=4.1.1", "4.1.0", "broken", "4.1.0, needs >=4.1.1"),
    ],
)
def test_an_installed_version_is_compared_with_the_needed(
    line, installed, state, found
):
    assert doctor.check_requirement(Requirement(line), installed) == (state, found)


@pytest.mark.parametrize(
    ("version", "behaviour"),
    [
        ("6.31.0", "wait for the running cell"),
        ("7.0.0", "arrive while a cell runs"),
        ("7.3.9", "arrive while a cell runs"),
        ("7.4.0", "wait for the running cell unless it awaits"),
        ("8.0.0", "wait for the running cell unless it awaits"),
    ],
)
def test_what_widget_messages_do_on_an_ipykernel(version, behaviour):
    assert doctor.comm_behaviour(version) == f"widget messages {behaviour}"


@pytest.mark.parametrize(
    ("state", "required", "ok"),
    [
        ("ok", True, True),
        ("note", True, True),
        ("missing", False, True),
        ("broken", False, True),
        ("missing", True, False),
        ("broken", True, False),
    ],
)
def test_only_what_the_main_job_needs_decides(state, required, ok):
    assert Report((finding(state, required=required),)).ok is ok


def test_the_text_is_aligned_and_names_what_to_mend():
    report = Report(
        (
            finding("ok", name="a"),
            finding("missing", name="longer", remedy="do this", required=True),
        )
    )
    assert str(report).splitlines() == [
        "Section",
        "  ok       a       a fact",
        "  missing  longer  a fact",
        "                   -> do this",
        "",
        "The main job cannot run yet; mend: longer",
    ]


def raising(error):
    def attempt():
        raise error

    return attempt


@pytest.mark.parametrize(
    ("error", "state", "found", "remedy"),
    [
        (MissingExtra("x", "local"), "missing", 'pip install "rtnb[local]"', ""),
        (EngineError("no luck"), "broken", "no luck", "mend it"),
        (FileNotFoundError(2, "No such file", "w.npz"), "broken", "w.npz", "mend it"),
    ],
)
def test_an_attempt_that_fails_is_a_finding(error, state, found, remedy):
    result = doctor._tried("Section", "name", raising(error), mend="mend it")
    assert (result.state, result.remedy) == (state, remedy)
    assert found in result.found
    assert result.required


def test_weights_that_are_not_ours_are_broken(tmp_path, monkeypatch):
    other = tmp_path / "other.npz"
    other.write_bytes(silero.WEIGHTS.read_bytes()[:-1])
    monkeypatch.setattr(silero, "WEIGHTS", other)
    weights = next(doctor._data())
    assert weights.state == "broken"
    assert str(other) in weights.found


def test_every_requirement_of_the_package_is_looked_at_once():
    core = {needed.name for needed in doctor._requirements("")}
    local = {needed.name for needed in doctor._requirements("local", besides=[""])}
    everything = doctor._requirements("lab", besides=["", "local"])
    assert {"numpy", "websockets"} <= core
    assert local == {"espeakng-loader", "pocketsphinx"}
    assert not {needed.name for needed in everything} & (core | local)
    assert {"jupyterlab", "ipywebrtc"} <= {needed.name for needed in everything}


def test_here_everything_is_there_and_no_key_is_shown():
    secret = "sk-do-not-show-me"
    done = subprocess.run(
        [sys.executable, "-m", "rtnb", "doctor", "--json"],
        env={**os.environ, "OPENAI_API_KEY": secret},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    report = json.loads(done.stdout)
    mend = {
        each["name"]: each["found"]
        for each in report["findings"]
        if each["state"] in {"missing", "broken"}
    }
    assert mend == {}
    assert (done.returncode, report["ok"]) == (0, True)
    states = {each["name"]: each["found"] for each in report["findings"]}
    assert states["OPENAI_API_KEY"] == "set"
    assert secret not in done.stdout + done.stderr


def test_every_extra_that_a_user_may_want_is_named_with_its_command():
    declared = set(metadata.metadata("rtnb").get_all("Provides-Extra"))
    told = {finding.name for finding in doctor._extras()}
    assert told == set(doctor.EXTRAS)
    assert declared - told <= {"lab", "local", "mcp", "test"}
    assert told <= declared


def test_an_extra_that_is_missing_is_a_note_and_says_how_to_add_it(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    for finding in doctor._extras():
        assert finding.state == "note"
        assert finding.remedy == f'pip install "rtnb[{finding.name}]"'
        assert not finding.required
