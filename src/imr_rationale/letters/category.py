"""The words of a treatment -> its request category, body regions and side, by tables of phrases."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple, cast

from imr_rationale.labels import Category, Side
from imr_rationale.letters.amounts import FLAGS, find_strength
from imr_rationale.letters.folding import Phrase
from imr_rationale.letters.limits import LINES_KEPT
from imr_rationale.letters.terms import (
    ENDINGS,
    GENERIC_PHRASES,
    HEADS,
    NOT_TESTS,
    PHRASES,
    QUALIFIERS,
    REGIONS,
    SIDES,
)
from imr_rationale.records import Found

__all__ = ["Word", "read_category", "read_regions", "read_side", "split_words"]

#: the words between two phrases of one noun group, as in "physical therapy lumbar spine initial evaluation"
MAX_GROUP_GAP = 40
# "mri", "x", "ray", "500mg"
WORD_RE = re.compile(r"[a-z0-9]+")
# "MRI of the knee prior to injection": a new noun group begins
BREAK_RE = re.compile(
    r"[,;:+&\[]|\b(?:of|for|to|with|w|without|and|or|prior|in|on|at|by|from|after|before|following|plus|per|via|under|"
    r"versus|vs|including)\b",
    FLAGS,
)
# "both knees"
BOTH = Phrase(re.compile(r"\bboth(?= |$)|\bb/l\b", FLAGS), ("both", "b/l"))
# "left and right wrist"
OPPOSITE_RE = re.compile(r"\b(?:left(?: and | & |/)right|right(?: and | & |/)left)\b", FLAGS)
#: what is asked for before an operation, or to bear it, serves the operation
BEFORE_SURGERY = frozenset({"Diagnostic Testing", "Evaluation & Management", "DMEPOS"})


class Word(NamedTuple):
    """A word of a treatment, as printed and without its plural ending."""

    printed: str
    singular: str
    start_char: int
    end_char: int


class Index(NamedTuple):
    """Phrases to be looked up by their words: few lengths have to be tried at each word.

    Attributes
    ----------
    lengths : mapping of str to tuple of int
        First word -> how many words the phrases have that begin with it, falling.
    kinds : mapping of tuple of str to str
        Words of a phrase -> its kind.
    """

    lengths: Mapping[str, tuple[int, ...]]
    kinds: Mapping[tuple[str, ...], str]


def _index_phrases(tables: Iterable[Mapping[str, tuple[str, ...]]]) -> Index:
    lengths: dict[str, set[int]] = {}
    kinds: dict[tuple[str, ...], str] = {}
    for kind, phrase in ((kind, phrase) for table in tables for kind, phrases in table.items() for phrase in phrases):
        words = tuple(_singular(word) for word in phrase.split())
        lengths.setdefault(words[0], set()).add(len(words))
        # of two tables with one phrase the first counts
        kinds.setdefault(words, kind)
    return Index({first: tuple(sorted(found, reverse=True)) for first, found in lengths.items()}, kinds)


@cache
def _index_categories() -> Index:
    return _index_phrases((cast("Mapping[str, tuple[str, ...]]", PHRASES), QUALIFIERS))


@cache
def _index_generic() -> Index:
    return _index_phrases((cast("Mapping[str, tuple[str, ...]]", GENERIC_PHRASES),))


@cache
def _index_regions() -> Index:
    return _index_phrases((REGIONS,))


@lru_cache(maxsize=LINES_KEPT)
def _singular(word: str) -> str:
    """Give a word without its plural ending; "TENS" is no plural of ten.

    Examples
    --------
    >>> [_singular(word) for word in ("braces", "crutches", "biopsies", "pelvis", "tens")]
    ['brace', 'crutch', 'biopsy', 'pelvis', 'tens']
    """
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")) or word == "tens":
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses")) else word[:-1]


def _read_ending(word: str) -> str | None:
    if len(word) < 7 or word in NOT_TESTS:
        return None
    return next((kind for kind, endings in ENDINGS if word.endswith(endings)), None)


def split_words(text: str) -> tuple[Word, ...]:
    """Give the words of a treatment, which the readers of categories, regions and sides share."""
    return tuple(Word(match[0], _singular(match[0]), match.start(), match.end()) for match in WORD_RE.finditer(text))


def _scan(
    words: Sequence[Word], index: Index, read_word: Callable[[str], str | None] = lambda word: None
) -> Iterator[Found[str]]:
    """Yield the phrases of `index` in order, none inside another; `read_word` judges a word that begins none."""
    singulars = tuple(word.singular for word in words)
    i = 0
    while i < len(words):
        size, kind = _find_phrase(singulars, i, index) or (1, read_word(singulars[i]))
        if kind is not None:
            yield Found(kind, words[i].start_char, words[i + size - 1].end_char)
        i += size


def _find_phrase(words: tuple[str, ...], i: int, index: Index) -> tuple[int, str] | None:
    """Give length and kind of the longest phrase that stands at word `i`."""
    for length in index.lengths.get(words[i], ()):
        phrase = words[i : i + length]
        if phrase in index.kinds:
            return len(phrase), index.kinds[phrase]
    return None


def read_category(text: str, words: Sequence[Word]) -> Found[Category] | None:
    """Read the request category, with the words that decide it."""
    matches = tuple(_scan(words, _index_categories(), _read_ending))
    head = _find_head(text, [match for match in matches if match.value not in {"pre", "post"}])
    if head is None:
        head = _read_strength(text) or _find_head(text, list(_scan(words, _index_generic())))
    qualifiers = [match for match in matches if match.value in {"pre", "post"}]
    found = _qualify(head, qualifiers)
    if found is None:
        return None
    value = "Evaluation & Management" if found.value == "specialty" else found.value
    return Found(cast("Category", value), found.start_char, found.end_char)


def _find_head(text: str, matches: list[Found[str]]) -> Found[str] | None:
    """Give the first match, or the later one of its noun group that takes over."""
    if not matches:
        return None
    head = last = matches[0]
    for match in matches[1:]:
        gap = text[last.end_char : match.start_char]
        if len(gap) > MAX_GROUP_GAP or BREAK_RE.search(gap) or ("(" in gap and match.value != head.value):
            break
        if match.value in HEADS.get(head.value, frozenset()):
            head = match
        last = match
    return head


def _read_strength(text: str) -> Found[str] | None:
    match = find_strength(text)
    return Found("Pharmaceuticals", match.start(), match.end()) if match else None


def _qualify(head: Found[str] | None, qualifiers: list[Found[str]]) -> Found[str] | None:
    """Make what serves an operation an adjunct of it: "pre-operative EKG", "walker, post-operative"."""
    for qualifier in qualifiers:
        if head is None:
            return Found("Adjunct Surgical Services", qualifier.start_char, qualifier.end_char)
        early = qualifier.value == "pre" and qualifier.start_char < head.start_char
        kinds = BEFORE_SURGERY | {"specialty"} if early else frozenset({"DMEPOS"} if qualifier.value == "post" else ())
        if head.value in kinds:
            start = min(qualifier.start_char, head.start_char)
            return Found("Adjunct Surgical Services", start, max(qualifier.end_char, head.end_char))
    return head


def read_regions(words: Sequence[Word]) -> Iterator[Found[str]]:
    """Yield the body regions, each once."""
    seen = {""}
    for region in _scan(words, _index_regions()):
        if region.value not in seen:
            seen.add(region.value)
            yield region


def read_side(text: str, words: Sequence[Word]) -> Found[Side] | None:
    """Read the side; of different ones the first."""
    opposite = OPPOSITE_RE.search(text) if "left" in text and "right" in text else None
    opposite = opposite or (BOTH.pattern.search(text) if BOTH.may_stand_in(text) else None)
    first = next((word for word in words if word.printed in SIDES), None)
    if opposite is not None and (first is None or opposite.start() <= first.start_char):
        return Found("bilateral", opposite.start(), opposite.end())
    return Found(SIDES[first.printed], first.start_char, first.end_char) if first else None
