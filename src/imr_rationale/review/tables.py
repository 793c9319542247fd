"""Tables of an evaluation: headlines, reasons, and what is taken for what."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from imr_rationale.labels import REASONS, ROLES
from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.evaluate import HEADLINES
from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.learning.gold import Annotation, fold_words
from imr_rationale.records import Prediction

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CEILING",
    "collect_scores",
    "count_confusions",
    "count_roles",
    "make_headline_table",
    "make_label_table",
]

#: suffix of the figures of one annotator against the other
CEILING = "ceiling"


def make_headline_table(evaluation: Evaluation) -> "pd.DataFrame":
    """Give one row a headline: value, interval, and the baselines and the ceiling beside it."""
    import pandas as pd

    names = [name for name in HEADLINES if name in evaluation.figures]
    return pd.DataFrame([{"figure": name, **_take_row(evaluation, name, "model")} for name in names])


def make_label_table(evaluation: Evaluation) -> "pd.DataFrame":
    """Give one row a reason: items that carry it, items that show it, F1, interval, baselines, ceiling, threshold."""
    import pandas as pd

    y_true, scores = collect_scores(evaluation)
    thresholds = _collect_thresholds(evaluation)
    n_annotators = len(evaluation.items[0].gold.annotations)
    shown = (scores >= thresholds).sum(axis=0) / n_annotators
    annotated = y_true.sum(axis=0) / n_annotators
    return pd.DataFrame(
        [
            {
                "reason": reason,
                "annotated": float(annotated[j]),
                "shown": float(shown[j]),
                "threshold": round(float(thresholds[:, j].mean()), 3),
                **_take_row(evaluation, f"reasons.f1.{reason}", "f1"),
            }
            for j, reason in enumerate(REASONS)
        ]
    )


def _take_row(evaluation: Evaluation, name: str, column: str) -> dict[str, float]:
    figure = evaluation.figures[name]
    beside = {
        other: evaluation.figures[f"{name}.{other}"].value
        for other in (*BASELINES, CEILING)
        if f"{name}.{other}" in evaluation.figures
    }
    return {column: figure.value, "low": figure.low, "high": figure.high, **beside}


def collect_scores(evaluation: Evaluation) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Give what each annotator says and the model's probabilities, both of shape (n_items * n_annotators, n_reasons).

    An item that was not predicted has probability 0 of every reason.
    """
    pairs = [(item, annotation) for item in evaluation.items for annotation in item.gold.annotations]
    y_true = np.array([[reason in annotation.reasons for reason in REASONS] for _, annotation in pairs])
    scores = np.array([item.scores or (0.0,) * len(REASONS) for item, _ in pairs])
    return y_true, scores


def _collect_thresholds(evaluation: Evaluation) -> npt.NDArray[np.float64]:
    return np.array([item.thresholds for item in evaluation.items for _ in item.gold.annotations])


def count_roles(evaluation: Evaluation) -> "pd.DataFrame":
    """Count sentences by the annotators' role (rows) and the model's (columns)."""
    import pandas as pd

    codes, names = list(ROLES), list(ROLES.values())
    counts = np.zeros((len(codes), len(codes)), dtype=np.int64)
    for item in evaluation.items:
        if item.prediction is not None:
            for annotation in item.gold.annotations:
                for wanted, found in _pair_roles(item.prediction, annotation):
                    counts[codes.index(wanted), codes.index(found)] += 1
    return pd.DataFrame(counts, index=names, columns=names)


def _pair_roles(prediction: Prediction, annotation: Annotation) -> Iterator[tuple[str, str]]:
    """Yield the annotator's and the model's role of each sentence that both bound alike."""
    text = prediction.rationale
    mine = {fold_words(text[s.start_char : s.end_char]): s.role for s in prediction.sentences}
    for sentence in annotation.sentences:
        found = mine.get(fold_words(sentence.text))
        if found is not None:
            yield sentence.role, found


def count_confusions(evaluation: Evaluation) -> "pd.DataFrame":
    """Count how often a reason was missed (rows) while another was shown instead (columns).

    An item with several missed or extra reasons is shared out evenly, so that it counts once for each missed reason;
    the last column counts the missed reasons of items without an extra one, the last row the extra ones of items
    that miss none.
    """
    import pandas as pd

    y_true, scores = collect_scores(evaluation)
    y_pred = scores >= _collect_thresholds(evaluation)
    counts = np.zeros((len(REASONS) + 1, len(REASONS) + 1))
    for wanted, found in zip(y_true, y_pred, strict=True):
        missed, extra = np.flatnonzero(wanted & ~found), np.flatnonzero(found & ~wanted)
        rows = missed if len(missed) else np.array([len(REASONS)])
        columns = extra if len(extra) else np.array([len(REASONS)])
        if len(missed) or len(extra):
            counts[np.ix_(rows, columns)] += 1 / (len(columns) if len(missed) else 1)
    counts /= len(evaluation.items[0].gold.annotations)
    return pd.DataFrame(counts.round(2), index=[*REASONS, "(none missed)"], columns=[*REASONS, "(none shown instead)"])
