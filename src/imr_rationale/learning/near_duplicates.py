"""Many texts -> groups of near-duplicates, in memory that holds numbers alone.

MinHash proposes, the shingles decide. Texts with the same words are one text from the beginning. Each distinct text
gets a signature by datasketch's permutations; parts of it ("bands") bring texts together that may be near-duplicates,
one band after the other; whether two of them share enough of their five-word runs is then counted exactly. So no two
texts are ever joined that should not be, and a pair at the threshold is missed with a probability of `MISSED` (one
above it with less). Near-duplicates of near-duplicates are in one group.

Signatures are made for many texts at once with numpy: datasketch's own `MinHash` takes eight times as long, most of it
to hash each run by SHA-1.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from datasketch import MinHash  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components

from imr_rationale.learning.shingles import PIECE, Ints, ShingleFile, make_slices

__all__ = [
    "LOWEST",
    "NEAR_DUPLICATE",
    "NearDuplicates",
    "choose_bands",
    "find_near_duplicates",
    "number_by_first",
    "open_near_duplicates",
]

#: rationales that share this part of their five-word runs (Jaccard) are near-duplicates: boilerplate with a
#: treatment's name exchanged shares about 0.7, two texts by the same hand under 0.2
NEAR_DUPLICATE = 0.5
#: below this bands of one value each would compare nearly everything with everything
LOWEST = 0.3
#: probability that the bands miss a pair that is exactly at the threshold
MISSED = 0.002
#: permutations that a signature may have; more rows a band spare comparisons and cost bands
MAX_PERMUTATIONS = 512
MAX_ROWS = 16
SEED = 1
#: bytes of a signature that stay in memory, to pass over pairs that share too few
LANES = 64
#: standard deviations below what a pair at the threshold shares of them: misses 3 in 100,000 of such pairs
SPARE = 4.0
#: texts in one bucket that are all compared with each other; in a larger one each is compared with as many leaders
CROWD = 64
#: pairs that were counted in vain and are remembered, at most: 64 megabytes
MEMORY_BITS = 24
#: pairs in memory at a time
PAIRS = 1 << 16

Progress = Callable[[str, int, int], None]
Words32 = npt.NDArray[np.uint32]


def choose_bands(threshold: float) -> tuple[int, int]:
    """Give the number of bands and their rows: the longest bands that miss few enough pairs at the threshold.

    A pair with Jaccard similarity s shares a row with probability s, all rows of a band with s^rows, and at least one
    of the bands with 1 - (1 - s^rows)^bands.

    References
    ----------
    Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, section 3.4.

    Examples
    --------
    >>> choose_bands(0.5)
    (97, 4)
    """
    found = (1, 1)
    for rows in range(1, MAX_ROWS + 1):
        shared = threshold**rows
        bands = 1 if shared >= 1 else math.ceil(math.log(MISSED) / math.log1p(-shared))
        if bands * rows <= MAX_PERMUTATIONS:
            found = bands, rows
    return found


def find_near_duplicates(texts: Sequence[str], *, threshold: float = NEAR_DUPLICATE) -> Ints:
    """Give a number to each group of texts that are near-duplicates, directly or over others.

    Parameters
    ----------
    texts : sequence of str
        Normalised: words between white space.
    threshold : float
        Part of their distinct five-word runs that two near-duplicates share (Jaccard), `LOWEST` to 1.

    Returns
    -------
    ndarray of shape (n_texts,)
        Groups counted from 0 in the order in which they first appear.

    Examples
    --------
    >>> find_near_duplicates(["no red flag was found on exam", "not at all", "no red flag was found on exam today"])
    array([0, 1, 0])
    """
    with tempfile.TemporaryDirectory() as folder, open_near_duplicates(Path(folder), threshold=threshold) as found:
        found.add(texts)
        return found.group()


def number_by_first(values: Ints) -> Ints:
    """Give distinct values the numbers from 0 on, in the order in which they first appear."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    ranks = np.empty(len(first), dtype=np.int64)
    ranks[np.argsort(first)] = np.arange(len(first))
    return ranks[inverse]


@contextmanager
def open_near_duplicates(folder: Path, *, threshold: float = NEAR_DUPLICATE) -> Iterator["NearDuplicates"]:
    """Give what collects texts and groups them; it works with files in `folder`, which the caller removes."""
    with ShingleFile(folder / "shingles") as shingles:
        yield NearDuplicates(shingles, folder, threshold=threshold)


