"""The file that MLflow stores as a model's code: it loads through our own allow-list, never through pickle."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from imr_rationale.learning.bundle import load_bundle
from imr_rationale.learning.model import RationaleModel
from imr_rationale.records import ItemText

_MODELS: dict[str, RationaleModel] = {}


class RationalePythonModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Rationale in, labels out: one row each, columns as in the signature."""

    def load_context(self, context: Any) -> None:
        """Load the model folder once a process."""
        folder = context.artifacts["bundle"]
        if folder not in _MODELS:
            _MODELS[folder] = load_bundle(Path(folder))
        self.model = _MODELS[folder]

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Read column `rationale`, and where present `treatment`, `summary`, `claims_administrator_guideline`."""
        optional = [c for c in ("treatment", "summary", "claims_administrator_guideline") if c in model_input]
        texts = [
            ItemText(row["rationale"], **{name: _read_cell(row[name]) for name in optional})
            for row in model_input.to_dict("records")
        ]
        return pd.DataFrame([_flatten(prediction) for prediction in self.model.predict(texts)])


def _read_cell(value: Any) -> str | None:
    """Give a cell's text, None where it is empty or missing."""
    return value or None if isinstance(value, str) else None


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
