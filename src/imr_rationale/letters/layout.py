"""The text of a letter -> a `Letter` with its items.

A layout is data: the heading patterns of its fields. Each field is read for itself, so one that cannot be
read is None plus a warning that names it, and the rest stands.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType

from imr_rationale.errors import LetterParseError
from imr_rationale.labels import OUTCOMES, Outcome
from imr_rationale.letters.lines import Line, join_lines, join_paragraphs, make_lines
from imr_rationale.letters.sources import read_text
from imr_rationale.records import Dates, Item, Letter, ModifiedRequest

__all__ = ["FINAL_DETERMINATION", "Layout", "parse_letter", "read_letter"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The heading patterns of one layout.

    Attributes
    ----------
    header : mapping of str to pattern
        Field of the letter's header -> its label; the value runs to the next label.
    sections : mapping of str to pattern
        Section -> the line that opens it, in the letter's order.
    credentials : mapping of str to pattern
        Field of the reviewer's credentials -> its label.
    item_fields : mapping of str to pattern
        Field of an item -> its label.
    """

    name: str
    header: Mapping[str, re.Pattern[str]]
    sections: Mapping[str, re.Pattern[str]]
    credentials: Mapping[str, re.Pattern[str]]
    item_fields: Mapping[str, re.Pattern[str]]


def _patterns(table: Mapping[str, str]) -> Mapping[str, re.Pattern[str]]:
    return MappingProxyType({field: re.compile(pattern, re.IGNORECASE) for field, pattern in table.items()})


#: December 2014 to February 2017: "IMR ISSUES, DECISIONS AND RATIONALES"
FINAL_DETERMINATION = Layout(
    name="final_determination",
    header=_patterns(
        {
            "case_number": r"Case Number ?:",
            "assigned": r"Date Assigned ?:",
            "injury": r"Date of Injury ?:",
            "decision": r"Decision Date ?:",
            "ur_denial": r"UR Denial Date ?:",
            "priority": r"Priority ?:",
            "application_received": r"Application Received ?:",
        }
    ),
    sections=_patterns(
        {
            "how": r"HOW THE IMR FINAL DETERMINATION WAS MADE",
            "credentials": r"The Expert Reviewer has the following credentials",
            "summary": r"CLINICAL CASE SUMMARY",
            "items": r"IMR ISSUES, DECISIONS,? (?:AND|&) RATIONALES?",
        }
    ),
    credentials=_patterns(
        {
            "licensure": r"State(?:\(s\)|s)? of Licensure ?:",
            "specialty": r"Certification(?:\(s\)|s)? ?/ ?Specialt(?:y|ies) ?:",
        }
    ),
    item_fields=_patterns(
        {
            "claims_administrator_guideline": r"Claims Administrator'?s? guidelines? ?:",
            "reviewer_guideline": r"(?:MAXIMUS|Reviewer'?s?) guidelines? ?:",
            "rationale": r"Decision rationale ?:",
        }
    ),
)

_LABELS = "|".join(pattern.pattern for pattern in FINAL_DETERMINATION.item_fields.values())
_SECTIONS = "|".join(pattern.pattern for pattern in FINAL_DETERMINATION.sections.values())
LINE_LABEL_RE = re.compile(rf"^[\s*]*(?:{_LABELS})", re.IGNORECASE | re.MULTILINE)
# "… necessary. Decision rationale: …" in the middle of a line of flattened text; as printed, capitals count
FLATTENED_LABEL_RE = re.compile(rf"(?<=[^\n\S])(?:{_LABELS}|{_SECTIONS})")
# "… not medically necessary. MRI of the knee: Upheld Claims Administrator guideline:", all on one line
FLATTENED_TITLE_RE = re.compile(rf": ?(?:Upheld|Overturned) +(?={_LABELS})", re.IGNORECASE)
CASE_NUMBER_RE = re.compile(r"\bCM\d{2}-\d{7}\b", re.IGNORECASE)
DATE_RE = re.compile(r"\b(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d{2})\b")
# "MRI of the lumbar spine: Upheld", "Upheld" alone on the line after "… is:"
OUTCOME_RE = re.compile(r"(?:^|(?P<colon>:)) ?(?P<outcome>Upheld|Overturned)\.?$", re.IGNORECASE)
SUMMARY_PREAMBLE_RE = re.compile(r"The expert reviewer developed the following[^:]{0,200}: ?", re.IGNORECASE)
ITEMS_PREAMBLE_RE = re.compile(
    r"The Final Determination was based on decisions for the disputed items/services set forth below ?: ?",
    re.IGNORECASE,
)
# "48 year old male", "39-year-old female", "52-y/o man"; the seed's redacted "a year old female" has no age
AGE_SEX_RE = re.compile(
    r"(?:\b(?P<age>\d{1,3})[ -]{0,2})?\b(?:years?[ -]{0,2}old|y/o|yo)\b[ -]{0,2}(?P<rest>[^.]{0,60})",
    re.IGNORECASE,
)
SEX_RE = re.compile(r"\b(?:(?P<female>female|woman|lady)|(?P<male>male|man|gentleman))\b", re.IGNORECASE)

