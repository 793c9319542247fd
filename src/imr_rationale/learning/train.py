"""One training run: corpus in; cross-validated figures, baselines and a fitted model out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from imr_rationale.errors import AnnotationError
from imr_rationale.labels import NONE_STATED, OUTCOME_TASKS, REASONS
from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.corpus import AnnotatedItem, AnnotatedLetter
from imr_rationale.learning.evaluate import (
    Annotation,
    Figure,
    GoldItem,
    GoldSentence,
    evaluate_predictions,
    keep_distinct,
)
from imr_rationale.learning.features import ItemFeatures, make_features
from imr_rationale.learning.fit import (
    ItemTarget,
    SentenceTarget,
    choose_thresholds,
    fit_model,
    fit_primary,
    stack_item_scores,
)
from imr_rationale.learning.model import Config, RationaleModel, Scores
from imr_rationale.learning.splits import group_items, make_folds
from imr_rationale.records import ItemText, Prediction

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Progress",
    "TrainingResult",
    "TrainingSet",
    "make_training_set",
    "tabulate_predictions",
    "train_model",
]

#: called with the name of each step as it begins
Progress = Callable[[str], None]
#: origins of items: the invented corpus, and real letters joined with stand-off annotations
CORPUS, LETTERS = "corpus", "letters"


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Items ready to learn from; all sequences run parallel."""

    texts: tuple[ItemText, ...]
    features: tuple[ItemFeatures, ...]
    targets: tuple[ItemTarget, ...]
    gold: tuple[GoldItem, ...]
    primaries: tuple[str, ...]
    origins: tuple[str, ...]
    groups: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Give the number of items."""
        return len(self.features)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A fitted model with the figures of its cross-validation.

    Attributes
    ----------
    figures : dict of str to Figure
        Named "<data>.<task>.<metric>", a baseline's with its name behind: "corpus_cv.reasons.micro_f1.tfidf".
    predictions : tuple of Prediction
        Out-of-fold, one for each item of the training set.
    sizes : dict
        Origin -> its `n_items` and `n_letters`.
    """

    model: RationaleModel
    figures: dict[str, Figure]
    predictions: tuple[Prediction, ...]
    sizes: dict[str, dict[str, int]]


def make_training_set(corpus: Sequence[AnnotatedLetter], letters: Sequence[AnnotatedLetter] = ()) -> TrainingSet:
    """Run annotated letters, invented and real, through the language pipeline and align sentences with annotations."""
    pairs = [(letter, item) for letter in (*corpus, *letters) for item in letter.items]
    n_corpus = sum(len(letter.items) for letter in corpus)
    texts = tuple(
        ItemText(item.rationale, item.treatment, letter.summary, item.claims_administrator_guideline)
        for letter, item in pairs
    )
    features = tuple(make_features(texts))
    return TrainingSet(
        texts=texts,
        features=features,
        targets=tuple(_make_target(found, item) for found, (_, item) in zip(features, pairs, strict=True)),
        gold=tuple(_make_gold(letter, item) for letter, item in pairs),
        primaries=tuple(item.primary for _, item in pairs),
        origins=tuple(CORPUS if i < n_corpus else LETTERS for i in range(len(pairs))),
        groups=group_items([letter.id for letter, _ in pairs], [item.words for item in features]),
    )


def _make_target(features: ItemFeatures, item: AnnotatedItem) -> ItemTarget:
    known = {(s.start_char, s.end_char): SentenceTarget(s.role, s.verdict, s.reasons) for s in item.sentences}
    return ItemTarget(item.outcome, tuple(known.get((row.start_char, row.end_char)) for row in features.rows))


def _make_gold(letter: AnnotatedLetter, item: AnnotatedItem) -> GoldItem:
    sentences = tuple(GoldSentence(s.text, s.role, s.verdict, s.reasons) for s in item.sentences)
    return GoldItem(letter.id, item.number, item.outcome, item.rationale, (Annotation(item.primary, sentences),))


