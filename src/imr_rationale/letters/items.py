"""The sections of a letter -> its items, each field read for itself."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from imr_rationale.letters.citation import read_basis
from imr_rationale.letters.headings import Layout
from imr_rationale.letters.item_headings import (
    NUMBER_RE,
    Heading,
    find_body,
    find_headings,
    find_marks,
    match_field,
    read_heading,
)
from imr_rationale.letters.lines import Line, join_lines, join_paragraphs
from imr_rationale.letters.modified import read_modified
from imr_rationale.letters.request import read_request
from imr_rationale.records import Item

__all__ = ["FIELDS", "find_span", "make_item", "parse_section", "read_details", "warn_missing"]

Lines = Sequence[Line]
FIELDS = ("claims_administrator_guideline", "reviewer_guideline", "rationale")
# "The Expert Reviewer based his/her decision on …", after what the claims administrator based its decision on
REVIEWER_RE = re.compile(r"The (?:Expert|Physician|Medical|Professional) Reviewer\b", re.IGNORECASE)
# "<b>"
MARKUP_RE = re.compile(r"</?b>", re.IGNORECASE)


def parse_section(text: str, lines: Lines, layout: Layout) -> Iterator[tuple[Item, int | None]]:
    """Read the items of a section whose items have headings and labelled fields.

    Parameters
    ----------
    text : str
        The whole letter; offsets index it.
    lines : sequence of Line
        The section of disputed items.
    layout : Layout

    Yields
    ------
    item : Item
        A field that cannot be read is None and named in the item's warnings.
    number : int or None
        As printed.
    """
    labels = find_marks(lines, layout)
    first = find_body(lines, next(iter(labels), len(lines)), layout)
    marks = {i: field for i, field in labels.items() if i >= first}
    headings = list(find_headings(lines, first, marks, layout))
    edges = [*(start for start, _ in headings[1:]), len(lines)]
    for number, ((start, end), stop) in enumerate(zip(headings, edges, strict=False), start=1):
        title, body = lines[start:end], lines[end:stop]
        heading = _drop_number(read_heading(join_lines(title), layout), number)
        fields = _split_fields(body, {i - end: marks[i] for i in range(end, stop) if i in marks}, layout)
        values = {name: _read_field(fields.get(name, ()), layout) for name in layout.item_fields}
        label = layout.item_fields["rationale"]
        span = _find_rationale_span(text, fields["rationale"], label) if values["rationale"] else None
        item = make_item(number, heading, _split_guidelines(values), span, find_span(lines[start:stop]))
        warnings = tuple(warn_missing(item))
        yield replace(item, warnings=warnings) if warnings else item, heading.number


def _drop_number(heading: Heading, number: int) -> Heading:
    """Take the item's own number from its treatment."""
    treatment = heading.treatment or ""
    if heading.number != number or not NUMBER_RE.match(treatment):
        return heading
    return heading._replace(treatment=NUMBER_RE.sub("", treatment, count=1))


def make_item(
    number: int,
    heading: Heading,
    values: Mapping[str, str | None],
    rationale_span: tuple[int, int] | None,
    span: tuple[int, int],
) -> Item:
    """Make an item of its heading and fields."""
    modified = read_modified(heading.treatment) if heading.treatment else None
    treatment = modified.disputed if modified and modified.disputed else heading.treatment
    claims_administrator, reviewer, rationale = (values.get(name) for name in FIELDS)
    return Item(
        number=number,
        treatment=treatment,
        outcome=heading.outcome,
        claims_administrator_guideline=claims_administrator,
        reviewer_guideline=reviewer,
        rationale=rationale,
        start_char=span[0],
        end_char=span[1],
        rationale_start_char=rationale_span[0] if rationale_span else None,
        rationale_end_char=rationale_span[1] if rationale_span else None,
        heading=heading.treatment,
        modified=modified,
    )


def read_details(item: Item) -> Item:
    """Read what is inside an item's fields: what the treatment asks for, and which guidelines are named."""
    return replace(
        item,
        request=read_request(item.treatment),
        claims_administrator_basis=read_basis(item.claims_administrator_guideline),
        reviewer_basis=read_basis(item.reviewer_guideline),
    )


def warn_missing(item: Item, *, absent: Sequence[str] = ()) -> Iterator[str]:
    """Name what could not be read, except for fields that the layout does not print."""
    for name in ("treatment", "outcome", *FIELDS):
        if name not in absent and getattr(item, name) is None:
            yield f"item {item.number}: {name} not read"
    parts = item.modified
    if parts and None in (parts.original, parts.authorized, parts.disputed):
        yield f"item {item.number}: parts of the modified request not read"


def _split_fields(body: Lines, marks: Mapping[int, str], layout: Layout) -> dict[str, Lines]:
    """Give each labelled field its lines, label included.

    Where labels are sentences, those after the beginning of the rationale belong to it.
    """
    starts: dict[str, int] = {}
    for i, mark in marks.items():
        # a label on the item's last line does not wrap into the next item
        field = mark if i + 1 < len(body) else match_field(body, i, layout)
        if field and not (layout.numbered and (field in starts or "rationale" in starts)):
            starts[field] = i
    edges = [*list(starts.values())[1:], len(body)]
    return {field: body[start:end] for (field, start), end in zip(starts.items(), edges, strict=False)}


def _read_field(lines: Lines, layout: Layout) -> str | None:
    text = join_paragraphs(lines)
    label = next((match for pattern in layout.item_fields.values() if (match := pattern.match(text))), None)
    return None if label is None else text[label.end() :].strip() or None


def _split_guidelines(values: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Part the paragraph in which the older notice prints both guidelines."""
    both = values.get("guidelines")
    if both is None:
        return values
    match = REVIEWER_RE.search(both)
    cut = match.start() if match else len(both)
    return {**values, FIELDS[0]: both[:cut].strip() or None, FIELDS[1]: both[cut:].strip() or None}


def find_span(lines: Lines) -> tuple[int, int]:
    """Give the first and the last character that `lines` print."""
    first = next(line for line in lines if line.text)
    last = next(line for line in reversed(lines) if line.text)
    return first.start_char, last.end_char


def _find_rationale_span(text: str, lines: Lines, label: re.Pattern[str]) -> tuple[int, int]:
    """Find the rationale as printed: after the label, which may wrap and hold markup."""
    start, end = find_span(lines)
    match = label.match(join_lines(lines))
    printed = match.group() if match else ""
    start = start + len(printed) if text.startswith(printed, start) else _skip_letters(text, printed, start, end)
    while start < end and ((markup := MARKUP_RE.match(text, start)) or text[start].isspace() or text[start] in ":*"):
        start = markup.end() if markup else start + 1
    # a page's header may stand between the label and the text
    return max(start, next((line.start_char for line in lines if line.end_char > start), start)), end


def _skip_letters(text: str, label: str, start: int, end: int) -> int:
    """Give the offset behind the letters of a label that wraps, or holds markup, where it is printed."""
    n_letters = sum(char.isalnum() for char in label)
    while n_letters and start < end:
        if markup := MARKUP_RE.match(text, start):
            start = markup.end()
            continue
        n_letters -= text[start].isalnum()
        start += 1
    return start
