"""A corpus letter -> the text of a whole letter, in each layout that the parser knows.

Rendered letters stand where real ones may not: in tests, examples and demonstrations. What they print in each field
is in `learning.printed`; here it is set in lines and pages. Between letters of an older layout varies what the facts
about it say varies: labels beside or above their values, words run together, names of headings, numbers and running
heads between pages.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from imr_rationale.errors import SourceError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.printed import (
    PrintedItem,
    PrintedLetter,
    choose,
    make_dates,
    make_printed_letter,
    name_reviewer,
    print_date,
    print_short_date,
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
SUMMARY_NOTICE = (
    "The expert reviewer developed the following clinical case summary based on a review of the case file, "
    "including all medical records:"
)
ITEMS_NOTICE = "The Final Determination was based on decisions for the disputed items/services set forth below:"
HOW_HEADING = "HOW THE IMR FINAL DETERMINATION WAS MADE"
SUMMARY_HEADING = "CLINICAL CASE SUMMARY"
ITEMS_HEADING = "IMR ISSUES, DECISIONS AND RATIONALES"
LETTERHEAD = (
    "MAXIMUS FEDERAL SERVICES, INC.",
    "Independent Medical Review",
    "P.O. Box 10000, Anytown, CA 90000",
    "Telephone: (555) 555-0100 Fax: (555) 555-0101",
)


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


def _set_determination_notice(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    dates = printed.dates
    received, denied = print_short_date(dates.application_received), print_short_date(dates.ur_denial)
    yield from (*LETTERHEAD, "", "Notice of Independent Medical Review Determination", "")
    labels = {
        "Dated:": print_short_date(dates.decision),
        "Employee:": "",
        "Claim Number:": "",
        "Date of UR Decision:": denied,
        "Date of Injury:": print_short_date(dates.injury),
        "IMR Application Received:": received,
        "MAXIMUS Case Number:": str(printed.case_number),
    }
    yield from _set_labels(letter, [labels])
    determinations = [_determine(letter, item) for item in printed.items]
    yield from ("", *determinations, "", "INDEPENDENT MEDICAL REVIEW DECISION AND RATIONALE")
    yield (
        f"An application for Independent Medical Review was filed on {received} disputing the Utilization Review "
        f"Denial dated {denied}. A Notice of Assignment and Request for Information was provided to the above parties "
        f"on {print_short_date(make_dates(letter).assigned)}. A decision has been made for each of the treatment "
        "and/or services that were in dispute:"
    )
    yield from ("", *determinations, "", "Medical Qualifications of the Expert Reviewer:")
    yield f"The independent Medical Doctor who made the decision {_qualify(printed, 'physician reviewer')}"
    yield from ("", choose(letter, "summary heading", ("Expert Reviewer Case Summary:", "Case Summary:")))
    yield from (*_set_notice_summary(letter, printed), "", "Documents Reviewed for Determination:")
    yield from (*_list_documents(letter, printed), "")
    for item in printed.items:
        yield from _set_notice_item(letter, item)
    yield from choose(letter, "closing", ((), (CLOSING_DISCLAIMER,)))


#: at the end of some notices
CLOSING_DISCLAIMER = (
    "Disclaimer: MAXIMUS is providing an independent review service under contract with the California Department of "
    "Industrial Relations. It takes no part in the care of the employee."
)


def _determine(letter: AnnotatedLetter, item: PrintedItem) -> str:
    no = "" if item.outcome == "Overturned" else choose(letter, "run together", ("not", "not "))
    return (
        f"{item.number}) MAXIMUS Federal Services, Inc. has determined the request for {item.treatment} is "
        f"{no}medically necessary and appropriate."
    )


def _set_notice_summary(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    if printed.summary_disclaimer:
        yield from (printed.summary_disclaimer, *choose(letter, "after disclaimer", ((), ("",))))
    marks = ("\u201c\u201d", "") if '"' in printed.summary else ('""', "\u201c\u201d", "", "")
    mark = choose(letter, "summary marks", marks)
    yield f"{mark[:1]}{printed.summary}{mark[1:]}"


def _set_notice_item(letter: AnnotatedLetter, item: PrintedItem) -> Iterator[str]:
    yield f"{item.number}) Regarding the request for {item.treatment}{choose(letter, 'space', (':', ' :'))}"
    yield ""
    yield (
        "Section of the Medical Treatment Utilization Schedule Relied Upon by the Expert Reviewer to Make His/Her "
        f"Decision{choose(letter, 'decision colon', ('', ':'))}"
    )
    yield f"{item.claims_administrator_guideline} {item.reviewer_guideline}"
    yield from ("", "Rationale for the Decision:", item.rationale, "")


def _set_decisions_and_rationales(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    reviewer = name_reviewer(letter, printed.layout)
    yield from (*LETTERHEAD, "", *_set_decisions_header(letter, printed), "")
    if printed.case_outcome:
        yield (
            f"Final Determination: {printed.case_outcome.upper()}. This means we decided that "
            f"{CASE_OUTCOME_MEANING[printed.case_outcome]}"
        )
        yield ""
    yield HOW_HEADING
    yield (
        f"MAXIMUS Federal Services sent the complete case file to {_add_article(reviewer.lower())}. He/she "
        f"{_qualify(printed, reviewer.lower())}"
    )
    yield from ("", "DOCUMENTS REVIEWED", *_list_documents(letter, printed), "", SUMMARY_HEADING)
    yield SUMMARY_NOTICE.replace("expert reviewer", reviewer.lower())
    yield from (printed.summary, "", "IMR DECISION(S) AND RATIONALE(S)", ITEMS_NOTICE, "")
    request_for = choose(letter, "request for", ("", "The request for "))
    for item in printed.items:
        no = "" if item.outcome == "Overturned" else "not "
        yield f"{item.number}. {request_for}{item.treatment} is {no}medically necessary and appropriate."
        yield from ("", str(item.claims_administrator_guideline), str(item.reviewer_guideline), "")
        yield from (f"The {reviewer}'s decision rationale:", item.rationale, "")


CASE_OUTCOME_MEANING: Mapping[str, str] = MappingProxyType(
    {
        "Uphold": "none of the disputed items/services is medically necessary and appropriate.",
        "Overturn": "all of the disputed items/services are medically necessary and appropriate.",
        "Partially Overturn": "some, not all, of the disputed items/services are medically necessary and appropriate.",
    }
)


def _set_decisions_header(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    dates = printed.dates
    rows = (
        {
            "Case Number:": str(printed.case_number),
            "Date Assigned:": print_date(dates.assigned),
            "Date of Injury:": print_date(dates.injury),
        },
        {"Decision Date:": print_date(dates.decision), "UR Denial Date:": print_date(dates.ur_denial)},
        {"Priority:": str(printed.priority), "Application Received:": print_date(dates.application_received)},
    )
    return _set_labels(letter, rows)


def _set_professional_review(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    yield from ("", "MEDICAL PROFESSIONAL REVIEW", "", *_set_review_header(letter, printed))
    yield from ("ISSUE AT DISPUTE:", *_number([item.treatment for item in printed.items]), "")
    yield from ("CASE SUMMARY:", printed.summary, "")
    yield from ("DOCUMENTS REVIEWED FOR DETERMINATION:", *_list_documents(letter, printed), "")
    yield from ("MEDICAL TREATMENT GUIDELINE(S) RELIED UPON BY PROFESSIONAL", "REVIEWER AND WHY:")
    yield from (str(printed.items[0].reviewer_guideline), "")
    no = " NOT" if printed.items[0].outcome == "Upheld" else ""
    yield from (f"RATIONALE FOR WHY THE REQUESTED TREATMENT/SERVICE IS/WAS{no}", "MEDICALLY NECESSARY:")
    yield from (*_number([item.rationale for item in printed.items]), "")
    yield from ("MEDICAL REVIEWER QUALIFICATIONS:", f"The reviewer {_qualify(printed, 'professional reviewer')}")


def _set_review_header(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    dates = printed.dates
    show = choose(letter, "review dates", (print_date, print_short_date))
    values = {
        "Case Number:": printed.case_number or "",
        "Date of Injury:": show(dates.injury),
        "Date Assigned:": show(dates.assigned),
        "Decision Date:": show(dates.decision),
        "UR Denial Date:": show(dates.ur_denial),
    }
    labels = {label: value for label, value in values.items() if value}
    if labels:
        yield from (*_set_labels(letter, [{label: value} for label, value in labels.items()]), "")


def _number(texts: Sequence[str]) -> list[str]:
    return list(texts) if len(texts) == 1 else [f"{number}. {text}" for number, text in enumerate(texts, 1)]


def _set_labels(letter: AnnotatedLetter, rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Print rows of labels with their values: on lines of their own, a row a line, or a label a line."""
    way = choose(letter, "labels", ("own lines", "row", "label"))
    for row in rows:
        pairs = [f"{label} {value}".strip() for label, value in row.items()]
        if way == "own lines":
            yield from (line for pair in row.items() for line in pair if line)
        elif way == "row" and len(row) < 4:
            yield " ".join(pairs)
        else:
            yield from pairs


