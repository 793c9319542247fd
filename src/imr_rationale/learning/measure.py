"""A model on items it has not seen: annotated letters of a folder, or a held-out part of the corpus."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from imr_rationale.errors import AnnotationError, ImrError
from imr_rationale.learning.baselines import BASELINES, keep_figure
from imr_rationale.learning.bootstrap import N_BOOTSTRAP, Figure
from imr_rationale.learning.corpus import AnnotatedLetter, digest_files, read_corpus
from imr_rationale.learning.evaluate import compare_predictions, evaluate_ceiling, evaluate_predictions
from imr_rationale.learning.evaluation import EvaluatedItem, Evaluation
from imr_rationale.learning.features import ItemFeatures, make_features
from imr_rationale.learning.gold import GoldItem, keep_distinct, read_gold
from imr_rationale.learning.leak import fit_sentinel, measure_leak
from imr_rationale.learning.model import RationaleModel, stack_item_scores
from imr_rationale.learning.train import TrainingSet, make_gold_item, make_item_text
from imr_rationale.letters.layout import read_letter
from imr_rationale.letters.sources import index_files
from imr_rationale.records import ItemText, Prediction

__all__ = [
    "GoldSet",
    "compare_models",
    "digest_gold",
    "evaluate_items",
    "measure_model",
    "open_gold",
    "predict_gold",
    "read_gold_folder",
    "read_gold_letters",
]

Key = tuple[str, int]
# "heldout", "letters-2015"
NAME_RE = re.compile(r"[\w-]+", re.ASCII)
#: what names other figures and artifacts of a run
TAKEN = frozenset({"corpus_cv", "letters_cv", "real", "model", "model_weights", "promotion", "search", "train"})
#: the split of items that nothing was learned from
UNSEEN = "unseen"


@dataclass(frozen=True)
class GoldSet:
    """Annotated items with their texts; every distinct rationale once.

    Attributes
    ----------
    name : str
        What its figures are named by: "real", "heldout".
    gold, texts : tuples of the same length
        A text is None where the item was not found in its letter.
    problems : tuple of str
        One line for each letter or item that is missing.
    """

    name: str
    gold: tuple[GoldItem, ...]
    texts: tuple[ItemText | None, ...]
    problems: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of items and letters."""
        return {"n_items": len(self.gold), "n_letters": len({item.letter for item in self.gold})}

    @cached_property
    def features(self) -> tuple[ItemFeatures | None, ...]:
        """What the estimators read of each item."""
        found = make_features(text for text in self.texts if text is not None)
        return tuple(None if text is None else next(found) for text in self.texts)


def open_gold(path: Path, letters: Path | None) -> GoldSet:
    """Read a folder of annotated files, or JSON Lines of annotations together with the folder of their letters.

    Raises
    ------
    AnnotationError
        The annotations cannot be read, or none of their letters is there.
    """
    if path.is_dir():
        return read_gold_folder(path)
    if letters is None:
        raise AnnotationError(f"{path}: the letters that it annotates are needed (--letters)")
    return read_gold_letters(path, letters)


def digest_gold(path: Path) -> str:
    """Give the sha256 of what `open_gold` reads: a folder of annotated files, or one file."""
    return digest_files(path) if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def read_gold_folder(folder: Path) -> GoldSet:
    """Read annotated files in the corpus' format; the figures bear the folder's name.

    Raises
    ------
    AnnotationError
        They cannot be read, or the folder's name cannot name figures.
    """
    name = folder.resolve().name
    if not NAME_RE.fullmatch(name) or name in TAKEN:
        raise AnnotationError(
            f"{folder}: figures cannot be named after it; letters, digits, - and _ name a folder, but not {min(TAKEN)}"
        )
    return _make_gold_set(name, read_corpus(folder))


def _make_gold_set(name: str, letters: Sequence[AnnotatedLetter]) -> GoldSet:
    pairs = [(letter, item) for letter in letters for item in letter.items]
    gold = [make_gold_item(letter, item) for letter, item in pairs]
    kept = keep_distinct(gold)
    return GoldSet(name, tuple(gold[i] for i in kept), tuple(make_item_text(*pairs[i]) for i in kept))


