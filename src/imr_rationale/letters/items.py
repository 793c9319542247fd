"""The sections of a letter -> its items, each field read for itself."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imr_rationale.labels import Outcome
from imr_rationale.letters.citation import read_basis
from imr_rationale.letters.headings import Layout
from imr_rationale.letters.item_headings import find_body, find_headings, match_field, read_heading
from imr_rationale.letters.lines import Line, join_lines, join_paragraphs
from imr_rationale.letters.modified import read_modified
from imr_rationale.letters.request import read_request
from imr_rationale.records import Item

__all__ = ["parse_items"]

Lines = Sequence[Line]
FIELDS = ("claims_administrator_guideline", "reviewer_guideline", "rationale")
# "The Expert Reviewer based his/her decision on …", after what the claims administrator based its decision on
REVIEWER_RE = re.compile(r"The (?:Expert|Physician|Medical|Professional) Reviewer\b", re.IGNORECASE)
# "1. MRI of the left knee", "2) home exercise kit"
NUMBER_RE = re.compile(r"(?P<number>\d{1,2}) ?[.)] ?(?=\S)")
#: a section's heading wraps over no more lines than this
HEADING_LINES = 3
#: a decision wraps over no more lines than this; the longest modified request seen took 7
DECISION_LINES = 15
MARKUP_RE = re.compile(r"</?b>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Decision:
    """A numbered decision that stands before the items."""

    number: int
    treatment: str
    outcome: Outcome
    start_char: int
    end_char: int


def parse_items(text: str, sections: Mapping[str, Lines], layout: Layout) -> tuple[Item, ...]:
    """Read the items of a letter.

    Parameters
    ----------
    text : str
        The whole letter; offsets index it.
    sections : mapping of str to sequence of Line
        Headings included; without a section of items, the whole letter under "items".
    layout : Layout

    Returns
    -------
    tuple of Item
        In the letter's order; a field that cannot be read is None and named in the item's warnings.
    """
    if layout.mark == "issue":
        return tuple(_parse_issues(text, sections, layout))
    items = tuple(_parse_section(text, sections.get("items", ()), layout))
    if layout.decision is None:
        return items
    before = [line for name in ("header", "decisions") for line in sections.get(name, ())]
    return _join_decisions(items, list(_read_decisions(before, layout)))


def _parse_section(text: str, lines: Lines, layout: Layout) -> Iterator[Item]:
    first = find_body(lines, layout)
    marks = {i: field for i in range(first, len(lines)) if (field := match_field(lines[i].text, layout))}
    headings = list(find_headings(lines, first, marks, layout))
    edges = [*(start for start, _ in headings[1:]), len(lines)]
    for number, ((start, end), stop) in enumerate(zip(headings, edges, strict=False), start=1):
        title, body = lines[start:end], lines[end:stop]
        heading, outcome = read_heading(join_lines(title), layout)
        fields = _split_fields(body, layout)
        values = {name: _read_field(fields.get(name, ()), layout) for name in layout.item_fields}
        label = layout.item_fields["rationale"]
        span = _find_rationale_span(text, fields["rationale"], label) if values["rationale"] else None
        item = _make_item(number, heading, outcome, _split_guidelines(values), span, _find_span((*title, *body)))
        yield replace(item, warnings=tuple(_warn_missing(item)))


def _make_item(
    number: int,
    heading: str | None,
    outcome: Outcome | None,
    values: Mapping[str, str | None],
    rationale_span: tuple[int, int] | None,
    span: tuple[int, int],
) -> Item:
    modified = read_modified(heading) if heading else None
    treatment = modified.disputed if modified and modified.disputed else heading
    claims_administrator, reviewer, rationale = (values.get(name) for name in FIELDS)
    return Item(
        number=number,
        treatment=treatment,
        outcome=outcome,
        claims_administrator_guideline=claims_administrator,
        reviewer_guideline=reviewer,
        rationale=rationale,
        start_char=span[0],
        end_char=span[1],
        rationale_start_char=rationale_span[0] if rationale_span else None,
        rationale_end_char=rationale_span[1] if rationale_span else None,
        heading=heading,
        modified=modified,
        request=read_request(treatment),
        claims_administrator_basis=read_basis(claims_administrator),
        reviewer_basis=read_basis(reviewer),
    )


def _warn_missing(item: Item, *, absent: Sequence[str] = ()) -> Iterator[str]:
    """Name what could not be read, except for fields that the layout does not print."""
    for name in ("treatment", "outcome", *FIELDS):
        if name not in absent and getattr(item, name) is None:
            yield f"item {item.number}: {name} not read"
    parts = item.modified
    if parts and None in (parts.original, parts.authorized, parts.disputed):
        yield f"item {item.number}: parts of the modified request not read"


def _split_fields(body: Lines, layout: Layout) -> dict[str, Lines]:
    """Give each labelled field its lines, label included.

    Where labels are sentences, those after the beginning of the rationale belong to it.
    """
    starts: dict[str, int] = {}
    for i, line in enumerate(body):
        field = match_field(line.text, layout)
        if field and not (layout.numbered and (field in starts or "rationale" in starts)):
            starts[field] = i
    edges = [*list(starts.values())[1:], len(body)]
    return {field: body[start:end] for (field, start), end in zip(starts.items(), edges, strict=False)}


def _read_field(lines: Lines, layout: Layout) -> str | None:
    text = join_paragraphs(lines)
    field = match_field(text, layout)
    return None if field is None else layout.item_fields[field].sub("", text, count=1).strip() or None


def _split_guidelines(values: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Part the paragraph in which the older notice prints both guidelines."""
    both = values.get("guidelines")
    if both is None:
        return values
    match = REVIEWER_RE.search(both)
    cut = match.start() if match else len(both)
    return {**values, FIELDS[0]: both[:cut].strip() or None, FIELDS[1]: both[cut:].strip() or None}


