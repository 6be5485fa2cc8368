"""Gateway processes of this one: started on first use, found again, ended with us.

A gateway is ``rtnb serve`` run by the interpreter we run in. It says in one JSON line on
its standard output where it listens and which token it wants, and it ends when its
standard input does, so it cannot outlive us, however we end. It leads a process group of
its own: an interrupt of a notebook cell goes to the kernel's whole group and must not
end the conversation.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rtnb.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

log = logging.getLogger("rtnb.local")

START_SECONDS: Final = 30.0
"""How long a gateway may take to say that it is ready; on a busy machine it takes two."""

END_SECONDS: Final = 3.0
"""How long it may take to end by itself before it is made to."""

TAIL_LINES: Final = 20
"""Lines of its log that an error shows."""


class _Ready(msgspec.Struct, tag_field="event", tag="ready"):
    """The line that a gateway writes when it is ready."""

    url: str
    http: str
    token: str


@dataclass(eq=False)
class LocalGateway:
    """A gateway process of ours.

    Parameters
    ----------
    url : str
        Of the Realtime WebSocket.
    http : str
        Base of the REST interface.
    token : str
        What its clients must show; never in a ``repr``.
    process : subprocess.Popen
        The process.
    tail : deque of str
        The last lines of its log.
    """

    url: str
    http: str
    token: str = field(repr=False)
    process: subprocess.Popen[bytes] = field(repr=False)
    tail: deque[str] = field(repr=False)

    @property
    def alive(self) -> bool:
        """Whether the process runs, and is a child of this process, not of a fork's."""
        return self.process.poll() is None

    def close(self) -> None:
        """End the process, by the end of its standard input if it will."""
        _end(self.process)
        log.info("gateway.ended", extra={"rtnb.status": self.process.returncode})


def start_gateway(
    *,
    script: str | Path | None = None,
    responder: str | Callable[..., Any] | None = None,
    models: str | Path | None = None,
    mcp_allow_private: bool = False,
    timeout: float = START_SECONDS,
) -> LocalGateway:
    """Start a gateway of one's own.

    Parameters
    ----------
    script : path, optional
        TOML rules that answer instead of the package's own.
    responder : str or callable, optional
        ``MODULE:FUNCTION`` of a Python function that answers, or the function; it runs
        in the gateway, which must be able to import it.
    models : path, optional
        TOML file that names models of one's own, see
        `rtnb.gateway.adapters.settings`. Without it none are used, whatever file lies
        in the working directory.
    mcp_allow_private : bool, default False
        Let sessions name MCP servers on this machine and in its network.
    timeout : float
        Seconds that the start may take.

    Returns
    -------
    LocalGateway
        Close it when it is no longer needed; it is closed at exit.

    Raises
    ------
    ConfigError
        If a script and a responder are given, or the function cannot be imported elsewhere.
    EngineError
        If it does not get ready: with the end of its log.
    """
    if script is not None and responder is not None:
        raise ConfigError("a script and a responder both answer: give one of them")
    arguments = ["-m", "rtnb", "serve", "--die-with-parent", "--port", "0"]
    if script is not None:
        arguments += ["--script", os.fspath(script)]
    if responder is not None:
        arguments += ["--responder", _importable(responder)]
    if models is not None:
        arguments += ["--config", os.fspath(models)]
    else:
        arguments += ["--no-config"]
    if mcp_allow_private:
        arguments += ["--mcp-allow-private"]
    gateway = launch([sys.executable, *arguments], timeout=timeout)
    _started.add(gateway)
    return gateway


def start_relay(
    url: str,
    *,
    key: str = "",
    key_header: str = "authorization",
    timeout: float = START_SECONDS,
) -> LocalGateway:
    """Start a gateway behind which a provider answers.

    Parameters
    ----------
    url : str
        Of the provider's WebSocket: ``wss://``, or ``ws://`` on this machine.
    key : str
        Its key. It is handed over on the gateway's standard input, so that it is
        neither on a command line nor in an environment, where others could read it.
    key_header : "authorization" or "api-key"
        The header in which the provider wants it.
    timeout : float
        Seconds that the start may take.

    Returns
    -------
    LocalGateway
        Close it when it is no longer needed; it is closed at exit.

    Raises
    ------
    EngineError
        If it does not get ready: with the end of its log.
    """
    arguments = ["-m", "rtnb", "serve", "--die-with-parent", "--port", "0"]
    arguments += ["--upstream", url, "--upstream-key-header", key_header]
    command = [sys.executable, *arguments]
    gateway = launch(command, timeout=timeout, tell=f"{key}\n")
    _started.add(gateway)
    return gateway


