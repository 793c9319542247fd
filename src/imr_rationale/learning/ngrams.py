"""Words -> weighted n-grams: what scikit-learn's `TfidfVectorizer` gives, for several vectorizers at once.

A vectorizer joins words to n-grams and looks each up as text. Here every word is looked up once, n-grams are pairs of
numbers, and whole batches go through NumPy: the same matrix, many times faster, on one text as on thousands.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, repeat

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

__all__ = ["NgramTable", "Vocabulary", "list_ngrams"]

Ints = npt.NDArray[np.int64]
#: the longest n-gram that a table holds
MAX_N = 3


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """N-grams and how much each counts.

    Attributes
    ----------
    words : tuple of str
        The distinct words.
    ngrams : ndarray of shape (n_terms, max_n)
        Of each n-gram the numbers of its words in `words`, from 1 on, then zeros.
    idf : ndarray of shape (n_terms,)
        Inverse document frequencies.
    """

    words: tuple[str, ...]
    ngrams: npt.NDArray[np.int32]
    idf: npt.NDArray[np.float32]

    @classmethod
    def from_terms(cls, terms: Sequence[str], idf: npt.NDArray[np.float32], max_n: int) -> "Vocabulary":
        """Take n-grams whose words are separated by a space.

        Examples
        --------
        >>> Vocabulary.from_terms(["no", "no evidence"], np.ones(2, dtype=np.float32), 2).list_terms()
        ['no', 'no evidence']
        """
        codes, words = pd.factorize(np.array(" ".join(terms).split(" "), dtype=object))
        lengths = np.array([term.count(" ") + 1 for term in terms])
        ngrams = np.zeros((len(terms), max_n), dtype=np.int32)
        ngrams[np.arange(max_n) < lengths[:, None]] = codes + 1
        return cls(tuple(words), ngrams, idf)

    def __len__(self) -> int:
        """Give the number of n-grams."""
        return len(self.ngrams)

    def list_terms(self) -> list[str]:
        """Give the n-grams as text."""
        return [" ".join([self.words[word - 1] for word in ngram if word]) for ngram in self.ngrams.tolist()]


def list_ngrams(
    texts: Sequence[Sequence[str]], groups: Ints, max_n: int, min_groups: int
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """List the n-grams of up to `max_n` words that stand in enough groups of texts.

    Parameters
    ----------
    texts : sequence of sequence of str
        Words.
    groups : ndarray of shape (n_texts,)
    max_n, min_groups : int

    Returns
    -------
    terms : list of str
        Sorted; the words of an n-gram are separated by a space.
    idf : ndarray of shape (n_terms,)
        Inverse document frequencies, as scikit-learn smooths them.
    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    places = np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
    _, group_of_text = np.unique(groups, return_inverse=True)
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    codes = np.fromiter(map(numbers.__getitem__, chain.from_iterable(texts)), dtype=np.int64, count=len(places))
    words = list(numbers)
    terms: list[str] = []
    counts: list[Ints] = []
    ngrams = codes[:0]
    for n in range(1, max_n + 1):
        # an n-gram's number and its next word make the number of the n-gram one word longer
        ngrams = codes if n == 1 else pd.factorize(ngrams[:-1] * len(words) + codes[n - 1 :])[0]
        at = np.flatnonzero(places[: len(ngrams)] == places[n - 1 :])
        spread = _count_distinct(ngrams[at], group_of_text[places[at]])
        frequent = at[spread[ngrams[at]] >= min_groups]
        kept, first = np.unique(ngrams[frequent], return_index=True)
        terms += [" ".join(words[code] for code in codes[start : start + n]) for start in frequent[first]]
        counts.append(_count_distinct(ngrams[frequent], places[frequent])[kept])
    order = sorted(range(len(terms)), key=terms.__getitem__)
    idf = np.log((1 + len(texts)) / (1 + np.concatenate(counts)[order])) + 1
    return [terms[i] for i in order], idf.astype(np.float32)


