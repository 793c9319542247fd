"""A letter's text seen as clean lines that remember where they stand.

All reading of layouts works on these lines, so that offsets always index the text as it was given and
markup, tabs and page breaks are dealt with in one place.
"""

import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = [
    "HEADING_LINES",
    "Line",
    "count_lines",
    "is_bullet",
    "join_lines",
    "join_paragraphs",
    "list_forms",
    "make_lines",
    "may_wrap",
]

# "**Decision rationale:** The patient …", "<b>Case Number:</b>", "### CLINICAL CASE SUMMARY"
MARKUP_RE = re.compile(r"</?b>|\*\*|^\s{0,3}#{1,6}\s", re.IGNORECASE)
PAGE_END_RE = re.compile(r"\f")
# "• Pain level before medication", "- home exercise", "1. Norco 10/325"
BULLET_RE = re.compile(r"(?:[•▪●○\uf0b7*·–-]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+\S")
# "evidence-" at a line's end
HYPHEN_END_RE = re.compile(r"[A-Za-z]-\n?\Z")
#: a heading or the fixed words below one wrap over no more lines than this
HEADING_LINES = 4
SENTENCE_END = frozenset(".!?:;")
#: characters of which all markup has one
MARKUP_CHARS = "<*#"


class Line(NamedTuple):
    """A stretch of the letter without line break.

    Attributes
    ----------
    text : str
        Free of markup and outer white space.
    hyphenated : bool
        A hyphen at the very end cuts a word, as in "evidence-" / "based".
    """

    start_char: int
    end_char: int
    text: str
    hyphenated: bool = False


def make_lines(text: str, *, cuts: Iterable[int] = ()) -> tuple[Line, ...]:
    r"""Cut `text` at its line breaks, and at the offsets `cuts` besides.

    Examples
    --------
    >>> [line.text for line in make_lines("**Priority:**\tStandard\n\nAge")]
    ['Priority: Standard', '', 'Age']
    """
    edges = sorted({0, len(text), *cuts, *(match.end() for match in PAGE_END_RE.finditer(text))})
    marks = [char for char in MARKUP_CHARS if char in text]
    lines: list[Line] = []
    for start, end in itertools.pairwise(edges):
        lines.extend(_cut_lines(text, start, end, marks))
    return tuple(lines)


def _cut_lines(text: str, start: int, end: int, marks: Sequence[str]) -> Iterator[Line]:
    """Yield the lines of a stretch of `text`, which holds markup only where it holds one of `marks`."""
    # StringIO breaks at "\n" alone and leaves it at the line's end, as str.splitlines does not
    for raw in io.StringIO(text[start:end]):
        stripped = raw.strip()
        if stripped:
            # of white space only a space is printable: most lines hold no other, and none twice
            plain = stripped.isprintable() and "  " not in stripped
            clean = stripped if plain else " ".join(stripped.split())
            first = start + raw.index(stripped[0])
            if marks and any(mark in raw for mark in marks):
                clean = " ".join(MARKUP_RE.sub("", raw).split())
            hyphenated = stripped[-1] == "-" and HYPHEN_END_RE.search(raw) is not None
            yield Line(first, first + len(stripped), clean, hyphenated)
        else:
            yield Line(start, start, "")
        start += len(raw)


def is_bullet(text: str) -> bool:
    """Say whether a line opens a list entry."""
    return BULLET_RE.match(text) is not None


def join_lines(lines: Sequence[Line]) -> str:
    """Join `lines` into one, dropping blank ones and keeping a word whole that a hyphen cuts."""
    parts: list[str] = []
    hyphenated = False
    for line in lines:
        if line.text:
            if parts and not (hyphenated and line.text[0].isalnum()):
                parts.append(" ")
            parts.append(line.text)
            hyphenated = line.hyphenated
    return "".join(parts)


def join_paragraphs(lines: Sequence[Line]) -> str:
    r"""Join `lines` into flowing text: one space inside a paragraph, a blank line between two.

    A blank line in the middle of a sentence is a page break and joins like a space; a bullet keeps its line.

    Examples
    --------
    >>> join_paragraphs(make_lines("The request is\n\nnot supported.\n\nNote the following."))
    'The request is not supported.\n\nNote the following.'
    """
    parts: list[str] = []
    before: Line | None = None
    blank = False
    for line in lines:
        if not line.text:
            blank = True
            continue
        if before is not None:
            parts.append(_separate(before, line, blank=blank))
        parts.append(line.text)
        before, blank = line, False
    return "".join(parts)


def _separate(before: Line, after: Line, *, blank: bool) -> str:
    if before.text[-1] in SENTENCE_END:
        if blank and not after.text[0].islower():
            return "\n\n"
        return "\n" if is_bullet(after.text) else " "
    return "" if before.hyphenated and after.text[0].isalnum() else " "


def may_wrap(text: str) -> bool:
    """Say whether a heading that opens with the line `text` may wrap: only capitals and sentences do."""
    return text.isupper() or text.startswith("The ")


def list_forms(lines: Sequence[Line], start: int) -> tuple[str, ...]:
    """Give the texts that a heading may be printed as that opens at `start`: of that line, and of more where it wraps.

    A blank line opens no heading.
    """
    text = lines[start].text
    if not may_wrap(text):
        return (text,) if text else ()
    return (text, *(join_lines(lines[start : start + n]) for n in range(2, HEADING_LINES + 1)))


def count_lines(forms: Sequence[str], heading: re.Pattern[str]) -> int:
    """Give how many lines a heading takes, of the forms that `list_forms` gives; 0 where it does not stand there."""
    for n, form in enumerate(forms, start=1):
        if heading.match(form):
            return n
    return 0
