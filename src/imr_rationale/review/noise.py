"""Labels that may be wrong: items whose annotation the model, not having seen them, contradicts most.

References
----------
Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (2021); Thyagarajan et al.,
"Identifying Incorrect Annotations in Multi-Label Classification Data" (2022); both as cleanlab has them.
"""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from imr_rationale.labels import REASONS
from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.review.tables import collect_scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["list_label_noise"]

#: a person reads so many in an hour
N_CANDIDATES = 100
COLUMNS = ("id", "annotator", "reason", "annotated", "probability", "quality", "treatment", "rationale")


def list_label_noise(evaluation: Evaluation, *, limit: int = N_CANDIDATES) -> "pd.DataFrame":
    """Give the annotations most worth a second look, the likeliest mistake first.

    Parameters
    ----------
    evaluation : Evaluation
        Its scores must come from models that had not seen the items.

    Returns
    -------
    DataFrame
        `id`, `annotator`, `reason`, `annotated` (yes or no), `probability`, `quality` (of the label, in [0, 1]),
        `treatment`, `rationale`.
    """
    import pandas as pd
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class

    y_true, scores = collect_scores(evaluation)
    told = np.flatnonzero(y_true.any(axis=0) & ~y_true.all(axis=0))  # both answers are needed to doubt one
    if len(told) < 2:
        return pd.DataFrame(columns=COLUMNS)
    labels = [np.flatnonzero(row).tolist() for row in y_true[:, told]]
    with warnings.catch_warnings():  # a reason that stands in hardly an item has no candidates
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        flagged = find_multilabel_issues_per_class(labels, scores[:, told], n_jobs=1)
    places = [(item, k) for item in evaluation.items for k in range(len(item.gold.annotations))]
    rows = []
    for i, column in zip(*np.nonzero(flagged), strict=True):
        j = told[column]
        item, annotator = places[i]
        p = float(scores[i, j])
        rows.append(
            {
                "id": f"{item.gold.letter}/{item.gold.item}",
                "annotator": annotator + 1,
                "reason": REASONS[j],
                "annotated": "yes" if y_true[i, j] else "no",
                "probability": round(p, 3),
                "quality": round(p if y_true[i, j] else 1 - p, 3),
                "treatment": item.text.treatment if item.text else None,
                "rationale": item.gold.text,
            }
        )
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values("quality", kind="stable").head(limit)