def launch(command: Sequence[str], *, timeout: float, tell: str = "") -> LocalGateway:
    """Run a command, tell it something, and wait until it says that it is a gateway.

    See `start_gateway`; what it is told goes to its standard input.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    first: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    readers = (
        threading.Thread(target=_read_output, args=(process, first)),
        threading.Thread(target=_read_log, args=(process, tail)),
    )
    for reader in readers:
        reader.name, reader.daemon = "rtnb.local", True
        reader.start()
    _tell(process, tell)
    try:
        ready = msgspec.json.decode(first.get(timeout=timeout), type=_Ready)
    except (queue.Empty, msgspec.DecodeError) as error:
        silent = isinstance(error, queue.Empty)
        _end(process, seconds=0.0 if silent else END_SECONDS)
        for reader in readers:
            reader.join(END_SECONDS)
        what = f"is not ready after {timeout:g} s" if silent else _ending(process)
        raise EngineError(_with_log(f"the gateway {what}", tail)) from None
    except BaseException:
        _end(process, seconds=0.0)
        raise
    log.info("gateway.started", extra={"rtnb.url": ready.url})
    return LocalGateway(ready.url, ready.http, ready.token, process, tail)


def _tell(process: subprocess.Popen[bytes], words: str) -> None:
    """Write to the process; one that has ended already is told nothing."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(words.encode())
        process.stdin.flush()


def _read_output(
    process: subprocess.Popen[bytes], first: queue.SimpleQueue[bytes]
) -> None:
    """Hand the first line on; read the rest, so that the pipe cannot fill."""
    assert process.stdout is not None
    with process.stdout as output:
        first.put(output.readline())
        for _ in output:
            pass


def _read_log(process: subprocess.Popen[bytes], tail: deque[str]) -> None:
    assert process.stderr is not None
    with process.stderr as lines:
        for line in lines:
            tail.append(line.decode("utf-8", "replace").rstrip())


def _ending(process: subprocess.Popen[bytes]) -> str:
    if process.returncode == 0:
        return "ended or said something else instead of being ready"
    return f"ended with status {process.returncode}"


def _with_log(sentence: str, tail: deque[str]) -> str:
    return "\n".join([f"{sentence}; the end of its log:", *tail]) if tail else sentence


def _end(process: subprocess.Popen[bytes], seconds: float = END_SECONDS) -> None:
    """Close its standard input; terminate it, then kill it, if that is not enough."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    for escalate in (process.terminate, process.kill):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return
        escalate()
    process.wait()


def _importable(responder: str | Callable[..., Any]) -> str:
    """``MODULE:FUNCTION`` of a responder."""
    if isinstance(responder, str):
        return responder
    module = getattr(responder, "__module__", None)
    name = getattr(responder, "__qualname__", "<locals>")
    if module is None or module == "__main__" or "<" in name:
        raise ConfigError(
            f"the responder {name} lives in this notebook or in another function, and "
            "the gateway is another process: write it to a file (%%writefile "
            'answers.py) and give responder="answers:FUNCTION"'
        )
    return f"{module}:{name}"


_started: weakref.WeakSet[LocalGateway] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for gateway in list(_started):
        gateway.close()


_shared: LocalGateway | None = None
_shared_lock = threading.Lock()


def local_gateway(*, timeout: float = START_SECONDS) -> LocalGateway:
    """Gateway that all sessions of this process share; started if it does not run.

    Raises
    ------
    EngineError
        If it does not get ready: with the end of its log.
    """
    global _shared  # noqa: PLW0603 - there is one in a process
    with _shared_lock:
        if _shared is not None and not _shared.alive:
            _shared.close()
            _shared = None
        if _shared is None:
            _shared = start_gateway(timeout=timeout)
        return _shared


def close_local_gateway() -> None:
    """End the shared gateway; the next `local_gateway` starts another."""
    global _shared  # noqa: PLW0603 - there is one in a process
    with _shared_lock:
        if _shared is not None:
            _shared.close()
        _shared = None
