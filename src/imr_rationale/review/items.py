"""Item-by-item results as Parquet: scores to look up, and everything that a later comparison needs."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imr_rationale.errors import ModelError
from imr_rationale.labels import OUTCOME_TASKS, REASONS
from imr_rationale.learning.evaluation import EvaluatedItem, Evaluation
from imr_rationale.learning.gold import Annotation, GoldItem, GoldSentence
from imr_rationale.records import (
    Evidence,
    ItemText,
    OutcomePrediction,
    Outcomes,
    Prediction,
    ReasonPrediction,
    SentencePrediction,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ITEMS_FILE", "SCORES_FILE", "read_items", "tabulate_items", "tabulate_scores", "write_items"]

ITEMS_FILE = "items.parquet"
SCORES_FILE = "scores.parquet"
#: where the probability of Overturned becomes the label
OUTCOME_THRESHOLD = 0.5


def write_items(evaluation: Evaluation, folder: Path) -> None:
    """Write both tables of an evaluation into `folder`."""
    tabulate_scores(evaluation).to_parquet(folder / SCORES_FILE, index=False)
    tabulate_items(evaluation).to_parquet(folder / ITEMS_FILE, index=False)


def tabulate_scores(evaluation: Evaluation) -> "pd.DataFrame":
    """Give one row an item and label: `split`, `id`, `task`, `label`, `score`, `threshold`, `annotated`.

    `id` is "<letter>/<item>", `score` a probability, `annotated` the share of the annotators that say so. Labels are
    the reasons, and Overturned for each outcome task.
    """
    import pandas as pd

    return pd.DataFrame([row for item in evaluation.items for row in _list_scores(item)])


def _list_scores(item: EvaluatedItem) -> Iterator[dict[str, Any]]:
    place = {"split": item.split, "id": f"{item.gold.letter}/{item.gold.item}"}
    annotations = item.gold.annotations
    for reason, score, threshold in zip(REASONS, item.scores, item.thresholds, strict=bool(item.scores)):
        share = sum(reason in annotation.reasons for annotation in annotations) / len(annotations)
        yield {
            **place,
            "task": "reasons",
            "label": reason,
            "score": score,
            "threshold": threshold,
            "annotated": share,
        }
    for task in OUTCOME_TASKS:
        found = getattr(item.prediction.outcome, task) if item.prediction else None
        if found is not None:
            overturned = float(item.gold.outcome == "Overturned")
            label = {"task": task, "label": "Overturned", "score": found.probability}
            yield {**place, **label, "threshold": OUTCOME_THRESHOLD, "annotated": overturned}


def tabulate_items(evaluation: Evaluation) -> "pd.DataFrame":
    """Give one row an item, from which `read_items` makes the evaluated item again."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "split": item.split,
                "letter": item.gold.letter,
                "item": item.gold.item,
                "outcome": item.gold.outcome,
                "treatment": item.text.treatment if item.text else None,
                "primary_reason": item.prediction.primary_reason if item.prediction else None,
                "reasons": [reason.label for reason in item.prediction.reasons] if item.prediction else [],
                "scores": list(item.scores),
                "thresholds": list(item.thresholds),
                "text": _dump(item.text),
                "gold_text": item.gold.text,
                "annotations": json.dumps([asdict(annotation) for annotation in item.gold.annotations]),
                "prediction": _dump(item.prediction),
            }
            for item in evaluation.items
        ]
    )


def _dump(record: ItemText | Prediction | None) -> str | None:
    return None if record is None else json.dumps(asdict(record))


def read_items(path: Path, name: str) -> Evaluation:
    """Read the items of an evaluation called `name` back; its figures are not in the file.

    Raises
    ------
    ModelError
        The file is missing or no such table.
    """
    import pandas as pd
    import pyarrow

    try:
        rows = pd.read_parquet(path).to_dict("records")
        return Evaluation(name, tuple(_make_item({str(key): value for key, value in row.items()}) for row in rows), {})
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise ModelError(f"{path}: no table of items ({type(error).__name__}: {error})") from error


def _make_item(row: dict[str, Any]) -> EvaluatedItem:
    annotations = tuple(_make_annotation(annotation) for annotation in json.loads(row["annotations"]))
    return EvaluatedItem(
        gold=GoldItem(row["letter"], int(row["item"]), row["outcome"], row["gold_text"], annotations),
        text=ItemText(**json.loads(row["text"])) if isinstance(row["text"], str) else None,
        prediction=_make_prediction(json.loads(row["prediction"])) if isinstance(row["prediction"], str) else None,
        scores=tuple(float(score) for score in row["scores"]),
        thresholds=tuple(float(threshold) for threshold in row["thresholds"]),
        split=row["split"],
    )


def _make_annotation(data: dict[str, Any]) -> Annotation:
    sentences = (GoldSentence(**{**sentence, "reasons": tuple(sentence["reasons"])}) for sentence in data["sentences"])
    return Annotation(data["primary"], tuple(sentences))


def _make_prediction(data: dict[str, Any]) -> Prediction:
    tasks = {task: OutcomePrediction(**found) if (found := data["outcome"][task]) else None for task in OUTCOME_TASKS}
    reasons = (
        ReasonPrediction(
            reason["label"], reason["probability"], tuple(Evidence(**evidence) for evidence in reason["evidence"])
        )
        for reason in data["reasons"]
    )
    return Prediction(
        **{
            **data,
            "outcome": Outcomes(data["outcome"]["heading"], **tasks),
            "reasons": tuple(reasons),
            "sentences": tuple(SentencePrediction(**sentence) for sentence in data["sentences"]),
            "warnings": tuple(data["warnings"]),
        }
    )
