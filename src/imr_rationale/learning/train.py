"""One training run: corpus in; cross-validated figures, baselines and a fitted model out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from imr_rationale.errors import AnnotationError
from imr_rationale.labels import OUTCOME_TASKS, REASONS
from imr_rationale.learning.baselines import BASELINES, keep_figure
from imr_rationale.learning.corpus import AnnotatedItem, AnnotatedLetter
from imr_rationale.learning.estimators import run_together
from imr_rationale.learning.evaluate import evaluate_predictions
from imr_rationale.learning.evaluation import EvaluatedItem, Evaluation
from imr_rationale.learning.features import ItemFeatures, SentenceRow, make_features
from imr_rationale.learning.fit import (
    INNER_FOLDS,
    ItemTarget,
    SentenceTarget,
    choose_thresholds,
    fit_model,
    fit_outcome_calibration,
    fit_primary,
    fit_reasons_calibration,
    weigh_to_rate,
)
from imr_rationale.learning.gold import Annotation, GoldItem, GoldSentence, keep_distinct
from imr_rationale.learning.leak import fit_sentinel, measure_leak
from imr_rationale.learning.model import Config, RationaleModel, Scores, stack_item_scores
from imr_rationale.learning.splits import group_items, group_writers, make_folds
from imr_rationale.records import ItemText, Prediction

__all__ = [
    "Progress",
    "TrainingResult",
    "TrainingSet",
    "cross_validate",
    "fit_whole",
    "make_gold_item",
    "make_item_text",
    "make_training_set",
    "take_items",
    "train_model",
]

#: called with the name of each step as it begins
Progress = Callable[[str], None]
#: origins of items: the invented corpus, and real letters joined with stand-off annotations
CORPUS, LETTERS = "corpus", "letters"
#: items from which on processes that make features pay for themselves, and how many one makes at a time
MANY_ITEMS, CHUNK_ITEMS = 5_000, 500
#: what of an item's features is words
WORDS = tuple(field.name for field in fields(ItemFeatures) if field.name not in {"item", "rows"})
#: with fewer writers to a fold, folds would be too unlike each other
WRITERS_A_FOLD = 2


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Items ready to learn from; all sequences run parallel.

    Attributes
    ----------
    groups : ndarray of shape (n_items,)
        Letters and near-duplicate texts that depend on each other.
    writers : ndarray of shape (n_items,)
        Groups joined by the writer of a corpus file: folds are made of these, so that what is learned from
        out-of-fold scores holds for a hand that the model has not seen.
    """

    texts: tuple[ItemText, ...]
    features: tuple[ItemFeatures, ...]
    targets: tuple[ItemTarget, ...]
    gold: tuple[GoldItem, ...]
    primaries: tuple[str, ...]
    origins: tuple[str, ...]
    files: tuple[str, ...]
    groups: npt.NDArray[np.int64]
    writers: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Give the number of items."""
        return len(self.features)

    @property
    def overturned(self) -> npt.NDArray[np.bool_]:
        """Whether each item was Overturned, shape (n_items,)."""
        return np.array([target.outcome == "Overturned" for target in self.targets])


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A fitted model, and what cross-validation says of it: one evaluation an origin ("corpus_cv", "letters_cv")."""

    model: RationaleModel
    evaluations: tuple[Evaluation, ...]


def make_training_set(corpus: Sequence[AnnotatedLetter], letters: Sequence[AnnotatedLetter] = ()) -> TrainingSet:
    """Run annotated letters, invented and real, through the language pipeline and align sentences with annotations."""
    pairs = [(letter, item) for letter in (*corpus, *letters) for item in letter.items]
    n_corpus = sum(len(letter.items) for letter in corpus)
    texts = tuple(make_item_text(letter, item) for letter, item in pairs)
    features = _make_features(texts)
    files = tuple(letter.file for letter, _ in pairs)
    groups = group_items([letter.id for letter, _ in pairs], [" ".join(item.words) for item in features])
    return TrainingSet(
        texts=texts,
        features=features,
        targets=tuple(_make_target(found, item) for found, (_, item) in zip(features, pairs, strict=True)),
        gold=tuple(make_gold_item(letter, item) for letter, item in pairs),
        primaries=tuple(item.primary for _, item in pairs),
        origins=tuple(CORPUS if i < n_corpus else LETTERS for i in range(len(pairs))),
        files=files,
        groups=groups,
        writers=group_writers(groups, [file if i < n_corpus else None for i, file in enumerate(files)]),
    )


