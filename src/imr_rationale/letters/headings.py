"""Layouts as data: the heading patterns of each field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["FINAL_DETERMINATION", "ITEMS_PREAMBLE_RE", "Layout"]


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
ITEMS_PREAMBLE_RE = re.compile(
    r"The Final Determination was based on decisions for the disputed items/services set forth below ?: ?",
    re.IGNORECASE,
)
