"""The "MEDICAL PROFESSIONAL REVIEW": a letter whose sections are the fields of its issue, or of its numbered issues."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from imr_rationale.labels import Outcome
from imr_rationale.letters.headings import Layout
from imr_rationale.letters.item_headings import Heading
from imr_rationale.letters.items import FIELDS, find_span, make_item, warn_missing
from imr_rationale.letters.lines import Line, join_lines, join_paragraphs
from imr_rationale.records import Item

__all__ = ["parse_issues"]

Lines = Sequence[Line]
# "1. MRI of the left knee", "2) home exercise kit"
NUMBER_RE = re.compile(r"(?P<number>\d{1,2}) ?[.)] ?(?=\S)")
#: a section's heading wraps over no more lines than this
HEADING_LINES = 4


def parse_issues(text: str, sections: Mapping[str, Lines], layout: Layout) -> Iterator[Item]:
    """Yield one item for each issue.

    The heading of the rationale decides them all: "IS/WAS NOT MEDICALLY NECESSARY". A rationale whose parts are not
    numbered as the issues are is every issue's.
    """
    bodies = {name: _skip_heading(sections.get(name, ()), layout.sections[name]) for name in layout.sections}
    issues = _split_numbered(bodies["issue"]) or ([()] if bodies["rationale"] else [])
    parts = _split_numbered(bodies["rationale"])
    shared = len(parts) != len(issues)
    outcome = _read_outcome(sections.get("rationale", ()), layout)
    guideline = join_paragraphs(bodies["guidelines"]) or None
    for number, issue in enumerate(issues, start=1):
        part = bodies["rationale"] if shared else parts[number - 1]
        lines = part if shared or len(parts) == 1 else _drop_number(part)
        heading = Heading(number, join_lines(_drop_number(issue)) or None, outcome)
        rationale = join_paragraphs(lines) or None
        span = find_span(lines) if rationale else None
        values = {FIELDS[1]: guideline, FIELDS[2]: rationale}
        whole = find_span((*issue, *(part if span else ())))
        yield _warn(make_item(number, heading, values, span, whole), len(issues), shared=shared and bool(parts))


def _warn(item: Item, n_issues: int, *, shared: bool) -> Item:
    warnings = [*warn_missing(item, absent=(FIELDS[0],))]
    if n_issues > 1:
        warnings.append(f"item {item.number}: one decision for {n_issues} issues")
    if shared:
        warnings.append(f"item {item.number}: one rationale for {n_issues} issues")
    return replace(item, warnings=tuple(warnings))


def _read_outcome(lines: Lines, layout: Layout) -> Outcome | None:
    """Read the decision in the rationale's heading; "IS OR IS NOT" leaves it open."""
    match = layout.sections["rationale"].match(join_lines(lines[:HEADING_LINES]))
    words = (match["decision"] or "").upper().split() if match else []
    if not words or "OR" in words or "IS/IS" in words:
        return None
    return "Upheld" if "NOT" in words else "Overturned"


def _skip_heading(lines: Lines, heading: re.Pattern[str]) -> Lines:
    """Drop the words of a section's heading, which may wrap; what stands behind them on its last line stays."""
    match = heading.match(join_lines(lines[:HEADING_LINES]))
    return _skip_chars(lines, match.end() if match else 0)


def _skip_chars(lines: Lines, left: int) -> Lines:
    """Drop so many characters of the joined lines."""
    for i, line in enumerate(lines):
        if left < len(line.text):
            tail = line.text[left:].strip()
            rest = [line._replace(start_char=line.end_char - len(tail), text=tail)] if tail else []
            return [*rest, *lines[i + 1 :]]
        # one space joins two lines
        left = max(left - len(line.text) - 1, 0) if line.text else left
    return ()


def _split_numbered(lines: Lines) -> list[Lines]:
    """Cut lines before "1.", "2.", …; lines that are not numbered so stay together."""
    if not any(line.text for line in lines):
        return []
    starts: list[int] = []
    for i, line in enumerate(lines):
        match = NUMBER_RE.match(line.text)
        if match and int(match["number"]) == len(starts) + 1:
            starts.append(i)
    if len(starts) < 2 or any(line.text for line in lines[: starts[0]]):
        return [lines]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


def _drop_number(lines: Lines) -> Lines:
    match = NUMBER_RE.match(lines[0].text) if lines else None
    return _skip_chars(lines, match.end()) if match else lines
