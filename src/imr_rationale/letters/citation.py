"""Guideline lines read into the guidelines that they name.

A line is cut where a mark stands (an opening such as "Decision based on", a publisher's name, a title of the MTUS);
each piece is one citation, and its fields are read from its own words. What stands in parentheses never cuts.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from imr_rationale.labels import GuidelineBody
from imr_rationale.letters.folding import Phrase, fold_case
from imr_rationale.letters.guidelines import (
    ADDRESS,
    AFTER,
    ATTACHED,
    BODIES,
    CHAPTER_WORD_RE,
    EDGE_RE,
    EMPTY_RE,
    INHERITING,
    JOINT_RE,
    LINKED,
    MARK_RE,
    MARK_WORDS,
    MASK,
    NOISE,
    NONE,
    OPENERS,
    OUTSIDE,
    PAGES,
    PAREN_RE,
    REGULATION,
    REVERSED_EDGE_RE,
    SECTION_RE,
    SEPARATORS,
    SPACE_RE,
    TITLE_RE,
    UNMARKED,
    WORD_RE,
    YEAR,
)
from imr_rationale.letters.limits import LINES_KEPT
from imr_rationale.records import Basis, Citation, Found

__all__ = ["read_basis"]

#: characters; the longest real line seen has 1,700
MAX_CHARS = 20_000
#: characters; a longer parenthesis is text that holds citations, not an aside
MAX_ASIDE = 200
#: what a title follows that is not a topic of the guideline before it
LINKS = (", ", "; ", ". ", ": ", " and ", " on ", " the ", " citation ")
#: words that open a clause on what was named before
CLAUSES = frozenset({"which", "that", "both"})


@dataclass(slots=True)
class _Piece:
    """A stretch of the line, its marks, and whether the line says that what it names is part of the MTUS."""

    start: int
    end: int
    mark_end: int
    kinds: list[str]
    adopted: bool | None = None


@lru_cache(maxsize=LINES_KEPT)
def read_basis(line: str | None) -> Basis:
    """Read which guidelines a guideline line names.

    Parameters
    ----------
    line : str or None
        Of an item's claims administrator or reviewer; beyond `MAX_CHARS` characters it is not read.

    Returns
    -------
    Basis
        For every citation `line[start_char:end_char] == text`.

    References
    ----------
    California Code of Regulations, title 8, sections 9792.20 to 9792.27: the MTUS and what it adopts of ACOEM.

    Examples
    --------
    >>> basis = read_basis("MTUS Knee Complaints 2004, Section(s): Summary, and Opioid Treatment 2016.")
    >>> [(citation.body, citation.title, citation.section, citation.year) for citation in basis.citations]
    [('MTUS', 'Knee Complaints', 'Summary', 2004), ('MTUS', 'Opioid Treatment', None, 2016)]
    """
    line = (line or "")[:MAX_CHARS]
    text = SPACE_RE.sub(" ", line)
    folded = fold_case(text)
    outside, none = _find(OUTSIDE, line, text, folded), _find(NONE, line, text, folded)
    plain = OUTSIDE.pattern.sub(_blank, text) if outside else text
    plain = _mask_asides(NONE.pattern.sub(_blank, plain) if NONE.may_stand_in(fold_case(plain)) else plain)
    pieces = (piece for piece in _cut(plain) if not (none and piece.kinds[-1] in UNMARKED))
    return Basis(tuple(_make_citations(line, plain, pieces)), outside, none)


def _find(phrase: Phrase, line: str, text: str, folded: str) -> Found[str] | None:
    match = phrase.pattern.search(text) if phrase.may_stand_in(folded) else None
    return match and Found(line[match.start() : match.end()], match.start(), match.end())


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _mask_asides(text: str) -> str:
    """Cover what stands in parentheses, so that no mark is found there."""
    if "(" not in text:
        return text
    opened: list[int] = []
    chars = list(text)
    for paren in PAREN_RE.finditer(text):
        if paren.group() == "(":
            opened.append(paren.start())
        elif opened:
            start = opened.pop()
            if paren.end() - start <= MAX_ASIDE:
                chars[start : paren.end()] = MASK * (paren.end() - start)
    return "".join(chars)


def _make_citations(line: str, plain: str, pieces: Iterable[_Piece]) -> Iterator[Citation]:
    for piece in pieces:
        start, end = _trim(plain, piece.start, piece.end)
        if start < end:
            text = line[start:end]
            body = _choose_body(piece)
            title, section, year, pages, regulation = _read_parts(text, body)
            yield Citation(body, title, section, year, pages, regulation, start, end, text)


@lru_cache(maxsize=LINES_KEPT)
def _read_parts(text: str, body: GuidelineBody) -> tuple[str | None, str | None, int | None, str | None, str | None]:
    """Read the title, section, year, pages and regulation of a citation; the same few are cited over and over."""
    (year, pages, regulation), rest = _read_numbers(text)
    return *_read_names(rest, body), year, pages, regulation


def _cut(plain: str) -> list[_Piece]:
    """Cut the line at its marks; every opening begins an empty piece that says what the next ones inherit."""
    pieces = [_Piece(0, len(plain), 0, ["start"])]
    for mark in _find_marks(plain):
        kind, last = str(mark.lastgroup), pieces[-1]
        if kind == "open" and last.kinds == ["start"]:
            last.end = last.start  # "The utilization reviewer" is whose decision it was
        if kind == "part":
            _adopt(pieces, adopted=mark["no"] is None)
        if kind in OPENERS:
            _open(pieces, _Piece(mark.end(), len(plain), mark.end(), ["open"], OPENERS[kind]), mark.start())
        elif _joins(last, mark, plain):
            last.kinds.append(kind)
            last.mark_end = mark.end()
        elif _begins(last, mark, plain):
            kinds = [*last.kinds, kind] if kind in INHERITING else [kind]
            _open(pieces, _Piece(mark.start(), len(plain), mark.end(), kinds, last.adopted), mark.start())
    return pieces


def _find_marks(plain: str) -> Iterator[re.Match[str]]:
    """Yield what `MARK_RE.finditer` does; a mark begins with one of few words and is looked for at these alone."""
    end = 0
    before = ""
    for word in WORD_RE.finditer(fold_case(plain)):
        name = word.group()
        if name in MARK_WORDS or before in LINKED or name[0].isdigit() or name.endswith("the"):
            for start in _list_starts(plain, word, name):
                if start >= end and (mark := MARK_RE.match(plain, start)):
                    yield mark
                    end = mark.end()
                    break
        before = name


def _list_starts(plain: str, word: re.Match[str], name: str) -> Sequence[int]:
    """List where a mark may begin: with the comma and space before "which", and with "The" that is run together."""
    start = word.start()
    if name in CLAUSES:
        return range(max(start - 2, 0), start + 1)
    return (start, word.end() - len("the")) if name.endswith("the") else (start,)


def _open(pieces: list[_Piece], piece: _Piece, end: int) -> None:
    pieces[-1].end = min(pieces[-1].end, end)
    pieces.append(piece)


def _adopt(pieces: list[_Piece], *, adopted: bool) -> None:
    """Tell every piece since the last opening what the line says of it."""
    for piece in reversed(pieces):
        piece.adopted = adopted
        if piece.kinds[0] == "open":
            return


def _joins(piece: _Piece, mark: re.Match[str], plain: str) -> bool:
    """Whether a mark names again what the piece names: "MTUS ACOEM"; the address of a source."""
    if mark.lastgroup == "url":
        return not any(kind in BODIES or kind == "url" for kind in piece.kinds)
    gap = plain[piece.mark_end : mark.start()]
    return mark.lastgroup in ATTACHED.get(piece.kinds[-1], ()) and JOINT_RE.match(gap) is not None


def _begins(piece: _Piece, mark: re.Match[str], plain: str) -> bool:
    """Whether a mark names another guideline, not a topic of the piece's own."""
    kind, before = str(mark.lastgroup), plain[max(mark.start() - 10, 0) : mark.start()].lower()
    linked = not before or before.endswith(LINKS)
    if kind in ("complaints", "guideline"):
        return linked and ("odg" not in piece.kinds or before.endswith("; "))
    if kind == "other" and not linked:
        return False
    return kind not in AFTER or not AFTER[kind].isdisjoint(piece.kinds) or (kind == "other" and before.endswith("; "))


