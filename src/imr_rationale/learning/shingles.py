"""Texts -> the sets of their five-word runs, as numbers in a file, and how much two sets share."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = ["SHINGLE_WORDS", "ShingleFile", "find_shingles", "make_slices"]

SHINGLE_WORDS = 5
#: words whose hash is remembered
WORDS_KEPT = 1 << 16
#: words, and shingles, that are worked on at a time: some megabytes
PIECE = 1 << 18
#: odd, so that an exchanged word always gives another number; else of no meaning
FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F],
    dtype=np.uint64,
)
#: what scipy takes for a column is 63 bits wide
N_COLUMNS = (1 << 63) - 1

Ints = npt.NDArray[np.int64]


def make_slices(sizes: Ints, limit: int) -> Iterator[slice]:
    """Yield slices whose sizes sum to at most `limit`; what is larger stands alone.

    Examples
    --------
    >>> list(make_slices(np.array([2, 2, 9, 1]), 4))
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + limit, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def find_shingles(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint64], Ints]:
    """Hash the distinct five-word runs of each text.

    A text of under five words is repeated until it has one run. Two different runs have the same number with a
    probability of about 2⁻⁶³, so that what sets of numbers share is what the texts share.

    Parameters
    ----------
    texts : sequence of str
        Normalised: words between white space.

    Returns
    -------
    values : ndarray of uint64
        The runs of the first text, rising, then those of the second; below 2⁶³.
    sizes : ndarray of shape (n_texts,)
        How many runs each text has, one at least.
    """
    words = [_lengthen(text.split()) for text in texts]
    counts = np.array([len(one) for one in words], dtype=np.int64)
    flat = np.fromiter(map(_hash_word, chain.from_iterable(words)), dtype=np.uint64, count=int(counts.sum()))
    owners = np.repeat(np.arange(len(texts)), counts - (SHINGLE_WORDS - 1))
    runs = _mix(flat)[_find_starts(counts)]
    order = np.lexsort((runs, owners))
    runs, owners = runs[order], owners[order]
    new = np.ones(len(runs), dtype=bool)
    new[1:] = (runs[1:] != runs[:-1]) | (owners[1:] != owners[:-1])
    return runs[new], np.bincount(owners[new], minlength=len(texts))


def _lengthen(words: list[str]) -> list[str]:
    """Repeat the words of a text of under five until there is one run of five."""
    return words if len(words) >= SHINGLE_WORDS else ((words or ["-"]) * SHINGLE_WORDS)[:SHINGLE_WORDS]


@lru_cache(maxsize=WORDS_KEPT)
def _hash_word(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _mix(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Give the number of the run that begins at each word; at the last four of a text it reaches into the next."""
    last = max(len(words) - SHINGLE_WORDS + 1, 0)
    runs = np.zeros(last, dtype=np.uint64)
    for k, factor in enumerate(FACTORS):
        runs += words[k : last + k] * factor
    # a sum of products is too regular for MinHash: stir it
    runs ^= runs >> np.uint64(32)
    runs *= FACTORS[0]
    return (runs ^ (runs >> np.uint64(29))) >> np.uint64(1)


def _find_starts(counts: Ints) -> npt.NDArray[np.int64]:
    """Give the words at which a run begins that ends in the same text."""
    starts = np.ones(int(counts.sum()), dtype=bool)
    ends = np.cumsum(counts)
    for k in range(1, SHINGLE_WORDS):
        starts[ends - k] = False
    return np.flatnonzero(starts)


class ShingleFile:
    """The shingles of many texts, in a file: of each text only its place and size stay in memory.

    Parameters
    ----------
    path : Path
        Written anew; the caller removes it.
    """

    def __init__(self, path: Path) -> None:
        self.file = path.open("w+b")
        self._sizes: list[Ints] = []
        self._sum: tuple[Ints, Ints] | None = None

    def __enter__(self) -> "ShingleFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def add(self, texts: Sequence[str]) -> None:
        """Append the shingles of texts."""
        for piece in make_slices(np.array([len(text) for text in texts], dtype=np.int64), PIECE):
            values, sizes = find_shingles(texts[piece])
            self.file.write(values.tobytes())
            self._sizes.append(sizes)
        self._sum = None

    @property
    def sizes(self) -> Ints:
        """How many shingles each text has, shape (n_texts,)."""
        return self._index()[0]

    def _index(self) -> tuple[Ints, Ints]:
        """Give the size and the place of each text; called when all are there."""
        if self._sum is None:
            self.file.flush()
            sizes = np.concatenate([np.zeros(0, dtype=np.int64), *self._sizes])
            self._sum = sizes, np.cumsum(sizes) - sizes
            self._sizes = [sizes]
        return self._sum

    def read(self, texts: Ints) -> npt.NDArray[np.uint64]:
        """Give the shingles of some texts, one after the other."""
        sizes, places = self._index()
        file = self.file.fileno()
        width = np.dtype(np.uint64).itemsize
        found = [os.pread(file, int(sizes[i]) * width, int(places[i]) * width) for i in texts]
        return np.frombuffer(b"".join(found), dtype=np.uint64)

    def count_common(self, left: Ints, right: Ints) -> Ints:
        """Count the shingles that pairs of texts share.

        Parameters
        ----------
        left, right : ndarray of shape (n_pairs,)
            Indices of texts.

        Returns
        -------
        ndarray of shape (n_pairs,)
        """
        sizes = self.sizes
        pieces = make_slices(sizes[left] + sizes[right], 4 * PIECE)
        counts = [self._count_common(left[piece], right[piece]) for piece in pieces]
        return np.concatenate([np.zeros(0, dtype=np.int64), *counts])

    def _count_common(self, left: Ints, right: Ints) -> Ints:
        texts, places = np.unique(np.concatenate([left, right]), return_inverse=True)
        values = self.read(texts).astype(np.int64)
        bounds = np.concatenate([[0], np.cumsum(self.sizes[texts])])
        rows = sp.csr_array((np.ones(len(values), dtype=np.int32), values, bounds), shape=(len(texts), N_COLUMNS))
        shared = rows[places[: len(left)]].multiply(rows[places[len(left) :]])
        return np.asarray(shared.sum(axis=1), dtype=np.int64)
