"""Figures with intervals: predictions against one or more annotators.

Each figure is the mean over annotators; its interval comes from a bootstrap over letters, because items of
one letter are not independent. Every distinct rationale counts once, so that boilerplate does not weigh double.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from imr_rationale.labels import NONE_STATED, OUTCOME_TASKS, REASONS
from imr_rationale.learning.bootstrap import N_BOOTSTRAP, Figure, Measure, bootstrap_figures
from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.learning.gold import Annotation, GoldItem, fold_words
from imr_rationale.records import Prediction

__all__ = [
    "HEADLINES",
    "compare_predictions",
    "evaluate_ceiling",
    "evaluate_predictions",
    "measure_splits",
]

#: a label below this many positives is left out of macro-F1: one item would move it by more than 0.1
MIN_SUPPORT = 8
#: bins of equal width behind an expected calibration error
N_BINS = 10
#: micro-F1 that the most certain items are to reach for `reasons.coverage_at_f1_90`
WANTED_F1 = 0.9
#: share of the items, the most certain first, that `reasons.micro_f1_certain` is measured on
CERTAIN_SHARE = 0.7
#: the figures a person looks at first
HEADLINES = (
    "reasons.micro_f1",
    "reasons.micro_f1_certain",
    "reasons.coverage_at_f1_90",
    "reasons.macro_f1",
    "reasons.calibration_error",
    "primary.accuracy",
    "evidence.precision",
    "evidence.recall",
    "roles.accuracy",
    "verdict_flags.accuracy",
    *(
        f"{task}.{metric}"
        for task in OUTCOME_TASKS
        for metric in ("auroc", "average_precision", "macro_f1", "calibration_error")
    ),
    "leak.residual_rate",
    "leak.sentinel_auroc",
)


def measure_splits(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Give the headlines of each split alone: split -> "<task>.<metric>" -> value; nan where one cannot be had."""
    measure = _make_measure(evaluation.predictions, evaluation.gold)
    splits = np.array([item.split for item in evaluation.items])
    return {
        str(split): {
            name: value for name, value in measure(np.flatnonzero(splits == split)).items() if name in HEADLINES
        }
        for split in sorted(set(splits))
    }


def evaluate_predictions(
    predictions: Sequence[Prediction | None],
    gold: Sequence[GoldItem],
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    random_state: int = 0,
) -> dict[str, Figure]:
    """Measure predictions on every task.

    Parameters
    ----------
    predictions, gold : sequences of the same length
        A missing prediction counts as empty.

    Returns
    -------
    dict of str to Figure
        Named "<task>.<metric>" and "reasons.f1.<label>"; "<task>.base_rate" gives the share of Overturned.
        "calibration_error" is the expected calibration error over bins of equal width, for reasons over those shown;
        "reasons.micro_f1_certain" is measured on the most certain 70 % of the items, and "reasons.coverage_at_f1_90" is
        the share of the items, the most certain first, that keeps micro-F1 at 0.90. Figures on sentences, evidence
        and certainty are absent when no prediction has sentences.
    """
    measure = _make_measure(predictions, gold)
    return bootstrap_figures(measure, [item.letter for item in gold], n_bootstrap, random_state)


def compare_predictions(
    first: Sequence[Prediction | None],
    second: Sequence[Prediction | None],
    gold: Sequence[GoldItem],
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    random_state: int = 0,
) -> dict[str, Figure]:
    """Give the difference of every figure, `first` less `second`, by a bootstrap that draws the same letters for both.

    An interval that holds zero says that the letters cannot tell the two apart.
    """
    measures = [_make_measure(predictions, gold) for predictions in (first, second)]

    def measure(index: npt.NDArray[np.int64]) -> dict[str, float]:
        one, other = (measure(index) for measure in measures)
        return {name: one[name] - other[name] for name in one if name in other}

    return bootstrap_figures(measure, [item.letter for item in gold], n_bootstrap, random_state)


def _make_measure(predictions: Sequence[Prediction | None], gold: Sequence[GoldItem]) -> Measure:
    """Give the function that measures the items of an index."""
    counts = [_count(predictions, gold, annotator) for annotator in range(len(gold[0].annotations))]
    outcomes = _collect_outcomes(predictions, gold)
    support = np.mean([count.y_true.sum(axis=0) for count in counts], axis=0)
    kept = support >= MIN_SUPPORT
    sentences = any(prediction.sentences for prediction in predictions if prediction)

    def measure(index: npt.NDArray[np.int64]) -> dict[str, float]:
        figures = [dict(_measure_annotator(count, index, kept, sentences=sentences)) for count in counts]
        mean = {name: float(np.mean([figure[name] for figure in figures])) for name in figures[0]}
        return {**mean, **dict(_measure_outcomes(outcomes, index))}

    return measure


