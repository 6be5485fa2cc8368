"""A real JupyterLab, a real kernel and a real Chromium with a fake microphone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from rtnb.audio import Clip
from tests.browser.lab_page import Lab, LabPage

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
]
STARTUP_S = 60
GRACE_S = 20
TOKEN = "secret"
RATE = 48_000

SETTINGS = {
    "@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True},
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
}
SCRIPT = """
[[rule]]
then = "I am listening to you now."
"""
SESSION = "import rtnb\nsession = rtnb.connect(script='short.toml')"
PANEL = "panel = rtnb.Panel(session)\npanel"


@pytest.fixture(scope="session")
def lasting_threads(lasting_threads):
    """Playwright's loop keeps the threads of its executor until it ends."""
    return lasting_threads | {f"asyncio_{number}" for number in range(64)}


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab on a folder of its own, with settings of its own."""
    home = tmp_path_factory.mktemp("jupyter")
    root = tmp_path_factory.mktemp("notebooks")
    (root / "short.toml").write_text(SCRIPT, "utf-8")
    settings = home / "data" / "lab" / "settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text(json.dumps(SETTINGS), "utf-8")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={root}",
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        "--LabApp.news_url=None",
        f"--LabApp.app_settings_dir={settings}",
    ]
    url = f"http://127.0.0.1:{port}"
    with (home / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, env=environment(home), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            answers(f"{url}/api", process)
            yield Lab(url, TOKEN, root)
        finally:
            end(process)


def environment(home):
    return {
        **os.environ,
        **{
            f"JUPYTER_{name}_DIR": str(home / name.lower())
            for name in ("CONFIG", "DATA", "RUNTIME")
        },
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "IPYTHONDIR": str(home / "ipython"),
    }


def end(process):
    process.terminate()
    try:
        process.wait(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def answers(url, process):
    """Wait until the server answers; each try waits in the connection itself."""
    script = (
        "import sys, time, urllib.request\n"
        f"deadline = time.monotonic() + {STARTUP_S}\n"
        "while time.monotonic() < deadline:\n"
        "    try:\n"
        f"        urllib.request.urlopen({url!r}, timeout=5).close(); sys.exit(0)\n"
        "    except OSError:\n"
        "        time.sleep(0.2)\n"
        "sys.exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=STARTUP_S + 10)
    assert process.poll() is None


@pytest.fixture(scope="module")
def playwright():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture
def open_page(playwright, lab, chromium, tmp_path):
    """Open a page of a fresh browser whose microphone hears these clips, once."""
    (lab.root / "enough").unlink(missing_ok=True)
    browsers, pages = [], []

    def open_browser(*heard, allow=True, viewport=(1280, 1000), block=()):
        path = tmp_path / "microphone.wav"
        whole = np.concatenate([clip.resample(RATE).samples for clip in heard])
        Clip(whole, RATE).save(path)
        flags = [*CHROMIUM_FLAGS, f"--use-file-for-fake-audio-capture={path}%noloop"]
        if allow:
            flags.append("--use-fake-ui-for-media-stream")
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        browsers.append(browser)
        width, height = viewport
        context = browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        for pattern in block:
            page.route_web_socket(pattern, lambda route: route.close())
        pages.append(LabPage(page, lab))
        return pages[-1]

    yield open_browser
    for page in pages:
        page.shut_down()
    for browser in browsers:
        browser.close()


@pytest.fixture
def sentence():
    """Somebody speaks after a second and a half, and is silent then."""
    return (
        Clip.silence(1.5, 16_000),
        Clip.example("austen-0880"),
        Clip.silence(3, 16_000),
    )