def _trim(plain: str, start: int, end: int) -> tuple[int, int]:
    text = plain[start:end]
    first, last = EDGE_RE.match(text), REVERSED_EDGE_RE.match(text[::-1])
    return start + (first.end() if first else 0), end - (last.end() if last else 0)


def _choose_body(piece: _Piece) -> GuidelineBody:
    """MTUS where the line says so, else who publishes it; a chapter without a name is ODG's, whose names they are."""
    if piece.adopted:
        return "MTUS"
    if piece.adopted is False and piece.kinds[-1] == "complaints":
        return "ACOEM"
    return next((body for kind, body in BODIES.items() if kind in piece.kinds), "other")


def _read_numbers(text: str) -> tuple[tuple[int | None, str | None, str | None], str]:
    """Year, pages and regulation; and the text without address, pages and regulation."""
    text, _ = _take_out(ADDRESS, text)
    text, regulation = _take_out(REGULATION, text)
    text, pages = _take_out(PAGES, text)
    year = YEAR.search(text)  # numerals have no case
    return (year and int(year["value"]), pages and pages["value"], regulation and regulation.group()), text


def _take_out(phrase: Phrase, text: str) -> tuple[str, re.Match[str] | None]:
    """Give a text with a space for each match of a phrase, and the first match."""
    match = phrase.pattern.search(text) if phrase.may_stand_in(fold_case(text)) else None
    return (phrase.pattern.sub(" ", text) if match else text), match


def _read_names(text: str, body: GuidelineBody) -> tuple[str | None, str | None]:
    """Title and section: what is left when numbers and publishers are gone."""
    for phrase in NOISE:
        text, _ = _take_out(phrase, text)
    text = _tidy(text)
    if label := SECTION_RE.search(text):
        title, section = CHAPTER_WORD_RE.sub("", _tidy(text[: label.start()])), text[label.end() :]
    elif body == "other":
        title, section = text, ""
    elif match := TITLE_RE.match(text):
        title, section = match["title"], text[match.end() :]
    else:
        title, section = "", text
    return _tidy(title) or None, _tidy(section) or None


def _tidy(text: str) -> str:
    if any(char in text for char in ",;)"):
        text = EMPTY_RE.sub(" ", text)
    text = " ".join(text.split()).strip(SEPARATORS)
    return text[1:-1] if text[:1] == "(" and text[-1:] == ")" else text