def evaluate_ceiling(
    gold: Sequence[GoldItem], *, n_bootstrap: int = N_BOOTSTRAP, random_state: int = 0
) -> dict[str, Figure]:
    """Measure the first annotator's reasons and primary reasons against the second's; empty with one annotator."""
    if any(len(item.annotations) < 2 for item in gold):
        return {}
    first = np.array([[reason in item.annotations[0].reasons for reason in REASONS] for item in gold])
    second = np.array([[reason in item.annotations[1].reasons for reason in REASONS] for item in gold])
    same = np.array([item.annotations[0].primary == item.annotations[1].primary for item in gold])
    kept = (first.sum(axis=0) + second.sum(axis=0)) / 2 >= MIN_SUPPORT

    def measure(index: npt.NDArray[np.int64]) -> dict[str, float]:
        return {
            **dict(_measure_reasons(first[index], second[index], kept)),
            "primary.accuracy": float(same[index].mean()),
        }

    return bootstrap_figures(measure, [item.letter for item in gold], n_bootstrap, random_state)


# ---------------------------------------------------------------- reasons, sentences, evidence


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one annotator's figures are sums of; the first axis is the item."""

    y_true: npt.NDArray[np.bool_]
    y_pred: npt.NDArray[np.bool_]
    primary: npt.NDArray[np.bool_]
    sentences: npt.NDArray[np.int64]  # columns: aligned, role right, verdict flag right
    evidence: npt.NDArray[np.int64]  # columns: shown, right, wanted, covered
    bins: npt.NDArray[np.float64]  # of reasons shown: number, sum of probabilities, number right; last axis the bin
    certainty: npt.NDArray[np.float64]


def _count(predictions: Sequence[Prediction | None], gold: Sequence[GoldItem], annotator: int) -> _Counts:
    y_pred = [_predicted_reasons(prediction) for prediction in predictions]
    return _Counts(
        y_true=np.array([[r in item.annotations[annotator].reasons for r in REASONS] for item in gold]),
        y_pred=np.array([[r in found for r in REASONS] for found in y_pred]),
        primary=np.array(
            [
                ((prediction.primary_reason if prediction else None) or NONE_STATED)
                == item.annotations[annotator].primary
                for prediction, item in zip(predictions, gold, strict=True)
            ]
        ),
        sentences=np.array(
            [
                _count_sentences(prediction, item.annotations[annotator])
                for prediction, item in zip(predictions, gold, strict=True)
            ]
        ),
        evidence=np.array(
            [_count_evidence(prediction, item) for prediction, item in zip(predictions, gold, strict=True)]
        ),
        bins=np.array(
            [
                _bin_reasons(prediction, item.annotations[annotator])
                for prediction, item in zip(predictions, gold, strict=True)
            ]
        ),
        certainty=np.array([(prediction.certainty if prediction else None) or 0.0 for prediction in predictions]),
    )


def _bin_reasons(prediction: Prediction | None, annotation: Annotation) -> npt.NDArray[np.float64]:
    bins = np.zeros((3, N_BINS))
    for reason in prediction.reasons if prediction else ():
        bins[:, _find_bins(np.array([reason.probability]))[0]] += (
            1,
            reason.probability,
            reason.label in annotation.reasons,
        )
    return bins


def _find_bins(proba: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.minimum((proba * N_BINS).astype(np.int64), N_BINS - 1)


def _predicted_reasons(prediction: Prediction | None) -> frozenset[str]:
    return frozenset(reason.label for reason in prediction.reasons) if prediction else frozenset()


def _count_sentences(prediction: Prediction | None, annotation: Annotation) -> tuple[int, int, int]:
    mine = (
        {
            fold_words(prediction.rationale[sentence.start_char : sentence.end_char]): sentence
            for sentence in prediction.sentences
        }
        if prediction
        else {}
    )
    pairs = [(mine.get(fold_words(sentence.text)), sentence) for sentence in annotation.sentences]
    return (
        len(pairs),
        sum(found is not None and found.role == sentence.role for found, sentence in pairs),
        sum(found is not None and found.verdict == sentence.verdict for found, sentence in pairs),
    )


def _count_evidence(prediction: Prediction | None, item: GoldItem) -> tuple[int, int, int, int]:
    """Count evidence against what any annotator marked, and what all annotators agree on against it."""
    support: dict[str, set[str]] = {}
    for annotation in item.annotations:
        for sentence in annotation.sentences:
            for reason in sentence.reasons:
                support.setdefault(reason, set()).add(fold_words(sentence.text))
    shown = [
        (reason.label, fold_words(evidence.text))
        for reason in (prediction.reasons if prediction else ())
        for evidence in reason.evidence
    ]
    right = {(label, text) for label, text in shown if _overlaps(text, support.get(label, ()))}
    agreed = frozenset.intersection(*(annotation.reasons for annotation in item.annotations))
    covered = agreed & {label for label, _ in right}
    return len(shown), sum(pair in right for pair in shown), len(agreed), len(covered)


def _overlaps(text: str, others: Iterable[str]) -> bool:
    return bool(text) and any(text in other or other in text for other in others)


def _measure_annotator(
    count: _Counts, index: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_], *, sentences: bool
) -> Iterator[tuple[str, float]]:
    yield from _measure_reasons(count.y_true[index], count.y_pred[index], kept)
    yield "primary.accuracy", float(count.primary[index].mean())
    shown, expected, found = count.bins[index].sum(axis=0)
    yield "reasons.calibration_error", _divide(np.abs(expected - found).sum(), shown.sum())
    if not sentences:
        return
    ranked = index[np.argsort(-count.certainty[index], kind="stable")]
    certain = ranked[: round(CERTAIN_SHARE * len(index))]
    yield "reasons.micro_f1_certain", _micro_f1(count.y_true[certain], count.y_pred[certain])
    yield "reasons.coverage_at_f1_90", _cover(count.y_true[ranked], count.y_pred[ranked], WANTED_F1)
    total, roles, verdicts = count.sentences[index].sum(axis=0)
    yield "roles.accuracy", _divide(roles, total)
    yield "verdict_flags.accuracy", _divide(verdicts, total)
    shown, right, wanted, covered = count.evidence[index].sum(axis=0)
    yield "evidence.precision", _divide(right, shown)
    yield "evidence.recall", _divide(covered, wanted)


