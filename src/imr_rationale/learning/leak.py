"""The leak check: nothing of the verdict may be left in what the task `reasoning` reads.

Two figures, by other means than the rules that remove verdict clauses. The *residual rate* counts items in which an
unmistakable phrase of decision still stands. The *sentinel* is a model that sees only what was removed: the
one- and two-word runs around words of decision, in the removed clauses, against the outcome. On what was removed it is
all but perfect; on what stays it must tell nothing (AUROC 0.5). That it is awake is shown by putting the removed
clauses back (`planted`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from imr_rationale.language.words import stem
from imr_rationale.learning.bootstrap import Figure, bootstrap_figures
from imr_rationale.learning.estimators import make_vectorizer
from imr_rationale.learning.features import ItemFeatures
from imr_rationale.learning.linear import Floats

__all__ = ["Sentinel", "fit_sentinel", "measure_leak"]

# stems of the words that decide: "necess", "certif", "non-certifi"
DECISION_RE = re.compile(
    r"necess|medic|certif|upheld|uphold|overturn|approv|authori|warrant|support|appropri|reason|indic|justifi|deni|grant"
    r"|establish"
)
# "not medic necess", "request is approv", "denial is upheld": nothing but a decision
RESIDUAL_RE = re.compile(
    r"\bmedic(?:al|alli)? (?:un)?necess(?!arili)|\b(?:is|are|was|not|deem|be) (?:not )?(?:certifi|necess\b|necessari\b)"
    r"|\brequest (?:is|are|was) (?:not )?(?:approv|deni|support|warrant|author)"
    r"|\b(?:upheld|uphold|overturn|non-certifi|decertifi)"
)
#: a run of words must stand in so many removed texts to be learned
MIN_ITEMS = 3


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A model of the removed clauses; `score` gives log-odds of Overturned."""

    vectorizer: CountVectorizer
    classifier: LogisticRegression

    def score(self, texts: Sequence[str]) -> Floats:
        """Give one score a text."""
        return np.asarray(self.classifier.decision_function(self.vectorizer.transform(texts)), dtype=np.float64)


def fit_sentinel(features: Sequence[ItemFeatures], overturned: npt.NDArray[np.bool_]) -> Sentinel:
    """Fit the sentinel on the removed clauses of `features`."""
    texts = [_take_removed(item) for item in features]
    counter = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), min_df=min(MIN_ITEMS, len(texts)))
    counter.fit(texts)
    terms = [term for term in counter.get_feature_names_out() if DECISION_RE.search(term)]
    vectorizer = make_vectorizer(terms, (1, 2)).fit(texts)
    return Sentinel(vectorizer, LogisticRegression(C=10.0, max_iter=1000).fit(vectorizer.transform(texts), overturned))


def measure_leak(
    sentinel: Sentinel,
    features: Sequence[ItemFeatures],
    overturned: npt.NDArray[np.bool_],
    letters: Sequence[str],
    *,
    n_bootstrap: int,
    random_state: int = 0,
) -> dict[str, Figure]:
    """Measure what is left of the verdict in the items' reasoning text.

    Parameters
    ----------
    features, overturned, letters : sequences of the same length
        The last one names each item's letter, which the bootstrap draws.

    Returns
    -------
    dict of str to Figure
        "leak.residual_rate" (0 is wanted), "leak.sentinel_auroc" (its interval is to hold 0.5), and for comparison
        "leak.removed_auroc" and "leak.planted_auroc" (near 1, or the sentinel sleeps).
    """
    kept = [_take_kept(item) for item in features]
    removed = [_take_removed(item) for item in features]
    scores = {
        "sentinel": sentinel.score(kept),
        "removed": sentinel.score(removed),
        "planted": sentinel.score([f"{one} {other}" for one, other in zip(kept, removed, strict=True)]),
    }
    residual = np.array([RESIDUAL_RE.search(text) is not None for text in kept])

    def measure(index: npt.NDArray[np.int64]) -> dict[str, float]:
        y = overturned[index]
        both = 0 < y.sum() < len(y)
        aurocs = {
            f"leak.{name}_auroc": float(roc_auc_score(y, values[index])) if both else float("nan")
            for name, values in scores.items()
        }
        return {"leak.residual_rate": float(residual[index].mean()), **aurocs}

    return bootstrap_figures(measure, letters, n_bootstrap, random_state)


def _take_removed(item: ItemFeatures) -> str:
    return " ".join(stem(word) for word in item.verdict_words if not word.startswith("last:"))


def _take_kept(item: ItemFeatures) -> str:
    return " ".join(word for word in item.reasoning_words if "|" not in word)
