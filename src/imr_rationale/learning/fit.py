"""Fit every estimator of a model: first on sentences and texts, then on out-of-fold scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imr_rationale.labels import POLARITY, REASONS, Outcome
from imr_rationale.learning.estimators import StackedLogisticRegression, make_linear, round_coefficients
from imr_rationale.learning.features import ItemFeatures
from imr_rationale.learning.linear import Floats, Linear
from imr_rationale.learning.model import (
    CONTEXT,
    ROW_TEXTS,
    TASK_NGRAMS,
    TASK_WORDS,
    Config,
    RationaleModel,
    Scores,
    make_row_words,
)
from imr_rationale.learning.ngrams import NgramTable, Vocabulary, list_ngrams
from imr_rationale.learning.second_stage import (
    ROLE_CODES,
    make_calibration_features,
    make_log_odds,
    make_rank_features,
    make_role_context,
)

__all__ = [
    "INNER_FOLDS",
    "ItemTarget",
    "SentenceTarget",
    "choose_thresholds",
    "fit_model",
    "fit_outcome_calibration",
    "fit_primary",
    "fit_reasons_calibration",
    "weigh_to_rate",
]

#: folds behind the role probabilities that the second role regression learns from
INNER_FOLDS = 4
#: every so many items of the training set hide their outcome, and as many others what was asked for, so that reasons
#: are also read where the verdict or the treatment is not known
HIDE_EVERY = 4
#: the only term where no n-gram is spread enough, as in a handful of letters; no text holds it
NO_TERM = "<none>"
#: positives that the threshold shared by all labels counts for beside a label's own
SHARED_WEIGHT = 1000
#: scores below this tell the calibration nothing
LOWEST_SCORE = 1e-3
#: a reason below this probability is no candidate for the primary one
CANDIDATE = 0.08


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


def fit_model(
    features: Sequence[ItemFeatures],
    targets: Sequence[ItemTarget],
    groups: npt.NDArray[np.int64],
    weights: Floats,
    config: Config,
    *,
    writers: npt.NDArray[np.int64] | None = None,
) -> RationaleModel:
    """Fit the estimators that learn from sentences and texts; thresholds are a start, 0.25 each.

    Parameters
    ----------
    features, targets : sequences of the same length
    groups : ndarray of shape (n_items,)
        Letters that depend on each other: what only one group says stays out of the vocabulary.
    weights : ndarray of shape (n_items,)
    writers : ndarray of shape (n_items,), optional
        Items of one writer are never on both sides of an inner split; `groups` when left out or too few.
    """
    known = [
        (i, row, sentence)
        for i, (item, target) in enumerate(zip(features, targets, strict=True))
        for row, sentence in zip(item.rows, target.sentences, strict=True)
        if sentence is not None
    ]
    items = np.array([i for i, _, _ in known])
    rows = [row._replace(requests=()) if i % HIDE_EVERY == 1 else row for i, row, _ in known]
    sentences = [sentence for _, _, sentence in known]
    decisions = [_teach_decision(i, targets[i].outcome) for i in items]
    words = dict(zip(ROW_TEXTS, make_row_words(rows, decisions), strict=True))
    vocabularies = {
        name: _fit_vocabulary(words[name], groups[items], max_n, config) for name, max_n in ROW_TEXTS.items()
    }
    X_reasons = NgramTable([*vocabularies.values()]).transform([*words.values()])
    X = X_reasons[:, : sum(len(vocabularies[name]) for name in ROW_TEXTS if name not in CONTEXT)]
    heavy = weights[items]
    roles = np.array([sentence.role for sentence in sentences])
    apart = groups if writers is None or len(np.unique(writers)) < INNER_FOLDS else writers
    regressions = _fit_roles(X, roles, items, apart[items], heavy, config)
    verdicts = np.array([[sentence.verdict] for sentence in sentences])
    regressions["sentence_verdicts"] = make_linear(StackedLogisticRegression(config.c_verdict).fit(X, verdicts, heavy))
    reasons = np.array([[reason in sentence.reasons for reason in REASONS] for sentence in sentences])
    grounds = reasons.any(axis=1) | np.array([sentence.role == "F" for sentence in sentences])
    fitted = StackedLogisticRegression(config.c_reasons).fit(X_reasons[grounds], reasons[grounds], heavy[grounds])
    regressions["sentence_reasons"] = make_linear(fitted)
    overturned = np.array([[target.outcome == "Overturned"] for target in targets])
    for task, attribute in TASK_WORDS.items():
        texts = [getattr(item, attribute) for item in features]
        vocabularies[attribute] = _fit_vocabulary(texts, groups, TASK_NGRAMS, config)
        X_task = NgramTable([vocabularies[attribute]]).transform([texts])
        fitted = StackedLogisticRegression(getattr(config, f"c_outcome_{task}")).fit(X_task, overturned, weights)
        regressions[task] = make_linear(fitted)
    return RationaleModel(config, vocabularies, regressions, (0.25,) * len(REASONS))


def _fit_roles(
    X: sp.csr_matrix,
    roles: npt.NDArray[np.str_],
    items: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    weights: Floats,
    config: Config,
) -> dict[str, Linear]:
    """Fit the roles of sentences alone, then, on their out-of-fold probabilities, in context."""
    y = np.array([ROLE_CODES.index(role) for role in roles])
    # a tenth of the time of "lbfgs", and nearer to the optimum
    alone = LogisticRegression(C=config.c_role, solver="newton-cg", max_iter=500)
    folds = GroupKFold(n_splits=INNER_FOLDS)
    proba = np.zeros((len(y), len(ROLE_CODES)))
    for train, test in folds.split(X, y, groups):
        fitted = clone(alone).fit(X[train], y[train], sample_weight=weights[train])
        proba[np.ix_(test, fitted.classes_)] = fitted.predict_proba(X[test])
    in_context = make_pipeline(
        StandardScaler(), LogisticRegression(C=config.c_role_context, solver="newton-cg", max_iter=1000)
    )
    alone.fit(X, y, sample_weight=weights)
    alone.coef_ = round_coefficients(alone.coef_)
    in_context.fit(make_role_context(proba, items), y, logisticregression__sample_weight=weights)
    return {
        "sentence_roles": make_linear(alone, n_classes=len(ROLE_CODES)),
        "roles_in_context": make_linear(in_context, n_classes=len(ROLE_CODES)),
    }


def _fit_vocabulary(
    words: Sequence[Sequence[str]], groups: npt.NDArray[np.int64], max_n: int, config: Config
) -> Vocabulary:
    """Take the n-grams that stand in at least `min_letters` groups of letters."""
    terms, idf = list_ngrams(words, groups, max_n, config.min_letters)
    return Vocabulary.from_terms(terms or [NO_TERM], idf if terms else np.ones(1, dtype=np.float32), max_n)


def _teach_decision(i: int, outcome: Outcome) -> str:
    if i % HIDE_EVERY == 0:
        return ""
    return "granted" if outcome == "Overturned" else "refused"


def fit_reasons_calibration(scores: Floats, y_true: npt.NDArray[np.bool_], weights: Floats, config: Config) -> Linear:
    """Fit the way from an item's best sentence scores to probabilities; call it with out-of-fold scores only.

    Parameters
    ----------
    scores, y_true : ndarray of shape (n_items, n_reasons)
    weights : ndarray of shape (n_items,)
    """
    kept = scores.ravel() > LOWEST_SCORE
    X = make_calibration_features(scores)[kept]
    heavy = np.repeat(weights, scores.shape[1])[kept]
    calibration = LogisticRegression(C=config.c_calibration, max_iter=1000)
    return make_linear(calibration.fit(X, y_true.ravel()[kept], sample_weight=heavy))


def fit_outcome_calibration(scores: Floats, overturned: npt.NDArray[np.bool_], weights: Floats) -> Linear:
    """Fit the way from a task's score to the probability of Overturned; call it with out-of-fold scores only.

    Parameters
    ----------
    scores, overturned : ndarray of shape (n_items,)
    weights : ndarray of shape (n_items,)
        They bring the items to the base rate that the probabilities are to hold at: `weigh_to_rate`.
    """
    calibration = LogisticRegression(max_iter=1000)
    return make_linear(calibration.fit(make_log_odds(scores)[:, None], overturned, sample_weight=weights))


def weigh_to_rate(overturned: npt.NDArray[np.bool_], rate: float) -> Floats:
    """Give weights, 1 on average, with which a share `rate` of the items is Overturned."""
    found = overturned.mean()
    if not 0 < found < 1:
        return np.ones(len(overturned))
    return np.asarray(np.where(overturned, rate / found, (1 - rate) / (1 - found)), dtype=np.float64)


def fit_primary(
    scores: Sequence[Scores],
    probas: Sequence[Floats],
    primaries: Sequence[Sequence[str]],
    weights: Sequence[float],
    config: Config,
) -> Linear:
    """Fit the choice of the primary reason on out-of-fold scores.

    Parameters
    ----------
    scores, probas, primaries, weights : sequences of the same length
        Each batch's scores, calibrated probabilities of shape (n_items, n_reasons), the primary reason of each of
        its items, and the weight of its items.
    """
    X, y, heavy = [], [], []
    for batch, proba, names, weight in zip(scores, probas, primaries, weights, strict=True):
        edges = np.searchsorted(batch.item_of_sentence, np.arange(len(names) + 1))
        for i, name in enumerate(names):
            part = slice(edges[i], edges[i + 1])
            if name in POLARITY and edges[i] < edges[i + 1]:
                kept = np.flatnonzero(proba[i] > CANDIDATE)
                sentences = (batch.reasons[part], batch.roles[part], batch.verdicts[part])
                X.append(make_rank_features(*sentences, proba[i], float(batch.outcomes["verdict"][i]))[kept])
                y.append(kept == REASONS.index(name))
                heavy.append(np.full(len(kept), weight))
    ranker = make_pipeline(StandardScaler(), LogisticRegression(C=config.c_primary, max_iter=1000))
    ranker.fit(np.vstack(X), np.concatenate(y), logisticregression__sample_weight=np.concatenate(heavy))
    return make_linear(ranker)


def choose_thresholds(y_true: npt.NDArray[np.bool_], proba: Floats) -> tuple[float, ...]:
    """Give for each label the threshold of best F1; call it with calibrated out-of-fold probabilities only.

    Parameters
    ----------
    y_true, proba : ndarray of shape (n_items, n_labels)

    Returns
    -------
    tuple of float
        A label's own best threshold and the one that is best for all labels together, mixed by the label's number
        of positives: a label's own counts only where hundreds of items support it.
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