def train_model(data: TrainingSet, config: Config, *, progress: Progress = lambda step: None) -> TrainingResult:
    """Cross-validate, measure beside the baselines, choose thresholds, and fit on everything.

    The thresholds and the choice of the primary reason of a fold come from the out-of-fold probabilities of the
    other folds; the final model's from all of them.

    Raises
    ------
    AnnotationError
        There are fewer groups of letters than folds.
    """
    if len(np.unique(data.groups)) < config.n_splits:
        raise AnnotationError(
            f"{len(np.unique(data.groups))} independent letters are too few for {config.n_splits} folds"
        )
    strata = [f"{origin} {primary}" for origin, primary in zip(data.origins, data.primaries, strict=True)]
    folds = list(make_folds(strata, data.groups, n_splits=config.n_splits, random_state=config.random_state))
    batches = [
        batch for k, (train, test) in enumerate(folds) for batch in _fit_fold(data, k, train, test, config, progress)
    ]
    predictions: list[Prediction | None] = [None] * len(data)
    baselines: dict[str, list[Prediction | None]] = {name: [None] * len(data) for name in BASELINES}
    for batch in batches:
        model = _finish_model(batch.model, [other for other in batches if other.fold != batch.fold], data)
        _place(predictions, batch.index, model.decode([data.features[i] for i in batch.index], batch.scores))
    for k, (train, test) in enumerate(folds):
        progress(f"fold {k + 1}/{len(folds)}: baselines")
        for name, predict in BASELINES.items():
            _place(baselines[name], test, _run_baseline(predict, data, train, test))
    progress("fit on all items")
    fitted = fit_model(data.features, data.targets, data.groups, _weigh(data, config), config)
    progress("intervals")
    return TrainingResult(
        model=_finish_model(fitted, batches, data),
        figures=_measure(data, predictions, baselines, config),
        predictions=tuple(prediction for prediction in predictions if prediction is not None),
        sizes={origin: _count_sizes(data, origin) for origin in sorted(set(data.origins))},
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Out-of-fold scores of the items `index`, all of one origin."""

    fold: int
    origin: str
    index: npt.NDArray[np.int64]
    model: RationaleModel
    scores: Scores


def _fit_fold(
    data: TrainingSet,
    fold: int,
    train: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
    config: Config,
    progress: Progress,
) -> Iterator[_Batch]:
    """Fit one fold's model and score the items it has not seen, each origin at its own base rate."""
    progress(f"fold {fold + 1}/{config.n_splits}: fit")
    model = fit_model(
        [data.features[i] for i in train],
        [data.targets[i] for i in train],
        data.groups[train],
        _weigh(data, config)[train],
        config,
    )
    at_corpus_rate = replace(model, config=replace(config, base_rate=model.trained_rate))
    for origin in sorted(set(data.origins)):
        index = np.array([i for i in test if data.origins[i] == origin], dtype=np.int64)
        if len(index):
            chosen = at_corpus_rate if origin == CORPUS else model
            yield _Batch(fold, origin, index, chosen, chosen.score([data.features[i] for i in index]))


def _weigh(data: TrainingSet, config: Config) -> npt.NDArray[np.float64]:
    return np.array([1.0 if origin == CORPUS else config.letters_weight for origin in data.origins])


def _finish_model(model: RationaleModel, batches: Sequence[_Batch], data: TrainingSet) -> RationaleModel:
    """Add what is learned from out-of-fold scores: thresholds and the choice of the primary reason."""
    y_true = np.array([[reason in data.targets[i].reasons for reason in REASONS] for b in batches for i in b.index])
    proba = np.vstack([stack_item_scores(batch.scores, len(batch.index)) for batch in batches])
    primaries = [[data.primaries[i] for i in batch.index] for batch in batches]
    weights = [1.0 if batch.origin == CORPUS else model.config.letters_weight_primary for batch in batches]
    primary = fit_primary([batch.scores for batch in batches], primaries, weights, model.config)
    return replace(
        model, thresholds=choose_thresholds(y_true, proba), estimators={**model.estimators, "primary": primary}
    )


def _count_sizes(data: TrainingSet, origin: str) -> dict[str, int]:
    letters = [gold.letter for gold, found in zip(data.gold, data.origins, strict=True) if found == origin]
    return {"n_items": len(letters), "n_letters": len(set(letters))}


def _run_baseline(
    predict: Callable[..., list[Prediction]],
    data: TrainingSet,
    train: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
) -> list[Prediction]:
    return predict(
        [data.features[i] for i in train], [data.targets[i] for i in train], [data.features[i] for i in test]
    )


def _place(where: list[Prediction | None], index: npt.NDArray[np.int64], predictions: Sequence[Prediction]) -> None:
    for i, prediction in zip(index, predictions, strict=True):
        where[i] = prediction


def _measure(
    data: TrainingSet,
    predictions: Sequence[Prediction | None],
    baselines: dict[str, list[Prediction | None]],
    config: Config,
) -> dict[str, Figure]:
    """Measure each origin apart: "corpus_cv.…", "letters_cv.…"."""
    figures: dict[str, Figure] = {}
    for origin in sorted(set(data.origins)):
        index = [i for i in keep_distinct(data.gold) if data.origins[i] == origin]
        gold = [data.gold[i] for i in index]
        for name, found in {"": predictions, **baselines}.items():
            measured = evaluate_predictions(
                [found[i] for i in index], gold, n_bootstrap=config.n_bootstrap, random_state=config.random_state
            )
            suffix = f".{name}" if name else ""
            figures |= {f"{origin}_cv.{metric}{suffix}": figure for metric, figure in measured.items()}
    return figures


def tabulate_predictions(data: TrainingSet, predictions: Sequence[Prediction]) -> "pd.DataFrame":
    """Give one row an item: annotations beside predictions."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "origin": origin,
                "letter": gold.letter,
                "item": gold.item,
                "treatment": text.treatment,
                "outcome": gold.outcome,
                "primary": gold.annotations[0].primary,
                "predicted_primary": found.primary_reason or NONE_STATED,
                "reasons": ", ".join(sorted(gold.annotations[0].reasons)),
                "predicted_reasons": ", ".join(reason.label for reason in found.reasons),
                **{
                    f"{task}_probability": one.probability if (one := getattr(found.outcome, task)) else None
                    for task in OUTCOME_TASKS
                },
                "rationale": text.rationale,
            }
            for origin, gold, text, found in zip(data.origins, data.gold, data.texts, predictions, strict=True)
        ]
    )