ORIGINAL_RE = re.compile(r"^(?P<original>.*?),? (?:was|were|is) the original requests?\b\.?", re.IGNORECASE)
AUTHORIZED_RES = (
    # "Acupuncture 6 sessions was authorized by the Claims Administrator."
    re.compile(
        r"original requests?\. ?(?P<authorized>.+?),? (?:was|were|has been|have been) (?:authorized|approved|certified)"
        r" by the Claims Administrator",
        re.IGNORECASE,
    ),
    # "The Claims Administrator authorized a bath chair for 1 month, leaving the original request IMR eligible."
    re.compile(
        r"The Claims Administrator (?:authorized|approved|certified) (?P<authorized>.+?)"
        r"(?:,? leaving the (?:original|remaining)|\. (?=The (?:original|remaining)))",
        re.IGNORECASE,
    ),
)
# "The remaining IMR eligible portion of the original request, Acupuncture 12 sessions is: Upheld"
DISPUTED_RE = re.compile(r".*the original requests?,? (?P<disputed>.+?)(?:,? (?:is|are))?$", re.IGNORECASE)
ELIGIBLE_RE = re.compile(r"IMR[- ]eligible|the original request", re.IGNORECASE)
# a full stop before a title in flattened text: "… not medically necessary. MRI of the knee"
SENTENCE_BREAK_RE = re.compile(r"[.!?][\"”)]? +(?=[A-Za-z0-9])")
LABEL_END_RE = re.compile(r"[^:\n]{0,60}:(?:\s|\*\*|</?b>)*")
#: characters at the beginning of a summary that present the patient
OPENING_CHARS = 120
#: two printed lines of bold type; what is longer before a page break is a rationale, not a heading
HEADING_CHARS = 160
#: a title in flattened text is looked for in so many characters; the longest seen took 400
FLATTENED_TITLE_CHARS = 600


def parse_letter(text: str) -> Letter:
    """Read a decision letter.

    Parameters
    ----------
    text : str
        The letter as plain text, markdown, or the text layer of a PDF.

    Returns
    -------
    Letter
        Offsets of its items index `text`; what cannot be read is None and named in `warnings`.

    Raises
    ------
    LetterParseError
        The text holds neither a section of disputed items nor any item.
    """
    layout = FINAL_DETERMINATION
    lines = make_lines(text, cuts=_flattened_cuts(text))
    sections = _split_sections(lines, layout)
    items = _parse_items(text, sections.get("items", lines), layout)
    if not items and "items" not in sections:
        raise LetterParseError(
            "no Independent Medical Review letter: neither the heading 'IMR ISSUES, DECISIONS AND RATIONALES' "
            "nor a disputed item was found"
        )
    header = _read_labels(sections["header"], layout.header)
    credentials = _read_labels(sections.get("credentials", ()), layout.credentials)
    summary = _read_summary(sections.get("summary", ()), layout)
    age, sex = _read_age_and_sex(summary or "")
    letter = Letter(
        text=text,
        case_number=_read_case_number(header.get("case_number"), join_lines(sections["header"])),
        dates=Dates(**{name: _read_date(header.get(name, "")) for name in Dates.__dataclass_fields__}),
        priority=header.get("priority"),
        licensure=_split_states(credentials.get("licensure")),
        specialty=credentials.get("specialty"),
        summary=summary,
        age=age,
        sex=sex,
        items=items,
        layout=layout.name,
    )
    return replace(letter, warnings=tuple(_warn_missing(letter)))


