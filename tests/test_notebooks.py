"""The notebooks run from the first cell to the last and show what they say."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import ROOT

NOTEBOOKS = ROOT / "notebooks"


def output_text(cell: Any) -> str:
    parts = []
    for output in cell.get("outputs", []):
        assert output["output_type"] != "error"
        parts.append(output.get("text", ""))
        parts += [str(value) for value in output.get("data", {}).values()]
    return "".join(parts)


def execute(name: str) -> list[str]:
    """Run a notebook; gives what each code cell shows."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    return [output_text(cell) for cell in notebook.cells if cell.cell_type == "code"]


def test_every_notebook_is_tested() -> None:
    names = {path.name for path in NOTEBOOKS.glob("*.ipynb")}
    assert names == {"01-read-a-letter.ipynb", "02-review-experiments.ipynb"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*", "ignore::DeprecationWarning:zmq.*")
def test_a_letter_is_read() -> None:
    shown = execute("01-read-a-letter.ipynb")
    assert all(shown)
    assert "prior_therapy_sufficient" in "".join(shown)
    assert any("<div" in text and "verdict" in text for text in shown)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*", "ignore::DeprecationWarning:zmq.*")
def test_experiments_are_reviewed(trained: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained[1])
    shown = execute("02-review-experiments.ipynb")
    assert all(shown)
    assert "heldout.reasons.micro_f1" in shown[1]
    assert all("image/png" in str(cell) or "Figure" in cell for cell in (shown[2], shown[3]))
    assert "not_recommended" not in shown[4]
    assert "reasons.micro_f1" in shown[5]
