"""A corpus letter -> the text of a whole letter, in each layout that the parser knows.

Rendered letters stand where real ones may not: in tests, examples and demonstrations. What the corpus does not
hold (dates, licence state) is made up from the letter's id, the same every time.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

from imr_rationale.errors import SourceError
from imr_rationale.learning.corpus import AnnotatedItem, AnnotatedLetter
from imr_rationale.records import Dates

__all__ = ["RENDERERS", "make_dates", "render_markdown", "render_pdf", "render_pdf_text"]

#: width of a printed line, in characters
LINE_WIDTH = 98
PROCESS_NOTICE = (
    "MAXIMUS Federal Services sent the case file to an expert reviewer, who has no affiliation with the "
    "employer, employee, providers or the claims administrator, and who works in active practice."
)
CREDENTIALS = "The Expert Reviewer has the following credentials:"
SUMMARY_NOTICE = (
    "The expert reviewer developed the following clinical case summary based on a review of the case file, "
    "including all medical records:"
)
ITEMS_NOTICE = "The Final Determination was based on decisions for the disputed items/services set forth below:"
HOW_HEADING = "HOW THE IMR FINAL DETERMINATION WAS MADE"
SUMMARY_HEADING = "CLINICAL CASE SUMMARY"
ITEMS_HEADING = "IMR ISSUES, DECISIONS AND RATIONALES"
STATES = ("California", "Texas, California", "New York", "Arizona", "Ohio, West Virginia", "Oregon")
FIRST_YEAR: Mapping[str | None, int] = MappingProxyType({"2013-2015": 2013, "2016-2017": 2016, "2018+": 2018})


@dataclass(frozen=True, slots=True)
class _Header:
    case_number: str
    dates: Dates
    licensure: str


def make_dates(letter: AnnotatedLetter) -> Dates:
    """Make up the five dates of a letter's header, in a plausible order."""
    seed = int("".join(char for char in letter.id if char.isdigit()) or "0")
    injury = date(FIRST_YEAR.get(letter.era, 2016), 1, 4) + timedelta(days=seed % 300)
    denial = injury + timedelta(days=30 + seed % 200)
    received = denial + timedelta(days=9 + seed % 20)
    assigned = received + timedelta(days=5 + seed % 7)
    return Dates(assigned, injury, assigned + timedelta(days=21 + seed % 12), denial, received)


def _make_header(letter: AnnotatedLetter) -> _Header:
    return _Header(letter.id, make_dates(letter), STATES[sum(map(ord, letter.id)) % len(STATES)])


def _print_date(value: date | None) -> str:
    return value.strftime("%m/%d/%Y") if value else ""


def render_markdown(letter: AnnotatedLetter) -> str:
    """Write a letter as markdown: tabs and bold tags in the header, bold labels, one line a paragraph."""
    header = _make_header(letter)
    dates = header.dates
    cells = (
        (("Case Number", header.case_number),),
        (("Date Assigned", _print_date(dates.assigned)), ("Date of Injury", _print_date(dates.injury))),
        (("Decision Date", _print_date(dates.decision)), ("UR Denial Date", _print_date(dates.ur_denial))),
        (("Priority", "Standard"), ("Application Received", _print_date(dates.application_received))),
    )
    head = "\n".join("\t".join(f"<b>{label}:</b>\t{value}" for label, value in row) for row in cells)
    parts = [
        head,
        f"### {HOW_HEADING}",
        PROCESS_NOTICE,
        CREDENTIALS,
        f"State(s) of Licensure: {header.licensure}",
        f"Certification(s)/Specialty: {letter.specialty}",
        f"### {SUMMARY_HEADING}",
        SUMMARY_NOTICE,
        letter.summary,
        f"### {ITEMS_HEADING}",
        ITEMS_NOTICE,
    ]
    for item in letter.items:
        parts += [
            f"**{item.treatment}:** {item.outcome}",
            f"**Claims Administrator guideline:** {item.claims_administrator_guideline}",
            f"**MAXIMUS guideline:** {item.reviewer_guideline}",
            f"**Decision rationale:** {item.rationale}",
        ]
    return "\n\n".join(parts) + "\n"


def render_pdf_text(letter: AnnotatedLetter) -> str:
    """Write a letter as a PDF's text layer prints it: wrapped lines, labels and values on lines of their own."""
    return "".join(f"{line} \n" for line in _print_lines(letter))


def _print_lines(letter: AnnotatedLetter) -> list[str]:
    header = _make_header(letter)
    dates = header.dates
    lines = ["", "Case Number:", header.case_number, ""]
    for label, value in (
        ("Date Assigned:", dates.assigned),
        ("Date of Injury:", dates.injury),
        ("Decision Date:", dates.decision),
        ("UR Denial Date:", dates.ur_denial),
    ):
        lines += [label, _print_date(value)]
    lines += [
        "Priority:",
        "Standard",
        "Application",
        "Received:",
        _print_date(dates.application_received),
        "",
    ]
    lines += [HOW_HEADING, *_wrap(PROCESS_NOTICE), "", CREDENTIALS]
    lines += [f"State(s) of Licensure: {header.licensure}"]
    lines += [*_wrap(f"Certification(s)/Specialty: {letter.specialty}"), ""]
    lines += [SUMMARY_HEADING, *_wrap(SUMMARY_NOTICE), "", *_wrap(letter.summary), ""]
    lines += [ITEMS_HEADING, *_wrap(ITEMS_NOTICE), ""]
    for item in letter.items:
        lines += _print_item(item)
    return lines


def _print_item(item: AnnotatedItem) -> list[str]:
    fields = (
        f"{item.treatment}: {item.outcome}",
        f"Claims Administrator guideline: {item.claims_administrator_guideline}",
        f"MAXIMUS guideline: {item.reviewer_guideline}",
        f"Decision rationale: {item.rationale}",
    )
    return [line for text in fields for line in (*_wrap(text), "")]


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, LINE_WIDTH, break_long_words=False, break_on_hyphens=False)


def render_pdf(letter: AnnotatedLetter, path: Path) -> Path:
    """Write a letter as a PDF file of letter-size pages.

    Raises
    ------
    SourceError
        The extra `pdf` (reportlab) is not installed.
    """
    try:
        from reportlab.lib.pagesizes import LETTER
        from reportlab.pdfgen.canvas import Canvas
    except ImportError as error:
        raise SourceError("writing a PDF needs reportlab: pip install 'imr-rationale[pdf]'") from error
    canvas = Canvas(str(path), pagesize=LETTER, invariant=1)
    canvas.setTitle(f"Independent Medical Review, invented letter {letter.id}")
    for page in _paginate(_print_lines(letter)):
        text = canvas.beginText(PDF_MARGIN, LETTER[1] - PDF_MARGIN)
        text.setFont("Times-Roman", 11, leading=PDF_LEADING)
        for line in page:
            text.textLine(line)
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return path


#: points
PDF_MARGIN, PDF_LEADING = 64, 13.5
LINES_PER_PAGE = 48


def _paginate(lines: Sequence[str]) -> list[Sequence[str]]:
    return [lines[start : start + LINES_PER_PAGE] for start in range(0, len(lines), LINES_PER_PAGE)]


#: name -> renderer of text
RENDERERS: Mapping[str, Callable[[AnnotatedLetter], str]] = MappingProxyType(
    {"markdown": render_markdown, "pdf_text": render_pdf_text}
)
