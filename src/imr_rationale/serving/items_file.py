"""The items that are searched for duplicates: numbers in memory, texts in a file."""

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

__all__ = ["NO_PREDICTION", "NO_REASON", "ItemsFile", "Predictions", "count_reasons", "make_key"]

#: what stands for the primary reason of an item that states none, and of one that was not predicted
NO_REASON, NO_PREDICTION = -1, -2

Ints = npt.NDArray[np.int64]
Words64 = npt.NDArray[np.uint64]


def make_key(*parts: object) -> int:
    """Give a number for a text or a place; two of three million are equal by chance once in four million runs."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


class ItemsFile:
    """Items with a rationale, in the order of the input: about 40 bytes an item in memory.

    Parameters
    ----------
    path : Path
        Written anew; the caller removes it.
    """

    def __init__(self, path: Path) -> None:
        self.file = path.open("w+b")
        self._letters, self._texts, self._places = array("Q"), array("Q"), array("Q")
        self._outcomes, self._ends = array("b"), array("q")

    def __enter__(self) -> "ItemsFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def __len__(self) -> int:
        """Give the number of items."""
        return len(self._ends)

    def add(self, item: ParsedItem) -> None:
        """Append an item that has a rationale."""
        text = item.rationale or ""
        member = {"letter": item.letter, "source": item.source, "item": item.item, "outcome": item.outcome}
        record = json.dumps(member, ensure_ascii=False) + "\n" + text
        n_bytes = self.file.write(record.encode(errors="surrogatepass"))
        self._ends.append(n_bytes + (self._ends[-1] if self._ends else 0))
        self._letters.append(make_key(item.letter))
        self._texts.append(make_key(" ".join(text.split())))
        self._places.append(make_key(item.source, item.item))
        self._outcomes.append(-1 if item.outcome is None else OUTCOMES.index(item.outcome))

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
        """Index into `OUTCOMES`, -1 where it is not known; shape (n_items,)."""
        return np.frombuffer(self._outcomes, dtype=np.int8)

    def read(self, item: int) -> tuple[str, str]:
        """Give the JSON object that names an item, and its rationale."""
        self.file.flush()
        start = self._ends[item - 1] if item else 0
        record = os.pread(self.file.fileno(), self._ends[item] - start, start).decode(errors="surrogatepass")
        member, _, text = record.partition("\n")
        return member, text


class Predictions:
    """The reasons of items, to be found by source and item."""

    def __init__(self) -> None:
        self._places, self._masks, self._primaries = array("Q"), array("Q"), array("b")

    def __len__(self) -> int:
        """Give the number of predicted items."""
        return len(self._places)

    def add(self, item: PredictedItem) -> None:
        """Take the reasons of an item."""
        self._places.append(make_key(item.source, item.item))
        self._masks.append(sum(1 << REASONS.index(label) for label in set(item.reasons)))
        primary = item.primary_reason
        self._primaries.append(NO_REASON if primary is None else REASONS.index(primary))

    def find(self, places: Words64) -> tuple[Words64, npt.NDArray[np.int8]]:
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
        masks = np.zeros(len(places), dtype=np.uint64)
        primaries = np.full(len(places), NO_PREDICTION, dtype=np.int8)
        if len(self):
            keys = np.frombuffer(self._places, dtype=np.uint64)
            # of one that is predicted more than once the first counts
            order = np.argsort(keys, kind="stable")
            at = order[np.minimum(np.searchsorted(keys[order], places), len(order) - 1)]
            known = keys[at] == places
            masks[known] = np.frombuffer(self._masks, dtype=np.uint64)[at[known]]
            primaries[known] = np.frombuffer(self._primaries, dtype=np.int8)[at[known]]
        return masks, primaries

    def count_stray(self, places: Words64) -> int:
        """Count the predictions that stand at none of these places; without those of items that have no rationale."""
        return int(len(self) - np.isin(np.frombuffer(self._places, dtype=np.uint64), places).sum())


def count_reasons(masks: Words64) -> dict[str, int]:
    """Count the items that show each reason, the most frequent first; without those that none shows."""
    counts = ((masks[:, None] >> np.arange(len(REASONS), dtype=np.uint64)) & np.uint64(1)).sum(axis=0)
    found = {label: int(count) for label, count in zip(REASONS, counts, strict=True) if count}
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))