def _make_features(texts: Sequence[ItemText]) -> tuple[ItemFeatures, ...]:
    """Give the features of items; of many by several processes."""
    if len(texts) < MANY_ITEMS:
        return tuple(_list_features(texts))
    chunks = [texts[i : i + CHUNK_ITEMS] for i in range(0, len(texts), CHUNK_ITEMS)]
    return tuple(chain.from_iterable(run_together(_list_features, chunks, prefer="processes")))


def _list_features(texts: Sequence[ItemText]) -> list[ItemFeatures]:
    """Give features in which equal words are one string: a quarter less memory, and less to send between processes."""
    known: dict[str, str] = {}

    def share(words: Iterable[str]) -> tuple[str, ...]:
        kept = tuple(words)
        return tuple(map(known.setdefault, kept, kept))

    def share_all(item: ItemFeatures) -> ItemFeatures:
        words: dict[str, Any] = {name: share(getattr(item, name)) for name in WORDS}
        return replace(item, rows=tuple(SentenceRow(*row[:2], *map(share, row[2:])) for row in item.rows), **words)

    return [*map(share_all, make_features(texts))]


def _make_target(features: ItemFeatures, item: AnnotatedItem) -> ItemTarget:
    known = {(s.start_char, s.end_char): SentenceTarget(s.role, s.verdict, s.reasons) for s in item.sentences}
    return ItemTarget(item.outcome, tuple(known.get((row.start_char, row.end_char)) for row in features.rows))


def take_items(data: TrainingSet, index: npt.NDArray[np.int64]) -> TrainingSet:
    """Give the part of a training set that `index` names."""
    parts = {
        field.name: tuple(getattr(data, field.name)[i] for i in index)
        for field in fields(TrainingSet)
        if field.name not in {"groups", "writers"}
    }
    return TrainingSet(**parts, groups=data.groups[index], writers=data.writers[index])


def make_item_text(letter: AnnotatedLetter, item: AnnotatedItem) -> ItemText:
    """Give what a model reads of an annotated item."""
    return ItemText(item.rationale, item.treatment, letter.summary, item.claims_administrator_guideline)


def make_gold_item(letter: AnnotatedLetter, item: AnnotatedItem) -> GoldItem:
    """Give what a prediction for an annotated item is measured against."""
    sentences = tuple(GoldSentence(s.text, s.role, s.verdict, s.reasons) for s in item.sentences)
    return GoldItem(letter.id, item.number, item.outcome, item.rationale, (Annotation(item.primary, sentences),))


def train_model(data: TrainingSet, config: Config, *, progress: Progress = lambda step: None) -> TrainingResult:
    """Cross-validate, measure beside the baselines, choose thresholds, and fit on everything.

    What is learned from out-of-fold scores (calibration, thresholds, the choice of the primary reason) comes for a
    fold from the other folds; for the final model from all of them.

    Raises
    ------
    AnnotationError
        There are fewer groups of letters than folds.
    """
    folds = _make_folds(data, config)
    batches = _score_folds(data, folds, config, progress)
    items = _decode_batches(batches, data)
    baselines: dict[str, list[Prediction | None]] = {name: [None] * len(data) for name in BASELINES}
    for k, (train, test) in enumerate(folds):
        progress(f"fold {k + 1}/{len(folds)}: baselines")
        for name, predict in BASELINES.items():
            _place(baselines[name], test, _run_baseline(predict, data, train, test))
    model = _fit_final(data, batches, config, progress)
    progress("intervals")
    return TrainingResult(model, tuple(_evaluate(origin, data, items, baselines, config) for origin in _origins(data)))


