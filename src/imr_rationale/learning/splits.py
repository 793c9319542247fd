"""Splits that keep a letter, near-duplicate texts, and all that one writer wrote, on one side."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from imr_rationale.learning.near_duplicates import find_near_duplicates, number_by_first

__all__ = ["group_items", "group_writers", "make_folds"]


def group_items(letters: Sequence[str], texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Give a number to each group of items that share a letter or near-duplicate text, directly or over others.

    Parameters
    ----------
    letters, texts : sequences of the same length
        Letter id and normalised rationale of each item.

    Returns
    -------
    ndarray of shape (n_items,)
        Groups counted from 0 in the order in which they first appear.
    """
    _, letter_index = np.unique(letters, return_inverse=True)
    return number_by_first(_join_groups(letter_index, find_near_duplicates(texts)))


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
    named = [f"group {group}" if writer is None else writer for group, writer in zip(groups, writers, strict=True)]
    _, writer_index = np.unique(named, return_inverse=True)
    _, group_index = np.unique(groups, return_inverse=True)
    return _join_groups(writer_index, group_index)


def _join_groups(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Join items that share a number on the left or on the right, directly or over others."""
    links = sp.coo_matrix((np.ones(len(left)), (left, right)))
    _, component = connected_components(sp.block_array([[None, links], [links.T, None]], format="csr"), directed=False)
    return np.asarray(component[left], dtype=np.int64)


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
