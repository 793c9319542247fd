"""The notebooks run from the first cell to the last and show what they say."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def output_text(cell: Any) -> str:
    parts = []
    for output in cell.get("outputs", []):
        assert output["output_type"] != "error"
        parts.append(output.get("text", ""))
        parts += [str(value) for value in output.get("data", {}).values()]
    return "".join(parts)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*", "ignore::DeprecationWarning:zmq.*")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = [output_text(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert all(shown)
    assert "prior_therapy_sufficient" in "".join(shown)
    assert any("<div" in text and "verdict" in text for text in shown)
