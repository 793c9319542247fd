"""The text of a letter -> a `Letter` with its items.

A layout is data: the heading patterns of its fields. Each field is read for itself, so one that cannot be
read is None plus a warning that names it, and the rest stands.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from imr_rationale.errors import LetterParseError
from imr_rationale.labels import Outcome
from imr_rationale.letters.decisions import join_decisions, read_decisions
from imr_rationale.letters.flatten import find_cuts
from imr_rationale.letters.header import (
    read_age_and_sex,
    read_case_number,
    read_date,
    read_labels,
    read_specialty,
    split_states,
)
from imr_rationale.letters.headings import LAYOUTS, UNKNOWN, Layout, make_section_pattern
from imr_rationale.letters.issues import parse_issues
from imr_rationale.letters.items import parse_section, read_details
from imr_rationale.letters.limits import MAX_FIELD, MAX_ITEMS
from imr_rationale.letters.lines import (
    HEADING_LINES,
    Line,
    count_lines,
    join_lines,
    join_paragraphs,
    list_forms,
    make_lines,
    may_wrap,
)
from imr_rationale.letters.pages import drop_page_lines
from imr_rationale.letters.sandbox import read_document
from imr_rationale.letters.sources import Document
from imr_rationale.records import Dates, Item, Letter

__all__ = ["ROW", "parse_document", "parse_letter", "read_letter"]

Sections = Mapping[str, Sequence[Line]]
#: index of a line -> the texts that a heading may be printed as that opens there
Openings = Mapping[int, Sequence[str]]
#: layout of a rationale that stands in a table, without a letter around it
ROW = "row"
# "Standard", the first word of a longer value
PRIORITY_RE = re.compile(r"[A-Za-z]{1,30}")
# "Overturned in part", "partially upheld"
PART_RE = re.compile(r"\bpart(?:ial|ly)?")
# "Nature of Statutory Criteria/Case Summary: … Findings: …", as the DMHC prints both in one cell
FINDINGS_RE = re.compile(
    r"^(?:Nature of Statutory Criteria ?/ ?)?Case Summary ?:(?P<summary>.*?)\b(?-i:Findings) ?:",
    re.IGNORECASE | re.DOTALL,
)


def parse_letter(text: str, *, details: bool = True) -> Letter:
    """Read a decision letter.

    Parameters
    ----------
    text : str
        The letter as plain text, markdown, or the text layer of a PDF.
    details : bool
        Read what is inside the items too: requests and the guidelines named, half of the work.

    Returns
    -------
    Letter
        Offsets of its items index `text`; what cannot be read is None and named in `warnings`.

    Raises
    ------
    LetterParseError
        The text holds neither a section of disputed items nor any item, or more than a letter can hold.
    """
    lines = drop_page_lines(make_lines(text, cuts=find_cuts(text)))
    openings = _find_openings(lines)
    layout, sections = _find_layout(lines, openings)
    items = _parse_items(text, sections, layout) if layout else ()
    known = layout is not None
    if not items:
        read_as, sections, items = _search_items(text, lines, openings, layout)
        known = known and read_as is layout
        layout = read_as
    if layout is None:
        raise LetterParseError(
            "no Independent Medical Review letter: neither the heading of a section of decisions and rationales "
            "nor a disputed item was found"
        )
    letter = _read_fields(text, sections, tuple(map(read_details, items)) if details else items, layout)
    _check_size(letter)
    warnings = tuple(_warn_missing(letter, layout))
    if not known:
        unknown = f"layout not known: read as {layout.name} as far as its headings are known"
        return replace(letter, layout=UNKNOWN, warnings=(*warnings, unknown))
    return replace(letter, warnings=warnings) if warnings else letter


def _check_size(letter: Letter) -> None:
    """Refuse what no letter is: every item's row repeats the summary, so that output would grow with their product."""
    if len(letter.items) > MAX_ITEMS:
        raise LetterParseError(f"{len(letter.items)} disputed items; at most {MAX_ITEMS} are read")
    texts = (letter.summary, *(text for item in letter.items for text in (item.heading, item.rationale)))
    longest = max(len(text or "") for text in texts)
    if longest > MAX_FIELD:
        raise LetterParseError(f"a summary, heading or rationale of {longest} characters; at most {MAX_FIELD} are read")