def cross_validate(
    data: TrainingSet, config: Config, *, progress: Progress = lambda step: None
) -> tuple[Evaluation, ...]:
    """Give the model's cross-validated figures alone: no baselines, no leak check, no model.

    Raises
    ------
    AnnotationError
        There are fewer groups of letters than folds.
    """
    items = _decode_batches(_score_folds(data, _make_folds(data, config), config, progress), data)
    return tuple(_evaluate(origin, data, items, {}, config) for origin in _origins(data))


def _origins(data: TrainingSet) -> list[str]:
    return sorted(set(data.origins))


def _decode_batches(batches: "Sequence[_Batch]", data: TrainingSet) -> list[EvaluatedItem]:
    """Decode each batch by a model whose calibration, thresholds and ranks come from the other folds."""
    found: dict[int, EvaluatedItem] = {}
    for batch in batches:
        model = _finish_model(batch.model, [other for other in batches if other.fold != batch.fold], data)
        rate = _count_overturned(data, batch.origin) if batch.origin == CORPUS else None
        predictions = model.decode([data.features[i] for i in batch.index], batch.scores, base_rate=rate)
        scores = model.calibrate_reasons(stack_item_scores(batch.scores, len(batch.index)))
        for i, prediction, row in zip(batch.index, predictions, scores, strict=True):
            found[int(i)] = EvaluatedItem(
                data.gold[i],
                data.texts[i],
                prediction,
                tuple(row.tolist()),
                model.thresholds,
                f"fold {batch.fold + 1}",
            )
    return [found[i] for i in range(len(data))]


def fit_whole(data: TrainingSet, config: Config, *, progress: Progress = lambda step: None) -> RationaleModel:
    """Fit a model as `train_model` does, without measuring it."""
    return _fit_final(data, _score_folds(data, _make_folds(data, config), config, progress), config, progress)


Folds = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]


def _make_folds(data: TrainingSet, config: Config) -> Folds:
    """Make folds by writer, or by letter where the corpus has too few files for it."""
    if len(np.unique(data.groups)) < max(config.n_splits, 2 * INNER_FOLDS):
        raise AnnotationError(
            f"{len(np.unique(data.groups))} independent letters are too few for {config.n_splits} folds"
        )
    strata = [f"{origin} {primary}" for origin, primary in zip(data.origins, data.primaries, strict=True)]
    groups = _choose_groups(data, config)
    return list(make_folds(strata, groups, n_splits=config.n_splits, random_state=config.random_state))


def _choose_groups(data: TrainingSet, config: Config) -> npt.NDArray[np.int64]:
    in_corpus = np.array([origin == CORPUS for origin in data.origins])
    n_writers = len(np.unique(data.writers[in_corpus]))
    return data.writers if n_writers >= WRITERS_A_FOLD * config.n_splits else data.groups


def _score_folds(data: TrainingSet, folds: Folds, config: Config, progress: Progress) -> "list[_Batch]":
    return [
        batch for k, (train, test) in enumerate(folds) for batch in _fit_fold(data, k, train, test, config, progress)
    ]


def _fit_final(data: TrainingSet, batches: "Sequence[_Batch]", config: Config, progress: Progress) -> RationaleModel:
    progress("fit on all items")
    writers = _choose_groups(data, config)
    fitted = fit_model(data.features, data.targets, data.groups, _weigh(data, config), config, writers=writers)
    return _finish_model(fitted, batches, data)


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
    """Fit one fold's model and score the items it has not seen."""
    progress(f"fold {fold + 1}/{config.n_splits}: fit")
    model = fit_model(
        [data.features[i] for i in train],
        [data.targets[i] for i in train],
        data.groups[train],
        _weigh(data, config)[train],
        config,
        writers=_choose_groups(data, config)[train],
    )
    for origin in _origins(data):
        index = np.array([i for i in test if data.origins[i] == origin], dtype=np.int64)
        if len(index):
            yield _Batch(fold, origin, index, model, model.score([data.features[i] for i in index]))


