"""The tutorial notebooks, cell by cell, in a real JupyterLab."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(open_page, sentence, path):
    lab = open_page(*sentence).open(path)
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = {
        index: lab.run(index)
        for index, cell in enumerate(cells)
        if cell["cell_type"] == "code"
    }
    shown = json.dumps(outputs)
    assert "Error displaying widget" not in lab.page.inner_text("body")
    assert "text/html" in shown or "image/png" in shown
