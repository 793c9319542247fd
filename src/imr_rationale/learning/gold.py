"""Gold: items with one or more annotators, to measure predictions against."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imr_rationale.errors import AnnotationError, LabelError
from imr_rationale.labels import NONE_STATED, OUTCOMES, ROLES, Outcome, check_reasons
from imr_rationale.learning.corpus import read_json_lines

__all__ = ["Annotation", "GoldItem", "GoldSentence", "fold_words", "keep_distinct", "read_gold"]

# what stands between two words: ", ", " (", ".\n"
NON_WORDS_RE = re.compile(r"\W+")


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


def read_gold(path: Path) -> tuple[GoldItem, ...]:
    """Read annotated items from JSON Lines.

    Each line holds `letter`, `item`, `outcome` and `annotators`: name -> `primary` and `sentences`, each of these
    with `text`, `role`, `verdict` and `reasons`.

    Raises
    ------
    AnnotationError
        The file is missing or a line breaks the format; the message names the line.
    """
    gold = read_json_lines(path, _make_gold_item, missing="no annotated item")
    numbers = sorted({len(item.annotations) for item in gold})
    if len(numbers) > 1:
        raise AnnotationError(f"{path}: every item needs as many annotators, found {numbers[0]} and {numbers[-1]}")
    return gold


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
    for annotation in annotations:
        _check(annotation)
    text = " ".join(sentence.text for sentence in annotations[0].sentences)
    return GoldItem(data["letter"], int(data["item"]), data["outcome"], text, annotations)


def _check(annotation: Annotation) -> None:
    """Refuse what is not in the label scheme."""
    check_reasons({*annotation.reasons, annotation.primary} - {NONE_STATED})
    unknown = {sentence.role for sentence in annotation.sentences} - set(ROLES)
    if unknown:
        raise LabelError(f"unknown role {min(unknown)!r}; known: {', '.join(ROLES)}")


def keep_distinct(gold: Sequence[GoldItem]) -> list[int]:
    """Give the indices of the items whose text stands for the first time."""
    first: dict[str, int] = {}
    for i, item in enumerate(gold):
        first.setdefault(fold_words(item.text), i)
    return list(first.values())


def fold_words(text: str) -> str:
    """Give the words of a text in lower case, apart by one space, without what stands between them."""
    return NON_WORDS_RE.sub(" ", text.lower()).strip()
