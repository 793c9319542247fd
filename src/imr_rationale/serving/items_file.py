"""The items that are searched for duplicates: numbers in memory, names and texts in a file."""

import json
import os
from array import array
from hashlib import blake2b
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from imr_rationale.labels import OUTCOMES, REASONS
from imr_rationale.serving.readers import ParsedItem, PredictedItem

__all__ = ["NO_OUTCOME", "NO_PREDICTION", "NO_REASON", "ItemsFile", "Predictions"]

#: what stands for the outcome of an item where it was not read
NO_OUTCOME = len(OUTCOMES)
#: what stands for the primary reason of an item that states none, and of one that was not predicted
NO_REASON, NO_PREDICTION = -1, -2

Words64 = npt.NDArray[np.uint64]


def _make_key(*parts: object) -> int:
    """Give a number for a text or a place; any two of three million are equal by chance once in four million runs."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


class ItemsFile:
    """Items with a rationale, in the order of the input: some 45 bytes an item in memory.

    Parameters
    ----------
    path : Path
        Written anew; the caller removes it.
    """

    def __init__(self, path: Path) -> None:
        self.file = path.open("w+b")
        self._letters, self._texts, self._places, self._identities = (array("Q") for _ in range(4))
        self._outcomes, self._ends = array("b"), array("q", [0])

    def __enter__(self) -> "ItemsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def __len__(self) -> int:
        """Give the number of items."""
        return len(self._letters)

    def add(self, item: ParsedItem, rationale: str) -> None:
        """Append an item."""
        member = {"letter": item.letter, "source": item.source, "item": item.item, "outcome": item.outcome}
        record = json.dumps(member, ensure_ascii=False) + "\n" + rationale
        # half a character, which JSON can hold, is none that a file may hold
        self._ends.append(self._ends[-1] + self.file.write(record.encode(errors="replace")))
        self._letters.append(_make_key(item.letter))
        self._texts.append(_make_key(" ".join(rationale.split())))
        self._identities.append(_make_key(item.letter, item.item, self._texts[-1]))
        self._places.append(_make_key(item.source, item.item))
        self._outcomes.append(NO_OUTCOME if item.outcome is None else OUTCOMES.index(item.outcome))

    def list_distinct(self) -> npt.NDArray[np.int64]:
        """Give the items without those that were there before: of the same letter and number, with the same text.

        A letter may stand in an archive twice, and a file be named twice; that is no boilerplate.
        """
        _, first = np.unique(np.frombuffer(self._identities, dtype=np.uint64), return_index=True)
        return np.sort(first)

    @property
    def letters(self) -> Words64:
        """Keys of the letters, shape (n_items,)."""
        return np.frombuffer(self._letters, dtype=np.uint64)

    @property
    def texts(self) -> Words64:
        """Keys of the texts, white space aside; shape (n_items,)."""
        return np.frombuffer(self._texts, dtype=np.uint64)

    @property
    def places(self) -> Words64:
        """Keys of source and item together, shape (n_items,)."""
        return np.frombuffer(self._places, dtype=np.uint64)

    @property
    def outcomes(self) -> npt.NDArray[np.int8]:
        """Index into `OUTCOMES`, or `NO_OUTCOME`; shape (n_items,)."""
        return np.frombuffer(self._outcomes, dtype=np.int8)

    def read(self, item: int) -> tuple[str, str]:
        """Give the JSON object that names an item, and its rationale."""
        self.file.flush()
        start, end = self._ends[item], self._ends[item + 1]
        member, _, rationale = os.pread(self.file.fileno(), end - start, start).decode().partition("\n")
        return member, rationale


class Predictions:
    """The reasons of items, to be found by source and item: 13 bytes an item in memory."""

    def __init__(self) -> None:
        self._places, self._masks, self._primaries = array("Q"), array("I"), array("b")

    def __len__(self) -> int:
        """Give the number of predicted items."""
        return len(self._places)

    def add(self, item: PredictedItem) -> None:
        """Take the reasons of an item."""
        self._places.append(_make_key(item.source, item.item))
        self._masks.append(sum(1 << REASONS.index(label) for label in set(item.reasons)))
        primary = item.primary_reason
        self._primaries.append(NO_REASON if primary is None else REASONS.index(primary))

    def find(self, places: Words64) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int8]]:
        """Give the reasons of items, as a bit for each of `REASONS`, and their primary reasons.

        Parameters
        ----------
        places : ndarray of shape (n_items,)
            Keys of source and item.

        Returns
        -------
        masks : ndarray of shape (n_items,)
        primaries : ndarray of shape (n_items,)
            Index into `REASONS`, `NO_REASON` or `NO_PREDICTION`.
        """
        masks = np.zeros(len(places), dtype=np.uint32)
        primaries = np.full(len(places), NO_PREDICTION, dtype=np.int8)
        if len(self):
            keys = np.frombuffer(self._places, dtype=np.uint64)
            # of one that is predicted more than once the first counts
            order = np.argsort(keys, kind="stable")
            at = order[np.minimum(np.searchsorted(keys[order], places), len(order) - 1)]
            known = keys[at] == places
            masks[known] = np.frombuffer(self._masks, dtype=np.uint32)[at[known]]
            primaries[known] = np.frombuffer(self._primaries, dtype=np.int8)[at[known]]
        return masks, primaries
