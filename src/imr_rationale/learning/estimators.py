"""The one estimator of our own, and what the second stage reads: roles in context, reasons as candidates."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from joblib import Parallel, cpu_count, delayed
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from imr_rationale.labels import POLARITY, REASONS, ROLES

__all__ = [
    "FINDING",
    "ROLE_CODES",
    "Floats",
    "StackedLogisticRegression",
    "calibrate_reasons",
    "make_calibration_features",
    "make_log_odds",
    "make_rank_features",
    "make_role_context",
    "make_vectorizer",
    "round_coefficients",
    "run_together",
]

Floats = npt.NDArray[np.float64]
#: columns of role probabilities
ROLE_CODES = tuple(ROLES)
FINDING, GUIDELINE = ROLE_CODES.index("F"), ROLE_CODES.index("G")
#: parts that are worked on at the same time, at most: each fit copies what it learns from
AT_A_TIME = 4
#: values in a matrix from which on processes pay for themselves
MANY_VALUES = 1 << 21

T = TypeVar("T")
Result = TypeVar("Result")


def make_vectorizer(terms: Sequence[str], ngram_range: tuple[int, int]) -> TfidfVectorizer:
    """Make a vectorizer of normalised text, words apart by white space, with `terms` as its columns."""
    return TfidfVectorizer(
        token_pattern=r"\S+",
        lowercase=False,
        ngram_range=ngram_range,
        sublinear_tf=True,
        dtype=np.float32,
        vocabulary={term: i for i, term in enumerate(terms)},
    )


class StackedLogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One logistic regression a label, kept as one coefficient matrix.

    Gives what `OneVsRestClassifier` gives, twenty times faster on single documents.

    Parameters
    ----------
    C : float
        Inverse strength of regularisation.

    Attributes
    ----------
    coef_ : ndarray of shape (n_labels, n_features)
    intercept_ : ndarray of shape (n_labels,)
        A label without a positive example gets the intercept of probability 0.
    """

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(
        self, X: sp.csr_matrix, y: npt.NDArray[np.bool_], sample_weight: Floats | None = None
    ) -> "StackedLogisticRegression":
        """Fit the labels, some at a time; `y` has shape (n_samples, n_labels)."""
        fit = partial(self._fit_label, X, sample_weight)
        # not in threads: they would share liblinear's random numbers, and no two runs would be the same
        many = y.shape[1] > 1 and X.nnz > MANY_VALUES
        rows = run_together(fit, y.T, prefer="processes") if many else [*map(fit, y.T)]
        self.coef_ = round_coefficients(np.vstack([coef for coef, _ in rows]))
        self.intercept_ = np.array([intercept for _, intercept in rows])
        self.n_features_in_ = X.shape[1]
        return self

    def _fit_label(
        self, X: sp.csr_matrix, sample_weight: Floats | None, y: npt.NDArray[np.bool_]
    ) -> tuple[Floats, float]:
        if y.all() or not y.any():
            return np.zeros(X.shape[1]), 30.0 if y.all() else -30.0
        # the dual comes to the same coefficients ten times as fast; at this tolerance they are exact to three decimals
        fitted = LogisticRegression(C=self.C, solver="liblinear", dual=True, tol=1e-3, max_iter=1000, random_state=0)
        fitted.fit(X, y, sample_weight=sample_weight)
        return fitted.coef_[0], float(fitted.intercept_[0])

    def predict_proba(self, X: sp.csr_matrix) -> Floats:
        """Give probabilities of shape (n_samples, n_labels)."""
        return np.asarray(expit(X @ self.coef_.T + self.intercept_), dtype=np.float64)


def run_together(run: Callable[[T], Result], parts: Iterable[T], *, prefer: str) -> list[Result]:
    """Run the same on several parts at a time and give the results in order.

    Parameters
    ----------
    prefer : {"threads", "processes"}
        Threads need what is run to leave Python's lock alone; processes map the arrays of what is run from one file.
    """
    workers = Parallel(n_jobs=min(AT_A_TIME, cpu_count()), prefer=prefer)
    return list(workers(delayed(run)(part) for part in parts))


def round_coefficients(coef: Floats) -> npt.NDArray[np.float32]:
    """Keep three decimals in single precision: no figure moves, and the model file shrinks to a third."""
    return np.round(coef, 3).astype(np.float32)