def read_letter(path: Path) -> Letter:
    """Read the decision letter in a file.

    Raises
    ------
    SourceError
        The file cannot be turned into text.
    LetterParseError
        The text is no Independent Medical Review letter; the message names the file.
    """
    return parse_document(read_document(path))


def parse_document(document: Document, *, details: bool = True) -> Letter:
    """Read the letter of a document, or the rationale of a table's row.

    What was repaired while reading the document stands in the letter's warnings.

    Raises
    ------
    LetterParseError
        The text is no Independent Medical Review letter; the message names the document's source.
    """
    try:
        letter = parse_letter(document.text, details=details)
    except LetterParseError as error:
        if document.kind != ROW:
            raise LetterParseError(f"{document.source}: {error}") from error
        letter = None
    if letter is None or (document.kind == ROW and not _is_whole(letter)):
        letter = _make_row_letter(document, details=details)
    return replace(letter, warnings=(*letter.warnings, *document.notes)) if document.notes else letter


def _is_whole(letter: Letter) -> bool:
    """Say whether a table's cell holds a letter rather than a rationale with words like a heading's."""
    return letter.case_number is not None and any(item.rationale for item in letter.items)


def _find_openings(lines: Sequence[Line]) -> Openings:
    """Find the lines where a section may open, in any layout: few lines have to be looked at for each heading."""
    may_open = make_section_pattern().match
    return {
        i: list_forms(lines, i)
        for i, line in enumerate(lines)
        # the longest form begins with the others
        if may_open(line.text) or (may_wrap(line.text) and may_open(join_lines(lines[i : i + HEADING_LINES])))
    }


def _find_layout(lines: Sequence[Line], openings: Openings) -> tuple[Layout | None, Sections]:
    """Find the layout whose marking section stands in the letter; of two, that with more sections there."""
    marked = (layout for layout in LAYOUTS if _is_marked(openings, layout))
    found = [(layout, _split_sections(lines, openings, layout)) for layout in marked]
    if not found:
        return None, {}
    return max(found, key=lambda pair: len(pair[1]))


def _is_marked(openings: Openings, layout: Layout) -> bool:
    pattern = layout.sections[layout.mark]
    return any(count_lines(forms, pattern) for forms in openings.values())


def _parse_items(text: str, sections: Sections, layout: Layout) -> tuple[Item, ...]:
    if layout.mark == "issue":
        return tuple(parse_issues(text, sections, layout))
    items = list(parse_section(text, sections.get("items", ()), layout))
    if layout.decision is None:
        return tuple(item for item, _ in items)
    before = [line for name in ("header", "decisions") for line in sections.get(name, ())]
    return join_decisions(items, list(read_decisions(before, layout)))


def _search_items(
    text: str, lines: Sequence[Line], openings: Openings, layout: Layout | None
) -> tuple[Layout | None, Sections, tuple[Item, ...]]:
    """Read the items of a letter that fits no layout, or not as its layout says, by the headings that find most."""
    found = []
    for other in LAYOUTS:
        sections = {"items": lines, **_split_sections(lines, openings, other)}
        found.append((other, sections, _parse_items(text, sections, other)))
    best = max(found, key=lambda one: _count_fields(one[2]))
    if any(item.rationale or item.reviewer_guideline for item in best[2]):
        return best
    return layout, _split_sections(lines, openings, layout) if layout else {}, ()


def _count_fields(items: Sequence[Item]) -> int:
    """Count what was read; a field that was not outweighs one that was, so that items are not made of nothing."""
    names = ("treatment", "outcome", "reviewer_guideline", "rationale")
    return sum(-1 if getattr(item, name) is None else 1 for item in items for name in names)


