"""A notebook in a browser, and what a test sees and hears there."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

HERE = Path(__file__).parent
OPEN_MS = 90_000
WAIT_MS = 60_000
POLL_MS = 200
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}}

CURRENT = "window.jupyterapp.shell.currentWidget"
READY = "window.jupyterapp?.shell?.currentWidget"
IDLE = f"() => {READY}?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_CELL = f"""async i => {{
  const notebook = {CURRENT}.content;
  notebook.activeCellIndex = i;
  await window.jupyterapp.commands.execute('notebook:run-cell');
  return notebook.widgets[i].model.outputs.toJSON();
}}"""
START_CELL = f"""i => {{
  {CURRENT}.content.activeCellIndex = i;
  window.jupyterapp.commands.execute('notebook:run-cell');
}}"""
EXECUTE = f"""async code => {{
  const kernel = {CURRENT}.sessionContext.session.kernel;
  let text = '';
  const future = kernel.requestExecute({{code, store_history: false}});
  future.onIOPub = ({{header, content}}) => {{
    if (header.msg_type === 'stream') text += content.text;
    if (header.msg_type === 'error') text += content.ename + ': ' + content.evalue;
  }};
  await future.done;
  return text;
}}"""
UNTIL = f"""async ([code, timeout]) => {{
  const deadline = performance.now() + timeout;
  while (performance.now() < deadline) {{
    if ((await ({EXECUTE})(code)).trim() === 'True') return true;
    await new Promise(resolve => setTimeout(resolve, {POLL_MS}));
  }}
  return false;
}}"""
SAVE = f"() => {CURRENT}.context.save()"
SHUT_DOWN = f"() => {READY}?.sessionContext?.shutdown()"


@dataclass(frozen=True)
class Lab:
    """A running server."""

    url: str
    token: str
    root: Path


@dataclass(frozen=True)
class Played:
    """What was heard in the page: samples as PCM16, from a frame of its context on."""

    samples: np.ndarray
    first: int
    rate: int

    def since(self, seconds: float) -> np.ndarray:
        """Samples from a time of the context on."""
        frame = round(seconds * self.rate)
        before = np.zeros(max(0, self.first - frame), np.int16)
        return np.concatenate([before, self.samples[max(0, frame - self.first) :]])


class LabPage:
    """One notebook open in one page."""

    def __init__(self, page: Any, lab: Lab) -> None:
        self.page = page
        self.lab = lab
        self.name = ""
        self.console: list[str] = []
        page.on("console", lambda m: self.console.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))

    # -- the notebook ------------------------------------------------------------------

    def open(
        self,
        cells: list[str] | Path,
        *,
        name: str = "test.ipynb",
        app: str = "lab/tree",
    ) -> LabPage:
        """Write a notebook of these cells (or copy a file) and open it."""
        self.name = name
        path = self.lab.root / name
        if isinstance(cells, Path):
            path.write_text(cells.read_text("utf-8"), "utf-8")
        else:
            nodes = [nbformat.v4.new_code_cell(source) for source in cells]
            notebook = nbformat.v4.new_notebook(cells=nodes, metadata=KERNEL)
            nbformat.write(notebook, path)
        self.page.goto(f"{self.lab.url}/{app}/{name}?reset&token={self.lab.token}")
        self.page.wait_for_function(IDLE, timeout=OPEN_MS)
        return self

    def run(self, index: int) -> list[dict[str, Any]]:
        """Run one cell to its end; returns its outputs."""
        outputs: list[dict[str, Any]] = self.page.evaluate(RUN_CELL, index)
        errors = [o for o in outputs if o["output_type"] == "error"]
        assert not errors, errors
        return outputs

    def start(self, index: int) -> None:
        """Run one cell and do not wait for it."""
        self.page.evaluate(START_CELL, index)

    def is_running(self, index: int) -> bool:
        """Whether that cell runs."""
        state = f"i => {CURRENT}.content.widgets[i].model.executionState"
        return bool(self.page.evaluate(state, index) == "running")

    def execute(self, code: str) -> str:
        """Run code beside the cells; returns what it printed."""
        return str(self.page.evaluate(EXECUTE, code))

    def value(self, expression: str) -> Any:
        """The value of a Python expression, by way of JSON."""
        text = self.execute(f"import json; print(json.dumps({expression}))")
        try:
            return json.loads(text)
        except ValueError:
            raise AssertionError(text) from None

    def until(self, condition: str, timeout: float = WAIT_MS) -> None:
        """Wait for a condition of Python in the kernel."""
        code = f"print(bool({condition}))"
        if not self.page.evaluate(UNTIL, [code, timeout]):
            told = self.execute(f"print({condition}, session.turns, session.errors)")
            raise AssertionError(f"not {condition}: {told}; {self.console}")

    def pcm(self, clip: str) -> np.ndarray:
        """Samples of a `Clip` in the kernel, int16."""
        told = self.execute(
            f"import pathlib; pathlib.Path('clip.pcm').write_bytes({clip}.to_pcm16())"
        )
        assert not told, told
        return np.frombuffer((self.lab.root / "clip.pcm").read_bytes(), "<i2")

    def save(self) -> str:
        """Save the notebook; returns what the file holds."""
        self.page.evaluate(SAVE)
        return (self.lab.root / self.name).read_text("utf-8")

    def shut_down(self) -> None:
        """End the notebook's kernel, and with it its gateway."""
        self.page.evaluate(SHUT_DOWN)

    def hide_sidebar(self) -> None:
        """Give the notebook the width of the page."""
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")

    # -- the panel ---------------------------------------------------------------------

    @property
    def panel(self) -> Any:
        return self.page.locator(".rtnb-panel").first

    @property
    def talk(self) -> Any:
        return self.panel.locator(".rtnb-talk")

    @property
    def status(self) -> Any:
        return self.panel.locator(".rtnb-status")

    def show(self, *cells: str, **where: str) -> LabPage:
        """Open a notebook of these cells, run the first two, and watch the port."""
        self.open(list(cells), **where)
        self.run(0)
        self.run(1)
        return self.watch()

    def watch(self) -> LabPage:
        """Log and record what the panel's port does from now on."""
        self.talk.wait_for(timeout=WAIT_MS)
        script = (HERE / "witness.js").read_text("utf-8")
        script = script[script.index("async (portId)") :]
        self.page.evaluate(script.rstrip(";\n"), self.value("panel.port.port_id"))
        return self

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What the page saw of that kind so far."""
        seen = "kind => witness.log.filter(({type}) => type === kind)"
        return list(self.page.evaluate(seen, kind))

    def wait_for(self, kind: str, *, count: int = 1, timeout: float = WAIT_MS) -> Any:
        """Wait until the page has seen that many of a kind; returns the last."""
        seen = (
            "([kind, count]) => "
            "witness.log.filter(({type}) => type === kind).length >= count"
        )
        try:
            self.page.wait_for_function(seen, arg=[kind, count], timeout=timeout)
        except Exception as error:
            log = self.page.evaluate("() => witness.log")
            raise AssertionError(f"no {kind}: {log}; {self.console}") from error
        return self.log(kind)[count - 1]

    def played(self) -> Played:
        """What was heard so far."""
        sound = self.page.evaluate("() => witness.sound()")
        scaled = np.frombuffer(base64.b64decode(sound["data"]), "<f4") * 32768
        samples = scaled.astype(np.int16)
        assert np.array_equal(samples, scaled), "what is heard is no PCM16"
        return Played(samples, sound["first"], sound["rate"])
