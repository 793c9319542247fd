"""Items in groups -> what a researcher asks of a group: how large it is, which outcomes and reasons it holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imr_rationale.labels import NONE_STATED, OUTCOMES, REASONS
from imr_rationale.serving.items_file import (
    NO_PREDICTION,
    NO_REASON,
    Ints,
    ItemsFile,
    Predictions,
    Words64,
    count_reasons,
)

__all__ = ["Columns", "DuplicateGroup", "count_twins", "list_groups", "make_columns"]

#: what an outcome is called that was not read
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of each item, side by side; shape (n_items,) each.

    Attributes
    ----------
    groups : ndarray of int
        Number of the item's group.
    letters, texts : ndarray of uint64
        Equal for items of one letter, and of one text (white space aside).
    outcomes : ndarray of int
        Index into `OUTCOMES`, -1 where it is not known.
    masks : ndarray of uint64
        A bit for each of `REASONS`.
    primaries : ndarray of int
        Index into `REASONS`, `NO_REASON` or `NO_PREDICTION`.
    """

    groups: Ints
    letters: Words64
    texts: Words64
    outcomes: npt.NDArray[np.int8]
    masks: Words64
    primaries: npt.NDArray[np.int8]

    def take(self, items: Ints) -> "Columns":
        """Give some of the items."""
        return Columns(*(getattr(self, name)[items] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Two or more items whose rationales are near-duplicates of each other, directly or over others.

    Attributes
    ----------
    group : int
        Counts from 1, the largest first; of equal ones the one that appears first.
    n_items, n_letters, n_texts : int
        Items, distinct letters, distinct texts (white space aside).
    outcomes : mapping of str to int
        Items of each outcome; "unknown" where it was not read.
    opposite_outcomes, opposite_same_text : bool
        Upheld and Overturned both occur; they do so under one and the same text.
    n_predicted : int
        Items whose reasons are known.
    reasons, primary_reasons : mapping of str to int
        Items that show each reason, and that have it as the primary one ("none_stated" where there is none).
    differing_reasons, differing_primary_reasons : bool
        Not all predicted items show the same reasons; not all have the same primary one.
    n_minority : int
        Items of the rarer outcome.
    n_other_reasons : int
        Predicted items whose reasons are not those that most of the group show.
    example, counterexample : int
        The first item with the text that most items of the commoner outcome share, and of the rarer one; -1 where all
        outcomes agree.
    """

    group: int
    n_items: int
    n_letters: int
    n_texts: int
    outcomes: Mapping[str, int]
    opposite_outcomes: bool
    opposite_same_text: bool
    n_predicted: int
    reasons: Mapping[str, int]
    primary_reasons: Mapping[str, int]
    differing_reasons: bool
    differing_primary_reasons: bool
    n_minority: int
    n_other_reasons: int
    example: int
    counterexample: int


def make_columns(items: ItemsFile, groups: Ints, predictions: Predictions) -> Columns:
    """Bring together what is known of each item."""
    masks, primaries = predictions.find(items.places)
    return Columns(groups, items.letters, items.texts, items.outcomes, masks, primaries)


def list_groups(columns: Columns) -> Iterator[tuple[DuplicateGroup, Ints]]:
    """Yield the groups of two items or more with their items, in the input's order; the largest group first."""
    order = np.argsort(columns.groups, kind="stable")
    sizes = np.bincount(columns.groups)
    starts = np.cumsum(sizes) - sizes
    # groups are numbered by their first appearance
    largest = np.argsort(-sizes, kind="stable")
    for number, group in enumerate(largest[: int((sizes > 1).sum())], start=1):
        members = order[starts[group] : starts[group] + sizes[group]]
        yield _describe(number, columns.take(members), members), members


def _describe(number: int, found: Columns, items: Ints) -> DuplicateGroup:
    known = found.primaries != NO_PREDICTION
    counts = np.bincount(found.outcomes[found.outcomes >= 0], minlength=len(OUTCOMES))
    sets = np.unique(found.masks[known], return_counts=True)[1]
    primaries = _count_primaries(found.primaries[known])
    opposite = bool(counts.all())
    common = int(counts.argmax())
    chosen = [items[_find_commonest(found, outcome)] for outcome in (common, 1 - common)] if opposite else []
    return DuplicateGroup(
        group=number,
        n_items=len(items),
        n_letters=len(np.unique(found.letters)),
        n_texts=len(np.unique(found.texts)),
        outcomes=_name_outcomes(found.outcomes),
        opposite_outcomes=opposite,
        opposite_same_text=opposite and _is_opposite_in_one_text(found),
        n_predicted=int(known.sum()),
        reasons=count_reasons(found.masks[known]),
        primary_reasons=primaries,
        differing_reasons=len(sets) > 1,
        differing_primary_reasons=len(primaries) > 1,
        n_minority=int(counts.min()),
        n_other_reasons=int(sets.sum() - sets.max()) if len(sets) else 0,
        example=int(chosen[0] if chosen else items[_find_commonest(found)]),
        counterexample=int(chosen[1]) if chosen else -1,
    )


def _name_outcomes(outcomes: npt.NDArray[np.int8]) -> dict[str, int]:
    counts = zip((UNKNOWN, *OUTCOMES), np.bincount(outcomes + 1, minlength=len(OUTCOMES) + 1), strict=True)
    return {name: int(count) for name, count in counts if count}


def _count_primaries(primaries: npt.NDArray[np.int8]) -> dict[str, int]:
    values, counts = np.unique(primaries, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {NONE_STATED if values[i] == NO_REASON else REASONS[values[i]]: int(counts[i]) for i in order}


def _is_opposite_in_one_text(found: Columns) -> bool:
    upheld, overturned = (np.unique(found.texts[found.outcomes == outcome]) for outcome in range(len(OUTCOMES)))
    return bool(len(np.intersect1d(upheld, overturned, assume_unique=True)))


def _find_commonest(found: Columns, outcome: int | None = None) -> int:
    """Find the first item with the text that most items (of an outcome) share; of equally frequent ones the first."""
    among = np.arange(len(found.texts)) if outcome is None else np.flatnonzero(found.outcomes == outcome)
    _, first, counts = np.unique(found.texts[among], return_index=True, return_counts=True)
    return int(among[first[counts == counts.max()].min()])


def count_twins(columns: Columns) -> dict[str, int]:
    """Count the items by where the nearest to their rationale stands again; each counts once, as the first that fits.

    Returns
    -------
    mapping of str to int
        "same_text_elsewhere": word for word in another letter; "near_elsewhere": nearly so; "same_text_own_letter" and
        "near_own_letter": in its own letter alone; "alone": nowhere. They sum to the number of items.
    """
    text_letters, text_items = _count_letters(columns.texts, columns.letters)
    group_letters, group_items = _count_letters(columns.groups.astype(np.uint64), columns.letters)
    kinds = {
        "same_text_elsewhere": text_letters > 1,
        "near_elsewhere": group_letters > 1,
        "same_text_own_letter": text_items > 1,
        "near_own_letter": group_items > 1,
        "alone": np.ones(len(columns.groups), dtype=bool),
    }
    chosen = np.argmax(np.stack(list(kinds.values())), axis=0)
    counts = np.bincount(chosen, minlength=len(kinds))
    return {name: int(count) for name, count in zip(kinds, counts, strict=True)}


def _count_letters(keys: Words64, letters: Words64) -> tuple[Ints, Ints]:
    """Give for each item the number of distinct letters, and of items, with its key."""
    order = np.lexsort((letters, keys))
    keys, letters = keys[order], letters[order]
    new_key = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    new_letter = new_key | np.concatenate([[True], letters[1:] != letters[:-1]])[: len(keys)]
    run = np.cumsum(new_key) - 1
    n_letters, n_items = np.bincount(run, weights=new_letter), np.bincount(run)
    found = np.empty((2, len(keys)), dtype=np.int64)
    found[:, order] = n_letters[run], n_items[run]
    return found[0], found[1]
