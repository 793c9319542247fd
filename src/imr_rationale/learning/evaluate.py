"""Figures with intervals: predictions against one or more annotators.

Each figure is the mean over annotators; its interval comes from a bootstrap over letters, because items of
one letter are not independent. Every distinct rationale counts once, so that boilerplate does not weigh double.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from imr_rationale.labels import NONE_STATED, OUTCOME_TASKS, OUTCOMES, REASONS, Outcome
from imr_rationale.learning.corpus import read_json_lines
from imr_rationale.records import Prediction

__all__ = [
    "HEADLINES",
    "Annotation",
    "Figure",
    "GoldItem",
    "GoldSentence",
    "evaluate_ceiling",
    "evaluate_predictions",
    "keep_distinct",
    "read_gold",
]

#: a label below this many positives is left out of macro-F1: one item would move it by more than 0.1
MIN_SUPPORT = 8
#: replicates of the bootstrap; 2.5th and 97.5th percentile are then good to about 0.005
N_BOOTSTRAP = 500

#: the figures a person looks at first
HEADLINES = (
    "reasons.micro_f1",
    "reasons.macro_f1",
    "primary.accuracy",
    "evidence.precision",
    "evidence.recall",
    "roles.accuracy",
    "verdict_flags.accuracy",
    *(f"{task}.{metric}" for task in OUTCOME_TASKS for metric in ("auroc", "average_precision", "macro_f1")),
)


@dataclass(frozen=True, slots=True)
class GoldSentence:
    """One annotated sentence."""

    text: str
    role: str
    verdict: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one annotator says of one item."""

    primary: str
    sentences: tuple[GoldSentence, ...]

    @property
    def reasons(self) -> frozenset[str]:
        """Union of the sentences' reasons."""
        return frozenset(reason for sentence in self.sentences for reason in sentence.reasons)


@dataclass(frozen=True, slots=True)
class GoldItem:
    """One item with its annotators, one to many."""

    letter: str
    item: int
    outcome: Outcome
    text: str
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def read_gold(path: Path) -> tuple[GoldItem, ...]:
    """Read annotated items from JSON Lines.

    Each line holds `letter`, `item`, `outcome` and `annotators`: name -> `primary` and `sentences`, each of these
    with `text`, `role`, `verdict` and `reasons`.

    Raises
    ------
    AnnotationError
        The file is missing or a line breaks the format; the message names the line.
    """
    return read_json_lines(path, _make_gold_item, missing="no annotated item")


def _make_gold_item(row: Mapping[str, object]) -> GoldItem:
    data: dict = dict(row)  # type: ignore[type-arg]
    annotations = tuple(
        Annotation(
            annotator["primary"],
            tuple(
                GoldSentence(s["text"], s["role"], bool(s["verdict"]), tuple(s["reasons"]))
                for s in annotator["sentences"]
            ),
        )
        for _, annotator in sorted(data["annotators"].items())
    )
    if data["outcome"] not in OUTCOMES or not annotations:
        raise ValueError("outcome or annotators")
    text = " ".join(sentence.text for sentence in annotations[0].sentences)
    return GoldItem(data["letter"], int(data["item"]), data["outcome"], text, annotations)


