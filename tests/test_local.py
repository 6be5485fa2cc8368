"""Gateway processes: how they start, fail to, and end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rtnb import local
from rtnb.errors import ConfigError, EngineError
from rtnb.local import launch, local_gateway, start_gateway

READY = json.dumps(
    {"event": "ready", "url": "ws://h/v1/realtime", "http": "http://h/v1", "token": "T"}
)


def launched(program, timeout=20.0):
    return launch([sys.executable, "-c", program], timeout=timeout)


@pytest.fixture
def close():
    """Close what a test started."""
    started = []
    yield lambda gateway: started.append(gateway) or gateway
    for gateway in started:
        gateway.close()


def test_the_ready_line_tells_where_it_is(close):
    program = f"import sys; print('{READY}', flush=True); sys.stdin.read()"
    gateway = close(launched(program))
    assert (gateway.url, gateway.http) == ("ws://h/v1/realtime", "http://h/v1")
    assert gateway.token == "T"
    assert "T'" not in repr(gateway)
    assert gateway.alive
    gateway.close()
    assert not gateway.alive
    assert gateway.process.returncode == 0


def test_one_that_does_not_end_by_itself_is_made_to(close):
    program = (
        "import signal, threading\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"print('{READY}', flush=True)\n"
        "threading.Event().wait()\n"
    )
    gateway = close(launched(program))
    local._end(gateway.process, seconds=0.1)
    assert gateway.process.returncode == -signal.SIGKILL


def test_one_that_fails_to_start_shows_the_end_of_its_log():
    program = "import sys; sys.stderr.write('no such model\\n'); sys.exit(1)"
    with pytest.raises(EngineError, match=r"ended with status 1; .*\nno such model"):
        launched(program)


def test_one_that_ends_without_a_word():
    with pytest.raises(EngineError, match="instead of being ready"):
        launched("")


def test_one_that_says_something_else():
    with pytest.raises(EngineError, match="instead of being ready"):
        launched("import sys; print('hello', flush=True); sys.stdin.read()")


def test_one_that_never_gets_ready():
    program = "import sys; sys.stderr.write('loading\\n'); sys.stdin.read()"
    with pytest.raises(EngineError, match=r"not ready after 0\.5 s"):
        launched(program, timeout=0.5)


def test_a_script_and_a_responder_do_not_go_together():
    with pytest.raises(ConfigError, match="give one of them"):
        start_gateway(script="a.toml", responder="a:b")


def test_a_responder_of_this_notebook_cannot_be_taken_elsewhere():
    def answer(request):
        yield "no"

    with pytest.raises(ConfigError, match="write it to a file"):
        start_gateway(responder=answer)


def test_an_importable_responder_is_named():
    assert local._importable("answers:answer") == "answers:answer"
    assert local._importable(json.dumps) == "json:dumps"


# the real gateway


@pytest.fixture
def shared():
    yield local_gateway
    local.close_local_gateway()


def test_the_shared_gateway_is_started_once_and_again_when_it_died(shared):
    first = shared()
    assert shared() is first
    assert first.url.startswith("ws://127.0.0.1:")
    first.process.kill()
    first.process.wait()
    second = shared()
    assert second is not first
    assert second.alive


def test_a_bad_script_is_told_in_words(tmp_path):
    script = tmp_path / "bad.toml"
    script.write_text("[[rule\n")
    with pytest.raises(EngineError, match=r"bad\.toml"):
        start_gateway(script=script)


def test_an_interrupt_of_our_group_does_not_reach_it(close):
    gateway = close(start_gateway())
    assert os.getpgid(gateway.process.pid) != os.getpgid(0)


def test_it_ends_with_us_however_we_end():
    program = (
        "import os, signal\n"
        "from rtnb.local import local_gateway\n"
        "print(local_gateway().process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    orphan = int(done.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(orphan).wait(timeout=10)
    assert not psutil.pid_exists(orphan)
