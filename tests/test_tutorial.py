"""The tutorial notebook is run from top to bottom, by a real kernel."""

import re
from typing import Any

import pytest

from tests.support.paths import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


def read() -> Any:
    nbformat = pytest.importorskip("nbformat", reason="no nbformat here (extra dev)")
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_lies_in_git_without_outputs():
    for cell in read().cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_its_links_lead_somewhere():
    text = "".join(cell.source for cell in read().cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (NOTEBOOK.parent / target).exists(), target


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_every_cell_runs_and_shows_what_it_promises(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="no nbclient here (extra dev)")
    pytest.importorskip("ipykernel", reason="no ipykernel here (extra dev)")
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
    # A library that warns or prints on stderr would stand in the reader's notebook.
    streams = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if "text" in o]
    assert not streams, streams
