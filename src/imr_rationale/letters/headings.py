"""Layouts as data: the heading patterns of each field, in the letter's order.

A letter's layout is told by its headings, wherever they stand. The item layouts of 2013 and 2014 print no "Upheld" or
"Overturned": their headings say "is (not) medically necessary and appropriate".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

__all__ = [
    "LAYOUTS",
    "NOT_NECESSARY",
    "UNKNOWN",
    "Layout",
    "join_patterns",
    "make_label_pattern",
    "make_section_pattern",
]

# "(?P<decision>" in the source of a pattern
GROUP_RE = re.compile(r"\(\?P<\w{1,40}>")


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The heading patterns of one layout.

    Attributes
    ----------
    mark : str
        The section whose heading tells the layout from the others.
    header : mapping of str to pattern
        Field of the letter's header -> its label; the value runs to the next label.
    sections : mapping of str to pattern
        Section -> the line that opens it, in the letter's order.
    preamble : pattern
        Fixed words between the heading of summary or items and their text.
    credentials : mapping of str to pattern
        Field of the reviewer's credentials -> its label, or words around its value (group "value").
    item_fields : mapping of str to pattern
        Field of an item -> its label. A label that only looks ahead stays part of the value.
    numbered : pattern or None
        An item's heading from its number on, with groups "number" and "treatment", and "decision" where it says
        whether the treatment is necessary. None where a heading ends in "Upheld" or "Overturned".
    decision : pattern or None
        A numbered decision that stands before the items, with the groups of `numbered`.
    """

    name: str
    mark: str
    header: Mapping[str, re.Pattern[str]]
    sections: Mapping[str, re.Pattern[str]]
    preamble: re.Pattern[str]
    credentials: Mapping[str, re.Pattern[str]]
    item_fields: Mapping[str, re.Pattern[str]]
    numbered: re.Pattern[str] | None = None
    decision: re.Pattern[str] | None = None


def _patterns(table: Mapping[str, str]) -> Mapping[str, re.Pattern[str]]:
    return MappingProxyType({field: re.compile(pattern, re.IGNORECASE) for field, pattern in table.items()})


#: name of a layout that fits none of the known ones
UNKNOWN = "unknown"
#: "is not medically necessary and appropriate", also run together: "notmedically"
NOT_NECESSARY = r"(?:is|are|was|were) ?(?P<decision>not ?)?medically ?(?P<necessary>necessary)(?: ?and ?appropriate)?"
_DATES_AND_PRIORITY = {
    "case_number": r"Case Number ?:",
    "assigned": r"Date Assigned ?:",
    "injury": r"Date of Injury ?:",
    "decision": r"Decision Date ?:",
    "ur_denial": r"UR Denial Date ?:",
    "priority": r"Priority ?:",
    "application_received": r"Application Received ?:",
}
_HOW = r"HOW THE IMR FINAL DETERMINATION WAS MADE"
_DOCUMENTS = r"DOCUMENTS REVIEWED(?: FOR DETERMINATION)? ?:?$"
# "is Board Certified in Anesthesiology, has a subspecialty in Pain Medicine and is licensed to practice in Ohio."
_QUALIFICATIONS = {
    "specialty": r"Board[- ]Certified in (?P<value>[^.:]{1,200}?)(?:,? and (?:is |who is )?licensed|[.:]|$)",
    "licensure": r"licensed to practice in (?P<value>[^.:]{1,200})",
}
_BASED = r"(?:based|did|found|cited|relied|used|stated)"
_REVIEWER = r"The (?:Physician|Expert|Medical|Professional)? ?Reviewer"

