"""Fit every estimator of a model: first on sentences and texts, then on out-of-fold scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imr_rationale.labels import POLARITY, REASONS, Outcome
from imr_rationale.learning.estimators import (
    StackedLogisticRegression,
    make_linear,
    round_coefficients,
    run_together,
)
from imr_rationale.learning.features import ItemFeatures, SentenceRow
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
#: sentences above which the roles are fitted by stochastic gradients, and read their company in single precision
MANY_SENTENCES = 1 << 15
#: largest change of a coefficient, as a share of the largest one, at which these end
SAG_TOLERANCE = 0.01
#: sentences, or texts, whose n-grams are looked up at a time
BLOCK_ROWS = 1 << 14
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
    apart = groups if writers is None or len(np.unique(writers)) < INNER_FOLDS else writers
    vocabularies, regressions = _fit_sentences(features, targets, groups, apart, weights, config)
    overturned = np.array([[target.outcome == "Overturned"] for target in targets])
    for task, attribute in TASK_WORDS.items():
        texts = [getattr(item, attribute) for item in features]
        vocabulary = _fit_vocabulary(texts, groups, TASK_NGRAMS, config)
        fitted = StackedLogisticRegression(getattr(config, f"c_outcome_{task}"))
        fitted.fit(_transform([vocabulary], [texts]), overturned, weights)
        vocabularies[attribute], regressions[task] = vocabulary, make_linear(fitted)
    return RationaleModel(config, vocabularies, regressions, (0.25,) * len(REASONS))


def _fit_sentences(
    features: Sequence[ItemFeatures],
    targets: Sequence[ItemTarget],
    groups: npt.NDArray[np.int64],
    apart: npt.NDArray[np.int64],
    weights: Floats,
    config: Config,
) -> tuple[dict[str, Vocabulary], dict[str, Linear]]:
    """Fit what reads sentences: their roles, verdicts and reasons."""
    known = [
        (i, row, sentence)
        for i, (item, target) in enumerate(zip(features, targets, strict=True))
        for row, sentence in zip(item.rows, target.sentences, strict=True)
        if sentence is not None
    ]
    items = np.array([i for i, _, _ in known])
    heavy = weights[items]
    sentences = [sentence for _, _, sentence in known]
    rows = [row._replace(requests=()) if i % HIDE_EVERY == 1 else row for i, row, _ in known]
    decisions = [_teach_decision(i, targets[i].outcome) for i in items]
    vocabularies, X, X_context = _fit_rows(rows, decisions, groups[items], config)
    # words take as much memory as the matrices
    del known, rows, decisions
    roles = np.array([sentence.role for sentence in sentences])
    verdicts = np.array([[sentence.verdict] for sentence in sentences])
    reasons = np.array([[reason in sentence.reasons for reason in REASONS] for sentence in sentences])
    regressions = _fit_roles(X, roles, items, apart[items], heavy, config)
    regressions["sentence_verdicts"] = make_linear(StackedLogisticRegression(config.c_verdict).fit(X, verdicts, heavy))
    grounds = reasons.any(axis=1) | (roles == "F")
    X_reasons = sp.hstack([X[grounds], X_context[grounds]], format="csr")
    del X, X_context
    fitted = StackedLogisticRegression(config.c_reasons).fit(X_reasons, reasons[grounds], heavy[grounds])
    regressions["sentence_reasons"] = make_linear(fitted)
    return vocabularies, regressions


def _fit_rows(
    rows: Sequence[SentenceRow], decisions: Sequence[str], groups: npt.NDArray[np.int64], config: Config
) -> tuple[dict[str, Vocabulary], sp.csr_matrix, sp.csr_matrix]:
    """Fit the vocabularies of `ROW_TEXTS`; give them with the rows' matrix of the plain texts and that of `CONTEXT`."""
    words = dict(zip(ROW_TEXTS, make_row_words(rows, decisions), strict=True))
    vocabularies = {name: _fit_vocabulary(words[name], groups, max_n, config) for name, max_n in ROW_TEXTS.items()}
    plain = [name for name in ROW_TEXTS if name not in CONTEXT]
    X, X_context = (
        _transform([vocabularies[name] for name in names], [words[name] for name in names])
        for names in (plain, CONTEXT)
    )
    return vocabularies, X, X_context


def _transform(vocabularies: Sequence[Vocabulary], texts: Sequence[Sequence[Sequence[str]]]) -> sp.csr_matrix:
    """Give the weighted n-grams of rows, made in blocks: a table takes a hundred bytes for each one that it finds."""
    table = NgramTable(vocabularies)
    starts = range(0, max(len(texts[0]), 1), BLOCK_ROWS)
    return sp.vstack([table.transform([text[i : i + BLOCK_ROWS] for text in texts]) for i in starts], format="csr")


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
    many = len(y) > MANY_SENTENCES
    # a tenth of the time of "lbfgs", and nearer to the optimum; of many sentences "sag" comes as near in a third of it
    solver = {"solver": "sag", "tol": SAG_TOLERANCE} if many else {"solver": "newton-cg"}
    regression = LogisticRegression(C=config.c_role, max_iter=500, random_state=0, **solver)
    folds = [*GroupKFold(n_splits=INNER_FOLDS).split(X, y, groups)]
    trains = [*(train for train, _ in folds), None]
    *fitted, alone = run_together(partial(_fit_part, regression, X, y, weights), trains, prefer="threads")
    # products of many columns for each sentence
    proba = np.zeros((len(y), len(ROLE_CODES)), dtype=np.float32 if many else np.float64)
    for one, (_, test) in zip(fitted, folds, strict=True):
        proba[np.ix_(test, one.classes_)] = one.predict_proba(X[test])
    alone.coef_ = round_coefficients(alone.coef_)
    in_context = make_pipeline(
        StandardScaler(), LogisticRegression(C=config.c_role_context, solver="newton-cg", max_iter=1000)
    )
    in_context.fit(make_role_context(proba, items), y, logisticregression__sample_weight=weights)
    return {
        "sentence_roles": make_linear(alone, n_classes=len(ROLE_CODES)),
        "roles_in_context": make_linear(in_context, n_classes=len(ROLE_CODES)),
    }


def _fit_part(
    regression: LogisticRegression,
    X: sp.csr_matrix,
    y: npt.NDArray[np.int64],
    weights: Floats,
    part: npt.NDArray[np.int64] | None,
) -> LogisticRegression:
    """Fit a copy of `regression` on a part of the samples; on all of them where it is None."""
    if part is not None:
        X, y, weights = X[part], y[part], weights[part]
    return clone(regression).fit(X, y, sample_weight=weights)


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
