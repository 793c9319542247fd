"""What a rendered corpus letter prints in each field, for every layout: a parser's output is held against it.

The texts of `learning.render` are made from these records, so the two cannot disagree. Both follow the published facts
about the layouts and share nothing with the parser. Whatever varies between letters of one layout is chosen from the
letter's id, the same every time.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import TypeVar

from imr_rationale.errors import AnnotationError, LabelError
from imr_rationale.labels import CaseOutcome, Outcome
from imr_rationale.learning.corpus import AnnotatedItem, AnnotatedLetter
from imr_rationale.records import Dates

__all__ = [
    "LAYOUTS",
    "PrintedItem",
    "PrintedLetter",
    "can_print",
    "choose",
    "make_dates",
    "make_printed_letter",
    "name_reviewer",
    "print_date",
    "print_guideline",
    "print_short_date",
]

T = TypeVar("T")

#: newest first
LAYOUTS = ("final_determination", "determination_notice", "decisions_and_rationales", "professional_review")
STATES = ("California", "Texas, California", "New York", "Arizona", "Ohio, West Virginia", "Oregon")
FIRST_YEAR: Mapping[str | None, int] = MappingProxyType({"2013-2015": 2013, "2016-2017": 2016, "2018+": 2018})
CLAIMS_ADMINISTRATOR = "The Claims Administrator"

# "Decision based on MTUS Low Back Complaints 2004. Decision based on Non-MTUS Citation ODG Low Back Chapter."
BASED_ON_RE = re.compile(
    r"(?:(?<!\s)\s+)?"
    r"(?:Decision based on|The (?:Claims Administrator|Expert Reviewer) based (?:its|his/her|their) decision on"
    r"|Other(?: [Gg]uidelines?)?:)\s+(?:the )?"
)
# "The MTUS is silent. Decision based on Non-MTUS Citation ODG Head, Hearing aids."
SILENT_RE = re.compile(r"(?:The|No|MTUS (?:is|and))\b[^.]{0,400}\.\s+(?=Decision based on|Other|Non-MTUS)")
# "None cited."  "The Claims Administrator did not cite a guideline for this item."
NONE_CITED_RE = re.compile(r"^(?:(?:None|Not|No)\b[^;]{0,30}$|The \w[\w ]* did not cite\b|.* not specified$)")
# "Non-MTUS Citation: ACC/AHA guideline, echocardiography."
NON_MTUS_RE = re.compile(r"(?:Non-MTUS(?: Citation)?:?|recommendation\(s\) outside of MTUS;)\s+")
# "MTUS, Manual therapy & manipulation."
MTUS_RE = re.compile(r"(?:CA-)?MTUS[,:]?\s+(?=\w)")
# "Knee Complaints 2004; ODG Knee Chapter."
OUTSIDE_RE = re.compile(r"\bODG\b|Official Disability|Non-MTUS|\bFDA\b")
# "Chronic Pain Medical Treatment Guidelines 2016"
INSIDE_RE = re.compile(
    r"\bMTUS\b|\bACOEM\b|Complaints|Chronic Pain|Elbow Disorders|Stress Related|Treatment Guidelines|General Appr"
)


@dataclass(frozen=True, slots=True)
class PrintedItem:
    """One disputed treatment as a layout prints it; None where the layout does not print a field.

    Attributes
    ----------
    treatment : str
        In capitals where the letter prints it so: compare case-insensitively.
    outcome : {"Upheld", "Overturned"}
        What the printed heading means; the older layouts say "(not) medically necessary" instead of the word.
    claims_administrator_guideline, reviewer_guideline : str or None
        Whole sentences in the older layouts. A professional review prints one reviewer's guideline text for the whole
        letter, which every item holds.
    """

    number: int
    treatment: str
    outcome: Outcome
    claims_administrator_guideline: str | None
    reviewer_guideline: str | None
    rationale: str


@dataclass(frozen=True, slots=True)
class PrintedLetter:
    """The fields of a letter as a layout prints them; None (in `dates` too) where it does not print a field.

    Attributes
    ----------
    case_outcome : {"Uphold", "Overturn", "Partially Overturn"} or None
        Of the "Final Determination:" line.
    specialty, subspecialty : str
        Board certification and "has a subspecialty in"; the final determination prints both as one `specialty`.
    summary : str
        Without the disclaimer and the quotation marks that stand around it.
    summary_disclaimer : str or None
        Printed before the summary.
    """

    layout: str
    case_number: str | None
    dates: Dates
    priority: str | None
    case_outcome: CaseOutcome | None
    specialty: str
    subspecialty: str | None
    licensure: tuple[str, ...]
    summary: str
    summary_disclaimer: str | None
    items: tuple[PrintedItem, ...]


def choose(letter: AnnotatedLetter, what: str, options: Sequence[T]) -> T:
    """Choose how a letter prints something, the same every time for its id."""
    digest = hashlib.sha256(f"{letter.id} {what}".encode()).digest()
    return options[int.from_bytes(digest[:4], "big") % len(options)]


def make_dates(letter: AnnotatedLetter) -> Dates:
    """Make up the five dates of a letter's header, in a plausible order."""
    seed = int("".join(char for char in letter.id if char.isdigit()) or "0")
    injury = date(FIRST_YEAR.get(letter.era, 2016), 1, 4) + timedelta(days=seed % 300)
    denial = injury + timedelta(days=30 + seed % 200)
    received = denial + timedelta(days=9 + seed % 20)
    assigned = received + timedelta(days=5 + seed % 7)
    return Dates(assigned, injury, assigned + timedelta(days=21 + seed % 12), denial, received)


