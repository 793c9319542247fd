"""A model on annotated letters: parse, predict, align with the annotations, measure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imr_rationale.errors import AnnotationError, ImrError
from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.corpus import read_corpus
from imr_rationale.learning.evaluate import (
    Figure,
    GoldItem,
    evaluate_ceiling,
    evaluate_predictions,
    keep_distinct,
    read_gold,
)
from imr_rationale.learning.features import make_features
from imr_rationale.learning.model import RationaleModel
from imr_rationale.learning.train import make_training_set
from imr_rationale.letters.layout import read_letter
from imr_rationale.letters.sources import find_files
from imr_rationale.records import ItemText, Prediction

__all__ = ["Measurement", "measure_model"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Figures named "real.<task>.<metric>", with ".<baseline>" or ".ceiling" behind where they are another's."""

    figures: dict[str, Figure]
    n_items: int
    n_letters: int
    problems: tuple[str, ...]


def measure_model(
    model: RationaleModel,
    gold_file: Path,
    letters: Path,
    corpus: Path,
    *,
    progress: Callable[[str], None] = lambda step: None,
) -> Measurement:
    """Measure a model and the baselines on annotated letters; every distinct rationale counts once.

    Raises
    ------
    AnnotationError
        The annotations cannot be read, or none of their letters is there.
    """
    gold_all = read_gold(gold_file)
    gold = [gold_all[i] for i in keep_distinct(gold_all)]
    progress("read letters")
    texts, problems = _read_items(letters, {item.letter for item in gold})
    if not texts:
        raise AnnotationError(f"{letters}: none of the letters that {gold_file} annotates")
    progress("predict")
    problems += [f"{item.letter} item {item.item}: not found" for item in gold if (item.letter, item.item) not in texts]
    predicted = _predict(model, texts)
    figures = _name_figures(evaluate_predictions(_pick(predicted, gold), gold), "")
    figures |= _name_figures(evaluate_ceiling(gold), ".ceiling")
    progress("baselines")
    for name, found in _predict_baselines(texts, corpus).items():
        figures |= _name_figures(evaluate_predictions(_pick(found, gold), gold), f".{name}")
    return Measurement(figures, len(gold), len({item.letter for item in gold}), tuple(problems))


Key = tuple[str, int]


def _read_items(folder: Path, wanted: set[str]) -> tuple[dict[Key, ItemText], list[str]]:
    """Give the items of the wanted letters, and one line for each letter that is missing or not readable."""
    texts: dict[Key, ItemText] = {}
    problems = []
    missing = set(wanted)
    for path in find_files([folder]):
        if path.stem not in missing:
            continue
        missing.discard(path.stem)
        try:
            letter = read_letter(path)
        except ImrError as error:
            problems.append(str(error))
            continue
        for item in letter.items:
            texts[path.stem, item.number] = ItemText(
                item.rationale or "", item.treatment, letter.summary, item.claims_administrator_guideline
            )
    return texts, problems + [f"{letter}: no such letter in {folder}" for letter in sorted(missing)]


def _predict(model: RationaleModel, texts: Mapping[Key, ItemText]) -> dict[Key, Prediction]:
    return dict(zip(texts, model.predict(texts.values()), strict=True))


def _predict_baselines(texts: Mapping[Key, ItemText], corpus: Path) -> dict[str, dict[Key, Prediction]]:
    data = make_training_set(read_corpus(corpus))
    features = list(make_features(texts.values()))
    return {
        name: dict(zip(texts, predict(data.features, data.targets, features), strict=True))
        for name, predict in BASELINES.items()
    }


def _pick(found: Mapping[Key, Prediction], gold: Sequence[GoldItem]) -> list[Prediction | None]:
    return [found.get((item.letter, item.item)) for item in gold]


def _name_figures(figures: Mapping[str, Figure], suffix: str) -> dict[str, Figure]:
    return {f"real.{name}{suffix}": figure for name, figure in figures.items()}
