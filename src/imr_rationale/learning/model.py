"""The scikit-learn estimators: sentences first (role, verdict, reasons), then the item and its outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imr_rationale.labels import OUTCOME_TASKS, OUTCOMES, POLARITY, REASONS, ROLES, Outcome
from imr_rationale.learning.features import ItemFeatures, SentenceRow, make_features
from imr_rationale.records import (
    Evidence,
    ItemText,
    OutcomePrediction,
    Outcomes,
    Prediction,
    ReasonPrediction,
    SentencePrediction,
)

__all__ = [
    "ROW_TEXTS",
    "Config",
    "ItemTarget",
    "RationaleModel",
    "Scores",
    "SentenceTarget",
    "StackedLogisticRegression",
    "choose_thresholds",
    "fit_model",
    "make_role_context",
    "stack_item_scores",
]

Floats = npt.NDArray[np.float64]
_ROLE_CODES = tuple(ROLES)
FINDING, GUIDELINE = _ROLE_CODES.index("F"), _ROLE_CODES.index("G")
#: folds behind the role probabilities that the second role regression learns from
INNER_FOLDS = 4
#: text of a sentence row -> its n-grams
ROW_TEXTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"words": (1, 3), "statuses": (1, 1), "marks": (1, 1), "decided_marks": (1, 1), "neighbours": (1, 1)}
)
#: every so many items of the training set hide their outcome, so that reasons are also read without a verdict
HIDE_EVERY = 4
#: what each outcome task reads of an item
TASK_WORDS: Mapping[str, str] = MappingProxyType(
    {"verdict": "verdict_words", "reasoning": "reasoning_words", "forecast": "forecast_words"}
)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides a training run.

    Attributes
    ----------
    random_state : int
        Seeds splits and bootstrap.
    n_splits : int
        Folds of the cross-validation.
    n_bootstrap : int
        Replicates behind each interval.
    min_df : int
        In how many sentences an n-gram must stand.
    c_role, c_role_context, c_verdict, c_reasons, c_outcome : float
        Inverse strength of regularisation of each logistic regression.
    gate : float
        A sentence's reasons weigh with this power of its probability of being a finding.
    base_rate : float
        Share of Overturned that probabilities are corrected to; 11 % of real letters' items.
    evidence_share : float
        A sentence is evidence of a reason when its probability is at least this share of the best one's.
    """

    random_state: int = 0
    n_splits: int = 5
    n_bootstrap: int = 500
    min_df: int = 2
    c_role: float = 3.0
    c_role_context: float = 0.03
    c_verdict: float = 5.0
    c_reasons: float = 20.0
    c_outcome: float = 10.0
    gate: float = 0.5
    base_rate: float = 0.11
    evidence_share: float = 0.5

    def to_params(self) -> dict[str, float | int]:
        """Give the parameters as a flat dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SentenceTarget:
    """What an annotator says of one sentence."""

    role: str
    verdict: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemTarget:
    """What is to be learned of one item; `sentences` run parallel to the rows of its features."""

    outcome: Outcome
    sentences: tuple[SentenceTarget | None, ...]

    @property
    def reasons(self) -> frozenset[str]:
        """Union of the sentences' reasons."""
        return frozenset(reason for sentence in self.sentences if sentence for reason in sentence.reasons)


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

    def fit(self, X: sp.csr_matrix, y: npt.NDArray[np.bool_]) -> "StackedLogisticRegression":
        """Fit one label after the other; `y` has shape (n_samples, n_labels)."""
        rows = [self._fit_label(X, y[:, j]) for j in range(y.shape[1])]
        self.coef_ = np.vstack([coef for coef, _ in rows]).astype(np.float32)  # halves the model file
        self.intercept_ = np.array([intercept for _, intercept in rows])
        self.n_features_in_ = X.shape[1]
        return self

    def _fit_label(self, X: sp.csr_matrix, y: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
        if y.all() or not y.any():
            return np.zeros(X.shape[1]), 30.0 if y.all() else -30.0
        fitted = LogisticRegression(C=self.C, solver="liblinear", max_iter=1000, random_state=0).fit(X, y)
        return fitted.coef_[0], float(fitted.intercept_[0])

    def predict_proba(self, X: sp.csr_matrix) -> Floats:
        """Give probabilities of shape (n_samples, n_labels)."""
        return np.asarray(expit(X @ self.coef_.T + self.intercept_), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities for a batch of items; the sentences of all items stand below each other.

    Attributes
    ----------
    item_of_sentence : ndarray of shape (n_sentences,)
    roles : ndarray of shape (n_sentences, n_roles)
    verdicts : ndarray of shape (n_sentences,)
    reasons : ndarray of shape (n_sentences, n_reasons)
    outcomes : mapping of task to ndarray of shape (n_items,)
        Probability of Overturned.
    """

    item_of_sentence: npt.NDArray[np.int64]
    roles: Floats
    verdicts: Floats
    reasons: Floats
    outcomes: Mapping[str, Floats]


@dataclass(frozen=True)
class RationaleModel:
    """Fitted estimators and thresholds; `predict` is pure and may be called from several threads.

    Attributes
    ----------
    estimators : mapping of str to estimator
        What the model file holds.
    thresholds : tuple of float
        One for each of `REASONS`.
    """

    config: Config
    estimators: Mapping[str, Any]
    thresholds: tuple[float, ...]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, texts: Iterable[ItemText]) -> list[Prediction]:
        """Read items; one prediction for each, in order."""
        items = list(texts)
        features = list(make_features(items))
        scores = self.score(features)
        known = [bool(item.treatment or item.summary or item.claims_administrator_guideline) for item in items]
        return self.decode(features, scores, forecast_known=known)

    def score(self, features: Sequence[ItemFeatures]) -> Scores:
        """Give the probabilities of a batch of items."""
        rows = [row for item in features for row in item.rows]
        item_of_sentence = np.repeat(np.arange(len(features)), [len(item.rows) for item in features])
        outcomes = {task: self._score_task(task, features) for task in OUTCOME_TASKS} if features else {}
        if rows:
            decisions = _read_decisions(features, outcomes["verdict"])
            X = _transform_rows(self.estimators, rows, [decisions[i] for i in item_of_sentence])
            roles = _predict_roles(self.estimators, X, item_of_sentence)
            verdicts = np.asarray(self.estimators["sentence_verdicts"].predict_proba(X)[:, 0])
            X_reasons = _add_neighbours(self.estimators, X, rows)
            gate = roles[:, [FINDING]] ** self.config.gate
            reasons = np.asarray(self.estimators["sentence_reasons"].predict_proba(X_reasons)) * gate
        else:
            roles, verdicts, reasons = np.zeros((0, len(ROLES))), np.zeros(0), np.zeros((0, len(REASONS)))
        return Scores(item_of_sentence, roles, verdicts, reasons, outcomes)

    def _score_task(self, task: str, features: Sequence[ItemFeatures]) -> Floats:
        words = [getattr(item, TASK_WORDS[task]) for item in features]
        X = self.estimators[f"{task}_words"].transform(words)
        return np.asarray(self.estimators[task].predict_proba(X)[:, 0])

    def decode(
        self,
        features: Sequence[ItemFeatures],
        scores: Scores,
        *,
        forecast_known: Sequence[bool] | None = None,
    ) -> list[Prediction]:
        """Turn probabilities into predictions with reasons, evidence, primary reason and outcomes."""
        edges = np.searchsorted(scores.item_of_sentence, np.arange(len(features) + 1))
        known = forecast_known or [True] * len(features)
        return [
            self._decode_item(item, scores, slice(edges[i], edges[i + 1]), i, forecast=known[i])
            for i, item in enumerate(features)
        ]

    def _decode_item(self, item: ItemFeatures, scores: Scores, part: slice, i: int, *, forecast: bool) -> Prediction:
        tasks = {task: _decode_outcome(float(scores.outcomes[task][i])) for task in OUTCOME_TASKS}
        reasons = self._decode_reasons(item, scores.reasons[part])
        read = bool(item.words)
        return Prediction(
            rationale=item.rationale,
            outcome=Outcomes(
                verdict=tasks["verdict"] if read else None,
                reasoning=tasks["reasoning"] if read else None,
                forecast=tasks["forecast"] if forecast else None,
            ),
            reasons=reasons,
            primary_reason=_choose_primary(reasons, tasks["verdict"].label),
            sentences=tuple(
                SentencePrediction(row.start_char, row.end_char, _ROLE_CODES[int(role)], bool(verdict >= 0.5))
                for row, role, verdict in zip(
                    item.rows, scores.roles[part].argmax(axis=1), scores.verdicts[part], strict=True
                )
            ),
        )

    def _decode_reasons(self, item: ItemFeatures, proba: Floats) -> tuple[ReasonPrediction, ...]:
        if not len(proba):
            return ()
        best = proba.max(axis=0)
        found = [j for j in np.argsort(-best, kind="stable") if best[j] >= self.thresholds[j]]
        return tuple(
            ReasonPrediction(
                REASONS[j],
                round(float(best[j]), 4),
                tuple(
                    Evidence(row.start_char, row.end_char, item.rationale[row.start_char : row.end_char])
                    for row, p in zip(item.rows, proba[:, j], strict=True)
                    if p >= max(self.config.evidence_share * best[j], 0.5 * self.thresholds[j])
                ),
            )
            for j in found
        )


def _decode_outcome(probability: float) -> OutcomePrediction:
    return OutcomePrediction(OUTCOMES[probability >= 0.5], round(probability, 4))


def _choose_primary(reasons: Sequence[ReasonPrediction], outcome: Outcome) -> str | None:
    """Take the most probable reason that speaks for the outcome, else the most probable one."""
    wanted = 1 if outcome == "Overturned" else -1
    speaking = [reason for reason in reasons if POLARITY[reason.label] in (wanted, 0)]
    return (speaking or list(reasons))[0].label if reasons else None


def stack_item_scores(scores: Scores, n_items: int) -> Floats:
    """Give each item's best sentence probability for each reason, shape (n_items, n_reasons)."""
    stacked = np.zeros((n_items, len(REASONS)))
    np.maximum.at(stacked, scores.item_of_sentence, scores.reasons)
    return stacked


def choose_thresholds(y_true: npt.NDArray[np.bool_], proba: Floats) -> tuple[float, ...]:
    """Give for each label the threshold of best F1; call it with out-of-fold probabilities only.

    Parameters
    ----------
    y_true, proba : ndarray of shape (n_items, n_labels)

    Returns
    -------
    tuple of float
        Within [0.1, 0.6], so that a rare label does not get an extreme threshold by chance.
    """
    grid = np.arange(0.10, 0.61, 0.02)
    return tuple(_choose_threshold(y_true[:, j], proba[:, j], grid) for j in range(y_true.shape[1]))


def _choose_threshold(y_true: npt.NDArray[np.bool_], proba: Floats, grid: Floats) -> float:
    predicted = proba[:, None] >= grid[None, :]
    hits = (predicted & y_true[:, None]).sum(axis=0)
    f1 = 2 * hits / np.maximum(predicted.sum(axis=0) + y_true.sum(), 1)
    return round(float(grid[int(f1.argmax())]), 2)


def _read_decisions(features: Sequence[ItemFeatures], verdict: Floats) -> list[str]:
    """Give what each rationale says was decided: "granted", "refused", or nothing."""
    return [
        ("granted" if p >= 0.5 else "refused") if item.verdict_words else ""
        for item, p in zip(features, verdict, strict=True)
    ]


# ---------------------------------------------------------------- roles in context


def make_role_context(proba: Floats, item_of_sentence: npt.NDArray[np.int64]) -> Floats:
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
    before = np.zeros((n, n_roles))
    after = np.zeros((n, n_roles))
    inside = item_of_sentence[1:] == item_of_sentence[:-1]
    before[1:][inside] = proba[:-1][inside]
    after[:-1][inside] = proba[1:][inside]
    starts = np.searchsorted(item_of_sentence, item_of_sentence, side="left")
    ends = np.searchsorted(item_of_sentence, item_of_sentence, side="right")
    place = np.arange(n)
    sums = np.vstack([np.zeros(n_roles), np.cumsum(proba, axis=0)])[:, [FINDING, GUIDELINE]]
    counts = np.hstack([sums[place] - sums[starts], sums[ends] - sums[place + 1]])
    relative = (place - starts) / np.maximum(ends - starts - 1, 1)
    edges = np.column_stack([relative, place == starts, place == ends - 1])
    company = np.hstack([before, after, np.clip(counts, 0, 1), np.clip(counts, 0, 3) / 3, edges])
    products = (own[:, :, None] * company[:, None, :]).reshape(n, -1)
    return np.hstack([own, company, products])


def _predict_roles(estimators: Mapping[str, Any], X: sp.csr_matrix, item_of_sentence: npt.NDArray[np.int64]) -> Floats:
    """Give role probabilities in the order of `ROLES`."""
    alone = np.asarray(estimators["sentence_roles"].predict_proba(X))
    context = make_role_context(alone, item_of_sentence)
    return np.asarray(estimators["roles_in_context"].predict_proba(context))


# ---------------------------------------------------------------- fitting


def fit_model(
    features: Sequence[ItemFeatures],
    targets: Sequence[ItemTarget],
    groups: npt.NDArray[np.int64],
    config: Config,
    *,
    thresholds: tuple[float, ...] | None = None,
) -> RationaleModel:
    """Fit every estimator.

    Parameters
    ----------
    features, targets : sequences of the same length
    groups : ndarray of shape (n_items,)
        Items of one group are never on both sides of an inner split.
    thresholds : tuple of float, optional
        One for each reason, from out-of-fold probabilities; 0.25 each when left out.
    """
    known = [
        (i, row, sentence)
        for i, (item, target) in enumerate(zip(features, targets, strict=True))
        for row, sentence in zip(item.rows, target.sentences, strict=True)
        if sentence is not None
    ]
    items = np.array([i for i, _, _ in known])
    rows = [row for _, row, _ in known]
    sentences = [sentence for _, _, sentence in known]
    decisions = [_teach_decision(i, targets[i].outcome) for i in items]
    estimators: dict[str, Any] = {
        name: _make_vectorizer(config, ngrams).fit(_make_row_texts(name, rows, decisions))
        for name, ngrams in ROW_TEXTS.items()
    }
    X = _transform_rows(estimators, rows, decisions)
    estimators |= _fit_roles(X, np.array([sentence.role for sentence in sentences]), items, groups[items], config)
    verdicts = np.array([[sentence.verdict] for sentence in sentences])
    estimators["sentence_verdicts"] = StackedLogisticRegression(config.c_verdict).fit(X, verdicts)
    reasons = np.array([[reason in sentence.reasons for reason in REASONS] for sentence in sentences])
    grounds = reasons.any(axis=1) | np.array([sentence.role == "F" for sentence in sentences])
    X_reasons = _add_neighbours(estimators, X, rows)
    estimators["sentence_reasons"] = StackedLogisticRegression(config.c_reasons).fit(
        X_reasons[grounds], reasons[grounds]
    )
    overturned = np.array([[target.outcome == "Overturned"] for target in targets])
    for task, attribute in TASK_WORDS.items():
        words = [getattr(item, attribute) for item in features]
        vectorizer = _make_vectorizer(config, (1, 2)).fit(words)
        estimators[f"{task}_words"] = vectorizer
        estimators[task] = _fit_outcome(vectorizer.transform(words), overturned, config)
    return RationaleModel(config, estimators, thresholds or (0.25,) * len(REASONS))


def _fit_roles(
    X: sp.csr_matrix,
    roles: npt.NDArray[np.str_],
    items: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    config: Config,
) -> dict[str, Any]:
    """Fit the roles of sentences alone, then, on their out-of-fold probabilities, in context."""
    y = np.array([_ROLE_CODES.index(role) for role in roles])
    alone = LogisticRegression(C=config.c_role, max_iter=500)
    folds = GroupKFold(n_splits=INNER_FOLDS)
    proba = np.zeros((len(y), len(_ROLE_CODES)))
    for train, test in folds.split(X, y, groups):
        fitted = clone(alone).fit(X[train], y[train])
        proba[np.ix_(test, fitted.classes_)] = fitted.predict_proba(X[test])
    in_context = make_pipeline(StandardScaler(), LogisticRegression(C=config.c_role_context, max_iter=1000))
    return {
        "sentence_roles": alone.fit(X, y),
        "roles_in_context": in_context.fit(make_role_context(proba, items), y),
    }


def _make_vectorizer(config: Config, ngram_range: tuple[int, int]) -> TfidfVectorizer:
    return TfidfVectorizer(
        token_pattern=r"\S+",
        lowercase=False,
        ngram_range=ngram_range,
        min_df=config.min_df,
        sublinear_tf=True,
        dtype=np.float32,
    )


def _teach_decision(i: int, outcome: Outcome) -> str:
    if i % HIDE_EVERY == 0:
        return ""
    return "granted" if outcome == "Overturned" else "refused"


def _make_row_texts(name: str, rows: Sequence[SentenceRow], decisions: Sequence[str]) -> list[str]:
    """Give one text of each row; the decided marks say under which decision a mark stands."""
    if name != "decided_marks":
        return [getattr(row, name) for row in rows]
    return [
        " ".join(f"{decision}:{mark}" for mark in row.marks.split()) if decision else ""
        for row, decision in zip(rows, decisions, strict=True)
    ]


def _transform_rows(
    estimators: Mapping[str, Any], rows: Sequence[SentenceRow], decisions: Sequence[str]
) -> sp.csr_matrix:
    names = ("words", "statuses", "marks", "decided_marks")
    return sp.hstack([estimators[name].transform(_make_row_texts(name, rows, decisions)) for name in names], format="csr")


def _add_neighbours(estimators: Mapping[str, Any], X: sp.csr_matrix, rows: Sequence[SentenceRow]) -> sp.csr_matrix:
    return sp.hstack([X, estimators["neighbours"].transform([row.neighbours for row in rows])], format="csr")


def _fit_outcome(X: sp.csr_matrix, y: npt.NDArray[np.bool_], config: Config) -> StackedLogisticRegression:
    """Fit an outcome, then move its prior from the training set's base rate to the configured one.

    References
    ----------
    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities" (2002).
    """
    fitted = StackedLogisticRegression(config.c_outcome).fit(X, y)
    if 0 < y.mean() < 1:
        fitted.intercept_ = fitted.intercept_ + logit(config.base_rate) - logit(y.mean())
    return fitted
