"""A letter's text seen as clean lines that remember where they stand.

All reading of layouts works on these lines, so that offsets always index the text as it was given and
markup, tabs and page breaks are dealt with in one place.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Line", "count_lines", "is_bullet", "join_lines", "join_paragraphs", "make_lines"]

# "**Decision rationale:** The patient …", "<b>Case Number:</b>", "### CLINICAL CASE SUMMARY"
MARKUP_RE = re.compile(r"</?b>|\*\*|^\s{0,3}#{1,6}\s", re.IGNORECASE)
BREAK_RE = re.compile(r"[\n\f]")
# "• Pain level before medication", "- home exercise", "1. Norco 10/325"
BULLET_RE = re.compile(r"(?:[•▪●○\uf0b7*·–-]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+\S")
HYPHEN_END_RE = re.compile(r"[A-Za-z]-\n?\Z")
#: a heading or the fixed words below one wrap over no more lines than this
HEADING_LINES = 4
SENTENCE_END = frozenset(".!?:;")


@dataclass(frozen=True, slots=True)
class Line:
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
    edges = sorted({0, len(text), *cuts, *(match.end() for match in BREAK_RE.finditer(text))})
    return tuple(_make_line(text, start, end) for start, end in itertools.pairwise(edges))


def _make_line(text: str, start: int, end: int) -> Line:
    raw = text[start:end]
    stripped = raw.strip()
    first = start + (len(raw) - len(raw.lstrip())) if stripped else start
    clean = " ".join(MARKUP_RE.sub("", raw).split()) if any(map(raw.__contains__, "<*#")) else " ".join(raw.split())
    return Line(first, first + len(stripped), clean, "-" in raw[-2:] and HYPHEN_END_RE.search(raw) is not None)


def is_bullet(text: str) -> bool:
    """Say whether a line opens a list entry."""
    return BULLET_RE.match(text) is not None


def join_lines(lines: Sequence[Line]) -> str:
    """Join `lines` into one, dropping blank ones and keeping a word whole that a hyphen cuts."""
    return _join(lines, _glue)


def join_paragraphs(lines: Sequence[Line]) -> str:
    r"""Join `lines` into flowing text: one space inside a paragraph, a blank line between two.

    A blank line in the middle of a sentence is a page break and joins like a space; a bullet keeps its line.

    Examples
    --------
    >>> join_paragraphs(make_lines("The request is\n\nnot supported.\n\nNote the following."))
    'The request is not supported.\n\nNote the following.'
    """
    return _join(lines, _separate)


def count_lines(lines: Sequence[Line], start: int, heading: re.Pattern[str]) -> int:
    """Give how many lines a heading takes that opens at `start` and may wrap; 0 where it does not stand there."""
    text = lines[start].text
    if not text:
        return 0
    if heading.match(text):
        return 1
    if not (text.isupper() or text.startswith("The ")):
        return 0
    wrapped = range(2, HEADING_LINES + 1)
    return next((n for n in wrapped if heading.match(join_lines(lines[start : start + n]))), 0)


def _join(lines: Sequence[Line], separator: Callable[[Line, Line, bool], str]) -> str:
    parts: list[str] = []
    before: Line | None = None
    blank = False
    for line in lines:
        if not line.text:
            blank = True
            continue
        if before is not None:
            parts.append(separator(before, line, blank))
        parts.append(line.text)
        before, blank = line, False
    return "".join(parts)


def _glue(before: Line, after: Line, blank: bool) -> str:
    return "" if before.hyphenated and after.text[0].isalnum() else " "


def _separate(before: Line, after: Line, blank: bool) -> str:
    ended = before.text[-1] in SENTENCE_END
    if blank and ended and not after.text[0].islower():
        return "\n\n"
    return "\n" if ended and is_bullet(after.text) else _glue(before, after, blank)