def read_gold_letters(gold_file: Path, folder: Path) -> GoldSet:
    """Read annotations as JSON Lines and their letters, found by the case number in their file names."""
    gold_all = read_gold(gold_file)
    gold = [gold_all[i] for i in keep_distinct(gold_all)]
    texts, problems = _read_items(folder, {item.letter for item in gold})
    if not texts:
        raise AnnotationError(f"{folder}: none of the letters that {gold_file} annotates")
    problems += [f"{item.letter} item {item.item}: not found" for item in gold if (item.letter, item.item) not in texts]
    return GoldSet("real", tuple(gold), tuple(texts.get((item.letter, item.item)) for item in gold), tuple(problems))


def _read_items(folder: Path, wanted: set[str]) -> tuple[dict[Key, ItemText], list[str]]:
    """Give the items of the wanted letters, and one line for each letter that is missing or not readable."""
    texts: dict[Key, ItemText] = {}
    problems = []
    files = index_files(folder)
    for name in sorted(wanted):
        if name not in files:
            problems.append(f"{name}: no such letter in {folder}")
            continue
        try:
            letter = read_letter(files[name])
        except ImrError as error:
            problems.append(str(error))
            continue
        for item in letter.items:
            texts[name, item.number] = ItemText(
                item.rationale or "", item.treatment, letter.summary, item.claims_administrator_guideline
            )
    return texts, problems


def measure_model(
    model: RationaleModel,
    gold_set: GoldSet,
    learned_from: TrainingSet,
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    progress: Callable[[str], None] = lambda step: None,
) -> Evaluation:
    """Measure a model, the baselines, the annotators against each other, and the leak check.

    Outcome probabilities are moved to the share of Overturned among the items.

    Parameters
    ----------
    learned_from : TrainingSet
        What the baselines and the leak check's sentinel learn from.
    """
    progress(f"{gold_set.name}: predict")
    gold = gold_set.gold
    items = evaluate_items(model, gold_set)
    figures = evaluate_predictions([item.prediction for item in items], gold, n_bootstrap=n_bootstrap)
    ceiling = evaluate_ceiling(gold, n_bootstrap=n_bootstrap)
    figures |= {f"{metric}.ceiling": figure for metric, figure in ceiling.items()}
    progress(f"{gold_set.name}: baselines")
    there = [i for i, item in enumerate(gold_set.features) if item is not None]
    features = [item for item in gold_set.features if item is not None]
    for name, predict in BASELINES.items():
        placed = dict(zip(there, predict(learned_from.features, learned_from.targets, features), strict=True))
        found = evaluate_predictions([placed.get(i) for i in range(len(gold))], gold, n_bootstrap=n_bootstrap)
        figures |= {f"{metric}.{name}": figure for metric, figure in found.items() if keep_figure(name, metric)}
    sentinel = fit_sentinel(learned_from.features, learned_from.overturned)
    overturned = np.array([gold[i].outcome == "Overturned" for i in there])
    figures |= measure_leak(sentinel, features, overturned, [gold[i].letter for i in there], n_bootstrap=n_bootstrap)
    return Evaluation(gold_set.name, items, figures)


def compare_models(first: RationaleModel, second: RationaleModel, gold_set: GoldSet) -> dict[str, Figure]:
    """Give each figure's difference, `first` less `second`, with the interval of a paired bootstrap over letters."""
    return compare_predictions(predict_gold(first, gold_set), predict_gold(second, gold_set), gold_set.gold)


def predict_gold(model: RationaleModel, gold_set: GoldSet) -> list[Prediction | None]:
    """Give a prediction for each item of a gold set, at its own share of Overturned; None where it was not found."""
    return [item.prediction for item in evaluate_items(model, gold_set)]


def evaluate_items(model: RationaleModel, gold_set: GoldSet) -> tuple[EvaluatedItem, ...]:
    """Give each item of a gold set with its prediction, made at the gold set's own share of Overturned."""
    features = [item for item in gold_set.features if item is not None]
    base_rate = float(np.clip(np.mean([item.outcome == "Overturned" for item in gold_set.gold]), 0.001, 0.999))
    scores = model.score(features)
    found = zip(
        model.decode(features, scores, base_rate=base_rate),
        model.calibrate_reasons(stack_item_scores(scores, len(features))),
        strict=True,
    )
    items = []
    for gold, text in zip(gold_set.gold, gold_set.texts, strict=True):
        prediction, row = (None, np.zeros(0)) if text is None else next(found)
        items.append(EvaluatedItem(gold, text, prediction, tuple(row.tolist()), model.thresholds, UNSEEN))
    return tuple(items)
