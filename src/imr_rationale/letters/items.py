"""The section of disputed items -> items, each field read for itself."""

import re
from collections.abc import Iterator, Mapping, Sequence

from imr_rationale.labels import OUTCOMES, Outcome
from imr_rationale.letters.headings import ITEMS_PREAMBLE_RE, Layout
from imr_rationale.letters.lines import Line, join_lines, join_paragraphs
from imr_rationale.records import Item, ModifiedRequest

__all__ = ["parse_items"]

# "MRI of the lumbar spine: Upheld", "Upheld" alone on the line after "… is:"
OUTCOME_RE = re.compile(r"(?:^|(?P<colon>:)) ?(?P<outcome>Upheld|Overturned)\.?$", re.IGNORECASE)

ORIGINAL_RE = re.compile(r"^(?P<original>.*?),? (?:was|were|is) the original requests?\b\.?", re.IGNORECASE)
AUTHORIZED_RES = (
    # "Massage 4 visits was authorized by the Claims Administrator."
    re.compile(
        r"original requests?\. ?(?P<authorized>.+?),? (?:was|were|has been|have been) (?:authorized|approved|certified)"
        r" by the Claims Administrator",
        re.IGNORECASE,
    ),
    # "The Claims Administrator authorized a cane for 2 weeks, leaving the original request IMR eligible."
    re.compile(
        r"The Claims Administrator (?:authorized|approved|certified) (?P<authorized>.+?)"
        r"(?:,? leaving the (?:original|remaining)|\. (?=The (?:original|remaining)))",
        re.IGNORECASE,
    ),
)
# "The remaining IMR eligible portion of the original request, Massage 8 visits is: Upheld"
DISPUTED_RE = re.compile(r".*the original requests?,? (?P<disputed>.+?)(?:,? (?:is|are))?$", re.IGNORECASE)
ELIGIBLE_RE = re.compile(r"IMR[- ]eligible|the original request", re.IGNORECASE)
LABEL_END_RE = re.compile(r"[^:\n]{0,60}:(?:\s|\*\*|</?b>)*")
#: two printed lines of bold type; what is longer before a page break is a rationale, not a heading
HEADING_CHARS = 160


def parse_items(text: str, lines: Sequence[Line], layout: Layout) -> tuple[Item, ...]:
    """Read the items of a letter.

    Parameters
    ----------
    text : str
        The whole letter; offsets index it.
    lines : sequence of Line
        The section of disputed items, its heading included.
    layout : Layout

    Returns
    -------
    tuple of Item
        In the letter's order; a field that cannot be read is None and named in the item's warnings.
    """
    first = _find_body(lines, layout)
    marks = {i: field for i in range(first, len(lines)) if (field := _match_field(lines[i].text, layout))}
    headings = list(_find_headings(lines, first, marks))
    edges = [*(start for start, _ in headings[1:]), len(lines)]
    return tuple(
        _parse_item(text, number, lines[start:end], lines[end:stop], layout)
        for number, ((start, end), stop) in enumerate(zip(headings, edges, strict=False), start=1)
    )


def _find_body(lines: Sequence[Line], layout: Layout) -> int:
    """Give the index of the first line after the section's heading and its fixed sentence."""
    for end in range(1, min(len(lines), 8) + 1):
        if ITEMS_PREAMBLE_RE.search(join_lines(lines[:end])):
            return end
    return 1 if lines and layout.sections["items"].match(lines[0].text) else 0


def _match_field(text: str, layout: Layout) -> str | None:
    return next((field for field, pattern in layout.item_fields.items() if pattern.match(text)), None)


def _find_headings(lines: Sequence[Line], first: int, marks: Mapping[int, str]) -> Iterator[tuple[int, int]]:
    """Find the lines of each item's heading: the paragraph before its first labelled field.

    An item opens where an outcome stands before a label, and also where a label comes again, so that an
    item with an unreadable heading is not lost in the one before it.
    """
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
    while (before := _skip_blank(lines, start, floor)) > floor:
        previous = _paragraph_start(lines, floor, before)
        if not _runs_on(join_lines(lines[previous:before]), join_lines(lines[start:end])):
            break
        start = previous
    return start


