"""What a model was found to do on one data set, item by item and in figures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.gold import GoldItem
from imr_rationale.records import ItemText, Prediction

__all__ = ["EvaluatedItem", "Evaluation", "name_figures"]


@dataclass(frozen=True, slots=True)
class EvaluatedItem:
    """An item with its annotations and what a model that had not seen it says.

    Attributes
    ----------
    text : ItemText or None
        What the model read; None where the item was not found in its letter.
    prediction : Prediction or None
    scores : tuple of float
        Probability of each of `REASONS`, shown or not; empty without a prediction.
    thresholds : tuple of float
        From which probability on the model shows each of `REASONS`.
    split : str
        "fold 3" of a cross-validation, or "unseen".
    """

    gold: GoldItem
    text: ItemText | None
    prediction: Prediction | None
    scores: tuple[float, ...]
    thresholds: tuple[float, ...]
    split: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model measured on one data set, item by item and in figures.

    Attributes
    ----------
    name : str
        Of the data set: "corpus_cv", "letters_cv", "heldout", "real".
    items : tuple of EvaluatedItem
        Every distinct rationale once.
    figures : mapping of str to Figure
        Named "<task>.<metric>", with ".<baseline>" or ".ceiling" behind where they are another's.
    """

    name: str
    items: tuple[EvaluatedItem, ...]
    figures: Mapping[str, Figure]

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of items and letters."""
        return {"n_items": len(self.items), "n_letters": len({item.gold.letter for item in self.items})}

    @property
    def gold(self) -> tuple[GoldItem, ...]:
        """The annotations of each item."""
        return tuple(item.gold for item in self.items)

    @property
    def predictions(self) -> tuple[Prediction | None, ...]:
        """The prediction for each item."""
        return tuple(item.prediction for item in self.items)


def name_figures(evaluations: Iterable[Evaluation]) -> dict[str, Figure]:
    """Give the figures of several data sets under one scheme, "<data>.<task>.<metric>[.<baseline>]"."""
    return {f"{found.name}.{name}": figure for found in evaluations for name, figure in found.figures.items()}
