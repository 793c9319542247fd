"""Splits that keep a letter, near-duplicate texts, and all that one writer wrote, on one side."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import StratifiedGroupKFold

__all__ = ["NEAR_DUPLICATE", "group_items", "group_writers", "make_folds"]

#: rationales that share this part of their five-word runs (Jaccard) are near-duplicates: boilerplate with a
#: treatment's name exchanged shares about 0.7, two texts by the same hand under 0.2
NEAR_DUPLICATE = 0.5
SHINGLE_WORDS = 5


def group_items(letters: Sequence[str], texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Give a number to each group of items that share a letter or near-duplicate text, directly or over others.

    Parameters
    ----------
    letters, texts : sequences of the same length
        Letter id and normalised rationale of each item.

    Returns
    -------
    ndarray of shape (n_items,)
    """
    n = len(letters)
    vectorizer = CountVectorizer(
        token_pattern=r"\S+", lowercase=False, ngram_range=(SHINGLE_WORDS, SHINGLE_WORDS), binary=True
    )
    shingles = vectorizer.fit_transform([_lengthen(text) for text in texts])
    shared = (shingles @ shingles.T).tocoo()
    sizes = np.asarray(shingles.sum(axis=1)).ravel()
    near = shared.data >= NEAR_DUPLICATE * (sizes[shared.row] + sizes[shared.col] - shared.data)
    _, letter_index = np.unique(letters, return_inverse=True)
    same = sp.coo_matrix((np.ones(n), (np.arange(n), letter_index))).tocsr()
    links = sp.coo_matrix((near[near], (shared.row[near], shared.col[near])), shape=(n, n)) + same @ same.T
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def group_writers(groups: npt.NDArray[np.int64], writers: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Join the groups of items by one writer; an item without a known writer stays in its own group.

    Parameters
    ----------
    groups : ndarray of shape (n_items,)
        As `group_items` gives them.
    writers : sequence of str or None, of length n_items

    Returns
    -------
    ndarray of shape (n_items,)
    """
    n = len(groups)
    named = [f"group {group}" if writer is None else writer for group, writer in zip(groups, writers, strict=True)]
    _, writer_index = np.unique(named, return_inverse=True)
    _, group_index = np.unique(groups, return_inverse=True)
    links = sp.coo_matrix((np.ones(n), (writer_index, group_index)))
    _, component = connected_components(sp.block_array([[None, links], [links.T, None]], format="csr"), directed=False)
    return np.asarray(component[writer_index], dtype=np.int64)


def _lengthen(text: str) -> str:
    """Repeat a text of under five words until it has one run of five."""
    words = text.split() or ["-"]
    return text if len(words) >= SHINGLE_WORDS else " ".join((words * SHINGLE_WORDS)[:SHINGLE_WORDS])


def make_folds(
    strata: Sequence[str], groups: npt.NDArray[np.int64], *, n_splits: int, random_state: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield (train, test) indices; a group is never on both sides, `strata` are spread evenly."""
    counts = Counter(strata)
    n_rare = sum(count for count in counts.values() if count < n_splits)
    pool = "rare" if n_rare >= n_splits else counts.most_common(1)[0][0]
    common = [name if counts[name] >= n_splits else pool for name in strata]
    splitter = StratifiedGroupKFold(n_splits=n_splits, shuffle=True, random_state=random_state)
    yield from splitter.split(np.zeros(len(common)), common, groups)