def _find_lost_break(lines: Sequence[Line], start: int, end: int) -> int | None:
    """Find where a rationale ends inside the heading's paragraph, when the blank line between them is lost."""
    for i in range(end - 1, start, -1):
        before, heading = join_lines(lines[start:i]), join_lines(lines[i:end])
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


def _parse_item(text: str, number: int, title: Sequence[Line], body: Sequence[Line], layout: Layout) -> Item:
    fields = _split_fields(body, layout)
    heading, outcome = _read_heading(join_lines(title))
    modified = _read_modified(heading) if heading else None
    values = {field: _read_field(fields.get(field, ()), layout) for field in layout.item_fields}
    treatment = modified.disputed if modified and modified.disputed else heading
    missing = [name for name, value in {"treatment": treatment, "outcome": outcome, **values}.items() if value is None]
    if modified and None in (modified.original, modified.authorized, modified.disputed):
        missing.append("parts of the modified request")
    start, end = _find_span((*title, *body))
    rationale_span = _find_rationale_span(text, fields.get("rationale", ())) if values["rationale"] else None
    return Item(
        number=number,
        treatment=treatment,
        outcome=outcome,
        claims_administrator_guideline=values["claims_administrator_guideline"],
        reviewer_guideline=values["reviewer_guideline"],
        rationale=values["rationale"],
        start_char=start,
        end_char=end,
        rationale_start_char=rationale_span[0] if rationale_span else None,
        rationale_end_char=rationale_span[1] if rationale_span else None,
        modified=modified,
        warnings=tuple(f"item {number}: {name} not read" for name in missing),
    )


def _split_fields(body: Sequence[Line], layout: Layout) -> dict[str, Sequence[Line]]:
    """Give each labelled field its lines, label included."""
    starts = {i: field for i, line in enumerate(body) if (field := _match_field(line.text, layout))}
    edges = [*list(starts)[1:], len(body)]
    return {field: body[start:end] for (start, field), end in zip(starts.items(), edges, strict=False)}


def _read_field(lines: Sequence[Line], layout: Layout) -> str | None:
    text = join_paragraphs(lines)
    field = _match_field(text, layout)
    return None if field is None else layout.item_fields[field].sub("", text, count=1).strip() or None


def _find_span(lines: Sequence[Line]) -> tuple[int, int]:
    printed = [line for line in lines if line.text]
    return printed[0].start_char, printed[-1].end_char


def _find_rationale_span(text: str, lines: Sequence[Line]) -> tuple[int, int]:
    start, end = _find_span(lines)
    label = LABEL_END_RE.match(text, start, end)
    return (label.end() if label else start), end


def _read_heading(text: str) -> tuple[str | None, Outcome | None]:
    """Split a heading at the last colon before its outcome."""
    match = OUTCOME_RE.search(text)
    if match is None:
        return text.strip(" :") or None, None
    outcome = next(name for name in OUTCOMES if name.lower() == match["outcome"].lower())
    return text[: match.start()].strip(" :") or None, outcome


def _read_modified(heading: str) -> ModifiedRequest | None:
    """Take a modified request apart; None when the heading is a plain treatment."""
    if not ELIGIBLE_RE.search(heading):
        return None
    original = ORIGINAL_RE.search(heading)
    authorized = next((match for pattern in AUTHORIZED_RES if (match := pattern.search(heading))), None)
    disputed = DISPUTED_RE.search(heading)
    return ModifiedRequest(
        original=original["original"].strip() if original else None,
        authorized=authorized["authorized"].strip() if authorized else None,
        disputed=disputed["disputed"].strip() if disputed else None,
    )