def can_print(letter: AnnotatedLetter, layout: str) -> bool:
    """Tell whether a layout can hold a letter: a professional review has one outcome for all its items."""
    return layout != "professional_review" or len({item.outcome for item in letter.items}) == 1


def make_printed_letter(letter: AnnotatedLetter, layout: str) -> PrintedLetter:
    """Make the record of what `layout` prints of a letter.

    Parameters
    ----------
    layout : str
        One of `LAYOUTS`.

    Raises
    ------
    LabelError
        The layout is unknown.
    AnnotationError
        The layout cannot hold the letter, see `can_print`.
    """
    if layout not in _MAKERS:
        raise LabelError(f"unknown layout {layout!r}; known: {', '.join(_MAKERS)}")
    if not can_print(letter, layout):
        raise AnnotationError(f"{letter.id}: items disagree, and a {layout} has one outcome for all")
    return _MAKERS[layout](letter)


def name_reviewer(letter: AnnotatedLetter, layout: str) -> str:
    """Name the reviewer as the layout does: the letters of 2013 and 2014 use two names."""
    names = ("Physician Reviewer", "Expert Reviewer")
    return choose(letter, "reviewer", names) if layout == "decisions_and_rationales" else "Expert Reviewer"


def print_guideline(guideline: str, reader: str, *, found: bool = False) -> str:
    """Say a guideline line of the newer layout in the sentences of the older ones.

    Parameters
    ----------
    reader : str
        Who based a decision on it: "The Claims Administrator", "The Expert Reviewer".
    found : bool
        Say "found ... relevant and appropriate" instead of "based his/her decision on".

    Examples
    --------
    >>> print_guideline("Decision based on MTUS Low Back Complaints 2004.", "The Claims Administrator")
    'The Claims Administrator based its decision on Low Back Complaints 2004, which is part of the MTUS.'
    >>> print_guideline("None cited.", "The Claims Administrator")
    'The Claims Administrator did not cite any evidence based criteria for its decision.'
    """
    named = SILENT_RE.sub("", guideline, count=1).rstrip(".")
    if NONE_CITED_RE.match(named):
        return _say_none_cited(reader)
    cited = [part for part in BASED_ON_RE.split(named) if part]
    bases = " and on ".join(map(_name_basis, cited))
    if reader == CLAIMS_ADMINISTRATOR:
        return f"{reader} based its decision on {bases}."
    applies = any(_is_mtus(part) for part in cited)
    opening = "" if applies else f"{reader} found that no section of the MTUS was applicable. "
    if found and applies and len(cited) == 1:
        return f"{reader} found {bases} relevant and appropriate."
    return f"{opening}{reader} based his/her decision on {bases}."


def _say_none_cited(reader: str) -> str:
    if reader == CLAIMS_ADMINISTRATOR:
        return f"{reader} did not cite any evidence based criteria for its decision."
    return f"{reader} found that no section of the MTUS was applicable."


def _is_mtus(cited: str) -> bool:
    return not NON_MTUS_RE.match(cited) and INSIDE_RE.search(cited) is not None


def _name_basis(cited: str) -> str:
    """Name a cited guideline and whether it is part of the MTUS; nothing is said of a mix of both."""
    name = MTUS_RE.sub("", NON_MTUS_RE.sub("", cited.rstrip(". "), count=1), count=1)
    article = "the " if "Guidelines" in name.split(",")[0] else ""
    if not _is_mtus(cited):
        return f"{article}{name}, which is not part of the MTUS"
    return f"{article}{name}" + ("" if OUTSIDE_RE.search(cited) or name == "MTUS" else ", which is part of the MTUS")


def _split_specialty(letter: AnnotatedLetter) -> tuple[str, str | None]:
    first, _, rest = letter.specialty.partition(", ")
    return first, rest or None


def _get_licensure(letter: AnnotatedLetter) -> tuple[str, ...]:
    return tuple(STATES[sum(map(ord, letter.id)) % len(STATES)].split(", "))


