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
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
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
    "fit_primary",
    "make_rank_features",
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
#: positives that the threshold shared by all labels counts for beside a label's own
SHARED_WEIGHT = 100
#: a reason below this probability is no candidate for the primary one
CANDIDATE = 0.05
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

    def fit(
        self, X: sp.csr_matrix, y: npt.NDArray[np.bool_], sample_weight: Floats | None = None
    ) -> "StackedLogisticRegression":
        """Fit one label after the other; `y` has shape (n_samples, n_labels)."""
        rows = [self._fit_label(X, y[:, j], sample_weight) for j in range(y.shape[1])]
        self.coef_ = round_coefficients(np.vstack([coef for coef, _ in rows]))
        self.intercept_ = np.array([intercept for _, intercept in rows])
        self.n_features_in_ = X.shape[1]
        return self

    def _fit_label(
        self, X: sp.csr_matrix, y: npt.NDArray[np.bool_], sample_weight: Floats | None
    ) -> tuple[Floats, float]:
        if y.all() or not y.any():
            return np.zeros(X.shape[1]), 30.0 if y.all() else -30.0
        fitted = LogisticRegression(C=self.C, solver="liblinear", max_iter=1000, random_state=0)
        fitted.fit(X, y, sample_weight=sample_weight)
        return fitted.coef_[0], float(fitted.intercept_[0])

    def predict_proba(self, X: sp.csr_matrix) -> Floats:
        """Give probabilities of shape (n_samples, n_labels)."""
        return np.asarray(expit(X @ self.coef_.T + self.intercept_), dtype=np.float64)


def round_coefficients(coef: Floats) -> npt.NDArray[np.float32]:
    """Keep three decimals in single precision: no figure moves, and the model file shrinks to a third."""
    return np.round(coef, 3).astype(np.float32)


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
                SentencePrediction(row.start_char, row.end_char, _ROLE_CODES[int(role)], bool(verdict >= 0.5))
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
        A label's own best threshold and the one that is best for all labels together, mixed by the label's number
        of positives: a rare label does not get an extreme threshold by chance.
    """
    grid = np.arange(0.10, 0.71, 0.02)
    predicted = proba[:, :, None] >= grid
    hits = (predicted & y_true[:, :, None]).sum(axis=0)
    support = y_true.sum(axis=0)
    sizes = predicted.sum(axis=0) + support[:, None]
    shared = grid[int((2 * hits.sum(axis=0) / np.maximum(sizes.sum(axis=0), 1)).argmax())]
    own = grid[(2 * hits / np.maximum(sizes, 1)).argmax(axis=1)]
    mixed = (support * own + SHARED_WEIGHT * shared) / (support + SHARED_WEIGHT)
    return tuple(round(float(value), 3) for value in mixed)


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


# ---------------------------------------------------------------- primary reason


def make_rank_features(reasons: Floats, roles: Floats, verdict: float) -> Floats:
    """Describe each reason of one item as a candidate for the primary one.

    Reviewers state the ground that decides first and return to it: what counts is the probability, whether the
    reason speaks for the outcome, how often it is shown, how many findings stand before it, and its rivals.

    Parameters
    ----------
    reasons : ndarray of shape (n_sentences, n_reasons)
    roles : ndarray of shape (n_sentences, n_roles)
    verdict : float
        Probability of Overturned.

    Returns
    -------
    ndarray of shape (n_reasons, n_features)
    """
    n, n_reasons = reasons.shape
    best, where = reasons.max(axis=0), reasons.argmax(axis=0)
    second = np.sort(reasons, axis=0)[-2] if n > 1 else np.zeros(n_reasons)
    findings = roles[:, FINDING]
    before = np.cumsum(findings) - findings
    after = findings.sum() - before - findings
    wanted = 1 if verdict >= 0.5 else -1
    speaks = np.array([POLARITY[reason] in (wanted, 0) for reason in REASONS], dtype=np.float64)
    speaking = best * speaks
    top = np.sort(speaking)
    rival = np.where(speaking == top[-1], top[-2], top[-1])
    log_best = np.log(best + 1e-3)
    return np.column_stack(
        [
            log_best,
            best,
            second,
            reasons.sum(axis=0),
            speaks,
            log_best * speaks,
            where / max(n - 1, 1),
            before[where] / max(findings.sum(), 1e-6),
            before[where] < 0.5,
            after[where] < 0.5,
            best - rival,
            np.log(rival + 1e-3),
            np.eye(n_reasons),
        ]
    )


def fit_primary(
    scores: Sequence[Scores], primaries: Sequence[Sequence[str]], weights: Sequence[float], config: Config
) -> Any:
    """Fit the choice of the primary reason on out-of-fold scores.

    Parameters
    ----------
    scores, primaries, weights : sequences of the same length
        Each batch's scores, the primary reason of each of its items, and the weight of its items.
    """
    X, y, heavy = [], [], []
    for batch, names, weight in zip(scores, primaries, weights, strict=True):
        edges = np.searchsorted(batch.item_of_sentence, np.arange(len(names) + 1))
        for i, name in enumerate(names):
            part = slice(edges[i], edges[i + 1])
            if name in POLARITY and edges[i] < edges[i + 1]:
                kept = np.flatnonzero(batch.reasons[part].max(axis=0) > CANDIDATE)
                verdict = float(batch.outcomes["verdict"][i])
                X.append(make_rank_features(batch.reasons[part], batch.roles[part], verdict)[kept])
                y.append(kept == REASONS.index(name))
                heavy.append(np.full(len(kept), weight))
    ranker = make_pipeline(StandardScaler(), LogisticRegression(C=config.c_primary, max_iter=1000))
    return ranker.fit(np.vstack(X), np.concatenate(y), logisticregression__sample_weight=np.concatenate(heavy))


# ---------------------------------------------------------------- fitting


def fit_model(
    features: Sequence[ItemFeatures],
    targets: Sequence[ItemTarget],
    groups: npt.NDArray[np.int64],
    weights: Floats,
    config: Config,
) -> RationaleModel:
    """Fit the estimators that learn from sentences and texts; thresholds are a start, 0.25 each.

    Parameters
    ----------
    features, targets : sequences of the same length
    groups : ndarray of shape (n_items,)
        Items of one group are never on both sides of an inner split.
    weights : ndarray of shape (n_items,)
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
        name: _fit_vectorizer(_make_row_texts(name, rows, decisions), groups[items], ngrams, config)
        for name, ngrams in ROW_TEXTS.items()
    }
    X = _transform_rows(estimators, rows, decisions)
    heavy = weights[items]
    roles = np.array([sentence.role for sentence in sentences])
    estimators |= _fit_roles(X, roles, items, groups[items], heavy, config)
    verdicts = np.array([[sentence.verdict] for sentence in sentences])
    estimators["sentence_verdicts"] = StackedLogisticRegression(config.c_verdict).fit(X, verdicts, heavy)
    reasons = np.array([[reason in sentence.reasons for reason in REASONS] for sentence in sentences])
    grounds = reasons.any(axis=1) | np.array([sentence.role == "F" for sentence in sentences])
    X_reasons = _add_neighbours(estimators, X, rows)
    estimators["sentence_reasons"] = StackedLogisticRegression(config.c_reasons).fit(
        X_reasons[grounds], reasons[grounds], heavy[grounds]
    )
    overturned = np.array([[target.outcome == "Overturned"] for target in targets])
    for task, attribute in TASK_WORDS.items():
        words = [getattr(item, attribute) for item in features]
        vectorizer = _fit_vectorizer(words, groups, (1, 1) if task == "reasoning" else (1, 2), config)
        estimators[f"{task}_words"] = vectorizer
        fitted = StackedLogisticRegression(getattr(config, f"c_outcome_{task}"))
        estimators[task] = fitted.fit(vectorizer.transform(words), overturned, weights)
    trained_rate = float(np.clip(np.average(overturned[:, 0], weights=weights), 0.001, 0.999))
    return RationaleModel(config, estimators, (0.25,) * len(REASONS), trained_rate)


