"""A fitted model: sentences first (role, verdict, reasons), then the item and its outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, softmax

from imr_rationale.labels import OUTCOME_TASKS, OUTCOMES, REASONS
from imr_rationale.language.words import prefix
from imr_rationale.learning.features import ItemFeatures, SentenceRow, make_features
from imr_rationale.learning.linear import Floats, Linear, join_linear
from imr_rationale.learning.ngrams import NgramTable, Vocabulary
from imr_rationale.learning.second_stage import (
    FINDING,
    ROLE_CODES,
    calibrate_reasons,
    make_log_odds,
    make_rank_features,
    make_role_context,
)
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
    "CONTEXT",
    "ROW_TEXTS",
    "TASK_NGRAMS",
    "TASK_WORDS",
    "Config",
    "RationaleModel",
    "Scores",
    "make_row_words",
    "read_decisions",
    "stack_item_scores",
]

#: text of a sentence row -> the longest of its n-grams
ROW_TEXTS: Mapping[str, int] = MappingProxyType(
    {"words": 2, "kinds": 3, "statuses": 1, "marks": 1, "decided_marks": 1, "neighbours": 1, "requests": 1}
)
#: those that only the reasons are read from: the marks of the sentences before and after, and what was asked for
CONTEXT = ("neighbours", "requests")
#: what each outcome task reads of an item, and the longest of its n-grams
TASK_WORDS: Mapping[str, str] = MappingProxyType(
    {"verdict": "verdict_words", "reasoning": "reasoning_words", "forecast": "forecast_words"}
)
TASK_NGRAMS = 2


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
    c_role, c_role_context, c_verdict, c_reasons : float
        Inverse strength of regularisation of each logistic regression over sentences.
    c_calibration, c_primary : float
        The same for those over the reasons of an item.
    c_outcome_verdict, c_outcome_reasoning, c_outcome_forecast : float
        The same for the outcome tasks.
    gate : float
        A sentence's reasons weigh with this power of its probability of being a finding.
    letters_weight, letters_weight_items : float
        Weight of an item of real letters against one of the corpus: for what learns from sentences and texts, and for
        what learns from the scores of whole items (calibration, primary reason), where the corpus misleads most.
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
    c_reasons: float = 16.0
    c_calibration: float = 0.05
    c_primary: float = 0.03
    c_outcome_verdict: float = 100.0
    c_outcome_reasoning: float = 1.0
    c_outcome_forecast: float = 1.0
    gate: float = 1.0
    letters_weight: float = 2.0
    letters_weight_items: float = 30.0
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
    """What was fitted, in plain arrays, and thresholds; `predict` is pure and may be called from several threads.

    Attributes
    ----------
    vocabularies : mapping of str to Vocabulary
        Of each of `ROW_TEXTS`, and of each outcome task's words.
    regressions : mapping of str to Linear
    thresholds : tuple of float
        One for each of `REASONS`.
    """

    config: Config
    vocabularies: Mapping[str, Vocabulary]
    regressions: Mapping[str, Linear]
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
        outcomes = self._score_tasks(features)
        decisions = read_decisions(features, outcomes["verdict"])
        log_odds = self._rows(make_row_words(rows, [decisions[i] for i in item_of_sentence]))
        alone, verdicts, reasons = np.split(log_odds, [-1 - len(REASONS), -len(REASONS)], axis=1)
        context = make_role_context(softmax(alone, axis=1), item_of_sentence)
        roles = softmax(self.regressions["roles_in_context"](context), axis=1)
        gate = roles[:, [FINDING]] ** self.config.gate
        return Scores(item_of_sentence, roles, expit(verdicts[:, 0]), expit(reasons) * gate, outcomes)

    def _score_tasks(self, features: Sequence[ItemFeatures]) -> dict[str, Floats]:
        """Give the scores of Overturned, at the rate of what was learned from."""
        scores = expit(self._tasks([[getattr(item, name) for item in features] for name in TASK_WORDS.values()]))
        return dict(zip(TASK_WORDS, scores.T, strict=True))

    @cached_property
    def rows_table(self) -> NgramTable:
        """What the words of a sentence row become, in the order of `ROW_TEXTS`."""
        return NgramTable([self.vocabularies[name] for name in ROW_TEXTS])

    @cached_property
    def _rows(self) -> "_LinearTable":
        """Roles, verdict and reasons of sentences: the first two do not read the context, which stands last."""
        parts = [self.regressions[name] for name in ("sentence_roles", "sentence_verdicts", "sentence_reasons")]
        return _LinearTable(self.rows_table, join_linear([(part, 0) for part in parts], self.rows_table.n_features))

    @cached_property
    def _tasks(self) -> "_LinearTable":
        table = NgramTable([self.vocabularies[name] for name in TASK_WORDS.values()])
        parts = [self.regressions[task] for task in TASK_WORDS]
        offsets = np.cumsum([0, *(len(part.coef) for part in parts[:-1])])
        return _LinearTable(table, join_linear([*zip(parts, offsets.tolist(), strict=True)], table.n_features))

    def calibrate_outcome(self, task: str, scores: Floats, base_rate: float | None = None) -> Floats:
        """Give the probability of Overturned where a share `base_rate` is Overturned, `config.base_rate` by default.

        References
        ----------
        The move to another rate: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a
        priori probabilities" (2002).
        """
        calibration = self.regressions.get(f"{task}_calibration")
        if calibration is None:
            return scores
        log_odds = calibration.coef[0, 0] * make_log_odds(scores) + calibration.intercept[0]
        return np.asarray(expit(log_odds + logit(base_rate or self.config.base_rate) - logit(self.config.base_rate)))

    def decode(
        self,
        features: Sequence[ItemFeatures],
        scores: Scores,
        *,
        forecast_known: Sequence[bool] | None = None,
        base_rate: float | None = None,
    ) -> list[Prediction]:
        """Turn scores into predictions with reasons, evidence, primary reason and outcomes.

        Parameters
        ----------
        forecast_known : sequence of bool, optional
            Whether an item has what the forecast is read from; yes by default.
        base_rate : float, optional
            Share of Overturned where the items come from, `config.base_rate` by default.
        """
        edges = np.searchsorted(scores.item_of_sentence, np.arange(len(features) + 1))
        known = forecast_known or [True] * len(features)
        proba = self.calibrate_reasons(stack_item_scores(scores, len(features)))
        outcomes = {task: self.calibrate_outcome(task, scores.outcomes[task], base_rate) for task in scores.outcomes}
        return [
            self._decode_item(
                item,
                scores,
                slice(edges[i], edges[i + 1]),
                i,
                proba[i],
                {task: float(values[i]) for task, values in outcomes.items() if known[i] or task != "forecast"},
            )
            for i, item in enumerate(features)
        ]

    def calibrate_reasons(self, scores: Floats) -> Floats:
        """Give the probability of each item's reasons; before a calibration is learned, the scores themselves.

        Parameters
        ----------
        scores : ndarray of shape (n_items, n_reasons)
            Each item's best sentence score.
        """
        return (
            calibrate_reasons(self.regressions["reasons_calibration"], scores)
            if "reasons_calibration" in self.regressions
            else scores
        )

    def _decode_item(
        self,
        item: ItemFeatures,
        scores: Scores,
        part: slice,
        i: int,
        proba: Floats,
        outcomes: Mapping[str, float],
    ) -> Prediction:
        reasons = self._decode_reasons(item, scores.reasons[part], proba)
        read = bool(item.words)
        tasks = {task: _decode_outcome(p) for task, p in outcomes.items() if read or task == "forecast"}
        return Prediction(
            rationale=item.rationale,
            outcome=Outcomes(None, *(tasks.get(task) for task in OUTCOME_TASKS)),
            reasons=reasons,
            primary_reason=self._choose_primary(reasons, scores, part, i, proba) if reasons else None,
            certainty=round(_expect_f1(proba, [reason.label for reason in reasons]), 4) if read else None,
            sentences=tuple(
                SentencePrediction(row.start_char, row.end_char, ROLE_CODES[role], verdict >= 0.5)
                for row, role, verdict in zip(
                    item.rows, scores.roles[part].argmax(axis=1).tolist(), scores.verdicts[part].tolist(), strict=True
                )
            ),
        )

    def _choose_primary(
        self, reasons: Sequence[ReasonPrediction], scores: Scores, part: slice, i: int, proba: Floats
    ) -> str:
        """Take the reason that ranks first; before ranks are learned, the most probable one."""
        if len(reasons) == 1 or "primary" not in self.regressions:
            return reasons[0].label
        index = [REASONS.index(reason.label) for reason in reasons]
        overturned = float(scores.outcomes["verdict"][i])
        X = make_rank_features(scores.reasons[part], scores.roles[part], scores.verdicts[part], proba, overturned)
        return reasons[int(self.regressions["primary"](X[index]).argmax())].label

    def _decode_reasons(self, item: ItemFeatures, scores: Floats, proba: Floats) -> tuple[ReasonPrediction, ...]:
        if not len(scores):
            return ()
        held = sorted((-p, j) for j, p in enumerate(proba.tolist()) if p >= self.thresholds[j])
        return tuple(
            ReasonPrediction(REASONS[j], round(-p, 4), self._find_evidence(item, scores[:, j])) for p, j in held
        )

    def _find_evidence(self, item: ItemFeatures, scores: Floats) -> tuple[Evidence, ...]:
        """Take the sentences that score nearly as high as the best one."""
        least = self.config.evidence_share * scores.max()
        rows = [item.rows[i] for i in np.flatnonzero(scores >= least)]
        return tuple(
            Evidence(row.start_char, row.end_char, item.rationale[row.start_char : row.end_char]) for row in rows
        )


def stack_item_scores(scores: Scores, n_items: int) -> Floats:
    """Give each item's best sentence score for each reason, shape (n_items, n_reasons)."""
    stacked = np.zeros((n_items, len(REASONS)))
    np.maximum.at(stacked, scores.item_of_sentence, scores.reasons)
    return stacked