def read_letter(path: Path) -> Letter:
    """Read the decision letter in a file.

    Raises
    ------
    SourceError
        The file cannot be turned into text.
    LetterParseError
        The text is no Independent Medical Review letter; the message names the file.
    """
    try:
        return parse_letter(read_text(path))
    except LetterParseError as error:
        raise LetterParseError(f"{path}: {error}") from error


def _flattened_cuts(text: str) -> Iterator[int]:
    """Give the offsets where a text that lost its line breaks had a label or a title; else nothing."""
    if LINE_LABEL_RE.search(text):
        return
    for match in FLATTENED_LABEL_RE.finditer(text):
        yield match.start()
    if preamble := ITEMS_PREAMBLE_RE.search(text):
        yield preamble.end()
    for match in FLATTENED_TITLE_RE.finditer(text):
        low = max(0, match.start() - FLATTENED_TITLE_CHARS)
        window = text[low : match.start()]
        breaks = [found.end() for found in SENTENCE_BREAK_RE.finditer(window)]
        original = window.find("the original request")
        if original >= 0 and (before := [end for end in breaks if end < original]):
            breaks = before
        if breaks and "\n" not in window[breaks[-1] :]:
            yield low + breaks[-1]


def _split_sections(lines: Sequence[Line], layout: Layout) -> dict[str, Sequence[Line]]:
    """Cut the letter before the line that opens each section; what comes before the first is the header."""
    starts = {"header": 0}
    position = 0
    for name, pattern in layout.sections.items():
        found = next((i for i in range(position, len(lines)) if pattern.match(lines[i].text)), None)
        if found is not None:
            starts[name] = position = found
    edges = [*starts.values(), len(lines)]
    return {name: lines[start:end] for name, start, end in zip(starts, edges, edges[1:], strict=False)}


def _read_labels(lines: Sequence[Line], labels: Mapping[str, re.Pattern[str]]) -> dict[str, str]:
    """Read "label: value" pairs from lines whose labels and values may stand on lines of their own."""
    text = join_lines(lines)
    hits = sorted(
        (match.start(), match.end(), field)
        for field, pattern in labels.items()
        if (match := pattern.search(text)) is not None
    )
    ends = [*(start for start, _, _ in hits[1:]), len(text)]
    values = {field: text[end:stop].strip() for (_, end, field), stop in zip(hits, ends, strict=False)}
    return {field: value for field, value in values.items() if value}


def _read_case_number(value: str | None, header: str) -> str | None:
    match = CASE_NUMBER_RE.search(value or "") or CASE_NUMBER_RE.search(header)
    return match.group().upper() if match else None


def _read_date(text: str) -> date | None:
    match = DATE_RE.search(text)
    if match is None:
        return None
    month, day, year = match.groups()
    try:
        return datetime.strptime(f"{month}/{day}/{year}", "%m/%d/%Y" if len(year) == 4 else "%m/%d/%y").date()
    except ValueError:
        return None


def _split_states(text: str | None) -> tuple[str, ...]:
    return tuple(state for part in (text or "").split(",") if (state := part.strip(" .;")))


def _read_summary(lines: Sequence[Line], layout: Layout) -> str | None:
    text = layout.sections["summary"].sub("", join_paragraphs(lines), count=1)
    return SUMMARY_PREAMBLE_RE.sub("", text, count=1).strip() or None


def _read_age_and_sex(summary: str) -> tuple[int | None, str | None]:
    """Read the age, and the sex beside it or, without an age, in the opening words."""
    match = AGE_SEX_RE.search(summary)
    sex = SEX_RE.search(match["rest"] if match else summary[:OPENING_CHARS])
    return (
        int(match["age"]) if match and match["age"] else None,
        None if sex is None else "female" if sex["female"] else "male",
    )


def _warn_missing(letter: Letter) -> Iterator[str]:
    for field in ("case_number", "priority", "specialty", "summary"):
        if getattr(letter, field) is None:
            yield f"{field} not read"
    for field in Dates.__dataclass_fields__:
        if getattr(letter.dates, field) is None:
            yield f"date {field} not read"
    if not letter.licensure:
        yield "licensure not read"
    if not letter.items:
        yield "no disputed item read"


# ---------------------------------------------------------------- items


@dataclass(frozen=True, slots=True)
class _Heading:
    """Lines `start:end` print a treatment and its outcome."""

    start: int
    end: int


def _parse_items(text: str, lines: Sequence[Line], layout: Layout) -> tuple[Item, ...]:
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