def _get_case_outcome(letter: AnnotatedLetter) -> CaseOutcome:
    found = {item.outcome for item in letter.items}
    if len(found) == 2:
        return "Partially Overturn"
    return "Uphold" if found == {"Upheld"} else "Overturn"


def _make_final_determination(letter: AnnotatedLetter) -> PrintedLetter:
    return PrintedLetter(
        layout="final_determination",
        case_number=letter.id,
        dates=make_dates(letter),
        priority="Standard",
        case_outcome=None,
        specialty=letter.specialty,
        subspecialty=None,
        licensure=_get_licensure(letter),
        summary=letter.summary,
        summary_disclaimer=None,
        items=tuple(
            PrintedItem(
                item.number,
                item.treatment,
                item.outcome,
                item.claims_administrator_guideline,
                item.reviewer_guideline,
                item.rationale,
            )
            for item in letter.items
        ),
    )


def _make_determination_notice(letter: AnnotatedLetter) -> PrintedLetter:
    dates = replace(make_dates(letter), assigned=None)
    specialty, subspecialty = _split_specialty(letter)
    denied = print_short_date(dates.ur_denial)
    disclaimers = (
        None,
        f"Disclaimer: The summary below was taken from the utilization review denial dated {denied}.",
        f"This case summary was taken from the utilization review denial dated {denied}:",
    )
    return replace(
        _make_final_determination(letter),
        layout="determination_notice",
        dates=dates,
        priority=None,
        specialty=specialty,
        subspecialty=subspecialty,
        summary_disclaimer=choose(letter, "disclaimer", disclaimers),
        items=tuple(_print_sentences(letter, item, "determination_notice") for item in letter.items),
    )


def _make_decisions_and_rationales(letter: AnnotatedLetter) -> PrintedLetter:
    specialty, subspecialty = _split_specialty(letter)
    items = tuple(_print_sentences(letter, item, "decisions_and_rationales") for item in letter.items)
    if choose(letter, "capitals", (True, False)):
        items = tuple(replace(item, treatment=item.treatment.upper()) for item in items)
    return replace(
        _make_final_determination(letter),
        layout="decisions_and_rationales",
        case_outcome=choose(letter, "case outcome", (_get_case_outcome(letter), None, None, None)),
        specialty=specialty,
        subspecialty=subspecialty,
        items=items,
    )


def _print_sentences(letter: AnnotatedLetter, item: AnnotatedItem, layout: str) -> PrintedItem:
    reviewer = f"The {name_reviewer(letter, layout)}"
    found = layout == "determination_notice" and choose(letter, "found", (True, False))
    return PrintedItem(
        item.number,
        item.treatment,
        item.outcome,
        print_guideline(item.claims_administrator_guideline, CLAIMS_ADMINISTRATOR),
        print_guideline(item.reviewer_guideline, reviewer, found=found),
        item.rationale,
    )


def _make_professional_review(letter: AnnotatedLetter) -> PrintedLetter:
    """Leave out of the header, by thirds of the letters: everything, all but two lines, only the application's date."""
    made = make_dates(letter)
    dates = choose(letter, "header", (Dates(), Dates(injury=made.injury), replace(made, application_received=None)))
    specialty, subspecialty = _split_specialty(letter)
    texts = dict.fromkeys(_cite_plainly(item.reviewer_guideline) for item in letter.items)
    why = choose(letter, "why", ("", " This guidance speaks to the service in dispute."))
    guideline = " ".join(texts) + why
    return replace(
        _make_final_determination(letter),
        layout="professional_review",
        case_number=letter.id if dates.injury else None,
        dates=dates,
        priority=None,
        specialty=specialty,
        subspecialty=subspecialty,
        items=tuple(
            PrintedItem(item.number, item.treatment, item.outcome, None, guideline, item.rationale)
            for item in letter.items
        ),
    )


def _cite_plainly(guideline: str) -> str:
    """Leave out "Decision based on", the newer layout's words."""
    cited = [part.rstrip(". ") for part in BASED_ON_RE.split(guideline) if part]
    return ". ".join(cited) + "."


def print_date(value: date | None) -> str:
    """Print a date with leading zeros: 04/26/2011; nothing for None."""
    return value.strftime("%m/%d/%Y") if value else ""


def print_short_date(value: date | None) -> str:
    """Print a date without leading zeros: 9/6/2013; nothing for None."""
    return f"{value.month}/{value.day}/{value.year}" if value else ""


_MAKERS: Mapping[str, Callable[[AnnotatedLetter], PrintedLetter]] = MappingProxyType(
    {
        "final_determination": _make_final_determination,
        "determination_notice": _make_determination_notice,
        "decisions_and_rationales": _make_decisions_and_rationales,
        "professional_review": _make_professional_review,
    }
)
