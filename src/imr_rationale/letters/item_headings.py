"""Where the items of a letter begin, and what their headings say."""

import re
from collections.abc import Iterator, Mapping, Sequence

from imr_rationale.labels import OUTCOMES, Outcome
from imr_rationale.letters.headings import LAYOUTS, Layout
from imr_rationale.letters.lines import Line, join_lines
from imr_rationale.letters.modified import ELIGIBLE_RE, ORIGINAL_RE

__all__ = ["find_body", "find_headings", "match_field", "read_heading"]

# "MRI of the lumbar spine: Upheld", "Upheld" alone on the line after "… is:"
OUTCOME_RE = re.compile(r"(?:^|(?P<colon>:)) ?(?P<outcome>Upheld|Overturned)\.?$", re.IGNORECASE)
#: two printed lines of bold type; what is longer before a page break is a rationale, not a heading
HEADING_CHARS = 160
#: the longest heading seen, a modified request, took 7 lines
HEADING_LINES = 15
#: pages that a heading can reach over
HEADING_PAGES = 3
#: the fixed words below a section's heading take two lines
PREAMBLE_LINES = 8
#: the headings of a section of items, in any layout
ITEMS_HEADINGS = tuple(layout.sections["items"] for layout in LAYOUTS if layout.mark == "items")


def match_field(text: str, layout: Layout) -> str | None:
    """Tell which field of an item a line opens."""
    return next((field for field, pattern in layout.item_fields.items() if pattern.match(text)), None)


def find_body(lines: Sequence[Line], layout: Layout) -> int:
    """Give the index of the first line behind the section's heading and its fixed words.

    They stand before the first label; in a letter of no known layout anything may stand before them.
    """
    label = next((i for i, line in enumerate(lines) if match_field(line.text, layout)), len(lines))
    for start in range(label - 1, max(-1, label - HEADING_LINES - PREAMBLE_LINES), -1):
        if layout.preamble.match(join_lines(lines[start:label])):
            return next(
                end for end in range(start + 1, label + 1) if layout.preamble.match(join_lines(lines[start:end]))
            )
        if any(pattern.match(lines[start].text) for pattern in ITEMS_HEADINGS):
            return start + 1
    return 0


def find_headings(
    lines: Sequence[Line], first: int, marks: Mapping[int, str], layout: Layout
) -> Iterator[tuple[int, int]]:
    """Find the lines of each item's heading, which stands before its first labelled field.

    Parameters
    ----------
    lines : sequence of Line
    first : int
        Index of the first line behind the section's heading.
    marks : mapping of int to str
        Index of a line -> the field whose label opens it.
    layout : Layout

    Yields
    ------
    start, end : int
        The heading is `lines[start:end]`; empty where an item's label stands without a heading, so that the item is
        not lost in the one before it.
    """
    find = _find_numbered if layout.numbered else _find_unnumbered
    return find(lines, first, marks, layout)


def _find_numbered(
    lines: Sequence[Line], first: int, marks: Mapping[int, str], layout: Layout
) -> Iterator[tuple[int, int]]:
    floor = first
    seen: set[str] = set()
    for i, field in marks.items():
        start = _find_number(lines, floor, i, layout)
        # a label that is a sentence may stand in a rationale, too
        label = layout.item_fields[field].match(lines[i].text)
        again = field in seen and label is not None and label.end() > 0
        if start is not None or again or not seen:
            yield (i if start is None else start, i)
            seen = set()
        seen.add(field)
        floor = i + 1


def _find_number(lines: Sequence[Line], floor: int, end: int, layout: Layout) -> int | None:
    """Walk back to the line whose number opens a heading that ends before `end`."""
    pattern = layout.numbered
    for start in range(end - 1, max(floor, end - HEADING_LINES) - 1, -1):
        if pattern and lines[start].text[:1].isdigit() and pattern.match(join_lines(lines[start:end])):
            return start
    return None


def _find_unnumbered(
    lines: Sequence[Line], first: int, marks: Mapping[int, str], layout: Layout
) -> Iterator[tuple[int, int]]:
    """Find the paragraphs that end in an outcome before a label, and labels that come again."""
    floor = first
    seen: set[str] = set()
    for i, field in marks.items():
        end = _skip_blank(lines, i, floor)
        opens = end > floor and OUTCOME_RE.search(lines[end - 1].text) is not None
        if opens or field in seen or not seen:
            yield (_find_heading_start(lines, floor, end) if opens or not seen else i, i)
            seen = set()
        seen.add(field)
        floor = i + 1


def _skip_blank(lines: Sequence[Line], end: int, floor: int) -> int:
    while end > floor and not lines[end - 1].text:
        end -= 1
    return end


def _find_heading_start(lines: Sequence[Line], floor: int, end: int) -> int:
    """Walk back over the heading's paragraph, and over page breaks inside it."""
    start = _paragraph_start(lines, floor, end)
    if (cut := _find_lost_break(lines, start, end)) is not None:
        return cut
    for _ in range(HEADING_PAGES):
        before = _skip_blank(lines, start, floor)
        previous = _paragraph_start(lines, floor, before)
        if before == floor or not _runs_on(join_lines(lines[previous:before]), join_lines(lines[start:end])):
            break
        start = previous
    return start


def _find_lost_break(lines: Sequence[Line], start: int, end: int) -> int | None:
    """Find where a rationale ends inside the heading's paragraph, when the blank line between them is lost."""
    for i in range(end - 1, max(start, end - HEADING_LINES), -1):
        # no more of what stands before is looked at than tells a rationale from a heading
        before, heading = join_lines(lines[max(start, i - HEADING_LINES) : i]), join_lines(lines[i:end])
        if lines[i - 1].text[-1] in ".!?" and len(before) > HEADING_CHARS and not _runs_on(before, heading):
            return i
    return None


def _paragraph_start(lines: Sequence[Line], floor: int, end: int) -> int:
    while end > floor and lines[end - 1].text:
        end -= 1
    return end


def _runs_on(before: str, heading: str) -> bool:
    """Say whether a page break, not a paragraph's end, stands between `before` and `heading`."""
    if ELIGIBLE_RE.search(heading) and not ORIGINAL_RE.search(heading):
        return True
    if before[-1] in '.!?)"”' or "medically" in before[-200:]:
        return False
    return heading[0].islower() or len(before) < HEADING_CHARS


def read_heading(text: str, layout: Layout) -> tuple[str | None, Outcome | None]:
    """Split a heading into what was asked for and what was decided."""
    if layout.numbered:
        return _read_numbered(text, layout.numbered)
    match = OUTCOME_RE.search(text)
    if match is None:
        return text.strip(" :") or None, None
    outcome = next(name for name in OUTCOMES if name.lower() == match["outcome"].lower())
    return text[: match.start()].strip(" :") or None, outcome


def _read_numbered(text: str, pattern: re.Pattern[str]) -> tuple[str | None, Outcome | None]:
    match = pattern.match(text)
    if match is None:
        return text.strip(" :") or None, None
    if match["decision"] == "":
        return match["treatment"].strip(" :"), None
    return match["treatment"].strip(" :"), "Upheld" if match["decision"] else "Overturned"