def _measure_reasons(
    y_true: npt.NDArray[np.bool_], y_pred: npt.NDArray[np.bool_], kept: npt.NDArray[np.bool_]
) -> Iterator[tuple[str, float]]:
    hits = (y_true & y_pred).sum(axis=0)
    sizes = y_true.sum(axis=0) + y_pred.sum(axis=0)
    f1 = 2 * hits / np.maximum(sizes, 1)
    yield "reasons.micro_f1", _micro_f1(y_true, y_pred)
    yield "reasons.macro_f1", float(f1[kept].mean()) if kept.any() else float("nan")
    for name, value, size in zip(REASONS, f1, sizes, strict=True):
        yield f"reasons.f1.{name}", float(value) if size else float("nan")


def _micro_f1(y_true: npt.NDArray[np.bool_], y_pred: npt.NDArray[np.bool_]) -> float:
    return _divide(2 * (y_true & y_pred).sum(), y_true.sum() + y_pred.sum())


def _cover(y_true: npt.NDArray[np.bool_], y_pred: npt.NDArray[np.bool_], wanted: float) -> float:
    """Give the largest share of the items, from the first on, whose micro-F1 is at least `wanted`."""
    hits = 2 * (y_true & y_pred).sum(axis=1).cumsum()
    sizes = (y_true.sum(axis=1) + y_pred.sum(axis=1)).cumsum()
    reached = np.flatnonzero(hits >= wanted * np.maximum(sizes, 1))
    return _divide(reached[-1] + 1 if len(reached) else 0, len(y_true))


def _divide(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


# ---------------------------------------------------------------- outcomes


def _collect_outcomes(
    predictions: Sequence[Prediction | None], gold: Sequence[GoldItem]
) -> tuple[npt.NDArray[np.bool_], dict[str, npt.NDArray[np.float64]]]:
    y_true = np.array([item.outcome == "Overturned" for item in gold])
    proba = {}
    for task in OUTCOME_TASKS:
        found = [getattr(prediction.outcome, task) if prediction else None for prediction in predictions]
        proba[task] = np.array([one.probability if one else 0.0 for one in found])
    return y_true, proba


def _measure_outcomes(
    outcomes: tuple[npt.NDArray[np.bool_], Mapping[str, npt.NDArray[np.float64]]],
    index: npt.NDArray[np.int64],
) -> Iterator[tuple[str, float]]:
    y = outcomes[0][index]
    for task, proba in outcomes[1].items():
        p = proba[index]
        both = 0 < y.sum() < len(y)
        yield f"{task}.base_rate", float(y.mean())
        yield f"{task}.auroc", float(roc_auc_score(y, p)) if both else float("nan")
        yield f"{task}.average_precision", float(average_precision_score(y, p)) if both else float("nan")
        yield f"{task}.macro_f1", _macro_f1(y, p >= 0.5)
        yield f"{task}.brier", float(np.mean((p - y) ** 2))
        gaps = np.bincount(_find_bins(p), weights=p - y, minlength=N_BINS)
        yield f"{task}.calibration_error", float(np.abs(gaps).sum() / len(y))


def _macro_f1(y_true: npt.NDArray[np.bool_], y_pred: npt.NDArray[np.bool_]) -> float:
    pairs = ((y_true, y_pred), (~y_true, ~y_pred))
    return float(np.mean([_divide(2 * (a & b).sum(), a.sum() + b.sum()) if (a | b).any() else 1.0 for a, b in pairs]))