def _count_distinct(keys: Ints, others: npt.NDArray[np.integer]) -> Ints:
    """Give for each key, a number from 0 on, with how many distinct others it stands."""
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    width = int(others.max()) + 1
    pairs = np.sort(keys * width + others)
    new = np.append(True, pairs[1:] != pairs[:-1])
    return np.bincount(pairs[new] // width, minlength=int(keys.max()) + 1)


class NgramTable:
    """The n-grams of several vocabularies, each of which reads one text of a row.

    N-grams weigh as `TfidfVectorizer` weighs them with sublinear_tf and L2 norm.
    """

    def __init__(self, vocabularies: Sequence[Vocabulary]) -> None:
        if any(vocabulary.ngrams.shape[1] > MAX_N for vocabulary in vocabularies):
            raise ValueError(f"n-grams of more than {MAX_N} words")
        # 0 is every word that no n-gram holds
        self._words: dict[str, int] = {}
        for word in chain.from_iterable(vocabulary.words for vocabulary in vocabularies):
            self._words.setdefault(word, len(self._words) + 1)
        self._idf = np.concatenate([vocabulary.idf for vocabulary in vocabularies])
        self.n_features = len(self._idf)
        self._n_blocks = len(vocabularies)
        self._n_words = len(self._words) + 1
        ids = np.zeros((self.n_features, MAX_N), dtype=np.int64)
        start = 0
        for vocabulary in vocabularies:
            own = np.array([0, *map(self._words.__getitem__, vocabulary.words)])
            end = start + len(vocabulary)
            ids[start:end, : vocabulary.ngrams.shape[1]] = own[vocabulary.ngrams]
            start = end
        blocks = np.repeat(np.arange(self._n_blocks), [len(vocabulary) for vocabulary in vocabularies])
        self._index_ngrams(blocks, ids, (ids > 0).sum(axis=1))

    def _index_ngrams(self, blocks: Ints, ids: Ints, lengths: Ints) -> None:
        """Index each n-gram by its beginning, which is a number again, and its last word."""
        columns = np.arange(len(ids))
        single, double, triple = (lengths == n for n in range(1, MAX_N + 1))
        self._columns = np.full((self._n_blocks, self._n_words), -1, dtype=np.int64)
        self._columns[blocks[single], ids[single, 0]] = columns[single]
        first = (blocks * self._n_words + ids[:, 0]) * self._n_words + ids[:, 1]
        self._pairs = pd.Index(np.unique(first[double | triple]))
        self._pair_columns = np.full(len(self._pairs), -1, dtype=np.int64)
        self._pair_columns[self._pairs.get_indexer(first[double])] = columns[double]
        third = self._pairs.get_indexer(first[triple]) * self._n_words + ids[triple, 2]
        order = np.argsort(third)
        self._triples, self._triple_columns = pd.Index(third[order]), columns[triple][order]

    def transform(self, texts: Sequence[Sequence[Sequence[str]]]) -> sp.csr_matrix:
        """Give the weighted n-grams of rows.

        Parameters
        ----------
        texts : sequence of (sequence of sequence of str)
            For each vocabulary the words of each row.

        Returns
        -------
        csr_matrix of shape (n_rows, n_features)
            The vocabularies' matrices side by side.
        """
        n_rows = len(texts[0])
        # the words of one text of one row stand together, and no n-gram reaches into the next
        lengths = np.fromiter(map(len, chain.from_iterable(texts)), dtype=np.int64, count=n_rows * self._n_blocks)
        words = chain.from_iterable(chain.from_iterable(texts))
        ids = np.fromiter(map(self._words.get, words, repeat(0)), dtype=np.int64, count=int(lengths.sum()))
        places = np.repeat(np.arange(len(lengths)), lengths)
        found = [*self._find(ids, places, places // max(n_rows, 1))]
        place, column = (np.concatenate([pair[i] for pair in found]) for i in (0, 1))
        block, row = np.divmod(place, max(n_rows, 1))
        keys, counts = np.unique((row * self._n_blocks + block) * self.n_features + column, return_counts=True)
        group, column = np.divmod(keys, self.n_features)
        values = (1 + np.log(counts)) * self._idf[column]
        values /= np.sqrt(np.bincount(group, values * values))[group]
        values = values.astype(np.float32)
        ends = np.cumsum(np.bincount(group // self._n_blocks, minlength=n_rows))
        return sp.csr_matrix((values, column, np.append(0, ends)), shape=(n_rows, self.n_features))

    def _find(self, ids: Ints, places: Ints, blocks: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Yield (place, column) of every known n-gram, one length after the other."""
        yield _keep(places, self._columns[blocks, ids])
        inside = (places[1:] == places[:-1]) & (ids[1:] > 0) & (ids[:-1] > 0)
        at = np.flatnonzero(inside)
        pairs = self._pairs.get_indexer((blocks[at] * self._n_words + ids[at]) * self._n_words + ids[at + 1])
        at, pairs = at[pairs >= 0], pairs[pairs >= 0]
        yield _keep(places[at], self._pair_columns[pairs])
        inside = np.append(places[2:] == places[:-2], [False, False])[at]
        at, pairs = at[inside], pairs[inside]
        triples = self._triples.get_indexer(pairs * self._n_words + ids[at + 2])
        yield places[at[triples >= 0]], self._triple_columns[triples[triples >= 0]]


def _keep(places: Ints, columns: Ints) -> tuple[Ints, Ints]:
    known = columns >= 0
    return places[known], columns[known]
