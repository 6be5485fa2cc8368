"""A real gateway, a process on loopback, shared by the tests of a session."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest


@dataclass(frozen=True)
class RunningGateway:
    url: str
    http: str
    token: str
    process: subprocess.Popen[str]
    certificate: str = ""

    @property
    def port(self) -> int:
        return int(self.http.split(":")[2].split("/")[0])


def start_gateway(
    *arguments: str, stderr: IO[str] | None = None, tell: str = ""
) -> RunningGateway:
    process = subprocess.Popen(
        [sys.executable, "-m", "rtnb", "serve", "--die-with-parent", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(tell)
    process.stdin.flush()
    ready = json.loads(process.stdout.readline())
    assert ready.pop("event") == "ready"
    return RunningGateway(process=process, **ready)


def stop_gateway(gateway: RunningGateway) -> None:
    """End it as a dying parent does: by the end of its standard input."""
    assert gateway.process.stdin is not None
    assert gateway.process.stdout is not None
    gateway.process.stdin.close()
    assert gateway.process.wait(timeout=10) == 0
    gateway.process.stdout.close()


@pytest.fixture(scope="session")
def gateway():
    running = start_gateway()
    yield running
    stop_gateway(running)