#: December 2014 to February 2017: "IMR ISSUES, DECISIONS AND RATIONALES"
FINAL_DETERMINATION = Layout(
    name="final_determination",
    mark="items",
    header=_patterns(_DATES_AND_PRIORITY),
    sections=_patterns(
        {
            "how": _HOW,
            "credentials": r"The Expert Reviewer has the following credentials",
            "summary": r"CLINICAL CASE SUMMARY",
            "items": r"IMR ISSUES?, DECISIONS?,? (?:AND|&) RATIONALES?",
        }
    ),
    # "The Final Determination was based on decisions for the disputed items/services set forth below:"
    preamble=re.compile(
        r"The Final Determination was based on decisions for the disputed items/services set forth below ?: ?"
        r"|The expert reviewer developed the following[^:]{0,200}: ?",
        re.IGNORECASE,
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
#: end of 2013 to 2014: "IMR DECISION(S) AND RATIONALE(S)"
DECISIONS_AND_RATIONALES = Layout(
    name="decisions_and_rationales",
    mark="items",
    header=_patterns(_DATES_AND_PRIORITY),
    sections=_patterns(
        {
            "credentials": _HOW,
            "documents": _DOCUMENTS,
            "summary": r"CLINICAL CASE SUMMARY",
            "items": r"IMR DECISION\(?S?\)? AND RATIONALE\(?S?\)?",
        }
    ),
    preamble=re.compile(
        r"The Final Determination was based on decisions for the disputed items/services set forth below ?: ?"
        r"|The (?:physician|expert|medical) reviewer developed the following[^:]{0,200}: ?",
        re.IGNORECASE,
    ),
    credentials=_patterns(_QUALIFICATIONS),
    item_fields=_patterns(
        {
            "claims_administrator_guideline": rf"(?=The Claims Administrator {_BASED})",
            "reviewer_guideline": rf"(?={_REVIEWER} {_BASED})",
            "rationale": rf"{_REVIEWER}['’]?s decision rationale ?:?",
        }
    ),
    # "1. The request for an MRI of the left knee is not medically necessary and appropriate.", "2. Cane: Upheld"
    numbered=re.compile(
        r"^(?:(?P<number>\d{1,2}) ?[.)] ?(?:The request for )?|The request for )(?P<treatment>.{1,1500}?) ?(?:"
        + NOT_NECESSARY
        + r" ?\.?|: ?(?P<outcome>Upheld|Overturned))$",
        re.IGNORECASE,
    ),
)
#: September 2013: "Notice of Independent Medical Review Determination"
DETERMINATION_NOTICE = Layout(
    name="determination_notice",
    mark="decisions",
    header=_patterns(
        {
            "decision": r"Dated ?:",
            "ur_denial": r"Date of UR (?:Decision|Denial) ?:",
            "injury": r"Date of Injury ?:",
            "application_received": r"(?:IMR )?Application Received ?:",
            "case_number": r"(?:MAXIMUS )?Case Number ?:",
            "employee": r"Employee ?:",
            "claim_number": r"Claim Number ?:",
            "assigned": r"Notice of Assignment and Request for Information was provided to the above parties on",
        }
    ),
    sections=_patterns(
        {
            "decisions": r"INDEPENDENT MEDICAL REVIEW DECISION(?:S|\(S\))? AND RATIONALE",
            "credentials": r"Medical Qualifications of the (?:Expert|Physician|Medical) Reviewer ?:?",
            "summary": r"(?:(?:Expert|Physician|Medical) Reviewer )?Case Summary ?:",
            "documents": _DOCUMENTS,
            "items": r"\d{1,2} ?[.)] ?Regarding the request for",
            "end": r"Disclaimer ?: ?MAXIMUS",
        }
    ),
    # "Disclaimer: The following case summary was taken directly from the utilization review denial dated May 3, 2013:"
    preamble=re.compile(
        r"(?:Disclaimer ?: ?)?Th(?:e|is) [^.:]{0,60}summary [^.:]{0,30}was (?:taken|copied)[^.:]{0,200}[.:] ?",
        re.IGNORECASE,
    ),
    credentials=_patterns(_QUALIFICATIONS),
    item_fields=_patterns(
        {
            # both guidelines stand in one paragraph below one heading
            "guidelines": r"Section of the Medical Treatment Utilization Schedule Relied Upon by the"
            r"(?: (?:Expert|Physician|Medical) Reviewer(?: to Make (?:His/Her|His|Her|Their) Decision)?)? ?:?",
            "rationale": r"Rationale for the Decision ?:?",
        }
    ),
    # "1) Regarding the request for an MRI of the left knee:"
    numbered=re.compile(
        r"^(?P<number>\d{1,2}) ?[.)] ?Regarding the request for (?P<treatment>.{1,1500}?)(?P<decision>) ?:?$",
        re.IGNORECASE,
    ),
    # "1) MAXIMUS Federal Services, Inc. has determined the request for a cane is notmedically necessary"
    decision=re.compile(
        r"^(?P<number>\d{1,2}) ?[.)] ?MAXIMUS Federal Services, ?Inc\.? ?has ?determined ?(?:that )?the ?request ?for "
        r"(?P<treatment>.{1,1500}?) ?" + NOT_NECESSARY,
        re.IGNORECASE,
    ),
)
#: "MEDICAL PROFESSIONAL REVIEW": the sections are the fields of its issue, or of its numbered issues
PROFESSIONAL_REVIEW = Layout(
    name="professional_review",
    mark="issue",
    header=_patterns(_DATES_AND_PRIORITY),
    sections=_patterns(
        {
            "issue": r"(?:ISSUES?(?:\(S\))? (?:AT|IN) DISPUTE|DISPUTED ISSUES?) ?:?",
            "summary": r"CASE SUMMARY ?:",
            "documents": _DOCUMENTS,
            "guidelines": r"MEDICAL TREATMENT GUIDELINES?(?:\(S\))? RELIED UPON BY"
            r"(?: (?:THE )?PROFESSIONAL(?: REVIEWER(?: AND WHY)? ?:?)?)?",
            "rationale": r"RATIONALE FOR WHY THE REQUESTED TREATMENTS? ?/ ?SERVICES?"
            r"(?P<decision>(?: [A-Z/]{1,12}){1,6} MEDICALLY NECESSARY)? ?:?",
            "credentials": r"MEDICAL REVIEWER QUALIFICATIONS ?:?",
        }
    ),
    preamble=re.compile(r"(?!)"),
    credentials=_patterns(_QUALIFICATIONS),
    item_fields=_patterns({}),
)
LAYOUTS = (FINAL_DETERMINATION, DECISIONS_AND_RATIONALES, DETERMINATION_NOTICE, PROFESSIONAL_REVIEW)


def join_patterns(patterns: Iterable[re.Pattern[str]]) -> str:
    """Give the source of what matches where one of `patterns` does, without groups and without the end of its line."""
    sources = (GROUP_RE.sub("(?:", pattern.pattern).replace("^", "").replace("?$", "?") for pattern in patterns)
    return "|".join(sources) or "(?!)"


@cache
def make_section_pattern() -> re.Pattern[str]:
    """Make the pattern of what every section's heading begins with, in any layout: most lines are none."""
    return re.compile(
        join_patterns(pattern for layout in LAYOUTS for pattern in layout.sections.values()), re.IGNORECASE
    )


@cache
def make_label_pattern(layout: Layout) -> re.Pattern[str]:
    """Make the pattern of the labels of an item's fields, whichever it is: most lines have none."""
    return re.compile(join_patterns(layout.item_fields.values()), re.IGNORECASE)
