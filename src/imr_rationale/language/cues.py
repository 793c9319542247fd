"""Cue phrases, and whether what they name is affirmed, absent, unproven or has failed.

A cue is a *concept* ("functional improvement") read together with its *status* ("no evidence of …"): the
frame alone says nothing, the object of the absence decides. Cues are features of the models; the
rules that `rules` makes of them are the rules-only baseline.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from types import MappingProxyType

from spacy.language import Language
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc, Span

from imr_rationale.language.scopes import find_scopes, read_status
from imr_rationale.language.words import read_lowered, read_words

__all__ = ["CONCEPTS", "read_cues", "read_scopes"]


def _expand(*parts: str) -> tuple[str, ...]:
    """Write out "a|b" alternatives: phrase strings match eleven times faster than token patterns."""
    return tuple(" ".join(choice).strip() for choice in product(*(part.split("|") for part in parts)))


#: concept -> its phrases, in lower case
CONCEPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "record": (
            *_expand("clinical|medical|treatment|progress|operative|therapy|office", "notes|records|reports|report"),
            *_expand("physical|neurologic|neurological|recent|detailed", "exam|examination"),
            "rationale", "justification", "explanation", "treatment plan", "body part", "dosage", "dose",
            "frequency", "duration", "quantity", "number of visits", "number of sessions", "request for authorization",
        ),
        "indication": (
            *_expand("red", "flag|flags"),
            *_expand("neurologic|neurological|focal|motor|sensory|progressive", "deficit|deficits|compromise|dysfunction"),
            *_expand("objective|physical|exam|examination|positive|clinical", "findings|signs"),
            *_expand("nerve|nerve root|spinal cord", "compromise|impingement|compression"),
            *_expand("gastrointestinal|gi|cardiovascular", "symptoms|complaints|risk|risk factors|events|event"),
            *_expand("risk", "factor|factors"),
            "radiculopathy", "radicular symptoms", "instability", "fracture", "infection", "tumor", "muscle spasm",
            "spasms", "neuropathic pain", "insomnia", "homebound", "internal derangement", "meniscal tear",
            "rotator cuff tear", "acute exacerbation", "flare-up", "surgical intervention", "surgery is being considered",
            *_expand("normal|unremarkable|negative|benign", "exam|examination|findings|study|sensation|"),
            *_expand("homebound|candidate|candidate for surgery"),
            "osteoarthritis", "neuropathy", "seizure", "weakness", "numbness", "tear", "deterioration", "swelling",
            "gastrointestinal", "opioids", "bleeding", "years of age", "advanced age", "year-old",
            "comorbidities", "significant change", "change in symptoms", "new injury", "diagnosis of",
        ),
        "lower_step": (
            *_expand("conservative|first-line|first line|nonoperative|non-operative", "care|treatment|treatments|therapy|measures|management|medication|medications|agents|drugs"),
            *_expand("oral|generic|over-the-counter|over the counter", "medication|medications|nsaids|alternatives|alternative|formulations|agents"),
            *_expand("antidepressants|anticonvulsants|acetaminophen|nsaids|exercise"),
            *_expand("intolerant|intolerance|swallow|liquid"),
            *_expand("conservative", ""),
            *_expand("oral", "medication|medications|"),
            "weeks since", "week since", "since injury", "physical therapy and", "nonopioid", "non-opioid",
            "lower levels of care", "physical therapy and medications", "less invasive",
        ),
        "gain": (
            *_expand("functional|objective|objective functional|significant|measurable|sustained|documented|clinical", "improvement|improvements|gain|gains|benefit|progress"),
            *_expand("pain", "relief|reduction"),
            *_expand("reduction|decrease", "in pain|in medication|in work restrictions|in the use of"),
            *_expand("response|benefit|benefits|efficacy|improvement|relief", "to|from|of|with|after", "prior|previous|the prior|the previous|past|earlier|treatment|therapy|use|its use"),
            *_expand("functional|objective|therapeutic", "response|outcome|outcomes|benefits"),
            *_expand("with|some|showed|reported|no|little", "benefit|improvement|relief"),
            "therapy outcome", "treatment outcome", "improvement in function", "improvement in pain", "work restrictions",
            "increase in function", "improved function", "improved functioning", "return to work", "activities of daily living",
        ),
        "criteria": (
            *_expand("criteria", "are|have been|were|is|"),
            *_expand("guideline|guidelines|the guidelines", "criteria|requirements|recommendations"),
        ),
        "within": (
            *_expand("within|consistent with|supported by|in accordance with|in keeping with|meets|meet|satisfies", "the guidelines|guidelines|the guideline|guideline|guideline recommendations|the recommended|mtus|odg|the criteria|criteria|established guidelines"),
            "guideline supported", "criteria have been met", "criteria are met", "are satisfied", "meets the",
        ),
        "quantity": (
            *_expand("exceeds|exceed|exceeding|in excess of|beyond|more than|surpass|over", "the|", "guideline|guidelines|recommended|recommendation|recommendations|limit|maximum|guideline recommendations|number of"),
            *_expand("long-term|long term|chronic|prolonged|ongoing", "use"),
            *_expand("short-term|short term|short course", "use|treatment|only|"),
            *_expand("initial|trial", "trial|course|of six|of 6"),
            *_expand("exceptional|extenuating", "factors|factor|circumstances"),
            *_expand("trial", "period|rental|first|basis|"),
            *_expand("one month|one-month|30 day|30-day|home|initial|week", "trial"),
            "exceeds", "exceed", "exceeding", "excessive", "excess", "in excess of", "number of refills", "refills",
            "additional", "upper limit", "deviation",
        ),
        "against": (
            *_expand("not", "recommended|fda approved|fda-approved|supported by evidence|been shown|proven"),
            *_expand("lack of|insufficient|limited|no|little", "evidence|scientific evidence|quality evidence", "to support|of efficacy|for efficacy|of effectiveness|for the use"),
            "experimental", "investigational", "under study", "unproven", "convenience", "not primarily medical",
            "no high quality evidence", "guidelines do not support", "guidelines do not recommend", "advise against",
        ),
        "course_done": (
            *_expand("home exercise|self-directed|independent|home", "program|programs|exercise|exercises|regimen|therapy"),
            *_expand("has|have|had", "already", "completed|had|received|undergone|attended"),
            *_expand("transition|transitioned|transitioning", "to", "a home|an independent|home|self-directed"),
            "well versed", "independently", "on her own", "on his own", "on their own",
        ),
        "duplicate": (
            *_expand("already|previously|recently", "been authorized|been approved|been certified|authorized|approved|certified|performed|obtained|done|had"),
            *_expand("prior|previous|recent|repeat|another|second", "mri|study|studies|imaging|x-ray|x-rays|emg|ct scan|evaluation"),
            *_expand("had|underwent|obtained|received", "an mri|mri|a ct|an x-ray|x-rays|an emg|a urine drug|an initial"),
            "repeat", "prior reviewer", "previously", "since this", "since that study",
            "duplicate", "duplicative", "redundant", "already on file", "results are pending", "results of", "two drugs",
        ),
        "safety": (
            *_expand("side|adverse", "effects|effect|events"),
            *_expand("risk|risks|potential|signs", "of|for", "addiction|dependence|abuse|overdose|harm|sedation|misuse"),
            *_expand("urine drug", "screen|screens|screening|test|testing"),
            "cures", "aberrant", "contraindicated", "contraindication", "respiratory depression", "opioid agreement",
            "morphine equivalent", "dependence", "addictive", "outweigh the benefits", "outweigh any benefit",
        ),
        "primary_service": (
            *_expand("primary|associated|requested|underlying|main", "procedure|surgery|service|operation|surgical procedure"),
            *_expand("surgery|procedure|injection|operation", "is not|was not|has not been|is|was", "medically necessary|approved|authorized|certified|supported"),
            *_expand("since|because|as", "the surgery|the procedure|surgery|the primary|the injection"),
        ),
        "exception": (
            *_expand("exceptional|extenuating|unusual|unique|special", "factors|factor|circumstances|circumstance"),
            "despite the guidelines", "outlier", "reasonable exception", "in this particular case", "although the guidelines",
        ),
    }
)  # fmt: skip


@Language.factory("imr_cues")
class CueFinder:
    """Write the cues of a Doc to `doc.spans["cues"]`, labelled "concept|status", longest match first."""

    def __init__(self, nlp: Language, name: str) -> None:
        self.matcher = PhraseMatcher(nlp.vocab, attr="LOWER")
        for concept, phrases in CONCEPTS.items():
            self.matcher.add(concept, [nlp.make_doc(phrase) for phrase in dict.fromkeys(phrases)])

    def __call__(self, doc: Doc) -> Doc:
        spans = doc.spans["cues"] = list(self._label(doc))
        doc.user_data["cues"] = [(span.start_char, span.end_char, span.label_) for span in spans]
        return doc

    def _label(self, doc: Doc) -> Iterator[Span]:
        scopes = doc.user_data["scopes"] = find_scopes(read_lowered(doc), read_words(doc))
        end_of_last = 0
        for match_id, start, end in sorted(self.matcher(doc), key=lambda match: (match[1], -match[2])):
            if start >= end_of_last:
                end_of_last = end
                status = read_status(scopes, doc[start].idx)
                yield Span(doc, start, end, label=f"{doc.vocab.strings[match_id]}|{status}")


def read_scopes(doc: Doc) -> bytes:
    """Give the scopes of a Doc of the pipeline, as `find_scopes` finds them."""
    return bytes(doc.user_data["scopes"])


def read_cues(doc: Doc) -> list[tuple[int, int, str]]:
    """Give (start_char, end_char, label) of the cues of a Doc of the pipeline, faster than its spans do."""
    found: list[tuple[int, int, str]] = doc.user_data["cues"]
    return found