def _find_span(lines: Lines) -> tuple[int, int]:
    printed = [line for line in lines if line.text]
    return printed[0].start_char, printed[-1].end_char


def _find_rationale_span(text: str, lines: Lines, label: re.Pattern[str]) -> tuple[int, int]:
    """Find the rationale as printed: after the label, which may wrap and hold markup."""
    start, end = _find_span(lines)
    match = label.match(join_lines(lines))
    n_letters = sum(char.isalnum() for char in match.group()) if match else 0
    while n_letters and start < end:
        if markup := MARKUP_RE.match(text, start):
            start = markup.end()
            continue
        n_letters -= text[start].isalnum()
        start += 1
    while start < end and ((markup := MARKUP_RE.match(text, start)) or text[start].isspace() or text[start] in ":*"):
        start = markup.end() if markup else start + 1
    # a page's header may stand between the label and the text
    return max(start, next((line.start_char for line in lines if line.end_char > start), start)), end


def _read_decisions(lines: Lines, layout: Layout) -> Iterator[_Decision]:
    pattern = layout.decision
    for i, line in enumerate(lines):
        if pattern is None or not NUMBER_RE.match(line.text):
            continue
        for last in range(i, min(i + DECISION_LINES, len(lines))):
            if match := pattern.match(join_lines(lines[i : last + 1])):
                outcome: Outcome = "Upheld" if match["decision"] else "Overturned"
                span = line.start_char, lines[last].end_char
                yield _Decision(int(match["number"]), match["treatment"].strip(), outcome, *span)
                break