def _fit_roles(
    X: sp.csr_matrix,
    roles: npt.NDArray[np.str_],
    items: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    weights: Floats,
    config: Config,
) -> dict[str, Any]:
    """Fit the roles of sentences alone, then, on their out-of-fold probabilities, in context."""
    y = np.array([_ROLE_CODES.index(role) for role in roles])
    alone = LogisticRegression(C=config.c_role, max_iter=500)
    folds = GroupKFold(n_splits=INNER_FOLDS)
    proba = np.zeros((len(y), len(_ROLE_CODES)))
    for train, test in folds.split(X, y, groups):
        fitted = clone(alone).fit(X[train], y[train], sample_weight=weights[train])
        proba[np.ix_(test, fitted.classes_)] = fitted.predict_proba(X[test])
    in_context = make_pipeline(StandardScaler(), LogisticRegression(C=config.c_role_context, max_iter=1000))
    alone.fit(X, y, sample_weight=weights)
    alone.coef_ = round_coefficients(alone.coef_)
    return {
        "sentence_roles": alone,
        "roles_in_context": in_context.fit(
            make_role_context(proba, items), y, logisticregression__sample_weight=weights
        ),
    }


def _fit_vectorizer(
    texts: Sequence[str], groups: npt.NDArray[np.int64], ngram_range: tuple[int, int], config: Config
) -> TfidfVectorizer:
    """Fit on the n-grams that stand in at least `min_letters` groups of letters."""
    options = {"token_pattern": r"\S+", "lowercase": False, "ngram_range": ngram_range}
    counter = CountVectorizer(binary=True, **options)
    counts = counter.fit_transform(texts)
    _, index = np.unique(groups, return_inverse=True)
    by_group = sp.csr_matrix((np.ones(len(texts)), (index, np.arange(len(texts))))) @ counts
    spread = np.asarray((by_group > 0).sum(axis=0)).ravel()
    kept = counter.get_feature_names_out()[spread >= config.min_letters]
    return TfidfVectorizer(vocabulary=kept.tolist(), sublinear_tf=True, dtype=np.float32, **options).fit(texts)


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
    return sp.hstack(
        [estimators[name].transform(_make_row_texts(name, rows, decisions)) for name in names], format="csr"
    )


def _add_neighbours(estimators: Mapping[str, Any], X: sp.csr_matrix, rows: Sequence[SentenceRow]) -> sp.csr_matrix:
    return sp.hstack([X, estimators["neighbours"].transform([row.neighbours for row in rows])], format="csr")
