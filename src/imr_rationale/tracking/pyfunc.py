"""The file that MLflow stores as a model's code: it loads through our own allow-list, never through pickle.

It runs outside of the package, so that it uses the package's public names as any other program does.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import mlflow
import pandas as pd

from imr_rationale import load_model, predict_letters
from imr_rationale.errors import ImrError, ModelError
from imr_rationale.letters.documents import read_documents
from imr_rationale.letters.sources import Document
from imr_rationale.records import ItemText, Letter

CELLS = ("id", "outcome", "treatment")


class RationalePythonModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Rationales in, labels out; or letters in, the rows of their items out: columns as in the signature."""

    def load_context(self, context: Any) -> None:
        """Load the model folder, once a process: MLflow itself runs this file anew for each task of a cluster."""
        self.model = load_model(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Read whole letters where there is a column `text`, else rationales."""
        if "text" in model_input:
            return self._predict_letters(model_input, (params or {}).get("min_certainty", 0.0))
        if "rationale" in model_input:
            return self._predict_rationales(model_input)
        raise ModelError("neither a column 'rationale' nor a column 'text'")

    def _predict_rationales(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Read column `rationale`, and where present `treatment`, `summary`, `claims_administrator_guideline`."""
        optional = [c for c in ("treatment", "summary", "claims_administrator_guideline") if c in model_input]
        texts = [
            # a cell of a table may be empty: its row is answered like the others
            ItemText(_read_cell(row["rationale"]) or "", **{name: _read_cell(row[name]) for name in optional})
            for row in model_input.to_dict("records")
        ]
        return pd.DataFrame([_flatten(prediction) for prediction in self.model.predict(texts)])

    def _predict_letters(self, model_input: pd.DataFrame, min_certainty: float) -> pd.DataFrame:
        """Read column `text`, and where present `source` and what else a document has; without text there is no row."""
        documents = [_make_document(row) for row in model_input.to_dict("records")]
        make_rows = partial(predict_letters, model=self.model, min_certainty=min_certainty)
        found = iter(read_documents([document for document in documents if document], make_rows))
        answers = [_answer(next(found)) if document else _answer(None) for document in documents]
        return pd.DataFrame({"rows": [json.dumps(answer, ensure_ascii=False) for answer in answers]})


def _make_document(row: Mapping[Any, Any]) -> Document | None:
    """Give the document of a row; None where there is no text."""
    cells = {name: _read_cell(value) for name, value in row.items()}
    text = cells["text"]
    if text is None:
        return None
    return Document(
        cells.get("source") or "",
        cells.get("kind") or "text",
        text,
        tuple(json.loads(cells.get("notes") or "[]")),
        **{name: cells.get(name) for name in CELLS},
    )


def _answer(found: tuple[Letter, list[dict[str, Any]]] | ImrError | None) -> dict[str, Any]:
    """Give what is said of a letter: its rows, or why it has none."""
    if found is None or isinstance(found, ImrError):
        return {"error": found and str(found), "rows": []}
    return {"error": None, "rows": [_nest_as_text(row) for row in found[1]]}


def _read_cell(value: Any) -> str | None:
    """Give a cell's text, None where it is empty or missing."""
    return value or None if isinstance(value, str) else None


def _nest_as_text(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row as tables hold it: lists and objects as JSON text."""
    nested = (list, dict)
    return {k: json.dumps(v, ensure_ascii=False) if isinstance(v, nested) else v for k, v in row.items()}


def _flatten(prediction: Any) -> dict[str, Any]:
    outcomes = {
        f"{task}_probability": found.probability if (found := getattr(prediction.outcome, task)) else float("nan")
        for task in ("verdict", "reasoning", "forecast")
    }
    return {
        "reasons": ",".join(reason.label for reason in prediction.reasons),
        "primary_reason": prediction.primary_reason or "",
        **outcomes,
    }


mlflow.models.set_model(RationalePythonModel())
