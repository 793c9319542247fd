"""The lines of a letter in the older layouts, as their published facts say; the parser's code has no part in it.

What the facts say varies between letters of one layout varies here by the letter's id: labels beside or above their
values, words run together, names of headings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.printed import (
    PrintedItem,
    PrintedLetter,
    choose,
    make_dates,
    name_reviewer,
    print_date,
    print_short_date,
)

__all__ = [
    "HOW_HEADING",
    "ITEMS_NOTICE",
    "SUMMARY_HEADING",
    "SUMMARY_NOTICE",
    "set_decisions_and_rationales",
    "set_determination_notice",
    "set_professional_review",
]

SUMMARY_NOTICE = (
    "The expert reviewer developed the following clinical case summary based on a review of the case file, "
    "including all medical records:"
)
ITEMS_NOTICE = "The Final Determination was based on decisions for the disputed items/services set forth below:"
HOW_HEADING = "HOW THE IMR FINAL DETERMINATION WAS MADE"
SUMMARY_HEADING = "CLINICAL CASE SUMMARY"
LETTERHEAD = (
    "MAXIMUS FEDERAL SERVICES, INC.",
    "Independent Medical Review",
    "P.O. Box 10000, Anytown, CA 90000",
    "Telephone: (555) 555-0100 Fax: (555) 555-0101",
)


def set_determination_notice(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    """Yield the paragraphs of the notice of September 2013."""
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


def set_decisions_and_rationales(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    """Yield the paragraphs of a letter of late 2013 or 2014."""
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


def set_professional_review(letter: AnnotatedLetter, printed: PrintedLetter) -> Iterator[str]:
    """Yield the paragraphs of a medical professional review."""
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
