"""Invented letters without end, each worded differently: copies would flatter every cache.

A letter of the corpus is taken to pieces once. What names, drugs, findings, numbers and dates do in real letters its
pieces do here: they are others in every letter, while the words that carry a reason, a verdict or a heading stay.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from imr_rationale.learning.corpus import AnnotatedItem, AnnotatedLetter, AnnotatedSentence, read_corpus
from imr_rationale.learning.train import make_item_text
from imr_rationale.records import ItemText

__all__ = ["CORPUS", "list_rationales", "make_item_texts", "make_letters"]

CORPUS = Path(__file__).parents[2] / "data" / "corpus"

# "11/16/2016"; "2014"; "0.5", "#60"; "tendinosis"
PIECE_RE = re.compile(
    r"(?P<date>\b\d{1,2}/\d{1,2}/\d{2,4}\b)|(?P<year>\b(?:19|20)\d\d\b)|(?P<number>(?<![A-Za-z0-9])\d+)"
    r"|(?P<word>[A-Za-z]{4,})"
)
#: words that stand in fewer items than this are exchanged: cues, verdicts and headings stand in more
RARE_ITEMS = 25
#: pieces of a rationale that are exchanged at least, its rarest words where it has too few; no two are the same then
MIN_PIECES = 3

# Heaps' law: the number of distinct words grows as a power of the number of words, in the rationales of 107 real
# letters (35,000 words) with exponent 0.42, that of runs between spaces, which are what spaCy's tokenizer remembers,
# with 0.54. New words are therefore drawn from an endless list by a power law: the millionth letter still brings some,
# fewer than the tenth. Measured on 107 of these letters, the share of words that stand in no other letter is 6.9 %
# (real: 3.8 %), of runs 12.7 % (real: 7.4 %); over 20,000 of them runs grow with exponent 0.52. That they are harder
# than real letters, which repeat whole rationales, is meant: figures are to hold for the worse case.
#: share of exchanged words that come from the endless list; the others are words of the corpus
NEW_SHARE = 0.12
NEW_EXPONENT = 0.55
#: words of the endless list that are equally frequent
NEW_HEAD = 400

SYLLABLES = tuple(f"{first}{second}" for first in "bcdfglmnprstvz" for second in "aeiou")
ENDINGS = ("in", "ol", "ide", "itis", "ectomy", "ine", "al", "osis", "ium", "ate")


@dataclass(frozen=True, slots=True)
class Template:
    """A text in pieces: what stays, and between them what is exchanged."""

    fixed: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]

    def fill(self, chance: random.Random, words: Sequence[str]) -> str:
        parts = [self.fixed[0]]
        for (kind, old), after in zip(self.kinds, self.fixed[1:], strict=True):
            parts += (_exchange(kind, old, chance, words), after)
        return "".join(parts)


def _exchange(kind: str, old: str, chance: random.Random, words: Sequence[str]) -> str:
    draw = chance.random
    if kind == "word":
        word = _invent_word(int(NEW_HEAD * chance.paretovariate(NEW_EXPONENT) - draw() * NEW_HEAD))
        word = word if draw() < NEW_SHARE else words[int(draw() * len(words))]
        return word.capitalize() if old[0].isupper() else word
    if kind == "number":
        low = 10 ** (len(old) - 1)
        return str(low + int(draw() * 9 * low))
    year = 2005 + int(draw() * 13)
    if kind == "year":
        return str(year)
    return f"{1 + int(draw() * 12):02}/{1 + int(draw() * 28):02}/{year}"


def _invent_word(rank: int) -> str:
    """Give the word of that rank: two syllables or more and an ending, no two words alike."""
    rest, ending = divmod(rank, len(ENDINGS))
    syllables = []
    while rest or len(syllables) < 2:
        rest, syllable = divmod(rest, len(SYLLABLES))
        syllables.append(SYLLABLES[syllable])
    return "".join(syllables) + ENDINGS[ending]


@dataclass(frozen=True, slots=True)
class _ItemTemplate:
    item: AnnotatedItem
    treatment: Template
    guidelines: tuple[Template, Template]
    sentences: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class _LetterTemplate:
    letter: AnnotatedLetter
    summary: Template
    items: tuple[_ItemTemplate, ...]


@cache
def _read_templates() -> tuple[tuple[_LetterTemplate, ...], tuple[str, ...]]:
    """Take the corpus to pieces; gives its letters in a mixed order, and the words to exchange others for."""
    letters = list(read_corpus(CORPUS))
    counts = Counter(word for letter in letters for item in letter.items for word in _list_words(item.rationale))
    rare = {word: count for word, count in counts.items() if count < RARE_ITEMS}
    words = tuple(word for word, count in sorted(rare.items()) for _ in range(count))
    random.Random(0).shuffle(letters)  # noqa: S311  (no secret)
    return tuple(_take_apart_letter(letter, rare, counts) for letter in letters), words


def _list_words(text: str) -> set[str]:
    return {match["word"].lower() for match in PIECE_RE.finditer(text) if match["word"]}


def _take_apart_letter(letter: AnnotatedLetter, rare: dict[str, int], counts: Counter[str]) -> _LetterTemplate:
    exchanged = frozenset(rare)
    items = []
    for item in letter.items:
        own = exchanged
        if sum(_is_exchanged(match, own) for match in PIECE_RE.finditer(item.rationale)) < MIN_PIECES:
            own = exchanged | set(sorted(_list_words(item.rationale), key=lambda word: counts[word])[:MIN_PIECES])
        guidelines = (item.claims_administrator_guideline, item.reviewer_guideline)
        items.append(
            _ItemTemplate(
                item,
                _take_apart(item.treatment, exchanged),
                (_take_apart(guidelines[0], exchanged), _take_apart(guidelines[1], exchanged)),
                tuple(_take_apart(sentence.text, own) for sentence in item.sentences),
            )
        )
    return _LetterTemplate(letter, _take_apart(letter.summary, exchanged), tuple(items))


def _is_exchanged(match: re.Match[str], words: frozenset[str]) -> bool:
    return not match["word"] or match["word"].lower() in words


def _take_apart(text: str, words: frozenset[str]) -> Template:
    fixed, kinds, end = [], [], 0
    for match in PIECE_RE.finditer(text):
        if _is_exchanged(match, words):
            fixed.append(text[end : match.start()])
            kinds.append((str(match.lastgroup), match.group()))
            end = match.end()
    return Template((*fixed, text[end:]), tuple(kinds))


def make_letters(n_letters: int, *, start: int = 0) -> Iterator[AnnotatedLetter]:
    """Yield annotated letters; letter `i` is the same in every run, and no two have a rationale in common."""
    templates, words = _read_templates()
    for i in range(start, start + n_letters):
        yield _fill_letter(templates[i % len(templates)], i, words)


def _fill_letter(template: _LetterTemplate, i: int, words: Sequence[str]) -> AnnotatedLetter:
    chance = random.Random(i)  # noqa: S311  (no secret)
    return replace(
        template.letter,
        id=f"CM99-{i:07}",
        summary=template.summary.fill(chance, words),
        items=tuple(_fill_item(item, chance, words) for item in template.items),
    )


def _fill_item(template: _ItemTemplate, chance: random.Random, words: Sequence[str]) -> AnnotatedItem:
    sentences: list[AnnotatedSentence] = []
    start = 0
    for old, sentence in zip(template.item.sentences, template.sentences, strict=True):
        text = sentence.fill(chance, words)
        sentences.append(replace(old, start_char=start, end_char=start + len(text), text=text))
        start += len(text) + 1
    return replace(
        template.item,
        treatment=template.treatment.fill(chance, words),
        claims_administrator_guideline=template.guidelines[0].fill(chance, words),
        reviewer_guideline=template.guidelines[1].fill(chance, words),
        rationale=" ".join(sentence.text for sentence in sentences),
        sentences=tuple(sentences),
    )


def make_item_texts(n_items: int, *, start: int = 0) -> list[ItemText]:
    """Give the items of the letters from number `start` on, as a model reads them."""
    found: list[ItemText] = []
    while len(found) < n_items:
        for letter in make_letters(1, start=start):
            found += [make_item_text(letter, item) for item in letter.items]
        start += 1
    return found[:n_items]


def list_rationales(n_items: int, *, start: int = 0) -> list[str]:
    """Give the rationales of the letters from number `start` on."""
    return [item.rationale for item in make_item_texts(n_items, start=start)]
