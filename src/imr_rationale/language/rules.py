"""Cue rules: a concept with a status, in a sentence about the patient, speaks for a reason.

The rules are features of the models (through the cues they are made of) and the rules-only baseline. Each one
carries a sentence in which it holds and one, much alike, in which it does not: the object of an absence decides, not
its frame, and what a guideline recites decides nothing. ``imr rules`` measures them on the corpus.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from spacy.tokens import Doc

from imr_rationale.labels import check_reasons
from imr_rationale.language.cues import CONCEPTS
from imr_rationale.language.marks import is_general, read_doc_marks
from imr_rationale.language.scopes import STATUSES
from imr_rationale.language.sentences import list_sentences

__all__ = ["RULES", "RULES_VERSION", "RULE_REASONS", "Rule", "find_rules"]

#: grows with every change of a rule or of a concept's phrases; models name the version they were made with
RULES_VERSION = "2"


@dataclass(frozen=True, slots=True)
class Rule:
    """One cue rule.

    Attributes
    ----------
    concept, status : str
        What must stand in a sentence: a key of `CONCEPTS`, and one of `STATUSES`.
    reason : str
        What it then speaks for.
    positive, negative : str
        A sentence in which the rule holds, and one in which it does not.
    """

    concept: str
    status: str
    reason: str
    positive: str
    negative: str

    def __post_init__(self) -> None:
        """Refuse a rule of unknown words."""
        check_reasons([self.reason])
        if self.concept not in CONCEPTS or self.status not in STATUSES:
            raise ValueError(f"unknown concept or status in the rule {self.name!r}")

    @property
    def name(self) -> str:
        """The label of the cues that it stands on: "gain|unproven"."""
        return f"{self.concept}|{self.status}"


RULES: tuple[Rule, ...] = (
    Rule(
        "record",
        "unproven",
        "insufficient_documentation",
        "The quantity and dosage were not provided for this patient.",
        "The quantity was reviewed with the patient in May.",
    ),
    Rule(
        "record",
        "absent",
        "insufficient_documentation",
        "In this case, there are no therapy notes.",
        "In this case, the therapy notes from June were read.",
    ),
    Rule(
        "indication",
        "unproven",
        "no_clinical_indication",
        "There is no documentation of red flags in this case.",
        "The guidelines ask for documentation of red flags.",
    ),
    Rule(
        "indication",
        "absent",
        "no_clinical_indication",
        "The patient has no neurological deficit.",
        "The patient has a progressive neurological deficit.",
    ),
    Rule(
        "indication",
        "affirmed",
        "clinical_indication_present",
        "The patient has a motor deficit of the left hand.",
        "There is no evidence that the patient has a motor deficit.",
    ),
    Rule(
        "lower_step",
        "unproven",
        "conservative_care_not_exhausted",
        "There is no documentation that the patient had conservative care.",
        "The patient had six weeks of conservative care.",
    ),
    Rule(
        "lower_step",
        "absent",
        "conservative_care_not_exhausted",
        "The patient has never taken oral medications for this pain.",
        "The patient takes oral medications for this pain.",
    ),
    Rule(
        "lower_step",
        "failed",
        "conservative_care_failed",
        "The patient remains in pain despite conservative treatment.",
        "There is no documentation that conservative treatment failed.",
    ),
    Rule(
        "gain",
        "unproven",
        "no_functional_improvement",
        "There is no documentation of functional improvement with the patient's visits.",
        "ODG supports further visits with evidence of functional improvement.",
    ),
    Rule(
        "gain",
        "absent",
        "no_functional_improvement",
        "The patient had no pain relief from the patches.",
        "The patient had pain relief from the patches.",
    ),
    Rule(
        "gain",
        "failed",
        "no_functional_improvement",
        "The earlier block failed to give the patient functional improvement.",
        "The earlier block gave the patient functional improvement.",
    ),
    Rule(
        "gain",
        "affirmed",
        "functional_improvement_documented",
        "In this case, functional improvement was seen after six visits.",
        "In this case, no functional improvement was seen after six visits.",
    ),
    Rule(
        "criteria",
        "unproven",
        "guideline_not_met",
        "It was not shown that the guideline criteria apply to this patient.",
        "The guideline criteria were applied to this patient.",
    ),
    Rule(
        "criteria",
        "absent",
        "guideline_not_met",
        "The patient does not fulfil the guideline criteria.",
        "The patient fulfils the guideline criteria.",
    ),
    Rule(
        "within",
        "affirmed",
        "guideline_met",
        "In this case, the request is consistent with the guidelines.",
        "In this case, the request is not consistent with the guidelines.",
    ),
    Rule(
        "within",
        "absent",
        "guideline_not_met",
        "In this case, the request is not supported by the guidelines.",
        "In this case, the request is supported by the guidelines.",
    ),
    Rule(
        "quantity",
        "affirmed",
        "exceeds_guideline_quantity",
        "The requested 24 visits exceed what is advised.",
        "The MTUS guidelines allow no more than ten visits, and repeats that exceed them need a reason.",
    ),
    Rule(
        "against",
        "affirmed",
        "not_recommended",
        "This device is experimental in the patient's condition.",
        "The ODG guidelines call such devices experimental.",
    ),
    Rule(
        "course_done",
        "affirmed",
        "prior_therapy_sufficient",
        "The patient should go on with a home exercise program.",
        "There is no evidence that the patient was taught a home exercise program.",
    ),
    Rule(
        "duplicate",
        "affirmed",
        "duplicative_service",
        "The patient's results are pending from the same study in May.",
        "The guidelines do not advise to repeat the study.",
    ),
    Rule(
        "safety",
        "affirmed",
        "safety_risk",
        "The patient shows aberrant behavior with this drug.",
        "The guidelines speak of aberrant behavior.",
    ),
    Rule(
        "safety",
        "unproven",
        "safety_risk",
        "There is no documentation of a urine drug screen for this patient.",
        "There is no documentation of an examination for this patient.",
    ),
    Rule(
        "primary_service",
        "affirmed",
        "contingent_on_primary_service",
        "In this case, it depends on the primary procedure.",
        "In this case, it depends on the examination.",
    ),
    Rule(
        "primary_service",
        "absent",
        "contingent_on_primary_service",
        "There is no need of a sling for the patient without the associated surgery.",
        "There is no need of a sling for the patient at this stage.",
    ),
    Rule(
        "exception",
        "affirmed",
        "patient_specific_exception",
        "In this case, unusual circumstances allow two visits more.",
        "In this case, there are no unusual circumstances.",
    ),
)

#: name of a rule -> its reason
RULE_REASONS: Mapping[str, str] = MappingProxyType({rule.name: rule.reason for rule in RULES})


def find_rules(doc: Doc, cues: Sequence[tuple[int, int, str]]) -> tuple[str, ...]:
    """Give the names of the rules that hold for some cues of a Doc in sentences about the patient, sorted."""
    marks = read_doc_marks(doc)
    ends = [end for _, end in list_sentences(doc)]
    named = [(start, label) for start, _, label in cues if label in RULE_REASONS]
    return tuple(sorted({label for start, label in named if not is_general(marks[bisect_right(ends, start)])}))
