"""The cheap baselines that stand beside every figure: majority, cue rules alone, TF-IDF + logistic regression."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from imr_rationale.labels import OUTCOME_TASKS, OUTCOMES, POLARITY, REASONS
from imr_rationale.learning.estimators import StackedLogisticRegression
from imr_rationale.learning.features import ItemFeatures
from imr_rationale.learning.fit import ItemTarget
from imr_rationale.learning.model import TASK_WORDS
from imr_rationale.records import OutcomePrediction, Outcomes, Prediction, ReasonPrediction

__all__ = ["BASELINES", "predict_majority", "predict_rules", "predict_tfidf"]

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
    words = item.verdict_words.split()
    refused = not words or bool({"not", "non-certified", "denied", "upheld", "unnecessary"} & set(words))
    signs = [POLARITY[reason] for reason in item.reasoning_cue_reasons]
    balance = (1 + sum(signs) / len(signs)) / 2 if signs else rate
    outcomes = {"verdict": 0.0 if refused else 1.0, "reasoning": balance, "forecast": rate}
    return _make_prediction(item, dict.fromkeys(item.cue_reasons, 1.0), outcomes)


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


def _fit_predict(train: Sequence[str], y: np.ndarray, test: Sequence[str]) -> np.ndarray:
    vectorizer = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    fitted = StackedLogisticRegression(10.0).fit(vectorizer.fit_transform(train), y)
    return fitted.predict_proba(vectorizer.transform(test))


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
] = MappingProxyType({"majority": predict_majority, "rules": predict_rules, "tfidf": predict_tfidf})
