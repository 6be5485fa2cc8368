import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from rtnb import cli, lab


def rtnb(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "rtnb", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for command in ("lab", "serve", "demo", "vad", "doctor"):
        assert f"    {command} " in said


def test_a_command_imports_no_other(tmp_path):
    program = (
        "import json, sys\n"
        "from rtnb import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('rtnb')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = json.loads(done.stdout.splitlines()[-1])
    assert sorted(modules) == ["rtnb", "rtnb.cli", "rtnb.errors"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "COMMAND"),
        (["sing"], "sing"),
        (["serve", "--port", "70000"], "'70000' is no port"),
        (["lab", "--port", "x"], "'x' is no port"),
        (["serve", "--script", "a", "--responder", "b:c"], "not allowed with"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_2(words, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_an_error_of_ours_is_one_line_and_1(capsys):
    assert cli.main(["lab", "--dir", str(lab.tutorials())]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("rtnb: ")
    assert said.err.count("\n") == 1


def test_an_error_of_the_system_is_one_line_and_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = rtnb("serve", "--port", str(port))
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_python_m_rtnb_is_the_command():
    done = rtnb("--version")
    assert (done.returncode, done.stdout[:5]) == (0, "rtnb ")


def test_ctrl_c_is_130():
    """A terminal sends it to the whole process group."""
    with subprocess.Popen(
        [sys.executable, "-m", "rtnb", "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        ready = json.loads(process.stdout.readline() or "{}")
        os.killpg(process.pid, signal.SIGINT)
        rest, complaint = process.communicate(timeout=20)
    assert ready.get("event") == "ready", complaint
    assert process.returncode == cli.INTERRUPTED
    assert rest == ""
    assert "Traceback" not in complaint


def test_serve_hands_its_options_on():
    done = rtnb("serve", "--script", "no-such-file.toml")
    assert done.returncode == 1
    assert done.stderr.startswith("rtnb: ")
    assert "no-such-file.toml" in done.stderr
    assert done.stderr.count("\n") == 1
