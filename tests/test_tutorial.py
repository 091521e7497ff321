"""Tutorial notebook, run from top to bottom in a kernel."""

import re
from typing import Any

import pytest

from tests.support.paths import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


def read() -> Any:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra dev)")
    return nbformat.read(NOTEBOOK, as_version=4)


def test_notebook_has_no_stored_outputs():
    for cell in read().cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_links_of_the_notebook_exist():
    text = "".join(cell.source for cell in read().cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (NOTEBOOK.parent / target).exists(), target


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_notebook_runs_and_shows_its_results(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra dev)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra dev)")
    notebook = read()
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    shown = [
        output.data
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "data" in output
    ]
    html = "".join(data.get("text/html", "") for data in shown)
    assert "May be venomous." in html
    assert "Puede ser venenosa." in html
    assert "B - A" in html
    assert "macro F1" in html
    assert any("image/jpeg" in data for data in shown)
    assert any("hospital" in data.get("text/plain", "") for data in shown)
    # Warnings and prints of libraries would appear in the notebook.
    streams = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if "text" in o]
    assert not streams, streams
