"""What speaks most for and against each reason: the coefficients of the sentence model, by their names."""

from typing import TYPE_CHECKING

import numpy as np

from imr_rationale.labels import REASONS
from imr_rationale.learning.model import ROW_TEXTS, RationaleModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["list_weights"]

#: features of each sign shown for a reason
N_STRONGEST = 15


def list_weights(model: RationaleModel) -> "pd.DataFrame":
    """Give the strongest features of each reason: `reason`, `rank`, `block`, `feature`, `log_odds`.

    A feature's block says what it was read from: "words" and "kinds" (n-grams), "statuses" (word|status), "marks" (cues
    and place), "decided_marks" (marks under a decision), "neighbours" (marks of the sentences around), "requests" (what
    was asked for). `log_odds` is what the feature adds at weight 1; negative ranks speak against the reason.
    """
    import pandas as pd

    names = [(block, term) for block in ROW_TEXTS for term in model.vocabularies[block].list_terms()]
    rows = []
    for reason, coef in zip(REASONS, model.regressions["sentence_reasons"].coef.T, strict=True):
        order = np.argsort(-coef, kind="stable")
        ranked = [*enumerate(order[:N_STRONGEST], 1), *((-i, j) for i, j in enumerate(order[::-1][:N_STRONGEST], 1))]
        rows += [
            {
                "reason": reason,
                "rank": rank,
                "block": names[j][0],
                "feature": names[j][1],
                "log_odds": round(float(coef[j]), 3),
            }
            for rank, j in ranked
            if coef[j] * rank > 0
        ]
    return pd.DataFrame(rows)
