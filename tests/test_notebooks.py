"""Every tutorial notebook is short, clean and runs from top to bottom."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_CELLS = 15
MOST_LINES = 12

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_tutorials_are_there():
    names = {path.name for path in NOTEBOOKS}
    assert {"00-quick-start.ipynb", "10-see-what-the-detector-saw.ipynb"} <= names


@every_notebook
def test_no_outputs_were_committed(path):
    notebook = read(path)
    assert [cell.outputs for cell in code_cells(notebook) if cell.outputs] == []
    assert {cell.execution_count for cell in code_cells(notebook)} <= {None}
    assert "widgets" not in notebook.metadata


@every_notebook
def test_it_can_be_read_in_one_go(path):
    notebook = read(path)
    assert len(notebook.cells) <= MOST_CELLS
    lengths = [len(cell.source.splitlines()) for cell in notebook.cells]
    assert max(lengths) <= MOST_LINES


@every_notebook
def test_it_begins_with_its_claim(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")


@pytest.mark.notebook
@every_notebook
def test_it_runs_from_top_to_bottom(path, tmp_path):
    notebook = read(path)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
        store_widget_state=False,
    )
    client.execute()
    assert all(cell.execution_count for cell in code_cells(notebook) if cell.source)
    assert complaints(notebook) == []


def complaints(notebook):
    """What the cells wrote to standard error."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return [output.text for output in outputs if output.get("name") == "stderr"]
