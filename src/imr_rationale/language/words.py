"""Text -> normalised words and where they begin."""

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from spacy.language import Language
from spacy.tokens import Doc

from imr_rationale.language.lexicon import Known, look_up
from imr_rationale.language.scopes import STATUSES, find_heads
from imr_rationale.language.tables import WORDS_KEPT, Table
from imr_rationale.letters.folding import fold_case

if TYPE_CHECKING:
    import Stemmer

__all__ = [
    "Word",
    "Words",
    "find_ends",
    "join_words",
    "list_words",
    "normalize_text",
    "prefix",
    "read_lowered",
    "read_text",
    "read_words",
    "split_plain",
    "split_words",
    "stem",
    "strip_span",
    "take_words",
]

# "self-directed", "patient's", "11/16/16", "#60", "2-3", "80%"; it begins with a set of characters, to be found faster
WORD_RE = re.compile(
    r"([a-z\d#;:\"?%](?:"
    r"(?<=[a-z])[a-z]*(?:['’-][a-z]+)*"
    r"|(?<=\b\d)\d?[/-]\d{1,2}[/-]\d{2,4}\b"
    r"|(?:(?<=\b\d)|(?<=#)\d)[\d,.]*(?:-\d[\d,.]*)?%?"
    r"|(?<=[;:\"?%])))",
    re.ASCII,
)
# "11/16/16"
DATE_RE = re.compile(r"\d{1,2}[/-]\d{1,2}[/-]\d{2,4}", re.ASCII)
# "self" and "directed"
PLAIN_WORD_RE = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True, slots=True)
class Word:
    """A word, and what holds of it wherever it stands.

    Attributes
    ----------
    text : str
        Normalised: in lower case, dates and numbers as <date> and <num>.
    stem : str
    known : Known, optional
        What the lexicon has of it.
    heads : tuple of (int, int)
        What may begin in it, as `find_heads` finds it.
    tags : tuple of (int, tuple of str)
        Offset of what is plain in it, and the stem of that joined with each of `STATUSES`.
    """

    text: str
    stem: str
    known: Known | None
    heads: tuple[tuple[int, int], ...]
    tags: tuple[tuple[int, tuple[str, ...]], ...]


class Words(NamedTuple):
    """The words of a text, side by side.

    Attributes
    ----------
    starts : list of int
        Offsets in the text.
    words : list of Word
    """

    starts: list[int]
    words: list[Word]


def split_words(lowered: str) -> Words:
    """Split a text in lower case into its normalised words."""
    parts = WORD_RE.split(lowered)
    edges = list(accumulate(map(len, parts)))
    return Words(edges[:-1:2], [WORDS[word] for word in parts[1::2]])


def list_words(lowered: str) -> list[str]:
    """Give the normalised words of a text in lower case alone."""
    return [NORMALIZED[word] for word in WORD_RE.findall(lowered)]


def find_ends(lowered: str, words: Words) -> list[int]:
    """Give the offsets at which the words of a text end."""
    return [start + len(word) for start, word in zip(words.starts, WORD_RE.findall(lowered), strict=True)]


#: words of one sign
MARKS = frozenset(';:"?%')


def take_words(words: Words, start: int, end: int) -> Words:
    """Give the words that begin in `text[start:end]`."""
    part = slice(bisect_left(words.starts, start), bisect_left(words.starts, end))
    return Words(words.starts[part], words.words[part])


def join_words(words: Words, stretches: Iterable[tuple[int, int]]) -> Words:
    """Give the words of stretches of a text, as they stand where these are joined with a space."""
    joined = Words([], [])
    length = 0
    for start, end in stretches:
        part = take_words(words, start, end)
        shift = length - start
        joined.starts.extend([offset + shift for offset in part.starts])
        joined.words.extend(part.words)
        length += end - start + 1
    return joined


def strip_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Give the span of `text[start:end]` without outer white space; an empty one has no words."""
    raw = text[start:end]
    stripped = raw.strip()
    if len(stripped) == len(raw):
        return start, end
    first = start + len(raw) - len(raw.lstrip())
    return first, first + len(stripped)


def _normalize_word(word: str) -> str:
    """Write dates and numbers by their names; equal words are one object, however many texts hold them."""
    if word >= "a" or word in MARKS:
        return word
    return "<date>" if DATE_RE.fullmatch(word) else "<num>"


NORMALIZED = Table(_normalize_word)


@lru_cache(maxsize=WORDS_KEPT)
def prefix(name: str, word: str) -> str:
    """Say of a word where it stood; equal ones are one object.

    Examples
    --------
    >>> prefix("prev", "turn")
    'prev:turn'
    """
    return f"{name}:{word}"


@Language.component("imr_words")
def set_words(doc: Doc) -> Doc:
    """Keep the text of `doc`, the same in lower case, and its words."""
    # who makes a Doc knows its text; of one that comes without, spaCy puts it together
    text = doc.user_data["text"] = doc.user_data.get("text") or doc.text
    lowered = doc.user_data["lowered"] = fold_case(text)
    doc.user_data["words"] = split_words(lowered)
    return doc


def read_text(doc: Doc) -> str:
    """Give `doc.text` of a Doc of the pipeline, which spaCy puts together anew each time."""
    return str(doc.user_data["text"])


def read_lowered(doc: Doc) -> str:
    """Give the text of a Doc of the pipeline in lower case, at the same offsets."""
    return str(doc.user_data["lowered"])


def read_words(doc: Doc) -> Words:
    """Give the words of a Doc of the pipeline."""
    words: Words = doc.user_data["words"]
    return words


def normalize_text(text: str) -> str:
    """Lower the case and write dates and numbers as <date> and <num>.

    Examples
    --------
    >>> normalize_text("On 11/16/16, #60 tablets were denied.")
    'on <date> <num> tablets were denied'
    """
    return " ".join(list_words(fold_case(text)))


def split_plain(word: str) -> tuple[tuple[int, str], ...]:
    """Give (offset, letters) of each run of three letters or more: "self-directed" holds two, "<num>" none."""
    if word[0] < "a":
        return ()
    return tuple((match.start(), match.group()) for match in PLAIN_WORD_RE.finditer(word))


def stem(word: str) -> str:
    """Give the stem of a normalised word.

    Examples
    --------
    >>> " ".join(map(stem, "no documentation of functional improvement".split()))
    'no document of function improv'
    """
    return STEMS[word]


@cache
def _make_stemmer() -> "Stemmer.Stemmer":
    import Stemmer

    return Stemmer.Stemmer("english")


def _read_word(text: str) -> Word:
    pieces = [(offset, stem(letters)) for offset, letters in split_plain(text)]
    tags = tuple((offset, tuple(f"{piece}|{status}" for status in STATUSES)) for offset, piece in pieces)
    return Word(text, stem(text), look_up(text), find_heads(text), tags)


STEMS: Table[str, str] = Table(lambda word: _make_stemmer().stemWord(word))
#: normalised word -> what is known of it
KNOWN_WORDS = Table(_read_word)
#: word as it stands in a text -> what is known of it
WORDS: Table[str, Word] = Table(lambda word: KNOWN_WORDS[NORMALIZED[word]])
