"""The label scheme: outcomes, sentence roles and reasons, as data/README.md defines them."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from imr_rationale.errors import LabelError

__all__ = [
    "CATEGORIES",
    "DESCRIPTIONS",
    "GUIDELINE_BODIES",
    "NONE_STATED",
    "OUTCOMES",
    "OUTCOME_TASKS",
    "POLARITY",
    "REASONS",
    "ROLES",
    "CaseOutcome",
    "Category",
    "GuidelineBody",
    "Outcome",
    "Side",
    "Timing",
    "check_reasons",
]

Outcome = Literal["Upheld", "Overturned"]
OUTCOMES: tuple[Outcome, ...] = ("Upheld", "Overturned")
CaseOutcome = Literal["Uphold", "Overturn", "Partially Overturn"]
OUTCOME_TASKS = ("verdict", "reasoning", "forecast")

#: code -> name of a sentence role
ROLES: Mapping[str, str] = MappingProxyType(
    {"B": "background", "G": "guideline", "F": "finding", "C": "conclusion", "P": "boilerplate"}
)

#: what a request asks for, in the words of the Division of Workers' Compensation
Category = Literal[
    "DMEPOS",
    "Diagnostic Testing",
    "Evaluation & Management",
    "Home Health",
    "Injection",
    "Pharmaceuticals",
    "Programs",
    "Psych Services",
    "Rehabilitation",
    "Surgery",
    "Adjunct Surgical Services",
    "Therapies",
    "Transportation",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)
GuidelineBody = Literal["MTUS", "ACOEM", "ODG", "other"]
GUIDELINE_BODIES: tuple[GuidelineBody, ...] = get_args(GuidelineBody)
Side = Literal["left", "right", "bilateral"]
Timing = Literal["prospective", "retrospective"]

_SCHEME = (
    ("insufficient_documentation", -1, "the file does not show what is needed to judge the request"),
    ("no_clinical_indication", -1, "the sign, diagnosis or red flag the service is meant for is absent"),
    ("guideline_not_met", -1, "stated criteria are not met and no narrower reason says which"),
    ("not_recommended", -1, "guideline or evidence is against the service for this use"),
    ("conservative_care_not_exhausted", -1, "a lower step was not tried or not shown to fail"),
    ("prior_therapy_sufficient", -1, "an adequate course is done; the patient should go on alone"),
    ("no_functional_improvement", -1, "earlier use gave no gain, or is not shown to have given one"),
    ("exceeds_guideline_quantity", -1, "number, dose or duration beyond guideline or authorisation"),
    ("duplicative_service", -1, "the same service is already done, on file or under way"),
    ("safety_risk", -1, "harm, dependence, interaction or missing safety monitoring"),
    ("contingent_on_primary_service", 0, "decided only by whether a related service is approved"),
    ("guideline_met", 1, "criteria are satisfied, within the recommended number"),
    ("clinical_indication_present", 1, "examination, imaging or diagnosis show the indication"),
    ("conservative_care_failed", 1, "a lower step was tried without success"),
    ("functional_improvement_documented", 1, "earlier use helped function, pain or medication"),
    ("patient_specific_exception", 1, "the reviewer departs from the guideline and says why"),
)

#: every reason, in the order of the annotation guide and of all matrices
REASONS: tuple[str, ...] = tuple(name for name, _, _ in _SCHEME)
#: reason -> -1 speaks for refusing, +1 for authorising, 0 follows the primary service
POLARITY: Mapping[str, int] = MappingProxyType({name: sign for name, sign, _ in _SCHEME})
#: reason -> the reviewer's ground in one line
DESCRIPTIONS: Mapping[str, str] = MappingProxyType({name: text for name, _, text in _SCHEME})
#: primary reason of a rationale that states no ground
NONE_STATED = "none_stated"


def check_reasons(names: Iterable[str]) -> tuple[str, ...]:
    """Give `names` back as a tuple when all of them are reasons.

    Raises
    ------
    LabelError
        A name is unknown.

    Examples
    --------
    >>> check_reasons(["safety_risk"])
    ('safety_risk',)
    """
    checked = tuple(names)
    for name in checked:
        if name not in POLARITY:
            raise LabelError(f"unknown reason {name!r}; known: {', '.join(REASONS)}")
    return checked