def make_role_context(
    proba: npt.NDArray[np.floating], item_of_sentence: npt.NDArray[np.int64]
) -> npt.NDArray[np.floating]:
    """Describe each sentence by its own role probabilities in the company of its item's other sentences.

    A fact is a finding or background by what stands around it: nothing but the verdict follows a finding,
    guidelines come before it. The second regression reads products of the sentence's own log-probabilities with
    its neighbours' probabilities, the expected numbers of findings and guideline sentences before and after it,
    and its place.

    Parameters
    ----------
    proba : ndarray of shape (n_sentences, n_roles)
    item_of_sentence : ndarray of shape (n_sentences,)
        Sorted.

    Returns
    -------
    ndarray of shape (n_sentences, n_context)
    """
    n, n_roles = proba.shape
    own = np.log(proba + 1e-3)
    before = np.zeros_like(proba)
    after = np.zeros_like(proba)
    inside = item_of_sentence[1:] == item_of_sentence[:-1]
    before[1:][inside] = proba[:-1][inside]
    after[:-1][inside] = proba[1:][inside]
    starts = np.searchsorted(item_of_sentence, item_of_sentence, side="left")
    ends = np.searchsorted(item_of_sentence, item_of_sentence, side="right")
    place = np.arange(n)
    sums = np.vstack([np.zeros(n_roles), np.cumsum(proba, axis=0, dtype=np.float64)])[:, [FINDING, GUIDELINE]]
    counts = np.hstack([sums[place] - sums[starts], sums[ends] - sums[place + 1]])
    relative = (place - starts) / np.maximum(ends - starts - 1, 1)
    edges = np.column_stack([relative, place == starts, place == ends - 1])
    company = np.hstack([before, after, np.clip(counts, 0, 1), np.clip(counts, 0, 3) / 3, edges], dtype=proba.dtype)
    products = (own[:, :, None] * company[:, None, :]).reshape(n, n_roles * company.shape[1])
    return np.hstack([own, company, products])


def make_calibration_features(scores: Floats) -> Floats:
    """Give the log-odds of each score, and which reason it is of.

    Parameters
    ----------
    scores : ndarray of shape (n_items, n_reasons)
        Each item's best sentence score.

    Returns
    -------
    ndarray of shape (n_items * n_reasons, 1 + n_reasons)
    """
    labels = np.tile(np.eye(scores.shape[1]), (len(scores), 1))
    return np.hstack([make_log_odds(scores).reshape(-1, 1), labels])


def calibrate_reasons(calibration: LogisticRegression, scores: Floats) -> Floats:
    """Give the probability that each reason holds, shape (n_items, n_reasons), from the items' best sentence scores.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines" (1999): a logistic regression on the score, here with
    one slope for all reasons and an intercept for each.
    """
    slope, offsets = calibration.coef_[0, 0], calibration.coef_[0, 1:]
    return np.asarray(expit(slope * make_log_odds(scores) + offsets + calibration.intercept_[0]), dtype=np.float64)


def make_log_odds(scores: Floats) -> Floats:
    """Give the log-odds of probabilities, those at the very edge drawn in."""
    return np.asarray(logit(np.clip(scores, 1e-4, 1 - 1e-4)), dtype=np.float64)


def make_rank_features(reasons: Floats, roles: Floats, verdicts: Floats, proba: Floats, overturned: float) -> Floats:
    """Describe each reason of one item as a candidate for the primary one.

    Reviewers state the ground that decides first and return to it: what counts is the probability, whether the
    reason speaks for the outcome, how often it is shown, how many findings stand before it, whether it stands in
    the sentence that decides, and which rivals it has: missing documents, say, yield to a narrower ground.

    Parameters
    ----------
    reasons : ndarray of shape (n_sentences, n_reasons)
        Scores of sentences.
    roles : ndarray of shape (n_sentences, n_roles)
    verdicts : ndarray of shape (n_sentences,)
        Probability that a sentence gives the outcome away.
    proba : ndarray of shape (n_reasons,)
        Calibrated probabilities of the item's reasons.
    overturned : float
        Probability of Overturned by the rationale's verdict.

    Returns
    -------
    ndarray of shape (n_reasons, n_features)
    """
    n, n_reasons = reasons.shape
    where = reasons.argmax(axis=0)
    second = np.sort(reasons, axis=0)[-2] if n > 1 else np.zeros(n_reasons)
    findings = roles[:, FINDING]
    before = np.cumsum(findings) - findings
    after = findings.sum() - before - findings
    wanted = 1 if overturned >= 0.5 else -1
    speaks = np.array([POLARITY[reason] in (wanted, 0) for reason in REASONS], dtype=np.float64)
    speaking = proba * speaks
    top = np.sort(speaking)
    rival = np.where(speaking == top[-1], top[-2], top[-1])
    log_proba = np.log(proba + 1e-3)
    rivals = np.tile(speaking, (n_reasons, 1))
    np.fill_diagonal(rivals, 0)
    return np.column_stack(
        [
            log_proba,
            proba,
            second,
            reasons.sum(axis=0),
            speaks,
            log_proba * speaks,
            where / max(n - 1, 1),
            before[where] / max(findings.sum(), 1e-6),
            before[where] < 0.5,
            after[where] < 0.5,
            speaking - rival,
            np.log(rival + 1e-3),
            verdicts[where],
            verdicts[where] * proba,
            (reasons * verdicts[:, None]).max(axis=0),
            np.eye(n_reasons),
            (np.eye(n_reasons)[:, :, None] * rivals[:, None, :]).reshape(n_reasons, -1),
        ]
    )
