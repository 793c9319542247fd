"""What stands on every page and belongs to no sentence: running headers, footers and page numbers."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from imr_rationale.letters.lines import Line

__all__ = ["drop_page_lines", "find_body_lines"]

# "Page 2 of 6", "Final Determination Letter for IMR Case Number CM14-0001234 3", "IMR Case Number: CM14-0001234 Page 3"
PAGE_LINE_RE = re.compile(
    r"(?:Page \d{1,4}(?: of \d{1,4})?"
    r"|(?:Final Determination Letter for )?IMR Case Number ?:? CM\d{2}-\d{7},?"
    r"(?: (?:Page )?\d{1,4}(?: of \d{1,4})?)?)$",
    re.IGNORECASE,
)
# "3"
NUMBER_RE = re.compile(r"\d{1,4}$")
# numbers that count pages
DIGITS_RE = re.compile(r"\d+")
#: lines at the top and at the bottom of a page that may be running headers
EDGE_LINES = 3
#: pages that a running header stands on at least
MIN_PAGES = 3


def drop_page_lines(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Give the lines of a letter without those that name or number a page.

    A number alone is a page's when a blank line or a running header stands before it and it counts on from the one
    before: some sentences end in a number on a line of its own.
    """
    kept = []
    pages = 0
    edge = True
    for line in lines:
        text = line.text
        # what names or numbers a page ends in its number, or in the comma behind the case number
        numbered = text and (text[-1].isdecimal() or text[-1] == ",")
        if numbered and PAGE_LINE_RE.match(text):
            edge = True
        elif numbered and edge and NUMBER_RE.match(text) and pages < int(text) <= pages + (1 if pages else 2):
            pages = int(text)
        else:
            kept.append(line)
            edge = not text
    return tuple(kept)


def find_body_lines(pages: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Yield for each page the indices of its lines, without running headers, footers and page numbers.

    A line is running when it stands at the edge of at least three pages, and of half of them, with other numbers at
    most.
    """
    limit = max(MIN_PAGES, len(pages) / 2)
    edges = [_find_edges(lines) if len(pages) >= MIN_PAGES else {} for lines in pages]
    counts = Counter(key for keys in edges for key in set(keys.values()))
    for lines, keys in zip(pages, edges, strict=True):
        yield [i for i in range(len(lines)) if not (i in keys and counts[keys[i]] >= limit)]


def _find_edges(lines: Sequence[str]) -> dict[int, str]:
    """Give the first and last printed lines of a page by their indices, each without what differs between pages."""
    printed = [i for i, line in enumerate(lines) if line.strip()]
    return {i: _fold(lines[i]) for i in (*printed[:EDGE_LINES], *printed[-EDGE_LINES:])}


def _fold(line: str) -> str:
    return DIGITS_RE.sub("0", " ".join(line.split()))
