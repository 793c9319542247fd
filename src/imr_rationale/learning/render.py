"""A corpus letter -> the text of a whole letter, in each layout that the parser knows.

Rendered letters stand where real ones may not: in tests, examples and demonstrations. What they print in each field
is in `learning.printed`; here it is set in lines and pages. Between letters of an older layout varies what the facts
about it say varies: labels beside or above their values, words run together, names of headings, numbers and running
heads between pages.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from imr_rationale.errors import SourceError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.printed import (
    PrintedLetter,
    choose,
    make_dates,
    make_printed_letter,
    print_date,
)
from imr_rationale.learning.render_older import (
    HOW_HEADING,
    ITEMS_NOTICE,
    SUMMARY_HEADING,
    SUMMARY_NOTICE,
    set_decisions_and_rationales,
    set_determination_notice,
    set_professional_review,
)

__all__ = [
    "LATER_RENDERERS",
    "RENDERERS",
    "make_dates",
    "render_layout",
    "render_markdown",
    "render_pdf",
    "render_pdf_text",
]

#: width of a printed line, in characters
LINE_WIDTH = 98
#: the older notices wrap at 85 to 95 characters
OLDER_LINE_WIDTHS = (86, 90, 94)
#: characters of capitals that fit on a line of a PDF page
CAPITALS_WIDTH = 64
PROCESS_NOTICE = (
    "MAXIMUS Federal Services sent the case file to an expert reviewer, who has no affiliation with the "
    "employer, employee, providers or the claims administrator, and who works in active practice."
)
CREDENTIALS = "The Expert Reviewer has the following credentials:"
ITEMS_HEADING = "IMR ISSUES, DECISIONS AND RATIONALES"


def render_markdown(letter: AnnotatedLetter) -> str:
    """Write a letter as markdown: tabs and bold tags in the header, bold labels, one line a paragraph."""
    printed = make_printed_letter(letter, "final_determination")
    dates = printed.dates
    cells = (
        (("Case Number", printed.case_number),),
        (("Date Assigned", print_date(dates.assigned)), ("Date of Injury", print_date(dates.injury))),
        (("Decision Date", print_date(dates.decision)), ("UR Denial Date", print_date(dates.ur_denial))),
        (("Priority", printed.priority), ("Application Received", print_date(dates.application_received))),
    )
    head = "\n".join("\t".join(f"<b>{label}:</b>\t{value}" for label, value in row) for row in cells)
    parts = [
        head,
        f"### {HOW_HEADING}",
        PROCESS_NOTICE,
        CREDENTIALS,
        f"State(s) of Licensure: {', '.join(printed.licensure)}",
        f"Certification(s)/Specialty: {printed.specialty}",
        f"### {SUMMARY_HEADING}",
        SUMMARY_NOTICE,
        printed.summary,
        f"### {ITEMS_HEADING}",
        ITEMS_NOTICE,
    ]
    for item in printed.items:
        parts += [
            f"**{item.treatment}:** {item.outcome}",
            f"**Claims Administrator guideline:** {item.claims_administrator_guideline}",
            f"**MAXIMUS guideline:** {item.reviewer_guideline}",
            f"**Decision rationale:** {item.rationale}",
        ]
    return "\n\n".join(parts) + "\n"


def render_layout(letter: AnnotatedLetter, layout: str) -> str:
    """Write a letter as the text layer of a PDF in one of `printed.LAYOUTS`: every printed line ends in a space.

    Raises
    ------
    LabelError
        The layout is unknown.
    AnnotationError
        The layout cannot hold the letter, see `printed.can_print`.
    """
    return "".join(f"{line} \n" for page in _make_pages(letter, layout) for line in page)


def render_pdf_text(letter: AnnotatedLetter) -> str:
    """Write a letter as a PDF's text layer prints it: wrapped lines, labels and values on lines of their own."""
    return render_layout(letter, "final_determination")


