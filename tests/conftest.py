"""What every test may use, and the guards that every test passes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_CHROMIUM = (
    "no Chromium on this machine; Debian and Ubuntu have it: apt-get install chromium"
)
LASTING_THREADS = {"rtnb.local", "rtnb.portal", "rtnb.user"}
"""Threads that start on first use and live as long as the process, by design; those of
`rtnb.local` read what a gateway writes and end with it.
"""

GRACE_S = 5.0
"""How long a thread or a process of a test may take to end."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and hands that on to what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("rtnb", derandomize=True, deadline=None)
hypothesis.settings.load_profile("rtnb")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what drives a browser where there is none."""
    if find_chromium() is None and not in_ci():
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; its absence is a failure where CI=true, else a skip."""
    path = find_chromium()
    if path is None and in_ci():
        pytest.fail(NO_CHROMIUM)
    if path is None:
        pytest.skip(NO_CHROMIUM)
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recordings that are too large for the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the shared recordings are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test, and no process that a test starts, writes to the user's own cache."""
    os.environ["RTNB_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def portals() -> None:
    """Threads that a process has once are there before the first test counts."""
    from rtnb.portal import portal, user_portal

    for each in (portal(), user_portal()):
        each.run(asyncio.sleep(0))


@pytest.fixture(scope="session")
def lasting_threads() -> set[str]:
    """Names of the threads that may be left when a test ends."""
    return LASTING_THREADS


@pytest.fixture(autouse=True)
def no_thread_leaks(lasting_threads: set[str]) -> Iterator[None]:
    """Every thread that a test starts has ended when the test has."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + GRACE_S
    started = [
        thread
        for thread in threading.enumerate()
        if thread not in before and thread.name not in lasting_threads
    ]
    for thread in started:
        thread.join(max(0.0, deadline - time.monotonic()))
    left = [thread.name for thread in started if thread.is_alive()]
    assert not left, f"the test left threads behind: {left}"


@pytest.fixture(autouse=True)
def no_process_leaks() -> Iterator[None]:
    """Every process that a test starts has ended when the test has."""
    before = set(children())
    yield
    started = [process for process in children() if process not in before]
    _, left = psutil.wait_procs(started, timeout=GRACE_S)
    for process in left:
        process.kill()
    assert not left, f"the test left processes behind: {left}"


def children() -> list[psutil.Process]:
    """Child processes, but for those that live as long as this one by design.

    These are Python's accountant of shared memory and the gateway that all sessions of
    a process share.
    """
    return [
        process
        for process in psutil.Process().children()
        if process.pid != shared_gateway()
        and "multiprocessing.resource_tracker" not in " ".join(command_line(process))
    ]


def shared_gateway() -> int | None:
    local = sys.modules.get("rtnb.local")
    gateway = local._shared if local is not None else None
    return gateway.process.pid if gateway is not None else None


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture(autouse=True)
def no_widget_leaks() -> Iterator[None]:
    """Every widget that a test makes is closed; layouts and styles go with theirs."""
    before = set(live_widgets())
    yield
    left = {key: widget for key, widget in live_widgets().items() if key not in before}
    for widget in left.values():
        widget.close()
    names = sorted(type(widget).__name__ for widget in left.values())
    assert not names, f"the test left widgets open: {names}"


def live_widgets() -> dict[str, object]:
    ipywidgets = sys.modules.get("ipywidgets")
    if ipywidgets is None:
        return {}
    helpers = (ipywidgets.Layout, ipywidgets.Style)
    registry = sys.modules["ipywidgets.widgets.widget"]._instances
    return {
        key: widget
        for key, widget in registry.items()
        if not isinstance(widget, helpers)
    }
