"""A real JupyterLab, a real kernel and a real Chromium with a fake microphone."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pytest

from rtnb.audio import Clip

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
STARTUP_S = 60
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}}
RUN_CELL = """async i => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = i;
  await window.jupyterapp.commands.execute('notebook:run-cell');
  return notebook.widgets[i].model.outputs.toJSON();
}"""
START_CELL = """i => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = i;
  window.jupyterapp.commands.execute('notebook:run-cell');
}"""
EXECUTE = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  let text = '';
  const future = kernel.requestExecute({code, store_history: false});
  future.onIOPub = message => {
    if (message.header.msg_type === 'stream') text += message.content.text;
    if (message.header.msg_type === 'error')
      text += message.content.ename + ': ' + message.content.evalue;
  };
  await future.done;
  return text;
}"""


@dataclass(frozen=True)
class Lab:
    """A running server."""

    url: str
    token: str
    root: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on an empty folder, with settings of its own."""
    home = tmp_path_factory.mktemp("jupyter")
    root = tmp_path_factory.mktemp("notebooks")
    port = free_port()
    environment = {
        **os.environ,
        **{
            f"JUPYTER_{name}_DIR": str(home / name.lower())
            for name in ("CONFIG", "DATA", "RUNTIME")
        },
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    log = (home / "log.txt").open("w")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            "--IdentityProvider.token=secret",
            f"--ServerApp.root_dir={root}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.news_url=None",
        ],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        answers(f"{url}/api", process)
        yield Lab(url, "secret", root)
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


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
def microphone(tmp_path):
    """Writes what the fake microphone hears; the browser plays it in a loop."""

    def write(*clips, sample_rate=48_000):
        whole = np.concatenate([c.resample(sample_rate).samples for c in clips])
        path = tmp_path / "microphone.wav"
        Clip(whole, sample_rate).save(path)
        return path

    return write


class LabPage:
    """One notebook open in one page."""

    def __init__(self, page, lab):
        self.page = page
        self.lab = lab
        self.console = []
        page.on("console", lambda m: self.console.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))

    def open(self, cells, name="test.ipynb"):
        """Write a notebook of these cells (or copy a file) and open it."""
        path = self.lab.root / name
        if isinstance(cells, Path):
            path.write_text(cells.read_text("utf-8"), "utf-8")
        else:
            nodes = [nbformat.v4.new_code_cell(source) for source in cells]
            notebook = nbformat.v4.new_notebook(cells=nodes, metadata=KERNEL)
            nbformat.write(notebook, path)
        query = f"reset&token={self.lab.token}"
        self.page.goto(f"{self.lab.url}/lab/tree/{name}?{query}")
        self.page.wait_for_function(
            """() => window.jupyterapp?.shell?.currentWidget?.sessionContext
                ?.session?.kernel?.status === 'idle'""",
            timeout=90_000,
        )
        return self

    def run(self, index):
        """Run one cell to its end; returns its outputs."""
        outputs = self.page.evaluate(RUN_CELL, index)
        errors = [o for o in outputs if o["output_type"] == "error"]
        assert not errors, errors
        return outputs

    def start(self, index):
        """Run one cell and do not wait for it."""
        self.page.evaluate(START_CELL, index)

    def execute(self, code):
        """Run code beside the cells; returns what it printed."""
        return self.page.evaluate(EXECUTE, code)

    def value(self, expression):
        """The value of a Python expression, by way of JSON."""
        text = self.execute(f"import json; print(json.dumps({expression}))")
        try:
            return json.loads(text)
        except ValueError:
            raise AssertionError(text) from None

    def shut_down(self):
        """End the notebook's kernel, and with it its gateway."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
        )


@pytest.fixture
def open_page(playwright, lab, chromium):
    """Open a page of a fresh browser with the given microphone file."""
    browsers = []

    def open_browser(microphone_file, *, color_scheme="light", viewport=(1280, 1000)):
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                *CHROMIUM_FLAGS,
                f"--use-file-for-fake-audio-capture={microphone_file}",
            ],
        )
        browsers.append(browser)
        width, height = viewport
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=color_scheme
        )
        opened = LabPage(context.new_page(), lab)
        browsers.append(opened)
        return opened

    yield open_browser
    for browser in reversed(browsers):
        if isinstance(browser, LabPage):
            browser.shut_down()
        else:
            browser.close()