def _weigh(data: TrainingSet, config: Config) -> npt.NDArray[np.float64]:
    return np.array([1.0 if origin == CORPUS else config.letters_weight for origin in data.origins])


def _finish_model(model: RationaleModel, batches: Sequence[_Batch], data: TrainingSet) -> RationaleModel:
    """Add what is learned from out-of-fold scores: calibration, thresholds and the choice of the primary reason."""
    config = model.config
    weights = [1.0 if batch.origin == CORPUS else config.letters_weight_items for batch in batches]
    heavy = np.concatenate([np.full(len(batch.index), w) for batch, w in zip(batches, weights, strict=True)])
    y_true = np.array([[reason in data.targets[i].reasons for reason in REASONS] for b in batches for i in b.index])
    stacked = [stack_item_scores(batch.scores, len(batch.index)) for batch in batches]
    added = {"reasons_calibration": fit_reasons_calibration(np.vstack(stacked), y_true, heavy, config)}
    overturned = data.overturned[np.concatenate([batch.index for batch in batches])]
    balance = _balance_origins(overturned, [batch.origin for batch in batches for _ in batch.index], config.base_rate)
    for task in OUTCOME_TASKS:
        scores = np.concatenate([batch.scores.outcomes[task] for batch in batches])
        added[f"{task}_calibration"] = fit_outcome_calibration(scores, overturned, heavy * balance)
    model = replace(model, regressions={**model.regressions, **added})
    probas = [model.calibrate_reasons(scores) for scores in stacked]
    primaries = [[data.primaries[i] for i in batch.index] for batch in batches]
    primary = fit_primary([batch.scores for batch in batches], probas, primaries, weights, config)
    return replace(
        model,
        thresholds=choose_thresholds(y_true, np.vstack(probas)),
        regressions={**model.regressions, "primary": primary},
    )


def _balance_origins(
    overturned: npt.NDArray[np.bool_], origins: Sequence[str], base_rate: float
) -> npt.NDArray[np.float64]:
    """Bring the items of each origin to the base rate."""
    weights = np.ones(len(overturned))
    for origin in set(origins):
        members = np.array([found == origin for found in origins])
        weights[members] = weigh_to_rate(overturned[members], base_rate)
    return weights


def _count_overturned(data: TrainingSet, origin: str) -> float:
    """Give the share of Overturned among the items of `origin`."""
    members = np.array([found == origin for found in data.origins])
    return float(np.clip(data.overturned[members].mean(), 0.001, 0.999))


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


def _evaluate(
    origin: str,
    data: TrainingSet,
    items: Sequence[EvaluatedItem],
    baselines: dict[str, list[Prediction | None]],
    config: Config,
) -> Evaluation:
    """Measure the items of one origin, every distinct rationale once; with baselines, the leak check besides."""
    index = [i for i in keep_distinct(data.gold) if data.origins[i] == origin]
    gold = [data.gold[i] for i in index]
    predictions = [items[i].prediction for i in index]
    drawn = {"n_bootstrap": config.n_bootstrap, "random_state": config.random_state}
    figures = evaluate_predictions(predictions, gold, **drawn)
    for name, found in baselines.items():
        measured = evaluate_predictions([found[i] for i in index], gold, **drawn)
        figures |= {f"{metric}.{name}": figure for metric, figure in measured.items() if keep_figure(name, metric)}
    if baselines:
        sentinel = fit_sentinel(data.features, data.overturned)
        features = [data.features[i] for i in index]
        figures |= measure_leak(sentinel, features, data.overturned[index], [item.letter for item in gold], **drawn)
    return Evaluation(f"{origin}_cv", tuple(items[i] for i in index), figures)
