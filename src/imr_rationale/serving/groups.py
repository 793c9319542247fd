"""Items in the same group -> what a group says of them: sizes, outcomes, reasons, and each of its members."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from imr_rationale.labels import OUTCOMES, REASONS
from imr_rationale.serving.items_file import NO_PREDICTION, ItemsFile, Predictions

__all__ = ["DuplicateGroup", "GroupMaker", "list_groups"]

Ints = npt.NDArray[np.int64]
#: in the order of the numbers that `ItemsFile` keeps
OUTCOME_NAMES = (*OUTCOMES, "unknown")


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Items whose rationales are near-duplicates, directly or over others.

    Attributes
    ----------
    group : int
        Counted from 1, the largest first.
    n_items, n_letters, n_texts : int
        Items, their letters, and their distinct texts, white space aside.
    n_exact : int
        Items whose text another one of the group has too.
    n_copied : int
        Items whose text stands in another letter too, word for word.
    n_predicted : int
    outcomes : mapping of str to int
        "Upheld", "Overturned" and "unknown" -> items.
    primary_reasons, reasons : mapping of str to int
        Items for which each was predicted, in the order of `REASONS`.
    opposite : bool
        There are both Upheld and Overturned items.
    differing : bool
        Two different primary reasons were predicted, or more.
    example : str
        Rationale of the first item.
    """

    group: int
    n_items: int
    n_letters: int
    n_texts: int
    n_exact: int
    n_copied: int
    n_predicted: int
    outcomes: Mapping[str, int]
    primary_reasons: Mapping[str, int]
    reasons: Mapping[str, int]
    opposite: bool
    differing: bool
    example: str


def list_groups(labels: Ints) -> Iterator[Ints]:
    """Yield the members of each group of two items or more: the largest group first, then as they first appear.

    Parameters
    ----------
    labels : ndarray of shape (n_items,)
        Number of each item's group, from 0 in the order in which they first appear.

    Examples
    --------
    >>> [members.tolist() for members in list_groups(np.array([0, 1, 2, 1, 0, 1]))]
    [[1, 3, 5], [0, 4]]
    """
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    members = np.argsort(labels, kind="stable")
    for label in np.argsort(-sizes, kind="stable"):
        if sizes[label] < 2:
            return
        yield members[starts[label] : starts[label] + sizes[label]]


class GroupMaker:
    """Say what is known of the items of a group.

    Parameters
    ----------
    items : ItemsFile
    predictions : Predictions
    """

    def __init__(self, items: ItemsFile, predictions: Predictions) -> None:
        self.items = items
        self.masks, self.primaries = predictions.find(items.places)

    def make(self, number: int, members: Ints) -> DuplicateGroup:
        """Sum a group up."""
        items = self.items
        _, copies = np.unique(items.texts[members], return_counts=True)
        outcomes = np.bincount(items.outcomes[members], minlength=len(OUTCOME_NAMES)).tolist()
        primaries = _count_primaries(self.primaries[members])
        return DuplicateGroup(
            group=number,
            n_items=len(members),
            n_letters=len(np.unique(items.letters[members])),
            n_texts=len(copies),
            n_exact=int(copies[copies > 1].sum()),
            n_copied=self._count_copied(members),
            n_predicted=int((self.primaries[members] != NO_PREDICTION).sum()),
            outcomes=dict(zip(OUTCOME_NAMES, outcomes, strict=True)),
            primary_reasons=primaries,
            reasons=_count_reasons(self.masks[members]),
            opposite=bool(outcomes[0] and outcomes[1]),
            differing=len(primaries) > 1,
            example=items.read(int(members[0]))[1],
        )

    def _count_copied(self, members: Ints) -> int:
        """Count the items whose text is that of an item of another letter."""
        _, texts, copies = np.unique(self.items.texts[members], return_inverse=True, return_counts=True)
        _, letters = np.unique(self.items.letters[members], return_inverse=True)
        places = np.unique(texts * len(members) + letters)
        n_letters = np.bincount(places // len(members))
        return int(copies[n_letters > 1].sum())

    def format(self, group: DuplicateGroup, members: Ints) -> Iterator[str]:
        """Yield the JSON object of a group in pieces, each of its members as it is read."""
        yield json.dumps(asdict(group), ensure_ascii=False).removesuffix("}") + ', "members": ['
        for position, member in enumerate(members.tolist()):
            name = self.items.read(member)[0].removesuffix("}")
            reasons = _format_reasons(int(self.masks[member]), int(self.primaries[member]))
            yield f"{', ' if position else ''}{name}, {reasons}"
        yield "]}\n"


def _count_primaries(primaries: npt.NDArray[np.int8]) -> dict[str, int]:
    counts = np.bincount(primaries[primaries >= 0], minlength=len(REASONS))
    return {REASONS[i]: int(counts[i]) for i in np.flatnonzero(counts)}


def _count_reasons(masks: npt.NDArray[np.uint32]) -> dict[str, int]:
    kinds, counts = np.unique(masks, return_counts=True)
    found = {label: int(counts[kinds & np.uint32(1 << i) > 0].sum()) for i, label in enumerate(REASONS)}
    return {label: count for label, count in found.items() if count}


@lru_cache(maxsize=1 << 14)
def _format_reasons(mask: int, primary: int) -> str:
    """Give the last fields of a member; null where it was not predicted."""
    reasons = [label for i, label in enumerate(REASONS) if mask >> i & 1]
    found = {
        "primary_reason": REASONS[primary] if primary >= 0 else None,
        "reasons": None if primary == NO_PREDICTION else reasons,
    }
    return json.dumps(found).removeprefix("{")
