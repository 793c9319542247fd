"""The text of a letter -> a `Letter` with its items.

A layout is data: the heading patterns of its fields. Each field is read for itself, so one that cannot be
read is None plus a warning that names it, and the rest stands.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from imr_rationale.errors import LetterParseError
from imr_rationale.letters.headings import FINAL_DETERMINATION, ITEMS_PREAMBLE_RE, Layout
from imr_rationale.letters.items import parse_items
from imr_rationale.letters.lines import Line, join_lines, join_paragraphs, make_lines
from imr_rationale.letters.sources import read_text
from imr_rationale.records import Dates, Letter

__all__ = ["parse_letter", "read_age_and_sex", "read_letter"]


_LABELS = "|".join(pattern.pattern for pattern in FINAL_DETERMINATION.item_fields.values())
_SECTIONS = "|".join(pattern.pattern for pattern in FINAL_DETERMINATION.sections.values())
LINE_LABEL_RE = re.compile(rf"^[\s*]*(?:{_LABELS})", re.IGNORECASE | re.MULTILINE)
# "… necessary. Decision rationale: …" in the middle of a line of flattened text; as printed, capitals count
FLATTENED_LABEL_RE = re.compile(rf"(?<=[^\n\S])(?:{_LABELS}|{_SECTIONS})")
# "… not medically necessary. MRI of the knee: Upheld Claims Administrator guideline:", all on one line
FLATTENED_TITLE_RE = re.compile(rf": ?(?:Upheld|Overturned) +(?={_LABELS})", re.IGNORECASE)
CASE_NUMBER_RE = re.compile(r"\bCM\d{2}-\d{7}\b", re.IGNORECASE)
DATE_RE = re.compile(r"\b(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d{2})\b")
SUMMARY_PREAMBLE_RE = re.compile(r"The expert reviewer developed the following[^:]{0,200}: ?", re.IGNORECASE)
# "48 year old male", "39-year-old female", "52-y/o man"; the seed's redacted "a year old female" has no age
AGE_SEX_RE = re.compile(
    r"(?:\b(?P<age>\d{1,3})[ -]{0,2})?\b(?:years?[ -]{0,2}old|y/o|yo)\b[ -]{0,2}(?P<rest>[^.]{0,60})",
    re.IGNORECASE,
)
SEX_RE = re.compile(r"\b(?:(?P<female>female|woman|lady)|(?P<male>male|man|gentleman))\b", re.IGNORECASE)

# a full stop before a title in flattened text: "… not medically necessary. MRI of the knee"
SENTENCE_BREAK_RE = re.compile(r"[.!?][\"”)]? +(?=[A-Za-z0-9])")
#: characters at the beginning of a summary that present the patient
OPENING_CHARS = 120
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
    items = parse_items(text, sections.get("items", lines), layout)
    if not items and "items" not in sections:
        raise LetterParseError(
            "no Independent Medical Review letter: neither the heading 'IMR ISSUES, DECISIONS AND RATIONALES' "
            "nor a disputed item was found"
        )
    header = _read_labels(sections["header"], layout.header)
    credentials = _read_labels(sections.get("credentials", ()), layout.credentials)
    summary = _read_summary(sections.get("summary", ()), layout)
    age, sex = read_age_and_sex(summary or "")
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


def read_age_and_sex(summary: str) -> tuple[int | None, str | None]:
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