def _set_final_determination(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    dates = printed.dates
    yield from ("", "Case Number:", str(printed.case_number), "")
    for label, value in (
        ("Date Assigned:", dates.assigned),
        ("Date of Injury:", dates.injury),
        ("Decision Date:", dates.decision),
        ("UR Denial Date:", dates.ur_denial),
    ):
        yield from (label, print_date(value))
    yield from ("Priority:", str(printed.priority), "Application", "Received:", print_date(dates.application_received))
    yield from ("", HOW_HEADING, PROCESS_NOTICE, "", CREDENTIALS)
    yield f"State(s) of Licensure: {', '.join(printed.licensure)}"
    yield from (f"Certification(s)/Specialty: {printed.specialty}", "")
    yield from (SUMMARY_HEADING, SUMMARY_NOTICE, "", printed.summary, "")
    yield from (ITEMS_HEADING, ITEMS_NOTICE, "")
    for item in printed.items:
        yield from (f"{item.treatment}: {item.outcome}", "")
        yield from (f"Claims Administrator guideline: {item.claims_administrator_guideline}", "")
        yield from (f"MAXIMUS guideline: {item.reviewer_guideline}", "")
        yield from (f"Decision rationale: {item.rationale}", "")


def _set_lines(letter: AnnotatedLetter, layout: str) -> list[str]:
    printed = make_printed_letter(letter, layout)
    width = LINE_WIDTH if layout == "final_determination" else choose(letter, "width", OLDER_LINE_WIDTHS)
    return [line for text in _SETTERS[layout](letter, printed) for line in _wrap(text, width)]


def _wrap(text: str, width: int) -> list[str]:
    """Break a paragraph into lines; an empty one stays a blank line, capitals take more room."""
    if sum(map(str.isupper, text)) > len(text) / 2:
        width = min(width, CAPITALS_WIDTH)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _make_pages(letter: AnnotatedLetter, layout: str) -> list[list[str]]:
    pages = [list(page) for page in _paginate(_set_lines(letter, layout))]
    return pages if layout == "final_determination" else list(_add_running_heads(letter, layout, pages))


def _add_running_heads(letter: AnnotatedLetter, layout: str, pages: Sequence[list[str]]) -> Iterator[list[str]]:
    """Put the running head and the page number of some letters over or under their pages."""
    at_foot = choose(letter, "head at foot", (True, False))
    number = make_printed_letter(letter, layout).case_number
    title = f"Final Determination Letter for IMR Case Number {number}"
    for i, page in enumerate(pages, 1):
        # a blank line over a lone number tells it from a paragraph's last line that holds only a number
        heads: Sequence[tuple[str, ...]] = ((), ("", str(i)), (f"Page {i} of {len(pages)}",))
        if number:
            heads = (*heads, (title,), (f"{title} {i}",), (title, str(i)))
        head = choose(letter, "head", heads)
        if not head or (i == 1 and not at_foot):
            yield page
        else:
            yield [*page, "", *head, ""] if at_foot else [*head, "", *page]


def render_pdf(letter: AnnotatedLetter, path: Path, *, layout: str = "final_determination") -> Path:
    """Write a letter as a PDF file of letter-size pages, in one of `printed.LAYOUTS`.

    Raises
    ------
    SourceError
        The extra `pdf` (reportlab) is not installed.
    LabelError, AnnotationError
        As for `render_layout`.
    """
    try:
        from reportlab.lib.pagesizes import LETTER
        from reportlab.pdfgen.canvas import Canvas
    except ImportError as error:
        raise SourceError("writing a PDF needs reportlab: pip install 'imr-rationale[pdf]'") from error
    canvas = Canvas(str(path), pagesize=LETTER, invariant=1)
    canvas.setTitle(f"Independent Medical Review, invented letter {letter.id}")
    for page in _make_pages(letter, layout):
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


_SETTERS: Mapping[str, Callable[[AnnotatedLetter, PrintedLetter], Iterator[str]]] = MappingProxyType(
    {
        "final_determination": _set_final_determination,
        "determination_notice": set_determination_notice,
        "decisions_and_rationales": set_decisions_and_rationales,
        "professional_review": set_professional_review,
    }
)

#: names in `RENDERERS` of the layout of 2014 to 2017, which prints every field of a corpus letter unchanged
LATER_RENDERERS = ("markdown", "pdf_text")
#: name -> renderer of text; a professional review raises AnnotationError for letters that `can_print` rules out
RENDERERS: Mapping[str, Callable[[AnnotatedLetter], str]] = MappingProxyType(
    {
        "markdown": render_markdown,
        "pdf_text": render_pdf_text,
        "determination_notice": partial(render_layout, layout="determination_notice"),
        "decisions_and_rationales": partial(render_layout, layout="decisions_and_rationales"),
        "professional_review": partial(render_layout, layout="professional_review"),
    }
)