def keep_distinct(gold: Sequence[GoldItem]) -> list[int]:
    """Give the indices of the items whose text stands for the first time."""
    first: dict[str, int] = {}
    for i, item in enumerate(gold):
        first.setdefault(_normalize(item.text), i)
    return list(first.values())


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
        Named "<task>.<metric>" and "reasons.f1.<label>"; "<task>.base_rate" gives the share of Overturned. Figures
        on sentences and evidence are absent when no prediction has sentences.
    """
    counts = [_count(predictions, gold, annotator) for annotator in range(len(gold[0].annotations))]
    outcomes = _collect_outcomes(predictions, gold)
    support = np.mean([count.y_true.sum(axis=0) for count in counts], axis=0)
    kept = support >= MIN_SUPPORT
    sentences = any(prediction.sentences for prediction in predictions if prediction)

    def measure(index: npt.NDArray[np.int64]) -> dict[str, float]:
        figures = [dict(_measure_annotator(count, index, kept, sentences=sentences)) for count in counts]
        mean = {name: float(np.mean([figure[name] for figure in figures])) for name in figures[0]}
        return {**mean, **dict(_measure_outcomes(outcomes, index))}

    return _bootstrap(measure, [item.letter for item in gold], n_bootstrap, random_state)


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

    return _bootstrap(measure, [item.letter for item in gold], n_bootstrap, random_state)


def _bootstrap(
    measure: Callable[[npt.NDArray[np.int64]], Mapping[str, float]],
    letters: Sequence[str],
    n_bootstrap: int,
    random_state: int,
) -> dict[str, Figure]:
    names, inverse = np.unique(letters, return_inverse=True)
    members = [np.flatnonzero(inverse == k) for k in range(len(names))]
    values = measure(np.arange(len(letters)))
    rng = np.random.default_rng(random_state)
    draws = [
        measure(np.concatenate([members[k] for k in rng.integers(len(names), size=len(names))]))
        for _ in range(n_bootstrap)
    ]
    return {name: _make_figure(value, [draw[name] for draw in draws]) for name, value in values.items()}


def _make_figure(value: float, draws: Sequence[float]) -> Figure:
    known = [draw for draw in draws if np.isfinite(draw)]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (float("nan"), float("nan"))
    return Figure(float(value), float(low), float(high))


# ---------------------------------------------------------------- reasons, sentences, evidence


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one annotator's figures are sums of; the first axis is the item."""

    y_true: npt.NDArray[np.bool_]
    y_pred: npt.NDArray[np.bool_]
    primary: npt.NDArray[np.bool_]
    sentences: npt.NDArray[np.int64]  # columns: aligned, role right, verdict flag right
    evidence: npt.NDArray[np.int64]  # columns: shown, right, wanted, covered


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
    )


def _predicted_reasons(prediction: Prediction | None) -> frozenset[str]:
    return frozenset(reason.label for reason in prediction.reasons) if prediction else frozenset()


def _count_sentences(prediction: Prediction | None, annotation: Annotation) -> tuple[int, int, int]:
    mine = (
        {
            _normalize(prediction.rationale[sentence.start_char : sentence.end_char]): sentence
            for sentence in prediction.sentences
        }
        if prediction
        else {}
    )
    pairs = [(mine.get(_normalize(sentence.text)), sentence) for sentence in annotation.sentences]
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
                support.setdefault(reason, set()).add(_normalize(sentence.text))
    shown = [
        (reason.label, _normalize(evidence.text))
        for reason in (prediction.reasons if prediction else ())
        for evidence in reason.evidence
    ]
    right = {(label, text) for label, text in shown if _overlaps(text, support.get(label, ()))}
    agreed = frozenset.intersection(*(annotation.reasons for annotation in item.annotations))
    covered = agreed & {label for label, _ in right}
    return len(shown), sum(pair in right for pair in shown), len(agreed), len(covered)


def _overlaps(text: str, others: Iterable[str]) -> bool:
    return bool(text) and any(text in other or other in text for other in others)


def _normalize(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def _measure_annotator(
    count: _Counts, index: npt.NDArray[np.int64], kept: npt.NDArray[np.bool_], *, sentences: bool
) -> Iterator[tuple[str, float]]:
    yield from _measure_reasons(count.y_true[index], count.y_pred[index], kept)
    yield "primary.accuracy", float(count.primary[index].mean())
    if not sentences:
        return
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
    yield "reasons.micro_f1", _divide(2 * hits.sum(), sizes.sum())
    yield "reasons.macro_f1", float(f1[kept].mean()) if kept.any() else float("nan")
    for name, value, size in zip(REASONS, f1, sizes, strict=True):
        yield f"reasons.f1.{name}", float(value) if size else float("nan")


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


def _macro_f1(y_true: npt.NDArray[np.bool_], y_pred: npt.NDArray[np.bool_]) -> float:
    pairs = ((y_true, y_pred), (~y_true, ~y_pred))
    return float(np.mean([_divide(2 * (a & b).sum(), a.sum() + b.sum()) if (a | b).any() else 1.0 for a, b in pairs]))