def _join_decisions(items: Sequence[Item], decisions: Sequence[_Decision]) -> tuple[Item, ...]:
    """Give each item its decision by number; a decision without an item becomes an item without a rationale."""
    by_number: dict[int, list[_Decision]] = {}
    for decision in decisions:
        by_number.setdefault(decision.number, []).append(decision)
    joined = [_join_decision(item, by_number.pop(item.number, [])) for item in items]
    for number, found in by_number.items():
        first = found[0]
        bare = _make_item(number, first.treatment, None, {}, None, (first.start_char, first.end_char))
        joined.append(_join_decision(bare, found))
    joined.sort(key=lambda item: item.number)
    return tuple(replace(item, number=i) for i, item in enumerate(joined, start=1))


def _join_decision(item: Item, decisions: Sequence[_Decision]) -> Item:
    outcomes = {decision.outcome for decision in decisions}
    decided = replace(item, outcome=decisions[0].outcome if len(outcomes) == 1 else None)
    warnings = list(_warn_missing(decided))
    if len(outcomes) > 1:
        warnings.append(f"item {item.number}: is decided twice and differently")
    return replace(decided, warnings=tuple(warnings))


def _parse_issues(text: str, sections: Mapping[str, Lines], layout: Layout) -> Iterator[Item]:
    """Read the layout whose sections are the fields of its issues."""
    issues = _split_numbered(_skip_heading(sections.get("issue", ()), layout.sections["issue"]))
    heading = layout.sections["rationale"].match(join_lines(sections.get("rationale", ())))
    outcome: Outcome | None = None
    if heading and heading.end() > 0:
        outcome = "Upheld" if heading["decision"] else "Overturned"
    parts = _split_numbered(_skip_heading(sections.get("rationale", ()), layout.sections["rationale"]))
    shared = len(parts) != len(issues)
    guideline = join_paragraphs(_skip_heading(sections.get("guidelines", ()), layout.sections["guidelines"])) or None
    for number, issue in enumerate(issues, start=1):
        part = [line for one in parts for line in one] if shared else parts[number - 1]
        rationale = _drop_number(join_paragraphs(part), keep=shared) or None
        span = _find_span(part) if rationale else None
        values = {FIELDS[1]: guideline, FIELDS[2]: rationale}
        treatment = _drop_number(join_lines(issue)) or None
        if span and not shared and (match := NUMBER_RE.match(text, *span)) and len(parts) > 1:
            span = (match.end(), span[1])
        item = _make_item(number, treatment, outcome, values, span, _find_span(issue))
        # the item reaches from its issue to the end of its rationale
        item = replace(item, end_char=max(item.end_char, span[1])) if span else item
        warnings = [*_warn_missing(item, absent=(FIELDS[0],))]
        if shared and parts:
            warnings.append(f"item {number}: one rationale for {len(issues)} issues")
        yield replace(item, warnings=tuple(warnings))


def _skip_heading(lines: Lines, heading: re.Pattern[str]) -> Lines:
    """Drop the words of a section's heading, which may wrap; what stands behind them on its last line stays."""
    match = heading.match(join_lines(lines[:HEADING_LINES]))
    left = match.end() if match else 0
    for i, line in enumerate(lines):
        if left < len(line.text):
            tail = line.text[left:].strip()
            rest = [replace(line, start_char=line.end_char - len(tail), text=tail)] if tail else []
            return [*rest, *lines[i + 1 :]]
        # one space joins two lines
        left = max(left - len(line.text) - 1, 0) if line.text else left
    return ()


def _split_numbered(lines: Lines) -> list[Lines]:
    """Cut lines before "1.", "2.", …; lines that are not numbered so stay together."""
    printed = [line for line in lines if line.text]
    if not printed:
        return []
    starts: list[int] = []
    for i, line in enumerate(lines):
        match = NUMBER_RE.match(line.text)
        if match and int(match["number"]) == len(starts) + 1:
            starts.append(i)
    if len(starts) < 2 or any(line.text for line in lines[: starts[0]]):
        return [lines]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


def _drop_number(text: str, *, keep: bool = False) -> str:
    return text if keep else NUMBER_RE.sub("", text, count=1) if NUMBER_RE.match(text) else text