class NearDuplicates:
    """Collect texts, then group them; memory grows by some 200 bytes a text, whatever its length.

    Parameters
    ----------
    shingles : ShingleFile
        Empty.
    folder : Path
        For temporary files: about 400 bytes a text.
    threshold : float

    Attributes
    ----------
    n_compared, n_counted : int
        Pairs that came together, and those of them whose common shingles were counted.
    """

    def __init__(self, shingles: ShingleFile, folder: Path, *, threshold: float = NEAR_DUPLICATE) -> None:
        self.shingles = shingles
        self.folder = folder
        self.threshold = threshold
        self.n_compared = self.n_counted = 0
        self._digests: list[bytes] = []

    def add(self, texts: Sequence[str]) -> None:
        """Take more texts."""
        self.shingles.add(texts)
        self._digests.append(b"".join(_digest(text) for text in texts))

    def group(self, *, progress: Progress = lambda step, done, total: None) -> Ints:
        """Give a number to each group, from 0 in the order in which they first appear; shape (n_texts,)."""
        distinct, firsts, by_digest = self._find_distinct()
        if not len(firsts):
            return distinct
        signer = _Signer(self.threshold, self.folder, len(firsts))
        lanes = signer.sign(self.shingles, firsts, progress)
        joiner = _Joiner(self.shingles, firsts, lanes, self.threshold)
        for band in range(signer.n_bands):
            # a bucket's texts in the order of their digests: which of them lead does not depend on the input's order
            keys = signer.read_band(band)[by_digest]
            joiner.compare_band(keys, by_digest)
            progress("compare", band + 1, signer.n_bands)
        self.n_compared, self.n_counted = joiner.n_compared, joiner.n_counted
        return number_by_first(joiner.groups.find(distinct))

    def _find_distinct(self) -> tuple[Ints, Ints, Ints]:
        """Find the distinct texts, in the order of their first appearance.

        Returns
        -------
        distinct : shape (n_texts,)
            Which of them each text is.
        firsts : shape (n_distinct,)
            The text that shows each first.
        by_digest : shape (n_distinct,)
            Distinct texts in the order of their digests.
        """
        digests = np.frombuffer(b"".join(self._digests), dtype=np.uint64).reshape(-1, 2)
        self._digests = []
        order = np.lexsort((digests[:, 1], digests[:, 0]))
        new = np.ones(len(order), dtype=bool)
        new[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
        # sorting was stable: the first of equal ones comes first
        shown = order[new]
        firsts = np.sort(shown)
        by_digest = np.searchsorted(firsts, shown)
        distinct = np.empty(len(order), dtype=np.int64)
        distinct[order] = by_digest[np.cumsum(new) - 1]
        return distinct, firsts, by_digest


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


class _Signer:
    """Texts -> the keys of their bands, in a file, and some bytes of their signatures."""

    def __init__(self, threshold: float, folder: Path, n_texts: int) -> None:
        self.n_bands, self.n_rows = choose_bands(threshold)
        self.n_texts = n_texts
        self.path = folder / "bands"
        n_permutations = max(self.n_bands * self.n_rows, LANES)
        self.a, self.b = MinHash(num_perm=n_permutations, seed=SEED).permutations
        factors = np.random.default_rng(SEED).integers(0, 1 << 63, self.n_rows, dtype=np.uint64)
        self.factors = factors * np.uint64(2) + np.uint64(1)

    def sign(self, shingles: ShingleFile, texts: Ints, progress: Progress) -> npt.NDArray[np.uint8]:
        """Write the bands of texts; gives shape (n_texts, LANES)."""
        lanes = np.empty((len(texts), LANES), dtype=np.uint8)
        sizes = shingles.sizes[texts]
        with self.path.open("wb") as file:
            for piece in make_slices(sizes, PIECE):
                signatures = self._make_signatures(shingles.read(texts[piece]), sizes[piece])
                # the upper byte of a product: the lower ones of two permutations are alike
                lanes[piece] = ((signatures[:LANES] * np.uint32(0x9E3779B1)) >> np.uint32(24)).T
                for band, keys in enumerate(self._make_keys(signatures)):
                    file.seek((band * self.n_texts + piece.start) * keys.itemsize)
                    file.write(keys.tobytes())
                progress("sign", piece.stop, self.n_texts)
        return lanes

    def _make_signatures(self, values: npt.NDArray[np.uint64], sizes: Ints) -> Words32:
        """Give the smallest of each text's permuted shingles, shape (n_permutations, n_texts)."""
        hashes = (values >> np.uint64(31)).astype(np.uint32)
        starts = np.cumsum(sizes) - sizes
        signatures = np.empty((len(self.a), len(sizes)), dtype=np.uint32)
        for row, a, b in zip(signatures, self.a, self.b, strict=True):
            permuted = hashes * a
            permuted += b
            np.minimum.reduceat(permuted, starts, out=row)
        return signatures

    def _make_keys(self, signatures: Words32) -> Iterator[Words32]:
        for band in range(self.n_bands):
            rows = signatures[band * self.n_rows : (band + 1) * self.n_rows].astype(np.uint64)
            yield ((rows * self.factors[:, None]).sum(axis=0, dtype=np.uint64) >> np.uint64(32)).astype(np.uint32)

    def read_band(self, band: int) -> Words32:
        """Give each text's key in a band."""
        width = np.dtype(np.uint32).itemsize
        return np.fromfile(self.path, dtype=np.uint32, count=self.n_texts, offset=band * self.n_texts * width)


class _Groups:
    """Texts in groups that are joined one by one; each group is named by its lowest text."""

    def __init__(self, n_texts: int) -> None:
        self.parents = np.arange(n_texts, dtype=np.int32)

    def find(self, texts: Ints) -> Ints:
        """Give the group of each text, and remember the way."""
        found = self.parents[texts]
        while not np.array_equal(found, above := self.parents[found]):
            found = above
        self.parents[texts] = found
        return found.astype(np.int64)

    def merge(self, left: Ints, right: Ints) -> None:
        """Join the groups of pairs."""
        if not len(left):
            return
        old, places = np.unique(self.find(np.concatenate([left, right])), return_inverse=True)
        ends = places[: len(left)], places[len(left) :]
        links = sp.coo_array((np.ones(len(left), dtype=bool), ends), shape=(len(old), len(old)))
        _, component = connected_components(links, directed=False)
        lowest = np.full(component.max() + 1, len(self.parents), dtype=np.int64)
        np.minimum.at(lowest, component, old)
        self.parents[old] = lowest[component]


class _PairMemory:
    """Remember pairs that were counted in vain: they come together again in other bands.

    A table of one size: a pair may be forgotten for another one, and is taken for one that it is not with a probability
    of 2⁻³².
    """

    def __init__(self, n_texts: int) -> None:
        self.n_bits = min(max((16 * n_texts).bit_length(), 8), MEMORY_BITS)
        self.tags = np.zeros(1 << self.n_bits, dtype=np.uint32)

    def _hash(self, left: Ints, right: Ints) -> tuple[npt.NDArray[np.uint64], Words32]:
        """Give the place and the tag of each pair, whichever text comes first."""
        pairs = np.minimum(left, right).astype(np.uint64) << np.uint64(32) | np.maximum(left, right).astype(np.uint64)
        pairs = (pairs ^ pairs >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
        pairs = (pairs ^ pairs >> np.uint64(32)) * np.uint64(0x94D049BB133111EB)
        return pairs >> np.uint64(64 - self.n_bits), (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32)

    def knows(self, left: Ints, right: Ints) -> npt.NDArray[np.bool_]:
        """Tell which pairs are remembered."""
        places, tags = self._hash(left, right)
        known: npt.NDArray[np.bool_] = self.tags[places] == tags
        return known

    def add(self, left: Ints, right: Ints) -> None:
        """Remember pairs."""
        places, tags = self._hash(left, right)
        self.tags[places] = tags


class _Joiner:
    """Pairs of distinct texts -> groups."""

    def __init__(self, shingles: ShingleFile, firsts: Ints, lanes: npt.NDArray[np.uint8], threshold: float) -> None:
        self.shingles = shingles
        self.firsts = firsts
        self.sizes = shingles.sizes[firsts]
        self.lanes = lanes
        self.threshold = threshold
        self.groups = _Groups(len(firsts))
        self.apart = _PairMemory(len(firsts))
        self.n_compared = self.n_counted = 0
        # two bytes are equal by chance once in 256 times
        equal = threshold + (1 - threshold) / 256
        self.fewest = LANES * equal - SPARE * math.sqrt(LANES * equal * (1 - equal))

    def compare_band(self, keys: Words32, texts: Ints) -> None:
        """Compare the texts that share a key, each bucket in the order of `texts`.

        First all of a bucket are compared with its first text, which joins what is near-identical in as many steps as
        there are texts. What is then still apart is compared each with each, or, in a crowd, each with its leaders:
        the first texts of the first `CROWD` groups in the bucket. So no bucket costs more than `CROWD` comparisons a
        text, and what a crowd may miss, the other bands have other buckets for.
        """
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        lengths = np.diff(np.concatenate([starts, [len(keys)]]))
        buckets = _Buckets(texts[order], starts, lengths).take(lengths > 1)
        buckets = self._keep_open(buckets)
        self._join(*buckets.pair_firsts())
        buckets = self._keep_open(buckets)
        for left, right in buckets.take(buckets.lengths <= CROWD).pair_all():
            self._join(left, right)
        for bucket in buckets.take(buckets.lengths > CROWD).list_members():
            _, first = np.unique(self.groups.find(bucket), return_index=True)
            # the first of all was compared above
            for leader in bucket[np.sort(first)[1:CROWD]]:
                self._join(np.full(len(bucket), leader), bucket)

    def _keep_open(self, buckets: "_Buckets") -> "_Buckets":
        """Leave out the buckets whose texts are all in one group."""
        if not len(buckets.starts):
            return buckets
        places = buckets.list_places()
        groups = self.groups.find(buckets.texts[places])
        starts = np.cumsum(buckets.lengths) - buckets.lengths
        lowest, highest = np.minimum.reduceat(groups, starts), np.maximum.reduceat(groups, starts)
        return buckets.take(lowest != highest)

    def _join(self, left: Ints, right: Ints) -> None:
        """Join the near-duplicates among pairs."""
        for start in range(0, len(left), PAIRS):
            a, b = left[start : start + PAIRS], right[start : start + PAIRS]
            apart = self.groups.find(a) != self.groups.find(b)
            self.n_compared += int(apart.sum())
            a, b = self._sift(a[apart], b[apart])
            self.n_counted += len(a)
            near = self._is_near(a, b)
            self.groups.merge(a[near], b[near])
            self.apart.add(a[~near], b[~near])

    def _sift(self, left: Ints, right: Ints) -> tuple[Ints, Ints]:
        """Leave out pairs that are too different in size, whose signatures share too little, or that were counted."""
        sizes = self.sizes[left], self.sizes[right]
        alike = np.minimum(*sizes) >= self.threshold * np.maximum(*sizes)
        left, right = left[alike], right[alike]
        alike = (self.lanes[left] == self.lanes[right]).sum(axis=1) >= self.fewest
        left, right = left[alike], right[alike]
        new = ~self.apart.knows(left, right)
        return left[new], right[new]

    def _is_near(self, left: Ints, right: Ints) -> npt.NDArray[np.bool_]:
        common = self.shingles.count_common(self.firsts[left], self.firsts[right])
        near: npt.NDArray[np.bool_] = common >= self.threshold * (self.sizes[left] + self.sizes[right] - common)
        return near


class _Buckets:
    """Runs of texts that share a key: `texts[start : start + length]` each."""

    def __init__(self, texts: Ints, starts: Ints, lengths: Ints) -> None:
        self.texts = texts
        self.starts = starts
        self.lengths = lengths

    def take(self, which: npt.NDArray[np.bool_]) -> "_Buckets":
        """Give some of them."""
        return _Buckets(self.texts, self.starts[which], self.lengths[which])

    def list_places(self, behind: int = 0) -> Ints:
        """Give the places of all members in `texts`, without the first `behind` of each bucket."""
        lengths = self.lengths - behind
        inside = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places: Ints = np.repeat(self.starts + behind, lengths) + inside
        return places

    def pair_firsts(self) -> tuple[Ints, Ints]:
        """Pair each member with the first one of its bucket."""
        return np.repeat(self.texts[self.starts], self.lengths - 1), self.texts[self.list_places(behind=1)]

    def pair_all(self) -> Iterator[tuple[Ints, Ints]]:
        """Pair all members of each bucket, without the pairs of its first one; buckets of one length together."""
        for length in np.unique(self.lengths[self.lengths > 2]):
            left, right = np.triu_indices(length - 1, 1)
            starts = self.starts[self.lengths == length] + 1
            step = max(PAIRS // len(left), 1)
            for k in range(0, len(starts), step):
                members = self.texts[starts[k : k + step, None] + np.arange(length - 1)]
                yield members[:, left].ravel(), members[:, right].ravel()

    def list_members(self) -> Iterator[Ints]:
        """Yield the members of each bucket."""
        for start, length in zip(self.starts, self.lengths, strict=True):
            yield self.texts[start : start + length]