def _expect_f1(proba: Floats, found: Sequence[str]) -> float:
    """Give the F1 to expect of the reasons found; of none found, the probability that none holds."""
    if not found:
        return float(np.prod(1 - proba))
    shown = sum(float(proba[REASONS.index(label)]) for label in found)
    return 2 * shown / (len(found) + float(proba.sum()))


def _decode_outcome(probability: float) -> OutcomePrediction:
    return OutcomePrediction(OUTCOMES[probability >= 0.5], round(probability, 4))


def read_decisions(features: Sequence[ItemFeatures], verdict: Floats) -> list[str]:
    """Give what each rationale says was decided: "granted", "refused", or nothing."""
    return [
        ("granted" if p >= 0.5 else "refused") if item.verdict_words else ""
        for item, p in zip(features, verdict, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _LinearTable:
    """Words -> log-odds."""

    table: NgramTable
    linear: Linear

    def __call__(self, words: Sequence[Sequence[Sequence[str]]]) -> Floats:
        return self.linear(self.table.transform(words))


def make_row_words(rows: Sequence[SentenceRow], decisions: Sequence[str]) -> list[list[tuple[str, ...]]]:
    """Give for each of `ROW_TEXTS` the words of each row; the decided marks say under which decision a mark stands."""
    decided = [
        tuple([prefix(decision, mark) for mark in row.marks]) if decision else ()
        for row, decision in zip(rows, decisions, strict=True)
    ]
    return [decided if name == "decided_marks" else [getattr(row, name) for row in rows] for name in ROW_TEXTS]