def _qualify(printed: PrintedLetter, reviewer: str) -> str:
    """Say what the reviewer is certified and licensed for, after the words that name him or her."""
    subspecialty = f", has a subspecialty in {printed.subspecialty}" if printed.subspecialty else ""
    return (
        "has no affiliation with the employer, the employee, the providers or the claims administrator. The "
        f"{reviewer} is Board Certified in {printed.specialty}{subspecialty} and is licensed to practice in "
        f"{' and '.join(printed.licensure)}. He/she has been in active clinical practice for more than five years."
    )


def _add_article(noun: str) -> str:
    return f"an {noun}" if noun.startswith("e") else f"a {noun}"


def _list_documents(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    bullet = choose(letter, "bullets", ("\u2022 ", "- ", "", None))
    received, denied = print_short_date(printed.dates.application_received), print_short_date(printed.dates.ur_denial)
    if bullet is None and printed.layout != "determination_notice":
        yield "The records were provided by the claims administrator."
        return
    if printed.layout != "professional_review":
        yield DOCUMENTS_NOTICE
    yield f"{bullet or ''}Application of Independent Medical Review" + (
        f" (date received {received})" if received else ""
    )
    yield f"{bullet or ''}Utilization Review Determination" + (f" ({denied})" if denied else "")
    yield f"{bullet or ''}Medical Treatment Utilization Schedule"
    yield f"{bullet or ''}Medical records from the treating providers"


DOCUMENTS_NOTICE = (
    "The following relevant documents received from the interested parties and the documents provided with the "
    "application were reviewed and considered. These documents included:"
)


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
        "determination_notice": _set_determination_notice,
        "decisions_and_rationales": _set_decisions_and_rationales,
        "professional_review": _set_professional_review,
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
