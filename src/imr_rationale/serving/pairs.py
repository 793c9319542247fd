"""Two items of a group that were judged differently, side by side: nearly the same text, and where it parts ways."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

from imr_rationale.labels import OUTCOMES, REASONS
from imr_rationale.learning.shingles import ShingleFile
from imr_rationale.serving.deidentify import coarsen_dates
from imr_rationale.serving.items_file import ItemsFile

__all__ = ["Pair", "PairFinder", "Piece", "Side", "mark_differences"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
#: distinct texts of each side that are compared with those of the other
CANDIDATES = 30
#: words of a text that are compared: nearly all rationales have fewer
MAX_WORDS = 1_000
#: words that both texts have are shown so many behind and before a difference, and fewer than `FEWEST` between two
#: differences belong to them
KEPT, FEWEST = 30, 3
# the comma of "guidelines,": no difference
EDGE_RE = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True, slots=True)
class Piece:
    """Words of a text; `differs` where the other text has others in their place, or none."""

    text: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One of two items.

    Attributes
    ----------
    member : int
        Its place among the members of its group, from 1.
    outcome, primary_reason : str or None
    pieces : tuple of Piece
        Its text without months, days and case numbers; of long stretches that both have the ends.
    """

    member: int
    outcome: str | None
    primary_reason: str | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two items of a group; `similarity` is the part of their five-word runs that both have (Jaccard)."""

    similarity: float
    left: Side
    right: Side


class PairFinder:
    """Find the two most similar items of a group between which an outcome or a reason differs.

    Parameters
    ----------
    items : ItemsFile
    shingles : ShingleFile
        Of the same items.
    primaries : ndarray of shape (n_items,)
        Index of the primary reason in `REASONS`; below 0 there is none.
    """

    def __init__(self, items: ItemsFile, shingles: ShingleFile, primaries: npt.NDArray[np.int8]) -> None:
        self.items = items
        self.shingles = shingles
        self.primaries = primaries

    def pair_outcomes(self, members: Ints) -> Pair:
        """Pair an Upheld item with an Overturned one; the group has both."""
        outcomes = self.items.outcomes[members]
        return self._find(members, outcomes == 0, outcomes == 1)

    def pair_reasons(self, members: Ints) -> Pair:
        """Pair items with the two most frequent primary reasons of a group; it has two or more."""
        primaries = self.primaries[members]
        counts = np.bincount(primaries[primaries >= 0])
        most, next_most = np.argsort(-counts, kind="stable")[:2]
        return self._find(members, primaries == most, primaries == next_most)

    def _find(self, members: Ints, on_left: Bools, on_right: Bools) -> Pair:
        left, right = self._list_candidates(members, on_left), self._list_candidates(members, on_right)
        left, right = np.repeat(left, len(right)), np.tile(right, len(left))
        common = self.shingles.count_common(members[left], members[right])
        sizes = self.shingles.sizes
        similarity = common / (sizes[members[left]] + sizes[members[right]] - common)
        best = int(np.argmax(similarity))
        a, b = int(left[best]), int(right[best])
        texts = (self.items.read(int(members[place]))[1] for place in (a, b))
        pieces = mark_differences(*map(coarsen_dates, texts))
        sides = (self._make_side(members, place, found) for place, found in zip((a, b), pieces, strict=True))
        return Pair(float(similarity[best]), *sides)

    def _list_candidates(self, members: Ints, which: Bools) -> Ints:
        """Give the places of the first distinct texts."""
        places = np.flatnonzero(which)
        _, first = np.unique(self.items.texts[members[places]], return_index=True)
        return places[np.sort(first)[:CANDIDATES]]

    def _make_side(self, members: Ints, place: int, pieces: tuple[Piece, ...]) -> Side:
        outcome, primary = (int(values[members[place]]) for values in (self.items.outcomes, self.primaries))
        return Side(
            place + 1,
            OUTCOMES[outcome] if outcome < len(OUTCOMES) else None,
            REASONS[primary] if primary >= 0 else None,
            pieces,
        )


def mark_differences(left: str, right: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Cut two texts into what they share, case and punctuation aside, and what they do not.

    Examples
    --------
    >>> for piece in mark_differences("The request for an MRI is granted.", "The request for a CT is granted.")[1]:
    ...     print(piece)
    Piece(text='The request for', differs=False)
    Piece(text='a CT', differs=True)
    Piece(text='is granted.', differs=False)
    """
    a, b = _split(left), _split(right)
    blocks = SequenceMatcher(None, _strip(a), _strip(b), autojunk=False).get_matching_blocks()
    ends = len(a), len(b)
    # the last block is empty and stands at both ends
    shared = [
        block
        for block in blocks
        if block.size >= FEWEST or block.a == block.b == 0 or (block.a + block.size, block.b + block.size) == ends
    ]
    return (
        tuple(_cut(a, ((block.a, block.size) for block in shared))),
        tuple(_cut(b, ((block.b, block.size) for block in shared))),
    )


def _split(text: str) -> list[str]:
    words = text.split()
    return words if len(words) <= MAX_WORDS else [*words[:MAX_WORDS], "…"]


def _strip(words: list[str]) -> list[str]:
    return [EDGE_RE.sub("", word).lower() or word for word in words]


def _cut(words: list[str], shared: Iterable[tuple[int, int]]) -> Iterator[Piece]:
    at = 0
    for start, size in shared:
        if start > at:
            yield Piece(" ".join(words[at:start]), differs=True)
        if size:
            yield Piece(_shorten(words[start : start + size]), differs=False)
        at = start + size


def _shorten(words: list[str]) -> str:
    return " ".join(words if len(words) <= 2 * KEPT else [*words[:KEPT], "…", *words[-KEPT:]])
