"""Marks of a sentence: who speaks, in which tense, whether it cites, turns to the patient, decides or supports.

All marks of a sentence are found in one pass, by RE2's sets: a dozen expressions cost no more than one.
"""

from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType

import re2
from spacy.language import Language
from spacy.tokens import Doc

from imr_rationale.language.sentences import list_sentences
from imr_rationale.language.tables import Table
from imr_rationale.language.words import read_lowered

__all__ = ["DECIDES", "MARKS", "SUPPORTS", "find_marks", "is_general", "is_guideline_text", "read_doc_marks"]

#: marks of verdict clauses, and their labels
DECIDES, SUPPORTS = "decision", "support"
#: mark -> what sets it, in RE2's syntax, for text in lower case
MARKS: Mapping[str, str] = MappingProxyType(
    {
        # "ODG recommends", "MTUS guidelines state", "According to ACOEM", "is recommended for"
        "says:guideline": r"\b(?:mtus|acoem|odg|official disability guidelines?|guidelines?|fda|literature|studies|cochrane|medicare|chapter \d+)\b",
        "says:patient": r"\b(?:in this case|this (?:patient|case|worker|claimant|applicant|request|individual|injured)|here,|"
        r"(?:the|injured) (?:patient|worker|claimant|applicant|employee|injured|requested|request|records?|documentation|provider|"
        r"submitted|current|available|medical records?|treating|progress|notes?)|he|she|his|her|there (?:is|was|are|were) (?:no|a lack|insufficient|not))\b",
        "quoted": '["“”]',
        # "was noted", "had completed", "exhibited": tells of a case; guidelines speak in the present
        "past": r"\b(?:was|were|had|did|been|[a-z]{3,}ed)\b",
        "present": r"\b(?:is|are|has|have|does|do)\b",
        "modal": r"\b(?:may|should|must|can|might|could|would|shall|will)\b",
        # "(Colorado, 2005)", "(ICD9 729.1)", "9 visits over 8 weeks": what only a guideline prints
        "citation": r"\([a-z][a-z-]+(?: et al\.?)?,? \d{4}|icd-?\d|\bvisits? over \d|\bpages? \d",
        # "in this case", "however": where reviewers turn from the guideline to the patient
        "turn": r"\b(?:in this case|in the case of|here,|however|in addition|additionally|furthermore|also)\b",
        # "is not indicated", "would be appropriate": said of the request they decide
        "decides": r"\b(?:is|are|was|were|be|been|deemed|considered)(?: \w+){0,2} "
        r"(?:indicated|appropriate|supported|warranted|reasonable|necessary|justified|established|certified)\b",
        # "to warrant the request", "that would support an MRI"
        "supports": r"\b(?:to|would|that) (?:support|warrant|justify)\b",
        # words that decide wherever they stand: "is not medically necessary", "the denial is upheld"
        DECIDES: r"\bmedical(?:ly)?(?: \w+ and| and \w+)? (?:un)?(?:necess\w+|appropriate|reasonable|indicated|warranted|justified|supported)\b"
        r"|\b(?:non[- ]?|de|re)?certif(?:y|ied|ies|ication)\b|\b(?:uphold\w*|upheld|overturn\w*|revers(?:e|ed|al|ing)|affirm(?:ed|s)?)\b"
        r"|\b(?:den(?:y|ied|ial|ials|ies)|disallow\w*|grant(?:ed)?)\b|\bagree with\b|\b(?:un)?necess(?:ary|ity|itate\w*)\b",
        # words that decide when they speak of the request: "is not supported", "to warrant an MRI"
        SUPPORTS: r"\b(?:un|in)?(?:appropriate(?:ly|ness)?|warrant\w*|justif(?:y|ied|ies|ication)|support(?:s|ed|ing|ive)?|reasonable|"
        r"approv\w+|authori[sz]\w+|indicated|established|recommended|allow(?:ed|able)?|"
        r"considered|deemed|found|determined|approvable|proceed(?:ing)?|premature|endorsed?|"
        r"compelling|convincing|persuasive|acceptable|medical need|need(?:ed)?|should be (?:done|provided|given|allowed)|"
        r"merit\w*|satisfied|criteria (?:are|have been|were) (?:not )?met)\b",
    }
)
NAMES = tuple(MARKS)
#: indices of marks, in whatever order -> the marks, in the order of `MARKS`
NAMED: Table[tuple[int, ...], tuple[str, ...]] = Table(lambda found: tuple(NAMES[i] for i in sorted(found)))


@cache
def _make_set() -> "re2.Set":
    found = re2.Set.SearchSet(re2.Options())
    for pattern in MARKS.values():
        found.Add(pattern)
    found.Compile()
    return found


def find_marks(lowered: str) -> tuple[str, ...]:
    """Give the marks of a sentence in lower case, in the order of `MARKS`.

    Examples
    --------
    >>> find_marks("the patient was seen in may.")
    ('says:patient', 'past', 'modal')
    """
    return NAMED[tuple(_make_set().Match(lowered) or ())]


def is_general(marks: Collection[str]) -> bool:
    """Say of a sentence's marks whether it names a guideline and no one's case."""
    return "says:guideline" in marks and "says:patient" not in marks


def is_guideline_text(lowered: str) -> bool:
    """Say whether a sentence in lower case names a guideline and no one's case."""
    return is_general(find_marks(lowered))


@Language.component("imr_marks")
def set_marks(doc: Doc) -> Doc:
    """Keep the marks of each sentence of `doc`."""
    text = read_lowered(doc)
    doc.user_data["marks"] = [find_marks(text[start:end]) for start, end in list_sentences(doc)]
    return doc


def read_doc_marks(doc: Doc) -> list[tuple[str, ...]]:
    """Give the marks of each sentence of a Doc of the pipeline, parallel to `list_sentences`."""
    found: list[tuple[str, ...]] = doc.user_data["marks"]
    return found
