"""One training run: corpus in; cross-validated figures, baselines and a fitted model out."""

from collections.abc import Callable, Sequence
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
from imr_rationale.learning.model import (
    Config,
    ItemTarget,
    RationaleModel,
    SentenceTarget,
    choose_thresholds,
    fit_model,
    stack_item_scores,
)
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
#: data set of the cross-validated figures
CORPUS_CV = "corpus_cv"


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Items ready to learn from; all sequences run parallel."""

    texts: tuple[ItemText, ...]
    features: tuple[ItemFeatures, ...]
    targets: tuple[ItemTarget, ...]
    gold: tuple[GoldItem, ...]
    primaries: tuple[str, ...]
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
    """

    model: RationaleModel
    figures: dict[str, Figure]
    predictions: tuple[Prediction, ...]
    n_items: int
    n_letters: int


def make_training_set(letters: Sequence[AnnotatedLetter]) -> TrainingSet:
    """Run the annotated letters through the language pipeline and align sentences with annotations."""
    pairs = [(letter, item) for letter in letters for item in letter.items]
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

    The thresholds of a fold come from the out-of-fold probabilities of the other folds; the final model's
    from all of them.

    Raises
    ------
    AnnotationError
        There are fewer groups of letters than folds.
    """
    if len(np.unique(data.groups)) < config.n_splits:
        raise AnnotationError(
            f"{len(np.unique(data.groups))} independent letters are too few for {config.n_splits} folds"
        )
    folds = list(make_folds(data.primaries, data.groups, n_splits=config.n_splits, random_state=config.random_state))
    y_true = np.array([[reason in target.reasons for reason in REASONS] for target in data.targets])
    models, item_scores = _fit_folds(data, folds, config, progress)
    predictions: list[Prediction | None] = [None] * len(data)
    baselines: dict[str, list[Prediction | None]] = {name: [None] * len(data) for name in BASELINES}
    for k, (train, test) in enumerate(folds):
        progress(f"fold {k + 1}/{len(folds)}: figures")
        thresholds = choose_thresholds(y_true[train], item_scores[train])
        model = RationaleModel(config, models[k].estimators, thresholds)
        part = [data.features[i] for i in test]
        _place(predictions, test, model.decode(part, model.score(part)))
        for name, predict in BASELINES.items():
            _place(baselines[name], test, _run_baseline(predict, data, train, part))
    progress("fit on all items")
    model = fit_model(
        data.features, data.targets, data.groups, config, thresholds=choose_thresholds(y_true, item_scores)
    )
    progress("intervals")
    return TrainingResult(
        model=model,
        figures=_measure(data, predictions, baselines, config),
        predictions=tuple(prediction for prediction in predictions if prediction is not None),
        n_items=len(data),
        n_letters=len({item.letter for item in data.gold}),
    )


def _fit_folds(
    data: TrainingSet,
    folds: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
    config: Config,
    progress: Progress,
) -> tuple[list[RationaleModel], npt.NDArray[np.float64]]:
    """Fit one model a fold and give the out-of-fold item probabilities of each reason."""
    models = []
    item_scores = np.zeros((len(data), len(REASONS)))
    for k, (train, test) in enumerate(folds):
        progress(f"fold {k + 1}/{len(folds)}: fit")
        targets = [data.targets[i] for i in train]
        # figures on the corpus are measured at the corpus' own base rate
        rate = float(np.mean([target.outcome == "Overturned" for target in targets]))
        model = fit_model(
            [data.features[i] for i in train], targets, data.groups[train], replace(config, base_rate=rate)
        )
        part = [data.features[i] for i in test]
        item_scores[test] = stack_item_scores(model.score(part), len(part))
        models.append(model)
    return models, item_scores


def _run_baseline(
    predict: Callable[..., list[Prediction]],
    data: TrainingSet,
    train: npt.NDArray[np.int64],
    part: Sequence[ItemFeatures],
) -> list[Prediction]:
    return predict([data.features[i] for i in train], [data.targets[i] for i in train], part)


def _place(where: list[Prediction | None], index: npt.NDArray[np.int64], predictions: Sequence[Prediction]) -> None:
    for i, prediction in zip(index, predictions, strict=True):
        where[i] = prediction


def _measure(
    data: TrainingSet,
    predictions: Sequence[Prediction | None],
    baselines: dict[str, list[Prediction | None]],
    config: Config,
) -> dict[str, Figure]:
    distinct = keep_distinct(data.gold)
    gold = [data.gold[i] for i in distinct]
    figures: dict[str, Figure] = {}
    for name, found in {"": predictions, **baselines}.items():
        measured = evaluate_predictions(
            [found[i] for i in distinct], gold, n_bootstrap=config.n_bootstrap, random_state=config.random_state
        )
        suffix = f".{name}" if name else ""
        figures |= {f"{CORPUS_CV}.{metric}{suffix}": figure for metric, figure in measured.items()}
    return figures


def tabulate_predictions(data: TrainingSet, predictions: Sequence[Prediction]) -> "pd.DataFrame":
    """Give one row an item: annotations beside predictions."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
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
            for gold, text, found in zip(data.gold, data.texts, predictions, strict=True)
        ]
    )
