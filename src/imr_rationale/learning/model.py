"""A fitted model: sentences first (role, verdict, reasons), then the item and its outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import expit, logit

from imr_rationale.labels import OUTCOME_TASKS, OUTCOMES, REASONS, ROLES
from imr_rationale.learning.estimators import FINDING, ROLE_CODES, Floats, make_rank_features, make_role_context
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
    "TASK_WORDS",
    "Config",
    "RationaleModel",
    "Scores",
    "add_neighbours",
    "make_row_texts",
    "transform_rows",
]

#: text of a sentence row -> its n-grams
ROW_TEXTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"words": (1, 3), "statuses": (1, 1), "marks": (1, 1), "decided_marks": (1, 1), "neighbours": (1, 1)}
)
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
    min_letters : int
        In how many independent letters an n-gram must stand; what one letter alone says stays out of the model.
    c_role, c_role_context, c_verdict, c_primary, c_reasons : float
        Inverse strength of regularisation of each logistic regression over sentences.
    c_outcome_verdict, c_outcome_reasoning, c_outcome_forecast : float
        The same for the outcome tasks.
    gate : float
        A sentence's reasons weigh with this power of its probability of being a finding.
    letters_weight, letters_weight_primary : float
        Weight of an item of real letters against one of the corpus: for all estimators, and for the primary reason.
    base_rate : float
        Share of Overturned that probabilities are corrected to; 11 % of real letters' items.
    evidence_share : float
        A sentence is evidence of a reason when its probability is at least this share of the best one's.
    """

    random_state: int = 0
    n_splits: int = 5
    n_bootstrap: int = 500
    min_letters: int = 2
    c_role: float = 3.0
    c_role_context: float = 0.03
    c_verdict: float = 1.5
    c_primary: float = 0.3
    c_reasons: float = 8.0
    c_outcome_verdict: float = 100.0
    c_outcome_reasoning: float = 1.0
    c_outcome_forecast: float = 1.0
    gate: float = 1.0
    letters_weight: float = 2.0
    letters_weight_primary: float = 10.0
    base_rate: float = 0.11
    evidence_share: float = 0.7

    def to_params(self) -> dict[str, float | int]:
        """Give the parameters as a flat dictionary."""
        return asdict(self)


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
    trained_rate : float
        Share of Overturned among the items learned from; outcome probabilities are moved to `config.base_rate`.
    """

    config: Config
    estimators: Mapping[str, Any]
    thresholds: tuple[float, ...]
    trained_rate: float
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
            X = transform_rows(self.estimators, rows, [decisions[i] for i in item_of_sentence])
            roles = _predict_roles(self.estimators, X, item_of_sentence)
            verdicts = np.asarray(self.estimators["sentence_verdicts"].predict_proba(X)[:, 0])
            X_reasons = add_neighbours(self.estimators, X, rows)
            gate = roles[:, [FINDING]] ** self.config.gate
            reasons = np.asarray(self.estimators["sentence_reasons"].predict_proba(X_reasons)) * gate
        else:
            roles, verdicts, reasons = np.zeros((0, len(ROLES))), np.zeros(0), np.zeros((0, len(REASONS)))
        return Scores(item_of_sentence, roles, verdicts, reasons, outcomes)

    def _score_task(self, task: str, features: Sequence[ItemFeatures]) -> Floats:
        """Give the probability of Overturned at the configured base rate.

        References
        ----------
        Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities"
        (2002).
        """
        words = [getattr(item, TASK_WORDS[task]) for item in features]
        proba = self.estimators[task].predict_proba(self.estimators[f"{task}_words"].transform(words))[:, 0]
        shift = logit(self.config.base_rate) - logit(self.trained_rate)
        return np.asarray(expit(logit(np.clip(proba, 1e-9, 1 - 1e-9)) + shift))

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
            primary_reason=self._choose_primary(reasons, scores, part, i) if reasons else None,
            sentences=tuple(
                SentencePrediction(row.start_char, row.end_char, ROLE_CODES[int(role)], bool(verdict >= 0.5))
                for row, role, verdict in zip(
                    item.rows, scores.roles[part].argmax(axis=1), scores.verdicts[part], strict=True
                )
            ),
        )

    def _choose_primary(self, reasons: Sequence[ReasonPrediction], scores: Scores, part: slice, i: int) -> str:
        """Take the reason that ranks first; before ranks are learned, the most probable one."""
        if len(reasons) == 1 or "primary" not in self.estimators:
            return reasons[0].label
        index = [REASONS.index(reason.label) for reason in reasons]
        X = make_rank_features(scores.reasons[part], scores.roles[part], float(scores.outcomes["verdict"][i]))[index]
        return reasons[int(self.estimators["primary"].predict_proba(X)[:, 1].argmax())].label

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


def _read_decisions(features: Sequence[ItemFeatures], verdict: Floats) -> list[str]:
    """Give what each rationale says was decided: "granted", "refused", or nothing."""
    return [
        ("granted" if p >= 0.5 else "refused") if item.verdict_words else ""
        for item, p in zip(features, verdict, strict=True)
    ]


def _predict_roles(estimators: Mapping[str, Any], X: sp.csr_matrix, item_of_sentence: npt.NDArray[np.int64]) -> Floats:
    """Give role probabilities in the order of `ROLES`."""
    alone = _spread_roles(estimators["sentence_roles"], X)
    return _spread_roles(estimators["roles_in_context"], make_role_context(alone, item_of_sentence))


def _spread_roles(estimator: Any, X: Any) -> Floats:
    """Give one column a role, 0 for a role that the training set does not hold."""
    proba = np.zeros((X.shape[0], len(ROLE_CODES)))
    proba[:, estimator.classes_] = estimator.predict_proba(X)
    return proba


def make_row_texts(name: str, rows: Sequence[SentenceRow], decisions: Sequence[str]) -> list[str]:
    """Give one text of each row; the decided marks say under which decision a mark stands."""
    if name != "decided_marks":
        return [getattr(row, name) for row in rows]
    return [
        " ".join(f"{decision}:{mark}" for mark in row.marks.split()) if decision else ""
        for row, decision in zip(rows, decisions, strict=True)
    ]


def transform_rows(
    estimators: Mapping[str, Any], rows: Sequence[SentenceRow], decisions: Sequence[str]
) -> sp.csr_matrix:
    """Give the features of sentences that roles and verdict flags are read from, shape (n_sentences, n_features)."""
    names = ("words", "statuses", "marks", "decided_marks")
    return sp.hstack(
        [estimators[name].transform(make_row_texts(name, rows, decisions)) for name in names], format="csr"
    )


def add_neighbours(estimators: Mapping[str, Any], X: sp.csr_matrix, rows: Sequence[SentenceRow]) -> sp.csr_matrix:
    """Add what reasons are read from besides: the marks of the sentences before and after."""
    return sp.hstack([X, estimators["neighbours"].transform([row.neighbours for row in rows])], format="csr")
