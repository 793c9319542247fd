"""Where the items of a letter begin, and what their headings say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from imr_rationale.labels import OUTCOMES, Outcome
from imr_rationale.letters.headings import LAYOUTS, Layout, make_label_pattern
from imr_rationale.letters.lines import Line, count_lines, join_lines, list_forms
from imr_rationale.letters.modified import ELIGIBLE_RE, ORIGINAL_RE

__all__ = ["Heading", "find_body", "find_headings", "find_marks", "match_field", "read_heading"]

# "MRI of the lumbar spine: Upheld", "Upheld" alone on the line after "… is:"
OUTCOME_RE = re.compile(r"(?:^|(?P<colon>:)) ?(?P<outcome>Upheld|Overturned)\.?$", re.IGNORECASE)
# "Final determination: Upheld" is no treatment
NO_TREATMENT_RE = re.compile(r"(?:IMR |final )?(?:decision|determination|outcome|result)\b", re.IGNORECASE)
# "2. MRI of the left knee"
NUMBER_RE = re.compile(r"(?P<number>\d{1,2})[.)] (?=[A-Za-z])")
#: two printed lines of bold type; what is longer before a page break is a rationale, not a heading
HEADING_CHARS = 160
#: a heading whose labels are missing is told by its length; modified requests take 400 characters
LONE_HEADING_CHARS = 600
#: the longest heading seen, a modified request, took 7 lines
HEADING_LINES = 15
#: pages that a heading can reach over
HEADING_PAGES = 3
#: the fixed words below a section's heading take two lines
PREAMBLE_LINES = 8
#: a label that wraps stands alone on its first line: "Claims Administrator" / "guideline:"
LABEL_CHARS = 24
#: the headings of a section of items, in any layout
ITEMS_HEADINGS = tuple(layout.sections["items"] for layout in LAYOUTS if layout.mark == "items")


class Heading(NamedTuple):
    """What an item's heading says; the number is None where none is printed."""

    number: int | None
    treatment: str | None
    outcome: Outcome | None


def match_field(lines: Sequence[Line], i: int, layout: Layout) -> str | None:
    """Tell which field of an item the line `i` opens; its label may wrap onto the next line."""
    text = lines[i].text
    found = _match_label(text, layout)
    if found is None and 0 < len(text) <= LABEL_CHARS and layout.item_fields:
        return _match_label(join_lines(lines[i : i + 2]), layout)
    return found


def _match_label(text: str, layout: Layout) -> str | None:
    return next((field for field, pattern in layout.item_fields.items() if pattern.match(text)), None)


def find_marks(lines: Sequence[Line], layout: Layout) -> Mapping[int, str]:
    """Find the lines that a label opens: index of the line -> the field."""
    may_open = make_label_pattern(layout).match
    # the label of a short line may wrap
    found = (i for i, line in enumerate(lines) if may_open(line.text) or 0 < len(line.text) <= LABEL_CHARS)
    return {i: field for i in found if (field := match_field(lines, i, layout))}


def find_body(lines: Sequence[Line], label: int, layout: Layout) -> int:
    """Give the index of the first line behind the section's heading and its fixed words.

    They stand before the first label, which is at index `label`; in a letter of no known layout anything may stand
    before them.
    """
    for start in range(label - 1, max(-1, label - HEADING_LINES - PREAMBLE_LINES), -1):
        forms = list_forms(lines, start)
        for pattern in (layout.preamble, *ITEMS_HEADINGS):
            if n_lines := count_lines(forms, pattern):
                return start + n_lines
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
        label = layout.item_fields[field].match(join_lines(lines[i : i + 2]))
        again = field in seen and label is not None and label.end() > 0
        if start is not None or again or not seen:
            yield (i if start is None else start, i)
            seen = set()
        seen.add(field)
        floor = i + 1


def _find_number(lines: Sequence[Line], floor: int, end: int, layout: Layout) -> int | None:
    """Walk back to the line that opens a heading that ends before `end`: with a number, or a paragraph."""
    pattern = layout.numbered
    for start in range(end - 1, max(floor, end - HEADING_LINES) - 1, -1):
        text = lines[start].text
        opens = text[:1].isdigit() or (text and (start == floor or not lines[start - 1].text))
        if pattern and opens and pattern.match(join_lines(lines[start:end])):
            return start
    return None


def _find_unnumbered(
    lines: Sequence[Line], first: int, marks: Mapping[int, str], layout: Layout
) -> Iterator[tuple[int, int]]:
    """Find what ends in an outcome, and labels that come again without one."""
    ends = _find_ends(lines, first, marks)
    floor = first
    seen: set[str] | None = None
    for i in sorted({*marks, *ends}):
        if i in ends:
            yield _find_heading_start(lines, floor, i + 1), i + 1
            seen = set()
        else:
            field = marks[i]
            if seen is None or field in seen:
                start = i if seen else _find_heading_start(lines, floor, _skip_blank(lines, i, floor))
                yield start, i
                seen = set()
            seen.add(field)
        floor = i + 1


def _find_ends(lines: Sequence[Line], first: int, marks: Mapping[int, str]) -> frozenset[int]:
    """Give the last lines of headings: those that end in an outcome and stand before a label, or alone."""
    before_labels = {_skip_blank(lines, i, first) - 1 for i in marks}
    ends: set[int] = set()
    start = first
    for i in range(first, len(lines)):
        if not lines[i].text or i in marks:
            start = i + 1
        elif _ends_in_outcome(lines[i].text) and (i in before_labels or _is_lone_heading(lines[start : i + 1])):
            ends.add(i)
            start = i + 1
    return frozenset(ends)


def _ends_in_outcome(text: str) -> bool:
    # most lines end in neither letter; a search would go through all of each
    return text[-1] in "dD." and OUTCOME_RE.search(text) is not None


def _is_lone_heading(lines: Sequence[Line]) -> bool:
    """Say whether a paragraph, or what is left of it, is a heading whose labels are missing."""
    if sum(len(line.text) for line in lines[-HEADING_LINES:]) > LONE_HEADING_CHARS or len(lines) > HEADING_LINES:
        return False
    text = join_lines(lines)
    match = OUTCOME_RE.search(text)
    return bool(match and match["colon"]) and text[-1] != "." and not NO_TREATMENT_RE.match(text)


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


def read_heading(text: str, layout: Layout) -> Heading:
    """Split a heading into its number, what was asked for and what was decided."""
    if layout.numbered:
        return _read_numbered(text, layout.numbered)
    number = NUMBER_RE.match(text)
    match = OUTCOME_RE.search(text)
    treatment = (text[: match.start()] if match else text).strip(" :") or None
    return Heading(int(number["number"]) if number else None, treatment, _name_outcome(match))


def _name_outcome(match: re.Match[str] | None) -> Outcome | None:
    return next((name for name in OUTCOMES if match and name.lower() == match["outcome"].lower()), None)


def _read_numbered(text: str, pattern: re.Pattern[str]) -> Heading:
    match = pattern.match(text)
    if match is None:
        return Heading(None, text.strip(" :") or None, None)
    groups = match.groupdict()
    outcome = _name_outcome(match) if groups.get("outcome") else None
    if outcome is None and groups.get("necessary"):
        outcome = "Upheld" if groups.get("decision") else "Overturned"
    return Heading(int(match["number"]) if match["number"] else None, match["treatment"].strip(" :"), outcome)