def _read_fields(text: str, sections: Sections, items: tuple[Item, ...], layout: Layout) -> Letter:
    header = read_labels([*sections["header"], *sections.get("decisions", ())], layout.header)
    credentials = read_labels(sections.get("credentials", ()), layout.credentials)
    summary = _read_summary(_cut_summary(sections.get("summary", ()), items), layout)
    age, sex = read_age_and_sex(summary or "")
    priority = PRIORITY_RE.match(header.get("priority", ""))
    return Letter(
        text=text,
        case_number=read_case_number(header.get("case_number"), text),
        dates=Dates(**{name: read_date(header.get(name, "")) for name in Dates.__dataclass_fields__}),
        priority=priority.group() if priority else None,
        licensure=split_states(credentials.get("licensure")),
        specialty=read_specialty(credentials.get("specialty")),
        summary=summary,
        age=age,
        sex=sex,
        items=items,
        layout=layout.name,
    )


def _split_sections(lines: Sequence[Line], openings: Openings, layout: Layout) -> Sections:
    """Cut the letter before the line that opens each section; what comes before the first is the header."""
    starts = {"header": 0}
    position = 0
    for name, pattern in layout.sections.items():
        found = next((i for i, forms in openings.items() if i >= position and count_lines(forms, pattern)), None)
        if found is not None:
            starts[name] = position = found
    edges = [*starts.values(), len(lines)]
    return {name: lines[start:end] for name, start, end in zip(starts, edges, edges[1:], strict=False)}


def _cut_summary(lines: Sequence[Line], items: Sequence[Item]) -> Sequence[Line]:
    """End the summary where the items begin: what is known before the decision may not hold it."""
    if not lines or not items or items[0].start_char <= lines[0].start_char:
        return lines
    return [line for line in lines if line.end_char <= items[0].start_char]


def _read_summary(lines: Sequence[Line], layout: Layout) -> str | None:
    text = layout.sections["summary"].sub("", join_paragraphs(lines), count=1).strip()
    return layout.preamble.sub("", text, count=1).strip(' :\n“”"') or None


def _warn_missing(letter: Letter, layout: Layout) -> Iterator[str]:
    """Name what the layout prints and could not be read."""
    for field in ("case_number", "priority", "specialty", "summary"):
        printed = field in layout.header or field in layout.credentials or field in layout.sections
        if printed and getattr(letter, field) is None:
            yield f"{field} not read"
    for field in Dates.__dataclass_fields__:
        if field in layout.header and getattr(letter.dates, field) is None:
            yield f"date {field} not read"
    if not letter.licensure:
        yield "licensure not read"
    if not letter.items:
        yield "no disputed item read"


def _make_row_letter(document: Document, *, details: bool) -> Letter:
    """Make a letter of one item from a rationale that stands in a table."""
    match = FINDINGS_RE.match(document.text)
    start = match.end() if match else 0
    rationale = document.text[start:].strip()
    start = document.text.find(rationale, start)
    outcome = _read_outcome(document.outcome)
    item = Item(
        number=1,
        treatment=document.treatment,
        outcome=outcome,
        claims_administrator_guideline=None,
        reviewer_guideline=None,
        rationale=rationale or None,
        start_char=0,
        end_char=len(document.text),
        rationale_start_char=start,
        rationale_end_char=start + len(rationale),
        heading=document.treatment,
        warnings=() if outcome or not document.outcome else (f"outcome {document.outcome!r} is not read",),
    )
    items = (read_details(item) if details else item,)
    summary = match["summary"].strip() if match else None
    age, sex = read_age_and_sex(summary or "")
    return Letter(document.text, document.id, Dates(), None, (), None, summary or None, age, sex, items, ROW)


def _read_outcome(words: str | None) -> Outcome | None:
    """Read "Overturned Decision of Health Plan"; a decision in part is neither."""
    text = (words or "").lower()
    if PART_RE.search(text):
        return None
    if text.startswith(("upheld", "uphold")):
        return "Upheld"
    return "Overturned" if text.startswith("overturn") else None
