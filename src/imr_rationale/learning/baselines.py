"""The cheap baselines that stand beside every figure.

Majority, cue rules alone, TF-IDF + one-vs-rest logistic regression on whole rationales, and for the forecast a logistic
regression on metadata alone: age, sex, kind of request, the body of the claims administrator's guideline.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from imr_rationale.labels import OUTCOME_TASKS, OUTCOMES, POLARITY, REASONS
from imr_rationale.language.rules import RULE_REASONS, RULES, Rule
from imr_rationale.learning.estimators import StackedLogisticRegression
from imr_rationale.learning.features import ItemFeatures
from imr_rationale.learning.fit import ItemTarget
from imr_rationale.learning.model import TASK_WORDS
from imr_rationale.records import OutcomePrediction, Outcomes, Prediction, ReasonPrediction

__all__ = [
    "BASELINES",
    "RuleFigure",
    "keep_figure",
    "measure_rules",
    "predict_majority",
    "predict_metadata",
    "predict_rules",
    "predict_tfidf",
]

#: between the thresholds 0.3 and 0.5 that first measurements found best
TFIDF_THRESHOLD = 0.3


def predict_majority(
    train: Sequence[ItemFeatures], targets: Sequence[ItemTarget], test: Sequence[ItemFeatures]
) -> list[Prediction]:
    """Give every item the commonest reason of `targets` and their base rate of Overturned."""
    counts = Counter(reason for target in targets for reason in target.reasons)
    commonest = counts.most_common(1)[0][0] if counts else None
    rate = float(np.mean([target.outcome == "Overturned" for target in targets]))
    return [
        _make_prediction(item, {commonest: 1.0} if commonest else {}, dict.fromkeys(OUTCOME_TASKS, rate))
        for item in test
    ]


def predict_rules(
    train: Sequence[ItemFeatures], targets: Sequence[ItemTarget], test: Sequence[ItemFeatures]
) -> list[Prediction]:
    """Read reasons from cues alone; outcomes from a "not" in the verdict and from the reasons' polarity."""
    rate = float(np.mean([target.outcome == "Overturned" for target in targets]))
    return [_apply_rules(item, rate) for item in test]


def _apply_rules(item: ItemFeatures, rate: float) -> Prediction:
    words = item.verdict_words
    refused = not words or bool({"not", "non-certified", "denied", "upheld", "unnecessary"} & set(words))
    signs = [POLARITY[reason] for reason in {RULE_REASONS[name] for name in item.reasoning_rules}]
    balance = (1 + sum(signs) / len(signs)) / 2 if signs else rate
    outcomes = {"verdict": 0.0 if refused else 1.0, "reasoning": balance, "forecast": rate}
    return _make_prediction(item, dict.fromkeys(sorted({RULE_REASONS[name] for name in item.rules}), 1.0), outcomes)


@dataclass(frozen=True, slots=True)
class RuleFigure:
    """How a rule does on annotated items.

    Attributes
    ----------
    n_items : int
        Items in which the rule holds.
    precision, low, high : float
        Share of them that carry the rule's reason, with its 95 % interval (Wilson); nan where the rule never holds.
    coverage : float
        Share of the items with the reason in which the rule holds.
    """

    rule: Rule
    n_items: int
    precision: float
    low: float
    high: float
    coverage: float


def measure_rules(features: Sequence[ItemFeatures], targets: Sequence[ItemTarget]) -> tuple[RuleFigure, ...]:
    """Count how often each rule holds and how often it is right, in the order of `RULES`."""
    return tuple(_measure_rule(rule, features, targets) for rule in RULES)


def _measure_rule(rule: Rule, features: Sequence[ItemFeatures], targets: Sequence[ItemTarget]) -> RuleFigure:
    from scipy.stats import binomtest

    holds = np.array([rule.name in item.rules for item in features])
    true = np.array([rule.reason in target.reasons for target in targets])
    n_items, n_right, n_true = int(holds.sum()), int((holds & true).sum()), int(true.sum())
    if not n_items:
        return RuleFigure(rule, 0, float("nan"), float("nan"), float("nan"), 0.0)
    interval = binomtest(n_right, n_items).proportion_ci(method="wilson")
    coverage = n_right / n_true if n_true else 0.0
    return RuleFigure(rule, n_items, n_right / n_items, float(interval.low), float(interval.high), coverage)


def predict_tfidf(
    train: Sequence[ItemFeatures], targets: Sequence[ItemTarget], test: Sequence[ItemFeatures]
) -> list[Prediction]:
    """Fit one-vs-rest logistic regressions on TF-IDF of whole rationales, and of each outcome task's text."""
    y = np.array([[reason in target.reasons for reason in REASONS] for target in targets])
    proba = _fit_predict([item.words for item in train], y, [item.words for item in test])
    overturned = np.array([[target.outcome == "Overturned"] for target in targets])
    outcomes = {
        task: _fit_predict(
            [getattr(item, words) for item in train], overturned, [getattr(item, words) for item in test]
        )[:, 0]
        for task, words in {**TASK_WORDS, "verdict": "words"}.items()
    }
    return [
        _make_prediction(
            item,
            {name: float(p) for name, p in zip(REASONS, proba[i], strict=True) if p >= TFIDF_THRESHOLD},
            {task: float(values[i]) for task, values in outcomes.items()},
        )
        for i, item in enumerate(test)
    ]


def predict_metadata(
    train: Sequence[ItemFeatures], targets: Sequence[ItemTarget], test: Sequence[ItemFeatures]
) -> list[Prediction]:
    """Forecast from metadata alone; the other tasks get the base rate and no reason."""
    overturned = np.array([[target.outcome == "Overturned"] for target in targets])
    rate = float(overturned.mean())
    forecast = _fit_predict([item.metadata_words for item in train], overturned, [item.metadata_words for item in test])
    return [
        _make_prediction(item, {}, {**dict.fromkeys(OUTCOME_TASKS, rate), "forecast": float(p)})
        for item, p in zip(test, forecast[:, 0], strict=True)
    ]


def keep_figure(baseline: str, metric: str) -> bool:
    """Say whether a baseline stands for this figure: metadata are one for the forecast alone."""
    return baseline != "metadata" or metric.startswith("forecast.")


def _fit_predict(train: Sequence[Sequence[str]], y: np.ndarray, test: Sequence[Sequence[str]]) -> np.ndarray:
    vectorizer = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    fitted = StackedLogisticRegression(10.0).fit(vectorizer.fit_transform(map(" ".join, train)), y)
    return fitted.predict_proba(vectorizer.transform(map(" ".join, test)))


def _make_prediction(item: ItemFeatures, reasons: Mapping[str, float], outcomes: Mapping[str, float]) -> Prediction:
    ranked = sorted(reasons.items(), key=lambda pair: -pair[1])
    return Prediction(
        rationale=item.rationale,
        outcome=Outcomes(
            **{task: OutcomePrediction(OUTCOMES[p >= 0.5], p) for task, p in outcomes.items()}  # type: ignore[arg-type]
        ),
        reasons=tuple(ReasonPrediction(name, p, ()) for name, p in ranked),
        primary_reason=ranked[0][0] if ranked else None,
        sentences=(),
    )


#: name in the figures -> predictor fitted on (train, targets), applied to test
BASELINES: Mapping[
    str, Callable[[Sequence[ItemFeatures], Sequence[ItemTarget], Sequence[ItemFeatures]], list[Prediction]]
] = MappingProxyType(
    {"majority": predict_majority, "rules": predict_rules, "tfidf": predict_tfidf, "metadata": predict_metadata}
)
